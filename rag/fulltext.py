"""Keyword search over the FTS5 table, and the words of the corpus."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate

from .errors import IndexDamaged
from .schema import PASSAGES_OF_SOURCES
from .terms import fold, sound

# bm25 weights of title, heading, text. Wiki, 600 visible questions, R@1 / R@5: without titles .66 / .84, with weight 1
# .72 / .90; weights of 2 and 4 are within the noise.
COLUMN_WEIGHTS = (1.0, 1.0, 1.0)

_BM25 = "-bm25(words, ?, ?, ?)"
_WORD = re.compile(r"[^\W_]+")  # as the FTS5 table splits


def best_passages(
    connection: sqlite3.Connection,
    terms: Sequence[str],
    k: int,
    documents: Collection[str],
    exclude: Collection[str],
) -> list[tuple[int, float]]:
    """The `k` best (passage id, BM25) that hold any of `terms`; see `Store.keyword`."""
    if not terms or k <= 0:
        return []
    # The + keeps SQLite from running the whole full-text query once per allowed id.
    chosen = f"AND +words.rowid IN ({PASSAGES_OF_SOURCES})" if documents else ""
    sources = [documents, exclude] if documents else [exclude]
    sql = f"""
        SELECT words.rowid, {_BM25} AS score FROM words
        WHERE words MATCH ? {chosen} AND +words.rowid NOT IN ({PASSAGES_OF_SOURCES})
        ORDER BY score DESC, words.rowid LIMIT ?
    """
    filters = [json.dumps(list(s)) for s in sources]
    return _scored(connection.execute(sql, (*COLUMN_WEIGHTS, _any(terms), *filters, min(k, 2**31))))


def scores_of(connection: sqlite3.Connection, terms: Sequence[str], ids: Collection[int]) -> list[tuple[int, float]]:
    """(passage id, BM25) of those of `ids` that hold any of `terms`."""
    if not terms or not ids:
        return []
    sql = f"""
        SELECT words.rowid, {_BM25} FROM words
        WHERE words MATCH ? AND +words.rowid IN (SELECT value FROM json_each(?))
    """
    return _scored(connection.execute(sql, (*COLUMN_WEIGHTS, _any(terms), json.dumps(list(ids)))))


def _scored(rows: Iterable[tuple[int, float | None]]) -> list[tuple[int, float]]:
    """Without what has no score: the sizes by which a damaged keyword index weighs its passages may be none."""
    return [(i, score) for i, score in rows if score is not None and math.isfinite(score)]


def rarest(frequencies: Mapping[str, int], most: int) -> list[str]:
    """The rarest terms, one at least, that together no more than `most` passages hold; none that no passage holds."""
    known = sorted((term for term, passages in frequencies.items() if passages), key=lambda term: frequencies[term])
    sums = list(accumulate(frequencies[term] for term in known))
    return known[: max(1, bisect_right(sums, most))]


def document_frequency(connection: sqlite3.Connection, terms: Sequence[str], passages: int) -> dict[str, int]:
    """How many of the `passages` that there are hold each term (stemmed).

    IndexDamaged for a term that more hold: a damaged list can be so long that no search in it would end.
    """
    sql = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)"
    found = {term: connection.execute(sql, (_quoted(term), passages + 1)).fetchone()[0] for term in terms}
    if any(held > passages for held in found.values()):
        raise IndexDamaged("the keyword index holds a word more often than there are passages; run 'rag rebuild'")
    return found


def words_held(connection: sqlite3.Connection, words: Collection[str]) -> dict[str, int]:
    """How many passages hold each of these words; see `spelling.Words`."""
    sql = "SELECT word, passages FROM word WHERE word IN (SELECT value FROM json_each(?))"
    return _counts(connection.execute(sql, (json.dumps(list(words)),)))


def names_sounding(connection: sqlite3.Connection, sound: str) -> dict[str, int]:
    """How many passages hold each of the names with this sound; see `spelling.Words`."""
    sql = "SELECT word, passages FROM word WHERE sound = ? AND sound <> '' AND lower = 0"  # as the index says it
    return _counts(connection.execute(sql, (sound,)))


def _counts(rows: Iterable[tuple[object, object]]) -> dict[str, int]:
    """What is damaged is no word to respell by."""
    return {word: n for word, n in rows if isinstance(word, str) and isinstance(n, int)}


class WordCounts:
    """What one transaction changes in the table of words; a batch of documents has most of its words in common."""

    def __init__(self) -> None:
        self._passages: Counter[str] = Counter()
        self._lower: Counter[str] = Counter()

    def add(self, connection: sqlite3.Connection, document_id: int, sign: int) -> None:
        """Count (1) or discount (-1) the words of a document's present passages."""
        rows = connection.execute(
            "SELECT title, heading, passage.text FROM passage JOIN document ON document.id = document_id "
            "WHERE document_id = ?",
            (document_id,),
        )
        self.count(rows, sign)

    def count(self, passages: Iterable[Sequence[str]], sign: int) -> None:
        """Count (1) or discount (-1) the words of passages: their title, heading and text."""
        change = Counter.update if sign > 0 else Counter.subtract
        for texts in passages:
            written = set(_WORD.findall(" ".join(map(str, texts))))  # what is damaged may be of another type
            change(self._passages, {fold(word) for word in written})
            change(self._lower, {fold(word) for word in written if word[0].islower()})

    def changes(self) -> list[tuple[str, int, int, str]]:
        """(word, passages, in lower case) to add to what is stored, and the word's sound."""
        return [(word, count, self._lower[word], sound(word)) for word, count in self._passages.items()]

    def store(self, connection: sqlite3.Connection) -> None:
        """Write what was counted."""
        connection.executemany(
            "INSERT INTO word VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET passages = passages + excluded.passages, lower = lower + excluded.lower",
            self.changes(),
        )
        not_more = ((word,) for word, count in self._passages.items() if count <= 0)
        connection.executemany("DELETE FROM word WHERE word = ? AND passages <= 0", not_more)


@contextmanager
def counted_words(connection: sqlite3.Connection) -> Iterator[WordCounts]:
    """Collects what passages put and deleted inside do to the table of words, and writes it at the end."""
    words = WordCounts()
    yield words
    words.store(connection)


def restore_words(connection: sqlite3.Connection) -> None:
    """Make the keyword index agree with the passages again, and drop passages that have lost their document."""
    connection.execute("INSERT INTO words (words) VALUES ('rebuild')")
    connection.execute("DELETE FROM passage WHERE document_id NOT IN (SELECT id FROM document)")
    connection.execute("DELETE FROM word")
    with counted_words(connection) as words:
        for (document_id,) in connection.execute("SELECT id FROM document").fetchall():
            words.add(connection, document_id, 1)


def _any(terms: Iterable[str]) -> str:
    return " OR ".join(map(_quoted, terms))


def _quoted(term: str) -> str:
    """A term as an FTS5 string, in which no operator means anything."""
    plain = term.encode("utf-8", "replace").decode().replace("\0", " ")  # SQLite takes no lone surrogate
    return '"' + plain.replace('"', '""') + '"'
