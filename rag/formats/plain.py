"""Text as it is: the bytes decoded, line ends normalised, and nothing else changed."""

from __future__ import annotations

import codecs
import re

from charset_normalizer import from_bytes

from .blocks import Converted
from .errors import FormatError

_SIGNATURES = {
    b"%PDF": "PDF",
    b"PK\x03\x04": "ZIP or Office",
    b"PK\x05\x06": "ZIP",
    b"\x7fELF": "program",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"\xff\xd8\xff": "JPEG",
    b"\x1f\x8b": "gzip",
    b"7z\xbc\xaf": "7z",
    b"Rar!\x1a": "RAR",
    b"\xd0\xcf\x11\xe0": "Office",
    b"{\\rtf": "RTF",
}
_MARKS = (  # UTF-32 first: its mark starts like that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Encodings that old files really have; among all that exist, the guess for a short text is often an exotic one.
_LEGACY = [*(f"cp{page}" for page in (*range(1250, 1258), 874, 932, 949)), "iso8859_2", "koi8_r"]
_LEGACY += ["euc_jp", "gb18030", "big5"]
# What files name and what they mean: as browsers read it.
_MEANT = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932"}
_MEANT |= {"euc_kr": "cp949", "iso8859-9": "cp1254", "utf-16": "utf-8"}
_POOR_GUESS = 0.1  # charset-normalizer's `chaos`, 0 (clean) to 1
# What Western European text has beyond ASCII. Icelandic is left out: its letters are how misread Turkish looks.
_WESTERN = frozenset(
    "àâäáãåæçèéêëìíîïñòóôöõøœùúûüÿßÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÖÕØŒÙÚÛÜ“”‘’„‚–—…•€£¥§©®™°«»¿¡·½¼¾¹²³ªº†‡´×\xa0\xad"
)
_FOREIGN_SHARE = 0.25  # accented letters among all letters; Cyrillic read as Western has nearly 1
_CONTROLS = "".join(map(chr, (*range(1, 9), *range(14, 27), *range(28, 32), *range(127, 160))))
_CONTROL_SHARE, _SAMPLE = 0.05, 65_536


def convert(data: bytes) -> Converted:
    """The decoded text."""
    return Converted(decode(data))


def decode(data: bytes, declared: str | None = None) -> str:
    """Canonical text. A byte order mark decides, then what the file has `declared`, if it fits, then what is likely.

    Raises `FormatError` if the bytes look binary or their encoding cannot be told.
    """
    kind = next((kind for mark, kind in _SIGNATURES.items() if data.startswith(mark)), None)
    codec = next((codec for mark, codec in _MARKS if data.startswith(mark)), None)
    if kind or (codec is None and b"\0" in data):
        raise _binary(kind)
    text = _declared(data, declared) if declared and codec is None else None
    try:
        text = data.decode(codec or "utf-8") if text is None else text
    except UnicodeDecodeError as error:
        guess = None if codec else _guess(data)
        if guess is None:
            raise FormatError("is in an encoding that cannot be told; save it as UTF-8 and try again") from error
        text = guess
    sample = text[:_SAMPLE]
    if "\0" in text or sum(map(sample.count, _CONTROLS)) > _CONTROL_SHARE * len(sample):
        raise _binary(None)
    return canonical(text)


def canonical(text: str) -> str:
    """Without a byte order mark, and every line ends in a line feed."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _binary(kind: str | None) -> FormatError:
    renamed = "give it the suffix of its format, or " if kind else ""
    return FormatError(
        f"looks binary{f' ({kind})' if kind else ''}, not text; {renamed}convert it to .txt or .md and try again"
    )


def _declared(data: bytes, declared: str) -> str | None:
    try:
        codec = codecs.lookup(declared.strip()).name
        return data.decode(_MEANT.get(codec, codec))
    except (LookupError, ValueError):  # no such encoding, or not this one
        return None


def _guess(data: bytes) -> str | None:
    """The text in the likeliest old encoding, or None if nothing is likely."""
    try:
        western = data.decode("cp1252")
    except UnicodeDecodeError:
        western = ""
    if western and _is_western(western):
        return western
    best = from_bytes(data, cp_isolation=_LEGACY).best()
    return None if best is None or best.chaos > _POOR_GUESS else str(best)


def _is_western(text: str) -> bool:
    counts = {char: text.count(char) for char in set(text)}
    letters = sum(count for char, count in counts.items() if char.isalpha())
    accented = sum(count for char, count in counts.items() if char.isalpha() and not char.isascii())
    return (
        all(char.isascii() or char in _WESTERN for char in counts)
        and accented <= _FOREIGN_SHARE * letters
        and not re.search(r"[¹²³][^\W\d]", text)  # misread Polish
    )
