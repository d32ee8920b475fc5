"""The vectors in memory: a FAISS snapshot, what was added since, and what was deleted since.

Everything here is derived from `index.db`. The snapshot's file may be missing, damaged or from another state: its
sha256 is in the database, and without a file that matches, the snapshot is made again from the stored vectors.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .database import folder_error, sync_folder
from .foreign import is_plain
from .layout import is_ours
from .nearest import IntArray, all_vectors, from_bytes, nearest, to_bytes, vectors_after
from .rows import FloatArray
from .schema import State

# Rows outside the snapshot that are cheap to carry: they are read from SQLite when an index is opened.
# A share of the snapshot, so that growing to n rows writes about 5 n rows to snapshots, however small the batches.
LAG_ROWS = 1024
LAG_SHARE = 0.25
LAG_MOST = 50_000  # beyond, every search would feel them: the rows are searched one by one

_MOST_ADDED = 16  # small indexes beside the snapshot, before they are made one
_NAME = re.compile(r"vectors-\d{1,19}\.faiss")
_FRAME_BYTES = 100_000  # of a file, around its vectors


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A FAISS index of the passages up to id `highest`, for states from `generation` on that have its `key`."""

    index: Any  # made by all_vectors
    key: tuple[str, int, str]  # State.snapshot_key
    generation: int
    highest: int
    from_file: bool


@dataclass(frozen=True, slots=True)
class View:
    """The vectors of one state of the database: those of the snapshot, and those `added` since, but the `dead`."""

    stamp: tuple[str, int]
    snapshot: Snapshot
    added: tuple[Any, ...]  # made by vectors_after, one after the other
    highest: int  # id that they hold
    dead: IntArray

    def search(
        self,
        connection: sqlite3.Connection,
        vector: FloatArray,
        k: int,
        only: IntArray | None,
        without: IntArray,
    ) -> list[tuple[int, float]]:
        """The `k` best (passage id, inner product), best first; among `only` if given, and none of `without`."""
        without = np.concatenate([self.dead, without])
        found = nearest(connection, self.snapshot.index, vector, k, only, without)
        if only is not None:
            only = only[only > self.snapshot.highest]
        without = without[without > self.snapshot.highest]
        for index in self.added:  # mostly small, and so are what may be found in them and what may not
            found += nearest(connection, index, vector, k, only, without)
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:k]


