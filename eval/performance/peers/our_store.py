"""Parts of our search: vectors alone, so that time and memory are the store's own; hybrid search without the reader."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

import rag
from rag.assistant import index_fingerprint
from rag.embedding import open_encoder
from rag.retrieval import Retriever
from rag.store import Location, Store

from .protocol import Found, System, run


class OurStore(System):
    """Searches with vectors in place of questions, or with questions and no reader."""

    def __init__(self) -> None:
        self._store: Any = None
        self._retriever: Any = None

    def open(self, index: Path) -> None:
        encoder = open_encoder(rag.Settings())
        fingerprint = index_fingerprint(rag.Settings(), encoder)
        self._retriever = Retriever(
            Store.open(Location(index), fingerprint=fingerprint, dimension=encoder.dimension), encoder
        )

    def search(self, question: str, k: int, mode: str) -> list[Found]:
        hits = self._retriever.search(self._retriever.query(question), k)
        return [Found(hit.passage.source, hit.passage.text) for hit in hits]

    def open_store(self, index: Path, fingerprint: str, vectors: str) -> None:
        """Open it and search once: what is loaded on first use is loaded then."""
        queries = np.load(vectors)
        self._store = Store.open(Location(index), fingerprint=fingerprint, dimension=queries.shape[1])
        self._store.dense(queries[0], 10)

    def dense(self, vectors: str, k: int) -> list[dict[str, Any]]:
        """For each vector, the milliseconds and the sources of the `k` nearest."""
        results = []
        for query in np.load(vectors):
            start = time.perf_counter()
            ids = [number for number, _ in self._store.dense(query, k)]
            milliseconds = 1000 * (time.perf_counter() - start)
            results.append({"ms": milliseconds, "sources": [each.source for each in self._store.passages(ids)]})
        return results


if __name__ == "__main__":
    run(OurStore())
