"""The figures against the bars, and against the baseline."""

from __future__ import annotations

import pytest

from .bars import Bar, verdict
from .baseline import losses
from .conftest import Session
from .evaluation import Evaluation
from .measures import FAMILIES, Family

_COMPARED = [family for family in FAMILIES if family not in ("latency", "judge")]


def test_the_figures_clear_the_bar(evaluation: Evaluation, bar: Bar) -> None:
    if missed := verdict(bar, evaluation):
        pytest.fail(missed, pytrace=False)


@pytest.mark.parametrize("family", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in _COMPARED])
def test_nothing_is_clearly_worse_than_the_baseline(
    request: pytest.FixtureRequest, session: Session, family: Family
) -> None:
    if not request.config.option.compare:
        pytest.skip("only with --compare")
    evaluation: Evaluation = request.getfixturevalue("evaluation")
    measured = [figure.name for figure in evaluation.figures if figure.measure.family == family]
    assert not measured or set(measured) & {name for name, _ in session.against_baseline}, "the baseline has none of it"
    worse = [
        f"{loss.figure.name} {loss.difference.value:+.3f} (p={loss.difference.p:.3f})"
        for loss in losses(session.against_baseline)
        if loss.figure.measure.family == family
    ]
    if worse:
        pytest.fail(f"clearly worse than the baseline: {'; '.join(worse)}", pytrace=False)
