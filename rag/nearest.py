"""FAISS indexes of the stored vectors: exact while that is fast, approximate beyond.

Measured with 384 dimensions, one thread: the exact index takes 13 ms (p95 22 ms) for 100,000 vectors and grows with
them. The approximate one keeps a byte per dimension in cells of similar vectors and looks into one cell of eight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from .catalogue import Reader
from .layout import CELLS_PER_PROBE
from .stored import FloatArray, IntArray

APPROXIMATE_ABOVE = 100_000  # vectors
_FEW = 0.25  # a share of passages left out that does not empty the cells around a question
_SAMPLE_PER_CELL = 40  # vectors to learn a cell from: FAISS asks for 39 at least
_MOST = 1.1


@cache
def faiss() -> Any:
    """FAISS, by whoever needs it first: an ingest that finds nothing new does not."""
    import faiss

    return faiss


def all_vectors(reader: Reader) -> Any:
    """An index of all passages."""
    ids = reader.ids()
    if len(ids) <= APPROXIMATE_ABOVE:
        return vectors_after(reader, 0)
    return _filled(_trained(reader, ids), reader, 0)


def vectors_after(reader: Reader, after: int) -> Any:
    """An exact index of the passages with an id above `after`."""
    return _filled(faiss().IndexIDMap(faiss().IndexFlatIP(reader.state.dimension)), reader, after)


def to_bytes(index: Any) -> bytes:
    """An index as a file holds it."""
    data: bytes = faiss().serialize_index(index).tobytes()
    return data


def from_bytes(data: bytes) -> Any:
    """The index that `to_bytes` gave, which stays in `data`: nothing is copied.

    Raises RuntimeError for what another release of FAISS has written.
    """
    array = np.frombuffer(data, np.uint8)
    index = faiss().read_index(faiss().ZeroCopyIOReader(faiss().swig_ptr(array), array.size))
    index.referenced_objects = [data]  # lives as long as what points into it
    return index


def _trained(reader: Reader, ids: IntArray) -> Any:
    dimension = reader.state.dimension
    cells = math.isqrt(len(ids))
    index = faiss().IndexIVFScalarQuantizer(
        faiss().IndexFlatIP(dimension),
        dimension,
        cells,
        faiss().ScalarQuantizer.QT_8bit,
        faiss().METRIC_INNER_PRODUCT,
    )
    index.nprobe = math.ceil(cells / CELLS_PER_PROBE)
    sample = ids[:: max(1, len(ids) // (_SAMPLE_PER_CELL * cells))]  # evenly spread: the same one every time
    index.train(reader.vectors(sample.tolist())[1])
    return index


def _filled(index: Any, reader: Reader, after: int) -> Any:
    for ids, vectors in reader.vectors_after(after):
        index.add_with_ids(vectors, ids)
    return index


def nearest(
    reader: Reader, index: Any, vector: FloatArray, k: int, only: IntArray | None, without: IntArray
) -> list[tuple[int, float]]:
    """The `k` best (id, inner product), in no order; among `only` if given, and none of `without`."""
    if only is None:
        selector = faiss().IDSelectorNot(faiss().IDSelectorBatch(without))
    else:
        selector = faiss().IDSelectorBatch(np.setdiff1d(only, without))
    k = min(k, index.ntotal)
    if k <= 0:
        return []
    if not isinstance(index, faiss().IndexIVF):
        return _search(index, vector, k, faiss().SearchParameters(sel=selector))
    # A byte per dimension confuses close neighbours: more are fetched, and their stored vectors decide.
    wanted = min(2 * k + 20, index.ntotal)
    found: list[tuple[int, float]] = []
    if only is None and len(without) <= _FEW * index.ntotal:
        found = _search(index, vector, wanted, faiss().SearchParametersIVF(sel=selector, nprobe=index.nprobe))
    if len(found) < k:  # what is left may lie in any cell
        found = _search(index, vector, wanted, faiss().SearchParametersIVF(sel=selector, nprobe=index.nlist))
    ids, stored = reader.vectors([i for i, _ in found])
    return sorted(zip(ids, (stored @ vector).tolist(), strict=True), key=lambda hit: -hit[1])[:k]


def _search(index: Any, vector: FloatArray, k: int, parameters: Any) -> list[tuple[int, float]]:
    with _one_thread():
        scores, ids = index.search(vector[None, :], k, params=parameters)
    # No two unit vectors have a larger product: what has, or has none, is no vector that was stored.
    return [(int(i), float(score)) for i, score in zip(ids[0], scores[0], strict=True) if i >= 0 and abs(score) < _MOST]


@contextmanager
def _one_thread() -> Iterator[None]:
    """FAISS cannot share out one question; its threads only wait for each other (20 ms for 1 on a busy machine)."""
    threads = faiss().omp_get_max_threads()
    faiss().omp_set_num_threads(1)  # of the calling thread only
    try:
        yield
    finally:
        faiss().omp_set_num_threads(threads)
