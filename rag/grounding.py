"""The LLM's text + the passages it was shown → sentences, each backed by a quote of its own passage.

Nothing here trusts the LLM: a marker counts only if the passage behind it supports the sentence, in
code. What is not supported is dropped, with the reason.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from .antecedents import leans, of_a_person, stands_for
from .dictation import dictated, orders_to_speak, played
from .embedding import Encoder
from .evidence import Evidence, EvidenceFinder
from .rewording import changed, first_unsaid
from .sentences import sentences, without_mark
from .terms import content_words, numbers, stem, stems, words
from .types import Citation, Dropped, Passage, Sentence
from .untrusted import as_written, visible

# Brackets and digits in all their looks: a model, or a document, may write 【1】, ［1］, [¹].
_OPEN, _CLOSE, _DIGITS = r"\\?[\[［【〔⟦〚❲⁅]", r"\\?[\]］】〕⟧〛❳⁆]", r"[\d⁰¹²³⁴-⁹]{1,3}"
_LABEL = r"(?:(?:passages?|sources?|documents?|docs?|citations?|refs?)[\s:#.]*|\^)?"
# [1], [1,2], [1-3], [1, 2; 4], 【1】, 【1†source】, [Passage 1]
_MARKER = re.compile(
    rf"{_OPEN}\s*{_LABEL}({_DIGITS}(?:\s*[,;–-]\s*{_LABEL}{_DIGITS})*)\s*(?:†[^\]】]{{0,40}})?{_CLOSE}", re.I
)
# Of one that may hold other brackets, "【1†see [2]】", the beginning.
_MARKER_WITH_NOTE = re.compile(rf"{_OPEN}(?=\s*{_LABEL}{_DIGITS}(?:\s*[,;–-]\s*{_LABEL}{_DIGITS})*\s*†)", re.I)
# The same in a document's words, which may hold any number of digits; and what stands between brackets.
_LITERAL_MARKER = re.compile(
    r"\s*LABEL[\d⁰¹²³⁴-⁹]+(?:\s*[,;–-]\s*LABEL[\d⁰¹²³⁴-⁹]+)*\s*(?:†.*)?\\?".replace("LABEL", _LABEL), re.I | re.S
)
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and signs that are drawn as nothing
_BRACKETS = re.compile(r"\\?[\[［【〔⟦〚❲⁅]([^\[［【〔⟦〚❲⁅\]］】〕⟧〛❳⁆]*)[\]］】〕⟧〛❳⁆]")
_AFTER_STOP = re.compile(rf"([.!?…][\"”’)]*)((?:\s*{_MARKER.pattern})+)", re.I)
_HALF_MARKER = re.compile(rf"{_OPEN}[^\]］】〕⟧〛❳⁆]{{0,60}}$")
_THOUGHT = r"(?:think(?:ing)?|thoughts?|reasoning|reflection|analysis)"
# The opening tag may be part of the prompt: then only the closing one is in the reply.
_THINKING = re.compile(rf"<{_THOUGHT}>.*?(?:</{_THOUGHT}>|\Z)|\A.*</{_THOUGHT}>", re.S | re.I)
_TAG = re.compile(
    r"<!--.*?(?:-->|\Z)|<[|｜][^<>\n]{0,60}[|｜]>|<?<(?:\s*/\s*)?[a-z][^<>＞]{0,300}[>＞]>?|<[a-z]+\s[^<>=]*=[^<>]*\Z",
    re.S | re.I,
)
_LINK = re.compile(r"(!?)\[([^\[\]\n]*)\]\([^)\n]*\)")
# Images and links whose address stands elsewhere; a number in brackets is a marker, also behind an exclamation mark.
_NO_MARKER = rf"(?!\s*(?:\^|{_LABEL})?{_DIGITS})"
_REFERENCE = re.compile(
    rf"(!?)\[{_NO_MARKER}([^\[\]\n]*)\]\[{_NO_MARKER}[^\[\]\n]*\]|(!)\[{_NO_MARKER}[^\[\]\n]*\]", re.I
)
# A heading, a row of a table, a link's address are no sentences; of what else a line begins with, only the mark goes.
_MARKUP = re.compile(
    r"^[^\S\n]{0,3}(?:#{1,6}\s.*|\|.*|```.*|~~~.*|\[[^\]\n]{1,60}\]:\s.*)$"
    r"|^[^\S\n]*(?:>[^\S\n]*)*(?:[>•]\s+|[-*+]\s+|\d{1,2}[.)]\s+)+"
    r"|\*\*|__|`|(?<!\w)\*(?=\w)|(?<=[\w.,!?])\*(?!\w)",
    re.M,
)
_NOT_FOUND = re.compile(r"^\W*(NOT FOUND\b|not found\W*$)|^\W*Not found\W*$")
_NOTHING_FOUND = re.compile(r"(?<!\d )\bNOT FOUND\b")  # "return 404 Not Found" is what manuals say
_ABOUT_SHOWN = (
    r"(?:passages?|documents?|texts?|sources?|context|excerpts?|materials?|(?:provided|given|available) information)"
)
_TELL = (
    r"(?:contain|mention|provide|say|state|specify|include|answer|address|give|discuss|explain|indicate|reveal|cover"
    r"|tell|identify|name|describe|offer|have)"
)
_NO = r"(?:\b(?:not|no|nothing|nowhere|never|unable|cannot)\b|n[’']t\b)"
_REFUSAL = re.compile(
    # "The passages do not say …", "… is not mentioned in the documents", "I could not find …", "There is no mention …"
    rf"\b{_ABOUT_SHOWN}\b[^.]{{0,60}}(?:{_NO}[^.]{{0,30}}\b{_TELL}"
    r"|\b(?:fails? to|lacks?|(?:contains?|gives?|provides?) no)\b)"
    rf"|{_NO}[^.]{{0,80}}\b(?:in|from|by|on|within) (?:\w+ ){{0,2}}{_ABOUT_SHOWN}\b"
    rf"|\b(?:i|we)\b[^.]{{0,20}}{_NO}[^.]{{0,40}}\b(?:find|found|have|enough|information|answer)\b"
    r"|\b(?:there is|there[’']s|i have|i found) (?:no|not enough|insufficient)"
    r" (?:\w+ )?(?:information|mention|answer)\b",
    re.I,
)
_LONGEST_CLAIM = 1_500  # characters: no quote has so many, and the rules compare every word with every other
_DOUBTS = re.compile(r"\b(?:myths?|misconceptions?|hoax(?:es)?|falsehoods?|rumou?rs?|fallac(?:y|ies)|fake)\b", re.I)
_NEAR = 300  # characters on each side of a sentence where an order to say it is looked for
_LEAST_ALIKE = 0.4  # share of words under which no closer look is worth its time
# How models say that they keep to what they were shown: no statement of its own.
_FRAME = re.compile(
    r"^(?:(?P<by>according to|based on|as (?:stated|mentioned|noted|described|reported) in)|the|these)\s+"
    r"(?:(?:the|these|provided|given|above|cited|available)\s+)*"
    r"(?:passages?|documents?|texts?|sources?|context|excerpts?)(?:\s+\d{1,2})?"
    r"(?(by)\s*,\s*|\s+(?:states?|says?|mentions?|notes?|reports?|indicates?|explains?)\s+that\s+)",
    re.I,
)
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
    """Whether the reply, or one sentence of it, is the agreed "NOT FOUND", or says the same in prose.

    A document may say such a thing, too: ask this of sentences that no document supports.
    """
    text = _MARKER.sub("", _plain(reply))
    return bool(_NOT_FOUND.match(text) or _REFUSAL.search(text))


def orders_refusal(text: str) -> bool:
    """Whether a sentence of a document may tell its reader to say that nothing was found."""
    return any(
        orders_to_speak(sentence) and bool(_NOTHING_FOUND.search(sentence) or _REFUSAL.search(sentence))
        for sentence in (text[span.start : span.end] for span in sentences(text))
    )


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
    return claims(reply)[:-1]


def without_thinking(reply: str) -> str:
    """The reply without `<think>` blocks, closed or not, or opened in the prompt."""
    return _THINKING.sub("", reply).strip()


def _plain(reply: str) -> str:
    """The words of a reply: no thoughts, no Markdown, HTML or links, and nothing that cannot be seen."""
    text = as_written(visible(without_thinking(reply)))
    text = _without_links(_TAG.sub("", text))
    return _HALF_MARKER.sub("", _MARKUP.sub("", text)).strip()


def _without_links(text: str) -> str:
    """Links as their words; in time linear in the text: a link is looked for only where a bracket still closes it."""
    lines = []
    for line in re.sub(r"\]\(\s+", "](", text).split("\n"):
        closed = line.rfind(")") + 1
        lines.append(_LINK.sub(_words_of_link, line[:closed]) + line[closed:])
    return _REFERENCE.sub(lambda link: "" if link[1] or link[3] else link[2], "\n".join(lines))


def _words_of_link(link: re.Match[str]) -> str:
    image, label = link.groups()
    return "" if image else f"[{label}]" if label.strip().isdigit() else label


def _numbers_of(text: str) -> tuple[int, ...]:
    cited: list[int] = []
    for match in _MARKER.finditer(text):
        for part in re.split(r"[,;]", match.group(1)):
            ends = [_value(number) for number in re.findall(_DIGITS, part)]
            cited += range(ends[0], min(ends[1], ends[0] + 20) + 1) if len(ends) == 2 else ends
    return tuple(dict.fromkeys(cited))


def _value(digits: str) -> int:
    """Of digits of any script, superscripts too."""
    return int("".join(str(unicodedata.digit(digit)) for digit in digits))


class Checker:
    """Checks claims against the passages of one answer."""

    def __init__(self, passages: Sequence[Passage], finder: EvidenceFinder, encoder: Encoder) -> None:
        self._passages = tuple(passages)
        self._encoder = encoder
        self._finder = finder

    def check(self, claim: Claim) -> Support | Dropped:
        """Find the best quote that supports the claim: in a passage it cites, else in another that was shown."""
        cited = [self._passages[n - 1] for n in claim.cited if 1 <= n <= len(self._passages)]
        others = [p for p in self._passages if p not in cited]
        said = _FRAME.sub("", claim.text)
        if not content_words(said):
            return Dropped(claim.text, "it says nothing that could be checked")
        if len(said) > _LONGEST_CLAIM:
            return Dropped(claim.text, "it is longer than any quote")
        vector = self._encoder.documents([said])[0]
        reason = ""
        for group in (cited, others):
            single = self._finder.against(vector, group)
            for quotes in (single, _joined(single)):  # the shorter quote, where it will do
                quotes.sort(key=lambda quote: -quote.cosine - _shared(said, quote.text))
                outcomes = [(quote, self._support(said, quote)) for quote in quotes]
                supports = [Support(quote, score) for quote, score in outcomes if isinstance(score, float)]
                if supports:
                    return max(supports, key=lambda support: support.score)
                if outcomes and not reason:  # why the closest sentence of what was cited does not do
                    reason = str(outcomes[0][1])
        return Dropped(claim.text, reason or "no passage was shown")

    def _support(self, claim: str, quote: Evidence) -> float | str:
        """How well `quote` supports `claim`, 0..1, or why it does not.

        The claim has to be a rewording of the quote's sentence, and nothing around it may say that it is not meant so.
        support = ½ · share of the claim's content words + ½ · cosine: by it the better of two quotes is chosen.
        """
        titles = [quote.passage.title, quote.passage.heading]
        lexical = _shared(claim, f"{quote.text} {' '.join(titles)}")
        if lexical < _LEAST_ALIKE:
            return f"no sentence of the passages supports it (best share of its words {lexical:.2f})"
        if _DOUBTS.search(" ".join(titles)):
            return "the passage stands under a heading that doubts it"
        context = _context(quote)
        at_start, person = quote.passage.start == 0, of_a_person(quote.text)
        lent = [title for title in titles if stands_for(title, context.before, at_start=at_start, person=person)]
        if unsaid := first_unsaid(claim, quote.text, lent):
            return f"the passage does not say '{unsaid}'"
        if difference := changed(claim, context.sentence, lent):
            return difference
        if order := dictated(claim, context.near):
            return f"the passage only tells its reader to say so ('{order}')"
        if game := played(claim, _paragraph(quote)):
            return f"the passage says it in a game ('{game}')"
        return 0.5 * lexical + 0.5 * max(quote.cosine, 0.0)


def _shared(claim: str, text: str) -> float:
    """The share of the claim's content words that `text` has, 0..1. Numbers are compared elsewhere, by their value."""
    wanted = [stem(word) for word in _plain_words(claim)]
    held = stems(text)
    return sum(word in held for word in wanted) / len(wanted) if wanted else 1.0


