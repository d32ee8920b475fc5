"""Word → text: what stands on the pages, without tracked deletions, hidden text, headers and tables of contents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .archive import Archive
from .blocks import Block, Converted, heading, item, joined, lines, one_line, own_title, row
from .errors import FormatError
from .word_styles import Numbering, Styles, W, is_on, value

_UNSEEN: Final = frozenset(
    [W + name for name in ("del", "moveFrom", "rPr", "pPr", "instrText", "delText", "tblPr", "trPr", "tcPr", "sdtPr")]
    + ["{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"]  # the same once more, for old Word
)
_BREAKS: Final = {W + "tab": " ", W + "br": "\n", W + "cr": "\n", W + "noBreakHyphen": "-", W + "ptab": " "}
_NOTES = ("footnotes", "endnotes")


def convert(data: bytes) -> Converted:
    """Text of the body, then foot- and endnotes. The title is a heading of its own, else the one of its properties."""
    archive = Archive(data)
    main = next((part for kind, part in archive.related("").values() if kind == "officeDocument"), "word/document.xml")
    if main not in archive:
        raise FormatError("is no Word file; give it the suffix of its format, or convert it to .txt or .md")
    parts = {kind: part for kind, part in archive.related(main).values()}

    def optional(kind: str) -> Any:
        return archive.optional_xml(parts[kind]) if kind in parts else None

    styles = Styles(optional("styles"))
    reader = _Reader(styles, Numbering(optional("numbering")))
    blocks = list(reader.blocks(archive.xml(main)))
    for notes in map(optional, _NOTES):
        for note in [] if notes is None else notes:
            if note.get(W + "type") is None:  # the others are the line above the notes
                blocks += reader.blocks(note)
    first = next((block for block in blocks if block.text), None)
    titled = first is not None and first.kind == "heading"
    return Converted(joined(blocks), "" if titled else own_title(archive.title()))


class _Reader:
    def __init__(self, styles: Styles, numbering: Numbering) -> None:
        self._styles = styles
        self._numbering = numbering

    def blocks(self, parent: Any) -> Iterator[Block]:
        """The paragraphs and tables under an element, those in text boxes after their paragraph."""
        for element in parent:
            if element.tag == W + "p":
                yield from self._paragraph(element)
            elif element.tag == W + "tbl":
                yield from self._table(element)
            elif element.tag not in _UNSEEN and not _is_contents(element):
                yield from self.blocks(element)

    def _paragraph(self, paragraph: Any) -> Iterator[Block]:
        properties = paragraph.find(W + "pPr")
        style = self._styles.of(properties)
        text = lines("".join(self._text(paragraph)))
        if text and not style.is_contents:
            marker = self._numbering.marker(style.list_id, style.list_level) if style.list_id else None
            if style.heading:
                yield heading(style.heading, text)
            elif marker:
                yield item(text, marker, style.list_level)
            else:
                yield Block(text)
        for box in paragraph.iter(W + "txbxContent"):
            around = [ancestor.tag for ancestor in box.iterancestors()]
            own = next(box.iterancestors(W + "p")) is paragraph  # not in a box inside this one
            if own and not _UNSEEN.intersection(around):
                yield from self.blocks(box)

    def _text(self, element: Any) -> Iterator[str]:
        """The words of a paragraph, without those in its text boxes."""
        for child in element:
            tag = child.tag
            if tag == W + "t":
                yield child.text or ""
            elif tag in _BREAKS:
                yield _BREAKS[tag]
            elif tag in _UNSEEN or tag == W + "txbxContent" or (tag == W + "r" and self._is_hidden(child)):
                continue
            else:
                yield from self._text(child)

    def _is_hidden(self, run: Any) -> bool:
        properties = run.find(W + "rPr")
        return properties is not None and is_on(properties.find(W + "vanish"))

    def _table(self, table: Any) -> Iterator[Block]:
        rows = [[cell for cell in line.iterchildren(W + "tc", W + "sdt")] for line in _rows(table)]
        if all(len(cells) == 1 for cells in rows):  # a frame around text
            for (cell,) in rows:
                yield from self.blocks(cell)
            return
        for cells in rows:
            yield row([one_line(" ".join(block.text for block in self.blocks(cell))) for cell in cells])


def _rows(table: Any) -> Iterator[Any]:
    """The rows, those in content controls too, without deleted ones."""
    for child in table:
        if child.tag == W + "tr":
            if child.find(f"{W}trPr/{W}del") is None:
                yield child
        elif child.tag in (W + "sdt", W + "sdtContent"):
            yield from _rows(child)


def _is_contents(element: Any) -> bool:
    gallery = element.find(f"{W}sdtPr/{W}docPartObj/{W}docPartGallery")
    return gallery is not None and value(gallery) == "Table of Contents"
