"""Uploads and paths: hostile names through every way in, links and pipes, bombs, wrong types, and what is left over."""

from __future__ import annotations

import base64
import ctypes
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
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import format_samples as samples
import httpx
from anyio.from_thread import start_blocking_portal
from endpoint import eventually
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from test_uploads import HOSTILE

from rag.assistant import Assistant
from rag.documents import SUFFIXES
from rag.errors import DocumentUnreadable, RagError
from rag.settings import Settings
from rag.uploads import MAX_BYTES, ROOT, checked_name
from rag.web import serve
from rag.web.arrivals import KEPT_SECONDS, Arrivals, arrivals

from .canary import NAME, SECRET, Canary, Listening, Watch
from .table import Row
from .wire import half_an_upload

HERE = Path(__file__).parents[1]
TEXT = "The owl of the tower is called Brunhilde.\n"
NEXT = "The heron of the pond is called Edda."
ARRIVES_S = 20.0
# Beside those of the tests: more devices, encodings, and names that mean something to the index or to a shell.
NAMES = [
    "an owl.txt", *HOSTILE, "/dev/stdin.txt", "/proc/self/environ", "file:///etc/passwd.txt", "\\\\?\\C:\\x.txt",
    "AUX.csv", "a\r.txt",
    "..%5c..%5cx.txt", "....//....//x.txt", ".new-0000000000000000-x.txt", ".removed-0000000000000000-x.txt", "*.txt",
    "uploads/../../../outside/secret.txt", "vectors-1.faiss", "feedback.db", "a" * 250 + ".txt", "\ufeffx.txt",
    "x.txt/",
]  # fmt: skip


class Reply(NamedTuple):
    """What came of a file that was sent: whether it was taken, and what was said."""

    taken: bool
    said: str


class Outside(NamedTuple):
    """What nobody may touch: a folder, and an address."""

    folder: Path
    url: str


class NotTried(Exception):
    """This machine, or who runs the tests, does not let us make it."""


Send = Callable[[str], Sequence[Reply]]
Make = Callable[[Path, Outside], object]


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    logging.disable()  # of what is told in the reports as well
    place = Place(base)
    rows = []
    names = NAMES[:: 4 if few else 1]
    with place.opened() as assistant, serve(assistant, port=0, mcp=True) as server, _mcp(server.address) as mcp:
        ways = {"upload": _uploads(assistant), "page": _page(server.address), "REST": _rest(server.address), "MCP": mcp}
        for way, send in ways.items():
            row = Row(f"files: names, {way}")
            for name in names:
                row.check(repr(name), *place.sent(assistant, name, send), lost=place.lost())
            rows.append(row)
        rows.append(place.orphans(assistant, server.address))
    rows[-1].check("the end of the server", lost=place.lost())
    every = {
        "names in archives and collections": INSIDE,
        "links, pipes, devices": LINKS,
        "wrong types": WRONG,
        "bombs": BOMBS,
    }
    for what, tries in every.items():
        row = Row(f"files: {what}")
        steps = {"links, pipes, devices": 3, "bombs": 6}.get(what, 20) if few else 1
        for name, make in itertools.islice(tries.items(), 0, None, steps):
            place.tried(row, name, make)
        rows.append(row)
    rows[-1].check("who parsed", None if place.watch.workers() else "no worker was watched: nothing was heard of them")
    return [*rows, _killed(base / "killed")]


