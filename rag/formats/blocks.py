"""What a converter makes: blocks of text, joined in one way for all formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

_SPACES = re.compile(r"[ \t\r\n\f\v]+")  # not the no-break space: it is the author's
_AROUND_BREAK = re.compile(r"[ \t\r\f\v]*\n[ \t\r\f\v]*")
_JUNK_TITLE = re.compile(
    r"untitled.*|(microsoft|word|excel|powerpoint) .*|(document|slide|title|presentation|book|workbook|sheet) ?\d*"
    r"|.*\.(docx?|dotx?|pdf|indd|tex|dvi|qxd|pptx?|xlsx?|html?|rtf|txt|ps)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Converted:
    """The text of a file, its own title or "", and the offset at which each of its pages starts."""

    text: str
    title: str = ""
    pages: tuple[int, ...] = ()


class Block(NamedTuple):
    """A paragraph, heading, list item or table row. No blank line parts items from items and rows from rows."""

    text: str
    kind: Literal["paragraph", "heading", "item", "row"] = "paragraph"


def joined(blocks: Iterable[Block]) -> str:
    """The text of the blocks that have any."""
    parts: list[str] = []
    before = ""
    for block in blocks:
        if not block.text.strip():
            continue
        if parts:
            parts.append("\n" if block.kind == before and block.kind in ("item", "row") else "\n\n")
        parts.append(block.text)
        before = block.kind
    return "".join([*parts, "\n"]) if parts else ""


def heading(level: int, text: str) -> Block:
    """`level` counts from 1; more than six become six."""
    words = one_line(text)
    return Block(f"{'#' * min(level, 6)} {words}" if words else "", "heading")


def item(text: str, marker: str = "-", depth: int = 0) -> Block:
    """`depth` is 0 for a list that is in no other."""
    words = text.strip()
    return Block(f"{'  ' * depth}{marker} {words}" if words else "", "item")


def row(cells: Sequence[str]) -> Block:
    """A table's row, "" if all its cells are."""
    words = [one_line(cell) for cell in cells]
    return Block(f"| {' | '.join(words)} |" if any(words) else "", "row")


def one_line(text: str) -> str:
    """Runs of white space become one space."""
    return _SPACES.sub(" ", text).strip(" ")


def lines(text: str) -> str:
    """Without white space around its line breaks and at its ends."""
    return _AROUND_BREAK.sub("\n", text).strip()


def own_title(title: str | None) -> str:
    """What a file says its title is, or "" where that is what its program wrote by itself."""
    words = one_line(title or "")
    return "" if _JUNK_TITLE.fullmatch(words) else words
