"""What must hold of every answer over any documents, whatever the figures are."""

from __future__ import annotations

import pytest

import rag

from . import show
from .conftest import Session
from .evaluation import Evaluation
from .measures import BY_NAME
from .run import Row


def answered(evaluation: Evaluation) -> list[tuple[Row, rag.Answer]]:
    return [(row, row.answer) for row in evaluation.rows if row.answer]


@pytest.mark.answers
def test_nothing_broke(evaluation: Evaluation) -> None:
    assert {row.question.id: row.asked.error for row in evaluation.rows if row.asked and row.asked.error} == {}


@pytest.mark.retrieval
def test_every_search_came_back(evaluation: Evaluation) -> None:
    assert {row.question.id: row.search_error for row in evaluation.rows if row.search_error} == {}


@pytest.mark.answers
def test_the_model_that_was_asked_for_answered(session: Session, evaluation: Evaluation) -> None:
    """Quotes in place of a model that failed are no figures of that model."""
    for asked in filter(None, (evaluation, session.beside)):
        if (said := show.notes(asked)) and asked.settings.llm != "none":
            pytest.fail(f"{asked.settings.llm}: {said}", pytrace=False)


@pytest.mark.citations
def test_every_quote_is_exact(evaluation: Evaluation) -> None:
    assert [(row.question.id, row.asked.inexact) for row in evaluation.rows if row.asked and row.asked.inexact] == []


@pytest.mark.citations
def test_every_marker_has_its_citation_and_the_other_way_round(evaluation: Evaluation) -> None:
    counted = {row.question.id: BY_NAME["dangling markers"].value(row) for row in evaluation.rows}
    assert {question: count for question, count in counted.items() if count} == {}


@pytest.mark.citations
def test_every_shown_sentence_is_cited_and_only_refusals_show_none(evaluation: Evaluation) -> None:
    for row, answer in answered(evaluation):
        assert all(sentence.citations for sentence in answer.sentences), row.question.id
        if answer.mode != "smalltalk":
            assert answer.refused == (not answer.sentences), row.question.id


@pytest.mark.refusal
def test_a_refusal_says_why_and_shows_no_citation(evaluation: Evaluation) -> None:
    for row, answer in answered(evaluation):
        assert 0 <= answer.confidence <= 1, row.question.id
        if answer.refused:
            assert answer.reason, row.question.id
            assert not answer.citations, row.question.id


@pytest.mark.retrieval
def test_a_hidden_document_is_not_found(evaluation: Evaluation) -> None:
    for row in evaluation.rows:
        for passages in row.found.values():
            assert not {passage.source for passage in passages} & set(row.question.exclude), row.question.id
            assert len({passage.id for passage in passages}) == len(passages), row.question.id


@pytest.mark.answers
def test_a_hidden_document_is_not_cited(evaluation: Evaluation) -> None:
    for row, answer in answered(evaluation):
        assert not {c.passage.source for c in answer.citations} & set(row.question.exclude), row.question.id


@pytest.mark.followups
def test_a_follow_up_tells_what_it_was_understood_as(evaluation: Evaluation) -> None:
    for row, answer in answered(evaluation):
        assert answer.standalone_question.strip(), row.question.id


@pytest.mark.judge
def test_every_answer_was_judged(request: pytest.FixtureRequest, session: Session) -> None:
    if session.judge is None:
        pytest.skip("only with --judge")
    evaluation: Evaluation = request.getfixturevalue("evaluation")
    for row, _ in answered(evaluation):
        assert row.verdict, row.question.id
        assert row.verdict.correct is not None, f"{row.question.id}: {row.verdict.why}"
