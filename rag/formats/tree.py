"""Markup → tree, by libxml2."""

from __future__ import annotations

from typing import Any

from lxml import etree


def tree(data: bytes, parser: Any) -> Any:
    """The root element, or None if there is none. Raises `MemoryError` when there is not enough for all of it."""
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        if error.code == etree.ErrorTypes.ERR_NO_MEMORY:
            raise MemoryError from error
        raise
