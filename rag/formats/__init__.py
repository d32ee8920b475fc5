"""The bytes of a file → plain canonical text; one module per format, loaded when a file of it comes.

What has no plain text of its own becomes text with Markdown marks: headings "# …", list items "- …" or "1. …", table
rows "| a | b |". There is no emphasis, no link target, and nothing that the file marks as hidden or as navigation.
Everything else stays as the file has it, right-to-left override characters (U+202E) included: a quote is exact.
Nothing here depends on the time, the place or the file's name.
"""

from __future__ import annotations

import re

from .blocks import Converted
from .errors import FormatError
from .kinds import CSV, DOCX, EML, EPUB, HTML, PDF, PPTX, RTF, XLSX, name_of

__all__ = ["Converted", "FormatError", "convert"]

_UNSTORABLE = re.compile("[\ud800-\udfff\0]")  # SQLite takes neither lone surrogates nor NUL
_DAMAGED = "; open and save it again where it came from, or convert it to .txt or .md and try again"


def convert(data: bytes, media_type: str) -> Converted:
    """The text of a file of this type; what cannot be stored (NUL, lone surrogates) is U+FFFD in it.

    Raises `FormatError` if the file is damaged, protected, of another format, or has pages without text; `MemoryError`
    if it is too much for this process.
    """
    try:
        found = _convert(data, media_type)
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # the border: a damaged file may raise whatever its parser's author did not think of
        raise FormatError(f"is damaged or is no {name_of(media_type)} file{_DAMAGED}") from error
    return Converted(storable(found.text), storable(found.title), found.pages)


def storable(text: str) -> str:
    """The text with U+FFFD for NUL and lone surrogates: as long as before."""
    return _UNSTORABLE.sub("\ufffd", text)


def _convert(data: bytes, media_type: str) -> Converted:
    match media_type:  # imported here, so that a folder of one format does not load the parsers of all
        case t if t == PDF:
            from .pdf import convert
        case t if t == HTML:
            from .html import convert
        case t if t == DOCX:
            from .docx import convert
        case t if t == PPTX:
            from .pptx import convert
        case t if t == XLSX:
            from .xlsx import convert
        case t if t == EPUB:
            from .epub import convert
        case t if t == CSV:
            from .csv import convert
        case t if t == EML:
            from .eml import convert
        case t if t == RTF:
            from .rtf import convert
        case _:
            from .plain import convert
    return convert(data)
