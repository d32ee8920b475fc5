"""What a sentence does besides telling something: it asks, or it takes back what stands before it."""

from __future__ import annotations

import re

from .operators import FALSEHOODS, NEGATIONS, REVERSALS, TELLING, TRUTHS
from .scope import operates
from .sentences import word_set
from .terms import words

EMPHASIS = " \t*_`\"'“”‘’«»"
# A question mark with what may close the sentence behind it: quotation marks, emphasis, the address of a link.
_ASKED = re.compile(r"[?？؟][\s*_`”’\"')\]]*+(?:\([^\s()]*+\))?+[\s*_`]*+$")
_QUOTED = re.compile(r"[\W_]*[\"“”‘'«»]")
_ASKING = word_set(
    "who whom whose what which when where why how is are am was were do does did can could may might must shall should"
    " will would has have had isnt arent wasnt werent dont doesnt didnt cant couldnt shouldnt wont wouldnt"
)
_BEFORE_QUESTION = re.compile(r"[\W_\d]*(?:(?:q|question|faq)\s*\d*\s*[.:)–-]+)?", re.I)
_FRAGMENT = 4  # words of a question that has no verb: "And children?"
_BACK = word_set(
    "this that these those it they both neither none such all nothing claim claims statement statements story stories"
    " idea view assertion theory paper study report article so"
)
_THUS = word_set("so")  # "Or so he says."
_REVERSED = word_set("opposite reverse contrary")
_NO_MORE = word_set("so longer exist exists existed apply applies applied applicable happen")
_RESTRICTING = word_set("but however except unless not only never")  # "Not under twelve."
_JOKING = word_set("kidding joking jest")
_RETRACTION, _RESTRICTION, _BARE_RETRACTION = 15, 8, 4  # words, at most


def asks(text: str) -> bool:
    """Whether a sentence is a question: neither one that tells of a question, nor one that ends with a title.

    "He asked: “May they?”" and "She hosted Who Wants to Be a Millionaire?" say something.
    """
    asked = _ASKED.search(text)
    if asked is None or (set(asked.group()) & set('”"»') and not _QUOTED.match(text)):
        return False
    said = text[_BEFORE_QUESTION.match(text).end() : asked.start()].split()  # type: ignore[union-attr]
    opening = words(" ".join(said))
    named = bool(said) and said[-1].lstrip(EMPHASIS)[:1].isupper()
    return bool(opening) and (opening[0] in _ASKING or len(opening) <= _FRAGMENT or not named)


def takes_back(text: str) -> bool:
    """Whether a short sentence says of what stands before it that it is false, true no longer, or not always true."""
    spoken = words(text)
    said, count = set(spoken), len(text.split())
    if count > _RETRACTION or asks(text) or text.rstrip(EMPHASIS).endswith(":"):
        return False
    if count <= _RESTRICTION and not _RESTRICTING.isdisjoint(spoken[:1]) and operates(text):
        return True
    denies = bool(
        said & (FALSEHOODS | REVERSALS | _JOKING)
        or (said & NEGATIONS and said & (TRUTHS | _NO_MORE))
        or (said & _REVERSED and said & TRUTHS)
        or (count <= _RESTRICTION and said & TELLING and said & _THUS)
    )
    return denies and bool(said & (_BACK | _REVERSED) or count <= _BARE_RETRACTION)
