"""An index folder that somebody else made: what is looked at before a file in it is opened.

A link would have another file read, written or emptied in place of ours, a pipe would never end; and the tables of a
database can hold statements that run when they are read.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from functools import cache
from pathlib import Path

from .errors import IndexDamaged

SIDE_FILES = ("-wal", "-shm", "-journal")  # of SQLite, beside a database
_NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")  # ends a journal that names another file, which SQLite would delete
_LONGEST_TAIL = 8
_REASON_CHARS = 200


def is_plain(path: Path) -> bool:
    """Whether it is a regular file: no link, no pipe, no folder. False also where there is none."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def check_plain(path: Path) -> None:
    """Raise IndexDamaged, with the cure, for what is there and no regular file."""
    if os.path.lexists(path) and not is_plain(path):
        raise IndexDamaged(f"{path} is a link or no file; remove it, or choose another index_dir, and ingest again")


def check_lock(path: Path) -> None:
    """Raise IndexDamaged for a lock that is another file, too: some releases of filelock empty what they lock."""
    check_plain(path)
    if is_plain(path) and path.lstat().st_nlink > 1 and path.lstat().st_size:
        raise IndexDamaged(f"{path} has another name, too, and holds something; move it away and try again")


def check_database(path: Path) -> None:
    """Raise IndexDamaged when SQLite would leave the folder of the database at `path`."""
    for each in (path, *(path.with_name(path.name + ending) for ending in SIDE_FILES)):
        check_plain(each)
    journal = path.with_name(f"{path.name}-journal")
    if is_plain(journal) and _tail(journal) == _NAMES_ANOTHER:
        raise IndexDamaged(f"{journal} names another file, which SQLite would delete; delete {journal.name}")


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(-min(_LONGEST_TAIL, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return file.read()
    except FileNotFoundError:  # somebody's transaction ended meanwhile
        return b""


def reason_of(error: Exception) -> str:
    """What SQLite says, in one short line: it may quote what is damaged."""
    return " ".join(str(error).split())[:_REASON_CHARS]


def has_tables_of(connection: sqlite3.Connection, create: Callable[[sqlite3.Connection], object]) -> bool:
    """Whether the database holds the tables, views and triggers that `create` makes, to the character, and no other."""
    return _objects(connection) == _expected(create)


@cache
def _expected(create: Callable[[sqlite3.Connection], object]) -> frozenset[tuple[str, ...]]:
    connection = sqlite3.connect(":memory:")
    try:
        create(connection)
        return _objects(connection)
    finally:
        connection.close()


def _objects(connection: sqlite3.Connection) -> frozenset[tuple[str, ...]]:
    return frozenset(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))
