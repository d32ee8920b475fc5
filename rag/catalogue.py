"""What the store asks of whatever keeps documents, passages and vectors: the truth that every search is derived from.

A catalogue is read and written in transactions, and each sees one state of it. There are two: an SQLite file
(`sqlite`), and PostgreSQL (`postgres`), which several machines share.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from .stored import Centre, FloatArray, IntArray, State, TakenOut
from .types import Chunk, Document, Listed, Passage

MIGRATED_FROM = "migrated from"  # a key in meta; while it has this word, somebody copies an index to here:
MIGRATING = "begun"
BLOCK = 16_384  # vectors that are read at once

Ready = tuple[Document, Sequence[Chunk], FloatArray]  # a document, its spans, and vectors that `stored.checked` gave


class Copy(NamedTuple):
    """A document of which another catalogue may have a copy: the same, if all of this is."""

    id: int
    first: int  # id of its first passage; the others follow; 0 where it has none
    passages: int
    root: str
    source: str
    title: str


class Reader(Protocol):
    """One state of a catalogue. What filters is as in `Store`."""

    @property
    def state(self) -> State:
        """Which state it is."""

    def documents(self, *, root: str | None = None, source: str | None = None) -> list[Document]:
        """All, those of a root and the roots inside it, or those called `source`: by source, their text left out."""

    def document_ids(self) -> list[int]:
        """All of them, ascending."""

    def listing(self) -> list[Listed]:
        """All documents with their sizes, the last stored first."""

    def document(self, document_id: int) -> Document:
        """One, whole; DocumentsNotFound when it is gone."""

    def chunks(self, document_id: int) -> list[Chunk]:
        """How it is cut, in the order of its passages."""

    def taken(self, document_id: int) -> TakenOut:
        """One with all that putting it elsewhere needs; DocumentsNotFound when it is gone."""

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """Those that are there, in any order."""

    def verify_quotable(self, ids: Sequence[int]) -> None:
        """IndexDamaged when the text of one of these passages does not stand where it says in its document."""

    def titled(
        self, titles: Sequence[str], most: int, documents: Collection[str], exclude: Collection[str]
    ) -> list[int]:
        """See `Store.titled`."""

    def best(
        self, terms: Sequence[str], k: int, documents: Collection[str], exclude: Collection[str]
    ) -> list[tuple[int, float]]:
        """The `k` best (passage id, BM25) that hold any of `terms`, best first."""

    def scores(self, terms: Sequence[str], ids: Collection[int]) -> list[tuple[int, float]]:
        """(passage id, BM25) of those of `ids` that hold any of `terms`."""

    def document_frequency(self, terms: Sequence[str]) -> list[int]:
        """How many passages hold each term (stemmed)."""

    def words_held(self, words: Collection[str]) -> dict[str, int]:
        """See `spelling.Words`."""

    def names_sounding(self, sound: str) -> dict[str, int]:
        """See `spelling.Words`."""

    def count(self) -> tuple[int, int]:
        """How many documents and passages there are."""

    def centre(self, documents: Collection[str]) -> Centre:
        """See `Store.centre`."""

    def meta(self, key: str) -> str | None:
        """A string that was kept, or None."""

    def metas(self) -> dict[str, str]:
        """All strings that were kept."""

    def last_ids(self) -> tuple[int, int]:
        """The last ids of a document and of a passage that were ever given."""

    def copies(self) -> list[Copy]:
        """All documents as `Writer.put_copy` wants them, by their first passage: in the order of its ids."""

    def verify(self) -> None:
        """Read everything once; IndexDamaged, with the cure, when something does not agree."""

    # -- for indexes of vectors, which are derived from it

    def passage_ids(self, sources: Collection[str]) -> IntArray:
        """The passages of all documents with one of these sources."""

    def ids(self) -> IntArray:
        """All passages, ascending."""

    def vectors(self, ids: Sequence[int]) -> tuple[list[int], FloatArray]:
        """Those of `ids` that are there, in any order, and their vectors [n, dimension]."""

    def vectors_after(self, after: int, block: int = BLOCK) -> Iterator[tuple[IntArray, FloatArray]]:
        """Passages with an id above `after`, ascending, in blocks of n: ids [n] and vectors [n, dimension]."""

    def highest(self) -> int:
        """The highest id of a passage; 0 for none."""

    def tombstones(self) -> IntArray:
        """Passages that were deleted since the snapshot; see `Writer.bury`."""

    def lag(self) -> int:
        """How many rows the snapshot does not know: passages above its highest id, and tombstones."""


class Writer(Reader, Protocol):
    """A transaction that writes. Nobody else writes meanwhile, so ids grow in the order in which they are committed."""

    def replace(self, ready: Ready) -> int:
        """Add a document, or replace the one with its (root, source), which keeps its id; returns that."""

    def put_copy(self, taken: TakenOut, first: int) -> None:
        """Add another catalogue's document with its id, and its passages with theirs, from `first` on."""

    def go_on_from(self, last_ids: tuple[int, int]) -> None:
        """Give no id that another catalogue, whose `last_ids` these are, has given."""

    def put_back(self, taken: TakenOut) -> None:
        """Add a document as it was; DocumentUnreadable when another has its name by now."""

    def rename(self, document_id: int, document: Document) -> None:
        """Another root, source and title for a document."""

    def delete(self, document_ids: Sequence[int]) -> None:
        """Delete documents with their passages; ids that are gone are passed over."""

    def set_meta(self, key: str, value: str) -> None:
        """Keep a small string."""

    def begin_anew(self, fingerprint: str, dimension: int) -> None:
        """Be made with another model from now on; what can be derived from texts and passages is made again."""

    def cut_anew(self, document_id: int, ready: Ready) -> None:
        """Other passages for a document."""

    def set_snapshot(self, name: str, sha256: str, count: int, highest: int) -> None:
        """Say which index of vectors goes with this state, and the passages up to which id it knows."""

    def bury(self, ids: IntArray | None = None) -> None:
        """Forget these tombstones, or all: no index of vectors knows their passages any more."""

    def count_write(self) -> None:
        """The last thing to do, unless nothing that readers see was changed: tell them that it is another state."""


