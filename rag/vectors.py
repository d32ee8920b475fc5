"""The vectors in memory: a FAISS snapshot, what was added since, and what was deleted since.

Everything here is derived from the catalogue. The snapshot's file may be missing, damaged or from another state: its
sha256 is in the catalogue, and without a file that matches, the snapshot is made again from the stored vectors.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .catalogue import Catalogue, Reader, Writer
from .database import folder_error, sync_folder
from .foreign import is_plain
from .layout import is_ours
from .nearest import all_vectors, from_bytes, nearest, to_bytes, vectors_after
from .stored import FloatArray, IntArray, State

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
        reader: Reader,
        vector: FloatArray,
        k: int,
        only: IntArray | None,
        without: IntArray,
    ) -> list[tuple[int, float]]:
        """See `VectorIndex.search`; `reader` sees the state of this view."""
        without = np.concatenate([self.dead, without])
        found = nearest(reader, self.snapshot.index, vector, k, only, without)
        if only is not None:
            only = only[only > self.snapshot.highest]
        without = without[without > self.snapshot.highest]
        for index in self.added:  # mostly small, and so are what may be found in them and what may not
            found += nearest(reader, index, vector, k, only, without)
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:k]


class Vectors:
    """Keeps the newest view, and the snapshot's file. Safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._view: View | None = None

    def search(
        self, reader: Reader, vector: FloatArray, k: int, only: IntArray | None, without: IntArray
    ) -> list[tuple[int, float]]:
        """See `VectorIndex.search`."""
        return self.view(reader).search(reader, vector, k, only, without)

    def view(self, reader: Reader) -> View:
        """The vectors as this reader sees them."""
        state = reader.state
        with self._lock:
            if self._view is not None and self._view.stamp == state.stamp:
                return self._view
            snapshot = self._snapshot_for(reader)
            added, after = self._added_before(state, snapshot)
            if (highest := reader.highest()) > after:
                added = (*added, vectors_after(reader, after))
            self._view = View(state.stamp, snapshot, added, highest, reader.tombstones())
            return self._view

    def _added_before(self, state: State, snapshot: Snapshot) -> tuple[tuple[Any, ...], int]:
        """What an earlier state had added, which the present one has too (or has buried), and up to which id."""
        kept = self._view
        if kept and kept.snapshot is snapshot and kept.stamp < state.stamp and len(kept.added) < _MOST_ADDED:
            return kept.added, kept.highest
        return (), snapshot.highest

    def _snapshot_for(self, reader: Reader) -> Snapshot:
        kept, state = self._snapshot, reader.state
        if kept is None or kept.key != state.snapshot_key or kept.generation > state.generation:
            kept = self._snapshot = self._load(reader) or self._from_catalogue(reader)
        return kept

    def _load(self, reader: Reader) -> Snapshot | None:
        data, state = self._intact_file(reader), reader.state
        if data is None:
            return None
        try:
            index = from_bytes(data)
        except RuntimeError:  # written by another release of FAISS
            return None
        return Snapshot(index, state.snapshot_key, state.snapshot_generation, state.snapshot_highest, from_file=True)

    def _intact_file(self, reader: Reader) -> bytes | None:
        most, state = _most_bytes(reader), reader.state
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

    def _from_catalogue(self, reader: Reader) -> Snapshot:
        state = reader.state
        return Snapshot(all_vectors(reader), state.snapshot_key, state.generation, reader.highest(), from_file=False)

    def refresh(self, catalogue: Catalogue, *, verify: bool) -> None:
        """Write the file if it is due; see `VectorIndex.refresh`."""
        with catalogue.writing():
            with catalogue.transaction() as writer:
                state = writer.state
                if self.is_due(writer, verify=verify):
                    state = self.write(writer)
            self.remove_old_files(state)

    def verify(self, reader: Reader) -> None:
        """A file that is damaged is noticed when it is read, and made again."""

    def forget(self, writer: Writer) -> None:
        """See `VectorIndex.forget`."""
        writer.bury()
        writer.set_snapshot("", "", 0, 0)

    def close(self) -> None:
        """Nothing is open."""

    def is_due(self, reader: Reader, *, verify: bool) -> bool:
        """Whether the file should be written: it is missing or known to be damaged, or lags too far behind.

        `verify` reads the whole file for that; without it, damage is known only if a search has met it.
        """
        kept, state = self._snapshot, reader.state
        broken = kept is not None and kept.key == state.snapshot_key and not kept.from_file
        if verify:
            broken = broken or self._intact_file(reader) is None
        else:
            path = self._file(state)
            broken = broken or path is None or not is_plain(path)
        return broken or reader.lag() > max(LAG_ROWS, min(LAG_MOST, LAG_SHARE * state.snapshot_count))

    def write(self, writer: Writer) -> State:
        """Write the file and say so in the catalogue; returns the state that has it.

        The file has the generation in its name, so an intact one that the committed state names is never touched. A
        kill before the commit leaves a file that nobody knows, and the old one still in force.
        """
        state = writer.state
        index, highest = all_vectors(writer), writer.highest()
        data = to_bytes(index)
        name, sha256 = f"vectors-{state.generation}.faiss", hashlib.sha256(data).hexdigest()
        try:
            _write_file(self._folder / name, data)
        except OSError as error:
            raise folder_error(self._folder, error) from error
        writer.bury()
        writer.set_snapshot(name, sha256, index.ntotal, highest)
        state = state._replace(snapshot=name, snapshot_sha256=sha256, snapshot_generation=state.generation)
        with self._lock:  # should the commit fail, no state has this key and nobody uses the snapshot
            self._snapshot = Snapshot(index, state.snapshot_key, state.generation, highest, from_file=True)
            self._view = None
        return state

    def remove_old_files(self, state: State) -> None:
        """Delete the snapshots that the committed `state` does not name."""
        for path in self._folder.glob("vectors-*.faiss*"):
            if path.name != state.snapshot:
                with suppress(OSError):  # Windows: another process is reading it; the next write tries again
                    path.unlink()


def _most_bytes(reader: Reader) -> int:
    """What a snapshot of all that is stored, and of what was, may take: a larger file is none, and is not read."""
    _, passages = reader.count()
    gone = min(len(reader.tombstones()), LAG_MOST)
    return (4 * reader.state.dimension + 16) * (passages + gone) + _FRAME_BYTES


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
