"""What is put through the faults: a folder of documents in numbered versions, its index, and what must hold."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

import rag.ingest
import rag.nearest
import rag.vectors
from rag.ingest import Ingester
from rag.pipeline import embedded_text
from rag.settings import Settings
from rag.splitting import chunks
from rag.store import FloatArray, Location, Store
from rag.types import Chunk, Document, IngestReport, Passage

DIMENSION = 32
DOCUMENTS = 16
BATCH_PASSAGES = 16
PASSAGE_WORDS = 20
SNAPSHOT = "vectors-*.faiss"


def make_everything_small() -> None:
    """Several batches and several vector files in every small ingest. For this process; nothing puts it back."""
    rag.ingest.BATCH_PASSAGES = BATCH_PASSAGES
    rag.vectors.LAG_ROWS = 8
    rag.nearest.faiss().omp_set_num_threads(1)  # its threads would not survive a fork


class ScriptedEncoder:
    """A random unit vector for each text, always the same one; it remembers how many texts each call had."""

    name = weights = "scripted"
    dimension = DIMENSION

    def __init__(self, before: Callable[[int], object] = int, after: Callable[[int], object] = int) -> None:
        self.calls: list[int] = []
        self._before, self._after = before, after

    def documents(self, texts: Sequence[str]) -> FloatArray:
        self._before(len(texts))
        self.calls.append(len(texts))
        vectors = np.array([vector_of(text) for text in texts], np.float32).reshape(len(texts), DIMENSION)
        self._after(len(texts))
        return vectors

    queries = documents


def vector_of(text: str) -> FloatArray:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float16).astype(np.float32)


Texts = Mapping[str, str]  # source -> text


def texts_of(version: int, kind: str = "heron") -> dict[str, str]:
    """The documents of a version: from one to the next half of them change, and one or two come or go."""
    return {
        f"d{i:02}.{'md' if i % 4 == 0 else 'txt'}": _text(i, version - (version + i) % 2, kind)
        for i in range(DOCUMENTS)
        if (version + i) % 9
    }


def _text(i: int, edition: int, kind: str) -> str:
    lines = [f"# Notes on the {kind} {i}\n"] if i % 4 == 0 else []
    for n in range(5 + i % 5):
        lines.append(f"Sentence {n} about {kind} {i} — édition {edition}🦉 — names the river {n + 7 * i} and the hill.")
    return "\n\n".join(lines)


@dataclass
class Subject:
    """A folder with documents and its index. Nothing stays open between two calls, so that the process may fork."""

    base: Path
    texts: Texts = field(default_factory=dict)

    @property
    def index(self) -> Path:
        return self.base / "index"

    @property
    def settings(self) -> Settings:
        return Settings(documents=self.base / "docs", index_dir=self.index, passage_words=PASSAGE_WORDS, llm="none")

    def write(self, texts: Texts) -> None:
        """Put these documents into the folder in place of those that are there."""
        folder = self.base / "docs"
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.name not in texts:
                path.unlink()
        for source, text in texts.items():
            (folder / source).write_text(text, encoding="utf-8")
        self.texts = dict(texts)

    def open(self) -> Store:
        return Store.open(Location(self.index), fingerprint="scripted", dimension=DIMENSION)

    def ingest(self, encoder: ScriptedEncoder | None = None) -> IngestReport:
        with self.open() as store:
            return Ingester(store, encoder or ScriptedEncoder(), self.settings).ingest_default()

    def to_embed(self, old: Texts) -> int:
        """How many passages have to be embedded to get from the documents `old` to those in the folder."""
        return sum(len(cut(source, text)) for source, text in self.texts.items() if old.get(source) != text)

    def snapshots(self) -> list[Path]:
        return sorted(self.index.glob("vectors-*"))


@lru_cache(maxsize=1024)
def cut(source: str, text: str) -> list[Chunk]:
    return chunks(text, "text/markdown" if source.endswith(".md") else "text/plain", PASSAGE_WORDS)


def largest_loss(texts: Texts) -> int:
    """How many passages may be embedded and not stored yet: two batches, one at the encoder and one at the store.

    A batch is closed by the document that fills it.
    """
    return 2 * (BATCH_PASSAGES - 1 + max(len(cut(source, text)) for source, text in texts.items()))


@dataclass(frozen=True, slots=True)
class Findings:
    """What was wrong after a fault. Nothing, that is."""

    lost: tuple[str, ...] = ()  # documents in neither their old nor their new version
    problems: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lost or self.problems)

    def __add__(self, other: Findings) -> Findings:
        return Findings(self.lost + other.lost, self.problems + other.problems)


def problem(*lines: str) -> Findings:
    return Findings(problems=lines)


def inspect(subject: Subject, old: Texts, new: Texts, store: Store | None = None) -> Findings:
    """Look at the whole index: every document old or new, passages, vectors and words in step with them."""
    if store is None:
        with subject.open() as store:
            return inspect(subject, old, new, store)
    listed = store.documents()
    documents = {d.source: store.document(d.id) for d in listed}
    found = problem(*raw_problems(subject.index / "index.db"))
    if len(documents) != len(listed):
        found += problem("a document is there twice")
    found += Findings(lost=tuple(s for s in old.keys() & new.keys() if s not in documents))
    for source, document in documents.items():
        if document.text not in (old.get(source), new.get(source)):
            found += Findings(lost=(source,))
        elif document.sha256 != hashlib.sha256(document.text.encode()).hexdigest():
            found += problem(f"{source}: the hash is another version's")
    return found + problem(*_passage_problems(store, {d.id: d for d in documents.values()}, _passage_ids(subject)))


def _passage_problems(store: Store, documents: Mapping[int, Document], ids: Sequence[int]) -> list[str]:
    passages = store.passages(ids)
    problems = [] if len(passages) == len(ids) else ["a passage is without document"]
    if sorted(i for i, _ in store.dense(vector_of("any"), 10**6)) != sorted(ids):
        problems.append("vectors and passages are not the same")
    for document in documents.values():
        own = [p for p in passages if p.document_id == document.id]
        spans = [(c.start, c.end) for c in cut(document.source, document.text)]
        if sorted((p.start, p.end) for p in own) != spans:
            problems.append(f"{document.source}: passages of another version")
        problems += [why for p in own if (why := passage_problem(store, document, p))]
    return problems


def passage_problem(store: Store, document: Document, passage: Passage) -> str | None:
    """What is wrong with one passage: its text, its vector, or that its vector or its words do not find it."""
    if passage.text != document.text[passage.start : passage.end]:
        return f"passage {passage.id}: its text is not in its document"
    vector = vector_of(embedded_text(document, Chunk(passage.start, passage.end, passage.page, passage.heading)))
    (nearest, *_) = store.dense(vector, 1) or [(0, 0.0)]
    if nearest[0] != passage.id or abs(nearest[1] - 1) > 1e-3:
        return f"passage {passage.id}: its own vector finds {nearest}"
    if not np.array_equal(store.vectors([passage.id])[0], vector):
        return f"passage {passage.id}: another vector is stored"
    return None


def _passage_ids(subject: Subject) -> list[int]:
    connection = sqlite3.connect(subject.index / "index.db")
    try:
        return [i for (i,) in connection.execute("SELECT id FROM passage ORDER BY id")]
    finally:
        connection.close()


def raw_problems(path: Path) -> list[str]:
    """SQLite's own checks, and the full-text table against the passages."""
    connection = sqlite3.connect(path)
    try:
        problems = [line for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
        problems += [f"dangling reference {row}" for row in connection.execute("PRAGMA foreign_key_check")]
        connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
        connection.rollback()
    except sqlite3.Error as error:
        return [f"index.db: {error}"]
    finally:
        connection.close()
    return problems


def fork(run: Callable[[], object]) -> int:
    """Run in a child process; returns its id. It ends with 0, or with 1 after printing what was raised."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        run()
        status = 0
    except BaseException as error:
        os.write(2, f"a child ended with {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(status)


def wait(child: int) -> int:
    """Its exit status, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
