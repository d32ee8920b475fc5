"""Files -> `Document`s with canonical text.

Canonical text is made once, when the file is read. Of text and Markdown it is what the file says, decoded: the byte
order mark is gone, every line ends in a line feed, and nothing else is changed; `formats` says what it is of the
others. Every offset in the project counts the characters of this text.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .errors import DocumentUnreadable
from .formats import FormatError, convert, kinds, storable
from .formats.blocks import canonical
from .splitting import headings
from .types import Document, Failure

SUFFIXES: Final[Mapping[str, str]] = {
    ".txt": kinds.TEXT,
    ".text": kinds.TEXT,
    ".md": kinds.MARKDOWN,
    ".markdown": kinds.MARKDOWN,
    ".html": kinds.HTML,
    ".htm": kinds.HTML,
    ".pdf": kinds.PDF,
    ".docx": kinds.DOCX,
    ".pptx": kinds.PPTX,
    ".xlsx": kinds.XLSX,
    ".csv": kinds.CSV,
    ".epub": kinds.EPUB,
    ".eml": kinds.EML,
    ".rtf": kinds.RTF,
}
COLLECTION_SUFFIX: Final = ".jsonl"
READERS_VERSION: Final = "1"  # of what the functions here make of a file; with another one every file is read again
_BLOCK = 1 << 20

_TITLE_CHARS = 120
_NO_TITLE = re.compile(r"[-*•>|=`~]|\d+[-.)]\s|.*[.!?…:;,؟۔。！？]['\"”’)]*$|\W+$")


def read_file(path: Path, *, root: str, source: str, max_bytes: int) -> Document:
    """Reads one file of a known suffix, any other as plain text; `sha256` is that of its bytes.

    The parsers of most formats are large and their input may be hostile: `sandbox` calls this in a process of its own.
    Raises `DocumentUnreadable` if the file is gone, may not be read, is larger than `max_bytes`, is not of the format
    that its suffix says, is damaged or protected, or is in an encoding that cannot be told. A file without text is a
    document without text, but for a PDF: its text is in its pictures.
    """
    data = _read_bytes(path, source, max_bytes)
    media_type = SUFFIXES.get(path.suffix.lower(), kinds.TEXT)
    try:
        found = convert(data, media_type)
    except FormatError as error:
        raise DocumentUnreadable(f"{source} {error}") from error
    return Document(
        root=root,
        source=source,
        title=_one_line(found.title) or _title(found.text, media_type) or _readable(source),
        media_type=media_type,
        sha256=hashlib.sha256(data).hexdigest(),
        text=found.text,
        pages=found.pages,
    )


def file_hash(path: Path, source: str, max_bytes: int) -> str:
    """The sha256 that `read_file` would give the document; raises as it does when the file cannot be read."""
    try:
        _checked_size(path, source, max_bytes)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DocumentUnreadable(_os_reason(source, error)) from error


def count_lines(path: Path) -> int:
    """How many lines a collection has, about; 0 when it cannot be read."""
    try:
        _size(path, path.name)
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
    except (OSError, DocumentUnreadable):
        return 0


def read_collection(path: Path, *, root: str, max_bytes: int) -> Iterator[Document | Failure]:
    """The documents of a `.jsonl` file, in its order, read line by line: {"id": "…", "text": "…", "title": "…"}.

    A line that is no such object, repeats an id, or has more than `max_bytes` bytes is a `Failure` whose source is
    "<file name>:<line number>"; the others go on. `source` is the id; `sha256` is that of title and text. What cannot
    be stored (NUL, lone surrogates) becomes U+FFFD. Raises `DocumentUnreadable`, when the first line is asked for, if
    the file is gone, may not be read, or is not UTF-8 from the start.
    """
    seen: set[str] = set()
    for number, line in _read_lines(path, max_bytes):
        where = f"{path.name}:{number}"
        try:
            fields = _parse(line, max_bytes)
            if fields["id"] in seen:
                raise ValueError(f"the id '{_one_line(fields['id'])}' was used before; give every line its own id")
        except ValueError as error:
            yield Failure(where, str(error))
            continue
        seen.add(fields["id"])
        yield _collected(root, fields)


def _read_bytes(path: Path, source: str, max_bytes: int) -> bytes:
    try:
        size = _checked_size(path, source, max_bytes)
        with path.open("rb") as file:
            data = file.read(size + 1)
    except OSError as error:
        raise DocumentUnreadable(_os_reason(source, error)) from error
    if len(data) > size:
        raise DocumentUnreadable(f"{source} grew while it was read; try again when it is complete")
    return data


def _checked_size(path: Path, source: str, max_bytes: int) -> int:
    size = _size(path, source)
    if size > max_bytes:
        raise DocumentUnreadable(_too_large(source, size, max_bytes))
    return size


def _size(path: Path, name: str) -> int:
    """Bytes of a regular file; reading a pipe or a device could wait for ever."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DocumentUnreadable(f"{name} is not a regular file; name a text file")
    return status.st_size


