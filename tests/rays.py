"""What tests of Ray share: a folder with two indexes of it, and processes to kill."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from rag.cluster import RayWorkers
from rag.embedding import packaged_encoder
from rag.ingest import Ingester, Progress, Report
from rag.settings import Settings
from rag.store import Location, Store
from rag.types import IngestReport

READ_SECONDS = 1


class Children:
    """The processes below this one, by what they call themselves."""

    def __init__(self) -> None:
        self.killed = 0

    def called(self, name: str) -> list[int]:
        return [pid for pid, (_, called) in self._all().items() if name in called]

    def parsing(self) -> list[int]:
        """Readers that have a file in their sandbox, or had."""
        there = self._all()
        parents = {parent for parent, called in there.values() if "rag.worker" in called}
        return [pid for pid in parents if pid in there and "ray::_read_batch" in there[pid][1]]

    def _all(self) -> dict[int, tuple[int, str]]:
        """Parent and command line."""
        found: dict[int, tuple[int, str]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                found[int(folder.name)] = parent, (folder / "cmdline").read_text(errors="replace").replace("\0", " ")
            except (OSError, ValueError):
                continue
        mine = {os.getpid()}
        for _ in range(8):
            mine |= {pid for pid, (parent, _) in found.items() if parent in mine}
        return {pid: found[pid] for pid in mine if pid in found}

    def kill(self, *names: str) -> None:
        """All that are called so now: the children of one that is killed first are nobody's."""
        for pid in [pid for name in names for pid in self.called(name)]:
            os.kill(pid, signal.SIGKILL)
            self.killed += 1


class Two:
    """A folder, and two indexes of it: one that this process makes, and one that is made on Ray."""

    def __init__(self, base: Path, workers: RayWorkers) -> None:
        self.folder = base / "docs"
        self.folder.mkdir()
        self.stores: list[Store] = []
        self.ingesters: list[Ingester] = []
        for name, by in (("here", None), ("ray", workers)):
            settings = Settings(documents=self.folder, index_dir=base / name, read_seconds=READ_SECONDS)
            self.stores.append(Store.open(Location.of(settings), fingerprint="f", dimension=384))
            self.ingesters.append(Ingester(self.stores[-1], packaged_encoder(), settings, by))

    def close(self) -> None:
        for store in self.stores:
            store.close()

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def here(self) -> IngestReport:
        return self._ingest(0, None)[0]

    def on_ray(self, report: Report | None = None) -> IngestReport:
        return self._ingest(1, report)[0]

    def both(self, report: Report | None = None) -> IngestReport:
        """The report, which is the same for both, and so are the steps that were told meanwhile."""
        here, on_ray = self._ingest(0, None), self._ingest(1, report)
        assert on_ray == here
        return here[0]

    def _ingest(self, which: int, report: Report | None) -> tuple[IngestReport, list[Progress]]:
        told = []

        def tell(now: Progress) -> None:
            told.append(now)
            if report:
                report(now)

        done = self.ingesters[which].ingest_default(tell)
        # When a batch is stored, depends on when it was embedded; in the end, all are.
        return done, [replace(now, passages=0) for now in told[:-1]] + told[-1:]

    def assert_same(self) -> None:
        """Passage for passage, by the same ids, and the vectors as they are stored."""
        here, on_ray = self.stores
        documents = [store.documents() for store in self.stores]
        assert documents[0] == documents[1]
        assert [here.document(d.id) for d in documents[0]] == [on_ray.document(d.id) for d in documents[0]]
        ids = range(1, 10_000)
        assert here.passages(ids) == on_ray.passages(ids)
        np.testing.assert_array_equal(here.vectors(ids), on_ray.vectors(ids))
        on_ray.verify()


def story(number: int, words: int = 200) -> str:
    """Two passages, and different ones for each number."""
    return f"Report {number}\n\n" + " ".join(
        f"The keeper wrote down wave {number * word}." for word in range(words // 6)
    )


def lines(*texts: str) -> str:
    return "".join(json.dumps({"id": f"line {i}", "text": text}) + "\n" for i, text in enumerate(texts))


@contextmanager
def killing_readers(most: int) -> Iterator[Children]:
    """Kill, at most so often, whoever reads a file that is no small text."""
    children, over = Children(), threading.Event()

    def run() -> None:
        while not over.wait(0.05) and children.killed < most:
            for pid in children.parsing():
                os.kill(pid, signal.SIGKILL)
                children.killed += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield children
    finally:
        over.set()
        thread.join()


def ingest(command: list[str], stop: Callable[[], bool] | None = None) -> subprocess.CompletedProcess[str]:
    """The command line, in small batches; killed when `stop` says so."""
    script = "import rag.ingest, rag.cli; rag.ingest.BATCH_PASSAGES = 8; rag.cli.main()"
    pipe = subprocess.PIPE
    mark = {**os.environ, "RAYS": command[command.index("--index-dir") + 1]}  # all that it starts has it, too
    process = subprocess.Popen([sys.executable, "-c", script, *command], stdout=pipe, stderr=pipe, text=True, env=mark)
    if stop:
        until(stop)
        process.kill()
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def count(index: Path) -> int:
    """How many documents are stored."""
    try:
        with closing(sqlite3.connect(f"file:{index / 'index.db'}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM document").fetchone()[0])
    except sqlite3.Error:
        return 0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
