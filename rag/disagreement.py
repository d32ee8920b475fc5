"""Where a claim says something else than a quote although the words are much the same.

Pure functions over two strings; each looks for one way in which a sentence goes wrong, and none knows what the
sentences are about. The lists of words are closed classes of English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

from .roles import misattributed
from .sentences import LIST_ITEM, word_set
from .terms import content_words, fold, names, numbers, stem, stems, words

_NEGATIONS = word_set(
    "not no never none nobody nothing neither nor without cannot cant isnt arent wasnt werent dont doesnt didnt hasnt"
    " havent hadnt wont wouldnt couldnt shouldnt false denied denies failed fails refused refuses hardly barely"
)
_DO = word_set("do does did")
_NEGATED_WITHIN = 6  # words behind a negation: "did not, in the end, pass the parliament"
_OPPOSITES = tuple(
    (one, other)
    for pair in (
        "north/south east/west northern/southern eastern/western before/after more/less more/fewer increase/decrease"
        " increase/reduce rise/fall rose/fell raise/reduce raise/lower win/lose won/lost accept/reject support/oppose"
        " above/below upper/lower higher/lower first/last begin/end began/ended start/end open/close include/exclude"
        " allow/forbid strong/weak high/low highest/lowest large/small larger/smaller largest/smallest early/late"
        " earlier/later earliest/latest old/new old/young older/younger oldest/youngest long/short longer/shorter"
        " father/mother son/daughter brother/sister husband/wife uncle/aunt king/queen man/woman men/women boy/girl"
        " male/female public/private rich/poor buy/sell bought/sold enemy/ally gain/lose gained/lost left/right"
        " birth/death born/died success/failure succeed/fail victory/defeat maximum/minimum positive/negative"
        " same/different similar/different"
        " modern/ancient major/minor common/rare internal/external formal/informal presence/absence"
        " active/passive attack/defend agree/disagree arrive/leave enter/leave add/remove always/never all/none"
        " best/worst good/bad better/worse hot/cold wet/dry full/empty true/false safe/dangerous easy/difficult"
        " teacher/student buyer/seller employer/employee parent/child majority/minority inside/outside up/down"
        " top/bottom front/back day/night summer/winter with/without create/destroy build/destroy most/least"
    ).split()
    for one, other in [tuple(pair.split("/"))]
)
_NEGATING_PREFIX = re.compile(r"(?:un|in|im|il|ir|dis|non|mis)(?=\w{4})")
# What holds of all says more than what holds of some; so does what is certain, and what is exact.
_EVERY = word_set("all every each always entire entirely whole wholly both never none only solely exactly must")
_EVERY_FORMS: Mapping[str, str] = {
    "every": "all", "each": "all", "entire": "all", "entirely": "all", "whole": "all", "wholly": "all", "none": "never",
    "solely": "only",
}  # fmt: skip
_PARTLY = word_set(
    "some most many several few often sometimes usually generally typically mostly frequently rarely seldom almost"
    " nearly partly partially largely occasionally various numerous mainly approximately roughly commonly"
)
_POSSIBLY = word_set(
    "may might could possibly perhaps probably likely reportedly allegedly supposedly apparently presumably potentially"
)
_SUPPOSED = word_set(
    "thought believed said considered suspected expected planned intended reported alleged claimed likely supposed"
    " assumed rumoured rumored scheduled planning hoping trying attempting planned tried attempted"
)
_CONDITIONS = word_set("if unless provided whether when whenever until")
_ASKED_FOR = word_set("if unless")
# Who tells something need not be right, and who asks for it does not say it.
_TOLD = re.compile(
    r"\b(?P<verb>claim|argue|allege|believe|suggest|propos|speculat|predict|assum|say|said|think|thought|reply|repl|answer|"
    r"declar|assert|state|insist|deni|deny|doubt|fear|hope|rumou?r|suppose|suspect|pretend|imagin|maintain|contend|hypothesi)"
    r"\w*(?: \w+){0,2}? that\b",
    re.I,
)
_BOUND = re.compile(
    r"(?P<over>more than|over|at least|above|exceed\w+|no fewer than|no less than)"
    r"|(?P<under>less than|fewer than|up to|under|at most|below|no more than)"
    r"|(?P<about>about|around|approximately|roughly|nearly|almost|circa|some)",
    re.I,
)
_BOUNDED = re.compile(rf"\b(?:{_BOUND.pattern})\s+[$£€]?(?P<number>\d+(?:[.,]\d+)*|[a-z]+)", re.I)
# Of whom the rest of the sentence does not tell.
_EXCLUDED = re.compile(
    r"\b(?i:unlike|instead of|rather than|in contrast to|as opposed to|contrary to|other than|apart from|but not"
    r"|except(?: for)?)\s+(?P<names>(?:(?:the|a|an)\s+)?(?:[A-Z][\w'’-]*\s*)+)"
)
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W_]+(?:['’][^\W_]+)*")


def disagreement(claim: str, quote: str) -> str:
    """Why `claim` cannot be what `quote` says, in a few words; "" where nothing speaks against it."""
    if contradicts(claim, quote):
        return "one of claim and passage is negated"
    if opposite := _opposite(claim, quote):
        return f"the passage says '{opposite}', not the opposite"
    if stronger := _stronger(claim, quote):
        return f"the passage does not say '{stronger}'"
    if overstated := _overstated(claim, quote):
        return f"the passage says it with a reservation about '{overstated}'"
    if not _CONDITIONS & set(words(claim)) and _ASKED_FOR & set(words(quote)):
        return "the passage says it under a condition"
    if _told(quote) - stems(claim) and not _told(claim):
        return "the passage only tells that somebody says so"
    if exchanged := _exchanged(claim, quote):
        return f"the passage has another name or number in the place of '{exchanged}'"
    if _swapped(claim, quote) or _other_voice(claim, quote) or _other_voice(quote, claim):
        return "the names stand the other way round in the passage"
    if name := _excluded_once(claim, quote):
        return f"one of claim and passage leaves '{name}' out of what it tells"
    if verb := misattributed(claim, quote):
        return f"the passage says it of another ('{verb}')"
    if _mixed(claim, quote):
        return "it joins names of several items of a list"
    return ""


def _excluded_once(claim: str, quote: str) -> str:
    """A name that both have, and one of them as in "unlike Ann Lee"; "" when there is none."""
    both = set(words(claim)) & set(words(quote))
    return min((_excluded(claim) ^ _excluded(quote)) & both, default="")


def _excluded(text: str) -> set[str]:
    return {name for run in _EXCLUDED.finditer(text) for name in names(f"x {run['names']}")}


def first_word(claim: str) -> list[str]:
    """The claim's first word, where it could be a name: the capital of "Dahl was appointed" does not tell."""
    first = next(iter(claim.split(maxsplit=1)), "")
    alone = words(first)[:1]
    return alone if first[:1].isupper() and set(alone) & set(content_words(claim)) else []


