"""One evaluation: settings and gold questions in; rows, figures and what they were made with out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial

import rag

from . import judge as judging
from .chat import Chat, ChatError
from .gold import Question, located
from .judge import Verdict
from .measures import ALL, Family, Figure, figures
from .run import Part, Report, Row, run

# What has to be run for the measures of a family.
_PARTS: dict[Family, set[Part]] = {
    "retrieval": {"search"},
    "answers": {"ask"},
    "citations": {"ask"},
    "refusal": {"ask", "unrefused"},
    "followups": {"ask", "alone"},
    "latency": {"ask"},
    "judge": {"ask"},
}


# Which questions the measures of a family are about; the others are about every question that has an answer to judge.
_ABOUT: dict[Family, Callable[[Question], bool]] = {
    "retrieval": lambda question: bool(question.relevance),
    "followups": lambda question: bool(question.history and question.answerable),
    "latency": lambda question: False,  # whatever is asked anyway
}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one system did with one set of questions. `provenance` names models, prompts and index."""

    settings: rag.Settings
    provenance: Mapping[str, str]
    rows: tuple[Row, ...]
    figures: tuple[Figure, ...]

    def figure(self, name: str, kind: str = ALL) -> Figure | None:
        """A figure by the name of its measure; None where it was not measured."""
        return next((f for f in self.figures if (f.name, f.kind) == (name, kind)), None)


def evaluate(
    settings: rag.Settings,
    questions: Sequence[Question],
    families: Collection[Family],
    judge: Chat | None = None,
    report: Report = lambda done, of: None,
) -> Evaluation:
    """Open the documents of the settings, ask every question, compute the figures of these families.

    `judge` is an LLM that judges every answer too. Raises GoldError when a label does not fit the documents, before
    anything is asked; RagError when the documents or the index cannot be opened.
    """
    parts = set[Part]().union(*(_PARTS[family] for family in families))
    with ExitStack() as opened:
        assistant = opened.enter_context(rag.Assistant.open(settings))
        ids = {document.source: document.id for document in assistant.documents()}
        text = lru_cache(maxsize=1000)(lambda document_id: assistant.document(document_id).text)
        questions = located(questions, ids, lambda source: text(ids[source]))
        questions = [q for q in questions if any(_ABOUT.get(family, _is_asked)(q) for family in families)]
        never_refusing = None
        if "unrefused" in parts:
            without_threshold = settings.model_copy(update={"refuse_below": 0.0, "llm": "none"})
            never_refusing = opened.enter_context(rag.Assistant.open(without_threshold))
        judged = partial(_judged, judge) if judge and "judge" in families else None
        rows = run(assistant, questions, parts, text, never_refusing, judged, report)
        provenance = assistant.provenance | {"documents": _digest(assistant)}
    if judged and judge:
        provenance["judge"] = f"{judge.model} {judging.prompt().digest}"
    return Evaluation(settings, provenance, tuple(rows), tuple(figures(rows, families)))


def _is_asked(question: Question) -> bool:
    return question.answerable is not None


def _digest(assistant: rag.Assistant) -> str:
    """The same for the same documents, wherever they lie and in whatever order they were read."""
    named = sorted(f"{document.source} {document.sha256}" for document in assistant.documents())
    return hashlib.sha256("\n".join(named).encode(errors="replace")).hexdigest()[:12]


def _judged(chat: Chat, question: Question, answer: rag.Answer) -> Verdict:
    """A judge that cannot be reached does not lose the run: there is no verdict, and why."""
    quotes = [citation.quote for citation in answer.citations]
    try:
        return judging.judge(chat, question.question, question.answers, question.reference, answer.text, quotes)
    except ChatError as error:
        return Verdict(None, None, str(error))
