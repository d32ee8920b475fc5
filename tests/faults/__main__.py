"""Run the faults and print the table; ends with 1 if anything was lost or wrong."""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import damage, disk, kills, sharing, uploads
from .subject import make_everything_small
from .table import Row, printed


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each kind is tried."""

    kills: int
    full_disks: int
    flips: int
    truncations: int
    writers: int
    seconds: float


BENCH = Counts(kills=200, full_disks=20, flips=1000, truncations=200, writers=20, seconds=60)
FEW = Counts(kills=30, full_disks=3, flips=60, truncations=15, writers=2, seconds=4)

Run = Callable[[Path, Counts, random.Random], list[Row]]
FAULTS: dict[str, Run] = {
    "kills": lambda base, counts, chance: kills.run(base, counts.kills, chance),
    "uploads": lambda base, _, __: uploads.run(base),
    "disk": lambda base, counts, chance: disk.run(base, counts.full_disks, chance),
    "damage": lambda base, counts, chance: damage.run(base, counts.flips, counts.truncations, chance),
    "writers": lambda base, counts, _: sharing.two_writers(base, counts.writers),
    "readers": lambda base, counts, _: sharing.one_writer_eight_readers(base, counts.seconds),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("faults", nargs="*", choices=[*FAULTS, []], help="all, if none is named")
    parser.add_argument("--few", action="store_true", help="as often as the tests do")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    make_everything_small()
    rows = []
    for name in options.faults or FAULTS:
        with tempfile.TemporaryDirectory() as base:
            rows += FAULTS[name](Path(base), FEW if options.few else BENCH, random.Random(options.seed))
    print(printed(rows))
    return int(any(row.problems or row.lost or row.survived < row.tried for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
