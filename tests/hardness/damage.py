"""Flipped bytes and lost ends of the vector file: noticed, and healed from SQLite."""

from __future__ import annotations

import random
from pathlib import Path

from rag.store import Store

from .subject import Findings, Subject, inspect, make_everything_small, problem, texts_of, vector_of
from .table import Row

Results = list[list[tuple[int, float]]]


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    make_everything_small()
    flips, truncations = (60, 15) if few else (1000, 200)
    subject = Subject(base)
    subject.write(texts_of(0))
    subject.ingest()
    with subject.open() as store:
        store.snapshot()
        results = _results(store)
    rows = [Row("vector file: one byte flipped"), Row("vector file: cut short")]
    whole = subject.snapshots()[0].read_bytes()
    for _ in range(flips):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= chance.randint(1, 255)
        rows[0].add(_healed(subject, bytes(data), whole, results))
    for _ in range(truncations):
        rows[1].add(_healed(subject, whole[: chance.randrange(len(whole))], whole, results))
    for row in rows:
        row.problems += inspect(subject, subject.texts, subject.texts).problems
    return rows


def _healed(subject: Subject, damaged: bytes, whole: bytes, results: Results) -> Findings:
    (path,) = subject.snapshots()
    path.write_bytes(damaged)
    found = Findings()
    with subject.open() as store:
        if _results(store) != results:
            found += problem("a search over the damaged file finds something else")
        store.snapshot()
        if [p.read_bytes() for p in subject.snapshots()] != [whole]:
            found += problem("the damage was not healed")
            path.write_bytes(whole)
        if _results(store) != results:
            found += problem("a search after healing finds something else")
        listed = {d.source for d in store.documents()}
    return found + Findings(lost=tuple(subject.texts.keys() - listed))


def _results(store: Store) -> Results:
    return [store.dense(vector_of(question), 1000) for question in "abc"]
