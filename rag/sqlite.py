"""The catalogue of one machine: `index.db` in the index folder, with FTS5 for its words."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from . import fulltext, rows
from .catalogue import BLOCK, Copy, Reader, Ready, Writer
from .database import Database
from .fulltext import WordCounts
from .integrity import verify
from .schema import PASSAGES_OF_SOURCES, count_write, read_state
from .stored import Centre, FloatArray, IntArray, TakenOut, from_blobs, to_document, to_passage
from .types import Chunk, Document, Listed, Passage


class SqliteReader:
    """What one transaction sees of `index.db`: `catalogue.Reader`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.state = read_state(connection)

    def documents(self, *, root: str | None = None, source: str | None = None) -> list[Document]:
        where, values = "TRUE", list[str]()
        if root is not None:
            # Everything that begins with "root/" lies between that and "root0": 0 is what follows / in Unicode.
            where, values = "root = ?1 OR (root > ?1 || '/' AND root < ?1 || '0')", [_utf8(root)]
        elif source is not None:
            where, values = "source = ?", [_utf8(source)]
        found = self._connection.execute(
            f"SELECT {rows.DOCUMENT}, '' FROM document WHERE {where} ORDER BY source, root", values
        )
        return [to_document(*row) for row in found]

    def document_ids(self) -> list[int]:
        return [i for (i,) in self._connection.execute("SELECT id FROM document ORDER BY id")]

    def listing(self) -> list[Listed]:
        return rows.list_documents(self._connection)

    def document(self, document_id: int) -> Document:
        return rows.get_document(self._connection, document_id)

    def chunks(self, document_id: int) -> list[Chunk]:
        return rows.chunks_of(self._connection, document_id)

    def taken(self, document_id: int) -> TakenOut:
        return rows.whole_document(self._connection, document_id, self.state.dimension)

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        found = self._connection.execute(
            f"{rows.PASSAGE} WHERE passage.id IN (SELECT value FROM json_each(?))", (_json(ids),)
        )
        return [to_passage(*row) for row in found]

    def verify_quotable(self, ids: Sequence[int]) -> None:
        rows.verify_quotable(self._connection, ids)

    def titled(
        self, titles: Sequence[str], most: int, documents: Collection[str], exclude: Collection[str]
    ) -> list[int]:
        utf8 = [_utf8(title) for title in titles]
        return rows.passages_of_titled(self._connection, utf8, most, documents, exclude)

    def best(
        self, terms: Sequence[str], k: int, documents: Collection[str], exclude: Collection[str]
    ) -> list[tuple[int, float]]:
        return fulltext.best_passages(self._connection, terms, k, documents, exclude)

    def scores(self, terms: Sequence[str], ids: Collection[int]) -> list[tuple[int, float]]:
        return fulltext.scores_of(self._connection, terms, ids)

    def document_frequency(self, terms: Sequence[str]) -> list[int]:
        _, passages = self.count()
        return list(fulltext.document_frequency(self._connection, terms, passages).values())

    def words_held(self, words: Collection[str]) -> dict[str, int]:
        return fulltext.words_held(self._connection, words)

    def names_sounding(self, sound: str) -> dict[str, int]:
        return fulltext.names_sounding(self._connection, sound)

    def count(self) -> tuple[int, int]:
        counted: tuple[int, int] = self._connection.execute(
            "SELECT (SELECT count(*) FROM document), (SELECT count(*) FROM passage)"
        ).fetchone()
        return counted

    def centre(self, documents: Collection[str]) -> Centre:
        return rows.centre(self._connection, self.state.dimension, documents)

    def meta(self, key: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def metas(self) -> dict[str, str]:
        found = self._connection.execute("SELECT key, value FROM meta")
        return {str(key): str(value) for key, value in found if not rows.is_of_document(str(key))}

    def last_ids(self) -> tuple[int, int]:
        last = dict(self._connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        return last.get("document", 0), last.get("passage", 0)

    def copies(self) -> list[Copy]:
        found = self._connection.execute(
            """
            SELECT document.id, coalesce(min(passage.id), 0) AS first, count(passage.id), root, source, title
            FROM document LEFT JOIN passage ON document_id = document.id
            GROUP BY document.id ORDER BY first, document.id
            """
        )
        return [Copy(*row) for row in found]

    def verify(self) -> None:
        verify(self._connection, self.state.dimension)

    def passage_ids(self, sources: Collection[str]) -> IntArray:
        found = self._connection.execute(PASSAGES_OF_SOURCES, (json.dumps(list(sources)),)) if sources else ()
        return _array(found)

    def ids(self) -> IntArray:
        return _array(self._connection.execute("SELECT id FROM passage ORDER BY id"))

    def vectors(self, ids: Sequence[int]) -> tuple[list[int], FloatArray]:
        found = self._connection.execute(
            "SELECT id, vector FROM passage WHERE id IN (SELECT value FROM json_each(?))", (_json(ids),)
        ).fetchall()
        return [i for i, _ in found], from_blobs([blob for _, blob in found], self.state.dimension)

    def vectors_after(self, after: int, block: int = BLOCK) -> Iterator[tuple[IntArray, FloatArray]]:
        found = self._connection.execute("SELECT id, vector FROM passage WHERE id > ? ORDER BY id", (after,))
        while some := found.fetchmany(block):
            yield np.array([i for i, _ in some], np.int64), from_blobs([blob for _, blob in some], self.state.dimension)

    def highest(self) -> int:
        (highest,) = self._connection.execute("SELECT max(id) FROM passage").fetchone()
        return highest or 0

    def tombstones(self) -> IntArray:
        return _array(self._connection.execute("SELECT id FROM tombstone"))

    def lag(self) -> int:
        (lag,) = self._connection.execute(
            "SELECT (SELECT count(*) FROM passage WHERE id > ?) + (SELECT count(*) FROM tombstone)",
            (self.state.snapshot_highest,),
        ).fetchone()
        return int(lag)


class SqliteWriter(SqliteReader):
    """A transaction that writes: `catalogue.Writer`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._words = WordCounts()

    def replace(self, ready: Ready) -> int:
        return rows.put_document(self._connection, self._words, *ready)

    def put_copy(self, taken: TakenOut, first: int) -> None:
        document, ready = taken.document, (taken.document, taken.chunks, taken.vectors)
        rows.put_document(
            self._connection, self._words, *ready, document_id=document.id, changed=taken.changed, first=first
        )

    def go_on_from(self, last_ids: tuple[int, int]) -> None:
        for table, last in zip(("document", "passage"), last_ids, strict=True):
            there = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
            self._connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            self._connection.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, max(last, *(there or (0,)))))

    def put_back(self, taken: TakenOut) -> None:
        rows.put_back_document(self._connection, self._words, taken)

    def rename(self, document_id: int, document: Document) -> None:
        rows.rename_document(self._connection, self._words, document_id, document)

    def delete(self, document_ids: Sequence[int]) -> None:
        rows.delete_documents(self._connection, self._words, document_ids)

    def set_meta(self, key: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def begin_anew(self, fingerprint: str, dimension: int) -> None:
        self._connection.execute("UPDATE state SET fingerprint = ?, dimension = ?", (fingerprint, dimension))
        fulltext.restore_words(self._connection)

    def cut_anew(self, document_id: int, ready: Ready) -> None:
        rows.delete_passages(self._connection, self._words, document_id)
        rows.put_passages(self._connection, self._words, document_id, *ready)

    def set_snapshot(self, name: str, sha256: str, count: int, highest: int) -> None:
        self._connection.execute(
            "UPDATE state SET snapshot = ?, snapshot_sha256 = ?, snapshot_generation = generation, "
            "snapshot_count = ?, snapshot_highest = ?",
            (name, sha256, count, highest),
        )

    def bury(self, ids: IntArray | None = None) -> None:
        if ids is None:
            self._connection.execute("DELETE FROM tombstone")
        else:
            of = "DELETE FROM tombstone WHERE id IN (SELECT value FROM json_each(?))"
            self._connection.execute(of, (_json(ids.tolist()),))

    def count_write(self) -> None:
        self._words.store(self._connection)
        count_write(self._connection)


class SqliteCatalogue:
    """The catalogue of one index folder: one process writes at a time, any number read."""

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder)

    @property
    def name(self) -> str:
        return str(self._database.folder)

    def exists(self) -> bool:
        return self._database.exists()

    def create_if_absent(self, fingerprint: str, dimension: int) -> None:
        self._database.create_if_absent(fingerprint, dimension)

    def writing(self) -> AbstractContextManager[None]:
        return self._database.writing()

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        with self._database.reading() as connection:
            yield SqliteReader(connection)

    @contextmanager
    def transaction(self) -> Iterator[Writer]:
        with self._database.transaction() as connection:
            yield SqliteWriter(connection)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        with self._database.writing():  # whoever is in here is a writer
            yield True

    def translated(self) -> AbstractContextManager[None]:
        return self._database.translated()

    def close(self) -> None:
        self._database.close()


def _json(ids: Sequence[int]) -> str:
    return json.dumps([int(i) for i in ids])


def _array(found: sqlite3.Cursor | Sequence[tuple[int]]) -> IntArray:
    return np.array([i for (i,) in found], dtype=np.int64)


def _utf8(text: str) -> str:
    """`text` without lone surrogates, which SQLite cannot take."""
    return text.encode("utf-8", "replace").decode()
