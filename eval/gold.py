"""Gold questions: one JSON object a line, the schema of eval/README.md, checked when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import rag

from .metrics import normalise

KINDS = (
    "fact",
    "list",
    "why",
    "cross-document",
    "follow-up",
    "paraphrase",
    "unanswerable-near",
    "unanswerable-far",
)


class GoldError(ValueError):
    """A line that is no gold question: the message names file, line and what is wrong."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where an answer stands: `text[start:end] == quote` in `document` (a file name)."""

    document: str
    quote: str
    start: int

    @property
    def span(self) -> tuple[int, int]:
        return self.start, self.start + len(self.quote)


@dataclass(frozen=True, slots=True)
class Question:
    """One gold question."""

    id: str
    kind: str
    question: str
    history: tuple[rag.Message, ...]
    answers: tuple[tuple[str, ...], ...]
    answerable: bool
    evidence: tuple[Evidence, ...]


def read_gold(path: Path, texts: Mapping[str, str]) -> list[Question]:
    """Read a gold file over documents whose `texts` are given by file name. Raises GoldError at the first bad line."""
    questions = []
    seen: set[str] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            question = _question(json.loads(line), texts)
            if question.id in seen:
                raise ValueError(f"the id '{question.id}' stands twice")
        except (ValueError, KeyError, TypeError) as error:
            what = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else error
            raise GoldError(f"{path.name}, line {number}: {what}") from error
        seen.add(question.id)
        questions.append(question)
    return questions


def _question(row: Mapping[str, object], texts: Mapping[str, str]) -> Question:
    evidence = tuple(_evidence(item, texts) for item in row["evidence"])  # type: ignore[attr-defined]
    answers = tuple(tuple(group) for group in row["answers"])  # type: ignore[attr-defined]
    if empty := [answer for group in answers for answer in group if not normalise(answer)]:
        raise ValueError(f"the answer '{empty[0]}' has no letter or digit that is compared; write it in Latin letters")
    if row["kind"] not in KINDS:
        raise ValueError(f"kind '{row['kind']}' is none of {', '.join(KINDS)}")
    if bool(row["answerable"]) != bool(answers) or bool(answers) != bool(evidence):
        raise ValueError("an answerable question has answers and evidence; an unanswerable one has neither")
    return Question(
        str(row["id"]),
        str(row["kind"]),
        str(row["question"]),
        tuple(row.get("history", ())),  # type: ignore[arg-type]
        answers,
        bool(row["answerable"]),
        evidence,
    )


def _evidence(item: Mapping[str, str], texts: Mapping[str, str]) -> Evidence:
    text = texts.get(item["document"])
    if text is None:
        raise ValueError(f"there is no document '{item['document']}'")
    if text.count(item["quote"]) != 1:
        raise ValueError(f"the quote “{item['quote'][:60]}” stands {text.count(item['quote'])} times in its document")
    return Evidence(item["document"], item["quote"], text.index(item["quote"]))
