"""What is measured, and what is made of it: pure functions, no clocks.

A value belongs to a work and a system, and there is one for each round. Systems take turns within a round, so a ratio
is taken within it, too: whatever else the machine did in that minute, it did to both.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

Name = TypeVar("Name")


class Spread(NamedTuple):
    """The middle, the least and the most of some values."""

    median: float
    low: float
    high: float

    def text(self, unit: str = "") -> str:
        """`1.23 (1.20–1.40) s`; without the brackets where there was one value."""
        middle = f"{number(self.median)}"
        if self.low != self.high:
            middle += f" ({number(self.low)}–{number(self.high)})"
        return f"{middle} {unit}".rstrip()


class Bar(NamedTuple):
    """What a figure must be: at least or at most `limit`."""

    kind: str  # "≥" or "≤"
    limit: float

    def held_by(self, value: float) -> bool:
        return value >= self.limit if self.kind == "≥" else value <= self.limit

    def __str__(self) -> str:
        return f"{self.kind} {self.limit:g}"


class Ratio(NamedTuple):
    """A ratio, or a difference, that the report gives: what it is, its spread, what it must be."""

    what: str
    spread: Spread
    bar: Bar | None = None
    unit: str = "×"

    @property
    def verdict(self) -> str:
        return "" if self.bar is None else "held" if self.bar.held_by(self.spread.median) else "NOT HELD"


@dataclass
class Book:
    """All values of a run: `values[work][system]` has one for each round, `missing[work][system]` why there is none."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    missing: dict[str, dict[str, str]] = field(default_factory=dict)

    def note(self, work: str, system: str, value: float, unit: str) -> None:
        self.units[work] = unit
        self.values.setdefault(work, {}).setdefault(system, []).append(value)

    def miss(self, work: str, system: str, why: str) -> None:
        self.missing.setdefault(work, {})[system] = why

    def of(self, work: str, system: str) -> list[float]:
        """Its values, in the order of the rounds; empty where it was not measured."""
        return self.values.get(work, {}).get(system, [])

    def to_dict(self) -> dict[str, Any]:
        return {"values": self.values, "units": self.units, "missing": self.missing}


def spread(values: Sequence[float]) -> Spread:
    """Raises ValueError for no values."""
    if not values:
        raise ValueError("nothing was measured")
    return Spread(statistics.median(values), min(values), max(values))


def ratio(above: Sequence[float], below: Sequence[float]) -> Spread | None:
    """The spread of above[r] ÷ below[r] over the rounds r.

    None where nothing was measured, and where one of them missed a round: which it was is not known then.
    """
    if len(above) != len(below):
        return None
    pairs = [a / b for a, b in zip(above, below, strict=True) if b]
    return spread(pairs) if pairs else None


def difference(of: Sequence[float], less: Sequence[float]) -> Spread | None:
    """The spread of of[r] - less[r]; as `ratio`."""
    pairs = [a - b for a, b in zip(of, less, strict=True)] if len(of) == len(less) else []
    return spread(pairs) if pairs else None


def least(values: Mapping[str, Sequence[float]], among: Sequence[str]) -> str | None:
    """Which of the systems `among` has the smallest median; None where none was measured."""
    there = [name for name in among if values.get(name)]
    return min(there, key=lambda name: statistics.median(values[name]), default=None)


def number(value: float) -> str:
    """Three digits that tell something."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.3g}" if size else "0"


def turns(names: Sequence[Name], round_number: int) -> list[Name]:
    """All names, beginning with another one in every round: none always comes first, when the machine is cool."""
    at = round_number % len(names) if names else 0
    return [*names[at:], *names[:at]]


def values_table(book: Book, systems: Sequence[str]) -> list[list[str]]:
    """A row for each work; a cell is a spread, or "–" where `missing` says why there is none. The first is the head."""
    works = list(dict.fromkeys([*book.values, *book.missing]))
    rows = [["work", *systems]]
    for work in works:
        unit = book.units.get(work, "")
        cells = [spread(values).text(unit) if (values := book.of(work, name)) else "–" for name in systems]
        if any(cell != "–" for cell in cells):
            rows.append([work, *cells])
    return rows


def ratios_table(ratios: Sequence[Ratio]) -> list[list[str]]:
    rows = [["ratio", "measured", "must be", ""]]
    return rows + [[each.what, each.spread.text(each.unit), str(each.bar or ""), each.verdict] for each in ratios]


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns stand below each other in plain text, too."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
