"""A PostgreSQL that hangs: it takes connections, and says nothing. Whoever waits is told so; then it is asked again."""

from __future__ import annotations

import logging
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from servers import fresh_schema, postgres
from sqlalchemy import text
from store_samples import item, open_store, unit

import rag.postgres
import rag.postgres_engine
import rag.watchdog
from rag.assistant import Assistant
from rag.errors import IndexLocked, StoreUnavailable
from rag.postgres import PostgresCatalogue
from rag.settings import Settings
from rag.store import Location, Store
from rag.web import serve

HANGS = r"does not answer \(it takes connections and says nothing\); check that it runs"
LONG_S = 60  # never, but for a test that fails


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.watchdog, "SILENCE_S", 0.3)
    monkeypatch.setattr(rag.watchdog, "READS_S", 0.8)
    monkeypatch.setattr(rag.postgres_engine, "_CONNECT_S", 2)  # PostgreSQL's client takes no less


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return Location(tmp_path, fresh_schema())


@pytest.fixture
def store(location: Location) -> Iterator[Store]:
    with open_store(location) as store:
        store.replace([item("a", "owl", "seal")])
        yield store


@contextmanager
def hanging() -> Iterator[None]:
    """All of the server's processes are stopped: the kernel still takes connections for them."""
    if not hasattr(signal, "SIGSTOP"):
        pytest.skip("processes cannot be stopped here")
    import psutil  # which comes with that PostgreSQL

    main = psutil.Process(int(Path(postgres().pgdata, "postmaster.pid").read_text().split()[0]))
    stopped = [main, *main.children(recursive=True)]
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


def all_refused(uses: list[Callable[[], object]]) -> None:
    """Each, at the same time, is told that the database does not answer."""
    pool = ThreadPoolExecutor(len(uses))
    try:
        for asked in [pool.submit(use) for use in uses]:
            with pytest.raises(StoreUnavailable, match=HANGS):
                asked.result(LONG_S)
    finally:
        pool.shutdown(wait=False)


def eventually(use: Callable[[], Any]) -> Any:
    """What `use` returns as soon as the server has been seen to answer."""
    until = time.monotonic() + LONG_S
    while True:
        try:
            return use()
        except StoreUnavailable:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_whoever_waits_for_a_database_that_hangs_is_told_and_then_it_is_asked_again(store: Store) -> None:
    uses = [store.documents, store.listing, lambda: store.dense(unit("a question"), 5), lambda: store.remove([1])] * 2
    with hanging():
        all_refused(uses)
        all_refused(uses * 4)  # who comes later does not wait at all
    assert len(eventually(lambda: store.dense(unit("a question"), 5))) == 2


def test_an_index_that_is_opened_on_a_database_that_hangs_is_refused(location: Location) -> None:
    open_store(location).close()
    with hanging():
        all_refused([lambda: open_store(location)])
    open_store(location).close()


def test_a_statement_may_take_its_time_while_the_database_answers_others(store: Store) -> None:
    with store._catalogue.reading() as reader:
        assert reader.all("SELECT 1 FROM pg_sleep(1.5)") == [(1,)]  # type: ignore[attr-defined]


def test_a_writer_waits_for_another_one_as_long_as_before(store: Store, location: Location) -> None:
    with open_store(location) as other, ThreadPoolExecutor(1) as pool:
        with store._catalogue.transaction():
            written = pool.submit(other.replace, [item("b", "elk")])
            time.sleep(1.2)
            assert not written.done()
        assert written.result(LONG_S) == [2]


def test_a_question_does_not_wait_long_for_who_alters_the_tables(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rag.postgres, "_READS_WAIT", "200ms")
    with open_store(location) as store, closing(PostgresCatalogue(location.database)) as other:
        with other.engine.begin() as connection:
            connection.execute(text("LOCK TABLE rag_document"))
            with pytest.raises(IndexLocked, match=r"another process is writing to postgresql://.*; wait"):
                store.documents()
        assert store.documents() == []


def test_what_is_being_written_outlasts_a_database_that_hangs_for_a_while(store: Store) -> None:
    with ThreadPoolExecutor(1) as pool, store._catalogue.transaction() as writer:
        with hanging():
            writing = pool.submit(writer.set_meta, "kept", "yes")
            all_refused([store.documents])
        writing.result(LONG_S)
        writer.count_write()
    assert eventually(lambda: store.meta("kept")) == "yes"


def test_and_not_for_ever(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.watchdog, "WRITES_S", 1.0)
    begun, hangs = threading.Event(), threading.Event()

    def write() -> None:
        with store._catalogue.transaction() as writer:
            begun.set()
            hangs.wait()
            writer.set_meta("kept", "no")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        begun.wait()
        with hanging():
            hangs.set()
            with pytest.raises(StoreUnavailable, match=HANGS):
                writing.result(LONG_S)
    assert eventually(lambda: store.meta("kept")) is None


def test_other_connections_of_the_program_are_not_changed(location: Location) -> None:
    with open_store(location):
        assert psycopg2.extensions.get_wait_callback() is None
        connection = psycopg2.connect(re.sub(r"&options=.*", "", location.database))
        assert type(connection) is psycopg2.extensions.connection
        connection.close()


# -- by the front door -------------------------------------------------------------------------------------------------


def test_a_running_server_says_so_within_seconds_and_goes_on_by_itself(
    tmp_path: Path, location: Location, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "walrus.txt").write_text("The keeper of the walrus Herbert is Ada Lovelace.\n")
    settings = Settings(
        documents=tmp_path / "walrus.txt", index_dir=tmp_path / "index", store=location.database, llm="none"
    )
    body = {"messages": [{"role": "user", "content": "Who is the keeper of the walrus Herbert?"}]}
    with (
        Assistant.open(settings) as assistant,
        serve(assistant, port=0) as server,
        httpx.Client(base_url=server.address, timeout=LONG_S) as client,
        ThreadPoolExecutor(12) as pool,
    ):

        def ask(_: object = None) -> httpx.Response:
            return client.post("/v1/chat/completions", json=body)

        assert "Ada Lovelace" in ask().text
        with hanging():
            health = client.get("/health")
            answers = [*pool.map(ask, range(12)), ask()]
        assert (health.status_code, health.json()["status"]) == (503, "unavailable")
        assert {answer.status_code for answer in answers} == {503}
        said = {answer.json()["error"]["message"] for answer in answers} | {health.json()["reason"]}
        assert said == {"the index cannot be reached just now; ask again later (the server's log says why)"}
        eventually(assistant.count)
        assert "Ada Lovelace" in ask().text
        assert client.get("/health").json() == {"status": "ready", "documents": 1, "passages": 1}
    logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(logged) == 1
    assert re.search(rf"^postgresql://.*{HANGS}", logged[0])
