"""Vectors on a server that is gone, cut off, or was emptied: searches say so, or are right."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.vector_stores.types import VectorStoreQueryResult
from servers import ENGINES, fresh_schema, location_of, postgres
from sqlalchemy import text
from store_samples import DIMENSION, QUERY, ids, item, open_store, slow_dense, stored, unit, vector_of

import rag.engines
import rag.milvus
import rag.pgvector
import rag.postgres_engine
import rag.remote
from rag.catalogue import Catalogue
from rag.engines import LlamaIndexEngine
from rag.errors import DocumentUnreadable, IndexDamaged, IndexMismatch, SettingsError, StoreUnavailable
from rag.milvus import milvus_address
from rag.postgres import PostgresCatalogue
from rag.postgres_engine import engine_at
from rag.remote import RemoteIndex
from rag.store import FloatArray, Location, Store
from rag.types import Chunk


@pytest.fixture(params=ENGINES[1:])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    with location_of(request.param, tmp_path / "index") as location:
        yield location


def engine_of(store: Store) -> LlamaIndexEngine:
    with store._catalogue.reading() as reader:
        engine: LlamaIndexEngine = store._vectors._engine(reader.state)  # type: ignore[attr-defined]
    return engine


def on_the_server(store: Store) -> list[int]:
    """The ids that the server has, one for each row."""
    return sorted(engine_of(store).search(QUERY, 1000))


def test_the_server_has_each_vector_once(store: Store) -> None:
    store.replace([item(f"s{i}", "owl", "seal") for i in range(20)])
    assert on_the_server(store) == sorted(stored(store))


@pytest.mark.parametrize("when", ["before", "after"])
def test_cut_off_while_sending_nothing_is_lost_or_there_twice(
    store: Store, location: Location, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill leaves: the catalogue knows of documents that the server has not, or has without being asked for."""
    add = LlamaIndexEngine.add

    def cut_off(engine: LlamaIndexEngine, *vectors: object) -> None:
        if when == "after":
            add(engine, *vectors)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    store.replace([item("first", "elk")])
    with monkeypatch.context() as killed:
        killed.setattr(LlamaIndexEngine, "add", cut_off)
        with pytest.raises(KeyboardInterrupt):
            store.replace([item(f"s{i}", "owl", "seal") for i in range(5)])
    with open_store(location) as other:
        assert ids(other.dense(QUERY, 50)) == slow_dense(stored(other), QUERY, 50)
        other.remove([3])
        other.replace([item("last", "heron")])
        assert ids(other.dense(QUERY, 50)) == slow_dense(stored(other), QUERY, 50)
        assert [i for i in on_the_server(other) if i in stored(other)] == sorted(stored(other))


def test_what_is_gone_is_deleted_there_when_nobody_can_still_read_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.replace([item(f"s{i}", "owl", "seal") for i in range(5)])
    store.remove([1, 2])
    assert len(on_the_server(store)) == 10  # a search that began before may still find it
    assert len(store.dense(QUERY, 50)) == 6
    monkeypatch.setattr(rag.remote, "GRACE_S", -1.0)
    store.set_meta("any", "write")
    assert on_the_server(store) == sorted(stored(store))
    assert len(store.dense(QUERY, 50)) == 6


def test_many_chosen_or_left_out_documents_are_sought_by_the_server(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rag.remote, "EXACT", 0)
    monkeypatch.setattr(rag.remote, "_MORE", 1)
    store.replace([item(f"s{i}", *(f"word{j}" for j in range(5))) for i in range(40)])
    for filters in ({"documents": ["s3", "s4"]}, {"exclude": [f"s{i}" for i in range(30)]}, {"documents": ["none"]}):
        assert ids(store.dense(QUERY, 3, **filters)) == slow_dense(stored(store), QUERY, 3, **filters)


