"""A saved run to compare with: every measure's value on every question, so that the comparison is paired."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import false_discovery_control

from .evaluation import Evaluation
from .intervals import Difference, paired
from .measures import ALL, Figure, Value

_FORMAT = 2
_UNPAIRED = {"latency"}  # another machine, another hour: no baseline for these
SIGNIFICANT = 0.05


class BaselineError(ValueError):
    """A baseline that cannot be compared with: the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Values by measure and question of an earlier run, or of another system in this one. `name` tells whose."""

    name: str
    gold: str  # sha256 of the questions
    documents: str  # a hash of what they are about
    values: Mapping[str, Mapping[str, Value]]


def of(evaluation: Evaluation, name: str, gold: str) -> Baseline:
    """An evaluation as something to compare with."""
    values = {f.name: dict(f.values) for f in evaluation.figures if f.kind == ALL and f.measure.family not in _UNPAIRED}
    return Baseline(name, gold, evaluation.provenance.get("documents", ""), values)


def save(baseline: Baseline, path: Path) -> None:
    """Write it as JSON, one measure a line, so that a diff shows what moved."""
    about = {"name": baseline.name, "gold": baseline.gold, "documents": baseline.documents}
    head = json.dumps({"format": _FORMAT} | about)[1:-1]
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(v)}" for name, v in baseline.values.items())
    path.write_text(f'{{{head}, "values": {{\n{lines}\n}}}}\n', encoding="utf-8")


def load(path: Path) -> Baseline:
    """Read what `save` wrote. Raises BaselineError."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved["format"] != _FORMAT:
            raise BaselineError(f"{path} is of another format; make it again with --save-baseline")
        values = {
            name: {question: _value(value) for question, value in of_name.items()}
            for name, of_name in saved["values"].items()
        }
        return Baseline(str(saved["name"]), str(saved["gold"]), str(saved["documents"]), values)
    except (OSError, UnicodeDecodeError) as error:
        raise BaselineError(f"{path} cannot be read; make it with --save-baseline") from error
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, BaselineError):
            raise
        raise BaselineError(f"{path} is no baseline; make it again with --save-baseline") from error


def _value(saved: float | list[float]) -> Value:
    value = tuple(map(float, saved)) if isinstance(saved, list) else float(saved)
    if not np.isfinite(value).all() or (isinstance(value, tuple) and len(value) != 2):
        raise ValueError("a value is a number, or a confidence and its class")
    return value


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure against the baseline, over the questions that both have."""

    figure: Figure
    difference: Difference

    @property
    def clear(self) -> bool:
        """Whether chance is an unlikely reason."""
        return self.difference.p < SIGNIFICANT

    @property
    def worse(self) -> bool:
        """Clearly different, in the wrong direction."""
        better = self.figure.measure.better
        sign = {"more": -1, "less": 1, None: 0}[better]
        return self.clear and sign * self.difference.value > 0


def compare(figures: Sequence[Figure], baseline: Baseline) -> dict[tuple[str, str], Comparison]:
    """By (measure, kind): the difference to the baseline, for every figure that both have."""
    compared = {}
    for figure in figures:
        old = baseline.values.get(figure.name, {})
        both = [question for question in figure.values if question in old]
        new_values = np.array([figure.values[question] for question in both], dtype=float)
        old_values = np.array([old[question] for question in both], dtype=float)
        measure = figure.measure
        if both and measure.is_defined(new_values):
            classes = measure.classes(new_values)
            difference = paired(new_values, old_values, measure.statistic, classes)
            compared[figure.name, figure.kind] = Comparison(figure, difference)
    return compared


def losses(compared: Mapping[tuple[str, str], Comparison]) -> list[Comparison]:
    """The figures over all questions that are worse, beyond what so many comparisons bring about by chance.

    Of what is told here, one in twenty may be chance (Benjamini and Hochberg 1995).
    """
    over_all = [c for (_, kind), c in compared.items() if kind == ALL and c.figure.measure.better]
    if not over_all:
        return []
    adjusted = false_discovery_control([c.difference.p for c in over_all])
    return [c for c, p in zip(over_all, adjusted, strict=True) if p < SIGNIFICANT and c.worse]
