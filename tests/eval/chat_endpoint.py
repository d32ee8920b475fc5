"""An OpenAI-compatible server on this machine that says what a test scripts."""

from __future__ import annotations

import json
import time
from typing import Any

from endpoint import Asked, Server

KEY = "sk-very-secret"
SLOW = "be slow"


class Endpoint(Server):
    """Says `replies` in order, the last one again and again, or fails by `status`."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.replies: list[str] = []
        self.status = 200
        self.raw = ""  # sent as it is, as a web page


class Handler(Asked):
    server: Endpoint

    def reply(self, body: dict[str, Any]) -> None:
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
        message = {"role": "assistant", "content": said}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        completion = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": choices}
        return self.send("application/json", json.dumps(completion))

    def send(self, kind: str, text: str) -> None:
        self.send_response(self.server.status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


def _streamed(said: str) -> str:
    """The reply as server-sent events, a word each."""
    chunks = [{"choices": [{"index": 0, "delta": {"content": f"{word} "}}]} for word in said.split(" ")]
    head = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    return "".join(f"data: {json.dumps(head | chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
