"""What the scripted servers of the tests share: they listen on loopback and keep what they were asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar


class Server(ThreadingHTTPServer):
    """Plays an OpenAI-compatible server at `url`; `requests` keeps what it was asked."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.requests: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Asked(BaseHTTPRequestHandler):
    """Reads a request; what is said to it is a subclass's business."""

    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, "key": self.headers["Authorization"], **body})
        self.reply(body)

    def reply(self, body: dict[str, Any]) -> None:
        raise NotImplementedError

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


AServer = TypeVar("AServer", bound=Server)


@contextmanager
def serving(server: AServer) -> Iterator[AServer]:
    """The server, while it answers in a thread."""
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
