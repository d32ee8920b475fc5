"""What stands where the Assistant stands, in tests that say what it answers and when."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from rag.types import Answer, Citation, Document, Passage, Sentence, StepReport

PASSAGE = Passage(1, 1, "a.txt", "Title", 0, 22, "One is here. Two also.")
FIRST = Sentence("One is here.", (1,), 0.9, "verified")
SECOND = Sentence("Two also.", (2,), 0.9, "verified")
CITATIONS = (Citation(1, PASSAGE, 0, 12, "One is here."), Citation(2, PASSAGE, 13, 22, "Two also."))


def written(*sentences: Sentence, **fields: Any) -> Answer:
    text = " ".join(f"{sentence.text} [{sentence.citations[0]}]" for sentence in sentences)
    citations = CITATIONS[: len(sentences)]
    return Answer("q", "q", text, "written", sentences=sentences, citations=citations, model="Bard", **fields)


class Double:
    """What a page asks of an Assistant beside questions: it lists nothing, and any document holds `PASSAGE`."""

    model = "Bard"

    def stamp(self) -> str:
        return "1"

    def count(self) -> tuple[int, int]:
        return 0, 0

    def documents(self) -> list[Document]:
        return []

    def document(self, document_id: int) -> Document:
        return Document("root", "a.txt", "Title", "text/plain", "", PASSAGE.text, id=document_id)

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        pass


class Scripted(Double):
    """Gives the first sentence, waits to be told, gives the second."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begin = threading.Event()
        self.begin.set()
        self.questions: list[str] = []
        self.histories: list[Any] = []
        self.error: Exception | None = None

    def stream(self, question: str, *, history: Any, report: StepReport, documents: Any = ()) -> Iterator[Answer]:
        self.questions.append(question)
        self.histories.append(history)
        return self._stream(report)

    def _stream(self, report: StepReport) -> Iterator[Answer]:
        report("writing")
        self.begin.wait(60)
        yield written(FIRST)
        report("checking")
        self.go_on.wait(60)
        if self.error:
            raise self.error
        yield written(FIRST, SECOND, notes=("it took long",))
