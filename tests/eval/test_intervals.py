from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from eval.intervals import bootstrap, mean, paired
from eval.metrics import auroc


def zeros_and_ones(n: int, share: float, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) < share).astype(float)


def test_the_interval_agrees_with_scipy() -> None:
    values = zeros_and_ones(200, 0.7)
    ours = bootstrap(values)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=0).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.012)
    assert ours.value == values.mean()


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    covered = [
        interval.low <= 0.7 <= interval.high
        for interval in (bootstrap(zeros_and_ones(100, 0.7, seed)) for seed in range(200))
    ]
    assert 0.90 <= np.mean(covered) <= 0.98


def test_the_same_values_give_the_same_interval() -> None:
    values = zeros_and_ones(50, 0.5)
    assert bootstrap(values) == bootstrap(values.copy())


def test_no_question_gives_zeros_and_one_question_no_width() -> None:
    assert bootstrap(np.array([])) == (0, 0, 0, 0)
    assert bootstrap(np.array([0.4])) == (0.4, 0.4, 0.4, 1)


def test_other_statistics_than_the_mean() -> None:
    pairs = np.array([(0.9, 1), (0.8, 1), (0.3, 0), (0.85, 0)])
    found = bootstrap(pairs, lambda rows: auroc(rows[:, 0], rows[:, 1]), classes=pairs[:, 1])
    assert found.value == 0.75
    assert found.low < 0.75 <= found.high


def test_no_resample_lacks_a_class() -> None:
    pairs = np.array([(0.9, 1.0)] * 10 + [(0.1, 0.0)])
    found = bootstrap(pairs, lambda rows: auroc(rows[:, 0], rows[:, 1]), classes=pairs[:, 1])
    assert found[:3] == (1, 1, 1)


def test_p_agrees_with_scipys_permutation_test() -> None:
    old, new = zeros_and_ones(60, 0.5, 1), zeros_and_ones(60, 0.7, 2)
    theirs = stats.permutation_test(
        (new, old), lambda a, b: np.mean(a) - np.mean(b), permutation_type="samples", n_resamples=4000, rng=0
    )
    ours = paired(new, old)
    assert ours.value == pytest.approx(theirs.statistic)
    assert ours.p == pytest.approx(theirs.pvalue, abs=0.03)


def test_a_clear_loss_is_told_from_chance() -> None:
    old = np.ones(40)
    assert paired(np.r_[np.zeros(15), np.ones(25)], old).p < 0.01
    assert paired(np.r_[np.zeros(1), np.ones(39)], old).p > 0.5


def test_alike_is_no_difference() -> None:
    values = zeros_and_ones(30, 0.5)
    assert paired(values, values.copy()) == (0, 0, 0, 1, 30)
    assert paired(np.array([]), np.array([])).n == 0


def test_the_fast_way_and_the_general_way_agree() -> None:
    values = zeros_and_ones(40, 0.3)
    assert bootstrap(values, mean) == pytest.approx(bootstrap(values, lambda v: float(np.mean(v))))
