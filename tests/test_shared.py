"""One index in PostgreSQL, several machines. Kills among them: `hardness/shared.py`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from servers import fresh_schema

from rag.assistant import Assistant
from rag.errors import RagError
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


def test_an_upload_that_no_disk_takes_is_refused_in_one_line(
    machines: tuple[Assistant, Assistant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "arrived").write_text("The crane of the harbour is called Sigrun.\n")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(RagError, match=r"cannot write to .*nowhere .*; make it writable"):
        machines[0].upload("crane.txt", tmp_path / "arrived")
    assert names(machines[0]) == sorted(BIRDS)


def test_each_machine_has_documents_of_its_own(tmp_path: Path, database: str) -> None:
    """Although they lie in the same place beside the index folder, and have the same names."""
    for name in ("Sigrun", "Edda"):
        folder = tmp_path / name / "documents"
        folder.mkdir(parents=True)
        (folder / "crane.txt").write_text(f"The crane of the harbour is called {name}.\n")
        Assistant.open(settings_of(tmp_path / name, database, documents=folder)).close()
    (folder / "crane.txt").unlink()  # nothing goes because one machine has it no more
    with Assistant.open(settings_of(tmp_path / "Edda", database, documents=folder)) as assistant:
        assert names(assistant) == ["crane.txt", "crane.txt"]
        assistant.ingest([folder], prune=True)
        assert names(assistant) == ["crane.txt"]
        assert "Sigrun" in assistant.ask("What is the crane of the harbour called?").text


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


# -- servers -----------------------------------------------------------------------------------------------------------


@contextmanager
def served(machine: Path, database: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A `rag serve` of its own process and folder: its address."""
    environment = machine_environment(machine, database)
    command = [sys.executable, "-m", "rag.cli", "serve", "--port", "0"]
    with subprocess.Popen(
        command, env=environment, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            said = process.stdout.readline()
            address = re.search(r"http://\S+/", said)
            assert address, said
            wait_until_ready(address[0])
            assert process.stdout.readline().startswith("The index is in postgresql:///")
            yield address[0], process
        finally:
            process.kill()


def wait_until_ready(address: str) -> None:
    until = time.monotonic() + 60
    while httpx.get(f"{address}health").status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.05)


def answered(address: str, *said: str) -> str:
    """What `/v1` says to the last of these messages, which come from both sides in turns."""
    roles = ["user" if (len(said) - i) % 2 else "assistant" for i in range(len(said))]
    messages = [{"role": role, "content": content} for role, content in zip(roles, said, strict=True)]
    reply = httpx.post(f"{address}v1/chat/completions", json={"model": "rag-quoted", "messages": messages}, timeout=60)
    return str(reply.json()["choices"][0]["message"]["content"])


def test_any_server_goes_on_with_a_conversation_and_one_may_die(tmp_path: Path, database: str, folder: Path) -> None:
    Assistant.open(settings_of(tmp_path / "ingester", database, documents=folder)).close()
    owl = "What is the owl of the old tower called?"
    with served(tmp_path / "one", database) as (one, process), served(tmp_path / "two", database) as (two, _):
        first = answered(one, owl)
        assert "Brunhilde" in first
        assert "Edda" in answered(two, owl, first, "And the heron of the northern pond?")
        with Assistant.open(settings_of(tmp_path / "ingester", database)) as ingester:
            (tmp_path / "arrived").write_text("The crane of the harbour is called Sigrun.\n")
            ingester.upload("crane.txt", tmp_path / "arrived")
        crane = "What is the crane of the harbour called?"
        assert all("Sigrun" in answered(address, crane) for address in (one, two))
        process.kill()
        process.wait()
        assert "Sigrun" in answered(two, crane)
