"""One evaluation: settings and gold questions in; rows, figures and what they were made with out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache

import rag

from .gold import Question, located
from .measures import ALL, Family, Figure, figures
from .run import Part, Report, Row, run

# What has to be run for the measures of a family.
_PARTS: dict[Family, set[Part]] = {
    "retrieval": {"search"},
    "answers": {"ask"},
    "citations": {"ask"},
    "refusal": {"ask", "unrefused"},
    "followups": {"ask", "alone"},
    "latency": {"ask"},
    "judge": {"ask"},
}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one system did with one set of questions. `provenance` names models, prompts and index."""

    settings: rag.Settings
    provenance: Mapping[str, str]
    rows: tuple[Row, ...]
    figures: tuple[Figure, ...]

    def figure(self, name: str, kind: str = ALL) -> Figure | None:
        """A figure by the name of its measure; None where it was not measured."""
        return next((f for f in self.figures if (f.name, f.kind) == (name, kind)), None)


def evaluate(
    settings: rag.Settings,
    questions: Sequence[Question],
    families: Collection[Family],
    report: Report = lambda done, of: None,
) -> Evaluation:
    """Open the documents of the settings, ask every question, compute the figures of these families.

    Raises GoldError when a label does not fit the documents, before anything is asked; RagError when the documents or
    the index cannot be opened.
    """
    parts = set[Part]().union(*(_PARTS[family] for family in families))
    with ExitStack() as opened:
        assistant = opened.enter_context(rag.Assistant.open(settings))
        ids = {document.source: document.id for document in assistant.documents()}
        text = lru_cache(maxsize=1000)(lambda document_id: assistant.document(document_id).text)
        questions = located(questions, ids, lambda source: text(ids[source]))
        never_refusing = None
        if "unrefused" in parts:
            without_threshold = settings.model_copy(update={"refuse_below": 0.0, "llm": "none"})
            never_refusing = opened.enter_context(rag.Assistant.open(without_threshold))
        rows = run(assistant, questions, parts, text, never_refusing, report)
        provenance = assistant.provenance
    return Evaluation(settings, provenance, tuple(rows), tuple(figures(rows, families)))
