"""Markdown with footnotes: quotes to the character, and nothing in them is markup."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from chromium import HOSTILE
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rag.types import Answer, Citation, Passage, Sentence
from rag.web.markdown import as_markdown, text

PASSAGE = Passage(1, 1, "plan.pdf", "The plan", 100, 130, "One costs *5 €*.\n\nTwo also.", 3, "Costs")
CITATIONS = (
    Citation(1, PASSAGE, 100, 116, "One costs *5 €*."),
    Citation(2, PASSAGE, 100, 127, "One costs *5 €*.\n\nTwo also."),
)
SENTENCES = (Sentence("One costs 5 €.", (1,), 0.9, "verified"), Sentence("So does two.", (1, 2), 0.9, "verified"))
ANSWER = Answer("q", "q", "…", "written", sentences=SENTENCES, citations=CITATIONS)


def test_an_answer_has_a_footnote_for_each_quote() -> None:
    assert as_markdown(ANSWER) == (
        "One costs 5 €.[^1] So does two.[^1][^2]\n"
        "\n"
        "[^1]: The plan — plan\\.pdf, page 3, Costs, characters 100–116\n"
        "\n"
        "    > One costs \\*5 €\\*.\n"
        "\n"
        "[^2]: The plan — plan\\.pdf, page 3, Costs, characters 100–127\n"
        "\n"
        "    > One costs \\*5 €\\*.\n"
        "    > \n"
        "    > Two also.\n"
    )


def test_quotes_stand_alone_and_a_refusal_names_the_nearest() -> None:
    assert as_markdown(replace(ANSWER, mode="quoted")).startswith("One costs 5 €.[^1]\n\nSo does two.[^1][^2]\n\n")
    refused = Answer("q", "q", "I did not find it.", "refused", refused=True, nearest=(PASSAGE,))
    assert as_markdown(refused).endswith("Nearest passages:\n\n- The plan — plan\\.pdf, page 3, Costs\n")
    assert as_markdown(Answer("hi", "hi", "Hello.", "smalltalk")) == "Hello.\n"


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_are_text(words: str) -> None:
    shown = MarkdownIt("gfm-like", {"linkify": False}).render(text(words))
    assert not re.search(r"<(?!/?p>)", shown)


@given(st.text("ab1 \\`*_{}[]<>#|~!&$^@:./-+=()\"'"))
def test_what_is_escaped_is_shown_as_it_was(words: str) -> None:
    (paragraph,) = MarkdownIt().parseInline(text(words))
    assert "".join(child.content for child in paragraph.children or []) == words


def test_many_empty_lines_take_no_endless_time() -> None:
    assert text("\n" * 100_000 + "- x") == "\n" * 100_000 + "\\- x"  # the square of the lines: hours