def test_documents_that_are_about_something_else_are_compared(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in {"EXACT": 0, "_MORE": 1, "_MOST": 8, "READ_AT_ONCE": 7}.items():
        monkeypatch.setattr(rag.remote, name, most)
    store.replace([item(f"s{i}", *(f"word{j}" for j in range(5))) for i in range(20)])
    nearest = [stored(store)[i][0] for i in ids(store.dense(QUERY, 8))]
    far = [f"s{i}" for i in range(20) if f"s{i}" not in nearest]
    for filters in ({"documents": far}, {"exclude": sorted(set(nearest))}):
        assert ids(store.dense(QUERY, 6, **filters)) == slow_dense(stored(store), QUERY, 6, **filters)


def test_a_server_that_lost_its_vectors_is_named_and_filled_again(store: Store, location: Location) -> None:
    store.replace([item(f"s{i}", "owl", "seal") for i in range(5)])
    before = store.dense(QUERY, 5)
    engine_of(store).delete(on_the_server(store))
    for use in (store.verify, lambda: store.dense(QUERY, 5)):
        with pytest.raises(IndexDamaged, match="rag rebuild --vectors"):
            use()
    Store.rebuild_vectors(location)
    assert store.dense(QUERY, 5) == before


def test_after_something_was_sent_the_server_prepares_for_searches_and_may_fail(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rag.remote, "BLOCK", 4)
    tried: list[int] = []

    def settle(added: int) -> None:
        tried.append(added)
        raise ConnectionError

    store.replace([item("first", "owl")])
    monkeypatch.setattr(engine_of(store), "_settle", settle)
    store.replace([item(f"s{i}", "walrus", "stork") for i in range(5)])
    store.set_meta("any", "write")
    assert tried == [10]  # it is not tried with each write
    assert caplog.text.count("searches are slower than they could be") == 1
    assert ids(store.dense(QUERY, 20)) == slow_dense(stored(store), QUERY, 20)


def test_the_server_has_what_a_search_does_not_lead_to(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.replace([item(f"s{i}", "owl", "seal") for i in range(5)])
    monkeypatch.setattr(type(engine_of(store)._store), "query", lambda *_, **__: VectorStoreQueryResult(ids=[]))
    store.verify()
    store.snapshot()  # which would send all of it again
    assert engine_of(store).holds([*stored(store), 999]) == set(stored(store))


@pytest.mark.parametrize(("compared", "hidden"), [(20_000, 0), (1_000, 4)])
def test_thousands_that_are_nearly_the_same_hide_hardly_anything(
    compared: int, hidden: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HNSW loses sight of most of the first ones, if it is built in the order in which they came."""
    monkeypatch.setattr(rag.pgvector, "_EXACT", compared)
    rng = np.random.default_rng(1)

    def near(count: int, spread: float) -> FloatArray:
        vectors = rng.standard_normal(64) / 8 + spread * rng.standard_normal((count, 64))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    with location_of("postgresql", tmp_path) as location, closing(location._server()) as server:
        engine = server.open("rag_near", 64)
        few, many = near(40, 0.05), near(3000, 0.01)
        engine.add(range(40), few)
        engine.add(range(1000, 4000), many)
        engine.settle(3040)
        assert len([i for i in range(40) if i not in engine.search(few[i], 40)]) <= hidden
        engine.drop()


def test_an_index_whose_making_was_cut_off_is_made_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.pgvector, "_EXACT", 10)
    with location_of("postgresql", tmp_path) as location:
        with open_store(location) as store, monkeypatch.context() as killed:
            killed.setattr(rag.pgvector, "_run", interrupted)
            with pytest.raises(KeyboardInterrupt):
                store.replace([item(f"s{i}", "owl", "seal", "heron") for i in range(5)])
        assert hnsw(location) == 0
        with open_store(location) as store:
            store.set_meta("any", "write")
            assert hnsw(location) == 1
            assert ids(store.dense(QUERY, 20)) == slow_dense(stored(store), QUERY, 20)


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_ends_what_the_server_still_works_at(tmp_path: Path) -> None:
    with location_of("postgresql", tmp_path) as location, engine_at(location.database).connect() as connection:
        began = time.monotonic()
        main = threading.main_thread().ident
        threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            rag.pgvector._run(connection, "SELECT pg_sleep(60)")
        assert time.monotonic() - began < 30
        connection.rollback()
        assert connection.execute(text("SELECT 1")).scalar() == 1  # by another connection


def test_nobody_waits_with_whoever_reads_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump, or somebody's idle psql: the vectors cannot be mixed meanwhile, and questions do not wait for that."""
    monkeypatch.setattr(rag.pgvector, "_EXACT", 10)
    monkeypatch.setattr(rag.engines, "_UNSETTLED_S", 0.0)
    with location_of("postgresql", tmp_path) as location, open_store(location) as store:
        store.replace([item("first", "owl")])
        engine = engine_at(location.database)
        with engine.connect() as other:
            table = other.execute(
                text(
                    "SELECT relname FROM pg_class WHERE relname LIKE 'data_rag%' AND relkind = 'r' "
                    "AND relnamespace = current_schema()::regnamespace"
                )
            )
            other.execute(text(f'SELECT count(*) FROM "{table.scalars().first()}"'))
            store.replace([item(f"s{i}", "owl", "seal", "heron") for i in range(5)])
            assert hnsw(location) == 0
            assert ids(store.dense(QUERY, 20)) == slow_dense(stored(store), QUERY, 20)
        engine.dispose()
        store.set_meta("any", "write")
        assert hnsw(location) == 1


def hnsw(location: Location) -> int:
    """How many indexes of this kind there are."""
    indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = current_schema() AND indexdef LIKE '%hnsw%'"
    engine = engine_at(location.database)
    with engine.connect() as connection:
        count: int = connection.execute(text(indexes)).scalar_one()
    engine.dispose()
    return count


def test_a_large_collection_gets_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.pgvector, "_EXACT", 10)
    with location_of("postgresql", tmp_path) as location, open_store(location) as store:
        for documents, made in ((2, 0), (3, 1), (2, 1)):
            store.replace([item(f"{documents} {i}", "owl", "seal", "heron") for i in range(documents)])
            assert hnsw(location) == made
        assert ids(store.dense(QUERY, 20)) == slow_dense(stored(store), QUERY, 20)


def test_passages_that_are_all_the_same_are_not_lost(store: Store) -> None:
    store.replace([(*item(f"s{i}", "the foot of every page")[:2], unit("foot")[None, :]) for i in range(150)])
    store.replace([(*item("nothing", "…")[:2], np.zeros((1, 16), np.float32))])
    store.verify()


def test_what_is_written_while_another_process_sends_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for that one, which has looked for more already."""
    delete_doomed = RemoteIndex._delete_doomed
    others = iter(["written meanwhile"])
    location = Location(tmp_path, fresh_schema())

    def interrupted(index: RemoteIndex, catalogue: Catalogue) -> None:
        for source in others:
            with open_store(location) as other:
                other.replace([item(source, "seal")])
        delete_doomed(index, catalogue)

    monkeypatch.setattr(RemoteIndex, "_delete_doomed", interrupted)
    with open_store(location) as store:
        store.replace([item("first", "owl")])
        assert on_the_server(store) == sorted(stored(store)) == [1, 2]


def test_a_collection_is_deleted_that_was_given_up_while_others_were_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rag.remote, "GRACE_S", -1.0)
    drop = RemoteIndex._drop
    given_up: list[str] = []
    dropped: list[str] = []

    def meanwhile(index: RemoteIndex, name: str, dimension: int) -> None:
        if not given_up:
            with store._catalogue.transaction() as writer:
                given_up.append(writer.state.snapshot)
                index.forget(writer)
        dropped.append(name)
        drop(index, name, dimension)

    monkeypatch.setattr(RemoteIndex, "_drop", meanwhile)
    location = Location(tmp_path, fresh_schema())
    with open_store(location) as store:
        store.replace([item("first", "owl"), item("second", "owl")])
        Store.rebuild_vectors(location)
        store.set_meta("any", "write")
        assert len(dropped) == 2
        assert dropped[1:] == given_up


def test_another_server_is_told_from_the_one_that_has_the_vectors(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with location_of("milvus+postgresql", tmp_path) as right:
        wrong = Location(tmp_path, right.catalogue)
        with open_store(right) as store:
            store.replace([item(f"s{i}", "owl") for i in range(5)])
        with open_store(wrong) as other:
            other.replace([item("new", "owl")])
            assert "or is another one; correct RAG_STORE" in caplog.text
            with pytest.raises(IndexDamaged, match="or is another one; correct RAG_STORE"):
                other.dense(QUERY, 5)
        with open_store(right) as store:
            assert len(store.dense(QUERY, 50)) == 6


def test_what_one_process_stored_another_finds(location: Location) -> None:
    where = f"Location(Path({str(location.index_dir)!r}), {location.vectors!r}, {location.catalogue!r})"
    said = [
        printed(f"with open_store({where}) as store: {work}; print([i for i, _ in store.dense(QUERY, 3)])")
        for work in ('store.replace([item(f"s{i}", "owl", "seal") for i in range(5)])', "store.count()")
    ]
    assert said[0] == said[1]
    assert said[0].count(",") == 2


def printed(code: str) -> str:
    """What `code` prints in a process of its own."""
    imports = (
        "from pathlib import Path\nfrom store_samples import item, open_store, unit\nfrom rag.store import Location\n"
    )
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": f"{here.parent}{os.pathsep}{here}"}
    command = [sys.executable, "-c", f"{imports}QUERY = unit('a question')\n{code}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- servers that cannot be reached ------------------------------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.postgres_engine, "_CONNECT_S", 2)  # PostgreSQL's client takes no less
    monkeypatch.setattr(rag.postgres_engine, "_BETWEEN_TRIES_S", 0.01)
    monkeypatch.setattr(rag.milvus, "_ANSWER_S", 3.0)  # gRPC takes up to two off


@pytest.mark.usefixtures("impatient")
def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path: Path, silent: int) -> None:
    for port in (1, silent):
        with pytest.raises(StoreUnavailable) as raised:
            open_store(Location(tmp_path, f"postgresql://ann:hidden@127.0.0.1:{port}/db"))
        said = str(raised.value)
        assert said.startswith(f"postgresql://127.0.0.1:{port}/db does not answer (")
        assert said.endswith("; check that it runs, and RAG_STORE and RAG_CATALOGUE")
        assert "hidden" not in said
        assert "\n" not in said


def test_a_database_that_is_not_there_or_not_ours_is_named(tmp_path: Path) -> None:
    url = fresh_schema()
    with pytest.raises(StoreUnavailable, match=r"refuses \(.*nowhere.*create what it misses"):
        open_store(Location(tmp_path, url.replace("/postgres?", "/nowhere?")))
    with closing(PostgresCatalogue(url)) as catalogue:
        catalogue.create_if_absent("one model", 16)
        with catalogue.engine.begin() as connection:
            connection.execute(text("UPDATE rag_state SET format = 99"))
    with pytest.raises(IndexMismatch, match="format 99 and this program reads 2"):
        open_store(Location(tmp_path, url))


@pytest.mark.usefixtures("impatient")
def test_without_the_vector_server_documents_are_stored_and_it_is_said(
    tmp_path: Path, silent: int, caplog: pytest.LogCaptureFixture
) -> None:
    for port in (1, silent):
        with open_store(Location(tmp_path / str(port), f"milvus://ann:hidden@127.0.0.1:{port}")) as store:
            with caplog.at_level(logging.WARNING):
                store.replace([item("a", "owl", "seal")])
            assert f"Milvus at http://127.0.0.1:{port} does not answer" in caplog.text
            assert "hidden" not in caplog.text
            assert len(store.dense(QUERY, 5)) == 2  # what no server was sent yet, is searched here


@contextmanager
def milvus_server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A Milvus of a process of its own: where it is, and what can be stopped."""
    pytest.importorskip("milvus_lite", reason="Milvus Lite cannot be installed here")
    code = (
        "import sys; from milvus_lite.server_manager import server_manager_instance as servers\n"
        "print(servers.start_and_get_uri(sys.argv[1]), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(folder / "vectors.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().strip().removeprefix("http://"), server
        finally:
            server.kill()


@pytest.mark.usefixtures("impatient")
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped here")
def test_a_milvus_that_hangs_is_named_and_asked_again(tmp_path: Path) -> None:
    with milvus_server(tmp_path) as (at, server), open_store(Location(tmp_path, f"milvus://{at}")) as store:
        store.replace([item("a", "owl", "seal")])
        server.send_signal(signal.SIGSTOP)
        pool = ThreadPoolExecutor(8)
        for asked in [pool.submit(store.dense, QUERY, 5) for _ in range(8)]:
            with pytest.raises(
                StoreUnavailable, match=rf"Milvus at http://{at} does not answer \(it says nothing\); check"
            ):
                asked.result(60)
        pool.shutdown()
        server.send_signal(signal.SIGCONT)
        until, found = time.monotonic() + 60, 0
        while not found and time.monotonic() < until:
            with suppress(StoreUnavailable):
                found = len(store.dense(QUERY, 5))
        assert found == 2


def test_milvus_is_kept_from_logging_in_our_calls_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("milvus_lite", reason="Milvus Lite cannot be installed here")
    import pymilvus

    location = Location(tmp_path, f"milvus:{tmp_path / 'vectors.db'}")
    theirs = logging.getLogger("pymilvus")
    theirs.addHandler(caplog.handler)  # it prints by itself, and passes nothing on
    try:
        with open_store(location) as store:
            store.replace([item("a", "owl")])
            client = pymilvus.MilvusClient(str(tmp_path / "vectors.db"))
            for name in client.list_collections():
                client.drop_collection(name)
            with pytest.raises(StoreUnavailable, match="not"):
                store.dense(QUERY, 5)
            assert [record.getMessage() for record in caplog.records] == []
            with pytest.raises(pymilvus.MilvusException):
                client.search("nothing", [[0.0]])
            assert caplog.records != []
    finally:
        theirs.removeHandler(caplog.handler)


def cut_connections() -> None:
    """All that there are, as when the database is started again."""
    with closing(PostgresCatalogue(fresh_schema())) as other, other.engine.begin() as connection:
        of = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) {of}"))


def test_the_connection_of_a_server_that_was_started_again_is_made_anew(tmp_path: Path) -> None:
    with open_store(Location(tmp_path, fresh_schema())) as store:
        store.replace([item("a", "owl")])
        store.dense(QUERY, 5)
        cut_connections()
        assert len(store.dense(QUERY, 5)) == 1
        store.replace([item("b", "seal")])
        assert len(store.dense(QUERY, 5)) == 2


def test_a_connection_that_is_lost_while_reading_is_said_each_time(tmp_path: Path) -> None:
    with open_store(Location(tmp_path, fresh_schema())) as store:
        store.replace([item("a", "owl")])
        with suppress(StoreUnavailable), store.reading():  # which ends with the same
            cut_connections()
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="does not answer"):
                    store.documents()
        assert len(store.documents()) == 1


def test_each_schema_has_an_index_of_its_own(tmp_path: Path) -> None:
    first, second = fresh_schema(), fresh_schema()
    names = [re.search(r"test_\d+", url)[0] for url in (first, second)]  # type: ignore[index]
    behind = second.replace(names[1], f"{names[1]}%2C{names[0]}")
    with open_store(Location(tmp_path, first)) as store, open_store(Location(tmp_path, behind)) as other:
        store.replace([item("a", "owl")])
        assert other.count() == (0, 0)
        with store._catalogue.alone() as alone, other._catalogue.alone() as also, store._catalogue.alone() as twice:
            assert (alone, also, twice) == (True, True, False)
    with pytest.raises(StoreUnavailable, match="has no schema to keep the index in"):
        open_store(Location(tmp_path, first.replace(f"{names[0]}%2Cpublic", "nowhere")))
    postgres().psql('CREATE SCHEMA "Team"')
    with pytest.raises(StoreUnavailable, match="the schema 'Team' first, and only one without capitals can be used"):
        Location(tmp_path, first.replace(names[0], '"Team"')).check()


def test_thousands_of_words_are_sought_at_once(tmp_path: Path) -> None:
    words = [f"w{n}x" for n in range(5000)]
    with open_store(Location(tmp_path, fresh_schema())) as store:
        store.replace([item("a", " ".join(words[:2500])), item("b", " ".join(words[2500:]))])
        assert ids(store.keyword(words, 5)) == [1, 2]


def test_a_text_that_postgresql_cannot_keep_is_refused(tmp_path: Path) -> None:
    with open_store(Location(tmp_path, fresh_schema())) as store:
        with pytest.raises(DocumentUnreadable, match="holds a NUL character"):
            store.replace([item("good", "owl"), item("bad", "a\0b")])
        with pytest.raises(DocumentUnreadable, match="holds a NUL character"):
            store.replace([item("a\0b", "owl")])
        assert store.count() == (0, 0)


def test_words_of_any_length_are_kept_and_found(tmp_path: Path) -> None:
    """Chinese has no spaces; nor has what base64 makes of a picture."""
    digits = "".join(f"{n:x}" for n in range(3000))
    chinese = "".join(map(chr, range(0x4E00, 0x5600)))
    with open_store(Location(tmp_path, fresh_schema())) as store:
        store.replace([item("a", digits, chinese, "owl")])
        for word in (digits, chinese, "owl"):
            (passage,) = store.passages(ids(store.keyword([word], 5)))
            assert passage.text == word
        store.replace([item("a", "owl")])
        assert store.words_held(["owl", "seal", "walrus"]) == {"owl": 1}
        with pytest.raises(DocumentUnreadable, match="a name that is too long for PostgreSQL"):
            store.replace([item(chinese, "owl")])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rag_lexeme SET passages = 7 WHERE lexeme = 'owl'",
        "DELETE FROM rag_lexeme",
        "UPDATE rag_state SET tokens = 1",
        "UPDATE rag_state SET passages = 9",
        "UPDATE rag_passage SET text = 'another' WHERE id = 1",
        "UPDATE rag_passage SET stop = stop + 1 WHERE id = 1",
    ],
)
def test_a_database_that_does_not_agree_with_itself_is_named_and_made_again(tmp_path: Path, statement: str) -> None:
    location = Location(tmp_path, fresh_schema())
    with open_store(location) as store:
        store.replace([item("a", "owl", "seal owl"), item("b", "elk")])
        store.verify()
    with closing(PostgresCatalogue(location.database)) as catalogue, catalogue.engine.begin() as connection:
        connection.execute(text(statement))
    with open_store(location) as store, pytest.raises(IndexDamaged, match="run 'rag rebuild'"):
        store.verify()
    Store.rebuild(
        location,
        fingerprint="one model",
        dimension=DIMENSION,
        chunk=lambda document: [Chunk(0, len(document.text))],
        embed=lambda document, chunks: np.array([vector_of(document.source, document.text)]),
    )
    with open_store(location) as store:
        store.verify()


