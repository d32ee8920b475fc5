"""Strangers at the web server: without credentials, with guessed ones, or through somebody else's browser."""

from __future__ import annotations

import base64
import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from .served import CANARY, FILE, NAME, PASSWORD
from .table import Row
from .website import EVIL_TEXT, JSON, KNOWN, METHODS, NO_HTTP, QUESTION, TOOLS, Ground, as_json, basic, refused
from .wire import LOOPBACK, Pairs, Response, chunked, request

ENDS_WITHIN_S = 10.0  # a frame that is no HTTP
CHANGING = ("POST", "PUT", "DELETE", "PATCH")
WEBSOCKET: Pairs = (
    ("Connection", "Upgrade, close"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)

# What an open server would do: add a document. It is a valid request to REST, MCP and the page at once.
EVIL_NAME = "evil.txt"
EVIL = {
    "data": [EVIL_NAME, EVIL_TEXT, ""], "name": EVIL_NAME, "text": EVIL_TEXT, "fn_index": 3, "session_hash": "evil",
    "jsonrpc": "2.0", "id": 1, "method": "tools/call",
    "params": {"name": "ingest", "arguments": {"name": EVIL_NAME, "text": EVIL_TEXT}},
    "messages": [{"role": "user", "content": QUESTION}],
}  # fmt: skip

Trick = Callable[[str], str]
TRICKS: dict[str, Trick] = {
    "//": lambda path: f"/{path}",
    "/./": lambda path: f"/.{path}",
    "/x/..": lambda path: f"/x/..{path}",
    "%2e%2e": lambda path: f"/static/%2e%2e{path}",
    "a trailing slash": lambda path: f"{path}/",
    ";x": lambda path: f"{path};x=1",
    "encoded slashes": lambda path: "/" + path[1:].replace("/", "%2f"),
    "doubly encoded": lambda path: "/" + path[1:].replace("/", "%252f"),
    "all encoded": lambda path: "/" + "".join(f"%{ord(letter):02x}" for letter in path[1:]),
    "upper case": lambda path: path.upper(),
    "/gradio_api/..": lambda path: f"/gradio_api/..{path}",
    "/gradio_api/../": lambda path: f"/gradio_api/%2e%2e{path}",
    "the page's static files": lambda path: f"/static/..{path}",
    "absolute form": lambda path: f"http://{LOOPBACK}{path}",
    "absolute form, another host": lambda path: f"http://evil.example{path}",
    "without a slash": lambda path: path[1:] or "x",
    "a query": lambda path: f"{path}?auth={NAME}:{PASSWORD}&token=1",
    "NUL": lambda path: f"{path}%00.css",
    "a line break": lambda path: f"{path}%0d%0aX-Evil:%201",
    "backslashes": lambda path: path.replace("/", "\\"),
    "a fragment": lambda path: f"{path}#x",
    "a static file's suffix": lambda path: f"{path}/x.css",
    "no UTF-8": lambda path: f"{path}%ff%c0%af",
}

# Headers by which others let themselves be told who asks, or for what.
CLAIMS: dict[str, Pairs] = {
    "the proxy's user": (("X-Forwarded-User", NAME), ("X-Remote-User", NAME), ("Remote-User", NAME)),
    "another path": (("X-Original-URL", "/robots.txt"), ("X-Rewrite-URL", "/robots.txt")),
    "another method": (("X-HTTP-Method-Override", "OPTIONS"), ("X-Method-Override", "GET")),
    "this machine": (("X-Forwarded-For", LOOPBACK), ("X-Real-IP", LOOPBACK), ("X-Forwarded-Host", "localhost")),
    "a cookie of Gradio's": (("Cookie", "access-token-unsecure-x=1; access-token-x=1; session=1"),),
    "Gradio's own client": (
        ("x-gradio-user", "app"),
        ("x-gradio-server", "http://127.0.0.1"),
        ("User-Agent", "gradio"),
    ),
    "another root": (("X-Forwarded-Prefix", "/static"), ("X-Forwarded-Proto", "https")),
    "a part of it": (("Range", "bytes=0-10"), ("If-None-Match", "*")),
}

# Headers by which an address could pretend to be another one at each failed login.
DODGES = (
    "X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP",
    "X-Originating-IP", "X-Cluster-Client-IP", "Fastly-Client-IP", "Via",
)  # fmt: skip

# None of these is a name and its password.
NO_LOGIN = (
    "", "Basic", "Basic ", "Basic !", "Basic YWRh", "Basic Og==", "Basic =", "Basic ====", "Basic YWRhOg", "Bearer",
    "Bearer ada", "Bearer ada:", "Bearer :", "Bearer null", f"Bearer {NAME}:{PASSWORD} ,", f"Bearer {NAME}:*",
    f"Bearer {NAME.upper()}:{PASSWORD}", f"Bearer {NAME}:{PASSWORD.upper()}", f"Digest username={NAME}",
    f"Negotiate {NAME}:{PASSWORD}x", f"{NAME}:{PASSWORD}", "\x80", "Basic \xff\xfe", f"Bearer {NAME}:{PASSWORD}\x00x",
    f"Basic {base64.b64encode(f'{NAME}:{PASSWORD}'.encode()).decode().rstrip('=')}!=",
    f"Basic {base64.b64encode(f'{NAME}:{PASSWORD},x:y'.encode()).decode()}",
    "Bearer " + "a" * 50_000, "Basic " + "QUFB" * 10_000,
)  # fmt: skip


def without_credentials(ground: Ground) -> Row:
    row = Row("web: every route without a name")
    before = ground.state()
    known = ground.stranger.ask("GET", "/health").body
    for path in ground.targets:
        for method in METHODS:
            body = as_json(EVIL) if method in CHANGING else b""
            row.check(f"{method} {path}", refused(ground.stranger.ask(method, path, TOOLS, body), known))
        row.check(f"websocket {path}", refused(ground.stranger.ask("GET", path, WEBSOCKET), known))
    row.figures = f"{len(ground.served.routes)} routes, {len(ground.targets)} paths"
    row.check("the words", _valuable(known))
    return ground.unchanged(row, before)


def tricks(ground: Ground) -> Row:
    row = Row("web: tricks of paths and headers without a name")
    before = ground.state()
    known = ground.stranger.ask("GET", "/health").body
    for path in ground.some(ground.targets, 12):
        for what, trick in TRICKS.items():
            for method in ("GET", "POST"):
                body = as_json(EVIL) if method == "POST" else b""
                response = ground.stranger.ask(method, trick(path), JSON, body)
                row.check(f"{what}: {method} {path}", refused(response, known))
        for what, claim in CLAIMS.items():
            row.check(f"{what}: {path}", refused(ground.stranger.ask("GET", path, claim), known))
    return ground.unchanged(row, before)


def no_http(ground: Ground) -> Row:
    """Frames that two readers could read differently: whatever is hidden in them is refused, too."""
    row = Row("web: what is no HTTP, pipelines, smuggling")
    before = ground.state()
    known = ground.stranger.ask("GET", "/health").body
    for what, data in _frames(ground.stranger.host):
        responses, is_closed = ground.stranger.exchange(data, patience=ENDS_WITHIN_S)
        row.check(what, unanswered(responses, is_closed=is_closed), *(refused(each, known) for each in responses))
    # What somebody has shown on a connection that a proxy shares does not open it for the next one.
    first = request("GET", "/health", (*KNOWN, ("Connection", "keep-alive")))
    shown, *others = ground.stranger.send(first + request("GET", "/health"))
    row.check("behind somebody known", *(refused(each, known) for each in others or [shown]))
    row.check("it goes on", ground.known.answers())
    return ground.unchanged(row, before)


def unanswered(responses: Sequence[Response], *, is_closed: bool) -> str | None:
    """None when something came back, or the connection was closed: else nobody knows what became of a frame."""
    return None if responses or is_closed else f"neither a response nor a close within {ENDS_WITHIN_S:g} s"


def logins(ground: Ground) -> Row:
    row = Row("web: guessing passwords")
    known = ground.stranger.ask("GET", "/health").body
    for no_login in NO_LOGIN:
        source = next(ground.sources)
        response = ground.stranger.ask("GET", "/health", (("Authorization", no_login),), source=source)
        row.check(f"{no_login[:40]!r}", refused(response, known))
    large = ground.stranger.ask("GET", "/health", (("Authorization", "Basic " + "A" * 1_000_000),))
    row.check("a login of 1 MB", None if large.body == NO_HTTP else f"{large.status}: {large.text[:80]}")
    for dodge in ("", *ground.some(DODGES, 4)):
        row.check(f"dodging with {dodge or 'nothing'}", *_guessing(ground, dodge))
    row.check("all at once", *_guessing_at_once(ground))
    return row


def _guessing(ground: Ground, dodge: str) -> Iterator[str | None]:
    """Ten guesses in different forms from one address, then the right one, from there and from elsewhere."""
    source, forms = next(ground.sources), count()

    def ask(authorization: Pairs) -> Response:
        number = next(forms)
        claimed = f"for=10.0.0.{number}" if dodge == "Forwarded" else f"10.0.0.{number}"
        target = ("/health", "/", "/v1/models", "/mcp", "/nothing")[number % 5]
        method = ("GET", "POST", "HEAD", "OPTIONS")[number % 4]
        headers = (*authorization, *(((dodge, claimed),) if dodge else ()))
        return ground.stranger.ask(method, target, headers, source=source)

    for number in range(10):
        guess = basic(NAME, f"guess {number}") if number % 2 else (("authorization", f"bearer {NAME}:{number}"),)
        response = ask(guess)
        yield None if response.status == 401 else f"guess {number}: {response.status}"
    for authorization in (KNOWN, KNOWN, basic(NAME, "guess"), ()):
        late = ask(authorization)
        wait = late.header("retry-after")
        waits = late.status == 429 and wait.isdigit() and 0 < int(wait) <= 61
        yield None if waits else f"after ten guesses: {late.status}, Retry-After {wait!r}"
    for elsewhere in (LOOPBACK, next(ground.sources)):
        honest = ground.known.ask("GET", "/health", source=elsewhere)
        yield None if honest.status == 200 else f"somebody else is kept out: {honest.status}"


def _guessing_at_once(ground: Ground) -> Iterator[str | None]:
    source = next(ground.sources)
    with ThreadPoolExecutor(20) as threads:
        guess = basic(NAME, "guess")
        asked = [threads.submit(ground.stranger.ask, "GET", "/health", guess, source=source) for _ in range(60)]
        statuses = [each.result().status for each in asked]
    heard = statuses.count(401)
    yield None if heard <= 10 else f"{heard} guesses were heard"
    yield None if set(statuses) <= {401, 429} else f"{sorted(set(statuses))}"


def other_websites(ground: Ground) -> Row:
    """A page of another origin in the browser of somebody who may come in; and a name that was pointed here."""
    row = Row("web: requests that other websites make")
    before = ground.state()
    origins = (
        "http://evil.example",
        "null",
        f"http://{ground.known.host}.evil.example",
        f"http://{LOOPBACK}:1",
        "",
        "x",
    )
    for path in ground.some(ground.targets, 20):
        for method in ground.some(CHANGING, 2):
            for origin in ground.some(origins, 2):
                for site in (ground.known, ground.local, ground.public):
                    said = site.ask(method, path, (*TOOLS, ("Origin", origin)), as_json(EVIL))
                    row.check(f"{method} {path} from {origin!r}", None if said.status == 403 else f"{said.status}")
            for host in ground.some(("evil.example", "evil.example:7860", "", f"{LOOPBACK}.evil.example"), 2):
                pairs = (*TOOLS, ("Host", host), ("Origin", f"http://{host}"))
                data = request(method, path, pairs, as_json(EVIL), host=None)
                (said, *_) = ground.local.send(data)
                row.check(f"{method} {path} to {host!r}", None if said.status == 421 else f"{said.status}")
    return ground.unchanged(row, before)


def _valuable(words: bytes) -> str | None:
    """None when the line that strangers get says nothing of what there is."""
    secrets = [CANARY, FILE, NAME, PASSWORD, "walrus", "gradio", "uvicorn", "python", "component", "/tmp"]
    secrets += [importlib.metadata.version(package) for package in ("gradio", "starlette", "uvicorn", "rag-quoted")]
    told = [secret for secret in secrets if secret.lower().encode() in words.lower()]
    return f"strangers are told {told}" if told or len(words) > 200 else None


def _frames(host: str) -> Iterator[tuple[str, bytes]]:
    evil = as_json(EVIL)
    hidden = request("POST", "/gradio_api/call/v2/ingest", JSON, evil, host=host)
    last = request("GET", "/health", host=host)
    first = request("GET", "/health", (("Connection", "keep-alive"),), host=host)
    yield "HTTP/1.0 without a Host", request("GET", "/health", host=None, version="1.0")
    yield "HTTP/1.1 without a Host", request("GET", "/health", host=None)
    yield "HTTP/0.9", b"GET /health\r\n\r\n"
    yield "HTTP/2 without asking", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "HTTP/9.9", request("GET", "/health", host=host, version="9.9")
    yield "an upgrade to HTTP/2", request("GET", "/health", (("Connection", "Upgrade, close"), ("Upgrade", "h2c")))
    yield "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n"
    yield "noise", bytes(range(256)) * 4 + b"\r\n\r\n"
    yield "OPTIONS *", request("OPTIONS", "*", host=host)
    yield "CONNECT", request("CONNECT", "127.0.0.1:22", host=host)
    yield "TRACE", request("TRACE", "/health", host=host)
    yield "two in one", first + last
    yield "twenty in one", first * 19 + last
    yield "an ingest behind a refusal", request("POST", "/health", (("Connection", "keep-alive"),), b"{}") + hidden
    yield "two Hosts", request("GET", "/health", (("Host", "evil.example"),), host=host)
    yield "two logins", request("GET", "/health", (("Authorization", "Basic x"), ("Authorization", "Basic y")))
    for what, pairs in {
        "both lengths": (("Transfer-Encoding", "chunked"), ("Content-Length", "5")),
        "both lengths, the other way": (("Content-Length", str(len(hidden) + 5)), ("Transfer-Encoding", "chunked")),
        "two lengths": (("Content-Length", "0"), ("Content-Length", str(len(hidden)))),
        "two lengths in one": (("Content-Length", f"0, {len(hidden)}"),),
        "a negative length": (("Content-Length", "-1"),),
        "a signed length": (("Content-Length", "+5"),),
        "a length in hexadecimal": (("Content-Length", "0x5"),),
        "a length in another script": (("Content-Length", "\xb2"),),
        "a length without end": (("Content-Length", "9" * 30),),
        "an unknown encoding": (("Transfer-Encoding", "gzip, chunked"),),
        "chunked twice": (("Transfer-Encoding", "chunked, chunked"),),
        "chunked, disguised": (("Transfer-Encoding", "\x0bchunked"),),
        "chunked, in another name": (("Transfer_Encoding", "chunked"), ("Content-Length", "0")),
    }.items():
        yield what, request("POST", "/health", (*JSON, ("Connection", "keep-alive"), *pairs), b"0\r\n\r\n" + hidden)
    yield (
        "a chunk without end",
        request("POST", "/health", (("Transfer-Encoding", "chunked"),), b"f" * 30 + b"\r\n" + hidden),
    )
    yield (
        "an extension of a chunk",
        request(
            "POST", "/health", (("Transfer-Encoding", "chunked"),), b"1;a=" + b"x" * 70_000 + b"\r\na\r\n0\r\n\r\n"
        ),
    )
    yield "a trailer that logs in", request(
        "GET", "/health", (("Transfer-Encoding", "chunked"), ("Trailer", "Authorization")),
        chunked(b"x")[:-2] + f"Authorization: {KNOWN[0][1]}\r\n\r\n".encode(),
    )  # fmt: skip
    yield "lines of LF alone", request("GET", "/health", host=host).replace(b"\r\n", b"\n")
    yield "a folded header", request("GET", "/health", (("X-A", "1\r\n  2"),), host=host)
    yield "a header without a colon", request("GET", "/health", (("X-A\r\nnothing", "1"),), host=host)
    yield "a space before the colon", request("GET", "/health", (("Host ", host),), host=host)
    yield "NUL in a header", request("GET", "/health", (("X-A", "\x00"),), host=host)
    yield "a thousand headers", request("GET", "/health", tuple((f"X-{n}", "1") for n in range(1000)), host=host)
    yield "a header of 1 MB", request("GET", "/health", (("X-A", "a" * 1_000_000),), host=host)
    yield "a path of 1 MB", request("GET", "/" + "a" * 1_000_000, host=host)
    yield "a query of 60 KB", request("GET", "/health?" + "a=b&" * 15_000, host=host)
    yield "a method of 10 KB", request("A" * 10_000, "/health", host=host)
    yield "a method in lower case", request("get", "/health", host=host)
    yield "waiting for 100", request("POST", "/gradio_api/upload", (("Expect", "100-continue"),), evil, host=host)


ATTACKS = (without_credentials, tricks, no_http, logins, other_websites)
