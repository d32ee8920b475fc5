"""What was made, kept for the next time, safe between threads: one thing for the process, or for each key, bounded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import cache, wraps
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def once(make: Callable[[], V]) -> Callable[[], V]:
    """`make`, called once for the process. What it raises is not kept: it is called again."""
    making = threading.Lock()
    kept = cache(make)  # alone, it would let two threads make one each

    @wraps(make)
    def made() -> V:
        with making:
            return kept()

    return made


class Kept(Generic[K, V]):
    """At most `most` values, or values that weigh no more together, those that were used last.

    >>> lengths = Kept[str, int](100)
    >>> lengths.get(["owl", "heron"], lambda new: [len(word) for word in new])
    [3, 5]
    """

    def __init__(self, most: int, weight: Callable[[V], int] = lambda _: 1) -> None:
        self._most = most
        self._weight = weight
        self._weighs = 0
        self._lock = threading.Lock()
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, keys: Sequence[K], make: Callable[[list[K]], Sequence[V]]) -> list[V]:
        """The values of `keys`, in their order; `make` gives those that are not kept, in the order of its keys.

        Nobody waits while values are made: two threads may make the same ones, which are alike.
        """
        with self._lock:
            known = {key: self._values[key] for key in keys if key in self._values}
        new = [key for key in dict.fromkeys(keys) if key not in known]
        if new:
            known |= dict(zip(new, make(new), strict=True))
        with self._lock:
            for key in keys:
                self._put(key, known[key])
            while self._weighs > self._most:
                self._weighs -= self._weight(self._values.popitem(last=False)[1])
        return [known[key] for key in keys]

    def _put(self, key: K, value: V) -> None:
        if key in self._values:
            self._weighs -= self._weight(self._values[key])
        self._values[key] = value
        self._weighs += self._weight(value)
        self._values.move_to_end(key)
