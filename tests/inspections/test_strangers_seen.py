"""An index that a stranger hands over: the inspection of `hardness.strangers` sees what is lost, and code that ran."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hardness import strangers
from hardness.canary import Canary
from hardness.crafted import CODE
from hardness.memory import Peak, held

from rag.assistant import Assistant
from rag.types import Answer


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("strangers")
    strangers.make_pristine(base)
    return base


@pytest.fixture
def trials(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> strangers.Trials:
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)  # a watch changes it
    trials = strangers.Trials(pristine)
    trials.heals = False
    return trials


def as_it_was(index: Path, outside: Path) -> None:
    """Nothing is done to it."""


def test_an_index_that_has_lost_everything_is_seen(trials: strangers.Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    """A product that shows nothing at all: whatever it does not show is exact."""
    assert trials.problems("as it was", as_it_was) == []

    def refusing(_: Assistant, question: str, **__: Any) -> Answer:
        return Answer(question, question, "I did not find it.", "refused", refused=True)

    monkeypatch.setattr(Assistant, "documents", lambda _: [])
    monkeypatch.setattr(Assistant, "search", lambda *_, **__: [])
    monkeypatch.setattr(Assistant, "ingest", lambda *_, **__: None)
    monkeypatch.setattr(Assistant, "ask", refusing)
    problems = trials.problems("as it was", as_it_was)
    assert [problem.partition(":")[0] for problem in problems] == [
        "gone without a word",
        "the heron is not found any more",
    ]


def test_a_document_that_does_not_come_back_is_seen(trials: strangers.Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Assistant.documents
    monkeypatch.setattr(Assistant, "documents", lambda self: [d for d in usual(self) if d.source != "ponds.txt"])
    assert "gone without a word: ['ponds.txt']" in trials.problems("as it was", as_it_was)


def test_code_that_runs_where_one_works_is_seen(pristine: Path, tmp_path: Path) -> None:
    """Python's own `-m` looks into the folder one is in: how the command line is not started by us."""
    (tmp_path / "docs").mkdir()
    canary = Canary(tmp_path / "outside")
    CODE(tmp_path / "docs", canary.folder)
    strangers.asked_from(tmp_path / "docs", ["-m", "rag.cli"], strangers.settings(tmp_path))
    assert "ran outside was touched" in canary.problems()


@pytest.mark.skipif(held("VmHWM") is None, reason="this system does not say")
def test_the_most_memory_is_that_of_the_process_and_of_the_time_since() -> None:
    peak = Peak()
    bytearray(b"x") * 300_000_000
    assert peak.grown() > 250
    assert Peak().grown() < 100
