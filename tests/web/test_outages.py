"""An index that cannot be reached: those who ask are told in plain words, and the server's log where it is, once."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest
from doubles import Double

from rag.errors import IndexLocked, RagError, StoreUnavailable
from rag.types import Answer, Document
from rag.web import serve

WHERE = "postgresql://db.internal:5432/secret"
REFUSED = StoreUnavailable(f"{WHERE} does not take this name and password; correct them in RAG_STORE")
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
