"""The table: one row for each kind of fault."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .subject import Findings


@dataclass
class Row:
    """How often a fault was tried, and what came of it."""

    fault: str
    tried: int = 0
    survived: int = 0
    lost: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def add(self, findings: Findings) -> None:
        self.tried += 1
        self.survived += not findings
        self.lost |= set(findings.lost)
        self.problems += [*findings.problems, *(f"{source} is in neither version" for source in findings.lost)]


def printed(rows: Iterable[Row]) -> str:
    """Fault, tried, survived, documents lost; below it the first problems, if there were any."""
    rows = list(rows)
    width = max(len(row.fault) for row in rows)
    lines = [f"{'fault':{width}} | tried | survived | documents lost"]
    lines += [f"{row.fault:{width}} | {row.tried:5} | {row.survived:8} | {len(row.lost):14}" for row in rows]
    problems = [f"{row.fault}: {line}" for row in rows for line in row.problems[:5]]
    return "\n".join([*lines, *problems])
