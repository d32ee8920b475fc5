"""Ask every gold question once and score each answer."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import rag

from .gold import Question
from .metrics import Interval, auroc, bootstrap, contains, overlaps


@dataclass(frozen=True, slots=True)
class Row:
    """One question, its answer, and what it scored. Scores of a refused answer are 0."""

    question: Question
    answer: rag.Answer
    seconds: float
    contains: bool
    evidence_cited: bool
    citation_precision: float
    dangling: tuple[str, ...]


def ask_all(assistant: rag.Assistant, questions: Iterable[Question]) -> list[Row]:
    """One Row per question, in order."""
    rows = []
    for question in questions:
        started = time.perf_counter()
        answer = assistant.ask(question.question, history=question.history)
        rows.append(_scored(question, answer, time.perf_counter() - started))
    return rows


def _scored(question: Question, answer: rag.Answer, seconds: float) -> Row:
    good = [c for c in answer.citations if _holds_evidence(c, question)]
    marked = set(re.findall(r"\[(\d+)\]", answer.text))
    have = {str(citation.marker) for citation in answer.citations}
    return Row(
        question,
        answer,
        seconds,
        contains=question.answerable and not answer.refused and contains(answer.text, question.answers),
        evidence_cited=bool(good),
        citation_precision=len(good) / len(answer.citations) if answer.citations else 0.0,
        dangling=tuple(sorted(marked ^ have)),
    )


def _holds_evidence(citation: rag.Citation, question: Question) -> bool:
    name = PurePath(citation.passage.source).name
    return any(
        evidence.document == name and overlaps((citation.start, citation.end), evidence.span)
        for evidence in question.evidence
    )


def figures(rows: Sequence[Row]) -> dict[str, Interval]:
    """The figures of a run, by name."""
    answerable = [row for row in rows if row.question.answerable]
    unanswerable = [row for row in rows if not row.question.answerable]
    result = {
        "answer contains gold": bootstrap([row.contains for row in answerable]),
        "evidence cited": bootstrap([row.evidence_cited for row in answerable]),
        "citation precision": bootstrap([row.citation_precision for row in answerable if row.answer.citations]),
        "unanswerable refused": bootstrap([row.answer.refused for row in unanswerable]),
        "answerable refused": bootstrap([row.answer.refused for row in answerable]),
        "answer words": bootstrap([len(row.answer.text.split()) for row in answerable if not row.answer.refused]),
        "seconds": bootstrap([row.seconds for row in rows]),
    }
    for kind in dict.fromkeys(row.question.kind for row in answerable):
        result[f"  {kind}: contains"] = bootstrap([row.contains for row in answerable if row.question.kind == kind])
    score = auroc([r.answer.confidence for r in answerable], [r.answer.confidence for r in unanswerable])
    result["AUROC of confidence"] = Interval(score, score, score, len(rows))
    return result
