"""`index.db`: its connections, its transactions, its writer lock, and SQLite's errors in our words.

No error of `sqlite3` or `filelock` leaves this module untranslated.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from .errors import DocumentUnreadable, IndexDamaged, IndexLocked, IndexMismatch, RagError
from .foreign import check_database, check_lock, has_tables_of, reason_of
from .schema import APPLICATION_ID, OPENED_FILE, SCHEMA_VERSION, create_index, create_tables

LOCK_WAIT_S = 2.0  # long enough for somebody's single upload, short enough to say so when it is an ingest
BUSY_WAIT_S = 30.0  # SQLite's own short locks: recovery after a crash, the last reader closing
_LOCK = "write.lock"


class _Pooled(NamedTuple):
    connection: sqlite3.Connection
    file: str  # device and inode that it was opened on


class Database:
    """The SQLite file of one index folder. Safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()  # a later chdir must not lead elsewhere
        self.path = self.folder / "index.db"
        self._idle: list[_Pooled] = []
        self._guard = threading.Lock()
        self._closed = False
        self._writer = threading.RLock()
        self._file_lock = FileLock(self.folder / _LOCK, timeout=LOCK_WAIT_S)

    def exists(self) -> bool:
        """Whether there is such a file. Raises RagError where the folder is none, or nobody may look into it."""
        with self._folder_errors():
            try:
                self.path.stat()
            except FileNotFoundError:
                if self.folder.is_symlink() and not self.folder.exists():
                    raise _no_folder(self.folder) from None
                return False
        return True

    def create_if_absent(self, fingerprint: str, dimension: int) -> None:
        """Make an empty index where there is none. It appears under its name whole or not at all."""
        with self._folder_errors(), self.translated():
            if self.path.exists():
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.writing():
                if not self.path.exists():  # another process may have been faster
                    self._create(fingerprint, dimension)

    def _create(self, fingerprint: str, dimension: int) -> None:
        if self.path.with_name("index.db-wal").exists():  # SQLite would replay it into the new file
            raise IndexDamaged(
                f"{self.path} is gone but its log index.db-wal is there; "
                f"restore it from a copy, or delete {self.folder} and ingest again"
            )
        for leftover in self.folder.glob("new.db*"):  # of a process that was killed here
            leftover.unlink()
        new = self.folder / "new.db"
        connection = sqlite3.connect(new, isolation_level=None)
        try:
            connection.execute("PRAGMA page_size = 8192")  # a passage and its vector fill half a usual page of 4096
            connection.execute("PRAGMA journal_mode = WAL")
            create_index(connection, fingerprint, dimension)
        finally:
            connection.close()
        new.replace(self.path)
        sync_folder(self.folder)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the one-writer lock; re-entrant. Threads wait for each other, another process gets `IndexLocked`."""
        with self._writer:
            with self._folder_errors():
                check_lock(self.folder / _LOCK)
                self._file_lock.acquire()
            try:
                yield
            finally:
                self._file_lock.release()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection inside a read transaction: everything read from it is of one state."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection inside a write transaction, under the writer lock; undone if the body raises."""
        with self.writing(), self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection from the pool. After an error what it had begun is undone, and it is not used again."""
        with self.translated():
            pooled = self._checkout()
            try:
                yield pooled.connection
            except BaseException:
                with suppress(sqlite3.Error):  # close() alone would leave it open while a cursor is alive
                    pooled.connection.rollback()
                pooled.connection.close()
                raise
            self._give_back(pooled)

    def _checkout(self) -> _Pooled:
        file = self._file()
        with self._guard:
            if self._closed:
                raise RagError(f"the index in {self.folder} was closed; open it again")
            while self._idle:
                pooled = self._idle.pop()
                if pooled.file == file:
                    return pooled
                pooled.connection.close()  # somebody deleted the folder and made another index in its place
        return _Pooled(self._connect(file), file)

    def _file(self) -> str:
        check_database(self.path)
        try:
            found = self.path.stat()
        except FileNotFoundError as error:
            raise IndexDamaged(f"{self.path} is gone; restore it from a copy, or open it again and ingest") from error
        except OSError as error:
            raise folder_error(self.folder, error) from error
        return f"{found.st_dev}:{found.st_ino}"

    def _give_back(self, pooled: _Pooled) -> None:
        with self._guard:
            if not self._closed:
                self._idle.append(pooled)
                return
        pooled.connection.close()

    def _connect(self, file: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",  # never creates a file
            uri=True,
            timeout=BUSY_WAIT_S,
            isolation_level=None,
            check_same_thread=False,  # the pool lends a connection to one thread at a time
        )
        try:
            connection.execute("PRAGMA cell_size_check = ON")  # each page is looked at before it is used
            self._check_format(connection)
            # FULL: with NORMAL a power cut may take back a commit whose passage ids somebody has already seen, and
            # they would be given out a second time. One fsync is nothing next to embedding the batch.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.create_function(OPENED_FILE, 0, lambda: file)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_format(self, connection: sqlite3.Connection) -> None:
        application_id, version, pages = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version", "page_count")
        )
        if pages == 0:
            raise self._damaged("it is empty")
        if application_id != APPLICATION_ID:
            raise IndexMismatch(f"{self.path} was made by another program; choose another index_dir")
        if version != SCHEMA_VERSION:
            raise IndexMismatch(
                f"{self.path} has index format {version} and this program reads {SCHEMA_VERSION}; "
                "use the version of rag that made it, or choose another index_dir and ingest again"
            )
        if not has_tables_of(connection, create_tables):
            raise self._damaged("its tables are not those that rag makes")

    def close(self) -> None:
        """Close the idle connections now, and those in use when they are given back."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for pooled in idle:
            pooled.connection.close()

    @contextmanager
    def _folder_errors(self) -> Iterator[None]:
        try:
            yield
        except Timeout as error:
            raise self._locked() from error
        except OSError as error:
            raise folder_error(self.folder, error) from error

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._in_our_words(error) from error
        except UnicodeDecodeError as error:  # of what SQLite says, with a name in it that is no UTF-8
            raise self._damaged("it holds text that is none") from error

    def _in_our_words(self, error: sqlite3.Error) -> RagError:
        if not hasattr(error, "sqlite_errorcode") and "decode" in str(error):  # Python's, of what is no UTF-8
            return self._damaged("it holds text that is none")
        match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF:  # the primary result code
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return self._locked()
            case sqlite3.SQLITE_FULL:
                return _disk_full(self.folder)
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                return _no_access(self.folder, str(error))
            case sqlite3.SQLITE_IOERR:
                return RagError(f"{self.path}: {error}; check the disk and its free space, then try again")
            case sqlite3.SQLITE_TOOBIG:
                return DocumentUnreadable("a document has more than a billion bytes of text; split it")
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_ERROR:  # the last: "no such table"
                return self._damaged(reason_of(error))
            case _:
                return RagError(f"{self.path}: {error}; run 'rag doctor', and report it if that finds nothing")

    def _locked(self) -> IndexLocked:
        return IndexLocked(f"another process is writing to {self.folder}; wait until it has finished, then try again")

    def _damaged(self, reason: str) -> IndexDamaged:
        return IndexDamaged(
            f"{self.path} is damaged ({reason}); restore it from a copy, or delete {self.folder} and ingest again"
        )


def folder_error(folder: Path, error: OSError) -> RagError:
    """What to do about a file of the index folder that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _disk_full(folder)
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return _no_folder(folder)
    return _no_access(folder, error.strerror or str(error))


def _no_folder(folder: Path) -> RagError:
    """What to do where the index folder, or one that it lies in, is a file."""
    file = next((part for part in (folder, *folder.parents) if os.path.lexists(part) and not part.is_dir()), folder)
    return RagError(f"{file} is no folder, so the index cannot be there; move it away or choose another index_dir")


def _disk_full(folder: Path) -> RagError:
    return RagError(f"the disk that holds {folder} is full; free some space, then try again")


def _no_access(folder: Path, reason: str) -> RagError:
    return RagError(f"cannot write to {folder} ({reason}); make the folder writable or choose another index_dir")


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    with suppress(PermissionError):  # Windows opens no folder, and needs no such sync
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
