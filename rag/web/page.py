"""The Gradio page: a chat, beside it the documents behind each answer, and a panel with all documents.

All that is shown is made from the turns that the session keeps (`gr.State`); the chat and the panel are outputs only.
The chat is a `gr.HTML`, not a `gr.Chatbot`: that one wants HTML or Markdown as content, hands it to its copy and edit
buttons and to screen readers as source, keeps no `data-` or `aria-` attribute but lets remote images through, and
draws the whole message anew with each sentence, which takes the focus away from a chip.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from typing import Any

import gradio as gr

from ..assistant import Assistant
from ..errors import QuestionInvalid, RagError
from ..types import Answer, Step
from . import documents, feedback, models, render, viewer
from .api import Api, endpoints
from .completions import AT_ONCE, WAITING
from .examples import MadeExamples
from .opening import Opening
from .render import Turn
from .sources import VIEWER, sources
from .theme import css, theme

logger = logging.getLogger(__name__)

_SHOWN_CHARS = 1000  # of a question that is too long
_TICK_SECONDS = 0.5  # between two looks at an index that is being opened
_CACHE_SECONDS = 3600
_GLANCE_SECONDS = 0.15  # between two looks at which step is at work
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_IDLE = gr.update(submit_btn="Ask", stop_btn=False)
_BUSY = gr.update(submit_btn=False, stop_btn="Stop")

_SHEETS = ("documents.css", "models.css", "feedback.css")

Turns = tuple[Turn, ...]
Sources = tuple[str, ...]


def build(assistant: Assistant | Opening, examples: Sequence[str] = (), *, private: bool = False) -> gr.Blocks:
    """The page, not yet served. `examples` are questions to click on; without any, some are made from the documents.

    `private` says that only this machine reaches it: then an endpoint of one's own can be set.
    """
    opening = Opening.of(assistant)
    made = MadeExamples(opening)

    async def offered(_: Any) -> list[str]:
        return await asyncio.to_thread(made.get)

    def top(chosen: models.Chosen) -> list[Any]:
        return [_top(opening, chosen), gr.Timer(active=opening.status == "starting")]

    page = gr.Blocks(
        title="Ask your documents",
        analytics_enabled=False,
        fill_height=True,
        fill_width=True,
        delete_cache=(_CACHE_SECONDS, _CACHE_SECONDS),  # files that were sent and never added
    )
    with page:
        turns, only = gr.State(()), gr.State(())  # `only` are the sources that are asked; all, if empty
        timer = gr.Timer(_TICK_SECONDS, active=False)
        with gr.Row(elem_id="top"):
            header = _html("header", _top(opening))
            shelf = documents.place(page, opening, _packaged("documents.js"))
            model = models.place(opening, _packaged("models.js"), private=private)
        with gr.Row(elem_id="desk", scale=1):
            with gr.Column(elem_id="talk", scale=3):
                chat = _html("chat", render.chat((), examples), js=_packaged("chat.js"), serves=[offered])
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
                panel = _html("sources", sources(()), js=_packaged("sources.js"))
                _html("viewer", VIEWER, js=_packaged("viewer.js"), serves=_readers(opening))
        endpoints(Api(opening))  # before the page's own events, which would take their names
        feedback.place(opening, turns, _packaged("feedback.js"))
        _connect(opening, turns, only, model.answering, chat, panel, box)
        shelf.choose_documents(_choose, None, [only, scope], queue=False, **_QUIET)
        for changed in (shelf.documents_changed, model.chosen.then):
            changed(top, model.answering, [header, timer], queue=False, **_QUIET)
        for event in (page.load, timer.tick):
            event(top, model.answering, [header, timer], **_QUIET)
    page.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE)
    return page


def look() -> dict[str, Any]:
    """What Gradio wants to know about the page when it is served."""
    return {"theme": theme(), "css": css() + "".join(map(_packaged, _SHEETS))}


def _packaged(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _html(name: str, value: str, *, js: str | None = None, serves: Sequence[Callable[..., Any]] = ()) -> gr.HTML:
    return gr.HTML(value, elem_id=name, js_on_load=js, server_functions=[*serves], apply_default_css=False)


def _readers(opening: Opening) -> list[Callable[..., Any]]:
    """What the viewer asks the server for: outside the queue, behind the page's own login."""

    def open_at(asked: dict[str, Any]) -> dict[str, Any]:
        return viewer.open_at(opening.assistant.document, asked)

    def read_on(asked: dict[str, Any]) -> dict[str, Any]:
        return viewer.read_on(opening.assistant.document, asked)

    return [open_at, read_on]


