"""HTML → text: what a reader sees of the page, without its navigation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from lxml import etree

from .blocks import Block, Converted, heading, item, joined, lines, one_line, own_title, row
from .errors import FormatError
from .plain import decode
from .tree import tree

_UNSEEN: Final = frozenset(
    "script style template noscript head svg iframe object audio video canvas nav menu select datalist textarea button"
    " annotation annotation-xml rp dialog".split()
)
_NAVIGATION = frozenset("navigation search menu menubar toolbar doc-toc doc-pagelist".split())
_HIDDEN_STYLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_HEADING = re.compile(r"h([1-6])")
_BLOCKS: Final = frozenset(
    "address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form"
    " header hgroup hr html legend li main ol p section summary table tbody td tfoot th thead tr ul".split()
)
_NO_CELLS = ("table", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "pre", "blockquote")  # in a table made for layout
_CHARSET = re.compile(rb"""<(?:meta|\?xml)[^>]{0,300}?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_HEAD_BYTES = 4096
_LAST = re.compile(r"</(?:body|html)\s*>", re.IGNORECASE)  # what comes after them is shown too, and would get lost
_END = "rag-end"
_CLOSINGS = ("", "-->", "</script></style></title></textarea>", '">', "'>")
_PERMALINK = re.compile(r"\s*[¶#§🔗]+$")  # what documentation tools put behind a heading
_MARKUP = re.compile(r"^[ \t]*(?:#{1,6}\s|=+$|--+$|```|~~~)", re.MULTILINE)


def convert(data: bytes) -> Converted:
    """The text of a page; its title is that of its head."""
    found = _CHARSET.search(data, 0, _HEAD_BYTES)
    return from_text(decode(data, found[1].decode("ascii") if found else None))


def from_text(page: str) -> Converted:
    """The text of a page that is decoded."""
    root = _tree(page)
    title = root.find("head/title")
    if title is None:
        title = root.find(".//title")
    return Converted(joined(_Reader().blocks(root)), own_title("" if title is None else "".join(title.itertext())))


def _tree(page: str) -> Any:
    """The page's root. The parser stops without a word where the nesting is too deep for it, so the end is marked.

    A page that was cut off may end inside a comment, a script or a tag, where a mark is none: these are closed.
    """
    page = _LAST.sub("", page)
    for closing in _CLOSINGS:
        parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
        root = tree(f"{page}{closing}<{_END}></{_END}>".encode("utf-8", "replace"), parser)
        if root is not None and root.find(f".//{_END}") is not None:
            return root
    raise FormatError("is nested too deep to be read to its end; split it, or convert it to .txt or .md and try again")


class _Reader:
    """Walks a page once and collects its blocks; not recursive, for pages may be nested thousands deep."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._run: list[str] = []  # the text of the block that is being read
        self._lists: list[int | None] = []  # of the lists around: the next number, None where there are bullets
        self._marker: str | None = None  # of a list item whose first words are still to come
        self._level = 0  # of the heading around
        self._raw = 0  # how many `pre` are around
        self._table: Any = None  # the table around whose cells are being read
        self._cells: list[str] = []

    def blocks(self, root: Any) -> Iterable[Block]:
        """All blocks under an element, in its order."""
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if event == "start":
                if _is_unseen(element):
                    walk.skip_subtree()
                else:
                    self._open(element)
                    self._add(element.text)
            else:
                if not _is_unseen(element):
                    self._close(element)
                if element is not root:
                    self._add(element.tail)
        self._flush()
        return self._blocks

    def _add(self, text: str | None) -> None:
        if text:
            self._run.append(text if self._raw else re.sub(r"[ \t\r\n\f]+", " ", text))

    def _open(self, element: Any) -> None:
        tag = element.tag
        if tag == "br":
            self._run.append("\n")
        elif self._table is not None:
            if tag in ("td", "th", "tr"):
                self._run = []
                self._cells = [] if tag == "tr" else self._cells
            elif tag in _BLOCKS:
                self._run.append(" ")
        elif match := _HEADING.fullmatch(tag):
            self._flush()
            self._level = int(match[1])
        elif tag == "pre":
            self._flush()
            self._raw += 1
        elif tag in _BLOCKS:
            self._flush()
            self._open_block(element)

    def _open_block(self, element: Any) -> None:
        tag = element.tag
        if tag == "ul":
            self._lists.append(None)
        elif tag == "ol":
            self._lists.append(_number(element.get("start"), 1))
        elif tag == "li":
            number = self._lists[-1] if self._lists else None
            number = None if number is None else _number(element.get("value"), number)
            self._marker = "-" if number is None else f"{number}."
            if number is not None:
                self._lists[-1] = number + 1
        elif tag == "table" and _has_cells(element):
            self._table = element

    def _close(self, element: Any) -> None:
        tag = element.tag
        if self._table is not None:
            self._close_in_table(element)
        elif _HEADING.fullmatch(tag):
            self._flush()
            self._level = 0
        elif tag == "pre":
            self._flush()
            self._raw -= 1
        elif tag in _BLOCKS:
            self._flush()
            if tag in ("ul", "ol") and self._lists:
                self._lists.pop()
            elif tag == "li":
                self._marker = None

    def _close_in_table(self, element: Any) -> None:
        tag = element.tag
        if tag in ("td", "th"):
            self._cells.append("".join(self._run))
            self._run = []
        elif tag == "tr":
            self._blocks.append(row(self._cells))
            self._cells = []
        elif tag == "caption":
            self._blocks.append(Block(one_line("".join(self._run))))
            self._run = []
        elif element is self._table:
            self._table, self._run = None, []
        elif tag in _BLOCKS:
            self._run.append(" ")

    def _flush(self) -> None:
        text = "".join(self._run)
        self._run = []
        if not text.strip():
            return
        if self._level:
            self._blocks.append(heading(self._level, _PERMALINK.sub("", text)))
        elif self._raw:
            self._blocks.append(Block(_fenced(text.strip("\n").rstrip())))
        elif self._marker is not None:
            self._blocks.append(item(lines(text), self._marker, max(0, len(self._lists) - 1)))
            self._marker = None
        else:
            self._blocks.append(Block(lines(text)))


def _is_unseen(element: Any) -> bool:
    get = element.get
    return (
        not isinstance(element.tag, str)  # what is neither element nor text, such as a DTD's entity
        or (element.tag in _UNSEEN and not (element.tag == "dialog" and get("open") is not None))
        or get("hidden") is not None
        or get("aria-hidden") == "true"
        or get("role") in _NAVIGATION
        or _HIDDEN_STYLE.search(get("style", "")) is not None
    )


def _has_cells(table: Any) -> bool:
    """Whether a table has rows of data; many pages and mails use tables to place what is no table."""
    if table.get("role") in ("presentation", "none") or next(table.iterdescendants(*_NO_CELLS), None) is not None:
        return False
    return any(sum(cell.tag in ("td", "th") for cell in line) > 1 for line in table.iter("tr"))


def _number(value: str | None, otherwise: int) -> int:
    return int(value) if value and re.fullmatch(r"-?\d{1,9}", value.strip()) else otherwise


def _fenced(text: str) -> str:
    """Code in which a comment would be read as a heading stands between fences."""
    if not _MARKUP.search(text):
        return text
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"
