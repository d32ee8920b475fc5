"""Other stores by the front door: `rag` with RAG_STORE, `rag migrate`, and what is said when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers import fresh_schema
from typer.testing import CliRunner, Result

from rag.cli import app
from rag.store import Location

WALRUS = "The walrus Herbert lives in the harbour of Bergen.\nIts keeper is Ada Lovelace, who feeds it every morning.\n"
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


def rag(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="rag")


@pytest.mark.usefixtures("database")
def test_the_same_commands_on_postgresql(folder: Path) -> None:
    before = rag("doctor").stdout
    assert "there is none in postgresql:///" in before
    assert "'rag ingest PATH' makes it" in before
    assert rag("ask", QUESTION).exit_code == 1  # nothing was ingested: not even the seeds
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
    assert rag("ask", QUESTION).exit_code == 1


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
    monkeypatch.setenv("RAG_STORE", database)
    assert rag("ask", QUESTION).stdout == answered.stdout
    assert rag("--index-dir", "back", "migrate", "--to", "faiss").exit_code == 0
    monkeypatch.delenv("RAG_STORE")
    assert rag("--documents", folder, "--index-dir", "back", "ask", QUESTION).stdout == answered.stdout


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
        ("milvus:vectors.txt", "", "Milvus Lite keeps its vectors in a file that ends in .db"),
        (
            "postgresql://ann:hidden@h:port/db",
            "",
            "the address of the database is none: no number stands where its port is; write it as postgresql://",
        ),
        ("postgresql://ann:pass@hidden@h/db", "", "and of the password each @ as %40"),
        (
            "postgresql+asyncpg://ann:hidden@h/db",
            "",
            "PostgreSQL is asked through psycopg2, not asyncpg; write postgresql",
        ),
        ("postgresql+psycopg2://ann:hidden@127.0.0.1:1/db", "", "postgresql://127.0.0.1:1/db does not answer ("),
        (
            "postgresql://ann:hidden@nobody.invalid/db",
            "",
            "nobody.invalid/db cannot be found: there is no host of this",
        ),
        (
            "postgresql://ann:hidden@127.0.0.1:99999/db",
            "",
            "cannot be found: its port is no number from 1 to 65535; corr",
        ),
        ("postgresql://ann:hidden@127.0.0.1/db?sslmode=on", "", 'does not understand (invalid sslmode value: "on")'),
        ("postgresql://ann:hidden@127.0.0.1/db?nothing=1", "", "has an address that PostgreSQL does not understand ("),
        ("milvus://ann:hidden@h:port", "", "the address of Milvus is none; write it as milvus://"),
        (
            "postgresql://one:1/db,postgresql://ann:hidden@two/db",
            "",
            "the address of the database is none",
        ),
        ("postgresql://ann:hidden@127.0.0.1:1/db", "", "postgresql://127.0.0.1:1/db does not answer ("),
    ],
)
def test_what_is_wrong_with_an_address_is_one_line(
    store: str, catalogue: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert "127.0.0.1:1/db" in config or "@127.0.0.1:1/" not in store or "127.0.0.1" not in store


def test_where_rag_toml_sends_documents_is_told(folder: Path) -> None:
    Path("rag.toml").write_text(f'store = "{fresh_schema()}"\n')
    result = rag("--documents", folder, "ask", QUESTION)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("rag: warning: rag.toml: texts and questions go to postgresql://")
    assert line.endswith("if you did not write that, remove store and catalogue there")
