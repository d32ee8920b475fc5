"""The Gradio page: a chat, beside it the documents behind each answer, and a panel with all documents.

All that is shown is made from the turns that the session keeps (`gr.State`); the chat and the panel are outputs only.
The chat is a `gr.HTML`, not a `gr.Chatbot`: that one wants HTML or Markdown as content, hands it to its copy and edit
buttons and to screen readers as source, keeps no `data-` or `aria-` attribute but lets remote images through, and
draws the whole message anew with each sentence, which takes the focus away from a chip.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import gradio as gr

from ..assistant import Assistant
from ..errors import QuestionInvalid, RagError
from ..types import Answer, Step
from . import conversations, documents, feedback, models, render, standing, viewer
from .api import Api, endpoints
from .examples import MadeExamples
from .line import AT_ONCE, WAITING
from .opening import Opening
from .parts import BROKE, html, packaged
from .sources import VIEWER, sources
from .theme import theme
from .turns import Turn, Turns, history

logger = logging.getLogger(__name__)

_SHOWN_CHARS = 1000  # of a question that is too long
_TICK_SECONDS = 0.5  # between two looks at an index that is being opened
_CACHE_SECONDS = 3600
_GLANCE_SECONDS = 0.15  # between two looks at which step is at work
_STYLES = ("page", "documents", "conversations", "models", "feedback")
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_IDLE = gr.update(submit_btn="Ask", stop_btn=False)
_BUSY = gr.update(submit_btn=False, stop_btn="Stop")

Sources = tuple[str, ...]


class Session(NamedTuple):
    """What the server keeps of one open page. Gradio drops it an hour after the page was heard of last."""

    turns: gr.State  # Turns
    only: gr.State  # the Sources that are asked; all, if empty
    name: gr.State  # what the browser calls the conversation; "" until it has said so
    answering: gr.State  # models.Chosen


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
        timer = gr.Timer(_TICK_SECONDS, active=False)
        with gr.Row(elem_id="top"):
            header = html("header", _top(opening))
            html("conversations", conversations.PANEL)
            shelf = documents.place(page, opening, packaged("documents.js"))
            model = models.place(opening, packaged("models.js"), private=private)
        session = Session(gr.State(()), gr.State(()), gr.State(""), model.answering)
        with gr.Row(elem_id="desk", scale=1):
            with gr.Column(elem_id="talk", scale=3):
                chat = html("chat", render.chat((), examples), js=packaged("chat.js"), serves=[offered])
                scope = html("scope", "")
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
                panel = html("sources", sources(()), js=packaged("sources.js"))
                html("viewer", VIEWER, js=packaged("viewer.js"), serves=viewer.served(opening))
        endpoints(Api(opening))  # before the page's own events, which would take their names
        feedback.place(opening, session.turns, packaged("feedback.js"))
        _connect(opening, session, chat, panel, box, examples)
        shelf.choose_documents(_choose, None, [session.only, scope], queue=False, **_QUIET)
        for changed in (shelf.documents_changed, model.chosen.then):
            changed(top, model.answering, [header, timer], queue=False, **_QUIET)
        for event in (page.load, timer.tick):
            event(top, model.answering, [header, timer], **_QUIET)
    page.max_threads = 2 * (AT_ONCE + WAITING)  # Gradio's own queue lets them all in: who waits is in our line
    page.queue(max_size=WAITING, default_concurrency_limit=None)
    return page


def look() -> dict[str, Any]:
    """What Gradio wants to know about the page when it is served."""
    return {"theme": theme(), "css": "".join(packaged(f"{name}.css") for name in _STYLES)}


def _top(opening: Opening, chosen: models.Chosen = None) -> str:
    if opening.status != "ready":
        return render.opening(opening.line)
    return render.header(len(opening.assistant.documents()), (chosen or opening.assistant).model)


def _choose(event: gr.EventData) -> tuple[Sources, str]:
    only = documents.chosen(event)
    return only, documents.scope(only)


def _connect(
    opening: Opening, session: Session, chat: gr.HTML, panel: gr.HTML, box: gr.Textbox, examples: Sequence[str]
) -> None:
    """What happens when somebody asks, clicks on an example, stops, or opens a conversation."""
    kept = html(
        "kept", "", js=packaged("conversations.js"), serves=[conversations.conversation_export], visible="hidden"
    )

    # Async, because a stop cannot interrupt Gradio while it waits for a plain generator: a slow LLM would hold it up.
    async def ask(
        question: str, earlier: Turns, only: Sources, name: str, chosen: models.Chosen, anew: bool = False
    ) -> AsyncIterator[list[Any]]:
        question = question.encode(errors="replace").decode().strip()  # a lone surrogate cannot be sent back
        if not question:
            yield [gr.skip() for _ in outputs]  # Gradio empties what a generator never yields
            return
        is_kept = False  # the question at once, and the answer when it is whole
        async for turn in _answered(opening, question, earlier, only, chosen):
            now = (*earlier, turn)
            to_keep = gr.skip() if is_kept and turn.running else conversations.keep(name, now, anew=anew)
            is_kept = True
            yield [*_shown(now), _BUSY if turn.running else gr.skip(), to_keep]

    async def ask_anew(
        earlier: Turns, only: Sources, name: str, chosen: models.Chosen, event: gr.EventData
    ) -> AsyncIterator[list[Any]]:
        """Ask question `turn` (from 1) again, in other words perhaps; it and what followed it are dropped."""
        before = earlier[: max(0, int(event.turn) - 1)]
        question = event.question or earlier[len(before)].question
        async for shown in ask(question, before, only, name, chosen, anew=True):
            yield shown

    async def ask_example(
        earlier: Turns, only: Sources, name: str, chosen: models.Chosen, event: gr.EventData
    ) -> AsyncIterator[list[Any]]:
        async for shown in ask(event.question, earlier, only, name, chosen):
            yield shown

    def settle(now: Turns, name: str) -> list[Any]:
        """A turn that still runs when its event is over was stopped."""
        if now and now[-1].running:
            now = (*now[:-1], replace(now[-1], running=False, notice="stopped"))
            return [*_shown(now), _IDLE, conversations.keep(name, now)]
        return [gr.skip(), gr.skip(), gr.skip(), _IDLE, gr.skip()]

    async def open_conversation(event: gr.EventData) -> AsyncIterator[list[Any]]:
        """Show it as it was kept, and once there is an index, which of its quotes do not stand there any more."""
        now = conversations.opened(event.turns)
        yield [*_shown(now, examples), str(event.id), conversations.heard(str(event.id))]
        while opening.status == "starting":
            await asyncio.sleep(_TICK_SECONDS)
        with suppress(RagError):
            checked = await asyncio.to_thread(standing.checked, opening.assistant.document, now)
            if checked != now:
                yield [*_shown(checked, examples), gr.skip(), gr.skip()]

    def hold_conversation(now: Turns, event: gr.EventData) -> str:
        return conversations.held(len(now), str(event.count))

    outputs = [session.turns, chat, panel, box, kept]
    asked = box.submit(ask, [box, *session], outputs, **_QUIET)
    clicked = chat.example_select(ask_example, [*session], outputs, **_QUIET)
    again = chat.ask_anew(ask_anew, [*session], outputs, **_QUIET)
    box.stop(None, cancels=[asked, clicked, again], **_QUIET)
    for event in (asked, clicked, again):
        event.then(settle, [session.turns, session.name], outputs, queue=False, **_QUIET)
    opened = [session.turns, chat, panel, session.name, kept]
    kept.conversation_open(open_conversation, None, opened, concurrency_limit=None, **_QUIET)
    kept.conversation_held(hold_conversation, session.turns, kept, queue=False, **_QUIET)


def _shown(turns: Turns, examples: Sequence[str] = ()) -> list[Any]:
    return [turns, render.chat(turns, examples), sources(turns)]


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
        answers = assistant.stream(question, history=history(earlier), documents=only, report=steps.append)
    except (QuestionInvalid, RagError) as error:
        yield Turn(question if len(question) <= _SHOWN_CHARS else f"{question[:_SHOWN_CHARS]}…", notice=str(error))
        return
    turn = Turn(question, running=True, documents=only)
    yield turn
    try:
        async for answer in _glancing(opening.queue.each(answers)):
            turn = replace(turn, step=steps[-1])
            if answer:
                answer = documents.scoped(answer, only)
                lines = await asyncio.to_thread(standing.lines, assistant.document, answer, turn.lines)
                turn = replace(turn, answer=answer, lines=lines)
            yield turn
        yield replace(turn, running=False)
    except RagError as error:
        yield replace(turn, running=False, notice=str(error))
    except Exception:  # the page stays usable whatever broke
        logger.exception("the answer broke")
        yield replace(turn, running=False, notice=BROKE)


async def _glancing(answers: AsyncIterator[Answer]) -> AsyncIterator[Answer | None]:
    """The answers as they come; None now and then while the next one is waited for."""
    while True:
        coming = asyncio.ensure_future(anext(answers, None))
        try:
            while not (await asyncio.wait([coming], timeout=_GLANCE_SECONDS))[0]:
                yield None
            if (answer := await coming) is None:
                return
            yield answer
        finally:
            coming.cancel()
