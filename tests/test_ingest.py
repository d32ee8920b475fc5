from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

import rag.documents
import rag.folders
from rag.errors import DocumentsNotFound
from rag.ingest import Ingester, Progress
from rag.sandbox import Sandbox
from rag.settings import Settings
from rag.store import Location, Store
from rag.types import Document, Failure


class LetterEncoder:
    """Vectors that count letters: enough to see what is embedded, and how often."""

    name = weights = "letters"
    dimension = 26

    def __init__(self) -> None:
        self.texts: list[str] = []

    def documents(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        counts = [[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts]
        vectors = np.array(counts, np.float32).reshape(len(texts), 26)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    queries = documents


class Place:
    """A folder of documents and its index."""

    def __init__(self, base: Path) -> None:
        self.folder = base / "docs"
        self.folder.mkdir()
        self.encoder = LetterEncoder()
        self.settings = Settings(documents=self.folder, index_dir=base / "index")
        self.store = Store.open(Location(self.settings.index_dir), fingerprint="f", dimension=26)
        self.ingester = Ingester(self.store, self.encoder, self.settings)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def sources(self) -> list[str]:
        return [document.source for document in self.store.documents()]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    with place.store:
        yield place


def test_only_what_changed_is_embedded_again(place: Place) -> None:
    place.write("a.txt", "The first owl.")
    place.write("sub/b.md", "# Birds\n\nThe second owl.")
    report = place.ingester.ingest_default()
    assert (report.added, report.unchanged) == (("a.txt", "sub/b.md"), ())
    place.encoder.texts.clear()
    place.write("a.txt", "The third owl.")
    report = place.ingester.ingest_default()
    assert (report.added, report.updated, report.unchanged) == ((), ("a.txt",), ("sub/b.md",))
    assert len(place.encoder.texts) == 1
    assert "third" in place.encoder.texts[0]
    assert not place.ingester.ingest_default().changed


def test_the_title_is_embedded_but_is_not_in_the_text(place: Place) -> None:
    place.write("b.md", "# Birds\n\nThe owl.")
    place.ingester.ingest_default()
    assert place.encoder.texts[0].startswith("Birds\n")
    (document,) = place.store.documents()
    assert place.store.document(document.id).text == "# Birds\n\nThe owl."


def test_what_left_the_default_folder_leaves_the_index(place: Place) -> None:
    place.write("a.txt", "one")
    place.write("b.txt", "two").unlink()
    place.ingester.ingest_default()
    (place.folder / "a.txt").unlink()
    place.write("b.txt", "two")
    report = place.ingester.ingest_default()
    assert (report.added, report.removed) == (("b.txt",), ("a.txt",))
    assert place.sources() == ["b.txt"]


def test_another_folder_is_pruned_only_when_asked(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.txt").write_text("ex")
    (other / "y.txt").write_text("why")
    place.ingester.ingest([other])
    (other / "x.txt").unlink()
    assert place.ingester.ingest([other]).removed == ()
    assert place.ingester.ingest_default().removed == ()
    assert place.sources() == ["x.txt", "y.txt"]
    assert place.ingester.ingest([other], prune=True).removed == ("x.txt",)


def test_documents_around_the_index_do_not_swallow_other_roots(tmp_path: Path) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    (project / "mine.txt").write_text("mine")
    (elsewhere / "far.txt").write_text("far")
    settings = Settings(documents=project, index_dir=project / ".rag")
    with Store.open(Location(settings.index_dir), fingerprint="f", dimension=26) as store:
        ingester = Ingester(store, LetterEncoder(), settings)
        ingester.ingest([elsewhere])
        ingester.ingest_default()
        assert ingester.ingest_default().removed == ()
        assert [d.source for d in store.documents()] == ["far.txt", "mine.txt"]


def test_index_and_documents_may_move_together(tmp_path: Path) -> None:
    before = tmp_path / "before"
    (before / "docs").mkdir(parents=True)
    (before / "docs" / "a.txt").write_text("one")
    for place in (before, tmp_path / "after"):
        settings = Settings(documents=place / "docs", index_dir=place / ".rag")
        with Store.open(Location(settings.index_dir), fingerprint="f", dimension=26) as store:
            report = Ingester(store, LetterEncoder(), settings).ingest_default()
        if place is before:
            assert report.added == ("a.txt",)
            before.rename(tmp_path / "after")
    assert report.unchanged == ("a.txt",)


def test_another_default_folder_replaces_the_one_before(place: Place, tmp_path: Path) -> None:
    place.write("a.txt", "one")
    place.ingester.ingest_default()
    other = tmp_path / "new"
    other.mkdir()
    (other / "b.txt").write_text("two")
    settings = place.settings.model_copy(update={"documents": other})
    Ingester(place.store, place.encoder, settings).ingest_default()
    assert place.sources() == ["b.txt"]


def test_a_file_that_can_no_longer_be_read_keeps_its_older_version(place: Place) -> None:
    place.write("a.txt", "The old owl.")
    place.write("b.txt", "The other owl.")
    place.ingester.ingest_default()
    (place.folder / "a.txt").write_bytes(b"\x7fELF\0\0\0\0" * 40)
    report = place.ingester.ingest_default()
    assert [failure.source for failure in report.failed] == ["a.txt"]
    assert report.unchanged == ("b.txt",)
    assert place.sources() == ["a.txt", "b.txt"]
    place.write("a.txt", "The new owl.")
    assert place.ingester.ingest_default().updated == ("a.txt",)


def test_a_missing_folder_loses_nothing(place: Place) -> None:
    place.write("a.txt", "one").rename(place.folder / "b.txt")
    place.ingester.ingest_default()
    place.folder.rename(place.folder.with_name("gone"))
    with pytest.raises(DocumentsNotFound, match="RAG_DOCUMENTS"):
        place.ingester.ingest_default()
    with pytest.raises(DocumentsNotFound, match="nowhere"):
        place.ingester.ingest([place.folder.with_name("gone"), Path("nowhere")])
    assert place.sources() == ["b.txt"]


def test_hidden_unknown_and_foreign_files_are_passed_over(place: Place, tmp_path: Path) -> None:
    place.write("a.txt", "one")
    place.write(".hidden.txt", "two")
    place.write(".git/c.txt", "three")
    place.write("picture.png", "four")
    secret = tmp_path / "secret.txt"
    secret.write_text("five")
    (place.folder / "link.txt").symlink_to(secret)
    assert place.ingester.ingest_default().added == ("a.txt",)


def test_a_collection_is_a_document_a_line(place: Place, tmp_path: Path) -> None:
    dump = tmp_path / "dump.jsonl"
    lines = [{"id": "one", "text": "The first."}, {"id": "two", "text": "The second.", "title": "T"}]
    dump.write_text("\n".join(map(json.dumps, lines)))
    assert place.ingester.ingest([dump]).added == ("one", "two")
    dump.write_text("\n".join([json.dumps(lines[0]), "not JSON", json.dumps({"id": "three", "text": "x"})]))
    report = place.ingester.ingest([dump], prune=True)
    assert (report.added, report.removed) == (("three",), ())  # the line that cannot be read may be "two"
    assert [failure.source for failure in report.failed] == ["dump.jsonl:2"]
    dump.write_text(json.dumps(lines[0]))
    assert place.ingester.ingest([dump], prune=True).removed == ("three", "two")


def test_a_collection_inside_the_folder_is_pruned_with_it(place: Place) -> None:
    place.write("dump.jsonl", json.dumps({"id": "one", "text": "The first."}))
    assert place.ingester.ingest_default().added == ("one",)
    (place.folder / "dump.jsonl").unlink()
    assert place.ingester.ingest_default().removed == ("one",)


def test_progress_counts_up_to_the_end(place: Place) -> None:
    for i in range(5):
        place.write(f"{i}.txt", "word " * 300)
    seen: list[Progress] = []
    place.ingester.ingest_default(seen.append)
    assert [p.documents for p in seen] == [1, 2, 3, 4, 5, 5]
    assert seen[-1].passages == place.store.count()[1] > 5


def test_files_without_words_are_documents_without_passages_and_empty_ones_are_reported(place: Place) -> None:
    place.write("empty.txt", "")
    place.write("blank.txt", " \n\n ")
    report = place.ingester.ingest_default()
    assert report.added == ("blank.txt",)
    assert report.failed == (Failure("empty.txt", "empty.txt is empty; write into it, or move it away"),)
    assert place.store.count() == (1, 0)


@pytest.mark.parametrize("how", ["with its folder", "alone"])
def test_words_that_were_deleted_from_a_file_leave_the_index(place: Place, how: str) -> None:
    file = place.write("a.txt", "Alpha.")
    place.write("b.txt", "Beta.")
    place.ingester.ingest_default()
    place.write("a.txt", "")
    report = place.ingester.ingest_default() if how == "with its folder" else place.ingester.ingest([file])
    assert (report.removed, [failure.source for failure in report.failed]) == (("a.txt",), ["a.txt"])
    assert place.sources() == ["b.txt"]


def test_a_file_of_the_folder_may_become_the_default_and_back(place: Place) -> None:
    chosen = place.write("a.txt", "one")
    place.write("b.txt", "two")
    place.ingester.ingest_default()
    alone = Ingester(place.store, place.encoder, place.settings.model_copy(update={"documents": chosen}))
    alone.ingest_default()
    assert place.sources() == ["a.txt"]
    assert not alone.ingest_default().changed
    place.ingester.ingest_default()
    assert place.sources() == ["a.txt", "b.txt"]
    place.ingester.ingest([chosen])
    assert place.sources() == ["a.txt", "b.txt"]


def test_a_file_that_comes_again_with_its_folder_is_one_document(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.txt").write_text("ex")
    place.ingester.ingest([other / "x.txt"])
    place.ingester.ingest([other])
    assert place.sources() == ["x.txt"]


def test_a_name_that_is_not_unicode_is_reported_and_the_others_are_read(place: Place) -> None:
    place.write("a.txt", "one")
    Path(os.fsdecode(bytes(place.folder) + b"/caf\xe9.txt")).write_text("two")
    report = place.ingester.ingest_default()
    assert report.added == ("a.txt",)
    assert "rename" in report.failed[0].reason


def test_a_folder_of_other_kinds_says_so(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.write("report.odt", "PK")
    place.ingester.ingest_default()
    assert "1 .odt" in caplog.text


def test_a_path_that_cannot_be_is_one_plain_line(place: Place) -> None:
    with pytest.raises(DocumentsNotFound, match="check the path"):
        place.ingester.ingest([Path("x" * 300)])


def test_a_renamed_file_keeps_its_passages_and_is_found_under_its_new_name(place: Place) -> None:
    old = place.write("bridge-plans.txt", "The bridge was built in 1903.")
    place.write("lake.txt", "The lake is deep.")
    place.ingester.ingest_default()
    (bridge,) = (d for d in place.store.documents() if d.source == "bridge-plans.txt")
    ((kept, _),) = place.store.keyword(["bridge"], 5)
    embedded = len(place.encoder.texts)
    old.rename(place.folder / "crossing.txt")
    report = place.ingester.ingest_default()
    assert (report.updated, report.removed, report.added) == (("crossing.txt",), (), ())
    assert len(place.encoder.texts) == embedded
    assert place.sources() == ["crossing.txt", "lake.txt"]
    assert place.store.document(bridge.id).title == "crossing"
    assert [i for i, _ in place.store.keyword(["crossing"], 5)] == [kept]
    assert place.store.keyword(["plans"], 5) == []
    assert place.store.words_held(["plans"]) == {}


def test_a_copy_is_a_document_of_its_own(place: Place) -> None:
    place.write("one.txt", "The bridge was built in 1903.")
    place.ingester.ingest_default()
    place.write("two.txt", "The bridge was built in 1903.")
    assert place.ingester.ingest_default().added == ("two.txt",)
    assert place.sources() == ["one.txt", "two.txt"]


def test_what_a_ragignore_names_is_passed_over_and_leaves_the_index(place: Place) -> None:
    for name in ("kept.txt", "draft-1.txt", "old/a.txt", "old/b.txt", "sub/secret.txt", "sub/open.txt"):
        place.write(name, f"Text of {name}.")
    place.ingester.ingest_default()
    place.write(".ragignore", "# not these\ndraft-*\nold/\n!old/b.txt\n")
    place.write("sub/.ragignore", "secret.txt\n")
    assert set(place.ingester.ingest_default().removed) == {"draft-1.txt", "old/a.txt", "old/b.txt", "sub/secret.txt"}
    assert place.sources() == ["kept.txt", "sub/open.txt"]


def test_a_ragignore_takes_no_endless_time(place: Place) -> None:
    deep = "a/" * 60
    place.write(f"{'a' * 200}.txt", "One.")
    place.write(f"{deep}one.txt", "Two.")
    place.write(".ragignore", f"{'*a' * 30}b\n{'a/**/' * 20}b\n**/{'a/**/' * 20}b\n")
    assert len(place.ingester.ingest_default().added) == 2  # years, as pathspec alone would match these


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**", "/", "?", "*a", "**/", "/**/", "a/", "[ab]"]), max_size=8),
    st.text("aab/c", min_size=1, max_size=12),
)
def test_a_ragignore_means_what_git_means(parts: list[str], name: str) -> None:
    pattern, name = "".join(parts), re.sub("/+", "/", name).strip("/") or "a"
    ours = GitIgnoreSpec.from_lines([pattern], rag.folders._Pattern, backend="simple")
    theirs = GitIgnoreSpec.from_lines([pattern], backend="simple")
    assert ours.match_file(name) == theirs.match_file(name)


@pytest.mark.filterwarnings("error")
def test_a_ragignore_with_odd_brackets_means_what_it_says(place: Place) -> None:
    place.write("[.txt", "One.")
    place.write("b.txt", "Two.")
    place.write(".ragignore", "[[a].txt\n[c||d]\n")
    assert place.ingester.ingest_default().added == ("b.txt",)


@pytest.mark.parametrize("line", ["!", "\\", "[z-a]*", "[z-a]", "! "])
def test_a_line_of_a_ragignore_that_is_no_pattern_is_reported_by_its_number(place: Place, line: str) -> None:
    place.write("draft.txt", "A draft.")
    place.write(".ragignore", f"\n\n{line}\n!\n")
    (failure,) = place.ingester.ingest_default().failed
    assert failure.source == ".ragignore"
    assert failure.reason.startswith(
        f"line 3: '{line.strip()}' is no pattern; correct it, as in .gitignore; until then "
    )
    assert place.sources() == []


def test_what_the_other_lines_of_a_wrong_ragignore_name_leaves_the_index_and_the_rest_stays(place: Place) -> None:
    for name in ("s.txt", "kept.txt", "sub/t.txt", "sub/kept.txt", "other/u.txt"):
        place.write(name, f"Text of {name}.")
    place.ingester.ingest_default()
    place.write(".ragignore", "u.txt\n")
    place.write("sub/.ragignore", "t.txt\n!\n")
    place.write("sub/new.txt", "New.")
    assert place.ingester.ingest_default().removed == ("other/u.txt", "sub/t.txt")
    place.write(".ragignore", "s.txt\n!\n")
    report = place.ingester.ingest_default()
    assert [failure.source for failure in report.failed] == [".ragignore"]
    assert "what was indexed from there stays; only what other lines name is pruned" in report.failed[0].reason
    assert report.removed == ("s.txt",)
    assert place.sources() == ["kept.txt", "sub/kept.txt"]


def test_a_ragignore_that_cannot_be_read_is_reported_and_nothing_is_removed(place: Place) -> None:
    place.write("draft.txt", "A draft.")
    place.ingester.ingest_default()
    (place.folder / ".ragignore").write_bytes(b"caf\xe9\n")
    (failure,) = place.ingester.ingest_default().failed
    assert failure.source == ".ragignore"
    assert failure.reason.startswith("it is not in UTF-8; write it in UTF-8; until then nothing in its folder is read")
    assert place.sources() == ["draft.txt"]


def test_an_unchanged_file_is_hashed_and_not_read_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("a.txt", "Alpha.")
    place.ingester.ingest_default()

    def must_not_be_called(*_: object, **__: object) -> None:
        raise AssertionError("it was parsed again")

    with monkeypatch.context() as patch:
        patch.setattr("rag.sandbox.Sandbox.read", must_not_be_called)
        assert place.ingester.ingest_default().unchanged == ("a.txt",)
        patch.setattr("rag.ingest.READERS_VERSION", "another")
        with pytest.raises(AssertionError, match="parsed again"):
            place.ingester.ingest_default()
    assert place.ingester.ingest_default().unchanged == ("a.txt",)


def test_what_failed_is_tried_again(place: Place) -> None:
    path = place.write("a.txt", "")
    path.write_bytes(b"%PDF-1.7 no text")
    assert [f.source for f in place.ingester.ingest_default().failed] == ["a.txt"]
    assert [f.source for f in place.ingester.ingest_default().failed] == ["a.txt"]
    path.write_text("Alpha.")
    assert place.ingester.ingest_default().added == ("a.txt",)


def test_stopped_between_documents_what_was_stored_stays_and_the_rest_follows(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.ingest.BATCH_PASSAGES", 4)
    for i in range(6):
        place.write(f"{i}.txt", f"Number {i}. " + "words and words. " * 160)  # four passages each

    def stop(progress: Progress) -> None:
        if progress.passages:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.ingester.ingest_default(stop)
    stored = place.sources()
    assert 0 < len(stored) < 6
    embedded = len(place.encoder.texts)
    assert embedded == place.store.count()[1]  # nothing that was embedded is thrown away
    report = place.ingester.ingest_default()
    assert list(report.unchanged) == stored
    assert len(place.sources()) == 6
    assert len(place.encoder.texts) == place.store.count()[1]


def test_what_was_ingested_alone_and_cannot_be_read_now_is_not_pruned(place: Place) -> None:
    alone = place.write("sub/a.txt", "Alpha.")
    place.ingester.ingest([alone.parent])
    alone.write_bytes(b"%PDF-1.7 no text any more")
    report = place.ingester.ingest([place.folder], prune=True)
    assert (len(report.failed), report.removed) == (1, ())
    assert place.sources() == ["a.txt"]
    alone.unlink()
    assert place.ingester.ingest([place.folder], prune=True).removed == ("a.txt",)


def test_what_was_ingested_by_name_stays_while_its_file_does(place: Place) -> None:
    place.write("a.txt", "Alpha.")
    log = place.write("notes.log", "The pump failed on Monday.")
    place.ingester.ingest([log])
    hidden = place.write(".private/x.txt", "Hidden.")
    place.ingester.ingest([hidden.parent])
    dump = place.folder / ".private" / "dump.jsonl"
    dump.write_text('{"id": "one", "text": "First."}')
    place.ingester.ingest([dump])
    assert place.ingester.ingest_default().removed == ()
    assert place.sources() == ["a.txt", "notes.log", "one", "x.txt"]
    for file in (log, hidden, dump):
        file.unlink()
    assert sorted(place.ingester.ingest_default().removed) == ["notes.log", "one", "x.txt"]


def test_newer_readers_read_again_what_failed_what_was_renamed_and_the_rest_of_the_folder(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("a.txt", "Alpha.")
    renamed = place.write("b.txt", "Beta.")
    place.ingester.ingest_default()
    read = Sandbox.read

    def newer(sandbox: Sandbox, path: Path, *, root: str, source: str) -> Document:
        document = read(sandbox, path, root=root, source=source)
        return replace(document, text=f"{document.text} Read anew.")

    monkeypatch.setattr(Sandbox, "read", newer)
    monkeypatch.setattr("rag.ingest.READERS_VERSION", "newer")
    place.ingester.ingest([place.folder / "a.txt"])
    renamed.rename(place.folder / "c.txt")
    place.ingester.ingest_default()
    assert {d.source: place.store.document(d.id).text for d in place.store.documents()} == {
        "a.txt": "Alpha. Read anew.",
        "c.txt": "Beta. Read anew.",
    }


def test_newer_readers_read_a_collection_again_that_could_not_be_read_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = '{"id": "a", "text": "Alpha."}\n'
    collection = place.write("lines.jsonl", line)
    place.ingester.ingest_default()
    read = rag.documents.canonical
    monkeypatch.setattr("rag.documents.canonical", lambda text: f"{read(text)} Read anew.")
    monkeypatch.setattr("rag.ingest.READERS_VERSION", "newer")
    collection.write_bytes(b"\xff\xfe")
    assert [f.source for f in place.ingester.ingest_default().failed] == ["lines.jsonl"]
    collection.write_text(line)
    assert place.ingester.ingest_default().updated == ("a",)
    assert [place.store.document(d.id).text for d in place.store.documents()] == ["Alpha. Read anew."]


def test_an_index_that_was_handed_over_is_compared_with_the_files(tmp_path: Path) -> None:
    """Its hashes may say that all is as it was, and its texts and spans another thing."""
    (tmp_path / "one").mkdir()
    place = Place(tmp_path / "one")
    for name in ("a.txt", "b.txt", "c.txt"):
        place.write(name, f"The owl of {name} is called Edda.")
    place.ingester.ingest_default()
    assert len(place.ingester.ingest_default().unchanged) == 3
    place.store.close()
    with closing(sqlite3.connect(place.settings.index_dir / "index.db")) as connection, connection:
        connection.execute("UPDATE document SET text = replace(text, 'Edda', 'Otto') WHERE source = 'a.txt'")
        connection.execute("UPDATE passage SET text = replace(text, 'Edda', 'Otto') WHERE id = 1")
        connection.execute("UPDATE passage SET stop = stop - 5 WHERE id = 2")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    settings = Settings(documents=tmp_path / "two" / "docs", index_dir=tmp_path / "two" / "index")
    with Store.open(Location(settings.index_dir), fingerprint="f", dimension=26) as store:
        ingester = Ingester(store, LetterEncoder(), settings)
        assert sorted(ingester.ingest_default().updated) == ["a.txt", "b.txt"]
        texts = [store.document(document.id).text for document in store.documents()]
        assert texts == [f"The owl of {name} is called Edda." for name in ("a.txt", "b.txt", "c.txt")]
        assert len(ingester.ingest_default().unchanged) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("a pipe", "it is a pipe; put a file of this name there"),
        ("a folder", "it is a folder; put a file of this name there"),
        ("a link to a folder", "it is a folder; put a file of this name there"),
        ("a link to another folder", "it is a link that leaves the folder"),
        ("a link to nothing", "it is a link to nothing"),
        ("a link to itself", "it cannot be read (Too many levels of symbolic links)"),
    ],
)
def test_a_ragignore_that_is_no_file_of_the_folder_is_not_opened(
    place: Place, tmp_path: Path, kind: str, told: str
) -> None:
    place.write("sub/a.txt", "Alpha.")
    ignore = place.folder / ".ragignore"
    (tmp_path / "outside").write_text("a.txt")
    if kind == "a pipe":
        os.mkfifo(ignore)
    elif kind == "a folder":
        ignore.mkdir()
    else:
        targets = {"a folder": "sub", "another folder": tmp_path / "outside", "nothing": "nowhere", "itself": ignore}
        ignore.symlink_to(targets[kind.removeprefix("a link to ")])
    (failure,) = place.ingester.ingest_default().failed
    assert failure.source == ".ragignore"
    assert failure.reason.startswith(told)
    assert "until then nothing in its folder is read" in failure.reason
    assert place.sources() == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_ragignore_of_another_encoding_never_shows_what_it_names(place: Place, encoding: str) -> None:
    place.write("private/secret.txt", "Secret.")
    (place.folder / ".ragignore").write_text("private/\n", encoding=encoding)
    place.ingester.ingest_default()
    assert place.sources() == []
