"""Keyword search in PostgreSQL: a GIN index finds the passages, and BM25 is computed as FTS5 does.

`ts_rank` is no BM25: it does not know how rare a word is. But of one lexeme alone, with weights of 1, it is a function
of how often the passage has it: the sum of 1/j² for j = 1…n, divided by π²/6. What is missing from π²/6 is nearly
1/(n + ½), so n can be told from it. The rest is arithmetic: Robertson and Zaragoza, "The Probabilistic Relevance
Framework: BM25 and Beyond", 2009, with FTS5's constants.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from .lexemes import Lexemes, lexemes_of

_K1, _B = 1.2, 0.75
_LEAST_IDF = 1e-6  # of what more than half of all passages hold
_LAST_PLACE = 16_383
_ADDED = 100
_ALL_RANKS = 1.64493406685  # π²/6, as PostgreSQL writes it


class Query(NamedTuple):
    """SQL over `rag_passage`: which passages hold a term, how each scores, and the values of both."""

    matches: str
    score: str
    values: dict[str, Any]


def bm25(frequencies: Mapping[str, int], passages: int, tokens: int) -> Query | None:
    """BM25 for terms, each with the number of passages that hold it; None where there is nothing to look for."""
    known = {term: held for term, held in frequencies.items() if held and parts(term)}
    if not known:
        return None
    values: dict[str, Any] = {
        "any_of": " | ".join(tsquery(parts(term)) for term in known),
        "mean": tokens / passages,
    }
    length = f"({_K1} * (1 - {_B} + {_B} / :mean * tokens))"
    sums = []
    for n, (term, held) in enumerate(known.items()):
        lexemes = parts(term)
        often = _rank_inverted(n) if len(lexemes) == 1 else _phrase_counted(n, len(lexemes))
        values |= {f"idf{n}": max(math.log((passages - held + 0.5) / (held + 0.5)), _LEAST_IDF)}
        values |= {f"term{n}": tsquery(lexemes)} | {f"lexeme{n}_{i}": lexeme for i, lexeme in enumerate(lexemes)}
        # idf · n (k₁ + 1) / (n + c), with n once: what counts the phrase is long.
        sums.append(f"CAST(:idf{n} AS float8) * {_K1 + 1} * (1 - {length} / ({often} + {length}))")
    return Query("lexemes @@ CAST(:any_of AS tsquery)", _sum(sums), values)


def _sum(sums: Sequence[str]) -> str:
    """In brackets: PostgreSQL takes some thousands that are added one to the other, each, for one inside the next."""
    groups = (sums[start : start + _ADDED] for start in range(0, len(sums), _ADDED))
    return " + ".join(f"({' + '.join(group)})" for group in groups)


def _rank_inverted(n: int) -> str:
    rank = f"ts_rank('{{1,1,1,1}}', lexemes, CAST(:term{n} AS tsquery))"
    return f"round(1 / ({_ALL_RANKS} * (1 - CAST({rank} AS float8))) - 0.5)"


def _phrase_counted(n: int, length: int) -> str:
    """How often lexemes stand one behind the other. Few terms are phrases, so nobody waits for this."""
    follow = " AND ".join(
        f"EXISTS (SELECT FROM unnest(lexemes) AS next WHERE next.lexeme = :lexeme{n}_{i} "
        f"AND place + {i} = ANY(next.positions))"
        for i in range(1, length)
    )
    return (
        "(SELECT CAST(count(*) AS float8) FROM unnest(lexemes) AS first, unnest(first.positions) AS place "
        f"WHERE first.lexeme = :lexeme{n}_0 AND {follow})"
    )


@lru_cache(maxsize=4096)
def parts(term: str) -> tuple[str, ...]:
    """The lexemes of a term: one for a word, several for a phrase."""
    return tuple(lexemes_of(term.encode("utf-8", "replace").decode().replace("\0", " ")))


def tsquery(lexemes: Sequence[str]) -> str:
    """What looks for lexemes one behind the other."""
    return " <-> ".join(f"'{lexeme}'" for lexeme in lexemes)  # they hold letters and digits only


def tsvector(found: Lexemes) -> str:
    """Lexemes with their places, as PostgreSQL reads a tsvector."""
    return " ".join(
        f"'{lexeme}':{','.join(str(place) for place in places if place <= _LAST_PLACE) or _LAST_PLACE}"
        for lexeme, places in found.places.items()
    )
