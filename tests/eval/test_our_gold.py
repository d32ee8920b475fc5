"""The questions over seeds/ that the project measures itself with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from eval.gold import Question, located, read_gold
from eval.metrics import contains
from rag.documents import read_file

EVAL = Path(__file__).parents[2] / "eval"


@pytest.fixture(scope="module")
def texts(seeds: Path) -> dict[str, str]:
    return {path.name: read_file(path, root="", source=path.name, max_bytes=10**6).text for path in seeds.glob("*.txt")}


@pytest.mark.parametrize("name", ["gold", "hard", "heldout"])
def test_every_quote_stands_in_its_document_at_its_span(name: str, texts: dict[str, str]) -> None:
    for question in located(read_gold(EVAL / f"{name}.jsonl"), texts, texts.__getitem__):
        for evidence in question.evidence:
            assert texts[evidence.document][slice(*evidence.span)] == evidence.quote != "", question.id


@pytest.mark.parametrize("name", ["gold", "hard", "heldout"])
def test_an_answerable_question_has_answers_and_quotes(name: str) -> None:
    for question in read_gold(EVAL / f"{name}.jsonl"):
        assert question.answerable == bool(question.answers) == bool(question.evidence), question.id
        assert bool(question.history) == (question.kind == "follow-up"), question.id


def test_gold_is_large_and_of_every_kind() -> None:
    gold = read_gold(EVAL / "gold.jsonl")
    kinds = Counter(question.kind for question in gold)
    assert len(gold) >= 100
    assert set(kinds) == {
        "fact", "list", "why", "cross-document", "follow-up", "paraphrase", "unanswerable-near", "unanswerable-far",
    }  # fmt: skip
    assert min(kinds.values()) >= 6
    assert len({question.question.casefold() for question in gold if not question.history}) == len(
        [question for question in gold if not question.history]
    )


def test_cross_document_questions_have_labels_in_both_documents() -> None:
    crossing = [q for q in read_gold(EVAL / "gold.jsonl") if q.kind == "cross-document"]
    assert sum(len({evidence.document for evidence in q.evidence}) == 2 for q in crossing) >= len(crossing) * 0.8


def test_most_answers_stand_in_the_evidence(texts: dict[str, str]) -> None:
    """Else no quote could be right. A few answers are other words for it ("America" for "United States")."""
    answerable = [q for q in read_gold(EVAL / "gold.jsonl") if q.answerable]
    held = [q for q in answerable if _holds(q)]
    assert len(held) >= len(answerable) * 0.9, [q.id for q in answerable if q not in held]


def _holds(question: Question) -> bool:
    return bool(contains(" ".join(evidence.quote for evidence in question.evidence), question.answers or ()))
