from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rag.answertype import is_question
from rag.assistant import Assistant
from rag.embedding import PackagedEncoder
from rag.reading import Reader, Reading
from rag.retrieval import possible_titles, topicality
from rag.settings import Settings
from rag.store import centre_of
from rag.types import Passage

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
    assert "the index is empty; put documents" in answer.reason


# -- questions and topics ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "How old is the bridge?",
        "who was mohamed kasim",
        "is it open",
        "why are owls silent",
        "how many arches does it have",
        "in which year did it open",
        "Name the members",
        "bridge, opened when?",
    ],
)
def test_a_question_is_told_from_a_topic(text: str) -> None:
    assert is_question(text)


@pytest.mark.parametrize("text", ["fibre and cholesterol", "How beans help our bones", "owl bridge bread", "Why eggs"])
def test_a_topic_is_told_from_a_question(text: str) -> None:
    assert not is_question(text)


def collection(folder: Path, lines: list[dict[str, str]]) -> Assistant:
    file = folder / "lines.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    return Assistant.open(Settings(documents=file, index_dir=folder / "index", llm="none"))


def test_of_a_topic_many_documents_are_found(tmp_path: Path) -> None:
    about_oats = "Oats and cholesterol. Oats lower cholesterol in the blood, as oats are rich in fibre. "
    filler = "The study went on for many weeks in many places, and many people took part in it every day. " * 8
    long = "\n\n".join(f"{about_oats} {filler}" for _ in range(6))
    other = "Oats are eaten with milk. Some say that this helps against cholesterol."
    with collection(
        tmp_path, [{"id": "long", "text": long}, {"id": "short", "text": other}, {"id": "far", "text": "Rain falls."}]
    ) as assistant:
        assert len([d for d in assistant.search("oats and cholesterol", 20) if d.passage.source == "long"]) > 2
        assert {hit.passage.source for hit in assistant.search("oats and cholesterol", 2)} == {"long", "short"}


def test_a_document_that_the_best_passage_names_is_found_too(tmp_path: Path) -> None:
    lines = [
        {
            "id": "player",
            "title": "Ann Lee",
            "text": "Ann Lee is a goalkeeper. She has played for Kestrel Rovers since 1999.",
        },
        {
            "id": "club",
            "title": "Kestrel Rovers (club)",
            "text": "Founded by the baker Jonas Weld, the side wears green.",
        },
        *(
            {
                "id": f"other{n}",
                "title": f"Goalkeeper {name}",
                "text": f"{name} is a goalkeeper who has played for years.",
            }
            for n, name in enumerate(("Bo Dahl", "Cy Orr", "Di Pratt", "Ed Quill", "Flo Rand", "Gus Stone", "Hal Tew"))
        ),
    ]
    question = "Who founded the side that the goalkeeper Ann Lee has played for?"
    with collection(tmp_path, lines) as assistant:
        sources = [hit.passage.source for hit in assistant.search(question, 5)]
        assert sources[0] == "player"
        assert "club" in sources
        assert "club" not in [hit.passage.source for hit in assistant.search(question, 5, exclude=["club"])]


def test_runs_of_words_that_may_be_a_title() -> None:
    assert "Act of War: Direct Action" in possible_titles("He wrote Act of War: Direct Action in 2005.")
    assert "Solar energy" in possible_titles("Solar energy is cheap")
    assert possible_titles("no capitals here") == []


def test_a_question_is_topical_only_where_all_passages_are_alike(encoder: PackagedEncoder) -> None:
    bridges = [
        "The old bridge over the river was built of stone.",
        "The new bridge over the river is made of steel.",
        "The foot bridge crosses the river at the mill.",
    ]
    mixed = [
        bridges[0],
        "Bread rises because yeast makes gas.",
        "The orchestra tunes to the oboe.",
        "A tax return is due in May.",
        "Whales breathe through blowholes.",
        "The goalkeeper saved two penalties.",
        "Basalt is a volcanic rock.",
    ]
    asked, other = encoder.queries(["Which bridge over the river is made of steel?", "How is bread baked?"])
    assert topicality(asked, centre_of(encoder.documents(bridges))) == 1
    assert topicality(other, centre_of(encoder.documents(bridges))) < 0.5
    assert topicality(asked, centre_of(encoder.documents(mixed))) < 0.1
    assert topicality(asked, centre_of(encoder.documents(mixed[:0]))) == 0


def test_the_reader_orders_what_is_close_and_leaves_a_clear_lead_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {
        "stone.txt": "The Arden mill was built of grey stone from the hill behind it.",
        "weld.txt": "The Arden mill was built by Jonas Weld in the winter of 1931.",
        "owls.txt": BIRDS["owls.txt"],
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    asked: list[tuple[str, set[str]]] = []
    read = Reader.read

    def noted(self: Reader, question: str, passages: Sequence[Passage]) -> list[Reading]:
        asked.append((question, {passage.source for passage in passages}))
        return read(self, question, passages)

    monkeypatch.setattr(Reader, "read", noted)
    with Assistant.open(Settings(documents=tmp_path, index_dir=tmp_path / ".rag", llm="none")) as assistant:
        assert assistant.search("Who built the Arden mill?", 2)[0].passage.source == "weld.txt"
        assert assistant.search("When do owls hunt mice?", 2)[0].passage.source == "owls.txt"
    assert asked == [("Who built the Arden mill?", {"weld.txt", "stone.txt"})]  # the owls are far behind
