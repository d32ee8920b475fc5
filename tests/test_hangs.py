"""A PostgreSQL that hangs: it takes connections, and says nothing. Whoever waits is told so; then it is asked again."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

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
SCALE = 0.12  # of the time that passes here
LOGIN_S = 2.5 * SCALE  # a slow one
LONGER_S = 8 * SCALE  # than a server that hangs is waited for


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SILENCE_S", "READS_S", "PROBE_S", "_AGAIN_S", "_TICK_S"):
        monkeypatch.setattr(rag.watchdog, name, getattr(rag.watchdog, name) * SCALE)
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


class Proxy:
    """TCP in front of the test's PostgreSQL. What newcomers meet, and whether what is asked gets lost, can be set."""

    def __init__(self, url: str) -> None:
        self._folder = unquote(re.search(r"host=([^&]+)", url)[1])  # type: ignore[index]
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port = self._server.getsockname()[1]
        self.url = re.sub(r"@[^?]*?/", f"@127.0.0.1:{self.port}/", url)
        self.url = re.sub(r"host=[^&]+&", "", self.url)
        self.login_s = 0.0
        self.says = b""  # to newcomers, instead of the server
        self.loses_queries = False
        self._takes = True
        self._accepting = self._start(self._accept)

    def _start(self, run: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while self._takes:
                self._start(self._serve, self._server.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        time.sleep(self.login_s)
        server = socket.socket(socket.AF_UNIX)
        self._open += [client, server]
        if self.says:
            client.recv(8)
            client.sendall(self.says)
            client.close()
            return
        server.connect(f"{self._folder}/.s.PGSQL.5432")
        self._start(self._copy, server, client)
        self._copy(client, server, self)

    def _copy(self, source: socket.socket, target: socket.socket, may_lose: object = None) -> None:
        is_lost = False
        with suppress(OSError):
            while data := source.recv(65536):
                is_lost |= may_lose is not None and self.loses_queries and data[:1] == b"Q"
                if not is_lost:
                    target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)

    def refuse(self) -> None:
        """Nobody new gets a connection."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def fill(self) -> None:
        """Nobody new gets a connection, or learns that there is none."""
        self._takes = False
        self._open.append(socket.create_connection(("127.0.0.1", self.port)))  # the last that is taken
        self._accepting.join()
        self._server.listen(0)
        for _ in range(4):
            one = socket.socket()
            self._open.append(one)  # not the last of them for long: others serve at the same time
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))

    def close(self) -> None:
        with suppress(OSError):
            self.refuse()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with closing(Proxy(fresh_schema())) as proxy:
        yield proxy


@pytest.fixture
def through(proxy: Proxy, tmp_path: Path) -> Iterator[Store]:
    with open_store(Location(tmp_path, proxy.url)) as store:
        store.replace([item("a", "owl", "seal")])
        yield store


def sleep(store: Store, seconds: float) -> None:
    with store._catalogue.reading() as reader:
        assert reader.all(f"SELECT 1 FROM pg_sleep({seconds})") == [(1,)]  # type: ignore[attr-defined]


def seconds_of(use: Callable[[], object]) -> float:
    began = time.monotonic()
    use()
    return time.monotonic() - began


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
        first = seconds_of(lambda: all_refused(uses))
        later = seconds_of(lambda: all_refused(uses * 4))
        assert later < first / 2  # who comes later does not wait at all
    assert len(eventually(lambda: store.dense(unit("a question"), 5))) == 2


def test_an_index_that_is_opened_on_a_database_that_hangs_is_refused(location: Location) -> None:
    open_store(location).close()
    with hanging(), pytest.raises(StoreUnavailable, match=r"does not answer \(within 2 s\); check that it runs"):
        open_store(location)
    open_store(location).close()


def test_a_port_that_takes_no_connection_is_not_said_to_take_some(tmp_path: Path, proxy: Proxy) -> None:
    proxy.fill()
    with pytest.raises(StoreUnavailable, match=r"does not answer \(within 2 s\); check that it runs"):
        open_store(Location(tmp_path, proxy.url))


def test_a_database_that_is_named_after_certificates_is_no_matter_of_trust(location: Location) -> None:
    url = location.database.replace("/postgres?", "/certificates?")
    with pytest.raises(StoreUnavailable, match=r"refuses \(.*certificates.*create what it misses"):
        open_store(Location(location.index_dir, url))


def test_a_certificate_that_is_not_trusted_has_a_cure(tmp_path: Path, proxy: Proxy) -> None:
    proxy.says = b"S"  # it encrypts
    url = f"{proxy.url}&sslmode=verify-full&sslrootcert={tmp_path / 'none.pem'}"
    with pytest.raises(StoreUnavailable, match=r"is not trusted \(.*none\.pem.*correct sslmode and sslrootcert"):
        open_store(Location(tmp_path, url))


def test_a_statement_may_take_its_time_where_logins_are_slow(proxy: Proxy, through: Store) -> None:
    proxy.login_s = LOGIN_S
    sleep(through, LONGER_S)


def test_who_has_a_connection_is_served_where_nobody_else_gets_one(proxy: Proxy, through: Store) -> None:
    proxy.refuse()
    sleep(through, LONGER_S)
    assert len(through.documents()) == 1


def test_a_statement_may_take_its_time_behind_a_port_that_is_full(proxy: Proxy, through: Store) -> None:
    proxy.fill()
    sleep(through, LONGER_S)


def test_what_gets_lost_on_the_way_is_asked_again(proxy: Proxy, through: Store) -> None:
    proxy.loses_queries = True
    all_refused([through.documents] * 2)
    proxy.loses_queries = False
    assert len(eventually(through.documents)) == 1


def test_who_waits_is_told_so_where_the_index_is_closed_meanwhile(store: Store) -> None:
    with hanging(), ThreadPoolExecutor(1) as pool:
        asked = pool.submit(store.documents)
        time.sleep(0.1)
        store.close()
        with pytest.raises(StoreUnavailable, match=HANGS):
            asked.result(LONG_S)


def test_a_program_that_can_start_no_thread_goes_on(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with closing(PostgresCatalogue(location.database)) as catalogue:
        with monkeypatch.context() as full:
            full.setattr(threading.Thread, "start", none)
            assert not catalogue.exists()
        with hanging():
            all_refused([catalogue.exists])


def test_a_program_that_can_open_nothing_more_goes_on(store: Store) -> None:
    resource = pytest.importorskip("resource", reason="the files of a process cannot be bounded here")
    bounds, taken = resource.getrlimit(resource.RLIMIT_NOFILE), []
    with open(os.devnull) as least:  # noqa: PTH123
        resource.setrlimit(resource.RLIMIT_NOFILE, (least.fileno() + 64, bounds[1]))
        try:
            with suppress(OSError):
                while True:
                    taken.append(os.dup(least.fileno()))
            assert len(store.documents()) == 1
        finally:
            for one in taken:
                os.close(one)
            resource.setrlimit(resource.RLIMIT_NOFILE, bounds)


def test_a_writer_waits_for_another_one_as_long_as_before(store: Store, location: Location) -> None:
    with open_store(location) as other, ThreadPoolExecutor(1) as pool:
        with store._catalogue.transaction():
            written = pool.submit(other.replace, [item("b", "elk")])
            time.sleep(LONGER_S)
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
            answers: list[httpx.Response] = []
            first = seconds_of(lambda: answers.extend(pool.map(ask, range(12))))
            assert seconds_of(lambda: answers.append(ask())) < first / 2
            health = client.get("/health")
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