def _top(opening: Opening, chosen: models.Chosen = None) -> str:
    if opening.status != "ready":
        return render.opening(opening.line)
    return render.header(len(opening.assistant.documents()), (chosen or opening.assistant).model)


def _choose(event: gr.EventData) -> tuple[Sources, str]:
    only = documents.chosen(event)
    return only, documents.scope(only)


def _connect(
    opening: Opening,
    turns: gr.State,
    only: gr.State,
    answering: gr.State,
    chat: gr.HTML,
    panel: gr.HTML,
    box: gr.Textbox,
) -> None:
    """What happens when somebody asks, clicks on an example, or stops."""

    # Async, because a stop cannot interrupt Gradio while it waits for a plain generator: a slow LLM would hold it up.
    async def ask(question: str, earlier: Turns, only: Sources, chosen: models.Chosen) -> AsyncIterator[list[Any]]:
        question = question.encode(errors="replace").decode().strip()  # a lone surrogate cannot be sent back
        if not question:
            yield [gr.skip() for _ in outputs]  # Gradio empties what a generator never yields
        else:
            async for turn in _answered(opening, question, earlier, only, chosen):
                yield [*_shown((*earlier, turn)), _BUSY if turn.running else gr.skip()]

    async def ask_anew(
        earlier: Turns, only: Sources, chosen: models.Chosen, event: gr.EventData
    ) -> AsyncIterator[list[Any]]:
        """Ask question `turn` (from 1) again, in other words perhaps; it and what followed it are dropped."""
        kept = earlier[: max(0, int(event.turn) - 1)]
        async for shown in ask(event.question or earlier[len(kept)].question, kept, only, chosen):
            yield shown

    async def ask_example(
        earlier: Turns, only: Sources, chosen: models.Chosen, event: gr.EventData
    ) -> AsyncIterator[list[Any]]:
        async for shown in ask(event.question, earlier, only, chosen):
            yield shown

    def settle(now: Turns) -> list[Any]:
        """A turn that still runs when its event is over was stopped."""
        if now and now[-1].running:
            return [*_shown((*now[:-1], replace(now[-1], running=False, notice="stopped"))), _IDLE]
        return [gr.skip(), gr.skip(), gr.skip(), _IDLE]

    outputs = [turns, chat, panel, box]
    asked = box.submit(ask, [box, turns, only, answering], outputs, **_QUIET)
    clicked = chat.example_select(ask_example, [turns, only, answering], outputs, **_QUIET)
    again = chat.ask_anew(ask_anew, [turns, only, answering], outputs, **_QUIET)
    box.stop(None, cancels=[asked, clicked, again], **_QUIET)
    for event in (asked, clicked, again):
        event.then(settle, [turns], outputs, queue=False, **_QUIET)


def _shown(turns: Turns) -> list[Any]:
    return [turns, render.chat(turns), sources(turns)]


async def _answered(
    opening: Opening, question: str, earlier: Turns, only: Sources, chosen: models.Chosen
) -> AsyncIterator[Turn]:
    """The turn that `question` to the documents `only` opens, again and again until it is done."""
    while opening.status == "starting":
        yield Turn(question[:_SHOWN_CHARS], running=True, notice=opening.line)
        await asyncio.sleep(_TICK_SECONDS)
    steps: list[Step] = ["searching"]
    try:
        assistant = chosen or opening.assistant
        answers = assistant.stream(question, history=render.history(earlier), documents=only, report=steps.append)
    except (QuestionInvalid, RagError) as error:
        yield Turn(question if len(question) <= _SHOWN_CHARS else f"{question[:_SHOWN_CHARS]}…", notice=str(error))
        return
    turn = Turn(question, running=True, documents=only)
    yield turn
    try:
        async for answer in _glancing(answers):
            turn = replace(turn, step=steps[-1])
            if answer:
                answer = documents.scoped(answer, only)
                lines = await asyncio.to_thread(_lines, assistant, answer, turn.lines)
                turn = replace(turn, answer=answer, lines=lines)
            yield turn
        yield replace(turn, running=False)
    except RagError as error:
        yield replace(turn, running=False, notice=str(error))
    except Exception:  # the page stays usable whatever broke
        logger.exception("the answer broke")
        yield replace(turn, running=False, notice="something broke; the terminal says what")


async def _glancing(answers: Iterator[Answer]) -> AsyncIterator[Answer | None]:
    """The answers as they come; None now and then while the next one is waited for."""
    while True:
        coming = asyncio.ensure_future(asyncio.to_thread(next, answers, None))
        try:
            while not (await asyncio.wait([coming], timeout=_GLANCE_SECONDS))[0]:
                yield None
            if (answer := await coming) is None:
                return
            yield answer
        finally:
            coming.cancel()


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
