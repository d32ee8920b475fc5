"""Other stores by the front door: `rag` with RAG_STORE, `rag migrate`, and what is said when something is wrong."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from commands import WALRUS, rag
from servers import fresh_schema, postgres

from rag import postgres_engine
from rag.store import Location

QUESTION = "Who is the keeper of the walrus Herbert?"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A documents folder with one document, and no settings of the developer's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_LLM", "none")
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "walrus.txt").write_text(WALRUS)
    return tmp_path / "documents"


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> str:
    url = fresh_schema()
    monkeypatch.setenv("RAG_STORE", url)
    return url


@pytest.mark.usefixtures("database")
def test_the_same_commands_on_postgresql(folder: Path) -> None:
    before = rag("doctor").stdout
    assert "there is none in postgresql:///" in before
    assert "'rag ingest PATH' makes it" in before
    empty = "the index is empty; run 'rag ingest PATH' for a file or folder"
    asked = rag("ask", QUESTION)
    assert asked.exit_code == 1  # nothing was ingested: not even the seeds
    assert f"Why: {empty}." in asked.stdout
    assert rag("documents").stderr == f"rag: {empty}\n"
    assert rag("ingest", folder).stdout.startswith("1 added")
    answered = rag("ask", QUESTION)
    assert answered.exit_code == 0
    assert "Ada Lovelace" in answered.stdout
    assert "walrus.txt" in rag("documents").stdout
    assert "1 documents and 1 passages in postgresql:///" in rag("doctor").stdout
    assert rag("rebuild").stdout.startswith("the index in postgresql:///")
    assert rag("rebuild", "--vectors").exit_code == 0
    assert rag("ask", QUESTION).stdout == answered.stdout
    assert rag("remove", "walrus.txt").exit_code == 0
    assert empty in rag("ask", QUESTION).stdout
    assert rag("ingest", folder).stdout.startswith("1 added")
    assert rag("ask", QUESTION).stdout == answered.stdout


def test_where_an_index_of_two_servers_is_is_said_without_a_login(tmp_path: Path) -> None:
    database = fresh_schema()
    name = Location(tmp_path, database).name
    assert name.startswith("postgresql:///")
    assert Location(tmp_path, "milvus://ann:hidden@h", database).name == f"{name} with vectors in milvus://***@h"
    assert Location(tmp_path, f"milvus:{tmp_path}/v.db").name == f"{tmp_path} with vectors in milvus:{tmp_path}/v.db"


@pytest.mark.usefixtures("database")
def test_documents_that_are_named_are_kept_up_to_date_there_too(folder: Path) -> None:
    assert rag("--documents", folder, "ask", QUESTION).exit_code == 0


def test_there_and_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = rag("--documents", folder, "ask", QUESTION)
    database = fresh_schema()
    moved = rag("migrate", "--to", database)
    assert moved.exit_code == 0, moved.stderr
    assert moved.stdout.startswith("1 documents and 1 passages are in postgresql:///")
    assert moved.stdout.endswith("(1 copied now); set RAG_STORE to use them\n")
    assert "(0 copied now)" in rag("migrate", "--to", database).stdout
    elsewhere = rag("migrate", "--to", f"milvus:{folder.parent}/v.db", "--to-catalogue", database)
    assert "with vectors in milvus" in elsewhere.stdout
    with monkeypatch.context() as there:
        there.setenv("RAG_STORE", f"milvus:{folder.parent}/v.db")
        there.setenv("RAG_CATALOGUE", database)
        assert rag("ask", QUESTION).stdout == answered.stdout
    assert rag("migrate", "--to", database).exit_code == 0
    monkeypatch.setenv("RAG_STORE", database)
    assert rag("ask", QUESTION).stdout == answered.stdout
    assert "set RAG_STORE=faiss and RAG_INDEX_DIR=back" in rag("--index-dir", "back", "migrate", "--to", "faiss").stdout
    monkeypatch.delenv("RAG_STORE")
    assert rag("--documents", folder, "--index-dir", "back", "ask", QUESTION).stdout == answered.stdout


def test_a_target_that_is_no_address_is_wrong_usage(folder: Path) -> None:
    rag("--documents", folder, "ask", QUESTION)
    refused = rag("migrate", "--to", "elsewhere")
    assert refused.exit_code == 2
    assert "--to or --to-catalogue: setting 'store' must be faiss, or begin with" in refused.stderr


def test_an_index_is_not_copied_over_another(folder: Path) -> None:
    rag("--documents", folder, "ask", QUESTION)
    database = fresh_schema()
    assert rag("migrate", "--to", database).exit_code == 0
    (folder / "second.txt").write_text("The heron is called Edda.")
    rag("--documents", folder, "ask", QUESTION)
    refused = rag("migrate", "--to", database)
    assert refused.exit_code == 3
    assert "holds an index with 1 documents, which would be lost; name an empty database or folder" in refused.stderr


@pytest.mark.parametrize(
    ("store", "catalogue", "told"),
    [
        ("mysql://h/db", "", "setting 'store' must be faiss, or begin with postgresql:// or milvus:; correct it"),
        ("faiss", "postgresql://h/db", "which cannot be shared; set store (RAG_STORE) to postgresql://"),
        ("milvus://h", "sqlite:///x", "setting 'catalogue' must begin with postgresql://, or be left out"),
        ("milvus://", "", "the address of Milvus is none; write it as milvus://"),
        ("milvus://:19530", "", "the address of Milvus is none; write it as milvus://"),
        ("milvus:", "", "the address of Milvus is none; write it as milvus://"),
        ("milvus://[::1", "", "the address of Milvus is none; write it as milvus://"),
        ("milvus://h/a_database", "", "the address of Milvus is none; write it as milvus://"),
        ("milvus:vectors.txt", "", "Milvus Lite keeps its vectors in a file that ends in .db"),
        ("postgresql://ann:hidden@h:port/db", "", "the database is none: no number stands where its port is; write"),
        ("postgresql://ann:pass@hidden@h/db", "", "and of the password each @ as %40"),
        ("postgresql+asyncpg://ann:hidden@h/db", "", "PostgreSQL is asked through psycopg2, not asyncpg; write"),
        (
            "milvus://h",
            "postgresql+psycopg://h/db",
            "setting 'catalogue': PostgreSQL is asked through psycopg2",
        ),
        ("postgresql+psycopg2://ann:hidden@127.0.0.1:1/db", "", "postgresql://127.0.0.1:1/db does not answer ("),
        ("postgresql://ann:hidden@no..where/db", "", "//no..where/db cannot be found: there is no host of this name"),
        ("postgresql://ann:hidden@127.0.0.1:99999/db", "", "cannot be found: its port is no number from 1 to 65535"),
        ("postgresql://ann:hidden@127.0.0.1/db?sslmode=on", "", 'does not understand (invalid sslmode value: "on")'),
        ("postgresql://ann:hidden@127.0.0.1/db?nothing=1", "", "has an address that PostgreSQL does not understand ("),
        ("milvus://ann:hidden@h:port", "", "the address of Milvus is none; write it as milvus://"),
        ("postgresql://one:1/db,postgresql://ann:hidden@two/db", "", "the address of the database is none"),
    ],
)
def test_what_is_wrong_with_an_address_is_one_line(
    store: str, catalogue: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_engine, "_BETWEEN_TRIES_S", 0.01)
    monkeypatch.setenv("RAG_STORE", store)
    monkeypatch.setenv("RAG_CATALOGUE", catalogue)
    for command in (["ask", QUESTION], ["documents"]):
        result = rag(*command)
        assert (result.exit_code, result.stdout) == (3, "")
        assert len(result.stderr.splitlines()) == 1
        assert told in result.stderr
        assert "hidden" not in result.stderr
    config = rag("config").stdout
    assert "hidden" not in config + repr(Location(Path(), store, catalogue))
    assert "127.0.0.1:1/db" in config or "127.0.0.1:1/" not in store


def test_where_rag_toml_sends_documents_is_told(folder: Path) -> None:
    Path("rag.toml").write_text(f'store = "{fresh_schema()}"\n')
    result = rag("--documents", folder, "ask", QUESTION)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("rag: warning: rag.toml: texts and questions go to postgresql://")
    assert line.endswith("if you did not write that, remove store and catalogue there")


# -- what a server refuses ---------------------------------------------------------------------------------------------


def of_server(database: str = "postgres", user: str = "postgres:") -> str:
    """The URL of a database of the tests' server."""
    return postgres().get_uri().replace("/postgres?", f"/{database}?").replace("postgres:@", f"{user}@")


