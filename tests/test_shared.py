"""One index in PostgreSQL, several machines. Kills among them: `hardness/shared.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import fresh_schema

from rag.assistant import Assistant
from rag.settings import Settings

BIRDS = {
    "heron.txt": "The heron of the northern pond is called Edda.\n",
    "owl.txt": "The owl of the old tower is called Brunhilde.\n",
}


@pytest.fixture
def database() -> str:
    return fresh_schema()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "birds"
    folder.mkdir()
    for name, text in BIRDS.items():
        (folder / name).write_text(text)
    return folder


def settings_of(machine: Path, database: str, **more: object) -> Settings:
    """Of one machine: its own index folder, the common database."""
    return Settings(**{"index_dir": machine / "index", "store": database, "llm": "none", "refuse_below": 0.0} | more)


@pytest.fixture
def machines(tmp_path: Path, database: str, folder: Path) -> Iterator[tuple[Assistant, Assistant]]:
    """Two of them; the first one has ingested the birds."""
    with (
        Assistant.open(settings_of(tmp_path / "first", database, documents=folder)) as first,
        Assistant.open(settings_of(tmp_path / "second", database)) as second,
    ):
        yield first, second


def names(assistant: Assistant) -> list[str]:
    return [document.source for document in assistant.documents()]


def test_what_one_ingests_the_other_answers_with_exact_quotes(machines: tuple[Assistant, Assistant]) -> None:
    _, second = machines
    answer = second.ask("What is the owl of the old tower called?")
    assert "Brunhilde" in answer.text
    for citation in answer.citations:
        whole = second.document(citation.passage.document_id).text
        assert whole[citation.start : citation.end] == citation.quote


def test_a_server_that_names_no_documents_adds_none(machines: tuple[Assistant, Assistant]) -> None:
    assert names(machines[1]) == sorted(BIRDS)  # and not the seeds


def test_uploads_are_everybodys_and_no_file_is_left(
    machines: tuple[Assistant, Assistant], tmp_path: Path, database: str
) -> None:
    first, second = machines
    (tmp_path / "arrived").write_text("The crane of the harbour is called Sigrun.\n")
    first.upload("crane.txt", tmp_path / "arrived")
    assert "Sigrun" in second.ask("What is the crane of the harbour called?").text
    (document,) = (d for d in second.documents() if d.source == "crane.txt")
    removed = second.take_out(document.id)
    assert names(first) == sorted(BIRDS)
    second.put_back(removed)
    assert "crane.txt" in names(first)
    second.remove("crane.txt")
    with Assistant.open(settings_of(tmp_path / "first", database)) as restarted:
        assert names(restarted) == sorted(BIRDS)  # it does not come back
    assert not (tmp_path / "first" / "index" / "uploads").exists()


def test_each_machine_has_documents_of_its_own(
    machines: tuple[Assistant, Assistant], tmp_path: Path, database: str
) -> None:
    first, _ = machines
    others = tmp_path / "others"
    others.mkdir()
    (others / "crane.txt").write_text("The crane of the harbour is called Sigrun.\n")
    with Assistant.open(settings_of(tmp_path / "third", database, documents=others)):
        assert names(first) == ["crane.txt", *sorted(BIRDS)]


def test_an_ingest_of_one_folder_by_two_is_that_of_one(tmp_path: Path, database: str, folder: Path) -> None:
    for i in range(20):
        (folder / f"note{i}.txt").write_text(f"Note {i} tells of the gull number {i}.\n")
    environment = machine_environment(tmp_path, database)
    both = [ingesting([folder], environment) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    with Assistant.open(settings_of(tmp_path / "first", database)) as assistant:
        assert assistant.count() == (22, 22)
        assistant._store.verify()


def machine_environment(tmp_path: Path, database: str) -> dict[str, str]:
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("RAG_")},
        "RAG_STORE": database,
        "RAG_INDEX_DIR": str(tmp_path / "ingester" / "index"),
        "RAG_LLM": "none",
        "OMP_NUM_THREADS": "1",
    }


def ingesting(paths: list[Path], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "rag.cli", "ingest", *map(str, paths)]
    return subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)
