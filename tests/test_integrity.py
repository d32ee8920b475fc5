from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from store_samples import DIMENSION, item, open_store, unit

from rag.errors import IndexDamaged
from rag.store import Location, Store
from rag.types import Chunk


@pytest.fixture
def index(tmp_path: Path) -> Path:
    with open_store(tmp_path / "index") as store:
        store.replace([item("a.txt", "The bridge was built.", "It is long."), item("b.txt", "Owls hunt at night.")])
        store.replace([item("a.txt", "The bridge was built in 1903.", "It is long.")])
        store.verify()
    return tmp_path / "index"


NAN = np.full(16, np.nan, "<f2").tobytes()


@pytest.mark.parametrize(
    ("damage", "values", "finding"),
    [
        ("UPDATE passage SET text = 'Something else.' WHERE id = 4", (), "passage 4 of 'a.txt'"),
        ("UPDATE document SET text = 'Shorter' WHERE source = 'b.txt'", (), "of 'b.txt' is not what its document says"),
        ("UPDATE passage SET vector = ? WHERE id = 4", (NAN,), "damaged vector"),
        ("UPDATE passage SET vector = x'00' WHERE id = 4", (), "vector"),
        ("DELETE FROM document WHERE source = 'b.txt'", (), "1 passages belong to no document"),
        ("INSERT INTO words (words) VALUES ('delete-all')", (), "keyword index holds 0 of 3"),
    ],
)
def test_what_does_not_agree_is_found_and_has_a_cure(
    index: Path, damage: str, values: tuple[bytes, ...], finding: str
) -> None:
    connection = sqlite3.connect(index / "index.db")  # without the foreign keys that the product switches on
    connection.execute(damage, values)
    connection.commit()
    connection.close()
    with open_store(index) as store, pytest.raises(IndexDamaged, match=finding) as raised:
        store.verify()
    assert "rag rebuild" in str(raised.value)
    Store.rebuild(
        Location(index),
        fingerprint="one model",
        dimension=DIMENSION,
        chunk=lambda document: [Chunk(0, len(document.text))],
        embed=lambda document, chunks: np.array([unit(document.text)]),
    )
    with open_store(index) as store:
        store.verify()
        assert store.count()[0] == store.count()[1]


def test_a_damaged_file_is_found(index: Path) -> None:
    file = index / "index.db"
    data = bytearray(file.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    file.write_bytes(data)
    with pytest.raises(IndexDamaged), open_store(index) as store:
        store.verify()
