"""Each metric against a case worked by hand; rankings against ir-measures, areas against scikit-learn."""

from __future__ import annotations

import math
import random

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import RR, R, nDCG
from sklearn.metrics import roc_auc_score

from eval import metrics

# -- rankings ----------------------------------------------------------------------------------------------------------


def test_recall_counts_what_is_relevant() -> None:
    assert metrics.recall(["a", "x", "b"], {"a", "b", "c"}, 2) == pytest.approx(1 / 3)
    assert metrics.recall(["a", "x", "b"], {"a", "b", "c"}, 3) == pytest.approx(2 / 3)
    assert metrics.recall([], {"a"}, 5) == 0


def test_found_all_wants_every_one() -> None:
    assert metrics.found_all(["a", "x", "b"], ["a", "b"], 3) == 1
    assert metrics.found_all(["a", "x", "b"], ["a", "b"], 2) == 0


def test_reciprocal_rank_is_zero_behind_the_tenth() -> None:
    assert metrics.reciprocal_rank(["x", "y", "a"], {"a"}) == pytest.approx(1 / 3)
    assert metrics.reciprocal_rank([*range(10), "a"], {"a"}) == 0


def test_ndcg_by_hand() -> None:
    # gains 0, 2, 1 at ranks 1, 2, 3; the best order is 2, 1
    dcg = 2 / math.log2(3) + 1 / math.log2(4)
    assert metrics.ndcg(["x", "a", "b"], {"a": 2, "b": 1}) == pytest.approx(dcg / (2 + 1 / math.log2(3)))
    assert metrics.ndcg(["x"], {}) == 0


def test_rankings_agree_with_ir_measures() -> None:
    rng = random.Random(7)
    documents = [f"d{i}" for i in range(40)]
    for _ in range(100):
        ranking = rng.sample(documents, rng.randint(0, 30))
        relevant = {d: rng.randint(1, 3) for d in rng.sample(documents, rng.randint(1, 15))}
        qrels = [ir_measures.Qrel("q", d, grade) for d, grade in relevant.items()]
        scored = [ir_measures.ScoredDoc("q", d, -float(rank)) for rank, d in enumerate(ranking)]
        theirs = ir_measures.calc_aggregate([R @ 1, R @ 5, R @ 20, RR @ 10, nDCG @ 10], qrels, scored)
        ours = {R @ k: metrics.recall(ranking, relevant, k) for k in (1, 5, 20)} | {
            RR @ 10: metrics.reciprocal_rank(ranking, relevant, 10),
            nDCG @ 10: metrics.ndcg(ranking, relevant, 10),
        }
        assert ours == pytest.approx(theirs, abs=1e-9)


def test_spans_by_their_ranks() -> None:
    ranks = [1, 1, None, 7]  # four spans: two in the first passage, one nowhere, one in the seventh
    assert metrics.span_recall(ranks, 5) == 0.5
    assert metrics.span_recall(ranks, 10) == 0.75
    assert metrics.span_reciprocal_rank([None, 4]) == 0.25
    assert metrics.span_reciprocal_rank([11]) == 0
    ideal = 1 + 1 / math.log2(3) + 1 / 2 + 1 / math.log2(5)
    assert metrics.span_ndcg(ranks) == pytest.approx((2 + 1 / 3) / ideal)
    assert metrics.span_ndcg([1, 1]) == 1
    assert metrics.span_ndcg([]) == metrics.span_recall([], 5) == 0


# -- answers -----------------------------------------------------------------------------------------------------------


def test_normalise_as_squad_does() -> None:
    assert metrics.normalise("The  Al-Kazemi’s, an “Order”!") == "al kazemi s order"
    assert metrics.normalise("Écully_2, 授時暦, ١٩٣٢") == "écully 2 授時暦 ١٩٣٢"
    assert metrics.normalise("cafe\u0301") == metrics.normalise("CAFÉ")
    assert metrics.normalise("दिन") != metrics.normalise("दान")
    assert metrics.normalise("ß\u0301") == metrics.normalise("SS\u0301") == "sś"


@pytest.mark.parametrize(
    ("text", "answers", "expected"),
    [
        ("It was Jane Smith-Jones, in 1932.", [["smith jones", "smith"], ["1932"]], 1),
        ("It was Jane Smith-Jones, in 1932.", [["smith"], ["1933"]], 0),
        ("", [["smith"]], 0),
        ("Smith said nothing.", [], 0),
        ("The calendar is 授時暦.", [[".", "授時暦"]], 1),
        ("Smith said nothing.", [[".", "授時暦"]], 0),
        (" ".join(["word"] * 80) + " smith", [["smith"]], 0),
        (" ".join(["word"] * 79) + " smith", [["smith"]], 1),
    ],
)
def test_contains(text: str, answers: list[list[str]], expected: float) -> None:
    assert metrics.contains(text, answers) == expected


