"""How an index grows: passages by the thousand to the million, their texts recombined from sentences of documents.

A vector is that of some document, jittered, and has nothing to do with its text: so this measures speed, and the
recall of the approximate search against the exact one, but no answers.
"""

from __future__ import annotations

import random
import re
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import rag
from rag.assistant import index_fingerprint
from rag.embedding import open_encoder
from rag.store import Location, Store
from rag.types import Chunk, Document

from .driver import LIMITS, OURS, STORE, disk
from .peers.protocol import Line, NotMeasured
from .works import Bench, tell, write

Vectors = npt.NDArray[np.float32]

JITTER = 0.5  # length of the noise that is added to a unit vector: cosine .89 to where it came from
_BASE = 1500  # documents that vectors are jittered of
_BLOCK = 50_000  # passages made at once
_WRITE = 5_000  # passages of one transaction
_K = 10
_WORD = "zwyrnbalk"  # in no document
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def vectors(base: Vectors, passages: int) -> Iterator[Vectors]:
    """`passages` vectors around those of `base`, in blocks, the same ones every time."""
    for number, start in enumerate(range(0, passages, _BLOCK)):
        rng = np.random.default_rng(number)
        count = min(_BLOCK, passages - start)
        noise = rng.standard_normal((count, base.shape[1]), np.float32)
        noise *= JITTER / np.linalg.norm(noise, axis=1, keepdims=True)
        block = base[rng.integers(0, len(base), count)] + noise
        yield block / np.linalg.norm(block, axis=1, keepdims=True)


def texts(lines: Sequence[Line]) -> Iterator[str]:
    """Passages without end, of some 80 words, made of sentences of `lines`; the same ones every time."""
    sentences = [sentence for line in lines for sentence in _SENTENCE.split(line["text"])]
    lengths = [len(sentence.split()) for sentence in sentences]
    draw = random.Random(3)
    while True:
        chosen: list[str] = []
        words = 0
        while words < 80:
            at = draw.randrange(len(sentences))
            chosen.append(sentences[at])
            words += lengths[at]
        yield " ".join(chosen)


def nearest(base: Vectors, passages: int, queries: Vectors, k: int) -> list[set[str]]:
    """The sources of the `k` nearest passages of each query, by an exact search."""
    best: list[list[tuple[float, int]]] = [[] for _ in queries]
    for number, block in enumerate(vectors(base, passages)):
        scores = queries @ block.T
        for mine, row in zip(best, scores, strict=True):
            mine += [(float(row[i]), number * _BLOCK + int(i)) for i in np.argpartition(-row, k)[:k]]
    return [{str(i) for _, i in sorted(mine, reverse=True)[:k]} for mine in best]


def build(base: Vectors, lines: Sequence[Line], passages: int, folder: Path, fingerprint: str) -> None:
    """An index of `passages` documents of one passage each, as of a collection."""
    with Store.open(Location(folder), fingerprint=fingerprint, dimension=base.shape[1]) as store:
        said = texts(lines)
        at = 0
        for block in vectors(base, passages):
            for start in range(0, len(block), _WRITE):
                items = []
                for vector in block[start : start + _WRITE]:
                    text = next(said)
                    document = Document("synthetic", str(at), lines[at % len(lines)]["title"], "text/plain", "", text)
                    items.append((document, [Chunk(0, len(text))], vector[None, :]))
                    at += 1
                store.replace(items)
        store.snapshot()


