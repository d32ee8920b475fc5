from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_samples import DIMENSION, QUERY, ids, item, open_store, slow_dense, stored, unit, vector_of

import rag.store
import rag.vectors
from rag.errors import IndexDamaged, RagError
from rag.store import FloatArray, Location, Store
from rag.types import Chunk, Document


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with open_store(folder) as store:
        yield store


def test_a_document_may_hold_any_character(store: Store) -> None:
    document, chunks, vectors = item("a", "before\0behind", "é\0🦉 same")
    (document_id,) = store.replace([(document, chunks, vectors)])
    assert store.document(document_id).text == document.text
    assert [p.text for p in store.passages([1, 2])] == ["before\0behind", "é\0🦉 same"]


def test_a_list_tells_lengths_without_reading_the_texts(folder: Path, store: Store) -> None:
    store.replace([item("a", "before\0behind"), item("b", "elk"), item("c", "owl")])
    store.replace([item("b", "elk and seal")])
    store.remove([3])
    with closing(sqlite3.connect(folder / "index.db", isolation_level=None)) as connection:
        connection.execute("UPDATE document SET text = ''")  # who reads it, sees this
    assert {d.document.source: d.characters for d in store.listing()} == {"a": 13, "b": 12}
    with closing(sqlite3.connect(folder / "index.db", isolation_level=None)) as connection:
        keys = {key for (key,) in connection.execute("DELETE FROM meta RETURNING key")}
    assert keys == {"changed 1", "changed 2", "characters 1", "characters 2"}
    assert {d.document.source: d.characters for d in store.listing()} == {"a": 0, "b": 0}  # as of an older index


