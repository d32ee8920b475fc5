"""The store: documents, passages and vectors in SQLite (the truth), FAISS and FTS5 (the speed).

One writer, many readers, in any number of threads and processes. A document is replaced in one transaction: a reader
sees its old or its new version. Passage ids are never used twice, so a stale id finds nothing rather than other text.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .database import Database
from .errors import IndexMismatch, RagError
from .fulltext import (
    best_passages,
    counted_words,
    document_frequency,
    rarest,
    restore_words,
    scores_of,
    vocabulary,
)
from .integrity import verify
from .kept import Kept
from .nearest import IntArray
from .rows import (
    DOCUMENT,
    PASSAGE,
    Centre,
    FloatArray,
    TakenOut,
    centre,
    centre_of,
    checked,
    chunks_of,
    delete_documents,
    delete_passages,
    from_blobs,
    get_document,
    list_documents,
    passages_of_titled,
    put_back_document,
    put_document,
    put_passages,
    rename_document,
    take_out_document,
    to_document,
    to_passage,
    verify_quotable,
)
from .schema import PASSAGES_OF_SOURCES, SCHEMA_VERSION, State, count_write, read_state
from .types import Chunk, Document, Listed, Passage, Vocabulary
from .vectors import Vectors, forget_snapshot

__all__ = ["SCHEMA_VERSION", "Centre", "FloatArray", "Store", "TakenOut", "centre_of"]

logger = logging.getLogger(__name__)

_LOOKED_AT = 5_000  # passages, by BM25, where there are rarer words to look for: some milliseconds
_COMMON = 0.05  # share of passages: a word that more of them hold, of a large index, tells little and costs most
_MOST_FREQUENCIES = 4096  # terms that are kept
_MOST_QUOTABLE = 4096  # passages that were compared with their documents


class _Reader(NamedTuple):
    connection: sqlite3.Connection
    state: State


class Store:
    """One index, opened. Every method raises `RagError` (IndexDamaged, IndexLocked …), none of SQLite's or FAISS's."""

    def __init__(self, database: Database, fingerprint: str, dimension: int) -> None:
        self._database = database
        self._fingerprint = fingerprint
        self._dimension = dimension
        self._vectors = Vectors(database.folder)
        self._local = threading.local()
        # What is kept of the state with this stamp; the centre also belongs to some sources.
        self._vocabulary: tuple[tuple[str, int], Vocabulary] = (("", 0), Vocabulary({}, {}))
        self._count = (("", 0), (0, 0))
        self._quotable = Kept[tuple[tuple[str, int], int], None](_MOST_QUOTABLE)
        self._frequencies = Kept[tuple[tuple[str, int], str], int](_MOST_FREQUENCIES)
        self._centre = ((("", 0), frozenset[str]()), Centre(np.zeros(dimension, np.float32), 0.0))

    @classmethod
    def open(cls, index_dir: Path, *, fingerprint: str, dimension: int) -> Store:
        """Open the index in `index_dir`, or create an empty one if there is none. An existing one is not written to.

        Raises IndexMismatch (another model, splitter or format) and IndexDamaged; neither deletes anything.
        """
        database = Database(index_dir)
        database.create_if_absent(fingerprint, dimension)
        store = cls(database, fingerprint, dimension)
        try:
            with store.reading():
                return store
        except BaseException:
            store.close()
            raise

    @staticmethod
    def exists(index_dir: Path) -> bool:
        """Whether there is an index in `index_dir`. Raises RagError where there can be none: it is no folder."""
        return Database(index_dir).exists()

    @classmethod
    def rebuild(
        cls,
        index_dir: Path,
        *,
        fingerprint: str,
        dimension: int,
        chunk: Callable[[Document], list[Chunk]],
        embed: Callable[[Document, list[Chunk]], FloatArray],
    ) -> None:
        """Make all passages and vectors again from the stored texts, whatever the old fingerprint was.

        What `verify` finds wrong with passages, vectors and words is right again. One transaction: other readers see
        all old or all new, and a kill or an error changes nothing. Document ids stay. `embed` returns
        [n_chunks, dimension], normalised.
        """
        database = Database(index_dir)
        database.create_if_absent(fingerprint, dimension)
        with cls(database, fingerprint, dimension) as store, database.writing():
            with database.transaction() as connection:
                connection.execute("UPDATE state SET fingerprint = ?, dimension = ?", (fingerprint, dimension))
                restore_words(connection)
                with counted_words(connection) as words:
                    for (document_id,) in connection.execute("SELECT id FROM document ORDER BY id").fetchall():
                        document = get_document(connection, document_id)
                        chunks = chunk(document)
                        vectors = checked(document, chunks, embed(document, chunks), dimension)
                        delete_passages(connection, words, document_id)
                        put_passages(connection, words, document_id, document, chunks, vectors)
                forget_snapshot(connection)
                count_write(connection)
            store._refresh_snapshot()

    def close(self) -> None:
        """Close all connections; those in use by other threads when they are done."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- writing ---------------------------------------------------------------------------------------------------

    def writing(self) -> AbstractContextManager[None]:
        """Hold the one-writer lock over several writes; re-entrant in one thread.

        Threads of this process wait for each other; IndexLocked when another process (or Store) holds it.
        """
        return self._database.writing()

    def replace(self, items: Sequence[tuple[Document, Sequence[Chunk], FloatArray]]) -> list[int]:
        """Add documents, or replace those with the same (root, source), in one transaction; returns their ids.

        Each item has its vectors: float32 [n_chunks, dimension], of length 1 (or 0). A replaced document keeps its
        id; its passages get new ones. Raises ValueError for spans or shapes that do not fit, and DocumentUnreadable
        for text that is not Unicode; nothing is stored then.
        """
        if not items:
            return []
        ready = [(d, chunks, checked(d, chunks, vectors, self._dimension)) for d, chunks, vectors in items]
        with self._write() as connection, counted_words(connection) as words:
            return [put_document(connection, words, *item) for item in ready]

    def rename(self, document_id: int, document: Document) -> None:
        """Give a stored document the root, source and title of `document`, in one transaction. Its passages stay."""
        with self._write() as connection, counted_words(connection) as words:
            rename_document(connection, words, document_id, document)

    def remove(self, document_ids: Iterable[int]) -> None:
        """Remove documents and their passages, in one transaction; ids that are gone are passed over."""
        if ids := [int(i) for i in document_ids]:
            with self._write() as connection, counted_words(connection) as words:
                delete_documents(connection, words, ids)

    def take_out(self, document_id: int) -> TakenOut:
        """Remove a document, in one transaction, and return what `put_back` needs.

        DocumentsNotFound when it is gone.
        """
        with self._write() as connection, counted_words(connection) as words:
            return take_out_document(connection, words, document_id, self._dimension)

    def put_back(self, taken: TakenOut) -> None:
        """Undo `take_out`, in one transaction: the same id, text, spans and vectors. Passages get new ids.

        DocumentUnreadable when a document of its name was added meanwhile; that one stays.
        """
        with self._write() as connection, counted_words(connection) as words:
            put_back_document(connection, words, taken)

    def set_meta(self, key: str, value: str) -> None:
        """Keep a small string with the index."""
        if self.meta(key) != value:  # writing what is there already would need the lock for nothing
            with self._write() as connection:
                connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def snapshot(self) -> None:
        """Write the FAISS file if it is missing, damaged or too far behind. Searches are right without it, too."""
        self._snapshot(verify=True)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self.writing():
            with self._database.transaction() as connection:
                self._check(read_state(connection))
                yield connection
                count_write(connection)
            self._refresh_snapshot()

    def _refresh_snapshot(self) -> None:
        try:
            self._snapshot(verify=False)
        except RagError as error:  # what was asked for is stored; the file only saves time
            logger.warning("the vector file was not written: %s", error)

    def _snapshot(self, *, verify: bool) -> None:
        with self.writing():
            with self._database.transaction() as connection:
                self._check(state := read_state(connection))
                if self._vectors.is_due(connection, state, verify=verify):
                    self._vectors.write(connection, state)
                    state = read_state(connection)
            self._vectors.remove_old_files(state)

    # -- reading ---------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[None]:
        """All reads inside, by this thread, see one state of the index, whatever is written meanwhile.

        Without it, a document may be replaced between a search and `passages`, and is in neither version there.
        It belongs to the thread (do not hold it across a `yield`), and SQLite's log grows while it is held.
        """
        with self._read():
            yield

    @contextmanager
    def _read(self) -> Iterator[_Reader]:
        reader: _Reader | None = getattr(self._local, "reader", None)
        if reader is not None:
            with self._database.translated():
                yield reader
            return
        with self._database.reading() as connection:
            self._check(state := read_state(connection))
            self._local.reader = _Reader(connection, state)
            try:
                yield self._local.reader
            finally:
                self._local.reader = None

    def _check(self, state: State) -> None:
        # At every transaction: another process may have rebuilt the index with another model in the meantime.
        if (state.fingerprint, state.dimension) != (self._fingerprint, self._dimension):
            raise IndexMismatch(
                f"the index in {self._database.folder} was made with another embedding model or splitter; "
                "run 'rag rebuild' (or restart, if it was rebuilt just now)"
            )

    def documents(self) -> list[Document]:
        """All documents, sorted by source; their text is left out ("")."""
        return self._documents("TRUE")

    def documents_in(self, root: str) -> list[Document]:
        """Those of a root and of the roots inside it (folder/collection.jsonl), as `documents` gives them."""
        # Everything that begins with "root/" lies between that and "root0": 0 is what follows / in Unicode.
        return self._documents("root = ?1 OR (root > ?1 || '/' AND root < ?1 || '0')", _utf8(root))

    def documents_called(self, source: str) -> list[Document]:
        """Those with this source, of any root, as `documents` gives them."""
        return self._documents("source = ?", _utf8(source))

    def _documents(self, where: str, *values: str) -> list[Document]:
        with self._read() as (connection, _):
            rows = connection.execute(
                f"SELECT {DOCUMENT}, '' FROM document WHERE {where} ORDER BY source, root", values
            )
            return [to_document(*row) for row in rows]

    def listing(self) -> list[Listed]:
        """All documents with their sizes, the last stored first."""
        with self._read() as (connection, _):
            return list_documents(connection)

    def place(self) -> str:
        """What is another one for a copy of this index, here or on another machine."""
        with self._read() as (_, state):
            return state.inode

    def stamp(self) -> str:
        """What is another one after every write, of any process."""
        with self._read() as (_, state):
            return f"{state.identity}-{state.generation}"

    def document(self, document_id: int) -> Document:
        """One document, whole; DocumentsNotFound when it is gone."""
        with self._read() as (connection, _):
            return get_document(connection, document_id)

    def chunks(self, document_id: int) -> list[Chunk]:
        """How a document is cut, in the order of its passages."""
        with self._read() as (connection, _):
            return chunks_of(connection, document_id)

    def dense(
        self, vector: FloatArray, k: int, *, documents: Collection[str] = (), exclude: Collection[str] = ()
    ) -> list[tuple[int, float]]:
        """The `k` nearest passages to `vector` [dimension] (normalised) as (id, cosine), best first.

        `documents` (all, if empty) and `exclude` are sources; a source in both is excluded.
        """
        vector = np.ascontiguousarray(vector, dtype=np.float32)
        if vector.shape != (self._dimension,):
            raise ValueError(f"the question's vector has shape {vector.shape} instead of ({self._dimension},)")
        with self._read() as (connection, state):
            only = _passage_ids(connection, documents) if documents else None
            without = _passage_ids(connection, exclude)
            return self._vectors.view(connection, state).search(connection, vector, k, only, without)

    def keyword(
        self, terms: Sequence[str], k: int, *, documents: Collection[str] = (), exclude: Collection[str] = ()
    ) -> list[tuple[int, float]]:
        """The `k` best passages that hold any of `terms` (stemmed; a term of several words is a phrase).

        As (id, score), best first; score is BM25 over title, heading and text, positive. Filters as in `dense`.
        """
        with self._read() as (connection, _):
            return best_passages(connection, terms, k, documents, exclude)

    def keyword_beside(
        self,
        ids: Collection[int],
        terms: Sequence[str],
        k: int,
        *,
        documents: Collection[str] = (),
        exclude: Collection[str] = (),
    ) -> dict[int, float]:
        """What `keyword` gives, and the scores of `ids`, which another search has found; 0 where they hold no term.

        BM25 looks at each passage that holds a term. So where all documents of a large index are searched, common terms
        do not count beside others; and where the others are held more than `_LOOKED_AT` times, one by one, the `k` are
        sought by the rarest alone. The other search has most of what holds frequent ones only.
        """
        with self._read() as (connection, _):
            frequencies, most = self._counting(terms, documents), max(_LOOKED_AT, k)
            all_at_once = documents or sum(frequencies.values()) <= most
            by = list(frequencies) if all_at_once else rarest(frequencies, most)
            found = dict(best_passages(connection, by, k, documents, exclude))
            unscored = [i for i in ids if i not in found] if all_at_once else {*ids, *found}
            return found | self.keyword_scores(unscored, terms, documents=documents)

    def keyword_scores(
        self, ids: Collection[int], terms: Sequence[str], *, documents: Collection[str] = ()
    ) -> dict[int, float]:
        """BM25 of these passages, on the scale of `keyword_beside`; 0 where they hold none of `terms`."""
        with self._read() as (connection, _):
            return dict.fromkeys(ids, 0.0) | dict(scores_of(connection, list(self._counting(terms, documents)), ids))

    def _counting(self, terms: Sequence[str], documents: Collection[str]) -> dict[str, int]:
        """The terms that count in a search, with how many passages hold each: not the common ones, unless all are.

        Of some documents only, all count: a word that is rare elsewhere may be in none of them.
        """
        frequencies = self.document_frequency(terms)
        _, passages = self.count()
        most = max(_LOOKED_AT, _COMMON * passages)
        rare = {term: held for term, held in frequencies.items() if 0 < held <= most}
        return frequencies if documents else rare or frequencies

    def titled(
        self, titles: Sequence[str], most: int, *, documents: Collection[str] = (), exclude: Collection[str] = ()
    ) -> list[int]:
        """At most `most` ids of passages whose document has one of these titles, whatever its case.

        What a title has in brackets behind it may be left out: "Lilu" finds "Lilu (mythology)". Filters as in `dense`.
        """
        with self._read() as (connection, _):
            return passages_of_titled(connection, [_utf8(title) for title in titles], most, documents, exclude)

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """The passages with these ids, in this order; ids that are gone are left out."""
        with self._read() as (connection, _):
            rows = connection.execute(f"{PASSAGE} WHERE passage.id IN (SELECT value FROM json_each(?))", (_json(ids),))
            found = {row[0]: to_passage(*row) for row in rows}
        return [found[i] for i in ids if i in found]

    def verify_quotable(self, passages: Sequence[Passage]) -> None:
        """IndexDamaged, with the cure, when one of these passages is not what its document says there.

        Each is looked at once: a quote is taken from the passage, and opened in the document.
        """
        with self._read() as (connection, state):

            def verified(new: list[tuple[tuple[str, int], int]]) -> list[None]:
                verify_quotable(connection, [passage_id for _, passage_id in new])
                return [None] * len(new)

            self._quotable.get([(state.stamp, passage.id) for passage in passages], verified)

    def vectors(self, ids: Sequence[int]) -> FloatArray:
        """The passages' vectors [n, dimension], in this order; a row of zeros where the id is gone."""
        with self._read() as (connection, _):
            rows = connection.execute(
                "SELECT id, vector FROM passage WHERE id IN (SELECT value FROM json_each(?))", (_json(ids),)
            ).fetchall()
        found = dict(zip((i for i, _ in rows), from_blobs([blob for _, blob in rows], self._dimension), strict=True))
        vectors = np.zeros((len(ids), self._dimension), np.float32)
        for row, i in enumerate(ids):
            vectors[row] = found.get(i, 0)
        return vectors

    def document_frequency(self, terms: Sequence[str]) -> dict[str, int]:
        """How many passages hold each term (stemmed, in title, heading or text)."""
        with self._read() as (connection, state):
            found = self._frequencies.get(
                [(state.stamp, term) for term in terms],
                lambda new: list(document_frequency(connection, [term for _, term in new], self.count()[1]).values()),
            )
            return dict(zip(terms, found, strict=True))

    def vocabulary(self) -> Vocabulary:
        """Every word of titles, headings and texts, folded as by `terms.fold`, and how many passages hold it."""
        with self._read() as (connection, state):
            stamp, words = self._vocabulary
            if stamp != state.stamp:
                words = vocabulary(connection)
                self._vocabulary = (state.stamp, words)
            return words

    def centre(self, documents: Collection[str] = ()) -> Centre:
        """What some hundred passages spread over the index, or over the sources `documents`, are about as a whole."""
        with self._read() as (connection, state):
            wanted = (state.stamp, frozenset(documents))
            kept, found = self._centre
            if kept != wanted:
                found = centre(connection, self._dimension, documents)
                self._centre = (wanted, found)
            return found

    def count(self) -> tuple[int, int]:
        """How many documents and passages there are."""
        with self._read() as (connection, state):
            stamp, counted = self._count
            if stamp != state.stamp:
                row = connection.execute("SELECT (SELECT count(*) FROM document), (SELECT count(*) FROM passage)")
                counted = row.fetchone()
                self._count = (state.stamp, counted)
            return counted

    def verify(self) -> None:
        """Read the whole index once; IndexDamaged, with the cure, when something in it does not agree."""
        with self._read() as (connection, _):
            verify(connection, self._dimension)

    def meta(self, key: str) -> str | None:
        """The string kept with `set_meta`, or None."""
        with self._read() as (connection, _):
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None


def _json(ids: Sequence[int]) -> str:
    return json.dumps([int(i) for i in ids])


def _passage_ids(connection: sqlite3.Connection, sources: Collection[str]) -> IntArray:
    rows = connection.execute(PASSAGES_OF_SOURCES, (json.dumps(list(sources)),)) if sources else ()
    return np.array([i for (i,) in rows], dtype=np.int64)


def _utf8(text: str) -> str:
    """`text` without lone surrogates, which SQLite cannot take."""
    return text.encode("utf-8", "replace").decode()
