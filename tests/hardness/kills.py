"""SIGKILL while documents are ingested: at every step that matters, and at random moments."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from .subject import (
    Findings,
    ScriptedEncoder,
    Subject,
    fork,
    inspect,
    largest_loss,
    make_everything_small,
    problem,
    texts_of,
    wait,
)
from .table import Row

NEW_INDEX = ("before a new index gets its name", "after a new index got its name")
STEPS = (
    "before a batch is embedded",
    "after a batch is embedded",
    "inside the transaction, nothing written",
    "inside the transaction, some passages in",
    "before COMMIT",
    "COMMIT half in the log (power cut)",
    "after COMMIT",
    "vector file half written",
    "vector file before its rename",
    "vector file renamed, its row not committed",
    "before an old vector file is removed",
    "after an old vector file was removed",
    "before a connection is closed",
)
Reached = Callable[..., None]  # the step, and what the fault does besides killing


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    """Half of the kills at the steps in turn, half at random moments."""
    make_everything_small()
    times = 30 if few else 200
    rows = {step: Row(f"killed: {step}") for step in (*STEPS, *NEW_INDEX)}
    rows["random"] = Row("killed: at a random moment")
    killer = Killer(base, chance)
    for turn in range(times // 2):
        step = (*STEPS, *NEW_INDEX)[turn % len(STEPS + NEW_INDEX)]
        rows[step].add(killer.at_step(step))
    for _ in range(times - times // 2):
        rows["random"].add(killer.at_random_moment())
    return list(rows.values())


class Killer:
    """One index that lives through all kills; every kill hits the ingest of its next version."""

    def __init__(self, base: Path, chance: random.Random) -> None:
        self._base = base
        self._chance = chance
        self._version = 0
        self._subject = self._fresh()
        # One undisturbed ingest says how often each step comes, and how long it all takes.
        self._next_version()
        self._occurrences = self._count_steps()
        started = time.monotonic()
        self._next_version()
        wait(fork(self._subject.ingest))
        self._duration = time.monotonic() - started

    def _fresh(self) -> Subject:
        subject = Subject(self._base / f"from {self._version}")
        subject.write(texts_of(self._version))
        return subject

    def _next_version(self) -> dict[str, str]:
        old = dict(self._subject.texts)
        self._version += 1
        self._subject.write(texts_of(self._version))
        return old

    def _count_steps(self) -> Counter[str]:
        tally = self._base / "steps"

        def ingest() -> None:
            counts: Counter[str] = Counter()

            def reached(step: str, *_: object) -> None:
                counts[step] += 1

            _ingest_watched(self._subject, reached)
            tally.write_text("\n".join(counts.elements()))

        if wait(fork(ingest)):
            raise RuntimeError("the ingest fails without any fault")
        return Counter(tally.read_text().split("\n"))

    def at_step(self, step: str) -> Findings:
        """Kill at one of the times that the ingest comes to `step` (the first, if it is then there less often)."""
        for nth in (self._chance.randint(1, max(1, self._occurrences[step])), 1):
            if step in NEW_INDEX:
                self._version += 1
                self._subject = self._fresh()
                old: dict[str, str] = {}
            else:
                old = self._next_version()
            ended = wait(fork(lambda nth=nth: self._ingest_until(step, nth)))
            if ended == -signal.SIGKILL:
                return self._after_kill(old)
            self._log.unlink()
        return problem(f"the ingest never came to this step (it ended with {ended})")

    def at_random_moment(self) -> Findings:
        for _ in range(20):
            old = self._next_version()
            child = fork(lambda: _ingest_watched(self._subject, lambda *_: None, self._log))
            time.sleep(self._chance.random() * self._duration)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            ended = wait(child)
            if ended == -signal.SIGKILL:
                return self._after_kill(old)
            if ended:
                return problem("the ingest failed before it was killed")
            self._log.unlink()
        return problem("twenty ingests were faster than their kill")

    @property
    def _log(self) -> Path:
        """A line for each batch that the killed process had embedded."""
        return self._base / "embedded"

    def _ingest_until(self, step: str, nth: int) -> None:
        counts: Counter[str] = Counter()

        def reached(at: str, fault: Callable[[], object] = int) -> None:
            counts[at] += 1
            if at == step and counts[at] == nth:
                fault()
                os.kill(os.getpid(), signal.SIGKILL)

        _ingest_watched(self._subject, reached, self._log)

    def _after_kill(self, old: dict[str, str]) -> Findings:
        """The index as it was left, then the same ingest again."""
        subject = self._subject
        embedded = [int(n) for n in self._log.read_text().split()] if self._log.exists() else []
        self._log.unlink(missing_ok=True)
        found = inspect(subject, old, subject.texts)
        encoder = ScriptedEncoder()
        subject.ingest(encoder)
        found += inspect(subject, subject.texts, subject.texts)
        again = sum(embedded) + sum(encoder.calls) - subject.to_embed(old)
        if not 0 <= again <= largest_loss({**old, **subject.texts}):
            found += problem(
                f"{again} passages were embedded again: more than two batches (or the encoder was not asked)"
            )
        with subject.open() as store:
            store.snapshot()  # the next write does this too, but there was none if only the vector file was cut off
        if len(subject.snapshots()) != 1:
            found += problem(f"stray files: {[path.name for path in subject.snapshots()]}")
        return found


def _ingest_watched(subject: Subject, reached: Reached, log: Path | None = None) -> None:
    def embedded(count: int) -> None:
        if log:
            with log.open("a") as file:
                file.write(f"{count}\n")
        reached("after a batch is embedded")

    _watch(reached, Path(subject.index / "index.db-wal"))
    subject.ingest(ScriptedEncoder(lambda _: reached("before a batch is embedded"), embedded))


def _watch(reached: Reached, log: Path) -> None:
    """Call `reached` at each step, by what the process asks of SQLite and of the system. Nothing is put back."""
    _watch_sqlite(reached, log)
    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def watched_fsync(file: int) -> None:
        size = os.fstat(file)
        if stat.S_ISREG(size.st_mode):
            reached("vector file half written", lambda: os.truncate(file, size.st_size // 2))
        fsync(file)

    def watched_replace(source: Any, target: Any, **options: Any) -> None:
        name = Path(target).name
        if name == "index.db":
            reached(NEW_INDEX[0])
        elif name.endswith(".faiss"):
            reached("vector file before its rename")
        replace(source, target, **options)
        if name == "index.db":
            reached(NEW_INDEX[1])
        elif name.endswith(".faiss"):
            reached("vector file renamed, its row not committed")

    def watched_unlink(path: Any, **options: Any) -> None:
        ours = Path(path).name.startswith("vectors-")
        if ours:
            reached("before an old vector file is removed")
        unlink(path, **options)
        if ours:
            reached("after an old vector file was removed")

    os.fsync, os.replace, os.unlink = watched_fsync, watched_replace, watched_unlink


def _watch_sqlite(reached: Reached, log: Path) -> None:
    def size() -> int:
        return log.stat().st_size if log.exists() else 0

    class Watched(sqlite3.Connection):
        writes = False

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            ends = sql == "COMMIT" and self.writes
            before = size()
            if ends:
                reached("before COMMIT")
            cursor = super().execute(sql, *values)
            if ends:
                # A power cut while SQLite writes: any part of what this COMMIT added may be missing at the end.
                part = random.randint(before, max(before, size() - 1))
                reached("COMMIT half in the log (power cut)", lambda: os.truncate(log, part))
                reached("after COMMIT")
            self.writes = sql == "BEGIN IMMEDIATE" or (self.writes and not ends)
            if sql == "BEGIN IMMEDIATE":
                reached("inside the transaction, nothing written")
            return cursor

        def executemany(self, sql: str, rows: Iterable[Any]) -> sqlite3.Cursor:  # type: ignore[override]
            return super().executemany(sql, _interrupted(rows))

        def close(self) -> None:
            reached("before a connection is closed")
            super().close()

    def _interrupted(rows: Iterable[Any]) -> Iterator[Any]:
        for row in rows:
            yield row
            reached("inside the transaction, some passages in")

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **options: connect(*args, factory=Watched, **options)  # type: ignore[assignment]
