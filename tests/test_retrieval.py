from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.assistant import Assistant
from rag.settings import Settings

BIRDS = {
    "owls.txt": "Owls hunt mice at night. The barn owl nests in old towers.",
    "bridges.txt": "The Alvarado bridge opened in 1903. General Muhammad Qasim crossed it first.",
    "bakery.txt": "Bread rises because yeast makes gas. Sourdough takes two days.",
}


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    folder = tmp_path_factory.mktemp("birds")
    for name, text in BIRDS.items():
        (folder / name).write_text(text)
    with Assistant.open(Settings(documents=folder, index_dir=folder / ".rag", llm="none")) as assistant:
        yield assistant


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
def test_each_mode_finds_the_passage_about_it(assistant: Assistant, mode: str) -> None:
    hits = assistant.search("When do owls hunt?", 2, mode=mode)  # type: ignore[arg-type]
    assert hits[0].passage.source == "owls.txt"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_meaning_finds_what_words_do_not(assistant: Assistant) -> None:
    question = "How is dough leavened?"
    assert assistant.search(question, 1, mode="keyword") == []
    assert assistant.search(question, 1)[0].passage.source == "bakery.txt"


def test_filters_hold_in_every_mode(assistant: Assistant) -> None:
    for mode in ("hybrid", "dense", "keyword"):
        question = "owl bridge bread"
        only = assistant.search(question, mode=mode, documents=["owls.txt"])  # type: ignore[arg-type]
        without = assistant.search(question, mode=mode, exclude=["owls.txt"])  # type: ignore[arg-type]
        assert {hit.passage.source for hit in only} == {"owls.txt"}
        assert {hit.passage.source for hit in without} == {"bridges.txt", "bakery.txt"}


@pytest.mark.parametrize("question", ["who was mohamed kasim", "the alvarrado brigde"])
def test_other_spellings_are_searched_as_the_documents_spell_them(assistant: Assistant, question: str) -> None:
    hits = assistant.search(question, 1, mode="keyword")
    assert [hit.passage.source for hit in hits] == ["bridges.txt"]


@pytest.mark.parametrize("question", ["?", "the of and", '"AND" OR NEAR(', "🦉", "ما هذا"])
def test_no_question_breaks_the_search(assistant: Assistant, question: str) -> None:
    assert len(assistant.search(question)) <= 3


def test_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    settings = Settings(documents=tmp_path / "docs", index_dir=tmp_path / "index", llm="none")
    with Assistant.open(settings) as empty:
        assert empty.search("owls") == []
        answer = empty.ask("When do owls hunt?")
    assert answer.refused
    assert "add documents" in answer.reason
