"""Verdicts are kept beside the index and become gold questions, or drafts of some."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.gold import GoldError, located, read_gold
from rag.cli import app
from rag.errors import RagError
from rag.feedback import NOTE_CHARS, Feedback, answer_key
from rag.types import Answer, Citation, Passage, Sentence

TEXT = "The heron is called Edda. The heron is called Edda."
PASSAGE = Passage(1, 1, "heron.txt", "Heron", 0, len(TEXT), TEXT)
QUOTE = Citation(1, PASSAGE, 26, 51, "The heron is called Edda.")
ANSWER = Answer(
    "And the heron?",
    "What is the heron called?",
    "“The heron is called Edda.” [1]",
    "quoted",
    sentences=(Sentence("The heron is called Edda.", (1,), 1.0, "quoted"),),
    citations=(QUOTE,),
    confidence=0.8,
)
REFUSAL = Answer(
    "Who is the king?", "Who is the king?", "I did not find it.", "refused", refused=True, nearest=(PASSAGE,)
)


@pytest.fixture
def feedback(tmp_path: Path) -> Feedback:
    return Feedback(tmp_path / "index")


def rag(tmp_path: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["--index-dir", str(tmp_path / "index"), "feedback", *words])
    return done.exit_code, done.output


def test_the_last_verdict_about_an_answer_is_kept(feedback: Feedback) -> None:
    assert feedback.judgements() == []
    assert not feedback.path.exists()  # looking makes no file
    feedback.add(ANSWER, "up")
    feedback.add(REFUSAL, "down", "it says \ud800 <b>so</b>" + "x" * 2000)
    feedback.add(ANSWER, "wrong evidence", " page 3 ")
    assert {j.question: (j.verdict, j.note[:8]) for j in feedback.judgements()} == {
        "And the heron?": ("wrong evidence", "page 3"),
        "Who is the king?": ("down", "it says "),
    }
    assert all(len(j.note) <= NOTE_CHARS for j in feedback.judgements())
    judged = next(j for j in feedback.judgements() if j.verdict == "wrong evidence")
    assert judged.key == answer_key(ANSWER)
    assert judged.answer == json.loads(json.dumps(ANSWER.to_dict()))
    assert judged.standalone_question == "What is the heron called?"


def test_a_note_stays_until_another_is_given(feedback: Feedback) -> None:
    feedback.add(ANSWER, "down", "page 3")
    kept = feedback.add(ANSWER, "wrong evidence")
    assert (kept.verdict, kept.note) == ("wrong evidence", "page 3")
    assert feedback.judgements() == [kept]
    assert feedback.add(ANSWER, "down", "").note == ""
    assert [judgement.note for judgement in feedback.judgements()] == [""]


def test_each_visitor_has_a_verdict_and_a_note_of_their_own(feedback: Feedback) -> None:
    feedback.add(ANSWER, "down", "I am Alice", visitor="alice")
    other = feedback.add(ANSWER, "up", visitor="bob")
    assert (other.verdict, other.note) == ("up", "")
    assert {(j.verdict, j.note) for j in feedback.judgements()} == {("down", "I am Alice"), ("up", "")}
    assert feedback.add(ANSWER, "wrong evidence", visitor="alice").note == "I am Alice"
    assert len({j.gold()["id"] for j in feedback.judgements()}) == 2
    assert b"alice" not in feedback.path.read_bytes()  # nobody reads there whose it is


def test_what_is_kept_has_bounds(tmp_path: Path) -> None:
    feedback = Feedback(tmp_path, most=2)
    with pytest.raises(RagError, match="too large to be kept; ask for less at once"):
        feedback.add(replace(ANSWER, reason="x" * 200_000), "up")
    for visitor in ("a", "b"):
        feedback.add(ANSWER, "up", visitor=visitor)
    with pytest.raises(RagError, match="no more feedback is kept; 'rag feedback export' saves it"):
        feedback.add(ANSWER, "up", visitor="c")
    assert feedback.add(ANSWER, "down", visitor="a").verdict == "down"
    assert len(feedback.judgements()) == 2


def test_a_rebuilt_index_loses_none_and_nothing_is_said_of_the_person(feedback: Feedback) -> None:
    feedback.add(ANSWER, "up")
    columns = [row[1] for row in sqlite3.connect(feedback.path).execute("PRAGMA table_info(judgement)")]
    assert columns == [
        "answer_key",
        "time",
        "verdict",
        "note",
        "question",
        "standalone_question",
        "answer",
        "documents",
    ]
    assert feedback.path.name not in ("index.db", "new.db")


def test_good_ones_are_gold_and_the_rest_are_refused_until_mended(feedback: Feedback, tmp_path: Path) -> None:
    feedback.add(ANSWER, "up")
    feedback.add(REFUSAL, "up")
    file = tmp_path / "good.jsonl"
    assert rag(tmp_path, "export", str(file)) == (0, f"2 gold questions and 0 drafts in {file}\n")
    answerable, unanswerable = located(read_gold(file), ["heron.txt"], lambda _: TEXT)
    assert answerable.question == "What is the heron called?"
    assert [(e.document, e.span) for e in answerable.evidence] == [("heron.txt", (26, 51))]
    assert answerable.reference == ("The heron is called Edda.",)
    assert unanswerable.answerable is False
    feedback.add(REFUSAL, "down", "It stands on page 2")
    feedback.add(ANSWER, "wrong evidence")
    drafts = tmp_path / "drafts.jsonl"
    assert rag(tmp_path, "export", str(drafts)) == (0, f"0 gold questions and 2 drafts in {drafts}\n")
    with pytest.raises(
        GoldError, match=r"is a draft that nobody has reviewed; .* mend the line and delete its 'draft'"
    ):
        read_gold(drafts)
    lines = [json.loads(line) for line in drafts.read_text().splitlines()]
    assert {(line["verdict"], line["note"], *line["reference"]) for line in lines} == {
        ("down", "It stands on page 2"),
        ("wrong evidence", "", "The heron is called Edda."),
    }
    mended = {**lines[0], "answers": [["Edda"]], "evidence": [{"document": "heron.txt", "quote": "Edda", "start": 20}]}
    del mended["draft"]
    drafts.write_text(json.dumps(mended))
    assert len(read_gold(drafts)) == 1


def test_the_command_lists(feedback: Feedback, tmp_path: Path) -> None:
    assert rag(tmp_path) == (0, "nobody has judged an answer yet\n")
    feedback.add(REFUSAL, "up", "right")
    code, output = rag(tmp_path)
    assert code == 0
    assert "Who is the king?" in output
    assert json.loads(rag(tmp_path, "--json")[1])[0]["answer"]["refused"] is True


def test_a_file_that_is_there_is_not_overwritten(feedback: Feedback, tmp_path: Path) -> None:
    feedback.add(REFUSAL, "up")
    file = tmp_path / "gold.jsonl"
    file.write_text("mine")
    assert rag(tmp_path, "export", str(file))[0] == 2
    assert file.read_text() == "mine"
    assert rag(tmp_path, "export", str(tmp_path / "nowhere" / "gold.jsonl"))[0] == 3


def test_a_file_that_is_no_database_is_one_sentence(feedback: Feedback) -> None:
    feedback.path.parent.mkdir()
    feedback.path.write_text("not a database, but long enough to look like one" * 50)
    with pytest.raises(RagError, match="move it away to begin a new one"):
        feedback.judgements()


@pytest.mark.parametrize("documents", [(), ("heron.txt",)])
@pytest.mark.parametrize("asked", ["Who is the king?", "And the king?"])
def test_a_good_refusal_is_gold_only_where_all_was_asked(
    feedback: Feedback, documents: tuple[str, ...], asked: str
) -> None:
    feedback.add(replace(REFUSAL, question=asked), "up", documents=documents)
    (line,) = (judgement.gold() for judgement in feedback.judgements())
    of_all = not documents and asked == REFUSAL.standalone_question
    assert line.get("draft", False) is not of_all
    assert line["answerable"] is not of_all
    assert line.get("documents", []) == list(documents)


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER planted AFTER INSERT ON judgement BEGIN DELETE FROM judgement; END",
        "CREATE TABLE more (value)",
        "UPDATE judgement SET answer = 'no JSON'",
        "UPDATE judgement SET answer = '{}'",
        "UPDATE judgement SET answer = '[]'",
        "UPDATE judgement SET documents = '5'",
        "UPDATE judgement SET answer = replace(hex(zeroblob(50000)), '0', '[')",
    ],
)
def test_a_file_that_somebody_else_made_is_one_sentence(feedback: Feedback, planted: str) -> None:
    feedback.add(ANSWER, "up")
    connection = sqlite3.connect(feedback.path)
    with connection:
        connection.execute(planted)
    connection.close()
    with pytest.raises(RagError, match="move it away to begin a new one"):
        feedback.judgements()


@pytest.mark.parametrize("name", ["judgement", "sqlite_autoindex_judgement_1"])
def test_names_that_are_no_utf_8_are_one_line(feedback: Feedback, name: str) -> None:
    feedback.add(ANSWER, "up")
    data = feedback.path.read_bytes()
    feedback.path.write_bytes(data.replace(name.encode(), b"\n\xb5" + name.encode()[2:]))
    with pytest.raises(RagError, match="move it away to begin a new one") as raised:
        feedback.judgements()
    assert "\n" not in str(raised.value)


def test_a_link_is_not_followed(feedback: Feedback, tmp_path: Path) -> None:
    feedback.add(ANSWER, "up")
    feedback.path.rename(tmp_path / "elsewhere.db")
    feedback.path.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(RagError, match="is no file of rag; move it away"):
        feedback.add(ANSWER, "down")
    with pytest.raises(RagError, match="is no file of rag; move it away"):
        feedback.judgements()
