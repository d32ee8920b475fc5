"""A sentence as tokens: words, numbers and signs, each in one spelling, so that two sentences can be compared.

Pure functions over strings. "1,200" is "1200", "5%" is "5 percent", "twenty-six" is "26", "more than 5" has a sign.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from .sentences import sentences
from .terms import numbers

MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "|".join(MONTHS)
_DATE = re.compile(
    rf"\b(?:(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m1>{_MONTH}),? (?P<y1>\d{{4}})"
    rf"|(?P<m2>{_MONTH}) (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y2>\d{{4}}))\b",
    re.I,
)
# Bounds of numbers in their usual words, each by one sign.
_BOUND = re.compile(
    r"\b(?:(?P<over>more than|over|above|exceeding)|(?P<under>less than|fewer than|under|below)"
    r"|(?P<least>at least|no fewer than|no less than)|(?P<most>at most|no more than|up to)"
    r"|(?P<about>about|around|approximately|roughly|circa))\s+(?=[$£€]?(?P<number>\d|[a-z]+))",
    re.I,
)
_BOUND_SIGNS = {"over": "⋗ ", "under": "⋖ ", "least": "⩾ ", "most": "⩽ ", "about": "≈ "}
_PERCENT = re.compile(r"\b(?:per cent|percent)\b", re.I)
# Behind a number, signs that mean nothing else.
_UNITS = {
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "kg": "kilogram", "mg": "milligram", "ml": "milliliter",
}  # fmt: skip
_A_FEW = re.compile(r"\b(?:a|an)\s+(few|little)\b", re.I)  # more than "few"
_SPOKEN = {"each": "every", "all": "every", "&": "and", "cannot": "can not", "can't": "can not", "won't": "will not"}
_NO_PRONOUN = frozenset({"IT", "US", "WHO", "HER", "HIS"})
# Of words that are long enough to have no other meaning in the other spelling: colour, centre, organise.
_BRITISH = re.compile(
    r"(?<=[a-z]{3})(?P<our>our)(?=s?$|ed$|ing$|s?ite|able|al$|hood)|(?<=[a-z]{2}[tb])(?P<re>re)(?=s?$)"
    r"|(?<=[a-z]{3})(?P<is>is)(?=e[ds]?$|ing$|ations?$)|(?<=[a-z]{3})(?P<ys>ys)(?=e[ds]?$|ing$)"
)
_AMERICAN = {"our": "or", "re": "er", "is": "iz", "ys": "yz"}
_RAISED = re.compile("[⁰¹²³⁴-⁹₀-₉]")  # NFKC would make 106 of 10⁶
SENTENCE_END = "¶"  # put between two sentences: a full stop may be an abbreviation's
WITHIN_WORDS = frozenset("-'")
_QUOTES = frozenset("\"'“”‘’„«»")
FREE_STOPS = frozenset("\"'“”„«»‹›-.!…·•")  # that part nothing
_SIGNS = frozenset("%‰‱&#@*/\\")
_BETWEEN_DIGITS = frozenset(".,:\ue000")


class Token(NamedTuple):
    """A word, number or sign. `key` is what is compared."""

    key: str
    kind: str  # "word", "number", "sign", or "stop" for what parts
    capital: bool = False
    parted: bool = False  # something that parts stands in front of it
    present: bool = False  # a participle in the place of a verb: "heads" of "is headed by"


@lru_cache(maxsize=512)
def tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a text. What is neither letter, digit, blank nor plain punctuation is a sign."""
    raised = _RAISED.sub(lambda match: f"^{match[0]}", text.replace("’", "'").replace("‘", "'"))
    text = unicodedata.normalize("NFKC", raised)
    text = _A_FEW.sub(r"a\1", _DATE.sub(_dated, text))
    text = _PERCENT.sub("%", _BOUND.sub(_bounded, text))
    read = list(_joined_numbers([_month(token, n) for n, token in enumerate(_read(text))]))
    return tuple(_in_quotes(_with_unit(token, read[n - 1] if n else token), read, n) for n, token in enumerate(read))


def _in_quotes(token: Token, read: list[Token], at: int) -> Token:
    """The “doctor” is none, perhaps; a name in quotation marks is one without them."""
    around = [other.key for other in read[max(0, at - 1) : at] + read[at + 1 : at + 2]]
    doubted = len(around) == 2 and all(key in _QUOTES for key in around) and not token.capital
    return token._replace(key=f"“{token.key}”") if doubted else token


def _month(token: Token, at: int) -> Token:
    """May, the month, and Will, the man, are no verbs; the A of "vitamin A" is no article."""
    other = at and token.capital and token.key in ("may", "will", "a")
    return token._replace(key=token.key.title()) if other else token


def _with_unit(token: Token, before: Token) -> Token:
    return token._replace(key=_UNITS.get(token.key, token.key)) if before.kind == "number" else token


def _bounded(bound: re.Match[str]) -> str:
    is_number = bound["number"].isdigit() or bool(numbers(bound["number"]))
    sign = next(sign for name, sign in _BOUND_SIGNS.items() if bound[name])
    return sign if is_number else bound[0]


