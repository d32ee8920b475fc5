"""What lies where, in bytes: fitted to indexes of 13,500 passages of 250 and of 402 characters.

Reproduced by `python -m eval.performance.weights … --words 60 120`; of FAISS beyond 100,000 passages by docs/speed.md.
Milvus' disk is that of Milvus Lite; the memory of its HNSW is estimated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from .request import FAISS, STORES, Wanted

_WORDS, _WORDS_AT, _HEAPS = 56_700, 5.44e6, 0.67  # distinct words in so many characters, and how they grow
_LEXEMES = 0.79  # of words: what is left of them without endings
_EXACT, _COMPARED = 100_000, 20_000  # vectors that FAISS, and pgvector, search one by one
_LINKS = 16  # of a vector in HNSW


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that is stored, in bytes: of a passage, of one copy, of all copies; and what memory should hold."""

    what: str
    where: str
    a_passage: float
    one_copy: float
    disk: float  # all copies
    memory: float  # of one copy


def words_of(asked: Wanted) -> float:
    """How many distinct words there are, by Heaps' law: they grow with a power of the text."""
    text = asked.passages * asked.characters
    grown: float = (text / _WORDS_AT) ** _HEAPS
    return min(_WORDS * grown, text / 2)


class _Part(NamedTuple):
    what: str
    where: str
    bytes: float  # of a copy
    memory: float


def stored(asked: Wanted) -> tuple[Kept, ...]:
    """What lies where."""
    parts = in_sqlite(asked) if asked.store == FAISS else in_postgresql(asked)
    parts += [in_faiss, in_pgvector, in_milvus][STORES.index(asked.store)](asked)
    return tuple(
        Kept(each.what, each.where, each.bytes / asked.passages, each.bytes, each.bytes * asked.copies, each.memory)
        for each in parts
    )


def in_sqlite(asked: Wanted) -> list[_Part]:
    n, documents, words = asked.passages, asked.passages / asked.per_document, words_of(asked)
    # A text stands in its document and in its passages; a vector in half precision; the rest is per row.
    texts = n * (2 * asked.characters + 2 * asked.dimension + 135) + documents * 470
    return [
        _Part("texts and vectors", "SQLite", texts, 0),
        _Part("words", "SQLite: FTS5", n * 0.82 * asked.characters + words * 30, 0),
    ]


def in_faiss(asked: Wanted) -> list[_Part]:
    n, dimension = asked.passages, asked.dimension
    small = n <= _EXACT
    taken = n * (4 * dimension + 8) if small else n * (dimension + 8) + math.sqrt(n) * 4 * dimension
    return [_Part("search of vectors", "FAISS, exact" if small else "FAISS, in cells", taken, taken)]


def in_postgresql(asked: Wanted) -> list[_Part]:
    n, documents, words = asked.passages, asked.passages / asked.per_document, words_of(asked)
    # The same, and the lexemes of each passage with their places: more than the text itself.
    texts = n * (3.63 * asked.characters + 2 * asked.dimension + 310) + documents * 490
    counts = words * (135 + _LEXEMES * 100)
    # Of GIN rather too much: what a young one has to spare is used up later.
    found = n * (300 + 0.73 * asked.characters) + counts
    return [
        _Part("texts and vectors", "PostgreSQL: tables", texts, 0),
        _Part("words", "PostgreSQL: GIN, counts", found, found),
    ]


def in_pgvector(asked: Wanted) -> list[_Part]:
    n, vector = asked.passages, 2 * asked.dimension  # half precision
    table = n * (vector + 680)
    if n <= _COMPARED:
        return [_Part("search of vectors", "pgvector, exact", table, table)]
    links = n * (vector + 403)  # HNSW keeps the vectors, too
    return [_Part("search of vectors", "pgvector: table, HNSW", links + table, links)]


def in_milvus(asked: Wanted) -> list[_Part]:
    n, vector = asked.passages, 4 * asked.dimension
    return [_Part("search of vectors", "Milvus: HNSW", n * (vector + 830), n * (vector + 8 * _LINKS + 24))]
