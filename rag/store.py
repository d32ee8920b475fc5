"""The store: documents, passages and vectors in a catalogue (the truth), and an index of vectors (the speed).

One writer or several, as the catalogue allows, and many readers, in any number of threads and processes. A document is
replaced in one transaction: a reader sees its old or its new version. Passage ids are never used twice, so a stale id
finds nothing rather than other text.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager

import numpy as np

from .catalogue import MIGRATED_FROM, MIGRATING, Catalogue, Reader, VectorIndex, Writer
from .errors import IndexDamaged, IndexLocked, IndexMismatch, RagError
from .fulltext import rarest
from .kept import Kept
from .location import Location
from .schema import SCHEMA_VERSION
from .stored import DEFAULT_ROOT, READERS, Centre, FloatArray, State, TakenOut, centre_of, check_unicode, checked
from .types import Chunk, Document, Listed, Passage

__all__ = [
    "DEFAULT_ROOT",
    "READERS",
    "SCHEMA_VERSION",
    "Centre",
    "FloatArray",
    "Location",
    "Store",
    "TakenOut",
    "centre_of",
]

logger = logging.getLogger(__name__)

_LOOKED_AT = 5_000  # passages, by BM25, where there are rarer words to look for: some milliseconds
_COMMON = 0.05  # share of passages: a word that more of them hold, of a large index, tells little and costs most
_MOST_FREQUENCIES = 4096  # terms that are kept
_MOST_QUOTABLE = 4096  # passages that were compared with their documents


class Store:
    """One index, opened. Every method raises `RagError` (IndexDamaged, IndexLocked …), none of an engine's."""

    def __init__(self, catalogue: Catalogue, vectors: VectorIndex, fingerprint: str, dimension: int) -> None:
        self._catalogue = catalogue
        self._fingerprint = fingerprint
        self._dimension = dimension
        self._vectors = vectors
        self._local = threading.local()
        self._behind = ""  # why the index of vectors is, as it was said
        # What is kept of the state with this stamp; the centre also belongs to some sources.
        self._count = (("", 0), (0, 0))
        self._quotable = Kept[tuple[tuple[str, int], int], None](_MOST_QUOTABLE)
        self._frequencies = Kept[tuple[tuple[str, int], str], int](_MOST_FREQUENCIES)
        self._centre = ((("", 0), frozenset[str]()), Centre(np.zeros(dimension, np.float32), 0.0))

    @classmethod
    def open(cls, location: Location, *, fingerprint: str, dimension: int) -> Store:
        """Open the index at `location`, or create an empty one if there is none. An existing one is not written to.

        Raises IndexMismatch (another model, splitter or format), IndexDamaged and StoreUnavailable; none deletes
        anything.
        """
        store = cls._at(location, fingerprint, dimension)
        try:
            with store.reading():
                return store
        except BaseException:
            store.close()
            raise

    @classmethod
    def _at(cls, location: Location, fingerprint: str, dimension: int) -> Store:
        catalogue = location.open_catalogue()
        try:
            catalogue.create_if_absent(fingerprint, dimension)
            return cls(catalogue, location.open_vectors(), fingerprint, dimension)
        except BaseException:
            catalogue.close()
            raise

    @staticmethod
    def exists(location: Location) -> bool:
        """Whether there is an index at `location`. Raises RagError where there can be none: it is no folder."""
        with closing(location.open_catalogue()) as catalogue:
            return catalogue.exists()

    @classmethod
    def rebuild(
        cls,
        location: Location,
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
        with cls._at(location, fingerprint, dimension) as store, store.writing():
            with store._catalogue.transaction() as writer:
                writer.begin_anew(fingerprint, dimension)
                for document_id in writer.document_ids():
                    document = writer.document(document_id)
                    chunks = chunk(document)
                    vectors = checked(document, chunks, embed(document, chunks), dimension)
                    writer.cut_anew(document_id, (document, chunks, vectors))
                store._vectors.forget(writer)
                writer.count_write()
            store._refresh_vectors()

    @staticmethod
    def rebuild_vectors(location: Location) -> None:
        """Make the index of vectors again from those that are stored: nothing is embedded."""
        with closing(location.open_catalogue()) as catalogue, closing(location.open_vectors()) as vectors:
            with catalogue.writing(), catalogue.transaction() as writer:
                vectors.forget(writer)
                writer.count_write()
            vectors.refresh(catalogue, verify=True)

    def close(self) -> None:
        """Close all connections; those in use by other threads when they are done."""
        self._vectors.close()
        self._catalogue.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- writing ---------------------------------------------------------------------------------------------------

    def writing(self) -> AbstractContextManager[None]:
        """Hold the one-writer lock over several writes; re-entrant in one thread.

        Threads of this process wait for each other; IndexLocked when another process (or Store) holds it.
        """
        return self._catalogue.writing()

    def replace(self, items: Sequence[tuple[Document, Sequence[Chunk], FloatArray]]) -> list[int]:
        """Add documents, or replace those with the same (root, source), in one transaction; returns their ids.

        Each item has its vectors: float32 [n_chunks, dimension], of length 1 (or 0). A replaced document keeps its
        id; its passages get new ones. Raises ValueError for spans or shapes that do not fit, and DocumentUnreadable
        for text that is not Unicode; nothing is stored then.
        """
        if not items:
            return []
        ready = [(d, chunks, checked(d, chunks, vectors, self._dimension)) for d, chunks, vectors in items]
        with self._write() as writer:
            return [writer.replace(each) for each in ready]

    def rename(self, document_id: int, document: Document) -> None:
        """Give a stored document the root, source and title of `document`, in one transaction. Its passages stay."""
        check_unicode(document)
        with self._write() as writer:
            writer.rename(document_id, document)

    def remove(self, document_ids: Iterable[int]) -> None:
        """Remove documents and their passages, in one transaction; ids that are gone are passed over."""
        if ids := [int(i) for i in document_ids]:
            with self._write() as writer:
                writer.delete(ids)

    def take_out(self, document_id: int) -> TakenOut:
        """Remove a document, in one transaction, and return what `put_back` needs.

        DocumentsNotFound when it is gone.
        """
        with self._write() as writer:
            taken = writer.taken(document_id)
            writer.delete([document_id])
            return taken

    def put_back(self, taken: TakenOut) -> None:
        """Undo `take_out`, in one transaction: the same id, text, spans and vectors. Passages get new ids.

        DocumentUnreadable when a document of its name was added meanwhile; that one stays.
        """
        with self._write() as writer:
            writer.put_back(taken)

    def set_meta(self, key: str, value: str) -> None:
        """Keep a small string with the index."""
        if self.meta(key) != value:  # writing what is there already would need the lock for nothing
            with self._write() as writer:
                writer.set_meta(key, value)

    def snapshot(self) -> None:
        """Bring the index of vectors up to date where it is missing, damaged or behind. Searches are right without."""
        with self.writing():
            with self.reading():
                pass  # of another model, it is not touched
            self._vectors.refresh(self._catalogue, verify=True)

    @contextmanager
    def _write(self) -> Iterator[Writer]:
        with self.writing():
            with self._catalogue.transaction() as writer:
                self._check(writer.state)
                if MIGRATING in (writer.meta(MIGRATED_FROM) or ""):
                    raise IndexLocked(
                        f"an index is being copied to {self._catalogue.name}; let 'rag migrate' finish it first"
                    )
                yield writer
                writer.count_write()
            self._refresh_vectors()

    def _refresh_vectors(self) -> None:
        try:
            self._vectors.refresh(self._catalogue, verify=False)
        except RagError as error:  # what was asked for is stored; the index of vectors only saves time
            if str(error) != self._behind:  # each write tries again, and would say it again
                logger.warning("the index of vectors was not brought up to date: %s", error)
            self._behind = str(error)
        else:
            self._behind = ""

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
    def _read(self) -> Iterator[Reader]:
        reader: Reader | None = getattr(self._local, "reader", None)
        if reader is not None:
            with self._catalogue.translated():
                yield reader
            return
        with self._catalogue.reading() as reader:
            self._check(reader.state)
            self._local.reader = reader
            try:
                yield reader
            finally:
                self._local.reader = None

    def _check(self, state: State) -> None:
        # At every transaction: another process may have rebuilt the index with another model in the meantime.
        if (state.fingerprint, state.dimension) != (self._fingerprint, self._dimension):
            raise IndexMismatch(
                f"the index in {self._catalogue.name} was made with another embedding model or splitter; "
                "run 'rag rebuild' (or restart, if it was rebuilt just now)"
            )

    def documents(self) -> list[Document]:
        """All documents, sorted by source; their text is left out ("")."""
        with self._read() as reader:
            return reader.documents()

    def documents_in(self, root: str) -> list[Document]:
        """Those of a root and of the roots inside it (folder/collection.jsonl), as `documents` gives them."""
        with self._read() as reader:
            return reader.documents(root=root)

    def documents_called(self, source: str) -> list[Document]:
        """Those with this source, of any root, as `documents` gives them."""
        with self._read() as reader:
            return reader.documents(source=source)

    def listing(self) -> list[Listed]:
        """All documents with their sizes, the last stored first."""
        with self._read() as reader:
            return reader.listing()

    def place(self) -> str:
        """What is another one for a copy of this index, here or on another machine."""
        with self._read() as reader:
            return reader.state.inode

    def stamp(self) -> str:
        """What is another one after every write, of any process."""
        with self._read() as reader:
            return f"{reader.state.identity}-{reader.state.generation}"

    def document(self, document_id: int) -> Document:
        """One document, whole; DocumentsNotFound when it is gone."""
        with self._read() as reader:
            return reader.document(document_id)

    def chunks(self, document_id: int) -> list[Chunk]:
        """How a document is cut, in the order of its passages."""
        with self._read() as reader:
            return reader.chunks(document_id)

    def dense(
        self, vector: FloatArray, k: int, *, documents: Collection[str] = (), exclude: Collection[str] = ()
    ) -> list[tuple[int, float]]:
        """The `k` nearest passages to `vector` [dimension] (normalised) as (id, cosine), best first.

        `documents` (all, if empty) and `exclude` are sources; a source in both is excluded.
        """
        vector = np.ascontiguousarray(vector, dtype=np.float32)
        if vector.shape != (self._dimension,):
            raise ValueError(f"the question's vector has shape {vector.shape} instead of ({self._dimension},)")
        with self._read() as reader:
            only = reader.passage_ids(documents) if documents else None
            return self._vectors.search(reader, vector, k, only, reader.passage_ids(exclude))

    def keyword(
        self, terms: Sequence[str], k: int, *, documents: Collection[str] = (), exclude: Collection[str] = ()
    ) -> list[tuple[int, float]]:
        """The `k` best passages that hold any of `terms` (stemmed; a term of several words is a phrase).

        As (id, score), best first; score is BM25 over title, heading and text, positive. Filters as in `dense`.
        """
        with self._read() as reader:
            return reader.best(terms, k, documents, exclude)

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
        with self._read() as reader:
            frequencies, most = self._counting(terms, documents), max(_LOOKED_AT, k)
            all_at_once = documents or sum(frequencies.values()) <= most
            by = list(frequencies) if all_at_once else rarest(frequencies, most)
            found = dict(reader.best(by, k, documents, exclude))
            unscored = [i for i in ids if i not in found] if all_at_once else {*ids, *found}
            return found | self.keyword_scores(unscored, terms, documents=documents)

    def keyword_scores(
        self, ids: Collection[int], terms: Sequence[str], *, documents: Collection[str] = ()
    ) -> dict[int, float]:
        """BM25 of these passages, on the scale of `keyword_beside`; 0 where they hold none of `terms`."""
        with self._read() as reader:
            return dict.fromkeys(ids, 0.0) | dict(reader.scores(list(self._counting(terms, documents)), ids))

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
        with self._read() as reader:
            return reader.titled(titles, most, documents, exclude)

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """The passages with these ids, in this order; ids that are gone are left out."""
        with self._read() as reader:
            found = {passage.id: passage for passage in reader.passages(ids)}
        return [found[i] for i in ids if i in found]

    def verify_quotable(self, passages: Sequence[Passage]) -> None:
        """IndexDamaged, with the cure, when one of these passages is not what its document says there.

        Each is looked at once: a quote is taken from the passage, and opened in the document.
        """
        with self._read() as reader:

            def verified(new: list[tuple[tuple[str, int], int]]) -> list[None]:
                reader.verify_quotable([passage_id for _, passage_id in new])
                return [None] * len(new)

            self._quotable.get([(reader.state.stamp, passage.id) for passage in passages], verified)

    def vectors(self, ids: Sequence[int]) -> FloatArray:
        """The passages' vectors [n, dimension], in this order; a row of zeros where the id is gone."""
        with self._read() as reader:
            there, stored = reader.vectors(ids)
        found = dict(zip(there, stored, strict=True))
        vectors = np.zeros((len(ids), self._dimension), np.float32)
        for row, i in enumerate(ids):
            vectors[row] = found.get(i, 0)
        return vectors

    def document_frequency(self, terms: Sequence[str]) -> dict[str, int]:
        """How many passages hold each term (stemmed, in title, heading or text)."""
        with self._read() as reader:
            found = self._frequencies.get(
                [(reader.state.stamp, term) for term in terms],
                lambda new: reader.document_frequency([term for _, term in new]),
            )
            return dict(zip(terms, found, strict=True))

    def words_held(self, words: Collection[str]) -> dict[str, int]:
        """How many passages hold each of these words, unstemmed; see `spelling.Words`."""
        with self._read() as reader:
            return reader.words_held(words)

    def names_sounding(self, sound: str) -> dict[str, int]:
        """Names by their sound, and how many passages hold each; see `spelling.Words`."""
        with self._read() as reader:
            return reader.names_sounding(sound)

    def centre(self, documents: Collection[str] = ()) -> Centre:
        """What some hundred passages spread over the index, or over the sources `documents`, are about as a whole."""
        with self._read() as reader:
            wanted = (reader.state.stamp, frozenset(documents))
            kept, found = self._centre
            if kept != wanted:
                found = reader.centre(documents)
                self._centre = (wanted, found)
            return found

    def count(self) -> tuple[int, int]:
        """How many documents and passages there are."""
        with self._read() as reader:
            stamp, counted = self._count
            if stamp != reader.state.stamp:
                counted = reader.count()
                self._count = (reader.state.stamp, counted)
            return counted

    def verify(self) -> None:
        """Read the whole index once; IndexDamaged, with the cure, when something in it does not agree."""
        with self._read() as reader:
            reader.verify()
            self._vectors.verify(reader)
        if half := self.half_copied():
            raise IndexDamaged(half)

    def half_copied(self) -> str:
        """A line that says so, with the cure, where a migration to here was begun and has not finished; else ""."""
        half = MIGRATING in (self.meta(MIGRATED_FROM) or "")
        return f"{self._catalogue.name} is half a copy; let 'rag migrate' finish it" if half else ""

    def meta(self, key: str) -> str | None:
        """The string kept with `set_meta`, or None."""
        with self._read() as reader:
            return reader.meta(key)