def _dated(date: re.Match[str]) -> str:
    day, month, year = (date["d1"], date["m1"], date["y1"]) if date["d1"] else (date["d2"], date["m2"], date["y2"])
    return f"{int(year)}\ue000{MONTHS.index(month.lower()) + 1}\ue000{int(day)}"


def _read(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        kind = _kind(text, at)
        end = at + 1
        if kind == "word":
            while end < len(text) and (_kind(text, end) == "word" or _is_apostrophe(text, end)):
                end += 1
            yield from _words(text[at:end])
        elif kind == "number":
            while end < len(text) and (_kind(text, end) == "number" or _is_within_number(text, end)):
                end += 1
            yield Token(_plain_number(text[at:end]), "number")
        elif kind:
            yield Token(text[at], kind)
        at = end


@lru_cache(maxsize=4096)
def _category(character: str) -> str:
    return unicodedata.category(character)


def _kind(text: str, at: int) -> str:
    """What begins there: "word", "number", "sign", "stop", or "" for a blank."""
    character = text[at]
    group = _category(character)[0]
    if group in "LM":
        return "word"
    if group == "N":
        return "number"
    if group == "Z" or character in "\t\n\r\f\v":
        return ""
    if character in "-−–" and text[at + 1 : at + 2].isdigit():
        before = text[at - 1 : at]
        return "stop" if before.isalpha() else "sign"  # a minus, or from one number to another
    return "stop" if group == "P" and character not in _SIGNS else "sign"


def _is_apostrophe(text: str, at: int) -> bool:
    return text[at] == "'" and text[at + 1 : at + 2].isalpha()


def _is_within_number(text: str, at: int) -> bool:
    return text[at] in _BETWEEN_DIGITS and text[at + 1 : at + 2].isdigit()


def _plain_number(written: str) -> str:
    grouped = re.sub(r",(?=\d{3}(?:,|\.|$))", "", written)
    return "".join(str(unicodedata.decimal(c, c)) for c in grouped)


def _words(written: str) -> Iterator[Token]:
    lower = written.casefold()
    capital = written[0].isupper()
    if written in _NO_PRONOUN:
        yield Token(written, "word", capital)
        return
    if lower in _SPOKEN:
        for word in _SPOKEN[lower].split():
            yield Token(word, "word", capital)
        return
    if lower.endswith("n't"):
        yield Token(_folded(lower[:-3]), "word", capital)
        yield Token("not", "word")
        return
    base, apostrophe, ending = lower.rpartition("'")
    if apostrophe and ending in ("s", "re", "ve", "ll", "d", "m"):
        yield Token(_folded(base), "word", capital)
        yield Token(f"'{ending}", "word")
        return
    yield Token(_folded(lower), "word", capital)


def _folded(word: str) -> str:
    """In American spelling, and without the accents of Latin letters.

    Other marks stay: they are letters of other scripts, or hide something.
    """
    found = []
    for character in word:
        base = unicodedata.normalize("NFD", character)
        found.append(base[0] if len(base) > 1 and base[0].isascii() else character)
    return _BRITISH.sub(_in_american, "".join(found))


def _in_american(british: re.Match[str]) -> str:
    return next(american for name, american in _AMERICAN.items() if british[name])


def _joined_numbers(found: list[Token]) -> Iterator[Token]:
    """Numbers in words as digits: "twenty-six" is one number, and "hundred" another token behind it."""
    at = 0
    while at < len(found):
        token = found[at]
        value = _value(token)
        if value and len(value) == 2 and value[1] == "0" and at + 1 < len(found):
            behind = at + 2 if found[at + 1].key == "-" and at + 2 < len(found) else at + 1
            units = _value(found[behind])
            if len(units) == 1 and units != "0":
                yield Token(value[0] + units, "number")
                at = behind + 1
                continue
        yield Token(value, "number") if value else token
        at += 1


def _value(token: Token) -> str:
    """The digits of a number in words; "" for what is none. "one" may be a pronoun, "second" an hour's."""
    if token.kind != "word" or token.key in ("one", "second", "first", "third") or token.key.endswith("th"):
        return ""
    found = numbers(token.key)
    return next(iter(found)) if len(found) == 1 else ""


def by_sentence(text: str) -> tuple[Token, ...]:
    """The tokens of a text of several sentences, with a stop between two of them."""
    found: list[Token] = []
    for span in sentences(text):
        found += [*([Token(SENTENCE_END, "stop")] if found else []), *tokens(text[span.start : span.end])]
    return tuple(found)


def without_stops(found: Sequence[Token]) -> tuple[Token, ...]:
    """The words alone; each knows whether something parts it from the one before."""
    kept: list[Token] = []
    parted = False
    for token in found:
        if token.kind == "stop":
            parted = parted or divides(token)
        else:
            kept.append(token._replace(parted=parted and bool(kept)))
            parted = False
    return tuple(kept)


def divides(token: Token) -> bool:
    """Whether it parts what stands around it, as a comma does and a hyphen or a quotation mark does not."""
    return token.kind == "stop" and token.key not in FREE_STOPS
