"""Conversations, kept in the browser and nowhere else: the panel that lists them, and what can be downloaded.

`conversations.js` holds the conversation that is shown: it stores each turn that `keep` hands it, and sends all of them
with each question (asked.py). What comes back is checked before anything is made of it; it may be years old.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Awaitable, Callable
from functools import wraps
from html import escape
from typing import Any

from . import markdown
from .asked import part
from .line import Busy
from .opening import Opening
from .parts import BROKE
from .turns import Turns, restored, whole_characters

logger = logging.getLogger(__name__)

_NAME_CHARS = 60
_NOT_IN_A_NAME = re.compile(r"[^\w.-]+")

PANEL = """<button type="button" class="new-conversation" title="Start a new conversation">New</button>
<button type="button" class="open-conversations" aria-haspopup="dialog">Conversations</button>
<dialog class="panel conversations" aria-label="Conversations">
  <header><h2>Conversations</h2><button type="button" class="close" aria-label="Close Conversations">✕</button></header>
  <p class="small">Kept in this browser only. Whoever uses it can read them.</p>
  <ul class="happened" aria-live="polite"></ul>
  <ul class="listed"></ul>
</dialog>"""

TROUBLE = '<p class="trouble" role="alert"></p>'  # what went wrong while the panel is closed


def keep(showing: str, turns: Turns) -> str:
    """The last turn, for the browser to hold as number `number` (from 1), and the last, of what it shows."""
    told = {"showing": showing, "number": len(turns), "turn": turns[-1].to_dict()}
    return f"<span>{escape(json.dumps(told))}</span>"


def conversation_export(sent: Any) -> dict[str, str]:
    """A conversation as a file: its `name`, `type` and `text`; or `failed`, which says what is wrong."""
    try:
        title, turns = whole_characters(str(part(sent, "title"))), restored(part(sent, "turns"))
        name = _file_name(title)
        if part(sent, "format") == "markdown":
            return {"name": f"{name}.md", "type": "text/markdown", "text": as_markdown(title, turns)}
        text = json.dumps(
            as_json(title, whole_characters(str(part(sent, "created"))), turns), ensure_ascii=False, indent=2
        )
        return {"name": f"{name}.json", "type": "application/json", "text": f"{text}\n"}
    except ValueError as error:
        return {"failed": str(error)}
    except Exception:  # the page stays usable whatever broke
        logger.exception("the export broke")
        return {"failed": BROKE}


def served(opening: Opening) -> list[Callable[[Any], Awaitable[dict[str, str]]]]:
    """The function that conversations.js calls, with a place aside."""

    @wraps(conversation_export)
    async def export(sent: Any) -> dict[str, str]:
        try:
            return await opening.aside.run(lambda: conversation_export(sent))
        except Busy as error:
            return {"failed": str(error)}

    return [export]


def as_markdown(title: str, turns: Turns) -> str:
    """Questions as headings, answers with footnotes: exact quotes and where they stand."""
    parts = [f"# {markdown.line(title)}\n"]
    for number, turn in enumerate(turns, start=1):
        parts.append(f"## {markdown.line(turn.question)}\n")
        if turn.answer:
            parts.append(markdown.as_markdown(turn.answer, f"{number}-"))
        if turn.notice:
            parts.append(f"{markdown.text(turn.notice)}\n")
    return "\n".join(parts)


def as_json(title: str, created: str, turns: Turns) -> dict[str, Any]:
    """`answer` is `Answer.to_dict()` (docs/answer.schema.json), with the quotes and their places."""
    said = [{key: part for key, part in turn.to_dict().items() if key != "lines"} for turn in turns]
    return {"title": title, "created": created, "turns": said}


def _file_name(title: str) -> str:
    plain = unicodedata.normalize("NFC", title)
    return _NOT_IN_A_NAME.sub("-", plain)[:_NAME_CHARS].strip("-._") or "conversation"
