"""Run the parts and print the table.

Ends with 1 if anything was lost or wrong, and with 3 if all held but something could not be tried here (with --few: 0).
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Protocol

from .table import Row, printed, read, write


class Run(Protocol):
    def __call__(self, base: Path, chance: random.Random, *, few: bool) -> list[Row]:
        """Try it in the empty folder `base`; `few`: as often as the tests do."""


# Modules of this package; each has `run`. They are imported one at a time: what one loads may have threads.
PARTS = (
    "kills",
    "uploads",
    "disk",
    "sharing",
    "shared",
    "large",
    "files",
    "strangers",
    "endpoints",
    "keys",
    "injection",
    "webserver",
    "load",
    "longrun",
    "fuzz",
    "supply",
    "clusters",
)


_LONGEST = 7_200.0  # seconds of one part


def main() -> int:
    parser = argparse.ArgumentParser(prog="hardness", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all, if none is named: {' '.join(PARTS)}")
    parser.add_argument("--few", action="store_true", help="as often as the tests do")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=Path, help="where the rows go, besides")
    options = parser.parse_args()
    parts = options.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part '{min(unknown)}'; choose from {' '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="hardness-") as base:
        if len(parts) > 1:
            rows = [row for part in parts for row in _apart(part, Path(base), options)]
        else:
            run: Run = import_module(f"hardness.{parts[0]}").run
            rows = run(Path(base), random.Random(options.seed), few=options.few)
    if options.rows:
        write(rows, options.rows)
    print(printed(rows))
    if not all(row.held for row in rows):
        return 1
    return 3 if any(row.untried for row in rows) and not options.few else 0


def _apart(part: str, base: Path, options: argparse.Namespace) -> list[Row]:
    """The rows of one part, from a process of its own."""
    file = base / part
    command = [sys.executable, "-m", "hardness", part, "--seed", str(options.seed), "--rows", str(file)]
    try:
        command += ["--few"] if options.few else []
        done = subprocess.run(command, stdout=subprocess.DEVNULL, timeout=_LONGEST)
    except subprocess.TimeoutExpired:
        return [Row(part, tried=1, problems=[f"it did not end within {_LONGEST / 3600:g} hours"])]
    if not file.exists():
        return [Row(part, tried=1, problems=[f"it ended with {done.returncode} and no rows"])]
    return read(file)


if __name__ == "__main__":
    raise SystemExit(main())
