"""The media types that can be read."""

from __future__ import annotations

from typing import Final

TEXT: Final = "text/plain"
MARKDOWN: Final = "text/markdown"
HTML: Final = "text/html"
CSV: Final = "text/csv"
PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
EPUB: Final = "application/epub+zip"
EML: Final = "message/rfc822"
RTF: Final = "application/rtf"

# Whose text has Markdown headings: nowhere else does a line that opens with "#" or stands over dashes mean one.
HEADED: Final = frozenset({MARKDOWN, HTML, DOCX, PPTX, XLSX, EPUB})

_NAMES = {PDF: "PDF", DOCX: "Word (.docx)", PPTX: "PowerPoint (.pptx)", XLSX: "Excel (.xlsx)", EPUB: "EPUB"}
_NAMES |= {HTML: "HTML", CSV: "CSV", EML: "mail (.eml)", RTF: "RTF"}


def name_of(media_type: str) -> str:
    """What people call the format: "PDF"."""
    return _NAMES.get(media_type, "text")