class Vectors:
    """Keeps the newest view, and the snapshot's file. Safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._view: View | None = None

    def view(self, connection: sqlite3.Connection, state: State) -> View:
        """The vectors as this connection's transaction sees them; `state` was read in it."""
        with self._lock:
            if self._view is not None and self._view.stamp == state.stamp:
                return self._view
            snapshot = self._snapshot_for(connection, state)
            added, after = self._added_before(state, snapshot)
            if (highest := _highest(connection)) > after:
                added = (*added, vectors_after(connection, state.dimension, after))
            self._view = View(state.stamp, snapshot, added, highest, _tombstones(connection))
            return self._view

    def _added_before(self, state: State, snapshot: Snapshot) -> tuple[tuple[Any, ...], int]:
        """What an earlier state had added, which the present one has too (or has buried), and up to which id."""
        kept = self._view
        if kept and kept.snapshot is snapshot and kept.stamp < state.stamp and len(kept.added) < _MOST_ADDED:
            return kept.added, kept.highest
        return (), snapshot.highest

    def _snapshot_for(self, connection: sqlite3.Connection, state: State) -> Snapshot:
        kept = self._snapshot
        if kept is None or kept.key != state.snapshot_key or kept.generation > state.generation:
            kept = self._snapshot = self._load(connection, state) or self._from_database(connection, state)
        return kept

    def _load(self, connection: sqlite3.Connection, state: State) -> Snapshot | None:
        data = self._intact_file(connection, state)
        if data is None:
            return None
        try:
            index = from_bytes(data)
        except RuntimeError:  # written by another release of FAISS
            return None
        return Snapshot(index, state.snapshot_key, state.snapshot_generation, state.snapshot_highest, from_file=True)

    def _intact_file(self, connection: sqlite3.Connection, state: State) -> bytes | None:
        most = _most_bytes(connection, state)
        path = self._file(state)
        try:
            if path is None or not is_plain(path) or path.stat().st_size > most:
                return None
            data = path.read_bytes()
        except OSError:
            return None
        # FAISS files carry no checksum: most flipped bits would load without a word.
        intact = hashlib.sha256(data).hexdigest() == state.snapshot_sha256
        return data if intact and is_ours(data, state.dimension) else None

    def _file(self, state: State) -> Path | None:
        """Where the snapshot lies: in the folder, whatever a state that somebody else wrote names."""
        return self._folder / state.snapshot if _NAME.fullmatch(state.snapshot) else None

    def _from_database(self, connection: sqlite3.Connection, state: State) -> Snapshot:
        index = all_vectors(connection, state.dimension)
        return Snapshot(index, state.snapshot_key, state.generation, _highest(connection), from_file=False)

    def is_due(self, connection: sqlite3.Connection, state: State, *, verify: bool) -> bool:
        """Whether the file should be written: it is missing or known to be damaged, or lags too far behind.

        `verify` reads the whole file for that; without it, damage is known only if a search has met it.
        """
        kept = self._snapshot
        broken = kept is not None and kept.key == state.snapshot_key and not kept.from_file
        if verify:
            broken = broken or self._intact_file(connection, state) is None
        else:
            path = self._file(state)
            broken = broken or path is None or not is_plain(path)
        return broken or _lag(connection, state) > max(LAG_ROWS, min(LAG_MOST, LAG_SHARE * state.snapshot_count))

    def write(self, connection: sqlite3.Connection, state: State) -> None:
        """Write the file and its row in the state; `connection` is inside a write transaction.

        The file has the generation in its name, so an intact one that the committed state names is never touched. A
        kill before the commit leaves a file that nobody knows, and the old one still in force.
        """
        index, highest = all_vectors(connection, state.dimension), _highest(connection)
        data = to_bytes(index)
        name, sha256 = f"vectors-{state.generation}.faiss", hashlib.sha256(data).hexdigest()
        try:
            _write_file(self._folder / name, data)
        except OSError as error:
            raise folder_error(self._folder, error) from error
        connection.execute("DELETE FROM tombstone")
        connection.execute(
            "UPDATE state SET snapshot = ?, snapshot_sha256 = ?, snapshot_generation = ?, "
            "snapshot_count = ?, snapshot_highest = ?",
            (name, sha256, state.generation, index.ntotal, highest),
        )
        key = state._replace(snapshot_generation=state.generation, snapshot_sha256=sha256).snapshot_key
        with self._lock:  # should the commit fail, no state has this key and nobody uses the snapshot
            self._snapshot = Snapshot(index, key, state.generation, highest, from_file=True)
            self._view = None

    def remove_old_files(self, state: State) -> None:
        """Delete the snapshots that the committed `state` does not name."""
        for path in self._folder.glob("vectors-*.faiss*"):
            if path.name != state.snapshot:
                with suppress(OSError):  # Windows: another process is reading it; the next write tries again
                    path.unlink()


def forget_snapshot(connection: sqlite3.Connection) -> None:
    """Let no view use the present snapshot: every vector is about to be another one."""
    connection.execute("DELETE FROM tombstone")
    connection.execute(
        "UPDATE state SET snapshot = '', snapshot_sha256 = '', snapshot_generation = generation + 1, "
        "snapshot_count = 0, snapshot_highest = 0"
    )


def _highest(connection: sqlite3.Connection) -> int:
    (highest,) = connection.execute("SELECT max(id) FROM passage").fetchone()
    return highest or 0


def _tombstones(connection: sqlite3.Connection) -> IntArray:
    return np.array([i for (i,) in connection.execute("SELECT id FROM tombstone")], dtype=np.int64)


def _lag(connection: sqlite3.Connection, state: State) -> int:
    (lag,) = connection.execute(
        "SELECT (SELECT count(*) FROM passage WHERE id > ?) + (SELECT count(*) FROM tombstone)",
        (state.snapshot_highest,),
    ).fetchone()
    return int(lag)


def _most_bytes(connection: sqlite3.Connection, state: State) -> int:
    """What a snapshot of all that is stored, and of what was, may take: a larger file is none, and is not read."""
    passages, gone = connection.execute(
        "SELECT (SELECT count(*) FROM passage), (SELECT count(*) FROM tombstone)"
    ).fetchone()
    return (4 * state.dimension + 16) * int(passages + min(gone, LAG_MOST)) + _FRAME_BYTES


def _write_file(path: Path, data: bytes) -> None:
    """Write so that `path` is whole or absent, power cuts included."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # of a killed process, or a link to another file
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):  # on a full disk, half a file takes up the room that is missing
            temporary.unlink()
        raise
    sync_folder(path.parent)
