"""Small documents with random but repeatable vectors, and the searches done the slow way."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from rag.store import FloatArray, Location, Store
from rag.types import Chunk, Document

DIMENSION = 16
Item = tuple[Document, list[Chunk], FloatArray]


def open_store(at: Path | Location, fingerprint: str = "one model") -> Store:
    location = at if isinstance(at, Location) else Location(at)
    return Store.open(location, fingerprint=fingerprint, dimension=DIMENSION)


def unit(name: object, dimension: int = DIMENSION) -> FloatArray:
    """A unit vector that belongs to `name`, as near as half precision comes: the store keeps it as it is."""
    vector = np.random.default_rng(zlib.crc32(str(name).encode())).standard_normal(dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float16).astype(np.float32)


def vector_of(source: str, text: str) -> FloatArray:
    return unit(f"{source}: {text}")


QUERY = unit("a question")


def item(source: str, *texts: str, root: str = "root", title: str = "") -> Item:
    """A document whose passages are `texts`, one a line."""
    text = "\n".join(texts)
    ends = np.cumsum([len(t) + 1 for t in texts]).tolist()
    chunks = [Chunk(end - 1 - len(t), end - 1) for t, end in zip(texts, ends, strict=True)]
    vectors = np.array([vector_of(source, t) for t in texts], dtype=np.float32).reshape(len(texts), DIMENSION)
    return Document(root, source, title, "text/plain", f"sha256 of {text}", text), chunks, vectors


def stored(store: Store) -> dict[int, tuple[str, str]]:
    """Passage id -> (source, text) of everything in the store, found without either search."""
    return {p.id: (p.source, p.text) for p in store.passages(range(1, 5000))}


def slow_dense(
    passages: dict[int, tuple[str, str]],
    query: FloatArray,
    k: int,
    documents: Collection[str] = (),
    exclude: Collection[str] = (),
) -> list[int]:
    """What `Store.dense` should find."""
    allowed = {
        i: float(vector_of(source, text) @ query)
        for i, (source, text) in passages.items()
        if (not documents or source in documents) and source not in exclude
    }
    return sorted(allowed, key=lambda i: -allowed[i])[:k]


def ids(hits: Iterable[tuple[int, float]]) -> list[int]:
    return [i for i, _ in hits]
