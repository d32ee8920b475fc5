"""HTML of answers: everything is escaped, marks stand at exact offsets, chips come from citations only."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.types import Answer, Citation, Passage, Sentence
from rag.web.render import chat, header
from rag.web.sources import marked, sources, where
from rag.web.turns import Turn, history

TEXT = "Before it. The head is Al-Saadi [12].\n\n\n\nAfter <it>."
QUOTE = "The head is Al-Saadi [12]."
PASSAGE = Passage(7, 3, "a.txt", "A title", 100, 100 + len(TEXT), TEXT)
CITATION = Citation(1, PASSAGE, 100 + TEXT.index(QUOTE), 100 + TEXT.index(QUOTE) + len(QUOTE), QUOTE)
QUOTED = Answer(
    question="Who?",
    standalone_question="Who?",
    text="“The head is Al-Saadi (12).” [1]",
    mode="quoted",
    sentences=(Sentence("“The head is Al-Saadi (12).”", (1,), 1.0, "quoted"),),
    citations=(CITATION,),
    model="none",
)
REFUSED = Answer(
    "Who?", "Who?", "I did not find it.", "refused", refused=True, reason="too far away", nearest=(PASSAGE,)
)
HOSTILE = "<img src=x onerror=alert(1)>\"'&`${alert(1)}{{x}}</p></div><script>"


class Page(HTMLParser):
    """The tags, the text, and the text inside <mark> of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = self.mark = ""
        self._in_mark = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_mark |= tag == "mark"

    def handle_endtag(self, tag: str) -> None:
        self._in_mark &= tag != "mark"

    def handle_data(self, data: str) -> None:
        self.text += data
        self.mark += data if self._in_mark else ""

    def all(self, kind: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.tags if kind in (attributes.get("class") or "").split()]


def test_the_mark_is_the_quote_and_the_passage_stays_whole() -> None:
    page = Page(marked(CITATION))
    assert page.mark == QUOTE
    assert page.text == TEXT


@given(st.text(), st.text(min_size=1), st.text())
def test_any_text_is_marked_at_its_offsets(before: str, quote: str, after: str) -> None:
    # Whatever cannot be parsed back is not told apart by HTML; documents hold neither.
    before, quote, after = (part.replace("\0", "").replace("\r", "") for part in (before, quote or "q", after))
    words = before + quote + after
    passage = replace(PASSAGE, start=50, end=50 + len(words), text=words)
    citation = Citation(1, passage, 50 + len(before), 50 + len(before) + len(quote), quote)
    page = Page(marked(citation))
    assert page.text == words
    assert page.mark == quote
    assert {tag for tag, _ in page.tags} <= {"mark", "span"}


@pytest.mark.parametrize("shift", [-200, -1, 1, 5000])
def test_a_quote_that_is_not_there_is_not_marked(shift: int) -> None:
    page = Page(marked(replace(CITATION, start=CITATION.start + shift, end=CITATION.end + shift)))
    assert page.tags == [("span", {"class": "gap"})]
    assert page.text == TEXT


def test_a_chip_and_its_card_belong_together() -> None:
    turns = (Turn("Who?", QUOTED), Turn("Again?", QUOTED))
    chips = Page(chat(turns)).all("chip")
    cards = Page(sources(turns)).all("card")
    assert [chip["value"] for chip in chips] == ["source-1-1", "source-2-1"] == [card["id"] for card in cards]
    assert chips[0]["aria-label"] == "Source 1: A title"


def test_only_citations_make_chips() -> None:
    sentence = replace(QUOTED.sentences[0], text="It says [12] and [1].")
    page = Page(chat((Turn("What is [3]?", replace(QUOTED, sentences=(sentence,))),)))
    assert len(page.all("chip")) == 1
    assert "It says [12] and [1]. [1]" in page.text


def test_an_earlier_answers_sources_wait_hidden() -> None:
    sections = Page(sources((Turn("Who?", QUOTED), Turn("And?", REFUSED), Turn("thanks", _smalltalk())))).all("sources")
    assert [(section["id"], "hidden" in section) for section in sections] == [("sources-1", True), ("sources-2", False)]


