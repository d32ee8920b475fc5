"""The verdicts below an answer, in a real browser, and what anybody may send in their place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from chromium import Page, Visit, ask, in_view

from rag.assistant import Assistant
from rag.conversation import REFUSAL
from rag.feedback import Feedback, answer_key
from rag.settings import Settings
from rag.types import Answer
from rag.web.turns import Turn

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


def test_another_visitor_neither_reads_nor_changes_what_was_said(url: str, visit: Visit, assistant: Assistant) -> None:
    first = ask(visit(url), HERON)
    judge(first, "Bad")
    first.get_by_label("A note").fill("I am Alice")
    first.get_by_label("A note").press("Enter")
    first.page.wait_for_timeout(500)
    other = ask(visit(url), HERON)
    judge(other, "Good")
    assert other.get_by_label("A note").input_value() == ""
    assert sorted(kept(assistant)) == [(HERON, "down", "I am Alice"), (HERON, "up", "")]


def test_the_same_browser_keeps_its_note(url: str, visit: Visit, assistant: Assistant) -> None:
    page = visit(url)
    first = ask(page, HERON)
    judge(first, "Bad")
    first.get_by_label("A note").fill("page 3")
    first.get_by_label("A note").press("Enter")
    page.wait_for_timeout(500)
    page.reload()
    again = page.locator(".turn").first
    again.wait_for()
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


# -- without the page: what others send --------------------------------------------------------------------------------

ALICE, BOB = "a" * 32, "b" * 32


def send(url: str, answer: Answer, visitor: str | None = ALICE, **said: Any) -> dict[str, str]:
    components = httpx.get(f"{url}config").json()["components"]
    (component,) = (each["id"] for each in components if "judge" in (each["props"].get("server_fns") or ()))
    data = {
        "turn": Turn(answer.question, answer).to_dict(),
        "answer": answer_key(answer),
        "verdict": "up",
        "note": None,
    }
    data |= said | ({} if visitor is None else {"visitor": visitor})
    sent = {"session_hash": "s", "component_id": component, "fn_name": "judge", "data": data}
    reply: dict[str, str] = httpx.post(f"{url}gradio_api/component_server", json=sent, timeout=60).json()
    return reply


def forged(answer: Answer) -> Iterator[tuple[str, Answer]]:
    """The answer, changed so that the index does not back it any more."""
    (sentence,), (citation,) = answer.sentences, answer.citations
    lie = "“The heron of the pond is called Judas.”"
    said = replace(sentence, text=lie)
    yield "text", replace(answer, text="FORGED [1]")
    yield "sentence", replace(answer, text=f"{lie} [1]", sentences=(said,))
    yield (
        "as verified",
        replace(answer, text=f"{lie} [1]", mode="written", sentences=(replace(said, status="verified"),)),
    )
    yield "quote", replace(answer, citations=(replace(citation, quote=lie),))
    changed = replace(citation.passage, text=lie, end=citation.passage.start + len(lie))
    whole = replace(citation, passage=changed, start=changed.start, end=changed.end, quote=lie)
    yield "passage", replace(answer, text=f"“{lie}” [1]", sentences=(said,), citations=(whole,))
    yield "source", replace(answer, citations=(replace(citation, passage=replace(citation.passage, source="x.txt")),))
    yield "a citation that no sentence names", replace(answer, sentences=(replace(sentence, citations=()),))
    yield "no evidence", replace(answer, sentences=(), citations=())
    yield "short", replace(answer, short="Judas")
    yield "other passages", replace(answer, passages=(changed,))
    yield "a refusal in other words", replace(answer, mode="refused", refused=True, text="Never.", nearest=())
    yield "half a refusal", replace(answer, refused=True)


def test_only_what_the_index_backs_is_kept(url: str, assistant: Assistant) -> None:
    answer = assistant.ask(HERON)
    assert len(answer.citations) == 1
    for what, wrong in forged(answer):
        assert send(url, wrong) == {
            "says": "The documents do not hold this answer as it stands here, so it is not kept; ask again."
        }, what
    assert kept(assistant) == []
    said = replace(answer.sentences[0], text="The heron of the pond is called Edda.", status="verified")
    written = replace(answer, mode="written", sentences=(said,), text=f"{said.text} [1]")
    refusal = replace(
        answer,
        mode="refused",
        refused=True,
        text=REFUSAL,
        short=None,
        sentences=(),
        citations=(),
        nearest=answer.passages,
    )
    for good in (answer, written, refusal):
        assert send(url, good)["says"] == THANKS
    assistant.remove("heron.txt")
    assert "do not hold this answer" in send(url, answer)["says"]


def test_nobody_is_told_what_another_said(url: str, assistant: Assistant) -> None:
    answer = assistant.ask(HERON)
    assert send(url, answer, note="I am Alice", verdict="down")["note"] == "I am Alice"
    assert send(url, answer, BOB) == {"says": THANKS, "verdict": "up", "note": ""}
    assert send(url, answer, verdict="down") == {"says": THANKS, "verdict": "down", "note": "I am Alice"}
    for nobody in (None, "", "a", "a" * 65, "a/" * 10):
        assert send(url, answer, nobody)["says"].endswith("reload the page")
    assert len(kept(assistant)) == 2
