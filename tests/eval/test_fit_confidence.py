from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.fit_confidence import unseen_by_reader
from eval.reader.examples import fold, held_out
from rag import Assistant, Settings

SEEN = next(title for title in ("Mills", "Owls", "Bread", "Bridges") if not held_out(title))
KEPT = next(title for title in ("Mills", "Owls", "Bread", "Bridges", "Lakes", "Choirs", "Storks") if held_out(title))
TEXT = "The keeper climbs the tower every evening and lights the lamp of the lighthouse."


def question(text: str, *gold: str) -> dict[str, object]:
    return {"question": text, "evidence": [{"document": source} for source in gold]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


def unseen(documents: Path, asked: dict[str, object], *without: int) -> bool:
    with Assistant.open(Settings(documents=documents, index_dir=documents.parent / "index", llm="none")) as assistant:
        return unseen_by_reader(asked, assistant, *without)


@pytest.mark.parametrize("name", ["1", "v1.2"])
@pytest.mark.parametrize(("title", "expected"), [(SEEN, False), (KEPT, True)])
def test_of_a_collection_the_title_decides_whatever_its_ids_are(
    folder: Path, name: str, title: str, expected: bool
) -> None:
    file = folder / "all.jsonl"
    file.write_text(json.dumps({"id": name, "title": title, "text": TEXT}))
    assert unseen(file, question("Who climbs the tower?", name)) is expected


def test_a_reader_without_another_fold_saw_other_titles(folder: Path) -> None:
    file = folder / "all.jsonl"
    file.write_text(json.dumps({"id": "1", "title": SEEN, "text": TEXT}))
    without = [n for n in range(5) if unseen(file, question("Who climbs the tower?", "1"), n)]
    assert without == [fold(SEEN)]


def test_files_were_never_seen_and_are_the_packaged_readers(folder: Path) -> None:
    (folder / "tower.md").write_text(f"# {SEEN}\n\n{TEXT}")
    assert [unseen(folder, question("Who climbs the tower?", "tower.md"), n) for n in (0, 1)] == [True, False]


def test_where_nothing_is_found_nothing_was_seen(folder: Path) -> None:
    (folder / "all.jsonl").write_text("")
    assert unseen(folder / "all.jsonl", question("Who climbs the tower?"))
