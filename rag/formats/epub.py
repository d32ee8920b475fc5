"""EPUB → text: the chapters in reading order."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any, Final

from . import html
from .archive import Archive, part_name
from .blocks import Converted, own_title
from .errors import FormatError

_OPF: Final = "{http://www.idpf.org/2007/opf}"
_CONTAINER: Final = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_METHOD: Final = "{http://www.w3.org/2001/04/xmlenc#}EncryptionMethod"
_TITLE: Final = "{http://purl.org/dc/elements/1.1/}title"
_FONTS_ONLY = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_PAGES = ("application/xhtml+xml", "text/html")


def convert(data: bytes) -> Converted:
    """The tables of contents and what is out of the reading order are left out."""
    archive = Archive(data)
    if "META-INF/container.xml" not in archive:
        raise FormatError("is no EPUB file; give it the suffix of its format, or convert it to .txt or .md")
    _refuse_protected(archive.optional_xml("META-INF/encryption.xml"))
    package = archive.xml("META-INF/container.xml").find(f".//{_CONTAINER}rootfile").get("full-path")
    root = archive.xml(package)
    chapters = [html.convert(archive.read(part)).text for part in _spine(root, posixpath.dirname(package))]
    return Converted("\n".join(filter(None, chapters)), own_title(root.findtext(f"{_OPF}metadata/{_TITLE}")))


def _spine(root: Any, folder: str) -> Iterator[str]:
    manifest = {entry.get("id"): entry for entry in root.iterfind(f"{_OPF}manifest/{_OPF}item")}
    for reference in root.iterfind(f"{_OPF}spine/{_OPF}itemref"):
        entry = manifest.get(reference.get("idref"))
        if entry is None or reference.get("linear") == "no" or entry.get("media-type") not in _PAGES:
            continue
        if "nav" not in entry.get("properties", "").split():
            yield part_name(folder, entry.get("href", ""))


def _refuse_protected(encryption: Any) -> None:
    if encryption is not None and any(e.get("Algorithm") not in _FONTS_ONLY for e in encryption.iter(_METHOD)):
        raise FormatError("is protected against copying (DRM); only a copy without it can be read")
