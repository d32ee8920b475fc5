"""Rows made by hand: a document, an answer that quotes it, a question about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rag
from eval.gold import Evidence, Question
from eval.run import Asked, Row

TEXT = "The bridge was built by Smith. It fell in 1932. Nobody was hurt. A road was laid."


def passage(start: int = 0, end: int = len(TEXT), source: str = "bridge.txt", id: int = 1) -> rag.Passage:
    return rag.Passage(id, 1, source, "Bridge", start, end, TEXT[start:end])


def evidence(quote: str, document: str = "bridge.txt") -> Evidence:
    return Evidence(document, quote, TEXT.index(quote) if quote else -1)


def question(id: str = "q", kind: str = "fact", quotes: Sequence[str] = ("built by Smith",), **fields: Any) -> Question:
    """An answerable one about Smith, unless `answerable=False`."""
    if fields.get("answerable") is False:
        return Question(id, kind, "How many lanes?", **({"answers": ()} | fields))
    given = {"answerable": True, "answers": (("smith",),), "evidence": tuple(map(evidence, quotes))}
    return Question(id, kind, "Who built it?", **(given | fields))


def answer(*quotes: str, confidence: float = 0.8, short: str | None = None) -> rag.Answer:
    """Quotes these words of TEXT, a sentence each; refuses without any."""
    if not quotes:
        return rag.Answer("?", "?", "Not found.", "refused", refused=True, reason="…", confidence=confidence)
    found = [(TEXT.index(quote), quote) for quote in quotes]
    return rag.Answer(
        "?",
        "?",
        " ".join(f"“{quote}” [{n}]" for n, quote in enumerate(quotes, start=1)),
        "quoted",
        short=short,
        sentences=tuple(rag.Sentence(f"“{quote}”", (n,), 1.0, "quoted") for n, quote in enumerate(quotes, start=1)),
        citations=tuple(
            rag.Citation(n, passage(), at, at + len(quote), quote) for n, (at, quote) in enumerate(found, start=1)
        ),
        passages=(passage(),),
        confidence=confidence,
    )


def row(of: Question | None = None, given: rag.Answer | None = None, **fields: Any) -> Row:
    return Row(of or question(), asked=Asked(given, 0.25), **fields)
