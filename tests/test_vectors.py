"""The FAISS file may lag, be damaged or be gone: the searches find the same."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import sqlite3
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from store_samples import DIMENSION, QUERY, ids, item, open_store, slow_dense, stored

import rag.nearest
import rag.vectors
from rag.errors import RagError
from rag.layout import is_ours
from rag.schema import State, read_state
from rag.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An index with a snapshot, and with rows that were added, replaced and removed after it."""
    with open_store(tmp_path) as store:
        store.replace([item(f"s{i}", *(f"text {i} {j}" for j in range(5))) for i in range(10)])
        store.replace([item("s3", "newer"), item("new", "added", "added too")])
        store.remove([5])
    return tmp_path


def vector_file(folder: Path) -> Path:
    (path,) = folder.glob("vectors-*")
    return path


def assert_right(store: Store) -> None:
    assert len(stored(store)) == 43
    for k in (1, 10, 100):
        assert ids(store.dense(QUERY, k)) == slow_dense(stored(store), QUERY, k)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def from_another_index(path: Path) -> None:
    with open_store(path.parent / "other") as other:
        other.replace([item(f"o{i}", *(f"other {i} {j}" for j in range(5))) for i in range(10)])
    vector_file(path.parent / "other").replace(path)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "a bit of the header": lambda path: flip(path, 0),
    "a bit of the dimension": lambda path: flip(path, 4),
    "a bit of a vector": lambda path: flip(path, 500),
    "a bit of the last id": lambda path: flip(path, -8),
    "another index": from_another_index,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_changes_no_answer_and_is_healed(folder: Path, damage: str) -> None:
    path = vector_file(folder)
    before = path.read_bytes()
    DAMAGE[damage](path)
    with open_store(folder) as store:
        assert_right(store)
        if path.is_dir():
            path.rmdir()  # only files are swept away
        store.snapshot()
        assert_right(store)
    healed = vector_file(folder).read_bytes()
    assert len(healed) != len(before)  # the new file holds the rows of today
    with open_store(folder) as store:
        store.snapshot()
        assert_right(store)
    assert vector_file(folder).read_bytes() == healed


@pytest.mark.parametrize("damage", ["gone", "truncated", "a bit of a vector"])
def test_the_next_write_heals_what_a_search_has_met(folder: Path, damage: str) -> None:
    with open_store(folder) as store:
        old = vector_file(folder)
        DAMAGE[damage](old)
        store.dense(QUERY, 1)
        store.set_meta("any", "write")
        assert vector_file(folder) != old
        assert_right(store)


def test_snapshot_heals_damage_that_no_search_has_met(folder: Path) -> None:
    with open_store(folder) as store:
        assert_right(store)  # loads the file before it is damaged
        flip(vector_file(folder), 500)
        store.snapshot()
    healed = vector_file(folder).read_bytes()
    with open_store(folder) as store:
        store.snapshot()
    assert vector_file(folder).read_bytes() == healed


