"""How fast documents are taken in, and how an index of a million passages opens and searches.

    python -m eval.performance.ingest DOCUMENTS.jsonl QUESTIONS.jsonl [--sample 1500] [--passages 1000000]

Speeds of embedding are ratios, taken in turns in one run: on a shared machine the seconds mean little.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import rag
from rag.embedding import model_folder, open_encoder
from rag.store import Store
from rag.types import Chunk, Document

Vectors = npt.NDArray[np.float32]

MODEL = "all-MiniLM-L6-v2"
DIMENSION = 384
ROUNDS = 3
BLOCK = 50_000  # synthetic passages made at once
BLOCKS_PER_WRITE = 5
JITTER = 0.5  # length of the noise that is added to a unit vector: cosine .89 to where it came from
SEARCHES = 200


class Recorder:
    """An embedding that remembers what it was asked to embed: exactly the texts that an ingest embeds."""

    model_name = "recorder"

    def __init__(self) -> None:
        self.texts: list[str] = []

    def get_query_embedding(self, text: str) -> list[float]:
        return [1.0]

    def get_text_embedding_batch(self, texts: list[str]) -> list[list[float]]:
        self.texts += texts
        return [[1.0]] * len(texts)


def settings(documents: Path, index: Path) -> rag.Settings:
    return rag.Settings(documents=documents, index_dir=index, llm="none")


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# -- embedding ---------------------------------------------------------------------------------------------------------


def embedding_ratios(documents: Path, sample: int, folder: Path) -> None:
    """Ingest of a sample against embedding the same texts all at once, and against `SentenceTransformer.encode`."""
    from sentence_transformers import SentenceTransformer

    lines = documents.read_text(encoding="utf-8").splitlines()
    some = folder / "sample.jsonl"
    some.write_text("\n".join(random.Random(1).sample(lines, min(sample, len(lines)))), encoding="utf-8")
    (folder / "none").mkdir()
    recorder = Recorder()
    rag.Assistant.open(settings(some, folder / "recorded"), embed_model=recorder).close()
    stock = SentenceTransformer(str(model_folder(MODEL)), device="cpu", local_files_only=True)
    ours = open_encoder(rag.Settings())
    ours.documents(recorder.texts[:1])
    texts = recorder.texts
    taken: dict[str, list[float]] = {"ingest": [], "raw": [], "stock": []}
    for number in range(ROUNDS):
        with rag.Assistant.open(settings(folder / "none", folder / f"index{number}")) as assistant:
            assistant.ingest([_one_line(lines, folder)])  # loads the model
            taken["ingest"].append(seconds(lambda: assistant.ingest([some])))
        taken["raw"].append(seconds(partial(ours.documents, texts)))
        taken["stock"].append(seconds(partial(stock.encode, texts, show_progress_bar=False)))
    median = {name: statistics.median(times) for name, times in taken.items()}
    print(
        f"ingest of {len(texts)} passages: {len(texts) / median['ingest']:.0f}/s; medians of {ROUNDS} rounds in turns"
    )
    print(f"  ÷ the same encoder alone: {median['raw'] / median['ingest']:.2f} (≥ .92)")
    print(f"  ÷ stock encode, float32 on torch: {median['stock'] / median['ingest']:.2f} (≥ 2.0)")


def _one_line(lines: list[str], folder: Path) -> Path:
    path = folder / "one.jsonl"
    path.write_text(lines[0], encoding="utf-8")
    return path


# -- the whole set -----------------------------------------------------------------------------------------------------


def whole_set(documents: Path, folder: Path) -> None:
    """Ingest all, again, and with one line changed; open what came of it."""
    copy, index = folder / "all.jsonl", folder / "index"
    copy.write_bytes(documents.read_bytes())
    (folder / "nothing").mkdir()
    with rag.Assistant.open(settings(folder / "nothing", index)) as assistant:
        first = seconds(lambda: assistant.ingest([copy]))
        count = len(assistant.documents())
        print(f"{count} documents: ingest {first:.0f} s")
        print(f"  again, nothing changed: {seconds(lambda: assistant.ingest([copy])):.2f} s (< 3)")
        lines = copy.read_text(encoding="utf-8").splitlines()
        line = json.loads(lines[count // 2])
        lines[count // 2] = json.dumps({**line, "text": line["text"] + " And one sentence more."})
        copy.write_text("\n".join(lines), encoding="utf-8")
        print(f"  one line changed: {seconds(lambda: assistant.ingest([copy])):.2f} s (< 4)")
    print(f"  open: {seconds(lambda: rag.Assistant.open(settings(folder / 'nothing', index)).close()):.2f} s (< .5)")


# -- a million passages ------------------------------------------------------------------------------------------------


def blocks(base: Vectors, passages: int) -> Iterator[Vectors]:
    """`passages` vectors around those of `base`, the same ones every time."""
    for number, start in enumerate(range(0, passages, BLOCK)):
        rng = np.random.default_rng(number)
        count = min(BLOCK, passages - start)
        noise = rng.standard_normal((count, base.shape[1]), np.float32)
        noise *= JITTER / np.linalg.norm(noise, axis=1, keepdims=True)
        vectors = base[rng.integers(0, len(base), count)] + noise
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def build(base: Vectors, passages: int, folder: Path) -> None:
    waiting: list[Vectors] = []
    with Store.open(folder, fingerprint="synthetic", dimension=DIMENSION) as store:
        for number, block in enumerate(blocks(base, passages), start=1):
            waiting.append(block)
            if len(waiting) == BLOCKS_PER_WRITE or number * BLOCK >= passages:
                store.replace([_document(f"{number}-{i}", vectors) for i, vectors in enumerate(waiting)])
                waiting = []
        store.snapshot()


def _document(source: str, vectors: Vectors) -> tuple[Document, list[Chunk], Vectors]:
    return Document("synthetic", source, "", "text/plain", source, "text"), [Chunk(0, 4)] * len(vectors), vectors


def exact(base: Vectors, passages: int, queries: Vectors, k: int) -> list[set[int]]:
    """The ids of the `k` nearest passages; they were numbered from 1 in the order they were made."""
    best: list[list[tuple[float, int]]] = [[] for _ in queries]
    for number, block in enumerate(blocks(base, passages)):
        scores = queries @ block.T
        for mine, row in zip(best, scores, strict=True):
            mine += [(float(row[i]), number * BLOCK + int(i) + 1) for i in np.argpartition(-row, k)[:k]]
    return [{i for _, i in sorted(mine, reverse=True)[:k]} for mine in best]


def probe(folder: Path) -> None:
    """In a process of its own: open the index, search; prints what came of it as JSON."""
    queries = np.load(folder / "queries.npy")
    start = time.perf_counter()
    with Store.open(folder, fingerprint="synthetic", dimension=DIMENSION) as store:
        store.dense(queries[0], 10)
        opened = time.perf_counter() - start
        found, times = [], []
        for query in queries:
            start = time.perf_counter()
            found.append([i for i, _ in store.dense(query, 10)])
            times.append(time.perf_counter() - start)
    # Not ru_maxrss: that of the parent counts in it.
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    peak = 1024 * int(match[1]) if match else 0
    print(json.dumps({"open": opened, "ms": [1000 * t for t in times], "gigabytes": peak / 1e9, "found": found}))


def open_and_search(folder: Path, truth: list[set[int]], name: str, limit: float) -> None:
    command = [sys.executable, "-m", "eval.performance.ingest", "--probe", str(folder)]
    out = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    recall = statistics.mean(len(set(f) & t) / len(t) for f, t in zip(out["found"], truth, strict=True))
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e9
    p50, p95 = np.percentile(out["ms"], [50, 95])
    print(f"{name}: open and first search {out['open']:.2f} s (< {limit}), peak memory {out['gigabytes']:.2f} GB (< 3)")
    print(f"  search p50 {p50:.1f} ms, p95 {p95:.1f} ms (< 50), recall@10 {recall:.3f} (≥ .98), on disk {size:.2f} GB")


def synthetic(base: Vectors, queries: Vectors, passages: int, folder: Path, limit: float) -> None:
    folder.mkdir()
    print(f"building {passages:,} synthetic passages: {seconds(lambda: build(base, passages, folder)):.0f} s")
    np.save(folder / "queries.npy", queries)
    open_and_search(folder, exact(base, passages, queries, 10), f"{passages:,} passages", limit)


def vectors_of(documents: Path, questions: Path, sample: int) -> tuple[Vectors, Vectors]:
    """Vectors of some documents and of some questions."""
    encoder = open_encoder(rag.Settings())
    lines = [json.loads(line) for line in documents.read_text(encoding="utf-8").splitlines()]
    asked = [json.loads(line)["question"] for line in questions.read_text(encoding="utf-8").splitlines()]
    texts = [line["text"] for line in random.Random(2).sample(lines, min(sample, len(lines)))]
    return encoder.documents(texts), encoder.queries(asked[:SEARCHES])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", type=Path, nargs="?")
    parser.add_argument("questions", type=Path, nargs="?")
    parser.add_argument("--sample", type=int, default=1500, help="documents for the ratios, and for the jitter's base")
    parser.add_argument("--passages", type=int, default=1_000_000, help="size of the synthetic index")
    parser.add_argument("--only", choices=["ratios", "whole", "synthetic"], help="one part")
    parser.add_argument("--probe", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.probe:
        probe(arguments.probe)
        return
    if not arguments.documents or not arguments.questions:
        parser.error("name the documents and the questions")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.only in (None, "ratios"):
            embedding_ratios(arguments.documents, arguments.sample, folder)
        if arguments.only in (None, "whole"):
            whole_set(arguments.documents, folder)
        if arguments.only in (None, "synthetic"):
            base, queries = vectors_of(arguments.documents, arguments.questions, arguments.sample)
            synthetic(base, queries, len(base), folder / "small", 0.5)
            synthetic(base, queries, arguments.passages, folder / "large", 5)


if __name__ == "__main__":
    main()
