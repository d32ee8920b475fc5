"""The servers as somebody sees them who attacks them, and what is wrong with what they say."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import rag

from .served import CANARY, NAME, OUTSIDE_TEXT, PASSWORD, Served
from .table import Row
from .wire import GLANCE, LOOPBACK, PATIENCE, Pairs, Response, exchange, request

OURS = Path(rag.__file__).parent

QUESTION = "Where does the walrus Herbert sleep?"

# Beside the routes that there are: those that others have, or that ours had.
ELSEWHERE = """
    / /docs /redoc /metrics /.git/config /.env /server-status /gradio_api/mcp/schema /gradio_api/mcp/sse
    /gradio_api/mcp/ /gradio_api/nothing /gradio_api/call/ask /gradio_api/call/search /gradio_api/call/documents
    /gradio_api/call/v2/ingest /gradio_api/run/predict /v1/embeddings /v1/files /mcp/ /sse /messages/ /nothing
""".split()
# In the place of a {parameter} that takes not just any word.
_PARAMETERS = {"api_name": "ingest", "size": "192", "component_id": "1", "type": "component", "environment": "client"}
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW")
EVIL_TEXT = "An evil sentence."
JSON: Pairs = (("Content-Type", "application/json"),)
TOOLS: Pairs = (*JSON, ("Accept", "application/json, text/event-stream"))

POLICY = ("default-src 'self'", "object-src 'none'", "frame-ancestors 'none'", "base-uri 'self'", "form-action 'self'")
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
UNWANTED = ("server", "x-powered-by", "access-control-allow-origin")
NO_HTTP = b"Invalid HTTP request received."  # uvicorn's word, before there is a request
BROKE = b"something broke"  # our own word, on the page, over REST and MCP, and in an event of /v1
FRAME = re.compile(r'^[ |]*File "(?P<file>[^"]+)", line \d+, in (?P<function>\S+)\n[ |]*(?P<line>.*)$', re.MULTILINE)
# By these lines a request is handed to what is not ours, or refused: what is raised below them is not our fault.
HANDED_ON = (
    "await self._app(",
    "await refusal(",
    "await self._serve(",
    "await self._send(",
    "await _Watched(receive, send).run(",
    "await self._work",
    "form = await super().parse()",
    'raise ValueError("files are sent, not fetched from an address")',
)


def basic(name: str, password: str) -> Pairs:
    return (("Authorization", f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"),)


KNOWN = basic(NAME, PASSWORD)


class Seen:
    """Whether every response carries the headers."""

    def __init__(self) -> None:
        self.row = Row("web: headers of every response")

    def note(self, asked: bytes, responses: Sequence[Response]) -> None:
        first = asked.partition(b"\r\n")[0][:80].decode("latin-1")
        for response in responses:
            if response.status >= 200 and response.body != NO_HTTP:
                self.row.check(f"{first} ({response.status})", header_problem(response))


def header_problem(response: Response) -> str | None:
    wrong = [name for name, value in HEADERS.items() if response.header(name) != value]
    policy = response.header("content-security-policy")
    wrong += [rule for rule in POLICY if rule not in policy]
    wrong += [name for name in UNWANTED if response.header(name)]
    scripts = re.search("script-src ([^;]*)", policy)
    if not scripts or "unsafe-inline" in scripts[1] or "*" in policy:
        wrong.append("script-src")
    return f"wrong: {', '.join(wrong)}" if wrong else None


def broken(response: Response) -> str | None:
    """A server that broke, that said nothing, or that shows how it is made."""
    if response.status == 0:
        return f"no response: {response.text[:100]}"
    if BROKE in response.body:
        return f"its own code broke: {response.text[:100]}"
    if response.status >= 500 and response.status != 503:
        return f"{response.status}: {response.text[:100]}"
    if any(words in response.body for words in (b"Traceback", b'File "', b"site-packages")):
        return f"it shows how it is made: {response.text[:100]}"
    return None


def crashed(said: str) -> list[str]:
    """Where our own code broke, by the tracebacks in what a server said in its terminal.

    Gradio, and MCP, break over requests that they do not expect, which is a 400 to who asks: so a break of ours would
    be seen nowhere else.
    """
    found = set()
    for trace in said.split("Traceback (most recent call last):")[1:]:
        ours = [frame for frame in FRAME.finditer(trace) if OURS in Path(frame["file"]).parents]
        if at := [frame for frame in ours if not frame["line"].startswith(HANDED_ON)]:
            found.add(f"{Path(at[-1]['file']).relative_to(OURS)}, in {at[-1]['function']}: {at[-1]['line']}")
    return sorted(found)


def given_away(response: Response) -> list[str]:
    """Files of this machine that nobody may read here."""
    hostname = Path("/etc/hostname")
    files = {"a file outside": OUTSIDE_TEXT.encode(), "the index's database": b"SQLite format 3", "passwd": b"root:x:"}
    if hostname.is_file() and len(name := hostname.read_bytes().strip()) > 9:
        files["the hostname"] = name
    return [what for what, words in files.items() if words in response.body]


def told_plainly(response: Response, *, over: bool) -> str | None:
    """None when it says in plain words what is wrong, if anything is; `over`: it has to be what was over a limit."""
    text = response.text
    wrong = response.status >= 400 or "event: error" in text or '"isError":true' in text.replace(" ", "")
    if over:
        return (
            None
            if _over_a_limit(response)
            else f"nothing says that it is over the limit ({response.status}): {text[-150:]}"
        )
    if wrong and ("data: null" in text or 'data: {"error": null' in text or '"error":null' in text):
        return f"it does not say what is wrong: {text[-150:]}"
    return None if text.strip() else f"{response.status} without a word"


def taken(response: Response) -> str | None:
    """None when it was let through and is an answer: what is just within a limit has to be."""
    text = response.text
    is_error = "event: error" in text or '"isError":true' in text.replace(" ", "") or '"success":false' in text
    fine = response.status == 200 and text.strip() and not is_error and not _over_a_limit(response)
    return None if fine else f"within the limit, and not taken ({response.status}): {text[-150:]}"


def _over_a_limit(response: Response) -> bool:
    limits = ("at most 4,000", "larger than", "send less", "too large", "exceeded", "parsing the body")
    return response.status == 413 or any(words in response.text for words in limits)


def refused(response: Response, known: bytes) -> str | None:
    """None when a stranger got the one line that all strangers get."""
    if response.body == NO_HTTP and response.status == 400:
        return None
    if response.status != 401 or response.body not in (known, b""):
        return f"{response.status}: {response.text[:100]}"
    return None if response.header("www-authenticate") else "nobody is asked for a name"


# A file as Gradio's components send and get it, in the forms of its versions.
META = {"_type": "gradio.FileData"}
SHAPES: dict[str, Callable[[str], Any]] = {
    "a file": lambda at: {"path": at, "meta": META},
    "a file with its address": lambda at: {"path": at, "url": at, "orig_name": "a.txt", "meta": META},
    "an address alone": lambda at: {"path": "", "url": at, "meta": META},
    "a stream": lambda at: {"path": at, "is_stream": True, "meta": META},
    "a file of the third version": lambda at: {"name": at, "is_file": True, "data": at},
    "files": lambda at: [{"path": at, "meta": META}, [{"path": at, "meta": META}]],
    "a file inside": lambda at: {"video": {"path": at, "meta": META}, "turns": [{"path": at, "meta": META}]},
    "a file in what the page holds": lambda at: {
        "showing": {"path": at, "meta": META}, "turns": [], "only": [{"path": at, "meta": META}], "llm": at,
    },
    "an address in `meta`": lambda at: {"path": "a.txt", "meta": {**META, "url": at}},
    "an update": lambda at: {"__type__": "update", "value": {"path": at, "url": at, "meta": META}},
    "words": lambda at: at,
    "an image of Markdown": lambda at: f"![a]({at}) <img src={at}>",
}  # fmt: skip


@dataclass
class Site:
    """One of the servers, as somebody sees it who sends `headers` along."""

    port: int
    seen: Seen
    headers: Pairs = ()
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def host(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def send(
        self, data: bytes, *, source: str = LOOPBACK, glance: float = GLANCE, patience: float = PATIENCE
    ) -> list[Response]:
        return self.exchange(data, source=source, glance=glance, patience=patience)[0]

    def exchange(
        self, data: bytes, *, source: str = LOOPBACK, glance: float = GLANCE, patience: float = PATIENCE
    ) -> tuple[list[Response], bool]:
        """The responses, and whether the server then closed the connection."""
        responses, is_closed = exchange(self.port, data, source=source, glance=glance, patience=patience)
        self.seen.note(data, responses)
        return responses, is_closed

    def ask(
        self, method: str, target: str, headers: Pairs = (), body: bytes = b"", *, source: str = LOOPBACK,
        glance: float = GLANCE, host: str | None = None, version: str = "1.1",
    ) -> Response:  # fmt: skip
        data = request(method, target, (*self.headers, *headers), body, host=host or self.host, version=version)
        responses = [each for each in self.send(data, source=source, glance=glance) if each.status >= 200]
        return responses[0] if responses else Response(0, (), b"")

    # -- the ways to ask -----------------------------------------------------------------------------------------------

    def rest(self, name: str, body: bytes, *, by_name: bool = False) -> Response:
        """What a call came to: its last event, or why it was refused."""
        started = self.ask("POST", f"/gradio_api/call/{'v2/' * by_name}{name}", JSON, body)
        if started.status != 200:
            return started
        return self.ask("GET", f"/gradio_api/call/{name}/{json.loads(started.body)['event_id']}", glance=PATIENCE)

    def page(self, body: bytes, session: str) -> Response:
        """What an event of the page came to."""
        joined = self.ask("POST", "/gradio_api/queue/join", JSON, body)
        if joined.status != 200:
            return joined
        return self.ask("GET", f"/gradio_api/queue/data?session_hash={session}", glance=PATIENCE)

    def direct(self, body: bytes) -> Response:
        """What an event of the page came to that does not wait in Gradio's queue."""
        return self.ask("POST", "/gradio_api/run/predict", JSON, body, glance=PATIENCE)

    def completion(self, body: bytes) -> Response:
        return self.ask("POST", "/v1/chat/completions", JSON, body)

    def tool(self, body: bytes) -> Response:
        return self.ask("POST", "/mcp", TOOLS, body)

    def component(self, component: object, name: str, data: object) -> Response:
        """What one of the page's own functions says to its script."""
        sent = {"data": data, "component_id": component, "session_hash": self.session(), "fn_name": name}
        return self.ask("POST", "/gradio_api/component_server", JSON, as_json(sent), glance=PATIENCE)

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """Those of the page, as Gradio describes them."""
        found: list[dict[str, Any]] = json.loads(self.ask("GET", "/config").body)["dependencies"]
        return found

    @cached_property
    def functions(self) -> list[tuple[int, str]]:
        """Those of the page's own scripts: the component, and the name."""
        components = json.loads(self.ask("GET", "/config").body)["components"]
        return [(each["id"], name) for each in components for name in each["props"].get("server_fns") or ()]

    def event(self, event: dict[str, Any], data: object) -> Iterator[Response]:
        """What an event of the page comes to, with `data` in every place: from its queue, and asked for directly."""
        session = self.session()
        sent = {"fn_index": event["id"], "session_hash": session, "data": [data] * len(event["inputs"])}
        body = as_json({**sent, "event_data": data})
        yield self.page(body, session)
        yield self.direct(body)

    def session(self) -> str:
        return f"s{next(self.numbers)}"

    def answers(self) -> str | None:
        """None when it answers a question as it should."""
        asked = as_json({"messages": [{"role": "user", "content": QUESTION}]})
        answer = self.completion(asked)
        return None if answer.status == 200 and CANARY in answer.text else f"then it answers: {answer.text[:100]}"


