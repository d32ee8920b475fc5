"""The index folder under bad conditions: damage, other programs, other processes, kills."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hardness.crafted import journal_that_names_another
from store_samples import QUERY, ids, item, open_store, slow_dense, stored

import rag.database
from rag.errors import IndexDamaged, IndexLocked, IndexMismatch, RagError
from rag.schema import SCHEMA, SCHEMA_VERSION
from rag.store import Store

HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An index of two documents, closed."""
    folder = tmp_path / "an index, 100% ?#é"
    with open_store(folder) as store:
        store.replace([item("a", "walrus", "heron"), item("b", "seal")])
    return folder


def run(script: str, folder: Path) -> subprocess.Popen[str]:
    """A Python process of its own, with `store` open on `folder`."""
    start = (
        f"import sys; sys.path[:0] = [{str(HERE)!r}, {str(HERE.parent)!r}]\n"
        "from pathlib import Path\nfrom store_samples import *\nfolder = Path(sys.argv[1])\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", start + script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}


# -- opening -----------------------------------------------------------------------------------------------------------


def test_opening_and_searching_writes_nothing(folder: Path) -> None:
    before = files(folder)
    with open_store(folder) as store:
        store.dense(QUERY, 5)
        store.keyword(["walrus"], 5)
        store.set_meta("key", "value")
        after_write = store.count()
    assert after_write == (2, 3)
    assert files(folder) != before  # set_meta did write
    before = files(folder)
    with open_store(folder) as store:
        store.dense(QUERY, 5)
        store.keyword(["walrus"], 5)
        store.set_meta("key", "value")
    assert files(folder) == before


def test_folders_are_made(tmp_path: Path) -> None:
    with open_store(tmp_path / "new" / "deep") as store:
        assert store.count() == (0, 0)


def test_a_relative_folder_survives_chdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store(Path("index")) as store:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.replace([item("a", "walrus")])
        with store.reading():
            assert len(store.dense(QUERY, 5)) == 1
    assert not (tmp_path / "elsewhere" / "index").exists()


def test_what_a_killed_creation_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / "new.db").write_bytes(b"half of an index")
    (tmp_path / "new.db-wal").write_bytes(b"half of its log")
    with open_store(tmp_path) as store:
        store.replace([item("a", "walrus")])
    assert not list(tmp_path.glob("new.db*"))


def foreign(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE document (somebody, elses)")
    connection.close()


def execute(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        for statement in statements:
            connection.execute(statement)
        connection.close()

    return change


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwrite_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:] = random.Random(0).randbytes(len(data) - 100)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "error", "cure"),
    [
        pytest.param(lambda p: p.write_bytes(b""), IndexDamaged, "ingest again", id="empty"),
        pytest.param(lambda p: p.write_bytes(b"short"), IndexDamaged, "ingest again", id="short"),
        pytest.param(lambda p: p.write_text("text " * 9999), IndexDamaged, "ingest again", id="text"),
        pytest.param(truncate, IndexDamaged, "ingest again", id="truncated"),
        pytest.param(overwrite_middle, IndexDamaged, "ingest again", id="overwritten"),
        pytest.param(execute("DROP TABLE word"), IndexDamaged, "ingest again", id="a table is missing"),
        pytest.param(execute("DELETE FROM state"), IndexDamaged, "ingest again", id="no state"),
        pytest.param(execute("UPDATE passage SET vector = x'00'"), IndexDamaged, "rag rebuild", id="short vectors"),
        pytest.param(foreign, IndexMismatch, "choose another index_dir", id="another program's"),
        pytest.param(execute("PRAGMA user_version = 99"), IndexMismatch, "format 99", id="a newer format"),
        pytest.param(lambda p: (p.unlink(), p.mkdir()), RagError, "index_dir", id="a folder"),
    ],
)
def test_damage_is_named_and_nothing_is_deleted(
    folder: Path, damage: Callable[[Path], None], error: type[RagError], cure: str
) -> None:
    for path in folder.glob("*.faiss"):
        path.unlink()  # so that the vectors are read from the database
    damage(folder / "index.db")
    before = sorted(p.name for p in folder.iterdir())
    with pytest.raises(error, match=cure) as raised, open_store(folder) as store:  # noqa: PT012
        store.words_held(["owl"])
        store.dense(QUERY, 5)
    assert "\n" not in str(raised.value)
    assert {*before} <= {p.name for p in folder.iterdir()}


