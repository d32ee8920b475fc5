"""A path → what is in it: documents, files that are as they were, and what cannot be read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from .documents import COLLECTION_SUFFIX, SUFFIXES, file_hash, read_collection
from .errors import DocumentUnreadable
from .folders import Listing, list_files
from .sandbox import Sandbox
from .settings import Settings
from .types import Document, Failure

logger = logging.getLogger(__name__)


class Same(NamedTuple):
    """A file whose bytes are those that the index was made of."""

    root: str
    source: str


class Unread(NamedTuple):
    """Something that could not be read: one document, or (source None) something of the whole root.

    What cannot be read is not gone: it is never pruned. Only of an empty file is known that its words are.
    """

    root: str
    source: str | None
    failure: Failure
    kind: Literal["folder", "file", "line", "empty"]


def unreadable(settings: Settings, hashes: Mapping[tuple[str, str], str]) -> list[Failure]:
    """What of `settings.documents` cannot be read now. `hashes`, by root and source, are of what could be read."""
    path = settings.documents.expanduser()
    with Sandbox(settings) as sandbox:
        found = read_listed(path, root_name(path, settings), listing_of(path), hashes, settings, sandbox)
        return [item.failure for item in found if isinstance(item, Unread)]


def listing_of(path: Path) -> Listing:
    """The files of a folder that can be read, or the one that `path` is."""
    return list_files(path, _is_known) if path.is_dir() else Listing([path], [], Counter())


def read_listed(
    path: Path,
    root: str,
    listing: Listing,
    hashes: Mapping[tuple[str, str], str],
    settings: Settings,
    sandbox: Sandbox,
) -> Iterator[Document | Same | Unread]:
    """Read what is listed, but files whose bytes have the hash that `hashes` holds of them (by root and source)."""
    limit = int(settings.file_megabytes * 1_000_000)
    if listing.others and not listing.files:
        kinds = ", ".join(f"{n} {suffix}" for suffix, n in listing.others.most_common(5))
        logger.warning("%s: nothing in it can be read (%s); convert the files to .pdf, .txt or .md", path, kinds)
    yield from (Unread(root, None, failure, "folder") for failure in listing.unlisted)
    for file in listing.files:
        source = file.relative_to(path).as_posix() if path.is_dir() else file.name
        shown = source.encode("utf-8", "replace").decode()
        if shown != source:
            yield Unread(root, shown, Failure(shown, "its name is not UTF-8; rename it"), "file")
        elif is_collection(file):
            yield from _read_lines(file, root_name(file, settings), source, limit)
        else:
            yield _read_file(file, root, source, limit, hashes.get((root, source)), sandbox)


def _read_file(
    file: Path, root: str, source: str, limit: int, known: str | None, sandbox: Sandbox
) -> Document | Same | Unread:
    try:
        if known is not None and file_hash(file, source, limit) == known:
            return Same(root, source)
        document = sandbox.read(file, root=root, source=source)
    except DocumentUnreadable as error:
        return Unread(root, source, Failure(source, str(error)), "file")
    if document.text:
        return document
    return Unread(root, source, Failure(source, f"{source} is empty; write into it, or move it away"), "empty")


def _read_lines(file: Path, root: str, source: str, limit: int) -> Iterator[Document | Unread]:
    try:
        for item in read_collection(file, root=root, max_bytes=limit):
            yield Unread(root, None, item, "line") if isinstance(item, Failure) else item
    except DocumentUnreadable as error:
        yield Unread(root, None, Failure(source, str(error)), "file")


def root_name(path: Path, settings: Settings) -> str:
    """The name of a root: "./…" relative to the folder around the index where it can be, so that both may move."""
    base = settings.index_dir.resolve().parent
    resolved = path.resolve()
    if not resolved.is_relative_to(base):
        return resolved.as_posix()
    return "/".join((".", *resolved.relative_to(base).parts))


def told(failure: Failure) -> str:
    """A failure in one line that names the file once."""
    named = failure.reason.startswith(failure.source)
    return failure.reason if named else f"{failure.source}: {failure.reason}"


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES or is_collection(path)


def is_collection(path: Path) -> bool:
    return path.suffix.lower() == COLLECTION_SUFFIX and not path.is_dir()