def form(*parts: tuple[str, str, bytes]) -> tuple[Pairs, bytes]:
    """Files as a form: (field, name, content)."""
    body = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="{part}"; filename="{name}"\r\n\r\n'.encode() + data + b"\r\n"
        for part, name, data in parts
    )
    return (("Content-Type", "multipart/form-data; boundary=x"),), body + b"--x--\r\n"


def tool_call(tool: str, **arguments: Any) -> bytes:
    called = {"name": tool, "arguments": arguments}
    return as_json({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": called})


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


@dataclass
class Ground:
    """Where attacks take place: the servers' process, each server as a stranger or a guest sees it, and all it has."""

    served: Served
    chance: random.Random
    few: bool

    def __post_init__(self) -> None:
        ports = self.served.ports
        self.seen = Seen()
        self.stranger = Site(ports["closed"], self.seen)
        self.known = Site(ports["closed"], self.seen, KNOWN)
        self.local = Site(ports["local"], self.seen)
        self.public = Site(ports["public"], self.seen)
        self.sources = (f"127.0.{high}.{low}" for high in range(1, 255) for low in range(1, 255))
        self.targets = sorted({_filled(path) for path, _ in self.served.routes} | set(ELSEWHERE))

    def some(self, all_of_them: Sequence[Any], number: int) -> Sequence[Any]:
        """This many of them in `few` mode."""
        return self.chance.sample(all_of_them, min(number, len(all_of_them))) if self.few else all_of_them

    def state(self) -> tuple[object, ...]:
        """What a stranger must not change: the documents, and the files in the folders that belong to them."""
        folders = (self.served.index / "uploads", self.served.arriving)
        files = sorted(str(file) for folder in folders for file in folder.rglob("*") if file.is_file())
        return self.local.rest("documents", b'{"data": []}').body, files

    def unchanged(self, row: Row, before: object) -> Row:
        row.check("the documents", "something was added, removed or left" if self.state() != before else None)
        return row


def _filled(path: str) -> str:
    """A path that its route takes."""
    return re.sub(r"{(\w+)(?::\w+)?}", lambda found: _PARAMETERS.get(found[1], "x"), path)
