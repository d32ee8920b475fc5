"""Ranked passages → scored sentences: which words answer, and how sure we are that they do."""

from __future__ import annotations

import math
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .answertype import AnswerType, expected, holds
from .embedding import Encoder, FloatArray
from .retrieval import Query
from .splitting import clauses, sentences
from .terms import names, numbers, stem, stems, words
from .types import Hit, Passage, Span

QUOTE_WORDS = 45  # a longer sentence is quoted by the clause
ANSWER_WORDS = 75  # all quotes of one answer together
MOST_QUOTES = 3
_CACHED_PASSAGES = 4096

# How much each part counts in a sentence's score (`Evidence.score`); measured in eval/EXPERIMENTS.md.
_COVERAGE, _PASSAGE_COVERAGE, _PASSAGE_RANK, _TYPE = 0.2, 0.1, 0.15, 0.1

_LIST_ITEM = re.compile(r"\s*(?:[-*•–]|\(?(?:\d{1,3}|[A-Za-z])[.)\-–])\s")


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
    coverage: float  # of the question's terms, weighted, by the best passage
    missing: float  # weight of the most telling term that the best passage lacks
    sentence_coverage: float  # as coverage, by the best sentence alone
    names: float  # share of the question's names in the shown passages
    numbers: float  # share of the question's numbers in the shown passages
    answer_type: float  # 1 when the best sentence holds a number, date or name as asked, ½ when another shown one does


class _Units(NamedTuple):
    spans: tuple[Span, ...]  # absolute offsets
    vectors: FloatArray  # [len(spans), dimension]
    stems: tuple[frozenset[str], ...]


