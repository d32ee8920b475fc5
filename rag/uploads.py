"""Files that come through the page or REST: kept under `index_dir/uploads/`, and a root of their own.

A document's source is its upload's checked plain name: the same name again updates it. The root is no path, so that
nothing which happens to a folder of documents touches it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from .documents import COLLECTION_SUFFIX, SUFFIXES
from .errors import DocumentsNotFound, DocumentUnreadable, RagError
from .folders import IGNORE_FILE
from .ingest import Ingester
from .store import Store, TakenOut
from .types import Document, IngestReport

ROOT: Final = "uploads:"
MAX_BYTES: Final = 20_000_000
_NAME_BYTES = 200  # file systems take 255; what is put in front of a name that is being written has room
_SEPARATORS = re.compile(r"[/\\]")
_RESERVED = re.compile(r'[<>:"|?*]')
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)
_NEW, _REMOVED = ".new-", ".removed-"


class Removed(NamedTuple):
    """A document that was removed, and where its file waits; what `Uploads.put_back` takes."""

    taken: TakenOut
    file: Path | None


class Uploads:
    """The uploaded files of one index and their documents. Safe between threads."""

    def __init__(self, store: Store, ingester: Ingester, index_dir: Path) -> None:
        self._store = store
        self._ingester = ingester
        self._folder = index_dir.absolute() / "uploads"
        self._guard = threading.Lock()

    def add(self, name: str, file: Path) -> IngestReport:
        """Copy `file`, which somebody called `name`, and index it; the document of that name is replaced.

        Raises DocumentUnreadable with one plain sentence when the name is none, the file is too large or cannot be
        read: nothing is changed then.
        """
        with self._guard:
            name = self._known(checked_name(name))
            _check_size(file, name)
            self._prepare()
            copy = self._folder / f"{_NEW}{secrets.token_hex(8)}{Path(name).suffix}"
            try:
                shutil.copyfile(file, copy)
                report = self._ingester.add(copy, root=ROOT, source=name)
                copy.replace(self._folder / name)
            except OSError as error:
                raise _unwritable(self._folder, error) from error
            finally:
                copy.unlink(missing_ok=True)
            return report

    def take_out(self, document_id: int) -> Removed:
        """Remove any document from the index. Of an upload the file is put aside, any other file stays.

        Raises DocumentsNotFound when it is gone.
        """
        with self._guard:
            document = self._store.document(document_id)
            aside = self._put_aside(document)
            try:
                return Removed(self._store.take_out(document_id), aside)
            except RagError:
                self._bring_back(document, aside)
                raise

    def put_back(self, removed: Removed) -> None:
        """Undo `take_out`. DocumentUnreadable when a document of its name was added meanwhile."""
        with self._guard:
            self._store.put_back(removed.taken)
            self._bring_back(removed.taken.document, removed.file)

    def delete(self, documents: Iterable[Document]) -> None:
        """Remove documents for good, in one transaction, and then the files of those that were uploaded."""
        documents = list(documents)
        with self._guard:
            # First aside: a file that outlived its document would be indexed again at the next opening.
            aside = [(document, self._put_aside(document)) for document in documents]
            try:
                self._store.remove([document.id for document in documents])
            except RagError:
                for document, file in aside:
                    self._bring_back(document, file)
                raise
            for _, file in aside:
                if file:
                    file.unlink(missing_ok=True)

    def forget_removed(self) -> None:
        """Delete what was put aside, and what a kill left half written: nobody can undo it any more."""
        with self._guard:
            for leftover in (*self._folder.glob(f"{_NEW}*"), *self._folder.glob(f"{_REMOVED}*")):
                leftover.unlink(missing_ok=True)

    def restore(self) -> None:
        """Index the files that have no document, as after the index was lost; one that cannot be read is left."""
        indexed = {document.source for document in self._store.documents(ROOT)}
        for file in sorted(self._folder.glob("[!.]*")):
            if file.name not in indexed and file.is_file():
                try:
                    self._ingester.add(file, root=ROOT, source=file.name)
                except DocumentUnreadable:
                    continue

    def _known(self, name: str) -> str:
        """The name of the upload that differs from `name` in nothing but case, or `name`: some disks see no case."""
        there = {document.source.casefold(): document.source for document in self._store.documents(ROOT)}
        return there.get(name.casefold(), name)

    def _prepare(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Should the index lie in a folder of documents, the files are not indexed a second time.
            (self._folder / IGNORE_FILE).write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def _put_aside(self, document: Document) -> Path | None:
        file = self._folder / document.source
        if document.root != ROOT or not file.is_file():
            return None
        try:
            return file.replace(self._folder / f"{_REMOVED}{secrets.token_hex(8)}")
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def _bring_back(self, document: Document, aside: Path | None) -> None:
        if aside and aside.is_file():
            aside.replace(self._folder / document.source)


def checked_name(name: str) -> str:
    """A plain file name: one that can be kept on any disk, and is what it looks like.

    Folders in front, invisible characters, and dots and spaces at both ends go; what file systems reserve becomes "_".
    Raises DocumentUnreadable when nothing is left, it is too long, or files of its kind are not read.

    >>> checked_name("../../etc/Annual report.pdf")
    'Annual report.pdf'
    """
    last = _SEPARATORS.split(unicodedata.normalize("NFC", name))[-1]
    visible = "".join(c for c in last if c == " " or not unicodedata.category(c).startswith(("C", "Z")))
    plain = _RESERVED.sub("_", visible).strip(" .")
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
