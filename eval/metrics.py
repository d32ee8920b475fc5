"""The figures, as pure functions. Missing counts as zero: every question is in every mean."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

ANSWER_WORDS = 80  # an answer longer than this counts as containing nothing


class Interval(NamedTuple):
    """A mean with its 95 % bootstrap interval over `n` questions."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}"


def bootstrap(values: Sequence[float], samples: int = 1000, seed: int = 0) -> Interval:
    """Mean and percentile interval of `samples` resamples with replacement (Efron 1979); zeros for n = 0."""
    if not values:
        return Interval(0.0, 0.0, 0.0, 0)
    rng = random.Random(seed)
    n = len(values)
    means = sorted(sum(rng.choices(values, k=n)) / n for _ in range(samples))
    return Interval(sum(values) / n, means[int(0.025 * samples)], means[int(0.975 * samples) - 1], n)


def normalise(text: str) -> str:
    """Lower-case, punctuation to spaces, articles out: how SQuAD compares answers."""
    kept = re.sub(r"[^a-z0-9 ]", " ", text.lower()).split()
    return " ".join(word for word in kept if word not in ("a", "an", "the"))


def contains(text: str, answers: Sequence[Sequence[str]]) -> bool:
    """Whether `text`, of at most `ANSWER_WORDS` words, holds one alternative of every group."""
    if len(text.split()) > ANSWER_WORDS:
        return False
    padded = f" {normalise(text)} "
    return all(any(normalise(alternative) in padded for alternative in group) for group in answers)


def overlaps(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two spans share more than half of the shorter one."""
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return shared > 0.5 * min(a[1] - a[0], b[1] - b[0])


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """P(a random positive scores above a random negative), ties half (Mann–Whitney U ÷ n·m); 0 when a side is empty."""
    if not positive or not negative:
        return 0.0
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    return wins / (len(positive) * len(negative))


def table(figures: Mapping[str, Interval]) -> str:
    """The figures as lines of a fixed-width table."""
    width = max(map(len, figures))
    return "\n".join(f"{name:<{width}}  {interval}" for name, interval in figures.items())
