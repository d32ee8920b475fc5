"""What must hold of every answer, and the bars of the figures."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import rag

from .gold import Question
from .run import Row, figures

BARS = tomllib.loads((Path(__file__).parent / "bars.toml").read_text(encoding="utf-8"))


def test_every_quote_is_exact(assistant: rag.Assistant, rows: list[Row]) -> None:
    texts = {document.id: assistant.document(document.id).text for document in assistant.documents()}
    for row in rows:
        for citation in row.answer.citations:
            passage = citation.passage
            assert texts[passage.document_id][citation.start : citation.end] == citation.quote
            assert passage.start <= citation.start < citation.end <= passage.end


def test_every_marker_has_its_citation_and_the_other_way_round(rows: list[Row]) -> None:
    assert [(row.question.id, row.dangling) for row in rows if row.dangling] == []


def test_every_shown_sentence_is_cited(rows: list[Row]) -> None:
    for row in rows:
        assert all(sentence.citations for sentence in row.answer.sentences), row.question.id
        assert row.answer.refused == (not row.answer.sentences), row.question.id


def test_gold_is_large_and_varied_enough(gold: list[Question], our_gold: None) -> None:
    kinds = [question.kind for question in gold]
    assert len(gold) >= 40
    assert kinds.count("unanswerable-near") >= 12
    assert {"fact", "list", "why", "cross-document", "follow-up"} <= set(kinds)


@pytest.mark.parametrize(("name", "bar"), BARS["least"].items())
def test_at_least(rows: list[Row], our_gold: None, name: str, bar: float) -> None:
    assert figures(rows)[name].mean >= bar, f"{name}: {figures(rows)[name]} is below {bar}"


@pytest.mark.parametrize(("name", "bar"), BARS["most"].items())
def test_at_most(rows: list[Row], our_gold: None, name: str, bar: float) -> None:
    assert figures(rows)[name].mean <= bar, f"{name}: {figures(rows)[name]} is above {bar}"
