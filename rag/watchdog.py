"""A PostgreSQL that hangs: its kernel takes connections and acknowledges what is sent, and nobody ever answers.

How long a statement takes tells little: another writer's lock, or `rag rebuild`, may take minutes. So where one has
been silent for a while, a connection of its own asks the server for a 1: the probe. What ends it, ends the doubt: an
answer, a refusal, or that there is no connection, of which TCP tells those who have one. While it stays silent for
longer than a login may take, the server hangs: the sockets of those that wait are shut down, from outside, and who
comes next is refused at once, as by a circuit breaker. The probes go on, and the first that ends lets all in again.

psycopg2 has no bound of its own; its `set_wait_callback` would change every connection of the process, and TCP's
timeouts do not end this, as the kernel still acknowledges.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import Connection, Dialect, Engine, event

# Seconds.
SILENCE_S = 2.0  # of a statement, before the server is probed
READS_S = 5.0  # of the probe, before those who read are sent away; with the above, a question's wait. Logins get 4
WRITES_S = 60.0  # the same for a transaction that writes: an ingest's batch, or all of a rebuild, is lost with it
PROBE_S = 10.0  # until a probe that waits is replaced by another: a server that is well again may know nothing of it
_AGAIN_S = 2.0  # between probes of a server that answers them, while a statement is silent
_TICK_S = 0.2
_IDLE_S = 30.0  # without anybody who wants an answer, the thread that watches ends
_HANGS = "it takes connections and says nothing"
REFUSES = "FATAL:"  # what a server says that takes no connection: it answers


class Unanswered(psycopg2.OperationalError):  # type: ignore[misc]
    """The server does not answer, and it is known why not."""


class Watchdog:
    """Watches the connections of one engine, each statement while it runs. Safe between threads."""

    def __init__(self, engine: Engine) -> None:
        self._lock = threading.Lock()
        self._statements: set[_Statement] = set()
        self._thread: threading.Thread | None = None
        self._last = 0.0  # when somebody wanted an answer
        self._silent: float | None = None  # since when the server has been probed, and was silent
        self._is_doubted = False  # somebody waited in vain for a connection
        self._is_accepted = False  # the probe that is silent: there is a connection
        self._within = ""
        self._login: Callable[[], Any] = lambda: None
        self._is_closed = False
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "engine_disposed", self._close)

    def _connect(self, dialect: Dialect, _: object, cargs: Sequence[Any], cparams: Mapping[str, Any]) -> Any:
        with self._lock:
            self._admit(READS_S)
            self._within = f"within {cparams['connect_timeout']} s"
            self._login = partial(dialect.connect, *cargs, **cparams, async_=True)
        try:
            connection: Any = dialect.connect(*cargs, **cparams, connection_factory=_Watched)
        except psycopg2.OperationalError as error:
            if "timeout expired" not in str(error):
                raise
            with self._lock:
                self._is_doubted = True
                raise Unanswered(self._why()) from None
        connection.cursor_factory = _WatchedCursor
        connection.watchdog = self
        return connection

    @contextmanager
    def watched(self, connection: _Watched) -> Iterator[None]:
        """A statement of this connection runs. Raises Unanswered where the server hangs, at once if that is known."""
        statement = _Statement(connection.patience or READS_S, connection.line)
        try:
            with self._lock:
                self._admit(self._patience(statement))
                self._statements.add(statement)
        except Unanswered:
            connection.close()  # so that nobody tries to roll it back either
            raise
        try:
            yield
        except psycopg2.Error:
            if statement.is_cut:
                raise Unanswered(self._why()) from None
            raise
        finally:
            with self._lock:
                self._statements.discard(statement)

    def _admit(self, patience: float) -> None:
        """Somebody wants an answer, and is refused where it is known that there comes none. The lock is held."""
        self._last = time.monotonic()
        if self._thread is None or not self._thread.is_alive():
            self._silent = self._thread = None
            thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
            with suppress(RuntimeError):  # there are too many: who comes next tries again
                thread.start()
                self._thread = thread
        if self._silence(self._last) > patience:
            raise Unanswered(self._why())

    def _silence(self, now: float) -> float:
        return 0.0 if self._silent is None else now - self._silent

    def _patience(self, statement: _Statement) -> float:
        """Seconds. Where nobody new gets a connection, TCP has time to tell those who have one."""
        return statement.patience if self._is_accepted else WRITES_S

    def _why(self) -> str:
        return _HANGS if self._silent is not None and self._is_accepted else self._within

    def _close(self, _: Engine) -> None:
        self._is_closed = True  # nobody but who waits needs to know any more whether it answers

    # -- in a thread of its own ------------------------------------------------------------------------------------

    def _watch(self) -> None:
        probe: _Probe | None = None
        again = 0.0
        while self._is_needed():
            if probe is None:
                time.sleep(_TICK_S)
                if time.monotonic() > again and self._doubts():
                    probe = _Probe(self._login)
            elif probe.is_silent(_TICK_S):
                self._cut(probe)
                if time.monotonic() - probe.began > PROBE_S:
                    probe.close()
                    probe = _Probe(self._login)
            else:
                probe.close()
                probe, again = None, time.monotonic() + _AGAIN_S
                with self._lock:
                    self._silent = None
        if probe is not None:
            probe.close()

    def _is_needed(self) -> bool:
        with self._lock:
            if self._statements or (not self._is_closed and time.monotonic() - self._last < _IDLE_S):
                return True
            self._silent = self._thread = None
            return False

    def _doubts(self) -> bool:
        with self._lock:
            doubts, self._is_doubted = self._is_doubted, False
            now = time.monotonic()
            return doubts or any(now - statement.began > SILENCE_S for statement in self._statements)

    def _cut(self, probe: _Probe) -> None:
        """Those for whom the server has been silent too long."""
        now = time.monotonic()
        with self._lock:
            if self._silent is None:
                self._silent = probe.began
            self._is_accepted = probe.is_accepted
            for statement in self._statements:
                if min(self._silence(now), now - statement.began) > self._patience(statement):
                    statement.cut()


class _Statement:
    """One that runs: since when, how long its server may hang, and a copy of its socket."""

    def __init__(self, patience: float, line: socket.socket) -> None:
        self.began = time.monotonic()
        self.patience = patience
        self.is_cut = False
        self._line = line

    def cut(self) -> None:
        """Whoever waits for its answer is told that there comes none."""
        self.is_cut = True
        _cut(self._line)


class _Probe:
    """Asks the server for a 1, by a connection that `login` begins: an asynchronous one, for which nobody waits."""

    def __init__(self, login: Callable[[], Any]) -> None:
        self._connection: Any = None
        self._wants = extensions.POLL_WRITE
        self._has_asked = False
        with suppress(Exception):  # there is none, which is not to be silent
            self._connection = login()
            self._wants = self._connection.poll()
        self.began = time.monotonic()  # only now: a name is looked up before, which may take long

    @property
    def is_accepted(self) -> bool:
        """Whether there is a connection, be it that the server has said nothing yet."""
        bad, started, needed = 1, 2, 8  # of libpq's ConnStatusType, those before there is one
        return self._connection.info.status not in (bad, started, needed)

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing has ended it, so many seconds from now."""
        until = time.monotonic() + seconds
        try:
            while self._is_ready(until - time.monotonic()):
                self._wants = self._connection.poll()
                if self._wants == extensions.POLL_OK:
                    if self._has_asked:
                        return False
                    self._has_asked = True
                    self._connection.cursor().execute("SELECT 1")
                    self._wants = self._connection.poll()
        except Exception:  # no connection, or what was said is in no encoding that is known
            return False
        return True

    def close(self) -> None:
        with suppress(Exception):
            self._connection.close()

    def _is_ready(self, seconds: float) -> bool:
        wanted = selectors.EVENT_WRITE if self._wants == extensions.POLL_WRITE else selectors.EVENT_READ
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, wanted)
            return bool(selector.select(max(seconds, 0)))


