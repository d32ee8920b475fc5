"""The measures: what each is called, which questions it is about, and its value on one question.

A measure's name is its identity: reports, bars and baselines speak the same names. `figures` computes them all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

import rag

from . import metrics
from .gold import Evidence, Question
from .intervals import Interval, Statistic, bootstrap, mean
from .judge import Verdict
from .metrics import Floats
from .run import Asked, Mode, Row

Family = Literal["retrieval", "answers", "citations", "refusal", "followups", "latency", "judge"]
Value = float | tuple[float, ...] | None  # None: the measure is not about this question
FAMILIES: tuple[Family, ...] = ("retrieval", "answers", "citations", "refusal", "followups", "latency", "judge")
ALL = "all"  # in place of a kind: over all questions


@dataclass(frozen=True, slots=True)
class Measure:
    """`value` of one row; `statistic` over the values of a set, the mean unless said otherwise.

    `better` says which way is good, None where neither is (the length of an answer); `best` is the value of a
    question that costs nothing, where more is better. `by_class`: values are (score, class), both classes must be
    there, and each is resampled by itself.
    """

    name: str
    family: Family
    value: Callable[[Row], Value]
    better: Literal["more", "less"] | None = "more"
    statistic: Statistic = mean
    best: float = 1.0
    by_class: bool = False

    def classes(self, values: Floats) -> Floats | None:
        """The class of each value, for the resampling; None where there are none."""
        return values[:, 1] if self.by_class else None

    def is_defined(self, values: Floats) -> bool:
        """Whether the statistic has a value for these."""
        return bool(len(values)) and (not self.by_class or len(np.unique(values[:, 1])) > 1)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure over the questions of one kind (or of all). `values` are by question id."""

    measure: Measure
    kind: str
    interval: Interval
    values: Mapping[str, Value]

    @property
    def name(self) -> str:
        return self.measure.name


# -- retrieval ---------------------------------------------------------------------------------------------------------


def ranked_documents(passages: Sequence[rag.Passage]) -> list[str]:
    """The documents of a ranking of passages, each at its first passage."""
    return list(dict.fromkeys(passage.source for passage in passages))


def span_ranks(passages: Sequence[rag.Passage], question: Question) -> list[int | None]:
    """For each gold quote the rank of the first passage that holds most of it, however passages are cut."""
    return [
        next((n for n, passage in enumerate(passages, start=1) if passage_holds(passage, evidence)), None)
        for evidence in question.quotes
    ]


def passage_holds(passage: rag.Passage, evidence: Evidence) -> bool:
    """Whether a passage holds gold evidence: most of its span, or any of its document where no quote is given."""
    if passage.source != evidence.document:
        return False
    return not evidence.quote or metrics.holds((passage.start, passage.end), evidence.span)


Ranked = Callable[[Sequence[Hashable], dict[Hashable, int]], float]
_SPANS: dict[str, Callable[[metrics.Ranks], float]] = {
    "R@1": partial(metrics.span_recall, k=1),
    "R@5": partial(metrics.span_recall, k=5),
    "R@20": partial(metrics.span_recall, k=20),
    "MRR@10": partial(metrics.span_reciprocal_rank, k=10),
    "nDCG@10": partial(metrics.span_ndcg, k=10),
}
_RANKED: dict[str, Ranked] = {
    "R@1": partial(metrics.recall, k=1),
    "R@5": partial(metrics.recall, k=5),
    "R@20": partial(metrics.recall, k=20),
    "MRR@10": partial(metrics.reciprocal_rank, k=10),
    "nDCG@10": partial(metrics.ndcg, k=10),
}


def _by_document(of: Ranked, mode: Mode) -> Callable[[Row], Value]:
    def value(row: Row) -> Value:
        relevant: dict[Hashable, int] = dict(row.question.relevance.items())
        return of(ranked_documents(row.found.get(mode, ())), relevant) if relevant else None

    return value


def _by_span(of: Callable[[metrics.Ranks], float]) -> Callable[[Row], Value]:
    def value(row: Row) -> Value:
        return of(span_ranks(row.found.get("hybrid", ()), row.question)) if row.question.quotes else None

    return value


def _all_documents(row: Row) -> Value:
    """For questions with several relevant documents: whether the first five documents are all of them."""
    if row.question.answerable is None or len(row.question.relevance) < 2:
        return None
    return metrics.found_all(ranked_documents(row.found.get("hybrid", ())), list(row.question.relevance), 5)


# -- answers -----------------------------------------------------------------------------------------------------------


def _shown(asked: Asked | None) -> str:
    """The text of an answer without markers; nothing when refused."""
    answer = asked.answer if asked else None
    return "" if answer is None or answer.refused else metrics.without_markers(answer.text)


def _contains(asked: Asked | None, question: Question) -> Value:
    return metrics.contains(_shown(asked), question.answers) if question.answerable and question.answers else None


