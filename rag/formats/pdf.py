"""PDF → text, page by page, in the order in which the file has it."""

from __future__ import annotations

import io
import logging

from pypdf import PasswordType, PdfReader
from pypdf.errors import DependencyError, LimitReachedError

from .blocks import Converted, own_title
from .errors import FormatError

_SIGNATURE, _HEAD_BYTES = b"%PDF-", 1024  # some files have a few bytes in front
_SENTENCE_ENDS = ".!?…:;؟۔。！？"

logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells of every small fault that it has mended


def convert(data: bytes) -> Converted:
    """Text and page map; the line breaks are those of the page."""
    if _SIGNATURE not in data[:_HEAD_BYTES]:
        raise FormatError("is no PDF file; give it the suffix of its format, or convert it to .txt or .md")
    try:
        return _read(PdfReader(io.BytesIO(data)))
    except LimitReachedError as error:
        raise FormatError(
            "has a page that unpacks to more than can be read; print it to a new PDF, or convert it to .txt or .md"
        ) from error


def _read(reader: PdfReader) -> Converted:
    if reader.is_encrypted:
        _unlock(reader)
    pages = [page.extract_text().strip() for page in reader.pages]
    if not any(pages):
        raise FormatError(
            "has no text layer: its pages are pictures; run OCR (for instance 'ocrmypdf') over it first and try again"
        )
    metadata = reader.metadata
    text, starts = _joined(pages)
    return Converted(text, own_title(metadata.title if metadata else None), starts)


def _unlock(reader: PdfReader) -> None:
    """Many files are encrypted so that they cannot be changed, and open without a password."""
    try:
        opened = reader.decrypt("") != PasswordType.NOT_DECRYPTED
    except (DependencyError, NotImplementedError):
        opened = False
    if not opened:
        raise FormatError("is encrypted; save a copy without a password (for instance 'qpdf --decrypt') and try again")


def _joined(pages: list[str]) -> tuple[str, tuple[int, ...]]:
    """A sentence may go on over the page's end, so only a page that ends with one is followed by a blank line."""
    parts: list[str] = []
    starts: list[int] = []
    at = 0
    for page in pages:
        if parts and page:
            parts.append("\n\n" if parts[-1][-1] in _SENTENCE_ENDS else "\n")
            at += len(parts[-1])
        starts.append(at)
        if page:
            parts.append(page)
            at += len(page)
    return "".join([*parts, "\n"]), tuple(starts)
