"""What was made for pages and clients that have not fetched it: Gradio would keep all of it, for 2,000 of them."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import OrderedDict, deque
from typing import Any, ClassVar

_MOST_BYTES = 100_000_000


class Unread:
    """Says which mailboxes are to be emptied, so that all together hold at most `most` bytes. Safe between threads.

    Who listens fetches at once: what has lain longest is nobody's.
    """

    def __init__(self, most: int = _MOST_BYTES) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[Mailbox, int] = OrderedDict()  # the one that has been in use longest first
        self._total = 0

    @property
    def total(self) -> int:
        """Bytes that lie in all mailboxes, about."""
        return self._total

    def add(self, box: Mailbox, weight: int) -> list[Mailbox]:
        """Note what came; returns the mailboxes whose content is to go."""
        emptied = []
        with self._lock:
            self._held[box] = self._held.get(box, 0) + weight
            self._total += weight
            while self._total > self._most:
                oldest, held = self._held.popitem(last=False)
                self._total -= held
                emptied.append(oldest)
        return emptied

    def take(self, box: Mailbox, weight: int) -> None:
        """Note what was fetched."""
        with self._lock:
            held = self._held.pop(box, 0)
            self._total -= min(held, weight)
            if held > weight:
                self._held[box] = held - weight  # as the newest: somebody listens


class Mailbox(asyncio.Queue[Any]):
    """In the place of the queue that Gradio keeps for each session."""

    unread: ClassVar[Unread] = Unread()
    _queue: deque[Any]

    def _put(self, item: Any) -> None:
        super()._put(item)
        for box in self.unread.add(self, _weight(item)):
            box._queue.clear()

    def _get(self) -> Any:
        item = super()._get()
        self.unread.take(self, _weight(item))
        return item


def _weight(message: Any) -> int:
    """Bytes in memory, about: nearly all of it is text."""
    waiting, weight = [getattr(message, "output", message)], 0
    while waiting:
        part = waiting.pop()
        weight += sys.getsizeof(part)
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list | tuple):
            waiting += part
    return weight