class Place:
    """A folder of documents and its index, and a folder outside, of which nothing may be read, changed or quoted."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.docs = base / "docs"
        self.docs.mkdir(parents=True)
        (self.docs / "a.txt").write_text("The first of all files is Alpha.\n", encoding="utf-8")
        self.canary = Canary(base / "outside")
        self.listening = Listening()
        others = base / "matplotlib", Path(tempfile.gettempdir(), "gradio")  # what Gradio loads makes these
        os.environ["MPLCONFIGDIR"] = str(others[0])
        os.environ["HARDNESS_SECRET"] = SECRET  # a worker has it in /proc/self/environ; this process has others
        import_module("matplotlib.font_manager")  # asks a program for the fonts, once
        import_module("gradio.components.api_component")  # writes a file beside itself, once
        ours = base / "index", self.docs, Path(os.devnull), arrivals().folder
        self.watch = Watch([self.canary.folder], [*ours, *others], [self.docs])
        self._shown: list[str] = []
        self._secrets = [NAME, *_of_the_machine()]

    @contextmanager
    def opened(self) -> Iterator[Assistant]:
        settings = Settings(
            documents=self.docs, index_dir=self.base / "index", llm="none", refuse_below=0, read_seconds=20
        )
        with self.watch.in_workers(self.base / "workers"), self.watch, Assistant.open(settings) as assistant:
            yield assistant

    def sent(self, assistant: Assistant, name: str, send: Send) -> list[str]:
        """What was wrong after a file of this name was sent: of all ways in, each takes the same names."""
        with self.watch:
            replies = send(name)
        kept = {file.name for file in (self.base / "index" / "uploads").iterdir()} - {".ragignore"}
        known = {document.source for document in assistant.documents() if document.root == ROOT}
        problems = [] if replies else ["nothing was said"]
        problems += [why for reply in replies for why in _plain(reply.said)]
        plain = _kept_as(name)
        if any(reply.taken != bool(plain) for reply in replies):
            problems.append(f"{'refused' if plain else 'taken'}: {replies}")
        if plain and plain.casefold() not in {source.casefold() for source in known}:
            problems.append(f"there is no {plain}")
        return [*problems, *([f"files without document: {kept ^ known}"] if kept != known else [])]

    def lost(self) -> list[str]:
        """What was read, written, called or quoted that is not in the folder."""
        shown, self._shown = "\n".join(self._shown), []
        quoted = [f"{secret[:30]!r} was quoted" for secret in self._secrets if secret in shown]
        with self.watch.unheard():
            return [*self.watch.taken(), *self.canary.problems(), *self.listening.problems(), *quoted]

    def tried(self, row: Row, name: str, make: Make) -> None:
        """One more try; where it cannot be made, the row says so."""
        try:
            row.check(name, *self.ingested(make), lost=self.lost())
        except NotTried:
            row.figures = f"{row.figures}, {name}" if row.figures else f"not tried: {name}"

    def ingested(self, make: Make) -> list[str]:
        """What was wrong after something was put into the folder; the file that comes behind it is read."""
        before = self._there()
        try:
            with _without_the_rights_of_root():
                make(self.docs, Outside(self.canary.folder, self.listening.url))
                self.canary.forget()
                problems = self._read()
        except PermissionError as error:
            raise NotTried from error
        finally:
            self._tidy()
        return [*problems, *(f"{path.name} was left" for path in self._there() - before)]

    def _there(self) -> set[Path]:
        return {*self.base.iterdir(), *self.docs.rglob("*")} - {self.base / "index", self.base / "workers"}

    def _read(self) -> list[str]:
        (self.docs / "z.txt").write_text(f"{NEXT}\n", encoding="utf-8")
        try:
            with self.opened() as assistant:
                found = any(NEXT in hit.passage.text for hit in assistant.search("heron of the pond", 3))
                reasons = [failure.reason for failure in assistant.failed]
                self._shown += [assistant.document(document.id).text for document in assistant.documents()]
                self._shown += [str(assistant.ask("Where does the canary sleep?").to_dict()), *reasons]
        except RagError as error:
            return [f"the ingest ended: {error}"]
        plain = [why for reason in reasons for why in _plain(reason)]
        return plain if found else ["the next file is not read", *plain]

    def _tidy(self) -> None:
        for path in sorted(self.docs.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
                path.rmdir()
            elif path.name != "a.txt":
                path.unlink()

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

        with half_an_upload(url):
            came = eventually(partial, ARRIVES_S)
        row.check("half a file", None if came else "it did not arrive: this tried nothing")
        row.check("its end", None if eventually(lambda: not partial(), ARRIVES_S) else "half a file is still there")
        arrived = _files(folder)
        later(arrivals())
        row.check("after a while", None if _files(folder) == arrived else "what may still be added is gone")
        usual, arrivals()._clock = arrivals()._clock, lambda: time.time() + KEPT_SECONDS + 1
        later(arrivals())
        arrivals()._clock = usual
        row.check("after an hour", *(f"{file.name} is still there" for file in _files(folder)))
        row.check("folders of them", *(f"{folder.name} is still there" for folder in folder.iterdir()))
        return row


def _of_the_machine() -> list[str]:
    """What could not be quoted if nobody had read the accounts, or with what this process was started."""
    account, *_ = Path("/etc/passwd").read_text("utf-8", "replace").splitlines()
    given = Path("/proc/self/environ")
    return [account, *([max(given.read_text("utf-8", "replace").split("\0"), key=len)] if given.exists() else [])]


class _Header(ctypes.Structure):
    """Of Linux's capability.h: capabilities of this thread, in the version that has two words of each kind."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_VERSION_3 = 0x20080522
_OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: whom no permission of a file stops


@contextmanager
def _without_the_rights_of_root() -> Iterator[None]:
    """Permissions of files hold for this thread, and those that it starts, as they do for their owner."""
    libc = ctypes.CDLL(None)
    header, words = _Header(_VERSION_3, 0), (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    if not hasattr(libc, "capset") or libc.capget(ctypes.byref(header), words):
        yield
        return
    usual = words[0]
    words[0] = usual & ~_OVERRIDES
    libc.capset(ctypes.byref(header), words)
    try:
        yield
    finally:
        words[0] = usual
        libc.capset(ctypes.byref(header), words)


# -- the ways in -------------------------------------------------------------------------------------------------------


def _uploads(assistant: Assistant) -> Send:
    def send(name: str) -> list[Reply]:
        with tempfile.NamedTemporaryFile(dir=arrivals().folder) as file:
            file.write(TEXT.encode())
            file.flush()
            try:
                report = assistant.upload(name, file.name)
            except RagError as error:
                return [Reply(False, str(error))]
        return [_reported(report.to_dict())]

    return send


def _page(url: str) -> Send:
    """As the page does: the file under a plain name and under its own, then the name as it is."""
    parts = httpx.get(f"{url}config").json()["components"]
    component = next(part["id"] for part in parts if part["props"].get("elem_id") == "documents")

    def send(name: str) -> list[Reply]:
        replies = []
        sent = _in_json(name)
        for filename in ("upload-1", sent.replace("\0", "") or "x"):
            arrived = httpx.post(f"{url}gradio_api/upload", files={"files": (filename, TEXT.encode())})
            if arrived.status_code != 200:  # a name that no form can have: the page sends none but the first
                continue
            (path,) = arrived.json()
            body = {
                "session_hash": "s",
                "component_id": component,
                "fn_name": "document_add",
                "data": {"name": sent, "path": path},
            }
            done = httpx.post(f"{url}gradio_api/component_server", json=body, timeout=60).json()
            replies.append(Reply("says" in done, done.get("says") or done.get("failed") or ""))
        return replies

    return send


def _rest(url: str) -> Send:
    def send(name: str) -> list[Reply]:
        replies = []
        for body in ({"text": TEXT}, {"content": base64.b64encode(TEXT.encode()).decode()}):
            sent = {"name": _in_json(name), **body}
            event = httpx.post(f"{url}gradio_api/call/v2/ingest", json=sent).json()["event_id"]
            lines = httpx.get(f"{url}gradio_api/call/ingest/{event}", timeout=60).text.splitlines()
            told = json.loads(next(line for line in reversed(lines) if line).removeprefix("data: "))
            replies.append(_reported(told[0]) if isinstance(told, list) else Reply(False, str(told.get("error"))))
        return replies

    return send


@contextmanager
def _mcp(url: str) -> Iterator[Send]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_session(url)) as session:

        def send(name: str) -> list[Reply]:
            call = partial(session.call_tool, "ingest", {"name": _in_json(name), "text": TEXT})
            done: Any = portal.call(call)
            said = done.content[0].text
            return [Reply(False, said) if done.isError else _reported(json.loads(said))]

        yield send


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[ClientSession]:
    async with streamable_http_client(f"{url}mcp") as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        yield session


