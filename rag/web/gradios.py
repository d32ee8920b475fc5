"""What Gradio's own app would do, and must not: the one border between it and ours."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from gradio import processing_utils, route_utils, routes
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.responses import JSONResponse

from .guard import App, Event, Receive, Scope, Send

_NOT_UNDERSTOOD = "the server cannot make sense of this request; its terminal says why"


def restrain() -> None:
    """Let Gradio, in this whole process, fetch nothing from elsewhere and keep nothing of uploads that failed."""
    # Before it looks at an argument's type, Gradio would download what a request names by address.
    processing_utils.async_ssrf_protected_download = _not_fetched
    for module in (route_utils, routes):  # both know it by name
        vars(module)["GradioMultiPartParser"] = Parser


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
    """Gradio's app, or MCP's: where it breaks with 500, over a request that it did not expect, a line refuses that."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, _Answering(scope, receive, send))


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
