"""What is done for a client ends when the client leaves, so that its place in the line is free."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from gradio.context import LocalContext

from ..errors import RagError
from .guard import App, Event, Receive, Scope, Send

T = TypeVar("T")

_GLANCE_SECONDS = 0.5


class EndsWithClient:
    """The app; what it does at `paths` is cancelled when the client closes the connection.

    Servers do not do so by themselves: they only answer `receive`, and who works does not ask.
    """

    def __init__(self, app: App, paths: tuple[str, ...]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(self._paths):
            await _Watched(receive, send).run(self._app, scope)
        else:
            await self._app(scope, receive, send)


class _Watched:
    """One request. Once its body is there, all that can still be received is that the client has left."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._answered = False
        self._leaving: asyncio.Future[Event] | None = None
        self._work: asyncio.Future[None] | None = None

    async def run(self, app: App, scope: Scope) -> None:
        self._work = asyncio.ensure_future(app(scope, self._received, self._sent))
        try:
            await self._work
        except asyncio.CancelledError:
            if not (self._leaving and self._leaving.done()):
                raise
        finally:
            if self._leaving:
                self._leaving.cancel()

    async def _received(self) -> Event:
        if self._leaving:
            return await asyncio.shield(self._leaving)
        event = await self._receive()
        if event["type"] == "http.request" and not event.get("more_body"):
            self._leaving = asyncio.ensure_future(self._receive())
            self._leaving.add_done_callback(self._end)
        return event

    async def _sent(self, event: Event) -> None:
        self._answered = event["type"] == "http.response.body" and not event.get("more_body")
        await self._send(event)

    def _end(self, leaving: asyncio.Future[Event]) -> None:
        if self._work and not self._answered and not leaving.cancelled():  # an app may tidy up after its answer
            self._work.cancel()


class _NobodyListensError(RagError):
    """The client of a Gradio endpoint has left."""


async def while_listened(work: Awaitable[T]) -> T:
    """What `work` returns, unless the client for whom Gradio calls it leaves before. Raises RagError then."""
    doing = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([doing], timeout=_GLANCE_SECONDS))[0]:
            if not is_listened():
                raise _NobodyListensError("nobody waits for the answer any more; ask again")
        return doing.result()
    finally:
        doing.cancel()
        await asyncio.wait([doing])  # what is still being left cannot be closed


def is_listened() -> bool:
    """Whether the client for whom Gradio works here is still there.

    Gradio marks an event when the stream of its answers is closed, but lets its function run on.
    """
    queue: Any = LocalContext.blocks.get()._queue  # type: ignore[union-attr]
    event = getattr(queue, "event_ids_to_events", {}).get(LocalContext.event_id.get())
    return event is None or event.alive
