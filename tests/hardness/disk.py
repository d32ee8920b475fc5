"""No room on the disk: for SQLite, for the vector file, and (where a small disk can be mounted) for everything."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import logging
import os
import random
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rag.errors import RagError
from rag.store import Store

from .subject import Findings, Subject, Texts, inspect, make_everything_small, problem, texts_of, vector_of
from .table import Row

CLONE_NEWNS = 0x00020000  # of Linux's sched.h
BIG_WORDS = 12  # of 20,000 digits each: more than the free pages that older versions leave in index.db


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    make_everything_small()
    times = 3 if few else 20
    rows = [Row("disk full: SQLite may not grow"), Row("disk full: the vector file")]
    for kind, row in zip((_no_page, _no_vector_file), rows, strict=True):
        subject = _indexed(base / row.fault[-6:])
        for turn in range(times):
            row.add(kind(subject, turn, chance))
    return [*rows, on_a_small_disk(base / "disk", chance, times)]


def on_a_small_disk(base: Path, chance: random.Random, times: int) -> Row:
    row = Row("disk full: a small disk")
    with _small_disk(base) as disk:
        if disk is None:
            row.figures = "not tried: may not mount"
            return row
        subject = _indexed(disk)
        for turn in range(times):
            row.add(_no_room(subject, turn, chance))
    return row


def _indexed(base: Path) -> Subject:
    subject = Subject(base)
    subject.write(texts_of(0))
    subject.ingest()
    return subject


def _larger(subject: Subject, turn: int) -> Texts:
    """The next version, the large documents that are there, and a new one that needs room."""
    kept = {source: text for source, text in subject.texts.items() if source.startswith("big")}
    big = "\n\n".join(f"Bulk {turn} {n} {_digits(turn, n)}." for n in range(BIG_WORDS))
    return {**texts_of(turn + 1), **kept, f"big{turn:03}.txt": big}


def _digits(*seed: int) -> str:
    return hashlib.shake_256(repr(seed).encode()).hexdigest(10_000)


def _no_page(subject: Subject, turn: int, chance: random.Random) -> Findings:
    room = chance.randint(0, 10)

    class Full(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "BEGIN IMMEDIATE":
                (pages,) = super().execute("PRAGMA page_count").fetchone()
                super().execute(f"PRAGMA max_page_count = {pages + room}")
            return super().execute(sql, *values)

    connect = sqlite3.connect
    full = patch.object(sqlite3, "connect", lambda *args, **options: connect(*args, factory=Full, **options))
    return _survives(subject, turn, lambda: full)


def _no_room(subject: Subject, turn: int, chance: random.Random) -> Findings:
    room = chance.randint(0, 300_000)

    @contextmanager
    def full() -> Iterator[None]:
        ballast = subject.base / "ballast"
        free = os.statvfs(subject.base)
        try:
            with ballast.open("wb") as file:
                file.write(bytes(max(0, free.f_bavail * free.f_frsize - room)))
            yield
        finally:
            ballast.unlink()

    return _opened_anew(subject, full) + _survives(subject, turn, full)


def _opened_anew(subject: Subject, full: Callable[[], Any]) -> Findings:
    """SQLite needs 32 KiB for the first reader: without them it is one plain line, otherwise it answers."""
    with full():
        try:
            return inspect(subject, subject.texts, subject.texts)
        except RagError as error:
            return _plain(str(error))


def _survives(subject: Subject, turn: int, full: Callable[[], Any]) -> Findings:
    """An ingest into a full disk ends with its one line; the index answers meanwhile; with room it completes."""
    old = dict(subject.texts)
    subject.write(_larger(subject, turn))
    new = dict(subject.texts)
    with subject.open() as reader:
        reader.count()
        with full():
            found = _says_so(subject)
            found += inspect(subject, old, new, reader)
    found += inspect(subject, old, new)
    subject.ingest()
    found += inspect(subject, new, new)
    return found


def _says_so(subject: Subject) -> Findings:
    try:
        subject.ingest()
    except RagError as error:
        return _plain(str(error))
    except Exception as error:
        return problem(f"not one of our errors: {type(error).__name__}: {error}")
    return problem("the ingest found room: this tried nothing")


def _plain(message: str) -> Findings:
    fine = "\n" not in message and "free" in message and "space" in message and "try again" in message
    return Findings() if fine else problem(f"no plain line: {message}")


# -- the vector file ---------------------------------------------------------------------------------------------------


def _no_vector_file(subject: Subject, turn: int, chance: random.Random) -> Findings:
    """What was asked for is stored; a warning names the full disk; with room the file is written."""
    old = dict(subject.texts)
    subject.write(texts_of(turn + 1))
    said: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("rag").addHandler(listener)
    logging.getLogger("rag").propagate = False
    try:
        with subject.open() as reader, _refusing(chance.choice(["write", "fsync", "rename"])):
            subject.ingest()
            found = inspect(subject, subject.texts, subject.texts, reader)
            left = list(subject.index.glob("*.tmp"))
    finally:
        logging.getLogger("rag").removeHandler(listener)
    found += _plain(said[0]) if said else problem("nobody was told that the vector file was not written")
    if left:
        found += problem("half a vector file still takes up the room that is missing")
    with subject.open() as store:
        store.snapshot()
        found += _file_is_whole(subject, store)
    return found + inspect(subject, old, subject.texts)


def _file_is_whole(subject: Subject, store: Store) -> Findings:
    before = [(path.name, path.read_bytes()) for path in subject.snapshots()]
    store.snapshot()
    store.dense(vector_of("any"), 1)
    after = [(path.name, path.read_bytes()) for path in subject.snapshots()]
    return Findings() if len(after) == 1 and before == after else problem("the vector file was not written in the end")


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """No room for vector files: what is written of one is half of it, then the error."""

    def no_room(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Half:
        def __init__(self, file: Any) -> None:
            self._file = file

        def __enter__(self) -> Half:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def write(self, data: bytes) -> None:
            self._file.write(data[: len(data) // 2])
            no_room()

    whole_open = Path.open
    whole_replace = os.replace

    def half_open(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        file = whole_open(path, mode, *args, **options)
        return Half(file) if ".faiss" in path.name and mode[0] in "wx" else file

    def half_replace(source: Any, target: Any, **options: Any) -> None:
        if ".faiss" in str(target):
            no_room()
        whole_replace(source, target, **options)

    match what:
        case "write":
            fault = patch.object(Path, "open", half_open)
        case "fsync":
            fault = patch.object(os, "fsync", no_room)
        case _:
            fault = patch.object(os, "replace", half_replace)
    with fault:
        yield


@contextmanager
def _small_disk(at: Path) -> Iterator[Path | None]:
    """A disk of some megabytes in memory, or None where we may not mount one."""
    at.mkdir()
    mounted = _own_mounts() and _done("mount", "-t", "tmpfs", "-o", "size=48m", "none", str(at))
    try:
        yield at if mounted else None
    finally:
        if mounted:
            _done("umount", str(at))


def _own_mounts() -> bool:
    """Let what this process mounts be seen by it alone, and end with it."""
    unshare = getattr(ctypes.CDLL(None), "unshare", None)
    return unshare is not None and unshare(CLONE_NEWNS) == 0 and _done("mount", "--make-rprivate", "/")


def _done(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False
