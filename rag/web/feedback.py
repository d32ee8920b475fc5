"""Below each answer: was it right? What is said is kept by `rag.feedback`.

The chat takes `row` as HTML; `place` adds the listener, which finds the judged answer among the session's turns.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from ..errors import RagError
from ..feedback import NOTE_CHARS, VERDICTS, Feedback, Judgement, answer_key
from ..types import Answer
from .opening import Opening
from .parts import BROKE, html
from .turns import Turn

logger = logging.getLogger(__name__)

_LABELS = {"up": "Good", "down": "Bad", "wrong evidence": "Wrong evidence"}


def row(answer: Answer) -> str:
    """The verdicts to choose from, and a note once one is chosen."""
    if answer.mode == "smalltalk":
        return ""
    buttons = "".join(
        f'<button type="button" value="{verdict}" aria-pressed="false">{_LABELS[verdict]}</button>'
        for verdict in VERDICTS
    )
    return (
        f'<div class="judge" role="group" aria-label="Was this answer good?" data-answer="{answer_key(answer)}">'
        f"{buttons}"
        f'<span class="judge-note" hidden><input maxlength="{NOTE_CHARS}" aria-label="A note" '
        'placeholder="What should be better? (optional)" dir="auto">'
        '<button type="button" class="judge-send">Send</button></span>'
        '<span class="judge-said" role="status"></span></div>'
    )


def place(opening: Opening, turns: gr.State, script: str) -> None:
    """Listen to the rows; nothing of this is seen."""
    listener = html("judged", "", js=script, visible="hidden")

    def judge(now: Sequence[Turn], event: gr.EventData) -> str:
        key, note = str(event.answer), None if event.note is None else str(event.note)
        says, kept = _kept(opening, now, key, event.verdict, note)
        stored = f'data-verdict="{kept.verdict}" data-note="{escape(kept.note)}" ' if kept else ""
        return f'<span data-answer="{escape(key)}" {stored}data-count="{event.count}">{escape(says)}</span>'

    listener.judge(judge, [turns], listener, queue=False, show_progress="hidden", api_visibility="private")


def _kept(
    opening: Opening, turns: Sequence[Turn], key: str, verdict: Any, note: str | None
) -> tuple[str, Judgement | None]:
    """What is said to somebody who has judged, and what is stored."""
    judged = [(turn.answer, turn.documents) for turn in turns if turn.answer and answer_key(turn.answer) == key]
    if not judged or verdict not in VERDICTS:
        return "This answer is gone; ask again.", None
    try:
        answer, documents = judged[-1]
        kept = Feedback(opening.assistant.settings.index_dir).add(answer, verdict, note, documents)
    except RagError as error:
        return str(error), None
    except Exception:  # the page stays usable whatever broke
        logger.exception("the feedback broke")
        return BROKE, None
    return "Kept on this machine. Thank you.", kept
