"""The servers that are attacked, in a process of their own, which writes down what it reaches out for.

`Served` starts it: one server that wants a name, one for this machine alone, and one that lets everybody in.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

NAME, PASSWORD = "ada", "correct: horse 7f3a"
CANARY = "The walrus Herbert sleeps in hall 7f3a9c."
FILE = "canary-5d1e.txt"
OUTSIDE = "outside-90b2.txt"  # a file beside the index that nobody indexed
OUTSIDE_TEXT = "What lies outside is 61cc0d."
KINDS = ("closed", "local", "public")


class Served:
    """The servers' process. `ports` by kind; `routes` are (path with {parameters}, methods) of their apps."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.index = base / "index"
        self.outside = base / OUTSIDE
        self.arriving = base / "arriving"  # holds the folder of what is being sent
        (base / "documents").mkdir(parents=True)
        self.arriving.mkdir()
        (base / "documents" / FILE).write_text(f"{CANARY}\n", encoding="utf-8")
        self.outside.write_text(f"{OUTSIDE_TEXT}\n", encoding="utf-8")
        self._events = base / "events"
        self._said = (base / "said").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hardness.served", str(base)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=os.environ | {"TMPDIR": str(self.arriving), "GRADIO_ANALYTICS_ENABLED": "False"},
        )
        assert self._process.stdout is not None
        started = json.loads(self._process.stdout.readline() or "null")
        if started is None:
            raise RuntimeError(f"the servers did not start:\n{self.said()}")
        self.ports: dict[str, int] = started["ports"]
        self.routes: list[tuple[str, list[str]]] = started["routes"]

    def events(self) -> list[tuple[str, str]]:
        """What was reached out for: ("connect" or "lookup", address), ("open", path) of what nobody may read."""
        lines = self._events.read_text(encoding="utf-8").splitlines()
        return [(kind, what) for kind, _, what in (line.partition(" ") for line in lines)]

    def said(self) -> str:
        """What stands in the terminal."""
        return (self.base / "said").read_text(encoding="utf-8", errors="replace")

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()


# -- in the process ----------------------------------------------------------------------------------------------------


def main(base: Path) -> None:
    from pydantic import SecretStr

    from rag.assistant import Assistant
    from rag.settings import Settings
    from rag.web import serve
    from rag.web.guard import Users

    logging.getLogger("rag").addHandler(logging.StreamHandler())  # whatever MCP makes of logs, tracebacks are plain
    settings = Settings(documents=base / "documents", index_dir=base / "index", llm="none")
    users = Users(SecretStr(f"{NAME}:{PASSWORD}"))
    with (
        Assistant.open(settings) as assistant,
        serve(assistant, port=0, users=users, mcp=True) as closed,
        serve(assistant, port=0, mcp=True) as local,
        serve(assistant, host="0.0.0.0", port=0, no_auth=True, mcp=True) as public,
    ):
        servers = (closed, local, public)
        ports = {kind: int(s.address.rstrip("/").rpartition(":")[2]) for kind, s in zip(KINDS, servers, strict=True)}
        app: Any = closed._server.config.app  # the guard, and behind it, in two more, what it guards
        routes = sorted({(path, tuple(methods)) for path, methods in _routes(app._app._app._app.routes)})
        _write_down(base)
        print(json.dumps({"ports": ports, "routes": routes}), flush=True)
        sys.stdin.read()


def _routes(routes: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Every route below, in whatever it is nested: routers that were included, and apps that were mounted."""
    for route in routes:
        if included := getattr(route, "effective_route_contexts", None):
            yield from _routes(included(), prefix)
            continue
        path = prefix + route.path
        if (inner := getattr(route, "routes", None)) is not None:
            yield f"{path}/{{path:path}}", []
            yield from _routes(inner, path)
        else:
            yield path, sorted(getattr(route, "methods", None) or [])


def _write_down(base: Path) -> None:
    """From now on each address that is looked up or connected to, and each file that is nobody's business."""
    file = os.open(base / "events", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nobodys = (str(base / OUTSIDE), str(base / "index" / "index.db"), "/etc/hostname", "/etc/passwd")

    def hook(event: str, values: tuple[Any, ...]) -> None:
        if event == "socket.connect" and not isinstance(values[1], (str, bytes)):  # those are sockets of this machine
            line = f"connect {values[1]}"
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            line = f"lookup {values[0]}"
        elif event == "open" and str(values[0]) in nobodys:
            line = f"open {values[0]}"
        else:
            return
        os.write(file, f"{line!r}\n".encode() if "\n" in line else f"{line}\n".encode())

    sys.addaudithook(hook)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
