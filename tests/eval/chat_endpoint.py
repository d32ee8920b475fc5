"""An OpenAI-compatible server on this machine that says what a test scripts."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-very-secret"
SLOW = "be slow"


class Endpoint(ThreadingHTTPServer):
    """Plays an OpenAI-compatible server: says `replies` in order, the last one again and again, or fails by `status`.

    `requests` keeps what it was asked.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.status = 200
        self.raw = ""  # sent as it is, as a web page

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, "key": self.headers["Authorization"], **body})
        if self.server.raw:
            return self.send("text/html", self.server.raw)
        if self.server.status != 200:
            return self.send("application/json", json.dumps({"error": {"message": f"no {KEY} today\nsorry"}}))
        said, *later = self.server.replies
        self.server.replies = later or [said]
        if said == SLOW:
            time.sleep(1)
        if body.get("stream"):
            return self.send("text/event-stream", _streamed(said))
        reply = {"role": "assistant", "content": said}
        choices = [{"index": 0, "finish_reason": "stop", "message": reply}]
        completion = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": choices}
        return self.send("application/json", json.dumps(completion))

    def send(self, kind: str, text: str) -> None:
        self.send_response(self.server.status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


def _streamed(said: str) -> str:
    """The reply as server-sent events, a word each."""
    chunks = [{"choices": [{"index": 0, "delta": {"content": f"{word} "}}]} for word in said.split(" ")]
    head = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    return "".join(f"data: {json.dumps(head | chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
