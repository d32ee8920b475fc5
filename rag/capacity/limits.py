"""What breaks first, and what to do then: each cost grows with the passages, up to what it may be."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from .request import DAY, FAISS, LARGEST, POSTGRESQL, Wanted
from .weights import in_faiss, in_pgvector, in_postgresql, in_sqlite

FULL_MEMORY, FULL_DISK = 0.75, 0.8  # shares that may be taken: the rest is for queries, files being made, growth

# Chosen: what is slow, and what nobody waits for; a search of vectors is part of each question.
_SLOW_S, _STOPPED_S, _STOPPED_DENSE_S, _LONG_INGEST_S = 2.0, 20.0, 0.25, 30 * DAY

# Measured: python -m eval.performance.weights, on two cores that others used, too.
WRITTEN_A_SECOND = 120.0  # passages that one stream of writes puts into PostgreSQL with pgvector
_LISTED_S = 9.0e-6  # seconds to list a document
_LOOKED_AT_S = {FAISS: 1.0e-6, POSTGRESQL: 4.0e-6}  # seconds for each passage that a keyword search looks at
_RAREST_SHARE = 0.008  # of passages hold a question's rarest word, in one question of twenty, at any size
_LOOKED_AT = 5_000  # passages that a keyword search looks at however rare the words are: as in `store`

# Measured: docs/speed.md.
_DENSE_S = 13.8e-9  # seconds that a search in FAISS takes for each vector, beyond 100,000
SERVER_MEMORY = 0.6e9  # bytes of a process that has answered, without what grows


@dataclass(frozen=True, slots=True)
class Limit:
    """What breaks when there are more than `passages`, and what to do then."""

    what: str
    passages: float
    stops: bool  # else it is only slow
    then: str


class _Bound(NamedTuple):
    what: str
    cost: Callable[[Wanted], float]  # grows with the passages
    most: float
    stops: bool
    then: str


def limits(asked: Wanted) -> tuple[Limit, ...]:
    """What breaks in one catalogue on such machines, from the smallest size to the largest."""
    bounds = [*_ANYWHERE, *(_IN_A_FOLDER if asked.store == FAISS else _ON_A_SERVER)]
    found = [Limit(each.what, _size_at(asked, each), each.stops, each.then) for each in bounds]
    return tuple(sorted(found, key=lambda limit: limit.passages))


def _size_at(asked: Wanted, bound: _Bound) -> float:
    """Up to how many passages the cost is no more than it may be."""
    low, high = 0.0, math.log(LARGEST)
    for _ in range(60):
        middle = (low + high) / 2
        if bound.cost(replace(asked, passages=math.exp(middle))) <= bound.most:
            low = middle
        else:
            high = middle
    return math.exp(low)


def _keyword_seconds(asked: Wanted) -> float:
    looked_at = max(_LOOKED_AT, _RAREST_SHARE * asked.passages)
    return looked_at * _LOOKED_AT_S[FAISS if asked.store == FAISS else POSTGRESQL]


def _share_of_memory(of: Callable[[Wanted], float]) -> Callable[[Wanted], float]:
    return lambda asked: of(asked) / (FULL_MEMORY * asked.memory)


def _catalogue_bytes(asked: Wanted) -> float:
    return sum(part.bytes for part in in_postgresql(asked)) + _pgvector_bytes(asked)


def _pgvector_bytes(asked: Wanted) -> float:
    return sum(part.bytes for part in in_pgvector(asked)) if asked.store == POSTGRESQL else 0.0


def _database_memory(asked: Wanted) -> float:
    with_vectors = in_pgvector(asked) if asked.store == POSTGRESQL else []
    return sum(part.memory for part in [*in_postgresql(asked), *with_vectors])


def _faiss_memory(asked: Wanted) -> float:
    """Of a process that writes: the file that is used, and the one that is made."""
    return 2 * sum(part.memory for part in in_faiss(asked)) + SERVER_MEMORY


def _listed(asked: Wanted) -> float:
    return asked.passages / asked.per_document


_ANYWHERE = (
    _Bound(
        "listing all documents takes 2 s: the button Documents, 'rag documents', 'rag ask --document'",
        lambda asked: _listed(asked) * _LISTED_S,
        _SLOW_S,
        False,
        "ask without it; a list in pages is not built",
    ),
    _Bound(
        "one question of twenty waits 2 s for the keyword search: it looks at each passage with the rarest word",
        _keyword_seconds,
        _SLOW_S,
        False,
        "keep the texts in memory (from disk it is far slower), or a catalogue for each collection",
    ),
    _Bound(
        "one question of twenty waits 20 s for the keyword search",
        _keyword_seconds,
        _STOPPED_S,
        True,
        "a catalogue for each collection",
    ),
)
_IN_A_FOLDER = (
    _Bound(
        "a search of vectors takes a quarter of a second, and grows with them",
        lambda asked: asked.passages * _DENSE_S,
        _STOPPED_DENSE_S,
        True,
        "rag migrate --to postgresql://…",
    ),
    _Bound(
        "FAISS fills the memory of a process that writes: it holds the old file and the new one",
        _share_of_memory(_faiss_memory),
        1,
        True,
        "rag migrate --to postgresql://…",
    ),
    _Bound(
        "one machine embeds for 30 days",
        lambda asked: asked.passages / asked.embedded,
        _LONG_INGEST_S,
        False,
        "rag ingest --ray with more machines, into PostgreSQL",
    ),
    _Bound(
        "the disk is full",
        lambda asked: sum(part.bytes for part in [*in_sqlite(asked), *in_faiss(asked)]) / (FULL_DISK * asked.disk),
        1,
        True,
        "a larger disk, or rag migrate --to postgresql://…",
    ),
)
_ON_A_SERVER = (
    _Bound(
        "the indexes outgrow the memory of one PostgreSQL: searches and writes wait for the disk",
        _share_of_memory(_database_memory),
        1,
        True,
        "more memory; the vectors in Milvus (rag migrate --to milvus://… --to-catalogue postgresql://…); a catalogue "
        "for each collection",
    ),
    _Bound(
        "one stream of writes takes 30 days: writers to one catalogue take turns",
        lambda asked: asked.passages / WRITTEN_A_SECOND,
        _LONG_INGEST_S,
        False,
        "a catalogue for each collection: each has its own stream",
    ),
    _Bound(
        "the texts no longer fit into the memory of one PostgreSQL: a keyword search reads each passage from the disk",
        _share_of_memory(_catalogue_bytes),
        1,
        False,
        "more memory, or a catalogue for each collection",
    ),
    _Bound(
        "the disk of one PostgreSQL is full",
        lambda asked: _catalogue_bytes(asked) / (FULL_DISK * asked.disk),
        1,
        True,
        "a larger disk, or a catalogue for each collection",
    ),
)
