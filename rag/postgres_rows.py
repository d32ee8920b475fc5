"""Our values as rows of PostgreSQL, and back. All of it runs inside one transaction of `postgres`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from . import postgres_words as lexical
from .catalogue import BLOCK, Copy, Ready
from .errors import DocumentsNotFound, DocumentUnreadable, IndexDamaged
from .fulltext import WordCounts
from .lexemes import LONGEST, Lexemes, analysed
from .stored import (
    FIBONACCI,
    HASHES,
    SAMPLE,
    Centre,
    FloatArray,
    IntArray,
    State,
    TakenOut,
    centre_of,
    from_blobs,
    to_blob,
    to_document,
    to_passage,
)
from .types import UPLOADS_ROOT, Chunk, Document, Listed, Passage, Vocabulary

_PASSAGE = f"""
    SELECT passage.id, document_id, source, title, start, stop, passage.text, page, heading,
        CAST(root = '{UPLOADS_ROOT}' AS INTEGER)
    FROM rag_passage AS passage JOIN rag_document AS document ON document.id = document_id
"""
_DOCUMENT = "id, root, source, title, media_type, sha256, pages"
_LONGEST_KEY = 300  # characters of a title; an index of PostgreSQL takes 2,700 bytes
_LONGEST_NAME = 2_600  # bytes of root and source together
_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_IDS = 2**63
_SEQUENCES = ("rag_document_id_seq", "rag_passage_id")
_INSERT_PASSAGE = text(
    "INSERT INTO rag_passage (id, document_id, start, stop, page, heading, text, vector, spread, tokens, lexemes) "
    "VALUES (:id, :document_id, :start, :stop, :page, :heading, :text, :vector, :spread, :tokens, "
    "CAST(:lexemes AS tsvector))"
)


class PostgresReader:
    """What one transaction sees of the database: `catalogue.Reader`."""

    def __init__(self, connection: Connection, row: Mapping[str, Any]) -> None:
        self._connection = connection
        self._counts = row
        fields = {name: row[name] for name in State._fields if name in row}
        self.state = State(**fields, file=f"postgresql:{row['identity']}")

    def documents(self, *, root: str | None = None, source: str | None = None) -> list[Document]:
        where = "TRUE"
        if root is not None:
            where = "root = :root OR (root > :root || '/' AND root < :root || '0')"  # 0 is what follows / in Unicode
        elif source is not None:
            where = "source = :source"
        rows = self._all(
            f"SELECT {_DOCUMENT}, '' FROM rag_document WHERE {where} ORDER BY source, root",
            root=_plain(root or ""),
            source=_plain(source or ""),
        )
        return [to_document(*row) for row in rows]

    def document_ids(self) -> list[int]:
        return [i for (i,) in self._all("SELECT id FROM rag_document ORDER BY id")]

    def listing(self) -> list[Listed]:
        rows = self._all(
            f"""
            SELECT {_DOCUMENT}, '', characters,
                (SELECT count(*) FROM rag_passage WHERE document_id = rag_document.id), changed
            FROM rag_document ORDER BY changed DESC, source, root
            """
        )
        return [
            Listed(to_document(*row), characters, passages, changed) for *row, characters, passages, changed in rows
        ]

    def document(self, document_id: int) -> Document:
        rows = self._all(f"SELECT {_DOCUMENT}, text FROM rag_document WHERE id = ANY(:ids)", ids=_list([document_id]))
        if not rows:
            raise DocumentsNotFound(
                f"document {document_id} is no longer in the index; run 'rag documents' to see what is"
            )
        return to_document(*rows[0])

    def chunks(self, document_id: int) -> list[Chunk]:
        rows = self._all(
            "SELECT start, stop, page, heading FROM rag_passage WHERE document_id = :id ORDER BY id", id=document_id
        )
        return [Chunk(*row) for row in rows]

    def taken(self, document_id: int) -> TakenOut:
        document = self.document(document_id)
        rows = self._all(
            "SELECT start, stop, page, heading, vector FROM rag_passage WHERE document_id = :id ORDER BY id",
            id=document_id,
        )
        ((changed,),) = self._all("SELECT changed FROM rag_document WHERE id = :id", id=document_id)
        vectors = from_blobs([bytes(row[-1]) for row in rows], self.state.dimension)
        return TakenOut(document, tuple(Chunk(*row[:-1]) for row in rows), vectors, changed)

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        return [to_passage(*row) for row in self._all(f"{_PASSAGE} WHERE passage.id = ANY(:ids)", ids=_list(ids))]

    def verify_quotable(self, ids: Sequence[int]) -> None:
        rows = self._all(
            """
            SELECT passage.id, source
            FROM rag_passage AS passage JOIN rag_document AS document ON document.id = document_id
            WHERE passage.id = ANY(:ids)
                AND passage.text <> substr(document.text, passage.start + 1, passage.stop - passage.start)
            """,
            ids=_list(ids),
        )
        for passage_id, source in rows:
            raise IndexDamaged(f"passage {passage_id} of '{source}' is not what its document says; run 'rag rebuild'")

    def titled(
        self, titles: Sequence[str], most: int, documents: Collection[str], exclude: Collection[str]
    ) -> list[int]:
        keys = [_title_key(title) for title in titles]
        where = ["(title_key = ANY(:keys) OR title_bare = ANY(:keys))"]
        where += ["source = ANY(:documents)"] if documents else []
        where += ["source <> ALL(:exclude)"] if exclude else []
        rows = self._all(
            "SELECT passage.id FROM rag_document AS document JOIN rag_passage AS passage ON document_id = document.id "
            f"WHERE {' AND '.join(where)} ORDER BY passage.id LIMIT :most",
            keys=keys,
            most=most,
            exclude=_texts(exclude),
            documents=_texts(documents),
        )
        return [i for (i,) in rows]

    def best(
        self, terms: Sequence[str], k: int, documents: Collection[str], exclude: Collection[str]
    ) -> list[tuple[int, float]]:
        if k <= 0:
            return []
        filters = ["document_id NOT IN (SELECT id FROM rag_document WHERE source = ANY(:exclude))"] if exclude else []
        if documents:
            filters.append("document_id IN (SELECT id FROM rag_document WHERE source = ANY(:documents))")
        return self._scored(terms, filters, k, documents=_texts(documents), exclude=_texts(exclude))

    def scores(self, terms: Sequence[str], ids: Collection[int]) -> list[tuple[int, float]]:
        return self._scored(terms, ["id = ANY(:ids)"], len(ids), ids=_list(ids)) if ids else []

    def _scored(
        self, terms: Sequence[str], filters: Sequence[str], k: int, **values: object
    ) -> list[tuple[int, float]]:
        frequencies = dict(zip(terms, self.document_frequency(terms), strict=True))
        query = lexical.bm25(frequencies, self._counts["passages"], self._counts["tokens"])
        if query is None:
            return []
        where = " AND ".join([query.matches, *filters])
        rows = self._all(
            f"SELECT id, {query.score} AS score FROM rag_passage WHERE {where} ORDER BY score DESC, id LIMIT :most",
            most=min(k, 2**31),
            **query.values,
            **values,
        )
        return [(i, score) for i, score in rows]

    def document_frequency(self, terms: Sequence[str]) -> list[int]:
        parts = {term: lexical.parts(term) for term in terms}
        single = [lexemes[0] for lexemes in parts.values() if len(lexemes) == 1]
        rows = self._all("SELECT lexeme, passages FROM rag_lexeme WHERE lexeme = ANY(:single)", single=single)
        held = {lexeme: passages for lexeme, passages in rows}
        return [
            held.get(lexemes[0], 0) if len(lexemes) == 1 else self._phrase_frequency(lexemes)
            for lexemes in map(parts.__getitem__, terms)
        ]

    def _phrase_frequency(self, lexemes: Sequence[str]) -> int:
        if not lexemes:
            return 0
        phrase = lexical.tsquery(lexemes)
        ((held,),) = self._all(
            "SELECT count(*) FROM rag_passage WHERE lexemes @@ CAST(:phrase AS tsquery)", phrase=phrase
        )
        return int(held)

    def vocabulary(self) -> Vocabulary:
        rows = self._all("SELECT word, passages, lower FROM rag_word")
        return Vocabulary({word: n for word, n, _ in rows}, {word: n for word, n, lower in rows if not lower})

    def count(self) -> tuple[int, int]:
        return self._counts["documents"], self._counts["passages"]

    def centre(self, documents: Collection[str]) -> Centre:
        where = "TRUE"
        count = self._counts["passages"]
        if documents:
            where = "document_id IN (SELECT id FROM rag_document WHERE source = ANY(:documents))"
            count = len(self.passage_ids(documents))
        share = (
            HASHES if count <= SAMPLE else HASHES * SAMPLE // count
        )  # as for SQLite: the same sample of the same ids
        rows = self._all(
            f"SELECT vector FROM rag_passage WHERE {where} AND spread < :share ORDER BY id",
            share=share,
            documents=_texts(documents),
        )
        return centre_of(from_blobs([bytes(blob) for (blob,) in rows], self.state.dimension))

    def meta(self, key: str) -> str | None:
        rows = self._all("SELECT value FROM rag_meta WHERE key = :key", key=_plain(key))
        return str(rows[0][0]) if rows else None

    def metas(self) -> dict[str, str]:
        return {key: value for key, value in self._all("SELECT key, value FROM rag_meta")}

    def last_ids(self) -> tuple[int, int]:
        documents, passages = (self._all(f"SELECT last_value FROM {sequence}")[0][0] for sequence in _SEQUENCES)
        return int(documents), int(passages)

    def copies(self) -> list[Copy]:
        rows = self._all(
            """
            SELECT document.id, coalesce(min(passage.id), 0) AS first, count(passage.id), root, source, title
            FROM rag_document AS document LEFT JOIN rag_passage AS passage ON document_id = document.id
            GROUP BY document.id ORDER BY first, document.id
            """
        )
        return [Copy(*row) for row in rows]

    def verify(self) -> None:
        documents = self._connection.execute(
            text("SELECT id, source, text FROM rag_document ORDER BY id"), execution_options={"yield_per": 100}
        )
        counted = passages = 0
        for document_id, source, whole in documents:
            counted += 1
            for passage in self._all(
                "SELECT id, start, stop, text, vector FROM rag_passage WHERE document_id = :id", id=document_id
            ):
                passages += 1
                if whole[passage.start : passage.stop] != passage.text:
                    raise IndexDamaged(
                        f"passage {passage.id} of '{source}' is not what its document says; run 'rag rebuild'"
                    )
                from_blobs([bytes(passage.vector)], self.state.dimension)
        if (counted, passages) != self.count():
            there = f"there are {counted} documents and {passages} passages"
            raise IndexDamaged("{}, and the index counts {} and {}; run 'rag rebuild'".format(there, *self.count()))
        ((tokens,),) = self._all("SELECT coalesce(sum(tokens), 0) FROM rag_passage")
        miscounted = self._all(
            """
            SELECT lexeme FROM (
                SELECT lexeme, count(*) AS held FROM rag_passage, unnest(tsvector_to_array(lexemes)) AS lexeme
                GROUP BY lexeme
            ) AS counted FULL JOIN rag_lexeme USING (lexeme) WHERE held IS DISTINCT FROM passages LIMIT 1
            """
        )
        if miscounted or tokens != self._counts["tokens"]:
            raise IndexDamaged("the keyword index counts other words than the passages have; run 'rag rebuild'")

    def passage_ids(self, sources: Collection[str]) -> IntArray:
        if not sources:
            return np.array([], np.int64)
        return _array(
            self._all(
                "SELECT passage.id FROM rag_document AS document "
                "JOIN rag_passage AS passage ON document_id = document.id WHERE source = ANY(:sources)",
                sources=_texts(sources),
            )
        )

    def ids(self) -> IntArray:
        return _array(self._all("SELECT id FROM rag_passage ORDER BY id"))

    def vectors(self, ids: Sequence[int]) -> tuple[list[int], FloatArray]:
        rows = self._all("SELECT id, vector FROM rag_passage WHERE id = ANY(:ids)", ids=_list(ids))
        return [i for i, _ in rows], from_blobs([bytes(blob) for _, blob in rows], self.state.dimension)

    def vectors_after(self, after: int, block: int = BLOCK) -> Iterator[tuple[IntArray, FloatArray]]:
        more = "SELECT id, vector FROM rag_passage WHERE id > :after ORDER BY id LIMIT :most"
        while rows := self._all(more, after=after, most=block):
            yield _array(rows), from_blobs([bytes(blob) for _, blob in rows], self.state.dimension)
            after = rows[-1][0]

    def highest(self) -> int:
        ((highest,),) = self._all("SELECT coalesce(max(id), 0) FROM rag_passage")
        return int(highest)

    def tombstones(self) -> IntArray:
        return _array(self._all("SELECT id FROM rag_tombstone"))

    def lag(self) -> int:
        ((lag,),) = self._all(
            "SELECT (SELECT count(*) FROM rag_passage WHERE id > :highest) + (SELECT count(*) FROM rag_tombstone)",
            highest=self.state.snapshot_highest,
        )
        return int(lag)

    def _all(self, statement: str, **values: object) -> Sequence[Any]:
        return self._connection.execute(text(statement), values).fetchall()


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
        for sequence, last in zip(_SEQUENCES, last_ids, strict=True):
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
            "title_key": _title_key(document.title),
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
        ((stored_id,),) = self._all(
            f"INSERT INTO rag_document ({', '.join(row)}) VALUES ({values}) "
            f"ON CONFLICT (root, source) DO UPDATE SET {updates} RETURNING id",
            **row,
        )
        self._added["documents"] += old is None
        self._put_passages(int(stored_id), ready, first)
        return int(stored_id)

    def _id_of(self, document: Document) -> int | None:
        of = "SELECT id FROM rag_document WHERE root = :root AND source = :source"
        rows = self._all(of, root=document.root, source=document.source)
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
            title_key=_title_key(document.title),
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
            gone = self._all("DELETE FROM rag_document WHERE id = :id RETURNING id", id=document_id)
            self._added["documents"] -= len(gone)

    def set_meta(self, key: str, value: str) -> None:
        self._run(
            "INSERT INTO rag_meta VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            key=_plain(key),
            value=_plain(value),
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
        words = [change for change in self._words.changes() if any(change[1:]) and len(change[0]) <= LONGEST]
        if words:
            written, passages, lower = map(list, zip(*words, strict=True))
            self._run(
                "INSERT INTO rag_word SELECT * FROM unnest(CAST(:words AS text[]), CAST(:passages AS bigint[]), "
                "CAST(:lower AS bigint[])) ON CONFLICT (word) DO UPDATE "
                "SET passages = rag_word.passages + excluded.passages, lower = rag_word.lower + excluded.lower",
                words=written,
                passages=passages,
                lower=lower,
            )
            fewer = [word for word, count, _ in words if count < 0]
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
        self._connection.execute(_INSERT_PASSAGE, rows)
        self._added["passages"] += len(rows)

    def _next_ids(self, n: int) -> list[int]:
        return [i for (i,) in self._all("SELECT nextval('rag_passage_id') FROM generate_series(1, :n)", n=n)]

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
        rows = self._all(
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
        self._connection.execute(text(statement), values)


def _check_storable(document: Document) -> None:
    source = document.source
    if any("\0" in field for field in (document.root, source, document.title, document.media_type, document.text)):
        raise DocumentUnreadable(
            f"{source!r} holds a NUL character, which PostgreSQL cannot keep; remove it from the file"
        )
    if len(f"{document.root}{source}".encode("utf-8", "replace")) > _LONGEST_NAME:
        raise DocumentUnreadable(f"{source[:40]}… has a name that is too long for PostgreSQL; give it a shorter one")


def _title_key(title: str) -> str:
    """A title as it is looked up: like SQLite, which knows no other letters' cases than those of ASCII."""
    return _plain(title).translate(_ASCII_LOWER)[:_LONGEST_KEY]


def _title_bare(title: str) -> str | None:
    """What a title is called by, too: "Lilu" is "Lilu (mythology)"."""
    bare, bracket, _ = _title_key(title).partition(" (")
    return bare if bracket else None


def _plain(written: str) -> str:
    """A text without lone surrogates and NUL, which PostgreSQL cannot take."""
    return written.encode("utf-8", "replace").decode().replace("\0", " ")


def _texts(sources: Collection[str]) -> list[str]:
    return [_plain(source) for source in sources]


def _list(ids: Collection[int]) -> list[int]:
    return [int(i) for i in ids if abs(i) < _IDS]


def _array(rows: Sequence[Any]) -> IntArray:
    return np.array([row[0] for row in rows], dtype=np.int64)
