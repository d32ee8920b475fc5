"""What a turn of a conversation asks: small talk, or a question that stands on its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .terms import content_words, words
from .types import Message

_GREETINGS = frozenset("hello hi hey greetings howdy salam salaam hallo".split()) | {
    "good morning", "good afternoon", "good evening", "good day",
}  # fmt: skip
_THANKS = frozenset("thanks thx cheers great perfect ok okay cool".split()) | {"thank you", "many thanks"}
_FAREWELLS = frozenset("bye goodbye".split()) | {"see you", "good night"}
# Words that may stand around them: "hi there", "thank you so much", "ok great".
_PADDING = frozenset(
    "there everyone all again so very much a lot you for your help that was is it the this and".split()
)

_REPLIES = (
    (_GREETINGS, "Hello. Ask me something about your documents."),
    (_THANKS, "You are welcome."),
    (_FAREWELLS, "Goodbye."),
)

# A question with one of these needs the turns before it to be understood.
_REFERRING = frozenset(
    "he she it they him her his hers its their theirs them this these those former latter same another".split()
)
_REFERRING_PHRASES = re.compile(
    r"^(?:and|or|but|so|also|then)\b|\b(?:what|how) about\b|\bthe (?:other|first|second|last) one\b|\belse\b"
    r"|\b(?:is|was|of|about|for|after|before|why|how|did|does) that\b",
    re.IGNORECASE,
)
_EARLIER_QUESTIONS = 3


def smalltalk(text: str) -> str | None:
    """A short plain reply when `text` is only a greeting, thanks or a farewell; None for a question."""
    tokens = words(text)
    if not tokens or len(tokens) > 8 or "?" in text:
        return None
    spoken = " ".join(tokens)
    for phrases, reply in _REPLIES:
        for phrase in phrases:
            if f" {phrase} " in f" {spoken} ":
                rest = set(spoken.replace(phrase, " ").split())
                others = _PADDING | _GREETINGS | _THANKS | _FAREWELLS
                if rest <= others:
                    return reply
    return None


def depends_on_history(question: str) -> bool:
    """Whether the question points back (a pronoun, "and …", "what about …") or says too little alone."""
    tokens = words(question)
    if len(content_words(question)) < 2 and len(tokens) < 5:
        return True
    return bool(_REFERRING & set(tokens)) or bool(_REFERRING_PHRASES.search(question.strip()))


def standalone(question: str, history: Sequence[Message]) -> str:
    """The question with the earlier questions that it needs in front of it; itself when it needs none.

    No words are made up: "Who heads the CTS?" then "Why him?" gives "Who heads the CTS? Why him?".
    """
    if not depends_on_history(question):
        return question
    asked = [turn["content"].strip() for turn in history if turn["role"] == "user" and not smalltalk(turn["content"])]
    needed: list[str] = []
    for earlier in reversed(asked[-_EARLIER_QUESTIONS:]):
        needed.insert(0, earlier)
        if not depends_on_history(earlier):
            break
    return " ".join([*needed, question])


def last_answer(history: Sequence[Message]) -> str:
    """What was answered last; empty when nothing was."""
    return next((turn["content"] for turn in reversed(history) if turn["role"] == "assistant"), "")
