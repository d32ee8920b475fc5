"""The Gradio page: a chat, beside it the documents behind each answer, and a panel with all documents.

The browser holds the conversation and sends it with each question (asked.py); the server relies on nothing that it may
have kept. Chat and sources are drawn of what was sent, and carry the browser's name for it: what is late is seen to be.
The chat is a `gr.HTML`, not a `gr.Chatbot`: that one wants HTML or Markdown as content, hands it to its copy and edit
buttons and to screen readers as source, keeps no `data-` or `aria-` attribute but lets remote images through, and
draws the whole message anew with each sentence, which takes the focus away from a chip.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from html import escape
from typing import Any, TypeVar

import gradio as gr

from ..assistant import Assistant
from ..errors import QuestionInvalid, RagError
from ..types import Answer, Step
from . import conversations, documents, feedback, models, render, standing, viewer
from .api import Api, endpoints
from .asked import Asked, gather, whole
from .examples import MadeExamples
from .leaving import is_listened
from .line import AT_ONCE, WAITING, Busy, Line
from .opening import Opening
from .parts import BROKE, html, packaged
from .sources import VIEWER, sources
from .theme import theme
from .turns import Turn, Turns, history, whole_characters

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SHOWN_CHARS = 1000  # of a question that is too long
_TICK_SECONDS = 0.5  # between two looks at an index that is being opened
_GLANCE_SECONDS = 0.15  # between two looks at which step is at work
_STYLES = ("page", "documents", "conversations", "models", "feedback")
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# Answers may come in another order than they were asked for: one about who answered before is drawn anew.
_TELLS_OF_THE_TOP = """watch("value", () => {
    document.dispatchEvent(new Event("topchange"));
    const now = window.asking?.llm;
    if (now && element.querySelector("[data-llm]").dataset.llm !== now()) trigger("top_is_old");
})"""
_IDLE = gr.update(submit_btn="Ask", stop_btn=False)
_BUSY = gr.update(submit_btn=False, stop_btn="Stop")


def build(assistant: Assistant | Opening, examples: Sequence[str] = (), *, private: bool = False) -> gr.Blocks:
    """The page, not yet served. `examples` are questions to click on; without any, some are made from the documents.

    `private` says that only this machine reaches it: then an endpoint of one's own can be set.
    """
    opening = Opening.of(assistant)
    made = MadeExamples(opening)
    bench = models.Bench(opening, private=private)

    async def offered(_: Any) -> list[str]:
        return await asyncio.to_thread(made.get)

    def top(sent: Any) -> list[Any]:
        llm = str(sent.get("llm") or "") if isinstance(sent, dict) else ""
        return [_top(opening, bench, llm), gr.Timer(active=opening.status == "starting")]

    page = gr.Blocks(
        title="Ask your documents",
        analytics_enabled=False,
        fill_height=True,
        fill_width=True,
    )
    with page:
        timer = gr.Timer(_TICK_SECONDS, active=False)
        with gr.Row(elem_id="top"):
            header = html("header", _top(opening, bench), js=_TELLS_OF_THE_TOP)
            html("conversations", conversations.PANEL)
            shelf = documents.place(page, opening, packaged("documents.js"))
            models.place(bench, packaged("models.js"), header, partial(_top, opening, bench), private=private)
        with gr.Row(elem_id="desk", scale=1):
            with gr.Column(elem_id="talk", scale=3):
                chat = html("chat", render.chat((), examples), js=packaged("chat.js"), serves=[offered])
                html("scope", documents.SCOPE)
                html("trouble", conversations.TROUBLE)
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
        kept = html("kept", "", js=packaged("conversations.js"), serves=conversations.served(opening), visible="hidden")
        html("judged", "", js=packaged("feedback.js"), serves=feedback.served(opening), visible="hidden")
        endpoints(Api(opening))  # before the page's own events, which would take their names
        _connect(opening, bench, chat, panel, box, kept, examples)
        for event in (page.load, timer.tick, shelf.documents_changed, header.top_is_old):
            event(top, kept, [header, timer], js=gather("llm"), trigger_mode="multiple", queue=False, **_QUIET)
    page.max_threads = 2 * (AT_ONCE + WAITING)  # Gradio's own queue lets them all in: who waits is in our line
    page.queue(max_size=WAITING, default_concurrency_limit=None)
    return page


def look() -> dict[str, Any]:
    """What Gradio wants to know about the page when it is served."""
    return {"theme": theme(), "css": "".join(packaged(f"{name}.css") for name in _STYLES)}


def _top(opening: Opening, bench: models.Bench, llm: str = "") -> str:
    """The top of a page on which `llm` answers, which it carries."""
    if opening.status != "ready":
        top = render.opening(opening.line)
    else:
        try:
            with opening.outages.translated():
                top = render.header(opening.assistant.count()[0], bench.answering(llm).model)
        except RagError as error:
            top = render.opening(str(error))
    return f'<div data-llm="{escape(llm)}">{top}</div>'


def _connect(
    opening: Opening,
    bench: models.Bench,
    chat: gr.HTML,
    panel: gr.HTML,
    box: gr.Textbox,
    kept: gr.HTML,
    examples: Sequence[str],
) -> None:
    """What happens when somebody asks, clicks on an example, asks again, stops, or opens a conversation.

    `kept` brings what the browser holds, and takes each turn to it.
    """

    # Async, because a stop cannot interrupt Gradio while it waits for a plain generator: a slow LLM would hold it up.
    async def ask(typed: str, sent: Any, event: gr.EventData) -> AsyncIterator[list[Any]]:
        """`event` may bring another `question`, and the number (from 1) of the `turn` in whose place it is asked."""
        brought = event._data if isinstance(event._data, dict) else {}
        question = whole_characters(str(brought.get("question", typed))).strip()
        if not question:
            yield [gr.skip() for _ in outputs]  # Gradio empties what a generator never yields
            return
        asked = await _placed(opening.asking, lambda: _before(Asked.read(sent), brought.get("turn")))
        checked = partial(_checked, opening, asked.turns)
        earlier, waits = await _placed(opening.asking, checked), opening.status == "starting"
        told: Any = kept
        async with aclosing(_answered(opening, bench, question, asked)) as turns:
            async for turn in turns:
                if waits and opening.status != "starting":
                    earlier, waits = await _placed(opening.asking, checked), False
                now = (*earlier, turn)
                is_told = turn.running and turn.answer is told
                to_keep = gr.skip() if is_told else conversations.keep(asked.showing, now)
                told = turn.answer
                shown = await _placed(opening.asking, partial(_shown, now, examples, asked.showing))
                yield [*shown, _BUSY if turn.running else gr.skip(), to_keep]

    async def draw(sent: Any) -> list[Any]:
        def drawn() -> list[Any]:
            asked = Asked.read(sent)
            return _shown(_checked(opening, asked.turns), examples, asked.showing)

        return await _placed(opening.aside, drawn)

    async def settle(sent: Any) -> list[Any]:
        """What still runs when its event is over was stopped: it is drawn as the browser holds it."""
        return [*(await draw(sent) if sent else [gr.skip(), gr.skip()]), _IDLE]

    outputs = [chat, panel, box, kept]
    asking = [
        event(ask, [box, kept], outputs, js=gather(), **_QUIET)
        for event in (box.submit, chat.example_select, chat.ask_anew)
    ]
    box.stop(None, cancels=asking, **_QUIET)
    stopped = gather(when="document.querySelector('.turn.running')")
    for event in asking:
        event.then(settle, kept, [chat, panel, box], js=stopped, queue=False, **_QUIET)
    kept.conversation_leave(None, cancels=asking, trigger_mode="multiple", **_QUIET)
    kept.conversation_draw(draw, kept, [chat, panel], js=gather(), queue=False, trigger_mode="multiple", **_QUIET)


def _before(asked: Asked, number: Any) -> Asked:
    """What came with a question; of the turns those before `number` (from 1), where there is one."""
    return asked if number is None else asked._replace(turns=asked.turns[: max(0, whole(number) - 1)])


async def _placed(line: Line, do: Callable[[], T]) -> T:
    """What `do` returns: it takes the longer the longer a conversation is, and must not hold up who serves all."""
    try:
        return await line.run(do)
    except (Busy, ValueError) as error:
        raise gr.Error(str(error), print_exception=False) from error


def _checked(opening: Opening, turns: Turns) -> Turns:
    """The turns, with the quotes named that the documents do not hold any more; as they are while there is no index."""
    with suppress(RagError):
        return standing.checked(opening.assistant.document, turns)
    return turns


def _shown(turns: Turns, examples: Sequence[str], showing: str) -> list[Any]:
    return [render.chat(turns, examples, showing), sources(turns)]


async def _answered(opening: Opening, bench: models.Bench, question: str, asked: Asked) -> AsyncGenerator[Turn]:
    """The turn that `question` opens, again and again until it is done."""
    while opening.status == "starting":
        yield Turn(question[:_SHOWN_CHARS], running=True, notice=opening.line)
        await asyncio.sleep(_TICK_SECONDS)
    steps: list[Step] = ["searching"]
    only = asked.only
    try:
        assistant = bench.answering(asked.llm)
        answers = assistant.stream(question, history=history(asked.turns), documents=only, report=steps.append)
    except (QuestionInvalid, RagError) as error:
        yield Turn(question if len(question) <= _SHOWN_CHARS else f"{question[:_SHOWN_CHARS]}…", notice=str(error))
        return
    turn = Turn(question, running=True, documents=only)
    yield turn
    try:
        async with aclosing(_glancing(opening.queue.each(answers))) as coming:
            async for answer in coming:
                before, turn = turn, replace(turn, step=steps[-1])
                if answer:
                    answer = documents.scoped(answer, only)
                    lines = await asyncio.to_thread(standing.lines, assistant.document, answer, turn.lines)
                    turn = replace(turn, answer=answer, lines=lines)
                if turn != before:  # each costs milliseconds, and many may be waiting
                    yield turn
        yield replace(turn, running=False)
    except RagError as error:
        yield replace(turn, running=False, notice=str(error))
    except Exception:  # the page stays usable whatever broke
        logger.exception("the answer broke")
        yield replace(turn, running=False, notice=BROKE)


async def _glancing(answers: AsyncGenerator[Answer]) -> AsyncGenerator[Answer | None]:
    """The answers as they come; None now and then while the next one is waited for. Ends when nobody listens."""
    async with aclosing(answers):
        while True:
            coming = asyncio.ensure_future(anext(answers, None))
            try:
                while not (await asyncio.wait([coming], timeout=_GLANCE_SECONDS))[0]:
                    if not is_listened():
                        return
                    yield None
                if (answer := coming.result()) is None:
                    return
                yield answer
            finally:
                coming.cancel()
                await asyncio.wait([coming])  # what is still being left cannot be closed
