"""Batches are embedded beside the writing: each is stored whole, in order, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from store_samples import DIMENSION, item, open_store, unit

from rag.errors import EmbeddingUnavailable
from rag.pipeline import Batch, Pipeline
from rag.rows import FloatArray
from rag.scan import Cut
from rag.settings import Settings
from rag.store import Store
from rag.workers import LocalWorkers


class Slow:
    """Embeds a batch when it is told to, and not at all where a text says so."""

    name = weights = "slow"
    place = ""
    dimension = DIMENSION

    def __init__(self) -> None:
        self.allowed = threading.Event()
        self.allowed.set()
        self.done = threading.Event()

    def documents(self, texts: Sequence[str]) -> FloatArray:
        assert self.allowed.wait(10)
        if "bad" in texts:
            raise EmbeddingUnavailable("no vectors today; try tomorrow")
        vectors = np.array([unit(text) for text in texts], np.float32).reshape(len(texts), DIMENSION)
        self.done.set()
        return vectors

    queries = documents


def batch(*names: str) -> Batch:
    return [one(name, f"{name} one", f"{name} two") for name in names]


def one(name: str, *texts: str) -> Cut:
    document, chunks, _ = item(name, *texts)
    return Cut(document, chunks)


@contextmanager
def pipe(store: Store, encoder: Slow | None = None) -> Iterator[Pipeline]:
    with LocalWorkers(Settings(), encoder or Slow()) as workers, Pipeline(store, workers) as pipeline:
        yield pipeline


def sources(store: Store) -> list[str]:
    return [document.source for document in store.documents()]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def test_every_passage_gets_its_own_vector(store: Store) -> None:
    with pipe(store) as pipeline:
        stored = [pipeline.put(batch("a", "b")), pipeline.put(batch("c")), pipeline.finish(), pipeline.finish()]
    assert stored == [0, 4, 2, 0]
    for passage in store.passages(range(1, 7)):
        assert store.dense(unit(passage.text), 1)[0] == (passage.id, pytest.approx(1, abs=1e-3))


def test_a_batch_is_stored_while_the_next_is_embedded(store: Store) -> None:
    encoder = Slow()
    with pipe(store, encoder) as pipeline:
        pipeline.put(batch("a"))
        assert encoder.done.wait(10)
        encoder.allowed.clear()
        assert pipeline.put(batch("b")) == 2
        assert sources(store) == ["a"]
        encoder.allowed.set()
        pipeline.finish()
    assert sources(store) == ["a", "b"]


def test_the_newer_of_two_versions_stays(store: Store) -> None:
    with pipe(store) as pipeline:
        pipeline.put(batch("a"))
        pipeline.put([one("a", "newer")])
        pipeline.finish()
    assert [passage.text for passage in store.passages(range(1, 9))] == ["newer"]


def test_what_was_embedded_before_a_failure_is_stored(store: Store) -> None:
    with pipe(store) as pipeline:
        pipeline.put(batch("a"))
        pipeline.put([one("b", "bad")])
        with pytest.raises(EmbeddingUnavailable, match="try tomorrow"):
            pipeline.put(batch("c"))
    assert sources(store) == ["a"]


def test_an_interruption_keeps_what_is_being_embedded(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), pipe(store) as pipeline:  # noqa: PT012
        pipeline.put(batch("a"))
        raise KeyboardInterrupt
    assert sources(store) == ["a"]
