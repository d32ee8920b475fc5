"""What kind of words would answer a question, and whether a text holds such words."""

from __future__ import annotations

import re
from typing import Literal

from .terms import names, numbers, words

AnswerType = Literal["number", "date", "name", "any"]

_NUMBER = re.compile(r"\b(how (many|much|old|far|tall|large|big)|what (percentage|share|number)|number of)\b", re.I)
_DATE = re.compile(
    r"^when\b|\b(?:on|in|at|since|by|until|from) (?:what|which) (?:day|date|month|year|century|time)\b"
    r"|\b(?:what|which|exact|new|the) (?:day|date|month|year|century)\b|^(?:date|year) of\b|(?:,|and|since) when\b",
    re.I,
)
_NAME = re.compile(r"\b(who|whom|whose)\b|\bname(s)? of\b|\bwhat (is|are|was|were) the names?\b", re.I)

_TIME_WORDS = frozenset(
    """
    january february march april june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday today yesterday tomorrow century centuries decade decades spring summer autumn
    winter dawn morning noon evening night midnight ago
    """.split()
)
_YEAR = re.compile(r"\b(1[0-9]|20)\d\d\b")


def expected(question: str) -> AnswerType:
    """The type that the question asks for; "any" where its wording does not say."""
    question = question.strip()
    if _NUMBER.search(question):
        return "number"
    if _DATE.search(question):
        return "date"
    if _NAME.search(question):
        return "name"
    return "any"


def holds(kind: AnswerType, text: str, question: str) -> bool:
    """Whether `text` has words of that type which the question does not already name."""
    if kind == "number":
        # A year is no amount: "how many were arrested" is not answered by "in 2020".
        return bool({n for n in numbers(text) if not _YEAR.fullmatch(n)} - numbers(question))
    if kind == "date":
        timed = bool(numbers(text) - numbers(question)) or bool(_TIME_WORDS & set(words(text)) - set(words(question)))
        return timed
    if kind == "name":
        return bool(set(names(text)) - set(words(question)))
    return True
