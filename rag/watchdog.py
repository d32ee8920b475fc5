"""A PostgreSQL that hangs: its kernel takes connections and acknowledges what is sent, and nobody ever answers.

How long a statement takes tells little: another writer's lock, or `rag rebuild`, may take minutes. So where one has
been silent for a while, a connection of its own asks the server for a 1: the probe. While that is answered, statements
may take their time. Where it is not, the server hangs: the sockets of those that wait are shut down, from outside, and
who comes next is refused at once, as by a circuit breaker. The same probe waits on, and its answer lets all in again.

psycopg2 has no bound of its own; its `set_wait_callback` would change every connection of the process, and TCP's
timeouts do not end this, as the kernel still acknowledges.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2.extensions import connection as PlainConnection
from psycopg2.extensions import cursor as PlainCursor
from sqlalchemy import Connection, Dialect, Engine, event

# Seconds.
SILENCE_S = 2.0  # of a statement, before the server is probed
READS_S = 2.0  # that a probe may stay unanswered before those who read are sent away; with the above, a question's wait
WRITES_S = 60.0  # the same for a transaction that writes: an ingest's batch, or all of a rebuild, is lost with it
_PROBE_S = 30  # until a probe that waits is replaced by another
_AGAIN_S = 2.0  # between probes of a server that answers them, while a statement is silent
_PAUSE_S = 1.0  # between probes of a server that is gone
_TICK_S = 0.2
_IDLE_S = 5.0  # without a statement, the thread that watches ends
_HANGS = "it takes connections and says nothing"
REFUSES = "FATAL:"  # what a server says that takes no connection: it answers


class Unanswered(psycopg2.OperationalError):  # type: ignore[misc]
    """The server does not answer, and it is known why not."""


class Watchdog:
    """Watches the connections of one engine, each statement while it runs. Safe between threads."""

    def __init__(self, engine: Engine) -> None:
        self._lock = threading.Lock()
        self._statements: set[_Statement] = set()
        self._watching = False  # a thread does
        self._last = 0.0  # when there was a statement
        self._asked: float | None = None  # since when a probe has not been answered
        self._why = _HANGS
        self._next_probe = 0.0
        self._probe: Callable[[], None] = lambda: None
        self._closed = False
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "engine_disposed", self._close)

    def _connect(self, dialect: Dialect, _: object, cargs: Sequence[Any], cparams: Mapping[str, Any]) -> Any:
        self._refuse(READS_S)
        self._probe = lambda: _probe(cargs, cparams)
        began = time.monotonic()
        try:
            connection: Any = dialect.connect(*cargs, **cparams, connection_factory=_Watched)
        except psycopg2.OperationalError as error:
            if REFUSES in str(error) or time.monotonic() - began < cparams["connect_timeout"] - _TICK_S:
                raise
            with self._lock:
                self._doubt(began)
            raise Unanswered(_HANGS) from None
        connection.cursor_factory = _WatchedCursor
        connection.watchdog = self
        return connection

    @contextmanager
    def watched(self, connection: _Watched) -> Iterator[None]:
        """A statement of this connection runs. Raises Unanswered where the server hangs, at once if that is known."""
        patience = connection.patience or READS_S
        try:
            self._refuse(patience)
        except Unanswered:
            connection.close()  # so that nobody tries to roll it back either
            raise
        # A copy of the socket: the number of the other may be another file's by the time that it is shut down.
        with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as line:
            statement = _Statement(patience, line)
            self._enter(statement)
            try:
                yield
            except psycopg2.Error:
                if statement.is_cut:
                    raise Unanswered(self._why) from None
                raise
            finally:
                with self._lock:
                    self._statements.discard(statement)

    def _refuse(self, patience: float) -> None:
        with self._lock:
            if self._unanswered(time.monotonic()) > patience:
                raise Unanswered(self._why)

    def _enter(self, statement: _Statement) -> None:
        with self._lock:
            self._statements.add(statement)
            if not self._watching:
                self._watching = True
                self._last = time.monotonic()
                threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _unanswered(self, now: float) -> float:
        return now - self._asked if self._asked is not None else 0.0

    # -- in threads of their own -----------------------------------------------------------------------------------

    def _watch(self) -> None:
        while True:
            time.sleep(_TICK_S)
            now = time.monotonic()
            with self._lock:
                if self._statements:
                    self._last = now
                elif now - self._last > _IDLE_S:
                    self._watching = False
                    return
                if any(now - statement.began > SILENCE_S for statement in self._statements):
                    self._doubt(now)
                for statement in self._statements:
                    if min(self._unanswered(now), now - statement.began) > statement.patience:
                        statement.cut()

    def _doubt(self, since: float) -> None:
        """Let the server be asked, unless it is, or was just now. The lock is held."""
        if self._asked is None and since >= self._next_probe:
            self._asked, self._why = since, _HANGS
            threading.Thread(target=self._ask, name="probe", daemon=True).start()

    def _ask(self) -> None:
        while not self._closed:
            began = time.monotonic()
            try:
                self._probe()
                break
            except psycopg2.Error as error:
                if time.monotonic() - began < SILENCE_S:  # it does not hang: it is gone
                    self._why = str(error)
                time.sleep(_PAUSE_S)
        with self._lock:
            self._asked = None
            self._next_probe = time.monotonic() + _AGAIN_S

    def _close(self, _: Engine) -> None:
        self._closed = True  # nobody needs to know any more whether it answers


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
        with suppress(OSError):  # the other side has ended it
            self._line.shutdown(socket.SHUT_RDWR)


class _Watched(PlainConnection):  # type: ignore[misc]
    watchdog: Watchdog
    patience: float | None = None  # None: as those who read

    def commit(self) -> None:
        with self.watchdog.watched(self):
            super().commit()

    def rollback(self) -> None:
        with self.watchdog.watched(self):
            super().rollback()


class _WatchedCursor(PlainCursor):  # type: ignore[misc]
    def execute(self, *arguments: Any, **named: Any) -> None:
        with self.connection.watchdog.watched(self.connection):
            super().execute(*arguments, **named)

    def executemany(self, *arguments: Any, **named: Any) -> None:
        with self.connection.watchdog.watched(self.connection):
            super().executemany(*arguments, **named)

    def fetchmany(self, *arguments: Any, **named: Any) -> Any:  # of a cursor with a name, the server is asked for more
        with self.connection.watchdog.watched(self.connection):
            return super().fetchmany(*arguments, **named)


@contextmanager
def patient(connection: Connection) -> Iterator[None]:
    """A transaction whose loss is the loss of much work: a server that hangs gets `WRITES_S`."""
    raw: Any = connection.connection.driver_connection
    raw.patience = WRITES_S
    try:
        yield
    finally:
        raw.patience = None


def _probe(cargs: Sequence[Any], cparams: Mapping[str, Any]) -> None:
    """Return when the server says something, whatever it is. OperationalError: nothing, or there is no server."""
    try:
        with closing(psycopg2.connect(*cargs, **{**cparams, "connect_timeout": _PROBE_S})) as connection:
            connection.cursor().execute("SELECT 1")
    except psycopg2.OperationalError as error:
        if REFUSES not in str(error):
            raise
