"""What is measured on one question or one set, as pure functions. Nothing here knows `rag`.

Missing counts as zero: a question without a result scores 0 and stays in every mean. Means, intervals and paired
comparisons are in intervals.py.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Span = tuple[int, int]
Groups = Sequence[Sequence[str]]  # one acceptable string of every group is wanted

ANSWER_WORDS = 80  # an answer longer than this counts as containing nothing

# -- rankings: distinct keys, best first; `relevant` has a grade above 0 for each relevant key -------------------------


def recall(ranking: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """R@k = |relevant ∩ first k| ÷ |relevant|; 0 where nothing is relevant."""
    return len(set(ranking[:k]) & set(relevant)) / len(relevant) if relevant else 0.0


def found_all(ranking: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """1 when the first k hold everything relevant, else 0."""
    return float(bool(relevant) and set(relevant) <= set(ranking[:k]))


def reciprocal_rank(ranking: Sequence[Hashable], relevant: Collection[Hashable], k: int = 10) -> float:
    """RR@k = 1 ÷ rank of the first relevant key, 0 when it is not among the first k. Its mean is MRR@k."""
    wanted = set(relevant)
    return next((1 / rank for rank, key in enumerate(ranking[:k], start=1) if key in wanted), 0.0)


def ndcg(ranking: Sequence[Hashable], relevant: Mapping[Hashable, int], k: int = 10) -> float:
    """nDCG@k = DCG@k ÷ the DCG@k of the best possible ranking; DCG@k = Σ grade_i ÷ log₂(i + 1) over ranks i = 1 … k.

    Järvelin and Kekäläinen 2002 with linear gains, as trec_eval has it.
    """
    ideal = _dcg(sorted(relevant.values(), reverse=True)[:k])
    return _dcg([relevant.get(key, 0) for key in ranking[:k]]) / ideal if ideal else 0.0


def _dcg(grades: Iterable[int]) -> float:
    return math.fsum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))


# -- gold spans: the rank (from 1) of the first passage that holds each of them, None where no passage does -----------

Ranks = Sequence[int | None]


def span_recall(ranks: Ranks, k: int) -> float:
    """R@k = share of the gold spans that the first k passages hold."""
    return sum(rank is not None and rank <= k for rank in ranks) / len(ranks) if ranks else 0.0


def span_reciprocal_rank(ranks: Ranks, k: int = 10) -> float:
    """RR@k = 1 ÷ rank of the first passage that holds a gold span, 0 when it is not among the first k."""
    best = min((rank for rank in ranks if rank is not None and rank <= k), default=None)
    return 1 / best if best else 0.0


def span_ndcg(ranks: Ranks, k: int = 10) -> float:
    """Σ 1 ÷ log₂(rank + 1) over spans held by the first k passages ÷ the same for spans at ranks 1, 2, 3 …; at most 1.

    Spans that share a passage all count at its rank: one passage with everything is as good as can be.
    """
    gains = math.fsum(1 / math.log2(rank + 1) for rank in ranks if rank is not None and rank <= k)
    ideal = _dcg([1] * min(len(ranks), k))
    return min(1.0, gains / ideal) if ideal else 0.0


# -- answers -----------------------------------------------------------------------------------------------------------


def normalise(text: str) -> str:
    """Lower-case, punctuation to spaces, articles out: how SQuAD compares answers, in any script.

    Kept are letters, marks (the vowels of many scripts) and numbers, as Unicode compares without case and
    compatibility: NFKC(casefold(NFKC(casefold(NFD(text))))), definition D146 of the standard.
    """
    folded = unicodedata.normalize("NFD", text)
    for _ in range(2):
        folded = unicodedata.normalize("NFKC", folded.casefold())
    kept = "".join(letter if _is_word(letter) else " " for letter in folded).split()
    return " ".join(word for word in kept if word not in ("a", "an", "the"))


def _is_word(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LMN"


def without_markers(text: str) -> str:
    """An answer's text without its `[n]`."""
    return re.sub(r"\s*\[\d+\]", "", text)


def contains(text: str, answers: Groups) -> float:
    """1 when `text`, of at most `ANSWER_WORDS` words, holds one string of every group, else 0."""
    return float(bool(answers) and len(text.split()) <= ANSWER_WORDS and not missing(text, answers))


def missing(text: str, answers: Groups) -> list[Sequence[str]]:
    """The groups of which `text`, however long, holds no string. A string may stand inside a word ("penetrat")."""
    held = normalise(text)
    return [group for group in answers if not any(wanted in held for wanted in map(normalise, group) if wanted)]


def token_f1(text: str, answers: Groups) -> float:
    """2·P·R ÷ (P + R) over the bags of normalised words (Rajpurkar et al. 2016); 0 for an empty text.

    The gold bag takes from each group the string that shares most with the text, so that a list of names is
    compared as a whole.
    """
    given = Counter(normalise(text).split())
    if not given or not answers:
        return 0.0
    groups = [[bag for bag in map(_bag, group) if bag] for group in answers]
    best = [max(group, key=lambda bag: _f1(given & bag, given, bag)) for group in groups if group]
    wanted = sum(best, Counter[str]())
    return _f1(given & wanted, given, wanted)


