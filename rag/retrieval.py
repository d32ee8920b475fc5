"""Question → ranked passages: dense and keyword search over the store, fused; topics widened, links followed."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .answertype import is_question
from .bert import FloatArray
from .embedding import Encoder
from .reading import Reader, squeezed
from .spelling import respelled
from .store import Centre, Store
from .telemetry import step
from .terms import content_words, fold, stem, stems, word_spans, words
from .types import Hit, Passage, SearchMode

# All figures here were measured on public questions: eval/EXPERIMENTS.md.
CANDIDATES = 50  # of each retriever, before fusion
DENSE_WEIGHT = 0.6  # of the convex fusion
_FEEDBACK = 10  # passages that widen a topic, each by its score to this power:
_FEEDBACK_POWER = 4
_ONE_TOPIC = 0.1  # mean cosine of a question to the passages, from where on it asks about what all is about
_MIXED, _OF_ONE_THING = 0.06, 0.25  # mean cosine between two passages: all about everything, all about one thing
_READ = 8  # passages, by the reader, at most
_WITHIN = 0.35  # score behind the first, beyond which a passage is not read: few of those come to the front
_READER_WEIGHT = 0.6
_SURE = 0.16  # lead of the first over the second with which it keeps its place, whatever the reader would say
_FURTHER_OF_TOPIC, _FURTHER_OF_QUESTION = 0.5, 0.8  # see `_spread`
_BEFORE_LINKED = 3  # passages that stay in front of linked ones
_MOST_LINKED = 2
_TITLE_WORDS = 7
_LINKED_CANDIDATES = 200  # passages of documents that the best passage names


@dataclass(frozen=True, slots=True)
class Query:
    """A question made ready for searching.

    `text`: the question, with unknown spellings replaced by the documents' own (`respelled`).
    `weights`: its content stems, each with how much it tells in this corpus, 0..1.
    `vector`: its embedding, float32 `[dimension]`, unit length.
    `topical`: how much the documents that may answer are, as a whole, about what it asks, 0..1: about 0 in
    a collection about everything, 1 where all is about one thing and the question, too.
    `whole`: of the part of a question, the whole.
    """

    text: str
    terms: tuple[str, ...]
    weights: Mapping[str, float]
    vector: FloatArray
    respelled: Mapping[str, str]
    topical: float
    whole: str = ""

    @property
    def read_as(self) -> str:
        """What the reader is asked: it needs the whole to know what a part is about."""
        return self.whole or self.text

    def about(self, whole: Query) -> Query:
        """Read a part of a question as a part of the whole: "since when?" is about what the whole asks.

        Its own words count in full, the others by half; the vector lies midway.
        """
        weights = {term: weight / 2 for term, weight in whole.weights.items()} | dict(self.weights)
        vector = _unit(self.vector + whole.vector)
        return replace(self, weights=weights, vector=vector, topical=whole.topical, whole=whole.text)


class _Only(NamedTuple):
    """Which sources a search may find: `documents` (all, if empty) without `exclude`."""

    documents: Collection[str]
    exclude: Collection[str]


class Retriever:
    """Searches one store with one encoder, and a reader if there is one. Safe between threads."""

    def __init__(self, store: Store, encoder: Encoder, reader: Reader | None = None) -> None:
        self._store = store
        self._encoder = encoder
        self._reader = reader

    def query(self, question: str, *, documents: Collection[str] = ()) -> Query:
        """Look up the question's words in the corpus and embed it; `documents` are the sources that may answer."""
        terms = content_words(question) or list(dict.fromkeys(words(question)))
        frequencies = self._store.document_frequency(terms)
        unknown = {word: respelled(word, self._store) for word in terms if not frequencies.get(word)}
        meant = {word: known for word, known in unknown.items() if known}
        if meant:
            question = _replace_words(question, meant)
            terms = list(dict.fromkeys(meant.get(word, word) for word in terms))
            frequencies = self._store.document_frequency(terms)
        _, passages = self._store.count()
        weights = {stem(word): informativeness(frequencies.get(word, 0), passages) for word in terms}
        with step("embeddings", model=self._encoder.name, texts=1):
            vector = self._encoder.queries([question])[0]
        topical = topicality(vector, self._store.centre(documents))
        return Query(question, tuple(terms), weights, vector, meant, topical)

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
        Fusion Functions for Hybrid Retrieval", 2023). What only names a topic is widened by what it
        finds, and documents named by the best passage join a question's. dense: cosine. keyword: BM25.
        """
        only = _Only(documents, exclude)
        depth = max(k, CANDIDATES)
        # One state of the index, whatever is written meanwhile.
        with step("retrieval", top_k=k, search_mode=mode) as told, self._store.reading():
            scores = self._scores(query, mode, depth, only)
            hits = [Hit(passage, scores[passage.id]) for passage in self._store.passages(_ranked(scores)[:depth])]
            if mode == "hybrid" and is_question(query.text):
                hits = self._read(query, _spread(hits, _FURTHER_OF_QUESTION))
                hits = self._with_linked(query, hits, only)
            elif mode == "hybrid":
                hits = _spread(hits, _FURTHER_OF_TOPIC)
            self._store.verify_quotable([hit.passage for hit in hits[:k]])
            told.note(candidates=len(hits))
            told.say(query=query.text, hits=hits[:k])
        return hits[:k]

    def _scores(self, query: Query, mode: SearchMode, depth: int, only: _Only) -> dict[int, float]:
        filters = only._asdict()
        if mode == "keyword":
            with step("keyword search"):
                return dict(self._store.keyword(query.terms, depth, **filters))
        with step("dense search"):
            dense = dict(self._store.dense(query.vector, depth, **filters))
        if mode == "dense":
            return dense
        with step("keyword search"):
            keyword = self._store.keyword_beside(dense.keys(), query.terms, depth, **filters)
        scores = self._fused(query.vector, dense, keyword)
        if is_question(query.text):
            return scores
        vector = self._widened(query.vector, scores)
        with step("dense search"):
            dense = dict(self._store.dense(vector, depth, **filters))
        keyword |= self._store.keyword_scores(dense.keys() - keyword.keys(), query.terms, documents=only.documents)
        return self._fused(vector, dense, keyword)

    def _widened(self, vector: FloatArray, scores: Mapping[int, float]) -> FloatArray:
        """A topic's vector, halfway to the passages that it found (Rocchio's relevance feedback, without a judge)."""
        best = _ranked(scores)[:_FEEDBACK]
        weights = np.array([scores[i] ** _FEEDBACK_POWER for i in best], np.float32)
        if not weights.sum():
            return vector
        return _unit(vector + weights @ self._store.vectors(best) / weights.sum())

    def _read(self, query: Query, hits: list[Hit]) -> list[Hit]:
        """The first hits in a new order, unless one leads them: those first in which the reader sees an answer."""
        if not self._reader or len(hits) < 2 or hits[0].score - hits[1].score >= _SURE:
            return hits
        head = [hit for hit in hits[:_READ] if hits[0].score - hit.score < _WITHIN]
        readings = self._reader.read(query.read_as, [hit.passage for hit in head])
        head = [
            replace(hit, score=hit.score + _READER_WEIGHT * squeezed(reading.logit))
            for hit, reading in zip(head, readings, strict=True)
        ]
        return sorted(head, key=lambda hit: (-hit.score, hit.passage.id)) + hits[len(head) :]

    def _with_linked(self, query: Query, hits: list[Hit], only: _Only) -> list[Hit]:
        """The hits, with passages of documents that the best one names by their title behind the first few.

        A question can need two documents: "Who founded the club that Ann Lee plays for?" finds Ann
        Lee's, which names the club. Only what holds words of the question that the best lacks may join.
        """
        if len(hits) < _BEFORE_LINKED:
            return hits
        head = hits[:_BEFORE_LINKED]
        best = hits[0].passage
        own = best.title.casefold()  # which it often holds, too
        titles = [title for title in possible_titles(best.text) if title.casefold() != own]
        found = self._store.titled(titles, _LINKED_CANDIDATES, **only._asdict())
        if not found:
            return hits
        lacking = query.weights.keys() - passage_stems(best)
        cosines = self._store.vectors(found) @ query.vector
        named = self._store.passages([found[i] for i in np.argsort(-cosines, kind="stable")])
        documents = {hit.passage.document_id for hit in head}
        linked: list[Hit] = []
        for passage in named:
            if len(linked) < _MOST_LINKED and passage.document_id not in documents and lacking & passage_stems(passage):
                documents.add(passage.document_id)
                linked.append(Hit(passage, head[-1].score))
        ids = {hit.passage.id for hit in linked}
        return [*head, *linked, *(hit for hit in hits[_BEFORE_LINKED:] if hit.passage.id not in ids)]

    def _fused(self, vector: FloatArray, dense: Mapping[int, float], keyword: Mapping[int, float]) -> dict[int, float]:
        """One score of two: `keyword` has those of all passages, and a cosine that is missing is looked up."""
        unseen = [i for i in keyword if i not in dense]
        if unseen:
            vectors = self._store.vectors(unseen)
            dense = {**dense, **dict(zip(unseen, (vectors @ vector).tolist(), strict=True))}
        closest = max(dense.values(), default=0.0) or 1.0
        strongest = max(keyword.values(), default=0.0) or 1.0
        return {
            i: DENSE_WEIGHT * max(cosine, 0.0) / abs(closest) + (1 - DENSE_WEIGHT) * keyword[i] / strongest
            for i, cosine in dense.items()
        }


def _ranked(scores: Mapping[int, float]) -> list[int]:
    return sorted(scores, key=lambda i: (-scores[i], i))


def _spread(hits: Sequence[Hit], further: float) -> list[Hit]:
    """Let more documents speak: what is not a document's best passage counts `further` times its score."""
    seen: set[int] = set()
    spread = []
    for hit in hits:
        document = hit.passage.document_id
        spread.append(replace(hit, score=hit.score * further) if document in seen else hit)
        seen.add(document)
    return sorted(spread, key=lambda hit: (-hit.score, hit.passage.id))


