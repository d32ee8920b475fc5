"""Uploads and paths: hostile names through every way in, links and pipes, bombs, wrong types, and what is left over."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import format_samples as samples
import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from test_uploads import HOSTILE

from rag.assistant import Assistant
from rag.errors import RagError
from rag.settings import Settings
from rag.types import IngestReport
from rag.uploads import MAX_BYTES, ROOT
from rag.web import serve
from rag.web.arrivals import KEPT_SECONDS, Arrivals, arrivals

from .canary import SECRET, Canary, Watch, listing
from .table import Row

HERE = Path(__file__).parents[1]
TEXT = "The owl of the tower is called Brunhilde.\n"
NEXT = "The heron of the pond is called Edda."
# Beside those of the tests: more devices, encodings, and names that mean something to the index or to a shell.
NAMES = [
    *HOSTILE, "/dev/stdin.txt", "/proc/self/environ", "file:///etc/passwd.txt", "\\\\?\\C:\\x.txt", "AUX.csv",
    "a\r.txt",
    "..%5c..%5cx.txt", "....//....//x.txt", ".new-0000000000000000-x.txt", ".removed-0000000000000000-x.txt", "*.txt",
    "uploads/../../../outside/secret.txt", "vectors-1.faiss", "feedback.db", "a" * 250 + ".txt", "\ufeffx.txt",
    "x.txt/",
]  # fmt: skip


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    logging.disable()  # of what is told in the reports as well
    place = Place(base)
    rows = [Row(f"files: names, {way}") for way in ("upload", "page", "REST", "MCP")]
    with place.opened() as assistant, serve(assistant, port=0, mcp=True) as server:
        ways = (_uploads(assistant), _page(server.address), _rest(server.address))
        names = NAMES[:: 4 if few else 1]
        for row, send in zip(rows, ways, strict=False):
            for name in names:
                row.check(repr(name), *place.sent(assistant, name, send), lost=place.lost())
        for name, told in zip(names, asyncio.run(_mcp(server.address, names)), strict=True):
            rows[3].check(repr(name), *_plain(told), lost=place.lost())
        rows += [place.orphans(assistant, server.address)]
    every: list[tuple[str, dict[str, Callable[[Path, Path], object]]]] = [
        ("names in archives and collections", INSIDE),
        ("links, pipes, devices", LINKS),
        ("wrong types", WRONG),
        ("bombs", BOMBS),
    ]
    for what, tries in every:
        row = Row(f"files: {what}")
        steps = {"links, pipes, devices": 3, "bombs": 6}.get(what, 20) if few else 1
        for name, make in itertools.islice(tries.items(), 0, None, steps):
            row.check(name, *place.ingested(make), lost=place.lost())
        rows.append(row)
    return [*rows, _killed(base / "killed")]


class Place:
    """A folder of documents and its index, and a folder outside, of which nothing may be read, changed or quoted."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.docs = base / "docs"
        self.docs.mkdir(parents=True)
        (self.docs / "a.txt").write_text("The first of all files is Alpha.\n", encoding="utf-8")
        self.canary = Canary(base / "outside")
        others = base / "matplotlib", Path(tempfile.gettempdir(), "gradio")  # what Gradio loads makes these
        os.environ["MPLCONFIGDIR"] = str(others[0])
        import_module("matplotlib.font_manager")  # asks a program for the fonts, once
        ours = base / "index", self.docs, Path(os.devnull), arrivals().folder
        self.watch = Watch([self.canary.folder], [*ours, *others])
        self._shown: list[str] = []

    @contextmanager
    def opened(self) -> Iterator[Assistant]:
        settings = Settings(
            documents=self.docs, index_dir=self.base / "index", llm="none", refuse_below=0, read_seconds=20
        )
        with self.watch, Assistant.open(settings) as assistant:
            yield assistant

    def sent(self, assistant: Assistant, name: str, send: Callable[[str], str]) -> list[str]:
        """What was wrong after a file of this name was sent."""
        with self.watch:
            said = send(name)
        kept = {file.name for file in (self.base / "index" / "uploads").iterdir()} - {".ragignore"}
        known = {document.source for document in assistant.documents() if document.root == ROOT}
        return [*_plain(said), *([f"files without document: {kept ^ known}"] if kept != known else [])]

    def lost(self) -> list[str]:
        """What was read, written or quoted that is not in the folder."""
        shown, self._shown = self._shown, []
        quoted = ["the secret was quoted"] if any("Theodora" in each for each in shown) else []
        heard = [*dict.fromkeys(self.watch.heard)]
        self.watch.heard.clear()
        return [*heard, *self.canary.problems(), *quoted]

    def ingested(self, make: Callable[[Path, Path], object]) -> list[str]:
        """What was wrong after something was put into the folder; the file that comes behind it is read."""
        before = listing(self.base)
        with suppress(PermissionError):  # no device can be made by who may not
            make(self.docs, self.canary.folder)
        (self.docs / "z.txt").write_text(f"{NEXT}\n", encoding="utf-8")
        problems = []
        try:
            with self.opened() as assistant:
                if not any(NEXT in hit.passage.text for hit in assistant.search("heron of the pond", 3)):
                    problems.append("the next file is not read")
                reasons = [failure.reason for failure in assistant.failed]
                problems += [why for reason in reasons for why in _plain(reason)]
                self._shown += [assistant.document(document.id).text for document in assistant.documents()]
                self._shown += [str(assistant.ask("Where does the canary sleep?").to_dict()), *reasons]
        except RagError as error:
            problems.append(f"the ingest ended: {error}")
        for path in sorted(self.docs.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
                path.rmdir()
            elif path.name != "a.txt":
                path.unlink()
        new = [name for name in listing(self.base).keys() - before.keys() if not name.startswith("index/")]
        return [*problems, *(f"{name} was left" for name in new)]

    def orphans(self, assistant: Assistant, url: str) -> Row:
        """Files that were sent and never added, and those whose sending broke off: gone after an hour."""
        row = Row("files: sent and never added")
        later = Arrivals.sweep
        folder = arrivals().folder
        for content in (b"never added", b"x" * 5_000_000, b""):
            httpx.post(f"{url}gradio_api/upload", files={"files": ("upload-x", content)})
            row.check("a file", None if _files(folder) else "it did not arrive: this tried nothing")

        def partial() -> bool:
            return any(file.name.startswith("tmp") for file in _files(folder))

        row.check("half a file", None if _breaks_off(url, partial) else "it did not arrive: this tried nothing")
        row.check("its end", None if _until(lambda: not partial()) else "half a file is still there")
        arrived = _files(folder)
        later(arrivals())
        row.check("after a while", None if _files(folder) == arrived else "what may still be added is gone")
        usual, arrivals()._clock = arrivals()._clock, lambda: time.time() + KEPT_SECONDS + 1
        later(arrivals())
        arrivals()._clock = usual
        row.check("after an hour", *(f"{file.name} is still there" for file in _files(folder)))
        row.check("folders of them", *(f"{folder.name} is still there" for folder in folder.iterdir()))
        return row


# -- the ways in -------------------------------------------------------------------------------------------------------


def _uploads(assistant: Assistant) -> Callable[[str], str]:
    def send(name: str) -> str:
        with tempfile.NamedTemporaryFile(dir=arrivals().folder) as file:
            file.write(TEXT.encode())
            file.flush()
            try:
                return _report(assistant.upload(name, file.name))
            except RagError as error:
                return str(error)

    return send


def _page(url: str) -> Callable[[str], str]:
    """As the page does: the file under a plain name and under its own, then the name as it is."""
    parts = httpx.get(f"{url}config").json()["components"]
    component = next(part["id"] for part in parts if part["props"].get("elem_id") == "documents")

    def send(name: str) -> str:
        sent = name.encode("utf-8", "replace").decode()
        for filename in ("upload-1", sent.replace("\0", "") or "x"):
            arrived = httpx.post(f"{url}gradio_api/upload", files={"files": (filename, TEXT.encode())})
            if arrived.status_code != 200:
                continue
            (path,) = arrived.json()
            body = {
                "session_hash": "s",
                "component_id": component,
                "fn_name": "document_add",
                "data": {"name": sent, "path": path},
            }
            done = httpx.post(f"{url}gradio_api/component_server", json=body, timeout=60).json()
        return str(done.get("says") or done.get("failed"))

    return send


def _rest(url: str) -> Callable[[str], str]:
    def send(name: str) -> str:
        said = "no answer"
        for body in ({"text": TEXT}, {"content": base64.b64encode(TEXT.encode()).decode()}):
            name = name.encode("utf-8", "replace").decode()
            event = httpx.post(f"{url}gradio_api/call/v2/ingest", json={"name": name, **body}).json()["event_id"]
            lines = httpx.get(f"{url}gradio_api/call/ingest/{event}", timeout=60).text.splitlines()
            said = json.loads(lines[-1 if lines[-1] else -2].removeprefix("data: "))
        return str(said.get("error") if isinstance(said, dict) else "added" if said else "nothing was said")

    return send


async def _mcp(url: str, names: Sequence[str]) -> list[str]:
    said = []
    async with streamable_http_client(f"{url}mcp") as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        for name in names:
            name = name.encode("utf-8", "replace").decode()
            done: Any = await session.call_tool("ingest", {"name": name, "text": TEXT})
            said.append(done.content[0].text if done.isError else "added")
    return said


def _report(report: IngestReport) -> str:
    return " ".join((*report.added, *report.updated)) or "nothing was added"


def _plain(said: str) -> list[str]:
    """A line is one, shows nothing that is not printable, and says nothing of our insides."""
    fine = said.isprintable() and 0 < len(said) < 900 and "Traceback" not in said and "broke;" not in said
    return [] if fine else [f"no plain line: {said!r:.200}"]


def _breaks_off(url: str, arrived: Callable[[], bool]) -> bool:
    """Half a file, and then nobody any more; whether it had arrived."""
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 900000\r\n"
        "Content-Type: multipart/form-data; boundary=B\r\n\r\n"
        '--B\r\nContent-Disposition: form-data; name="files"; filename="half"\r\n\r\n'
    )
    with socket.create_connection((host, int(port))) as client:
        client.sendall(head.encode() + b"x" * 300_000)
        return _until(arrived)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _until(true: Callable[[], bool]) -> bool:
    last = time.monotonic() + 20
    while not true() and time.monotonic() < last:
        time.sleep(0.05)
    return true()