class _Watched(extensions.connection):  # type: ignore[misc]
    watchdog: Watchdog
    patience: float | None = None  # None: as those who read

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # A copy of the socket: the number of the other may be another file's by the time that it is shut down.
        try:
            self.line = socket.fromfd(self.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:
            self.close()
            raise psycopg2.OperationalError(str(error)) from None
        weakref.finalize(self, self.line.close)

    def commit(self) -> None:
        with self.watchdog.watched(self):
            super().commit()

    def rollback(self) -> None:
        with self.watchdog.watched(self):
            super().rollback()


class _WatchedCursor(extensions.cursor):  # type: ignore[misc]
    def execute(self, *arguments: Any, **named: Any) -> None:
        with self.connection.watchdog.watched(self.connection):
            super().execute(*arguments, **named)

    def executemany(self, *arguments: Any, **named: Any) -> None:
        with self.connection.watchdog.watched(self.connection):
            super().executemany(*arguments, **named)

    def fetchmany(self, *arguments: Any, **named: Any) -> Any:  # of a cursor with a name, the server is asked for more
        with self.connection.watchdog.watched(self.connection):
            return super().fetchmany(*arguments, **named)


def _cut(line: socket.socket) -> None:
    with suppress(OSError):  # the other side has ended it
        line.shutdown(socket.SHUT_RDWR)


def cut(connection: Connection) -> None:
    """End what another thread waits for, and the connection with it; psycopg2's `cancel` would stop all threads."""
    raw: Any = connection.connection.driver_connection
    _cut(raw.line)


@contextmanager
def patient(connection: Connection) -> Iterator[None]:
    """A transaction whose loss is the loss of much work: a server that hangs gets `WRITES_S`."""
    raw: Any = connection.connection.driver_connection
    raw.patience = WRITES_S
    try:
        yield
    finally:
        raw.patience = None
