"""An ingest whose reading and embedding is done by a Ray cluster: `Workers`, through a process that speaks to Ray.

Files are read where they lie, by whoever has them in front: workers see the same paths as this process. It would be
easy to send them instead, but then one mount that is missing would pass everything through this machine, and nobody
would know; so that is an error, of one line. A collection is read here, line by line, and its lines are sent.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from importlib.util import find_spec
from json import dumps
from logging import getLogger
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar, cast

from .bert import FloatArray
from .embedding import Encoder
from .errors import ClusterUnavailable, RagError
from .parcels import packed, receive, send, size_of, terms, unpacked, vectors
from .rayaddress import LOCAL, check_address, described, not_reached
from .sandbox import Sandbox
from .scan import File, Found, Read, Unread, read
from .settings import PACKAGED_EMBEDDER, Settings
from .types import Document, Failure

logger = getLogger(__name__)

_BATCH_ITEMS, _BATCH_BYTES = 32, 4_000_000  # read by one task: large enough that Ray's share of it is small
_CONNECT_SECONDS = 60
_STOP_SECONDS = 15
_LOST = "the Ray cluster was lost; what was stored is whole: the same command goes on from there, on Ray or without it"

T = TypeVar("T")
Sent = list[File | Document]


class _WorkerLost(ClusterUnavailable):
    """What was sent has ended each worker that had it."""

    def __init__(self) -> None:
        super().__init__(
            "a batch has ended every worker of the Ray cluster that had it; give the workers more memory, or ingest "
            "without --ray"
        )


class RayWorkers:
    """The workers of the Ray cluster at `address`, or of a Ray of its own on this machine ("local").

    They are reached when there is something to do, and kept until `close`. Raises ClusterUnavailable, on use, when that
    cannot be done; when the cluster is lost, what was stored until then is whole.
    """

    def __init__(self, settings: Settings, encoder: Encoder, address: str) -> None:
        self._settings = settings
        self._encoder = encoder
        self._address = address
        self._link: _Link | None = None
        self._here = Sandbox(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._here.__exit__(kind, error, trace)
        if self._link and self._link.failure:  # the next one finds another cluster, perhaps
            self.close()
        elif self._link:
            self._link.rest()

    def close(self) -> None:
        """Leave the cluster; a Ray of its own ends."""
        link, self._link = self._link, None
        if link:
            link.close()

    @property
    def ahead(self) -> int:
        """Two batches for each worker that embeds: one is embedded, and the next is there."""
        return 2 * self._link.embedders if self._link else 1

    def read(self, found: Iterable[Found]) -> Iterator[Read]:
        """A bounded number of batches is under way; what they give comes in the order of `found`."""
        under_way: deque[tuple[list[Found], Sent, Future[list[Read | None]] | None]] = deque()
        for batch in _batches(found):
            work: Sent = [item for item in batch if isinstance(item, File | Document)]
            under_way.append((batch, work, self._submit(work) if work else None))
            while len(under_way) > (self._link.readers if self._link else 1):
                yield from self._merged(*under_way.popleft())
        while under_way:
            yield from self._merged(*under_way.popleft())

    def embed(self, texts: Sequence[str]) -> Future[FloatArray]:
        """As of `Workers`. The future raises ClusterUnavailable."""
        dimension = self._encoder.dimension
        return self._reached().ask("embed", dumps(texts).encode(), lambda rows: vectors(rows, dimension))

    def _submit(self, work: Sent) -> Future[list[Read | None]]:
        return self._reached().ask("read", packed(work), lambda replies: list(unpacked(work, replies)))

    def _merged(self, batch: list[Found], work: Sent, future: Future[list[Read | None]] | None) -> Iterator[Read]:
        done = iter(self._done(work, future) if future else ())
        for item in batch:
            yield next(done) if isinstance(item, File | Document) else item

    def _done(self, work: Sent, future: Future[list[Read | None]], again: bool = False) -> Iterator[Read]:
        try:
            results = future.result()
        except _WorkerLost:
            if len(work) == 1:
                yield _poison(work[0])
                return
            for item in work:  # which of them was it?
                yield from self._done([item], self._submit([item]), again)
            return
        for item, result in zip(work, results, strict=True):
            if result is not None:
                yield result
            elif again:
                yield self._unseen(item)
            else:  # it may have been written to just then
                yield from self._done([item], self._submit([item]), again=True)

    def _unseen(self, item: File | Document) -> Read:
        """Of a file that no worker sees as it is here."""
        assert isinstance(item, File)
        if size_of(item.path) >= 0:
            raise ClusterUnavailable(
                f"the workers of the Ray cluster do not see '{item.path}' as this machine does; put the documents "
                "where all machines see them under the same path, or ingest without --ray"
            )
        return read(item, self._settings, self._here)  # it is gone: as when it is read here

    def _reached(self) -> _Link:
        if self._link is None:
            gpu = self._settings.embed_model != PACKAGED_EMBEDDER  # which has no use for one
            self._link = _Link(self._address, gpu, terms(self._settings, self._encoder))
        return self._link


def check_ray(address: str) -> None:
    """Raises ClusterUnavailable where nobody needs to look for it: without Ray, and for an address that is none."""
    if find_spec("ray") is None:
        raise ClusterUnavailable("Ray is not installed; run \"pip install 'rag-quoted[ray]'\", or leave out --ray")
    check_address(address)


class _Link:
    """The process that speaks to Ray, and what it was asked."""

    def __init__(self, address: str, gpu: bool, terms: bytes) -> None:
        """Raises ClusterUnavailable."""
        logger.info("%s %s …", "starting" if address == LOCAL else "looking for", described(address))
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.raydriver"],
            cwd=Path(__file__).parent.parent,  # of all packages of this name, this one
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal goes to this process alone
        )
        self._asked: dict[int, tuple[Future[Any], Callable[[bytes], Any]]] = {}
        self._lock = threading.Lock()  # of what was asked, and of whether it still can be
        self.failure: RagError | None = None
        self._number = 0
        self._send({"address": address, "gpu": gpu}, terms)
        timer = threading.Timer(_CONNECT_SECONDS, self._process.kill)
        timer.start()
        try:
            hello = receive(cast(Any, _pipe(self._process.stdout)))
        except BaseException:
            if address != LOCAL:  # of which something would stay
                self._process.kill()
            self.close()
            raise
        finally:
            timer.cancel()
        if hello is None or "failure" in hello[0]:
            self.close()
            raise ClusterUnavailable(hello[0]["failure"] if hello else not_reached(address, "no answer"))
        self._note(hello[0])
        self._listener = threading.Thread(target=self._listen, name="ray", daemon=True)
        self._listener.start()

    def ask(self, kind: str, payload: bytes, made: Callable[[bytes], T]) -> Future[T]:
        """What becomes of `payload`, as `made` makes it of the reply."""
        future: Future[T] = Future()
        with self._lock:
            if self.failure:
                raise self.failure
            self._number += 1
            self._asked[self._number] = (future, made)
        self._send({"kind": kind, "number": self._number}, payload)
        return future

    def rest(self) -> None:
        """Let go of the workers that embed, and of what is under way."""
        with self._lock:
            self._asked.clear()
        self._send({"kind": "rest"}, b"")

    def close(self) -> None:
        """It ends Ray where it has started it: some seconds."""
        with suppress(OSError):
            _pipe(self._process.stdin).close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if hasattr(self, "_listener"):
            self._listener.join()
        _pipe(self._process.stdout).close()

    def _send(self, header: dict[str, Any], payload: bytes) -> None:
        with suppress(OSError):  # it has ended, and whoever waits is told by the listener
            send(cast(Any, _pipe(self._process.stdin)), header, payload)

    def _listen(self) -> None:
        failure = _LOST
        while frame := receive(cast(Any, _pipe(self._process.stdout))):
            header, payload = frame
            if "failure" in header:
                failure = header["failure"]
                break
            if "notice" in header:
                logger.warning("%s", header["notice"])
                continue
            self._note(header)
            with self._lock:
                asked = self._asked.pop(header["number"], None)
            if asked and "lost" in header:
                asked[0].set_exception(_WorkerLost())
            elif asked:
                _settle(*asked, payload)
        with self._lock:
            self.failure = ClusterUnavailable(failure)
            left = [future for future, _ in self._asked.values()]
        for future in left:
            future.set_exception(self.failure)

    def _note(self, header: dict[str, Any]) -> None:
        self.readers: int = header["readers"]
        self.embedders: int = header["embedders"]


def _settle(future: Future[Any], made: Callable[[bytes], Any], payload: bytes) -> None:
    try:
        future.set_result(made(payload))
    except Exception as error:
        future.set_exception(error)


def _batches(found: Iterable[Found]) -> Iterator[list[Found]]:
    batch: list[Found] = []
    size = 0
    for item in found:
        batch.append(item)
        if isinstance(item, File):
            size += size_of(item.path)
        elif isinstance(item, Document):
            size += len(item.text)
        if len(batch) >= _BATCH_ITEMS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _poison(item: File | Document) -> Unread:
    reason = f"{item.source} has stopped every worker that read it; it is damaged or made to do so: convert it to .txt"
    return Unread(item.root, item.source, Failure(item.source, reason), "file" if isinstance(item, File) else "line")


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    assert end is not None  # it is started with pipes
    return end
