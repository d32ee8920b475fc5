"""Limits of our own parts: the encoder alone, `faiss.IndexFlatIP.search` alone, FTS5 alone."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import faiss as _faiss
import numpy as np

import rag
from rag.embedding import open_encoder

from .protocol import Found, System, lines_of, run

faiss: Any = _faiss


class OurLimits(System):
    """`documents` of `ingest` is a JSON list of texts, that of `open` a collection; a mode names the part."""

    def __init__(self) -> None:
        self._encoder = open_encoder(rag.Settings())
        self._flat: Any = None
        self._sources: list[str] = []
        self._vectors: dict[str, Any] = {}
        self._words = sqlite3.connect(":memory:")

    def prepare(self, index: Path) -> None:
        self._encoder.documents(["A line that no question is about."])
        self._encoder.queries(["A line that no question is about."])

    def ingest(self, documents: Path) -> int:
        texts = json.loads(documents.read_text(encoding="utf-8"))
        return len(self._encoder.documents(sorted(texts, key=len)))

    def open(self, index: Path) -> None:
        self.prepare(index)
        lines = lines_of(index)
        vectors = self._encoder.documents([line["text"] for line in lines])
        self._sources = [line["id"] for line in lines]
        self._flat = faiss.IndexFlatIP(vectors.shape[1])
        self._flat.add(vectors)
        self._words.execute("CREATE VIRTUAL TABLE words USING fts5(title, text, tokenize='porter unicode61')")
        rows = [(number, line["title"], line["text"]) for number, line in enumerate(lines)]
        self._words.executemany("INSERT INTO words (rowid, title, text) VALUES (?, ?, ?)", rows)

    def embed(self, questions: list[str]) -> None:
        """Embed questions, so that `flat` need not."""
        self._vectors = dict(zip(questions, np.ascontiguousarray(self._encoder.queries(questions)), strict=True))

    def search(self, question: str, k: int, mode: str) -> list[Found]:
        if mode == "encode":
            self._encoder.queries([question])
            return []
        if mode == "flat":
            _, ids = self._flat.search(self._vectors[question][None, :], k)
            found = ids[0].tolist()
        else:
            match = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", question))
            sql = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?"
            found = [number for (number,) in self._words.execute(sql, (match, k))]
        return [Found(self._sources[number], "") for number in found]


if __name__ == "__main__":
    run(OurLimits())
