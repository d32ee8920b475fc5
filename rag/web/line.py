"""The one line in front of the index: whoever asks, on the page, over REST, on /v1 or by MCP, waits in it.

The Model panel's test of an LLM does not: it asks no index, for one word, and each LLM is tested once at a time.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, nullcontext
from typing import Protocol, TypeVar

from ..errors import RagError
from ..replies import Listener

T = TypeVar("T")


class Watch(Protocol):
    """Hears how long people wait."""

    def waited(self, seconds: float) -> None: ...

    def refused(self) -> None: ...


AT_ONCE = 4  # at work side by side
WAITING = 64  # and in line behind them
# Of what a page asks for beside answers. One at a time: each is quick, and takes its time from all answers.
ASIDE_AT_ONCE, ASIDE_WAITING = 1, 32


class Busy(RagError):
    """Too many are waiting already."""

    def __init__(self) -> None:
        super().__init__("too many questions are waiting; ask again in a moment")


class Line:
    """Lets a few in side by side, in the order they came, and some wait. Safe between threads and event loops.

    >>> line = Line()
    >>> async for answer in line.each(assistant.stream("…")): ...
    >>> hits = await line.run(lambda: assistant.search("…"))

    Who is cancelled, because its client has left, leaves the line or its place at once, and what an LLM was asked for
    them ends. What else their thread is about still goes on to its next step; threads are few, so that nobody piles up
    work by coming and leaving.
    """

    def __init__(
        self,
        at_once: int = AT_ONCE,
        waiting: int = WAITING,
        translated: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`translated` makes of errors what those who ask may read."""
        self.watch: Watch | None = None
        self._translated = translated
        self._lock = threading.Lock()
        self._places = at_once
        self._free = at_once
        self._most = waiting
        self._waiting: deque[Future[None]] = deque()
        self._threads = ThreadPoolExecutor(4 * at_once, "asked")

    @property
    def free(self) -> int:
        """Places at work."""
        return self._free

    @property
    def at_work(self) -> int:
        """Places that are taken."""
        return self._places - self._free

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether who comes now could not even wait."""
        with self._lock:
            return not self._free and len(self._waiting) >= self._most

    def check(self) -> None:
        """Raises Busy when it is full."""
        if self.is_full:
            raise self._refusal()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place at work, as soon as one is free. Raises Busy."""
        came = time.monotonic()
        await self._enter()
        if self.watch:
            self.watch.waited(time.monotonic() - came)
        try:
            yield
        finally:
            self._leave()

    async def run(self, do: Callable[[], T]) -> T:
        """What `do` returns, in a thread and with a place."""
        async with self.place():
            return await self._in_thread(do)

    async def each(self, items: Iterator[T]) -> AsyncGenerator[T]:
        """The items as they come, made in a thread and with a place."""
        end, listener = object(), Listener()

        def following() -> T | object:
            with listener:
                return next(items, end)

        async with self.place():
            try:
                while (item := await self._in_thread(following)) is not end:
                    yield item  # type: ignore[misc]
            finally:
                listener.leave()

    async def last(self, items: Iterator[T]) -> T:
        """The last of the items, of which there is one at least; who leaves is not worked for to the end."""
        kept: list[T] = []
        async with aclosing(self.each(items)) as coming:
            async for item in coming:
                kept = [item]
        return kept[0]

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def _enter(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            if len(self._waiting) >= self._most:
                raise self._refusal()
            turn: Future[None] = Future()
            self._waiting.append(turn)
        try:
            await asyncio.wrap_future(turn)
        except asyncio.CancelledError:
            self._give_up(turn)
            raise

    def _refusal(self) -> Busy:
        if self.watch:
            self.watch.refused()
        return Busy()

    def _give_up(self, turn: Future[None]) -> None:
        with self._lock:
            waited = turn in self._waiting
            if waited:
                self._waiting.remove(turn)
        if not waited:  # its turn had come
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            turn = self._waiting.popleft() if self._waiting else None
            if turn is None:
                self._free += 1
        if turn and turn.set_running_or_notify_cancel():
            turn.set_result(None)

    async def _in_thread(self, do: Callable[[], T]) -> T:
        def translated() -> T:
            with self._translated():
                return do()

        return await asyncio.get_running_loop().run_in_executor(self._threads, translated)
