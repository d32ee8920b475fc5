"""What a transaction sees of PostgreSQL: its rows as our values. The transaction is that of `postgres`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from . import postgres_words as lexical
from .catalogue import BLOCK, Copy
from .errors import DocumentsNotFound, IndexDamaged
from .stored import (
    HASHES,
    SAMPLE,
    Centre,
    FloatArray,
    IntArray,
    State,
    TakenOut,
    centre_of,
    from_blobs,
    to_document,
    to_passage,
)
from .types import UPLOADS_ROOT, Chunk, Document, Listed, Passage

_PASSAGE = f"""
    SELECT passage.id, document_id, source, title, start, stop, passage.text, page, heading,
        CAST(root = '{UPLOADS_ROOT}' AS INTEGER)
    FROM rag_passage AS passage JOIN rag_document AS document ON document.id = document_id
"""
_DOCUMENT = "id, root, source, title, media_type, sha256, pages"
_LONGEST_KEY = 300  # characters of a title; an index of PostgreSQL takes 2,700 bytes
_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_IDS = 2**63
SEQUENCES = ("rag_document_id_seq", "rag_passage_id")


class PostgresReader:
    """What one transaction sees of the database: `catalogue.Reader`. `counts` is the row of `rag_state`."""

    def __init__(self, connection: Connection, row: Mapping[str, Any]) -> None:
        self.connection = connection
        self.counts = row
        fields = {name: row[name] for name in State._fields if name in row}
        self.state = State(**fields, file=f"postgresql:{row['identity']}")

    def documents(self, *, root: str | None = None, source: str | None = None) -> list[Document]:
        where = "TRUE"
        if root is not None:
            where = "root = :root OR (root > :root || '/' AND root < :root || '0')"  # 0 is what follows / in Unicode
        elif source is not None:
            where = "source = :source"
        rows = self.all(
            f"SELECT {_DOCUMENT}, '' FROM rag_document WHERE {where} ORDER BY source, root",
            root=plain(root or ""),
            source=plain(source or ""),
        )
        return [to_document(*row) for row in rows]

    def document_ids(self) -> list[int]:
        return [i for (i,) in self.all("SELECT id FROM rag_document ORDER BY id")]

    def listing(self) -> list[Listed]:
        rows = self.all(
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
        rows = self.all(f"SELECT {_DOCUMENT}, text FROM rag_document WHERE id = ANY(:ids)", ids=_list([document_id]))
        if not rows:
            raise DocumentsNotFound(
                f"document {document_id} is no longer in the index; run 'rag documents' to see what is"
            )
        return to_document(*rows[0])

    def chunks(self, document_id: int) -> list[Chunk]:
        rows = self.all(
            "SELECT start, stop, page, heading FROM rag_passage WHERE document_id = :id ORDER BY id", id=document_id
        )
        return [Chunk(*row) for row in rows]

    def taken(self, document_id: int) -> TakenOut:
        document = self.document(document_id)
        rows = self.all(
            "SELECT start, stop, page, heading, vector FROM rag_passage WHERE document_id = :id ORDER BY id",
            id=document_id,
        )
        ((changed,),) = self.all("SELECT changed FROM rag_document WHERE id = :id", id=document_id)
        vectors = from_blobs([bytes(row[-1]) for row in rows], self.state.dimension)
        return TakenOut(document, tuple(Chunk(*row[:-1]) for row in rows), vectors, changed)

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        return [to_passage(*row) for row in self.all(f"{_PASSAGE} WHERE passage.id = ANY(:ids)", ids=_list(ids))]

    def verify_quotable(self, ids: Sequence[int]) -> None:
        rows = self.all(
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
        keys = [title_key(title) for title in titles]
        where = ["(title_key = ANY(:keys) OR title_bare = ANY(:keys))"]
        where += ["source = ANY(:documents)"] if documents else []
        where += ["source <> ALL(:exclude)"] if exclude else []
        rows = self.all(
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
        query = lexical.bm25(frequencies, self.counts["passages"], self.counts["tokens"])
        if query is None:
            return []
        where = " AND ".join([query.matches, *filters])
        rows = self.all(
            f"SELECT id, {query.score} AS score FROM rag_passage WHERE {where} ORDER BY score DESC, id LIMIT :most",
            most=min(k, 2**31),
            **query.values,
            **values,
        )
        return [(i, score) for i, score in rows]

    def document_frequency(self, terms: Sequence[str]) -> list[int]:
        parts = {term: lexical.parts(term) for term in terms}
        single = [lexemes[0] for lexemes in parts.values() if len(lexemes) == 1]
        rows = self.all("SELECT lexeme, passages FROM rag_lexeme WHERE lexeme = ANY(:single)", single=single)
        held = {lexeme: passages for lexeme, passages in rows}
        return [
            held.get(lexemes[0], 0) if len(lexemes) == 1 else self._phrase_frequency(lexemes)
            for lexemes in map(parts.__getitem__, terms)
        ]

    def _phrase_frequency(self, lexemes: Sequence[str]) -> int:
        if not lexemes:
            return 0
        phrase = lexical.tsquery(lexemes)
        ((held,),) = self.all(
            "SELECT count(*) FROM rag_passage WHERE lexemes @@ CAST(:phrase AS tsquery)", phrase=phrase
        )
        return int(held)

    def words_held(self, words: Collection[str]) -> dict[str, int]:
        rows = self.all("SELECT word, passages FROM rag_word WHERE word = ANY(:words)", words=list(words))
        return {word: passages for word, passages in rows}

    def names_sounding(self, sound: str) -> dict[str, int]:
        named = "SELECT word, passages FROM rag_word WHERE sound = :sound AND sound <> '' AND lower = 0"
        return {word: passages for word, passages in self.all(named, sound=sound)}

    def count(self) -> tuple[int, int]:
        return self.counts["documents"], self.counts["passages"]

    def centre(self, documents: Collection[str]) -> Centre:
        where = "TRUE"
        count = self.counts["passages"]
        if documents:
            where = "document_id IN (SELECT id FROM rag_document WHERE source = ANY(:documents))"
            count = len(self.passage_ids(documents))
        share = (
            HASHES if count <= SAMPLE else HASHES * SAMPLE // count
        )  # as for SQLite: the same sample of the same ids
        rows = self.all(
            f"SELECT vector FROM rag_passage WHERE {where} AND spread < :share ORDER BY id",
            share=share,
            documents=_texts(documents),
        )
        return centre_of(from_blobs([bytes(blob) for (blob,) in rows], self.state.dimension))

    def meta(self, key: str) -> str | None:
        rows = self.all("SELECT value FROM rag_meta WHERE key = :key", key=plain(key))
        return str(rows[0][0]) if rows else None

    def metas(self) -> dict[str, str]:
        return {key: value for key, value in self.all("SELECT key, value FROM rag_meta")}

    def last_ids(self) -> tuple[int, int]:
        documents, passages = (self.all(f"SELECT last_value FROM {sequence}")[0][0] for sequence in SEQUENCES)
        return int(documents), int(passages)

    def copies(self) -> list[Copy]:
        rows = self.all(
            """
            SELECT document.id, coalesce(min(passage.id), 0) AS first, count(passage.id), root, source, title
            FROM rag_document AS document LEFT JOIN rag_passage AS passage ON document_id = document.id
            GROUP BY document.id ORDER BY first, document.id
            """
        )
        return [Copy(*row) for row in rows]

    def verify(self) -> None:
        documents = self.connection.execute(
            text("SELECT id, source, text FROM rag_document ORDER BY id"), execution_options={"yield_per": 100}
        )
        counted = passages = 0
        for document_id, source, whole in documents:
            counted += 1
            for passage in self.all(
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
        ((tokens,),) = self.all("SELECT coalesce(sum(tokens), 0) FROM rag_passage")
        miscounted = self.all(
            """
            SELECT lexeme FROM (
                SELECT lexeme, count(*) AS held FROM rag_passage, unnest(tsvector_to_array(lexemes)) AS lexeme
                GROUP BY lexeme
            ) AS counted FULL JOIN rag_lexeme USING (lexeme) WHERE held IS DISTINCT FROM passages LIMIT 1
            """
        )
        if miscounted or tokens != self.counts["tokens"]:
            raise IndexDamaged("the keyword index counts other words than the passages have; run 'rag rebuild'")

    def passage_ids(self, sources: Collection[str]) -> IntArray:
        if not sources:
            return np.array([], np.int64)
        return _array(
            self.all(
                "SELECT passage.id FROM rag_document AS document "
                "JOIN rag_passage AS passage ON document_id = document.id WHERE source = ANY(:sources)",
                sources=_texts(sources),
            )
        )

    def ids(self) -> IntArray:
        return _array(self.all("SELECT id FROM rag_passage ORDER BY id"))

    def vectors(self, ids: Sequence[int]) -> tuple[list[int], FloatArray]:
        rows = self.all("SELECT id, vector FROM rag_passage WHERE id = ANY(:ids)", ids=_list(ids))
        return [i for i, _ in rows], from_blobs([bytes(blob) for _, blob in rows], self.state.dimension)

    def vectors_after(self, after: int, block: int = BLOCK) -> Iterator[tuple[IntArray, FloatArray]]:
        more = "SELECT id, vector FROM rag_passage WHERE id > :after ORDER BY id LIMIT :most"
        while rows := self.all(more, after=after, most=block):
            yield _array(rows), from_blobs([bytes(blob) for _, blob in rows], self.state.dimension)
            after = rows[-1][0]

    def highest(self) -> int:
        ((highest,),) = self.all("SELECT coalesce(max(id), 0) FROM rag_passage")
        return int(highest)

    def tombstones(self) -> IntArray:
        return _array(self.all("SELECT id FROM rag_tombstone"))

    def lag(self) -> int:
        ((lag,),) = self.all(
            "SELECT (SELECT count(*) FROM rag_passage WHERE id > :highest) + (SELECT count(*) FROM rag_tombstone)",
            highest=self.state.snapshot_highest,
        )
        return int(lag)

    def all(self, statement: str, **values: object) -> Sequence[Any]:
        """All rows of a statement, with these values for its :names."""
        return self.connection.execute(text(statement), values).fetchall()


def title_key(title: str) -> str:
    """A title as it is looked up: like SQLite, which knows no other letters' cases than those of ASCII."""
    return plain(title).translate(_ASCII_LOWER)[:_LONGEST_KEY]


def plain(written: str) -> str:
    """A text without lone surrogates and NUL, which PostgreSQL cannot take."""
    return written.encode("utf-8", "replace").decode().replace("\0", " ")


def _texts(sources: Collection[str]) -> list[str]:
    return [plain(source) for source in sources]


def _list(ids: Collection[int]) -> list[int]:
    return [int(i) for i in ids if abs(i) < _IDS]


def _array(rows: Sequence[Any]) -> IntArray:
    return np.array([row[0] for row in rows], dtype=np.int64)
