"""What a server tells: the inspection of `hardness.webserver` would see what is wrong with it."""

from __future__ import annotations

import asyncio
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from hardness import addresses
from hardness.outsiders import unanswered
from hardness.served import OUTSIDE_TEXT
from hardness.website import (
    HEADERS,
    POLICY,
    broken,
    crashed,
    given_away,
    header_problem,
    refused,
    taken,
    told_plainly,
)
from hardness.wire import LOOPBACK, Response, exchange

from rag.web.guard import Guard
from rag.web.parts import BROKE
from rag.web.viewer import Blocks

CLOSED = b'{"error": "a name and a password are needed"}'
ASKED_FOR = ("www-authenticate", "Basic")
GUARDED = (*HEADERS.items(), ("content-security-policy", "; ".join((*POLICY, "script-src 'self'"))))


def test_a_refusal_is_one() -> None:
    assert refused(Response(401, (ASKED_FOR,), CLOSED), CLOSED) is None
    assert refused(Response(200, (ASKED_FOR,), CLOSED), CLOSED)
    assert refused(Response(401, (ASKED_FOR,), CLOSED + b" for canary.txt"), CLOSED)
    assert refused(Response(401, (), CLOSED), CLOSED)
    assert refused(Response(404, (), b""), CLOSED)


@pytest.mark.parametrize("missing", range(len(GUARDED)))
def test_a_missing_header_is_seen(missing: int) -> None:
    assert header_problem(Response(200, GUARDED, b"")) is None
    left = [pair for number, pair in enumerate(GUARDED) if number != missing]
    assert header_problem(Response(200, left, b""))


@pytest.mark.parametrize("more", [("server", "uvicorn"), ("access-control-allow-origin", "*"), *HEADERS.items()])
def test_a_header_too_many_is_seen(more: tuple[str, str]) -> None:
    assert header_problem(Response(200, (*GUARDED, more), b""))


def test_what_broke_is_seen() -> None:
    assert broken(Response(500, (), b"Internal Server Error"))
    assert broken(Response(200, (), b"Traceback (most recent call last)"))
    assert broken(Response(503, (), b"too many questions are waiting")) is None
    assert broken(Response(0, (), b""))  # no response at all
    assert broken(Response(200, (), f'{{"failed": "{BROKE}"}}'.encode()))
    assert broken(
        Response(200, (), b'data: {"error": {"message": "something broke; the server\'s terminal says what"}}')
    )
    assert given_away(Response(200, (), OUTSIDE_TEXT.encode()))
    assert given_away(Response(200, (), b"SQLite format 3\0"))
    assert not given_away(Response(200, (), b"a page"))


def test_what_is_not_told_is_seen() -> None:
    assert told_plainly(Response(200, (), b"event: error\ndata: null"), over=False)
    assert told_plainly(Response(200, (), b""), over=False)
    assert told_plainly(Response(200, (), b'event: complete\ndata: [{"text": "An answer."}]'), over=True)
    assert told_plainly(Response(413, (), b"send less"), over=True) is None
    assert told_plainly(Response(200, (), b"a page"), over=True)


@pytest.mark.parametrize(
    "response",
    [
        Response(413, (), b"send less"),
        Response(0, (), b""),
        Response(200, (), b""),
        Response(200, (), b'event: error\ndata: {"error": "the question has 4000 characters; at most 4,000"}'),
        Response(200, (), b'{"result": {"isError": true}}'),
        Response(200, (), b'data: {"msg": "process_completed", "success":false}'),
    ],
    ids=lambda response: response.text,
)
def test_what_is_refused_within_a_limit_is_seen(response: Response) -> None:
    assert taken(response)
    assert taken(Response(200, (), b"event: complete\ndata: []")) is None


def test_a_crash_of_ours_is_seen_in_the_terminal_and_one_of_others_is_not() -> None:
    async def breaks(*_: Any) -> None:
        raise LookupError

    scope = {"type": "http", "path": "/", "method": "GET", "headers": [], "client": ("127.0.0.1", 1)}
    with suppress(LookupError):
        asyncio.run(Guard(breaks)(scope, breaks, breaks))
    try:
        asyncio.run(Guard(breaks)(scope, breaks, breaks))
    except LookupError:
        theirs = traceback.format_exc()
    try:
        Blocks.of(None)  # type: ignore[arg-type]
    except AttributeError:
        ours = traceback.format_exc()
    try:
        asyncio.run(Guard(breaks)({**scope, "headers": None}, breaks, breaks))
    except TypeError:
        in_the_guard = traceback.format_exc()
    assert crashed(f"WARNING: a line\n{theirs}INFO: another\n") == []
    assert crashed(f"{theirs}{ours}") == ["web/viewer.py, in of: text = document.text"]
    assert crashed("".join(f"  | {line}\n" for line in ours.splitlines())) == crashed(ours)  # in a group
    assert len(crashed(in_the_guard)) == 1


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Somebody who listens and says nothing."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield listening


def test_a_frame_without_response_is_seen_and_one_that_is_refused_by_closing_is_not(silent: socket.socket) -> None:
    responses, is_closed = exchange(silent.getsockname()[1], b"x", patience=0.2)
    assert unanswered(responses, is_closed=is_closed)
    silent.accept()[0].close()  # the one of before
    closing = threading.Thread(target=lambda: silent.accept()[0].close())
    closing.start()
    responses, is_closed = exchange(silent.getsockname()[1], b"x")
    closing.join()
    assert (responses, is_closed, unanswered(responses, is_closed=is_closed)) == ([], True, None)


def test_an_address_that_is_asked_late_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[threading.Timer] = []

    def brought(_: Any, address: str) -> Iterator[tuple[str, Response]]:
        port = int(address.split(":")[2].partition("/")[0])
        late.append(threading.Timer(0.1, lambda: exchange(port, b"GET /late HTTP/1.1\r\n\r\n")))
        late[0].start()
        yield "late", Response(200, (), b"a page")

    monkeypatch.setattr(addresses, "_brought", brought)
    ground: Any = SimpleNamespace(served=SimpleNamespace(events=list), some=lambda *_: ["http"])
    row = addresses.addresses(ground)
    late[0].join()
    assert any("GET /late" in problem for problem in row.problems)
