"""Questions and answers → HTML. Pure functions.

What documents, people and models wrote is text: it passes through `html.escape` and nothing else reads it, so there
is no Markdown, LaTeX or link in it. The chips are made from `Sentence.citations`, never found in the text: a "[12]"
that a document says stays a "[12]".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from ..terms import around
from ..types import Answer, Sentence, Step
from . import feedback
from .markdown import as_markdown
from .turns import Turn

_STEPS: Mapping[Step, str] = {
    "searching": "Searching the documents",
    "reading": "Reading what was found",
    "writing": "Writing",
    "checking": "Checking against the documents",
}
_STATUS = {
    "verified": "Checked: the words of its source support this sentence",
    "quoted": "Quoted: these are the words of its source",
}


def header(documents: int, model: str) -> str:
    """The top of the page: how much can be asked, and who answers."""
    count = "1 document" if documents == 1 else f"{documents:,} documents"
    how = "answers are quotes" if model == "none" else f"answers by {model}, every sentence checked"
    none = "No documents yet: add some with the button Documents, or 'rag ingest PATH'"
    line = f"{count} · {how}" if documents else none
    return f"<h1>Ask your documents</h1><p>{escape(line)}</p>"


def opening(line: str) -> str:
    """The top of the page while there is no index to ask: how far it is, or why there is none."""
    return f'<h1>Ask your documents</h1><p class="notice" role="status" dir="auto">{escape(_sentence(line))}</p>'


def chat(turns: Sequence[Turn], examples: Sequence[str] = (), showing: str = "") -> str:
    """The conversation so far; before it starts, what to do and `examples` to click on.

    `showing` is the browser's name for it, by which it sees what is drawn.
    """
    drawn = f'data-showing="{escape(showing)}" data-turns="{len(turns)}"'
    if not turns:
        return _welcome(examples, drawn)
    busy = any(turn.running for turn in turns)
    shown = "".join(_turn(turn, number, busy) for number, turn in enumerate(turns, start=1))
    return f'<div role="log" aria-label="Questions and answers" {drawn}>{shown}</div>'


# -- the chat ----------------------------------------------------------------------------------------------------------


def _welcome(examples: Sequence[str], drawn: str) -> str:
    buttons = "".join(f'<button type="button" class="example" dir="auto">{escape(e)}</button>' for e in examples)
    return (
        f'<div class="welcome" {drawn}><p>Ask a question. Every sentence of the answer is backed by words that you '
        f'can see in the documents.</p><div class="examples">{buttons}</div></div>'
    )


def _turn(turn: Turn, number: int, busy: bool) -> str:
    """A question with what can be done with it (while no other is being answered), and its answer."""
    edit = "" if busy else _tool("edit", "Edit", f"Edit question {number}", str(number))
    state = "turn running" if turn.running else "turn"
    reply = "".join(_reply(turn, number))
    tools = "" if busy else "".join(_tools(turn, number))
    judge = feedback.row(turn.answer) if turn.answer and not turn.running else ""
    return (
        f'<article class="{state}">'
        f'<div class="ask"><h2 class="asked" dir="auto">{escape(turn.question)}</h2>{edit}</div>'
        f'<div class="reply">{reply}</div><div class="tools">{tools}{judge}</div></article>'
    )


def _tools(turn: Turn, number: int) -> Iterator[str]:
    if turn.answer:
        yield _tool("copy", "Copy", f"Copy answer {number} as Markdown with footnotes", as_markdown(turn.answer))
    yield _tool("retry", "Try again", f"Try question {number} again", str(number))


def _tool(kind: str, name: str, label: str, value: str) -> str:
    return (
        f'<button type="button" class="tool {kind}" title="{escape(label)}" aria-label="{escape(label)}" '
        f'value="{escape(value)}">{name}</button>'
    )


def _reply(turn: Turn, number: int) -> Iterator[str]:
    if answer := turn.answer:
        if answer.standalone_question != answer.question:
            yield _small(f"Understood as: {answer.standalone_question}")
        yield from _refusal(answer, number) if answer.refused else _said(answer, number)
        yield from (_small(_sentence(note)) for note in answer.notes)
    if turn.outdated:
        yield _small(_outdated(turn.outdated))
    if turn.running:
        yield f'<p class="waiting" role="status">{_STEPS[turn.step]}</p>'
    if turn.notice:
        yield f'<p class="notice" dir="auto">{escape(_sentence(turn.notice))}</p>'


def _outdated(markers: Sequence[int]) -> str:
    named = ", ".join(f"[{marker}]" for marker in markers)
    return f"Since this was answered, the words of {named} were changed or removed in the documents."


def _refusal(answer: Answer, number: int) -> Iterator[str]:
    yield f'<p class="said">{escape(answer.text)}</p>'
    yield _small(_sentence(answer.reason))
    if answer.nearest:
        yield f'<button type="button" class="see" value="sources-{number}">See the nearest passages</button>'


def _said(answer: Answer, number: int) -> Iterator[str]:
    titles = {citation.marker: citation.passage.title for citation in answer.citations}
    said = [
        f"{_emphasised(sentence.text, answer.short)} {_chips(sentence, titles, number)}{_status(sentence)}"
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
        f'<button type="button" class="goto chip" value="{card_id(number, marker)}" '
        f'aria-label="Source {marker}: {escape(titles.get(marker, ""))}">[{marker}]</button>'
        for marker in sentence.citations
    )


def card_id(number: int, marker: int) -> str:
    """The card of a citation, in the panel of sources."""
    return f"source-{number}-{marker}"


def _status(sentence: Sentence) -> str:
    """A quiet mark; its sign is drawn, so that who copies the sentence copies only it."""
    said = _STATUS[sentence.status]
    return f'<span class="status {sentence.status}" role="img" aria-label="{said}" title="{said}"></span>'


def _small(line: str) -> str:
    return f'<p class="small" dir="auto">{escape(line)}</p>' if line else ""


def _sentence(line: str) -> str:
    """`line` with a capital and a full stop."""
    return line[:1].upper() + line[1:] + ("" if line.endswith((".", "!", "?")) else ".") if line else ""
