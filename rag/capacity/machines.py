"""Machines, hours and money."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .limits import FULL_DISK, FULL_MEMORY, SERVER_MEMORY, WRITTEN_A_SECOND, Limit, limits
from .request import FAISS, MILVUS, MONTH, STORES, Wanted
from .weights import Kept, in_milvus, stored, words_of

_ANSWERED_A_CORE = 3.5  # quoted answers a second: docs/speed.md, 0.14 s on two cores
_SEARCHED_S = 0.09  # seconds that PostgreSQL is at work for a question: python -m eval.performance.stores

# Estimated.
_BUSY = 4  # times as many questions come in the busiest minutes as on average
_PROMPT, _AROUND, _REPLY, _CHARACTERS_A_TOKEN = 1_000, 80, 80, 4.0  # characters; tokens of a reply; characters
_PASSAGES_READ = 8  # that an LLM is given: the setting top_k


@dataclass(frozen=True, slots=True)
class Machines:
    """So many machines of one kind, and why."""

    kind: str
    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Ingest:
    """Reading all documents once."""

    hours: float
    embedding_hours: float  # of one machine
    catalogues: int  # each has one stream of writes
    money: float


@dataclass(frozen=True, slots=True)
class Month:
    """Thirty days of questions."""

    questions: float
    tokens_in: float
    tokens_out: float
    tokens_money: float
    machines_money: float
    money: float


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it. `kept` has no sum, `total` is one."""

    wanted: Wanted
    documents: float
    words: float
    kept: tuple[Kept, ...]
    total: Kept
    machines: tuple[Machines, ...]
    ingest: Ingest
    month: Month
    limits: tuple[Limit, ...]  # the first to break first


def plan(asked: Wanted) -> Plan:
    """What `asked` takes."""
    asked = replace(asked, store=asked.store or chosen_store(asked))
    kept = stored(asked)
    total = Kept(
        "all",
        "",
        sum(each.a_passage for each in kept),
        sum(each.one_copy for each in kept),
        sum(each.disk for each in kept),
        sum(each.memory for each in kept),
    )
    bounds = limits(asked)
    catalogues = _catalogues(asked, bounds)
    machines = _machines(asked, catalogues)
    return Plan(
        asked,
        asked.passages / asked.per_document,
        words_of(asked),
        kept,
        total,
        machines,
        _ingest(asked, catalogues, next((each.number for each in machines if each.kind == "embedding"), 1)),
        _month(asked, sum(each.number for each in machines if each.kind != "embedding")),
        bounds,
    )


def chosen_store(asked: Wanted) -> str:
    """The first of STORES in which nothing stops at this size; Milvus where something does in all."""
    for store in STORES:
        here = replace(asked, store=store)
        fits = all(limit.passages >= asked.passages for limit in limits(here) if limit.stops)
        if fits and (store != FAISS or _serving(here) <= 1):
            return store
    return MILVUS


def _catalogues(asked: Wanted, bounds: tuple[Limit, ...]) -> int:
    """How many, of one PostgreSQL each, so that nothing stops in any."""
    if asked.store == FAISS:
        return 1
    return math.ceil(asked.passages / min(limit.passages for limit in bounds if limit.stops))


def _serving(asked: Wanted, catalogues: int = 1) -> int:
    """Machines for 'rag serve': a process serves one catalogue, and a machine as many as fit into its memory."""
    processes = catalogues * SERVER_MEMORY
    at_least = 1 if asked.store == FAISS else min(asked.copies, 2)
    return max(
        at_least,
        math.ceil(_BUSY * asked.questions / (_ANSWERED_A_CORE * asked.cores)),
        math.ceil(processes / (FULL_MEMORY * asked.memory)),
    )


def _machines(asked: Wanted, catalogues: int) -> tuple[Machines, ...]:
    serving = _serving(asked, catalogues)
    if asked.store == FAISS:
        return (Machines("serving", serving, "index and all, a copy of the folder on each; it embeds, too"),)
    busy = math.ceil(_BUSY * asked.questions * _SEARCHED_S / (FULL_MEMORY * asked.cores))
    why = f"PostgreSQL: {catalogues:,} × {asked.copies} (catalogues × copies)"
    if busy > catalogues:
        why = f"PostgreSQL: {busy:,} × {asked.copies}, for so many questions (each server asks one of them)"
    found = [
        Machines("serving", serving, "rag serve, behind a proxy"),
        Machines("database", max(catalogues, busy) * asked.copies, why),
    ]
    if asked.store == MILVUS:
        part = in_milvus(asked)[0]
        needed = max(part.memory / (FULL_MEMORY * asked.memory), part.bytes / (FULL_DISK * asked.disk))
        found.append(Machines("vectors", math.ceil(needed) * asked.copies, "a Milvus cluster, estimated"))
    embedding = math.ceil(catalogues * WRITTEN_A_SECOND / asked.embedded)
    return (*found, Machines("embedding", embedding, "during the ingest only: as fast as is written"))


def _ingest(asked: Wanted, catalogues: int, machines: int) -> Ingest:
    embedding = asked.passages / asked.embedded
    seconds = embedding if asked.store == FAISS else asked.passages / (catalogues * WRITTEN_A_SECOND)
    return Ingest(seconds / 3600, embedding / 3600, catalogues, machines * seconds / MONTH * asked.price)


def tokens_in(asked: Wanted) -> float:
    """Of what an LLM is sent for a question: the prompt, and the passages."""
    characters = _PROMPT + _PASSAGES_READ * (asked.characters + _AROUND)
    return characters / _CHARACTERS_A_TOKEN


def _month(asked: Wanted, machines: int) -> Month:
    questions = asked.questions * MONTH
    there = questions if asked.prices else 0.0
    read, written = there * tokens_in(asked), there * _REPLY
    price_in, price_out = asked.prices or (0.0, 0.0)
    tokens = (read * price_in + written * price_out) / 1e6
    return Month(questions, read, written, tokens, machines * asked.price, tokens + machines * asked.price)
