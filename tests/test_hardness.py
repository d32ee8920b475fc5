"""A little of each part; `make hardness` runs all. And that the inspection would see what went wrong."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hardness.doors import Heard
from hardness.facts import Place
from hardness.load import ends, grown, said_plainly, strangers, wrong
from hardness.longrun import History, alive, held
from hardness.subject import Subject, inspect, texts_of
from hardness.table import Row, printed

HERE = Path(__file__).parent

# Which part, in how many rows of the table, and how often altogether at least.
SOME = [
    ("kills", 16, 30),
    ("uploads", 5, 40),
    ("disk", 3, 6),
    ("damage", 2, 75),
    ("sharing", 3, 20),
    ("load", 6, 40),
    ("longrun", 5, 40),
]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks in forked processes")
@pytest.mark.parametrize(("part", "rows", "tries"), SOME)
def test_nothing_is_lost(part: str, rows: int, tries: int) -> None:
    # A process of its own: this one may have threads by now, and they would not survive a fork.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
    command = [sys.executable, "-m", "hardness", part, "--few"]
    done = subprocess.run(command, cwd=HERE.parent, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = re.findall(r"\| +(\d+) \| +(\d+) \| +(\d+)(?: |$)", done.stdout, re.MULTILINE)
    assert len(figures) == rows
    assert sum(int(tried) for tried, _, _ in figures) >= tries
    assert all(tried == survived and lost == "0" for tried, survived, lost in figures)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    subject = Subject(tmp_path)
    subject.write(texts_of(1))
    subject.ingest()
    return subject


def test_the_inspection_finds_nothing_wrong_with_an_index_that_is_right(subject: Subject) -> None:
    assert not inspect(subject, texts_of(0), subject.texts)
    assert not inspect(subject, subject.texts, subject.texts)


def removed(subject: Subject) -> None:
    with subject.open() as store:
        store.remove([store.documents()[0].id])


def execute(statement: str) -> Callable[[Subject], None]:
    def change(subject: Subject) -> None:
        connection = sqlite3.connect(subject.index / "index.db")
        with connection:
            connection.execute(statement)
        connection.close()

    return change


WRONG: dict[str, tuple[Callable[[Subject], None], str]] = {
    "a document is gone": (removed, "d00.md"),
    "another text": (execute("UPDATE document SET text = 'x' || text WHERE id = 3"), "d02.txt"),
    "another hash": (execute("UPDATE document SET sha256 = 'x' WHERE id = 3"), "hash"),
    "another span": (execute("UPDATE passage SET start = start + 1 WHERE id = 9"), "passages of another version"),
    "another vector": (execute("UPDATE passage SET vector = zeroblob(64) WHERE id = 9"), "another vector is stored"),
    "a passage without vector": (execute("UPDATE passage SET id = 9999 WHERE id = 9"), "not the same"),
    "a passage without document": (execute("UPDATE passage SET document_id = 99 WHERE id = 9"), "without document"),
    "a vector without passage": (execute("DELETE FROM tombstone"), "not the same"),
    "a word without passage": (execute("DELETE FROM words WHERE rowid = 9"), "index.db"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_inspection_sees(subject: Subject, wrong: str) -> None:
    damage, said = WRONG[wrong]
    with subject.open() as store:
        store.snapshot()
    if wrong == "a vector without passage":
        removed(subject)
    damage(subject)
    found = inspect(subject, subject.texts, subject.texts)
    assert any(said in line for line in (*found.lost, *found.problems)), found
    row = Row("fault")
    row.add(found)
    assert (row.tried, row.survived) == (1, 0)
    assert "fault" in printed([row])


# -- load and the long run ---------------------------------------------------------------------------------------------

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


def test_an_index_that_is_another_one_is_seen(subject: Subject) -> None:
    before = held(subject.index)
    subject.ingest()
    assert held(subject.index) == before
    execute("UPDATE passage SET start = start + 1 WHERE id = 9")(subject)
    assert held(subject.index) != before
    assert held(subject.index).keys() == before.keys()