SECRET = "Nobody may change this."
SIDES = ["index.db", "index.db-wal", "index.db-shm", "index.db-journal", "write.lock"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.parametrize("name", SIDES)
def test_a_link_or_a_pipe_in_a_strangers_index_is_not_followed(
    folder: Path, tmp_path: Path, name: str, kind: str
) -> None:
    outside = tmp_path / "outside"
    outside.write_text(SECRET)
    (folder / name).unlink(missing_ok=True)
    if kind == "link":
        (folder / name).symlink_to(outside)
    else:
        os.mkfifo(folder / name)
    with pytest.raises(IndexDamaged, match="is a link or no file; remove it"), open_store(folder) as store:
        store.replace([item("b.txt", "one passage")])
    assert outside.read_text() == SECRET


def test_a_lock_that_is_another_file_too_is_not_taken(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text(SECRET)
    (folder / "write.lock").unlink(missing_ok=True)
    (folder / "write.lock").hardlink_to(tmp_path / "letters.txt")
    with open_store(folder) as store, pytest.raises(IndexDamaged, match="has another name, too"):
        store.replace([item("b.txt", "one passage")])
    assert (tmp_path / "letters.txt").read_text() == SECRET


def test_a_journal_that_names_another_file_deletes_none(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text(SECRET)
    journal_that_names_another(folder, tmp_path)
    with pytest.raises(IndexDamaged, match="names another file"):
        open_store(folder)
    assert (tmp_path / "letters.txt").read_text() == SECRET


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER planted AFTER UPDATE ON state BEGIN DELETE FROM passage; END",
        "CREATE VIEW more AS SELECT 1",
        "CREATE TABLE more (value)",
        "ALTER TABLE word RENAME TO old",
        "CREATE INDEX more ON document (abs(id))",
    ],
)
def test_tables_that_somebody_else_planted_are_not_used(folder: Path, planted: str) -> None:
    execute(planted)(folder / "index.db")
    with pytest.raises(IndexDamaged, match="its tables are not those that rag makes"):
        open_store(folder)


def test_what_sqlite_says_of_damage_is_one_line_whatever_it_quotes(folder: Path) -> None:
    execute(
        "PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = CAST(x'0aff41' AS TEXT) WHERE name = 'meta'"
    )(folder / "index.db")
    with pytest.raises(IndexDamaged) as raised:
        open_store(folder)
    assert "\n" not in str(raised.value)


def test_the_tables_are_those_of_this_format() -> None:
    """An index with others is refused: whoever changes them, or a comment in them, makes another SCHEMA_VERSION."""
    digest = hashlib.sha256(SCHEMA.encode()).hexdigest()[:16]
    assert (SCHEMA_VERSION, digest) == (4, "18243c6ab6f8d0b9")


def test_a_log_without_its_index_is_not_replayed_into_a_new_one(folder: Path) -> None:
    (folder / "index.db").unlink()
    (folder / "index.db-wal").write_bytes(b"frames of the old index")
    with pytest.raises(IndexDamaged, match=r"index\.db-wal"):
        open_store(folder)
    assert (folder / "index.db-wal").exists()


def test_the_folder_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(RagError, match="choose another index_dir"):
        open_store(path)


def test_a_failed_transaction_is_undone_even_while_a_cursor_is_alive(folder: Path) -> None:
    with open_store(folder) as store:
        database = rag.database.Database(folder)
        with pytest.raises(KeyError), database.transaction() as connection:  # noqa: PT012
            connection.execute("DELETE FROM meta")
            cursor = connection.execute("SELECT id FROM passage")
            cursor.fetchone()
            raise KeyError
        store.replace([item("c", "otter")])
        del cursor


def test_errors_inside_reading_are_ours_too(folder: Path) -> None:
    with open_store(folder) as store:
        execute("DROP TABLE word")(folder / "index.db")
        with pytest.raises(IndexDamaged), store.reading():  # noqa: PT012
            with pytest.raises(IndexDamaged, match="no such table"):
                store.words_held(["owl"])
            raise IndexDamaged


def test_another_program_is_writing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.database, "BUSY_WAIT_S", 0.1)
    other = sqlite3.connect(folder / "index.db", isolation_level=None)
    with open_store(folder) as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexLocked, match="try again"):
            store.replace([item("c", "otter")])
        assert store.count() == (2, 3)
        other.execute("COMMIT")
        store.replace([item("c", "otter")])
    other.close()


