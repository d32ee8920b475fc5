"""Ask gold questions and keep what came back: what everything else here is computed from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import rag

from .gold import Question
from .judge import Verdict

Mode = Literal["hybrid", "dense", "keyword"]
Part = Literal["search", "ask", "alone", "unrefused"]
MODES: tuple[Mode, ...] = ("hybrid", "dense", "keyword")
DEPTH = 50  # passages searched for, so that twenty documents can be among them


class System(Protocol):
    """What is evaluated: the part of `rag.Assistant` that is used here."""

    def ask(self, question: str, *, history: Sequence[rag.Message] = (), exclude: Sequence[str] = ()) -> rag.Answer: ...

    def search(self, question: str, k: int, *, mode: Mode = "hybrid", exclude: Sequence[str] = ()) -> list[rag.Hit]: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer and how long it took; or why there is none (an environment that broke), which scores 0."""

    answer: rag.Answer | None
    seconds: float
    error: str = ""
    inexact: tuple[int, ...] = ()  # markers whose quote does not stand at its span, in its document and its passage


@dataclass(frozen=True, slots=True)
class Row:
    """One question and what came back. Parts that were not run are empty.

    `found` are the passages of a search by its mode, best first; none, and `search_error`, where it broke. `asked` is
    the answer, `alone` the answer to a follow-up without its history, `unrefused` what the system would have quoted in
    place of a refusal, `verdict` what an LLM judge says of the answer.
    """

    question: Question
    found: Mapping[Mode, tuple[rag.Passage, ...]] = field(default_factory=dict)
    search_error: str = ""
    asked: Asked | None = None
    alone: Asked | None = None
    unrefused: rag.Answer | None = None
    verdict: Verdict | None = None

    @property
    def answer(self) -> rag.Answer | None:
        return self.asked.answer if self.asked else None


Report = Callable[[int, int], None]  # questions done, of how many
Judge = Callable[[Question, rag.Answer], Verdict]


def run(
    system: System,
    questions: Sequence[Question],
    parts: set[Part],
    text: Callable[[int], str],
    never_refusing: System | None = None,
    judge: Judge | None = None,
    report: Report = lambda done, of: None,
) -> list[Row]:
    """One Row per question, in order.

    `text` gives the text of a document by its id; `never_refusing` is the same system with no threshold, asked
    where the first one refuses. A question with history is searched for by the standalone question that the answer
    names; one that only retrieval is measured on is not asked.
    """
    rows = []
    for number, question in enumerate(questions, start=1):
        row = _row(system, question, parts, text, never_refusing)
        rows.append(replace(row, verdict=_verdict(row, judge)) if judge else row)
        report(number, len(questions))
    return rows


def _row(
    system: System, question: Question, parts: set[Part], text: Callable[[int], str], never_refusing: System | None
) -> Row:
    row = Row(question)
    if question.answerable is not None and ("ask" in parts or ("search" in parts and question.history)):
        row = replace(row, asked=_ask(system, question, question.history, text))
    if question.history and question.answerable and "alone" in parts:
        row = replace(row, alone=_ask(system, question, (), text))
    if "unrefused" in parts and never_refusing and row.answer and row.answer.refused:
        row = replace(row, unrefused=_ask(never_refusing, question, question.history, text).answer)
    if "search" in parts and question.relevance:
        try:
            row = replace(row, found=dict(_found(system, question, row.answer)))
        except (rag.RagError, rag.QuestionInvalid) as error:
            row = replace(row, search_error=str(error))
    return row


def _verdict(row: Row, judge: Judge) -> Verdict | None:
    if row.asked is None:
        return None
    return judge(row.question, row.answer) if row.answer else Verdict(None, None, "there is no answer to judge")


def _ask(system: System, question: Question, history: Sequence[rag.Message], text: Callable[[int], str]) -> Asked:
    started = time.perf_counter()
    try:
        answer = system.ask(question.question, history=history, exclude=question.exclude)
    except (rag.RagError, rag.QuestionInvalid) as error:
        return Asked(None, time.perf_counter() - started, error=str(error))
    seconds = time.perf_counter() - started
    return Asked(answer, seconds, inexact=tuple(c.marker for c in answer.citations if not _exact(c, text)))


def _exact(citation: rag.Citation, text: Callable[[int], str]) -> bool:
    passage = citation.passage
    inside = passage.start <= citation.start < citation.end <= passage.end
    return inside and text(passage.document_id)[citation.start : citation.end] == citation.quote


def _found(
    system: System, question: Question, answer: rag.Answer | None
) -> Iterator[tuple[Mode, tuple[rag.Passage, ...]]]:
    standalone = answer.standalone_question if question.history and answer else question.question
    for mode in MODES:
        hits = system.search(standalone, DEPTH, mode=mode, exclude=question.exclude)
        yield mode, tuple(hit.passage for hit in hits)