def _killed(base: Path) -> Row:
    """A page that is killed while files lie there that were sent: the next one deletes them, and no other's."""
    row = Row("files: sent before a kill")
    base.mkdir()
    code = (
        "import os, sys; from pathlib import Path; from rag.web.arrivals import Arrivals\n"
        "made = Arrivals(Path(sys.argv[1])); (made.folder / 'x').mkdir(); (made.folder / 'x' / 'y').write_text('z')\n"
        "print(made.folder, flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    command = [sys.executable, "-c", code, str(base)]
    pages = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=base)
        for _ in range(2)
    ]
    lives, dies = (Path(page.stdout.readline().strip()) for page in pages if page.stdout)
    pages[1].send_signal(signal.SIGKILL)
    pages[1].wait()
    row.check("a kill", None if (dies / "x" / "y").exists() else "nothing was left: this tried nothing")
    (base / "rag-arrived-link").symlink_to(base / "elsewhere")
    (base / "elsewhere").mkdir()
    (base / "elsewhere" / "file").touch()
    (base / "rag-arrived-link.lock").touch()
    started = Arrivals(base)
    row.check("the next start", f"{dies.name} is still there" if dies.exists() else None)
    row.check("a page that runs", None if (lives / "x" / "y").exists() else "its files are gone")
    row.check("a link", None if (base / "elsewhere" / "file").exists() else "what it led to is gone")
    started.close()
    row.check("its end", *(f"{path.name} is left" for path in base.glob(f"{started.folder.name}*")))
    pages[0].kill()
    pages[0].wait()
    return row


