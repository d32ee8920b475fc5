from __future__ import annotations

import os
import signal
import time

import pytest

from rag.ingest import Progress
from rag.progress import progress


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)  # Python runs the handler between two instructions of the main thread


def test_ctrl_c_waits_for_the_document_that_is_being_stored(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    stored = []

    def ingest() -> None:
        with progress("reading") as report:
            report(Progress(documents=1, changed=1, passages=3, total=9))
            press_ctrl_c()
            stored.append("the batch")
            report(Progress(documents=2, changed=2, passages=6, total=9))
            stored.append("nothing more")

    with pytest.raises(KeyboardInterrupt):
        ingest()
    assert stored == ["the batch"]
    assert signal.getsignal(signal.SIGINT) == before
    assert "the same command goes on from here" in capfd.readouterr().err


def test_a_second_ctrl_c_stops_at_once() -> None:
    def ingest() -> None:
        with progress("reading") as report:
            report(Progress(documents=1, changed=1, passages=3, total=9))
            press_ctrl_c()
            press_ctrl_c()
            pytest.fail("it went on")

    with pytest.raises(KeyboardInterrupt):
        ingest()


def test_before_anything_is_read_ctrl_c_is_heard_at_once() -> None:
    def open_index() -> None:
        with progress("opening the index"):
            press_ctrl_c()
            pytest.fail("it went on")

    with pytest.raises(KeyboardInterrupt):
        open_index()


def test_a_pipe_gets_a_line_now_and_then(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 8))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    with progress("reading") as report:
        for done in range(1, 5):
            report(Progress(documents=done, changed=done, passages=50 * done, total=4))
    lines = capfd.readouterr().err.splitlines()
    assert 1 <= len(lines) < 4
    assert "of 4 documents" in lines[0]
    assert "passages/s" in lines[0]
