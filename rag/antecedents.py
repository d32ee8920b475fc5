"""Whom a pronoun means: a document's title, or perhaps somebody else who stands between.

Pure functions over strings.
"""

from __future__ import annotations

from collections.abc import Sequence

from .sentences import sentences, word_set
from .syntax import (
    ARTICLES,
    FOR_A_PARTICIPLE,
    FUNCTION_WORDS,
    OF_A_PERSON,
    PLACING,
    PREPOSITIONS,
    RELATIVES,
    STANDS_FOR,
    SUBORDINATORS,
    TITLES,
    is_verb,
    without_articles,
)
from .tokens import MONTHS, Token, tokens, without_stops

_RELATED = word_set(
    "wife husband son daughter brother sister mother father widow widower uncle aunt cousin nephew niece friend rival"
    " opponent enemy pupil student teacher colleague partner lover successor predecessor assistant"
)
_SOMEBODY = word_set(
    "man woman boy girl child people person men women children member cook guest thief spy nurse judge"
)
_OF_PEOPLE = ("er", "or", "ist", "ian", "man", "woman", "ess", "ant", "ent", "ee", "ic", "ast", "ate")


def leans(sentence: str) -> bool:
    """Whether it begins with a pronoun, and another sentence says whom it is about."""
    first = next((token for token in tokens(sentence) if token.kind == "word"), None)
    return first is not None and first.key in STANDS_FOR


def of_a_person(sentence: str) -> bool:
    """Whether its first pronoun is one of a person: he or she."""
    first = next((token.key for token in tokens(sentence) if token.key in STANDS_FOR), "")
    return first in OF_A_PERSON


def stands_for(title: str, before: str, *, at_start: bool, person: bool) -> bool:
    """Whether a pronoun behind the text `before` is likely to mean what the title names.

    The last sentence that does not begin with a pronoun begins with the title, and nobody else is named from there on;
    where all do, that is so `at_start` of a document. Of a `person`: "the war" is nobody else.
    """
    named = without_stops(tokens(title))
    for span in reversed(sentences(before)):
        found = without_stops(tokens(before[span.start : span.end]))
        first = next((token for token in found if token.key not in ARTICLES and token.kind == "word"), None)
        if first is None:
            continue
        goes_on = first.key in STANDS_FOR
        if (goes_on or not defines(found, named)) and names_another(found, named, person=person):
            return False
        if not goes_on:
            return begins_with(found, named)
    return at_start


def begins_with(found: Sequence[Token], title: Sequence[Token]) -> bool:
    """Whether a sentence is about the title, or about a part of a name: "Curie"; not about "Curie's husband"."""
    names = without_articles(title)
    said = without_articles([token for token in found if token.kind != "sign"])
    length = next((at for at, word in enumerate(said) if word not in names), len(said))
    return length > 0 and said[length : length + 1] not in (["'s"], ["and"], ["or"])


def defines(found: Sequence[Token], title: Sequence[Token]) -> bool:
    """Whether it says what the title is, "Orvanna is a lake in Tessaly": what follows goes on about it.

    Not where it is somebody's relative, as who is then told of may be either.
    """
    at = next((n for n, token in enumerate(found) if token.key in FOR_A_PARTICIPLE), 0)
    told = found[at + 1 :]
    is_one = bool(told) and told[0].key in ARTICLES | {"one"} and begins_with(found, title)
    return at > 0 and is_one and not any(token.key in _RELATED | RELATIVES or is_verb(token) for token in told)


def names_another(found: Sequence[Token], title: Sequence[Token], *, person: bool = False) -> bool:
    """Whether somebody or something else stands there than what the title names.

    A name, but for that of a place or a month, or an adjective; "a dog", but not in "was a chemist", "in the city".
    """
    known = {token.key for token in title}
    leading = PREPOSITIONS - SUBORDINATORS | FOR_A_PARTICIPLE | {"as"}
    for n, token in enumerate(found):
        other = n and token.key in ARTICLES and found[n - 1].key not in leading
        if other and (not person or any(_is_somebody(near) for near in found[n + 1 : n + 4])):
            return True
    at = 1
    if known.intersection(token.key for token in found[:2]):  # "General Mills, Inc., is": of the title, to its end
        at = next((n for n, token in enumerate(found) if n and not token.capital), len(found))
    while at < len(found):
        end = next((n for n in range(at, len(found)) if not found[n].capital), len(found))
        names = [token for token in found[at:end] if token.key.lower() not in {*known, *MONTHS}]
        if names and found[at - 1].key not in PLACING and not _is_adjective(found, at, end):
            return True
        at = end + 1
    return False


def _is_somebody(token: Token) -> bool:
    """Whether a noun may name a person; generous: "letter" is taken for one."""
    return token.key in _SOMEBODY | _RELATED | TITLES or (len(token.key) > 4 and token.key.endswith(_OF_PEOPLE))


def _is_adjective(found: Sequence[Token], start: int, end: int) -> bool:
    """Whether capitals are of an adjective: "an American Thoroughbred racehorse"."""
    noun = found[end] if end < len(found) else None
    if noun is None or noun.kind != "word" or found[start - 1].key not in ARTICLES:
        return False
    return not (noun.parted or noun.key in FUNCTION_WORDS or is_verb(noun))
