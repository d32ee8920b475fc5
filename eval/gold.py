"""Gold questions: one JSON object a line, the schema of eval/README.md, checked when read."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import Any

import rag
from rag.terminal import one_line

from .metrics import normalise

_FIELDS = {
    "id", "kind", "question", "history", "answers", "answerable", "evidence", "exclude", "relevant", "reference",
}  # fmt: skip
_SHOWN = 20  # problems told at once


class GoldError(ValueError):
    """Lines that are no gold questions: each line of the message names file, line and what is wrong."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where an answer stands: `text[start : start + len(quote)] == quote` in `document`, or all of it without a quote.

    `document` is a document's `source`. `start` is -1 until the quote has been found in the document (`located`).
    """

    document: str
    quote: str = ""
    start: int = -1

    @property
    def span(self) -> tuple[int, int]:
        """Half-open character offsets into the document's text."""
        return self.start, self.start + len(self.quote)


@dataclass(frozen=True, slots=True)
class Question:
    """One gold question.

    `answers` are groups of acceptable strings, one string of each group is wanted; empty where nothing answers, None
    where no short answer is given (`reference` may hold long ones). `answerable` is None for questions that only
    retrieval is measured on: these have `relevant`, a grade for each relevant document.
    """

    id: str
    kind: str
    question: str
    answerable: bool | None
    answers: tuple[tuple[str, ...], ...] | None = None
    evidence: tuple[Evidence, ...] = ()
    history: tuple[rag.Message, ...] = ()
    exclude: tuple[str, ...] = ()
    relevant: Mapping[str, int] = field(default_factory=dict)
    reference: tuple[str, ...] = ()
    where: str = ""  # file and line, for messages

    @property
    def relevance(self) -> Mapping[str, int]:
        """The relevant documents with their grades; documents with evidence have grade 1."""
        return self.relevant or dict.fromkeys((e.document for e in self.evidence), 1)

    @property
    def quotes(self) -> tuple[Evidence, ...]:
        """The evidence that names its words."""
        return tuple(e for e in self.evidence if e.quote)


# -- reading -----------------------------------------------------------------------------------------------------------


