"""Gates: a bar names a measure, a kind of question, and how low (or high) the end of its 95 % interval may lie."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .evaluation import Evaluation
from .measures import ALL, BY_NAME, Figure, Value

_NAMED = 12  # questions that a broken bar names


class BarsError(ValueError):
    """A bars file that cannot be used: the message names file, bar and what is wrong."""


@dataclass(frozen=True, slots=True)
class Bar:
    """`least`: the interval may not begin below it. `most`: it may not end above it. Exactly one of them is set."""

    metric: str
    kind: str = ALL
    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        of = "" if self.kind == ALL else f" ({self.kind})"
        return f"{self.metric}{of} {'≥' if self.least is not None else '≤'} {self.limit:g}"

    @property
    def limit(self) -> float:
        return self.least if self.least is not None else self.most or 0.0

    def missed_by(self, figure: Figure) -> float:
        """How far the end of the interval lies on the wrong side; 0 or less where the bar holds."""
        return self.limit - figure.interval.low if self.least is not None else figure.interval.high - self.limit


def read_bars(path: Path) -> list[Bar]:
    """All bars of a file of `[[bar]]` tables. Raises BarsError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("bar", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BarsError(f"{path} cannot be read: {error}; correct it (eval/README.md shows one)") from error
    if not isinstance(tables, list) or not tables:
        raise BarsError(f"{path.name} has no [[bar]]; eval/README.md shows one")
    return [_bar(table, f"{path.name}, bar {number}") for number, table in enumerate(tables, start=1)]


def _bar(table: Mapping[str, Any], where: str) -> Bar:
    if unknown := sorted(set(table) - {"metric", "kind", "least", "most"}):
        raise BarsError(f"{where}: '{unknown[0]}' is none of metric, kind, least, most")
    if table.get("metric") not in BY_NAME:
        raise BarsError(f"{where}: there is no metric '{table.get('metric')}'; there are {', '.join(BY_NAME)}")
    limits = [table[name] for name in ("least", "most") if name in table]
    if len(limits) != 1 or isinstance(limits[0], bool) or not isinstance(limits[0], int | float):
        raise BarsError(f"{where}: give one number, 'least' or 'most'")
    return Bar(**table)


def verdict(bar: Bar, evaluation: Evaluation) -> str:
    """Empty where the bar holds; else by how much it is missed and on which questions. Nothing measured is a miss."""
    figure = evaluation.figure(bar.metric, bar.kind)
    if figure is None:
        return f"{bar}: nothing was measured; no question of kind '{bar.kind}' has what it needs"
    by = bar.missed_by(figure)
    if by <= 0:
        return ""
    value, low, high, n = figure.interval
    worst = _worst(figure)
    return (
        f"{bar}: missed by {by:.3f}: {value:.3f} [{low:.3f}, {high:.3f}] over {n} questions; "
        f"lost on {', '.join(worst[:_NAMED])}{f' and {len(worst) - _NAMED} more' if len(worst) > _NAMED else ''}"
    )


def _worst(figure: Figure) -> list[str]:
    """The questions that cost the figure something, the costliest first."""
    costs = {question: _cost(value, figure.measure.better == "less") for question, value in figure.values.items()}
    return sorted((question for question, cost in costs.items() if cost > 0), key=lambda q: -costs[q])


def _cost(value: Value, less_is_better: bool) -> float:
    if isinstance(value, tuple):  # a confidence and whether it should be high
        confidence, wanted = value
        return abs(wanted - confidence)
    assert value is not None
    return value if less_is_better else 1 - value
