from __future__ import annotations

from pathlib import Path

import pytest
from rows import answer, question, row

import rag
from eval import baseline, show
from eval.baseline import BaselineError, compare, losses
from eval.evaluation import Evaluation
from eval.measures import figures


def evaluation(right: int, of: int = 20) -> Evaluation:
    rows = [
        row(question(f"q{i}"), answer("built by Smith" if i < right else "It fell", confidence=(i + 1) / 40))
        for i in range(of)
    ]
    named = {"llm": "none", "documents": "d1"}
    return Evaluation(rag.Settings(llm="none"), named, tuple(rows), tuple(figures(rows)))


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    saved = baseline.of(evaluation(15), "then", "abc")
    baseline.save(saved, tmp_path / "b.json")
    assert baseline.load(tmp_path / "b.json") == saved
    assert "seconds p50" not in saved.values


def test_the_same_run_is_no_difference(tmp_path: Path) -> None:
    baseline.save(baseline.of(evaluation(15), "then", "abc"), tmp_path / "b.json")
    compared = compare(evaluation(15).figures, baseline.load(tmp_path / "b.json"))
    assert {show.change(comparison) for comparison in compared.values()} == {"="}


def test_a_clear_loss_is_worse_and_a_gain_is_not() -> None:
    before = baseline.of(evaluation(18), "then", "abc")
    loss = compare(evaluation(8).figures, before)["contains gold", "all"]
    assert loss.difference.value == -0.5
    assert loss.worse
    assert show.change(loss).endswith("WORSE")
    gain = compare(evaluation(18).figures, baseline.of(evaluation(8), "then", "abc"))["contains gold", "all"]
    assert gain.clear
    assert not gain.worse
    assert show.change(gain).endswith("better")


def test_one_question_may_be_chance() -> None:
    assert not compare(evaluation(17).figures, baseline.of(evaluation(18), "", ""))["contains gold", "all"].clear


def test_only_questions_that_both_have_are_compared() -> None:
    found = compare(evaluation(15).figures, baseline.of(evaluation(15, of=12), "", ""))["contains gold", "all"]
    assert found.difference.n == 12


def test_of_many_comparisons_only_clear_losses_are_told() -> None:
    found = compare(evaluation(5).figures, baseline.of(evaluation(20), "", ""))
    assert "contains gold" in {loss.figure.name for loss in losses(found)}
    assert losses(compare(evaluation(18).figures, baseline.of(evaluation(20), "", ""))) == []
    gain = losses(compare(evaluation(20).figures, baseline.of(evaluation(5), "", "")))
    assert "contains gold" not in {loss.figure.name for loss in gain}
    assert losses({}) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2, "name": "", "gold": "", "documents": "", "values": {"contains gold": {"q": NaN}}}',
        '{"format": 99}',
        '{"format": 2, "name": "", "gold": "", "values": 3}',
    ],
)
def test_a_bad_baseline_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(BaselineError, match="make it again with --save-baseline"):
        baseline.load(tmp_path / "b.json")
    with pytest.raises(BaselineError, match="make it with --save-baseline"):
        baseline.load(tmp_path / "none.json")
