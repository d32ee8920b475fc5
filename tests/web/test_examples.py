"""Questions to click on: written in a file, or made from the documents and answered by them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from chromium import Visit, served

from rag.assistant import Assistant
from rag.errors import DocumentsNotFound
from rag.settings import Settings
from rag.web import Opening
from rag.web.examples import MadeExamples, example_questions, made

HARBOUR = """The harbour of Kereva was built in 1907. Aino Saari designed the lighthouse of Kereva in 1911.
The bridge of Oulanka was opened by Matti Virtanen in 1931. Fishing is the trade of most people there.
"""
MILL = """The mill of Sarkela was bought in 1950. The mine of Sarkela was closed in 1961. Nobody works there today."""
NOTHING = "it rains\n\nand rains\n"


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    base = tmp_path_factory.mktemp("examples")
    documents = base / "documents"
    documents.mkdir()
    for name, text in {"harbour.txt": HARBOUR, "mill.txt": MILL, "nothing.txt": NOTHING}.items():
        (documents / name).write_text(text, encoding="utf-8")
    with Assistant.open(Settings(documents=documents, index_dir=base / "index", llm="none")) as assistant:
        yield assistant


def test_made_questions_are_answered_with_their_sentence(assistant: Assistant) -> None:
    questions = made(assistant, assistant.documents())
    assert 2 <= len(questions) <= 4
    assert len(set(questions)) == len(questions)
    first = [assistant.ask(question).citations[0].passage.source for question in questions[:2]]
    assert sorted(first) == ["harbour.txt", "mill.txt"]


def test_they_are_made_once_for_the_same_documents(assistant: Assistant) -> None:
    examples = MadeExamples(assistant)
    assert examples.get() is examples.get() != []


class Gate:
    """An Assistant whose documents are listed only when they may be."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self.asked = 0
        self.open = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._assistant, name)

    def documents(self) -> Any:
        self.asked += 1
        assert self.open.wait(20)
        return self._assistant.documents()


def test_while_one_has_them_made_the_others_do_not_wait(assistant: Assistant) -> None:
    gate = Gate(assistant)
    examples = MadeExamples(gate)  # type: ignore[arg-type]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(examples.get)
        while not gate.asked:
            time.sleep(0.01)
        assert [examples.get() for _ in range(5)] == [[]] * 5
        gate.open.set()
        assert first.result() == examples.get() != []
    assert gate.asked == 1


def test_while_the_index_opens_there_are_none_and_nobody_waits(assistant: Assistant) -> None:
    go_on = threading.Event()

    def slowly(report: Any) -> Any:
        assert go_on.wait(20)
        return assistant

    opening = Opening(slowly)
    examples = MadeExamples(opening)
    assert examples.get() == []
    go_on.set()
    opening.wait()
    assert examples.get() != []


def test_they_are_made_again_when_the_index_has_changed(tmp_path: Path) -> None:
    (tmp_path / "mill.txt").write_text(MILL, encoding="utf-8")
    settings = Settings(documents=tmp_path / "mill.txt", index_dir=tmp_path / "index", llm="none")
    with Assistant.open(settings) as assistant:
        examples = MadeExamples(assistant)
        assert examples.get() != []
        assistant.remove("mill.txt")
        assert examples.get() == []


def test_no_documents_and_a_broken_index_give_none() -> None:
    class Broken:
        def stamp(self) -> str:
            raise DocumentsNotFound("gone")

    assert MadeExamples(Broken()).get() == []  # type: ignore[arg-type]


def test_the_page_offers_them_and_one_click_asks(visit: Visit, assistant: Assistant) -> None:
    with served(assistant) as url:
        page = visit(url)
        example = page.locator(".example").first
        example.wait_for()
        question = example.inner_text()
        example.click()
        page.locator(".turn .chip").first.wait_for()
        assert page.locator(".asked").inner_text() == question


def test_example_questions_are_the_lines_of_a_file(tmp_path: Path) -> None:
    assert example_questions(tmp_path) == []
    assert example_questions(tmp_path / "one.jsonl") == []
    (tmp_path / ".examples").write_text("# for the page\nWho?\n\n  Why?  \n", encoding="utf-8")
    assert example_questions(tmp_path) == ["Who?", "Why?"]
