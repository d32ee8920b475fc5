"""Word, PowerPoint and Excel files: the ones that other libraries write, and what only Word writes."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any

import docx
import format_samples as samples
import pptx
import pytest
from openpyxl import Workbook

from rag.formats import Converted, FormatError, convert
from rag.formats.kinds import DOCX, PPTX, XLSX


def saved(file: Any, media_type: str) -> Converted:
    target = io.BytesIO()
    file.save(target)
    return convert(target.getvalue(), media_type)


def word(body: str, **parts: str) -> str:
    return convert(samples.docx(body, **parts), DOCX).text  # type: ignore[arg-type]


# -- Word --------------------------------------------------------------------------------------------------------------


def test_a_word_file() -> None:
    file = docx.Document()
    file.add_heading("The report", 0)
    file.add_heading("Birds", 2)
    paragraph = file.add_paragraph("The ")
    paragraph.add_run("heron").bold = True
    paragraph.add_run(" stands\tstill.")
    paragraph.add_run(" secret").font.hidden = True
    for style, words in [("List Bullet", "one"), ("List Bullet", "two"), ("List Number", "a"), ("List Number", "b")]:
        file.add_paragraph(words, style=style)
    table = file.add_table(2, 2)
    for cell, words in zip([c for row in table.rows for c in row.cells], ["Name", "Size", "Owl", "3 |"], strict=True):
        cell.text = words
    file.core_properties.title = "Other"
    found = saved(file, DOCX)
    assert found.text == (
        "# The report\n\n## Birds\n\nThe heron stands still.\n\n- one\n- two\n1. a\n2. b\n\n"
        "| Name | Size |\n| Owl | 3 | |\n"
    )
    assert found.title == ""  # the first heading says it


def test_the_title_of_a_file_without_a_heading() -> None:
    file = docx.Document()
    file.add_paragraph("Only text.")
    file.core_properties.title = "The title"
    assert saved(file, DOCX).title == "The title"
    file.core_properties.title = "Word Document"
    assert saved(file, DOCX).title == ""


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:t>old</w:t></w:r></w:del></w:p>", "new"),
        ("<w:sdt><w:sdtContent><w:p><w:r><w:t>control</w:t></w:r></w:p></w:sdtContent></w:sdt>", "control"),
        ("<w:p><w:hyperlink><w:r><w:t>link</w:t></w:r></w:hyperlink><w:r><w:t> text</w:t></w:r></w:p>", "link text"),
        ("<w:p><w:r><w:t>a</w:t><w:br/><w:t>b</w:t><w:noBreakHyphen/><w:t>c</w:t></w:r></w:p>", "a\nb-c"),
        (f"<w:p><w:r><w:t>a</w:t><w:txbxContent>{samples.paragraph('box')}</w:txbxContent></w:r></w:p>", "a\n\nbox"),
        ("<w:tbl><w:tr><w:tc><w:p><w:r><w:t>framed</w:t></w:r></w:p></w:tc></w:tr></w:tbl>", "framed"),
        ("<w:p><w:r><w:instrText>TOC</w:instrText><w:t>x</w:t></w:r></w:p>", "x"),
        ("<w:p><w:pPr><w:outlineLvl w:val='1'/></w:pPr><w:r><w:t>Level</w:t></w:r></w:p>", "## Level"),
        (
            "<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val='Table of Contents'/></w:docPartObj></w:sdtPr>"
            "<w:sdtContent><w:p><w:r><w:t>1 Intro</w:t></w:r></w:p></w:sdtContent></w:sdt>" + samples.paragraph("x"),
            "x",
        ),
    ],
)  # fmt: skip
def test_what_only_word_writes(body: str, text: str) -> None:
    assert word(body) == f"{text}\n"


def test_the_footnotes_follow() -> None:
    notes = (
        f'<w:footnotes xmlns:w="{samples.WORD}"><w:footnote w:type="separator"><w:p/></w:footnote>'
        f"<w:footnote>{samples.paragraph('A note.')}</w:footnote></w:footnotes>"
    )
    rels = samples.relations({"r1": ("footnotes", "footnotes.xml")})
    data = samples.docx(
        samples.paragraph("Text."), parts={"word/footnotes.xml": notes, "word/_rels/document.xml.rels": rels}
    )
    assert convert(data, DOCX).text == "Text.\n\nA note.\n"


def test_the_template_of_python_docx_has_no_text() -> None:
    path = Path(docx.__file__).parent / "templates" / "default.docx"
    if not path.is_file():
        pytest.skip("this python-docx keeps it elsewhere")
    assert convert(path.read_bytes(), DOCX).text == ""


# -- PowerPoint --------------------------------------------------------------------------------------------------------


def test_a_presentation_has_a_page_for_each_slide() -> None:
    file = pptx.Presentation()
    first = file.slides.add_slide(file.slide_layouts[1])
    first.shapes.title.text = "Hello"
    first.placeholders[1].text = "a point\nanother\vline"
    first.notes_slide.notes_text_frame.text = "A note."
    hidden = file.slides.add_slide(file.slide_layouts[5])
    hidden.shapes.title.text = "Hidden"
    hidden._element.set("show", "0")
    last = file.slides.add_slide(file.slide_layouts[5])
    last.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "In a box"
    last.shapes.add_group_shape().shapes.add_textbox(0, 0, 9, 9).text_frame.text = "In a group"
    table = last.shapes.add_table(1, 2, 0, 0, 9, 9).table
    table.cell(0, 0).text, table.cell(0, 1).text = "x", "y"
    last.shapes.title.text = "Second"
    found = saved(file, PPTX)
    second = "# Second\n\nIn a box\n\nIn a group\n\n| x | y |\n"
    assert found.text == f"# Hello\n\n- a point\n- another\nline\n\nA note.\n\n{second}"
    assert len(found.pages) == 2
    assert found.text[found.pages[1] :] == second


# -- Excel -------------------------------------------------------------------------------------------------------------


def test_a_workbook() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Prices"
    sheet.append(["name", "price", "on", "share", "new", None])
    sheet.append(["green\ntea", 0.1 + 0.2, datetime.date(2024, 5, 1), 0.256, True])
    sheet["D2"].number_format = "0.0%"
    sheet["A5"] = 3.0
    secret = book.create_sheet("Secret")
    secret.append(["hidden"])
    secret.sheet_state = "hidden"
    book.create_sheet("Empty")
    book.properties.title = "Price list"
    found = saved(book, XLSX)
    assert found.text == (
        "# Prices\n\n| name | price | on | share | new |\n| green tea | 0.3 | 2024-05-01 | 25.6% | TRUE |\n| 3 |\n\n"
        "# Empty\n"
    )
    assert found.title == "Price list"


# -- all ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", [DOCX, PPTX, XLSX])
@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04 cut off", samples.zipped({"a.txt": "x"})])
def test_what_is_no_such_file(media_type: str, data: bytes) -> None:
    with pytest.raises(FormatError, match=r"convert it to \.txt or \.md"):
        convert(data, media_type)


def test_a_file_with_a_password_or_of_an_old_format() -> None:
    with pytest.raises(FormatError, match="password"):
        convert(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", DOCX)