def _too_large(name: str, size: int, max_bytes: int) -> str:
    allowed = f"{max_bytes / 1e6:g} MB allowed"
    return f"{name} has {size / 1e6:,.1f} MB, more than the {allowed}; raise file_megabytes or split the file"


def _os_reason(name: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{name} does not exist (any more); check the name and try again"
    if isinstance(error, PermissionError):
        return f"{name} may not be read; give yourself permission to read it"
    return f"{name} cannot be read: {error.strerror or error}; check the file and try again"


def _title(text: str, media_type: str) -> str:
    """The first heading or the first line, where it looks like a title, or ""."""
    heading = next(iter(headings(text).values()), "") if media_type in kinds.HEADED else ""
    return _one_line(heading) or _first_line(text)


def _first_line(text: str) -> str:
    """The first line with text, if it stands alone and looks like a title, or ""."""
    start = len(text) - len(text.lstrip())
    line, _, rest = text[start : start + 2 * _TITLE_CHARS].partition("\n")
    line = line.strip()
    alone = rest.partition("\n")[0].strip() == "" and "\n" in rest
    bare = " ".join(line.lstrip("# \t").splitlines())  # a form feed or U+2028 would make two lines of it
    return bare if alone and len(line) <= _TITLE_CHARS and bare and not _NO_TITLE.match(bare) else ""


def _one_line(text: str) -> str:
    return _short(" ".join(storable(text).split()))


def _short(text: str) -> str:
    return text if len(text) <= _TITLE_CHARS else text[: _TITLE_CHARS - 1] + "…"


def _readable(source: str) -> str:
    return _one_line(re.sub(r"[-_]+", " ", Path(source).stem)) or _one_line(source)


def _read_lines(path: Path, max_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Number (from 1) and bytes of each line that is not blank; of a line that is too long, one byte too many."""
    try:
        _size(path, path.name)
        with path.open("rb") as file:
            number = 0
            while line := file.readline(max_bytes + 1):
                number += 1
                rest = line
                while len(rest) > max_bytes and not rest.endswith(b"\n"):
                    rest = file.readline(max_bytes + 1)
                if number == 1:
                    line = _first_of_utf8(line, path.name)
                if line.strip():
                    yield number, line
    except OSError as error:
        raise DocumentUnreadable(_os_reason(path.name, error)) from error


def _first_of_utf8(line: bytes, name: str) -> bytes:
    """The first line without a byte order mark; it may end in the middle of a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(line)
        if b"\0" not in line:
            return line.removeprefix(codecs.BOM_UTF8)
    except UnicodeDecodeError:
        pass
    raise DocumentUnreadable(f"{name} is not UTF-8 text; save it as UTF-8, not compressed, and try again")


def _parse(line: bytes, max_bytes: int) -> dict[str, str]:
    """Id, text and title of a line. Raises `ValueError` with the reason."""
    if len(line) > max_bytes:
        raise ValueError(f"the line has more than {max_bytes / 1e6:g} MB; raise file_megabytes or split the text")
    try:
        value: Any = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise ValueError("the line is not UTF-8; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("the line is not JSON; write one JSON object a line") from error
    if not isinstance(value, dict):
        raise ValueError('the line is not a JSON object; write {"id": "…", "text": "…"}')
    if not isinstance(value.get("id"), str) or not value["id"].strip():
        raise ValueError('the line has no "id" that is a string; give every line its own id')
    if not isinstance(value.get("text"), str):
        raise ValueError('the line has no "text" that is a string; put the document\'s text there')
    title = value.get("title")
    fields = {"id": value["id"], "text": value["text"], "title": title if isinstance(title, str) else ""}
    return {name: storable(field) for name, field in fields.items()}


def _collected(root: str, fields: Mapping[str, str]) -> Document:
    text = canonical(fields["text"])
    content = f"{fields['title']}\0{fields['text']}"
    return Document(
        root=root,
        source=fields["id"],
        title=_one_line(fields["title"]) or _first_line(text) or _one_line(fields["id"]),
        media_type=kinds.TEXT,
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        text=text,
    )
