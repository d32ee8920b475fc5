"""A little of each part; `make hardness` runs all. And that the inspection would see what went wrong."""

from __future__ import annotations

import os
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hardness import disk, strangers
from hardness.canary import SECRET, Canary, Watch
from hardness.crafted import CRAFTED
from hardness.subject import Subject, inspect, texts_of
from hardness.table import Row, printed

HERE = Path(__file__).parent

# Which part, in how many rows of the table, and how often altogether at least.
SOME = [
    ("kills", 16, 30),
    ("uploads", 5, 40),
    ("disk", 3, 6),
    ("sharing", 3, 20),
    ("shared", 2, 20),
    ("large", 4, 80),
    ("files", 10, 100),
    ("strangers", 7, 40),
    ("endpoints", 18, 65),
    ("keys", 7, 150),
    ("injection", 7, 150),
    ("webserver", 15, 3000),
    ("load", 6, 40),
    ("longrun", 5, 40),
    ("fuzz", 30, 7_500),
    ("supply", 8, 140),
]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks in forked processes")
@pytest.mark.parametrize(("part", "rows", "tries"), SOME)
def test_nothing_is_lost(part: str, rows: int, tries: int) -> None:
    # A process of its own: this one may have threads by now, and they would not survive a fork.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
    command = [sys.executable, "-m", "hardness", part, "--few"]
    done = subprocess.run(command, cwd=HERE.parent, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = re.findall(r"\| +(\d+) \| +(\d+) \| +(\d+)(?: |$)", done.stdout, re.MULTILINE)
    untried = [line for line in done.stdout.splitlines() if re.search(r"\| +0 \| +0 \|", line)]
    if any("its weights are not on this machine" in line for line in untried):
        pytest.skip(untried[0])
    assert len(figures) == rows
    assert sum(int(tried) for tried, _, _ in figures) >= tries
    assert all(tried == survived and lost == "0" for tried, survived, lost in figures)
    assert all("(not tried: " in line for line in untried), done.stdout
    if part == "disk":
        assert not (untried and may_mount()), done.stdout


def may_mount() -> bool:
    """Whether this machine lets us; asked of the system's own command."""
    try:
        return subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).returncode == 0
    except OSError:
        return False


def test_where_no_disk_can_be_mounted_the_row_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_own_mounts", lambda: False)
    row = disk.on_a_small_disk(tmp_path / "disk", random.Random(), 1)
    assert (row.tried, row.figures, row.held) == (0, "not tried: may not mount", True)


def test_what_is_done_outside_is_heard_and_seen(tmp_path: Path) -> None:
    canary = Canary(tmp_path / "outside")
    watch = Watch([canary.folder], [tmp_path / "inside"])
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(canary.paths[0])
    with watch:
        (tmp_path / "inside" / "file").write_text("ours")
        (tmp_path / "inside" / "link").read_text()
        (tmp_path / "elsewhere").write_text("not ours")
    assert [line.rpartition("/")[2] for line in watch.heard] == ["link' outside was read", "elsewhere' was written"]
    assert canary.problems() == (["secret.txt outside was opened"] if sys.platform == "linux" else [])
    canary.paths[1].write_text("another")
    (canary.folder / "new").touch()
    assert {"letters.txt outside was changed", "new outside was touched"} <= set(canary.problems())


def test_what_an_index_made_up_and_a_secret_that_came_out_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The product as it was: it believed what an index says of its passages, and which tables it has."""
    strangers.make_pristine(tmp_path)
    trials = strangers.Trials(tmp_path)
    assert trials.problems("as it was", lambda index, outside: None) == []
    assert (trials.outcome, trials.lost) == ("right", [])
    monkeypatch.setattr("rag.retrieval.Store.verify_quotable", lambda *_: None)
    monkeypatch.setattr("rag.database.has_tables_of", lambda *_: True)
    trials.heals = False
    other = trials.problems("other text", CRAFTED["other text"])
    assert any("is not what its document says" in problem for problem in other)
    trials.problems("quoted", lambda index, _: (tmp_path / "work" / "docs" / "c.txt").write_text(SECRET))
    assert trials.lost == ["quoted: the secret was quoted"]


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    subject = Subject(tmp_path)
    subject.write(texts_of(1))
    subject.ingest()
    return subject


def test_the_inspection_finds_nothing_wrong_with_an_index_that_is_right(subject: Subject) -> None:
    assert not inspect(subject, texts_of(0), subject.texts)
    assert not inspect(subject, subject.texts, subject.texts)


def removed(subject: Subject) -> None:
    with subject.open() as store:
        store.remove([store.documents()[0].id])


def execute(statement: str) -> Callable[[Subject], None]:
    def change(subject: Subject) -> None:
        connection = sqlite3.connect(subject.index / "index.db")
        with connection:
            connection.execute(statement)
        connection.close()

    return change


WRONG: dict[str, tuple[Callable[[Subject], None], str]] = {
    "a document is gone": (removed, "d00.md"),
    "another text": (execute("UPDATE document SET text = 'x' || text WHERE id = 3"), "d02.txt"),
    "another hash": (execute("UPDATE document SET sha256 = 'x' WHERE id = 3"), "hash"),
    "another span": (execute("UPDATE passage SET start = start + 1 WHERE id = 9"), "passages of another version"),
    "another vector": (execute("UPDATE passage SET vector = zeroblob(64) WHERE id = 9"), "another vector is stored"),
    "a passage without vector": (execute("UPDATE passage SET id = 9999 WHERE id = 9"), "not the same"),
    "a passage without document": (execute("UPDATE passage SET document_id = 99 WHERE id = 9"), "without document"),
    "a vector without passage": (execute("DELETE FROM tombstone"), "not the same"),
    "a word without passage": (execute("DELETE FROM words WHERE rowid = 9"), "index.db"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_inspection_sees(subject: Subject, wrong: str) -> None:
    damage, said = WRONG[wrong]
    with subject.open() as store:
        store.snapshot()
    if wrong == "a vector without passage":
        removed(subject)
    damage(subject)
    found = inspect(subject, subject.texts, subject.texts)
    assert any(said in line for line in (*found.lost, *found.problems)), found
    row = Row("fault")
    row.add(found)
    assert (row.tried, row.survived) == (1, 0)
    assert "fault" in printed([row])
