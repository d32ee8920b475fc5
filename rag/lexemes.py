"""Texts as lexemes, exactly as the FTS5 table of `index.db` cuts, folds and stems them.

Another engine then finds what SQLite finds, and counts what it counts. It is FTS5 itself that is asked, in memory.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .schema import TOKENIZE

LONGEST = 128  # characters of a lexeme that count: PostgreSQL takes 2,046 bytes, and 2,700 in an index
_GAP = 2  # between the last word of a column and the first of the next: no phrase reaches over it
_COLUMNS = ("title", "heading", "text")

_local = threading.local()  # `connection`


class Lexemes(NamedTuple):
    """Each lexeme of a passage with the places where it stands, counted from 1 through all columns; and all tokens."""

    places: Mapping[str, Sequence[int]]
    tokens: int


def analysed(passages: Sequence[tuple[str, str, str]]) -> list[Lexemes]:
    """The lexemes of passages: (title, heading, text) each."""
    connection = _connection()
    connection.execute("INSERT INTO words (words) VALUES ('delete-all')")
    insert = "INSERT INTO words (rowid, title, heading, text) VALUES (?, ?, ?, ?)"
    connection.executemany(insert, ((row, *texts) for row, texts in enumerate(passages)))
    columns: list[dict[str, list[tuple[str, int]]]] = [{name: [] for name in _COLUMNS} for _ in passages]
    for term, row, column, place in connection.execute("SELECT term, doc, col, offset FROM instances"):
        columns[row][column].append((term[:LONGEST], place))
    return [_joined(by_column) for by_column in columns]


def lexemes_of(term: str) -> list[str]:
    """The lexemes of a term in their order: several for a phrase, none where it has neither letters nor digits."""
    (found,) = analysed([("", "", term)])
    return [lexeme for _, lexeme in sorted((place, lexeme) for lexeme, at in found.places.items() for place in at)]


def _joined(by_column: Mapping[str, Sequence[tuple[str, int]]]) -> Lexemes:
    places: dict[str, list[int]] = {}
    before, tokens = 1, 0
    for name in _COLUMNS:
        found = by_column[name]
        for lexeme, place in found:
            places.setdefault(lexeme, []).append(before + place)
        if found:
            before += 1 + max(place for _, place in found) + _GAP
        tokens += len(found)
    return Lexemes({lexeme: sorted(at) for lexeme, at in places.items()}, tokens)


def _connection() -> sqlite3.Connection:
    connection: sqlite3.Connection | None = getattr(_local, "connection", None)
    if connection is None:
        connection = _local.connection = sqlite3.connect(":memory:", isolation_level=None)
        columns = ", ".join(_COLUMNS)
        connection.execute(f"CREATE VIRTUAL TABLE words USING fts5({columns}, content='', tokenize='{TOKENIZE}')")
        connection.execute("CREATE VIRTUAL TABLE instances USING fts5vocab(words, 'instance')")
    return connection