@pytest.mark.parametrize("name", ["../outside", "{outside}", "/dev/zero", ".", "vectors-1.faiss/../../outside"])
def test_a_vector_file_that_is_elsewhere_is_not_read(folder: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path.parent / "outside"
    outside.write_bytes(vector_file(folder).read_bytes())
    state(folder, "snapshot = ?", name.format(outside=outside))
    with open_store(folder) as store:
        assert_right(store)
        store.snapshot()
        assert store._vectors._file(read(folder)) == vector_file(folder)
    assert outside.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("kind", ["link", "pipe", "giant"])
def test_a_vector_file_that_is_none_is_not_opened(folder: Path, kind: str) -> None:
    path = vector_file(folder)
    whole = path.read_bytes()
    if kind == "giant":
        with path.open("r+b") as file:
            file.truncate(30_000_000_000)
    else:
        path.unlink()
        path.symlink_to("/dev/zero") if kind == "link" else os.mkfifo(path)
    with open_store(folder) as store:
        assert_right(store)
        store.snapshot()
    assert vector_file(folder).stat().st_size < 2 * len(whole)


@pytest.mark.parametrize(
    ("offset", "form", "number"),
    [
        (8, "<q", 2**40),
        (8, "<q", -1),
        (4, "<i", 2**31 - 1),
        (33, "<i", 7),
        (74, "<Q", 2**39),
        (-8 * 50 - 8, "<Q", 2**40),
    ],
)
def test_giant_sizes_in_a_vector_file_whose_hash_fits_never_reach_faiss(
    folder: Path, offset: int, form: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = vector_file(folder)
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, offset % len(data), number)
    path.write_bytes(data)
    state(folder, "snapshot_sha256 = ?", hashlib.sha256(data).hexdigest())
    monkeypatch.setattr("rag.vectors.from_bytes", None)
    with open_store(folder) as store:
        assert_right(store)


@pytest.mark.parametrize("above", [10**6, 10])
def test_what_is_written_is_what_is_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch, above: int) -> None:
    """With another layout of FAISS's files every opening would make the index anew."""
    monkeypatch.setattr("rag.nearest.APPROXIMATE_ABOVE", above)
    vector_file(folder).unlink()
    with open_store(folder) as store:
        store.snapshot()
    data = vector_file(folder).read_bytes()
    assert is_ours(data, DIMENSION)
    assert not any(is_ours(damaged, DIMENSION) for damaged in (data[:-1], data + b"\0", data[:100], data[:8], b""))
    assert not is_ours(data, DIMENSION + 1)


