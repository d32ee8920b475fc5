"""What those who ask are told when the index cannot be reached, and what the server's own log says of it.

Where a database stands, and who logs in there, is nobody's business but that of who runs the server.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import RagError, StoreUnavailable

logger = logging.getLogger(__name__)

_SAYS = "the index cannot be reached just now; ask again later (the server's log says why)"
_QUIET_S = 60.0  # without a failure: then it is another outage
_ADDRESS = re.compile(r"\b(?:Milvus at \S+|postgres\w*://[^\s;]*)")


class Outages:
    """Turns errors of the index into those for others, and logs each once in an outage. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: set[str] = set()  # of this outage
        self._last = 0.0  # when something was wrong

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors from inside as `told` tells them."""
        try:
            yield
        except RagError as error:
            told = self.told(error)
            if told is error:
                raise
            raise told from error

    def told(self, error: RagError) -> RagError:
        """The same error for those who ask: without an address."""
        line = str(error)
        if isinstance(error, StoreUnavailable):
            self._log(line)
            return StoreUnavailable(_SAYS)
        return type(error)(_ADDRESS.sub("the database", line)) if _ADDRESS.search(line) else error

    def _log(self, line: str) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._last > _QUIET_S:
                self._said.clear()
            self._last = now
            is_new = line not in self._said
            self._said.add(line)
        if is_new:
            logger.error("%s", line)
