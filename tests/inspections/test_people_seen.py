"""Many people, and a long run: the inspection of `hardness.load` and `hardness.longrun` would see what is wrong."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from endpoint import Endless, Server
from hardness.doors import Heard
from hardness.facts import Place, wrong
from hardness.load import _asks, ends, grown, said_plainly, strangers, too_few_written
from hardness.longrun import (
    ABOUT,
    ANSWERED,
    ASKED_BY_COMMAND,
    COMPARED,
    FEW,
    FOUND,
    FULL,
    HERE,
    OPENED,
    STANDS,
    History,
    Library,
    alive,
    differing,
    held,
    too_little,
    too_often,
)
from hardness.subject import Subject, texts_of

HERE_AND_THERE = [Place(3), Place(4)]
ASKED = Place(3).question("keeper")


def answer(place: Place = HERE_AND_THERE[0], topic: str = "keeper", shift: int = 0, **fields: Any) -> dict[str, Any]:
    """One that quotes a fact of `place`; `shift` puts the quote elsewhere."""
    quote = next(line for line in place.text.split("\n\n") if place.facts[topic] in line)
    start = place.text.index(quote)
    passage = {"document_id": 1, "source": place.source, "start": 0, "end": len(place.text), "text": place.text}
    cited = {"marker": 1, "start": start + shift, "end": start + shift + len(quote), "quote": quote, "passage": passage}
    sentence = {"text": quote, "citations": [1]}
    said = {"text": f"{quote} [1]", "sentences": [sentence], "citations": [cited], "refused": False, "reason": ""}
    return {"question": ASKED, **said, **fields}


def wrong_with(given: dict[str, Any]) -> str:
    texts = {place.source: place.text for place in HERE_AND_THERE}
    return "; ".join(wrong(given, ASKED, HERE_AND_THERE[0], "keeper", texts))


def test_a_right_answer_is_not_called_wrong() -> None:
    assert wrong_with(answer()) == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answer(question="Who?"), "an answer to 'Who?'"),
        (answer(refused=True, reason="not sure"), "refused: not sure"),
        (answer(HERE_AND_THERE[1]), "does not cite"),
        (answer(topic="windows"), "does not cite"),
        (answer(shift=1), "no such words at"),
        (answer(text="It is so. [2]"), "the markers of"),
        (answer(text="It is so. [1]"), "is not in"),
    ],
)
def test_a_wrong_answer_is_called_wrong(given: dict[str, Any], said: str) -> None:
    assert said in wrong_with(given)


def test_an_llm_that_writes_nothing_is_seen() -> None:
    assert too_few_written(["written", "quoted", "smalltalk"], 0.1) is None
    assert too_few_written(["quoted"] * 100, 0.1) == "0 of 100 answers were written by the LLM"
    assert too_few_written(["written"] + ["quoted"] * 10, 0.5) == "1 of 11 answers were written by the LLM"
    assert too_few_written([], 0.1) == "0 of 0 answers were written by the LLM"


def test_an_llm_that_is_never_asked_is_not_waited_for_for_ever() -> None:
    with Server(Endless) as llm:
        llm.requests.append({"messages": [{"content": "Visitor 001 asks"}]})
        assert asyncio.run(_asks(llm, "Visitor 001 "))
        assert not asyncio.run(_asks(llm, "Visitor 002 ", within_s=0.1))


def test_the_badge_of_somebody_else_is_seen() -> None:
    assert strangers("My badge is zqabcdef. Who is it?", "zqabcdef") == []
    assert strangers("My badge is zqabcdef. And zqghijkl?", "zqabcdef") == ["zqghijkl"]


IS_FULL = "Too many questions are waiting; ask again in a moment."


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        (Heard(full=True, line=IS_FULL), ""),
        (Heard(full=True, line=IS_FULL, status=503, retry_after="2"), ""),
        (Heard(full=True, line=IS_FULL, status=503), "Retry-After ''"),
        (Heard(full=True, line=IS_FULL, status=500, retry_after="2"), "status 500"),
        (Heard(full=True, line="Queue is full. Max size is 64.", status=503, retry_after="2"), "not a plain line"),
    ],
)
def test_how_a_full_line_is_told_is_looked_at(heard: Heard, said: str) -> None:
    problems = said_plainly(heard)
    assert said in "; ".join(problems)
    assert bool(problems) == bool(said)


def test_memory_that_grows_is_seen() -> None:
    leak = [(float(second), 1000 + second) for second in range(240)]
    assert ends(leak) == (1014.5, 1224.5)
    assert grown(*ends(leak)) == "it grew by 20.7%"
    assert grown(*ends([(at, 1000) for at, _ in leak])) is None


def test_a_quote_is_compared_with_the_version_that_was_there() -> None:
    history = History()
    source = Place(3).source
    begun = time.monotonic()
    for edition in (0, 1):
        with history.changing(source, Place(3, edition).text):
            pass
    changed = time.monotonic()
    (old,), (new,) = answer(Place(3))["citations"], answer(Place(3, 1))["citations"]
    assert history.fault(new, changed) == ""
    assert history.fault(old, begun) == ""
    assert "had left" in history.fault(old, changed)
    assert "no version" in history.fault(answer(shift=1)["citations"][0], begun)
    assert "no version" in history.fault(answer(Place(4))["citations"][0], begun)
    assert history.there_since(changed) == {source}
    with history.changing(source, None):
        pass
    assert history.there_since(changed) == set()
    assert "had left" in history.fault(new, time.monotonic())


ENOUGH = {
    "kills": 201, "ingests completed": 60, "quotes compared": 900, ABOUT: 800, FOUND: 790, OPENED: 900, STANDS: 850,
    ASKED_BY_COMMAND: 300, COMPARED: 400, ANSWERED: 380,
}  # fmt: skip


@pytest.mark.parametrize("what", ["kills", "ingests completed", "quotes compared", ABOUT, OPENED, ASKED_BY_COMMAND])
def test_a_long_run_that_does_too_little_is_seen(what: str) -> None:
    assert too_little(ENOUGH, FULL) == []
    assert [line.partition(",")[0] for line in too_little({**ENOUGH, what: 0}, FULL)] == [f"0 {what}"]
    assert len(too_little({**ENOUGH, what: 0}, FEW)) == 1


def test_kills_come_every_few_seconds() -> None:
    assert too_little({**ENOUGH, "kills": 200}, FULL) == ["200 kills, and 201 are the least"]


@pytest.mark.parametrize(("part", "least"), [(FOUND, 680), (STANDS, int(HERE * 900)), (ANSWERED, 340)])
def test_refusals_and_answers_about_others_and_words_that_changed_are_counted(part: str, least: int) -> None:
    assert too_often(ENOUGH, FULL) == too_often({**ENOUGH, part: least}, FULL) == []
    assert too_often({**ENOUGH, part: least - 1}, FULL)[0].startswith(f"only {least - 1} {part}")
    assert len(too_often({**ENOUGH, part: 0}, FULL)) == 1


def test_two_indexes_that_do_not_answer_alike_are_seen() -> None:
    assert differing(answer(), answer()) is None
    assert "against" in (differing(answer(), answer(refused=True)) or "")


def test_the_library_knows_what_each_document_says_now(tmp_path: Path) -> None:
    library = Library(tmp_path, 30, random.Random(1))
    index: Any = SimpleNamespace(upload=lambda *_: None, remove=lambda *_: None)  # it takes everything
    for _ in range(200):
        library.change(index)
    texts = library.history.texts()
    assert library.now().keys() == texts.keys()
    for source, place in library.now().items():
        assert library.source_of(place.number) == source
        assert all(fact in texts[source] for fact in place.facts.values())


def test_a_process_that_is_left_behind_is_seen() -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("this system does not list its processes")
    left = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, start_new_session=True
    )
    assert alive([left.pid]) == [f"process {left.pid} outlived the ingest that had started it"]
    left.communicate()
    assert alive([left.pid]) == []


def test_an_index_that_is_another_one_is_seen(tmp_path: Path) -> None:
    subject = Subject(tmp_path)
    subject.write(texts_of(1))
    subject.ingest()
    before = held(subject.index)
    subject.ingest()
    assert held(subject.index) == before
    with closing(sqlite3.connect(subject.index / "index.db")) as connection, connection:
        connection.execute("UPDATE passage SET start = start + 1 WHERE id = 9")
    assert held(subject.index) != before
    assert held(subject.index).keys() == before.keys()
