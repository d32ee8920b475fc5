"""What comes from the browser with a question: the conversation so far, which documents are asked, and who answers.

The browser owns them: conversations.js, documents.js and models.js put theirs into `window.asking`. So an answer is
made of what its page says and of nothing else, and it does not matter whether the server still knows the page.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from .turns import Turns, restored

Sources = tuple[str, ...]


class Asked(NamedTuple):
    """`showing` is the browser's name for what it shows: what is drawn and told carries it back."""

    showing: str
    turns: Turns
    only: Sources  # the documents that are asked; all, if empty
    llm: str  # see models.Bench

    @classmethod
    def read(cls, sent: Any) -> Asked:
        """Raises ValueError, with a line to show."""
        try:
            only = tuple(str(source) for source in sent["only"])
            return cls(str(sent["showing"]), restored(sent["turns"]), only, str(sent["llm"]))
        except (KeyError, TypeError) as error:
            raise ValueError("this page and its server do not understand each other; reload the page") from error


def gather(*names: str, when: str = "true") -> str:
    """JavaScript that puts these parts of `window.asking` into an event's last input, or null; all, without names.

    It waits for them, as somebody quick asks before all of the page is there; after twenty seconds `Asked.read` says
    what to do.
    """
    wanted = json.dumps(names or Asked._fields)
    return f"""async (...inputs) => {{
        const wanted = {wanted};
        const missing = () => !wanted.every((name) => window.asking?.[name]);
        for (let i = 0; i < 400 && missing(); i += 1) await new Promise((again) => setTimeout(again, 50));
        const parts = () => Object.fromEntries(wanted.map((name) => [name, window.asking?.[name]?.()]));
        return [...inputs.slice(0, -1), {when} ? parts() : null];
    }}"""
