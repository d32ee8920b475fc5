"""What every catalogue holds, as values: checked before it is stored, and when it is read back.

Nothing here knows where it lies: rows of SQLite and of PostgreSQL become the same values, or the same error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import UnionType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import DocumentUnreadable, IndexDamaged
from .types import Chunk, Document, Passage

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
_STORED = np.dtype("<f2")  # of a component of a vector
_LONGEST_SQUARED = 1.05
_PASSAGE_TYPES = (int, int, str, str, int, int, str, int | None, str, int)
_DOCUMENT_TYPES = (int, str, str, str, str, str, str, str)
# Keys of an ingest in a catalogue's meta: the root of the default documents; with a root behind it, who read that.
DEFAULT_ROOT, READERS = "default_root", "readers "
SAMPLE = 256  # vectors that a mean is taken of
HASHES = 2**32
FIBONACCI = 2_654_435_769  # 2³² divided by the golden ratio


class State(NamedTuple):
    """The row that says which model made the index, how often it was written, and which FAISS file goes with it."""

    identity: str
    fingerprint: str
    dimension: int
    generation: int
    snapshot: str
    snapshot_sha256: str
    snapshot_generation: int
    snapshot_count: int
    snapshot_highest: int
    file: str  # that was opened: a copy that was put in its place may count other writes by the same numbers

    @property
    def stamp(self) -> tuple[str, int]:
        """What changes with every write; the key of everything that is kept in memory."""
        return f"{self.identity} {self.file}", self.generation

    @property
    def inode(self) -> str:
        """The number of its file; that of the device may be another one after every start of the machine."""
        return self.file.partition(":")[2]

    @property
    def snapshot_key(self) -> tuple[str, int, str]:
        """What changes with every snapshot."""
        return f"{self.identity} {self.file}", self.snapshot_generation, self.snapshot_sha256


class TakenOut(NamedTuple):
    """A document that was removed, with all that putting it back needs."""

    document: Document
    chunks: tuple[Chunk, ...]
    vectors: FloatArray
    changed: str


class Centre(NamedTuple):
    """What passages are about as a whole: their mean vector [dimension], and the mean cosine between two of them."""

    vector: FloatArray
    alike: float


def checked(document: Document, chunks: Sequence[Chunk], vectors: FloatArray, dimension: int) -> FloatArray:
    """The vectors as float32 [n_chunks, dimension].

    Raises before anything is stored: ValueError for vectors or spans that do not fit, DocumentUnreadable for text
    that is not Unicode.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    name = document.source
    if vectors.shape != (len(chunks), dimension):
        raise ValueError(f"{name}: vectors have shape {vectors.shape} instead of ({len(chunks)}, {dimension})")
    if not np.all(np.linalg.norm(vectors, axis=1) < 1.01):  # not-a-number fails this, too
        raise ValueError(f"{name}: vectors are not normalised")
    for c in chunks:
        if not 0 <= c.start < c.end <= len(document.text):
            raise ValueError(f"{name}: passage {c.start}:{c.end} is not inside the text of {len(document.text)}")
    check_unicode(document, *(c.heading for c in chunks))
    return vectors


def check_unicode(document: Document, *more: str) -> None:
    """DocumentUnreadable when the document, or something more of it, is not Unicode."""
    try:
        "".join([document.root, document.source, document.title, document.text, *more]).encode()
    except UnicodeEncodeError as error:
        name = document.source
        raise DocumentUnreadable(f"{name!r} holds half a character (a lone surrogate); save it as UTF-8") from error


def centre_of(vectors: FloatArray) -> Centre:
    """The centre of unit vectors `[n, dimension]`: zeros for none; one is like itself."""
    n = len(vectors)
    if n == 0:
        return Centre(np.zeros(vectors.shape[1], np.float32), 0.0)
    mean: FloatArray = vectors.mean(axis=0, dtype=np.float32)
    # The squared length of the mean is the mean cosine of all pairs, each vector's with itself among them.
    return Centre(mean, (n * float(mean @ mean) - 1) / (n - 1) if n > 1 else 1.0)


def to_passage(*row: Any) -> Passage:
    """A row of `PASSAGE` as a value; IndexDamaged for one that no program of ours has written."""
    if not (are(row, _PASSAGE_TYPES) and 0 <= row[4] < row[5]):
        raise _damaged(f"passage {row[0]}")
    values = (*row[:-1], bool(row[-1]))
    return Passage(*values)


def to_document(
    document_id: int, root: str, source: str, title: str, media_type: str, sha256: str, pages: str, text: str
) -> Document:
    """A row (`DOCUMENT`, text) as a value; IndexDamaged for one that no program of ours has written."""
    if not are((document_id, root, source, title, media_type, sha256, pages, text), _DOCUMENT_TYPES):
        raise _damaged(f"document {document_id}")
    try:
        starts = json.loads(pages)
    except (ValueError, RecursionError) as error:
        raise _damaged(f"the page map of '{source}'") from error
    if not isinstance(starts, list) or not are(starts, (int,) * len(starts)) or starts != sorted(starts):
        raise _damaged(f"the page map of '{source}'")
    if starts and (starts[0] < 0 or (text and starts[-1] > len(text))):
        raise _damaged(f"the page map of '{source}'")
    return Document(root, source, title, media_type, sha256, text, tuple(starts), document_id)


def to_blob(vector: FloatArray) -> bytes:
    """A vector as it is stored: in half precision, little-endian. A cosine changes in its fourth digit."""
    return vector.astype(_STORED).tobytes()


def from_blobs(blobs: Sequence[bytes], dimension: int) -> FloatArray:
    """The vectors [n, dimension] that `to_blob` stored."""
    size = _STORED.itemsize * dimension
    for blob in blobs:
        if not isinstance(blob, bytes) or len(blob) != size:
            has = f"{len(blob)} bytes" if isinstance(blob, bytes) else "another type"
            raise IndexDamaged(
                f"a stored vector has {has} instead of {size} bytes; "
                "restore the index from a copy, or run 'rag rebuild'"
            )
    vectors = np.frombuffer(b"".join(blobs), _STORED).reshape(-1, dimension).astype(np.float32)
    # Not-a-number fails this, too. Stored in half precision, a unit vector is a little longer or shorter.
    if not np.all(np.einsum("ij,ij->i", vectors, vectors) < _LONGEST_SQUARED):
        raise IndexDamaged("a damaged vector is stored; restore the index from a copy, or run 'rag rebuild'")
    return vectors


def _damaged(what: str) -> IndexDamaged:
    return IndexDamaged(f"{what} is damaged in the index; restore it from a copy, or delete it and ingest again")


def are(row: Sequence[object], types: Sequence[type | UnionType]) -> bool:
    """Whether a row has values of these types: a damaged file may hold others than its tables allow."""
    return all(map(isinstance, row, types))
