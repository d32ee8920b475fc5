"""What things cost, counted rather than timed: steps of SQLite's machine, and texts that go through a model.

An index is compared with one eight times as large: work that grows with the index, where it should not, shows at once,
on a busy machine too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from store_samples import QUERY, item, open_store

from rag.assistant import Assistant
from rag.bert import Bert
from rag.settings import Settings
from rag.store import Store

SMALL, LARGE = 300, 2400
Steps = Callable[[Callable[[], Any]], int]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Counts the steps of SQLite's machine that something takes, in tens, on connections opened since."""
    counted = [0]

    def tick() -> int:
        counted[0] += 1
        return 0  # go on

    connect = sqlite3.connect

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_progress_handler(tick, 10)
        return connection

    def count(work: Callable[[], Any]) -> int:
        before = counted[0]
        work()
        return counted[0] - before

    monkeypatch.setattr(sqlite3, "connect", connected)
    return count


@pytest.fixture
def grown(steps: Steps, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """A small and a large index; each passage has a word of its own and one that all have."""

    def filled(size: int) -> Store:
        store = open_store(tmp_path / str(size))
        store.replace([item(f"s{i}", f"passage word{i}") for i in range(size)])
        return store

    with filled(SMALL) as small, filled(LARGE) as large:
        yield small, large


def ratio(steps: Steps, stores: tuple[Store, Store], work: Callable[[Store], Any]) -> float:
    small, large = (steps(lambda store=store: work(store)) for store in stores)
    return (large + 10) / (small + 10)  # a hundred steps more or less are none


def test_a_document_is_stored_at_the_same_cost_in_a_large_index(steps: Steps, grown: tuple[Store, Store]) -> None:
    assert ratio(steps, grown, lambda store: store.replace([item("new", "a passage more")])) < 1.3
    assert ratio(steps, grown, lambda store: store.replace([item("s7", "another text")])) < 1.3


def test_a_change_is_seen_at_the_same_cost_in_a_large_index(
    steps: Steps, grown: tuple[Store, Store], tmp_path: Path
) -> None:
    with open_store(tmp_path / str(SMALL)) as small, open_store(tmp_path / str(LARGE)) as large:
        readers = (small, large)
        for reader in readers:
            reader.dense(QUERY, 5)
        for store in grown:
            store.replace([item("new", "a passage more")])
        assert ratio(steps, readers, lambda reader: reader.dense(QUERY, 5)) < 1.3


def test_an_index_is_opened_at_the_same_cost_whatever_its_size(
    steps: Steps, grown: tuple[Store, Store], tmp_path: Path
) -> None:
    small, large = (steps(lambda size=size: open_store(tmp_path / str(size)).close()) for size in (SMALL, LARGE))
    assert large <= small + 10


def test_other_documents_are_not_looked_at_to_ingest(steps: Steps, tmp_path: Path) -> None:
    """A folder beside a large collection that is in the same index."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "heron.txt").write_text("The heron stands still.\n")

    def again(size: int) -> int:
        lines = (f'{{"id": "{i}", "text": "The owl number {i} hunts."}}\n' for i in range(size))
        (tmp_path / "owls.jsonl").write_text("".join(lines))
        settings = Settings(documents=tmp_path / "texts", index_dir=tmp_path / "index", llm="none")
        with Assistant.open(settings) as assistant:
            assistant.ingest([tmp_path / "owls.jsonl"])
        return steps(lambda: Assistant.open(settings).close())

    small, large = again(20), again(160)
    assert large <= small + 10


def test_a_search_for_a_rare_word_costs_the_same_in_a_large_index(steps: Steps, grown: tuple[Store, Store]) -> None:
    assert ratio(steps, grown, lambda store: store.keyword(["word7"], 5)) < 1.3
    assert ratio(steps, grown, lambda store: store.dense(QUERY, 5)) < 1.3


def test_frequent_words_cost_what_rare_ones_do_where_there_are_both(
    steps: Steps, grown: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.store._LOOKED_AT", 1)
    _, large = grown
    rare = steps(lambda: large.keyword(["word7"], 5))
    every = steps(lambda: large.keyword(["word7", "passage"], 5))
    beside = steps(lambda: large.keyword_beside([1, 2], ["word7", "passage"], 5))
    assert rare < beside < every / 2


def test_what_is_known_of_an_index_is_not_looked_up_again(steps: Steps, grown: tuple[Store, Store]) -> None:
    def known(store: Store) -> None:
        store.document_frequency(["word7", "passage"])
        store.centre()

    assert ratio(steps, grown, known) > 2
    assert ratio(steps, grown, known) < 1.1


def test_an_ingest_that_finds_nothing_new_costs_a_look_at_each_document(steps: Steps, tmp_path: Path) -> None:
    def again(size: int) -> int:
        folder, index = tmp_path / f"texts{size}", tmp_path / f"index{size}"
        folder.mkdir()
        for i in range(size):
            (folder / f"{i}.txt").write_text(f"The heron number {i} stands still.\n")
        settings = Settings(documents=folder, index_dir=index, llm="none")
        Assistant.open(settings).close()
        return steps(lambda: Assistant.open(settings).close())

    small, large = again(20), again(160)
    assert large < 8.5 * small


@pytest.fixture
def through_models(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts went through the encoder or the reader, each time."""
    rows: list[int] = []
    run = Bert.run
    monkeypatch.setattr(Bert, "run", lambda self, texts: rows.append(len(texts)) or run(self, texts))
    return rows


def test_a_question_goes_through_the_models_once(tmp_path: Path, through_models: list[int]) -> None:
    for i, bird in enumerate(["heron", "owl", "stork", "crane", "gull", "tern"]):
        text = f"The {bird} nests in towers. It hunts at night. It was counted {i + 3} times in 1931.\n"
        (tmp_path / f"{bird}.txt").write_text(text)
    with Assistant.open(Settings(documents=tmp_path, index_dir=tmp_path / ".rag", llm="none")) as assistant:
        assert through_models == [6]  # each passage, in one batch
        through_models.clear()
        first = assistant.ask("How often was the owl counted in 1931?")
        # The question; its passages, by the reader; their sentences, by the encoder.
        assert through_models[0] == 1
        assert sum(through_models) <= 1 + 6 + 3 * 6
        through_models.clear()
        assert assistant.ask("How often was the owl counted in 1931?").text == first.text
        assert through_models == [1]
        through_models.clear()
        assistant.ask("How often was the stork counted in 1931?")
        assert sum(through_models) <= 1 + 6  # sentences are kept, readings belong to a question


def test_a_changed_document_is_embedded_alone(tmp_path: Path, through_models: list[int]) -> None:
    for name in "abcdef":
        (tmp_path / f"{name}.txt").write_text(f"The text of {name} is short.\n")
    settings = Settings(documents=tmp_path, index_dir=tmp_path / ".rag", llm="none")
    Assistant.open(settings).close()
    (tmp_path / "c.txt").write_text("The text of c is another one.\n")
    (tmp_path / "d.txt").rename(tmp_path / "g.txt")
    through_models.clear()
    Assistant.open(settings).close()
    assert through_models == [1]


def test_lines_that_are_as_they_were_are_not_looked_up_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    connect = sqlite3.connect

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connected)
    asked = []
    for size in (5, 50):
        lines = tmp_path / f"{size}.jsonl"
        lines.write_text("".join(f'{{"id": "{i}", "text": "Heron {i} waits."}}\n' for i in range(size)))
        settings = Settings(documents=lines, index_dir=tmp_path / f"index{size}", llm="none")
        with Assistant.open(settings) as assistant:
            statements.clear()
            assert len(assistant.ingest([lines]).unchanged) == size
            asked.append(len(statements))
    assert asked[0] == asked[1] > 0
