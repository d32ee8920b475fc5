"""Why a question failed, in a short plain sentence: the first step of the chain that went wrong. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import rag

from . import metrics
from .gold import Evidence, Question
from .measures import passage_holds, standing, stands
from .run import Asked, Row

Step = Literal[
    "broke", "promise", "smalltalk", "answered", "search", "evidence", "refused", "part", "length", "wording"
]

# In the order in which the page shows them: what must never happen, then the chain from its beginning to its end.
STEPS: Mapping[Step, str] = {
    "broke": "Something broke",
    "promise": "The promise broken",
    "answered": "Answered although the documents do not",
    "smalltalk": "Taken for small talk",
    "search": "Not found",
    "evidence": "Found, but something else quoted",
    "refused": "Refused although the documents answer",
    "part": "Only a part of it quoted",
    "length": "Too long",
    "wording": "Evidence cited, but other words",
}
_SEARCHED = 10  # where only the search was run: what counts as found, as nDCG@10 and MRR@10 have it


class Failure(NamedTuple):
    """What went wrong: the step, and a sentence about this question."""

    step: Step
    says: str


def is_measured(row: Row) -> bool:
    """Whether right can be told from wrong: there is something to compare with, and it was run."""
    question = row.question
    if row.asked is None:
        return bool(row.found or row.search_error)
    return question.answerable is False or bool(question.answers or question.evidence)


def why(row: Row) -> str:
    """Empty where the question went right, else what went wrong."""
    found = failure(row)
    return found.says if found else ""


def failure(row: Row) -> Failure | None:
    """The first step that went wrong, None where nothing did.

    Right is what `measures.correct` calls right, and a refusal where nothing answers; where only the search was run,
    gold evidence among the first 10 passages. An answerable question with neither short answers nor evidence fails
    only when it is refused: nothing else can be told about it.
    """
    if row.asked is None:
        return _of_search(row)
    if (answer := row.answer) is None:
        return Failure("broke", f"something broke: {row.asked.error}")
    if broken := _of_promise(row.asked, answer):
        return broken
    if answer.mode == "smalltalk":
        return Failure("smalltalk", "taken for small talk")
    if not row.question.answerable:
        says = f"answered although the documents do not (confidence {share(answer.confidence)})"
        return None if answer.refused else Failure("answered", says)
    return _of_refusal(row, answer) if answer.refused else _of_answer(row.question, answer)


# -- what is looked for, and where it is -------------------------------------------------------------------------------


def wanted(question: Question) -> tuple[Evidence, ...]:
    """The gold evidence; where there is none, the relevant documents."""
    return question.evidence or tuple(Evidence(document) for document in question.relevant)


def rank(passages: Sequence[rag.Passage], evidence: Sequence[Evidence]) -> int | None:
    """The rank, from 1, of the first passage that holds any of this evidence; None where no passage does."""
    return next(
        (n for n, passage in enumerate(passages, start=1) if any(passage_holds(passage, e) for e in evidence)), None
    )


def share(value: float) -> str:
    """Two digits, as figures below 1 are written here: .42."""
    return f"{value:.2f}".removeprefix("0")


# -- one step each -----------------------------------------------------------------------------------------------------


def _of_search(row: Row) -> Failure | None:
    if row.search_error:
        return Failure("broke", f"something broke: {row.search_error}")
    if "hybrid" not in row.found:
        return None
    passages = row.found["hybrid"]
    if (at := rank(passages, wanted(row.question))) is None:
        return Failure("search", f"not found: {_nothing_gold(row.question)} among the first {len(passages)} passages")
    if at > _SEARCHED:
        return Failure("search", f"found only as passage {at}, beyond the first {_SEARCHED}")
    return None


def _of_promise(asked: Asked, answer: rag.Answer) -> Failure | None:
    if asked.inexact:
        markers = ", ".join(f"[{marker}]" for marker in asked.inexact)
        return Failure("promise", f"not what the document says at that place: the quote of {markers}")
    if metrics.dangling(answer.text, [citation.marker for citation in answer.citations]):
        return Failure("promise", "a marker without a citation, or a citation without a marker")
    return None


def _of_refusal(row: Row, answer: rag.Answer) -> Failure:
    confidence = f"(confidence {share(answer.confidence)})"
    would = row.unrefused
    if would is None:
        return Failure("refused", f"refused although the documents answer {confidence}")
    seen = would.passages or would.nearest
    if not seen:
        return Failure("search", "not found: nothing in the index matches the question")
    if row.question.evidence and rank(seen, row.question.evidence) is None:
        says = f"not found: {_nothing_gold(row.question)} among the {len(seen)} that it had; it refused {confidence}"
        return Failure("search", says)
    gold = any(standing(Row(row.question, asked=Asked(would, 0.0))))
    what = "the gold evidence" if gold else "something else"
    return Failure("refused", f"refused although the documents answer {confidence}; it would have quoted {what}")


def _of_answer(question: Question, answer: rag.Answer) -> Failure | None:
    text = metrics.without_markers(answer.text)
    lacking = metrics.missing(text, question.answers or ())
    cited = [any(stands(citation, evidence) for citation in answer.citations) for evidence in question.evidence]
    if question.answers and not lacking:
        words = len(text.split())
        says = f"too long: {words} words, {metrics.ANSWER_WORDS} count"
        return Failure("length", says) if words > metrics.ANSWER_WORDS else None
    if not cited or (any(cited) and not question.answers):
        return None
    if not any(cited):
        return _of_evidence(question, answer)
    lacks = "missing: " + " · ".join(f"“{group[0]}”" for group in lacking)
    if all(cited):
        says = f"the gold evidence is cited, but the answer has no accepted wording; {lacks}"
        return Failure("wording", says)
    uncited = [evidence for evidence, there in zip(question.evidence, cited, strict=True) if not there]
    at = rank(answer.passages, uncited)
    where = f"passage {at} of {len(answer.passages)} has more" if at else "the rest was not found"
    says = f"only {sum(cited)} of {len(cited)} pieces of gold evidence cited, {where}; {lacks}"
    return Failure("part", says)


def _of_evidence(question: Question, answer: rag.Answer) -> Failure:
    of = len(answer.passages)
    if (at := rank(answer.passages, question.evidence)) is None:
        says = f"not found: {_nothing_gold(question)} among the {of} the answer was made from"
        return Failure("search", says)
    verb = "cited" if answer.mode == "written" else "quoted"
    return Failure("evidence", f"found (passage {at} of {of}), but another sentence was {verb}")


def _nothing_gold(question: Question) -> str:
    return "no passage with the gold evidence" if question.quotes else "no passage of a relevant document"