@pytest.fixture(scope="module")
def ann() -> Iterator[str]:
    """Somebody who may make tables in a database of her own, "hers", with a password."""
    server = postgres()
    for statement in (
        "CREATE ROLE ann LOGIN PASSWORD 'right'",
        "CREATE DATABASE hers OWNER ann",
    ):
        server.psql(statement)
    rules = Path(server.pgdata, "pg_hba.conf")
    before = rules.read_text()
    rules.write_text(f"local all ann scram-sha-256\nlocal all bob reject\n{before}")
    server.psql("SELECT pg_reload_conf()")
    yield of_server("hers", "ann:right")
    rules.write_text(before)
    server.psql("SELECT pg_reload_conf()")


def refused(url: str, monkeypatch: pytest.MonkeyPatch, *, of: tuple[str, ...] = ("documents", "doctor")) -> str:
    """The one line that is said of it, by both."""
    monkeypatch.setenv("RAG_STORE", url)
    lines = set()
    for command in of:
        result = rag(command)
        assert result.exit_code == 3
        (line,) = [line for line in (result.stdout + result.stderr).splitlines() if "postgresql://" in line]
        lines.add(line[line.index("postgresql://") :])
        assert "right" not in line
    (line,) = lines
    return line


@pytest.mark.parametrize(
    ("login", "told"),
    [
        ("ann:wrong", "does not take this name and password; correct them in RAG_STORE and RAG_CATALOGUE"),
        ("ann", "wants a password, and none is given; write it into RAG_STORE and RAG_CATALOGUE: postgresql://name:"),
        ("bob", 'does not let this login in from here (pg_hba.conf rejects connection for host "[local]", user "bob"'),
        ("nobody", 'refuses (role "nobody" does not exist); correct'),
    ],
)
def test_a_login_that_is_refused_is_said_to_be(
    ann: str, login: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told in refused(ann.replace("ann:right", login), monkeypatch)


def test_a_server_without_encryption_is_said_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server, ThreadPoolExecutor(1) as pool:

        def refuse_encryption() -> None:
            with server.accept()[0] as asked:
                asked.recv(8)
                asked.sendall(b"N")

        pool.submit(refuse_encryption)
        url = f"postgresql://127.0.0.1:{server.getsockname()[1]}/db?sslmode=require"
        told = refused(url, monkeypatch, of=("documents",))
    assert "offers no encryption, and 'sslmode' in its address wants it; let the server offer it, or correct" in told


# -- what the vectors need there ---------------------------------------------------------------------------------------


def test_pgvector_in_a_schema_that_is_not_searched_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres().psql("CREATE DATABASE apart")
    url = of_server("apart")
    for statement in ("CREATE SCHEMA tools", "CREATE SCHEMA app", "CREATE EXTENSION vector SCHEMA tools"):
        run_in(url, statement)
    told = refused(f"{url}&options=-csearch_path%3Dapp", monkeypatch, of=("doctor",))
    assert "has pgvector in its schema 'tools', which is not in the search_path; add it behind the first" in told
    assert told in rag("ingest", folder).stderr
    monkeypatch.setenv("RAG_STORE", f"{url}&options=-csearch_path%3Dapp,tools")
    assert rag("--documents", folder, "ask", QUESTION).exit_code == 0
    assert "1 documents and 1 passages" in rag("doctor").stdout


def test_pgvector_that_is_missing_or_too_old_is_said_by_the_doctor(ann: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = refused(ann, monkeypatch, of=("doctor",))
    assert "has no pgvector; let a superuser run 'CREATE EXTENSION vector' in it" in told
    run_in(of_server("hers"), "CREATE EXTENSION vector")
    monkeypatch.setenv("RAG_STORE", ann)
    assert "there is none in postgresql:///" in rag("doctor").stdout
    run_in(of_server("hers"), "UPDATE pg_extension SET extversion = '0.6.2' WHERE extname = 'vector'")
    assert "has pgvector 0.6.2, and 0.8 is needed; install a later one there" in refused(
        ann, monkeypatch, of=("doctor",)
    )


def run_in(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    ("store", "missing", "extra"),
    [
        ("milvus:vectors.db", "pymilvus", "milvus"),
        ("milvus:vectors.db", "milvus_lite", "milvus"),
        ("milvus://127.0.0.1:1", "pymilvus", "milvus"),
        ("postgresql://127.0.0.1:1/db", "psycopg2", "postgres"),
    ],
)
def test_a_package_that_is_not_installed_is_named_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, store: str, missing: str, extra: str
) -> None:
    rag("--documents", folder, "ask", QUESTION)  # an index of which no vectors were sent anywhere yet
    monkeypatch.setenv("RAG_STORE", store)
    monkeypatch.setitem(sys.modules, missing, None)
    for command in (["--documents", folder, "ask", "hello?"], ["documents"], ["doctor"]):
        result = rag(*command)
        assert result.exit_code == 3
        said = result.stdout + result.stderr
        assert f"a package that is not installed ({missing}); pip install 'rag-quoted[{extra}]'" in said


@pytest.mark.usefixtures("folder")
def test_a_package_without_which_the_other_is_not_even_looked_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_STORE", "milvus:vectors.db")
    monkeypatch.setitem(sys.modules, "llama_index.vector_stores", None)
    monkeypatch.delitem(sys.modules, "llama_index.vector_stores.milvus", raising=False)
    result = rag("ask", QUESTION)
    assert result.exit_code == 3
    assert "(llama_index.vector_stores.milvus); pip install 'rag-quoted[milvus]'" in result.stderr


def test_who_asks_half_a_copy_is_warned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rag("--documents", folder, "ask", QUESTION)
    database = fresh_schema()
    rag("migrate", "--to", database)
    monkeypatch.setenv("RAG_STORE", database)
    assert "half" not in rag("ask", QUESTION).stderr
    run_in(database, "UPDATE rag_meta SET value = replace(value, 'done', 'begun x') WHERE key = 'migrated from'")
    asked = rag("ask", QUESTION)
    assert asked.exit_code == 0
    assert "is half a copy; let 'rag migrate' finish it; what it lacks is not found" in asked.stderr


def test_no_folder_is_made_for_a_file_of_milvus_lite(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_STORE", f"milvus:{folder.parent / 'nowhere' / 'vectors.db'}")
    assert "is no folder" in rag("ingest", folder).stderr
    assert "is no folder" in rag("doctor").stdout
    assert not (folder.parent / "nowhere").exists()


def test_a_file_of_somebody_elses_is_not_taken_for_milvus_lite(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder.parent / "taken.db"
    file.write_text("my own")
    monkeypatch.setenv("RAG_STORE", f"milvus:{file}")
    for said in (rag("ingest", folder).stderr, rag("doctor").stdout):
        assert "taken.db is a file, and Milvus Lite needs a folder for itself; name another in RAG_STORE" in said
    assert file.read_text() == "my own"


def test_what_keeps_vectors_from_being_sent_is_said_once_for_a_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "second.txt").write_text("The heron is called Edda.")
    monkeypatch.setenv("RAG_STORE", "milvus://127.0.0.1:1")
    result = rag("ingest", folder)
    assert result.stdout.startswith("2 added")
    assert result.stderr.count("the index of vectors was not brought up to date: Milvus at http://127.0.0.1:1") == 1
