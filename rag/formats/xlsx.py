"""Excel → text: each visible sheet under its name, its rows as a table of the values last calculated."""

from __future__ import annotations

import datetime
import io
import re
import warnings
from collections.abc import Iterator
from typing import Any

from openpyxl import load_workbook

from .archive import Archive
from .blocks import Block, Converted, heading, joined, own_title, row

_PERCENT = re.compile(r"0(?:\.(0+))?%")


def convert(data: bytes) -> Converted:
    """Numbers have the digits that Excel keeps (15); dates are written as in 2024-05-01."""
    archive = Archive(data)
    archive.check()
    with warnings.catch_warnings(action="ignore"):  # about what it does not support: drawings, validation
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        blocks = [block for sheet in book.worksheets if sheet.sheet_state == "visible" for block in _blocks(sheet)]
    return Converted(joined(blocks), own_title(archive.title()))


def _blocks(sheet: Any) -> Iterator[Block]:
    sheet.reset_dimensions()  # what the file says of its size may be wrong
    yield heading(1, sheet.title)
    for cells in sheet.iter_rows():
        words = [_shown(cell) for cell in cells]
        while words and not words[-1]:
            words.pop()
        if words:
            yield row(words)


def _shown(cell: Any) -> str:
    """A cell's value as text, without the formats that only decorate it."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        percent = _PERCENT.fullmatch(cell.number_format or "")
        return f"{value:.{len(percent[1] or '')}%}" if percent else f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(" ", "seconds")
    return str(value)
