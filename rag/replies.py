"""One reply being read, and how it is ended: by whoever has left, by a close, or because nobody waits for it.

It knows no protocol and no deadline but the last: what is read comes from a generator.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from .balancer import Lease
from .errors import LLMUnavailable

if TYPE_CHECKING:
    import httpx

Text = Generator[str, None, None]


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


class Late(Exception):
    """A deadline passed."""


Piece = str | LLMUnavailable | Late | None  # text, why it broke, or the end
Heard = SimpleQueue[tuple["Request", Piece]]


class Request:
    """One reply being read by a thread of its own, which any other thread can end.

    A thread, because an endpoint that hangs cannot be timed out from within. A daemon, because it may hang in
    somebody else's code, and must not keep the interpreter alive. What it reads goes into `heard`; an error as what it
    `means`. It is made for `owner` under a `lease`, for the listener of this thread, and connects within `connect_s`.
    """

    def __init__(
        self, owner: object, lease: Lease, heard: Heard, means: Callable[[Exception], LLMUnavailable], connect_s: float
    ) -> None:
        self.owner = owner
        self.lease = lease
        self.listener: Listener | None = getattr(_thread, "listener", None)
        self._heard = heard
        self._means = means
        self._connect_s = connect_s
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
        if self.listener and self.listener.has_left:  # asked after the request can be found: one of both sees it
            self.listener.leave()

    def _read(self, reply: Text, until: float) -> None:
        try:
            with closing(reply):
                for piece in reply:
                    if self._is_cut:
                        return
                    if time.monotonic() > until:  # here too: a slow consumer never finds the queue empty
                        raise Late
                    if piece:
                        self._put(piece)
            self._put(None)
        except Late as late:
            self._put(late)
        except Exception as error:
            if not self._is_cut:  # else it only says that the connection was cut
                self._put(self._means(error))
        finally:
            _requests.discard(self)

    def _put(self, piece: Piece) -> None:
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


def end_of(owner: object, error: LLMUnavailable) -> None:
    """End what is being read for it, with this error."""
    for request in list(_requests):
        if request.owner is owner:
            request.end(error)


def end_all() -> None:
    """Leave no thread reading: the interpreter aborts when it ends while one is inside pydantic's Rust code."""
    requests = list(_requests)
    for request in requests:
        request.cut()
    until = time.monotonic() + 5.0
    for request in requests:
        request.thread.join(max(0.0, until - time.monotonic()))
