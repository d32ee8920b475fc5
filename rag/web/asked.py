"""What comes from the browser with a question: the conversation so far, which documents are asked, and who answers.

The browser owns them: conversations.js, documents.js and models.js put theirs into `window.asking`. So an answer is
made of what its page says and of nothing else, and it does not matter whether the server still knows the page.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ..errors import RagError
from .turns import Turns, restored

Sources = tuple[str, ...]
_LARGEST = 2**63  # what SQLite takes


class NotUnderstood(RagError, ValueError):
    """What came is not what the page's scripts send: they are of another version, or somebody made it up."""

    def __init__(self) -> None:
        super().__init__("this page and its server do not understand each other; reload the page")


def part(sent: Any, name: str) -> Any:
    """What was sent under this name. Raises NotUnderstood."""
    if not isinstance(sent, dict) or name not in sent:
        raise NotUnderstood
    return sent[name]


def whole(value: Any) -> int:
    """A number that a script sent, or the digits of one. Raises NotUnderstood."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise NotUnderstood from None
    if not -_LARGEST <= number < _LARGEST:
        raise NotUnderstood
    return number


class Asked(NamedTuple):
    """`showing` is the browser's name for what it shows: what is drawn and told carries it back."""

    showing: str
    turns: Turns
    only: Sources  # the documents that are asked; all, if empty
    llm: str  # see models.Bench

    @classmethod
    def read(cls, sent: Any) -> Asked:
        """Raises ValueError, with a line to show."""
        only = part(sent, "only")
        if not isinstance(only, list):
            raise NotUnderstood
        sources = tuple(str(source) for source in only)
        return cls(str(part(sent, "showing")), restored(part(sent, "turns")), sources, str(part(sent, "llm")))


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