def _short(of: Callable[[str, metrics.Groups], float]) -> Callable[[Row], Value]:
    def value(row: Row) -> Value:
        if not row.question.answerable or not row.question.answers:
            return None
        return of((row.answer.short or "") if row.answer else "", row.question.answers)

    return value


def _reference_f1(row: Row) -> Value:
    if not row.question.answerable or not row.question.reference:
        return None
    return max(metrics.token_f1(_shown(row.asked), [[reference]]) for reference in row.question.reference)


def _words(row: Row) -> Value:
    shown = _shown(row.asked)
    return float(len(shown.split())) if row.question.answerable and shown else None


# -- citations ---------------------------------------------------------------------------------------------------------


def stands(citation: rag.Citation, evidence: Evidence) -> bool:
    """Whether a citation stands on gold evidence: on its span, or in its document where no quote is given."""
    if citation.passage.source != evidence.document:
        return False
    return not evidence.quote or metrics.overlaps((citation.start, citation.end), evidence.span)


def standing(row: Row) -> list[bool]:
    """For each citation of the answer, whether it stands on some gold evidence."""
    citations = row.answer.citations if row.answer else ()
    return [any(stands(citation, evidence) for evidence in row.question.evidence) for citation in citations]


def _has_evidence(row: Row) -> bool:
    return bool(row.question.answerable and row.question.evidence)


def _citation_precision(row: Row) -> Value:
    return metrics.citation_precision(standing(row)) if _has_evidence(row) else None


def _citation_recall(row: Row) -> Value:
    if not _has_evidence(row):
        return None
    if row.answer is None:
        return 0.0
    good = {c.marker for c, stands in zip(row.answer.citations, standing(row), strict=True) if stands}
    return metrics.citation_recall([sentence.citations for sentence in row.answer.sentences], good)


def _evidence_cited(asked: Asked | None, question: Question) -> Value:
    """Whether at least one citation stands on gold evidence."""
    if not question.answerable or not question.evidence:
        return None
    return float(any(standing(Row(question, asked=asked))))


def _evidence_recall(row: Row) -> Value:
    """Share of the gold evidence that some citation stands on."""
    if not _has_evidence(row):
        return None
    citations = row.answer.citations if row.answer else ()
    cited = [any(stands(citation, evidence) for citation in citations) for evidence in row.question.evidence]
    return sum(cited) / len(cited)


def _citation_words(row: Row) -> Value:
    """How long its citations are: precision is worth less the longer they are."""
    if row.answer is None or not row.answer.citations:
        return None
    return float(np.mean([len(citation.quote.split()) for citation in row.answer.citations]))


def _quotes_exact(row: Row) -> Value:
    """Share of an answer's quotes that stand at their span in document and passage, character for character."""
    if row.asked is None or row.answer is None or not row.answer.citations:
        return None
    return 1 - len(row.asked.inexact) / len(row.answer.citations)


def _quoted_as_cited(row: Row) -> Value:
    """Share of an answer's quoted sentences that say what their own citations say."""
    if row.answer is None:
        return None
    quotes = {citation.marker: citation.quote for citation in row.answer.citations}
    quoted = [sentence for sentence in row.answer.sentences if sentence.status == "quoted"]
    good = [metrics.same_words(s.text, [quotes.get(marker, "") for marker in s.citations]) for s in quoted]
    return sum(good) / len(good) if good else None


def _dangling(row: Row) -> Value:
    return float(metrics.dangling(row.answer.text, [c.marker for c in row.answer.citations])) if row.answer else None


def _uncited(row: Row) -> Value:
    return float(sum(not sentence.citations for sentence in row.answer.sentences)) if row.answer else None


# -- refusal -----------------------------------------------------------------------------------------------------------


def _refused(answerable: bool) -> Callable[[Row], Value]:
    """Where something broke there is no answer: that counts as the worse of the two."""

    def value(row: Row) -> Value:
        if row.question.answerable is not answerable or row.asked is None:
            return None
        return float(row.answer.refused if row.answer else answerable)

    return value


def _answerable_told_apart(row: Row) -> Value:
    """Where something broke, the confidence that misleads most."""
    if row.question.answerable is None or row.asked is None:
        return None
    confidence = row.answer.confidence if row.answer else float(not row.question.answerable)
    return confidence, float(row.question.answerable)


def correct(row: Row) -> bool:
    """Whether the answer would be right, had it not been refused: what risk and calibration are about.

    Right is an answer that contains gold, or cites gold evidence where no short answer is given. To an unanswerable
    question no answer is right.
    """
    question = row.question
    answer = row.unrefused or row.answer
    asked = Asked(answer, 0.0)
    right = _contains(asked, question) if question.answers else _evidence_cited(asked, question)
    return bool(right)


def _right_at_confidence(row: Row) -> Value:
    """Not where nothing says what is right; where something broke, wrong and sure of it."""
    question = row.question
    if question.answerable is None or row.asked is None:
        return None
    if question.answerable and not question.answers and not question.evidence:
        return None
    return row.answer.confidence if row.answer else 1.0, float(correct(row))


