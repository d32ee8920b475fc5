"""Whether a sentence says no more and no less than a sentence of a document, by what was done to its words.

A rewording may leave out an aside, a date, another statement (`omissions.py`); have another order or voice
(`forms.py`); join two sentences; write numbers, dates and units in another way (`tokens.py`); and put the document's
title in the place of a pronoun (`antecedents.py`), or of "the bridge". Everything else that it says, to the last
function word, sign and unit, must stand in the sentence in the same order, and nothing may be left out that turns,
limits or doubts what is said: "only", "not", "according to", "if". What this does not know, other ways to say the same
too, is no rewording: a true sentence may be refused, and the document's own words are shown in its place. Pure
functions over strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .antecedents import begins_with, defines, names_another
from .forms import Form, forms
from .omissions import Omissions
from .operators import LIMITING
from .sentences import sentences, word_set
from .speechacts import asks
from .syntax import (
    ARTICLES,
    DEFINITE,
    FOR_A_PARTICIPLE,
    JOINING,
    LEADING_ON,
    NOT_PAST,
    OF_A_PERSON,
    PAST,
    POSSESSIVE,
    PREPOSITIONS,
    RELATIVES,
    STANDS_FOR,
    SUBORDINATORS,
    TITLES,
    past_of,
    same_word,
    without_articles,
)
from .terms import stem
from .tokens import FREE_STOPS, SENTENCE_END, Token, by_sentence, divides, tokens, without_stops

MOST_TOKENS = 250  # of a sentence that is looked at: what is longer is quoted
_MOST_STEPS = 50_000  # a sentence of 45 words takes some thousands
_OF_SEVERAL = word_set("they them their theirs these")
_COMING = LEADING_ON - word_set("therefore thus consequently")
_JOINS_SENTENCES = word_set("and")
_TELLING_WHICH = (PREPOSITIONS - word_set("since until during despite because")) | RELATIVES | {"'s"}
_BEFORE_A_SUBJECT = PREPOSITIONS | SUBORDINATORS | JOINING | STANDS_FOR | (LEADING_ON - ARTICLES)
_SPEECH = re.compile(r"[^\w“\"«]*[“\"«][^”\"»]*(?:[”\"»]\W*)?")  # all of it, in quotation marks
_UNTICKED = re.compile(r"\W*?(?:\[[ _]?\]|[☐❏❑□])")


def changed(claim: str, sentence: str, titles: Sequence[str] = ()) -> str:
    """Why `claim` does not say what `sentence` says, or a part of it that stands by itself; "" where it does.

    Each of `titles` may stand for a pronoun. What turns the sentence from outside has to stand in it: see `leads.py`.
    """
    said, written = by_sentence(claim), by_sentence(sentence)
    if asks(sentence):
        return "the passage asks it"
    if [token.key for token in said] == [token.key for token in written] and len(said) <= MOST_TOKENS:
        return ""
    if _SPEECH.fullmatch(sentence) and not _SPEECH.fullmatch(claim):
        return "the passage quotes it from somebody"
    if _UNTICKED.match(sentence):
        return "the passage has not ticked it"
    if max(len(said), len(written)) > MOST_TOKENS:
        return "it is longer than any quote"
    names = tuple(without_stops(tokens(title)) for title in titles)
    ours = list(forms(without_stops(said)))
    for form in forms(written):
        source = _Source(form, names, frozenset(token.key for token in said))
        if any(source.gives(our.tokens) for our in ours):
            return ""
    return _difference(said, written)


def first_unsaid(claim: str, text: str, titles: Sequence[str] = ()) -> str:
    """The first word, number or sign of `claim` that neither `text` nor one of `titles` has; "" if they have all."""
    known = [token for source in (text, *titles) for token in tokens(source)]
    keys = {past_of(token) for token in known} | _COMING | FOR_A_PARTICIPLE
    if len(sentences(text)) > 1:
        keys |= _JOINS_SENTENCES
    if any(token.key in POSSESSIVE for token in known):
        keys |= {"'s"}
    stemmed = {stem(token.key) for token in known if token.kind == "word"}
    first = ""
    for form in forms(without_stops(tokens(claim))):
        unsaid = (t.key for t in form.tokens if past_of(t) not in keys and stem(t.key) not in stemmed)
        if not (missing := next(unsaid, "")):
            return ""
        first = first or missing
    return first


def _difference(said: Sequence[Token], written: Sequence[Token]) -> str:
    """What parts them, in a few words."""
    kept = {token.key for token in said}
    left = next((token.key for token in written if token.key in LIMITING and token.key not in kept), "")
    return f"it leaves out '{left}'" if left else "the passage says it in another way"


class _Source:
    """A sentence of a document, from which others may be made."""

    def __init__(self, form: Form, titles: Sequence[Sequence[Token]], said: frozenset[str]) -> None:
        self._tokens = form.tokens
        self._moved = form.moved
        self._titles = [without_articles(title) for title in titles if title]
        self._omissions = Omissions(form, said)

    def gives(self, claim: Sequence[Token]) -> bool:
        """Whether the claim's tokens are this sentence's, in order, but for what may be left out, added or replaced."""
        at: dict[int, set[int]] = {0: {0}}  # by the claim's tokens so far: how far into the sentence they may reach
        looked_at = 0
        for i, token in enumerate(claim):
            for j in at.pop(i, set()):
                looked_at += len(self._tokens) - j
                if looked_at > _MOST_STEPS:  # the same word again and again
                    return False
                for after, ahead in self._steps(claim, i, token, j):
                    at.setdefault(after, set()).add(ahead)
            if not at:
                return False
        return any(self._omissions.may_go(j, len(self._tokens)) for j in at.get(len(claim), ()))

    def _steps(self, claim: Sequence[Token], i: int, token: Token, j: int) -> Iterator[tuple[int, int]]:
        """How far one may get in both from there by the next token of the claim."""
        if self._may_come(token, j) or self._is_auxiliary(claim, i, j):
            yield i + 1, j
        for k in range(j, len(self._tokens)):
            theirs = self._tokens[k]
            each = "every" in (claim[i - 1].key if i else "", self._tokens[k - 1].key if k else "")
            is_same = same_word(token, theirs, any_number=each)
            is_named = theirs.key in STANDS_FOR or self._is_described(k)
            is_joint = token.key in _JOINS_SENTENCES and theirs.key == SENTENCE_END
            if not ((is_same or is_named or is_joint) and self._omissions.may_go(j, k)):
                continue
            if is_same and self._is_parted_alike(token, i, j, k):
                yield i + 1, k + 1
            if is_named and self._is_of_title(k):
                yield from ((end, k + 1) for end in self._named(claim, i, theirs))
            if is_joint:
                yield i + 1, k + 2 if self._goes_on_about_it(k) else k + 1

    def _is_parted_alike(self, token: Token, i: int, j: int, k: int) -> bool:
        """Whether a comma stands before a token in both or in neither: "the panda eats, shoots and leaves"."""
        run = self._tokens[j:k]
        stops = [t for t in run if divides(t)]
        if not i or len(stops) < len([t for t in run if t.key not in LEADING_ON and t.key not in FREE_STOPS]):
            return True  # a new beginning, or something between was left out
        if bool(stops) is token.parted:
            return True
        in_front = self._tokens[0].key in PREPOSITIONS | SUBORDINATORS
        return token.key in JOINING | {"or"} | RELATIVES or in_front

    def _is_of_title(self, k: int) -> bool:
        """Whether nothing that the word there could mean is named in front of it: "Ann Lee left when she …"."""
        if self._tokens[k].key not in STANDS_FOR:
            return sum(token.key == self._tokens[k].key for token in self._tokens) == 1
        front = self._tokens if self._moved else self._tokens[:k]
        known = [Token(name, "word") for title in self._titles for name in title]
        plain = not any(token.key in ARTICLES for token in front) and not names_another(front, known)
        return not front or (front[0].key in _BEFORE_A_SUBJECT and plain)

    def _may_come(self, token: Token, j: int) -> bool:
        """Whether the claim may say that word besides: not "the cause" for "a cause", nor "therefore"."""
        indefinite = j < len(self._tokens) and self._tokens[j].key in ("a", "an")
        return token.key in _COMING and not (token.key == "the" and indefinite)

    def _goes_on_about_it(self, end: int) -> bool:
        """Whether the next sentence begins with a pronoun for whom this one is about: the title, or nobody else."""
        first, behind = self._tokens[:end], self._tokens[end + 1 : end + 2]
        if not behind or behind[0].key not in ("he", "she", "it", "they"):
            return False
        titles = [[Token(name, "word") for name in title] for title in self._titles]
        words = [token for token in first if token.kind != "stop"]
        if any(begins_with(words, title) and defines(words, title) for title in titles):
            return True
        if behind[0].key not in ("he", "she"):
            return False
        name = [token for n, token in enumerate(first) if all(t.capital for t in first[: n + 1])]
        alone = name or first[0].key == behind[0].key
        told = ((first[n - 1], token) for n, token in enumerate(first) if n)
        others = any(token.key in ARTICLES | POSSESSIVE and before.key not in PREPOSITIONS for before, token in told)
        return bool(alone) and not others and not names_another(first, name)

    def _is_described(self, k: int) -> bool:
        """Whether it is a word of a title behind "the", with nothing that says which: "the bridge", not "of Bled"."""
        token, behind = self._tokens[k], self._tokens[k + 1 : k + 2]
        if not k or self._tokens[k - 1].key not in DEFINITE or token.capital or not behind:
            return False
        which = behind[0].capital or behind[0].key in _TELLING_WHICH
        return not which and any(token.key in title for title in self._titles)

    def _named(self, claim: Sequence[Token], i: int, pronoun: Token) -> Iterator[int]:
        """Where a title, or a part of a plain name, ends in the claim that stands there for the pronoun."""
        start = i + (claim[i].key in ARTICLES)
        for title in self._titles:
            end = start
            while end < len(claim) and claim[end].key in title:
                end += 1
            run = without_articles(claim[start:end])
            role = len(run) == 1 and run[0] in TITLES and run[0] in title
            surname = len(title) == 2 and run == title[-1:] and pronoun.key in OF_A_PERSON
            if not run or not (role or surname or run == title):
                continue
            if any(key in ("and", "or", "vs", "&") for key in title) and pronoun.key not in _OF_SEVERAL:
                continue
            if pronoun.key not in STANDS_FOR and pronoun.key not in without_articles(claim[start:end]):
                continue
            owner = end < len(claim) and claim[end].key == "'s"
            if owner and pronoun.key in POSSESSIVE:
                yield end + 1
            elif not owner and pronoun.key not in POSSESSIVE - {"her"}:
                yield end

    def _is_auxiliary(self, claim: Sequence[Token], i: int, j: int) -> bool:
        """Whether it is a verb that the participle behind it does without: "the movement (is) headed by Ann Lee"."""
        behind = claim[i + 1 : i + 3]
        if claim[i].key not in FOR_A_PARTICIPLE or len(behind) < 2 or behind[1].key != "by":
            return False
        here = self._tokens[j : j + 2]
        return [t.key for t in here] == [t.key for t in behind] and not any(
            t.key in PAST | NOT_PAST for t in self._tokens
        )