def _reported(report: dict[str, list[str]]) -> Reply:
    sources = report["added"] + report["updated"]
    return Reply(bool(sources), " ".join(sources))


def _in_json(name: str) -> str:
    """As a client has to send it: half a character is none."""
    return name.encode("utf-8", "replace").decode()


def _kept_as(name: str) -> str | None:
    """What a text of this name is kept as, or None if it is refused: for its name, or as no PDF."""
    try:
        plain = checked_name(name)
    except DocumentUnreadable:
        return None
    return plain if SUFFIXES[Path(plain).suffix.lower()].startswith("text/") else None


def _plain(said: str) -> list[str]:
    """A line is one, shows nothing that is not printable, and says nothing of our insides."""
    fine = said.isprintable() and 0 < len(said) < 900 and "Traceback" not in said and "broke;" not in said
    return [] if fine else [f"no plain line: {said!r:.200}"]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


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


def _bytes(name: str, content: bytes | Callable[[], bytes]) -> Make:
    return lambda docs, _: (docs / name).write_bytes(content if isinstance(content, bytes) else content())


def _naming(name: str, make: Callable[[Callable[[str], str]], bytes]) -> Make:
    """A file that names what is outside: `make` is given what puts the place and the address in."""
    return lambda docs, outside: (docs / name).write_bytes(make(partial(_placed, outside)))


def _placed(outside: Outside, text: str) -> str:
    return text.replace("OUTSIDE", str(outside.folder)).replace("ADDRESS", outside.url)


def _link(name: str, target: str) -> Make:
    return lambda docs, outside: (docs / name).symlink_to(_placed(outside, target))


def _socket(docs: Path, _: Outside) -> None:
    here = Path.cwd()
    os.chdir(docs)  # the path of a socket has 107 characters at most
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("socket.txt")
    finally:
        os.chdir(here)


def _unreadable(docs: Path, _: Outside) -> None:
    (docs / "no.txt").write_text(SECRET)
    (docs / "no.txt").chmod(0)
    (docs / "nofolder").mkdir(mode=0)
    try:
        (docs / "no.txt").read_bytes()
    except PermissionError:
        return
    raise NotTried


HOSTILE_PARTS = (
    "../../outside/secret.txt", "/etc/passwd", "..\\..\\x.txt", "word/../../../x", "C:\\x.txt", "a\0b", "x" * 5000,
    "word/document.xml/../../x", "\u202ex.xml", "nul", "../" * 40 + "tmp/x", "./.", "//x//y",
)  # fmt: skip
PLAIN_DOCX = samples.paragraph("The stork of the roof is called Otto.")
TARGETS = (
    "../../../../outside/secret.txt", "file:///etc/passwd", "/etc/passwd", "\\\\host\\share", "ADDRESS/x", "file://OUTSIDE/secret.txt",
    "..%2f..%2fx", "",
)  # fmt: skip
ENTITIES = {
    "a file outside": '<!DOCTYPE x [<!ENTITY e SYSTEM "file://OUTSIDE/secret.txt">]>',
    "an address": '<!DOCTYPE x [<!ENTITY e SYSTEM "ADDRESS/e">]>',
    "a DTD at an address": '<!DOCTYPE x SYSTEM "ADDRESS/x.dtd">',
    "a DTD outside": '<!DOCTYPE x [<!ENTITY % p SYSTEM "file://OUTSIDE/letters.txt"> %p; <!ENTITY e "e">]>',
}
WITH_ENTITIES: dict[str, Callable[[str], bytes]] = {
    "docx": lambda doctype: samples.docx(samples.paragraph("&e; stork"), doctype=doctype),
    "epub": lambda doctype: samples.epub("<p>&e;</p>", doctype=doctype),
    "html": lambda doctype: f"{doctype}<p>&e; stork</p>".encode(),
}
INCLUDING = (
    '<link rel="stylesheet" href="ADDRESS/x.css"><script src="ADDRESS/x.js"></script><img src="ADDRESS/x.png">'
    '<iframe src="file://OUTSIDE/secret.txt"></iframe><object data="OUTSIDE/letters.txt">x</object>'
)


