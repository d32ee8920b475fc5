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
    r"\b(?:what|how) about\b|\bthe \w+ ones?\b|\belse\b"
    r"|\b(?:is|was|of|about|for|after|before|why|how|did|does) that\b",
    re.IGNORECASE,
)
# How a question begins that says by itself what it is about: "Who is Ann Lee?".
_ASKS = re.compile(
    r"(?:who|what|when|where|why|how|which|whose|is|are|was|were|do|does|did|can|list|name|tell)\b", re.I
)
_ASKS_ANYWHERE = re.compile(rf"\b{_ASKS.pattern}", re.I)
_WHICH = re.compile(r"(?:which|what|whose)\b", re.I)
_CONJUNCTION = re.compile(r"^(?:(?:and|or|but|so|also|then)\b[\s,]*)+", re.I)
_EARLIER_QUESTIONS = 3
# Where one question joins another: "… leads it, and since when?"
_JOINT = re.compile(
    r"(?:[,;?]+\s*(?:and|or|but)?|\s(?:and|or|but))\s+"
    r"(?=(?:(?:on|in|at|by|from|for|to|with|since|of) )?(?:who|whom|whose|what|when|where|why|how|which)\b)",
    re.I,
)

REFUSAL = "I did not find an answer to this in the documents."


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
    rest = _CONJUNCTION.sub("", question.strip())
    said = len(content_words(rest))
    if said == 0 or (said == 1 and not _ASKS.match(rest)):
        return True
    return bool(_REFERRING & set(words(rest))) or bool(_REFERRING_PHRASES.search(rest))


def standalone(question: str, history: Sequence[Message]) -> str:
    """The question with the one before it that stands alone in front of it; itself when it needs none.

    No words are made up: "Who heads the CTS?" then "Why him?" gives "Who heads the CTS? Why him?".
    """
    if not depends_on_history(question):
        return question
    asked = [turn["content"].strip() for turn in history if turn["role"] == "user" and not smalltalk(turn["content"])]
    recent = asked[-_EARLIER_QUESTIONS:]
    anchor = next((earlier for earlier in reversed(recent) if not depends_on_history(earlier)), "")
    return f"{anchor or ' '.join(recent[-1:])} {question}".strip()


def parts(question: str, standalone: str) -> list[str]:
    """What is asked in this turn, question by question; `standalone` is the question made to stand alone.

    "Who built it, and when was it opened?" gives "Who built it" and "when was it opened?". Of a
    follow-up with an earlier question in front, only the follow-up is asked.
    """
    if standalone != question and standalone.endswith(question):
        return [question]
    found = [part.strip() for part in _JOINT.split(standalone) if part.strip()]
    return found if all(map(_asks_something, found)) else [standalone]


def _asks_something(part: str) -> bool:
    """Whether a part of a question has more than its question word: "which forces" alone asks nothing."""
    least = 4 if _WHICH.match(part) else 3
    return len(words(part)) >= least and bool(content_words(part)) and bool(_ASKS_ANYWHERE.search(part))


def last_answer(history: Sequence[Message]) -> str:
    """What was answered last from the documents; empty when nothing was."""
    no_answers = {REFUSAL, *(reply for _, reply in _REPLIES)}
    answers = (turn["content"] for turn in reversed(history) if turn["role"] == "assistant")
    return next((answer for answer in answers if answer not in no_answers), "")
