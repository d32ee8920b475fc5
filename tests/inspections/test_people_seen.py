"""Many people, and a long run: the inspection of `hardness.load` and `hardness.longrun` would see what is wrong."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hardness.doors import Heard
from hardness.facts import Place
from hardness.load import ends, grown, said_plainly, strangers, wrong
from hardness.longrun import History, alive, held
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


def test_the_badge_of_somebody_else_is_seen() -> None:
    assert strangers("My badge is zqabcdef. Who is it?", "zqabcdef") == []
    assert strangers("My badge is zqabcdef. And zqghijkl?", "zqabcdef") == ["zqghijkl"]


FULL = "Too many questions are waiting; ask again in a moment."


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        (Heard(full=True, line=FULL), ""),
        (Heard(full=True, line=FULL, status=503, retry_after="2"), ""),
        (Heard(full=True, line=FULL, status=503), "Retry-After ''"),
        (Heard(full=True, line=FULL, status=500, retry_after="2"), "status 500"),
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
