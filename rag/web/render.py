"""Questions and answers → HTML. Pure functions.

What documents, people and models wrote is text: it passes through `html.escape` and nothing else reads it, so there
is no Markdown, LaTeX or link in it. The chips are made from `Sentence.citations`, never found in the text: a "[12]"
that a document says stays a "[12]".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from ..terms import around
from ..types import Answer, Citation, Message, Passage, Sentence
from . import feedback

_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_NO_SOURCES = (
    '<h2>Sources</h2><p class="small">The passages behind an answer appear here, with its words marked in them.</p>'
)


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and what became of it.

    `lines` is the line (from 1) at which the quote of each marker starts in its document; `notice` is a sentence of
    the page itself: too long, stopped, something broke.
    """

    question: str
    answer: Answer | None = None
    lines: Mapping[int, int] = field(default_factory=dict)
    notice: str = ""
    running: bool = False


def history(turns: Sequence[Turn]) -> list[Message]:
    """What was asked and answered so far, as plain text."""
    messages: list[Message] = []
    for turn in turns:
        if turn.answer:
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": turn.answer.text})
    return messages


def header(documents: int, model: str) -> str:
    """The top of the page: how much can be asked, and who answers."""
    count = "1 document" if documents == 1 else f"{documents:,} documents"
    how = "answers are quotes" if model == "none" else f"answers by {model}, every sentence checked"
    line = f"{count} · {how}" if documents else "No documents yet: add some with 'rag ingest PATH'"
    return f"<h1>Ask your documents</h1><p>{escape(line)}</p>"


def chat(turns: Sequence[Turn], examples: Sequence[str] = ()) -> str:
    """The conversation so far; before it starts, what to do and `examples` to click on."""
    if not turns:
        return _welcome(examples)
    shown = "".join(
        f'<article class="turn"><h2 class="asked" dir="auto">{escape(turn.question)}</h2>'
        f'<div class="reply">{"".join(_reply(turn, number))}</div>'
        f"{feedback.row(turn.answer) if turn.answer and not turn.running else ''}</article>"
        for number, turn in enumerate(turns, start=1)
    )
    return f'<div role="log" aria-label="Questions and answers">{shown}</div>'


def sources(turns: Sequence[Turn]) -> str:
    """The cards beside the chat: those of the last answer that has any; those of earlier ones wait hidden."""
    sections = [
        (number, _section(turn.question, turn.answer, turn.lines, number))
        for number, turn in enumerate(turns, start=1)
        if turn.answer and (turn.answer.citations or turn.answer.nearest)
    ]
    if not sections:
        return _NO_SOURCES
    last, _ = sections[-1]
    return "".join(
        f'<section class="sources" id="sources-{number}" tabindex="-1"{"" if number == last else " hidden"}>'
        f"{section}</section>"
        for number, section in sections
    )


# -- the chat ----------------------------------------------------------------------------------------------------------


def _welcome(examples: Sequence[str]) -> str:
    buttons = "".join(f'<button type="button" class="example" dir="auto">{escape(e)}</button>' for e in examples)
    return (
        '<div class="welcome"><p>Ask a question. Every sentence of the answer is backed by words that you can see '
        f'in the documents.</p><div class="examples">{buttons}</div></div>'
    )


def _reply(turn: Turn, number: int) -> Iterator[str]:
    if answer := turn.answer:
        if answer.standalone_question != answer.question:
            yield _small(f"Understood as: {answer.standalone_question}")
        yield from _refusal(answer, number) if answer.refused else _said(answer, number)
        yield from (_small(_sentence(note)) for note in answer.notes)
    elif turn.running:
        yield '<p class="waiting">Reading the documents</p>'
    if turn.notice:
        yield f'<p class="notice" dir="auto">{escape(_sentence(turn.notice))}</p>'


def _refusal(answer: Answer, number: int) -> Iterator[str]:
    yield f'<p class="said">{escape(answer.text)}</p>'
    yield _small(_sentence(answer.reason))
    if answer.nearest:
        yield f'<button type="button" class="goto see" value="sources-{number}">See the nearest passages</button>'


