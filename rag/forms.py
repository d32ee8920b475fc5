"""The forms in which a sentence may say the same: other orders, the other voice, what stands behind a name.

Pure functions over tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .operators import LIMITING, TELLING, TURNING
from .sentences import word_set
from .syntax import (
    CLAUSES,
    FOR_A_PARTICIPLE,
    JOINING,
    PAST,
    PREPOSITIONS,
    RELATIVES,
    is_past,
    is_phrase,
    past_of,
    tells_when_or_where,
)
from .tokens import SENTENCE_END, Token, divides


class Form(NamedTuple):
    """The tokens of a sentence in another order."""

    tokens: tuple[Token, ...]
    moved: bool = False  # what was in front now stands behind


def forms(found: Sequence[Token]) -> Iterator[Form]:
    """The tokens as they stand; with what is in front behind the rest; with two phrases at the end exchanged.

    Each of these in the active voice, too; what stands behind a name as a sentence; and the name behind what it is.
    """
    plain = Form(tuple(found))
    for form in (plain, *_turned(plain.tokens), *_exchanged(plain.tokens)):
        yield form
        if active := _active(form.tokens):
            yield form._replace(tokens=active, moved=True)
    yield from _behind_a_name(plain.tokens)
    yield from _named_last(plain.tokens)


def _turned(found: tuple[Token, ...]) -> Iterator[Form]:
    """Turn "In May the queen fled" into "the queen fled in May": up to its comma, else wherever the phrase may end.

    A clause in front, "If it rains, …", ends with its comma. It is moved with all that turns it, and never left out.
    """
    if not found or any(token.key == SENTENCE_END for token in found):
        return
    body = found[:-1] if found[-1].kind == "stop" else found
    if any(token.key in RELATIVES | TELLING | CLAUSES - word_set("since as after before until") for token in body[1:]):
        return  # whose the phrase is, nobody knows
    comma = next((at for at, token in enumerate(body) if token.key == "," or token.parted), 0)
    behind = comma + (body[comma].key == ",") if comma else 0
    if found[0].key in CLAUSES and comma:
        yield Form((*body[behind:], *body[:comma]), moved=True)
    elif found[0].key in PREPOSITIONS:
        for cut in (comma,) if comma else range(2, min(9, len(body) - 1)):
            front = body[:cut]
            if not any(token.key in LIMITING | JOINING for token in front):
                yield Form((*body[behind or cut :], *front), moved=True)


def _exchanged(found: tuple[Token, ...]) -> Iterator[Form]:
    """Turn "is closed until May for repairs" into "is closed for repairs until May"."""
    body = found[:-1] if found and found[-1].kind == "stop" else found
    second = _last_phrase(body)
    first = _last_phrase(body[:second]) if second else 0
    told = tells_when_or_where(body[first:second]) or tells_when_or_where(body[second:]) if first else False
    if told and not any(divides(token) or token.parted for token in body[first + 1 :]):
        yield Form((*body[:first], *body[second:], *body[first:second]))


def _last_phrase(found: Sequence[Token]) -> int:
    """Where the phrase begins with which the tokens end, "in the north of Iran"; 0 if they end with none."""
    at = next((n for n in range(len(found) - 1, 0, -1) if found[n].key in PREPOSITIONS - {"of"}), 0)
    return at if at and is_phrase(found[at:]) else 0


def _behind_a_name(found: tuple[Token, ...]) -> Iterator[Form]:
    """Turn "Ann Lee, a nurse, left" into "Ann Lee was a nurse", and "Ann Lee, who fled, fell" into "Ann Lee fled"."""
    commas = [at for at, token in enumerate(found) if token.key == ","][:2]
    if len(commas) < 2 or any(token.key in PREPOSITIONS | LIMITING for token in found[: commas[0]]):
        return
    name, said = found[: commas[0]], found[commas[0] + 1 : commas[1]]
    behind = found[commas[1] + 1 : commas[1] + 2]
    several = behind and behind[0].key in JOINING | {"or"}
    if not said or several or any(divides(token) for token in said) or any(token.key in TURNING for token in found):
        return
    if said[0].key in ("which", "who"):
        yield Form((*name, *said[1:]))
    elif said[0].key in ("a", "an") and all(token.capital for token in name):
        past = any(is_past(token) or token.key in PAST for token in found[commas[1] :])
        yield Form((*name, Token("was" if past else "is", "word"), *said))


def _named_last(found: tuple[Token, ...]) -> Iterator[Form]:
    """Turn "Ann Lee is the head of the guard" into "the head of the guard is Ann Lee"."""
    body = found[:-1] if found and found[-1].kind == "stop" else found
    at = next((n for n, token in enumerate(body) if token.key in ("is", "was")), 0)
    name, told = body[:at], body[at + 1 :]
    plain = not any(divides(token) or token.parted or token.key in JOINING | RELATIVES for token in told)
    if name and plain and told and told[0].key == "the" and all(token.capital for token in name):
        yield Form((*told, body[at], *name))


def _active(found: tuple[Token, ...]) -> tuple[Token, ...]:
    """Turn "A was beaten by B in May" as "B beat A in May" round; nothing where it is not so simple."""
    keys = [token.key for token in found]
    for at in range(1, len(found) - 3):
        if keys[at] in FOR_A_PARTICIPLE and keys[at + 2] == "by" and found[at + 1].kind == "word":
            patient, verb = found[:at], found[at + 1]
            if any(divides(token) for token in patient) or patient[0].key in PREPOSITIONS:
                return ()
            rest = found[at + 3 :]
            ends = (n for n, t in enumerate(rest) if n and (divides(t) or t.key in PREPOSITIONS - {"of"}))
            end = next(ends, len(rest))
            present = keys[at] in ("is", "are")
            active = Token(verb.key if present else past_of(verb), "word", present=present)
            return (*rest[:end], active, *patient, *rest[end:])
    return ()
