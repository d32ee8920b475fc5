"""The whole document beside the chat: a place in it → its text, in blocks, or why it cannot be shown there.

Answers are plain dicts, for JSON. Offsets are those of `Document.text`, in characters: the browser counts them so, too.
Whoever opens a place says which words it has to hold: where the document says others by now, nothing is marked.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any, Self

from ..errors import DocumentsNotFound, RagError
from ..kept import Kept
from ..types import Document
from .asked import part, whole
from .opening import Opening

_BLOCK = 4000  # characters; a block ends with a line where it can
_NEAR = 3  # blocks around a place that come with it
_PART = 100  # blocks that come at once afterwards
_KEPT_BYTES = 100_000_000  # of texts that are being read


@dataclass(frozen=True, slots=True)
class Blocks:
    """A text, cut: block `i` is `text[starts[i]:starts[i + 1]]`; a page begins with a block of its own."""

    text: str
    starts: tuple[int, ...]  # and at last the length of the text
    pages: Mapping[int, int]  # those that begin with a block, from 1, by the block
    version: str  # another one when the text is

    @classmethod
    def of(cls, document: Document) -> Self:
        text = document.text
        bounds = sorted({0, *document.pages, len(text)})
        starts = [start for begin, end in pairwise(bounds) for start in _cuts(text, begin, end)]
        block_at = {begin: block for block, begin in enumerate(starts)}
        pages = {block_at[begin]: page for page, begin in enumerate(document.pages, 1) if begin in block_at}
        version = sha256(text.encode("utf-8", "replace")).hexdigest()
        return cls(text, (*starts, len(text)), pages, version)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def at(self, offset: int) -> int:
        """The block that holds the character at `offset`."""
        return max(0, min(bisect_right(self.starts, offset), len(self)) - 1)

    def texts(self, first: int, end: int) -> list[str]:
        return [self.text[begin:stop] for begin, stop in pairwise(self.starts[first : end + 1])]


Read = Callable[[int], Blocks]


def _cuts(text: str, begin: int, end: int) -> list[int]:
    starts = []
    while begin < end:
        starts.append(begin)
        stop = begin + _BLOCK
        line = text.rfind("\n", begin, stop) + 1 if stop < end else 0
        begin = line or min(stop, end)
    return starts


class Reader:
    """Opens documents and reads on in them. Safe between threads.

    A long document is asked for in many parts: the texts used last are kept, until the index changes.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._kept = Kept[tuple[int, str], Blocks](_KEPT_BYTES, weight=lambda blocks: sys.getsizeof(blocks.text))

    def open_at(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """How a document is cut, and the blocks around `start` to `end`, if these are the `words` there.

        `state` is "here"; "gone" or "changed" when the document is no longer what was cited; or "broken", with a
        `reason`.
        """
        return _opened(self._read, asked)

    def read_on(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Some of the blocks from `first` on; none of them when the document is another `version` by now."""
        return _followed(self._read, asked)

    def _read(self, document_id: int) -> Blocks:
        assistant = self._opening.assistant
        with self._opening.outages.translated():
            stamp = assistant.stamp()  # before it is read: what changes meanwhile has another key
            (blocks,) = self._kept.get([(document_id, stamp)], lambda _: [Blocks.of(assistant.document(document_id))])
        return blocks


def served(opening: Opening) -> list[Callable[[dict[str, Any]], dict[str, Any]]]:
    """What `viewer.js` calls; plain functions, because Gradio marks them."""
    reader = Reader(opening)

    def open_at(asked: dict[str, Any]) -> dict[str, Any]:
        return reader.open_at(asked)

    def read_on(asked: dict[str, Any]) -> dict[str, Any]:
        return reader.read_on(asked)

    return [open_at, read_on]


def _opened(read: Read, asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        start, end, words = whole(part(asked, "start")), whole(part(asked, "end")), part(asked, "words")
        blocks = read(whole(part(asked, "document")))
    except DocumentsNotFound:
        return {"state": "gone"}
    except RagError as error:
        return {"state": "broken", "reason": str(error)}
    if not 0 <= start < end or blocks.text[start:end] != words:
        return {"state": "changed"}
    first = max(0, blocks.at(start) - _NEAR)
    return {
        "state": "here",
        "version": blocks.version,
        "starts": blocks.starts,
        "pages": {str(block): page for block, page in blocks.pages.items()},
        "line": blocks.text.count("\n", 0, start) + 1,
        "first": first,
        "texts": blocks.texts(first, blocks.at(end - 1) + _NEAR + 1),
    }


def _followed(read: Read, asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        first, version = max(0, whole(part(asked, "first"))), part(asked, "version")
        blocks = read(whole(part(asked, "document")))
    except RagError:
        return {"texts": []}
    return {"texts": blocks.texts(first, first + _PART) if blocks.version == version else []}
