"""How much memory a process holds, as far as the system (Linux) says it."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path


def held(what: str, pid: int | str = "self") -> int | None:
    """Bytes: "VmRSS" is what it holds now, "VmHWM" the most that it has held.

    Not `ru_maxrss`: that begins with what the parent held.
    """
    with suppress(OSError):
        said = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
        return int(said[1]) * 1024 if said else None
    return None


class Peak:
    """The most memory that this process holds from now on, where that can be seen."""

    def __init__(self) -> None:
        self._started = None
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
            self._started = held("VmRSS")

    def grown(self) -> float:
        """Megabytes beside what it held before; 0 where nobody says."""
        most = held("VmHWM")
        return 0.0 if most is None or self._started is None else max(0, most - self._started) / 1e6