@pytest.fixture(params=["with a vector file", "without"])
def vector_file(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        monkeypatch.setattr(rag.vectors.Vectors, "is_due", lambda *_, **__: False)


@pytest.mark.usefixtures("vector_file")
def test_the_folder_may_be_deleted_and_made_anew_under_a_running_reader(folder: Path) -> None:
    with open_store(folder) as reader:
        reader.replace([item("a", "walrus"), item("b", "seal")])
        assert len(reader.dense(QUERY, 5)) == 2
        assert reader.words_held(["walrus", "seal", "heron"]) == {"walrus": 1, "seal": 1}
        shutil.rmtree(folder)
        with pytest.raises(RagError, match="ingest"):
            reader.count()
        with open_store(folder) as other:
            other.replace([item("c", "heron", "stork", "crane")])  # as many writes, so the same generation
        assert ids(reader.dense(QUERY, 5)) == slow_dense(stored(reader), QUERY, 5)
        assert len(reader.dense(QUERY, 5)) == 3
        assert reader.words_held(["walrus", "seal", "heron"]) == {"heron": 1}


def halves(document: Document) -> list[Chunk]:
    middle = len(document.text) // 2
    return [Chunk(0, middle), Chunk(middle, len(document.text))]


@pytest.mark.usefixtures("vector_file")
def test_rebuilding_with_the_same_model_is_seen_by_open_stores(store: Store, folder: Path) -> None:
    store.replace([item("a", "walrus", "heron")])
    store.dense(QUERY, 5)

    def embed(document: Document, chunks: list[Chunk]) -> FloatArray:
        return np.array([vector_of(document.source, document.text[c.start : c.end]) for c in chunks])

    Store.rebuild(Location(folder), fingerprint="one model", dimension=DIMENSION, chunk=halves, embed=embed)
    assert ids(store.dense(QUERY, 5)) == slow_dense(stored(store), QUERY, 5)
    assert sorted(stored(store)) == [3, 4]


# -- against a plain dictionary ----------------------------------------------------------------------------------------

sources = st.sampled_from(["a", "b", "c", "d"])
roots = st.sampled_from(["x", "y"])
texts = st.lists(st.sampled_from(["owl", "seal", "elk", "owl seal", "elk owl"]), max_size=4, unique=True)
some_sources = st.lists(sources, max_size=3)


class StoreMachine(RuleBasedStateMachine):
    """Two stores on one folder must both answer as a dictionary would, whatever happens to the vector file."""

    @initialize()
    def make(self) -> None:
        self.lag_rows, rag.vectors.LAG_ROWS = rag.vectors.LAG_ROWS, 6  # so that snapshots are written, and lag
        self.folder = Path(tempfile.mkdtemp())
        self.writer, self.reader = open_store(self.folder), open_store(self.folder)
        self.model: dict[tuple[str, str], tuple[int, list[str]]] = {}

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.writer.close()
            self.reader.close()
            rag.vectors.LAG_ROWS = self.lag_rows
            shutil.rmtree(self.folder)

    @rule(batch=st.lists(st.tuples(roots, sources, texts), max_size=3))
    def replace(self, batch: list[tuple[str, str, list[str]]]) -> None:
        new = self.writer.replace([item(source, *text, root=root) for root, source, text in batch])
        for document_id, (root, source, text) in zip(new, batch, strict=True):
            if (root, source) in self.model:
                assert self.model[root, source][0] == document_id
            self.model[root, source] = (document_id, text)

    @rule(root=roots, source=sources)
    def remove(self, root: str, source: str) -> None:
        self.writer.remove([self.model.pop((root, source), (10**6,))[0]])

    @rule()
    def reopen(self) -> None:
        self.writer.close()
        self.writer = open_store(self.folder)

    @rule()
    def snapshot(self) -> None:
        self.reader.snapshot()

    @rule(at=st.integers(0, 10**6), how=st.sampled_from(["delete", "truncate", "flip"]))
    def damage(self, at: int, how: str) -> None:
        for path in self.folder.glob("*.faiss"):
            data = bytearray(path.read_bytes())
            at %= len(data) or 1
            if how == "delete" or not data:
                path.unlink()
            elif how == "truncate":
                path.write_bytes(data[:at])
            else:
                data[at] ^= 1
                path.write_bytes(data)

    @rule(
        store=st.sampled_from(["writer", "reader"]), k=st.integers(0, 20), documents=some_sources, exclude=some_sources
    )
    def search(self, store: str, k: int, documents: list[str], exclude: list[str]) -> None:
        searched: Store = getattr(self, store)
        passages = stored(self.writer)
        hits = ids(searched.dense(QUERY, k, documents=documents, exclude=exclude))
        expected = slow_dense(passages, QUERY, k, documents, exclude)
        assert [passages[i] for i in hits] == [passages[i] for i in expected]  # equal text, equal cosine
        assert len(set(hits)) == len(hits)
        allowed = {i for i, (s, _) in passages.items() if (not documents or s in documents) and s not in exclude}
        for term in ("owl", "elk"):
            hits = ids(searched.keyword([term], 100, documents=documents, exclude=exclude))
            assert set(hits) == {i for i in allowed if term in passages[i][1].split()}

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "folder"):
            return
        documents = {(d.root, d.source): d.id for d in self.reader.documents()}
        assert documents == {key: document_id for key, (document_id, _) in self.model.items()}
        passages = self.reader.passages(range(1, 5000))
        expected = sorted((document_id, text) for document_id, some in self.model.values() for text in some)
        assert sorted((p.document_id, p.text) for p in passages) == expected
        words = [set(text.split()) for _, some in self.model.values() for text in some]
        every = ("owl", "seal", "elk")
        assert self.reader.words_held(every) == {w: n for w in every if (n := sum(w in s for s in words))}


StoreMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestAgainstADictionary = StoreMachine.TestCase


# -- an index that somebody else made ----------------------------------------------------------------------------------


