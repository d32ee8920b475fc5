"""Documents with their passages → vectors → the store, so that nobody waits for anybody.

A batch is embedded in a thread of its own, while the caller's thread stores the one before and reads the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

from .embedding import Encoder
from .store import FloatArray, Store
from .telemetry import step
from .types import Chunk, Document

# Embedded and stored together: one transaction. Many, as the encoder sorts a batch by length: less of it is padding.
BATCH_PASSAGES = 512

Batch = Sequence[tuple[Document, Sequence[Chunk]]]


class Pipeline:
    """Only the caller's thread writes, in the order of the batches, and a batch when all its vectors are there.

    After Ctrl-C the batch that is being embedded is stored, too. A kill costs two batches of work at most.
    """

    def __init__(self, store: Store, encoder: Encoder) -> None:
        self._store = store
        self._encoder = encoder
        self._thread = ThreadPoolExecutor(1, "embed")
        self._embedding: tuple[Batch, Future[FloatArray]] | None = None

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            if kind is KeyboardInterrupt:  # what is half embedded need not be embedded again
                self.finish()
        finally:
            self._thread.shutdown(wait=False)  # nobody waits for a batch that nobody stores

    def put(self, batch: Batch) -> int:
        """Begin to embed `batch`, and store the one before; returns how many passages that one had."""
        before = self._embedding
        vectors = before[1].result() if before else None
        texts = [embedded_text(document, chunk) for document, cut in batch for chunk in cut]
        here = copy_context()  # who watches this thread watches that one
        self._embedding = (batch, self._thread.submit(here.run, self._embedded, texts)) if batch else None
        return self._save(before[0], vectors) if before and vectors is not None else 0

    def finish(self) -> int:
        """Store what is left; as `put`."""
        return self.put(())

    def _embedded(self, texts: Sequence[str]) -> FloatArray:
        with step("embeddings", model=self._encoder.name, texts=len(texts)):
            return self._encoder.documents(texts)

    def _save(self, batch: Batch, vectors: FloatArray) -> int:
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
