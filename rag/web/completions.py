"""OpenAI's chat completions over our answers, so that any chat front end can sit on top.

The text carries [n] and, below it, each exact quote with its place; the field `rag` carries the whole Answer.
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from ..errors import QuestionInvalid, RagError
from ..types import Answer, Message, Passage
from .line import Line
from .opening import Opening
from .place import place

logger = logging.getLogger(__name__)

MODEL = "rag-quoted"

_SOURCES = "\n\nSources:\n"
_LIKE_SOURCE = re.compile(r"((?:\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])\s*)(?=[^\w\s]*\s*\d+\s*[\]］】〕⟧〛❳⁆])")


class Part(BaseModel):
    """A part of a message; those that are no text are passed over."""

    type: str
    text: str = ""


class ChatMessage(BaseModel):
    """One message of the conversation; only those of the user and of the assistant count."""

    role: str
    content: str | list[Part] | None = None


class ChatRequest(BaseModel):
    """What OpenAI's clients send. Whatever else they send (temperature, tools, …) changes nothing here."""

    messages: list[ChatMessage] = Field(min_length=1)
    model: str = MODEL
    stream: bool = False


def add_completions(app: FastAPI, opening: Opening) -> None:
    """Add POST /v1/chat/completions and GET /v1/models to `app`."""

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The one model there is."""
        return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL}]}

    @app.post("/v1/chat/completions", response_model=None)
    async def completions(asked: ChatRequest) -> Response:
        """Answer the last message of the user; `model` and sampling options are accepted and change nothing."""
        question, history = _conversation(asked.messages)
        opening.queue.check()
        answers = opening.assistant.stream(question, history=history)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": MODEL}
        if asked.stream:
            return StreamingResponse(_events(answers, head, opening.queue), media_type="text/event-stream")
        return JSONResponse(_completion(await opening.queue.last(answers), head))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
        return _error(400, f"{where}: {first['msg']}")

    @app.exception_handler(QuestionInvalid)
    async def question_invalid(_: Request, error: QuestionInvalid) -> Response:
        return _error(400, str(error))

    @app.exception_handler(RagError)
    async def broken(_: Request, error: RagError) -> Response:
        return _error(503, str(error))

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return _error(error.status_code, error.detail)


def cited(answer: Answer) -> str:
    """The answer's text with each exact quote and its place below it."""
    return answer.text + _footnotes(answer)


def _footnotes(answer: Answer) -> str:
    if not answer.citations:
        return ""
    # A line of a quote that looks like another source is moved to the right; all else is exact.
    notes = (f"[{c.marker}] “{c.quote}” ({_stands(c.passage)})" for c in answer.citations)
    return _SOURCES + "\n".join(_LIKE_SOURCE.sub(r"\1    ", note) for note in notes)


def _stands(passage: Passage) -> str:
    title = [passage.title] if passage.title not in ("", passage.source) else []
    return ", ".join([*title, *place(passage)])


def _conversation(messages: list[ChatMessage]) -> tuple[str, list[Message]]:
    said = [message for message in messages if message.role in ("user", "assistant")]
    if not said or said[-1].role != "user":
        raise QuestionInvalid("the last message is not the user's; end with the question")
    *earlier, last = said
    return _text(last), [_earlier(message) for message in earlier]


def _earlier(message: ChatMessage) -> Message:
    role: Literal["user", "assistant"] = "user" if message.role == "user" else "assistant"
    text = _text(message)
    return {"role": role, "content": text if role == "user" else text.partition(_SOURCES)[0]}


def _text(message: ChatMessage) -> str:
    if isinstance(message.content, list):
        return "\n".join(part.text for part in message.content if part.type == "text")
    return message.content or ""


# -- OpenAI's forms ----------------------------------------------------------------------------------------------------


def _completion(answer: Answer, head: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": cited(answer)}
    return {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        "rag": answer.to_dict(),
    }


async def _events(answers: Iterator[Answer], head: dict[str, Any], queue: Line) -> AsyncIterator[str]:
    """Server-sent events: what each Answer adds to the one before, then the quotes, then the whole Answer."""
    try:
        yield _chunk(head, {"role": "assistant", "content": ""})
        answer, sent = None, ""
        async with aclosing(queue.each(answers)) as coming:
            async for answer in coming:
                if piece := _added(sent, answer.text):
                    yield _chunk(head, {"content": piece})
                sent = answer.text
        if answer:
            if footnotes := _footnotes(answer):
                yield _chunk(head, {"content": footnotes})
            yield _chunk(head, {}, finish_reason="stop", rag=answer.to_dict())
    except RagError as error:
        yield _event({"error": _described(503, str(error))})
    except Exception:  # the status is sent already: only an event can still say it
        logger.exception("the answer broke")
        yield _event({"error": _described(500, "something broke; the server's terminal says what")})
    yield "data: [DONE]\n\n"


def _added(before: str, now: str) -> str:
    """What to send so that a reader of `before` has `now`: nothing that was sent can be taken back."""
    return now[len(before) :] if now.startswith(before) else f"\n\n{now}"


def _chunk(head: dict[str, Any], delta: dict[str, str], finish_reason: str | None = None, **more: Any) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _event({**head, "object": "chat.completion.chunk", "choices": [choice], **more})


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _error(status: int, line: str) -> Response:
    headers = {"retry-after": "2"} if status == 503 else None
    return JSONResponse({"error": _described(status, line)}, status, headers)


def _described(status: int, line: str) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": line, "type": kind, "param": None, "code": status}