# -- what is put into the folder: (documents, outside) → --------------------------------------------------------------


def _bytes(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path, Path], object]:
    return lambda docs, _: (docs / name).write_bytes(content if isinstance(content, bytes) else content())


def _link(name: str, target: str) -> Callable[[Path, Path], object]:
    return lambda docs, outside: (docs / name).symlink_to(target.replace("OUTSIDE", str(outside)))


def _socket(docs: Path, _: Path) -> None:
    here = Path.cwd()
    os.chdir(docs)  # the path of a socket has 107 characters at most
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("socket.txt")
    finally:
        os.chdir(here)


def _unreadable(docs: Path, _: Path) -> None:
    (docs / "no.txt").write_text("Nobody may read this.")
    (docs / "no.txt").chmod(0)
    (docs / "nofolder").mkdir(mode=0)


HOSTILE_PARTS = (
    "../../outside/secret.txt", "/etc/passwd", "..\\..\\x.txt", "word/../../../x", "C:\\x.txt", "a\0b", "x" * 5000,
    "word/document.xml/../../x", "\u202ex.xml", "nul", "../" * 40 + "tmp/x", "./.", "//x//y",
)  # fmt: skip
PLAIN_DOCX = samples.paragraph("The stork of the roof is called Otto.")
TARGETS = (
    "../../../../outside/secret.txt", "file:///etc/passwd", "/etc/passwd", "\\\\host\\share", "http://127.0.0.1:9/x",
    "..%2f..%2fx", "",
)  # fmt: skip
DOCTYPE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file://OUTSIDE/secret.txt">]>'


