"""On Ray the index is the one that this process makes by itself, whoever is killed in between."""

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

import format_samples as samples
import numpy as np
import pytest
from llama_index.core.embeddings import MockEmbedding
from typer.testing import CliRunner

import rag
from rag.cli import app
from rag.cluster import RayWorkers
from rag.embedding import PackagedEncoder, packaged_encoder
from rag.ingest import Ingester, Progress, Report
from rag.scan import File
from rag.settings import Settings
from rag.store import Store
from rag.types import IngestReport

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks for Ray's processes in /proc")

READ_SECONDS = 2
PAGE = "<h1>Birds</h1><p>The heron stands still in the shallow water.</p>"


class Children:
    """The processes below this one, by what they call themselves."""

    def __init__(self) -> None:
        self.killed = 0

    def called(self, name: str) -> list[int]:
        parents, names = {}, {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                names[int(folder.name)] = (folder / "cmdline").read_text(errors="replace").replace("\0", " ")
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
        mine = {os.getpid()}
        for _ in range(8):
            mine |= {pid for pid, parent in parents.items() if parent in mine}
        return [pid for pid in mine if name in names.get(pid, "")]

    def kill(self, *names: str) -> None:
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
            self.stores.append(Store.open(settings.index_dir, fingerprint="f", dimension=384))
            self.ingesters.append(Ingester(self.stores[-1], packaged_encoder(), settings, by))

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


@pytest.fixture(scope="module")
def workers() -> Iterator[RayWorkers]:
    """A Ray of two CPUs or more, on this machine; as `rag ingest --ray` has it."""
    workers = RayWorkers(Settings(read_seconds=READ_SECONDS), packaged_encoder(), "local")
    yield workers
    workers.close()


@pytest.fixture
def two(tmp_path: Path, workers: RayWorkers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Two]:
    monkeypatch.setattr("rag.ingest.BATCH_PASSAGES", 8)
    two = Two(tmp_path, workers)
    yield two
    for store in two.stores:
        store.close()


def story(number: int, words: int = 200) -> str:
    """Two passages, and different ones for each number."""
    return f"Report {number}\n\n" + " ".join(
        f"The keeper wrote down wave {number * word}." for word in range(words // 6)
    )


def lines(*texts: str) -> str:
    return "".join(json.dumps({"id": f"line {i}", "text": text}) + "\n" for i, text in enumerate(texts))


# -- the same index ----------------------------------------------------------------------------------------------------


def test_what_is_in_a_folder_and_what_becomes_of_it_is_the_same(two: Two) -> None:
    for i in range(40):
        two.write(f"{i:02}.txt", story(i))
    two.write("birds/heron.html", PAGE)
    two.write("birds/owl.pdf", samples.pdf(["The owl hears well.", "It hunts at night."]))
    two.write("birds/crane.docx", samples.docx(samples.paragraph("The crane dances.")))
    two.write("notes.md", "# Notes\n\nThe first note.\n\n## Second\n\nThe second one.\n")
    two.write("broken.pdf", b"%PDF-1.7 no more")
    two.write("empty.txt", "")
    two.write("log.jsonl", lines(*(story(i) for i in range(50, 60)), "") + "no JSON\n" + lines("again"))
    done = two.both()
    assert (len(done.added), len(done.failed)) == (55, 4)
    two.assert_same()

    two.write("00.txt", story(100))
    (two.folder / "01.txt").rename(two.folder / "moved.txt")
    (two.folder / "02.txt").unlink()
    two.write("03.txt", "")
    two.write("log.jsonl", lines("Another line.", story(51)))
    two.write("birds/owl.pdf", samples.pdf(["The owl hears very well."]))
    two.write("broken.pdf", samples.pdf(["It is whole now."]))
    done = two.both()
    assert set(done.updated) == {"00.txt", "moved.txt", "birds/owl.pdf", "line 0"}
    assert (done.added, len(done.removed), len(done.failed)) == (("broken.pdf",), 11, 2)
    two.assert_same()

    before = two.stores[1].stamp()
    assert not two.both().changed
    assert two.stores[1].stamp() == before


# -- whoever is killed -------------------------------------------------------------------------------------------------


def test_an_embedding_worker_that_is_killed_costs_its_batch(two: Two) -> None:
    for i in range(60):
        two.write(f"{i:02}.txt", story(i))
    children = Children()

    def kill(now: Progress) -> None:
        if now.documents in (20, 40) and children.killed < now.documents / 20:
            children.kill("ray::_EmbedderActor")

    assert len(two.both(kill).added) == 60
    assert children.killed >= 2
    two.assert_same()


def test_a_reader_that_is_killed_costs_its_batch_and_a_file_that_ends_each_is_reported(two: Two) -> None:
    for i in range(5):
        two.write(f"{i}.txt", story(i))
    slow = two.write("slow.pdf", samples.slow_pdf())
    with killing("ray::_read_batch", most=1) as children:
        assert [failure.source for failure in two.both().failed] == ["slow.pdf"]
    assert children.killed == 1
    two.assert_same()

    two.write("5.txt", story(5))
    with killing("ray::_read_batch", most=100):
        done = two.on_ray()
    assert (done.added, [failure.source for failure in done.failed]) == (("5.txt",), ["slow.pdf"])
    assert "has stopped every worker that read it" in done.failed[0].reason
    slow.unlink()
    two.here()
    two.on_ray()
    two.assert_same()


@contextmanager
def killing(name: str, most: int) -> Iterator[Children]:
    """Kill, at most so often, what is at the same work for longer than any small file takes."""
    children, over = Children(), threading.Event()

    def run() -> None:
        before: set[int] = set()
        while not over.wait(0.3) and children.killed < most:
            there = set(children.called(name))
            for pid in there & before:
                os.kill(pid, signal.SIGKILL)
                children.killed += 1
            before = there

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield children
    finally:
        over.set()
        thread.join()


def test_after_the_ingest_itself_was_killed_the_same_command_does_the_rest_and_no_process_is_left(
    tmp_path: Path,
) -> None:
    folder, index = tmp_path / "docs", tmp_path / "index"
    folder.mkdir()
    for i in range(60):
        (folder / f"{i:02}.txt").write_text(story(i))
    command = ["--documents", str(folder), "--index-dir", str(index), "ingest", "--ray", str(folder)]
    children = Children()
    first = ingest(command, stop=lambda: count(index) > 0)
    assert first.returncode == -signal.SIGKILL
    stored = count(index)
    assert 0 < stored < 60
    again = ingest(command)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == "0 added, 0 updated, 60 unchanged, 0 removed, 0 failed\n"
    until(lambda: not children.called("rag.raydriver") and not children.called("gcs_server"))


def ingest(command: list[str], stop: Callable[[], bool] | None = None) -> subprocess.CompletedProcess[str]:
    """The command line, in small batches; killed when `stop` says so."""
    script = "import rag.ingest, rag.cli; rag.ingest.BATCH_PASSAGES = 8; rag.cli.main()"
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", script, *command], stdout=pipe, stderr=pipe, text=True)
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


# -- what cannot be done -----------------------------------------------------------------------------------------------


def complaint(*arguments: object) -> str:
    """The one line on stderr of an `ingest`; its exit code is 3."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="rag")
    assert (result.exit_code, result.stdout) == (3, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("rag: ")
    return line


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    line = complaint("--index-dir", tmp_path / "index", "ingest", "--ray", tmp_path)
    assert line == "rag: Ray is not installed; run \"pip install 'rag-quoted[ray]'\", or leave out --ray"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_cluster_that_is_not_there_is_one_plain_line(tmp_path: Path, address: str) -> None:
    (tmp_path / "a.txt").write_text("A word.")
    line = complaint("--documents", tmp_path, "--index-dir", tmp_path / "index", "ingest", "--ray", address, tmp_path)
    assert f"the Ray cluster at '{address}' cannot be reached" in line
    assert line.endswith("check the address, or ingest without --ray")
    assert count(tmp_path / "index") == 0


@pytest.mark.parametrize("word", ["auto", "127.0.0.1:6379", "head.example:6379", "ray://head:10001", "[::1]:6379"])
def test_a_word_behind_ray_is_an_address_if_it_looks_like_one(word: str) -> None:
    result = CliRunner().invoke(app, ["ingest", "--ray", word], prog_name="rag")
    assert result.exit_code == 2
    assert "Missing argument" in result.stderr


def test_an_embedding_object_cannot_be_sent(tmp_path: Path) -> None:
    settings = Settings(documents=tmp_path, index_dir=tmp_path / "index", llm="none")
    with pytest.raises(rag.ClusterUnavailable, match="name its model in embed_model"):
        rag.Assistant.open(settings, embed_model=MockEmbedding(embed_dim=4), ray="local")


def test_a_file_that_workers_do_not_see_is_no_unreadable_file(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    two.write("a.txt", story(1))
    monkeypatch.chdir(two.folder)
    elsewhere = Path("/proc/self/cwd")  # another folder for every process
    with pytest.raises(rag.ClusterUnavailable, match=r"do not see '.*a.txt' as this machine does; put the documents"):
        two.ingesters[1].ingest([elsewhere])
    assert two.stores[1].count() == (0, 0)


class Other(PackagedEncoder):
    """The same model, of other weights."""

    weights = "another hash"


def test_a_worker_with_other_weights_is_one_plain_line(two: Two, address: str) -> None:
    two.write("a.txt", story(1))
    settings = Settings(documents=two.folder, index_dir=two.folder.parent / "ray")
    workers = RayWorkers(settings, Other(), address)
    with pytest.raises(rag.ClusterUnavailable, match="has other weights of the embedding model 'all-MiniLM-L6-v2'"):
        Ingester(two.stores[1], packaged_encoder(), settings, workers).ingest_default()
    assert two.stores[1].count() == (0, 0)
    assert len(two.both().added) == 1  # the cluster that others use, too, is still there


@pytest.fixture
def address(workers: RayWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the Ray of this module can be reached."""
    (tmp_path / "one.txt").write_text("One.")
    list(workers.read([File(tmp_path / "one.txt", "", "one.txt", None)]))  # it is there from the first file on
    monkeypatch.setenv("RAY_AUTH_MODE", "token")  # as Ray itself sets it for a Ray of its own,
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # and as we do: it is known as 127.0.0.1
    (raylet,) = Children().called("raylet/raylet ")
    command = Path(f"/proc/{raylet}/cmdline").read_text().replace("\0", " ")
    return command.partition("--gcs-address=")[2].split()[0]


def test_a_cluster_that_is_lost_leaves_what_is_stored_and_says_so(two: Two) -> None:
    for i in range(60):
        two.write(f"{i:02}.txt", story(i))
    children = Children()

    def kill(now: Progress) -> None:
        if now.documents == 20 and not children.killed:
            children.kill("raylet/raylet ", "ray::")

    with pytest.raises(rag.ClusterUnavailable, match=r"was lost.*the same command goes on from there"):
        two.on_ray(kill)
    assert 0 < two.stores[1].count()[0] < 60
    two.stores[1].verify()
    assert len(two.on_ray().unchanged) < 60  # on a Ray that is started for it
    two.here()
    two.assert_same()
