"""The parts of a ZIP file, which is what Office and EPUB files are, and the XML in them."""

from __future__ import annotations

import io
import posixpath
import zipfile
from typing import Any
from urllib.parse import unquote

from lxml import etree

from .errors import FormatError
from .tree import tree

_UNPACKED_BYTES = 250_000_000  # of all parts that are read; a bomb has more, a thick book has some 10 MB
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


class Archive:
    """Parts by name, read one at a time. Raises `FormatError` when they unpack to too much, or are protected."""

    def __init__(self, data: bytes) -> None:
        if data.startswith(_OLD_OFFICE):
            raise FormatError(
                "is protected with a password, or of an old Office format; save it without a password as .docx, .pptx "
                "or .xlsx and try again"
            )
        self._zip = zipfile.ZipFile(io.BytesIO(data))
        self._left = _UNPACKED_BYTES

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def read(self, name: str) -> bytes:
        """One part. Raises `KeyError` if there is none of this name."""
        info = self._zip.getinfo(name)
        self._take(info)
        return self._zip.read(info)

    def check(self) -> None:
        """Counts all parts as read, for a library that will read them itself."""
        for info in self._zip.infolist():
            self._take(info)

    def xml(self, name: str) -> Any:
        """The root element of a part."""
        return tree(self.read(name), _parser())

    def optional_xml(self, name: str) -> Any:
        """The root element of a part, or None if there is no such part."""
        return self.xml(name) if name in self else None

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """Id -> (last word of its type, part) of the parts that an Office part refers to."""
        folder, file = posixpath.split(name)
        root = self.optional_xml(f"{folder}/_rels/{file}.rels")
        found = {}
        for each in [] if root is None else root:
            target = each.get("Target", "")
            if each.get("TargetMode") != "External" and target:
                found[each.get("Id")] = (each.get("Type", "").rpartition("/")[2], part_name(folder, target))
        return found

    def title(self) -> str:
        """What an Office file says its title is."""
        core = self.optional_xml("docProps/core.xml")
        return "" if core is None else core.findtext("{http://purl.org/dc/elements/1.1/}title") or ""

    def _take(self, info: zipfile.ZipInfo) -> None:
        if info.flag_bits & 1:
            raise FormatError("is protected with a password; save it without one and try again")
        self._left -= info.file_size  # zipfile unpacks no more than this
        if self._left < 0:
            raise FormatError(
                f"unpacks to more than {_UNPACKED_BYTES / 1e6:g} MB; split it, or convert it to .txt or .md"
            )


def part_name(folder: str, target: str) -> str:
    """The part that a reference in a part of `folder` leads to."""
    return posixpath.normpath(posixpath.join("/", folder, unquote(target.partition("#")[0]))).lstrip("/")


def relation(element: Any) -> str | None:
    """The id by which an element refers to another part."""
    value = element.get(_RELATION)
    return None if value is None else str(value)


def _parser() -> etree.XMLParser:
    """Expands no entities and fetches nothing; libxml2's own limits hold."""
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, huge_tree=False
    )