def test_sqlite_guards_commits_and_references(folder: Path) -> None:
    database = rag.database.Database(folder)
    with database.reading() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    with pytest.raises(RagError, match="FOREIGN KEY"), database.transaction() as connection:
        connection.execute("DELETE FROM document")
    database.close()


# -- other processes ---------------------------------------------------------------------------------------------------

HOLD_THE_LOCK = """
with open_store(folder) as store, store.writing():
    print("locked", flush=True)
    input()
    store.replace([item("c", "otter")])
print("done", flush=True)
"""


def test_one_process_writes_the_others_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.database, "LOCK_WAIT_S", 0.1)
    with run(HOLD_THE_LOCK, folder) as other, open_store(folder) as store:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(IndexLocked, match="try again"):
            store.replace([item("a", "new")])
        with pytest.raises(IndexLocked), store.writing():
            pass
        assert ids(store.keyword(["walrus"], 5)) == [1]
        assert ids(store.dense(QUERY, 5)) == slow_dense(stored(store), QUERY, 5)
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "done\n"
        assert ids(store.keyword(["otter"], 5)) == [4]  # seen without opening again
        assert ids(store.dense(QUERY, 5)) == slow_dense(stored(store), QUERY, 5)
        assert store.replace([item("a", "new")]) == [1]


def test_another_store_of_the_same_process_is_locked_out_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.database, "LOCK_WAIT_S", 0.1)
    with open_store(folder) as one, open_store(folder) as two:
        with one.writing(), one.writing():
            one.replace([item("c", "otter")])
            with pytest.raises(IndexLocked):
                two.replace([item("d", "elk")])
        two.replace([item("d", "elk")])


def test_a_reader_process_sees_our_writes(folder: Path) -> None:
    script = """
with open_store(folder) as store:
    for line in sys.stdin:
        hits = store.dense(unit(line.strip()), 3)
        print([p.text for p in store.passages(ids(hits))][0], store.count(), flush=True)
"""
    with run(script, folder) as other, open_store(folder) as store:
        assert other.stdout is not None
        assert other.stdin is not None
        for n, text in enumerate(["otter", "elk", "newt"]):
            store.replace([item("c", text), item(f"more{n}", "x")])
            other.stdin.write(f"c: {text}\n")
            other.stdin.flush()
            assert other.stdout.readline() == f"{text} ({4 + n}, {5 + n})\n"
        other.stdin.close()


def test_two_processes_create_one_index(tmp_path: Path) -> None:
    script = """
with open_store(folder) as store:
    print(store.count())
"""
    folder = tmp_path / "index"
    others = [run(script, folder) for _ in range(3)]
    assert [other.communicate()[0] for other in others] == ["(0, 0)\n"] * 3


def test_an_index_made_while_we_waited_for_the_lock_is_kept(tmp_path: Path, folder: Path) -> None:
    late = tmp_path / "late"
    late.mkdir()
    with ThreadPoolExecutor(1) as pool, rag.database.Database(late).writing():
        opening = pool.submit(open_store, late)
        with contextlib.suppress(TimeoutError):
            opening.result(timeout=0.3)
        shutil.copy(folder / "index.db", late)
    with opening.result() as store:
        assert store.count() == (2, 3)


KEEP_WRITING = """
import itertools, rag.vectors
def version_of(n):
    return [item(f"s{i}", *(f"version{n} {j}" for j in range(5)), title=str(n)) for i in range(3)]
rag.vectors.LAG_ROWS = 0  # a snapshot with every write
with open_store(folder) as store:
    for version in itertools.count(1 + int(store.document(1).title)):
        store.replace(version_of(version))
        print(version, flush=True)
"""


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    with open_store(folder) as store:
        store.replace([item(f"s{i}", *(f"version0 {j}" for j in range(5)), title="0") for i in range(3)])
    return folder


