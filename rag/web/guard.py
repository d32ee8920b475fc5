"""One door in front of every route: who may come in, how much they may bring, and the headers they leave with.

It is plain ASGI and wraps the whole app, so that no route of Gradio, ours or MCP's can be forgotten.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ..errors import SettingsError
from ..uploads import MAX_BYTES
from .line import Busy
from .turns import MOST_BYTES

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# How much a request may bring, by the start of its path; the first that fits. Gradio reads and keeps all of it.
WITH_FILE_BYTES = 30_000_000  # a file of MAX_BYTES, as base64 in JSON
_BODY_BYTES = {
    "/v1": 1_000_000,
    "/mcp": WITH_FILE_BYTES,
    "/gradio_api/upload": MAX_BYTES + 1_000_000,  # one file, and its frame
    "/gradio_api/call/ingest": WITH_FILE_BYTES,
    "/gradio_api/call/v2/ingest": WITH_FILE_BYTES,
    "/gradio_api/call/": 1_000_000,
    # Gradio's own clients ingest by these, too, and the page asks with its whole conversation:
    "/gradio_api/queue/join": WITH_FILE_BYTES,
    "/gradio_api/run/": WITH_FILE_BYTES,
    "/gradio_api/api/": WITH_FILE_BYTES,
    "/gradio_api/component_server": 2 * MOST_BYTES + 1_000_000,  # a conversation to export, with letters as escapes
}
_OTHER_BODY_BYTES = 100_000

# Routes of Gradio that we do not use: they fetch from elsewhere, or are for those who write Gradio apps.
_CLOSED = re.compile(
    r"/gradio_api/(proxy=|file[=/]https?:|vibe-|undo-vibe-|run-history|runs|deep_link|dev/|process_recording|profiling)"
    r"|/monitoring",
    re.IGNORECASE,
)

_CALLS = "/gradio_api/call/"  # a program's; the page itself says that it is full

_NEAR = (".local", ".localhost", ".lan", ".internal", ".home.arpa")  # nobody can register a name below these

_FAILURES = 10  # logins of one address
_SECONDS = 60.0  # within which they count
_ADDRESSES = 10_000  # remembered at once: those that failed last

_PAGE = "/"  # the one path whose inline scripts are Gradio's own
_SCRIPT = re.compile(rb"<script(?:\s[^>]*)?>(.*?)</script>", re.DOTALL)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Users:
    """Who may come in. Passwords are compared in constant time; an address that fails too often has to wait."""

    def __init__(self, names_and_passwords: SecretStr, clock: Callable[[], float] = time.monotonic) -> None:
        """`names_and_passwords` is "name:password,name2:password2". Raises SettingsError when it is not."""
        pairs = [pair.strip() for pair in names_and_passwords.get_secret_value().split(",")]
        if not all(name and password for name, _, password in (pair.partition(":") for pair in pairs)):
            raise SettingsError("setting 'auth' is not 'name:password,name2:password2'; correct RAG_AUTH or rag.toml")
        self._digests = [_digest(pair) for pair in pairs]
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Seconds until `address` may try again; 0 when it may now."""
        failures = self._failures.get(_counted_as(address))
        if not failures:
            return 0
        while failures and failures[0] <= self._clock() - _SECONDS:
            failures.popleft()
        return int(failures[0] + _SECONDS - self._clock()) + 1 if len(failures) >= _FAILURES else 0

    def known(self, authorization: str, address: str) -> bool:
        """Whether an Authorization header (Basic, or Bearer with "name:password") names a user; else it counts."""
        given = _digest(_credentials(authorization))
        if sum(hmac.compare_digest(given, digest) for digest in self._digests):  # all of them: no early end
            return True
        self._note(_counted_as(address))
        return False

    def _note(self, counted_as: str) -> None:
        self._failures.setdefault(counted_as, deque()).append(self._clock())
        self._failures.move_to_end(counted_as)
        if len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)