def _relations(target: str) -> dict[str, str | bytes]:
    kinds = ("footnotes", "image", "hyperlink", "comments", "attachedTemplate", "styles")
    return {"word/_rels/document.xml.rels": samples.relations({f"r{n}": (k, target) for n, k in enumerate(kinds)})}


def _lines(*lines: object) -> bytes:
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


INSIDE: dict[str, Make] = {
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
        f"{target!r} is a part": _naming(
            "b.docx", lambda placed, target=target: samples.docx(PLAIN_DOCX, parts=_relations(placed(target)))
        )
        for target in TARGETS
    },
    **{
        f"an entity is {what}, {kind}": _naming(
            f"b.{kind}", lambda placed, make=make, doctype=doctype: make(placed(doctype))
        )
        for what, doctype in ENTITIES.items()
        for kind, make in WITH_ENTITIES.items()
    },
    "a page that includes": _naming("b.html", lambda placed: placed(INCLUDING).encode()),
    "a chapter that includes": _naming("b.epub", lambda placed: samples.epub(f"<p>The stork</p>{placed(INCLUDING)}")),
    "a mail that includes": _naming(
        "b.eml", lambda placed: f"Subject: x\nContent-Type: text/html\n\n{placed(INCLUDING)}".encode()
    ),
    "a picture from outside": _naming(
        "b.md", lambda placed: placed("![x](OUTSIDE/secret.txt) ![y](ADDRESS/y.png)\n").encode()
    ),
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
LINKS: dict[str, Make] = {
    "a file outside": _link("b.txt", "OUTSIDE/secret.txt"),
    "a file outside, relative": _link("b.txt", "../outside/secret.txt"),
    "a folder outside": _link("folder", "OUTSIDE"),
    "a collection outside": _link("b.jsonl", "OUTSIDE/letters.txt"),
    "itself": _link("b.txt", "b.txt"),
    "its own folder": _link("folder", "."),
    "nothing": _link("b.txt", "nowhere.txt"),
    "the environment": _link("b.txt", "/proc/self/environ"),
    "the environment, of a format": _link("b.html", "/proc/self/environ"),
    "the accounts": _link("b.txt", "/etc/passwd"),
    "the accounts, a collection": _link("b.jsonl", "/etc/passwd"),
    "the memory": _link("b.txt", "/proc/self/mem"),
    "what never ends": _link("b.txt", "/dev/zero"),
    "the terminal": _link("b.txt", "/dev/tty"),
    "the root": _link("root", "/"),
    "a chain": lambda docs, outside: (
        (docs / "b.txt").symlink_to("c.txt"), (docs / "c.txt").symlink_to(outside.folder)
    ),
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
WRONG: dict[str, Make] = {
    f"{kind} named .{suffix}": _bytes(f"b.{suffix}", content)
    for kind, content in {
        "ELF": ELF, "PNG": PNG, "gzip": GZIP, "HTML": b"<html><p>The stork</p></html>",
        "a PDF": samples.pdf(["A stork"]),
        "a Word file": samples.docx(PLAIN_DOCX), "nothing": b"", "a NUL": b"\0", "SQLite": b"SQLite format 3\0\0\0",
        "a pickle": b"cposix\nsystem\n(S'id'\ntR.",
    }.items()
    for suffix in ("txt", "pdf", "docx", "xlsx", "pptx", "epub", "eml", "rtf", "csv", "md", "jsonl", "html")
}  # fmt: skip


def _sparse(name: str, size: int) -> Make:
    def make(docs: Path, _: Outside) -> None:
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
BOMBS: dict[str, Make] = {
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
