"""An index that cannot be reached: those who ask are told in plain words, and the server's log where it is, once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from doubles import FIRST, Double, written

import rag.web.opening
from rag.errors import DocumentsNotFound, IndexDamaged, IndexLocked, RagError, StoreUnavailable, StoreUnreachable
from rag.types import Answer, Document
from rag.web import Opening, serve, standing
from rag.web.turns import Turn

WHERE = "postgresql://db.internal:5432/secret"
REFUSED = StoreUnreachable(f"{WHERE} does not answer (Connection refused); check that it runs")
SAYS = "the index cannot be reached just now; ask again later (the server's log says why)"


class Unreachable(Double):
    """Raises the same, whatever it is asked."""

    def __init__(self, error: RagError) -> None:
        self.error = error

    def stamp(self) -> str:
        raise self.error

    def count(self) -> tuple[int, int]:
        raise self.error

    def documents(self) -> list[Document]:
        raise self.error

    def stream(self, question: str, **_: object) -> Iterator[Answer]:
        raise self.error
        yield


def asked_everywhere(error: RagError) -> list[httpx.Response]:
    body = {"messages": [{"role": "user", "content": "Who heads it?"}]}
    with serve(Unreachable(error), port=0) as server, httpx.Client(base_url=server.address, timeout=60) as client:  # type: ignore[arg-type]
        made = client.post("/gradio_api/call/documents", json={"data": []}).json()["event_id"]
        return [
            client.get("/"),
            client.get("/health"),
            client.post("/v1/chat/completions", json=body),
            client.post("/v1/chat/completions", json=body | {"stream": True}),
            client.get(f"/gradio_api/call/documents/{made}"),
        ]


def test_nobody_is_told_where_it_is_and_the_log_says_it_once(caplog: pytest.LogCaptureFixture) -> None:
    page, *answers = asked_everywhere(REFUSED)
    assert page.status_code == 200
    assert [answer.status_code for answer in answers[:2]] == [503, 503]
    assert all(SAYS in answer.text for answer in answers)
    assert not any("db.internal" in answer.text for answer in (page, *answers))
    logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert logged == [str(REFUSED)]


def test_an_address_in_what_else_is_said_is_left_out() -> None:
    _, *answers = asked_everywhere(IndexLocked(f"another process is writing to {WHERE}; wait until it has finished"))
    assert all("another process is writing to the database; wait until it has" in answer.text for answer in answers)


NO_LOGIN = StoreUnavailable(f"{WHERE} does not take this name and password; correct them in RAG_STORE")


@pytest.mark.parametrize("refused", [REFUSED, NO_LOGIN], ids=["started", "mended"])
def test_a_database_that_is_ready_after_the_server_is_found(
    refused: StoreUnavailable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rag.web.opening, "_AGAIN_S", 0.05)
    started, tried = threading.Event(), []

    def opener(_: object) -> Any:
        tried.append(1)
        if not started.is_set():
            raise refused
        return Double()

    with Opening(opener) as opening, serve(opening, port=0) as server, httpx.Client(base_url=server.address) as client:
        while len(tried) < 3:
            time.sleep(0.01)
        health = client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "starting")
        assert health.json()["reason"].startswith("the index cannot be reached")
        started.set()
        opening.wait(30)
        assert client.get("/health").json()["status"] == "ready"
    logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert logged == [str(refused)]


def test_what_no_waiting_mends_is_not_tried_again_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    def opener(_: object) -> Any:
        raise IndexDamaged(f"{WHERE} has lost tables of the index; restore it from a copy")

    with Opening(opener) as opening:
        opening.wait(30)
        assert opening.status == "failed"
        assert "db.internal" not in opening.line
    assert len(caplog.records) == 1


def test_while_the_index_cannot_be_read_no_quote_is_said_to_be_gone() -> None:
    turns = (Turn("q", written(FIRST)),)

    def unreachable(_: int) -> Document:
        raise REFUSED

    def removed(_: int) -> Document:
        raise DocumentsNotFound("it is gone")

    with pytest.raises(StoreUnreachable):
        standing.checked(unreachable, turns)
    assert standing.lines(unreachable, written(FIRST), {}) == {}
    assert standing.checked(removed, turns)[0].outdated