def change(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "index.db")) as connection, connection:
        connection.execute(statement, values)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE passage SET text = 'Another.' WHERE id = 1",
        "UPDATE document SET text = 'Another.' WHERE id = 1",
        "UPDATE passage SET stop = stop + 1 WHERE id = 1",
        "UPDATE passage SET document_id = 2 WHERE id = 1",
    ],
)
def test_a_passage_that_is_not_what_its_document_says_is_not_quoted(tmp_path: Path, statement: str) -> None:
    with open_store(tmp_path / "index") as store:
        store.replace([item("a", "The bridge.", "It is long."), item("b", "Owls.")])
        store.verify_quotable(store.passages([1, 2, 3]))
    change(tmp_path / "index", statement)
    with open_store(tmp_path / "index") as store:
        passages = store.passages([1, 2, 3])
        store.verify_quotable(passages[2:])
        with pytest.raises(IndexDamaged, match=r"passage 1 of .* is not what its document says"):
            store.verify_quotable(passages)


def look_at_everything(store: Store) -> None:
    store.listing()
    store.documents()
    store.document(1)
    store.passages([1, 2])
    store.words_held(["long"])
    store.names_sounding("brdg")
    store.keyword(["long"], 5)
    store.dense(unit("a question"), 5)
    store.vectors([1, 2])
    store.verify()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE passage SET start = -1",
        "UPDATE passage SET start = 'first'",
        "UPDATE passage SET stop = start",
        "UPDATE passage SET text = x'ff', heading = x'ff'",
        "UPDATE passage SET text = CAST(x'ff41' AS TEXT)",
        "UPDATE passage SET page = 'three'",
        "UPDATE passage SET vector = 'vector'",
        "UPDATE document SET text = x'ff'",
        "UPDATE document SET pages = 'no JSON'",
        "UPDATE document SET pages = '[1e999]'",
        "UPDATE document SET pages = '[5, 1]'",
        "UPDATE document SET pages = '[99999]'",
        "UPDATE document SET pages = replace(hex(zeroblob(50000)), '0', '[')",
        "UPDATE state SET generation = 'last'",
        "UPDATE state SET identity = x'00'",
    ],
)
def test_a_row_of_another_kind_is_named(tmp_path: Path, statement: str) -> None:
    with open_store(tmp_path / "index") as store:
        store.replace([item("a", "The bridge.", "It is long.")])
        look_at_everything(store)
    change(tmp_path / "index", statement)
    with pytest.raises(IndexDamaged) as raised, open_store(tmp_path / "index") as store:
        look_at_everything(store)
    assert "\n" not in str(raised.value)
    assert ";" in str(raised.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 6e4])
def test_a_vector_that_no_model_made_is_named(tmp_path: Path, value: float) -> None:
    with open_store(tmp_path / "index") as store:
        store.replace([item("a", "The bridge.", "It is long.")])
    change(tmp_path / "index", "UPDATE passage SET vector = ?", np.full(DIMENSION, value, "<f2").tobytes())
    for file in (tmp_path / "index").glob("vectors-*"):
        file.unlink()
    with open_store(tmp_path / "index") as store, pytest.raises(IndexDamaged, match="rag rebuild"):
        store.dense(unit("a question"), 5)


def test_what_only_respells_may_be_damaged(tmp_path: Path) -> None:
    with open_store(tmp_path / "index") as store:
        store.replace([item("a", "The bridge.", "It is long.")])
    change(tmp_path / "index", "UPDATE word SET passages = 'many', lower = x'00' WHERE word = 'long'")
    with open_store(tmp_path / "index") as store:
        assert store.words_held(["the", "bridge", "long"]) == {"the": 1, "bridge": 1}
        assert store.names_sounding("lng") == {}
        assert [i for i, _ in store.keyword(["long"], 5)] == [2]


def test_a_word_that_more_passages_hold_than_there_are_is_not_searched(tmp_path: Path) -> None:
    with open_store(tmp_path / "index") as store:
        store.replace([item("a", "The bridge.", "It is long.")])
    for i in range(9):
        change(tmp_path / "index", "INSERT INTO words (rowid, text) VALUES (?, 'bridge')", 100 + i)
    with open_store(tmp_path / "index") as store, pytest.raises(IndexDamaged, match="more often than there are"):
        store.document_frequency(["bridge"])
