"""What a server tells: the inspection of `hardness.webserver` would see what is wrong with it."""

from __future__ import annotations

import pytest
from hardness.served import OUTSIDE_TEXT
from hardness.website import HEADERS, POLICY, broken, given_away, header_problem, refused, told_plainly
from hardness.wire import Response

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
    assert given_away(Response(200, (), OUTSIDE_TEXT.encode()))
    assert given_away(Response(200, (), b"SQLite format 3\0"))
    assert not given_away(Response(200, (), b"a page"))


def test_what_is_not_told_is_seen() -> None:
    assert told_plainly(Response(200, (), b"event: error\ndata: null"), over=False)
    assert told_plainly(Response(200, (), b""), over=False)
    assert told_plainly(Response(200, (), b'event: complete\ndata: [{"text": "An answer."}]'), over=True)
    assert told_plainly(Response(413, (), b"send less"), over=True) is None
