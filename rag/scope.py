"""How far words reach that turn what others say, within a sentence: "It is not true, <…>, that the mayor stole it".

A clause that has lost such a word is exact to the character and says what its document does not. Pure functions. Where
it is not sure how far the words reach, they reach further.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .operators import (
    CIRCUMSTANCES,
    CONDITIONS,
    DOUBTS,
    EXCEPTIONS,
    FALSEHOODS,
    NEGATIONS,
    OPERATORS,
    PROHIBITIONS,
    TELLING,
    TRUTHS,
)
from .sentences import word_set
from .terms import words
from .types import Span

_MONTH = re.compile(r"\bMay\b(?! not\b)")  # the verb has a capital in questions only
_EVERYWHERE = FALSEHOODS | EXCEPTIONS
_ONWARD = CONDITIONS | TELLING
_LOCAL = NEGATIONS | PROHIBITIONS | DOUBTS
_MOST_CLAUSES = 40  # of a sentence; one of more is no sentence, and is quoted whole or not at all
_BEFORE_THAT = 5  # words from the negation on: "no evidence was found that"
_PREPOSITIONS = word_set("in of at on by for from to with after before since than like during until about over under")
_THAT = re.compile(r"(?:^|[,;:–—]\s+)(?:(?:and|or|but)\s+)?that\b", re.I)
_AND = word_set("and but while whereas")
_OWN_VERB = _AND | word_set(
    "which who whose whom so yet although though because since as where when then therefore however if unless"
)


class _Clause(NamedTuple):
    """The words of a clause, and whether it is one, or has one, that another one may say something of."""

    said: list[str]
    says_that: bool


def operates(text: str) -> bool:
    """Whether the text has a word that turns what others say."""
    return not OPERATORS.isdisjoint(words(_MONTH.sub(" ", text)))


def introduces(text: str) -> bool:
    """Whether the introduction of a list turns its items; it may do so by saying when they hold."""
    return operates(text) or not CIRCUMSTANCES.isdisjoint(words(text))


def overturns(text: str) -> bool:
    """Whether the text may say of all that stands in it that it is false, or holds under a condition only."""
    said = words(text)
    untrue = not (NEGATIONS.isdisjoint(said) or TRUTHS.isdisjoint(said))
    return untrue or not (FALSEHOODS | CONDITIONS).isdisjoint(said)


def whole_clauses(text: str, clauses: Sequence[Span]) -> list[Span]:
    """For each clause of a sentence the run of clauses around it that leaves out none which turns it."""
    said = [_clause(text[clause.start : clause.end]) for clause in clauses]
    if len(said) > _MOST_CLAUSES:
        return [Span(clauses[0].start, clauses[-1].end)] * len(clauses)
    # By each clause: the first and the last that turn it.
    turned = []
    for k in range(len(said)):
        turning = [at for at in range(len(said)) if _turns(said, at, k)] or [k]
        turned.append((min(k, turning[0]), max(k, turning[-1])))
    return [Span(clauses[first].start, clauses[last].end) for first, last in map(_grown, [turned] * len(said), turned)]


def _grown(turned: Sequence[tuple[int, int]], run: tuple[int, int]) -> tuple[int, int]:
    """The run with all that turn one of it."""
    while True:
        within = turned[run[0] : run[1] + 1]
        grown = min(first for first, _ in within), max(last for _, last in within)
        if grown == run:
            return run
        run = grown


def _clause(text: str) -> _Clause:
    return _Clause(words(_MONTH.sub(" ", text)), _THAT.search(text) is not None)


def _turns(clauses: Sequence[_Clause], at: int, turned: int) -> bool:
    """Whether clause `at` of a sentence may turn clause `turned`.

    What is false, or an exception, may do so from anywhere; a condition and somebody who tells it, too, unless they
    plainly begin another statement ("and if …", "and Bo says that …"). A negation or a doubt turns its own clause, one
    that goes on with it, and what it says of "that …".
    """
    here, there = clauses[at].said, clauses[turned].said
    if at == turned:
        return False
    if not _EVERYWHERE.isdisjoint(here) or not (NEGATIONS.isdisjoint(here) or TRUTHS.isdisjoint(here)):
        return True
    if at > turned:
        of_that = clauses[turned].says_that and not _LOCAL.isdisjoint(here)
        return of_that or not (_ONWARD.isdisjoint(here) or _begins_another(here))
    if not CONDITIONS.isdisjoint(here):
        return True
    apart = not _OWN_VERB.isdisjoint(there[:1])
    if not TELLING.isdisjoint(here):
        return not (apart and not TELLING.isdisjoint(there))
    of_that = any(clause.says_that for clause in clauses[at + 1 : turned + 1])
    return _of_that(here) or (not _LOCAL.isdisjoint(here) and (of_that or not apart))


def _begins_another(said: Sequence[str]) -> bool:
    """Whether a clause adds another statement, which has its own condition, or its own speaker."""
    told = any(word in TELLING and "that" in said[i + 1 :] for i, word in enumerate(said))
    return not _AND.isdisjoint(said[:1]) and (told or not CONDITIONS.isdisjoint(said[1:2]))


def _of_that(said: Sequence[str]) -> bool:
    """Whether a clause denies or doubts what it goes on to tell: "no evidence that", but not "not in that year"."""
    return any(
        said[that] == "that" and said[that - 1] not in _PREPOSITIONS
        for at, word in enumerate(said)
        if word in _LOCAL
        for that in range(at + 1, min(at + _BEFORE_THAT, len(said)))
    )
