"""txtai: Embeddings with content, its defaults (FAISS and SQLite), its own persistence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from txtai import Embeddings

from .protocol import Found, Line, System, lines_of, model_folder, run


class Txtai(System):
    """Documents go in by paragraphs: it embeds what it is given in one piece."""

    def __init__(self) -> None:
        self._embeddings: Any = None
        self._folder = Path()

    def prepare(self, index: Path) -> None:
        self._folder = index
        self._embeddings = Embeddings(path=model_folder(), content=True, gpu=False)
        self._embeddings.transform("A line that no question is about.")

    def ingest(self, documents: Path) -> int:
        self._embeddings.index(_rows(lines_of(documents)))
        self._embeddings.save(str(self._folder))
        return int(self._embeddings.count())

    def update(self, documents: Path, line: Line) -> None:
        self._embeddings.upsert(_rows([line]))
        self._embeddings.save(str(self._folder))

    def open(self, index: Path) -> None:
        self._embeddings = Embeddings(gpu=False)
        self._embeddings.load(str(index))

    def search(self, question: str, k: int, mode: str) -> list[Found]:
        return [Found(row["id"].rpartition("#")[0], row["text"]) for row in self._embeddings.search(question, k)]


def _rows(lines: list[Line]) -> Iterator[tuple[str, str, None]]:
    for line in lines:
        for number, paragraph in enumerate(re.split(r"\n\s*\n", line["text"])):
            if paragraph.strip():
                yield f"{line['id']}#{number}", paragraph, None


if __name__ == "__main__":
    run(Txtai())
