"""Beyond a size the vectors are searched approximately: nearly the same is found, and filters and deletions hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from store_samples import DIMENSION, Item, ids, open_store

import rag.nearest
from rag.rows import FloatArray
from rag.store import Store
from rag.types import Chunk, Document

DOCUMENTS, PASSAGES = 60, 50  # each document is about one thing: its passages are neighbours


@pytest.fixture(autouse=True)
def _approximate_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.nearest, "APPROXIMATE_ABOVE", 1000)


def around(name: int, count: int = PASSAGES) -> FloatArray:
    rng = np.random.default_rng(name)
    vectors = rng.standard_normal(DIMENSION) + 0.5 * rng.standard_normal((count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


def document(name: int, vectors: FloatArray) -> Item:
    return Document("", f"d{name}", "", "text/plain", "", "text"), [Chunk(0, 4)] * len(vectors), vectors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with open_store(tmp_path) as store:
        store.replace([document(name, around(name)) for name in range(DOCUMENTS)])
    return tmp_path


@pytest.fixture
def everything() -> FloatArray:
    """The vectors of all passages; row i has the id i + 1."""
    return np.concatenate([around(name) for name in range(DOCUMENTS)])


QUERIES = np.concatenate([around(name, 51)[-1:] for name in range(DOCUMENTS)])


def best(vectors: FloatArray, query: FloatArray, k: int, among: np.ndarray) -> list[int]:
    order = among[np.argsort(-(vectors[among] @ query))]
    return [int(i) + 1 for i in order[:k]]


def recall(store: Store, vectors: FloatArray, among: np.ndarray, **filters: list[str]) -> float:
    pairs = [(set(ids(store.dense(q, 10, **filters))), set(best(vectors, q, 10, among))) for q in QUERIES]
    return sum(len(found & right) for found, right in pairs) / sum(len(right) for _, right in pairs)


def of(*names: int) -> np.ndarray:
    """Rows of `everything` that belong to these documents."""
    return np.concatenate([np.arange(name * PASSAGES, (name + 1) * PASSAGES) for name in names])


def vector_file(folder: Path) -> Path:
    (path,) = folder.glob("vectors-*")
    return path


def test_nearly_the_same_is_found(folder: Path, everything: FloatArray) -> None:
    assert vector_file(folder).stat().st_size < everything.nbytes / 2  # so it is not the exact index
    with open_store(folder) as store:
        assert recall(store, everything, np.arange(len(everything))) >= 0.98
        for passage, cosine in store.dense(QUERIES[0], 10):
            assert cosine == pytest.approx(float(everything[passage - 1] @ QUERIES[0]), abs=1e-6)


def test_chosen_documents_are_searched_whole(folder: Path, everything: FloatArray) -> None:
    with open_store(folder) as store:
        for names in ([7], [3, 50]):
            chosen = [f"d{name}" for name in names]
            assert recall(store, everything, of(*names), documents=chosen) >= 0.98
            assert len(store.dense(QUERIES[0], 200, documents=chosen)) == len(names) * PASSAGES


def test_what_is_excluded_is_not_found(folder: Path, everything: FloatArray) -> None:
    with open_store(folder) as store:
        rest = [name for name in range(DOCUMENTS) if name % 2]
        excluded = [f"d{name}" for name in range(0, DOCUMENTS, 2)]
        assert recall(store, everything, of(*rest), exclude=excluded) >= 0.98
        for name, query in enumerate(QUERIES):
            others = of(*(n for n in range(DOCUMENTS) if n != name))
            found = ids(store.dense(query, 1, exclude=[f"d{name}"]))
            assert found[0] - 1 in others
        all_but_one = [f"d{name}" for name in range(DOCUMENTS) if name != 9]
        for query in QUERIES[:10]:  # whose cells hold nothing that is allowed
            assert ids(store.dense(query, 10, exclude=all_but_one)) == best(everything, query, 10, of(9))


def test_removed_and_replaced_passages_are_gone(folder: Path, everything: FloatArray) -> None:
    with open_store(folder) as store:
        numbers = {d.source: d.id for d in store.documents()}
        store.remove([numbers["d5"]])
        store.replace([document(6, around(600, 3))])
        rest = of(*(name for name in range(DOCUMENTS) if name not in (5, 6)))
        for query in QUERIES[5:7]:
            found = ids(store.dense(query, 10))
            old = [i for i in found if i <= len(everything)]
            assert set(old) <= {int(row) + 1 for row in rest}
        assert {3001, 3002, 3003} <= set(ids(store.dense(around(600, 3)[0], 100)))


def test_an_index_grows_into_it(tmp_path: Path, everything: FloatArray) -> None:
    with open_store(tmp_path) as store, open_store(tmp_path) as reader:
        for name in range(DOCUMENTS):
            store.replace([document(name, around(name))])
            assert ids(reader.dense(around(name)[-1], 1)) == [(name + 1) * PASSAGES]
        assert recall(reader, everything, np.arange(len(everything))) >= 0.98


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_flipped_bit_changes_no_answer_and_is_healed(folder: Path, share: float) -> None:
    path = vector_file(folder)
    intact = path.read_bytes()
    with open_store(folder) as store:
        before = [store.dense(query, 10) for query in QUERIES]
    data = bytearray(intact)
    data[int(share * (len(data) - 1))] ^= 1
    path.write_bytes(data)
    with open_store(folder) as store:
        assert [store.dense(query, 10) for query in QUERIES] == before
        store.snapshot()
    healed = vector_file(folder).read_bytes()
    assert len(healed) == len(intact)
    with open_store(folder) as store:
        store.snapshot()
    assert vector_file(folder).read_bytes() == healed
