"""A limit, no system: `SentenceTransformer.encode` alone, float32, of the texts that our ingest embeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from .protocol import Found, System, model_folder, run


class RawEncode(System):
    """Stores nothing. `documents` is a JSON list of texts."""

    def __init__(self) -> None:
        self._model: Any = None

    def prepare(self, index: Path) -> None:
        self._model = SentenceTransformer(model_folder(), device="cpu", local_files_only=True)
        self._model.encode(["A line that no question is about."], show_progress_bar=False)

    def ingest(self, documents: Path) -> int:
        texts = json.loads(documents.read_text(encoding="utf-8"))
        return len(self._model.encode(texts, show_progress_bar=False))

    def open(self, index: Path) -> None:
        self.prepare(index)

    def search(self, question: str, k: int, mode: str) -> list[Found]:
        self._model.encode([question], show_progress_bar=False)
        return []


if __name__ == "__main__":
    run(RawEncode())
