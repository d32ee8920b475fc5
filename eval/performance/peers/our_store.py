"""Our vectors alone: the store, without encoder, reader and LLM, so that time and memory are the search's own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from rag.store import Store

from .protocol import System, run


class OurStore(System):
    """Searches with vectors in place of questions."""

    def __init__(self) -> None:
        self._store: Any = None

    def open_store(self, index: Path, fingerprint: str, vectors: str) -> None:
        """Open it and search once: what is loaded on first use is loaded then."""
        queries = np.load(vectors)
        self._store = Store.open(index, fingerprint=fingerprint, dimension=queries.shape[1])
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
