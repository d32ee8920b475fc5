"""Several processes on one index: rival writers, and readers while one writes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np

import rag.database
from rag.errors import IndexLocked
from rag.pipeline import embedded_text
from rag.retrieval import Retriever
from rag.store import FloatArray, Store
from rag.types import Chunk, Document

from .subject import (
    Findings,
    ScriptedEncoder,
    Subject,
    cut,
    fork,
    inspect,
    make_everything_small,
    problem,
    texts_of,
    vector_of,
    wait,
)
from .table import Row

LOCKED_OUT = 17  # the exit status of a writer that was told to wait
READER_PROCESSES, THREADS_EACH = 4, 2


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    make_everything_small()
    readers = base / "readers"
    readers.mkdir()
    return [*two_writers(base, 2 if few else 20), *one_writer_eight_readers(readers, 4 if few else 60)]


# -- two writers -------------------------------------------------------------------------------------------------------


def two_writers(base: Path, times: int) -> list[Row]:
    """Two processes ingest different folders of the same names; the index is all of one or all of the other."""
    rows = [Row("two writers: the second waits"), Row("two writers: the second gives up")]
    one, two = Subject(base / "one"), Subject(base / "two")
    for turn in range(times):
        one.write(texts_of(turn, "heron"))
        two.write(texts_of(turn, "walrus"))
        rows[0].add(_rivals(one, two, patient=True))
        one.write(texts_of(turn, "otter"))
        rows[1].add(_rivals(one, two, patient=False))
    return rows


def _rivals(one: Subject, two: Subject, *, patient: bool) -> Findings:
    """`one` holds the lock until `two` is waiting for it (patient) or has ended."""
    begun, go_on = os.pipe(), os.pipe()

    def first() -> None:
        encoder = ScriptedEncoder(before=_once(lambda: (os.write(begun[1], b"."), os.read(go_on[0], 1))))
        one.ingest(encoder)

    def second() -> None:
        rag.database.LOCK_WAIT_S = 60 if patient else 0.1
        if patient:
            os.write(go_on[1], b".")
        try:
            _into(one.index, two).ingest()
        except IndexLocked as error:
            clear = "another process is writing" in str(error) and "try again" in str(error)
            os._exit(LOCKED_OUT if clear else 1)

    writer = fork(first)
    os.read(begun[0], 1)
    rival = fork(second)
    ended = wait(rival) if not patient else None
    if not patient:
        os.write(go_on[1], b".")
    ended = (wait(writer), wait(rival) if ended is None else ended)
    for end in (*begun, *go_on):
        os.close(end)
    found = Findings() if ended == (0, 0 if patient else LOCKED_OUT) else problem(f"the writers ended with {ended}")
    final = two if patient else one
    return found + inspect(_into(one.index, final), final.texts, final.texts)


def _into(index: Path, subject: Subject) -> Subject:
    return _Elsewhere(subject.base, subject.texts, index)


class _Elsewhere(Subject):
    """The documents of one subject, the index of another."""

    def __init__(self, base: Path, texts: dict[str, str], index: Path) -> None:
        super().__init__(base, texts)
        self._index = index

    @property
    def index(self) -> Path:
        return self._index


def _once(action: Callable[[], object]) -> Callable[[int], None]:
    left = [action]

    def before(_: int) -> None:
        if left:
            left.pop()()

    return before


# -- one writer, eight readers -----------------------------------------------------------------------------------------


def one_writer_eight_readers(base: Path, seconds: float) -> list[Row]:
    """The writer replaces all documents in one transaction, again and again: every read is of one version."""
    subject = Subject(base)
    with subject.open() as store:
        store.replace(_items(0))
    until = time.monotonic() + seconds
    reports = [base / f"reader{n}" for n in range(READER_PROCESSES)]
    written = base / "written"
    readers = [fork(lambda report=report: _read_until(subject, until, report)) for report in reports]
    writer = fork(lambda: _write_until(subject, until, written))
    ends = [wait(child) for child in (*readers, writer)]
    row = Row(f"one writer, {READER_PROCESSES * THREADS_EACH} readers: reads")
    for report in reports:
        reads, problems = json.loads(report.read_text()) if report.exists() else (0, ["a reader was lost"])
        row.tried += reads
        row.survived += reads - len(problems)
        row.problems += problems
    writes = int(written.read_text()) if written.exists() else 0
    if any(ends) or not writes or not row.tried:
        row.problems.append(f"processes ended with {ends} after {writes} writes")
    with subject.open() as store:
        row.lost += texts_of(0).keys() - {document.source for document in store.documents()}
    row.fault += f" (during {writes} writes)"
    return [row]


def _items(version: int) -> list[tuple[Document, list[Chunk], FloatArray]]:
    return [_item(source, text, version) for source, text in texts_of(0, f"bird of version{version}").items()]


def _item(source: str, text: str, version: int) -> tuple[Document, list[Chunk], FloatArray]:
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    document = Document("root", source, str(version), "text/plain", sha256, text)
    chunks = cut(source, text)
    return document, chunks, np.array([vector_of(embedded_text(document, chunk)) for chunk in chunks], np.float32)


def _write_until(subject: Subject, until: float, written: Path) -> None:
    with subject.open() as store:
        for version in count(1):
            store.replace(_items(version))
            if time.monotonic() > until:
                break
            if version % 5 == 0:  # a document less, until the next version
                store.remove([store.documents()[0].id])
    written.write_text(str(version))


def _read_until(subject: Subject, until: float, report: Path) -> None:
    with subject.open() as store, ThreadPoolExecutor(THREADS_EACH) as pool:
        done = list(pool.map(lambda _: _reads(store, until), range(THREADS_EACH)))
    report.write_text(json.dumps([sum(reads for reads, _ in done), [p for _, problems in done for p in problems]]))


def _reads(store: Store, until: float) -> tuple[int, list[str]]:
    encoder = ScriptedEncoder()
    newest, problems = 0, []
    for reads in count(1):
        try:
            version, wrong = _read(store) if reads % 2 else _search(store, encoder, f"heron river {reads}")
        except Exception as error:
            version, wrong = newest, f"{type(error).__name__}: {error}"
        if version < newest:
            wrong = wrong or f"version {version} was read after {newest}"
        newest = max(newest, version)
        problems += [wrong] if wrong else []
        if time.monotonic() > until:
            return reads, problems
    raise AssertionError  # count() has no end


def _read(store: Store) -> tuple[int, str]:
    """Everything in one reading: both searches find all passages, and all of them stand in their documents."""
    with store.reading():
        documents = {d.id: store.document(d.id) for d in store.documents()}
        ids = [i for i, _ in store.dense(vector_of("any"), 1000)]
        passages = store.passages(ids)
        versions = {int(d.title) for d in documents.values()} | {_version(p.text) for p in passages}
        wrong = [
            "documents are missing" if len(documents) < len(texts_of(0)) - 1 else "",
            "more than one version" if len(versions) != 1 else "",
            "a vector without passage" if len(passages) != len(ids) else "",
            "the searches disagree" if {i for i, _ in store.keyword(["sentence", "notes"], 1000)} != set(ids) else "",
            "passages are missing" if len(passages) != _passages_of(documents.values()) else "",
        ]
        for passage in passages:
            document = documents.get(passage.document_id)
            if document is None or passage.text != document.text[passage.start : passage.end]:
                wrong.append("a passage that is not in its document")
        vectors = store.vectors(ids[:3])
        expected = [_vector(documents[p.document_id], p.start, p.end, p.heading) for p in passages[:3]]
        wrong.append("" if np.array_equal(vectors, expected) else "another vector")
    return max(versions, default=0), "; ".join(filter(None, wrong))


def _search(store: Store, encoder: ScriptedEncoder, question: str) -> tuple[int, str]:
    """As the assistant searches: what it finds is of one version."""
    retriever = Retriever(store, encoder)
    hits = retriever.search(retriever.query(question), 12)
    versions = {_version(hit.passage.text) for hit in hits}
    return max(versions, default=0), "" if len(hits) == 12 and len(versions) == 1 else "a search over two versions"


def _version(text: str) -> int:
    return int(text.partition("version")[2].split()[0])


def _passages_of(documents: Collection[Document]) -> int:
    return sum(len(cut(d.source, d.text)) for d in documents)


def _vector(document: Document, start: int, end: int, heading: str) -> FloatArray:
    return vector_of(embedded_text(document, Chunk(start, end, heading=heading)))