def contradicts(claim: str, quote: str) -> bool:
    """Whether one is negated and the other not: a word that both have, or by a "not" that only one of them has."""
    here, there = _polarity(claim), _polarity(quote)
    if any(here[word] != there[word] for word in here.keys() & there.keys()):
        return True
    alone = (set(words(run)) for pair in _differences(claim, quote) for run in pair if "" in pair)
    return any(run & _NEGATIONS and run <= _NEGATIONS | _DO for run in alone)


def _polarity(text: str) -> dict[str, bool]:
    """Each content stem, and whether a negation stands shortly before it, every time it occurs."""
    tokens = words(text)
    negated: dict[str, bool] = {}
    content = set(content_words(text))
    for i, token in enumerate(tokens):
        if token in content and not token.isdigit():
            near = bool(_NEGATIONS & set(tokens[max(0, i - _NEGATED_WITHIN) : i]))
            word = stem(token)
            negated[word] = negated.get(word, True) and near
    return negated


def _opposite(claim: str, quote: str) -> str:
    """A word of the quote whose opposite is in the claim: in its place, or with one of both lacking on each side."""
    ours, theirs = stems(claim), stems(quote)
    in_place = {(stem(one), stem(other)) for one, other in replaced(claim, quote)}
    for pair in _OPPOSITES:
        for said, meant in (pair, pair[::-1]):
            lacking = stem(said) in ours - theirs and stem(meant) in theirs - ours
            if lacking or (stem(said), stem(meant)) in in_place:
                return meant
    new, lost = set(words(claim)) - set(words(quote)), set(words(quote)) - set(words(claim))
    for one, other in ((new, lost), (lost, new)):
        for word in one:
            if _NEGATING_PREFIX.match(word) and _NEGATING_PREFIX.sub("", word, count=1) in other:
                return word if word in lost else _NEGATING_PREFIX.sub("", word, count=1)
    return ""


def _stronger(claim: str, quote: str) -> str:
    """A word of the claim that makes it hold of all, always or alone, without its like in the quote."""
    theirs = {_EVERY_FORMS.get(word, word) for word in words(quote)}
    return next((w for w in words(claim) if w in _EVERY and _EVERY_FORMS.get(w, w) not in theirs), "")


def _overstated(claim: str, quote: str) -> str:
    """A word that the quote has with "may", "some" or "more than" in front of it, and the claim without."""
    ours, theirs = _reserved(claim), _reserved(quote)
    present = stems(claim) | numbers(claim)
    return next((word for word, kinds in theirs.items() if word in present and kinds - ours.get(word, set())), "")


