"""The page in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag.assistant import Assistant
from rag.errors import LLMUnavailable
from rag.settings import Settings
from rag.types import Answer, Citation, Passage, Sentence
from rag.web import build, example_questions, launch

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")

WHO = "Who is the head of the Counter-Terrorism Service?"
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<svg onload=alert(1)><a href='javascript:alert(1)'>x</a></svg>",
    "![pixel](http://example.com/pixel.png)",
    "[click](javascript:alert(1)) <http://example.com> [ref]: http://example.com",
    "</p></article></div><iframe src=http://example.com></iframe>",
    "`${alert(1)}` {{constructor.constructor('alert(1)')()}} $$\\href{http://example.com}{x}$$",
    '" onmouseover="alert(1)" x="',
    "&lt;b&gt; &amp;",
    "\u202egnirts\u202c **bold** _it_ # no heading",
)

Page = Any  # playwright's, which may not be installed
Visit = Callable[..., Page]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(assistant: Any, examples: tuple[str, ...] | list[str] = ()) -> Iterator[str]:
    page = build(assistant, examples)
    try:
        yield launch(page, port=free_port())
    finally:
        page.close(verbose=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    """Opens pages; at the end, none may have reached another origin, logged an error or shown a dialog."""
    faults: list[str] = []
    contexts = []

    def open_page(url: str, **options: Any) -> Page:
        context = browser.new_context(reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda r: r.url.startswith((url, "data:", "blob:")) or faults.append(f"asked for {r.url}"))
        page.on("response", lambda r: r.status < 400 or faults.append(f"{r.status} for {r.url}"))
        page.on("console", lambda m: m.type in ("error", "warning") and faults.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(url)
        page.get_by_label("Your question").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="module")
def seeds_url(seed_assistant: Assistant, seeds: Path) -> Iterator[str]:
    with served(seed_assistant, example_questions(seeds)) as url:
        yield url


def ask(page: Page, question: str) -> Page:
    """Ask, wait for the end of the answer, and return its turn."""
    turns = page.locator(".turn").count()
    box = page.get_by_label("Your question")
    box.fill(question)
    box.press("Enter")
    turn = page.locator(".turn").nth(turns)
    turn.wait_for()
    page.get_by_role("button", name="Ask").wait_for()
    return turn


def in_view(page: Page, selector: str) -> bool:
    """Whether the first such element is wholly inside the window and inside what scrolls around it."""
    return bool(
        page.evaluate(
            """selector => {
                const node = document.querySelector(selector);
                const inside = (a, b) => a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
                const box = node.getBoundingClientRect();
                for (let up = node.parentElement; up; up = up.parentElement) {
                    if (up.scrollHeight > up.clientHeight && getComputedStyle(up).overflowY !== "visible"
                        && !inside(box, up.getBoundingClientRect())) return false;
                }
                return inside(box, {top: 0, bottom: innerHeight});
            }""",
            selector,
        )
    )


# -- the real chain over the seeds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1280, 390, 360])
def test_a_chip_opens_its_card_with_the_exact_quote_marked(
    visit: Visit, seeds_url: str, seed_assistant: Assistant, width: int
) -> None:
    citation = seed_assistant.ask(WHO).citations[0]
    page = visit(seeds_url, viewport={"width": width, "height": 800})
    turn = ask(page, WHO)
    assert "Quoted from your documents" in turn.inner_text()
    turn.locator(".chip").first.click()
    card = page.locator(".card.open")
    assert card.count() == 1
    assert card.locator("mark").evaluate("mark => mark.textContent") == citation.quote
    assert card.locator("blockquote").evaluate("quote => quote.textContent") == citation.passage.text
    text = seed_assistant.document(citation.passage.document_id).text
    line = text[: citation.start].count("\n") + 1
    assert card.locator("header").inner_text().endswith(f"{citation.passage.source} · line {line}")
    assert in_view(page, ".card.open mark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    card.get_by_label("Back to the answer").click()
    assert in_view(page, ".chip")
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
    assert page.locator("#source-1-1.open").is_visible()
    assert page.locator("#sources-2").is_hidden()
    ask(page, "thanks")
    assert page.locator("#source-1-1.open").is_visible()  # small talk takes nothing away


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
    assert page.evaluate("document.activeElement.id") == "source-1-1"


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
            assert page.locator(".card.open h3").inner_text() == "Treasures of <b>Bold</b> Island"
            assert name in page.locator(".card.open header").inner_text()
        shown = page.locator("#sources").evaluate("node => node.textContent")
        assert all(words in shown for words in HOSTILE)
        foreign = "#desk :is(img, script, iframe, svg, a, b, em, strong, code, .katex):not(button *)"
        assert page.locator(foreign).count() == 0


# -- a scripted assistant ----------------------------------------------------------------------------------------------

PASSAGE = Passage(1, 1, "a.txt", "Title", 0, 22, "One is here. Two also.")
FIRST = Sentence("One is here.", (1,), 0.9, "verified")
SECOND = Sentence("Two also.", (2,), 0.9, "verified")
CITATIONS = (Citation(1, PASSAGE, 0, 12, "One is here."), Citation(2, PASSAGE, 13, 22, "Two also."))


def written(*sentences: Sentence, **fields: Any) -> Answer:
    text = " ".join(f"{sentence.text} [{sentence.citations[0]}]" for sentence in sentences)
    citations = CITATIONS[: len(sentences)]
    return Answer("q", "q", text, "written", sentences=sentences, citations=citations, model="Bard", **fields)


class Scripted:
    """Stands where the Assistant stands: gives the first sentence, waits to be told, gives the second."""

    model = "Bard"

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.histories: list[Any] = []
        self.error: Exception | None = None

    def documents(self) -> list[Any]:
        return []

    def document(self, document_id: int) -> Any:
        raise LLMUnavailable("gone")

    def stream(self, question: str, *, history: Any, documents: Any = ()) -> Iterator[Answer]:
        self.histories.append(history)
        return self._stream()

    def _stream(self) -> Iterator[Answer]:
        yield written(FIRST)
        self.go_on.wait(60)
        if self.error:
            raise self.error
        yield written(FIRST, SECOND, notes=("it took long",))


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
        assert page.locator("#source-1-1.open").is_visible()
        assert page.evaluate("document.activeElement.id") == "source-1-1"
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


def test_dark_and_light_text_is_readable(visit: Visit, scripted: Scripted) -> None:
    scripted.go_on.set()
    with served(scripted) as url:
        for scheme in ("light", "dark"):
            page = visit(url, color_scheme=scheme)
            ask(page, "first")
            for selector in (".asked", ".said", ".small", ".chip", ".card blockquote", ".card .small", ".card mark"):
                assert contrast(page, selector) >= 4.5, (scheme, selector)
            assert contrast(page, "#ask button") >= 4.5, scheme


def contrast(page: Page, selector: str) -> float:
    """The contrast ratio of the first such element by WCAG 2: (lighter + .05) / (darker + .05)."""
    colours = page.locator(selector).first.evaluate(
        """node => {
            const rgb = colour => colour.match(/[0-9.]+/g).map(Number);
            const background = of => rgb(getComputedStyle(of).backgroundColor);
            let behind = node;
            while (behind.parentElement && background(behind)[3] === 0) behind = behind.parentElement;
            return [rgb(getComputedStyle(node).color), background(behind)];
        }"""
    )
    darker, lighter = sorted(_luminance(colour) for colour in colours)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: list[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour[:3])]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# -- without a browser -------------------------------------------------------------------------------------------------


def test_example_questions_are_the_lines_of_a_file(tmp_path: Path) -> None:
    assert example_questions(tmp_path) == []
    assert example_questions(tmp_path / "one.jsonl") == []
    (tmp_path / ".examples").write_text("# for the page\nWho?\n\n  Why?  \n", encoding="utf-8")
    assert example_questions(tmp_path) == ["Who?", "Why?"]
