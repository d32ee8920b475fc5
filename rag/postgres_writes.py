"""A transaction that writes to PostgreSQL: our values as its rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from . import postgres_words as lexical
from .catalogue import Ready
from .errors import DocumentUnreadable
from .fulltext import WordCounts
from .lexemes import LONGEST, Lexemes, analysed
from .postgres_rows import SEQUENCES, PostgresReader, plain, title_key
from .stored import FIBONACCI, HASHES, IntArray, TakenOut, to_blob
from .types import Document

_LONGEST_NAME = 2_600  # bytes of root and source together
_INSERT_PASSAGE = text(
    "INSERT INTO rag_passage (id, document_id, start, stop, page, heading, text, vector, spread, tokens, lexemes) "
    "VALUES (:id, :document_id, :start, :stop, :page, :heading, :text, :vector, :spread, :tokens, "
    "CAST(:lexemes AS tsvector))"
)


class PostgresWriter(PostgresReader):
    """A transaction that writes: `catalogue.Writer`."""

    def __init__(self, connection: Connection, row: Mapping[str, Any]) -> None:
        super().__init__(connection, row)
        self._words = WordCounts()
        self._lexemes: Counter[str] = Counter()
        self._added: Counter[str] = Counter(documents=0, passages=0, tokens=0)

    def replace(self, ready: Ready) -> int:
        return self._put(ready)

    def put_copy(self, taken: TakenOut, first: int) -> None:
        self._put((taken.document, taken.chunks, taken.vectors), taken.document.id, taken.changed, first)
        self.go_on_from((taken.document.id, first + len(taken.chunks) - 1))

    def go_on_from(self, last_ids: tuple[int, int]) -> None:
        for sequence, last in zip(SEQUENCES, last_ids, strict=True):
            self._run(f"SELECT setval('{sequence}', greatest(last_value, :last)) FROM {sequence}", last=last)

    def put_back(self, taken: TakenOut) -> None:
        document = taken.document
        if self._id_of(document) is not None:
            raise DocumentUnreadable(
                f"{document.source} was added again meanwhile; remove that one first to have the older one back"
            )
        self._put((document, taken.chunks, taken.vectors), document.id, taken.changed)

    def _put(self, ready: Ready, document_id: int | None = None, changed: str = "", first: int | None = None) -> int:
        document = ready[0]
        _check_storable(document)
        old = self._id_of(document)
        if old is not None:
            self._delete_passages(old)
        row = {
            "id": old or document_id,
            "root": document.root,
            "source": document.source,
            "title": document.title,
            "title_key": title_key(document.title),
            "title_bare": _title_bare(document.title),
            "media_type": document.media_type,
            "sha256": document.sha256,
            "pages": json.dumps(document.pages),
            "text": document.text,
            "characters": len(document.text),
            "changed": changed or datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if row["id"] is None:
            del row["id"]
        values = ", ".join(f":{name}" for name in row)
        updates = ", ".join(f"{name} = excluded.{name}" for name in row if name not in ("id", "root", "source"))
        ((stored_id,),) = self.all(
            f"INSERT INTO rag_document ({', '.join(row)}) VALUES ({values}) "
            f"ON CONFLICT (root, source) DO UPDATE SET {updates} RETURNING id",
            **row,
        )
        self._added["documents"] += old is None
        self._put_passages(int(stored_id), ready, first)
        return int(stored_id)

    def _id_of(self, document: Document) -> int | None:
        of = "SELECT id FROM rag_document WHERE root = :root AND source = :source"
        rows = self.all(of, root=document.root, source=document.source)
        return rows[0][0] if rows else None

    def rename(self, document_id: int, document: Document) -> None:
        _check_storable(document)
        rows = self._uncounted(document_id)
        self._run(
            "UPDATE rag_document SET root = :root, source = :source, title = :title, title_key = :title_key, "
            "title_bare = :title_bare WHERE id = :id",
            id=document_id,
            root=document.root,
            source=document.source,
            title=document.title,
            title_key=title_key(document.title),
            title_bare=_title_bare(document.title),
        )
        renamed = self._counted([(document.title, row.heading, row.text) for row in rows])
        for row, found in zip(rows, renamed, strict=True):
            self._run(
                "UPDATE rag_passage SET lexemes = CAST(:lexemes AS tsvector), tokens = :tokens WHERE id = :id",
                id=row.id,
                lexemes=lexical.tsvector(found),
                tokens=found.tokens,
            )

    def delete(self, document_ids: Sequence[int]) -> None:
        for document_id in document_ids:
            self._delete_passages(document_id)
            gone = self.all("DELETE FROM rag_document WHERE id = :id RETURNING id", id=document_id)
            self._added["documents"] -= len(gone)

    def set_meta(self, key: str, value: str) -> None:
        self._run(
            "INSERT INTO rag_meta VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            key=plain(key),
            value=plain(value),
        )

    def begin_anew(self, fingerprint: str, dimension: int) -> None:
        self._run(
            "UPDATE rag_state SET fingerprint = :fingerprint, dimension = :dimension, passages = 0, tokens = 0, "
            "documents = (SELECT count(*) FROM rag_document)",
            fingerprint=fingerprint,
            dimension=dimension,
        )
        self._run("INSERT INTO rag_tombstone SELECT id FROM rag_passage")
        for table in ("rag_passage", "rag_word", "rag_lexeme"):
            self._run(f"DELETE FROM {table}")

    def cut_anew(self, document_id: int, ready: Ready) -> None:
        self._delete_passages(document_id)
        self._put_passages(document_id, ready)

    def set_snapshot(self, name: str, sha256: str, count: int, highest: int) -> None:
        self._run(
            "UPDATE rag_state SET snapshot = :name, snapshot_sha256 = :sha256, snapshot_generation = generation, "
            "snapshot_count = :count, snapshot_highest = :highest",
            name=name,
            sha256=sha256,
            count=count,
            highest=highest,
        )

    def bury(self, ids: IntArray | None = None) -> None:
        if ids is None:
            self._run("DELETE FROM rag_tombstone")
        else:
            self._run("DELETE FROM rag_tombstone WHERE id = ANY(:ids)", ids=ids.tolist())

    def count_write(self) -> None:
        # Nobody spells by a longer one, which may be a whole paragraph of Chinese.
        words = [change for change in self._words.changes() if any(change[1:3]) and len(change[0]) <= LONGEST]
        if words:
            written, passages, lower, sounds = map(list, zip(*words, strict=True))
            self._run(
                "INSERT INTO rag_word SELECT * FROM unnest(CAST(:words AS text[]), CAST(:passages AS bigint[]), "
                "CAST(:lower AS bigint[]), CAST(:sounds AS text[])) ON CONFLICT (word) DO UPDATE "
                "SET passages = rag_word.passages + excluded.passages, lower = rag_word.lower + excluded.lower",
                words=written,
                passages=passages,
                lower=lower,
                sounds=sounds,
            )
            fewer = [word for word, count, *_ in words if count < 0]
            self._run("DELETE FROM rag_word WHERE word = ANY(:words) AND passages <= 0", words=fewer)
        lexemes = {lexeme: count for lexeme, count in self._lexemes.items() if count}
        if lexemes:
            self._run(
                "INSERT INTO rag_lexeme SELECT * FROM unnest(CAST(:lexemes AS text[]), CAST(:passages AS bigint[])) "
                "ON CONFLICT (lexeme) DO UPDATE SET passages = rag_lexeme.passages + excluded.passages",
                lexemes=list(lexemes),
                passages=list(lexemes.values()),
            )
            fewer = [lexeme for lexeme, count in lexemes.items() if count < 0]
            self._run("DELETE FROM rag_lexeme WHERE lexeme = ANY(:lexemes) AND passages <= 0", lexemes=fewer)
        self._run(
            "UPDATE rag_state SET generation = generation + 1, documents = documents + :documents, "
            "passages = passages + :passages, tokens = tokens + :tokens",
            **self._added,
        )

    def _put_passages(self, document_id: int, ready: Ready, first: int | None = None) -> None:
        document, chunks, vectors = ready
        if not chunks:
            return
        texts = [(document.title, c.heading, document.text[c.start : c.end]) for c in chunks]
        ids = self._next_ids(len(chunks)) if first is None else range(first, first + len(chunks))
        rows = [
            {
                "id": i,
                "document_id": document_id,
                "start": chunk.start,
                "stop": chunk.end,
                "page": chunk.page,
                "heading": chunk.heading,
                "text": passage,
                "vector": to_blob(vector),
                "spread": i * FIBONACCI % HASHES,
                "tokens": found.tokens,
                "lexemes": lexical.tsvector(found),
            }
            for i, chunk, (_, _, passage), vector, found in zip(
                ids, chunks, texts, vectors, self._counted(texts), strict=True
            )
        ]
        self.connection.execute(_INSERT_PASSAGE, rows)
        self._added["passages"] += len(rows)

    def _next_ids(self, n: int) -> list[int]:
        return [i for (i,) in self.all("SELECT nextval('rag_passage_id') FROM generate_series(1, :n)", n=n)]

    def _delete_passages(self, document_id: int) -> None:
        ids = [row.id for row in self._uncounted(document_id)]
        self._run("INSERT INTO rag_tombstone SELECT unnest(CAST(:ids AS bigint[]))", ids=ids)
        self._run("DELETE FROM rag_passage WHERE document_id = :id", id=document_id)
        self._added["passages"] -= len(ids)

    def _counted(self, texts: Sequence[tuple[str, str, str]]) -> list[Lexemes]:
        """The lexemes of passages, (title, heading, text) each, which count from now on."""
        self._words.count(texts, 1)
        every = analysed(texts)
        for found in every:
            self._lexemes.update(found.places.keys())
            self._added["tokens"] += found.tokens
        return every

    def _uncounted(self, document_id: int) -> Sequence[Any]:
        """The passages of a document: id, heading, text. Their words count no more."""
        rows = self.all(
            "SELECT passage.id, title, heading, passage.text, tokens, tsvector_to_array(lexemes) AS lexemes "
            "FROM rag_passage AS passage JOIN rag_document AS document ON document.id = document_id "
            "WHERE document_id = :id ORDER BY passage.id",
            id=document_id,
        )
        self._words.count([(row.title, row.heading, row.text) for row in rows], -1)
        for row in rows:
            self._lexemes.subtract(row.lexemes)
            self._added["tokens"] -= row.tokens
        return rows

    def _run(self, statement: str, **values: object) -> None:
        self.connection.execute(text(statement), values)


def _check_storable(document: Document) -> None:
    source = document.source
    if any("\0" in field for field in (document.root, source, document.title, document.media_type, document.text)):
        raise DocumentUnreadable(
            f"{source!r} holds a NUL character, which PostgreSQL cannot keep; remove it from the file"
        )
    if len(f"{document.root}{source}".encode("utf-8", "replace")) > _LONGEST_NAME:
        raise DocumentUnreadable(f"{source[:40]}… has a name that is too long for PostgreSQL; give it a shorter one")


def _title_bare(title: str) -> str | None:
    """What a title is called by, too: "Lilu" is "Lilu (mythology)"."""
    bare, bracket, _ = title_key(title).partition(" (")
    return bare if bracket else None
