"""Drafts: what templates and a model propose, what a person says of it, and what is on the disk afterwards."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from chat_endpoint import Endpoint
from typer.testing import CliRunner, Result

from eval.draft import app
from eval.drafts import Draft, DraftsFile, append, check
from eval.gold import GoldError, located, read_gold
from eval.near import may_be_answered, names_after, near_misses
from eval.proposing import Library, by_model, by_templates
from rag.templates import Proposal, proposals

HARBOUR = """The harbour of Kereva was built in 1907. Aino Saari designed the lighthouse of Kereva.
The town council has 42 members. It meets on Monday.

The bridge of Oulanka was opened by Matti Virtanen in 1931. About 300 people live in Oulanka.
"""
MILL = """The mill of Sarkela was bought in 1950. The mine of Sarkela was closed in 1961.
The school of Sarkela was painted in 1972. The church of Sarkela was moved in 1983.
"""
ISLAND = "Ilmari Kallio is a painter from Sarkela. The ferry to Sarkela was sold in 1988.\n"


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "harbour.txt").write_text(HARBOUR)
    (folder / "island.txt").write_text(ISLAND)
    return folder


def run(documents: Path, *options: str) -> Result:
    gold = documents.parent / "gold.jsonl"
    return CliRunner().invoke(app, [str(documents), "--gold", str(gold), *options])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def in_memory(texts: Mapping[str, str]) -> Library:
    return Library(dict.fromkeys(texts, ""), texts.__getitem__)


LIBRARY = in_memory({"harbour.txt": HARBOUR, "island.txt": ISLAND})
FACT = Draft(
    "fact", "Who designed it?", (("Aino Saari",),), "harbour.txt", "Aino Saari designed", HARBOUR.index("Aino")
)


# -- templates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "question", "answer"),
    [
        ("The harbour of Kereva was built in 1907.", "In which year was the harbour of Kereva built?", "1907"),
        ("In 1907, the harbour of Kereva was built.", "In which year was the harbour of Kereva built?", "1907"),
        (
            "The treaty of Kereva was signed on 5 May 1990 by both.",
            "On which date was the treaty of Kereva signed by both?",
            "5 May 1990",
        ),
        ("Kereva burned in the 10th century.", "Kereva burned in which century?", "10th century"),
        ("About 300 people live in Oulanka.", "How many people live in Oulanka?", "300"),
        ("The council of Kereva has 42 members.", "The council of Kereva has how many members?", "42"),
        ("The largest weight of a parcel is 23 kg.", "What is the largest weight of a parcel?", "23 kg"),
        ("The treaty of Kereva was signed in Oulanka.", "Where was the treaty of Kereva signed?", "Oulanka"),
        ("The bridge of Kereva was built by Queen Aino.", "By whom was the bridge of Kereva built?", "Queen Aino"),
        ("2- The harbour party led by Aino al-Saari", "By whom is the harbour party led?", "Aino al-Saari"),
        (
            "3- General Aino Saari, Director of the Harbour Office.",
            "Who is named as director of the Harbour Office?",
            "Aino Saari",
        ),
        ("Ilmari Kallio is a painter from Sarkela.", "Who is Ilmari Kallio?", "painter from Sarkela"),
        ("The Harbour Committee met in Rome.", "Which committee met in Rome?", "Harbour Committee"),
        ("Aino Saari told Reuters that she won.", "Who told Reuters that she won?", "Aino Saari"),
        ("Oulanka (a town) opened a bridge to Kereva.", "Who or what opened a bridge to Kereva?", "Oulanka"),
    ],
)
def test_a_plain_sentence_becomes_a_question(sentence: str, question: str, answer: str) -> None:
    assert Proposal(question, answer) in proposals(sentence, {"the", "committee", "about", "painter"})


@pytest.mark.parametrize(
    "sentence",
    [
        "It was built in 1907.",
        "These are the members of the council of Kereva.",
        "“Aino Saari built it in 1907.”",
        "Built in 1907 and sold",
        "Many people in Kereva left in 1907 because of that",
        "Was it built in 1907?",
        "المكتب في بغداد.",
        "x",
        "",
    ],
)
def test_what_does_not_stand_alone_is_passed_over(sentence: str) -> None:
    assert proposals(sentence, {"many", "built"}) == []


def test_a_near_miss_has_another_year_or_a_name_that_could_stand_there() -> None:
    names = list(names_after("The ferry to Sarkela is old. He lives in Oulanka, not in the Roman army."))
    assert names == [("to", "Sarkela"), ("in", "Oulanka")]
    found = list(near_misses("Who lived in Kereva in 1907?", names, seed=0))
    assert ("Who lived in Oulanka in 1907?", "Oulanka") in found
    assert {question for question, new in found if new.isdigit()} == {
        f"Who lived in Kereva in {year}?" for year in (1896, 1900, 1903, 1910, 1913, 1916)
    }
    assert "Who lived in Sarkela in 1907?" not in dict(found)
    assert found == list(near_misses("Who lived in Kereva in 1907?", names, seed=0))


def test_no_near_miss_where_some_text_may_answer_it() -> None:
    text = "The lighthouse of Oulanka was designed in the same year."
    assert may_be_answered("Who designed the lighthouse of Oulanka?", "Oulanka", [text])
    assert not may_be_answered("Who sold the ferry to Oulanka?", "Oulanka", [text])
    assert not may_be_answered("Who designed the lighthouse of Sarkela?", "Sarkela", [text])


def test_templates_draw_from_all_documents_and_quote_them_exactly() -> None:
    library = in_memory({"harbour.txt": HARBOUR, "island.txt": ISLAND, "mill.txt": MILL})
    drafts = list(by_templates(library, seed=1))
    assert {draft.document for draft in drafts} == {"harbour.txt", "island.txt", "mill.txt"}
    for draft in drafts:
        assert library.text(draft.document)[draft.start :].startswith(draft.quote)
        assert all(answer in draft.quote for group in draft.answers for answer in group)
    assert {draft.kind for draft in drafts} == {"fact", "unanswerable-near"}
    assert drafts == list(by_templates(library, seed=1))
    assert drafts != list(by_templates(library, seed=2))


# -- a model -----------------------------------------------------------------------------------------------------------


class Scripted:
    """A chat that says one thing."""

    def __init__(self, **said: Any) -> None:
        self.said = json.dumps(said)

    def reply(self, system: str, user: str) -> str:
        return f"Sure!\n```json\n{self.said}\n```"


GOOD = {"question": "Who designed the lighthouse?", "answer": "aino saari", "unanswerable": "Who sold the lighthouse?"}


def test_a_quote_is_the_documents_own_line_breaks_included() -> None:
    quote = "Aino Saari designed the lighthouse of Kereva. The town council has 42 members."
    [draft] = by_model(in_memory({"harbour.txt": HARBOUR}), Scripted(**GOOD, quote=quote), seed=0)
    assert draft is not None
    assert draft.quote == quote.replace(". The", ".\nThe")
    assert HARBOUR[draft.start :].startswith(draft.quote)


@pytest.mark.parametrize(
    "wrong",
    [
        {"quote": "Aino Saari drew the lighthouse of Kereva."},
        {"quote": "of Kereva"},
        {"quote": "The town council has 42 members."},
        {"quote": ""},
        {"answer": ""},
        {"answer": "Саари"},
        {"question": " "},
        {"question": 3},
    ],
)
def test_what_a_model_says_and_does_not_hold_is_dropped(wrong: dict[str, Any]) -> None:
    said = {**GOOD, "quote": "Aino Saari designed the lighthouse of Kereva.", **wrong}
    assert list(by_model(in_memory({"harbour.txt": HARBOUR}), Scripted(**said), seed=0)) == [None]


def test_a_model_at_an_endpoint_writes_the_drafts(documents: Path, endpoint: Endpoint) -> None:
    said = {**GOOD, "quote": "Aino Saari designed the lighthouse of Kereva."}
    endpoint.replies = [json.dumps(said)]  # it does not hold in the other document
    done = run(documents, "--llm", "drafter", "--llm-base-url", endpoint.url)
    assert done.exit_code == 0, done.output
    assert "written by drafter" in done.output
    assert "holds the answer, dropped: 1." in done.output
    assert "gold.drafts.jsonl: 1. Nothing is gold yet" in done.output
    assert {request["model"] for request in endpoint.requests} == {"drafter"}


# -- the files ---------------------------------------------------------------------------------------------------------


def test_a_draft_in_gold_is_read_and_found(tmp_path: Path) -> None:
    gold = tmp_path / "gold.jsonl"
    append(gold, FACT.gold(HARBOUR))
    [question] = located(read_gold(gold), LIBRARY.titles, LIBRARY.text)
    assert question.id == FACT.id
    assert question.evidence[0].span == (FACT.start, FACT.start + len(FACT.quote))


def test_a_quote_that_stands_twice_gives_its_start() -> None:
    twice = in_memory({"harbour.txt": HARBOUR + HARBOUR})
    later = Draft("fact", "Who?", (("Aino",),), "harbour.txt", FACT.quote, len(HARBOUR) + FACT.start)
    line = later.gold(HARBOUR + HARBOUR)
    assert line["evidence"][0]["start"] == later.start
    check(line, twice.titles, twice.text)


def test_a_line_that_would_be_no_gold_is_refused() -> None:
    with pytest.raises(GoldError, match="an answerable question has answers"):
        check({**FACT.gold(HARBOUR), "answers": []}, LIBRARY.titles, LIBRARY.text)


def test_a_draft_moves_with_its_quote() -> None:
    assert FACT.in_place(HARBOUR) == FACT
    moved = FACT.in_place("New. " + HARBOUR)
    assert moved is not None
    assert moved.start == FACT.start + 5
    assert FACT.in_place("Nothing of it.") is None


def test_a_last_line_without_its_end_gets_one(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text('{"a": 1}')
    append(file, {"b": "ä\ud800"})
    append(file, {"c": 3})
    assert lines(file) == [{"a": 1}, {"b": "ä?"}, {"c": 3}]
    assert file.read_bytes().endswith(b"\n")


def test_the_last_word_about_a_draft_counts(tmp_path: Path) -> None:
    file = DraftsFile(tmp_path / "gold.drafts.jsonl")
    assert file.read() == {}
    file.add(FACT, "open")
    file.add(FACT, "rejected")
    assert file.read() == {FACT.id: (FACT, "rejected")}
    with pytest.raises(GoldError, match="is a draft that nobody has reviewed"):
        read_gold(file.path)


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"draft": true, "id": 1}'])
def test_a_line_that_is_no_draft_is_named(tmp_path: Path, line: str) -> None:
    file = DraftsFile(tmp_path / "gold.drafts.jsonl")
    file.add(FACT, "open")
    with file.path.open("a") as out:
        out.write(f"{line}\n")
    with pytest.raises(GoldError, match=r"gold\.drafts\.jsonl, line 2: is no draft; delete the line"):
        file.read()


# -- the command -------------------------------------------------------------------------------------------------------


def test_in_a_pipe_drafts_are_kept_and_nothing_is_gold(documents: Path) -> None:
    done = run(documents, "--questions", "3")
    assert done.exit_code == 0, done.output
    assert "made by templates" in done.output
    assert "gold.drafts.jsonl: 3. Nothing is gold yet" in done.output
    assert not (documents.parent / "gold.jsonl").exists()
    kept = lines(documents.parent / "gold.drafts.jsonl")
    assert [row["state"] for row in kept] == ["open"] * 3
    assert all(row["draft"] is True for row in kept)
    again = run(documents, "--questions", "3")
    assert "Drafts from before: 3" in again.output
    assert lines(documents.parent / "gold.drafts.jsonl") == kept


def test_rejected_and_accepted_ones_are_not_proposed_again(documents: Path) -> None:
    run(documents)
    file = DraftsFile(documents.parent / "gold.drafts.jsonl")
    before = file.read()
    for number, (draft, _) in enumerate(before.values()):
        if number % 2:
            file.add(draft, "rejected")
        else:
            append(documents.parent / "gold.jsonl", draft.gold((documents / draft.document).read_text()))
    done = run(documents)
    assert done.exit_code == 1
    assert "No question could be drafted" in done.output
    assert file.read().keys() == before.keys()


def test_a_draft_whose_words_are_gone_is_not_shown(documents: Path) -> None:
    run(documents)
    (documents / "harbour.txt").write_text("Nothing is left of it.\n")
    (documents / "island.txt").unlink()
    assert run(documents).exit_code == 1


@pytest.mark.parametrize("gold", ["{", '{"id": "a"}\nno\n', '{"draft": true}'])
def test_a_malformed_gold_file_is_one_plain_line(documents: Path, gold: str) -> None:
    file = documents.parent / "gold.jsonl"
    file.write_text(gold)
    done = run(documents)
    assert done.exit_code == 2
    assert done.stderr.startswith("draft: gold.jsonl, line 1: ")
    assert done.stderr.count("\n") == 1
    assert file.read_text() == gold


def test_wrong_use_is_one_plain_line_with_its_cure(documents: Path) -> None:
    same = run(documents, "--drafts", str(documents.parent / "gold.jsonl"))
    assert (same.exit_code, same.stderr.count("\n")) == (2, 1)
    assert "name another one with --drafts" in same.stderr
    nowhere = run(documents, "--drafts", str(documents / "no" / "drafts.jsonl"))
    assert (nowhere.exit_code, nowhere.stderr.count("\n")) == (2, 1)
    missing = run(documents / "no")
    assert (missing.exit_code, missing.stderr.count("\n")) == (3, 1)
    without_address = run(documents, "--llm", "drafter")
    assert (without_address.exit_code, without_address.stderr.count("\n")) == (3, 1)
    assert "--llm-base-url" in without_address.stderr


class Terminal:
    """The command in a terminal of its own."""

    def __init__(self, documents: Path, *options: str) -> None:
        main, side = pty.openpty()
        command = [sys.executable, "-m", "eval.draft", str(documents), "--gold", "gold.jsonl", *options]
        root = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": root, "TERM": "xterm", "COLUMNS": "200"}
        self.process = subprocess.Popen(
            command, stdin=side, stdout=side, stderr=side, cwd=documents.parent, env=environment, close_fds=True
        )
        os.close(side)
        self.main = main
        self.unread = b""

    def until(self, words: str, seconds: float = 120) -> str:
        """What it writes up to `words`; what stands behind them is for the next time."""
        end = time.monotonic() + seconds
        while words.encode() not in self.unread and time.monotonic() < end:
            if select.select([self.main], [], [], 0.2)[0]:
                try:
                    self.unread += os.read(self.main, 65536)
                except OSError:  # it has ended
                    break
        seen, found, self.unread = self.unread.partition(words.encode())
        assert found, seen.decode()
        return (seen + found).decode()

    def type(self, keys: str) -> None:
        os.write(self.main, keys.encode())

    def interrupt(self) -> None:
        """Ctrl-C, again if need be: between its prompt and its reading, Python notices it only at the next key."""
        for _ in range(6):
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
                return

    def end(self) -> int:
        try:
            return self.process.wait(60)
        finally:
            os.close(self.main)


def test_a_review_in_a_terminal(documents: Path) -> None:
    terminal = Terminal(documents, "--questions", "5")
    shown = terminal.until("[q]uit: ")
    assert "1 of 5" in shown
    terminal.type("a\n")
    terminal.until("[q]uit: ")
    terminal.type("r\n")
    terminal.until("[q]uit: ")
    terminal.type("x\ns\n")  # an unknown key asks again
    terminal.until("4 of 5")
    terminal.until("[q]uit: ")
    terminal.type("q\n")
    terminal.until("1 accepted into gold.jsonl, 1 rejected, 3 left for the next time.")
    assert terminal.end() == 0
    folder = documents.parent
    [question] = located(
        read_gold(folder / "gold.jsonl"), ["harbour.txt", "island.txt"], lambda source: (documents / source).read_text()
    )
    states = {key: state for key, (_, state) in DraftsFile(folder / "gold.drafts.jsonl").read().items()}
    assert list(states.values()) == ["accepted", "rejected", "open", "open", "open"]
    assert states[question.id] == "accepted"


def test_an_edited_draft_is_checked_and_accepted(documents: Path) -> None:
    DraftsFile(documents.parent / "gold.drafts.jsonl").add(FACT, "open")
    terminal = Terminal(documents, "--questions", "1")
    terminal.until("[q]uit: ")
    terminal.type("e\n")
    terminal.until("question: ")
    terminal.type("\x15Who drew the lighthouse?\n")  # ^U: the line is emptied
    terminal.until("answer: ")
    terminal.type("\x15—\n")
    terminal.until("none has a letter or digit to compare")
    terminal.until("[q]uit: ")
    terminal.type("e\n")
    terminal.until("question: ")
    terminal.type("\x15Who drew the lighthouse?\n")
    terminal.until("answer: ")
    terminal.type(" | A. Saari ; 1907\n")
    terminal.until("1 accepted")
    assert terminal.end() == 0
    [question] = read_gold(documents.parent / "gold.jsonl")
    assert question.question == "Who drew the lighthouse?"
    assert question.answers == (("Aino Saari", "A. Saari"), ("1907",))
    assert DraftsFile(documents.parent / "gold.drafts.jsonl").read()[FACT.id][1] == "accepted"


def test_ctrl_c_keeps_what_was_decided(documents: Path) -> None:
    terminal = Terminal(documents)
    terminal.until("[q]uit: ")
    terminal.type("a\n")
    terminal.until("[q]uit: ")
    terminal.interrupt()
    assert terminal.process.returncode == 130
    os.close(terminal.main)
    assert len(read_gold(documents.parent / "gold.jsonl")) == 1
