"""Question → ranked passages: dense and keyword search over the store, fused."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from .embedding import Encoder, FloatArray
from .spelling import respell
from .store import Store
from .terms import content_words, fold, stem, word_spans, words
from .types import Hit, SearchMode

CANDIDATES = 50  # of each retriever, before fusion
DENSE_WEIGHT = 0.6  # of the convex fusion; measured on public questions, see eval/EXPERIMENTS.md


@dataclass(frozen=True, slots=True)
class Query:
    """A question made ready for searching.

    `text`: the question, with unknown spellings replaced by the documents' own (`respelled`).
    `weights`: its content stems, each with how much it tells in this corpus, 0..1.
    `vector`: its embedding, float32 `[dimension]`, unit length.
    """

    text: str
    terms: tuple[str, ...]
    weights: Mapping[str, float]
    vector: FloatArray
    respelled: Mapping[str, str]

    def about(self, whole: Query) -> Query:
        """Read a part of a question as a part of the whole: "since when?" is about what the whole asks.

        Its own words count in full, the others by half; the vector lies midway.
        """
        vector = self.vector + whole.vector
        weights = {term: weight / 2 for term, weight in whole.weights.items()} | dict(self.weights)
        return replace(self, weights=weights, vector=vector / max(float(np.linalg.norm(vector)), 1e-12))


class Retriever:
    """Searches one store with one encoder. Holds no state of its own: safe between threads."""

    def __init__(self, store: Store, encoder: Encoder) -> None:
        self._store = store
        self._encoder = encoder

    def query(self, question: str) -> Query:
        """Look up the question's words in the corpus and embed it."""
        terms = content_words(question) or list(dict.fromkeys(words(question)))
        frequencies = self._store.document_frequency(terms)
        respelled = {}
        for word in terms:
            if not frequencies.get(word) and (known := respell(word, self._store.vocabulary())):
                respelled[word] = known
        if respelled:
            question = _replace_words(question, respelled)
            terms = list(dict.fromkeys(respelled.get(word, word) for word in terms))
            frequencies = self._store.document_frequency(terms)
        _, passages = self._store.count()
        weights = {stem(word): informativeness(frequencies.get(word, 0), passages) for word in terms}
        return Query(question, tuple(terms), weights, self._encoder.queries([question])[0], respelled)

    def search(
        self,
        query: Query,
        k: int,
        *,
        mode: SearchMode = "hybrid",
        documents: Collection[str] = (),
        exclude: Collection[str] = (),
    ) -> list[Hit]:
        """Return the `k` best passages, best first; `documents` and `exclude` are sources.

        hybrid: w·cos/max(cos) + (1 − w)·bm25/max(bm25), w = `DENSE_WEIGHT`, over the best
        `CANDIDATES` of both (convex fusion of max-normalised scores: Bruch et al., "An Analysis of
        Fusion Functions for Hybrid Retrieval", 2023). dense: cosine. keyword: BM25.
        """
        depth = max(k, CANDIDATES)
        scores: dict[int, float] = {}
        with self._store.reading():  # one state of the index, whatever is written meanwhile
            if mode != "keyword":
                scores = dict(self._store.dense(query.vector, depth, documents=documents, exclude=exclude))
            if mode != "dense":
                keyword = dict(self._store.keyword(query.terms, depth, documents=documents, exclude=exclude))
                scores = self._fuse(query, scores, keyword) if mode == "hybrid" else keyword
            best = sorted(scores, key=lambda i: (-scores[i], i))[:k]
            return [Hit(passage, scores[passage.id]) for passage in self._store.passages(best)]

    def _fuse(self, query: Query, dense: dict[int, float], keyword: dict[int, float]) -> dict[int, float]:
        # A passage that only the keyword search found has a cosine too: look it up.
        unseen = [i for i in keyword if i not in dense]
        if unseen:
            vectors = self._store.vectors(unseen)
            dense = dense | dict(zip(unseen, (vectors @ query.vector).tolist(), strict=True))
        closest = max(dense.values(), default=0.0) or 1.0
        strongest = max(keyword.values(), default=0.0) or 1.0
        return {
            i: DENSE_WEIGHT * max(cosine, 0.0) / abs(closest) + (1 - DENSE_WEIGHT) * keyword.get(i, 0.0) / strongest
            for i, cosine in dense.items()
        }


def informativeness(passages_with_term: int, passages: int) -> float:
    """Inverse document frequency, scaled to 0..1 whatever the size of the corpus.

    log((N + 1) / (n + ½)) / log((N + 1) / ½): 1 for a word that no passage holds, near 0 for one
    that all hold.
    """
    if passages == 0:
        return 1.0
    idf = math.log((passages + 1) / (passages_with_term + 0.5))
    return max(idf, 0.0) / math.log((passages + 1) / 0.5)


def _replace_words(question: str, respelled: Mapping[str, str]) -> str:
    """The question with each unknown word replaced; other characters stay."""
    parts: list[str] = []
    last = 0
    for start, end in word_spans(question):
        known = respelled.get(fold(question[start:end]))
        if known:
            parts += [question[last:start], known]
            last = end
    return "".join([*parts, question[last:]])
