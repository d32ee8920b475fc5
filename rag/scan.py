"""A path → what is in it: documents, cut into passages, what is as it was, and what cannot be read.

Looking and reading are two steps: `found` lists, in an order that is always the same, and `read` does the work for one
of them, in this process or on another machine.
"""

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
from .splitting import chunks
from .store import Location
from .types import Chunk, Document, Failure

logger = logging.getLogger(__name__)

UnreadKind = Literal["folder", "file", "line", "empty"]


class File(NamedTuple):
    """A file that is to be read, unless the hash of its bytes is `known`."""

    path: Path
    root: str
    source: str
    known: str | None


class Same(NamedTuple):
    """A file, or a line of a collection, that is what the index was made of."""

    root: str
    source: str


class Cut(NamedTuple):
    """A document as it was read, and how it is cut into passages."""

    document: Document
    chunks: list[Chunk]


class Unread(NamedTuple):
    """Something that could not be read: one document, or (source None) something of the whole root.

    What cannot be read is not gone: it is never pruned. Only of an empty file is known that its words are.
    """

    root: str
    source: str | None
    failure: Failure
    kind: UnreadKind


Found = File | Document | Same | Unread  # in a path; a Document is a line of a collection
Read = Cut | Same | Unread


def unreadable(settings: Settings, hashes: Mapping[tuple[str, str], str]) -> list[Failure]:
    """What of `settings.documents` cannot be read now. `hashes`, by root and source, are of what could be read."""
    path = settings.documents.expanduser()
    listed = found(path, Location.of(settings).root_of(path), listing_of(path), hashes, settings)
    with Sandbox(settings) as sandbox:
        items = (_read_file(item, settings, sandbox) if isinstance(item, File) else item for item in listed)
        return [item.failure for item in items if isinstance(item, Unread)]


def listing_of(path: Path) -> Listing:
    """The files of a folder that can be read, or the one that `path` is."""
    return list_files(path, _is_known) if path.is_dir() else Listing([path], [], Counter())


def found(
    path: Path, root: str, listing: Listing, hashes: Mapping[tuple[str, str], str], settings: Settings
) -> Iterator[Found]:
    """What is listed, in its order: files, and the lines of collections.

    `hashes`, by root and source, are of what need not be read again.
    """
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
            yield from _lines(file, Location.of(settings).root_of(file), source, hashes, settings)
        else:
            yield File(file, root, source, hashes.get((root, source)))


def read(item: Found, settings: Settings, sandbox: Sandbox) -> Read:
    """Read and cut what was found, if it is new or has changed."""
    if isinstance(item, File):
        item = _read_file(item, settings, sandbox)
    return cut(item, settings) if isinstance(item, Document) else item


def cut(document: Document, settings: Settings) -> Cut:
    """A document and its passages."""
    return Cut(document, chunks(document.text, document.media_type, settings.passage_words, document.pages))


def _read_file(file: File, settings: Settings, sandbox: Sandbox) -> Document | Same | Unread:
    path, root, source, known = file
    try:
        if known is not None and file_hash(path, source, int(settings.file_megabytes * 1_000_000)) == known:
            return Same(root, source)
        document = sandbox.read(path, root=root, source=source)
    except DocumentUnreadable as error:
        return Unread(root, source, Failure(source, str(error)), "file")
    if document.text:
        return document
    return Unread(root, source, Failure(source, f"{source} is empty; write into it, or move it away"), "empty")


def _lines(
    file: Path, root: str, source: str, hashes: Mapping[tuple[str, str], str], settings: Settings
) -> Iterator[Document | Same | Unread]:
    try:
        for item in read_collection(file, root=root, max_bytes=int(settings.file_megabytes * 1_000_000)):
            if isinstance(item, Failure):
                yield Unread(root, None, item, "line")
            else:
                yield Same(root, item.source) if hashes.get((root, item.source)) == item.sha256 else item
    except DocumentUnreadable as error:
        yield Unread(root, None, Failure(source, str(error)), "file")


def told(failure: Failure) -> str:
    """A failure in one line that names the file once."""
    named = failure.reason.startswith(failure.source)
    return failure.reason if named else f"{failure.source}: {failure.reason}"


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES or is_collection(path)


def is_collection(path: Path) -> bool:
    return path.suffix.lower() == COLLECTION_SUFFIX and not path.is_dir()
