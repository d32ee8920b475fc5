"""The verdicts below an answer, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Page, Visit, ask, in_view

from rag.assistant import Assistant
from rag.feedback import Feedback
from rag.settings import Settings

HERON = "What is the heron of the pond called?"
THANKS = "Kept on this machine. Thank you."


@pytest.fixture
def assistant(tmp_path: Path) -> Iterator[Assistant]:
    (tmp_path / "heron.txt").write_text("The heron of the pond is called Edda.\n")
    settings = Settings(documents=tmp_path / "heron.txt", index_dir=tmp_path / "index", llm="none", refuse_below=0)
    with Assistant.open(settings) as assistant:
        yield assistant


def judge(turn: Page, verdict: str) -> None:
    turn.get_by_role("button", name=verdict).click()
    turn.get_by_text(THANKS).wait_for()


def kept(assistant: Assistant) -> list[tuple[str, str, str]]:
    return [(j.question, j.verdict, j.note) for j in Feedback(assistant.settings.index_dir).judgements()]


def test_a_verdict_and_its_note_are_kept(url: str, visit: Visit, assistant: Assistant) -> None:
    page = visit(url)
    first = ask(page, HERON)
    judge(first, "Wrong evidence")
    note = first.get_by_label("A note")
    note.fill("<img src=x onerror=alert(1)>")
    note.press("Enter")
    page.wait_for_timeout(500)
    second = ask(page, "Who lives in the pond?")
    judge(second, "Good")
    page.wait_for_function("document.querySelector('.turn:last-child .judge-said').textContent")
    page.wait_for_timeout(200)
    assert in_view(page, ".turn:last-child .judge-said")  # the row grew a field: it is still there
    assert ask(page, "thanks").locator(".judge").count() == 0
    pressed = first.locator("[aria-pressed=true]")  # drawn anew twice meanwhile
    assert pressed.inner_text() == "Wrong evidence"
    assert kept(assistant) == [
        (HERON, "wrong evidence", "<img src=x onerror=alert(1)>"),
        ("Who lives in the pond?", "up", ""),
    ]


def test_a_note_half_typed_outlives_the_next_answer(url: str, visit: Visit, assistant: Assistant) -> None:
    page = visit(url)
    first = ask(page, HERON)
    judge(first, "Bad")
    note = first.get_by_label("A note")
    note.press_sequentially("page 3")
    page.evaluate("document.querySelector('.turn').dataset.old = true")
    page.evaluate("""() => {  // a question while the note has the cursor
        const box = document.querySelector("#ask textarea");
        box.value = "Who lives in the pond?";
        box.dispatchEvent(new Event("input", {bubbles: true}));
        box.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true}));
        box.dispatchEvent(new KeyboardEvent("keypress", {key: "Enter", bubbles: true}));
    }""")
    page.locator(".turn .judge").nth(1).wait_for()
    assert page.locator("[data-old]").count() == 0  # it was drawn anew
    page.keyboard.type(", not 4")
    assert note.input_value() == "page 3, not 4"
    first.get_by_role("button", name="Send").click()
    first.get_by_text(THANKS).wait_for()
    assert kept(assistant) == [(HERON, "down", "page 3, not 4")]


def test_another_page_that_judges_the_same_answer_keeps_the_note(url: str, visit: Visit, assistant: Assistant) -> None:
    first = ask(visit(url), HERON)
    judge(first, "Bad")
    first.get_by_label("A note").fill("page 3")
    first.get_by_label("A note").press("Enter")
    first.page.wait_for_timeout(500)
    again = ask(visit(url), HERON)
    judge(again, "Wrong evidence")
    assert again.get_by_label("A note").input_value() == "page 3"
    assert kept(assistant) == [(HERON, "wrong evidence", "page 3")]


def test_a_verdict_that_could_not_be_stored_is_not_shown_as_given(url: str, visit: Visit, assistant: Assistant) -> None:
    turn = ask(visit(url), HERON)
    judge(turn, "Bad")
    path = Feedback(assistant.settings.index_dir).path
    path.unlink()
    path.mkdir()
    turn.get_by_role("button", name="Good").click()
    turn.get_by_text("move it away to begin a new one").wait_for()
    assert turn.locator("[aria-pressed=true]").inner_text() == "Bad"
