"""The turns of a conversation, and how a browser keeps them: as JSON that is checked when it comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..types import Answer, Message, Step


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and what became of it.

    `lines` is the line (from 1) at which the quote of each marker starts in its document; `notice` is a sentence of
    the page itself: too long, stopped, something broke; `step` is what a running one is about; `outdated` are the
    markers whose words the index does not hold any more.
    """

    question: str
    answer: Answer | None = None
    lines: Mapping[int, int] = field(default_factory=dict)
    notice: str = ""
    documents: tuple[str, ...] = ()  # the sources that are asked; all, if empty
    running: bool = False
    step: Step = "searching"
    outdated: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What is kept and exported; `answer` is `Answer.to_dict()`."""
        return {
            "question": self.question,
            "documents": list(self.documents),
            "answer": self.answer.to_dict() if self.answer else None,
            "lines": {str(marker): line for marker, line in self.lines.items()},
            "notice": "stopped" if self.running else self.notice,  # nobody will run it on
        }


Turns = tuple[Turn, ...]
# Of a conversation: all of it is checked and drawn with each question. A question and its answer have some 15 KB.
MOST_TURNS = 5000
MOST_BYTES = 5_000_000
_TURN = TypeAdapter(Turn)


def restored(kept: Any) -> Turns:
    """What `Turn.to_dict` gave, as turns; one that cannot be read says so in its place.

    Raises ValueError, with a line to show, for what is no list, or too long a one.
    """
    if not isinstance(kept, list):
        raise ValueError("this conversation cannot be read; nothing that was kept here is like this")
    if len(kept) > MOST_TURNS:
        raise ValueError(f"this conversation has more than {MOST_TURNS:,} questions; start a new one")
    return tuple(_restored(each) for each in _whole(kept))


def whole_characters(text: str) -> str:
    """The text without the halves of characters that no file and no response can hold."""
    return text.encode(errors="replace").decode()


def _whole(kept: Any) -> Any:
    """JSON of whole characters. Raises ValueError for what is nested too deeply, or too large."""
    try:
        encoded = whole_characters(json.dumps(kept, ensure_ascii=False)).encode()
        if len(encoded) > MOST_BYTES:
            raise ValueError(f"this conversation is larger than {MOST_BYTES / 1e6:g} MB; start a new one")
        return json.loads(encoded)
    except RecursionError as error:
        raise ValueError("this conversation cannot be read; it is nested too deeply") from error


def _restored(kept: Any) -> Turn:
    try:
        turn = _TURN.validate_python(kept)
        if not turn.running:
            return turn
        where = "it is still running"
    except ValidationError as error:
        where = f"{'.'.join(map(str, error.errors()[0]['loc']))}: {error.errors()[0]['msg']}"
    question = kept.get("question") if isinstance(kept, dict) else None
    said = question if isinstance(question, str) else ""
    return Turn(said, notice=f"this question and its answer cannot be read ({where})")


def history(turns: Sequence[Turn]) -> list[Message]:
    """What was asked and answered so far, as plain text."""
    messages: list[Message] = []
    for turn in turns:
        if turn.answer:
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": turn.answer.text})
    return messages