class EvidenceFinder:
    """Scores the sentences of passages. Sentence vectors are kept, bounded; safe between threads."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._cache: OrderedDict[int, _Units] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, query: Query, hits: Sequence[Hit]) -> list[Evidence]:
        """Every sentence (clause, list) of the hits' passages, best first.

        score = cosine + weighted coverage by the sentence and by its passage + the passage's share
        of the best search score + whether it holds the type of words asked for.
        """
        if not hits:
            return []
        kind = expected(query.text)
        best = max(hit.score for hit in hits) or 1.0
        found = []
        for hit, units in zip(hits, self._units([hit.passage for hit in hits]), strict=True):
            context = _passage_stems(hit.passage)
            base = _PASSAGE_COVERAGE * coverage(query, context) + _PASSAGE_RANK * hit.score / best
            cosines = units.vectors @ query.vector
            for span, cosine, held in zip(units.spans, cosines.tolist(), units.stems, strict=True):
                text = hit.passage.text[span.start - hit.passage.start : span.end - hit.passage.start]
                fits = holds(kind, text, query.text)
                score = base + cosine + _COVERAGE * coverage(query, held) + _TYPE * fits
                found.append(Evidence(hit.passage, span.start, span.end, cosine, score))
        return sorted(found, key=lambda e: (-e.score, e.passage.id, e.start))

    def against(self, vector: FloatArray, passages: Sequence[Passage]) -> list[Evidence]:
        """Every sentence of `passages` with its cosine to `vector`, as score too; in document order."""
        return [
            Evidence(passage, span.start, span.end, cosine, cosine)
            for passage, units in zip(passages, self._units(passages), strict=True)
            for span, cosine in zip(units.spans, (units.vectors @ vector).tolist(), strict=True)
        ]

    def _units(self, passages: Sequence[Passage]) -> list[_Units]:
        with self._lock:
            known = {p.id: self._cache[p.id] for p in passages if p.id in self._cache}
        new = [p for p in passages if p.id not in known]
        cuts = [units_of(p) for p in new]
        texts = [context + text for cut in cuts for _, text, context in cut]
        vectors = self._encoder.documents(texts)
        at = 0
        for passage, cut in zip(new, cuts, strict=True):
            spans = tuple(span for span, _, _ in cut)
            held = tuple(stems(text) for _, text, _ in cut)
            known[passage.id] = _Units(spans, vectors[at : at + len(cut)], held)
            at += len(cut)
        with self._lock:
            for passage in passages:
                self._cache[passage.id] = known[passage.id]
                self._cache.move_to_end(passage.id)
            while len(self._cache) > _CACHED_PASSAGES:
                self._cache.popitem(last=False)
        return [known[p.id] for p in passages]


def units_of(passage: Passage) -> list[tuple[Span, str, str]]:
    """What can be quoted from a passage: (span, its text, words to embed in front of it).

    Sentences; clauses of sentences longer than `QUOTE_WORDS`; and whole lists of that size with the
    line that introduces them. A list item is embedded behind its introduction: "3- Hezbollah" alone
    says nothing.
    """
    cut: list[tuple[Span, str, str]] = []
    pieces = [
        Span(clause.start + passage.start, clause.end + passage.start)
        for sentence in sentences(passage.text)
        for clause in clauses(passage.text, sentence, QUOTE_WORDS)
        if words(passage.text[clause.start : clause.end])  # a rule or a fence says nothing
    ]
    introduction: Span | None = None
    for span in pieces:
        text = _slice(passage, span)
        if introduction and not _LIST_ITEM.match(text):
            introduction = None
        cut.append((span, text, _slice(passage, introduction) + " " if introduction else ""))
        if text.endswith(":"):
            introduction = span
    return cut + _whole_lists(passage, cut)


def _whole_lists(passage: Passage, cut: Sequence[tuple[Span, str, str]]) -> list[tuple[Span, str, str]]:
    lists: dict[str, list[Span]] = {}
    for span, _, introduction in cut:
        if introduction:
            lists.setdefault(introduction, []).append(span)
    whole = []
    for introduction, items in lists.items():
        start = items[0].start
        with_introduction = next((s.start for s, text, _ in cut if text + " " == introduction), start)
        for begin in (with_introduction, start):
            span = Span(begin, items[-1].end)
            text = _slice(passage, span)
            if len(items) > 1 and len(text.split()) <= ANSWER_WORDS:
                whole.append((span, text, "" if begin == with_introduction else introduction))
                break
    return whole


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
        return Features(0, 0, 0, 1, 0, 0, 0, 0)
    shown = choose(evidence)
    held = _passage_stems(evidence[0].passage)
    around = frozenset().union(*(_passage_stems(e.passage) for e in shown))
    digits = frozenset().union(*(numbers(e.passage.text) for e in shown))
    kind = expected(query.text)
    return Features(
        sentence_cosine=max(e.cosine for e in evidence),
        passage_cosine=float(np.max(vectors @ query.vector)) if len(vectors) else 0.0,
        coverage=coverage(query, held),
        missing=max((w for term, w in query.weights.items() if term not in held), default=0.0),
        sentence_coverage=coverage(query, stems(evidence[0].text)),
        names=_share([stem(n) for n in names(query.text)], around),
        numbers=_share(sorted(numbers(query.text)), digits),
        answer_type=_type_match(kind, shown, query.text),
    )


def _type_match(kind: AnswerType, shown: Sequence[Evidence], question: str) -> float:
    if holds(kind, shown[0].text, question):
        return 1.0
    return 0.5 if any(holds(kind, other.text, question) for other in shown[1:]) else 0.0


def _share(wanted: Sequence[str], held: frozenset[str]) -> float:
    return sum(w in held for w in wanted) / len(wanted) if wanted else 1.0


# Fitted by eval/fit_confidence.py, which says on what and prints this line.
_BIAS, _COEFFICIENTS = 0.0, Features(1, 1, 1, -1, 1, 1, 1, 1)


def confidence(features: Features) -> float:
    """How likely the documents answer the question, 0..1: a logistic model over `Features`."""
    logit = _BIAS + sum(c * f for c, f in zip(_COEFFICIENTS, features, strict=True))
    return 1 / (1 + math.exp(-logit))
