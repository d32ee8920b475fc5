"""Conversations in the browser: kept over a reload, opened, renamed, deleted, exported."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import HOSTILE, Visit, ask, close_pages, enter, in_view, served
from doubles import Scripted

from rag.assistant import Assistant
from rag.settings import Settings
from rag.types import Answer, Citation, Passage, Sentence
from rag.web import Opening, conversations, serve
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
        begin(page, "first")
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
        begin(page, "first")
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


# -- whatever happens meanwhile ----------------------------------------------------------------------------------------


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    assistant = Scripted()
    yield assistant
    assistant.go_on.set()


def begin(page: Page, question: str) -> None:
    """Ask, and wait for the first sentence of the answer."""
    enter(page, question)
    page.locator(".turn.running .chip").wait_for()


def test_a_conversation_deleted_while_it_is_answered_is_gone(visit: Visit, scripted: Scripted) -> None:
    with served(scripted) as url:
        page = visit(url)
        begin(page, "first")
        panel = open_panel(page)
        panel.get_by_role("button", name="Delete first").click()
        panel.get_by_text("first is deleted.").wait_for()
        page.locator(".welcome").wait_for(state="attached")
        scripted.go_on.set()
        page.wait_for_timeout(500)
        assert panel.locator(".conversation").count() == 0
        panel.get_by_role("button", name="Bring first back").click()
        panel.get_by_role("button", name="Open first").click()
        page.locator(".asked", has_text="first").wait_for()
        assert page.locator(".reply").inner_text().startswith("One is here. [1]")


def test_a_stop_that_never_arrives_brings_nothing_into_the_next_conversation(visit: Visit, scripted: Scripted) -> None:
    with served(scripted) as url:
        page = visit(url)
        page.route("**/cancel", lambda route: None)
        begin(page, "first")
        page.get_by_role("button", name="New", exact=True).click()
        page.locator(".welcome").wait_for()
        scripted.go_on.set()
        page.get_by_role("button", name="Ask", exact=True).wait_for()
        page.locator(".welcome").wait_for()
        ask(page, "second")
        page.wait_for_timeout(1000)
        assert questions(page) == ["second"]
        assert scripted.histories == [[], []]
        kept(page)
        panel = open_panel(page)
        assert panel.locator(".conversation .name").all_inner_texts() == ["second", "first"]
        page.unroute_all(behavior="ignoreErrors")


def test_what_is_drawn_too_late_is_drawn_again(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    held: list[Any] = []
    with served(scripted, ["?"]) as url:
        page = visit(url)
        ask(page, "first")
        kept(page)
        page.get_by_role("button", name="New", exact=True).click()
        page.locator(".welcome").wait_for()
        page.route("**/run/**", lambda route: route.continue_() if held else held.append(route))
        open_panel(page).get_by_role("button", name="Open first").click()
        page.get_by_role("dialog").wait_for(state="hidden")
        page.wait_for_timeout(200)
        page.get_by_role("button", name="New", exact=True).click()
        page.wait_for_timeout(500)
        held[0].continue_()  # after the drawing of the new one
        page.locator(".turn").wait_for()
        page.locator(".welcome").wait_for()
        ask(page, "second")
        assert questions(page) == ["second"]
        assert scripted.histories == [[], []]


def test_a_server_that_has_forgotten_the_page_loses_nothing(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    with serve(scripted, port=0) as server:  # type: ignore[arg-type]
        page = visit(server.address)
        for question in ("first", "second", "third"):
            ask(page, question)
        server._page.state_holder.session_data.clear()  # type: ignore[attr-defined]  # as when a laptop slept
        page.get_by_label("Edit question 2").click()
        page.get_by_label("The question, edited").fill("other")
        page.get_by_label("The question, edited").press("Enter")
        page.wait_for_function("document.querySelectorAll('.turn').length === 2")
        page.get_by_role("button", name="Ask", exact=True).wait_for()
        server._page.state_holder.session_data.clear()  # type: ignore[attr-defined]
        ask(page, "fourth")
        kept(page)
        assert questions(page) == ["first", "other", "fourth"]
        assert [len(history) for history in scripted.histories] == [0, 2, 4, 2, 4]
        panel = open_panel(page)
        assert panel.locator(".conversation .name").all_inner_texts() == ["first"]
        assert "3 questions ·" in panel.inner_text()
        close_pages()


def test_the_shown_conversation_opened_again_stays_as_it_is(visit: Visit, scripted: Scripted) -> None:
    with served(scripted) as url:
        page = visit(url)
        begin(page, "first")
        for _ in range(2):
            open_panel(page).get_by_role("button", name="Open first").click()
            page.get_by_role("dialog").wait_for(state="hidden")
        assert page.locator(".turn.running").count() == 1  # and is answered on
        scripted.go_on.set()
        page.get_by_role("button", name="Ask", exact=True).wait_for()
        ask(page, "second")
        kept(page)
        for _ in range(2):
            open_panel(page).get_by_role("button", name="Open first").click()
            page.get_by_role("dialog").wait_for(state="hidden")
        ask(page, "third")
        kept(page)
        assert questions(page) == ["first", "second", "third"]
        assert open_panel(page).locator(".conversation").count() == 1


def test_conversations_can_be_changed_while_the_index_opens(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    opened = threading.Event()

    def slowly(_: Any) -> Any:
        opened.wait(60)
        return scripted

    with Opening(slowly) as opening, served(opening) as url:
        page = visit(url)
        enter(page, "first")
        page.locator(".turn.running").wait_for()
        page.get_by_role("button", name="New", exact=True).click()
        page.locator(".welcome").wait_for()
        open_panel(page).get_by_role("button", name="Open first").click()
        page.locator(".turn .notice").get_by_text("Stopped.").wait_for()
        page.reload()
        page.locator(".turn .notice").get_by_text("Stopped.").wait_for()
        page.get_by_role("button", name="New", exact=True).click()
        page.locator(".welcome").wait_for()
        open_panel(page).get_by_role("button", name="Open first").click()
        page.locator(".turn .notice").get_by_text("Stopped.").wait_for()
        opened.set()
        page.locator("#header").get_by_text("No documents yet").wait_for()
        ask(page, "second")
        kept(page)
        assert questions(page) == ["first", "second"]


def test_quotes_are_checked_when_the_index_is_there(visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "mill.txt").write_text("The mill\n\nThe old mill was built by Ada Berg in 1890.\n", "utf-8")
    settings = Settings(documents=folder, index_dir=tmp_path / "index", llm="none", refuse_below=0)
    held = threading.Event()
    held.set()

    def opener(report: Any) -> Assistant:
        held.wait(60)
        return Assistant.open(settings, report=report)

    with Opening(opener) as opening, served(opening) as url:
        page = visit(url)
        ask(page, "Who built the old mill?")
        kept(page)
        state = page.context.storage_state(indexed_db=True)
        session = page.evaluate("sessionStorage.getItem('conversation')")
    (folder / "mill.txt").write_text("The mill\n\nNobody knows who built the mill.\n", "utf-8")
    held.clear()
    with Opening(opener) as opening, served(opening) as other:
        state["origins"][0]["origin"] = other.rstrip("/")
        page = visit(other, storage_state=state)
        page.evaluate("id => sessionStorage.setItem('conversation', id)", session)
        page.reload()
        page.locator(".turn .chip").first.wait_for()
        assert page.get_by_text("Since this was answered").count() == 0  # nobody knows yet
        held.set()
        page.get_by_text("Since this was answered, the words of [1] were changed or removed").wait_for()


def test_two_conversations_of_one_title_can_both_be_brought_back(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    with served(scripted) as url:
        page = visit(url)
        for number in (1, 2):
            ask(page, "first")
            kept(page)
            if number == 1:
                page.get_by_role("button", name="New", exact=True).click()
                page.locator(".welcome").wait_for()
        panel = open_panel(page)
        for left in (1, 0):
            panel.get_by_role("button", name="Delete first").first.click()
            page.wait_for_function("n => document.querySelectorAll('.conversation').length === n", arg=left)
        undo = panel.get_by_role("button", name="Bring first back")
        assert undo.count() == 2
        for left in (1, 0):
            undo.first.click()
            page.wait_for_function("n => document.querySelectorAll('button[value=undo]').length === n", arg=left)
        assert panel.locator(".conversation").count() == 2


def test_a_title_ends_between_two_characters(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    with served(scripted) as url:
        page = visit(url)
        ask(page, "a" * 79 + "😀 and more")
        kept(page)
        panel = open_panel(page)
        assert panel.locator(".conversation .name").inner_text() == "a" * 79 + "😀"
        with page.expect_download() as coming:
            panel.get_by_role("button", name="as JSON").click()
        assert coming.value.suggested_filename == "a" * 60 + ".json"


def test_a_name_given_in_another_tab_stays(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    with served(scripted) as url:
        page = visit(url)
        ask(page, "first")
        kept(page)
        other = page.context.new_page()
        other.goto(url)
        panel = open_panel(other)
        panel.get_by_role("button", name="Rename first").click()
        other.keyboard.type("Of mills")
        other.keyboard.press("Enter")
        panel.get_by_role("button", name="Open Of mills").wait_for()
        ask(page, "second")
        kept(page)
        assert open_panel(page).locator(".conversation .name").all_inner_texts() == ["Of mills"]


def test_a_write_that_fails_is_said_and_does_not_split_the_conversation(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    with served(scripted) as url:
        page = visit(url)
        ask(page, "first")
        kept(page)
        page.evaluate("""() => {
            window.put = IDBObjectStore.prototype.put;
            IDBObjectStore.prototype.put = function (value, key) {
                if (key) throw new Error("no room");
                return window.put.call(this, value);
            };
        }""")
        ask(page, "second")
        page.get_by_role("alert").get_by_text("This conversation is not kept: no room").wait_for()
        page.evaluate("() => { IDBObjectStore.prototype.put = window.put; }")
        ask(page, "third")
        kept(page)
        page.get_by_role("alert").get_by_text("not kept").wait_for(state="hidden")
        panel = open_panel(page)
        assert panel.locator(".conversation .name").all_inner_texts() == ["first"]
        assert "3 questions ·" in panel.inner_text()


def test_a_browser_that_keeps_nothing_shows_all_the_same(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    with served(scripted) as url:
        forbidden = """for (const name of ["indexedDB", "sessionStorage"])
            Object.defineProperty(window, name, {get() { throw new DOMException("forbidden", "SecurityError"); }});"""
        page = visit(url, before=forbidden)
        ask(page, "first")
        page.get_by_role("alert").get_by_text("This conversation is not kept: forbidden").wait_for()
        ask(page, "second")
        assert questions(page) == ["first", "second"]
        assert [len(history) for history in scripted.histories] == [0, 2]
        page.get_by_role("button", name="New", exact=True).click()
        page.locator(".welcome").wait_for()
        ask(page, "third")
        assert questions(page) == ["third"]
        page.get_by_role("button", name="Conversations", exact=True).click()
        page.get_by_role("dialog").get_by_text("This browser keeps no conversations: forbidden").wait_for()


# -- what comes back is checked ----------------------------------------------------------------------------------------


def test_turns_come_back_as_they_were(seed_assistant: Assistant) -> None:
    asked = ("hello", WHO, "Who is the Minister of Health?")
    turns = tuple(Turn(each, seed_assistant.ask(each), {1: 3}, documents=("a.txt",)) for each in asked)
    assert restored(json.loads(json.dumps([turn.to_dict() for turn in turns]))) == turns


@pytest.mark.parametrize("sent", [None, 3, {"question": "a"}])
def test_what_is_no_conversation_gets_one_plain_line(sent: Any) -> None:
    with pytest.raises(ValueError, match="this conversation cannot be read"):
        restored(sent)
    told = conversations.conversation_export({"title": "t", "turns": sent, "format": "json"})
    assert told["failed"] == "this conversation cannot be read; nothing that was kept here is like this"


@pytest.mark.parametrize(
    "sent", [3, {"question": 3}, {"question": "b", "answer": {"text": "b"}}, {"question": "b", "running": True}]
)
def test_what_is_no_turn_hides_no_other(sent: Any) -> None:
    first, second, third = restored([{"question": "a"}, sent, {"question": "c"}])
    assert (first, third) == (Turn("a"), Turn("c"))
    assert second.notice.startswith("this question and its answer cannot be read")


def test_a_long_conversation_can_be_read_whole() -> None:
    assert len(restored([{"question": str(number)} for number in range(1500)])) == 1500
    with pytest.raises(ValueError, match="more than 5,000 questions; start a new one"):
        restored([{"question": "a"}] * 5001)
    with pytest.raises(ValueError, match="larger than 5 MB; start a new one"):
        restored([{"question": "ä" * 2_500_000}])


def test_half_an_emoji_can_be_exported_and_shown() -> None:
    half = "a\ud83d"
    (turn,) = restored([{"question": half}])
    assert turn.question == "a?"
    for kind in ("markdown", "json"):
        sent = {"title": half, "created": half, "turns": [{"question": half}], "format": kind}
        assert "a?" in conversations.conversation_export(sent)["text"].encode().decode()


def test_markdown_of_a_hostile_title_makes_no_link_and_a_short_file_name() -> None:
    title = "# [x](http://example.com)\n" + "ü" * 300
    file = conversations.conversation_export({"title": title, "turns": [], "format": "markdown", "created": ""})
    assert file["text"].startswith("# \\# \\[x\\](http\\://example\\.com) ü")
    assert file["text"].count("\n") == 1
    assert len(file["name"]) <= 63


def test_what_is_nested_too_deeply_is_told() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        restored([deep])
    exported = conversations.conversation_export({"title": "t", "turns": [deep], "created": "", "format": "json"})
    assert "nested too deeply" in exported["failed"]
