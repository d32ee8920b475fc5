"""The LLM's text + the passages it was shown → sentences, each backed by a quote of its own passage.

Nothing here trusts the LLM: a marker counts only if the passage behind it supports the sentence, in
code. What is not supported is dropped, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .embedding import Encoder
from .evidence import Evidence, EvidenceFinder
from .sentences import LIST_ITEM, sentences
from .terms import content_words, names, numbers, stem, stems, words
from .types import Citation, Dropped, Passage, Sentence

SUPPORTED = 0.62  # least support of a shown sentence: half lexical, half cosine; see eval/EXPERIMENTS.md
_LEAST_LEXICAL, _LEAST_LEXICAL_STRICT = 0.5, 0.85

# [1], [1,2], [1-3], [1, 2; 4], 【1】, 【1†source】
_MARKER = re.compile(r"[\[【]\s*(\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\s*(?:†[^\]】]{0,40})?[\]】]")
_AFTER_STOP = re.compile(rf"([.!?…][\"”’)]*)((?:\s*{_MARKER.pattern})+)")
_HALF_MARKER = re.compile(r"[\[【][^\]】]{0,60}$")
_THINKING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.S | re.I)
_MARKUP = re.compile(r"^\s{0,3}(?:#{1,6}|>|[-*+•])\s+|^\s*```.*$|\*\*|__", re.M)
_NOT_FOUND = re.compile(r"^\W*(NOT FOUND\b|not found\W*$)|^\W*Not found\W*$")
_NEGATIONS = frozenset(
    "not no never none nobody nothing neither nor without cannot cant isnt arent wasnt werent dont doesnt didnt "
    "hasnt havent hadnt wont wouldnt couldnt shouldnt false denied denies failed fails refused refuses".split()
)
_NEGATED_WITHIN = 6  # words behind a negation: "did not, in the end, pass the parliament"
_OPPOSITES = (
    ("north", "south"), ("east", "west"), ("northern", "southern"), ("eastern", "western"), ("before", "after"),
    ("more", "less"), ("increase", "decrease"), ("rise", "fall"), ("rose", "fell"), ("win", "lose"), ("won", "lost"),
    ("accept", "reject"), ("support", "oppose"), ("above", "below"), ("first", "last"), ("begin", "end"),
    ("open", "close"), ("include", "exclude"), ("allow", "forbid"), ("strong", "weak"), ("high", "low"),
)  # fmt: skip
_BLANK_LINES = re.compile(r"\n\s*\n+")


class Claim(NamedTuple):
    """A sentence that the LLM wrote, without its markers, and the passage numbers that it named."""

    text: str
    cited: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Support:
    """A claim that holds: the quote that backs it and how well, 0..1."""

    quote: Evidence
    score: float


def says_not_found(reply: str) -> bool:
    """Whether the reply is the agreed "NOT FOUND", alone or at its beginning."""
    return bool(_NOT_FOUND.match(_MARKER.sub("", _plain(reply))))


def claims(reply: str) -> list[Claim]:
    """The sentences of a reply. Markers behind the full stop belong to the sentence before it."""
    text = _AFTER_STOP.sub(lambda m: f" {m.group(2).strip()}{m.group(1)}", _plain(reply))
    found = []
    for span in sentences(text):
        raw = text[span.start : span.end]
        claim = re.sub(r"\s+([.,;:!?])", r"\1", " ".join(_MARKER.sub(" ", raw).split()))
        if content_words(claim):
            found.append(Claim(claim, _numbers_of(raw)))
    return found


def completed_claims(reply: str) -> list[Claim]:
    """The claims of an unfinished reply that can no longer change: all but the last."""
    return claims(_HALF_MARKER.sub("", reply))[:-1]


def without_thinking(reply: str) -> str:
    """The reply without `<think>` blocks, closed or not."""
    return _THINKING.sub("", reply).strip()


def _plain(reply: str) -> str:
    return _MARKUP.sub("", without_thinking(reply)).strip()


def _numbers_of(text: str) -> tuple[int, ...]:
    cited: list[int] = []
    for match in _MARKER.finditer(text):
        for part in re.split(r"[,;]", match.group(1)):
            ends = [int(number) for number in re.findall(r"\d+", part)]
            cited += range(ends[0], min(ends[1], ends[0] + 20) + 1) if len(ends) == 2 else ends
    return tuple(dict.fromkeys(cited))


class Checker:
    """Checks claims against the passages of one answer.

    `strict` is for a writer that is not trusted with words of its own: nearly every content word of
    a claim must stand in the quote itself.
    """

    def __init__(
        self, passages: Sequence[Passage], finder: EvidenceFinder, encoder: Encoder, *, strict: bool = False
    ) -> None:
        self._passages = tuple(passages)
        self._encoder = encoder
        self._finder = finder
        self._strict = strict

    def check(self, claim: Claim) -> Support | Dropped:
        """Find the best quote that supports the claim: in a passage it cites, else in another that was shown."""
        cited = [self._passages[n - 1] for n in claim.cited if 1 <= n <= len(self._passages)]
        others = [p for p in self._passages if p not in cited]
        vector = self._encoder.documents([claim.text])[0]
        reason = ""
        for group in (cited, others):
            quotes = self._finder.against(vector, group)
            quotes.sort(key=lambda quote: -quote.cosine - _shared(claim.text, quote.text))
            outcomes = [(quote, _support(claim.text, quote, self._strict)) for quote in quotes]
            supports = [Support(quote, score) for quote, score in outcomes if isinstance(score, float)]
            if supports:
                return max(supports, key=lambda support: support.score)
            if outcomes and not reason:  # why the closest sentence of what was cited does not do
                reason = str(outcomes[0][1])
        return Dropped(claim.text, reason or "no passage was shown")


def _support(claim: str, quote: Evidence, strict: bool) -> float | str:
    """How well `quote` supports `claim`, 0..1, or why it does not.

    Every number and name of the claim must stand in the quote (names: in the title too), nothing may
    be negated on one side only, and support = ½ · share of the claim's content words + ½ · cosine.
    """
    title = f"{quote.passage.title} {quote.passage.heading}"
    if missing := numbers(claim) - numbers(quote.text):
        return f"the number {min(missing)} is not in the passage"
    known = set(words(quote.text)) | set(words(title))
    if strange := [name for name in _first_word(claim) + names(claim) if name not in known]:
        return f"the name '{strange[0]}' is not in the passage"
    if contradicts(claim, quote.text):
        return "one of claim and passage is negated"
    if opposite := _opposite(claim, quote.text):
        return f"the passage says '{opposite}', not the opposite"
    if _swapped(claim, quote.text):
        return "the names stand the other way round in the passage"
    if _mixed(claim, quote.text):
        return "it joins names of several items of a list"
    lexical = _shared(claim, quote.text if strict else f"{quote.text} {title}")
    score = 0.5 * lexical + 0.5 * max(quote.cosine, 0.0)
    if lexical < (_LEAST_LEXICAL_STRICT if strict else _LEAST_LEXICAL) or score < SUPPORTED:
        return f"no sentence of the passages supports it (best support {score:.2f})"
    return score


def _shared(claim: str, text: str) -> float:
    """The share of the claim's content words that `text` has, 0..1."""
    wanted = [stem(word) for word in content_words(claim)]
    held = stems(text)
    return sum(word in held for word in wanted) / max(len(wanted), 1)


