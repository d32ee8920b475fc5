"""Questions to click on, before there is a first one: written by whoever keeps the documents, or made from them."""

from __future__ import annotations

import logging
import random
import re
import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from ..assistant import Assistant
from ..errors import RagError
from ..sentences import sentences
from ..templates import proposals
from ..types import Answer, Document, Span
from .opening import Opening

logger = logging.getLogger(__name__)

_WRITTEN = ".examples"
_MOST = 4
_DOCUMENTS = 24  # that are looked into
_CHARACTERS = 60_000  # of each
_TRIES = 4  # questions to a document before it is the next one's turn
_LONGEST = 90  # characters of a question
_CROOKED = "Who or what"  # right, but nobody asks so


def example_questions(documents: Path) -> list[str]:
    """The questions in `documents/.examples`, one a line; none where the folder has no such file."""
    path = documents / _WRITTEN
    if not path.is_file():
        return []
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


class MadeExamples:
    """Questions made from what an Assistant has read, once for all: when they are asked for, and the index changed."""

    def __init__(self, assistant: Assistant | Opening) -> None:
        self._opening = Opening.of(assistant)
        self._lock = threading.Lock()
        self._made: tuple[str, list[str]] = ("", [])  # of the index with this stamp

    def get(self) -> list[str]:
        """A few questions, or none. Nobody waits for the index, or while another has them made: ask again later.

        Making them takes seconds, of whoever asks first.
        """
        try:
            assistant = self._opening.assistant
            stamp = assistant.stamp()
            if stamp != self._made[0] and not self._make(assistant, stamp):
                return []
            return self._made[1]
        except RagError as error:  # nobody needs them
            logger.debug("no example questions were made: %s", error)
            return []

    def _make(self, assistant: Assistant, stamp: str) -> bool:
        """Whether they are made now: False while another is about it."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if stamp != self._made[0]:
                self._made = stamp, made(assistant, assistant.documents())
            return True
        finally:
            self._lock.release()


def made(assistant: Assistant, documents: Sequence[Document]) -> list[str]:
    """At most four short questions, of different documents where it can be.

    Each was made from a sentence, and the Assistant answers it with that sentence first.
    """
    dice = random.Random(len(documents))
    chosen = dice.sample(list(documents), min(_DOCUMENTS, len(documents)))
    texts = {document.id: assistant.document(document.id).text[:_CHARACTERS] for document in chosen}
    common = frozenset(word for text in texts.values() for word in re.findall(r"\b[a-z]{2,}\b", text))
    candidates = {id_: _candidates(text, common, dice) for id_, text in texts.items()}
    offered: list[str] = []
    for _ in range(_MOST):
        for document_id, questions in candidates.items():
            tried = islice(questions, _TRIES)
            found = next((q for q, span in tried if _stands_on(assistant.quote(q), document_id, span)), None)
            offered += [found] if found and found not in offered else []
            if len(offered) == _MOST:
                return offered
    return offered


def _candidates(text: str, common: frozenset[str], dice: random.Random) -> Iterator[tuple[str, Span]]:
    spans = sentences(text)
    for span in dice.sample(spans, len(spans)):
        for proposal in proposals(text[slice(*span)], common)[:1]:
            if len(proposal.question) <= _LONGEST and not proposal.question.startswith(_CROOKED):
                yield proposal.question, span


def _stands_on(answer: Answer, document_id: int, span: Span) -> bool:
    """Whether the answer's first quote is of this sentence."""
    return any(
        cited.passage.document_id == document_id and cited.start < span.end and span.start < cited.end
        for cited in answer.citations[:1]
    )
