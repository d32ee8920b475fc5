"""HTTP by the byte: requests that no client library would send, and all that comes back."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
PATIENCE = 60.0  # until a response begins, and until one that is no stream ends
GLANCE = 0.25  # at a stream of events, after its last words

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Response:
    """What came back. `whole` is false for one that was still going on, a stream of events."""

    status: int
    headers: Pairs
    body: bytes
    whole: bool = True

    def header(self, name: str) -> str:
        """All values of a header, in one line."""
        return ", ".join(value for key, value in self.headers if key == name)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def request(
    method: str,
    target: str,
    headers: Pairs = (),
    body: bytes = b"",
    *,
    host: str | None = LOOPBACK,
    version: str = "1.1",
) -> bytes:
    """A request as it goes over the wire; nothing is quoted or checked. It asks for the connection to be closed."""
    named = {name.lower() for name, _ in headers}
    lines = [f"{method} {target} HTTP/{version}", *([f"Host: {host}"] if host is not None else [])]
    lines += [f"{name}: {value}" for name, value in headers]
    if "connection" not in named:
        lines.append("Connection: close")
    if body and not named & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


@contextmanager
def half_an_upload(url: str) -> Iterator[None]:
    """Half a file is sent to the page at `url`; its sender is gone when the block ends."""
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="half.txt"\r\n\r\n'
    headers = [("Content-Type", "multipart/form-data; boundary=x"), ("Content-Length", "1000000")]
    sent = request("POST", "/gradio_api/upload", headers, part + b"a" * 500_000, host=f"{host}:{port}")
    with socket.create_connection((host, int(port))) as sender:
        sender.sendall(sent)
        yield


def chunked(*pieces: bytes) -> bytes:
    """A body that does not say how long it is."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"


def connect(port: int, source: str = LOOPBACK) -> socket.socket:
    """A connection from the address `source` of this machine."""
    return socket.create_connection((LOOPBACK, port), timeout=PATIENCE, source_address=(source, 0))


def exchange(
    port: int, data: bytes, *, source: str = LOOPBACK, glance: float = GLANCE, patience: float = PATIENCE
) -> tuple[list[Response], bool]:
    """All responses to `data`, until the server closes the connection, or says nothing for as long as one waits.

    And whether it closed the connection.
    """
    with connect(port, source) as connection:
        with suppress(ConnectionError):  # it may refuse before it has heard all
            connection.sendall(data)
        received, is_closed = _received(connection, glance, patience)
    is_head = data.startswith(b"HEAD ")
    found = []
    while received:
        response, received = _parsed(received, is_head=is_head)
        found.append(response)
    return found, is_closed


def _received(connection: socket.socket, glance: float, patience: float) -> tuple[bytes, bool]:
    received = bytearray()
    until = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < until:
            connection.settimeout(glance if _is_stream(received) else patience)
            if not (piece := connection.recv(1 << 20)):
                return bytes(received), True
            received += piece
    except ConnectionError:
        return bytes(received), True
    except TimeoutError:
        pass
    return bytes(received), False


def _is_stream(received: bytearray) -> bool:
    head, end, _ = bytes(received[:4000]).partition(b"\r\n\r\n")
    return bool(end) and b"text/event-stream" in head.lower()


def _parsed(data: bytes, *, is_head: bool) -> tuple[Response, bytes]:
    """The first response, and what follows it."""
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        status = int(first.split()[1])
    except (IndexError, ValueError):
        return Response(0, (), data), b""
    pairs = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    named = dict(pairs)
    if is_head or status < 200 or status in (204, 304):
        return Response(status, pairs, b""), rest
    if "chunked" in named.get("transfer-encoding", ""):
        body, rest, whole = _joined(rest)
        return Response(status, pairs, body, whole), rest
    length = int(named["content-length"]) if "content-length" in named else len(rest)
    return Response(status, pairs, rest[:length], len(rest) >= length), rest[length:]


def _joined(data: bytes) -> tuple[bytes, bytes, bool]:
    """The chunks in one, what follows them, and whether they ended."""
    body = bytearray()
    while True:
        size, _, data = data.partition(b"\r\n")
        try:
            length = int(size, 16)
        except ValueError:
            return bytes(body), b"", False
        if length == 0:
            return bytes(body), data[2:], True
        body += data[:length]
        data = data[length + 2 :]


class Listener(socketserver.ThreadingTCPServer):
    """Listens on this machine: `heard` has the beginning of what each connection said, in whatever protocol."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, reply: bytes = b"", *, host: str = LOOPBACK) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), _Hearing)
        self.reply = reply or b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        self.heard: list[bytes] = []
        self.port = int(self.server_address[1])
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Who leaves early is no trouble."""

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        self.server_close()


class _Hearing(socketserver.BaseRequestHandler):
    server: Listener

    def handle(self) -> None:
        self.request.settimeout(2)
        said = b""
        with suppress(OSError):
            while b"\r\n\r\n" not in said and (piece := self.request.recv(1 << 16)):
                said += piece
            head, _, body = said.partition(b"\r\n\r\n")
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    while len(body) < int(line.partition(b":")[2]) and (piece := self.request.recv(1 << 16)):
                        body += piece
            said = head + b"\r\n\r\n" + body
        self.server.heard.append(said)
        with suppress(OSError):
            self.request.sendall(self.server.reply)
