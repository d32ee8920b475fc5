"""Files under hostile names: none is written outside, none is left without its document."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rag.assistant import Assistant
from rag.errors import DocumentsNotFound, DocumentUnreadable, RagError
from rag.settings import Settings
from rag.terminal import Screen
from rag.uploads import MAX_BYTES, ROOT, checked_name
from rag.web.completions import cited
from rag.web.markdown import as_markdown
from rag.web.place import place
from rag.web.sources import sources
from rag.web.turns import Turn

HOSTILE = [
    "../up.txt", "../../../../etc/passwd", "..", ".", "...", "", " ", "/", "/etc/passwd.txt", "C:\\Windows\\a.txt",
    "\\\\server\\share\\b.txt", "a\0.txt", "\0", "a.txt\0.pdf", "CON", "con.txt", "nul .txt", "COM1.md", "lpt9.txt",
    "x" * 300 + ".txt", "é" * 150 + ".txt", "\u202egnp.txt", "\u202e", "\u200b.txt", ".hidden.txt", ".ragignore",
    ".txt", "trailing.txt...", "trailing.txt ", "a/b/c.md", "a\\b\\c.md", "..\\..\\d.txt", "%2e%2e%2fe.txt", "~/f.txt",
    "$HOME.txt", "`id`.txt", "a;rm -rf.txt", "-rf.txt", "new\nline.txt", "tab\t.txt", "\x1b[2J.txt", "a|b?.txt",
    "<img src=x onerror=alert(1)>.txt", "\ud800.txt", "a:stream.txt", "index.db", "../index.db", "write.lock",
    "REPORT.TXT", "report.txt", "cafe\u0301.txt", "café.txt", "🦉.txt", "ليث.txt", "._.txt", "__.txt", "\u2028.txt",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "heron.txt").write_text("The heron of the pond is called Edda.\n")
    return folder


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> Settings:
    return Settings(documents=folder, index_dir=tmp_path / "index", refuse_below=0)


@pytest.fixture
def assistant(settings: Settings) -> Iterator[Assistant]:
    with Assistant.open(settings) as assistant:
        yield assistant


@pytest.fixture
def owl(tmp_path: Path) -> Path:
    file = tmp_path / "incoming"
    file.write_text("The owl of the tower is called Brunhilde.\n")
    return file


def test_an_upload_cannot_pass_for_a_document_of_the_folder(
    assistant: Assistant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lie = tmp_path / "lie"
    lie.write_text("The heron of the pond is called Judas.\n")
    assistant.upload("heron.txt", lie)
    answer = assistant.quote("What is the heron of the pond called?")
    by_name = {citation.quote.split()[-1]: citation.passage for citation in answer.citations}
    ours, theirs = by_name["Edda."], by_name["Judas."]
    assert (ours.source, ours.uploaded) == (theirs.source, False) == ("heron.txt", False)
    assert theirs.uploaded
    listed = [(passage["source"], passage["uploaded"]) for passage in answer.to_dict()["passages"]]
    assert sorted(listed) == [("heron.txt", False), ("heron.txt", True)]
    assert place(ours) == ["heron.txt"]
    assert place(theirs, 1) == ["heron.txt", "uploaded", "line 1"]
    Screen().answer(answer, assistant.document)
    shown = (
        capsys.readouterr().out,
        cited(answer),
        as_markdown(answer).replace("\\", ""),
        sources((Turn("q", answer),)),
    )
    assert [text.count("heron.txt") for text in shown] == [2, 2, 2, 2]
    assert [text.count("uploaded") for text in shown] == [1, 1, 1, 1]


def files(folder: Path) -> set[str]:
    """The uploads that are kept, with whatever was left beside them."""
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*")} - {".ragignore"}


def uploaded(assistant: Assistant) -> set[str]:
    return {document.source for document in assistant.documents() if document.root == ROOT}


def test_hostile_names_write_nothing_outside_and_leave_no_orphan(
    assistant: Assistant, owl: Path, tmp_path: Path
) -> None:
    def outside() -> dict[str, bytes]:
        rest = [f for f in tmp_path.rglob("*") if f.is_file() and not f.is_relative_to(tmp_path / "index")]
        return {str(f): f.read_bytes() for f in rest} | dict.fromkeys(map(str, (tmp_path / "index").iterdir()), b"")

    assert len(HOSTILE) >= 50
    (tmp_path / "index" / "uploads").mkdir()
    before = outside()
    refused: list[str] = []
    for name in HOSTILE:
        try:
            (source,) = (report := assistant.upload(name, owl)).added or report.updated
            assert source.isprintable()
            assert not set(source) & set('/\\<>:"|?*\0')
        except DocumentUnreadable as error:
            refused.append(str(error))
    assert 10 < len(refused) < 30
    assert all(reason.isprintable() for reason in refused)
    assert outside() == before
    assert files(tmp_path / "index" / "uploads") == uploaded(assistant)
    folded = [source.casefold() for source in uploaded(assistant)]
    assert len(folded) == len(set(folded))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("../../etc/Annual report.pdf", "Annual report.pdf"),
        ("C:\\temp\\a.txt", "a.txt"),
        ("con.txt", "_con.txt"),
        (".hidden.txt", "hidden.txt"),
        ("\u202ecod\u202c.txt", "cod.txt"),
        ("cafe\u0301.txt", "café.txt"),
        ("cafe\u200c\u0301.txt", "café.txt"),
        ("is it?.md", "is it_.md"),
    ],
)
def test_a_name_becomes_plain(name: str, plain: str) -> None:
    assert checked_name(name) == plain == checked_name(plain)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("photo.png", "photo.png is of a kind that cannot be read; convert it to one of .csv, .docx"),
        ("all.jsonl", "add it with 'rag ingest'"),
        ("", "the file has no name"),
        ("x" * 300 + ".txt", "too long a name"),
    ],
)
def test_a_name_that_cannot_be_kept_is_refused(name: str, reason: str) -> None:
    with pytest.raises(DocumentUnreadable, match=reason):
        checked_name(name)


def test_an_upload_answers_and_survives_restart_rebuild_and_a_lost_index(
    settings: Settings, owl: Path, tmp_path: Path
) -> None:
    def owl_is_known() -> bool:
        with Assistant.open(settings) as assistant:
            return "Brunhilde" in assistant.ask("What is the owl of the tower called?").text

    with Assistant.open(settings) as assistant:
        assert assistant.upload("owl.txt", owl).added == ("owl.txt",)
    assert owl_is_known()
    Assistant.rebuild(settings)
    assert owl_is_known()
    for file in settings.index_dir.glob("index.db*"):
        file.unlink()
    assert owl_is_known()


def test_the_same_name_in_any_case_updates(assistant: Assistant, owl: Path) -> None:
    assistant.upload("Owl.txt", owl)
    owl.write_text("The owl of the tower is called Hildegard.\n")
    assert assistant.upload("OWL.TXT", owl).updated == ("Owl.txt",)
    assert uploaded(assistant) == {"Owl.txt"}
    assert "Hildegard" in assistant.ask("What is the owl of the tower called?").text


def test_an_upload_and_a_file_of_the_folder_may_share_a_name(settings: Settings, folder: Path, owl: Path) -> None:
    with Assistant.open(settings) as assistant:
        assistant.upload("heron.txt", owl)
        (folder / "heron.txt").unlink()
        (folder / "other.txt").write_text("Nothing here.\n")
    with Assistant.open(settings) as assistant:  # prunes the folder
        assert {(d.root == ROOT, d.source) for d in assistant.documents()} == {
            (True, "heron.txt"),
            (False, "other.txt"),
        }


def test_an_index_inside_the_documents_indexes_an_upload_once(folder: Path, owl: Path) -> None:
    settings = Settings(documents=folder, index_dir=folder / "index")
    for _ in range(2):
        with Assistant.open(settings) as assistant:
            assistant.upload("owl.txt", owl)
            assert sorted(d.source for d in assistant.documents()) == ["heron.txt", "owl.txt"]


def test_a_failure_changes_nothing(assistant: Assistant, tmp_path: Path, owl: Path) -> None:
    assistant.upload("owl.txt", owl)
    before = assistant.listing()
    broken = tmp_path / "broken"
    broken.write_bytes(b"%PDF-1.7 this is none")
    for name, file in {"a.pdf": broken, "owl.docx": broken, "b.txt": tmp_path / "nowhere"}.items():
        with pytest.raises((DocumentUnreadable, DocumentsNotFound), match=r"^(a\.pdf|owl\.docx|b\.txt) "):
            assistant.upload(name, file)
    with broken.open("ab") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(DocumentUnreadable, match=r"c\.txt has 20\.0 MB, more than the 20 MB of an upload"):
        assistant.upload("c.txt", broken)
    assert assistant.listing() == before
    assert files(assistant.settings.index_dir / "uploads") == {"owl.txt"}


def test_take_out_and_put_back(assistant: Assistant, owl: Path) -> None:
    question = "What is the owl of the tower called?"
    assistant.upload("owl.txt", owl)
    kept = assistant.settings.index_dir / "uploads" / "owl.txt"
    before = assistant.listing()
    listed = next(d for d in before if d.document.root == ROOT)
    answer = assistant.ask(question)
    removed = assistant.take_out(listed.document.id)
    assert not kept.exists()
    assert "Brunhilde" not in str(assistant.ask(question).to_dict())
    assert assistant.search(question, documents=["owl.txt"]) == []
    assistant.put_back(removed)
    assert assistant.listing() == before
    assert kept.read_text() == owl.read_text()
    again = assistant.ask(question)
    assert [(c.start, c.end, c.quote, c.passage.document_id) for c in again.citations] == [
        (c.start, c.end, c.quote, c.passage.document_id) for c in answer.citations
    ]
    with pytest.raises(DocumentUnreadable, match="was added again meanwhile"):
        assistant.put_back(removed)
    assert assistant.listing() == before


def test_a_file_of_the_folder_stays_when_its_document_is_taken_out(assistant: Assistant, folder: Path) -> None:
    (document,) = assistant.documents()
    before = assistant.document(document.id)
    removed = assistant.take_out(document.id)
    assert (folder / "heron.txt").exists()
    (folder / "heron.txt").unlink()
    assistant.put_back(removed)
    assert assistant.document(document.id) == before
    with pytest.raises(DocumentsNotFound):
        assistant.take_out(10**30)


def test_removing_for_good_takes_the_copy_away(assistant: Assistant, owl: Path) -> None:
    assistant.upload("owl.txt", owl)
    assistant.remove("owl.txt")
    assert files(assistant.settings.index_dir / "uploads") == set()


def leftover(assistant: Assistant, name: str, content: str) -> None:
    """What a kill may leave in `uploads/`."""
    (assistant.settings.index_dir / "uploads" / name).write_text(content)


def test_what_a_kill_left_goes_where_its_document_is(settings: Settings, owl: Path) -> None:
    kept = settings.index_dir / "uploads" / "owl.txt"
    with Assistant.open(settings) as assistant:
        assistant.upload("owl.txt", owl)
        kept.unlink()
        leftover(assistant, f".removed-{'0' * 16}-owl.txt", owl.read_text())  # before it was taken out
        leftover(assistant, f".removed-{'1' * 16}-gone.txt", "Removed.\n")  # after
        leftover(assistant, f".new-{'2' * 16}-gone.txt", "Never indexed.\n")
        leftover(assistant, f".new-{'3' * 16}-owl.txt", "Never indexed either.\n")
        leftover(assistant, f".removed-{'4' * 16}", "Of an older version of rag.\n")
    with Assistant.open(settings) as assistant:
        assert files(kept.parent) == uploaded(assistant) == {"owl.txt"}
        assert kept.read_text() == owl.read_text()


def test_a_file_that_somebody_edited_is_brought_back_as_it_was(assistant: Assistant, owl: Path) -> None:
    assistant.upload("owl.txt", owl)
    kept = assistant.settings.index_dir / "uploads" / "owl.txt"
    kept.write_text("Edited.\n")
    (document,) = (d for d in assistant.documents() if d.root == ROOT)
    assistant.put_back(assistant.take_out(document.id))
    assert kept.read_text() == "Edited.\n"


def test_what_one_page_removed_can_be_undone_while_another_opens(
    settings: Settings, assistant: Assistant, owl: Path
) -> None:
    assistant.upload("owl.txt", owl)
    (document,) = (d for d in assistant.documents() if d.root == ROOT)
    removed = assistant.take_out(document.id)
    with Assistant.open(settings) as other:
        assert uploaded(other) == set()
    assistant.put_back(removed)
    assert files(settings.index_dir / "uploads") == uploaded(assistant) == {"owl.txt"}


def test_a_disk_that_takes_no_file_is_one_sentence_and_nothing_changes(
    assistant: Assistant, owl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assistant.upload("owl.txt", owl)
    before = assistant.listing()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(RagError, match=r"No space left on device\); make it writable, or free some space"):
            assistant.upload("other.txt", owl)
    assert assistant.listing() == before
    assert files(assistant.settings.index_dir / "uploads") == {"owl.txt"}


# -- an index that somebody else made ----------------------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret.txt"
    file.write_text("The canary of the cellar is called Theodora.\n")
    return file


def test_a_link_in_uploads_is_not_indexed_written_or_removed(settings: Settings, secret: Path, owl: Path) -> None:
    uploads = settings.index_dir / "uploads"
    uploads.mkdir(parents=True)
    for name in ("secret.txt", ".ragignore", f".new-{'0' * 16}-secret.txt", f".removed-{'1' * 16}-secret.txt"):
        (uploads / name).symlink_to(secret)
    with Assistant.open(settings) as assistant:
        assistant.upload("owl.txt", owl)
        assert uploaded(assistant) == {"owl.txt"}
        assert "Theodora" not in str(assistant.ask("What is the canary of the cellar called?").to_dict())
    assert "Theodora" in secret.read_text()


def test_uploads_that_are_a_link_are_named(settings: Settings, secret: Path, owl: Path) -> None:
    settings.index_dir.mkdir()
    (settings.index_dir / "uploads").symlink_to(secret.parent)
    with pytest.raises(RagError, match="uploads is a link; remove it"):
        Assistant.open(settings)
    assert not (secret.parent / ".ragignore").exists()


@pytest.mark.parametrize("source", ["../../secret.txt", "{secret}", "uploads/../../../secret.txt", "..", ""])
def test_an_upload_that_is_elsewhere_is_removed_without_its_file(
    settings: Settings, secret: Path, owl: Path, source: str
) -> None:
    source = source.format(secret=secret)
    with Assistant.open(settings) as assistant:
        assistant.upload("owl.txt", owl)
    with closing(sqlite3.connect(settings.index_dir / "index.db")) as connection, connection:
        connection.execute("UPDATE document SET source = ? WHERE source = 'owl.txt'", (source,))
        (number,) = connection.execute("SELECT id FROM document WHERE source = ?", (source,)).fetchone()
    with Assistant.open(settings) as assistant:
        assert assistant.take_out(number).content is None
    assert "Theodora" in secret.read_text()
