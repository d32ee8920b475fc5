"""Ray killed under an ingest: workers, files that end them, all of it, the ingest itself. Minutes.

Whatever was killed, the index is the one that one process makes, passage for passage, at once or after the same again.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import format_samples as samples
import pytest
from rays import READ_SECONDS, Children, Two, count, ingest, killing_readers, story, until

import rag.ingest
from rag.cluster import RayWorkers
from rag.embedding import packaged_encoder
from rag.errors import ClusterUnavailable
from rag.ingest import Progress
from rag.settings import Settings

from .table import Row

DOCUMENTS = 60
RAY = ("raylet/raylet ", "ray::")  # what holds the workers, and they
HEAD = ("gcs_server", *RAY)


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    if not sys.platform.startswith("linux"):
        return [Row("Ray is killed", figures="not tried: its processes are looked for in /proc")]
    rag.ingest.BATCH_PASSAGES = 8
    times = 1 if few else 5
    faults: dict[str, tuple[int, Callable[[Two, random.Random], None]]] = {
        "an embedding worker is killed": (times, _embedder),
        "every embedding worker is killed, again and again": (times, _all_embedders),
        "a reader is killed": (times, _reader),
        "a file ends every reader": (times, _poison),
        "the ingest is killed, and run again": (times, _ingest),
        "Ray is killed on this machine": (times, lambda two, chance: _lost(two, chance, RAY)),
        "Ray is killed with its head": (1, lambda two, chance: _lost(two, chance, HEAD)),
    }
    rows = []
    workers = RayWorkers(Settings(read_seconds=READ_SECONDS), packaged_encoder(), "local")
    for name, (tries, fault) in faults.items():
        row = Row(name)
        for turn in range(tries):
            folder = base / f"{len(rows)}-{turn}"
            folder.mkdir()
            two = Two(folder, workers)
            try:
                for i in range(DOCUMENTS):
                    two.write(f"{i:02}.txt", story(i))
                fault(two, chance)
                two.here()
                two.on_ray()
                two.assert_same()
                row.check(f"turn {turn}")
            except (AssertionError, pytest.fail.Exception, ClusterUnavailable) as error:
                row.check(f"turn {turn}", f"{type(error).__name__} {error}"[:300])
            finally:
                two.close()
        rows.append(row)
    workers.close()
    return rows


def _embedder(two: Two, chance: random.Random) -> None:
    children = Children()
    at = chance.randrange(24, DOCUMENTS)

    def kill(now: Progress) -> None:
        if now.documents == at:
            os.kill(chance.choice(children.called("ray::_EmbedderActor")), signal.SIGKILL)

    assert len(two.on_ray(kill).added) == DOCUMENTS


def _all_embedders(two: Two, chance: random.Random) -> None:
    children = Children()

    def kill(now: Progress) -> None:
        if now.documents % 24 == 0:
            children.kill("ray::_EmbedderActor")

    assert len(two.on_ray(kill).added) == DOCUMENTS
    assert children.killed > 1


def _reader(two: Two, chance: random.Random) -> None:
    two.write("slow.pdf", samples.slow_pdf())
    with killing_readers(most=1) as children:
        done = two.on_ray()
    assert (len(done.added), children.killed) == (DOCUMENTS, 1)
    assert "takes longer" in done.failed[0].reason


def _poison(two: Two, chance: random.Random) -> None:
    slow = two.write("slow.pdf", samples.slow_pdf())
    with killing_readers(most=100):
        done = two.on_ray()
    assert [failure.source for failure in done.failed] == ["slow.pdf"]
    assert "has stopped every worker that read it" in done.failed[0].reason
    assert len(done.added) == DOCUMENTS
    slow.unlink()


def _ingest(two: Two, chance: random.Random) -> None:
    index = two.folder.parent / "index"
    command = ["--documents", str(two.folder), "--index-dir", str(index), "ingest", "--ray", str(two.folder)]
    most = chance.randrange(DOCUMENTS // 2)
    first = ingest(command, stop=lambda: count(index) > most)
    assert first.returncode == -signal.SIGKILL
    assert most < count(index) < DOCUMENTS, f"{count(index)} documents are stored"
    again = ingest(command)
    summary = f"0 added, 0 updated, {DOCUMENTS} unchanged, 0 removed, 0 failed\n"  # the opening added them
    assert (again.returncode, again.stdout) == (0, summary), f"{again.returncode} {again.stdout} {again.stderr}"
    until(lambda: not _marked(str(index)))


def _marked(mark: str) -> list[str]:
    """Processes that an `ingest` of this index has left behind, whoever their parent is now."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"RAYS={mark}" in file.read_text(errors="replace"):
                found.append(file.parent.name)
        except OSError:
            continue
    return found


def _lost(two: Two, chance: random.Random, names: tuple[str, ...]) -> None:
    children = Children()

    def kill(now: Progress) -> None:
        if now.documents == 24 and not children.killed:
            children.kill(*names)

    with pytest.raises(ClusterUnavailable, match=r"was lost.*the same command goes on from there"):
        two.on_ray(kill)
    stored, _ = two.stores[1].count()
    assert 0 < stored < DOCUMENTS
    two.stores[1].verify()
    assert len(two.on_ray().unchanged) == stored  # on a Ray that is started for it