def informativeness(passages_with_term: int, passages: int) -> float:
    """Inverse document frequency, scaled to 0..1 whatever the size of the corpus.

    log((N + 1) / (n + ½)) / log((N + 1) / ½): 1 for a word that no passage holds, near 0 for one
    that all hold.
    """
    if passages == 0:
        return 1.0
    idf = math.log((passages + 1) / (passages_with_term + 0.5))
    return max(idf, 0.0) / math.log((passages + 1) / 0.5)


def topicality(question: FloatArray, centre: Centre) -> float:
    """How much all passages are about one thing, and the question about that; 0..1."""
    one_thing = (centre.alike - _MIXED) / (_OF_ONE_THING - _MIXED)
    about_it = float(centre.vector @ question) / _ONE_TOPIC
    return min(1.0, max(0.0, one_thing)) * min(1.0, max(0.0, about_it))


def possible_titles(text: str) -> list[str]:
    """Every run of up to `_TITLE_WORDS` words of `text` that begins with a capital or a digit."""
    spans = word_spans(text)
    return list(
        dict.fromkeys(
            text[first.start : last.end]
            for i, first in enumerate(spans)
            if text[first.start].isupper() or text[first.start].isdigit()
            for last in spans[i : i + _TITLE_WORDS]
        )
    )


def passage_stems(passage: Passage) -> frozenset[str]:
    """The stems of a passage with what stands above it."""
    return stems(f"{passage.title} {passage.heading} {passage.text}")


def _unit(vector: FloatArray) -> FloatArray:
    unit: FloatArray = vector / np.float32(max(float(np.linalg.norm(vector)), 1e-12))
    return unit


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
