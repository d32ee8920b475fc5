"""Where files lie that were sent to the page, until they are added: a folder of this process's own.

Gradio would put them into one that all its apps share, and forget those of a page that was killed, or of a client that
left in the middle.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..kept import once

_SWEEP_SECONDS = 300
KEPT_SECONDS = 3600 - 2 * _SWEEP_SECONDS  # so that it is gone within the hour, even if a sweep is late
_PREFIX, _LOCK = "rag-arrived-", ".lock"


class Arrivals:
    """A folder in `place` that is swept, and goes with its process; one of a process that was killed, with the next."""

    def __init__(self, place: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = place / f"{_PREFIX}{secrets.token_hex(8)}"
        self._clock = clock
        self._held = FileLock(f"{self.folder}{_LOCK}", timeout=0)
        self._held.acquire()  # first: what nobody holds is swept away
        self.folder.mkdir(mode=0o700)
        for other in place.glob(f"{_PREFIX}*{_LOCK}"):
            _end(other)

    def sweep(self) -> None:
        """Delete what arrived, or began to, that long ago and was not added."""
        before = self._clock() - KEPT_SECONDS
        for folder, _, names in os.walk(self.folder, topdown=False):
            for name in names:
                with suppress(OSError):  # it was added just now
                    if (Path(folder) / name).lstat().st_mtime < before:
                        (Path(folder) / name).unlink()
            if Path(folder) != self.folder:
                with suppress(OSError):  # it is not empty
                    Path(folder).rmdir()

    async def keep_swept(self) -> None:
        """Sweep now and then, for as long as the server runs."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            await asyncio.to_thread(self.sweep)

    def close(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._held.release()
        with suppress(OSError):
            Path(self._held.lock_file).unlink()


@once
def arrivals() -> Arrivals:
    """Those of this process."""
    made = Arrivals(Path(tempfile.gettempdir()))
    atexit.register(made.close)
    return made


def _end(lock: Path) -> None:
    """Delete a folder whose process is gone. In a folder that all users share, only what is ours is touched."""
    folder = lock.with_name(lock.name.removesuffix(_LOCK))
    with suppress(OSError, Timeout):
        if lock.is_symlink() or folder.is_symlink() or (hasattr(os, "getuid") and lock.lstat().st_uid != os.getuid()):
            return
        with FileLock(lock, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink()
