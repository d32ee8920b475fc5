"""The trace that a request belongs to, from its headers to what is done for it."""

from __future__ import annotations

from starlette.datastructures import Headers

from ..telemetry import carry
from .guard import App, Receive, Scope, Send


class Carrying:
    """The app; what it does for a request belongs to the trace that the request names, if it names one."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":  # in a task of its own: nothing has to be undone
            carry(Headers(scope=scope))
        await self._app(scope, receive, send)
