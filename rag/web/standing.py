"""Which quotes still stand where they were found, and at which line of their document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from ..errors import DocumentsNotFound, RagError
from ..types import Answer, Citation, Document
from .turns import Turn, Turns

Read = Callable[[int], Document]


def lines(read: Read, answer: Answer, known: Mapping[int, int]) -> dict[int, int]:
    """The line (from 1) at which each quote starts, where its document has no pages and is still there."""
    found = dict(known)
    with suppress(RagError):  # an answer is worth more than its lines
        for citation in answer.citations:
            if citation.marker not in found and not citation.passage.page:
                document = _read(read, citation.passage.document_id)
                if document and _stands(document, citation):
                    found[citation.marker] = document.text.count("\n", 0, citation.start) + 1
    return found


def checked(read: Read, turns: Sequence[Turn]) -> Turns:
    """The turns, each with the markers whose words do not stand in the index any more, at their place.

    Raises RagError where that cannot be known: the index cannot be read.
    """
    documents: dict[int, Document | None] = {}

    def gone(citation: Citation) -> bool:
        document_id = citation.passage.document_id
        if document_id not in documents:
            documents[document_id] = _read(read, document_id)
        document = documents[document_id]
        return document is None or not _stands(document, citation)

    return tuple(
        replace(turn, outdated=tuple(c.marker for c in turn.answer.citations if gone(c))) if turn.answer else turn
        for turn in turns
    )


def _read(read: Read, document_id: int) -> Document | None:
    try:
        return read(document_id)
    except DocumentsNotFound:
        return None


def _stands(document: Document, citation: Citation) -> bool:
    return document.text[citation.start : citation.end] == citation.quote
