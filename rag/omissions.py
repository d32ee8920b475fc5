"""What may be left out of a sentence, so that the rest says no more than it did.

An aside, a date, another statement; nothing that turns, limits or doubts what is said, and nothing at all beside "no",
"all" and "only": with less said there, more is said. Pure functions over tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from .forms import Form
from .operators import CONDITIONS, LIMITING, NEGATIONS, PROHIBITIONS, TURNING
from .sentences import word_set
from .syntax import (
    ARTICLES,
    JOINING,
    NOT_PAST,
    PAST,
    POSSESSIVE,
    PREPOSITIONS,
    RELATIVES,
    SUBORDINATORS,
    TITLES,
    content,
    is_clause,
    is_date,
    is_participle,
    is_past,
    is_phrase,
    is_verb,
    phrases,
    tells_when,
    tells_when_or_where,
)
from .tokens import SENTENCE_END, WITHIN_WORDS, Token, divides

_LIVED = word_set("born died founded since c ca circa")
_ONCE = word_set("after before during since until when while as once")  # of a time in the past: whenever it was
_MODALS = word_set("may might can could must shall should will would")
_ELABORATING = word_set("especially preferably particularly including usually mostly most")
_LASTING = word_set(
    "'s 're 've 'll 'm remain remains stay stays keep keeps become becomes get gets cost costs work works contain"
    " contains include includes need needs use uses run runs open opens close closes"
)
_SWEEPING = (
    NEGATIONS
    | PROHIBITIONS
    | word_set(
        "every any always only everyone everybody everything nobody whole entire both most least first last sole same"
    )
)
_ENGLISH = word_set(
    "of were with from by that has have had to his her their its this these which she he they it who whose when while"
    " because but not been being there than into after before during would could should"
)


class Omissions:
    """What a sentence may do without, so that a claim (the keys of which are `said`) says no more than it does."""

    def __init__(self, form: Form, said: frozenset[str]) -> None:
        self._tokens = found = form.tokens
        self._moved = form.moved
        keys = {token.key for token in found}
        self._is_joined = SENTENCE_END in keys
        # "No member left in 1903": without "in 1903" it says more, not less.
        self._is_sweeping = any(_sweeps(token) for token in found if token.key in said)
        self._english = bool(keys & {"the", "and"}) or keys >= {"a", "was"} or len(keys & _ENGLISH) >= 2
        past = said & PAST or any(is_past(token) for token in found if token.key in said)
        self._past = bool(past) and not said & (NOT_PAST | _LASTING)
        self._known: dict[tuple[int, int], bool] = {}

    def may_go(self, start: int, end: int) -> bool:
        """Whether the sentence may do without its tokens from `start` to `end`."""
        if start not in range(end):
            return start == end
        known = self._known.get((start, end))
        if known is None:
            known = self._known[start, end] = self._is_free(start, end)
        return known

    def _is_free(self, start: int, end: int) -> bool:
        run = self._tokens[start:end]
        core = content(run)
        if not core:
            return True
        if not self._english or any(token.key in _not_left_out(run, core) for token in core):
            return False
        if self._is_joined or core[0].key == "?":
            return False
        if any(token.kind == "sign" for token in core) and not self._is_parted(start, end):
            return False
        if all(token.key in TITLES and token.capital for token in core) and self._is_name(start, end):
            return True
        if start == 0:
            return not self._moved and self._is_free_in_front(run, core)
        if all(token.kind == "stop" for token in self._tokens[end:]):
            return self._is_free_behind(run, core, self._tokens[start - 1])
        return self._is_free_between(run, core, end)

    def _is_name(self, start: int, end: int) -> bool:
        """Whether a name stands there, and all the titles that it has go: not "Minister" for "Prime Minister"."""
        around = self._tokens[max(0, start - 1) : start] + self._tokens[end : end + 1]
        named = end < len(self._tokens) and self._tokens[end].capital
        return named and not any(token.key in TITLES for token in around)

    def _is_parted(self, start: int, end: int) -> bool:
        return divides(self._tokens[start]) and (end == len(self._tokens) or self._tokens[end - 1].kind == "stop")

    def _is_free_in_front(self, run: Sequence[Token], core: Sequence[Token]) -> bool:
        """What a comma ends, or ", and"; without one, when it was."""
        first, last = core[0], run[-1]
        if last.key == ":" or first.key in PAST | NOT_PAST:  # a label; "Were it to leak, …"
            return False
        joined = last.key in JOINING and len(run) > 1 and divides(run[-2])
        if first.key not in PREPOSITIONS | SUBORDINATORS:
            return joined or (divides(last) and _is_aside(run, core))
        if first.key == "because" and divides(last):
            return True
        if not self._past or self._is_sweeping:
            return False
        return tells_when(core) or (divides(last) and first.key in _ONCE) or joined

    def _is_free_behind(self, run: Sequence[Token], core: Sequence[Token], before: Token) -> bool:
        """What a comma or a bracket begins, another clause behind "and", and when or where it was."""
        first = core[0]
        while run[0].kind == "stop" and not divides(run[0]) and run[0].key not in WITHIN_WORDS:
            run = run[1:]  # a full stop, a quotation mark
        if run[0].key in "([":
            return self._is_free_in_brackets(core)
        parted = divides(run[0])
        if not parted and (comma := next((at for at, token in enumerate(run) if divides(token)), 0)):
            both = (run[:comma], before), (run[comma:], run[comma - 1])
            return all(self._is_free_behind(part, content(part), prior) for part, prior in both if content(part))
        if first.key == "because":
            return parted or not self._is_sweeping
        if first.key == "such" and core[1:] and core[1].key == "as":
            return not self._is_sweeping
        if first.key in SUBORDINATORS | PREPOSITIONS:
            if not self._past or self._is_sweeping:
                return False
            clause = first.key in SUBORDINATORS and (is_clause(core[1:]) or any(map(is_participle, core[1:2])))
            once = first.key in _ONCE or (first.key == "of" and before.kind == "number")  # "died in 1934 of an illness"
            phrase = once and all(is_phrase(part) for part in phrases(core))
            return parted or clause or phrase or tells_when_or_where(core)
        if first.key in JOINING:
            return is_clause(core[1:]) or (parted and first.key == "and" and not self._is_sweeping)
        return parted and run[0].key != ":" and _is_aside(run[1:], core) and not _says_who(core)

    def _is_free_between(self, run: Sequence[Token], core: Sequence[Token], end: int) -> bool:
        """An aside between two commas or in brackets; without them, when it was."""
        first = core[0]
        while len(run) > 2 and run[-1].kind == run[-2].kind == "stop":  # "(1841), "
            run = run[:-1]
        inside = any(divides(token) for token in run[1:-1])  # more than one aside, or more than one sentence
        if run[0].key in "([" and run[-1].key in ")]":
            return not any(token.key in "()[]" for token in run[1:-1]) and self._is_free_in_brackets(core)
        if divides(run[0]) and divides(run[-1]):
            if inside or ":" in (run[0].key, run[-1].key):
                return False
            if first.key in RELATIVES:
                return True
            if any(is_verb(token) for token in core[1:]):
                return False
            if first.key in PREPOSITIONS | SUBORDINATORS:
                return self._past and not self._is_sweeping
            # What begins otherwise may be a clause of its own.
            return all(token.capital or token.key == "of" for token in core) or _is_noun_or_participle(run[1:], core)
        behind = self._tokens[end]
        if run[0].kind == "stop" or run[-1].kind == "stop":
            return False
        if run[-1].key == "and" and behind.key in PAST | NOT_PAST:  # "was built in 1926 and has two floors"
            return (is_verb(first) or first.key.endswith("s")) and not any(t.key in RELATIVES for t in core)
        if not self._past or self._is_sweeping:
            return False
        goes_on = behind.kind == "number" or behind.key in ("'s", "of") or is_participle(behind)
        return tells_when(core) and not goes_on

    def _is_free_in_brackets(self, core: Sequence[Token]) -> bool:
        """What somebody is called, how many, or when he lived; in the past, whatever does not say when or where."""
        dated = any(map(is_date, core)) and (core[0].kind == "number" or core[0].key in _LIVED)
        foreign = any(not token.key.isascii() for token in core if token.kind == "word")
        if dated or foreign or all(token.capital or token.kind == "number" or token.key == "%" for token in core):
            return True
        return self._past and not self._is_sweeping and core[0].key not in PREPOSITIONS


def _not_left_out(run: Sequence[Token], core: Sequence[Token]) -> frozenset[str]:
    """The words that may not go with these tokens. What counts or limits in an aside counts nothing outside of it.

    "…, which surprised all", "…, the third novel by Bo Dahl", "…, especially for long stays", "…, who never left".
    """
    first = core[0].key
    several = any(divides(token) for token in run[1:-1])  # "…, because it leaks, Bo Dahl claims"
    if several or (not divides(run[0]) and first != "because"):
        return LIMITING
    if first in ("who", "whose", "whom", "because"):
        return CONDITIONS
    if first == "which":
        return TURNING - _MODALS
    aside = first in RELATIVES | _ELABORATING or any(token.key in ARTICLES for token in run[1:2])
    return TURNING if aside else LIMITING


def _is_aside(run: Sequence[Token], core: Sequence[Token]) -> bool:
    """Whether it may stand alone behind or in front of a comma: a clause, "a coal port", "built in 1841", "Ann Lee".

    Nothing of a list may: "gold, silver and bronze".
    """
    named = len(core) > 1 and all(token.capital or token.key == "of" for token in core)
    relative = core[0].key in RELATIVES
    return relative or named or _is_noun_or_participle(run, core) or any(is_verb(token) for token in core)


def _is_noun_or_participle(run: Sequence[Token], core: Sequence[Token]) -> bool:
    return run[0].key in ARTICLES | POSSESSIVE | _ELABORATING | {"one"} or is_participle(core[0])


def _says_who(core: Sequence[Token]) -> bool:
    """Whether it says who said so, behind what was said: ", Bo Dahl testified", ", the court heard"."""
    return len(core) > 1 and is_verb(core[-1])


def _sweeps(token: Token) -> bool:
    """Whether it says that there is no other, or none at all."""
    word = token.key
    return word in _SWEEPING or (len(word) > 5 and word.endswith("est") and token.kind == "word" and not token.capital)
