"""Files, folders and collections → the store: what is new is added, what changed is replaced.

Every document is compared by the hash of its content: unchanged ones cost a hash, renamed ones keep their
passages. One that cannot be read is reported, keeps its older version in the index (unless it is empty now), and is
tried again next time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .documents import COLLECTION_SUFFIX, READERS_VERSION, count_lines
from .embedding import Encoder
from .errors import DocumentsNotFound
from .pipeline import BATCH_PASSAGES, Pipeline
from .scan import Cut, Same, Unread, found, is_collection, listing_of, told
from .settings import Settings
from .store import DEFAULT_ROOT, READERS, Location, Store
from .telemetry import ingesting
from .types import Document, Failure, IngestReport
from .workers import LocalWorkers, Workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an ingest is: documents read of `total`, of which new or changed, and passages embedded so far."""

    documents: int
    changed: int
    passages: int
    total: int


Report = Callable[[Progress], None]


@dataclass
class _Ledger:
    """What happened so far; becomes the IngestReport."""

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    passages: int = 0
    total: int = 0

    def report(self) -> IngestReport:
        return IngestReport(
            tuple(self.added), tuple(self.updated), tuple(self.unchanged), tuple(self.removed), tuple(self.failed)
        )

    def progress(self) -> Progress:
        changed = len(self.added) + len(self.updated)
        return Progress(changed + len(self.unchanged) + len(self.failed), changed, self.passages, self.total)


class _Moved:
    """Finds the stored document that a new file is, under another name: the same bytes, and its old file is gone."""

    def __init__(self, path: Path, root: str, files: Sequence[Path], stored: Iterable[Document]) -> None:
        there = {file.relative_to(path).as_posix() for file in files} if path.is_dir() else set()
        self._gone = {
            (d.sha256, d.media_type): d
            for d in stored
            if path.is_dir() and d.root == root and d.source not in there and not _may_be_there(path / d.source)
        }

    def to(self, new: Document) -> Document | None:
        """The document that `new` was, once."""
        return self._gone.pop((new.sha256, new.media_type), None)


