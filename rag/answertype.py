"""What kind of words would answer a question, and whether a text holds such words."""

from __future__ import annotations

import re
from typing import Literal

from .sentences import without_mark
from .terms import cardinals, content_words, names, numbers, stem, stems, words

AnswerType = Literal["number", "date", "name", "any"]

_NUMBER = re.compile(r"\b(how (many|much|old|far|tall|large|big)|what (percentage|share|number)|number of)\b", re.I)
_DATE = re.compile(
    r"^when\b|\b(?:on|in|at|since|by|until|from) (?:what|which) (?:day|date|month|year|century|time)\b"
    r"|\b(?:what|which|exact|new|the) (?:day|date|month|year|century)\b|^(?:date|year) of\b|(?:,|and|since) when\b",
    re.I,
)
_NAME = re.compile(r"\b(who|whom|whose)\b|\bname(s)? of\b|\bwhat (is|are|was|were) the names?\b", re.I)

_MONTHS = "january february march april may june july august september october november december".split()
_TIME_WORDS = frozenset(_MONTHS) - {"may", "march"} | frozenset(
    "monday tuesday wednesday thursday friday saturday sunday today yesterday tomorrow century centuries".split()
)
_YEAR = re.compile(r"\b(?:1[0-9]|20)\d\d(?:s\b|\b)")
_DAY = re.compile(r"\b\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}\b|\b(?:March|May) \d|\d(?:st|nd|rd|th)? (?:of )?(?:March|May)\b")
_MONTH_DAY = re.compile(rf"\b(?:{'|'.join(_MONTHS)}) \d{{1,2}}\b|\b\d{{1,2}} (?:{'|'.join(_MONTHS)})\b", re.I)


# "Who is the deputy head of …", "what's his address", "Iran's foreign minister?": what is asked for.
_ASKED_FOR = re.compile(
    r"^(?:(?:and|so|please|tell me) )*(?:who|what|which)(?:['’]s| is| was| are| were)\s+(?:currently\s+)?"
    r"(?P<phrase>(?:the|an?|his|her|its|their|\w+['’]s?)\s.+|(?!\w+(?:ed|en|put|meant)\b).+)$",
    re.I,
)
_FRAGMENT = re.compile(
    r"^(?!(?:who|what|when|where|why|how|which|whose|whom|did|does|do|is|was|are|were|can|could|list|tell|and|in|on"
    r"|from|to|name|give|according)\b)(?P<phrase>\S+(?: \S+){0,6})$",
    re.I,
)
_PHRASE_END = re.compile(
    r"\b(?:in|at|for|from|on|that|who|which|to|by|with|when|where|after|before|during|if|and|between|about)\b|,"
)
_VAGUE = frozenset(
    "reason name names kind kinds type types sort position role job thing things way part people person persons one "
    "two three four five six seven eight nine ten".split()
)
_LEADING = frozenset(
    stem(word)
    for word in "head heads headed leader leads lead led chief boss director commander chairman chairs president "
    "runs run".split()
)


_WHY = re.compile(r"\b(?:why|how come|for what reason|what (?:is|was) the reason)\b", re.I)
_REASON = re.compile(
    r"\b(?:because|due to|owing to|since|in order to|so that|in response to|as a result|thanks to|therefore|for being"
    r"|the reason|caused by|in view of|given that|especially as|as (?:he|she|it|they|we|this|these|there))\b",
    re.I,
)


_AUXILIARY = "is|are|am|was|were|do|does|did|can|could|has|have|had|will|would|shall|should"
# "How beans help our bones" and "why eggs are good" are headings: no verb stands where a question has it.
_QUESTION = re.compile(
    rf"[?؟？;]\s*$|^(?:{_AUXILIARY}|may|might|name|list|tell|give)\b|\b(?:who|whom|whose|what|when|where|which)\b"
    rf"|\b(?:how|why)\s+(?:\w+\s+)?(?:{_AUXILIARY})\b|\bhow (?:many|much|long|old|far|often|come|to)\b|^(?:how|why)$",
    re.I,
)
_SEVERAL = re.compile(
    r"^(?:\W*(?:and|please|can you|could you|tell me)\b)*\W*(?:list|enumerate|name)\b"
    r"|\bnames of\b|\bwho (?:all|are|were)\b"
    r"|\b(?:which|what)(?: \w+){0,2} (?!his\b|its\b|this\b|was\b|is\b|does\b|has\b)\w{2,}[^\Wsui]s\b"
    r"|\b(?:which|what) (?:are|were)\b|\bmembers\b|\ball (?:the|of)\b",
    re.I,
)


def is_question(text: str) -> bool:
    """Whether something is asked, or only a topic named: "How old is it?", but not "fibre and cholesterol"."""
    return bool(_QUESTION.search(text.strip()))


def asks_for_several(question: str) -> bool:
    """Whether more than one thing is wanted: "which forces …", "list the …", "who were …"."""
    return bool(_SEVERAL.search(question))


def asks_why(question: str) -> bool:
    """Whether a reason is wanted."""
    return bool(_WHY.search(question))


def gives_reason(text: str) -> bool:
    """Whether `text` has words that introduce a reason."""
    return bool(_REASON.search(text))


def asked_for(question: str) -> list[str]:
    """The content words of what a question names and wants to know: "deputy", "head" …; [] when it names nothing."""
    question = " ".join(question.split()).rstrip("?. ")  # with blanks alone, the patterns have one way to match
    match = _ASKED_FOR.match(question) or _FRAGMENT.match(question)
    if not match:
        return []
    phrase = _PHRASE_END.split(match["phrase"])[0]
    whole = set(words(question))  # a pattern may begin inside of one: "who" in "o'who"
    return [word for word in content_words(phrase) if word in whole and word not in _VAGUE]


def share_asked_for(question: str, text: str) -> float:
    """How much of what is asked for `text` speaks of, 0..1; 1 when nothing is named.

    Words for who leads stand for one another: the "leader" of one text is the "head" of another.
    """
    wanted = [stem(word) for word in asked_for(question)]
    held = stems(text)
    leads = bool(_LEADING & held)
    found = sum(word in held or (leads and word in _LEADING) for word in wanted)
    return found / len(wanted) if wanted else 1.0


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
    """Whether `text` has words of that type which the question does not already have.

    Dates are no amounts, nor are list numbers or ranks: "how many were arrested?" is not answered by
    "3- The first raid, in 2020".
    """
    text = "\n".join(without_mark(line.strip()) for line in text.splitlines())
    asked = set(words(question))
    if kind == "number":
        for dated in (_DAY, _MONTH_DAY, _YEAR):
            text = dated.sub(" ", text)
        return bool(cardinals(text) - numbers(question))
    if kind == "date":
        return bool(
            _DAY.search(text)
            or _MONTH_DAY.search(text)
            or set(_YEAR.findall(text)) - set(_YEAR.findall(question))
            or _TIME_WORDS & set(words(text)) - asked
        )
    if kind == "name":
        return bool(set(names(text)) - asked)
    return True