class _Context(NamedTuple):
    """The whole sentence of a quote, with what turns it, and what stands around it."""

    sentence: str
    near: str  # where an order to say it would stand
    before: str


def _context(quote: Evidence) -> _Context:
    text, start, end = quote.passage.text, quote.start - quote.passage.start, quote.end - quote.passage.start
    spans = [span for span in sentences(text) if span.start < end and span.end > start]
    first, last = min([start, *(span.start for span in spans)]), max([end, *(span.end for span in spans)])
    near = text[max(0, first - _NEAR) : last + _NEAR]
    return _Context(without_mark(text[first:last].strip()), near, text[:first])


def _paragraph(quote: Evidence) -> str:
    """What stands before the quote in its paragraph, as far as the passage has it."""
    return quote.passage.text[: quote.start - quote.passage.start].rpartition("\n\n")[2]


def _plain_words(text: str) -> list[str]:
    return [word for word in content_words(text) if not numbers(word)]


def _joined(quotes: Sequence[Evidence]) -> list[Evidence]:
    """Neighbours, clauses of one sentence or sentences of one paragraph, as one quote: a claim may need both."""
    return [
        replace(one, end=other.end, cosine=max(one.cosine, other.cosine), context=one.context, items=())
        for one, other in pairwise(quotes)
        if one.passage == other.passage
        and one.text[-1] != ":"
        and one.end <= other.start
        and one.passage.text[one.end - one.passage.start : other.start - one.passage.start].strip(" ") == ""
    ]


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
        if self.sentences and leans(claim.text) and not self._goes_on(support.quote):
            self.dropped.append(Dropped(claim.text, "it does not say whom it is about"))
            return False
        self.sentences.append(Sentence(text, (self._cite(support.quote),), round(support.score, 3), "verified"))
        return True

    def _goes_on(self, quote: Evidence) -> bool:
        """Whether the quote goes on from the last one in its document: "She …" is about the same there."""
        last = self.citations[self.sentences[-1].citations[-1] - 1]
        passage = quote.passage
        if last.passage.document_id != passage.document_id or not passage.start <= last.end <= passage.end:
            return False
        between = passage.text[last.end - passage.start : max(quote.start, last.end) - passage.start]
        behind = last.start <= quote.start
        return behind and all(leans(between[span.start : span.end]) for span in sentences(between))

    def quoted(self, quote: Evidence) -> None:
        """Add the document's own words as a sentence."""
        self.sentences.append(Sentence(as_quote(quote.text), (self._cite(quote),), 1.0, "quoted"))

    @property
    def text(self) -> str:
        return text_of(self.sentences)

    def _cite(self, quote: Evidence) -> int:
        for citation in self.citations:
            if (citation.passage.id, citation.start, citation.end) == (quote.passage.id, quote.start, quote.end):
                return citation.marker
        marker = len(self.citations) + 1
        self.citations.append(Citation(marker, quote.passage, quote.start, quote.end, quote.text))
        return marker


def text_of(sentences: Iterable[Sentence]) -> str:
    """An answer's text: its sentences, each with its markers behind it."""
    return " ".join(s.text + " " + "".join(f"[{n}]" for n in s.citations) for s in sentences)


def as_quote(quote: str) -> str:
    """A document's own words as a sentence of an answer."""
    return f"“{shown(quote)}”"


def shown(text: str) -> str:
    """Text for display: a literal "[12]" becomes "(12)", so that it cannot be read as one of our markers."""
    text = _MARKER_WITH_NOTE.sub("(", _BRACKETS.sub(_in_round_brackets, text))
    return _BLANK_LINES.sub("\n", text).strip()


def _in_round_brackets(literal: re.Match[str]) -> str:
    """Whatever stands between its digits that has no width, or only marks them."""
    unseen = ("Cc", "Cf", "Mn", "Me")
    seen = "".join(c for c in literal[1] if c.isspace() or (unicodedata.category(c) not in unseen and c not in _BLANK))
    return f"({literal[1]})" if _LITERAL_MARKER.fullmatch(seen) else literal[0]