def _said(answer: Answer, number: int) -> Iterator[str]:
    titles = {citation.marker: citation.passage.title for citation in answer.citations}
    said = [
        f"{_emphasised(sentence.text, answer.short)} {_chips(sentence, titles, number)}"
        for sentence in answer.sentences
    ]
    if not said:  # small talk
        yield f'<p class="said" dir="auto">{escape(answer.text)}</p>'
    elif answer.mode == "quoted":  # quotes come from different places: each stands alone
        yield from (f'<p class="said quote" dir="auto">{sentence}</p>' for sentence in said)
        yield _small("Quoted from your documents")
    else:
        yield f'<p class="said" dir="auto">{" ".join(said)}</p>'
        yield _small(f"Written by {answer.model}, every sentence checked")


def _emphasised(text: str, short: str | None) -> str:
    """The sentence, with the words that answer by themselves in bold."""
    before, words, after = around(text, short)
    return f'{escape(before)}<span class="short">{escape(words)}</span>{escape(after)}' if words else escape(text)


def _chips(sentence: Sentence, titles: Mapping[int, str], number: int) -> str:
    return "".join(
        f'<button type="button" class="goto chip" value="{_card_id(number, marker)}" '
        f'aria-label="Source {marker}: {escape(titles.get(marker, ""))}">[{marker}]</button>'
        for marker in sentence.citations
    )


def _small(line: str) -> str:
    return f'<p class="small" dir="auto">{escape(line)}</p>' if line else ""


def _sentence(line: str) -> str:
    """`line` with a capital and a full stop."""
    return line[:1].upper() + line[1:] + ("" if line.endswith((".", "!", "?")) else ".") if line else ""


# -- the sources -------------------------------------------------------------------------------------------------------


def _section(question: str, answer: Answer, lines: Mapping[int, int], number: int) -> str:
    if answer.refused:
        cards = [_card(passage, None, _words(passage.text)) for passage in answer.nearest]
    else:
        cards = [_cited(citation, lines.get(citation.marker), number) for citation in answer.citations]
    heading = "Nearest passages" if answer.refused else "Sources"
    return f'<h2>{heading}</h2><p class="small" dir="auto">{escape(question)}</p>{"".join(cards)}'


def _cited(citation: Citation, line: int | None, number: int) -> str:
    card = _card_id(number, citation.marker)
    back = (
        f'<button type="button" class="back" value="{card}" aria-label="Back to the answer" '
        f'title="Back to the answer">[{citation.marker}]</button>'
    )
    return _card(citation.passage, line, marked(citation), attributes=f' id="{card}" tabindex="-1"', marker=back)


def _card(passage: Passage, line: int | None, words: str, *, attributes: str = "", marker: str = "") -> str:
    return (
        f'<article class="card"{attributes}><header>{marker}<div><h3 dir="auto">{escape(passage.title)}</h3>'
        f'<p class="small" dir="auto">{escape(where(passage, line))}</p></div></header>'
        f'<blockquote dir="auto">{words}</blockquote></article>'
    )


def _card_id(number: int, marker: int) -> str:
    return f"source-{number}-{marker}"


def marked(citation: Citation) -> str:
    """The passage with the quote marked at its exact place. No mark rather than a wrong one."""
    words = citation.passage.text
    start, end = citation.start - citation.passage.start, citation.end - citation.passage.start
    if start < 0 or words[start:end] != citation.quote:
        return _words(words)
    return f"{_words(words[:start])}<mark>{_words(words[start:end])}</mark>{_words(words[end:])}"


def _words(words: str) -> str:
    """A document's text, character for character; blank lines are wrapped, so that many can look like one."""
    return _BLANK_LINES.sub(r'<span class="gap">\g<0></span>', escape(words))


def where(passage: Passage, line: int | None) -> str:
    """Where a quote stands, as a reader would look it up: source, page or line, heading."""
    place = f"page {passage.page}" if passage.page else f"line {line:,}" if line else ""
    return " · ".join(part for part in (passage.source, place, passage.heading) if part)