class Catalogue(Protocol):
    """Documents, passages, vectors and words. Safe to use from many threads; all its errors are `RagError`s."""

    def exists(self) -> bool:
        """Whether it was made. Raises RagError where it cannot be."""

    def create_if_absent(self, fingerprint: str, dimension: int) -> None:
        """Make an empty one where there is none."""

    def writing(self) -> AbstractContextManager[None]:
        """Hold over several transactions what keeps others from writing, where only one may; re-entrant."""

    def reading(self) -> AbstractContextManager[Reader]:
        """A transaction that reads."""

    def transaction(self) -> AbstractContextManager[Writer]:
        """A transaction that writes, undone if the body raises."""

    def alone(self) -> AbstractContextManager[bool]:
        """Whether this process, of all that share the catalogue, is the only one in here; nobody waits."""

    def translated(self) -> AbstractContextManager[None]:
        """Turn the errors of its engine into ours."""

    def close(self) -> None:
        """Close all connections; those in use when they are done."""

    @property
    def name(self) -> str:
        """Where it is, for messages, without what is secret."""


class VectorIndex(Protocol):
    """Finds the nearest vectors of one state of a catalogue. Whatever it keeps can be made again from that."""

    def search(
        self, reader: Reader, vector: FloatArray, k: int, only: IntArray | None, without: IntArray
    ) -> list[tuple[int, float]]:
        """The `k` best (passage id, inner product), best first; among `only` if given, and none of `without`."""

    def refresh(self, catalogue: Catalogue, *, verify: bool) -> None:
        """Bring what is kept outside the catalogue up to date; `verify` reads it, to know whether it is whole."""

    def verify(self, reader: Reader) -> None:
        """IndexDamaged, with the cure, when what is kept outside the catalogue is not what it was."""

    def forget(self, writer: Writer) -> None:
        """Let nobody use what is kept now: every vector is about to be another one."""

    def close(self) -> None:
        """Close its connections."""
