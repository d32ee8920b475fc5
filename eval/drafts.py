"""Draft questions, and the two files that they go to: drafts, and gold once a person has accepted them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from .gold import GoldError, located, read_gold

State = Literal["open", "accepted", "rejected"]
Answers = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A question that nobody has reviewed: `text[start : start + len(quote)] == quote` in `document`.

    The quote holds the answer; of an unanswerable question it is what comes nearest to one, and `answers` are empty.
    """

    kind: Literal["fact", "unanswerable-near"]
    question: str
    answers: Answers
    document: str
    quote: str
    start: int

    @property
    def id(self) -> str:
        """The same for the same question about the same place, whenever it is drafted again."""
        parts = "\0".join((self.kind, self.question, self.document, self.quote))
        return f"q-{hashlib.sha256(parts.encode()).hexdigest()[:12]}"

    def gold(self, text: str) -> dict[str, Any]:
        """The line of a gold file, where `text` is the document's."""
        evidence: dict[str, Any] = {"document": self.document, "quote": self.quote}
        if text.count(self.quote) > 1:
            evidence["start"] = self.start
        answerable = self.kind == "fact"
        return {
            "id": self.id,
            "kind": self.kind,
            "question": self.question,
            "answers": [list(group) for group in self.answers],
            "answerable": answerable,
            "evidence": [evidence] if answerable else [],
        }

    def in_place(self, text: str) -> Draft | None:
        """The same draft where its quote stands now; None when it stands nowhere, or in several places."""
        if text[self.start : self.start + len(self.quote)] == self.quote:
            return self
        return replace(self, start=text.index(self.quote)) if text.count(self.quote) == 1 else None


def check(line: Mapping[str, Any], sources: Iterable[str], text: Callable[[str], str]) -> None:
    """Raise GoldError unless this line will be read as gold: it is read as such, from a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "draft.jsonl")
        append(file, line)
        located(read_gold(file), sources, text)


def gold_lines(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """The ids and the questions of a gold file; none where the file is not there, or empty. Raises GoldError."""
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return frozenset(), frozenset()
    questions = read_gold(path)
    return frozenset(q.id for q in questions), frozenset(q.question for q in questions)


@dataclass(frozen=True, slots=True)
class DraftsFile:
    """What was drafted and what became of it: a line is added for each change, and the last one of an id counts."""

    path: Path

    def read(self) -> dict[str, tuple[Draft, State]]:
        """By id, the oldest first. Raises GoldError naming the line that is no draft."""
        found: dict[str, tuple[Draft, State]] = {}
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n") if self.path.exists() else []
        except (OSError, UnicodeDecodeError) as error:
            raise GoldError(f"{self.path} cannot be read ({error}); name another file with --drafts") from error
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    key, draft, state = _parsed(line)
                except (ValueError, TypeError, KeyError) as error:
                    raise GoldError(f"{self.path.name}, line {number}: is no draft; delete the line") from error
                found[key] = draft, state
        return found

    def add(self, draft: Draft, state: State, key: str = "") -> None:
        """Remember what became of a draft; `key` is its id before it was edited."""
        answers = [list(group) for group in draft.answers]
        row = {"draft": True, "state": state, "id": key or draft.id, "kind": draft.kind, "question": draft.question}
        place = {"document": draft.document, "quote": draft.quote, "start": draft.start}
        append(self.path, {**row, "answers": answers, **place})


def _parsed(line: str) -> tuple[str, Draft, State]:
    row = json.loads(line)
    texts = [row[name] for name in ("id", "kind", "question", "document", "quote")]
    answers = tuple(tuple(map(str, group)) for group in row["answers"])
    if row["draft"] is not True or not all(isinstance(t, str) for t in texts) or not isinstance(row["start"], int):
        raise ValueError("its fields are of other types")
    if row["state"] not in ("open", "accepted", "rejected") or row["kind"] not in ("fact", "unanswerable-near"):
        raise ValueError("its state or kind is unknown")
    key, kind, question, document, quote = texts
    return key, Draft(kind, question, answers, document, quote, row["start"]), row["state"]


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line to a file in one write, on the disk when this returns: a kill leaves all of it, or nothing.

    A last line without its end (an editor's, or a full disk's) gets one first.
    """
    data = json.dumps(line, ensure_ascii=False).encode(errors="replace") + b"\n"
    with path.open("a+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            data = data if file.read(1) == b"\n" else b"\n" + data
        file.write(data)
        os.fsync(file.fileno())
