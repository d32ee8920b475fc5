"""One prompt on its way to an LLM: deadlines, whoever leaves, and the next backend where one does not speak.

It knows no protocol: what a backend says comes from its `speak`.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from .balancer import Balancer, Lease
from .errors import LLMUnavailable
from .failures import OR_QUOTES, REFUSED, Failure, all_failed, failure
from .types import LLMOutcome

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

Text = Generator[str, None, None]


class Prompt(NamedTuple):
    """What is asked."""

    system: str
    user: str
    max_tokens: int


@dataclass(frozen=True)
class Backend:
    """One place where the LLM can be asked. `address`, without what is secret in it, is "" for one in this process.

    `cure` is what to do when it fails, `refused` what to say when it refuses the key.
    """

    speak: Callable[[Prompt, Request], Text]
    address: str = ""
    cure: str = f"try again, {OR_QUOTES}"
    refused: tuple[str, str] = REFUSED


class Pool:
    """The backends of one LLM, each of which could give any reply. Thread-safe.

    `deadlines`, for the first word and for the whole reply, are seconds. `outcomes` says how the last request to each
    backend went; None before there was one.
    """

    def __init__(
        self, name: str, backends: Sequence[Backend], deadlines: tuple[float, float], secrets: Sequence[str]
    ) -> None:
        self.name = name
        self.backends = backends
        self.deadlines = deadlines
        self.outcomes: list[LLMOutcome | None] = [None] * len(backends)
        self.is_closed = False
        self.balancer = Balancer(len(backends))
        self._secrets = secrets

    def failure(self, backend: int, error: Exception) -> Failure:
        """What any error of a backend means."""
        of = self.backends[backend]
        return failure(error, self.name, self._secrets, of.cure, of.refused)

    def close(self) -> None:
        """End the requests under way; those that follow end as they begin."""
        self.is_closed = True
        for request in list(_requests):
            if request.pool is self:
                request.end(self.was_closed())

    def was_closed(self) -> LLMUnavailable:
        """What is raised from then on."""
        return LLMUnavailable(f"{self.name} was closed; open it again")


class Listener:
    """Somebody for whom LLMs are asked, in any number of threads; when they leave, what is asked for them ends.

    >>> with listener:  # in the thread that works for them
    ...     next(answers)
    >>> listener.leave()  # in any other: that thread goes on, as if the LLM had broken
    """

    def __init__(self) -> None:
        self.has_left = False

    def __enter__(self) -> None:
        _thread.listener = self

    def __exit__(self, *exception: object) -> None:
        _thread.listener = None

    def leave(self) -> None:
        """End the requests under way; those that follow end as they begin."""
        self.has_left = True
        for request in list(_requests):
            if request.listener is self:
                request.end(NobodyListens("nobody waits for the answer any more; ask again"))


class NobodyListens(LLMUnavailable):
    """Whoever an LLM was asked for has left."""


_thread = threading.local()  # `listener`: for whom this thread works


class Call:
    """One prompt, asked of one backend after the other until one speaks. Whoever has made it ends it.

    Each backend has an even share of the time in which the first word is due. When that is over, the next one is asked
    beside it, so that a slow one may still be the first to speak; one that fails is followed at once. Those that are
    set aside come last. Once a word was said nobody else is asked.
    """

    def __init__(self, pool: Pool, prompt: Prompt) -> None:
        self._pool = pool
        self._prompt = prompt
        self._listener: Listener | None = getattr(_thread, "listener", None)
        self._heard: SimpleQueue[tuple[Request, _Piece]] = SimpleQueue()
        self._untried = set(range(len(pool.backends)))
        self._under_way: list[Request] = []
        self._failures: dict[int, Failure] = {}
        self._is_test = False
        self._started = 0.0

    def pieces(self) -> Iterator[str]:
        """The reply; an empty one has none. Raises LLMUnavailable."""
        request, piece = self._first()
        self._leave_all_but(request)
        while piece is not None:
            yield piece
            piece = self._next()

    def test(self) -> LLMOutcome:
        """Ask every backend for its first word. How it went with the quickest; LLMUnavailable when none speaks."""
        self._is_test = True
        while self._untried:
            self._ask()
        spoke: LLMOutcome | None = None
        while self._under_way:
            request, piece = self._hear(self._first_due)
            if request is None:
                self._give_up()
            elif self._speaks(request, piece):
                spoke = spoke or LLMOutcome(now(), request.seconds)
                self._leave(request)
        if spoke is None:
            raise self._all_failed()
        return spoke

    def end(self) -> None:
        """Hang up."""
        for request in list(self._under_way):
            self._leave(request)

    @property
    def seconds(self) -> float:
        """Since it was asked."""
        return time.monotonic() - self._started

    # -- until the first word ------------------------------------------------------------------------------------------

    def _first(self) -> tuple[Request, str | None]:
        """Whoever speaks first, and the word; None when that one has nothing to say."""
        self._ask()
        while True:
            share = max(0.0, self._first_due - time.monotonic()) / (1 + len(self._untried))
            request, piece = self._hear(time.monotonic() + share)
            if request is None:
                if not self._ask_next():
                    self._give_up()
                    raise self._all_failed()
            elif self._speaks(request, piece):
                assert piece is None or isinstance(piece, str)
                return request, piece
            elif (failed := self._failures[request.lease.backend]).of_the_request:
                raise failed
            elif not self._ask_next() and not self._under_way:
                raise self._all_failed()

    def _ask_next(self) -> bool:
        if not self._untried or time.monotonic() >= self._first_due:
            return False
        self._ask()
        return True

    def _ask(self) -> None:
        pool = self._pool
        if pool.is_closed:
            raise pool.was_closed()
        lease = pool.balancer.take(self._untried)
        self._untried.discard(lease.backend)
        request = Request(pool, lease, self._listener, self._heard)
        self._under_way.append(request)
        try:
            reply = pool.backends[lease.backend].speak(self._prompt, request)
        except ImportError as error:
            raise pool.failure(lease.backend, error) from error
        # The clock starts now: the first reply of a process imports and loads, which no deadline could interrupt.
        self._started = self._started or time.monotonic()
        request.read(reply, until=self._started + pool.deadlines[1])
        if pool.is_closed:  # asked after the request can be found: one of both sees it
            pool.close()
        if self._listener and self._listener.has_left:
            self._listener.leave()

    @property
    def _first_due(self) -> float:
        return self._started + min(self._pool.deadlines)

    def _speaks(self, request: Request, piece: _Piece) -> bool:
        """Whether it has begun its reply, or has ended an empty one; else it has failed."""
        if isinstance(piece, _Late):
            piece = self._too_late()
        if isinstance(piece, Failure):
            self._fail(request, piece)
            return False
        if isinstance(piece, LLMUnavailable):  # nobody listens, or it was closed
            raise piece
        request.lease.works()
        self._pool.outcomes[request.lease.backend] = LLMOutcome(now(), request.seconds)
        return True

    def _fail(self, request: Request, why: Failure, *, blamed: bool = True) -> None:
        backend = request.lease.backend
        self._failures[backend] = why
        self._pool.outcomes[backend] = LLMOutcome(now(), problem=str(why))
        if why.of_the_request:
            request.lease.works()
        elif blamed and (seconds := request.lease.fails()) and len(self._pool.backends) > 1 and not self._is_test:
            logger.warning("%s%s; it is left out for %g s", self._pool.backends[backend].address, why.what, seconds)
        self._leave(request)

    def _give_up(self) -> None:
        """The time is over. Whoever had little of it, because others failed late, is not blamed."""
        share = min(self._pool.deadlines) / len(self._pool.backends)
        for request in list(self._under_way):
            self._fail(request, self._too_late(), blamed=request.seconds > share / 2)

    def _leave_all_but(self, speaker: Request) -> None:
        """Who was asked before the one that spoke was too slow."""
        asked = list(self._under_way)
        for request in asked[: asked.index(speaker)]:
            self._fail(request, self._no("first word", round(request.seconds, 1)))
        for request in asked[asked.index(speaker) + 1 :]:
            self._leave(request)

    def _all_failed(self) -> LLMUnavailable:
        of = self._pool.backends
        return all_failed(self._pool.name, {of[each].address: why for each, why in sorted(self._failures.items())})

    # -- from the first word to the last -------------------------------------------------------------------------------

    def _next(self) -> str | None:
        """The speaker's next piece; None at the end. Nobody takes over in the middle of a reply."""
        total = self._pool.deadlines[1]
        request, piece = self._hear(self._started + total)
        if request is None or isinstance(piece, _Late):
            piece = self._no("end of the reply", total)
            self._fail(self._under_way[0], piece, blamed=False)  # it may be a long reply
        elif isinstance(piece, Failure):
            self._fail(request, piece)
        if isinstance(piece, LLMUnavailable):
            raise piece
        return piece

    # -- always --------------------------------------------------------------------------------------------------------

    def _hear(self, until: float) -> tuple[Request | None, _Piece]:
        """What one of those under way says next; no request when none does until then."""
        while True:
            try:
                request, piece = self._heard.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                return None, None
            if request in self._under_way:
                return request, piece

    def _leave(self, request: Request) -> None:
        self._under_way.remove(request)
        request.cut()
        request.lease.end()

    def _too_late(self) -> Failure:
        first, total = self._pool.deadlines
        limit, awaited = min((first, "first word"), (total, "end of the reply"))
        return self._no(awaited, limit)

    def _no(self, awaited: str, limit: float) -> Failure:
        cure = f"raise first_token_s and total_s, {OR_QUOTES}"
        return Failure(self._pool.name, f": no {awaited} within {limit:g} s", cure)


