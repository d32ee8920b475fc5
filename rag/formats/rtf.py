"""RTF → text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from striprtf.striprtf import rtf_to_text

from .blocks import Block, Converted, item, joined, lines, own_title, row
from .errors import FormatError

_TITLE = re.compile(r"\{\\title ([^{}]*)\}")
_HIDDEN = re.compile(r"\{(?:\\[a-z]+-?\d* ?)*?\\v(?![a-z0-9])[^{}]*\}")
_BULLET = re.compile(r"\s*(?:[•·▪◦‣o\uf0b7\uf0a7-]|(\d{1,3}[.)]))\t+")


def convert(data: bytes) -> Converted:
    """Paragraphs, list items and table rows; what cannot be decoded is U+FFFD."""
    if not data.lstrip().startswith(b"{\\rtf"):
        raise FormatError("is no RTF file; give it the suffix of its format, or convert it to .txt or .md")
    source = data.decode("latin-1")
    title = _TITLE.search(source)
    return Converted(joined(_blocks(_text(source))), own_title(_text(f"{{\\rtf1 {title[1]}}}") if title else ""))


def _text(source: str) -> str:
    # The library writes link targets behind links whose instruction it knows by this name.
    source = _HIDDEN.sub("", source).replace("\\fldinst", "\\*\\instruction")
    text = str(rtf_to_text(source, errors="replace"))  # type: ignore[no-untyped-call]
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # \u writes emoji as two halves


def _blocks(text: str) -> Iterator[Block]:
    for line in text.replace("\r", "").split("\n"):
        bullet = _BULLET.match(line)
        if line.rstrip().endswith("|"):
            yield row(line.rstrip()[:-1].split("|"))
        elif bullet:
            yield item(line[bullet.end() :], bullet[1] or "-")
        else:
            yield Block(lines(line))
