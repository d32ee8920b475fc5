"""The page in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import HOSTILE, Visit, ask, contrast, enter, in_view, served
from doubles import FIRST, SECOND, Scripted, written
from pydantic import SecretStr

from rag.assistant import Assistant
from rag.errors import LLMUnavailable
from rag.ingest import Progress
from rag.settings import Settings
from rag.web import Opening, example_questions
from rag.web.guard import Users
from rag.web.markdown import as_markdown

WHO = "Who is the head of the Counter-Terrorism Service?"


@pytest.fixture(scope="module")
def seeds_url(seed_assistant: Assistant, seeds: Path) -> Iterator[str]:
    with served(seed_assistant, example_questions(seeds)) as url:
        yield url


# -- the real chain over the seeds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1280, 390, 360])
def test_a_chip_opens_the_whole_document_with_the_exact_quote_marked(
    visit: Visit, seeds_url: str, seed_assistant: Assistant, width: int
) -> None:
    citation = seed_assistant.ask(WHO).citations[0]
    page = visit(seeds_url, viewport={"width": width, "height": 800})
    turn = ask(page, WHO)
    assert "Quoted from your documents" in turn.inner_text()
    card = page.locator("#source-1-1")
    assert card.locator("mark").evaluate("mark => mark.textContent") == citation.quote
    assert card.locator("blockquote").evaluate("quote => quote.textContent") == citation.passage.text
    turn.locator(".chip").first.click()
    mark = page.locator(".paper mark")
    mark.wait_for()
    assert mark.evaluate("mark => mark.textContent") == citation.quote
    text = seed_assistant.document(citation.passage.document_id).text
    assert page.locator(".paper").evaluate("paper => paper.textContent") == text
    line = text[: citation.start].count("\n") + 1
    assert page.locator(".viewer .where").inner_text() == f"{citation.passage.source} · line {line}"
    assert page.locator(".viewer .title").inner_text() == citation.passage.title
    assert in_view(page, ".paper mark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Back", exact=True).click()
    assert page.locator(".viewer").is_hidden()
    assert in_view(page, ".chip")
    assert page.evaluate("document.activeElement.className").endswith("chip")
    card.get_by_label("Back to the answer").click()
    assert page.evaluate("document.activeElement.className").endswith("chip")


def test_examples_ask_and_a_chip_of_an_earlier_answer_opens_its_own_card(visit: Visit, seeds_url: str) -> None:
    page = visit(seeds_url)
    examples = page.locator(".example")
    assert examples.count() >= 6
    question = examples.first.inner_text()
    examples.first.click()
    page.locator(".turn .chip").first.wait_for()
    page.get_by_role("button", name="Ask").wait_for()
    assert page.locator(".asked").inner_text() == question
    assert examples.count() == 0
    ask(page, "Why did Iran raise the red card?")
    assert page.locator("#sources-2").is_visible()
    page.locator("#chat button[value='source-1-1']").first.click()
    page.locator(".paper mark").wait_for()
    ask(page, "thanks")
    assert page.locator(".paper mark").is_visible()  # small talk takes nothing away
    page.keyboard.press("Escape")
    assert page.locator("#source-1-1.open").is_visible()
    assert page.locator("#sources-2").is_hidden()


def test_the_keyboard_alone_is_enough(visit: Visit, seeds_url: str) -> None:
    page = visit(seeds_url)
    page.keyboard.type(WHO)  # the box has the focus
    page.keyboard.press("Enter")
    page.locator(".turn .chip").first.wait_for()
    page.get_by_role("button", name="Ask").wait_for()
    for _ in range(12):  # back over the verdicts and the chips
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.value") == "source-1-1":
            break
    page.keyboard.press("Enter")
    page.locator(".paper mark").wait_for()
    assert page.evaluate("document.activeElement.matches('.paper mark')")
    page.keyboard.press("Shift+Tab")  # the paper, which arrows scroll
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.matches('.viewer .next')")
    page.keyboard.press("Enter")
    page.get_by_text("Citation 2 of").wait_for()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.value") == "source-1-1"


def test_an_empty_question_does_nothing(visit: Visit, seeds_url: str) -> None:
    page = visit(seeds_url)
    box = page.get_by_label("Your question")
    box.fill("   ")
    box.press("Enter")
    page.wait_for_timeout(1000)
    assert page.locator(".turn").count() == 0
    assert page.locator(".example").count() > 0


def test_a_question_that_is_too_long_is_told_so(visit: Visit, seeds_url: str, seed_assistant: Assistant) -> None:
    page = visit(seeds_url)
    question = "long " * seed_assistant.settings.question_chars
    turn = ask(page, question)
    assert turn.locator(".notice").inner_text().startswith("The question has ")
    assert len(turn.locator(".asked").inner_text()) < 1100
    assert page.get_by_label("Your question").input_value() == question  # there to be shortened


def test_a_refusal_shows_the_nearest_passages_unmarked(visit: Visit, seeds: Path, tmp_path: Path) -> None:
    settings = Settings(documents=seeds, index_dir=tmp_path / "index", llm="none", refuse_below=1.0)
    with Assistant.open(settings) as assistant, served(assistant) as url:
        page = visit(url)
        turn = ask(page, "Who is the Minister of Health?")
        assert "I did not find an answer to this in the documents." in turn.inner_text()
        assert turn.locator(".chip").count() == 0
        turn.get_by_role("button", name="See the nearest passages").click()
        panel = page.locator("#sources")
        assert panel.get_by_role("heading", name="Nearest passages").is_visible()
        assert panel.locator(".card").count() == 3
        assert panel.locator("mark, .card.open").count() == 0


def test_hostile_documents_and_questions_are_shown_as_text(visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    name = "<img src=x onerror=alert(1)>.txt"
    lines = [f"The treasure number {n} is called {words} by everybody." for n, words in enumerate(HOSTILE)]
    (folder / name).write_text("\n\n".join(["Treasures of <b>Bold</b> Island", *lines, ""]), encoding="utf-8")
    settings = Settings(documents=folder, index_dir=tmp_path / "index", llm="none", refuse_below=0)
    with Assistant.open(settings) as assistant, served(assistant, HOSTILE) as url:
        page = visit(url)
        assert [*map(str.strip, page.locator(".example").all_inner_texts())] == [*map(str.strip, HOSTILE)]
        for words in HOSTILE:
            turn = ask(page, f"What is called {words}?")
            assert turn.locator(".asked").evaluate("node => node.textContent") == f"What is called {words}?"
            turn.locator(".chip").first.click()
            page.locator(".paper mark").wait_for()
            assert page.locator(".viewer .title").inner_text() == "Treasures of <b>Bold</b> Island"
            assert name in page.locator(".viewer .where").inner_text()
            text = page.locator(".paper").evaluate("node => node.textContent")
            assert text == assistant.document(assistant.documents()[0].id).text
        shown = page.locator("#sources").evaluate("node => node.textContent")
        assert all(words in shown for words in HOSTILE)
        foreign = "#desk :is(img, script, iframe, svg, a, b, em, strong, code, .katex):not(button *)"
        assert page.locator(foreign).count() == 0


# -- a scripted assistant ----------------------------------------------------------------------------------------------


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    assistant = Scripted()
    yield assistant
    assistant.go_on.set()


def test_sentences_stream_and_a_chip_keeps_its_focus(visit: Visit, scripted: Scripted) -> None:
    with served(scripted) as url:
        page = visit(url)
        box = page.get_by_label("Your question")
        box.fill("first")
        box.press("Enter")
        page.locator(".chip").wait_for()
        assert box.input_value() == ""
        assert page.get_by_role("button", name="Stop").is_visible()
        box.fill("typed meanwhile")
        page.locator(".chip").click()
        scripted.go_on.set()
        page.locator(".chip").nth(1).wait_for()
        page.get_by_role("button", name="Ask").wait_for()
        assert page.locator(".reply").inner_text().split("\n\n") == [
            "One is here. [1] Two also. [2]",
            "Written by Bard, every sentence checked",
            "It took long.",
        ]
        assert page.locator(".paper mark").evaluate("mark => mark.textContent") == "One is here."
        assert page.evaluate("document.activeElement.matches('.paper mark')")
        assert box.input_value() == "typed meanwhile"
        ask(page, "second")
        assert scripted.histories == [
            [],
            [{"role": "user", "content": "first"}, {"role": "assistant", "content": "One is here. [1] Two also. [2]"}],
        ]


def test_stop_keeps_what_was_said_and_the_next_question_works(visit: Visit, scripted: Scripted) -> None:
    with served(scripted) as url:
        page = visit(url)
        box = page.get_by_label("Your question")
        box.fill("first")
        box.press("Enter")
        page.locator(".chip").wait_for()
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Ask").wait_for()  # at once, although the LLM is still at it
        assert page.locator(".notice").inner_text() == "Stopped."
        scripted.go_on.set()
        turn = ask(page, "second")
        assert turn.locator(".chip").count() == 2
        assert page.locator(".turn").first.locator(".chip").count() == 1


@pytest.mark.parametrize(
    ("error", "notice"),
    [
        (LLMUnavailable("the model is gone; start it again"), "The model is gone; start it again."),
        (RuntimeError("secret"), "Something broke; the terminal says what."),
    ],
)
def test_a_failure_is_a_sentence_and_the_page_stays_usable(
    visit: Visit, scripted: Scripted, error: Exception, notice: str
) -> None:
    scripted.go_on.set()
    scripted.error = error
    with served(scripted) as url:
        page = visit(url)
        turn = ask(page, "first")
        assert turn.locator(".notice").inner_text() == notice
        scripted.error = None
        assert ask(page, "second").locator(".chip").count() == 2


def test_the_steps_are_told_while_one_waits(visit: Visit, scripted: Scripted) -> None:
    scripted.begin.clear()
    with served(scripted) as url:
        page = visit(url)
        enter(page, "first")
        page.get_by_role("status").get_by_text("Writing").wait_for()
        scripted.begin.set()
        page.get_by_role("status").get_by_text("Checking against the documents").wait_for()
        assert page.locator(".chip").count() == 1
        assert page.locator(".tool").count() == 0  # while it is answered, nothing is edited
        scripted.go_on.set()
        page.get_by_role("button", name="Ask", exact=True).wait_for()
        assert page.locator(".waiting").count() == 0
        marks = page.get_by_role("img", name="Checked: the words of its source support this sentence")
        assert marks.count() == 2


def test_an_edited_question_drops_what_followed_it(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    with served(scripted) as url:
        page = visit(url)
        for question in ("first", "second", "third"):
            ask(page, question)
        page.get_by_label("Edit question 2").click()
        area = page.get_by_label("The question, edited")
        assert area.input_value() == "second"
        area.press("Escape")
        assert page.evaluate("document.activeElement.matches('.edit')")
        page.get_by_label("Edit question 2").click()
        area.fill("other <b>words</b>")
        area.press("Enter")
        page.wait_for_function("document.querySelectorAll('.turn').length === 2")
        page.get_by_role("button", name="Ask", exact=True).wait_for()
        assert page.locator(".asked").all_inner_texts() == ["first", "other <b>words</b>"]
        page.get_by_label("Try question 1 again").click()
        page.wait_for_function("document.querySelectorAll('.turn').length === 1")
        page.get_by_role("button", name="Ask", exact=True).wait_for()
        assert scripted.questions == ["first", "second", "third", "other <b>words</b>", "first"]
        assert [len(history) for history in scripted.histories] == [0, 2, 4, 2, 0]


def test_an_answer_is_copied_as_markdown_with_footnotes(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    with served(scripted) as url:
        page = visit(url, permissions=["clipboard-read", "clipboard-write"])
        ask(page, "first")
        page.get_by_label("Copy answer 1").click()
        page.get_by_text("Copied").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.replace("\r", "") == as_markdown(written(FIRST, SECOND, notes=("it took long",)))


CHAT = ("#header h1", "#header p", ".asked", ".said", ".small", ".chip", ".tool", ".status", "#ask button")
CARDS = (".sources h2", ".card h3 .goto", ".card blockquote", ".card .small", ".card .back", ".card mark")
DOCUMENT = (
    ".viewer .title",
    ".viewer .where",
    ".viewer .nth",
    ".viewer .close",
    ".viewer .next",
    ".leaf",
    ".leaf mark",
)


def test_dark_and_light_text_is_readable(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    with served(scripted) as url:
        for scheme in ("light", "dark"):
            page = visit(url, color_scheme=scheme)
            ask(page, "first")
            for selector in (*CHAT, *CARDS):
                assert contrast(page, selector) >= 4.5, (scheme, selector)
            page.locator(".chip").first.click()
            page.locator(".paper mark").wait_for()
            for selector in DOCUMENT:
                assert contrast(page, selector) >= 4.5, (scheme, selector)


@pytest.mark.parametrize("width", [360, 1920])
def test_nothing_is_wider_than_the_window(visit: Visit, scripted: Scripted, width: int) -> None:
    scripted.go_on.set()
    with served(scripted) as url:
        page = visit(url, viewport={"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        ask(page, f"first {'longword' * 60}")
        page.get_by_label("Edit question 1").click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("#ask textarea").bounding_box()["width"] > 200


@pytest.mark.parametrize("model", ["none", "a-model-with-a-long-name-7b-instruct"])
def test_a_phone_shows_the_buttons_in_a_row_and_the_question_box(visit: Visit, scripted: Scripted, model: str) -> None:
    scripted.go_on.set()
    scripted.model = model
    scripted.documents = lambda: [1, 2, 3]  # type: ignore[method-assign]
    with served(scripted, ["?"]) as url:
        page = visit(url, viewport={"width": 360, "height": 740})
        names = ("New", "Conversations", "Documents", "Model")
        boxes = [page.get_by_role("button", name=name, exact=True).bounding_box() for name in names]
        assert len({box["y"] for box in boxes}) == 1
        assert in_view(page, "#ask")
        ask(page, "first")
        assert in_view(page, "#ask")


# -- while there is no index, and for users only ----------------------------------------------------------------------


def test_the_page_waits_for_its_index_and_a_question_with_it(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    opened = threading.Event()

    def slowly(report: Any) -> Any:
        report(Progress(2, 2, 9, 5))
        opened.wait(60)
        return scripted

    with Opening(slowly) as opening, served(opening) as url:
        page = visit(url)
        page.locator("#header").get_by_text("The index is being made: 2 of 5 documents read.").wait_for()
        enter(page, "first")
        page.locator(".turn .notice").get_by_text("2 of 5 documents read").wait_for()
        assert page.get_by_label("Your question").input_value() == ""
        opened.set()
        page.locator(".turn .chip").nth(1).wait_for()
        assert page.locator(".turn .notice").count() == 0
        page.locator("#header").get_by_text("No documents yet").wait_for()


def test_who_asks_before_all_of_the_page_is_there_is_answered(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    held: list[Any] = []
    go_on = threading.Event()

    def hold(route: Any) -> None:
        if go_on.is_set():
            route.continue_()
        else:
            held.append(route)

    with served(scripted) as url:
        page = visit(url, routes={"**/assets/HTML-*.js": hold})
        enter(page, "who is quick?")
        page.wait_for_timeout(300)
        assert held  # the question was there before
        go_on.set()
        for route in held:
            route.continue_()
        page.locator(".turn .asked", has_text="who is quick?").wait_for()
        page.get_by_role("button", name="Ask", exact=True).wait_for()
        assert page.get_by_label("Your question").input_value() == ""


def test_no_second_question_is_asked_while_one_is_answered(visit: Visit, scripted: Scripted) -> None:
    with served(scripted) as url:
        page = visit(url)
        box = page.get_by_label("Your question")
        box.fill("first")
        box.press("Enter")
        page.locator(".turn.running .chip").wait_for()
        box.fill("second")
        box.press("Enter")
        page.wait_for_timeout(300)
        assert box.input_value() == "second"
        page.get_by_role("button", name="Stop").focus()
        page.keyboard.press("Enter")  # there it still means the button
        page.locator(".turn .notice").get_by_text("Stopped").wait_for()
        scripted.go_on.set()
        box.focus()
        page.get_by_role("button", name="Ask", exact=True).wait_for()
        assert page.locator(".turn").count() == 1
        box.press("Enter")
        page.locator(".turn").nth(1).wait_for()
    assert scripted.questions == ["first", "second"]


def test_the_page_says_why_there_is_no_index(visit: Visit, tmp_path: Path) -> None:
    settings = Settings(documents=tmp_path / "nowhere", index_dir=tmp_path / "index", llm="none")
    with Opening(lambda report: Assistant.open(settings, report=report)) as opening, served(opening) as url:
        page = visit(url)
        page.locator("#header").get_by_text("nowhere' does not exist").wait_for()
        assert "does not exist" in ask(page, "first").locator(".notice").inner_text()


def test_a_browser_that_knows_a_name_sees_the_page(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    with served(scripted, users=Users(SecretStr("ada:horse"))) as url:
        page = visit(url, http_credentials={"username": "ada", "password": "horse"})
        assert ask(page, "first").locator(".chip").count() == 2


def test_on_a_phone_an_answer_is_read_from_its_question_on(visit: Visit, seed_assistant: Assistant) -> None:
    with served(seed_assistant) as url:
        for _ in range(3):  # that a size changes is told now before and now after a scroll
            page = visit(url, viewport={"width": 360, "height": 740})
            ask(page, WHO)
            page.wait_for_timeout(500)  # whatever changes its size late
            assert page.locator("#chat").evaluate("chat => chat.scrollHeight - chat.clientHeight") > 100
            assert in_view(page, ".turn:last-child .asked")
