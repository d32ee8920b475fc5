"""Who does what to whom, and when, as far as the order of the words of an English sentence tells.

The doer stands before the verb and what it is done to behind it; "was … by" turns both round. Verbs are known by their
form and by the words beside them, so many are missed: a verb that is missed speaks against nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from .sentences import word_set
from .terms import cardinals, content_words, fold, stem

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W_]+(?:['’][^\W_]+)*")
_DETERMINERS = word_set(
    "the a an its his her their our my your this these those each every another some any no all both"
)
_PREPOSITIONS = word_set(
    "of in on at by for from with as into onto over under against between among through during before after since"
    " until toward towards about around near across along within without behind beyond like than via upon despite to"
    " below above per inside outside"
)
_BE = word_set("is are was were be been being")
_HAVE = word_set("has have had having")
_MODALS = word_set("will would can could may might must shall should do does did")
_BESIDE_VERB = word_set(
    "not never also then later soon first finally once only still already just often always usually"
)
_HELPERS = _BE | _HAVE | _MODALS | _BESIDE_VERB
_IRREGULAR = word_set(
    "beat beaten became began begun bit bitten blew blown bore borne born bought bound bred broke broken brought built"
    " burnt came caught chose chosen cut dealt drank drew drawn drove driven dug ate eaten fed fell fallen felt fled"
    " flew flown forbade forbidden forgot forgotten fought found froze frozen gave given grew grown held hid hidden hit"
    " hurt kept knew known laid led left lent lit lost made meant met overthrew overthrown paid put ran rode ridden "
    "rose risen said sang sung sank sunk sat saw seen sent set shot shook shaken shut slew slain sold sought spent"
    " spoke spoken spread stole stolen stood struck swam swept swore sworn taught threw thrown told took taken tore "
    "torn understood undertook undertaken underwent undergone went woke won wore worn wrote written"
)
_NO_PAST = word_set("hundred sacred naked wicked crooked")
_JOINING = word_set("and but while whereas although though because when after before until so since where if")
_AND = word_set("and or")
_RELATIVE = word_set("who which that it he she they")
_STOP = re.compile(r"[;:()—–]")  # a full stop within a sentence ends an abbreviation


class _Token(NamedTuple):
    word: str  # folded
    stem: str
    gap: str  # what stands between it and the token before
    content: bool
    name: bool  # written with a capital
    number: str  # its value; "" for other words


class Deed(NamedTuple):
    """A verb and what stands around it in its clause; all words as stems. What the clause does not tell is empty."""

    verb: str
    doer: frozenset[str]
    doers: frozenset[str]  # `doer` and every other word that stands where doers do
    done: frozenset[str]  # what it is done to
    clause: frozenset[str]
    numbers: frozenset[str]


def misattributed(claim: str, quote: str) -> str:
    """The stem of a verb for which the claim has another doer, object or number than the quote; "" where there is none.

    It must stand elsewhere in the quote, so that it is no other word for the same, and the quote must tell its own.
    """
    theirs = deeds(quote)
    known = {token.stem for token in _tokens(quote)}
    for ours in deeds(claim):
        same = [deed for deed in theirs if deed.verb == ours.verb]
        if not same or len(same) != sum(token.stem == ours.verb for token in _tokens(quote)):
            continue
        if all(_apart(ours, deed, known) or _other_number(ours, deed, theirs) for deed in same):
            return ours.verb
    return _reversed(claim, quote)


def _apart(ours: Deed, theirs: Deed, known: set[str]) -> bool:
    """Whether doer or object differ, or have changed places."""
    other_doer = ours.doer & known and theirs.doer and not ours.doer & theirs.doers
    other_done = ours.done & known and theirs.done and not ours.done & theirs.clause
    turned = ours.done and theirs.done and not ours.done & theirs.done
    turned = turned and (ours.done & theirs.doer or ours.doer & theirs.done)
    return bool(other_doer or other_done or turned)


def _other_number(ours: Deed, theirs: Deed, told: Sequence[Deed]) -> bool:
    """Whether a number of another verb has taken the place of this verb's own; years stand for years only."""
    for years in (True, False):
        here, there = ({n for n in deed.numbers if _is_year(n) is years} for deed in (ours, theirs))
        if here and there and not here & there and any(here & deed.numbers for deed in told):
            return True
    return False


def _is_year(number: str) -> bool:
    return len(number) == 4 and number.isdigit() and number[0] in "12"


@lru_cache(maxsize=256)  # every claim meets the same few quotes
def deeds(text: str) -> tuple[Deed, ...]:
    """The deeds of a text, in order."""
    tokens = _tokens(text)
    verbs = _verbs(tokens)
    found = []
    for start, end in _clauses(tokens, verbs):
        inside = [at for at in verbs if start <= at < end]
        found += [_deed(tokens, verbs, at, start, end, _numbers(tokens, inside, at, start, end)) for at in inside]
    return tuple(found)


