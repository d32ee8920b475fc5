"""An LLM as judge of an answer: opt-in, and never the only figure. What it is asked stands in judge.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rag.prompts import Prompt, parse_prompt

from .chat import Chat, as_data, json_object
from .metrics import Groups

_SHOWN = 200  # characters of a reply that could not be read


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge says of one answer; None where its reply cannot be read, which counts as zero in a mean."""

    correct: bool | None
    supported: bool | None
    why: str


@cache
def prompt() -> Prompt:
    """The judge's prompt. Its `digest` belongs into every report of its verdicts."""
    path = Path(__file__).with_name("judge.md")
    return parse_prompt("judge", path.read_text(encoding="utf-8"), frozenset({"data"}))


def judge(
    chat: Chat, question: str, gold: Groups | None, reference: tuple[str, ...], answer_text: str, quotes: Sequence[str]
) -> Verdict:
    """Ask whether `answer_text` answers as `gold` (or `reference`) does, and whether its `quotes` say so.

    Without gold and reference, only an answer that says that nothing was found is correct. Raises ChatError when no
    reply comes.
    """
    data = as_data(
        question=question,
        acceptable=gold or [],
        reference=reference,
        answer=answer_text,
        quotes=quotes,
    )
    return _verdict(chat.reply(prompt().system, prompt().fill(data=data)))


def _verdict(reply: str) -> Verdict:
    said = json_object(reply) or {}
    correct, supported = said.get("correct"), said.get("supported")
    if not isinstance(correct, bool) or not isinstance(supported, bool):
        return Verdict(None, None, f"the judge's reply cannot be read: {' '.join(reply.split())[:_SHOWN]}")
    return Verdict(correct, supported, str(said.get("why", "")))