def _external(make: Callable[[str], bytes], name: str) -> Callable[[Path, Path], object]:
    """A file that includes one from outside."""
    return lambda docs, outside: (docs / name).write_bytes(make(DOCTYPE.replace("OUTSIDE", str(outside))))


def _relations(target: str) -> dict[str, str | bytes]:
    kinds = ("footnotes", "image", "hyperlink", "comments", "attachedTemplate", "styles")
    return {"word/_rels/document.xml.rels": samples.relations({f"r{n}": (k, target) for n, k in enumerate(kinds)})}


def _lines(*lines: object) -> bytes:
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


INSIDE: dict[str, Callable[[Path, Path], object]] = {
    **{
        f"{part[:20]!r} in {kind}": _bytes(f"b.{kind}", make)
        for part in HOSTILE_PARTS
        for kind, make in {
            "docx": samples.docx(PLAIN_DOCX, parts={part: SECRET}),
            "epub": samples.epub("<p>The stork</p>", extra={part: SECRET}),
            "xlsx": samples.xlsx("<worksheet/>", {part: SECRET}),
        }.items()
    },
    **{
        f"{target!r} is a part": _bytes("b.docx", samples.docx(PLAIN_DOCX, parts=_relations(target)))
        for target in TARGETS
    },
    "an entity from outside, docx": _external(
        lambda doctype: samples.docx(samples.paragraph("&e; stork"), doctype=doctype), "b.docx"
    ),
    "an entity from outside, epub": _external(lambda doctype: samples.epub("<p>&e;</p>", doctype=doctype), "b.epub"),
    "an entity from outside, html": _external(lambda doctype: f"{doctype}<p>&e; stork</p>".encode(), "b.html"),
    "a page that includes": _bytes("b.html", b'<iframe src="../outside/secret.txt"></iframe><object data="/etc/x">x'),
    "a picture from outside": _bytes("b.md", b"![x](../outside/secret.txt) ![y](file:///etc/passwd)\n"),
    "a workbook that names a file": _bytes(
        "b.xlsx", samples.xlsx("<worksheet/>", {"xl/externalLinks/_rels/e.rels": samples.relations(
            {"r1": ("externalLinkPath", "../../outside/secret.txt")})})
    ),
    **{
        f"a collection with {name[:20]!r}": _bytes("b.jsonl", _lines({"id": name, "text": "The stork", "title": name}))
        for name in NAMES
    },
    "a collection of paths": _bytes("b.jsonl", _lines(*({"id": f"../{n}/a.txt", "text": "x"} for n in range(9)))),
}  # fmt: skip
LINKS: dict[str, Callable[[Path, Path], object]] = {
    "a file outside": _link("b.txt", "OUTSIDE/secret.txt"),
    "a file outside, relative": _link("b.txt", "../outside/secret.txt"),
    "a folder outside": _link("folder", "OUTSIDE"),
    "a collection outside": _link("b.jsonl", "OUTSIDE/letters.txt"),
    "itself": _link("b.txt", "b.txt"),
    "its own folder": _link("folder", "."),
    "nothing": _link("b.txt", "nowhere.txt"),
    "the environment": _link("b.txt", "/proc/self/environ"),
    "the memory": _link("b.txt", "/proc/self/mem"),
    "what never ends": _link("b.txt", "/dev/zero"),
    "the terminal": _link("b.txt", "/dev/tty"),
    "the root": _link("root", "/"),
    "a chain": lambda docs, outside: ((docs / "b.txt").symlink_to("c.txt"), (docs / "c.txt").symlink_to(outside)),
    "the index": _link("b.txt", "../index/index.db"),
    "names to ignore, outside": _link(".ragignore", "OUTSIDE/secret.txt"),
    "a pipe of names to ignore": lambda docs, _: ((docs / "deep").mkdir(), os.mkfifo(docs / "deep" / ".ragignore")),
    "a pipe": lambda docs, _: os.mkfifo(docs / "b.txt"),
    "a pipe of a collection": lambda docs, _: os.mkfifo(docs / "b.jsonl"),
    "a pipe of a format": lambda docs, _: os.mkfifo(docs / "b.pdf"),
    "a socket": _socket,
    "a device": lambda docs, _: os.mknod(docs / "b.txt", 0o20644, os.makedev(1, 5)),  # what never ends
    "what may not be read": _unreadable,
    "a folder named as a file": lambda docs, _: (docs / "b.txt").mkdir(),
    "a folder named as a collection": lambda docs, _: (docs / "b.jsonl").mkdir(),
    "a name that is not UTF-8": lambda docs, _: Path(os.fsdecode(os.fsencode(docs) + b"/\xff\xfe.txt")).write_text("x"),
    "a folder that is not UTF-8": lambda docs, _: Path(os.fsdecode(os.fsencode(docs) + b"/\xff\xfe")).mkdir(),
    "a name with lines": _bytes("b\nc\x1b[2J.txt", b"The stork."),
    "a name that turns": _bytes("\u202etxt.b.txt", b"The stork."),
    "a long name": _bytes("x" * 250 + ".txt", b"The stork."),
    "a deep folder": lambda docs, _: (docs.joinpath(*["d" * 50] * 20)).mkdir(parents=True),
}  # fmt: skip
ELF, PNG, GZIP = (
    b"\x7fELF\x02\x01\x01" + bytes(900),
    b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8,
    b"\x1f\x8b\x08" + bytes(900),
)
WRONG: dict[str, Callable[[Path, Path], object]] = {
    f"{kind} named .{suffix}": _bytes(f"b.{suffix}", content)
    for kind, content in {
        "ELF": ELF, "PNG": PNG, "gzip": GZIP, "HTML": b"<html><p>The stork</p></html>",
        "a PDF": samples.pdf(["A stork"]),
        "a Word file": samples.docx(PLAIN_DOCX), "nothing": b"", "a NUL": b"\0", "SQLite": b"SQLite format 3\0\0\0",
        "a pickle": b"cposix\nsystem\n(S'id'\ntR.",
    }.items()
    for suffix in ("txt", "pdf", "docx", "xlsx", "pptx", "epub", "eml", "rtf", "csv", "md", "jsonl", "html")
}  # fmt: skip


