"""Files of all formats, small and hostile, made as bytes."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from functools import cache

from fpdf import FPDF

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
BILLION_LAUGHS = '<!DOCTYPE x [<!ENTITY a0 "ha">{}]>'.format(
    "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
)


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    """A ZIP file of these parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def docx(body: str, *, doctype: str = "", parts: Mapping[str, str | bytes] | None = None) -> bytes:
    """A Word file whose body is this XML (`w:` is bound), with more parts."""
    main = f'{doctype}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return zipped({"word/document.xml": main, **(parts or {})})


def paragraph(text: str) -> str:
    """A paragraph of a Word file."""
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def epub(*chapters: str | bytes, title: str = "", doctype: str = "", extra: Mapping[str, str] | None = None) -> bytes:
    """An EPUB file of these pages."""
    items = "".join(
        f'<item id="c{n}" href="c%20{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    package = (
        f'{doctype}<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
        f"<dc:title>{title}</dc:title></metadata><manifest>{items}"
        '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/></manifest>'
        f'<spine><itemref idref="nav"/>{spine}</spine></package>'
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="book/content.opf"/></rootfiles></container>'
    )
    pages = {f"book/c {n}.xhtml": chapter for n, chapter in enumerate(chapters)}
    nav = {"book/nav.xhtml": "<html><body><ol><li>Contents</li></ol></body></html>"}
    return zipped({"META-INF/container.xml": container, "book/content.opf": package, **nav, **pages, **(extra or {})})


def xlsx(sheet: str | bytes, parts: Mapping[str, str | bytes] | None = None) -> bytes:
    """An Excel file with one sheet of this XML."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    return zipped(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
            f'<Override PartName="/xl/s.xml" ContentType="{kind}.worksheet+xml"/></Types>',
            "_rels/.rels": relations({"r1": ("officeDocument", "xl/workbook.xml")}),
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{OFFICE_RELATIONS}"><sheets>'
            '<sheet name="Sheet" sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations({"r1": ("worksheet", "s.xml")}),
            "xl/s.xml": sheet,
            **(parts or {}),
        }
    )


def relations(targets: Mapping[str, tuple[str, str]]) -> str:
    """The part of an Office file that says what an id leads to."""
    entries = "".join(
        f'<Relationship Id="{id}" Type="{OFFICE_RELATIONS}/{kind}" Target="{target}"/>'
        for id, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{PACKAGE_RELATIONS}">{entries}</Relationships>'


def pdf(pages: Sequence[str], *, title: str = "", password: str | None = None) -> bytes:
    """A PDF file with these texts, one a page, their lines wrapped."""
    file = FPDF()
    if title:
        file.set_title(title)
    if password is not None:
        file.set_encryption(owner_password="owner", user_password=password)
    file.set_font("Helvetica", size=12)
    for text in pages:
        file.add_page()
        file.multi_cell(0, text=text, align="L")
    return bytes(file.output())


def pdf_with_content(content: bytes) -> bytes:
    """A PDF file of one page with these drawing instructions, compressed."""
    stream = zlib.compress(content, 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    file = b"%PDF-1.4\n"
    starts = []
    for number, each in enumerate(objects, start=1):
        starts.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    end = b"trailer<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(file))
    return file + b"xref\n0 %d\n0000000000 65535 f \n%s%s" % (len(objects) + 1, table, end)


@cache
def slow_pdf() -> bytes:
    """A small PDF file that takes its reader several seconds."""
    return pdf_with_content(b"BT /F1 12 Tf " + b"(a) Tj 1 0 0 1 0 0 Tm " * 2_000_000 + b"ET")
