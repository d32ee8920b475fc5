"""What people said about answers, kept in `feedback.db` in the index folder: a file of its own, as an index is remade.

Kept are question, answer, verdict, note and time; nothing about who said it: not even which of them are one person's.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from .errors import IndexDamaged, RagError
from .foreign import check_database, has_tables_of, reason_of
from .types import Answer

Verdict = Literal["up", "down", "wrong evidence"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
NOTE_CHARS = 1000
_MOST = 10_000  # judgements
_MOST_CHARS = 200_000  # of an answer as JSON, which has some 20,000
_MOST_BYTES = 200_000_000  # of the file

_SCHEMA = """
CREATE TABLE IF NOT EXISTS judgement (
    answer_key TEXT PRIMARY KEY,
    time TEXT NOT NULL,           -- ISO, UTC
    verdict TEXT NOT NULL CHECK (verdict IN ('up', 'down', 'wrong evidence')),
    note TEXT NOT NULL,
    question TEXT NOT NULL,
    standalone_question TEXT NOT NULL,
    answer TEXT NOT NULL,         -- JSON, as Answer.to_dict()
    documents TEXT NOT NULL       -- JSON: the sources that were asked; [] when all were
)
"""
_PUT = """
INSERT INTO judgement VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (answer_key) DO UPDATE SET
    time = ?2, verdict = ?3, note = iif(?9, note, ?4),
    question = ?5, standalone_question = ?6, answer = ?7, documents = ?8
RETURNING *
"""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What somebody said about an answer; `answer` is `Answer.to_dict()`, `key` is of the answer and of who said it."""

    key: str
    time: str
    verdict: Verdict
    note: str
    question: str
    standalone_question: str
    answer: Mapping[str, Any]
    documents: tuple[str, ...] = ()  # the sources that were asked; all, if empty

    def gold(self) -> dict[str, Any]:
        """A line of a gold file (eval/README.md); one that a person has to mend first is marked as a draft.

        A good answer is answerable, its quotes the evidence. A good refusal is unanswerable, unless only some documents
        were asked, or what was said before: the others may answer it.
        """
        line: dict[str, Any] = {"id": f"feedback-{self.key}", "kind": "feedback", "question": self.standalone_question}
        if self.standalone_question != self.question:
            line["asked"] = self.question
        refused, of_all = self.answer["refused"], not self.documents and self.standalone_question == self.question
        if self.verdict == "up" and refused and of_all:
            return {**line, "answers": [], "answerable": False, "evidence": []}
        said = " ".join(sentence["text"] for sentence in self.answer["sentences"])
        line |= {"answers": None, "answerable": True}
        if self.verdict == "up" and not refused:
            return {**line, "evidence": _evidence(self.answer), "reference": [said]}
        return {
            **line,
            "evidence": [],
            "reference": [said] if said and self.verdict == "wrong evidence" else [],
            "draft": True,
            "verdict": self.verdict,
            "note": self.note,
            "shown": self.answer["text"],
            "documents": list(self.documents),
        }


def answer_key(answer: Answer) -> str:
    """The same for the same answer to the same question."""
    parts = (answer.question, answer.standalone_question, answer.mode, answer.text, f"{answer.confidence:.4f}")
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:16]


def _key(answer: Answer, visitor: str) -> str:
    """Another one for each visitor; nobody who reads it learns who that was, or what else they judged."""
    key = answer_key(answer)
    return hashlib.sha256(f"{visitor}\0{key}".encode()).hexdigest()[:16] if visitor else key


class Feedback:
    """The judgements of one index folder. Every method raises RagError, none of SQLite's errors."""

    def __init__(self, index_dir: Path, most: int = _MOST) -> None:
        self.path = index_dir.absolute() / "feedback.db"
        self._most = most

    def add(
        self,
        answer: Answer,
        verdict: Verdict,
        note: str | None = None,
        documents: Sequence[str] = (),
        *,
        visitor: str = "",
    ) -> Judgement:
        """Keep a verdict, and return what is kept; a later one of the same visitor about the same answer replaces it.

        A note is cut after 1000 characters; None leaves the one that is there. `documents` are the sources that were
        asked, if not all were. `visitor` is a name that only they know. Raises RagError for too large an answer, and
        when nothing more is kept.
        """
        row = (
            _key(answer, visitor),
            datetime.now(UTC).isoformat(timespec="seconds"),
            verdict,
            (note or "").strip()[:NOTE_CHARS],
            answer.question,
            answer.standalone_question,
            json.dumps(answer.to_dict()),
            json.dumps(list(documents)),
        )
        if sum(map(len, row)) > _MOST_CHARS:
            raise RagError("this answer is too large to be kept; ask for less at once")
        values = [part.encode(errors="replace").decode() for part in row]
        with self._connected() as connection:
            self._check_room(connection, values[0])
            (stored,) = connection.execute(_PUT, (*values, note is None)).fetchall()
        return self._judgement(stored)

    def judgements(self) -> list[Judgement]:
        """All of them, the oldest first."""
        if not os.path.lexists(self.path):
            return []
        with self._connected() as connection:
            rows = connection.execute("SELECT * FROM judgement ORDER BY time, rowid").fetchall()
        return [self._judgement(row) for row in rows]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are stored at the end, or not at all."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._check_file()
            connection = sqlite3.connect(self.path, timeout=10)
            try:
                with connection:
                    _create_table(connection)
                    if not has_tables_of(connection, _create_table):
                        raise self._damaged()
                    yield connection
            finally:
                connection.close()
        except UnicodeDecodeError as error:  # of what SQLite says, with a name in it that is no UTF-8
            raise self._damaged() from error
        except (sqlite3.Error, OSError) as error:
            raise RagError(
                f"{self.path}: {reason_of(error)}; make it writable, or move it away to begin a new one"
            ) from error

    def _check_room(self, connection: sqlite3.Connection, key: str) -> None:
        """Raises RagError when it is full, unless the judgement with this key is there to be replaced."""
        held = "SELECT count(*), coalesce(sum(answer_key = ?), 0) FROM judgement"
        number, known = connection.execute(held, (key,)).fetchone()
        (size,) = connection.execute(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        ).fetchone()
        if size > _MOST_BYTES or (number >= self._most and not known):
            raise RagError("no more feedback is kept; 'rag feedback export' saves it, deleting feedback.db makes room")

    def _check_file(self) -> None:
        try:
            check_database(self.path)
        except IndexDamaged as error:
            raise RagError(f"{self.path} is no file of rag; move it away to begin a new one") from error

    def _judgement(self, row: Sequence[Any]) -> Judgement:
        try:
            key, time, verdict, note, asked, standalone, answer, documents = row
            of = tuple(json.loads(documents))
            found = Judgement(key, time, verdict, note, asked, standalone, json.loads(answer), of)
            found.gold()  # whatever is wrong with it shows here
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise self._damaged() from error
        return found

    def _damaged(self) -> RagError:
        return RagError(f"{self.path} is damaged, or not of rag; move it away to begin a new one")


def _create_table(connection: sqlite3.Connection) -> None:
    connection.execute(_SCHEMA)


def _evidence(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = {
        (c["passage"]["source"], c["start"]): {
            "document": c["passage"]["source"],
            "quote": c["quote"],
            "start": c["start"],
        }
        for c in answer["citations"]
    }
    return list(found.values())
