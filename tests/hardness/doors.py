"""Clients of a real server, by its doors: the page as the browser speaks to it, REST, and /v1 whole or streaming."""

from __future__ import annotations

import html
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
from gradio_client.utils import apply_diff

Json = dict[str, Any]


@dataclass
class Heard:
    """What came back for one question. `full`: the server said that too many wait, in `line`.

    A stream that has begun, and the page, say so with status 200.
    """

    answer: Json | None = None
    full: bool = False
    line: str = ""  # in place of an answer
    status: int = 200
    retry_after: str = ""
    raw: str = ""  # all that was received, to the letter
    began: float = field(default_factory=time.monotonic)
    first_s: float | None = None  # until the first words
    whole_s: float = 0.0

    def words(self) -> None:
        self.first_s = self.first_s or time.monotonic() - self.began

    def over(self, answer: Json | None, line: str = "") -> None:
        self.answer, self.line = answer, line
        self.whole_s = time.monotonic() - self.began

    def refused(self, response: httpx.Response) -> None:
        """Not let in at all: one plain line, and when to come again."""
        self.raw += response.text
        try:
            line = response.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            line = f"not one of our lines: {response.status_code} {response.text[:200]}"
        self.status = response.status_code
        self.full = self.status == 503
        self.retry_after = response.headers.get("retry-after", "")
        self.over(None, line)


class Door(Protocol):
    """One client, with its conversation so far. Whoever cancels `ask` leaves as somebody who closes the window."""

    async def ask(self, question: str) -> Heard: ...

    def begin_anew(self) -> None:
        """A new conversation."""
        ...


class _Talk:
    """A conversation in OpenAI's form."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.begin_anew()

    def begin_anew(self) -> None:
        self._history: list[Json] = []

    def _keep(self, question: str, heard: Heard) -> Heard:
        if heard.answer:
            text = heard.answer["text"]
            self._history += [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
        return heard


class Whole(_Talk):
    """/v1/chat/completions in one piece."""

    async def ask(self, question: str) -> Heard:
        heard = Heard()
        messages = [*self._history, {"role": "user", "content": question}]
        response = await self._client.post("/v1/chat/completions", json={"messages": messages})
        if response.status_code != 200:
            heard.refused(response)
            return heard
        heard.raw = response.text
        heard.over(response.json()["rag"])
        return self._keep(question, heard)


class Streaming(_Talk):
    """/v1/chat/completions, word by word."""

    async def ask(self, question: str) -> Heard:
        heard = Heard()
        messages = [*self._history, {"role": "user", "content": question}]
        sent = {"messages": messages, "stream": True}
        async with self._client.stream("POST", "/v1/chat/completions", json=sent) as response:
            if response.status_code != 200:
                await response.aread()
                heard.refused(response)
                return heard
            async for chunk in _data(response, heard):
                if "error" in chunk:  # who came when the line was not yet full
                    heard.full = chunk["error"]["code"] == 503
                    heard.over(None, chunk["error"]["message"])
                    return heard
                if chunk["choices"][0]["delta"].get("content"):
                    heard.words()
                if "rag" in chunk:
                    heard.over(chunk["rag"])
        return self._keep(question, heard)


class Rest(_Talk):
    """Gradio's endpoint `ask`, as curl calls it."""

    async def ask(self, question: str) -> Heard:
        heard = Heard()
        sent = {"question": question, "history": self._history}
        begun = await self._client.post("/gradio_api/call/v2/ask", json=sent)
        if begun.status_code != 200:
            heard.refused(begun)
            return heard
        path = f"/gradio_api/call/ask/{begun.json()['event_id']}"
        async with self._client.stream("GET", path) as response:
            said: Any = None
            async for data in _data(response, heard):
                if data:
                    said = data
                    heard.words()
        if isinstance(said, list):
            heard.over(said[0])
        else:
            line = (said or {}).get("error", "nothing came")
            heard.full = "too many questions" in line
            heard.over(None, line)
        return self._keep(question, heard)


class Page:
    """What the page's scripts send and read. It holds the conversation, as the browser does."""

    def __init__(self, client: httpx.AsyncClient, config: Mapping[str, Any]) -> None:
        self._client = client
        self._session = uuid.uuid4().hex[:11]
        box = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "ask")
        self._function = next(d["id"] for d in config["dependencies"] if [box, "submit"] in d["targets"])
        self._box = box
        self._event = ""
        self.begin_anew()

    def begin_anew(self) -> None:
        self._turns: list[Json] = []

    async def ask(self, question: str) -> Heard:
        heard = Heard()
        asking = {"showing": "1", "turns": self._turns, "only": [], "llm": ""}
        called = {"fn_index": self._function, "session_hash": self._session, "trigger_id": self._box}
        sent = {"data": [question, asking], "event_data": None, **called}
        begun = await self._client.post("/gradio_api/queue/join", json=sent)
        if begun.status_code != 200:
            heard.refused(begun)
            return heard
        self._event = begun.json()["event_id"]
        outputs: list[Any] = []
        told: Json = {}
        params = {"session_hash": self._session}
        async with self._client.stream("GET", "/gradio_api/queue/data", params=params) as response:
            async for message in _data(response, heard):
                if message["msg"] == "process_generating" and message["success"]:
                    new = message["output"]["data"]
                    outputs = [apply_diff(*pair) for pair in zip(outputs, new, strict=True)] if outputs else new
                elif message["msg"] == "process_completed":
                    outputs = message["output"].get("data") or outputs
                told = _told(outputs) or told
                if (told.get("answer") or {}).get("text"):
                    heard.words()
        heard.full = "too many questions" in told.get("notice", "").lower()
        heard.over(told.get("answer"), told.get("notice", "the page was told nothing"))
        if heard.answer:
            self._turns = [*self._turns, told]
        return heard

    async def stop(self) -> None:
        """Press Stop."""
        sent = {"session_hash": self._session, "fn_index": self._function, "event_id": self._event}
        await self._client.post("/gradio_api/cancel", json=sent)


def _told(outputs: list[Any]) -> Json:
    """The turn that `conversations.keep` hands to the browser."""
    kept = outputs[3] if len(outputs) == 4 else None
    value = kept.get("value") if isinstance(kept, dict) else kept
    found = re.fullmatch(r"<span>(.*)</span>", value, re.DOTALL) if isinstance(value, str) else None
    return json.loads(html.unescape(found[1]))["turn"] if found else {}


async def _data(response: httpx.Response, heard: Heard) -> AsyncIterator[Any]:
    """What server-sent events carry; they come whole, or it is an error here."""
    async for line in response.aiter_lines():
        heard.raw += line
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line[6:])


class Doors:
    """All doors of one server."""

    def __init__(self, client: httpx.AsyncClient, config: Json) -> None:
        self._client = client
        self._config = config

    async def are_open(self) -> bool:
        """Whether the index is there to be asked."""
        return (await self._client.get("/health")).status_code == 200

    def some(self, number: int) -> Door:
        """Of ten, five are pages, two stream from /v1, one asks it for all at once, and two call REST."""
        match number % 10:
            case 1 | 7:
                return Streaming(self._client)
            case 3 | 9:
                return Rest(self._client)
            case 5:
                return Whole(self._client)
            case _:
                return Page(self._client, self._config)


@asynccontextmanager
async def doors(url: str) -> AsyncIterator[Doors]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)  # each client its own connections
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits, trust_env=False) as client:
        yield Doors(client, (await client.get("/config")).json())
