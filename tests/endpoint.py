"""What the scripted servers of the tests share: they listen on loopback and keep what they were asked."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

HANG = 30.0  # longer than any deadline of these tests, and the server gives up then


class Server(ThreadingHTTPServer):
    """Plays an OpenAI-compatible server at `url`; `requests` keeps what it was asked."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.requests: list[dict[str, Any]] = []
        self.client_left = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Asked(BaseHTTPRequestHandler):
    """Reads a request; what is said to it is a subclass's business."""

    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        told = {"path": self.path, "key": self.headers["Authorization"], "headers": dict(self.headers.items())}
        self.server.requests.append({**told, **body})
        self.reply(body)

    def reply(self, body: dict[str, Any]) -> None:
        raise NotImplementedError

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


class Speaking(Asked):
    """Has the words for a reply: those of OpenAI's protocol, and others."""

    def begin(self, kind: str = "text/event-stream", length: int | None = None, **headers: str) -> None:
        self._head(200, kind, length, headers)

    def say(self, word: str) -> None:
        self.write(f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': word}}]})}\n\n")

    def end(self) -> None:
        self.write("data: [DONE]\n\n")

    def write(self, text: str | bytes) -> None:
        self.wfile.write(text.encode() if isinstance(text, str) else text)
        self.wfile.flush()

    def fail(self, status: int, message: str, **headers: str) -> None:
        data = json.dumps({"error": {"message": message}}).encode()
        self._head(status, "application/json", len(data), headers)
        self.wfile.write(data)

    def wait_for_the_client_to_leave(self) -> None:
        self.connection.settimeout(HANG)
        try:
            if self.connection.recv(1) == b"":
                self.server.client_left.set()
        except ConnectionError:
            self.server.client_left.set()

    def _head(self, status: int, kind: str, length: int | None, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


class Endless(Speaking):
    """Plays an LLM that says one word after the other and never ends."""

    def reply(self, body: dict[str, Any]) -> None:
        self.begin()
        with suppress(OSError):  # nobody listens any more
            while True:
                self.say("word ")
                time.sleep(0.1)


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine that nobody vouches for, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not certificate.exists():
        command = "openssl req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=localhost".split()
        command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
        subprocess.run([*command, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    return certificate, key


def eventually(is_so: Callable[[], bool], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        time.sleep(0.02)
    return is_so()


def reading() -> set[threading.Thread]:
    """The threads that read a reply now."""
    return {thread for thread in threading.enumerate() if "_read" in thread.name}


AServer = TypeVar("AServer", bound=Server)


@contextmanager
def serving(server: AServer) -> Iterator[AServer]:
    """The server, while it answers in a thread."""
    with server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()  # seconds until its end is seen
        yield server
        server.shutdown()
