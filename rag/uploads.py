"""Files that come through the page or REST: kept under `index_dir/uploads/`, and a root of their own.

A document's source is its upload's checked plain name: the same name again updates it. The root is no path, so that
nothing which happens to a folder of documents touches it.

A file and its document cannot change in one step, and a kill may come between any two. So every change holds the
store's writer lock, moves a file only by a hidden name ("in between"), and ends in `_settle`, as the next opening
begins: SQLite says what becomes of a file in between.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from .documents import COLLECTION_SUFFIX, SUFFIXES
from .errors import DocumentsNotFound, DocumentUnreadable, RagError
from .folders import IGNORE_FILE
from .foreign import is_plain
from .ingest import Ingester
from .store import Store, TakenOut
from .types import UPLOADS_ROOT, Document, IngestReport

logger = logging.getLogger(__name__)

ROOT: Final = UPLOADS_ROOT
MAX_BYTES: Final = 20_000_000
_NAME_BYTES = 200  # file systems take 255; what is put in front of a name that is being written has room
_SEPARATORS = re.compile(r"[/\\]")
_RESERVED = re.compile(r'[<>:"|?*]')
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)
# In between: the prefix, 16 random digits, "-", and the name of the upload.
_NEW, _REMOVED = ".new-", ".removed-"
_RANDOM_BYTES = 8
_CHUNK_BYTES = 200  # in memory: five references, two numbers, most of a heading


class Removed(NamedTuple):
    """A document that was removed, and what its file held (None if it was no upload); what `Uploads.put_back` takes."""

    taken: TakenOut
    content: bytes | None

    @property
    def bytes(self) -> int:
        """How much memory it takes, about."""
        chunks = len(self.taken.chunks) * _CHUNK_BYTES
        return sys.getsizeof(self.taken.document.text) + self.taken.vectors.nbytes + chunks + len(self.content or b"")


class SharedUploads:
    """The uploads of an index that several machines share. Their files are kept nowhere: the text is in the index."""

    def __init__(self, store: Store, ingester: Ingester) -> None:
        self._store = store
        self._ingester = ingester

    def add(self, name: str, file: Path) -> IngestReport:
        """As `Uploads.add`."""
        name = checked_name(name)
        _check_size(file, name)
        try:
            with tempfile.TemporaryDirectory(prefix="rag-upload-") as folder:
                named = Path(folder) / name  # what it is read as, its name says
                _write(named, file)
                return self._ingester.add(named, root=ROOT, source=name)
        except OSError as error:
            raise _unwritable(Path(tempfile.gettempdir()), error) from error

    def take_out(self, document_id: int) -> Removed:
        """As `Uploads.take_out`."""
        return Removed(self._store.take_out(document_id), None)

    def put_back(self, removed: Removed) -> None:
        """As `Uploads.put_back`."""
        self._store.put_back(removed.taken)

    def delete(self, documents: Iterable[Document]) -> None:
        """As `Uploads.delete`."""
        self._store.remove([document.id for document in documents])

    def restore(self) -> None:
        """Nothing is left in between."""


class Uploads:
    """The uploaded files of one index and their documents. Safe between threads and processes."""

    def __init__(self, store: Store, ingester: Ingester, index_dir: Path) -> None:
        self._store = store
        self._ingester = ingester
        self._folder = index_dir.absolute() / "uploads"

    def add(self, name: str, file: Path) -> IngestReport:
        """Copy `file`, which somebody called `name`, and index it; the document of that name is replaced.

        Raises DocumentUnreadable with one plain sentence when the name is none, the file is too large or cannot be
        read: nothing is changed then.
        """
        name = checked_name(name)
        _check_size(file, name)
        with self._changing():
            name = self._known(name)
            new = self._between(_NEW, name)
            _write(new, file)
            return self._ingester.add(new, root=ROOT, source=name)

    def take_out(self, document_id: int) -> Removed:
        """Remove any document from the index. Of an upload the file goes, too; any other file stays.

        Raises DocumentsNotFound when it is gone.
        """
        with self._changing():
            document = self._store.document(document_id)
            aside = self._put_aside(document)
            content = aside.read_bytes() if aside else None
            return Removed(self._store.take_out(document_id), content)

    def put_back(self, removed: Removed) -> None:
        """Undo `take_out`. DocumentUnreadable when a document of its name was added meanwhile."""
        with self._changing():
            if removed.content is not None:
                _write(self._between(_REMOVED, removed.taken.document.source), removed.content)
            self._store.put_back(removed.taken)

    def delete(self, documents: Iterable[Document]) -> None:
        """Remove documents for good, in one transaction, and the files of those that were uploaded."""
        with self._changing():
            documents = list(documents)
            for document in documents:
                self._put_aside(document)
            self._store.remove([document.id for document in documents])

    def restore(self) -> None:
        """Settle what a kill left, and index the files that have no document, as after the index was lost.

        One that cannot be read is left.
        """
        with self._changing():
            self._settle()
            indexed = self._sources()
            for file in sorted(self._folder.glob("[!.]*")):
                if file.name not in indexed and is_plain(file):
                    try:
                        self._ingester.add(file, root=ROOT, source=file.name)
                    except DocumentUnreadable:
                        continue

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Nobody else changes anything meanwhile; at the end, whatever happened, no file is left in between."""
        with self._store.writing():
            self._check_folder()
            try:
                yield
            except OSError as error:
                raise _unwritable(self._folder, error) from error
            finally:
                self._settle()

    def _check_folder(self) -> None:
        """A link would have the files of another folder indexed, replaced and deleted."""
        if self._folder.is_symlink():
            raise RagError(f"{self._folder} is a link; remove it, or choose another index_dir")

    def _settle(self) -> None:
        """Put each file in between where its document is: in its place, or away.

        It is in its place when its document was made of it. One that was being removed also when its document, which
        was not, has no other.
        """
        leftovers = [*self._folder.glob(f"{_NEW}*"), *self._folder.glob(f"{_REMOVED}*")]
        indexed = self._sources() if leftovers else {}
        for leftover in leftovers:
            name = leftover.name.partition("-")[2][2 * _RANDOM_BYTES + 1 :]
            place = self._folder / name
            lost = leftover.name.startswith(_REMOVED) and not place.exists()
            try:
                if name in indexed and is_plain(leftover) and (lost or _sha256(leftover) == indexed[name]):
                    leftover.replace(place)
                else:
                    leftover.unlink()
            except OSError as error:  # what was asked for is done; the next change settles it
                logger.warning("%s", _unwritable(self._folder, error))

    def _sources(self) -> dict[str, str]:
        """The sources of all uploads, and the sha256 of the file that each was made of."""
        return {document.source: document.sha256 for document in self._store.documents_in(ROOT)}

    def _known(self, name: str) -> str:
        """The name of the upload that differs from `name` in nothing but case, or `name`: some disks see no case."""
        there = {source.casefold(): source for source in self._sources()}
        return there.get(name.casefold(), name)

    def _put_aside(self, document: Document) -> Path | None:
        """First of all: a file that outlived its document would be indexed again at the next opening."""
        file = self._folder / document.source
        # In an index that somebody else made, an upload may be called "../../letters.txt" or be a link there.
        if document.root != ROOT or file.parent != self._folder or not is_plain(file):
            return None
        return file.replace(self._between(_REMOVED, document.source))

    def _between(self, prefix: str, name: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        # Should the index lie in a folder of documents, the files are not indexed a second time.
        ignore = self._folder / IGNORE_FILE
        if not is_plain(ignore):
            with suppress(FileNotFoundError):
                ignore.unlink()
            ignore.write_text("*\n", encoding="utf-8")
        return self._folder / f"{prefix}{secrets.token_hex(_RANDOM_BYTES)}-{name}"


def _write(file: Path, content: Path | bytes) -> None:
    with file.open("xb") as target:
        if isinstance(content, bytes):
            target.write(content)
        else:
            with content.open("rb") as source:
                shutil.copyfileobj(source, target)
        target.flush()
        os.fsync(target.fileno())  # SQLite says next that it is there


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def checked_name(name: str) -> str:
    """A plain file name: one that can be kept on any disk, and is what it looks like.

    Folders in front, invisible characters, and dots and spaces at both ends go; what file systems reserve becomes "_".
    Raises DocumentUnreadable when nothing is left, it is too long, or files of its kind are not read.

    >>> checked_name("../../etc/Annual report.pdf")
    'Annual report.pdf'
    """
    last = _SEPARATORS.split(unicodedata.normalize("NFC", name))[-1]
    visible = "".join(c for c in last if c == " " or not unicodedata.category(c).startswith(("C", "Z")))
    composed = unicodedata.normalize("NFC", visible)  # again: a mark may stand beside its letter only now
    plain = _RESERVED.sub("_", composed).strip(" .")
    plain = f"_{plain}" if _DEVICE.match(plain) else plain
    stem, suffix = os.path.splitext(plain)  # noqa: PTH122 - Path would take "a:b" apart elsewhere
    if not stem.strip(" ._"):
        raise DocumentUnreadable("the file has no name that can be kept; rename it and try again")
    if len(plain.encode()) > _NAME_BYTES:
        raise DocumentUnreadable(f"{plain[:40]}… has too long a name; give it one of at most 60 characters")
    if suffix.lower() == COLLECTION_SUFFIX:
        raise DocumentUnreadable(f"{plain} is a collection of documents; add it with 'rag ingest'")
    if suffix.lower() not in SUFFIXES:
        kinds = ", ".join(sorted(SUFFIXES))
        raise DocumentUnreadable(f"{plain} is of a kind that cannot be read; convert it to one of {kinds}")
    return plain


def _check_size(file: Path, name: str) -> None:
    try:
        size = file.stat().st_size
    except OSError as error:
        raise DocumentsNotFound(f"{name} did not arrive; upload it again") from error
    if size > MAX_BYTES:
        raise DocumentUnreadable(
            f"{name} has {size / 1e6:,.1f} MB, more than the {MAX_BYTES / 1e6:g} MB of an upload; "
            "split it, or add it with 'rag ingest'"
        )


def _unwritable(folder: Path, error: OSError) -> RagError:
    return RagError(f"cannot write to {folder} ({error.strerror or error}); make it writable, or free some space")