def read_gold(path: Path) -> list[Question]:
    """All questions of a file. Raises GoldError that names every bad line (the first 20), or why it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise GoldError(f"{path} cannot be read: {why}; name a file of gold questions (eval/README.md)") from error
    questions: list[Question] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path.name}, line {number}"
        try:
            question = _question(line, where)
            if (before := seen.setdefault(question.id, number)) != number:
                raise ValueError(f"the id '{question.id}' already stands in line {before}")
        except ValueError as error:
            problems.append(one_line(f"{where}: {error}"))
        else:
            questions.append(question)
    if not questions and not problems:
        problems.append(f"{path.name} holds no question")
    _raise(problems)
    return questions


def located(questions: Iterable[Question], sources: Iterable[str], text: Callable[[str], str]) -> list[Question]:
    """The same questions with documents named by their `source` and every quote at its span.

    `sources` are the documents there are, `text` gives a document's text. A document may be named by its file name
    alone where only one has that name. Raises GoldError that names every line whose document is not there or whose
    quote does not stand in it (exactly once, or at the `start` it gives).
    """
    sources = list(sources)
    by_name: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        by_name[PurePath(source).name].append(source)
    by_name |= {source: [source] for source in sources}
    found: list[Question] = []
    problems: list[str] = []
    for question in questions:
        try:
            found.append(_located(question, by_name, text))
        except ValueError as error:
            problems.append(one_line(f"{question.where}: {error}"))
    _raise(problems)
    return found


def _located(question: Question, by_name: Mapping[str, Sequence[str]], text: Callable[[str], str]) -> Question:
    def source(name: str) -> str:
        if len(sources := by_name.get(name, ())) != 1:
            raise ValueError(f"{'no document is' if not sources else 'several documents are'} called '{name}'")
        return sources[0]

    return replace(
        question,
        evidence=tuple(_at_its_place(replace(e, document=source(e.document)), text) for e in question.evidence),
        exclude=tuple(map(source, question.exclude)),
        relevant={source(name): grade for name, grade in question.relevant.items()},
    )


def _at_its_place(evidence: Evidence, text: Callable[[str], str]) -> Evidence:
    if not evidence.quote:
        return evidence
    body = text(evidence.document)
    shown = f"the quote “{evidence.quote[:60]}{'…' if len(evidence.quote) > 60 else ''}”"
    if evidence.start >= 0:
        if body[slice(*evidence.span)] != evidence.quote:
            raise ValueError(f"{shown} does not stand at {evidence.start} in '{evidence.document}'")
        return evidence
    if (times := body.count(evidence.quote)) != 1:
        cure = "copy it exactly" if not times else "make it longer, or give its 'start'"
        raise ValueError(f"{shown} stands {times} times in '{evidence.document}'; {cure}")
    return replace(evidence, start=body.index(evidence.quote))


def _raise(problems: Sequence[str]) -> None:
    if problems:
        more = [f"… and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise GoldError("\n".join([*problems[:_SHOWN], *more]))


# -- one line ----------------------------------------------------------------------------------------------------------


def _question(line: str, where: str) -> Question:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON ({error.msg}, column {error.colno})") from error
    except RecursionError as error:
        raise ValueError("is no JSON (it is nested too deeply)") from error
    if not isinstance(row, dict):
        raise ValueError("is no JSON object (a gold file has one object a line)")
    if row.get("answerable") is True and "answers" not in row:
        raise ValueError("'answers' is missing (null where there is only a reference)")
    if row.get("draft"):
        cure = "accept or reject it with 'python -m eval.draft', or mend the line and delete its 'draft'"
        raise ValueError(f"is a draft that nobody has reviewed; {cure}")
    for unknown in set(row) - _FIELDS:  # notes of one's own are welcome, misspelt fields are not
        if meant := get_close_matches(unknown, _FIELDS, n=1, cutoff=0.8):
            raise ValueError(f"'{unknown}' is no field of a gold question; '{meant[0]}' is")
    question = Question(
        id=_name(row, "id"),
        kind=_name(row, "kind"),
        question=_text(row, "question"),
        answerable=_answerable(row),
        answers=_answers(row.get("answers")),
        evidence=tuple(_evidence(item) for item in _list(row, "evidence")),
        history=tuple(_message(turn) for turn in _list(row, "history")),
        exclude=tuple(_strings(row, "exclude")),
        relevant=_grades(row.get("relevant", {})),
        reference=tuple(_strings(row, "reference")),
        where=where,
    )
    _consistent(question)
    return question


def _consistent(question: Question) -> None:
    """What the fields say must agree."""
    if question.relevant and question.evidence:
        raise ValueError("a question has 'evidence' or 'relevant', not both")
    if question.answerable is None:
        if not question.relevant:
            raise ValueError("'answerable' is missing (only a question with 'relevant' goes without)")
    elif question.answerable:
        if question.answers == ():
            raise ValueError("an answerable question has answers, or null and a reference")
        if question.answers is None and not question.reference:
            raise ValueError("an answerable question whose answers are null has a reference")
        if question.answers and not question.evidence:
            raise ValueError("an answerable question has evidence")
    elif question.answers or question.evidence:
        raise ValueError("an unanswerable question has neither answers nor evidence")


def _text(row: Mapping[str, Any], name: str) -> str:
    if name not in row:
        raise ValueError(f"'{name}' is missing")
    if not isinstance(value := row[name], str) or not value.strip():
        raise ValueError(f"'{name}' is no text")
    return value


def _name(row: Mapping[str, Any], name: str) -> str:
    """A text that stands in tables and files: one line, of characters that can be printed."""
    value = _text(row, name)
    if not value.isprintable():
        raise ValueError(f"'{name}' has characters that cannot be printed: {value!r}")
    return value


def _answerable(row: Mapping[str, Any]) -> bool | None:
    if not isinstance(value := row.get("answerable"), bool | None):
        raise ValueError("'answerable' is neither true nor false")
    return value


def _answers(groups: Any) -> tuple[tuple[str, ...], ...] | None:
    if groups is None:
        return None
    if not isinstance(groups, list) or not all(isinstance(g, list) and g for g in groups):
        raise ValueError("'answers' is no list of groups, each a list of acceptable strings")
    for group in groups:
        if not all(isinstance(answer, str) for answer in group):
            raise ValueError(f"the answers {group!r} are no texts")
        if not any(map(normalise, group)):
            raise ValueError(f"of the answers {group!r} none has a letter or digit to compare")
    return tuple(map(tuple, groups))


def _evidence(item: Any) -> Evidence:
    if not isinstance(item, dict) or not {"document"} <= set(item) <= {"document", "quote", "start"}:
        raise ValueError('an \'evidence\' is {"document", "quote", "start"}, the last two as needed')
    start = item.get("start", -1)
    if isinstance(start, bool) or not isinstance(start, int) or start < -1:
        raise ValueError("the 'start' of an evidence is no offset")
    quote = item.get("quote", "")
    if not isinstance(quote, str) or ("quote" in item and not quote.strip()):
        raise ValueError("the 'quote' of an evidence is no text")
    return Evidence(_text(item, "document"), quote, start)


def _message(turn: Any) -> rag.Message:
    if not isinstance(turn, dict) or turn.get("role") not in ("user", "assistant"):
        raise ValueError('a turn of \'history\' is {"role": "user" or "assistant", "content"}')
    return {"role": turn["role"], "content": _text(turn, "content")}


def _list(row: Mapping[str, Any], name: str) -> list[Any]:
    if not isinstance(value := row.get(name, []), list):
        raise ValueError(f"'{name}' is no list")
    return value


def _strings(row: Mapping[str, Any], name: str) -> list[str]:
    if not all(isinstance(item, str) for item in _list(row, name)):
        raise ValueError(f"'{name}' is no list of texts")
    return _list(row, name)


def _grades(relevant: Any) -> dict[str, int]:
    if not isinstance(relevant, dict) or not all(type(grade) is int for grade in relevant.values()):
        raise ValueError("'relevant' is no {document: whole number}")
    if relevant and max(relevant.values()) < 1:
        raise ValueError("'relevant' has no document of grade 1 or more")
    return {document: grade for document, grade in relevant.items() if grade > 0}


# -- choosing ----------------------------------------------------------------------------------------------------------


def sample(
    questions: Sequence[Question], limit: int | None = None, kinds: Sequence[str] = (), seed: int = 0
) -> list[Question]:
    """At most `limit` questions, drawn at random by kind: each kind keeps its share, and at least one question.

    Shares are rounded by largest remainder. The order of the file is kept. Raises GoldError for a kind that is not
    there, and for a limit below 1.
    """
    there = list(dict.fromkeys(question.kind for question in questions))
    if unknown := [kind for kind in kinds if kind not in there]:
        raise GoldError(f"no question is of kind '{unknown[0]}'; there are {', '.join(there)}")
    chosen = [question for question in questions if not kinds or question.kind in kinds]
    if limit is None or limit >= len(chosen):
        return chosen
    if limit < 1:
        raise GoldError(f"{limit} questions cannot be asked; name a limit of 1 or more")
    shuffled = random.Random(seed).sample(chosen, len(chosen))
    kept: set[str] = set()
    for kind, count in _shares(chosen, limit).items():
        kept |= {question.id for question in [q for q in shuffled if q.kind == kind][:count]}
    return [question for question in chosen if question.id in kept]


def _shares(questions: Sequence[Question], limit: int) -> dict[str, int]:
    """How many questions of each kind make up `limit`."""
    counts = {kind: 0 for kind in dict.fromkeys(question.kind for question in questions)}
    for question in questions:
        counts[question.kind] += 1
    exact = {kind: limit * count / len(questions) for kind, count in counts.items()}
    shares = {kind: max(1, int(share)) for kind, share in exact.items()}
    by_remainder = sorted(exact, key=lambda kind: exact[kind] - int(exact[kind]), reverse=True)
    for kind in by_remainder:
        if sum(shares.values()) < limit and shares[kind] == int(exact[kind]):
            shares[kind] += 1
    while sum(shares.values()) > limit and max(shares.values()) > 1:  # many kinds had less than one
        shares[max(shares, key=lambda kind: shares[kind])] -= 1
    while sum(shares.values()) > limit:  # fewer questions than kinds: the kinds that stand first
        del shares[list(shares)[-1]]
    return shares
