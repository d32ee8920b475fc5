"""The server: our own app behind one guard, with the page mounted in it, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import gradio as gr
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from gradio.http_server import INITIAL_PORT_VALUE, TRY_NUM_PORTS

from ..assistant import Assistant
from ..errors import RagError
from ..settings import FAISS, Settings
from ..store import Location
from ..telemetry import leave
from ..uploads import MAX_BYTES
from .api import Api
from .arrivals import arrivals
from .carrying import Carrying
from .completions import add_completions
from .examples import example_questions
from .extras import check_extras, counting
from .gradios import Plain, limit, restrain
from .guard import Guard, Users, is_loopback, is_near
from .leaving import EndsWithClient
from .opening import Opening
from .page import build, look
from .tools import PATH, mcp_app

if TYPE_CHECKING:
    from .metrics import Metrics

LOCAL = "127.0.0.1"

_START_SECONDS = 60
_STOP_SECONDS = 5


class UsersNeeded(ValueError):
    """Other machines could reach the page, and nobody said who may use it."""


class Server:
    """A page that is being served, until it is closed."""

    def __init__(self, page: gr.Blocks, app: Guard, bound: socket.socket, proxy: str, metrics: Metrics | None) -> None:
        self._page = page
        self._metrics = metrics
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="on",
                ws="none",
                log_level="warning",
                server_header=False,
                proxy_headers=bool(proxy),  # else anybody could name another address at each failed login
                forwarded_allow_ips=proxy,
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([bound],), name="server", daemon=True)
        host, port = bound.getsockname()[:2]
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        self._thread.start()
        self._await_start()

    def _await_start(self) -> None:
        last = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > last:
                raise RagError("the server did not start; the lines above say why")
            time.sleep(0.01)

    def wait(self) -> None:
        """Until it stops by itself, which it does not: Ctrl-C ends this."""
        while self._thread.is_alive():
            self._thread.join(0.2)  # in steps: on some systems a whole join does not hear Ctrl-C

    def close(self) -> None:
        """Let nobody in any more, end what is open, and free the port."""
        self._page.is_running = False  # ends the streams that only say that they are alive
        self._page.app.stop_event.set()
        self._server.should_exit = True
        self._thread.join(2 * _STOP_SECONDS)
        if self._metrics:
            leave(self._metrics)
            self._metrics = None

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def run(
    settings: Settings,
    users: Users | None,
    *,
    host: str = LOCAL,
    port: int | None = None,
    mcp: bool = False,
    metrics: bool = False,
    announce: Callable[[str], None],
) -> None:
    """Serve the page over `settings.documents` until Ctrl-C or SIGTERM; `announce` gets the lines that say where.

    `users` are those of `users_for`, which asks for them where they are needed. The index opens meanwhile. Raises
    RagError as `serve` does, but looks for no extras: `check_extras` does.
    """
    location = Location.of(settings)
    where = "" if location.vectors == FAISS else location.name  # of a server, which may be another than was meant
    bound = _bind(host, port)  # what cannot be served need not be opened
    counted = counting() if metrics else None  # what is ingested now, too
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)
    with (
        Opening(lambda report: Assistant.open(settings, report=report)) as opening,
        _served(opening, example_questions(settings.documents), bound, users, mcp, settings.proxy, counted) as server,
    ):
        announce(f"Ask your documents at {server.address} (Ctrl-C stops)")
        if where:
            announce(f"The index is in {where}")
        server.wait()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """What service managers and containers send: an end like any other, so that all is put away."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would break off what puts it away
    raise SystemExit(0)


def users_for(settings: Settings, host: str = LOCAL, *, no_auth: bool = False) -> Users | None:
    """Who may use a page on `host`; None is everybody. Raises UsersNeeded where that has to be said."""
    if no_auth:
        return None
    if settings.auth:
        return Users(settings.auth)
    if not is_loopback(host):
        raise UsersNeeded(
            f"others can reach {host}: set RAG_AUTH to name:password (more with commas), or say --no-auth to let all in"
        )
    return None


