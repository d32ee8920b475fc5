"""Files that nobody may touch: the ears of `hardness.canary` hear it, and `hardness.files` says what went wrong."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hardness.canary import Canary, Listening, Watch
from hardness.files import LINKS, Place, Reply
from hardness.table import Row

from rag.documents import SUFFIXES
from rag.folders import Listing
from rag.sandbox import Sandbox
from rag.settings import Settings

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="no other system tells who opened a file")


@pytest.fixture(autouse=True)
def _usual_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a watch and a place change for the whole process is put back."""
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    for name in ("MPLCONFIGDIR", "HARDNESS_SECRET"):
        monkeypatch.setenv(name, "")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    return tmp_path / "docs"


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path / "outside")


def test_a_watch_goes_on_after_one_inside_of_it_has_ended(canary: Canary) -> None:
    watch = Watch([canary.folder])
    with watch:
        with watch:
            pass
        canary.paths[0].read_text()
    canary.paths[1].read_text()
    (line,) = watch.taken()
    assert "secret.txt" in line
    assert watch.taken() == []


def test_a_watch_hears_other_threads_while_it_looks_itself(canary: Canary) -> None:
    watch = Watch([canary.folder])
    with watch, watch.unheard():
        other = threading.Thread(target=canary.paths[0].read_text)
        other.start()
        other.join()
        canary.paths[1].read_text()
    (line,) = watch.taken()
    assert "secret.txt" in line


@pytest.mark.parametrize("target", ["/etc/passwd", "/proc/self/environ", "/", "../index"])
def test_what_a_link_of_the_documents_leads_to_is_heard(docs: Path, target: str) -> None:
    (docs.parent / "index").mkdir()
    (docs / "plain.txt").touch()
    (docs / "link").symlink_to(target)
    watch = Watch([], confined=[docs])
    with watch:
        (docs / "plain.txt").read_bytes()
        sorted((docs / "link").iterdir()) if (docs / "link").is_dir() else (docs / "link").read_bytes()
    (line,) = watch.taken()
    assert "link" in line


@pytest.mark.parametrize("name", ["/etc/passwd", "/proc/self/environ"])
def test_the_machine_s_accounts_and_environment_are_heard_by_their_own_names(name: str) -> None:
    with (watch := Watch([])):
        Path(name).read_bytes()
    assert watch.taken() == [f"'{name}' outside was read"]


def test_a_call_to_another_machine_is_heard() -> None:
    with (watch := Watch([])):
        socket.getaddrinfo("127.0.0.1", 80)
        socket.getaddrinfo("192.0.2.1", 80)
    assert watch.taken() == ["socket.getaddrinfo '192.0.2.1'"]


@ON_LINUX
def test_a_file_that_another_program_opens_is_heard(canary: Canary) -> None:
    assert canary.problems() == []
    subprocess.run(["cat", str(canary.paths[2])], check=True, capture_output=True)
    assert canary.problems() == ["secret.md outside was opened"]
    assert canary.problems() == []


def test_a_knock_is_heard() -> None:
    listening = Listening()
    host, port = listening.url.removeprefix("http://").split(":")
    for _ in range(2):
        socket.create_connection((host, int(port))).close()
    assert listening.problems() == [f"somebody came to {listening.url}"] * 2
    assert listening.problems() == []


def test_what_a_worker_opens_is_heard(tmp_path: Path, docs: Path, canary: Canary) -> None:
    """The reader is given a link that no folder's listing would have given it."""
    (docs / "plain.html").write_text("<p>The stork is called Otto.</p>")
    (docs / "link.html").symlink_to(canary.paths[0])
    watch = Watch([canary.folder], confined=[docs])
    with watch.in_workers(tmp_path / "workers"), Sandbox(Settings()) as sandbox:
        sandbox.read(docs / "plain.html", root="", source="plain.html")
        assert (watch.workers(), watch.taken()) == (1, [])
        sandbox.read(docs / "link.html", root="", source="link.html")
        (line,) = watch.taken()
        assert "in a worker" in line
        assert "link.html" in line


def test_whom_a_worker_calls_what_it_starts_and_writes_is_heard(tmp_path: Path) -> None:
    watch = Watch([])
    (tmp_path / "rag.worker").write_text(
        "import os, socket, subprocess\n"
        "subprocess.run(['true'])\n"
        "open('written', 'w').close()\n"
        "socket.getaddrinfo('192.0.2.1', 80)\n"
    )
    with watch.in_workers(tmp_path / "workers"):
        subprocess.run([sys.executable, "rag.worker"], cwd=tmp_path, check=True)
    heard = watch.taken()
    assert all(any(what in line for line in heard) for what in ("'true'", "'written' was written", "192.0.2.1"))


# -- what `files` says of it -------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "place")
    (place.base / "index" / "uploads").mkdir(parents=True)
    return place


class Shelf:
    """An assistant that has taken nothing."""

    def documents(self) -> list[Any]:
        return []


@pytest.mark.parametrize(
    ("name", "replies", "said"),
    [
        ("owl.txt", [], "nothing was said"),
        ("owl.txt", [Reply(True, "None")], "there is no owl.txt"),
        ("owl.txt", [Reply(False, "no")], "refused: "),
        ("owl.txt", [Reply(False, "no"), Reply(True, "owl.txt")], "refused: "),
        ("..", [Reply(True, "..")], "taken: "),
        ("..", [Reply(False, "")], "no plain line"),
        ("..", [Reply(False, "Traceback"), Reply(False, "no")], "no plain line"),
    ],
)
def test_a_name_that_is_not_taken_as_it_should_be_is_seen(
    place: Place, name: str, replies: Sequence[Reply], said: str
) -> None:
    shelf: Any = Shelf()
    assert any(line.startswith(said) for line in place.sent(shelf, name, lambda _: replies))
    assert place.sent(shelf, "..", lambda _: [Reply(False, "no name")]) == []


def test_what_cannot_be_made_is_not_counted(place: Place) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    row = Row("fault")
    place.tried(row, "a device", forbidden)
    place.tried(row, "a socket", forbidden)
    assert (row.tried, row.figures) == (0, "not tried: a device, a socket")


@pytest.fixture
def _trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product without its look at where the links of a folder lead."""

    def everything(folder: Path, _: object) -> Listing:
        return Listing([file for file in sorted(folder.iterdir()) if file.suffix in SUFFIXES], [], Counter())

    monkeypatch.setattr("rag.scan.list_files", everything)


@pytest.mark.usefixtures("_trusting")
@pytest.mark.parametrize("what", ["a file outside", "the accounts", "the environment, of a format"])
def test_a_product_that_follows_links_is_seen(place: Place, what: str) -> None:
    row = Row("fault")
    place.tried(row, what, LINKS[what])
    assert not row.held
    assert any("outside was read" in line or "leads to" in line for line in row.lost), row