class Guard:
    """The app behind the door.

    `users` None lets everybody in; then only requests that were addressed to this machine by a name of its own are
    served (`is_own_name`; None: a proxy sees to it): a website whose name suddenly points here (DNS rebinding) is not.
    """

    def __init__(
        self,
        app: App,
        users: Users | None = None,
        *,
        is_own_name: Callable[[str], bool] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self._users = users
        self._is_own_name = is_own_name
        self._check = check  # raises Busy when nobody more can even wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":  # there is no websocket
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        limit = _body_limit(scope["path"])
        send = _Answering(scope, send)
        if refusal := self._refusal(scope, headers, limit):
            await refusal(scope, receive, send)
            return
        if scope["path"] == _PAGE:  # it has to be readable here
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
        await self._app(scope, _Body(receive, limit), send)

    def _refusal(self, scope: Scope, headers: Headers, limit: int) -> Response | None:
        named = _hostname(headers.get("host", ""))
        if self._is_own_name and not self._users and not self._is_own_name(named):
            return _refused(421, "this page is not served under that name; see RAG_AUTH and RAG_PROXY")
        if not _is_own_origin(headers):
            return _refused(403, "another website asked for this; it is served to its own page only")
        if self._users and (refusal := _login(self._users, headers, scope)):
            return refusal
        if _CLOSED.match(scope["path"]):
            return _refused(404, "there is nothing here")
        if scope["path"].startswith(_CALLS) and scope["method"] == "POST":
            try:
                self._check()
            except Busy as busy:
                return _refused(503, str(busy), retry_after=2)
        declared = headers.get("content-length", "0")
        return _refused(413, _too_large(limit)) if not declared.isdigit() or int(declared) > limit else None


# -- coming in ---------------------------------------------------------------------------------------------------------


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that is bound to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_near(host: str) -> bool:
    """Whether no website elsewhere can have that name: an address, a local network's name, or this machine's own."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        name = host.lower().rstrip(".")
        return bool(name) and ("." not in name or name.endswith(_NEAR) or name == socket.gethostname().lower())
    return True


def _hostname(netloc: str) -> str:
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _is_own_origin(headers: Headers) -> bool:
    """Browsers say which page asks. Scripts and command lines say nothing."""
    origin = headers.get("origin")
    if origin is None:
        return True
    hosts = {headers.get("host", ""), *headers.get("x-forwarded-host", "").split(",")}
    asking = origin.partition("://")[2]
    return bool(asking) and asking in {host.strip() for host in hosts}


def _login(users: Users, headers: Headers, scope: Scope) -> Response | None:
    address = (scope.get("client") or ("",))[0]
    if seconds := users.wait(address):
        return _refused(429, f"too many failed logins; try again in {seconds} seconds", seconds)
    authorization = headers.get("authorization")
    if authorization and users.known(authorization, address):
        return None
    refused = _refused(401, "a name and a password are needed")
    refused.headers["www-authenticate"] = 'Basic realm="rag", charset="UTF-8"'
    return refused


def _counted_as(address: str) -> str:
    """The address, of IPv6 its /64: whoever has one address there has them all."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return address
    return str(ip.ipv4_mapped or ip.packed[:8].hex())


def _credentials(authorization: str) -> str:
    """The "name:password" of an Authorization header; "" when it is of another kind, and no password is."""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError:
        return ""


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _refused(status: int, line: str, retry_after: int | None = None) -> Response:
    headers = {"retry-after": str(retry_after)} if retry_after else None
    return JSONResponse({"error": {"message": line, "type": "invalid_request_error", "code": status}}, status, headers)


def _too_large(limit: int) -> str:
    return f"the request is larger than {limit / 1e6:g} MB; send less"


def _body_limit(path: str) -> int:
    return next((limit for start, limit in _BODY_BYTES.items() if path.startswith(start)), _OTHER_BODY_BYTES)


class _Body:
    """Counts what a request brings: its headers need not say it."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._left = limit

    async def __call__(self) -> Event:
        event = await self._receive()
        self._left -= len(event.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, _too_large(self._limit))
        return event


# -- going out ---------------------------------------------------------------------------------------------------------


class _Answering:
    """Adds the headers; holds the page back until it is whole, because its policy names its inline scripts by hash."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._hashes = scope["path"] == _PAGE
        self._start: Event = {}
        self._page = b""

    async def __call__(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            if self._hashes:
                self._start = event
            else:
                await self._send(_with_headers(event))
        elif not self._hashes:
            await self._send(event)
        else:
            self._page += event.get("body", b"")
            if not event.get("more_body"):
                await self._send(_with_headers(self._start, _script_hashes(self._page)))
                await self._send({"type": "http.response.body", "body": self._page})


def _with_headers(start: Event, scripts: str = "") -> Event:
    headers = {**_HEADERS, "content-security-policy": _policy(scripts)}
    kept = [pair for pair in start.get("headers", []) if pair[0].lower().decode("latin-1") not in headers]
    return {**start, "headers": [*kept, *((name.encode(), value.encode()) for name, value in headers.items())]}


def _policy(scripts: str) -> str:
    """'unsafe-eval' because gr.HTML compiles our own listeners, inline styles because Gradio sets them as it draws."""
    return (
        f"default-src 'self'; script-src 'self' 'unsafe-eval'{scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob:; connect-src 'self'; "
        "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )


def _script_hashes(page: bytes) -> str:
    found = (script for script in _SCRIPT.findall(page) if script)
    return "".join(f" 'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in found)
