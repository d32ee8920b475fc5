"""PDF becomes its pages' text, and every offset knows its page."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import format_samples as samples
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter

from rag.formats import FormatError, convert
from rag.formats.kinds import PDF
from rag.splitting import chunks

SYSTEM = [
    ("/usr/share/doc/libtasn1-doc/libtasn1.pdf", 36),
    ("/usr/share/doc/shared-mime-info/shared-mime-info-spec.pdf", 17),
]


def test_pages_start_where_the_map_says() -> None:
    found = convert(samples.pdf(["First page.", "", "It goes on", "over the page."], title="My report"), PDF)
    assert found.text == "First page.\n\nIt goes on\nover the page.\n"
    assert found.pages == (0, 11, 13, 24)
    assert found.title == "My report"


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(["", "One sentence.", "no end", "Two. Sentences here."]), min_size=1, max_size=8))
def test_every_page_begins_where_the_map_says(pages: list[str]) -> None:
    if not any(pages):
        return
    found = convert(samples.pdf(pages), PDF)
    assert len(found.pages) == len(pages)
    assert list(found.pages) == sorted(found.pages)
    for text, start in zip(pages, found.pages, strict=True):
        assert found.text.startswith(text, start)
    for chunk in chunks(found.text, PDF, 20, found.pages):
        assert chunk.page is not None
        assert pages[chunk.page - 1].startswith(found.text[chunk.start : chunk.end].partition("\n")[0])


def test_the_title_that_a_program_made_up_is_none() -> None:
    assert convert(samples.pdf(["Text."], title="Microsoft Word - report.doc"), PDF).title == ""


@pytest.mark.parametrize(("path", "pages"), SYSTEM)
def test_files_that_others_wrote(path: str, pages: int) -> None:
    if not Path(path).is_file():
        pytest.skip("this system has no such file")
    data = Path(path).read_bytes()
    found = convert(data, PDF)
    assert len(found.pages) == pages
    reader = PdfReader(io.BytesIO(data))
    for number, (start, end) in enumerate(pairwise([*found.pages, len(found.text)])):
        assert found.text[start:end].strip() == reader.pages[number].extract_text().strip()
    assert found == convert(data, PDF)


def reason(data: bytes) -> str:
    with pytest.raises(FormatError) as caught:
        convert(data, PDF)
    return str(caught.value)


def test_a_scan_has_no_text_layer() -> None:
    assert "run OCR (for instance 'ocrmypdf')" in reason(samples.pdf(["", ""]))


def test_an_encrypted_file() -> None:
    assert "is encrypted; save a copy without a password" in reason(samples.pdf(["Secret."], password="secret"))


def test_a_file_that_is_only_protected_against_changes() -> None:
    assert convert(samples.pdf(["Public."], password=""), PDF).text == "Public.\n"


def broken() -> Iterator[bytes]:
    whole = samples.pdf(["A page of text."] * 3)
    yield b"%PDF-1.4\n"
    yield b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>"
    yield whole[: len(whole) // 3]


@pytest.mark.parametrize("data", list(broken()))
def test_a_damaged_file(data: bytes) -> None:
    assert "is damaged" in reason(data)


def test_a_file_of_another_kind() -> None:
    assert "is no PDF file" in reason(b"<html>Not found</html>")


def test_a_file_that_pypdf_wrote() -> None:
    writer = PdfWriter(clone_from=io.BytesIO(samples.pdf(["One.", "Two."])))
    writer.add_blank_page()
    file = io.BytesIO()
    writer.write(file)
    found = convert(file.getvalue(), PDF)
    assert (found.text, found.pages) == ("One.\n\nTwo.\n", (0, 6, 10))
