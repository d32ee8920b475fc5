"""Whether bytes are a FAISS file as `nearest` writes them: FAISS believes what a file says of its own sizes.

A header that promises more than there is costs memory, a list that is shorter than it says is read beyond its end. So a
file is given to FAISS only when every size in it is the one that its length allows; whatever else is made again.
"""

from __future__ import annotations

import math
import struct

import numpy as np

CELLS_PER_PROBE = 8
_INNER_PRODUCT = 0
_DUMMY = 1 << 20  # what FAISS writes where a field was once


def is_ours(data: bytes, dimension: int) -> bool:
    """Whether `data` is an index of vectors of this dimension: exact with ids, or in cells with a byte a component."""
    try:
        if data[:4] == b"IxMp":
            return _is_exact(data, dimension)
        return data[:4] == b"IwSq" and _is_in_cells(data, dimension)
    except struct.error:  # it ends too early
        return False


def _is_exact(data: bytes, dimension: int) -> bool:
    n = _count(data)
    front = _header(b"IxMp", dimension, n) + _flat_header(dimension, n)
    ids = len(front) + 4 * dimension * n
    return data.startswith(front) and len(data) == ids + 8 + 8 * n and struct.unpack_from("<Q", data, ids) == (n,)


def _is_in_cells(data: bytes, dimension: int) -> bool:
    n = _count(data)
    (cells,) = struct.unpack_from("<Q", data, len(_header(b"IwSq", 0, 0)))
    if not 0 < cells <= n < len(data):
        return False
    front = (
        _header(b"IwSq", dimension, n)
        + struct.pack("<QQ", cells, math.ceil(cells / CELLS_PER_PROBE))
        + _flat_header(dimension, cells)
    )
    at = len(front) + 4 * dimension * cells
    # No direct map; eight bits from range to range, of which there are two numbers a component; inner lists by cell.
    middle = struct.pack("<BQiifQQQ", 0, 0, 0, 0, 0.0, dimension, dimension, 2 * dimension)
    after = at + len(middle) + 8 * dimension
    lists = struct.pack("<QB4sQQ", dimension, 1, b"ilar", cells, dimension)
    if not (data.startswith(front) and data.startswith(middle, at) and data.startswith(lists, after)):
        return False
    end = _sizes_end(data, after + len(lists), cells, n)
    return end is not None and end + n * (dimension + 8) == len(data)


def _sizes_end(data: bytes, at: int, cells: int, n: int) -> int | None:
    """Where the sizes of the lists end; None when they are not those of `n` vectors in `cells` cells."""
    kind, length = struct.unpack_from("<4sQ", data, at)
    end = at + 12 + 8 * length
    if end > len(data):
        return None
    numbers = np.frombuffer(data, "<u8", length, at + 12)
    if kind == b"sprs":  # pairs of cell and size, where most are empty
        numbers, places = numbers[1::2], numbers[::2]
        if length % 2 or (places >= cells).any() or len(set(places.tolist())) < len(places):
            return None
    elif kind != b"full" or length != cells:
        return None
    return end if sum(numbers.tolist()) == n else None


def _count(data: bytes) -> int:
    n: int = struct.unpack_from("<q", data, 8)[0]
    if not 0 <= n <= len(data):
        raise struct.error
    return n


def _header(kind: bytes, dimension: int, n: int) -> bytes:
    return struct.pack("<4siqqqBi", kind, dimension, n, _DUMMY, _DUMMY, 1, _INNER_PRODUCT)


def _flat_header(dimension: int, n: int) -> bytes:
    return _header(b"IxFI", dimension, n) + struct.pack("<Q", dimension * n)
