"""What was sent and never added is gone within the hour; what a killed page left, with the next start."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from endpoint import eventually

import rag.web.arrivals
from rag.assistant import Assistant
from rag.web import serve
from rag.web.arrivals import KEPT_SECONDS, Arrivals, arrivals


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def here(tmp_path: Path, clock: Clock) -> Iterator[Arrivals]:
    here = Arrivals(tmp_path, clock)
    yield here
    here.close()
    assert list(tmp_path.glob("rag-arrived-*")) == []


def test_what_was_not_added_for_long_is_deleted(here: Arrivals, clock: Clock) -> None:
    (here.folder / "hash").mkdir()
    (here.folder / "hash" / "sent").write_text("sent")
    (here.folder / "half").write_text("hal")
    clock.now += KEPT_SECONDS - 60
    here.sweep()
    assert (here.folder / "hash" / "sent").exists()
    (here.folder / "new").write_text("new")
    os.utime(here.folder / "new", (clock.now, clock.now))
    clock.now += 120
    here.sweep()
    assert [path.name for path in here.folder.rglob("*")] == ["new"]


def test_the_next_start_deletes_what_nobody_holds(here: Arrivals, tmp_path: Path) -> None:
    (here.folder / "sent").write_text("of a page that runs")
    gone = tmp_path / "rag-arrived-0000"
    gone.mkdir()
    (gone / "sent").write_text("of a page that was killed")
    (tmp_path / "rag-arrived-0000.lock").touch()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (tmp_path / "rag-arrived-link").symlink_to(outside)
    (tmp_path / "rag-arrived-link.lock").touch()
    Arrivals(tmp_path).close()
    assert not gone.exists()
    assert (here.folder / "sent").exists()
    assert (outside / "file").exists()
    (tmp_path / "rag-arrived-link").unlink()
    (tmp_path / "rag-arrived-link.lock").unlink()


def test_a_server_deletes_within_the_hour_what_was_not_added(
    here: Arrivals, clock: Clock, seed_assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert KEPT_SECONDS + rag.web.arrivals._SWEEP_SECONDS < 3600
    monkeypatch.setattr("rag.web.arrivals._SWEEP_SECONDS", 0.05)
    monkeypatch.setattr("rag.web.server.arrivals", lambda: here)
    (here.folder / "sent").write_text("sent")
    with serve(seed_assistant, port=0):
        time.sleep(0.5)  # some sweeps
        assert (here.folder / "sent").exists()
        clock.now += KEPT_SECONDS + 60
        assert eventually(lambda: not (here.folder / "sent").exists(), 20)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere there are no such modes")
def test_nobody_else_on_this_machine_may_look_into_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(Arrivals(tmp_path)) as made:
            assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_the_page_receives_into_it(seed_assistant: Assistant) -> None:
    with serve(seed_assistant, port=0) as server:
        sent = httpx.post(f"{server.address}gradio_api/upload", files={"files": ("a.txt", b"sent")})
        (path,) = sent.json()
    assert Path(path).is_relative_to(arrivals().folder)
    Path(path).unlink()
