"""What a measure makes of a row: which questions it is about, and what missing things count."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rows import answer, passage, question, row

from eval.gold import Evidence
from eval.measures import BY_NAME, MEASURES, Value, figures, span_ranks
from eval.run import Asked, Row

SMITH, FELL, HURT = "The bridge was built by Smith.", "It fell in 1932.", "Nobody was hurt."
REFUSED = answer()


def value(name: str, of: Row) -> Value:
    return BY_NAME[name].value(of)


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(MEASURES)


# -- retrieval ---------------------------------------------------------------------------------------------------------


def test_documents_are_ranked_by_their_first_passage() -> None:
    found = (passage(source="x"), passage(source="x"), passage(), passage(source="y"))
    ranked = row(found={"hybrid": found})
    assert value("document MRR@10", ranked) == 0.5
    assert value("document R@1", ranked) == 0


def test_spans_are_found_however_passages_are_cut() -> None:
    of = question(quotes=("built by Smith", "1932"))
    one = row(of, found={"hybrid": (passage(0, 50),)})
    two = row(of, found={"hybrid": (passage(0, 30), passage(30, 50, id=2))})
    assert value("span R@5", one) == value("span R@5", two) == 1
    assert value("span R@1", one) == 1
    assert value("span R@1", two) == 0.5


def test_a_passage_with_half_of_the_span_or_of_another_document_does_not_hold_it() -> None:
    start = question().evidence[0].start
    cut = row(found={"hybrid": (passage(0, start + 6), passage(start + 2, start + 5), passage(source="other", id=2))})
    assert value("span R@20", cut) == 0


def test_spans_have_the_rank_of_the_first_passage_that_holds_them() -> None:
    of = question(quotes=("built by Smith", "1932", "Nobody"))
    found = (passage(0, 30), passage(0, 31, id=2), passage(30, 50, id=3))
    assert span_ranks(found, of) == [1, 3, None]


def test_no_hit_counts_as_zero_and_no_label_as_nothing() -> None:
    assert value("document R@5", row(found={"hybrid": ()})) == 0
    assert value("document R@5", row(question(answerable=False))) is None
    assert value("span R@5", row(question(evidence=(Evidence("bridge.txt"),)))) is None


def test_all_documents_is_about_questions_with_several() -> None:
    assert value("all documents @5", row()) is None
    both = question(evidence=(Evidence("bridge.txt"), Evidence("road.txt")))
    assert value("all documents @5", row(both, found={"hybrid": (passage(),)})) == 0
    assert value("all documents @5", row(both, found={"hybrid": (passage(), passage(source="road.txt"))})) == 1


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [REFUSED, None])
@pytest.mark.parametrize(
    "name",
    [
        "contains gold",
        "exact match of short",
        "token F1 of short",
        "citation precision",
        "citation recall",
        "evidence cited",
    ],
)
def test_no_answer_counts_as_zero(name: str, given: None) -> None:
    assert value(name, row(given=given)) == 0


def test_gold_in_the_answer() -> None:
    assert value("contains gold", row(given=answer(SMITH))) == 1
    assert value("contains gold", row(given=answer(FELL))) == 0
    assert value("contains gold", row(question(answerable=False), answer(SMITH))) is None


def test_the_short_answer_is_compared_where_there_is_one() -> None:
    assert value("token F1 of short", row(given=answer(SMITH))) == 0
    assert value("token F1 of short", row(given=answer(SMITH, short="by Smith"))) == pytest.approx(2 / 3)
    assert value("exact match of short", row(given=answer(SMITH, short="Smith"))) == 1


def test_long_answers_are_compared_with_their_reference() -> None:
    of = question(answers=None, reference=("nothing alike", "the bridge was built by smith"))
    assert value("token F1 with reference", row(of, answer(SMITH))) == 1
    assert value("contains gold", row(of, answer(SMITH))) is None


# -- citations ---------------------------------------------------------------------------------------------------------


def test_citations_by_hand() -> None:
    of = question(quotes=("built by Smith", "1932"))
    given = row(of, answer(SMITH, HURT))
    assert value("citation precision", given) == 0.5
    assert value("citation recall", given) == 0.5
    assert value("evidence recall", given) == 0.5
    assert value("evidence cited", given) == 1


def test_a_label_without_a_quote_is_its_whole_document() -> None:
    given = row(question(evidence=(Evidence("bridge.txt"),)), answer(HURT))
    assert value("citation precision", given) == 1
    assert value("citation precision", row(question(evidence=(Evidence("road.txt"),)), answer(HURT))) == 0


def test_a_sentence_that_says_other_words_than_its_citation_is_noticed() -> None:
    fine = answer(SMITH, FELL)
    swapped = replace(fine, citations=tuple(replace(c, marker=3 - c.marker) for c in fine.citations))
    assert value("quoted as cited", row(given=fine)) == 1
    assert value("quoted as cited", row(given=swapped)) == 0
    assert value("quotes exact", row(given=swapped)) == 1


def test_inexact_quotes_and_loose_markers_are_counted() -> None:
    given = replace(answer(SMITH, FELL), text="“…” [1] “…” [3]")
    assert value("dangling markers", row(given=given)) == 2
    assert value("quotes exact", Row(question(), asked=Asked(given, 0, inexact=(2,)))) == 0.5
    bare = replace(given, sentences=(replace(given.sentences[0], citations=()),))
    assert value("uncited sentences", row(given=bare)) == 1


# -- refusal -----------------------------------------------------------------------------------------------------------


def test_refusals() -> None:
    none = question(answerable=False)
    assert value("unanswerable refused", row(none, REFUSED)) == 1
    assert value("unanswerable refused", row(none, answer(SMITH))) == 0
    assert value("answerable refused", row(given=REFUSED)) == 1
    assert value("answerable refused", row(none, REFUSED)) is None


def test_a_broken_answer_counts_as_the_worse() -> None:
    assert value("answerable refused", row(given=None)) == 1
    assert value("unanswerable refused", row(question(answerable=False), None)) == 0


def test_risk_is_about_what_would_have_been_said() -> None:
    assert value("confidence AURC", row(given=answer(confidence=0.3), unrefused=answer(SMITH))) == (0.3, 1)
    assert value("confidence AURC", row(given=answer(confidence=0.3), unrefused=answer(FELL))) == (0.3, 0)
    assert value("confidence AURC", row(question(answerable=False), answer(SMITH))) == (0.8, 0)


# -- follow-ups --------------------------------------------------------------------------------------------------------


def test_the_lift_of_history() -> None:
    of = question(history=({"role": "user", "content": "…"},))
    lifted = row(of, answer(SMITH), alone=Asked(REFUSED, 0.1))
    assert (value("follow-ups right", lifted), value("without history", lifted), value("follow-up lift", lifted)) == (
        1,
        0,
        1,
    )
    assert value("follow-up lift", row(given=answer(SMITH))) is None


# -- figures -----------------------------------------------------------------------------------------------------------


def test_confidence_that_breaks_misleads() -> None:
    assert value("confidence AUROC", row(given=None)) == (0, 1)
    assert value("confidence AUROC", row(question(answerable=False), None)) == (1, 0)
    assert value("confidence AURC", row(given=None)) == (1, 0)


def test_nothing_is_said_of_confidence_where_nothing_says_what_is_right() -> None:
    of = question(answers=None, evidence=(), reference=("…",))
    assert value("confidence AURC", row(of, answer(SMITH))) is None


def test_an_auroc_of_one_class_is_no_figure() -> None:
    rows = [row(question(f"q{i}"), answer(SMITH, confidence=i / 10)) for i in range(6)]
    assert "confidence AUROC" not in {figure.name for figure in figures(rows, {"refusal"})}


def test_figures_over_all_and_by_kind() -> None:
    rows = [
        row(question("a", "fact"), answer(SMITH)),
        row(question("b", "why"), answer(FELL)),
        row(question("c", "far", answerable=False), REFUSED),
    ]
    found = {(f.name, f.kind): f.interval for f in figures(rows, {"answers", "refusal"})}
    assert found["contains gold", "all"].value == 0.5
    assert found["contains gold", "why"].value == 0
    assert ("contains gold", "far") not in found
    assert found["confidence AUROC", "all"].n == 3
    assert not [name for name, _ in found if "R@" in name]
