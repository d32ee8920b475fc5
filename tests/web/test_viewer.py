"""The whole document beside the chat: exactly its text, marked where the quote stands, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from chromium import HOSTILE, Page, Visit, ask, in_view, served
from doubles import Double
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import DocumentsNotFound, RagError
from rag.types import Answer, Citation, Document, Passage, Sentence
from rag.web import Opening
from rag.web.viewer import Blocks, Reader

# Some characters count twice in a browser; others turn the line around.
LINES = [
    f"Line {n}: the 𝔥arbour council met 🚢 at the quay, as “paper” {n} says.\n" + ("\n\n" if n % 9 == 0 else "")
    for n in range(9000)
]
LINES[4000] = "اجتمع مجلس الميناء في الشتاء، كما يقول التقرير.\n"
LINES[7000] = "The lighthouse 🗼 of Kereva was painted green in 1907.\n"
LINES[8000:8010] = [f"{words}\n" for words in HOSTILE]
TEXT = "".join(LINES)
PAGES = tuple(len("".join(LINES[:n])) for n in range(0, 9000, 18))
BOOK = Document("root", "book.pdf", "The book of harbours", "application/pdf", "", TEXT, PAGES, id=7)


def passage(number: int, line: int, page: int | None = None) -> Passage:
    """Line `line` of the book, and one before and after."""
    start = len("".join(LINES[: line - 1]))
    text = "".join(LINES[line - 1 : line + 2])
    return Passage(number, BOOK.id, BOOK.source, BOOK.title, start, start + len(text), text, page or line // 18 + 1)


def citation(marker: int, line: int) -> Citation:
    quote = LINES[line].strip()
    start = len("".join(LINES[:line]))
    return Citation(marker, passage(marker, line), start, start + len(quote), quote)


CITATIONS = (citation(1, 7000), citation(2, 4000), citation(3, 8001))
ANSWER = Answer(
    "q",
    "q",
    "As quoted.",
    "quoted",
    sentences=tuple(Sentence(c.quote, (c.marker,), 1.0, "quoted") for c in CITATIONS),
    citations=CITATIONS,
    passages=(*(c.passage for c in CITATIONS), passage(8, 100), passage(9, 8990)),
)
REFUSED = Answer("q", "q", "Not found.", "refused", refused=True, reason="too far", nearest=(passage(8, 100),))


class Library(Double):
    """One book that can be replaced or taken away."""

    model = "none"

    def __init__(self) -> None:
        self.book: Document | RagError = BOOK
        self.read = 0

    def stamp(self) -> str:
        return str(id(self.book))

    def documents(self) -> list[Document]:
        return [BOOK]

    def document(self, document_id: int) -> Document:
        self.read += 1
        if isinstance(self.book, RagError):
            raise self.book
        return self.book

    def stream(self, question: str, **options: Any) -> Iterator[Answer]:
        yield REFUSED if question == "refuse" else ANSWER


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def opened(library: Library, visit: Visit) -> Iterator[Page]:
    """A page on which a question has been asked."""
    with served(library) as url:
        page = visit(url, viewport={"width": 1280, "height": 800})
        ask(page, "q")
        yield page


def text_of(page: Page, selector: str) -> str:
    return str(page.locator(selector).evaluate("node => node.textContent"))


def wait_for_words(page: Page, selector: str, words: str) -> None:
    page.wait_for_function("([s, w]) => document.querySelector(s)?.textContent === w", arg=[selector, words])


def wait_for_all(page: Page) -> None:
    page.wait_for_function("!document.querySelector('.leaf.empty')")


def test_a_long_document_opens_at_the_sentence_and_then_is_there_whole(opened: Page) -> None:
    opened.locator(".chip").first.click()
    opened.locator(".paper mark").wait_for()
    assert text_of(opened, ".paper mark") == CITATIONS[0].quote
    assert in_view(opened, ".paper mark")
    assert opened.locator(".viewer .where").inner_text() == "book.pdf · page 389"
    wait_for_all(opened)
    assert text_of(opened, ".paper") == TEXT
    assert in_view(opened, ".paper mark")
    assert opened.locator(".leaf[data-page]").count() == len(PAGES)


def test_next_and_previous_lead_through_the_citations_of_the_answer(opened: Page) -> None:
    opened.locator(".chip").first.click()
    following, previous = opened.get_by_label("Next citation"), opened.get_by_label("Previous citation")
    for number, found in enumerate(CITATIONS, start=1):
        opened.get_by_text(f"Citation {number} of 3").wait_for()
        opened.wait_for_function(
            "words => document.querySelector('.paper mark')?.textContent === words", arg=found.quote
        )
        assert opened.locator(".paper mark").count() == 1
        assert in_view(opened, ".paper mark")
        assert previous.is_disabled() == (number == 1)
        assert following.is_disabled() == (number == 3)
        if number < 3:
            following.click()
    previous.click()
    opened.get_by_text("Citation 2 of 3").wait_for()


def test_right_to_left_lines_begin_at_the_right(opened: Page) -> None:
    opened.locator(".chip").nth(1).click()
    opened.locator(".paper mark").wait_for()
    mark, paper = (opened.locator(selector).bounding_box() for selector in (".paper mark", ".paper"))
    assert paper["x"] + paper["width"] - (mark["x"] + mark["width"]) < 60 < mark["x"] - paper["x"]


def test_other_passages_are_folded_and_open_without_a_mark(opened: Page) -> None:
    opened.locator(".chip").first.click()
    others = opened.locator(".viewer .others")
    assert not others.get_by_role("button").first.is_visible()
    others.get_by_text("2 other passages read for this answer").click()
    others.get_by_role("button").nth(1).click()
    opened.get_by_text("Passage, not cited").wait_for()
    opened.wait_for_function(
        "words => document.querySelector('.paper .found').textContent === words", arg=passage(9, 8990).text
    )
    assert opened.locator(".paper mark").count() == 0
    assert in_view(opened, ".paper .found")


@pytest.mark.parametrize(
    ("book", "notice"),
    [
        (replace(BOOK, text=TEXT.replace("1907", "1909")), "This document was changed after the answer was given."),
        (replace(BOOK, text=f"Shifted. {TEXT}", pages=()), "This document was changed after the answer was given."),
        (replace(BOOK, text=""), "This document was changed after the answer was given."),
        (DocumentsNotFound("no such document"), "This document was removed after the answer was given."),
        (RagError("The index is damaged; rebuild it."), "The index is damaged; rebuild it."),
    ],
)
def test_what_is_no_longer_there_is_not_marked(
    opened: Page, library: Library, book: Document | RagError, notice: str
) -> None:
    library.book = book
    opened.locator(".chip").first.click()
    opened.get_by_text(notice).wait_for()
    assert text_of(opened, ".paper") == CITATIONS[0].passage.text
    assert opened.locator(".paper :is(mark, .found)").count() == 0


def test_a_document_replaced_while_it_is_open_loses_its_mark_at_the_next_click(opened: Page, library: Library) -> None:
    opened.locator(".chip").first.click()
    wait_for_all(opened)
    library.book = replace(BOOK, text=f"A preface.\n{TEXT}", pages=())
    opened.get_by_label("Next citation").click()
    opened.get_by_text("This document was changed").wait_for()
    assert opened.locator(".paper :is(mark, .found)").count() == 0


def test_a_changed_document_that_still_says_the_words_there_shows_its_new_text(opened: Page, library: Library) -> None:
    opened.locator(".chip").first.click()
    wait_for_all(opened)
    library.book = replace(BOOK, text=f"{TEXT}An epilogue.")
    opened.get_by_label("Next citation").click()
    opened.wait_for_function(
        "words => document.querySelector('.paper mark')?.textContent === words", arg=CITATIONS[1].quote
    )
    wait_for_all(opened)
    assert text_of(opened, ".paper").endswith("An epilogue.")


def test_the_nearest_passages_of_a_refusal_open_without_a_mark(opened: Page) -> None:
    turn = ask(opened, "refuse")
    turn.get_by_role("button", name="See the nearest passages").click()
    opened.locator("#sources-2").get_by_role("button", name=BOOK.title).click()
    opened.locator(".paper .found").wait_for()
    assert text_of(opened, ".paper .found") == passage(8, 100).text
    assert opened.locator(".paper mark").count() == 0
    assert opened.locator(".viewer .nav").is_hidden()


@pytest.mark.parametrize("leave", ["Back", "Escape"])
def test_on_a_phone_the_document_lies_over_the_chat_and_there_is_a_way_back(
    library: Library, visit: Visit, leave: str
) -> None:
    with served(library) as url:
        page = visit(url, viewport={"width": 360, "height": 700})
        ask(page, "q").locator(".chip").nth(1).click()
        page.locator(".paper mark").wait_for()
        assert in_view(page, ".paper mark")
        assert page.locator(".viewer").bounding_box()["width"] > 320
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.keyboard.press("Escape") if leave == "Escape" else page.get_by_role(
            "button", name="Back", exact=True
        ).click()
        assert page.locator(".viewer").is_hidden()
        assert page.evaluate("document.activeElement.value") == "source-1-2"


# -- without a browser -------------------------------------------------------------------------------------------------


@given(st.text(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_blocks_are_the_text_and_pages_begin_one(text: str, pages: list[int]) -> None:
    document = replace(BOOK, text=text, pages=tuple(sorted(min(page, len(text)) for page in pages)))
    blocks = Blocks.of(document)
    assert "".join(blocks.texts(0, len(blocks))) == text
    assert {page for page in document.pages if page < len(text)} <= set(blocks.starts)
    for offset in range(len(text)):
        assert blocks.starts[blocks.at(offset)] <= offset < blocks.starts[blocks.at(offset) + 1]


def test_a_block_ends_with_a_line_where_it_can() -> None:
    assert all(text.endswith("\n") for text in Blocks.of(replace(BOOK, pages=())).texts(0, 10**6))
    endless = Blocks.of(replace(BOOK, text="x" * 10_000, pages=()))
    assert [len(text) for text in endless.texts(0, 10)] == [4000, 4000, 2000]


@pytest.fixture
def reader(library: Library) -> Reader:
    return Reader(Opening.of(library))  # type: ignore[arg-type]


def test_only_words_that_stand_there_open(reader: Reader) -> None:
    asked = {"document": "7", "start": "0", "end": "6", "words": "Line 0"}
    found = reader.open_at(asked)
    assert (found["state"], found["first"], found["line"]) == ("here", 0, 1)
    assert found["pages"]["0"] == 1
    for wrong in ({"words": "Line 1"}, {"start": "-1"}, {"end": "0"}, {"start": "1"}, {"end": str(10**9)}):
        assert reader.open_at({**asked, **wrong}) == {"state": "changed"}


OPENED = {"document": 7, "start": 0, "end": 4, "words": "Line"}


def test_another_version_gives_no_more_text(reader: Reader, library: Library) -> None:
    asked = {"document": 7, "version": reader.open_at(OPENED)["version"], "first": 3}
    assert reader.read_on(asked)["texts"][0] == Blocks.of(BOOK).texts(3, 4)[0]
    library.book = replace(BOOK, text=TEXT + ".")
    assert reader.read_on(asked) == {"texts": []}


def test_a_document_is_read_once_for_all_its_parts(reader: Reader, library: Library) -> None:
    version = reader.open_at(OPENED)["version"]
    parts = [reader.read_on({"document": 7, "version": version, "first": first})["texts"] for first in (0, 100, 200)]
    assert TEXT.startswith("".join(text for part in parts for text in part))
    assert library.read == 1
    library.book = replace(BOOK)
    assert reader.read_on({"document": 7, "version": version, "first": 0})["texts"] == parts[0]
    assert library.read == 2


def test_what_cannot_be_read_is_asked_for_again(reader: Reader, library: Library) -> None:
    library.book = RagError("The disk is away; attach it.")
    assert reader.open_at(OPENED) == {"state": "broken", "reason": "The disk is away; attach it."}
    library.book = DocumentsNotFound("no such document")
    assert reader.open_at(OPENED) == {"state": "gone"}
    library.book = BOOK
    assert reader.open_at(OPENED)["state"] == "here"