def _reserved(text: str) -> dict[str, set[str]]:
    """The kinds of reservation with which a word or number stands in the text."""
    found: dict[str, set[str]] = {}
    written = _TOKEN.findall(text)
    tokens = [fold(token) for token in written]
    content = set(content_words(text))
    for i, token in enumerate(tokens):
        if written[i][0].isupper() and i:  # the month of May
            continue
        supposed = token in _SUPPOSED and tokens[i + 1 : i + 2] == ["to"]
        kind = "possibly" if token in _POSSIBLY or supposed else "partly" if token in _PARTLY else ""
        if kind:
            plain = (w for w in tokens[i + 1 : i + 5] if w in content - _PARTLY - _POSSIBLY)
            if word := next(plain, ""):
                found.setdefault(stem(word), set()).add(kind)
    for match in _BOUNDED.finditer(text):
        for number in numbers(match["number"]):
            found.setdefault(number, set()).add(next(k for k in ("over", "under", "about") if match[k]))
    return found


def _told(text: str) -> set[str]:
    """The stems of the verbs by which the text leaves a statement to somebody else: "argued that"."""
    return {stem(fold(match.group().split()[0])) for match in _TOLD.finditer(text)}


def replaced(claim: str, quote: str) -> list[tuple[str, str]]:
    """Single words of the claim, each with the word that the quote has in its place, between the same words."""
    pairs = ((words(here), words(there)) for here, there in _differences(claim, quote))
    return [(one[0], other[0]) for one, other in pairs if len(one) == len(other) == 1]


@lru_cache(maxsize=256)  # several rules look at the same two sentences
def _differences(claim: str, quote: str) -> tuple[tuple[str, str], ...]:
    """Both laid side by side: each run of the claim and the run that the quote has in its place, "" for nothing."""
    ours, theirs = list(_TOKEN.finditer(claim)), list(_TOKEN.finditer(quote))
    matcher = SequenceMatcher(None, [_same(m) for m in ours], [_same(m) for m in theirs], autojunk=False)
    return tuple(
        (_run(claim, ours[i:i_end]), _run(quote, theirs[j:j_end]))
        for kind, i, i_end, j, j_end in matcher.get_opcodes()
        if kind != "equal"
    )


def _run(text: str, tokens: Sequence[re.Match[str]]) -> str:
    return text[tokens[0].start() : tokens[-1].end()] if tokens else ""


def _exchanged(claim: str, quote: str) -> str:
    """A name or number of the claim that stands where the quote has another one, the words around being the same."""
    our_names, their_names = set(names(claim) + first_word(claim)), set(names(quote) + first_word(quote))
    for here, there in _differences(claim, quote):
        for said, meant in (
            (numbers(here), numbers(there)),
            (our_names & set(words(here)), their_names & set(words(there))),
        ):
            if said - meant and meant - said:
                return min(said - meant)
    return ""


def _same(token: re.Match[str]) -> str:
    """One form of a word or number, for comparing."""
    return next(iter(numbers(token.group())), "") or stem(fold(token.group()))


def _swapped(claim: str, quote: str) -> bool:
    """Whether two names changed sides of the same words: "A replaced B", "B replaced A". A passive ("by") may."""
    ours, theirs = words(claim), words(quote)
    found = [n for n in dict.fromkeys(names(claim) + first_word(claim)) if ours.count(n) == theirs.count(n) == 1]
    for one in found:
        for other in found:
            here, there = _between(ours, one, other, found), _between(theirs, other, one, found)
            if here and here[0] == there[0] and here[0] and here[1] == there[1]:
                return True
    return False


def _between(tokens: list[str], one: str, other: str, left_out: list[str]) -> tuple[list[str], bool]:
    """The stems of the content words from `one` to `other`, names left out, and whether "by" is among the words."""
    start, end = tokens.index(one), tokens.index(other)
    inside = tokens[start + 1 : end]
    return [stem(word) for word in content_words(" ".join(inside)) if word not in left_out], "by" in inside


def _other_voice(active: str, passive: str) -> bool:
    """Whether what "was done by" somebody does it to them in the other: "was beaten by Ford", "beat Ford"."""
    done_by = _followed(passive, by=True) - _followed(passive, by=False)
    return not done_by.isdisjoint(_followed(active, by=False) - _followed(active, by=True))


def _followed(text: str, *, by: bool) -> set[tuple[str, str]]:
    """Pairs of neighbouring content stems, those parted by "by" or the others."""
    tokens = words(text)
    content = set(content_words(text))
    at = [i for i, token in enumerate(tokens) if token in content]
    return {(stem(tokens[i]), stem(tokens[j])) for i, j in pairwise(at) if ("by" in tokens[i + 1 : j]) is by}


def _mixed(claim: str, quote: str) -> bool:
    """Whether names of several items of a list are joined, and not all names of these items.

    What is said of one item may then be told of another: "A, headed by X" and "B, headed by Y" do not support
    "Y heads A".
    """
    items = [names(line) for line in quote.splitlines() if LIST_ITEM.match(line)]
    said = set(words(claim))
    # A name that several items have tells none of them.
    own = [{n for n in item if sum(n in other for other in items) == 1} for item in items]
    used = [item for item in own if item & said]
    return len(used) > 1 and not all(item <= said for item in used)
