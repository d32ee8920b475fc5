"""The table: one row for each kind of fault."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol


class Found(Protocol):
    """What was wrong after a try: false if nothing was."""

    @property
    def lost(self) -> tuple[str, ...]: ...

    @property
    def problems(self) -> tuple[str, ...]: ...

    def __bool__(self) -> bool: ...


@dataclass
class Row:
    """How often a fault was tried, and what came of it.

    `lost`: what must never be: a document that is gone, a secret that came out, a sentence without evidence.
    `figures`: what was measured on the way.
    """

    fault: str
    tried: int = 0
    survived: int = 0
    lost: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    figures: str = ""

    def add(self, found: Found) -> None:
        self.tried += 1
        self.survived += not found
        self.lost += [what for what in found.lost if what not in self.lost]
        self.problems += found.problems

    def check(self, what: str, *problems: str | None, lost: Iterable[str] = ()) -> None:
        """One more try, called `what`; a problem that is None or empty is none."""
        said = [problem for problem in problems if problem]
        gone = list(lost)
        self.tried += 1
        self.survived += not (said or gone)
        self.lost += [one for one in gone if one not in self.lost]
        self.problems += [f"{what}: {problem}" for problem in said]

    @property
    def held(self) -> bool:
        """Nothing was lost, and something was tried, unless it is said why not."""
        return self.survived == self.tried and not (self.lost or self.problems) and bool(self.tried or self.untried)

    @property
    def untried(self) -> bool:
        """Whether it says why nothing was tried: "not tried: …"."""
        return not self.tried and self.figures.startswith("not tried: ")


def printed(rows: Iterable[Row]) -> str:
    """Fault, tried, survived, lost; below it the first problems, if there were any."""
    rows = list(rows)
    width = max(len(row.fault) for row in rows)
    lines = [f"{'fault':{width}} |   tried | survived | lost"]
    for row in rows:
        figures = f"  ({row.figures})" if row.figures else ""
        lines.append(f"{row.fault:{width}} | {row.tried:7} | {row.survived:8} | {len(row.lost):4}{figures}")
    for row in rows:
        lines += [f"{row.fault}: lost {what}" for what in row.lost[:5]]
        lines += [f"{row.fault}: {problem}" for problem in row.problems[:5]]
    return "\n".join(lines)


def write(rows: Iterable[Row], file: Path) -> None:
    file.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")


def read(file: Path) -> list[Row]:
    return [Row(**row) for row in json.loads(file.read_text(encoding="utf-8"))]
