"""Ranked passages → scored sentences: which words answer, and how sure we are that they do."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .answertype import AnswerType, asks_why, expected, gives_reason, holds, share_asked_for
from .clauses import clauses
from .embedding import Encoder, FloatArray
from .retrieval import Query
from .sentences import LIST_ITEM, sentences
from .terms import numbers, stems, words
from .types import Hit, Passage, Span

QUOTE_WORDS = 35  # a longer sentence is quoted by the clause
ANSWER_WORDS = 75  # all quotes of one answer together
MOST_QUOTES = 4
_CACHED_PASSAGES = 4096

# How much each part counts in a sentence's score (`Evidence.score`); measured in eval/EXPERIMENTS.md.
_COVERAGE, _PASSAGE_COVERAGE, _PASSAGE_RANK, _TYPE = 0.2, 0.1, 0.15, 0.1

_PRONOUNS = frozenset("he she it they this that these those his her its their him them".split())


@dataclass(frozen=True, slots=True)
class Evidence:
    """A run of a passage that may answer: `passage.text[start - passage.start : end - passage.start]`.

    `cosine`: to the question; `score`: what evidence is ranked by, comparable within one question.
    """

    passage: Passage
    start: int
    end: int
    cosine: float
    score: float
    context: str = ""  # words outside the quote that say what it is about

    @property
    def text(self) -> str:
        return self.passage.text[self.start - self.passage.start : self.end - self.passage.start]

    def overlaps(self, other: Evidence) -> bool:
        """Whether both share characters of one document."""
        return (
            self.passage.document_id == other.passage.document_id and self.start < other.end and other.start < self.end
        )


class Features(NamedTuple):
    """What confidence is computed from. Each is in about -1..1, whatever the size of the corpus."""

    sentence_cosine: float  # of the closest sentence
    passage_cosine: float  # of the closest passage
    numbers: float  # share of the question's numbers in the shown passages
    answer_type: (
        float  # 1 when the best sentence holds the number, date or name asked for, ½ when another shown one does
    )
    asked_for: float  # how much of the thing asked for ("deputy head") the best sentence speaks of, 0..1
    asks_for_type: float  # 1 when the question asks for a number, a date or a name: then near misses abound


class Unit(NamedTuple):
    """A quotable run, and the words that it needs in front of it to be understood (not part of the quote).

    A list item needs its introduction ("3- The Lake party" alone says nothing), "They were built in
    1903" the sentence before it.
    """

    span: Span  # absolute offsets
    context: str


class _Units(NamedTuple):
    units: tuple[Unit, ...]
    vectors: FloatArray  # [len(units), dimension]
    stems: tuple[frozenset[str], ...]


class EvidenceFinder:
    """Scores the sentences of passages. Sentence vectors are kept, bounded; safe between threads."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._cache: OrderedDict[tuple[int, str], _Units] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, query: Query, hits: Sequence[Hit]) -> list[Evidence]:
        """Every sentence (clause, list) of the hits' passages, best first.

        score = cosine + weighted coverage by the sentence and by its passage + the passage's share
        of the best search score + whether it holds the type of words asked for.
        """
        if not hits:
            return []
        kind = expected(query.text)
        why = asks_why(query.text)
        best = max(hit.score for hit in hits) or 1.0
        found = []
        for hit, units in zip(hits, self._units([hit.passage for hit in hits]), strict=True):
            context = _passage_stems(hit.passage)
            base = _PASSAGE_COVERAGE * coverage(query, context) + _PASSAGE_RANK * hit.score / best
            cosines = units.vectors @ query.vector
            for (span, before), cosine, held in zip(units.units, cosines.tolist(), units.stems, strict=True):
                text = hit.passage.text[span.start - hit.passage.start : span.end - hit.passage.start]
                fits = holds(kind, text, query.text) if kind != "any" else why and gives_reason(text)
                score = base + cosine + _COVERAGE * coverage(query, held) + _TYPE * fits
                found.append(Evidence(hit.passage, span.start, span.end, cosine, score, before))
        return sorted(found, key=lambda e: (-e.score, e.passage.id, e.start))

    def against(self, vector: FloatArray, passages: Sequence[Passage]) -> list[Evidence]:
        """Every sentence of `passages` with its cosine to `vector`, as score too; in document order."""
        return [
            Evidence(passage, unit.span.start, unit.span.end, cosine, cosine, unit.context)
            for passage, units in zip(passages, self._units(passages), strict=True)
            for unit, cosine in zip(units.units, (units.vectors @ vector).tolist(), strict=True)
        ]

    def _units(self, passages: Sequence[Passage]) -> list[_Units]:
        with self._lock:
            known = {_key(p): self._cache[_key(p)] for p in passages if _key(p) in self._cache}
        new = [p for p in passages if _key(p) not in known]
        cuts = [units_of(p) for p in new]
        texts = [
            [f"{unit.context} {_slice(passage, unit.span)}".strip() for unit in cut]
            for passage, cut in zip(new, cuts, strict=True)
        ]
        vectors = self._encoder.documents([text for cut in texts for text in cut])
        at = 0
        for passage, cut, understood in zip(new, cuts, texts, strict=True):
            held = tuple(stems(text) for text in understood)
            known[_key(passage)] = _Units(tuple(cut), vectors[at : at + len(cut)], held)
            at += len(cut)
        with self._lock:
            for passage in passages:
                self._cache[_key(passage)] = known[_key(passage)]
                self._cache.move_to_end(_key(passage))
            while len(self._cache) > _CACHED_PASSAGES:
                self._cache.popitem(last=False)
        return [known[_key(p)] for p in passages]