def test_a_kill_while_writing_leaves_the_old_or_the_new(versions: Path) -> None:
    chance = random.Random(1)
    for _ in range(6):
        with run(KEEP_WRITING, versions) as writer:
            assert writer.stdout is not None
            printed = writer.stdout.readline()
            time.sleep(chance.random() / 10)
            writer.send_signal(signal.SIGKILL)
            printed = (printed + writer.stdout.read()).split("\n")[-2]
        with open_store(versions) as store:
            assert_whole(store, at_least=int(printed))
            store.snapshot()
            assert_whole(store, at_least=int(printed))
        assert_sound(versions)
    names = {p.name for p in versions.glob("vectors-*")}
    assert len(names) == 1


def assert_whole(store: Store, at_least: int) -> None:
    """All three documents are of one version, no older than what the writer said it had stored."""
    (version,) = {int(d.title) for d in store.documents()}
    assert version >= at_least
    passages = stored(store)
    expected = sorted((f"s{i}", f"version{version} {j}") for i in range(3) for j in range(5))
    assert sorted(passages.values()) == expected
    assert [store.document(i).text.split()[0] for i in (1, 2, 3)] == [f"version{version}"] * 3
    assert ids(store.dense(QUERY, 99)) == slow_dense(passages, QUERY, 99)
    assert set(ids(store.keyword([f"version{version}"], 99))) == set(passages)
    assert store.words_held([f"version{version}", f"version{version - 1}"]) == {f"version{version}": 15}


def assert_sound(folder: Path) -> None:
    connection = sqlite3.connect(folder / "index.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")  # raises if it is not in step
    connection.rollback()
    connection.close()


def test_a_kill_while_rebuilding_leaves_the_old(versions: Path) -> None:
    script = """
import time
def embed(document, chunks):
    if document.source == "s2":
        print("embedding", flush=True)
        time.sleep(60)
    return np.array([unit("x", 8)])
Store.rebuild(Location(folder), fingerprint="other", dimension=8, chunk=lambda d: [Chunk(0, 1)], embed=embed)
"""
    with run(script, versions) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "embedding\n"
        with open_store(versions) as store:
            assert_whole(store, at_least=0)
        other.kill()
    with open_store(versions) as store:
        assert_whole(store, at_least=0)
        store.replace([item("new", "walrus")])
    assert_sound(versions)


# -- no room, no rights ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_no_room_on_the_disk(versions: Path) -> None:
    script = """
import resource
from rag.errors import RagError
with open_store(folder) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    try:
        store.replace([item(f"s{i}", "walrus " * 99999) for i in range(3)])
    except RagError as error:
        print(error)
    print(store.count(), len(store.dense(unit(1), 99)))
"""
    output = run(script, versions).communicate()[0]
    assert "free space" in output
    assert output.endswith("\n(3, 15) 15\n")
    with open_store(versions) as store:
        assert_whole(store, at_least=0)
    assert_sound(versions)


@pytest.fixture
def unwritable() -> Iterator[Path]:
    """An index that this user may read and not write; outside tmp_path, which only its owner may enter."""
    top = Path(tempfile.mkdtemp())
    folder = top / "index"
    open_store(folder).close()
    for path in [*folder.iterdir(), folder, top]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in (top, folder):
        path.chmod(0o755)
    shutil.rmtree(top)


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
@pytest.mark.parametrize("name", ["index", "none/yet"])
def test_no_right_to_write(unwritable: Path, name: str) -> None:
    script = """
import os
from rag.errors import RagError
if os.geteuid() == 0:
    os.setuid(65534)  # nothing is forbidden to root
try:
    with open_store(folder) as store:
        store.replace([item("a", "walrus")])
except RagError as error:
    print(error)
"""
    output = run(script, unwritable.parent / name).communicate()[0]
    assert "cannot write to" in output
    assert output.endswith("choose another index_dir\n")