def test_quoted_and_written_answers_are_told_apart() -> None:
    written = replace(QUOTED, mode="written", model="SmolLM2")
    assert "Quoted from your documents" in Page(chat((Turn("Who?", QUOTED),))).text
    assert "Written by SmolLM2, every sentence checked" in Page(chat((Turn("Who?", written),))).text


def test_a_refusal_says_so_and_shows_the_nearest_passages_unmarked() -> None:
    page = Page(chat((Turn("Who?", REFUSED),)))
    assert "I did not find it.Too far away." in page.text
    assert page.all("see")[0]["value"] == "sources-1"
    panel = Page(sources((Turn("Who?", REFUSED),)))
    assert panel.text.startswith("Nearest passages")
    assert TEXT in panel.text
    assert "mark" not in dict(panel.tags)


def test_small_talk_is_plain() -> None:
    page = Page(chat((Turn("hello", _smalltalk()),)))
    assert page.text == "helloEditHello. Ask me.CopyTry again"
    assert sources((Turn("hello", _smalltalk()),)) == sources(())


def test_the_standalone_question_and_notes_are_shown() -> None:
    answer = replace(QUOTED, question="Why him?", standalone_question="Who? Why him?", notes=("no model; pull one",))
    shown = Page(chat((Turn("Why him?", answer),))).text
    assert "Understood as: Who? Why him?" in shown
    assert "No model; pull one." in shown


def test_a_running_turn_waits_and_a_notice_is_a_sentence() -> None:
    assert Page(chat((Turn("Who?", running=True),))).all("waiting")
    assert Page(chat((Turn("Who?", notice="stopped"),))).text == "Who?EditStopped.Try again"


def test_the_welcome_offers_examples() -> None:
    assert len(Page(chat((), ["Who?", "Why <b>?"])).all("example")) == 2
    assert "Why <b>?" in Page(chat((), ["Why <b>?"])).text
    assert not Page(chat(())).all("example")


def test_where_names_page_or_line() -> None:
    assert where(PASSAGE, 1200) == "a.txt · line 1,200"
    assert where(replace(PASSAGE, page=3, heading="Costs"), 12) == "a.txt · page 3 · Costs"
    assert where(PASSAGE, None) == "a.txt"


def test_the_header_counts_and_names_who_answers() -> None:
    assert Page(header(1, "none")).text == "Ask your documents1 document · answers are quotes"
    assert "1,200 documents · answers by <b>" in Page(header(1200, "<b>")).text
    assert "rag ingest" in header(0, "none")


def test_history_is_plain_text_of_what_was_answered() -> None:
    turns = (Turn("Who?", QUOTED), Turn("too long", notice="too long"))
    assert history(turns) == [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": QUOTED.text}]


def test_nothing_that_others_wrote_becomes_html() -> None:
    passage = replace(PASSAGE, source=HOSTILE, title=HOSTILE, heading=HOSTILE, text=HOSTILE, end=100 + len(HOSTILE))
    citation = Citation(1, passage, 100, 100 + len(HOSTILE), HOSTILE)
    answer = Answer(
        question="q",
        standalone_question=HOSTILE,
        text=HOSTILE,
        mode="written",
        sentences=(Sentence(HOSTILE, (1,), 1.0, "verified"),),
        citations=(citation,),
        model=HOSTILE,
        notes=(HOSTILE,),
    )
    refused = replace(REFUSED, text=HOSTILE, reason=HOSTILE, nearest=(passage,))
    turns = (Turn(HOSTILE, answer, {1: 1}, notice=HOSTILE), Turn(HOSTILE, refused))
    ours = {"div", "article", "input", "h2", "h3", "p", "button", "section", "header", "blockquote", "mark", "span"}
    for html in (chat(turns), sources(turns), chat((), [HOSTILE]), header(1, HOSTILE)):
        page = Page(html)
        assert {tag for tag, _ in page.tags} <= ours | {"h1"}
        assert not any(name.startswith("on") or name == "src" for _, attributes in page.tags for name in attributes)
        assert HOSTILE in page.text


def _smalltalk() -> Answer:
    return Answer("hello", "hello", "Hello. Ask me.", "smalltalk", model="none")
