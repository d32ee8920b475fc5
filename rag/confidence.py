"""Question + evidence → how likely the documents answer it: a calibrated logistic model over a few features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .answertype import AnswerType, expected, holds, share_asked_for
from .embedding import FloatArray
from .evidence import Evidence
from .quoting import choose
from .retrieval import Query
from .terms import numbers


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


def features(query: Query, evidence: Sequence[Evidence], vectors: FloatArray) -> Features:
    """The features of one question; `vectors` are those of the searched passages, `[n, dimension]`."""
    if not evidence:
        return Features(0, 0, 0, 0, 0, 1)
    # By relevance: what was put first for its kind of words would always have them.
    shown = choose([replace(e, score=e.relevance) for e in sorted(evidence, key=lambda e: -e.relevance)])
    best = max(evidence, key=lambda e: e.relevance)
    shown = shown or [best]
    digits = frozenset().union(*(numbers(e.passage.text) for e in shown))
    kind = expected(query.text)
    return Features(
        sentence_cosine=max(e.cosine for e in evidence),
        passage_cosine=float(np.max(vectors @ query.vector)) if len(vectors) else 0.0,
        numbers=_share(sorted(numbers(query.text)), digits),
        answer_type=_type_match(kind, shown, query.text),
        asked_for=share_asked_for(query.text, _understood(best)),
        asks_for_type=float(kind != "any"),
    )


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


def _share(wanted: Sequence[str], held: frozenset[str]) -> float:
    return sum(w in held for w in wanted) / len(wanted) if wanted else 1.0


# Printed by eval/fit_confidence.py; eval/README.md names the sets, their hashes and what they separate.
_BIAS = -4.863
_COEFFICIENTS = Features(
    sentence_cosine=1.82, passage_cosine=0.94, numbers=0.37, answer_type=2.32, asked_for=1.73, asks_for_type=-0.31
)


def confidence(features: Features) -> float:
    """How likely the documents answer the question, 0..1: a logistic model over `Features`."""
    logit = _BIAS + sum(c * f for c, f in zip(_COEFFICIENTS, features, strict=True))
    return 1 / (1 + math.exp(-logit))
