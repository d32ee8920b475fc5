"""Sentences that people made up: eval/claims.tsv."""

from __future__ import annotations

from eval.claims import is_shown, rows
from rag.embedding import PackagedEncoder


def test_nothing_is_shown_that_its_text_does_not_back(encoder: PackagedEncoder) -> None:
    wrong = [row for row in rows() if not row.true and is_shown(row, encoder)]
    assert wrong == []


def test_half_of_what_is_written_in_the_words_of_its_text_is_shown(encoder: PackagedEncoder) -> None:
    backed = [row for row in rows() if row.true and row.of == "own words"]
    assert sum(is_shown(row, encoder) for row in backed) >= len(backed) / 2 >= 50