def test_how_often_a_passage_holds_a_word_is_told_from_its_rank(tmp_path: Path) -> None:
    """BM25 in PostgreSQL rests on it; SQLite says what the scores have to be."""
    items = [item(f"s{n}", " ".join(["owl"] * n + ["seal"] * 3)) for n in range(0, 120, 7)]
    with open_store(tmp_path / "here") as here, open_store(Location(tmp_path, fresh_schema())) as there:
        for store in (here, there):
            store.replace([*items, item("other", "elk", "heron walrus")])
        for terms in (["owl"], ["owl", "seal"], ["owl seal"], ["seal seal seal", "heron-walrus"], ["owl", "nobody"]):
            expected = here.keyword(terms, 50)
            assert there.keyword(terms, 50) == [(i, pytest.approx(score, rel=1e-9)) for i, score in expected]


# -- addresses ---------------------------------------------------------------------------------------------------------


def test_milvus_is_never_asked_for_more_than_it_looks_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server refuses that; Milvus Lite does not."""
    with location_of("milvus", tmp_path) as location, open_store(location) as store:
        store.replace([item("a", "owl", "seal")])
        client, asked = engine_of(store)._store.client, []
        search = client.search

        def seen(*given: Any, **named: Any) -> Any:
            asked.append((named["limit"], named["search_params"]["params"]["ef"]))
            return search(*given, **named)

        monkeypatch.setattr(client, "search", seen)
        for k in (1, 500, 10_000):
            engine_of(store).search(QUERY, k)
    assert [limit for limit, _ in asked] == [1, 500, 10_000]
    assert all(ef >= limit for limit, ef in asked)


def test_addresses_of_milvus(tmp_path: Path) -> None:
    assert milvus_address("milvus://vectors.example") == ("http://vectors.example:19530", "")
    assert milvus_address("milvus://[::1]:7") == ("http://[::1]:7", "")
    assert milvus_address("milvus://ann:p%40ss@h:7") == ("http://h:7", "ann:p@ss")
    assert milvus_address("milvus://h/default") == ("http://h:19530", "")
    assert milvus_address("milvus+https://h:443/") == ("https://h:443", "")
    assert milvus_address("milvus://a-key@h") == ("http://h:19530", "a-key")
    assert milvus_address(f"milvus:{tmp_path / 'deep' / 'v.db'}") == (str(tmp_path / "deep" / "v.db"), "")
    with pytest.raises(SettingsError, match=r"ends in \.db"):
        milvus_address("milvus:vectors.txt")
