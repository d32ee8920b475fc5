"""CSV → text: each record a table row."""

from __future__ import annotations

import csv

from .blocks import Converted, joined, row
from .plain import decode

_DELIMITERS = ",;\t|"
_LONGEST_CELL = 1_000_000_000  # the file's size is limited already


def convert(data: bytes) -> Converted:
    """The delimiter is the one that the first line has most of."""
    text = decode(data)
    first = next((line for line in text.split("\n") if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first.count)
    csv.field_size_limit(_LONGEST_CELL)
    return Converted(joined(row(cells) for cells in csv.reader(text.splitlines(keepends=True), delimiter=delimiter)))
