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
def most_right() -> Evaluation:
    quotes = ["It fell", "It fell", *["built by Smith"] * 6]
    return evaluation([row(question(f"q{i}"), answer(quote)) for i, quote in enumerate(quotes)])


def test_a_bar_is_about_the_near_end_of_the_interval(most_right: Evaluation) -> None:
    figure = most_right.figure("contains gold")
    assert figure
    assert figure.interval.low < 0.75 < figure.interval.high
    assert verdict(Bar("contains gold", least=figure.interval.low), most_right) == ""
    missed = verdict(Bar("contains gold", least=0.75), most_right)
    low = figure.interval.low
    assert missed.startswith(
        f"contains gold ≥ 0.75: the interval begins at {low:.3f}, {0.75 - low:.3f} too low (value 0.750"
    )
    assert missed.endswith("8 questions); lost on q0, q1")


def test_a_bar_on_what_should_be_small(most_right: Evaluation) -> None:
    assert verdict(Bar("answerable refused", most=0), most_right) == ""
    refused = evaluation([row(question(f"q{i}"), answer(*["It fell"] * (i > 1))) for i in range(6)])
    assert verdict(Bar("answerable refused", most=0.5), refused).endswith("lost on q0, q1")


def test_a_bar_on_what_was_not_measured_is_missed(most_right: Evaluation) -> None:
    assert "nothing was measured" in verdict(Bar("contains gold", "why", least=0.1), most_right)


def test_a_bar_on_hardly_any_question_is_missed(most_right: Evaluation) -> None:
    few = evaluation(list(most_right.rows[-4:]))
    assert "measured on 4 questions only" in verdict(Bar("contains gold", least=0.5), few)


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
        ("[[bar]]\nmetric = 'contains gold'\nmost = inf", "bar 1: give one number"),
        ("[[bar]]\nmetric = ['contains gold']\nleast = 1", "there is no metric"),
        ("[[bar]]\nmetric = 'contains gold'\nkind = 3\nleast = 1", "the kind is no text"),
        ("bar = [1, 2]", r"bars.toml has no \[\[bar\]\]"),
        ("[[bar]]\nmetric = 'contains silver'\nleast = 1", "there is no metric 'contains silver'"),
        ("[[bar]]\nmetric = 'contains gold'\nleast = 1\nkinds = 'x'", "'kinds' is none of"),
        ("[[bar]", "cannot be read"),
    ],
)
def test_a_bad_bar_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "bars.toml").write_text(text)
    with pytest.raises(BarsError, match=told):
        read_bars(tmp_path / "bars.toml")
