from __future__ import annotations

from pathlib import Path

import pytest
from rows import answer, question, row

import rag
from eval.bars import Bar, BarsError, read_bars, verdict
from eval.evaluation import Evaluation
from eval.measures import figures
from eval.run import Row

OURS = Path(__file__).parents[2] / "eval" / "bars.toml"


def evaluation(rows: list[Row]) -> Evaluation:
    return Evaluation(rag.Settings(llm="none"), {}, tuple(rows), tuple(figures(rows)))


@pytest.fixture(scope="module")
def three_of_four() -> Evaluation:
    return evaluation(
        [
            row(question(f"q{i}"), answer("built by Smith" if i else "It fell", confidence=0.9 - i / 10))
            for i in range(4)
        ]
    )


def test_a_bar_is_about_the_near_end_of_the_interval(three_of_four: Evaluation) -> None:
    figure = three_of_four.figure("contains gold")
    assert figure
    assert figure.interval.low < 0.75 < figure.interval.high
    assert verdict(Bar("contains gold", least=figure.interval.low), three_of_four) == ""
    missed = verdict(Bar("contains gold", least=0.75), three_of_four)
    assert missed.startswith(f"contains gold ≥ 0.75: missed by {0.75 - figure.interval.low:.3f}: 0.750 [")
    assert missed.endswith("over 4 questions; lost on q0")


def test_a_bar_on_what_should_be_small(three_of_four: Evaluation) -> None:
    assert verdict(Bar("answerable refused", most=0), three_of_four) == ""
    refused = evaluation([row(question("q1"), answer()), row(question("q2"), answer("built by Smith"))])
    assert "lost on q1" in verdict(Bar("answerable refused", most=0.5), refused)


def test_a_bar_on_what_was_not_measured_is_missed(three_of_four: Evaluation) -> None:
    assert "nothing was measured" in verdict(Bar("contains gold", "why", least=0.1), three_of_four)


def test_our_own_bars_can_be_read() -> None:
    bars = read_bars(OURS)
    assert {"contains gold", "citation precision", "unanswerable refused", "span R@5"} <= {bar.metric for bar in bars}
    assert len({str(bar) for bar in bars}) == len(bars)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"bars.toml has no \[\[bar\]\]"),
        ("[[bar]]\nmetric = 'contains gold'", "bar 1: give one number"),
        ("[[bar]]\nmetric = 'contains gold'\nleast = 1\nmost = 1", "bar 1: give one number"),
        ("[[bar]]\nmetric = 'contains gold'\nleast = true", "bar 1: give one number"),
        ("[[bar]]\nmetric = 'contains silver'\nleast = 1", "there is no metric 'contains silver'"),
        ("[[bar]]\nmetric = 'contains gold'\nleast = 1\nkinds = 'x'", "'kinds' is none of"),
        ("[[bar]", "cannot be read"),
    ],
)
def test_a_bad_bar_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "bars.toml").write_text(text)
    with pytest.raises(BarsError, match=told):
        read_bars(tmp_path / "bars.toml")
