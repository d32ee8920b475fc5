"""Ranked passages → scored sentences: which words answer the question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from .answertype import AnswerType, asks_for_several, asks_why, expected, gives_reason, holds
from .bert import FloatArray
from .embedding import Encoder
from .kept import Kept
from .reading import Answering, Reader, Reading, squeezed
from .retrieval import Query, passage_stems
from .terms import stems
from .types import Hit, Passage, Span
from .units import Unit, cut, showable, units_of, with_leads

_KEPT = 4096  # passages

# How much each part counts in a sentence's score (`Evidence.score`); measured in eval/EXPERIMENTS.md.
_COVERAGE, _PASSAGE_COVERAGE, _PASSAGE_RANK = 0.2, 0.1, 0.15
_TYPE: Mapping[AnswerType, float] = {"date": 0.3, "number": 0.25, "name": 0.15, "any": 0.0}
_REASON = _LIST = 0.1
_BESIDE = 0.05
_OF_PASSAGE = 0.2
_READER = 0.6


@dataclass(frozen=True, slots=True)
class Evidence:
    """A run of a passage that may answer: `passage.text[start - passage.start : end - passage.start]`.

    `cosine`: to the question. `relevance`: how much it speaks of what is asked. `score`: what evidence
    is ranked by, that and whether it holds the kind of words asked for. Both compare within one question.
    """

    passage: Passage
    start: int
    end: int
    cosine: float
    relevance: float
    score: float
    context: str = ""  # words outside the quote that say what it is about
    items: tuple[Span, ...] = ()  # of the list that it introduces
    answer: Answering | None = None  # where in it the reader sees the answer
    passage_logit: float | None = None  # the log-odds that its passage answers, by the reader
    leads: tuple[Span, ...] = ()  # what turns what it says, and must be shown in front of it: "Do not:"

    @property
    def text(self) -> str:
        return self.passage.text[self.start - self.passage.start : self.end - self.passage.start]

    @property
    def reach(self) -> int:
        """Where the run ends, or the last item of the list that it introduces."""
        return max(self.end, self.items[-1].end) if self.items else self.end

    def overlaps(self, other: Evidence) -> bool:
        """Whether both, with their lists, share characters of one document."""
        same = self.passage.document_id == other.passage.document_id
        return same and self.start < other.reach and other.start < self.reach


class _Units(NamedTuple):
    units: tuple[Unit, ...]
    vectors: FloatArray  # [len(units), dimension]
    stems: tuple[frozenset[str], ...]


class EvidenceFinder:
    """Scores the sentences of passages. Sentence vectors are kept, bounded; safe between threads."""

    def __init__(self, encoder: Encoder, reader: Reader | None = None) -> None:
        self._encoder = encoder
        self._reader = reader
        self._kept = Kept[Passage, _Units](_KEPT)

    def find(self, query: Query, hits: Sequence[Hit]) -> list[Evidence]:
        """Every sentence (clause, list) of the hits' passages, best first.

        relevance = cosine + weighted coverage by the sentence and by its passage + the passage's share
        of the best search score. To this come: whether it holds the kind of words asked for (a date, a
        reason, a list …), a part of what the best sentence of its passage has, as the sentence that
        answers often leaves its subject to another one, and how surely the reader sees an answer in it.
        """
        if not hits:
            return []
        asked = _Asked(expected(query.text), asks_why(query.text), asks_for_several(query.text))
        best = max(hit.score for hit in hits) or 1.0
        passages = [hit.passage for hit in hits]
        readings = self._reader.read(query.read_as, passages) if self._reader else [Reading()] * len(hits)
        found = [
            evidence
            for hit, units, reading in zip(hits, self._kept.get(passages, self._units), readings, strict=True)
            for evidence in _found_in(replace(hit, score=hit.score / best), units, reading, query, asked)
        ]
        return sorted(found, key=lambda e: (-e.score, e.passage.id, e.start))

    def against(self, vector: FloatArray, passages: Sequence[Passage]) -> list[Evidence]:
        """Every sentence of `passages` with its cosine to `vector`, as score too; in document order.

        With what turns it, from the first such word on; none where that is more than one answer may quote.
        """
        return [
            Evidence(passage, *span, cosine, cosine, cosine, unit.context)
            for passage, units in zip(passages, self._kept.get(passages, self._units), strict=True)
            for unit, cosine in zip(units.units, (units.vectors @ vector).tolist(), strict=True)
            if (span := with_leads(passage, unit))
        ]

    def _units(self, passages: Sequence[Passage]) -> list[_Units]:
        units = [units_of(p) for p in passages]
        texts = [
            [f"{unit.context} {cut(passage, unit.core)}".strip() for unit in each]
            for passage, each in zip(passages, units, strict=True)
        ]
        vectors = self._encoder.documents([text for understood in texts for text in understood])
        made = []
        at = 0
        for each, understood in zip(units, texts, strict=True):
            held = tuple(stems(text) for text in understood)
            made.append(_Units(tuple(each), vectors[at : at + len(each)], held))
            at += len(each)
        return made


class _Asked(NamedTuple):
    """What a question asks for."""

    kind: AnswerType
    why: bool
    several: bool


def _found_in(hit: Hit, units: _Units, reading: Reading, query: Query, asked: _Asked) -> list[Evidence]:
    """The evidence of one passage; see `EvidenceFinder.find`. The hit's score is its share of the best one's."""
    base = _PASSAGE_COVERAGE * coverage(query, passage_stems(hit.passage)) + _PASSAGE_RANK * hit.score
    cosines = (units.vectors @ query.vector).tolist()
    relevances = [
        base + cosine + _COVERAGE * coverage(query, held) for cosine, held in zip(cosines, units.stems, strict=True)
    ]
    scores = _fitting(hit.passage, units.units, relevances, query.text, asked)
    answers = [reading.best(unit.core) for unit in units.units]
    logit = reading.logit if reading.tokens else None
    found = []
    for unit, cosine, relevance, score, answer in zip(units.units, cosines, relevances, scores, answers, strict=True):
        if not showable(hit.passage, unit):
            continue
        score += _OF_PASSAGE * (max(scores) - score) + (_READER * squeezed(answer.logit) if answer else 0.0)
        found.append(
            Evidence(
                hit.passage,
                *unit.span,
                cosine,
                relevance,
                score,
                unit.context,
                unit.items,
                answer,
                logit,
                unit.leads,
            )
        )
    return found


def _fitting(
    passage: Passage, units: Sequence[Unit], relevances: Sequence[float], question: str, asked: _Asked
) -> list[float]:
    """Each unit's relevance and what it gets for holding the kind of words that are asked for."""
    texts = [cut(passage, unit.core) for unit in units]
    scores = []
    for i, unit in enumerate(units):
        fits = _TYPE[asked.kind] * holds(asked.kind, texts[i], question)
        fits += _REASON * (asked.why and gives_reason(texts[i]))
        about = [relevances[i]]
        if fits and asked.kind != "name":  # a reason, a date, an amount belongs to the clause beside it
            about += [relevances[j] - _BESIDE for j in (i - 1, i + 1) if _one_sentence(texts, i, j)]
        scores.append(max(about) + fits + _LIST * (asked.several and unit.items != ()))
    return scores


def _one_sentence(texts: Sequence[str], i: int, j: int) -> bool:
    """Whether the neighbours `i` and `j` are clauses of one sentence."""
    return 0 <= j < len(texts) and texts[min(i, j)][-1] not in ".!?:"


def coverage(query: Query, held: frozenset[str]) -> float:
    """Share of the question's terms among the stems `held`, each by its weight; 0..1."""
    total = sum(query.weights.values())
    if not total:
        return 0.0
    return sum(weight for term, weight in query.weights.items() if term in held) / total
