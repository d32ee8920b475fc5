"""Every store with 100,000 passages: what it finds beside an exact search, and that nothing is lost on the way."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from servers import ENGINES, can_have, location_of

from rag.errors import RagError
from rag.store import FloatArray, Store
from rag.types import Chunk, Document

from .table import Row

_PASSAGES_OF_ONE = 10
_BATCH = 512
_K = 10
_LEAST_RECALL = 0.9  # of the ten nearest, on average
_WORDS = 5_000


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    documents, dimension, questions = (200, 64, 20) if few else (10_000, 384, 200)
    vectors = _vectors(documents * _PASSAGES_OF_ONE, dimension, chance.randrange(2**32))
    rows = [_in(engine, base / engine, vectors, questions, chance.randrange(2**32)) for engine in ENGINES]
    return rows


def _in(engine: str, folder: Path, vectors: FloatArray, questions: int, seed: int) -> Row:
    row = Row(f"{len(vectors):,} passages: {engine}")
    if not can_have(engine):
        row.figures = "not tried: it cannot be installed here"
        return row
    with location_of(engine, folder) as location:
        began = time.monotonic()
        with Store.open(location, fingerprint="large", dimension=vectors.shape[1]) as store:
            for batch in _items(vectors):
                store.replace(batch)
        built = time.monotonic() - began
        with Store.open(location, fingerprint="large", dimension=vectors.shape[1]) as store:
            _change(store, vectors)
            figures = _searched(row, store, vectors, questions, seed)
            try:
                store.verify()
            except RagError as error:
                row.check("in the end", str(error))
    row.figures = f"{len(vectors) / built:,.0f} passages/s stored; {figures}"
    return row


def _vectors(n: int, dimension: int, seed: int) -> FloatArray:
    """Unit vectors in clouds, as those of texts are: [n, dimension]."""
    draw = np.random.default_rng(seed)
    centres = draw.standard_normal((max(8, n // 200), dimension))
    made = centres[draw.integers(0, len(centres), n)] + 0.7 * draw.standard_normal((n, dimension))
    unit: FloatArray = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    return unit


def text_of(passage: int) -> str:
    """Words by number: the same ones every time, some common, some rare, one of this passage alone."""
    draw = random.Random(passage)
    return " ".join([f"only{passage}", *(f"word{int(_WORDS * draw.random() ** 3)}" for _ in range(30))])


def _items(vectors: FloatArray) -> Iterator[list[tuple[Document, Sequence[Chunk], FloatArray]]]:
    batch = []
    for start in range(0, len(vectors), _PASSAGES_OF_ONE):
        batch.append(_item(start, vectors[start : start + _PASSAGES_OF_ONE]))
        if len(batch) * _PASSAGES_OF_ONE >= _BATCH:
            yield batch
            batch = []
    yield batch


def _item(start: int, vectors: FloatArray) -> tuple[Document, Sequence[Chunk], FloatArray]:
    texts = [text_of(start + i) for i in range(len(vectors))]
    ends = np.cumsum([len(text) + 1 for text in texts]).tolist()
    chunks = [Chunk(end - 1 - len(text), end - 1) for text, end in zip(texts, ends, strict=True)]
    return Document("large", f"d{start}", f"Document {start}", "text/plain", "", "\n".join(texts)), chunks, vectors


def _change(store: Store, vectors: FloatArray) -> None:
    """A document in a hundred is stored again, and one in a hundred removed."""
    every = sorted(document.id for document in store.documents())
    store.remove(every[::100])
    again = range(_PASSAGES_OF_ONE, len(vectors), 100 * _PASSAGES_OF_ONE)
    store.replace([_item(start, vectors[start : start + _PASSAGES_OF_ONE]) for start in again])


def _searched(row: Row, store: Store, vectors: FloatArray, questions: int, seed: int) -> str:
    gone = {start + i for start in range(0, len(vectors), 100 * _PASSAGES_OF_ONE) for i in range(_PASSAGES_OF_ONE)}
    left = np.array([i for i in range(len(vectors)) if i not in gone])
    if store.count()[1] != len(left):
        row.check("count", f"{store.count()[1]} of {len(left)} passages")
    draw = np.random.default_rng(seed)
    recall, dense_ms, keyword_ms = [], [], []
    for number in draw.choice(left, questions, replace=False).tolist():
        asked = vectors[number] + 0.02 * draw.standard_normal(vectors.shape[1]).astype(np.float32)
        asked /= np.linalg.norm(asked)
        nearest = left[np.argsort(-(vectors[left] @ asked))[:_K]]
        began = time.perf_counter()
        hits = store.dense(asked, _K)
        dense_ms.append(1000 * (time.perf_counter() - began))
        there = {passage.text.split()[0] for passage in store.passages([i for i, _ in hits])}
        recall.append(len(there & {f"only{i}" for i in nearest.tolist()}) / _K)
        terms = text_of(number).split()[:4]
        began = time.perf_counter()
        found = store.keyword_beside([i for i, _ in hits], terms, 50)
        keyword_ms.append(1000 * (time.perf_counter() - began))
        best = store.passages([max(found, key=lambda i: found[i])])
        exact = bool(best) and best[0].text == text_of(number)
        row.check(f"passage {number}", None if exact else "its own word does not find it")
    if statistics.mean(recall) < _LEAST_RECALL:
        row.check("recall", f"{statistics.mean(recall):.3f} of the {_K} nearest are found")
    p50 = statistics.median(dense_ms), statistics.median(keyword_ms)
    return f"recall@{_K} {statistics.mean(recall):.3f}; p50 dense {p50[0]:.1f} ms, keyword {p50[1]:.1f} ms"
