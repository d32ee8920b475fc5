"""SIGKILL at every step of every change of the uploads: a kept file, its document, or both are about to change."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rag.ingest import Ingester
from rag.store import Store
from rag.uploads import ROOT, Uploads

from .subject import (
    Findings,
    ScriptedEncoder,
    Subject,
    Texts,
    fork,
    inspect,
    make_everything_small,
    problem,
    texts_of,
    wait,
)
from .table import Row

OLD = {name: text for name, text in texts_of(1).items() if name in ("d01.txt", "d02.txt")}
CHANGED = texts_of(3)["d01.txt"]
FILE_EVENTS = {"open", "os.rename", "os.remove"}
Change = Callable[[Store, Uploads, Path], None]


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    make_everything_small()
    rows = []
    for number, (name, (change, new)) in enumerate(CHANGES.items()):
        row = Row(f"killed: {name}")
        for step in itertools.count(1):
            subject = Subject(base / f"{number}-{step}")
            if (findings := _killed(subject, change, new, step)) is None:
                break
            row.add(findings)
        rows.append(row)
    return rows


def _killed(subject: Subject, change: Change, new: Texts, step: int) -> Findings | None:
    """What is wrong after a kill at the step of this number, and after the next opening; None if there are fewer."""
    with subject.open() as store:
        uploads = _uploads(subject, store)
        for name, text in OLD.items():
            uploads.add(name, _incoming(subject, text))
    ended = wait(fork(lambda: _change(subject, change, step)))
    if ended == 0:
        return None
    if ended != -signal.SIGKILL:
        return problem(f"the change failed before it was killed (it ended with {ended})")
    with subject.open() as store:
        before = store.documents_in(ROOT)
        _uploads(subject, store).restore()
        found = inspect(subject, OLD, new, store)
        if store.documents_in(ROOT) != before:
            found += problem("a document came or went with the next opening")
        kept = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in _folder(subject).iterdir()}
        kept.pop(".ragignore")
        if kept != {document.source: document.sha256 for document in before}:
            found += problem(f"the files {sorted(kept)} are not those of the documents {[d.source for d in before]}")
    return found


def _change(subject: Subject, change: Change, step: int) -> None:
    countdown = itertools.count(step, -1)

    def reached() -> None:
        if next(countdown) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    _watch(_folder(subject), reached)
    with subject.open() as store:
        change(store, _uploads(subject, store), _incoming(subject, CHANGED))


def _watch(folder: Path, reached: Callable[[], None]) -> None:
    """Call `reached` before each thing that the process does to a file in `folder`, and around each COMMIT."""

    def hook(event: str, values: tuple[Any, ...]) -> None:
        if event in FILE_EVENTS and str(values[0]).startswith(str(folder)):
            reached()

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "COMMIT":
                reached()
            cursor = super().execute(sql, *values)
            if sql == "COMMIT":
                reached()
            return cursor

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **options: connect(*args, factory=Watched, **options)  # type: ignore[assignment]
    sys.addaudithook(hook)  # for good: the process is a child that ends here


def _uploads(subject: Subject, store: Store) -> Uploads:
    return Uploads(store, Ingester(store, ScriptedEncoder(), subject.settings), subject.index)


def _folder(subject: Subject) -> Path:
    return subject.index.absolute() / "uploads"


def _incoming(subject: Subject, text: str) -> Path:
    file = subject.base / "incoming"
    file.write_text(text, encoding="utf-8")
    return file


def _first(store: Store) -> int:
    return store.documents_in(ROOT)[0].id


def _add(_: Store, uploads: Uploads, file: Path) -> None:
    uploads.add("d03.txt", file)


def _replace(_: Store, uploads: Uploads, file: Path) -> None:
    uploads.add("d01.txt", file)


def _take_out(store: Store, uploads: Uploads, _: Path) -> None:
    uploads.take_out(_first(store))


def _put_back(store: Store, uploads: Uploads, _: Path) -> None:
    uploads.put_back(uploads.take_out(_first(store)))


def _delete(store: Store, uploads: Uploads, _: Path) -> None:
    uploads.delete(store.documents_in(ROOT))


# What is done, and the documents that there are afterwards.
CHANGES: dict[str, tuple[Change, Texts]] = {
    "an upload is added": (_add, {**OLD, "d03.txt": CHANGED}),
    "an upload is replaced": (_replace, {**OLD, "d01.txt": CHANGED}),
    "an upload is taken out": (_take_out, {"d02.txt": OLD["d02.txt"]}),
    "an upload is put back": (_put_back, {"d02.txt": OLD["d02.txt"]}),
    "uploads are deleted": (_delete, {}),
}
