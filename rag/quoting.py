"""Scored sentences → the quotes of an answer: short, without overlap, lists whole, every part of the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from .answertype import asks_for_several, asks_why
from .evidence import Evidence
from .reading import Answering
from .scope import introduces, overturns
from .types import Span
from .units import ANSWER_WORDS, cut, led, listed

MOST_QUOTES = 4  # of an answer that is no list
_MARGIN = 0.3  # how much lower than the best a further quote of the same passage may score,
_MARGIN_ELSEWHERE = 0.2  # and one of another passage
_MARGIN_BESIDE_LIST = 0.1
_LOOKED_AT = 16
_SURE_OF_SHORT = -1.0  # least log-odds of a short answer


def choose(*rankings: Sequence[Evidence]) -> list[Evidence]:
    """The quotes to show, at most `ANSWER_WORDS` words with their markers, best first.

    One ranking for each part of the question ("who …, and when …"): they take turns. Of each, the best
    and then others nearly as good. The introduction of a list brings its items, cut short where they
    are too long. Clauses that stand side by side become one quote. What turns a quote ("Do not:") comes
    in front of it, once: a second quote that it turns takes its place behind the first.
    """
    chosen: list[Evidence] = []
    of_lists: list[Evidence] = []
    left, picked = ANSWER_WORDS, 0
    for candidate in _in_turns(rankings):
        at, group = _group(candidate, chosen, of_lists)
        others = [other for other in chosen if other not in group]
        if any(candidate.overlaps(other) or candidate.text == other.text for other in others):
            continue
        quotes = _as_quotes(candidate, group, left)
        if not quotes or any(quote.overlaps(other) for quote in quotes for other in others):
            continue
        chosen[at : at + len(group)] = quotes
        of_lists += quotes if candidate.items else []
        left = ANSWER_WORDS - sum(map(_cost, chosen))
        picked += 1
        if picked == MOST_QUOTES:
            break
    return _joined(chosen)


def _group(candidate: Evidence, chosen: Sequence[Evidence], of_lists: Sequence[Evidence]) -> tuple[int, list[Evidence]]:
    """The quotes, and their place, which the candidate belongs to: a clause of it, or its lead and what that leads.

    Without such, none and the end. An item of a list that was cut short is no clause.
    """
    for at, quote in enumerate(chosen):
        if quote.passage != candidate.passage or quote.text == candidate.text:
            continue
        if candidate.overlaps(quote):
            if not candidate.items and quote not in of_lists and _holds(candidate, Span(quote.start, quote.end)):
                return at, [quote]
        elif any(_holds(quote, lead) for lead in candidate.leads):
            led = takewhile(lambda other: set(other.leads) & set(candidate.leads), chosen[at + 1 :])
            return at, [quote, *led]
    return len(chosen), []


def _holds(quote: Evidence, span: Span) -> bool:
    return quote.start <= span.start and span.end <= quote.end


def short_answer(question: str, quotes: Sequence[Evidence]) -> str | None:
    """The words of one of the quotes that answer by themselves; None where several things or a reason are asked for.

    None, too, where the reader is not fairly sure, without a reader, and where other words turn what these say: then
    they answer nothing by themselves.
    """
    if asks_for_several(question) or asks_why(question):
        return None
    best: tuple[float, str] | None = None
    for quote in quotes:
        answer = quote.answer
        if answer is None or not (quote.start <= answer.start and answer.end <= quote.end):
            continue
        if overturns(quote.text) or any(introduces(cut(quote.passage, lead)) for lead in quote.leads):
            continue
        if answer.logit >= _SURE_OF_SHORT and (best is None or answer.logit > best[0]):
            best = (answer.logit, _whole_words(quote, answer))
    return best[1] if best else None


def _whole_words(quote: Evidence, answer: Answering) -> str:
    """The words of the answer: the reader may point at a part of one."""
    text = quote.text
    start, end = answer.start - quote.start, answer.end - quote.start
    while start > 0 and text[start - 1].isalnum() and text[start].isalnum():
        start -= 1
    while end < len(text) and text[end - 1].isalnum() and text[end].isalnum():
        end += 1
    return text[start:end]


def _in_turns(rankings: Sequence[Sequence[Evidence]]) -> list[Evidence]:
    good = [
        [other for other in ranking[:_LOOKED_AT] if other.score >= ranking[0].score - _margin(ranking[0], other)]
        for ranking in rankings
    ]
    longest = max(map(len, good), default=0)
    return [ranking[i] for i in range(longest) for ranking in good if i < len(ranking)]


def _margin(best: Evidence, other: Evidence) -> float:
    """A list at the top says it all: only what is as good may stand beside it."""
    if best.items:
        return _MARGIN_BESIDE_LIST
    return _MARGIN if other.passage == best.passage else _MARGIN_ELSEWHERE


def _as_quotes(candidate: Evidence, group: Sequence[Evidence], most_words: int) -> list[Evidence]:
    """The candidate and what turns it, in at most so many words more; with the `group` that it belongs to."""
    most_words += sum(map(_cost, group))
    beside = [lead for lead in candidate.leads if not any(_holds(quote, lead) for quote in group)]
    beside += [span for span in (Span(quote.start, quote.end) for quote in group) if not _holds(candidate, span)]
    passage, own = candidate.passage, [Span(candidate.start, candidate.end)]
    if candidate.items:
        room = most_words - sum(len(cut(passage, span).split()) + 1 for span in beside)
        # Too many items: the introduction with the first of them, as far as a quote may go.
        own = listed(passage, candidate.start, candidate.items, room) or own
    quotes = [_quote(span, candidate, group) for span in led(passage, beside, own)]
    return quotes if sum(map(_cost, quotes)) <= most_words else []


def _quote(span: Span, candidate: Evidence, group: Sequence[Evidence]) -> Evidence:
    """One span of what is shown, as the evidence that stands in it."""
    for quote in group:
        if span.start <= quote.start < span.end:
            return replace(quote, start=span.start, end=span.end)
    answer = candidate.answer if span.start <= candidate.start < span.end else None
    return replace(candidate, start=span.start, end=span.end, items=(), answer=answer)


def _cost(quote: Evidence) -> int:
    return len(quote.text.split()) + 1  # its marker


def _joined(quotes: Sequence[Evidence]) -> list[Evidence]:
    """Clauses of one sentence that stand side by side as one quote, in the place of the better one."""
    joined: list[Evidence] = []
    for quote in quotes:
        at = next((i for i, other in enumerate(joined) if _side_by_side(quote, other)), None)
        if at is None:
            joined.append(quote)
        else:
            other = joined[at]
            joined[at] = replace(other, start=min(quote.start, other.start), end=max(quote.end, other.end))
    return joined


def _side_by_side(one: Evidence, other: Evidence) -> bool:
    if one.passage != other.passage:
        return False
    first, second = sorted((one, other), key=lambda e: e.start)
    between = cut(one.passage, Span(first.end, second.start))
    return not between.strip() and "\n" not in between and first.text[-1] not in ".!?"
