"""The figures against the bars, and against the baseline."""

from __future__ import annotations

import pytest

from .bars import Bar, verdict
from .conftest import Session
from .evaluation import Evaluation
from .measures import ALL, FAMILIES, Family


def test_the_figures_clear_the_bar(evaluation: Evaluation, bar: Bar) -> None:
    if missed := verdict(bar, evaluation):
        pytest.fail(missed, pytrace=False)


@pytest.mark.parametrize(
    "family", [pytest.param(family, marks=getattr(pytest.mark, family)) for family in FAMILIES if family != "latency"]
)
def test_nothing_is_clearly_worse_than_the_baseline(
    request: pytest.FixtureRequest, session: Session, evaluation: Evaluation, family: Family
) -> None:
    if not request.config.option.compare:
        pytest.skip("only with --compare")
    worse = [
        f"{name} {comparison.difference.value:+.3f} (p={comparison.difference.p:.3f})"
        for (name, kind), comparison in session.compared.items()
        if kind == ALL and comparison.figure.measure.family == family and comparison.worse
    ]
    if worse:
        pytest.fail(f"clearly worse than the baseline: {'; '.join(worse)}", pytrace=False)
