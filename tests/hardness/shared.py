"""Two servers and two ingesters on one PostgreSQL: one ingester is killed while it writes, again and again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from servers import can_have, fresh_schema

from rag.assistant import Assistant
from rag.errors import RagError
from rag.settings import Settings
from rag.types import Citation

from .table import Row

KILLED, OTHER = "killed", "other"
DOCUMENTS = 40
_BATCH = 4  # passages in a transaction: so that a kill finds half of a version written
_INGEST = f"""
import rag.ingest, rag.pipeline
rag.ingest.BATCH_PASSAGES = rag.pipeline.BATCH_PASSAGES = {_BATCH}
from rag.cli import main
main()
"""
_LONGEST_S = 180


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    rows = [Row("shared: an ingester killed while it writes"), Row("shared: answers of two servers meanwhile")]
    if not can_have("postgresql"):
        for row in rows:
            row.figures = "not tried: PostgreSQL cannot be installed here"
        return rows
    database = fresh_schema()
    with ExitStack() as opened:
        servers = [opened.enter_context(Assistant.open(_settings(base / name, database))) for name in ("one", "two")]
        _ingest_all(base, database, 0)
        with _asked(servers, rows[1], chance):
            last = _killed(base, database, servers, rows[0], chance, kills=2 if few else 12)
        _ingest_all(base, database, last)
        rows[0].check("in the end", *_wrong(servers, last, last))
    return rows


def _settings(folder: Path, database: str) -> Settings:
    return Settings(index_dir=folder / "index", store=database, llm="none", refuse_below=0.0)


def text_of(name: str, version: int) -> str:
    """A document that says in all of its sentences which version it is."""
    return "\n\n".join(f"The gauge {name} in room {room} shows {version}." for room in range(3))


def _collection(base: Path, name: str, version: int) -> Path:
    file = base / f"{name}.jsonl"
    names = [f"{name}{i}" for i in range(DOCUMENTS)]
    file.write_text("\n".join(json.dumps({"id": each, "text": text_of(each, version)}) for each in names))
    return file


def _ingesting(file: Path, database: str) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAG_")} | {
        "RAG_STORE": database,
        "RAG_INDEX_DIR": str(file.parent / "ingester" / "index"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", _INGEST, "ingest", str(file)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _ingest_all(base: Path, database: str, version: int) -> None:
    for process in [_ingesting(_collection(base, name, version), database) for name in (KILLED, OTHER)]:
        _, said = process.communicate(timeout=_LONGEST_S)
        assert process.returncode == 0, said.decode()


def _killed(base: Path, database: str, servers: list[Assistant], row: Row, chance: random.Random, *, kills: int) -> int:
    """Returns the last version of which some was written."""
    version = 0
    while row.tried < kills and version < 3 * kills:
        version += 1
        victim = _ingesting(_collection(base, KILLED, version), database)
        survivor = _ingesting(_collection(base, OTHER, version), database)
        wanted = chance.randrange(1, DOCUMENTS - 2 * _BATCH)
        while victim.poll() is None and _of_version(servers[0], version) < wanted:
            time.sleep(0.01)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        written = _of_version(servers[0], version)
        _, said = survivor.communicate(timeout=_LONGEST_S)
        problems = _wrong(servers, 0, version)
        problems += [] if survivor.returncode == 0 else [f"the other ingester: {said.decode()}"]
        if 0 < written < DOCUMENTS or problems:  # else it was not killed in the midst
            row.check(f"version {version}, killed after {written} documents", *problems)
    return version


def _of_version(server: Assistant, version: int) -> int:
    """How many documents of the victim's are of this version by now: in one look, for an ingest is quick."""
    count = "SELECT count(*) FROM rag_document WHERE source LIKE :name AND text LIKE :said"
    with server._store._catalogue.reading() as reader:
        ((written,),) = reader.all(count, name=f"{KILLED}%", said=f"% shows {version}.%")  # type: ignore[attr-defined]
    return int(written)


def _wrong(servers: list[Assistant], oldest: int, newest: int) -> list[str]:
    """What is lost, there twice, or of no version that was written; the survivor's is always the newest."""
    problems = []
    versions = {KILLED: range(oldest, newest + 1), OTHER: [newest]}
    expected = sorted(f"{name}{i}" for name in (KILLED, OTHER) for i in range(DOCUMENTS))
    for server in servers:
        store = server._store
        try:
            store.verify()
        except RagError as error:
            problems.append(str(error))
        with store.reading():
            there = server.documents()
            if sorted(document.source for document in there) != expected:
                problems.append("documents are lost, or there twice")
            problems += [
                f"{each.source} is of no version that was written"
                for each in there
                if server.document(each.id).text
                not in {text_of(each.source, version) for version in versions[each.source.rstrip("0123456789")]}
            ]
            found = [i for i, _ in store.dense(server._encoder.queries(["the gauge"])[0], 10**6)]
            passages = store.passages(found)
        if len(set(found)) < len(found) or len(passages) < len(found) or len(found) != store.count()[1]:
            problems.append(f"{len(found)} vectors, {len(passages)} passages, {store.count()[1]} counted")
    return problems


@contextmanager
def _asked(servers: list[Assistant], row: Row, chance: random.Random) -> Iterator[None]:
    """Questions to every server, each in a thread of its own, as long as the body runs."""
    done = threading.Event()
    draws = [random.Random(chance.random()) for _ in servers]

    def ask(server: Assistant, draw: random.Random) -> None:
        while not done.is_set():
            name = f"{draw.choice([KILLED, OTHER])}{draw.randrange(DOCUMENTS)}"
            answer = server.ask(f"What does the gauge {name} in room 1 show?")
            dangling = [citation.quote for citation in answer.citations if not stands(citation)]
            row.check(f"gauge {name}", None if answer.citations else f"no answer: {answer.reason}", lost=dangling)

    threads = [threading.Thread(target=ask, args=pair) for pair in zip(servers, draws, strict=True)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def stands(citation: Citation) -> bool:
    """Whether a quote stands where it says, in the version of its document that it is of."""
    version = int(citation.quote.rpartition("shows ")[2].rstrip("."))
    return text_of(citation.passage.source, version)[citation.start : citation.end] == citation.quote
