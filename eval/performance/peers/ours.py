"""Ourselves, through its public names only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rag

from .protocol import Found, Line, NotMeasured, System, run

_WARM_UP = {"id": "warm-up", "text": "A line that no question is about."}


class Ours(System):
    """An Assistant over an index that belongs to no documents folder."""

    def __init__(self) -> None:
        self._settings: dict[str, Any] = {"llm": "none"}
        self._index = Path()
        self._assistant: rag.Assistant | None = None

    @property
    def _opened(self) -> rag.Assistant:
        if self._assistant is None:
            raise NotMeasured("nothing is open")
        return self._assistant

    def prepare(self, index: Path) -> None:
        self.open(index)
        one = self._index / "warm-up.jsonl"
        one.write_text(json.dumps(_WARM_UP), encoding="utf-8")
        self._opened.ingest([one])
        self._opened.remove(_WARM_UP["id"])
        one.unlink()

    def ingest(self, documents: Path) -> int:
        self._opened.ingest([documents])
        return sum(each.passages for each in self._opened.listing())

    def again(self, documents: Path) -> int:
        report = self._opened.ingest([documents])
        return len(report.added) + len(report.updated)

    def update(self, documents: Path, line: Line) -> None:
        report = self._opened.ingest([documents])
        if (report.added + report.updated) != (line["id"],):
            raise NotMeasured(f"it updated {len(report.added) + len(report.updated)} documents instead of one")

    def open(self, index: Path) -> None:
        self._index = index
        nothing = index.parent / "nothing"
        nothing.mkdir(parents=True, exist_ok=True)
        self._assistant = rag.Assistant.open(rag.Settings(documents=nothing, index_dir=index, **self._settings))

    def resume(self, index: Path) -> None:
        self.open(index)

    def search(self, question: str, k: int, mode: str) -> list[Found]:
        hits = self._opened.search(question, k, mode="dense" if mode == "dense" else "hybrid")
        return [Found(hit.passage.source, hit.passage.text) for hit in hits]

    def serve_with(self, llm: str, base_url: str) -> None:
        """`embedded`: in this process, without the endpoint, as people run it. `none`: quotes."""
        self._opened.close()
        self._settings = {"llm": llm}
        self.open(self._index)

    def answer(self, question: str) -> Iterator[str]:
        for answer in self._opened.stream(question):
            yield answer.text


if __name__ == "__main__":
    run(Ours())