class Ingester:
    """Brings a store up to date with files. The caller's settings say how text is cut and what is too large.

    What is done with each document is decided here, and all of it is written here, in one order, by one process: so the
    index is the same, whoever reads and embeds. `workers` do: this process, unless others are given.
    """

    def __init__(self, store: Store, encoder: Encoder, settings: Settings, workers: Workers | None = None) -> None:
        self._store = store
        self._settings = settings
        self._location = Location.of(settings)
        self._here = LocalWorkers(settings, encoder)
        self._workers: Workers = workers or self._here

    @ingesting
    def ingest(self, paths: Sequence[Path], *, prune: bool = False, report: Report | None = None) -> IngestReport:
        """Add or update `paths` (files, folders, `.jsonl` collections).

        `prune` removes what is no longer there, within the given folders and collections only.
        Raises DocumentsNotFound before anything is written when a path does not exist, and
        IndexLocked when another process is writing.
        """
        check_paths(paths)
        ledger = _Ledger()
        with self._store.writing(), self._workers:
            for path in paths:
                self._ingest_path(path, self._home(path), ledger, prune, report)
        return ledger.report()

    @ingesting
    def ingest_default(self, report: Report | None = None) -> IngestReport:
        """Bring the index up to date with `settings.documents`; what left that folder leaves the index.

        When the setting now names another folder, the documents of the one before go: the files
        stay, and coming back indexes them again. Where several machines share the index nothing goes: another one may
        have what is not here.
        """
        path = self._settings.documents.expanduser()
        if not _exists(path):
            raise DocumentsNotFound(
                f"the documents folder '{path}' does not exist; "
                "create it, or set RAG_DOCUMENTS (or documents in rag.toml)"
            )
        root = self._root(path)
        with self._store.writing(), self._workers:
            before = self._store.meta(DEFAULT_ROOT)
            ledger = _Ledger()
            self._ingest_path(path, root, ledger, prune=not self._location.is_shared, report=report)
            if before not in (None, root) and not self._location.is_shared:
                gone = [d for d in self._store.documents_in(before) if not _belongs(d.root, root)]
                self._store.remove([d.id for d in gone])
            self._store.set_meta(DEFAULT_ROOT, root)
        return ledger.report()

    @ingesting
    def add(self, file: Path, *, root: str, source: str) -> IngestReport:
        """Add or update one document, made of `file`, whatever that is called, in one transaction.

        Raises DocumentUnreadable, before anything is stored, and IndexLocked.
        """
        with self._store.writing(), self._here:
            document = self._here.read_one(file, root=root, source=source)
            known = self._is_stored(root, source)
            with Pipeline(self._store, self._here) as pipeline:
                pipeline.put([document])
                pipeline.finish()
        return IngestReport(updated=(source,)) if known else IngestReport(added=(source,))

    def _ingest_path(self, path: Path, root: str, ledger: _Ledger, prune: bool, report: Report | None) -> None:
        with Pipeline(self._store, self._workers) as pipeline:
            self._update(path, root, ledger, pipeline, prune, report)

    def _update(
        self, path: Path, root: str, ledger: _Ledger, pipeline: Pipeline, prune: bool, report: Report | None
    ) -> None:
        stored = {(d.root, d.source): d for d in self._store.documents_in(root)}
        listing = listing_of(path)
        ledger.total += sum(count_lines(file) if is_collection(file) else 1 for file in listing.files)
        readers = f"{READERS}{root}"
        made_by = f"{READERS_VERSION} {self._store.place()}"
        current = self._store.meta(readers) == made_by
        hashes = {key: d.sha256 for key, d in stored.items() if current}
        moved = _Moved(path, root, listing.files, stored.values())
        seen: set[tuple[str, str | None]] = set()
        spared: set[tuple[str, str | None]] = set()
        batch: list[Cut] = []
        waiting = 0
        for item in self._workers.read(found(path, root, listing, hashes, self._settings)):
            if isinstance(item, Unread):
                ledger.failed.append(item.failure)
                logger.warning("%s", told(item.failure), extra={"unread": item.kind})
                spared.add((item.root, item.source))
                if item.kind == "empty" and (emptied := stored.get((item.root, str(item.source)))):
                    self._prune([emptied], ledger)  # its words are in the file no more
                continue
            new = item if isinstance(item, Same) else item.document
            key = (new.root, new.source)
            seen.add(key)
            old = stored.get(key)
            if isinstance(item, Same) or (old is not None and self._is_same(old, item, current)):
                ledger.unchanged.append(new.source)
            elif old is None and (before := moved.to(item.document)) is not None and self._same_text(before, item):
                self._store.rename(before.id, item.document)
                seen.add((before.root, before.source))
                ledger.updated.append(new.source)
            else:
                (ledger.updated if old else ledger.added).append(new.source)
                batch.append(item)
                waiting += len(item.chunks)
            if waiting >= BATCH_PASSAGES:
                ledger.passages += pipeline.put(batch)
                batch, waiting = [], 0
            if report:
                report(ledger.progress())
        ledger.passages += pipeline.put(batch) + pipeline.finish()
        if report:
            report(ledger.progress())
        # A file that was ingested by itself and now comes with its folder is one document, not two.
        read = {f"{root}/{source}" for home, source in seen if home == root}
        doubled = [d for (home, _), d in stored.items() if home != root and _full_name(d) in read]
        self._store.remove([d.id for d in doubled])
        if prune and (path.is_dir() or is_collection(path)):
            if (root, None) in spared:  # what is gone cannot be told; what an ignore file names can
                gone = [d for (home, source), d in stored.items() if home == root and listing.is_ignored(path / source)]
            else:
                unread = {f"{home}/{source}" for home, source in spared}
                kept = seen | spared | {(d.root, d.source) for d in doubled}
                left = [d for key, d in stored.items() if key not in kept and (d.root, None) not in spared]
                listed = {self._root(file) for file in listing.files}
                gone = [d for d in left if _full_name(d) not in unread and _is_gone(d, path, root, listed)]
            self._prune(gone, ledger)
        unread_roots = {home for home, source in spared if source is None}
        doubtful = any(key in spared or any(_belongs(key[0], home) for home in unread_roots) for key in stored)
        if (path.is_dir() or root == self._root(path)) and not doubtful:
            self._store.set_meta(readers, made_by)  # what is stored was made by these readers, all of it, and here

    def _is_same(self, old: Document, new: Cut, current: bool) -> bool:
        """Whether a document that was read again says what it said.

        Its text and its spans are compared, too, unless the `current` readers made the old one, in this very index:
        newer ones may read more in a file, and an index that was handed over may say anything.
        """
        read = new.document
        if (old.sha256, old.title, old.media_type) != (read.sha256, read.title, read.media_type):
            return False
        return current or (self._same_text(old, new) and self._store.chunks(old.id) == new.chunks)

    def _same_text(self, old: Document, new: Cut) -> bool:
        stored = self._store.document(old.id)
        return (stored.text, stored.pages) == (new.document.text, new.document.pages)

    def _prune(self, gone: Sequence[Document], ledger: _Ledger) -> None:
        if gone:
            self._store.remove([document.id for document in gone])
            ledger.removed += [document.source for document in gone]

    def _home(self, path: Path) -> str:
        """The root of what is at `path`: a folder, a collection, or a file by itself — unless its folder is indexed."""
        folder = self._root(path.parent)
        return folder if path.is_file() and self._is_stored(folder, path.name) else self._root(path)

    def _is_stored(self, root: str, source: str) -> bool:
        return any(document.root == root for document in self._store.documents_called(source))

    def _root(self, path: Path) -> str:
        return self._location.root_of(path)


def check_paths(paths: Sequence[Path]) -> None:
    """Raise DocumentsNotFound for the first one that does not exist."""
    for path in paths:
        if not _exists(path):
            raise DocumentsNotFound(f"'{path}' does not exist or cannot be entered; check the path")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def _full_name(document: Document) -> str:
    """Root and source in one; the root of a file that was ingested by itself is the file."""
    alone = document.root.rpartition("/")[2] == document.source
    return document.root if alone else f"{document.root}/{document.source}"


def _is_gone(document: Document, path: Path, root: str, listed: Collection[str]) -> bool:
    """Whether a document that was not met in the folder `path`, whose name is `root`, has lost its file.

    What was ingested by another name than the folder's (a file alone, a hidden folder) stays while its file does.
    """
    if document.root == root or document.root in listed:
        return True
    name = document.root if document.root.endswith(COLLECTION_SUFFIX) else _full_name(document)
    return not _may_be_there(path / name.removeprefix(f"{root}/"))


def _may_be_there(path: Path) -> bool:
    """Whether a file exists, or nobody may look."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _belongs(root: str, of: str) -> bool:
    """Whether documents of `root` lie in the root `of`: the same, or a collection inside that folder."""
    return root == of or root.startswith(f"{of}/")
