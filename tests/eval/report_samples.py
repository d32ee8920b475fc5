"""Rows and evaluations built by hand, for the tests of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rag
from eval.evaluation import Evaluation
from eval.gold import Evidence, Question
from eval.measures import FAMILIES, Family, figures
from eval.run import Asked, Row

TEXT = "The bridge was built in 1932. It is painted grey. The toll is two coins."
BUILT = "The bridge was built in 1932."
GREY = "It is painted grey."


def passage(quote: str = BUILT, *, id_: int = 1, source: str = "bridge.txt", text: str = TEXT) -> rag.Passage:
    """The passage of `text` that is exactly `quote`."""
    start = text.index(quote)
    return rag.Passage(id_, 1, source, "Bridge", start, start + len(quote), quote)


def question(**changed: Any) -> Question:
    """An answerable question about the year, whose evidence is the first sentence."""
    usual: dict[str, Any] = {
        "id": "q1",
        "kind": "fact",
        "question": "When was the bridge built?",
        "answerable": True,
        "answers": (("1932",),),
        "evidence": (Evidence("bridge.txt", BUILT, 0),),
    }
    return Question(**(usual | changed))


def unanswerable(**changed: Any) -> Question:
    usual: dict[str, Any] = {"id": "u1", "kind": "far", "answerable": False, "answers": (), "evidence": ()}
    return question(**(usual | {"question": "Who sang at its opening?"} | changed))


def quoted(*quotes: str, seen: Sequence[rag.Passage] = (), confidence: float = 0.8, **changed: Any) -> rag.Answer:
    """An answer that quotes these sentences; it was made from `seen`, else from what it quotes."""
    passages = [passage(quote, id_=number) for number, quote in enumerate(quotes, start=1)]
    citations = tuple(rag.Citation(number, p, p.start, p.end, p.text) for number, p in enumerate(passages, start=1))
    usual: dict[str, Any] = {
        "question": "When was the bridge built?",
        "standalone_question": "When was the bridge built?",
        "text": " ".join(f"“{c.quote}” [{c.marker}]" for c in citations),
        "mode": "quoted",
        "sentences": tuple(rag.Sentence(f"“{c.quote}”", (c.marker,), 1.0, "quoted") for c in citations),
        "citations": citations,
        "passages": tuple(seen) or tuple(passages),
        "confidence": confidence,
        "timings": {"total": 0.01},
    }
    return rag.Answer(**(usual | changed))


def refused(confidence: float = 0.42) -> rag.Answer:
    nearest = (passage(GREY, id_=2),)
    return rag.Answer(
        "When was the bridge built?", "When was the bridge built?", "I did not find an answer.", "refused",
        refused=True, reason="the nearest passages do not answer it", nearest=nearest, confidence=confidence,
    )  # fmt: skip


def asked(of: Question, answer: rag.Answer, seconds: float = 0.2, **parts: Any) -> Row:
    return Row(of, asked=Asked(answer, seconds), **parts)


def evaluation(
    rows: Sequence[Row], families: Sequence[Family] = FAMILIES, settings: rag.Settings | None = None
) -> Evaluation:
    made_with = {"version": "0", "llm": "none", "embed_model": "m", "weights": "w", "index": "i", "prompts": "p"}
    settings = settings or rag.Settings(documents="docs", index_dir="an-index", llm="none")
    return Evaluation(settings, made_with, tuple(rows), tuple(figures(rows, families)))