@lru_cache(maxsize=256)
def _tokens(text: str) -> tuple[_Token, ...]:
    content = frozenset(content_words(text))
    found, before = [], 0
    for match in _TOKEN.finditer(text):
        word = fold(match.group())
        number = next(iter(cardinals(match.group())), "")
        found.append(
            _Token(word, stem(word), text[before : match.start()], word in content, match.group()[0].isupper(), number)
        )
        before = match.end()
    return tuple(found)


# -- verbs -------------------------------------------------------------------------------------------------------------


def _verbs(tokens: Sequence[_Token]) -> dict[int, bool]:
    """Where verbs stand, and whether they are passive."""
    return {at: voice for at in range(len(tokens)) if (voice := _voice(tokens, at)) is not None}


def _voice(tokens: Sequence[_Token], at: int) -> bool | None:
    """Whether the verb is passive; None for what is no verb, or not surely one."""
    token = tokens[at]
    if not token.content or token.name or token.number:
        return None
    before = at - 1
    while before >= 0 and (tokens[before].word in _BESIDE_VERB or tokens[before].word.endswith("ly")):
        before -= 1
    left = tokens[before].word if before >= 0 else ""
    past = token.word in _IRREGULAR or (token.word.endswith("ed") and token.word[-3:] != "eed")
    past = past and token.word not in _NO_PAST
    if left in _BE:
        return True if past else False if token.word.endswith("ing") else None
    if left in _MODALS:
        return False
    if left in _DETERMINERS | _PREPOSITIONS:
        return None
    if past and left in _HAVE:
        return False
    if past:
        return None if _is_adjective(tokens, at) else _is_participle(tokens, at)
    return False if _is_present(tokens, at) else None


def _is_participle(tokens: Sequence[_Token], at: int) -> bool:
    """Whether it tells what was done to the noun before it: "the bridge, opened in May", "built by the council".

    Without a comma before it, a "by" or another verb follows, and no object does.
    """
    if at + 1 == len(tokens) or tokens[at + 1].word not in _PREPOSITIONS:
        return False
    if at == 0 or "," in tokens[at].gap:
        return True
    for token in tokens[at + 1 :]:
        if token.word == "by" or token.word in _BE | _HAVE | _MODALS:
            return True
        if token.gap.strip() or token.word in _JOINING | _AND | _RELATIVE:
            return False
    return False


def _is_adjective(tokens: Sequence[_Token], at: int) -> bool:
    """Whether it may be one: "the American animated series"."""
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    return bool(after and tokens[at].word not in _IRREGULAR and after.content and not (after.name or after.number))


def _is_present(tokens: Sequence[_Token], at: int) -> bool:
    """Whether one of noun and verb ends in s, and an object follows: "the wolf hunts the deer", "wolves hunt the"."""
    if not 0 < at < len(tokens) - 1 or tokens[at].gap.strip() or tokens[at + 1].gap.strip():
        return False
    noun, verb, after = tokens[at - 1], tokens[at], tokens[at + 1]
    agree = noun.word.endswith("s") != verb.word.endswith("s") and not verb.word.endswith("ss")
    return agree and (noun.content or noun.word in _RELATIVE) and after.word in _DETERMINERS


# -- clauses -----------------------------------------------------------------------------------------------------------


def _clauses(tokens: Sequence[_Token], verbs: dict[int, bool]) -> Iterator[tuple[int, int]]:
    """Ranges of tokens that have subjects of their own."""
    cuts = [0]
    for at in range(1, len(tokens)):
        stop = _STOP.search(tokens[at].gap)
        joined = tokens[at].word in _JOINING and any(cuts[-1] <= verb < at for verb in verbs)
        if stop or (joined and _has_subject(tokens, verbs, at + 1)):
            cuts.append(at)
    yield from pairwise([*cuts, len(tokens)])


def _has_subject(tokens: Sequence[_Token], verbs: dict[int, bool], start: int) -> bool:
    """Whether a name or "the …" is followed by a verb, with nothing but its own words between."""
    end = next((at for at in range(start, len(tokens)) if at in verbs or tokens[at].word in _BE), len(tokens))
    between = tokens[start:end]
    if (
        end == len(tokens)
        or tokens[end].gap.strip()
        or any(t.gap.strip() or t.word in _AND | _RELATIVE for t in between)
    ):
        return False
    marked = any(t.name or t.word in _DETERMINERS for t in between)
    return marked and bool(_heads(tokens, verbs, start, end))


