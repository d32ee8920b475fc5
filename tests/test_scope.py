"""Clauses that were once quoted without the words that turn them."""

from __future__ import annotations

import pytest

from rag.clauses import clauses
from rag.operators import OPERATORS
from rag.scope import operates, whole_clauses
from rag.terms import words
from rag.types import Span

AS = "as the whole report of the committee of the parliament on the affairs of the river and the lake tells at length"


@pytest.mark.parametrize(
    "sentence",
    [
        f"It is not true, {AS}, that the mayor Ann Lee had stolen the relief money of the flood.",
        f"It is a lie, {AS}, that the mayor Ann Lee had stolen the relief money of the flood.",
        f"No proof was ever found, {AS}, that the mayor Ann Lee had stolen the relief money of the flood.",
        f"No proof was found that Ann Lee was there, {AS}, and had stolen the relief money of the flood.",
        f"Bo Dahl claims, {AS}, that the mayor Ann Lee had stolen the relief money of the flood.",
        f"If the dam of the lake breaks, {AS}, the mayor Ann Lee takes the relief money of the flood.",
        f"Unless the dam of the lake holds, {AS}, the mayor Ann Lee takes the relief money of the flood.",
        f"The mayor Ann Lee takes the relief money of the flood, {AS}, unless the dam of the lake holds.",
        f"The mayor Ann Lee had stolen the relief money of the flood, {AS}, which is a lie of the papers.",
        f"The mayor Ann Lee has stolen the relief money of the flood, {AS}, or so Bo Dahl claims in the papers.",
        f"The mayor Ann Lee has stolen the relief money of the flood, {AS}, the enemies of the mayor alleged.",
        f"That the mayor Ann Lee had stolen the relief money, {AS}, has never been shown by anybody at all.",
        f"All of the money of the flood was given back in that year, {AS}, except for what the mayor took.",
    ],
)
def test_a_clause_brings_what_turns_it(sentence: str) -> None:
    cut = clauses(sentence, Span(0, len(sentence)), 25)
    assert len(cut) > 1
    about = next(i for i, clause in enumerate(cut) if "money" in sentence[clause.start : clause.end])
    start, end = whole_clauses(sentence, cut)[about]
    assert OPERATORS & set(words(sentence)) <= set(words(sentence[start:end]))


def test_a_negation_of_another_statement_is_left_out() -> None:
    text = (
        "The old stone bridge was not painted in that year by the men of the guard of the town, "
        "and the new bridge over the river was opened by Ann Lee in the spring of 1903."
    )
    cut = clauses(text, Span(0, len(text)), 25)
    assert whole_clauses(text, cut) == cut


def test_the_month_of_may_is_no_doubt() -> None:
    assert not operates("It was built in May 1903.")
    assert operates("It may be old.")
