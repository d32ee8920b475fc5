"""Guests at the web server: who may come in, and asks for what there is not in forms that nobody would send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .served import OUTSIDE, OUTSIDE_TEXT
from .table import Row
from .website import EVIL_TEXT, JSON, METHODS, SHAPES, Ground, as_json, broken, form, given_away, tool_call
from .wire import Pairs

JUNK: dict[str, tuple[Pairs, bytes]] = {
    "nothing": ((), b""),
    "nothing, as JSON": (JSON, b""),
    "{}": (JSON, b"{}"),
    "[]": (JSON, b"[]"),
    "null": (JSON, b"null"),
    "a number": (JSON, b"1e999"),
    "half of it": (JSON, b'{"data": ['),
    "no data": (JSON, b'{"data": null, "fn_index": 0, "session_hash": "j"}'),
    "no event": (JSON, b'{"data": [], "session_hash": "j"}'),
    "another event": (JSON, b'{"data": [], "fn_index": 99999, "session_hash": "j"}'),
    "an event before the first": (JSON, b'{"data": [], "fn_index": -1, "session_hash": "j"}'),
    "too many data": (JSON, b'{"data": [1,2,3,4,5,6,7,8,9], "fn_index": 0, "session_hash": "j"}'),
    "events of other kinds": (JSON, b'{"data": [], "fn_index": "x", "session_hash": {}, "event_id": [], "hash": 1}'),
    "no number": (JSON, b'{"data": [NaN], "fn_index": NaN, "session_hash": NaN, "name": NaN, "messages": NaN}'),
    "half a character": (
        JSON,
        b'{"data": ["\\ud800"], "fn_index": "\\udfff", "session_hash": 1, "messages": "\\ud800"}',
    ),
    "no component": (JSON, b'{"data": [], "component_id": 99999, "session_hash": "j", "fn_name": "x"}'),
    "an odd component": (JSON, b'{"data": [], "component_id": [], "session_hash": [], "fn_name": []}'),
    "a function that is none": (JSON, b'{"data": [], "component_id": 1, "session_hash": "j", "fn_name": "__init__"}'),
    "an odd name": (JSON, b'{"name": {"a": 1}, "text": [], "question": 7, "messages": [[]], "model": {}}'),
    "a form": ((("Content-Type", "application/x-www-form-urlencoded"),), b"username=a&password=b&data=1"),
    "a form without its boundary": ((("Content-Type", "multipart/form-data"),), b"--x\r\n\r\n--x--"),
    "a form that is none": ((("Content-Type", "multipart/form-data; boundary=x"),), b"nothing of it"),
    "a form without names": (
        (("Content-Type", "multipart/form-data; boundary=x"),),
        b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n",
    ),
    "bytes": ((("Content-Type", "application/octet-stream"),), bytes(range(256))),
    "another character set": ((("Content-Type", "application/json; charset=utf-16"),), '{"data": []}'.encode("utf-16")),
}

ODD: tuple[Any, ...] = (
    None, -1, 10**400, "", "\x00", "\ud800", "a" * 100_000, [], [[]], {}, {"a": {"b": []}},
    {"document": "x", "start": 0, "end": 1, "words": 1}, {"name": [], "path": {}}, {"turn": 1}, {"turns": [7]},
    {"showing": 1, "turns": [{"question": 1}], "only": 3, "llm": {}}, {"question": {}, "turn": "x"},
)  # fmt: skip

# Where a route takes the path of a file, or something that becomes one.
FILE_ROUTES = (
    "/gradio_api/file=", "/gradio_api/file/", "/static/", "/assets/", "/svelte/", "/gradio_api/proxy=file://",
    "/gradio_api/custom_component/x/client/component/", "/gradio_api/stream/", "/?deep_link=", "/config?deep_link=",
    "/gradio_api/deep_link?session_hash=", "/pwa_icon/", "/",
)  # fmt: skip


def junk(ground: Ground) -> Row:
    """Every route, every method, all that nobody would send there."""
    row = Row("web: every route with a name, and junk")
    for path in ground.targets:
        for method in METHODS:
            sent = ground.some([*JUNK], 2) if method == "POST" else ("nothing",)
            for what in sent:
                pairs, body = JUNK[what]
                said = ground.known.ask(method, path, pairs, body)
                row.check(f"{method} {path} with {what}", broken(said), lost=given_away(said))
    for component, name in ground.known.functions:
        for data in ground.some(ODD, 2):
            said = ground.known.component(component, name, data)
            row.check(f"{name}({str(data)[:40]})", broken(said), lost=given_away(said))
    for event in ground.known.events:
        for data in ground.some(ODD, 2):
            for said in ground.known.event(event, data):
                row.check(f"event {event['id']}: {str(data)[:40]}", broken(said), lost=given_away(said))
    row.check("it goes on", ground.known.answers())
    return row


def files(ground: Ground) -> Row:
    """Files of the machine, asked for in every way in which a file could be asked for."""
    row = Row("web: files of the machine")
    opened = _opened(ground)
    outside, index = ground.served.outside, ground.served.index / "index.db"
    for file in (outside, index, "/etc/hostname", "/etc/passwd"):
        plain, *spelled = _spelled(str(file), str(ground.served.arriving))
        for what, path in (plain, *ground.some(spelled, 1)):
            for start in FILE_ROUTES:
                said = ground.known.ask("GET", f"{start}{path}")
                row.check(f"{what}: {start}{path}", broken(said), lost=given_away(said))
            for event in ground.chance.sample(ground.known.events, 3):
                for said in ground.known.event(event, SHAPES["a file"](path)):
                    row.check(f"{what}: in event {event['id']}", broken(said), lost=given_away(said))
        for shape in ground.some([*SHAPES], 2):
            for event in ground.some(ground.known.events, 3):
                for said in ground.known.event(event, SHAPES[shape](plain[1])):
                    row.check(f"{shape} in event {event['id']}", broken(said), lost=given_away(said))
    for name in (
        f"../../{OUTSIDE}",
        f"/{OUTSIDE}",
        "..\\..\\x.txt",
        "a/../../x.txt",
        ".ragignore",
        "index.db",
        "\x00",
        "..",
    ):
        for said in (
            ground.known.rest("ingest", as_json({"data": [name, EVIL_TEXT, ""]})),
            ground.known.tool(tool_call("ingest", name=name, text=EVIL_TEXT)),
            ground.known.ask("POST", "/gradio_api/upload", *form(("files", name, EVIL_TEXT.encode()))),
        ):
            row.check(f"a file called {name!r}", broken(said), *_misplaced(ground), lost=given_away(said))
    row.check("opened", *(f"the server opened {path}" for path in _opened(ground) - opened))
    return row


def _opened(ground: Ground) -> set[str]:
    return {what for kind, what in ground.served.events() if kind == "open"}


def _spelled(file: str, arriving: str) -> Iterator[tuple[str, str]]:
    yield "as it is", file
    yield "relative", "../" * 12 + file.lstrip("/")
    yield "encoded dots", "%2e%2e/" * 12 + file.lstrip("/")
    yield "encoded slashes", file.replace("/", "%2f")
    yield "doubly encoded", file.replace("/", "%252f")
    yield "out of the uploads", f"{arriving}/{'../' * 12}{file.lstrip('/')}"
    yield "as an address", f"file://{file}"
    yield "two slashes", f"/{file}"
    yield "with NUL", f"{file}%00.png"


def _misplaced(ground: Ground) -> Iterator[str]:
    """Files that were sent and do not lie directly among the uploads."""
    for file in (ground.served.index / "uploads").rglob("*"):
        if file.is_dir() or file.is_symlink():
            yield f"{file} is no plain file"
    for file in ground.served.base.glob("*/x.txt"):
        if file.parent.name != "uploads":
            yield f"{file} was written"
    if ground.served.outside.read_text(encoding="utf-8") != f"{OUTSIDE_TEXT}\n":
        yield f"{OUTSIDE} was written"


ATTACKS = (junk, files)