def _heads(tokens: Sequence[_Token], verbs: dict[int, bool], start: int, end: int) -> frozenset[str]:
    """The content words that stand behind no preposition: "In May the head of the guard" gives "head"."""
    found = set()
    governed = filled = False
    for at in range(start, end):
        token = tokens[at]
        if token.word in _PREPOSITIONS:
            governed, filled = True, False
        elif "," in token.gap or (filled and (token.word in _DETERMINERS or _is_new_name(tokens, at))):
            governed = False
        filled = filled or token.word not in _DETERMINERS | _PREPOSITIONS
        if token.content and not governed and at not in verbs and not token.number and not token.word.endswith("ly"):
            found.add(token.stem)
    return frozenset(found)


def _is_new_name(tokens: Sequence[_Token], at: int) -> bool:
    """Whether a name begins there that the number before it is no part of: "in 1950 Ann Lee"."""
    return tokens[at].name and bool(tokens[at - 1].number)


def _deed(
    tokens: Sequence[_Token], verbs: dict[int, bool], at: int, start: int, end: int, numbers: frozenset[str]
) -> Deed:
    before = _heads(tokens, verbs, start, at)
    clause = _stems(tokens[start:end])
    if not verbs[at]:
        done = _object(tokens, verbs, at + 1, end)
        return Deed(tokens[at].stem, before, _stems(tokens[start:at]), done, clause, numbers)
    by = _by(tokens, verbs, at, end)
    doer = _object(tokens, verbs, by, end)
    return Deed(tokens[at].stem, doer, _stems(tokens[by:end]), before, clause, numbers)


def _by(tokens: Sequence[_Token], verbs: dict[int, bool], at: int, end: int) -> int:
    """Behind the "by" of a passive verb; `end` where it has none."""
    for i in range(at + 1, end):
        if tokens[i].word == "by":
            return i + 1
        if i in verbs and tokens[i - 1].word not in _AND:
            break
    return end


def _object(tokens: Sequence[_Token], verbs: dict[int, bool], start: int, end: int) -> frozenset[str]:
    """The content words of the noun that begins at `start`: none where something else does."""
    found = set()
    for at in range(start, end):
        token = tokens[at]
        own = token.content and at not in verbs
        if (
            not (own or token.word in _DETERMINERS | _AND)
            or (at == start and token.number)
            or token.gap.strip(" '’\"“”-")
        ):
            break
        if own and not token.number and not token.word.endswith("ly"):
            found.add(token.stem)
    return frozenset(found)


def _numbers(tokens: Sequence[_Token], inside: Sequence[int], at: int, start: int, end: int) -> frozenset[str]:
    """The numbers of the clause whose nearest verb is that at `at`: the one before, else the first."""
    here = inside.index(at)
    first = start if here == 0 else at
    last = inside[here + 1] if here + 1 < len(inside) else end
    return frozenset(token.number for token in tokens[first:last] if token.number)


def _stems(tokens: Sequence[_Token]) -> frozenset[str]:
    return frozenset(token.stem for token in tokens if token.content)


# -- any word between two others ---------------------------------------------------------------------------------------


def _reversed(claim: str, quote: str) -> str:
    """A word around which what stands directly before and behind it have changed places: "ladybirds eat aphids".

    Whether it is a verb need not be known: "the centre of the city" for "the city centre" moves one of both only. A
    quote that has the word twice, once this way and once that ("wolves fear bears and bears fear wolves"), says both.
    """
    theirs: dict[str, list[tuple[str, frozenset[str]]]] = defaultdict(list)
    for word, beside in _surroundings(quote):
        theirs[word].append(beside)
    for word, (before, behind) in _surroundings(claim):
        there = theirs[word]
        if any(before in after and first in behind for first, after in there) and all(
            before != first for first, _ in there
        ):
            return word
    return ""


@lru_cache(maxsize=256)
def _surroundings(text: str) -> tuple[tuple[str, tuple[str, frozenset[str]]], ...]:
    """Each content word ("by" with it, where it follows) with the one before it and the noun behind it."""
    return tuple(_surrounded(_tokens(text)))


def _surrounded(tokens: Sequence[_Token]) -> Iterator[tuple[str, tuple[str, frozenset[str]]]]:
    for at in range(1, len(tokens) - 1):
        before = at - 1
        while before > 0 and tokens[before].word in _HELPERS and not tokens[before].gap.strip():
            before -= 1
        if not tokens[at].content or not tokens[before].content or tokens[at].gap.strip():
            continue
        start = at + 1 + (tokens[at + 1].word in _PREPOSITIONS)
        behind = _object(tokens, {}, start, len(tokens))
        by = " by" * (tokens[at + 1].word == "by")
        yield tokens[at].stem + by, (tokens[before].stem, behind)
