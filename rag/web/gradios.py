"""What Gradio's own app would do, and must not: the one border between it and ours."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from gradio import data_classes, processing_utils, queueing, route_utils, routes, state_holder
from pydantic import StringConstraints
from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.formparsers import MultiPartException
from starlette.responses import JSONResponse, Response

from .guard import App, Event, Receive, Scope, Send
from .unread import Mailbox

_TOLD_CHARS = 300
_NOT_UNDERSTOOD = "the server cannot make sense of this request; its terminal says why"
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SESSION_IN_PATH = re.compile(r"/gradio_api/(?:heartbeat|stream)/([^/]*)")
_NO_SESSION = "sessions and uploads are named by at most 64 letters and digits; reload the page"
_SESSIONS = 1000  # whose state Gradio keeps, 50 KB each; the page relies on none of it

# Gradio keeps sessions by the names that requests give them, however long these are.
_Session = Annotated[str, StringConstraints(pattern=rf"^{_SESSION.pattern}$")]


class PredictBody(data_classes.PredictBody):
    """A call of a function."""

    session_hash: _Session | None = None


class SimplePredictBody(data_classes.SimplePredictBody):
    """A program's call of a named function."""

    session_hash: _Session | None = None


class CancelBody(data_classes.CancelBody):
    """The end of a call."""

    session_hash: _Session


class ComponentServerJSONBody(data_classes.ComponentServerJSONBody):
    """A call of one of the page's own functions."""

    session_hash: _Session


class ComponentServerBlobBody(data_classes.ComponentServerBlobBody):
    """The same, with files."""

    session_hash: _Session


_BODIES = (PredictBody, SimplePredictBody, CancelBody, ComponentServerJSONBody, ComponentServerBlobBody)


def restrain() -> None:
    """Let Gradio, in this whole process, fetch nothing from elsewhere and keep nothing of uploads that failed.

    And let it know sessions by short names only, hold little for those who do not listen, and remember nothing of what
    was asked and answered.
    """
    # Before it looks at an argument's type, Gradio would download what a request names by address.
    processing_utils.async_ssrf_protected_download = _not_fetched
    for module in (route_utils, routes):  # both know it by name
        vars(module)["GradioMultiPartParser"] = Parser
    vars(queueing)["AsyncQueue"] = Mailbox
    state_holder.SessionState._update_value_in_config = _not_kept  # type: ignore[method-assign]
    for body in _BODIES:
        vars(routes)[body.__name__] = body


def limit(app: FastAPI) -> None:
    """Let one app of Gradio's keep few sessions, and give nobody back the whole of a request that is wrong."""
    app.state_holder.capacity = _SESSIONS  # type: ignore[attr-defined]

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:4])
        return JSONResponse({"error": f"{where}: {first['msg']}"[:_TOLD_CHARS]}, 400)


def _not_kept(self: state_holder.SessionState, key: int, value: object) -> None:
    """For deep links, which are closed, Gradio would keep the last conversation of every session."""


async def _not_fetched(url: str, cache_dir: str) -> str:
    raise ValueError("files are sent, not fetched from an address")


class Parser(route_utils.GradioMultiPartParser):
    """Reads uploads, and keeps no file of one that failed.

    Gradio would keep for ever what a sender who left, or who was cut off by a limit, has sent so far; and files that
    came in a field or under a name that it does not take.
    """

    async def parse(self) -> FormData:
        try:
            form = await super().parse()
            if self.upload_dir is not None:
                self._take(form)
            return form
        except BaseException:
            for file in self._files_to_close_on_error:
                file.close()
                Path(file.name).unlink(missing_ok=True)
            raise

    def _take(self, form: FormData) -> None:
        """Raises MultiPartException unless each file is whole, and one that will be kept under its name."""
        files = [(field, part) for field, part in form.multi_items() if isinstance(part, UploadFile)]
        if len(files) < len(self._files_to_close_on_error):
            raise MultiPartException("A file has no end.")
        for field, part in files:
            if field != "files":
                raise MultiPartException("Files are sent in the field 'files'.")
            if part.filename and not Path(part.filename).name.strip(". "):
                raise MultiPartException("A file has no name.")


class Plain:
    """Gradio's app, or MCP's: where it breaks with 500, over a request that it did not expect, a line refuses that.

    So does one an address that names no session as Gradio's own pages do.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not all(map(_SESSION.fullmatch, _sessions_in(scope))):
            await JSONResponse({"error": _NO_SESSION}, 400)(scope, receive, send)
            return
        await self._app(scope, receive, _Answering(scope, receive, send))


def _sessions_in(scope: Scope) -> list[str]:
    """The sessions that a request's address names, and the uploads whose progress is asked for: kept by name, too."""
    query = QueryParams(scope.get("query_string", b""))
    return [*query.getlist("session_hash"), *query.getlist("upload_id"), *_SESSION_IN_PATH.findall(scope["path"])]


class _Answering:
    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._said: bytes | None = None  # what it says as it breaks

    async def __call__(self, event: Event) -> None:
        if event["type"] == "http.response.start" and event["status"] == 500:
            self._said = b""
        elif self._said is None:
            await self._send(event)
        else:
            self._said += event.get("body", b"")
            if not event.get("more_body"):
                await JSONResponse(_told(self._said), 400)(self._scope, self._receive, self._send)


def _told(said: bytes) -> dict[str, object]:
    """Gradio's own words, if these are a line of ours: what is wrong with a call is a 500 to Gradio, too."""
    with suppress(ValueError):
        content = json.loads(said)
        if isinstance(content, dict) and content.get("error"):
            return content
    return {"error": _NOT_UNDERSTOOD}
