"""The turns of a conversation, and how a browser keeps them: as JSON that is checked when it comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..types import Answer, Message, Step

_MOST_TURNS = 1000


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
            "notice": self.notice or ("stopped" if self.running else ""),  # nobody will run it on
        }


Turns = tuple[Turn, ...]
_TURNS = TypeAdapter(Turns)


def restored(kept: Any) -> Turns:
    """What `Turn.to_dict` gave, as turns. Raises ValueError, with a line to show, for anything else."""
    try:
        turns = _TURNS.validate_python(kept)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise ValueError(f"this conversation cannot be read ({where}: {error.errors()[0]['msg']})") from error
    if len(turns) > _MOST_TURNS or any(turn.running for turn in turns):
        raise ValueError(f"this conversation is not one that was kept here, or has more than {_MOST_TURNS:,} questions")
    return turns


def history(turns: Sequence[Turn]) -> list[Message]:
    """What was asked and answered so far, as plain text."""
    messages: list[Message] = []
    for turn in turns:
        if turn.answer:
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": turn.answer.text})
    return messages