def grown(bench: Bench, lines: Sequence[Line], sizes: Sequence[int]) -> None:
    """Each size in turn: open, search, update, memory, disk. `lines` are what texts and vectors are made of."""
    encoder = open_encoder(rag.Settings())
    fingerprint = index_fingerprint(rag.Settings(), encoder)
    base = encoder.documents([line["text"] for line in random.Random(2).sample(lines, min(_BASE, len(lines)))])
    queries = bench.folder / "queries.npy"
    np.save(queries, encoder.queries(bench.asked))
    for size in sizes:
        folder = bench.folder / f"grown{size}" / "index"
        tell(f"an index of {size:,} passages is made")
        build(base, lines, size, folder, fingerprint)
        bench.book.note("grown: index on disk", f"{size:,}", disk(folder) / 1e6, "MB")
        truth = nearest(base, size, np.load(queries), _K)
        for number in range(bench.rounds):
            with bench.missing(OURS, f"grown to {size:,}"):
                _alone(bench, size, folder, {"fingerprint": fingerprint, "vectors": str(queries)}, truth)
                _whole(bench, size, folder, number)


def _alone(bench: Bench, size: int, folder: Path, opened: dict[str, str], truth: Sequence[set[str]]) -> None:
    with bench.start(STORE) as store:
        store.do("open_store", index=folder, **opened)
        reply = store.do("dense", vectors=opened["vectors"], k=_K)
    p50, p95 = np.percentile([each["ms"] for each in reply.result], [50, 95])
    recall = [len(set(r["sources"]) & wanted) / len(wanted) for r, wanted in zip(reply.result, truth, strict=True)]
    _note(bench, "dense alone p50", size, float(p50), "ms")
    _note(bench, "dense alone p95", size, float(p95), "ms")
    _note(bench, "dense alone recall@10", size, statistics.mean(recall), "")
    _note(bench, "dense alone peak memory", size, reply.peak / 1e6, "MB")


def _whole(bench: Bench, size: int, folder: Path, number: int) -> None:
    """A reader that stays open, and a writer beside it."""
    with bench.start(OURS) as reader, bench.start(OURS) as writer, bench.start(LIMITS) as limits:
        _note(bench, "open", size, reader.do("open", index=folder).seconds, "s")
        (first,) = _milliseconds(reader.do("search", questions=bench.asked[:1], k=_K, mode="dense").result)
        _note(bench, "first search", size, first / 1000, "s")  # models and vectors are loaded
        limits.do("prepare", index=folder)
        for mode in ("dense", "hybrid"):
            reader.do("search", questions=bench.asked[:3], k=_K, mode=mode)
            took = _milliseconds(reader.do("search", questions=bench.asked, k=_K, mode=mode).result)
            p50, p95 = np.percentile(took, [50, 95])
            _note(bench, f"{mode} p50", size, float(p50), "ms")
            _note(bench, f"{mode} p95", size, float(p95), "ms")
        took = _milliseconds(limits.do("search", questions=bench.asked, k=1, mode="encode").result)
        _note(bench, "query encode p50", size, statistics.median(took), "ms")
        writer.do("open", index=folder)
        _note(bench, "one updated, seen by a reader", size, _updated(writer, reader, folder, number), "s")
        _note(bench, "peak memory", size, reader.do("search", questions=[], k=1, mode="dense").peak / 1e6, "MB")


def _updated(writer: Any, reader: Any, folder: Path, number: int) -> float:
    """Seconds that a writer takes to store a document, and a reader to find it. The second of two: models are warm."""
    seconds = 0.0
    for text in ("first", "second"):
        word = f"{_WORD} {text} {number}"
        line: Line = {"id": f"new {number}", "title": "", "text": f"The gate of {word} was painted green."}
        one = write([line], folder.parent / "one.jsonl")
        stored = writer.do("update", documents=one, line=line).seconds
        found = reader.do("search", questions=[f"What was painted green at the gate of {word}?"], k=_K, mode="hybrid")
        if line["id"] not in found.result[0]["sources"]:
            raise NotMeasured("a running reader does not find a document that was stored")
        seconds = stored + found.seconds
    return seconds


def _milliseconds(results: Sequence[dict[str, Any]]) -> list[float]:
    return [each["ms"] for each in results]


def _note(bench: Bench, what: str, size: int, value: float, unit: str) -> None:
    bench.book.note(f"grown: {what}", f"{size:,}", value, unit)
