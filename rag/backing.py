"""Whether an answer that comes back from outside is one that the index backs.

A page keeps its conversation and sends it along, so what claims to be our answer can be anybody's words.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from .conversation import REFUSAL
from .grounding import Checker, Claim, Support, as_quote, text_of
from .terms import around
from .types import Answer, Citation, Passage, Sentence
from .writing import Copy

MakeChecker = Callable[[Sequence[Passage]], Checker]


def passages_of(answer: Answer) -> list[Passage]:
    """All that an answer names: those it cites, those it was made from, and those nearest to it."""
    return [*(citation.passage for citation in answer.citations), *answer.passages, *answer.nearest]


def is_backed(answer: Answer, stored: Collection[Passage], checker: MakeChecker) -> bool:
    """Whether each of its passages is `stored`, each quote stands in it, and each sentence holds as it did when shown.

    It says nothing about the question: these words may answer another one.
    """
    if not set(passages_of(answer)) <= set(stored) or not all(map(_is_exact, answer.citations)):
        return False
    if answer.refused or answer.mode == "refused":
        said = (answer.refused, answer.mode, answer.text, answer.sentences, answer.citations)
        return said == (True, "refused", REFUSAL, (), ())
    by_marker = {citation.marker: citation for citation in answer.citations}
    used = {marker for sentence in answer.sentences for marker in sentence.citations}
    return (
        answer.mode in ("written", "quoted")
        and len(by_marker) == len(answer.citations)
        and used == set(by_marker)
        and answer.text == text_of(answer.sentences)
        and around(answer.text, answer.short)[1] == (answer.short or "")
        and all(_holds(each, [by_marker[marker] for marker in each.citations], checker) for each in answer.sentences)
    )


def _is_exact(citation: Citation) -> bool:
    passage = citation.passage
    start, end = citation.start - passage.start, citation.end - passage.start
    return 0 <= start < end and passage.text[start:end] == citation.quote


def _holds(sentence: Sentence, cited: Sequence[Citation], checker: MakeChecker) -> bool:
    if not cited:
        return False
    if sentence.status == "quoted":
        return all(sentence.text == as_quote(citation.quote) for citation in cited)
    if any(not Copy(citation.quote).against(sentence.text) for citation in cited):
        return True
    check = checker([citation.passage for citation in cited]).check
    return isinstance(check(Claim(sentence.text, tuple(range(1, len(cited) + 1)))), Support)