def _sparse(name: str, size: int) -> Callable[[Path, Path], object]:
    def make(docs: Path, _: Path) -> None:
        with (docs / name).open("wb") as file:
            file.truncate(size)

    return make


def _declared(make: Callable[[], bytes], says: int) -> bytes:
    """A ZIP file of which all parts say that they are so large."""
    data = bytearray(make())
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = -1
        while (start := data.find(mark, start + 1)) >= 0:
            data[start + at : start + at + 4] = says.to_bytes(4, "little")
    return bytes(data)


TOO_MUCH = " " * 251_000_000
BOMBS: dict[str, Callable[[Path, Path], object]] = {
    "sizes that are giant": _bytes("b.docx", lambda: _declared(lambda: samples.docx(PLAIN_DOCX), 2**32 - 2)),
    "zip, docx": _bytes("b.docx", lambda: samples.docx(TOO_MUCH)),
    "zip, xlsx": _bytes("b.xlsx", lambda: samples.xlsx(TOO_MUCH)),
    "zip, epub": _bytes("b.epub", lambda: samples.epub(TOO_MUCH)),
    "sizes that are small": _bytes("b.docx", lambda: _declared(lambda: samples.docx(TOO_MUCH), 10)),
    "pdf": _bytes("b.pdf", lambda: samples.pdf_with_content(b"BT /F1 12 Tf (a) Tj ET " + TOO_MUCH.encode())),
    "entities": _bytes("b.docx", lambda: samples.docx(samples.paragraph("&a11;"), doctype=samples.BILLION_LAUGHS)),
    "nesting, html": _bytes("b.html", lambda: b"<div>" * 100_000 + b"b"),
    "nesting, docx": _bytes("b.docx", lambda: samples.docx("<w:p>" * 50_000)),
    "nesting, jsonl": _bytes("b.jsonl", lambda: b"[" * 1_000_000 + b"\n"),
    "nesting, rtf": _bytes("b.rtf", lambda: b"{\\rtf1 " + b"{" * 1_000_000),
    "a gzip inside": _bytes("b.docx", lambda: samples.docx(PLAIN_DOCX, parts={"word/x.gz": GZIP * 100_000})),
    "a line of 200 MB": _bytes("b.txt", lambda: b"x" * 200_000_000),
    "a line of 99 MB": _bytes("b.md", lambda: b"x" * 99_000_000),
    "a collection of one line": _bytes("b.jsonl", lambda: b'{"id": "a", "text": "' + b"x" * 150_000_000 + b'"}\n'),
    "holes": _sparse("b.txt", 50_000_000_000),
    "holes, pdf": _sparse("b.pdf", 50_000_000_000),
    "a table of a million cells": _bytes("b.csv", lambda: b"a," * 1_000_000),
    "many files in one": _bytes("b.docx", lambda: samples.zipped({f"{n}": "" for n in range(60_000)})),
    "larger than an upload": _bytes("b.html", lambda: b"<p>" * (MAX_BYTES // 2)),
}