def contradicts(claim: str, quote: str) -> bool:
    """Whether a word that both have is negated in one of them only: "was not appointed", "was appointed"."""
    here, there = _polarity(claim), _polarity(quote)
    return any(here[word] != there[word] for word in here.keys() & there.keys())


def _polarity(text: str) -> dict[str, bool]:
    """Each content stem, and whether a negation stands shortly before it, every time it occurs."""
    tokens = words(text)
    negated: dict[str, bool] = {}
    content = set(content_words(text))
    for i, token in enumerate(tokens):
        if token in content:
            near = bool(_NEGATIONS & set(tokens[max(0, i - _NEGATED_WITHIN) : i]))
            word = stem(token)
            negated[word] = negated.get(word, True) and near
    return negated


def _first_word(claim: str) -> list[str]:
    """The claim's first word, where it could be a name: the capital of "Dahl was appointed" does not tell."""
    first = claim.split(maxsplit=1)[0] if claim else ""
    alone = words(first)[:1]
    return alone if first[:1].isupper() and set(alone) & set(content_words(claim)) else []


def _opposite(claim: str, quote: str) -> str:
    """A word of the quote whose opposite, which the quote lacks, is in the claim."""
    ours, theirs = stems(claim), stems(quote)
    for pair in _OPPOSITES:
        for said, meant in (pair, pair[::-1]):
            if stem(said) in ours - theirs and stem(meant) in theirs - ours:
                return meant
    return ""


def _swapped(claim: str, quote: str) -> bool:
    """Whether two names changed sides of the same words: "A replaced B", "B replaced A". A passive ("by") may."""
    ours, theirs = words(claim), words(quote)
    shared = [name for name in names(claim) + _first_word(claim) if name in theirs]
    if ("by" in ours) != ("by" in theirs):
        return False
    for one in shared:
        for other in shared:
            here, there = _between(ours, one, other, shared), _between(theirs, other, one, shared)
            if here and here == there:
                return True
    return False


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


def _between(tokens: list[str], one: str, other: str, names_of_both: list[str]) -> list[str]:
    """The stems of the content words from `one` up to the first `other` behind it, the names left out."""
    start = tokens.index(one)
    if other not in tokens[start + 1 :]:
        return []
    inside = tokens[start + 1 : tokens.index(other, start + 1)]
    return [stem(word) for word in content_words(" ".join(inside)) if word not in names_of_both]


class Composer:
    """Puts an answer together: sentences, citations and text, each span cited under one marker."""

    def __init__(self) -> None:
        self.sentences: list[Sentence] = []
        self.citations: list[Citation] = []
        self.dropped: list[Dropped] = []

    def verified(self, claim: Claim, support: Support) -> bool:
        """Add a checked sentence; False when it says again what another one said."""
        text = shown(claim.text)
        if any(words(text) == words(s.text) for s in self.sentences):
            self.dropped.append(Dropped(claim.text, "it repeats another sentence"))
            return False
        self.sentences.append(Sentence(text, (self._cite(support.quote),), round(support.score, 3), "verified"))
        return True

    def quoted(self, quote: Evidence) -> None:
        """Add the document's own words as a sentence."""
        self.sentences.append(Sentence(f"“{shown(quote.text)}”", (self._cite(quote),), 1.0, "quoted"))

    @property
    def text(self) -> str:
        return " ".join(s.text + " " + "".join(f"[{n}]" for n in s.citations) for s in self.sentences)

    def _cite(self, quote: Evidence) -> int:
        for citation in self.citations:
            if (citation.passage.id, citation.start, citation.end) == (quote.passage.id, quote.start, quote.end):
                return citation.marker
        marker = len(self.citations) + 1
        self.citations.append(Citation(marker, quote.passage, quote.start, quote.end, quote.text))
        return marker


def shown(text: str) -> str:
    """Text for display: a literal "[12]" becomes "(12)", so that it cannot be read as one of our markers."""
    return _BLANK_LINES.sub("\n", _MARKER.sub(lambda m: f"({m.group()[1:-1]})", text)).strip()