def _key(passage: Passage) -> tuple[int, str]:
    # An index that was deleted and made anew starts its ids over: the text tells.
    return passage.id, passage.text


def units_of(passage: Passage) -> list[Unit]:
    """What can be quoted from a passage: sentences, clauses of sentences longer than `QUOTE_WORDS`, and lists.

    The line that introduces a list is quoted together with the items that follow it, as many as fit
    into `ANSWER_WORDS`: alone it says nothing.
    """
    pieces = [
        Span(clause.start + passage.start, clause.end + passage.start)
        for sentence in sentences(passage.text)
        for clause in clauses(passage.text, sentence, QUOTE_WORDS)
        if _says_something(passage, passage.text[clause.start : clause.end])
    ]
    units = []
    introduction: Span | None = None
    before: Span | None = None
    for i, span in enumerate(pieces):
        text = _slice(passage, span)
        is_item = bool(introduction and LIST_ITEM.match(text))
        if not is_item:
            introduction = span if text.endswith(":") else None
        goes_on = introduction == span and before is not None and _slice(passage, before)[-1] not in ".!?:"
        context = introduction if is_item else before if goes_on or _points_back(text) else None
        whole = _with_items(passage, span, pieces[i + 1 :]) if introduction == span else span
        units.append(Unit(whole, _slice(passage, context) if context else ""))
        before = span
    return units


def _says_something(passage: Passage, text: str) -> bool:
    """Neither a rule or a fence, nor the title or a heading over again."""
    plain = words(text)
    return bool(plain) and plain != words(passage.title) and plain != words(passage.heading.rpartition(" > ")[2])


def _with_items(passage: Passage, introduction: Span, following: Sequence[Span]) -> Span:
    end = introduction.end
    for item in following:
        extended = _slice(passage, Span(introduction.start, item.end))
        if not LIST_ITEM.match(_slice(passage, item)) or len(extended.split()) > ANSWER_WORDS:
            break
        end = item.end
    return Span(introduction.start, end)


def _points_back(text: str) -> bool:
    """Whether a sentence begins with a pronoun, so that the sentence before it says what it is about."""
    return bool(_PRONOUNS & set(words(text)[:2]))


def _slice(passage: Passage, span: Span) -> str:
    return passage.text[span.start - passage.start : span.end - passage.start]


def _passage_stems(passage: Passage) -> frozenset[str]:
    return stems(f"{passage.title} {passage.heading} {passage.text}")


def coverage(query: Query, held: frozenset[str]) -> float:
    """Share of the question's terms among the stems `held`, each by its weight; 0..1."""
    total = sum(query.weights.values())
    if not total:
        return 0.0
    return sum(weight for term, weight in query.weights.items() if term in held) / total


def choose(evidence: Sequence[Evidence], margin: float = 0.25) -> list[Evidence]:
    """The quotes to show: the best, then others nearly as good, without overlap, within `ANSWER_WORDS`."""
    chosen: list[Evidence] = []
    said = 0
    for candidate in evidence[: 4 * MOST_QUOTES]:
        length = len(candidate.text.split())
        if chosen and (candidate.score < chosen[0].score - margin or said + length > ANSWER_WORDS):
            continue
        if any(candidate.overlaps(other) or candidate.text == other.text for other in chosen):
            continue
        chosen.append(candidate)
        said += length
        if len(chosen) == MOST_QUOTES:
            break
    return chosen


def features(query: Query, evidence: Sequence[Evidence], vectors: FloatArray) -> Features:
    """The features of one question; `vectors` are those of the searched passages, `[n, dimension]`."""
    if not evidence:
        return Features(0, 0, 0, 0, 0, 1)
    shown = choose(evidence)
    digits = frozenset().union(*(numbers(e.passage.text) for e in shown))
    kind = expected(query.text)
    return Features(
        sentence_cosine=max(e.cosine for e in evidence),
        passage_cosine=float(np.max(vectors @ query.vector)) if len(vectors) else 0.0,
        numbers=_share(sorted(numbers(query.text)), digits),
        answer_type=_type_match(kind, shown, query.text),
        asked_for=share_asked_for(query.text, _understood(evidence[0])),
        asks_for_type=float(kind != "any"),
    )


def _understood(evidence: Evidence) -> str:
    """A quote with what says what it is about: "Its keeper is …" under the title "Herbert"."""
    return " ".join((evidence.passage.title, evidence.passage.heading, evidence.context, evidence.text))


def _type_match(kind: AnswerType, shown: Sequence[Evidence], question: str) -> float:
    if holds(kind, shown[0].text, question):
        return 1.0
    return 0.5 if any(holds(kind, other.text, question) for other in shown[1:]) else 0.0


def _share(wanted: Sequence[str], held: frozenset[str]) -> float:
    return sum(w in held for w in wanted) / len(wanted) if wanted else 1.0


# Printed by eval/fit_confidence.py; eval/README.md names the sets, their hashes and what they separate.
_BIAS = -5.042
_COEFFICIENTS = Features(
    sentence_cosine=1.82, passage_cosine=1.03, numbers=0.26, answer_type=2.49, asked_for=1.64, asks_for_type=-0.07
)


def confidence(features: Features) -> float:
    """How likely the documents answer the question, 0..1: a logistic model over `Features`."""
    logit = _BIAS + sum(c * f for c, f in zip(_COEFFICIENTS, features, strict=True))
    return 1 / (1 + math.exp(-logit))
