"""An index of vectors on a server: a snapshot that may lag, like FAISS's file, but one that is added to.

The catalogue says up to which passage the server knows them (`State.snapshot_highest`). What is newer is searched here,
and what was deleted since is left out, so a reader sees its state of the catalogue whatever the server holds. So one
commit, the catalogue's, replaces a document; a kill between it and the server's work loses nothing.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from heapq import nlargest
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np

from .catalogue import BLOCK as READ_AT_ONCE
from .catalogue import Catalogue, Reader, Writer
from .errors import IndexDamaged
from .nearest import nearest, vectors_after
from .stored import FloatArray, IntArray, State

BLOCK = 512  # vectors that are sent at once
EXACT = 20_000  # chosen passages whose vectors are compared here, one by one
GRACE_S = 60.0  # how long a server keeps what was deleted: whoever still reads an older state finds it
_MORE = 64  # that are asked for besides, as some may be no longer there
_MOST = 10_000  # that a server is asked for at once; Milvus gives 16,384
_SAMPLE = 8  # vectors that show whether a server still has what it was sent
_ROUNDS = 8  # of sending, while others write without a pause
_PREFIX = "rag_"
_LOST = "the server has lost vectors of the index, or is another one; correct RAG_STORE, or run 'rag rebuild --vectors'"
_DOOMED, _SENDING = "vectors doomed", "vectors sending"  # keys in the catalogue's meta


class Engine(Protocol):
    """A collection of vectors on a server, each by the id of its passage. Its errors are `RagError`s."""

    def add(self, ids: Sequence[int], vectors: FloatArray) -> None:
        """Add vectors [n, dimension] whose ids it does not have."""

    def delete(self, ids: Sequence[int]) -> None:
        """Delete those that it has."""

    def search(self, vector: FloatArray, k: int) -> list[int]:
        """The ids of about the `k` nearest by inner product, best first, perhaps one twice."""

    def holds(self, ids: Sequence[int]) -> set[int]:
        """Which of these are there, whether a search leads to them or not."""

    def settle(self, added: int) -> None:
        """Prepare for searches, after so many vectors were added; if that fails, searches are only slower."""

    def drop(self) -> None:
        """Delete the collection."""

    def close(self) -> None:
        """Close the connection, if it has one of its own."""


class Server(Protocol):
    """Where collections are. Its errors are `RagError`s."""

    def open(self, name: str, dimension: int) -> Engine:
        """A collection, which is made where there is none."""

    def close(self) -> None:
        """Close what its collections share."""


class _Doomed(NamedTuple):
    """What the server may delete when `GRACE_S` have passed since `at` (Unix time): vectors, and whole collections."""

    at: float
    ids: Sequence[int]
    names: Sequence[str]


class _Fresh(NamedTuple):
    """What a state of the catalogue has and the server has not: its vectors; and the passages that are gone."""

    key: tuple[object, ...]
    vectors: Any  # made by vectors_after
    dead: IntArray


class RemoteIndex:
    """`catalogue.VectorIndex` over a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()  # of `_fresh`
        self._opening = threading.Lock()  # of a collection, which may take long
        self._engines: dict[str, Engine] = {}
        self._known: set[str] = set()  # collections on which something of the index was found
        self._fresh: _Fresh | None = None

    def search(
        self, reader: Reader, vector: FloatArray, k: int, only: IntArray | None, without: IntArray
    ) -> list[tuple[int, float]]:
        """See `VectorIndex.search`."""
        if k <= 0:
            return []
        highest = _highest(reader.state)
        fresh = self._fresh_of(reader)
        without = np.concatenate([fresh.dead, without])
        newer = None if only is None else only[only > highest]
        found = nearest(reader, fresh.vectors, vector, k, newer, without[without > highest])
        if highest:
            sent = self._sent(reader, vector, k, highest, only, without)
            ids, vectors = reader.vectors(sent)  # a server may round, and says it in a measure of its own
            found += zip(ids, (vectors @ vector).tolist(), strict=True)
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:k]

    def _sent(
        self, reader: Reader, vector: FloatArray, k: int, highest: int, only: IntArray | None, without: IntArray
    ) -> list[int]:
        """Ids up to `highest` among which the `k` nearest are."""
        if only is not None:
            only = np.setdiff1d(only[only <= highest], without)
            if len(only) <= EXACT:
                return [int(i) for i in only]
        self._recognise(reader)
        engine = self._engine(reader.state)
        asked = k + min(len(without), _MORE)
        while True:
            asked = min(asked, _MOST)
            given = engine.search(vector, asked)
            if not given and reader.count()[1] > self._fresh_of(reader).vectors.ntotal:
                raise IndexDamaged(_LOST)
            ids = np.array(list(dict.fromkeys(given)), np.int64)
            kept = ids[(ids <= highest) & ~np.isin(ids, without)]
            if only is not None:
                kept = kept[np.isin(kept, only)]
            if len(kept) >= k or len(given) < asked:
                return [int(i) for i in kept[:k]]
            if asked == _MOST:  # what may be found is about something else
                if only is None:
                    every = reader.ids()
                    only = np.setdiff1d(every[every <= highest], without)
                return _compared(reader, only, vector, k)
            asked *= 4

    def _fresh_of(self, reader: Reader) -> _Fresh:
        state = reader.state
        key = (*state.stamp, state.snapshot, state.snapshot_highest)
        with self._lock:
            if self._fresh is None or self._fresh.key != key:
                self._fresh = _Fresh(key, vectors_after(reader, _highest(state)), reader.tombstones())
            return self._fresh

    def refresh(self, catalogue: Catalogue, *, verify: bool) -> None:
        """Send what the server lacks, and delete there what has been gone for `GRACE_S`; see `VectorIndex.refresh`.

        One process does it at a time. What another one writes meanwhile it sends, too, but not for ever: the next
        write sends the rest.
        """
        for _ in range(_ROUNDS):  # what is written when this one is about to leave, nobody else sends
            if not self._refresh_alone(catalogue, verify=verify) or not _lags(catalogue):
                break
            verify = False

    def _refresh_alone(self, catalogue: Catalogue, *, verify: bool) -> bool:
        """False when another process is at it."""
        with catalogue.alone() as alone:
            if not alone:
                return False
            with catalogue.reading() as reader:
                state, known = reader.state, not verify or self._has_a_sample(reader, all)
                if known:
                    self._recognise(reader)
            if not _is_ours(state) or not known:
                with catalogue.transaction() as writer:
                    self.forget(writer)
            with catalogue.reading() as reader:
                before, highest = reader.state, reader.highest()
            while self._send_block(catalogue, highest):
                pass
            with catalogue.reading() as reader:
                after = reader.state
            if after.snapshot_count:  # also when nothing was added: whoever did may have been killed before this
                added = after.snapshot_count - before.snapshot_count
                self._engine(after).settle(added)  # no transaction is open for as long as it takes
            self._delete_doomed(catalogue)
        return True

    def _send_block(self, catalogue: Catalogue, highest: int) -> bool:
        """Returns whether there is more up to the passage `highest`."""
        with catalogue.reading() as reader:
            state = reader.state
            block = next(reader.vectors_after(state.snapshot_highest, BLOCK), None)
            sending = reader.meta(_SENDING)
        if block is None:
            return False
        ids, vectors = block
        last, engine = int(ids[-1]), self._engine(state)
        # Said before it is done: what a killed process has sent is sent once more, and is not to be there twice.
        mark = f"{state.snapshot} {state.snapshot_highest}"
        if sending == mark:
            engine.delete(ids.tolist())
        with catalogue.transaction() as writer:
            writer.set_meta(_SENDING, mark)
        engine.add(ids.tolist(), vectors)
        with catalogue.transaction() as writer:
            if writer.state.snapshot != state.snapshot:  # made anew meanwhile
                return True
            writer.set_snapshot(state.snapshot, "", state.snapshot_count + len(ids), last)
        return last < highest

    def _delete_doomed(self, catalogue: Catalogue) -> None:
        with catalogue.reading() as reader:
            state, dead, doomed = reader.state, reader.tombstones(), _doomed(reader)
        if time.time() - doomed.at > GRACE_S:
            gone = np.intersect1d(np.array(doomed.ids, np.int64), dead)
            for start in range(0, len(gone), BLOCK):
                self._engine(state).delete(gone[start : start + BLOCK].tolist())
            for name in doomed.names:
                self._drop(name, state.dimension)
            with catalogue.transaction() as writer:
                writer.bury(gone)
                later = [name for name in _doomed(writer).names if name not in doomed.names]
                writer.set_meta(_DOOMED, _doom(np.setdiff1d(dead, gone).tolist(), later))
        elif len(dead) and not doomed.ids:
            with catalogue.transaction() as writer:
                writer.set_meta(_DOOMED, _doom(dead.tolist(), _doomed(writer).names))

    def verify(self, reader: Reader) -> None:
        """See `VectorIndex.verify`: some vectors are looked for, spread over all."""
        if not self._has_a_sample(reader, all):
            raise IndexDamaged(_LOST)

    def forget(self, writer: Writer) -> None:
        """See `VectorIndex.forget`: a collection of another name from now on; the old one is deleted later."""
        state = writer.state
        if _is_ours(state):
            writer.set_meta(_DOOMED, _doom([], [*_doomed(writer).names, state.snapshot]))
        writer.bury()
        writer.set_snapshot(f"{_PREFIX}{state.identity}_{secrets.token_hex(4)}", "", 0, 0)

    def _recognise(self, reader: Reader) -> None:
        """IndexDamaged where the server has nothing of what this state says it has: it is another one."""
        name = reader.state.snapshot
        if name not in self._known and _highest(reader.state):
            if not self._has_a_sample(reader, any):
                raise IndexDamaged(_LOST)
            self._known.add(name)

    def _has_a_sample(self, reader: Reader, enough: Callable[[Iterable[bool]], bool]) -> bool:
        """Whether the server has some of the vectors that it was sent: `all` or `any` of them."""
        highest = _highest(reader.state)
        sample: list[int] = []  # one here and there: an index may have more ids than memory
        for number in range(_SAMPLE if highest else 0):
            for ids, _ in islice(reader.vectors_after(highest * number // _SAMPLE, 1), 1):
                sample += [int(i) for i in ids if i <= highest]
        if not sample:
            return True
        held = self._engine(reader.state).holds(sample)
        return enough(i in held for i in sample)

    def _engine(self, state: State) -> Engine:
        if engine := self._engines.get(state.snapshot):
            return engine
        with self._opening:
            if state.snapshot not in self._engines:  # nobody was faster
                self._engines[state.snapshot] = self._server.open(state.snapshot, state.dimension)
            return self._engines[state.snapshot]

    def _drop(self, name: str, dimension: int) -> None:
        engine = self._engines.pop(name, None) or self._server.open(name, dimension)
        engine.drop()
        engine.close()

    def close(self) -> None:
        """Close the connections."""
        with self._opening:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()
        self._server.close()


def _compared(reader: Reader, ids: IntArray, vector: FloatArray, k: int) -> list[int]:
    """The `k` nearest of `ids`, each compared: as slow as there are many, but a server knows no documents."""
    best: list[tuple[float, int]] = []
    for start in range(0, len(ids), READ_AT_ONCE):
        there, vectors = reader.vectors(ids[start : start + READ_AT_ONCE].tolist())
        best = nlargest(k, [*best, *zip((vectors @ vector).tolist(), (-i for i in there), strict=True)])
    return [-i for _, i in best]


def _lags(catalogue: Catalogue) -> bool:
    with catalogue.reading() as reader:
        return reader.highest() > _highest(reader.state)


def _is_ours(state: State) -> bool:
    return state.snapshot.startswith(_PREFIX)


def _highest(state: State) -> int:
    """Up to which passage the server knows them: none, where the snapshot is another engine's."""
    return state.snapshot_highest if _is_ours(state) else 0


def _doomed(reader: Reader) -> _Doomed:
    return _Doomed(*json.loads(reader.meta(_DOOMED) or _doom([], [])))


def _doom(ids: Sequence[int], names: Sequence[str]) -> str:
    return json.dumps(_Doomed(time.time(), ids, names))
