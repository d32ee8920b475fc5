"""Question + evidence → how likely the documents answer it: a calibrated logistic model over a few features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from .answertype import AnswerType, expected, holds, share_asked_for
from .bert import FloatArray
from .evidence import Evidence, coverage
from .quoting import choose
from .retrieval import Query, passage_stems

_HARDLY = 4  # half of the thing asked for ("minister" of "minister of health") is hardly any of it
_CLOSEST = 8  # passages that are compared
_NO_READER = -0.2  # what the reader says where it does not know: between answerable questions and others


class Features(NamedTuple):
    """What confidence is computed from. Each is in about -1..1, whatever the size of the corpus.

    Where all documents are about one thing, likeness says little about whether they answer, and the
    kind of words much; in a collection about everything it is the other way round. So each of these
    counts by how much the question is about what all is about (`Query.topical`, here t).
    """

    reader: float  # the log-odds that a passage answers, by the reader, -8..6, over 8; `_NO_READER` without one
    sentence_cosine: float  # of the best sentence
    passage_cosine: float  # of the closest passage, by 1 - t
    lead: float  # of that cosine over the mean of the next passages', by 1 - t
    coverage: float  # share of the question's terms in the best passage, each by its weight, by 1 - t
    answer_type: float  # 1 when the best sentence holds the number, date or name asked for, ½ another one, by t
    asked_for: float  # how much of the thing asked for ("deputy head") the best sentence speaks of, 0..1, by t
    asks_for_type: float  # t when the question asks for a number, a date or a name: then near misses abound
    topical: float  # t


def features(query: Query, evidence: Sequence[Evidence], vectors: FloatArray) -> Features:
    """The features of one question; `vectors` are those of the searched passages, `[n, dimension]`."""
    if not evidence:
        return Features(-1, *[0] * (len(Features._fields) - 1))
    # By relevance: what was put first for its kind of words would always have them.
    shown = choose([replace(e, score=e.relevance) for e in sorted(evidence, key=lambda e: -e.relevance)])
    relevant = max(evidence, key=lambda e: e.relevance)
    best = max(evidence, key=lambda e: e.score)
    kind = expected(query.text)
    t = query.topical
    closest, *others = sorted((vectors @ query.vector).tolist(), reverse=True)[:_CLOSEST]
    return Features(
        reader=_reader(evidence),
        sentence_cosine=best.cosine,
        passage_cosine=(1 - t) * closest,
        lead=(1 - t) * (closest - sum(others) / len(others) if others else 0.0),
        coverage=(1 - t) * coverage(query, passage_stems(best.passage)),
        answer_type=t * _type_match(kind, shown or [relevant], query.text),
        asked_for=t * share_asked_for(query.text, _understood(relevant)) ** _HARDLY,
        asks_for_type=t * (kind != "any"),
        topical=t,
    )


def _reader(evidence: Sequence[Evidence]) -> float:
    logits = [e.passage_logit for e in evidence if e.passage_logit is not None]
    return max(-8.0, min(6.0, max(logits))) / 8 if logits else _NO_READER


def mean(parts: Sequence[Features]) -> Features:
    """The features of a question of several parts."""
    return Features(*(sum(values) / len(parts) for values in zip(*parts, strict=True)))


def _understood(evidence: Evidence) -> str:
    """A quote with what says what it is about: "Its keeper is …" under the title "Herbert"."""
    return " ".join((evidence.passage.title, evidence.passage.heading, evidence.context, evidence.text))


def _type_match(kind: AnswerType, shown: Sequence[Evidence], question: str) -> float:
    if holds(kind, shown[0].text, question):
        return 1.0
    return 0.5 if any(holds(kind, other.text, question) for other in shown[1:]) else 0.0


# Printed by eval/fit_confidence.py; eval/README.md names the sets, their hashes and what they separate.
_BIAS = -1.474
_COEFFICIENTS = Features(
    reader=0.77,
    sentence_cosine=0.06,
    passage_cosine=1.97,
    lead=1.81,
    coverage=1.00,
    answer_type=2.78,
    asked_for=2.06,
    asks_for_type=-0.31,
    topical=-1.42,
)


def confidence(features: Features) -> float:
    """How likely the documents answer the question, 0..1: a logistic model over `Features`."""
    logit = _BIAS + sum(c * f for c, f in zip(_COEFFICIENTS, features, strict=True))
    return 1 / (1 + math.exp(-logit))