def serve(
    assistant: Assistant | Opening,
    examples: Sequence[str] = (),
    *,
    host: str = LOCAL,
    port: int | None = None,
    users: Users | None = None,
    no_auth: bool = False,
    mcp: bool = False,
    metrics: bool = False,
    proxy: str = "",
) -> Server:
    """Serve the page, /health, /v1 and, with `mcp` and `metrics`, /mcp and /metrics, in threads of their own.

    `port` None is 7860 (or GRADIO_SERVER_PORT), or the next that is free; 0 is any that is free. Raises RagError when
    none is, or when the extra for MCP or metrics is not installed, and UsersNeeded when others can reach `host` and
    neither `users` nor `no_auth` says who may come in. `proxy`: the address of one in front, whose X-Forwarded-For is
    believed. Metrics count what all of this process does.
    """
    if not (users or no_auth or is_loopback(host)):
        raise UsersNeeded(
            f"others can reach {host}: give users=Users(SecretStr('name:password')), or no_auth=True to let all in"
        )
    check_extras(mcp=mcp, metrics=metrics)
    bound = _bind(host, port)
    return _served(Opening.of(assistant), examples, bound, users, mcp, proxy, counting() if metrics else None)


def _served(
    opening: Opening,
    examples: Sequence[str],
    bound: socket.socket,
    users: Users | None,
    mcp: bool,
    proxy: str,
    metrics: Metrics | None,
) -> Server:
    local = is_loopback(bound.getsockname()[0])
    page = build(opening, examples, private=local and users is None)
    app = EndsWithClient(Carrying(_app(opening, page, mcp=mcp, metrics=metrics)), ("/v1/", PATH))
    is_own_name = is_loopback if local else is_near
    guard = Guard(app, users, is_own_name=None if proxy else is_own_name, check=lambda: opening.queue.check())
    return Server(page, guard, bound, proxy, metrics)


def _app(opening: Opening, page: gr.Blocks, *, mcp: bool, metrics: Metrics | None = None) -> FastAPI:
    tools = mcp_app(Api(opening)) if mcp else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            sweeping = asyncio.create_task(arrivals().keep_swept())
            stack.callback(sweeping.cancel)
            if tools:
                await stack.enter_async_context(tools.router.lifespan_context(tools))
            yield

    # Newer ones trace requests by themselves, Gradio's too, with paths in which names of documents stand.
    silent: Any = {"auto_configure": False, "exclude": lambda scope: True}
    app = FastAPI(title="rag-quoted", docs_url=None, redoc_url=None, lifespan=lifespan, telemetry=silent)
    _add_health(app, opening)
    add_completions(app, opening)
    if metrics:
        metrics.add_to(app, opening)
    if tools:
        for route in tools.routes:
            route.app = Plain(route.app)  # type: ignore[attr-defined]
            app.router.routes.append(route)
    return _mount(app, page)


def _add_health(app: FastAPI, opening: Opening) -> None:
    @app.get("/health")
    async def health() -> Response:
        """How far the index is: 200 when it is ready, else 503. It may be ready, and become unavailable for a while."""
        status = opening.status
        if status != "ready":
            return _unready(status, opening.line)
        try:
            with opening.outages.translated():
                documents, passages = await asyncio.to_thread(opening.assistant.count)
        except RagError as error:
            return _unready("unavailable", str(error))
        return JSONResponse({"status": status, "documents": documents, "passages": passages})


def _unready(status: str, reason: str) -> Response:
    return JSONResponse({"status": status, "documents": 0, "passages": 0, "reason": reason}, 503)


def _mount(app: FastAPI, page: gr.Blocks) -> FastAPI:
    """The page at /, with nothing of Gradio's that we do not use."""
    restrain()
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        show_error=False,  # of what breaks unforeseen: the terminal says it
        max_file_size=MAX_BYTES,
        **look(),
    )
    mounted: Any = app.routes[-1]
    page.app = mounted.app
    limit(page.app)
    mounted.app = Plain(mounted.app)
    page.app.uploaded_file_dir = str(arrivals().folder)
    # What launch() would have set:
    page.is_running = True  # waiting browsers are told that we are still here
    page.has_launched = True  # a request may name no file but one that was uploaded; before, Gradio takes any
    return app


def _bind(host: str, port: int | None) -> socket.socket:
    ports = range(INITIAL_PORT_VALUE, INITIAL_PORT_VALUE + TRY_NUM_PORTS) if port is None else [port]
    for each in ports:
        try:
            return _bound(host, each)
        except OSError as error:
            refused = error
    chosen = f"port {port}" if port else f"{host}, port {ports[0]} or GRADIO_SERVER_PORT"
    raise RagError(f"cannot serve on {chosen}: {_why(refused)}") from refused


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(2048)
    except OSError:
        bound.close()
        raise
    return bound


def _why(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "no such address; choose another with --host"
    if isinstance(error, PermissionError):
        return "it is not allowed; choose a port from 1024 on with --port"
    taken = "it is taken; choose another with --port"
    return taken if "in use" in str(error) else f"{error.strerror}; choose others with --host and --port"
