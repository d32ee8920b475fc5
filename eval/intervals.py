"""How sure a figure is: bootstrap intervals and paired comparisons, seeded, so that two runs agree.

A statistic takes an array whose first axis is the questions (`[n]`, or `[n, m]` where a question has several
values) and gives one number. `np.mean` is done for all resamples at once, others one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .metrics import Floats

Statistic = Callable[[Floats], float]
SAMPLES = 1000
_SEED = 0


class Interval(NamedTuple):
    """A figure over `n` questions with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


class Difference(NamedTuple):
    """New minus old over the same `n` questions, its 95 % interval, and how likely as much is by chance."""

    value: float
    low: float
    high: float
    p: float
    n: int


def mean(values: Floats) -> float:
    """The statistic of most measures."""
    return float(values.mean())


def bootstrap(
    values: Floats, statistic: Statistic = mean, classes: Floats | None = None, samples: int = SAMPLES
) -> Interval:
    """The statistic with its percentile interval over `samples` resamples with replacement (Efron 1979).

    With `classes` (`[n]`) each class is resampled by itself, so that none is ever missing. All zeros for no questions.
    """
    n = len(values)
    if n == 0:
        return Interval(0.0, 0.0, 0.0, 0)
    drawn = _drawn(np.random.default_rng(_SEED), np.zeros(n) if classes is None else classes, samples)
    low, high = _quantiles(_each(values, drawn, statistic))
    return Interval(statistic(values), low, high, n)


def paired(
    new: Floats, old: Floats, statistic: Statistic = mean, classes: Floats | None = None, samples: int = SAMPLES
) -> Difference:
    """Compare two systems on the same questions, in the same order.

    The interval is a bootstrap over questions. p is that of the two-sided randomisation test: were the systems
    alike, each question's two results might as well be exchanged; p = (1 + number of random exchanges that differ at
    least as much) ÷ (1 + samples) (Phipson and Smyth 2010).
    """
    n = len(new)
    if n == 0:
        return Difference(0.0, 0.0, 0.0, 1.0, 0)
    rng = np.random.default_rng(_SEED)
    found = statistic(new) - statistic(old)
    drawn = _drawn(rng, np.zeros(n) if classes is None else classes, samples)
    low, high = _quantiles(_each(new, drawn, statistic) - _each(old, drawn, statistic))
    both = np.stack([new, old])
    sides = rng.integers(0, 2, size=(samples, n))
    rows = np.arange(n)
    by_chance = np.array([statistic(both[side, rows]) - statistic(both[1 - side, rows]) for side in sides])
    as_much = int((np.abs(by_chance) >= abs(found) - 1e-12).sum())
    return Difference(found, low, high, (1 + as_much) / (1 + samples), n)


def _drawn(rng: np.random.Generator, classes: Floats, samples: int) -> np.ndarray:
    """Places of `samples` resamples, `[samples, n]`; as many of each class as there are."""
    members = [np.flatnonzero(classes == one) for one in np.unique(classes)]
    return np.hstack([rng.choice(places, size=(samples, len(places))) for places in members])


def _each(values: Floats, drawn: np.ndarray, statistic: Statistic) -> Floats:
    """The statistic of every resample, `[samples]`."""
    if statistic is mean:
        return np.asarray(values[drawn].mean(axis=1))
    return np.array([statistic(values[sample]) for sample in drawn])


def _quantiles(found: Floats) -> tuple[float, float]:
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
