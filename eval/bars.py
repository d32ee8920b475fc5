"""Gates: a bar names a measure, a kind of question, and how low (or high) the end of its 95 % interval may lie."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .evaluation import Evaluation
from .measures import ALL, BY_NAME, Figure, Measure, Value

_NAMED = 12  # questions that a broken bar names
_FEWEST = 5  # questions under a bar: of fewer, a bootstrap knows nothing


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
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise BarsError(f"{path.name} has no [[bar]]; eval/README.md shows one")
    return [_bar(table, f"{path.name}, bar {number}") for number, table in enumerate(tables, start=1)]


def _bar(table: Mapping[str, Any], where: str) -> Bar:
    if unknown := sorted(set(table) - {"metric", "kind", "least", "most"}):
        raise BarsError(f"{where}: '{unknown[0]}' is none of metric, kind, least, most")
    if not isinstance(table.get("kind", ALL), str):
        raise BarsError(f"{where}: the kind is no text")
    if not isinstance(metric := table.get("metric"), str) or metric not in BY_NAME:
        raise BarsError(f"{where}: there is no metric '{table.get('metric')}'; there are {', '.join(BY_NAME)}")
    limits = [table[name] for name in ("least", "most") if name in table]
    if len(limits) != 1 or type(limits[0]) not in (int, float) or not math.isfinite(limits[0]):
        raise BarsError(f"{where}: give one number, 'least' or 'most'")
    return Bar(**table)


def verdict(bar: Bar, evaluation: Evaluation) -> str:
    """Empty where the bar holds; else by how much it is missed and on which questions. Nothing measured is a miss."""
    figure = evaluation.figure(bar.metric, bar.kind)
    if figure is None:
        return f"{bar}: nothing was measured; no such question has what it needs"
    if figure.interval.n < _FEWEST:
        return f"{bar}: measured on {figure.interval.n} questions only; a bar wants {_FEWEST} or more"
    by = bar.missed_by(figure)
    if by <= 0:
        return ""
    value, low, high, n = figure.interval
    end = (
        f"begins at {low:.3f}, {by:.3f} too low" if bar.least is not None else f"ends at {high:.3f}, {by:.3f} too high"
    )
    worst = _worst(figure)
    more = f" and {len(worst) - _NAMED} more" if len(worst) > _NAMED else ""
    lost = f"; lost on {', '.join(worst[:_NAMED])}{more}" if worst else ""
    return f"{bar}: the interval {end} (value {value:.3f}, {n} questions){lost}"


def _worst(figure: Figure) -> list[str]:
    """The questions that cost the figure something, the costliest first."""
    costs = {question: _cost(value, figure.measure) for question, value in figure.values.items()}
    return sorted((question for question, cost in costs.items() if cost > 0), key=lambda q: -costs[q])


def _cost(value: Value, measure: Measure) -> float:
    if isinstance(value, tuple):  # a confidence and whether it should be high
        confidence, wanted = value
        return abs(wanted - confidence)
    assert value is not None
    return value if measure.better == "less" else measure.best - value
