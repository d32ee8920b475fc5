"""Questions that nothing answers: one that is answered, about another name or year. Drafts, for a person to judge."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator

from rag import english as en

from .metrics import normalise

_CLOSE = 200  # characters

_SLOT = rf"(?:{en.any_of('in of by from to with for at')})(?:\ the)?"
# A name that stands for itself, not before a noun: "in Rome, …", but not "the Roman army".
_ENDS = (
    rf"(?=[,.;:?]|$|\ (?:{en.AUX}|{en.any_of('and or in of on by from to with for at as who which that during')})\b)"
)


def names_after(sentence: str) -> Iterator[tuple[str, str]]:
    """(preposition, name) wherever a name stands after a preposition: what may take another name's place."""
    for match in re.finditer(rf"\b(?P<slot>{_SLOT})\ (?P<name>{en.NAME}){_ENDS}", " ".join(sentence.split())):
        if not re.match(rf"{en.MONTH}\b|{en.DAY}\b", match["name"]):
            yield match["slot"], match["name"]


def near_misses(question: str, names: Iterable[tuple[str, str]], seed: int) -> Iterator[tuple[str, str]]:
    """(question, new): the question with one of its years or names replaced by `new`, in an order drawn by the seed.

    A name is replaced by one of `names` that stands after the same preposition.
    """
    dice = random.Random(f"{seed} {question}")
    for match in re.finditer(rf"\b{en.YEAR}\b", question):
        for years in dice.sample([-11, -7, -4, 3, 6, 9], 6):
            new = str(int(match[0]) + years)
            yield question[: match.start()] + new + question[match.end() :], new
    others = sorted(set(names))
    for slot, new in dice.sample(others, len(others)):
        for match in re.finditer(rf"(?<=\b{re.escape(slot)} )(?!{en.ROLES}\b){en.NAME}{_ENDS}", question):
            if not set(normalise(new).split()) & set(normalise(question).split()):
                yield question[: match.start()] + new + question[match.end() :], new


def may_be_answered(question: str, new: str, texts: Iterable[str]) -> bool:
    """Whether some text holds, close to the name or year `new`, a third of the question's other long words.

    Words are compared by their first five letters. It errs towards yes: better no near miss than one that is answered.
    """
    words = _stems(question.replace(new, "")) - {"which"}
    for text in texts:
        for match in re.finditer(rf"\b{re.escape(new)}\b", text):
            around = text[max(0, match.start() - _CLOSE) : match.end() + _CLOSE]
            if 3 * len(words & _stems(around)) >= len(words):
                return True
    return False


def _stems(text: str) -> set[str]:
    return {word[:5] for word in normalise(text).split() if len(word) > 3}
