"""The Gradio page: a chat, and beside it the passages that back each answer.

All that is shown is made from the turns that the session keeps (`gr.State`); the chat and the panel are outputs only.
The chat is a `gr.HTML`, not a `gr.Chatbot`: that one wants HTML or Markdown as content, hands it to its copy and edit
buttons and to screen readers as source, keeps no `data-` or `aria-` attribute but lets remote images through, and
draws the whole message anew with each sentence, which takes the focus away from a chip.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr

from ..assistant import Assistant
from ..errors import QuestionInvalid, RagError
from ..types import Answer
from ..uploads import MAX_BYTES
from . import documents, feedback, render
from .render import Turn

logger = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_EXAMPLES = ".examples"
_SHOWN_CHARS = 1000  # of a question that is too long
_AT_ONCE = 4  # questions answered side by side
_WAITING = 64  # and in line behind them
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_IDLE = gr.update(submit_btn="Ask", stop_btn=False)
_BUSY = gr.update(submit_btn=False, stop_btn="Stop")

Turns = tuple[Turn, ...]
Sources = tuple[str, ...]


def example_questions(documents: Path) -> list[str]:
    """The questions in `documents/.examples`, one a line; none where the folder has no such file."""
    path = documents / _EXAMPLES
    if not path.is_file():
        return []
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def build(assistant: Assistant, examples: Sequence[str] = ()) -> gr.Blocks:
    """The page, not yet served. `examples` are questions to click on."""

    def top() -> str:
        return render.header(len(assistant.documents()), assistant.model)

    page = gr.Blocks(title="Ask your documents", analytics_enabled=False, fill_height=True, fill_width=True)
    with page:
        turns, only = gr.State(()), gr.State(())  # `only` are the sources that are asked; all, if empty
        with gr.Row(elem_id="top"):
            header = _html("header", top())
            shelf = documents.place(page, assistant, _packaged("documents.js"))
        with gr.Row(elem_id="desk", scale=1):
            with gr.Column(elem_id="talk", scale=3):
                chat = _html("chat", render.chat((), examples), js=_packaged("chat.js"))
                scope = _html("scope", "")
                box = gr.Textbox(
                    elem_id="ask",
                    label="Your question",
                    show_label=False,
                    placeholder="Your question",
                    max_lines=6,
                    autofocus=True,
                    submit_btn="Ask",
                )
            with gr.Column(elem_id="beside", scale=2):
                panel = _html("sources", render.sources(()), js=_packaged("sources.js"))
        feedback.place(assistant, turns, _packaged("feedback.js"))
        _connect(assistant, turns, only, chat, panel, box)
        shelf.choose_documents(_choose, None, [only, scope], queue=False, **_QUIET)
        shelf.documents_changed(top, None, header, queue=False, **_QUIET)
        page.load(top, None, header, **_QUIET)
    page.queue(max_size=_WAITING, default_concurrency_limit=_AT_ONCE)
    return page


def launch(page: gr.Blocks, *, port: int | None = None) -> str:
    """Serve `page` on this machine only, in threads of its own, and return its address.

    `port` None is 7860 (or GRADIO_SERVER_PORT), or the next that is free. Raises RagError when none is.
    """
    try:
        _, url, _ = page.launch(
            server_name=_HOST,
            server_port=port,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            inbrowser=False,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            theme=gr.themes.Default(
                primary_hue="teal", neutral_hue="slate", radius_size="lg", font=["sans-serif"], font_mono=["monospace"]
            ),
            css="".join(map(_packaged, ("page.css", "documents.css", "feedback.css"))),
            max_file_size=MAX_BYTES,
        )
    except OSError as error:  # no free port
        chosen = f"port {port}" if port else "port 7860 or GRADIO_SERVER_PORT"
        raise RagError(f"cannot serve on {chosen}: it is taken; choose another with --port") from error
    return url


def _packaged(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _html(name: str, value: str, *, js: str | None = None) -> gr.HTML:
    return gr.HTML(value, elem_id=name, js_on_load=js, apply_default_css=False)


def _choose(event: gr.EventData) -> tuple[Sources, str]:
    only = documents.chosen(event)
    return only, documents.scope(only)


def _connect(
    assistant: Assistant, turns: gr.State, only: gr.State, chat: gr.HTML, panel: gr.HTML, box: gr.Textbox
) -> None:
    """What happens when somebody asks, clicks on an example, or stops."""

    # Async, because a stop cannot interrupt Gradio while it waits for a plain generator: a slow LLM would hold it up.
    async def ask(question: str, earlier: Turns, only: Sources) -> AsyncIterator[list[Any]]:
        question = question.encode(errors="replace").decode().strip()  # a lone surrogate cannot be sent back
        if not question:
            yield [gr.skip() for _ in outputs]  # Gradio empties what a generator never yields
        else:
            async for turn in _answered(assistant, question, earlier, only):
                yield [*_shown((*earlier, turn)), _BUSY if turn.running else gr.skip()]

    async def ask_example(earlier: Turns, only: Sources, event: gr.EventData) -> AsyncIterator[list[Any]]:
        async for shown in ask(event.question, earlier, only):
            yield shown

    def settle(now: Turns) -> list[Any]:
        """A turn that still runs when its event is over was stopped."""
        if now and now[-1].running:
            return [*_shown((*now[:-1], replace(now[-1], running=False, notice="stopped"))), _IDLE]
        return [gr.skip(), gr.skip(), gr.skip(), _IDLE]

    outputs = [turns, chat, panel, box]
    asked = box.submit(ask, [box, turns, only], outputs, **_QUIET)
    clicked = chat.example_select(ask_example, [turns, only], outputs, **_QUIET)
    box.stop(None, cancels=[asked, clicked], **_QUIET)
    for event in (asked, clicked):
        event.then(settle, [turns], outputs, queue=False, **_QUIET)


def _shown(turns: Turns) -> list[Any]:
    return [turns, render.chat(turns), render.sources(turns)]


async def _answered(assistant: Assistant, question: str, earlier: Turns, only: Sources) -> AsyncIterator[Turn]:
    """The turn that `question` to the documents `only` opens, again and again until it is done."""
    try:
        answers = assistant.stream(question, history=render.history(earlier), documents=only)
    except QuestionInvalid as error:
        yield Turn(question if len(question) <= _SHOWN_CHARS else f"{question[:_SHOWN_CHARS]}…", notice=str(error))
        return
    turn = Turn(question, running=True)
    yield turn
    try:
        while (answer := await asyncio.to_thread(next, answers, None)) is not None:
            answer = documents.scoped(answer, only)
            turn = replace(turn, answer=answer, lines=await asyncio.to_thread(_lines, assistant, answer, turn.lines))
            yield turn
        yield replace(turn, running=False)
    except RagError as error:
        yield replace(turn, running=False, notice=str(error))
    except Exception:  # the page stays usable whatever broke
        logger.exception("the answer broke")
        yield replace(turn, running=False, notice="something broke; the terminal says what")


def _lines(assistant: Assistant, answer: Answer, known: Mapping[int, int]) -> dict[int, int]:
    """The line at which each quote starts, where its document has no pages and is still there."""
    lines = dict(known)
    for citation in answer.citations:
        if citation.marker not in lines and not citation.passage.page:
            with suppress(RagError):
                document = assistant.document(citation.passage.document_id)
                if document.text[citation.start : citation.end] == citation.quote:  # else it was replaced meanwhile
                    lines[citation.marker] = document.text.count("\n", 0, citation.start) + 1
    return lines
