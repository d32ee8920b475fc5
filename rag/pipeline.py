"""Documents with their passages → vectors → the store, so that nobody waits for anybody.

Batches are embedded by the workers, while the caller's thread stores those before and reads the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

from .scan import Cut
from .store import FloatArray, Store
from .telemetry import step
from .types import Chunk, Document
from .workers import Workers

# Embedded and stored together: one transaction. Many, as the encoder sorts a batch by length: less of it is padding.
BATCH_PASSAGES = 512

Batch = Sequence[Cut]


class Pipeline:
    """Only the caller's thread writes, in the order of the batches, and a batch when all its vectors are there.

    After Ctrl-C the batches that are being embedded are stored, too, but for those that only wait to be. A kill costs
    all of them.

    However many machines embed, one process writes. A passage costs it a fiftieth of what embedding costs a core: from
    some fifty cores on, it is the limit. Into a store that takes several writers, workers could write what they embed;
    but passages would then get their ids as workers finish, in another order every time.
    """

    def __init__(self, store: Store, workers: Workers) -> None:
        self._store = store
        self._workers = workers
        self._embedding: deque[tuple[Batch, Future[FloatArray]]] = deque()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is KeyboardInterrupt:  # what is half embedded need not be embedded again
            self._store_all_but(max(0, len(self._embedding) - (self._workers.ahead + 1) // 2))

    def put(self, batch: Batch) -> int:
        """Begin to embed `batch`, and store of those before what is ready; returns how many passages that were.

        Where as many are being embedded as may be, it waits for the first.
        """
        stored = self._store_all_but(self._workers.ahead)
        before = len(self._embedding)
        if before == self._workers.ahead:
            self._embedding[0][1].result()
        if batch:
            texts = [embedded_text(document, chunk) for document, chunks in batch for chunk in chunks]
            self._embedding.append((batch, self._workers.embed(texts)))
        while before and self._embedding[0][1].done():
            stored += self._save(*self._embedding.popleft())
            before -= 1
        return stored

    def finish(self) -> int:
        """Store what is left; as `put`."""
        return self._store_all_but(0)

    def _store_all_but(self, most: int) -> int:
        stored = 0
        while len(self._embedding) > most:
            stored += self._save(*self._embedding.popleft())
        return stored

    def _save(self, batch: Batch, embedding: Future[FloatArray]) -> int:
        vectors = embedding.result()
        items = []
        at = 0
        for document, cut in batch:
            items.append((document, cut, vectors[at : at + len(cut)]))
            at += len(cut)
        with step("storing", documents=len(batch), passages=at):
            self._store.replace(items)
        return at


def embedded_text(document: Document, chunk: Chunk) -> str:
    """What is embedded for a passage: title and heading tell what "it" in the text is.

    A title that is only an id would be noise.
    """
    text = document.text[chunk.start : chunk.end]
    title = "" if document.title == document.source else document.title
    return "\n".join(part for part in (title, chunk.heading, text) if part)
