"""On Ray the index is the one that this process makes by itself, whoever is killed in between."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import format_samples as samples
import pytest
from commands import rag
from llama_index.core.embeddings import MockEmbedding
from pydantic import SecretStr
from rays import READ_SECONDS, Children, Two, count, killing_readers, lines, story

from rag.assistant import Assistant
from rag.cluster import RayWorkers
from rag.embedding import PackagedEncoder, packaged_encoder
from rag.errors import ClusterUnavailable
from rag.ingest import Progress
from rag.parcels import Embedder, read_batch, receive, send, terms
from rag.scan import File
from rag.settings import Settings

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks for Ray's processes in /proc")

PAGE = "<h1>Birds</h1><p>The heron stands still in the shallow water.</p>"


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
    two.close()


# -- the same index ----------------------------------------------------------------------------------------------------


def test_what_is_in_a_folder_and_what_becomes_of_it_is_the_same(two: Two) -> None:
    for i in range(20):
        two.write(f"{i:02}.txt", story(i))
    two.write("birds/heron.html", PAGE)
    two.write("birds/owl.pdf", samples.pdf(["The owl hears well.", "It hunts at night."]))
    two.write("birds/crane.docx", samples.docx(samples.paragraph("The crane dances.")))
    two.write("notes.md", "# Notes\n\nThe first note.\n\n## Second\n\nThe second one.\n")
    two.write("broken.pdf", b"%PDF-1.7 no more")
    two.write("empty.txt", "")
    two.write("log.jsonl", lines(*(story(i) for i in range(50, 60)), "") + "no JSON\n" + lines("again"))
    done = two.both()
    assert (len(done.added), len(done.failed)) == (35, 4)
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


def test_a_reader_and_an_embedding_worker_that_are_killed_cost_their_batches(two: Two) -> None:
    for i in range(24):
        two.write(f"{i:02}.txt", story(i))
    two.write("slow.pdf", samples.slow_pdf())
    embedders = Children()

    def kill(now: Progress) -> None:
        if now.documents == 22:  # the first batch of four is stored, and four others are under way
            embedders.kill("ray::_EmbedderActor")

    with killing_readers(most=1) as readers:
        done = two.both(kill)
    assert readers.killed == 1
    assert embedders.killed >= 1
    assert len(done.added) == 24
    assert f"takes longer than {READ_SECONDS} s" in done.failed[0].reason  # as here: it was read again
    two.assert_same()


# -- what cannot be done -----------------------------------------------------------------------------------------------


def complaints(*arguments: object) -> list[str]:
    """The lines on stderr of an `ingest`; its exit code is 3."""
    result = rag(*arguments)
    assert (result.exit_code, result.stdout) == (3, "")
    return [line.removeprefix("rag: ") for line in result.stderr.splitlines()]


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (line,) = complaints("--index-dir", tmp_path / "index", "ingest", "--ray", tmp_path)
    assert line == "Ray is not installed; run \"pip install 'rag-quoted[ray]'\", or leave out --ray"
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("address", ["ray://127.0.0.1:1", "127.0.0.1:1", "auto"])
def test_what_is_looked_for_is_said_and_that_it_is_not_there(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # where Ray finds its "auto"
    (tmp_path / "a.txt").write_text("A word.")
    first, last = complaints(
        "--documents", tmp_path, "--index-dir", tmp_path / "index", "ingest", "--ray", address, tmp_path
    )
    assert first.startswith("looking for ")
    assert f"'{address}'" in first
    assert re.search(r"the Ray cluster at '.*127.0.0.1:1' cannot be reached \(Connection refused\); check", last)
    assert last.endswith(", or ingest without --ray")
    assert count(tmp_path / "index") == 0


@pytest.mark.parametrize("folder", ["Auto", "local.d", "cluster"])
def test_another_word_behind_ray_is_a_path(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (line,) = complaints("--documents", "docs", "--index-dir", "index", "ingest", "--ray", folder)
    assert line.startswith(f"'{folder}' does not exist")


@pytest.mark.parametrize("address", ["ray://head", "ray://head:port", "127.0.0.1:99999", "head:0"])
def test_what_is_no_address_is_one_line_before_anything_is_begun(address: str, tmp_path: Path) -> None:
    (line,) = complaints("--index-dir", tmp_path / "index", "ingest", "--ray", address, tmp_path)
    assert line.startswith(f"'{address}' is no address of a Ray cluster; write auto, host:port or ray://host:port")
    assert not (tmp_path / "index").exists()


def test_no_cluster_is_looked_for_when_a_path_does_not_exist(tmp_path: Path) -> None:
    (line,) = complaints("--index-dir", tmp_path / "index", "ingest", "--ray", "127.0.0.1:1", tmp_path / "missing")
    assert line.startswith(f"'{tmp_path / 'missing'}' does not exist")


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and is no Ray."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address_of(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def test_what_does_not_answer_is_given_up(silent: socket.socket) -> None:
    code = "import rag.raydriver as driver; driver._FIND_SECONDS = 0.2; driver.main()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as driver:
        assert driver.stdin
        assert driver.stdout
        send(driver.stdin, {"address": address_of(silent), "gpu": False})  # type: ignore[arg-type]
        told = receive(driver.stdout)  # type: ignore[arg-type]
    assert told
    assert "cannot be reached (no answer within 0.2 s); check the address" in told[0]["failure"]


def test_ctrl_c_ends_the_wait(silent: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A word.")
    options = ["--documents", tmp_path, "--index-dir", tmp_path / "index", "ingest", "--ray", address_of(silent)]
    command = [sys.executable, "-m", "rag.cli", *map(str, options), str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        silent.accept()[0].close()  # it is tried whether anybody is there
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == f"rag: looking for the Ray cluster at '{address_of(silent)}' …\n"


@pytest.mark.parametrize("word", ["auto", "127.0.0.1:6379", "head.example:6379", "ray://head:10001", "[::1]:6379"])
def test_a_word_behind_ray_is_an_address_if_it_looks_like_one(word: str) -> None:
    result = rag("ingest", "--ray", word)
    assert result.exit_code == 2
    assert "Missing argument" in result.stderr


def test_an_embedding_object_cannot_be_sent(tmp_path: Path) -> None:
    settings = Settings(documents=tmp_path, index_dir=tmp_path / "index", llm="none")
    with pytest.raises(ClusterUnavailable, match="name its model in embed_model"):
        Assistant.open(settings, embed_model=MockEmbedding(embed_dim=4), ray="local")


def test_a_file_that_workers_do_not_see_is_no_unreadable_file(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    two.write("a.txt", story(1))
    monkeypatch.chdir(two.folder)
    elsewhere = Path("/proc/self/cwd")  # another folder for every process
    with pytest.raises(ClusterUnavailable, match=r"do not see '.*a.txt' as this machine does; put the documents"):
        two.ingesters[1].ingest([elsewhere])
    assert two.stores[1].count() == (0, 0)


class Other(PackagedEncoder):
    """The same model, of other weights."""

    weights = "another hash"


def test_a_worker_with_other_weights_or_of_another_version_is_one_plain_line() -> None:
    settings = Settings()
    with pytest.raises(ClusterUnavailable, match="has other weights of the embedding model 'all-MiniLM-L6-v2'"):
        Embedder(terms(settings, Other())).load()
    newer = terms(settings, packaged_encoder()).replace(b'"versions": "', b'"versions": "9')
    with pytest.raises(ClusterUnavailable, match=r"another version of rag-quoted.*; install the same version there"):
        read_batch(newer, b"[]")


def test_no_key_travels() -> None:
    settings = Settings(
        llm="m", llm_base_url="http://127.0.0.1/v1", llm_api_key=SecretStr("geheim"), auth=SecretStr("a:b")
    )
    assert set(json.loads(terms(settings, packaged_encoder()))["settings"]) == {
        *("embed_model", "passage_words", "file_megabytes", "text_megabytes", "read_megabytes", "read_seconds"),
    }


def test_a_cluster_by_its_address_serves_and_stays(two: Two, address: str) -> None:
    two.write("a.txt", story(1))
    index = two.folder.parent / "by address"
    result = rag("--documents", two.folder, "--index-dir", index, "ingest", "--ray", address, two.folder)
    assert result.exit_code == 0
    assert result.stdout == "0 added, 0 updated, 1 unchanged, 0 removed, 0 failed\n"  # it was added on opening


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
