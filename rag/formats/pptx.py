"""PowerPoint → text: a page for each slide, its title as heading, then its texts, tables and notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .archive import Archive, relation
from .blocks import Block, Converted, heading, item, joined, lines, own_title, row
from .errors import FormatError

_A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P: Final = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_FALLBACK: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # the same, for old programs
_TITLES: Final = ("title", "ctrTitle")
_NOISE: Final = ("sldNum", "dt", "ftr", "hdr", "sldImg")  # the same on every slide
_LISTED: Final = ("body", "obj", "")  # placeholders whose paragraphs have bullets unless they say otherwise


def convert(data: bytes) -> Converted:
    """Slides in their order, hidden ones left out; `pages` has one entry for each slide that is shown."""
    archive = Archive(data)
    main = next((p for kind, p in archive.related("").values() if kind == "officeDocument"), "ppt/presentation.xml")
    if main not in archive:
        raise FormatError("is no PowerPoint file; give it the suffix of its format, or convert it to .txt or .md")
    related = archive.related(main)
    texts: list[str] = []
    pages: list[int] = []
    for each in archive.xml(main).iterfind(f"{_P}sldIdLst/{_P}sldId"):
        part = related[relation(each) or ""][1]
        slide = archive.xml(part)
        if slide.get("show") in ("0", "false"):
            continue
        text = joined([*_blocks(slide), *_notes(archive, part)])
        if texts and text:
            texts.append("\n")
        pages.append(sum(map(len, texts)))
        texts.append(text)
    text = "".join(texts)
    return Converted(text, "" if text.startswith("# ") else own_title(archive.title()), tuple(pages))


def _blocks(slide: Any) -> list[Block]:
    """The title first, wherever it stands in the file."""
    shapes = list(_shapes(slide.find(f"{_P}cSld/{_P}spTree")))
    titles = [shape for shape in shapes if _placeholder(shape) in _TITLES]
    blocks = [heading(1, " ".join(filter(None, map(_paragraph_text, each.iter(_A + "p"))))) for each in titles]
    for shape in shapes:
        if shape not in titles:
            blocks += _texts(shape)
    return blocks


def _notes(archive: Archive, part: str) -> Iterator[Block]:
    notes = next((target for kind, target in archive.related(part).values() if kind == "notesSlide"), None)
    if notes is not None and notes in archive:
        for shape in _shapes(archive.xml(notes).find(f"{_P}cSld/{_P}spTree")):
            if _placeholder(shape) == "body":
                yield from (Block(lines(_paragraph_text(each))) for each in shape.iter(_A + "p"))


def _shapes(tree: Any) -> Iterator[Any]:
    """Shapes and tables, those in groups too, without hidden ones."""
    for element in [] if tree is None else tree:
        if element.tag == _FALLBACK or any(e.get("hidden") in ("1", "true") for e in element.iterfind(f"*/{_P}cNvPr")):
            continue
        if element.tag in (_P + "sp", _P + "graphicFrame"):
            if _placeholder(element) not in _NOISE:
                yield element
        else:
            yield from _shapes(element)


def _placeholder(shape: Any) -> str | None:
    """Its kind, "" for one without a kind, None for a shape that is no placeholder."""
    found = shape.find(f"*/{_P}nvPr/{_P}ph")
    return None if found is None else str(found.get("type", ""))


def _texts(shape: Any) -> Iterator[Block]:
    for line in shape.iter(_A + "tr"):
        yield row([" ".join(map(_paragraph_text, cell.iter(_A + "p"))) for cell in line.iterfind(_A + "tc")])
    listed = _placeholder(shape) in _LISTED
    number = 0
    for paragraph in shape.iterfind(f"{_P}txBody/{_A}p"):
        text = lines(_paragraph_text(paragraph))
        properties = paragraph.find(_A + "pPr")
        marks = set() if properties is None else {child.tag for child in properties}
        depth = int(properties.get("lvl", "0")) if properties is not None else 0
        if not text:
            continue
        number = number + 1 if _A + "buAutoNum" in marks else 0
        if number:
            yield item(text, f"{number}.", depth)
        elif _A + "buNone" not in marks and (listed or _A + "buChar" in marks):
            yield item(text, depth=depth)
        else:
            yield Block(text)


def _paragraph_text(paragraph: Any) -> str:
    """The words of a paragraph, a line break for each of its own."""
    parts = []
    for element in paragraph.iter(_A + "t", _A + "br"):
        parts.append("\n" if element.tag == _A + "br" else (element.text or "").replace("\v", "\n"))
    return "".join(parts)