def now() -> str:
    """For an LLMOutcome."""
    return datetime.now(UTC).isoformat(timespec="seconds")


# ---- one request -----------------------------------------------------------------------------------------------------


class _Late(Exception):
    """A deadline passed."""


_Piece = str | LLMUnavailable | _Late | None  # text, why it broke, or the end


class Request:
    """One reply being read by a thread of its own, which any other thread can end.

    A thread, because an endpoint that hangs cannot be timed out from within. A daemon, because it may hang in
    somebody else's code, and must not keep the interpreter alive. What it reads goes into `heard`.
    """

    def __init__(
        self, pool: Pool, lease: Lease, listener: Listener | None, heard: SimpleQueue[tuple[Request, _Piece]]
    ) -> None:
        self.pool = pool
        self.lease = lease
        self.listener = listener
        self._heard = heard
        self._connect_s = min(pool.deadlines)
        self._is_cut = False
        self._socket: socket.socket | None = None

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.monotonic() - self._started

    def read(self, reply: Text, until: float) -> None:
        """Begin to."""
        self._started = time.monotonic()
        self.thread = threading.Thread(target=self._read, args=(reply, until), daemon=True)
        _requests.add(self)
        self.thread.start()

    def _read(self, reply: Text, until: float) -> None:
        try:
            with closing(reply):
                for piece in reply:
                    if self._is_cut:
                        return
                    if time.monotonic() > until:  # here too: a slow consumer never finds the queue empty
                        raise _Late
                    if piece:
                        self._put(piece)
            self._put(None)
        except _Late as late:
            self._put(late)
        except Exception as error:
            if not self._is_cut:  # else it only says that the connection was cut
                self._put(self.pool.failure(self.lease.backend, error))
        finally:
            _requests.discard(self)

    def _put(self, piece: _Piece) -> None:
        self._heard.put((self, piece))

    def end(self, error: LLMUnavailable) -> None:
        """End it for whoever hears it, too: with this error."""
        self._put(error)
        self.cut()

    def cut(self) -> None:
        """End it. Closing a socket does not wake the thread that reads from it; shutting it down does."""
        self._is_cut = True
        if self._socket is not None:
            with suppress(OSError):  # it may be closed by now
                # not SSLSocket.shutdown: it takes the TLS state away from the thread that is reading with it
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def watch(self, sent: httpx.Request) -> None:
        """Learn of the socket that this opens; an httpx hook."""
        if self._is_cut:  # no retry of what nobody waits for
            raise ConnectionAbortedError
        sent.extensions["trace"] = self._traced
        # Until there is a connection, nothing can be cut: it may take no longer than anybody waits for it.
        sent.extensions["timeout"] = {**sent.extensions["timeout"], "connect": self._connect_s}

    def _traced(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._is_cut:
                self.cut()


_requests: set[Request] = set()  # being read now


def end_all() -> None:
    """Leave no thread reading: the interpreter aborts when it ends while one is inside pydantic's Rust code."""
    requests = list(_requests)
    for request in requests:
        request.cut()
    until = time.monotonic() + 5.0
    for request in requests:
        request.thread.join(max(0.0, until - time.monotonic()))