def exact_match(text: str, answers: Groups) -> float:
    """1 when the normalised words of `text` are those of one string of every group, in any order of groups, else 0."""
    given = _bag(text)
    if not given or not answers:
        return 0.0
    if len(answers) == 1:
        return float(normalise(text) in {normalise(answer) for answer in answers[0]})
    return float(_made_of(given, [[_bag(a) for a in group] for group in answers]))


def _made_of(words: Counter[str], groups: Sequence[Sequence[Counter[str]]]) -> bool:
    if not groups:
        return not words
    return any(bag and bag <= words and _made_of(words - bag, groups[1:]) for bag in groups[0])


def _bag(text: str) -> Counter[str]:
    return Counter(normalise(text).split())


def _f1(shared: Counter[str], a: Counter[str], b: Counter[str]) -> float:
    return 2 * shared.total() / (a.total() + b.total()) if shared else 0.0


# -- citations ---------------------------------------------------------------------------------------------------------


def overlaps(a: Span, b: Span) -> bool:
    """Whether two half-open spans share more than half of the shorter one."""
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return shared > 0.5 * min(a[1] - a[0], b[1] - b[0])


def holds(passage: Span, gold: Span) -> bool:
    """Whether a passage holds more than half of a gold span."""
    return min(passage[1], gold[1]) - max(passage[0], gold[0]) > 0.5 * (gold[1] - gold[0])


def citation_precision(stands: Sequence[bool]) -> float:
    """Share of an answer's citations that stand on gold evidence; 0 without citations.

    ALCE (Gao et al. 2023) asks an entailment model whether a cited passage is needed for what the sentence says. We
    ask instead whether the cited span overlaps the gold evidence: stricter about place, blind to other places that
    say the same.
    """
    return sum(stands) / len(stands) if stands else 0.0


def citation_recall(sentences: Sequence[Collection[int]], standing: Collection[int]) -> float:
    """Share of an answer's sentences with at least one citation on gold evidence; 0 without sentences.

    `sentences` are the markers of each sentence, `standing` the markers that stand on gold evidence. ALCE's citation
    recall, with gold evidence in place of its entailment model.
    """
    wanted = set(standing)
    return sum(bool(wanted & set(markers)) for markers in sentences) / len(sentences) if sentences else 0.0


def same_words(text: str, quotes: Sequence[str]) -> bool:
    """Whether a shown quotation has the letters and digits of the quotes it cites, in their order and no others."""
    return _letters(text) == _letters("".join(quotes))


def _letters(text: str) -> str:
    return "".join(filter(_is_word, text))


def dangling(text: str, markers: Collection[int]) -> int:
    """How many `[n]` in `text` have no citation, and citations no `[n]`."""
    return len({int(n) for n in re.findall(r"\[(\d+)\]", text)} ^ set(markers))


# -- confidence: arrays [n]; labels are 1 or 0 -------------------------------------------------------------------------


def auroc(scores: Floats, labels: Floats) -> float:
    """P(a random 1 scores above a random 0), ties half: Mann–Whitney's U ÷ (n₁·n₀). Both sides must be there."""
    positive, negative = scores[labels > 0], np.sort(scores[labels <= 0])
    if not len(positive) or not len(negative):
        raise ValueError("the AUROC of one class alone is not defined")
    below = np.searchsorted(negative, positive, side="left")
    through = np.searchsorted(negative, positive, side="right")
    return float((below + through).sum() / 2 / (len(positive) * len(negative)))


def risk_coverage(scores: Floats, correct: Floats) -> tuple[Floats, Floats]:
    """Coverage and selective risk when the most confident are answered first, `[m]` each, m distinct scores.

    At threshold t: coverage = share with score ≥ t, risk = share of wrong ones among them (El-Yaniv and Wiener 2010).
    Equal scores are answered together, so no order among them is made up.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1) if len(order) else np.array([], dtype=int)
    answered = ends + 1
    wrong = np.cumsum(1 - correct[order])[ends]
    return answered / max(len(scores), 1), wrong / np.maximum(answered, 1)


def aurc(scores: Floats, correct: Floats) -> float:
    """Area under the risk–coverage curve: Σ risk_j · (coverage_j − coverage_{j−1}) (Geifman et al. 2019); 0 is best."""
    coverage, risk = risk_coverage(scores, correct)
    return float((risk * np.diff(coverage, prepend=0.0)).sum())


def reliability(scores: Floats, correct: Floats, bins: int = 10) -> list[tuple[float, float, int]]:
    """(mean score, share correct, number) of each of `bins` equally wide bins of [0, 1] that is not empty."""
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("a confidence is a number from 0 to 1")
    bin_of = np.minimum((scores * bins).astype(int), bins - 1)
    filled = [bin_of == b for b in range(bins) if (bin_of == b).any()]
    return [(float(scores[b].mean()), float(correct[b].mean()), int(b.sum())) for b in filled]


def ece(scores: Floats, correct: Floats, bins: int = 10) -> float:
    """Expected calibration error: Σ n_b ÷ n · |share correct − mean score| over the bins (Guo et al. 2017)."""
    table = reliability(scores, correct, bins)
    return sum(n * abs(share - score) for score, share, n in table) / max(len(scores), 1)
