"""Who reads, cuts and embeds for an ingest: this process, or (`cluster`) those of other machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from .bert import FloatArray
from .embedding import Encoder
from .sandbox import Sandbox
from .scan import Cut, Found, Read, cut, read
from .settings import Settings
from .telemetry import step


class Workers(Protocol):
    """They decide nothing and write nothing: what is found goes in, what was made of it comes out, in the same order.

    Used in a `with`, one for each ingest; not by several threads at once.
    """

    @property
    def ahead(self) -> int:
        """How many batches may be embedded at once: as many are in memory."""

    def read(self, found: Iterable[Found]) -> Iterator[Read]:
        """Read and cut each; only a bounded number is taken from `found` before the first is given."""

    def embed(self, texts: Sequence[str]) -> Future[FloatArray]:
        """Begin to embed a batch: float32 `[n, dimension]`, of length 1."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class LocalWorkers:
    """In this process: files are read one after another, in its sandbox, and a batch is embedded in a thread."""

    ahead = 1

    def __init__(self, settings: Settings, encoder: Encoder) -> None:
        self._settings = settings
        self._encoder = encoder
        self._sandbox = Sandbox(settings)

    def __enter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, "embed")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=False)  # nobody waits for a batch that nobody stores
        self._sandbox.__exit__(kind, error, trace)

    def read(self, found: Iterable[Found]) -> Iterator[Read]:
        return (read(item, self._settings, self._sandbox) for item in found)

    def embed(self, texts: Sequence[str]) -> Future[FloatArray]:
        here = copy_context()  # who watches this thread watches that one
        return self._thread.submit(here.run, self._embedded, texts)

    def _embedded(self, texts: Sequence[str]) -> FloatArray:
        with step("embeddings", model=self._encoder.name, texts=len(texts)):
            return self._encoder.documents(texts)

    def read_one(self, file: Path, *, root: str, source: str) -> Cut:
        """The document that `file` is, whatever it is called. Raises DocumentUnreadable."""
        return cut(self._sandbox.read(file, root=root, source=source), self._settings)
