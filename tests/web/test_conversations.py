"""Conversations in the browser: kept over a reload, opened, renamed, deleted, exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import HOSTILE, Visit, ask, in_view, served
from test_page import Scripted

from rag.assistant import Assistant
from rag.settings import Settings
from rag.types import Answer, Citation, Passage, Sentence
from rag.web import conversations
from rag.web.turns import Turn, restored

WHO = "Who is the head of the Counter-Terrorism Service?"
FOLLOW_UP = "Why does Al-Kazemi rely on him?"

Page = Any


@pytest.fixture(scope="module")
def seeds_url(seed_assistant: Assistant) -> Iterator[str]:
    with served(seed_assistant, ["Who?"]) as url:
        yield url


def open_panel(page: Page) -> Page:
    page.get_by_role("button", name="Conversations", exact=True).click()
    panel = page.get_by_role("dialog", name="Conversations")
    panel.locator(".listed > li").first.wait_for()
    return panel


def questions(page: Page) -> list[str]:
    return list(page.locator(".asked").all_inner_texts())


def kept(page: Page) -> None:
    """Until the last answer lies in the browser."""
    page.wait_for_function(
        """async () => {
            const database = await new Promise((done) => {
                const request = indexedDB.open("conversations", 1);
                request.onsuccess = () => done(request.result);
            });
            const all = await new Promise((done) => {
                const request = database.transaction("turns").objectStore("turns").getAll();
                request.onsuccess = () => done(request.result);
            });
            database.close();
            const shown = [...document.querySelectorAll(".asked")].map((asked) => asked.textContent);
            return all.some((turns) => turns.length === shown.length && turns.at(-1).question === shown.at(-1)
                && (turns.at(-1).answer || turns.at(-1).notice));
        }"""
    )


def test_a_reload_shows_the_conversation_again_and_goes_on_with_it(
    visit: Visit, seeds_url: str, seed_assistant: Assistant
) -> None:
    page = visit(seeds_url)
    ask(page, WHO)
    answer = page.locator(".reply").inner_text()
    kept(page)
    page.reload()
    page.locator(".turn .chip").first.wait_for()
    assert questions(page) == [WHO]
    assert page.locator(".reply").inner_text() == answer
    page.locator(".turn .chip").first.click()
    mark = page.locator(".paper mark")
    mark.wait_for()
    assert mark.evaluate("mark => mark.textContent") == seed_assistant.ask(WHO).citations[0].quote
    assert in_view(page, ".paper mark")
    page.keyboard.press("Escape")
    turn = ask(page, "Who appointed him?")  # understood only with what was asked before
    assert f"Understood as: {WHO} Who appointed him?" in turn.inner_text()
    kept(page)
    page.reload()
    page.locator(".turn").nth(1).wait_for()
    assert questions(page) == [WHO, "Who appointed him?"]


def test_new_open_rename_delete_and_undo(visit: Visit, seeds_url: str) -> None:
    page = visit(seeds_url)
    ask(page, WHO)
    kept(page)
    page.get_by_role("button", name="New", exact=True).click()
    page.locator(".example").wait_for()
    assert page.locator(".turn").count() == 0
    assert page.evaluate("document.activeElement.matches('#ask textarea')")
    ask(page, FOLLOW_UP)
    assert "Understood as" not in page.locator(".turn").inner_text()  # nothing was asked before
    kept(page)
    panel = open_panel(page)
    assert panel.locator(".conversation .name").all_inner_texts() == [FOLLOW_UP, WHO]  # the last one first
    assert panel.locator(".conversation .name").first.get_attribute("aria-current") == "true"
    assert "1 question ·" in panel.locator(".conversation").first.inner_text()

    panel.get_by_role("button", name=f"Rename {WHO}").click()
    page.keyboard.type("The <b>head</b> of the service")
    page.keyboard.press("Enter")
    panel.get_by_role("button", name="Open The <b>head</b> of the service").click()
    panel.wait_for(state="hidden")
    page.locator(".asked", has_text=WHO).wait_for()
    assert questions(page) == [WHO]

    panel = open_panel(page)
    panel.get_by_role("button", name="Delete The <b>head</b> of the service").click()
    panel.get_by_text("The <b>head</b> of the service is deleted.").wait_for()
    page.locator(".example").wait_for(state="attached")
    assert questions(page) == []  # it was the one that was open
    assert panel.locator(".conversation").count() == 1
    page.keyboard.press("Enter")  # the button to undo has the focus
    panel.get_by_role("button", name="Open The <b>head</b> of the service").click()
    page.locator(".asked", has_text=WHO).wait_for()
    kept(page)
    page.reload()
    page.locator(".asked", has_text=WHO).wait_for()


def test_exports_hold_the_questions_and_the_exact_quotes(
    visit: Visit, seeds_url: str, seed_assistant: Assistant, tmp_path: Path
) -> None:
    page = visit(seeds_url)
    ask(page, WHO)
    ask(page, "Who is the Minister of Health?")
    kept(page)
    panel = open_panel(page)
    with page.expect_download() as coming:
        panel.get_by_role("button", name=f"Download {WHO} as JSON").click()
    file = tmp_path / "exported.json"
    coming.value.save_as(file)
    assert coming.value.suggested_filename == "Who-is-the-head-of-the-Counter-Terrorism-Service.json"
    exported = json.loads(file.read_text("utf-8"))
    assert [turn["question"] for turn in exported["turns"]] == [WHO, "Who is the Minister of Health?"]
    assert exported["turns"][1]["answer"]["refused"]
    for citation in exported["turns"][0]["answer"]["citations"]:
        text = seed_assistant.document(citation["passage"]["document_id"]).text
        assert text[citation["start"] : citation["end"]] == citation["quote"]
    with page.expect_download() as coming:
        panel.get_by_role("button", name=f"Download {WHO} as Markdown").click()
    coming.value.save_as(file)
    text = file.read_text("utf-8")
    assert text.startswith(f"# {WHO}\n\n## {WHO}\n")
    assert "[^1-1]: " in text
    assert "## Who is the Minister of Health?" in text
    assert "I did not find an answer to this in the documents" in text


def test_two_tabs_keep_a_conversation_each(visit: Visit, seeds_url: str) -> None:
    page = visit(seeds_url)
    other = page.context.new_page()
    other.goto(seeds_url)
    other.get_by_label("Your question").wait_for()
    ask(page, WHO)
    kept(page)
    ask(other, FOLLOW_UP)
    assert questions(other) == [FOLLOW_UP]
    kept(other)
    panel = open_panel(page)
    assert sorted(panel.locator(".conversation .name").all_inner_texts()) == sorted([WHO, FOLLOW_UP])


def test_the_same_conversation_in_two_tabs_loses_nothing(visit: Visit, seeds_url: str) -> None:
    page = visit(seeds_url)
    ask(page, WHO)
    kept(page)
    other = page.context.new_page()
    other.goto(seeds_url)
    open_panel(other).get_by_role("button", name=f"Open {WHO}").click()
    other.locator(".turn .chip").first.wait_for()
    ask(page, "thanks")
    kept(page)
    ask(other, "hello")
    kept(other)
    panel = open_panel(page)
    assert sorted(panel.locator(".conversation .name").all_inner_texts()) == [WHO, f"{WHO} (2)"]
    other.reload()
    other.locator(".turn").nth(1).wait_for()
    assert questions(other) == [WHO, "hello"]


def test_a_question_that_was_being_answered_is_kept_as_stopped(visit: Visit) -> None:
    scripted = Scripted()
    with served(scripted) as url:
        page = visit(url)
        page.get_by_label("Your question").fill("first")
        page.get_by_label("Your question").press("Enter")
        page.locator(".chip").wait_for()
        other = page.context.new_page()
        other.goto(url)
        open_panel(other).locator(".conversation").wait_for()
        page.close()
        other.get_by_role("button", name="Open first").click()
        other.locator(".turn .notice").wait_for()
        assert questions(other) == ["first"]
        assert other.locator(".notice").inner_text() == "Stopped."
        scripted.go_on.set()


def test_new_while_an_answer_comes_stops_it_and_keeps_it(visit: Visit) -> None:
    scripted = Scripted()
    with served(scripted) as url:
        page = visit(url)
        page.get_by_label("Your question").fill("first")
        page.get_by_label("Your question").press("Enter")
        page.locator(".chip").wait_for()
        page.get_by_role("button", name="New", exact=True).click()
        page.locator(".welcome").wait_for()
        scripted.go_on.set()
        ask(page, "second")
        assert questions(page) == ["second"]
        open_panel(page).get_by_role("button", name="Open first").click()
        page.locator(".asked", has_text="first").wait_for()
        assert page.locator(".reply").inner_text().startswith("One is here. [1]")
        assert "Stopped." in page.locator(".reply").inner_text()


def test_a_kept_answer_says_which_of_its_quotes_are_gone(visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "mill.txt").write_text("The mill\n\nThe old mill was built by Ada Berg in 1890.\n", "utf-8")
    settings = Settings(documents=folder, index_dir=tmp_path / "index", llm="none", refuse_below=0)
    with Assistant.open(settings) as ours, served(ours) as url:
        page = visit(url)
        ask(page, "Who built the old mill?")
        kept(page)
        (folder / "mill.txt").write_text("The mill\n\nNobody knows who built the mill.\n", "utf-8")
        ours.ingest([folder])
        page.reload()
        page.get_by_text("Since this was answered, the words of [1] were changed or removed").wait_for()


def test_hostile_names_and_answers_come_back_as_text(visit: Visit) -> None:
    class Parrot(Scripted):
        def stream(self, question: str, **_: Any) -> Iterator[Answer]:
            passage = Passage(1, 1, "a.txt", question, 0, len(question), question)
            citations = (Citation(1, passage, 0, len(question), question),)
            said = (Sentence(question, (1,), 1.0, "quoted"),)
            yield Answer(question, question, f"{question} [1]", "quoted", sentences=said, citations=citations)

    with served(Parrot()) as url:
        page = visit(url)
        for words in HOSTILE:
            ask(page, words)
        kept(page)
        page.reload()
        page.locator(".turn").nth(len(HOSTILE) - 1).wait_for()
        assert questions(page) == [*HOSTILE]
        open_panel(page)
        foreign = ":is(#desk, dialog) :is(img, script, iframe, svg, a, b, em, strong, code):not(button *)"
        assert page.locator(foreign).count() == 0


def test_the_panel_fits_a_phone_and_a_keyboard(visit: Visit, seeds_url: str) -> None:
    page = visit(seeds_url, viewport={"width": 360, "height": 740})
    ask(page, WHO)
    kept(page)
    page.get_by_role("button", name="Conversations", exact=True).focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("dialog", name="Conversations")
    panel.locator(".conversation").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert panel.evaluate("node => node.scrollWidth <= node.clientWidth")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "open"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "INPUT"
    page.keyboard.press("Escape")  # leaves the name, not the panel
    page.wait_for_function("document.activeElement.value === 'rename'")
    page.keyboard.press("Escape")
    assert panel.is_hidden()


# -- what comes back is checked ----------------------------------------------------------------------------------------


def test_turns_come_back_as_they_were(seed_assistant: Assistant) -> None:
    asked = ("hello", WHO, "Who is the Minister of Health?")
    turns = tuple(Turn(each, seed_assistant.ask(each), {1: 3}, documents=("a.txt",)) for each in asked)
    assert restored(json.loads(json.dumps([turn.to_dict() for turn in turns]))) == turns


@pytest.mark.parametrize("sent", [None, 3, [3], [{"question": 3}], [{"question": "a", "answer": {"text": "b"}}]])
def test_what_is_no_conversation_gets_one_plain_line(sent: Any) -> None:
    (turn,) = conversations.opened(sent)
    assert turn.notice.startswith("this conversation cannot be read")
    assert conversations.conversation_export({"title": "t", "turns": sent, "format": "json"})["failed"] == turn.notice


def test_markdown_of_a_hostile_title_makes_no_link_and_a_short_file_name() -> None:
    title = "# [x](http://example.com)\n" + "ü" * 300
    file = conversations.conversation_export({"title": title, "turns": [], "format": "markdown", "created": ""})
    assert file["text"].startswith("# \\# \\[x\\](http\\://example\\.com) ü")
    assert file["text"].count("\n") == 1
    assert len(file["name"]) <= 63