def test_a_link_where_the_next_vector_file_is_written_is_replaced(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path.parent / "letters"
    outside.write_text("letters")
    generation = read(folder).generation
    vector_file(folder).unlink()
    (folder / f"vectors-{generation}.faiss.tmp").symlink_to(outside)
    with open_store(folder) as store:
        store.snapshot()
        assert_right(store)
    assert outside.read_text() == "letters"


def state(folder: Path, change: str, value: object) -> None:
    with closing(sqlite3.connect(folder / "index.db")) as connection, connection:
        connection.execute(f"UPDATE state SET {change}", (value,))


def read(folder: Path) -> State:
    with closing(sqlite3.connect(folder / "index.db")) as connection:
        connection.create_function("opened_file", 0, lambda: "")
        return read_state(connection)


def test_a_small_update_leaves_the_file_alone(folder: Path) -> None:
    path = vector_file(folder)
    before = path.read_bytes()
    with open_store(folder) as store:
        store.replace([item("s1", "changed")])
        store.snapshot()
    assert path.read_bytes() == before


def test_a_running_reader_reads_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    vectors_after = rag.vectors.vectors_after

    def counted(*arguments: Any) -> Any:
        index = vectors_after(*arguments)
        rows.append(index.ntotal)
        return index

    with open_store(tmp_path) as store, open_store(tmp_path) as reader:
        store.replace([item("s", *(f"text {j}" for j in range(50)))])
        reader.dense(QUERY, 1)
        monkeypatch.setattr(rag.vectors, "vectors_after", counted)
        for i in range(40):
            store.replace([item(f"n{i}", f"new {i}"), item(f"n{i - 3}", f"again {i}")])
            if i % 5 == 0:
                store.remove([i // 2])
            assert ids(reader.dense(QUERY, 200)) == slow_dense(stored(store), QUERY, 200)
    assert len(rows) == 40
    assert sum(rows) < 40 * 2 + 3 * 100  # two each, and now and then all that were added


def test_a_copy_put_in_its_place_is_another_index_although_it_counts_alike(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with open_store(tmp_path / "index") as reader:
        path = tmp_path / "index" / "index.db"
        with open_store(tmp_path / "index") as store:
            store.replace([item("s", "one", "two", "three")])
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        with open_store(tmp_path / "index") as store:
            store.replace([item("lost", "one", "two")])
            reader.dense(QUERY, 1)
            reader.words_held(["lost"])
        for name in ("index.db-wal", "index.db-shm"):
            (tmp_path / "index" / name).unlink(missing_ok=True)
        copy.replace(path)
        with open_store(tmp_path / "index") as store:
            for i in range(2):
                store.replace([item("new", f"another {i}", "thing")])
                assert ids(reader.dense(QUERY, 9)) == slow_dense(stored(store), QUERY, 9)
                assert reader.words_held(["lost", "new", "thing"]) == {"thing": 1}
                assert reader.count() == store.count()


def test_many_updates_rewrite_the_file_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.vectors, "LAG_ROWS", 8)
    names = []
    with open_store(tmp_path) as store, open_store(tmp_path) as reader:
        for i in range(60):
            store.replace([item(f"s{i}", "one", "two"), item("s0", f"version {i}")])
            names.append(vector_file(tmp_path).name)
            assert ids(reader.dense(QUERY, 99)) == slow_dense(stored(store), QUERY, 99)
    assert 5 < len(set(names)) < 20


def test_a_large_file_lags_by_so_many_rows_at_most(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.vectors, "LAG_ROWS", 4)
    monkeypatch.setattr(rag.vectors, "LAG_MOST", 8)
    monkeypatch.setattr(rag.vectors, "LAG_SHARE", 100)
    path = vector_file(folder)
    with open_store(folder) as store:
        store.replace([item("more", "one", "two")])
        assert vector_file(folder) != path
        assert ids(store.dense(QUERY, 100)) == slow_dense(stored(store), QUERY, 100)


def test_a_stray_file_of_a_killed_writer_is_ignored_and_swept_away(folder: Path) -> None:
    for name in ("vectors-99.faiss", "vectors-99.faiss.tmp"):
        (folder / name).write_bytes(b"stray")
    with open_store(folder) as store:
        assert_right(store)
        store.snapshot()
        assert_right(store)
    assert vector_file(folder).name == "vectors-1.faiss"


def test_a_file_that_cannot_be_written_stops_no_write(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "vectors-1.faiss.tmp").mkdir()
    with open_store(tmp_path) as store:
        with caplog.at_level(logging.WARNING):
            store.replace([item("a", "walrus")])
        assert "index of vectors was not brought up to date" in caplog.text
        assert len(store.dense(QUERY, 5)) == 1
        with pytest.raises(RagError, match="choose another index_dir"):
            store.snapshot()
        store.replace([item("b", "heron")])
        assert ids(store.dense(QUERY, 5)) == slow_dense(stored(store), QUERY, 5)


def test_searching_leaves_faiss_threads_as_they_were(folder: Path) -> None:
    faiss = rag.nearest.faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    with open_store(folder) as store:
        store.dense(QUERY, 5)
    assert faiss.omp_get_max_threads() == 3
    faiss.omp_set_num_threads(before)


def test_an_older_reading_is_not_served_newer_vectors(folder: Path) -> None:
    DAMAGE["truncated"](vector_file(folder))
    with open_store(folder) as writer, open_store(folder) as reader, reader.reading(), ThreadPoolExecutor(1) as pool:
        old = stored(reader)
        writer.replace([item("s1", "changed"), item("s2", "changed too")])
        # Another thread makes the snapshot again out of the database as it is now.
        newer = pool.submit(reader.dense, QUERY, 100).result()
        assert ids(newer) == slow_dense(stored(writer), QUERY, 100)
        assert ids(reader.dense(QUERY, 100)) == slow_dense(old, QUERY, 100)


def test_a_full_disk_keeps_no_half_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_room(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    vector_file(folder).unlink()
    with open_store(folder) as store:
        with monkeypatch.context() as full:
            full.setattr(rag.vectors.os, "fsync", no_room)
            store.replace([item("more", "walrus")])
            assert "is full; free some space" in caplog.text
            assert not list(folder.glob("vectors-*"))
        store.snapshot()
        assert vector_file(folder).stat().st_size > 0