def _of_pairs(statistic: Callable[[Floats, Floats], float]) -> Statistic:
    return lambda pairs: statistic(pairs[:, 0], pairs[:, 1])


# -- follow-ups, latency, judge ----------------------------------------------------------------------------------------


def _follow_up(asked: Callable[[Row], Asked | None]) -> Callable[[Row], Value]:
    """Contains gold, or cites gold evidence where no short answer is given; follow-ups only."""

    def value(row: Row) -> Value:
        if not row.question.history or not row.question.answerable:
            return None
        of = _contains if row.question.answers else _evidence_cited
        return of(asked(row), row.question)

    return value


_with_history = _follow_up(lambda row: row.asked)
_without_history = _follow_up(lambda row: row.alone)


def _lift(row: Row) -> Value:
    with_history, without = _with_history(row), _without_history(row)
    if with_history is None or without is None:
        return None
    return float(with_history) - float(without)  # type: ignore[arg-type]  # both are floats


def _seconds(row: Row) -> Value:
    return row.asked.seconds if row.asked else None


def _judged(said: Callable[[Verdict], bool | None]) -> Callable[[Row], Value]:
    return lambda row: None if row.verdict is None else float(said(row.verdict) or 0)


# -- all of them -------------------------------------------------------------------------------------------------------

MEASURES: tuple[Measure, ...] = (
    *(Measure(f"document {name}", "retrieval", _by_document(of, "hybrid")) for name, of in _RANKED.items()),
    Measure("all documents @5", "retrieval", _all_documents),
    *(Measure(f"span {name}", "retrieval", _by_span(of)) for name, of in _SPANS.items()),
    *(
        Measure(f"document {name}, {mode} alone", "retrieval", _by_document(_RANKED[name], mode))
        for mode in ("dense", "keyword")
        for name in ("R@5", "nDCG@10")
    ),
    Measure("contains gold", "answers", lambda row: _contains(row.asked, row.question)),
    Measure("exact match of short", "answers", _short(metrics.exact_match)),
    Measure("token F1 of short", "answers", _short(metrics.token_f1)),
    Measure("token F1 with reference", "answers", _reference_f1),
    Measure("answer words", "answers", _words, better=None),
    Measure("citation precision", "citations", _citation_precision),
    Measure("citation recall", "citations", _citation_recall),
    Measure("evidence cited", "citations", lambda row: _evidence_cited(row.asked, row.question)),
    Measure("evidence recall", "citations", _evidence_recall),
    Measure("citation words", "citations", _citation_words, better=None),
    Measure("quotes exact", "citations", _quotes_exact),
    Measure("quoted as cited", "citations", _quoted_as_cited),
    Measure("dangling markers", "citations", _dangling, better="less"),
    Measure("uncited sentences", "citations", _uncited, better="less"),
    Measure("unanswerable refused", "refusal", _refused(answerable=False)),
    Measure("answerable refused", "refusal", _refused(answerable=True), better="less"),
    Measure("confidence AUROC", "refusal", _answerable_told_apart, statistic=_of_pairs(metrics.auroc), by_class=True),
    Measure("confidence AURC", "refusal", _right_at_confidence, better="less", statistic=_of_pairs(metrics.aurc)),
    Measure("confidence ECE", "refusal", _right_at_confidence, better="less", statistic=_of_pairs(metrics.ece)),
    Measure("follow-ups right", "followups", _with_history),
    Measure("without history", "followups", _without_history, better=None),
    Measure("follow-up lift", "followups", _lift, best=0.0),
    Measure("seconds p50", "latency", _seconds, better="less", statistic=lambda seconds: _quantile(seconds, 0.5)),
    Measure("seconds p95", "latency", _seconds, better="less", statistic=lambda seconds: _quantile(seconds, 0.95)),
    Measure("judged correct", "judge", _judged(lambda verdict: verdict.correct)),
    Measure("judged supported", "judge", _judged(lambda verdict: verdict.supported)),
)
BY_NAME: Mapping[str, Measure] = {measure.name: measure for measure in MEASURES}


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share))


def figures(rows: Sequence[Row], families: Collection[Family] = FAMILIES) -> list[Figure]:
    """Every measure of these families over all questions, then over each kind; what has no value is left out."""
    kinds = list(dict.fromkeys(row.question.kind for row in rows))
    found = []
    for measure in MEASURES:
        if measure.family not in families:
            continue
        values = {row.question.id: value for row in rows if (value := measure.value(row)) is not None}
        kind_of = {row.question.id: row.question.kind for row in rows}
        for kind in (ALL, *(kinds if len(kinds) > 1 else ())):
            some = {id_: value for id_, value in values.items() if kind in (ALL, kind_of[id_])}
            array = np.array(list(some.values()), dtype=float)
            if measure.is_defined(array):
                found.append(Figure(measure, kind, bootstrap(array, measure.statistic, measure.classes(array)), some))
    return found