def test_markers_are_no_words_of_the_answer() -> None:
    assert metrics.without_markers("“A quote.” [1] “Another [one].” [12]") == "“A quote.” “Another [one].”"


@pytest.mark.parametrize(
    ("text", "answers", "f1", "exact"),
    [
        ("Jane Smith", [["jane smith"]], 1, 1),
        ("Jane Smith", [["john", "smith"]], 2 / 3, 0),  # P = 1/2, R = 1
        ("Smith, Jones and Brown", [["smith"], ["jones"], ["brown"]], 6 / 7, 0),  # one word too many
        ("brown smith jones", [["smith"], ["jones"], ["brown", "browne"]], 1, 1),
        ("", [["smith"]], 0, 0),
        ("smith smith", [["smith"]], 2 / 3, 0),
        ("smith", [["smith"], [".", "jones"]], 2 / 3, 0),
    ],
)
def test_token_f1_and_exact_match(text: str, answers: list[list[str]], f1: float, exact: float) -> None:
    assert metrics.token_f1(text, answers) == pytest.approx(f1)
    assert metrics.exact_match(text, answers) == exact


@given(st.text(max_size=40), st.text(min_size=1, max_size=20))
def test_an_exact_match_has_full_f1(text: str, answer: str) -> None:
    if metrics.exact_match(text, [[answer]]):
        assert metrics.token_f1(text, [[answer]]) == 1


# -- citations ---------------------------------------------------------------------------------------------------------


def test_spans_overlap_when_they_share_more_than_half_of_the_shorter() -> None:
    assert metrics.overlaps((0, 100), (90, 110)) is False  # exactly half
    assert metrics.overlaps((0, 100), (89, 109))
    assert metrics.overlaps((0, 100), (40, 50))
    assert not metrics.overlaps((0, 10), (10, 20))
    assert metrics.holds((0, 100), (90, 109))
    assert not metrics.holds((0, 100), (90, 110))  # exactly half
    assert not metrics.holds((40, 50), (0, 100))  # a crumb of it


def test_citation_precision_and_recall() -> None:
    assert metrics.citation_precision([True, False, False, True]) == 0.5
    assert metrics.citation_precision([]) == 0
    # three sentences, the second without a citation that stands
    assert metrics.citation_recall([(1, 2), (3,), (2,)], {2}) == pytest.approx(2 / 3)
    assert metrics.citation_recall([], {2}) == 0


def test_dangling_in_both_directions() -> None:
    assert metrics.dangling("One [1]. Two [3].", [1, 2]) == 2
    assert metrics.dangling("One [1].", [1]) == 0


# -- confidence --------------------------------------------------------------------------------------------------------


def floats(*numbers: float) -> metrics.Floats:
    return np.array(numbers, dtype=float)


def test_auroc_agrees_with_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        scores = rng.integers(0, 8, size=30) / 8
        labels = rng.integers(0, 2, size=30).astype(float)
        labels[:2] = 0, 1
        assert metrics.auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_auroc_of_one_side_alone_is_not_defined() -> None:
    with pytest.raises(ValueError, match="one class alone"):
        metrics.auroc(floats(0.3, 0.9), floats(1, 1))


def test_a_confidence_beyond_its_range_is_told() -> None:
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="from 0 to 1"):
            metrics.ece(floats(wrong), floats(1))


def test_risk_and_coverage_by_hand() -> None:
    # by confidence: right, wrong, and two of equal confidence of which one is right
    coverage, risk = metrics.risk_coverage(floats(0.9, 0.7, 0.5, 0.5), floats(1, 0, 1, 0))
    assert coverage.tolist() == [0.25, 0.5, 1.0]
    assert risk.tolist() == [0.0, 0.5, 0.5]
    assert metrics.aurc(floats(0.9, 0.7, 0.5, 0.5), floats(1, 0, 1, 0)) == pytest.approx(0.25 * 0.5 + 0.5 * 0.5)


def test_all_of_one_confidence_is_one_point() -> None:
    coverage, risk = metrics.risk_coverage(floats(0.5, 0.5, 0.5), floats(1, 0, 0))
    assert (coverage.tolist(), risk.tolist()) == ([1.0], [pytest.approx(2 / 3)])


def test_calibration_by_hand() -> None:
    scores, correct = floats(0.05, 0.95, 0.95, 1.0), floats(0, 1, 0, 1)
    assert metrics.reliability(scores, correct) == [
        (pytest.approx(0.05), 0.0, 1),
        (pytest.approx(2.9 / 3), pytest.approx(2 / 3), 3),
    ]
    assert metrics.ece(scores, correct) == pytest.approx(0.25 * 0.05 + 0.75 * 0.3)
