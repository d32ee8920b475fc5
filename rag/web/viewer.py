"""The whole document beside the chat: a place in it → its text, in blocks, or why it cannot be shown there.

Answers are plain dicts, for JSON. Offsets are those of `Document.text`, in characters: the browser counts them so, too.
Whoever opens a place says which words it has to hold: where the document says others by now, nothing is marked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any, Self

from ..errors import DocumentsNotFound, RagError
from ..types import Document

_BLOCK = 4000  # characters; a block ends with a line where it can
_NEAR = 3  # blocks around a place that come with it
_PART = 100  # blocks that come at once afterwards

Read = Callable[[int], Document]


@dataclass(frozen=True, slots=True)
class Blocks:
    """A text, cut: block `i` is `text[starts[i]:starts[i + 1]]`; a page begins with a block of its own."""

    text: str
    starts: tuple[int, ...]  # and at last the length of the text

    @classmethod
    def of(cls, document: Document) -> Self:
        text = document.text
        bounds = sorted({0, *document.pages, len(text)})
        starts = [start for begin, end in pairwise(bounds) for start in _cuts(text, begin, end)]
        return cls(text, (*starts, len(text)))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def at(self, offset: int) -> int:
        """The block that holds the character at `offset`."""
        return max(0, min(bisect_right(self.starts, offset), len(self)) - 1)

    def texts(self, first: int, end: int) -> list[str]:
        return [self.text[begin:stop] for begin, stop in pairwise(self.starts[first : end + 1])]


def _cuts(text: str, begin: int, end: int) -> list[int]:
    starts = []
    while begin < end:
        starts.append(begin)
        stop = begin + _BLOCK
        line = text.rfind("\n", begin, stop) + 1 if stop < end else 0
        begin = line or min(stop, end)
    return starts


def open_at(read: Read, asked: Mapping[str, Any]) -> dict[str, Any]:
    """How a document is cut, and the blocks around `start` to `end`, if these are the `words` there.

    `state` is "here"; "gone" or "changed" when the document is no longer what was cited; or "broken", with a `reason`.
    """
    try:
        document = read(int(asked["document"]))
    except DocumentsNotFound:
        return {"state": "gone"}
    except RagError as error:
        return {"state": "broken", "reason": str(error)}
    start, end = int(asked["start"]), int(asked["end"])
    if not 0 <= start < end or document.text[start:end] != asked["words"]:
        return {"state": "changed"}
    blocks = Blocks.of(document)
    block_at = {begin: block for block, begin in enumerate(blocks.starts[:-1])}
    first = max(0, blocks.at(start) - _NEAR)
    return {
        "state": "here",
        "version": _version(document),
        "starts": blocks.starts,
        "pages": {str(block_at[begin]): page for page, begin in enumerate(document.pages, 1) if begin in block_at},
        "line": document.text.count("\n", 0, start) + 1,
        "first": first,
        "texts": blocks.texts(first, blocks.at(end - 1) + _NEAR + 1),
    }


def read_on(read: Read, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Some of the blocks from `first` on; none of them when the document is another `version` by now."""
    try:
        document = read(int(asked["document"]))
    except RagError:
        return {"texts": []}
    first = max(0, int(asked["first"]))
    same = _version(document) == asked["version"]
    return {"texts": Blocks.of(document).texts(first, first + _PART) if same else []}


def _version(document: Document) -> str:
    return sha256(document.text.encode("utf-8", "replace")).hexdigest()
