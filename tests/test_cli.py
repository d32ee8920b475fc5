"""The `rag` command, by its front door: exit codes, what it prints, and that it never shows a traceback."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import WALRUS, rag
from endpoint import Server, Speaking, serving
from jsonschema import Draft202012Validator
from typer.testing import Result

from rag import reading
from rag.assistant import Assistant
from rag.embedding import model_folder
from rag.settings import PACKAGED_EMBEDDER
from rag.store import Location, Store

ANSWERED = "Who is the head of the Counter-Terrorism Service?"
SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "answer.schema.json").read_text(encoding="utf-8"))

ATTACK = "The \x1b[31mwalrus\x1b[0m Herbert is [bold]kept[/bold] by \x9b31mAda\x1b]0;owned\x07 Love\x7flace today.\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rag.toml, no ./seeds and no .rag of the developer."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A documents folder with one document."""
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "walrus.txt").write_text(WALRUS, encoding="utf-8")
    return folder


def quoting(documents: Path, index: Path | None = None) -> list[object]:
    """Options for these documents, answered in quotes."""
    return ["--documents", documents, "--index-dir", index or documents.parent / "index", "--llm", "none"]


def over(assistant: Assistant) -> list[object]:
    return quoting(assistant.settings.documents, assistant.settings.index_dir)


def complaint(result: Result) -> str:
    """The one line on stderr; there is nothing on stdout."""
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("rag: ")
    return line


def process(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rag.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **options,
    )


# -- ask ---------------------------------------------------------------------------------------------------------------


def test_an_answer_has_its_quote_as_a_footnote(seed_assistant: Assistant) -> None:
    result = rag(*over(seed_assistant), "ask", ANSWERED)
    assert result.exit_code == 0
    assert result.stderr == ""
    answer, *footnotes = re.split(r"\n\n(?=\[\d+\] )", result.stdout)
    assert "Al-Saadi" in answer
    where, quote = footnotes[0].split("\n", 1)
    assert where.startswith("[1] The change in the Iraqi situation after assigning Mustafa Al-Kazemi — 000_")
    text, line = next(
        (text, int(re.search(r"\.txt, line (\d+)$", where)[1]))  # type: ignore[index]
        for text in (seed_assistant.document(d.id).text for d in seed_assistant.documents())
        if quote.strip() in text
    )
    assert text.split("\n")[line - 1].startswith(quote.strip().split("\n")[0])


@pytest.mark.parametrize("question", ["Who is the Minister of Health?", "At what temperature does tungsten melt?"])
def test_what_the_documents_do_not_say_is_refused(seed_assistant: Assistant, question: str) -> None:
    result = rag(*over(seed_assistant), "ask", question)
    assert result.exit_code == 1
    assert "did not find" in result.stdout


def test_a_refusal_says_why_and_shows_what_is_nearest(
    seed_assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_REFUSE_BELOW", "1")
    result = rag(*over(seed_assistant), "ask", "Who is the Minister of Health?")
    assert (result.exit_code, result.stderr) == (1, "")
    said, nearest = result.stdout.split("\nNearest passages:\n")
    assert "did not find" in said
    assert "Why: " in said
    assert re.findall(r"^  \S.* — 00\d_.*\.txt, line \d+\n    \S", nearest, re.MULTILINE)
    assert "[1]" not in result.stdout


@pytest.mark.parametrize(
    ("question", "refuse_below", "code"), [(ANSWERED, "0.5", 0), (ANSWERED, "1", 1), ("Thank you!", "1", 0)]
)
def test_json_is_the_documented_one_and_every_marker_has_its_quote(
    seed_assistant: Assistant, monkeypatch: pytest.MonkeyPatch, question: str, refuse_below: str, code: int
) -> None:
    monkeypatch.setenv("RAG_REFUSE_BELOW", refuse_below)
    result = rag(*over(seed_assistant), "ask", "--json", question)
    assert (result.exit_code, result.stderr) == (code, "")
    answer = json.loads(result.stdout)
    Draft202012Validator(SCHEMA).validate(answer)
    assert answer["refused"] == (code == 1)

    citations = answer["citations"]
    assert {int(n) for n in re.findall(r"\[(\d+)\]", answer["text"])} == {c["marker"] for c in citations}
    assert {n for sentence in answer["sentences"] for n in sentence["citations"]} == {c["marker"] for c in citations}
    for citation in citations:
        passage = citation["passage"]
        text = seed_assistant.document(passage["document_id"]).text
        assert text[citation["start"] : citation["end"]] == citation["quote"]
        assert text[passage["start"] : passage["end"]] == passage["text"]
        assert passage["start"] <= citation["start"] < citation["end"] <= passage["end"]


def test_explain_says_how_it_came_about(seed_assistant: Assistant) -> None:
    result = rag(*over(seed_assistant), "ask", "--explain", ANSWERED)
    assert result.exit_code == 0
    explanation = result.stdout.partition("How it came about\n")[2]
    for part in (f"standalone question: {ANSWERED}", "confidence: ", "model: none", "search ", "passages searched: 8"):
        assert part in explanation
    assert re.search(r"\d\.\d{4}  The change in .*, line \d+", explanation)


def test_only_the_document_that_was_named_is_asked(seed_assistant: Assistant) -> None:
    other = next(d.source for d in seed_assistant.documents() if d.source.startswith("004_"))
    answer = json.loads(rag(*over(seed_assistant), "ask", "--json", "--document", other, ANSWERED).stdout)
    shown = [*answer["passages"], *answer["nearest"]]
    assert shown
    assert {passage["source"] for passage in shown} == {other}


@pytest.mark.parametrize("command", ["ask", "search"])
def test_a_document_that_is_not_there_is_wrong_usage(seed_assistant: Assistant, command: str) -> None:
    result = rag(*over(seed_assistant), command, "--document", "gone.txt", ANSWERED)
    assert result.exit_code == 2
    assert "'gone.txt'" in complaint(result)
    assert "'rag documents'" in complaint(result)


@pytest.mark.parametrize("command", ["ask", "search"])
@pytest.mark.parametrize("question", ["", " \n ", "why " * 5000])
def test_a_question_that_is_none_is_refused_before_anything_is_done(folder: Path, command: str, question: str) -> None:
    result = rag(*quoting(folder), command, question)
    assert result.exit_code == 2
    assert re.search("; ask", complaint(result))
    assert not (folder.parent / "index").exists()


def test_bytes_that_are_no_text_are_asked_as_well_as_can_be(folder: Path) -> None:
    result = rag(*quoting(folder), "ask", "--json", "Who is Herbert's \udcff keeper?")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["question"] == "Who is Herbert's ? keeper?"


def test_without_weights_and_network_it_answers_in_quotes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cut_off(folder.parent / "cache", monkeypatch)
    result = rag("--documents", folder, "--index-dir", "index", "ask", "Who is the keeper of Herbert?")
    assert result.exit_code == 0
    fetching, failed = result.stderr.splitlines()
    assert fetching == "rag: fetching the language model once (98 MB) …"
    assert failed.startswith("rag: answering in quotes: ")
    assert failed.endswith("with RAG_LLM=none it is not tried again")
    assert "Ada Lovelace" in result.stdout
    assert "run 'rag models pull'" in result.stdout.partition("Note: ")[2]


def test_what_is_asked_for_with_a_fault_of_ours_runs_no_code_that_lies_in_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Assistant:
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr("rag.assistant.Assistant.open", broken)
    line = complaint(rag(*quoting(folder), "ask", ANSWERED))
    command = re.search(r"unexpected ZeroDivisionError: in the middle; .* what 'python (.*)' prints", line)
    assert command is not None
    (tmp_path / "json.py").write_text("raise SystemExit('the code of the folder ran')")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    again = [sys.executable, *command[1].split(), "--help"]
    done = subprocess.run(again, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# -- what a document may not do to a terminal --------------------------------------------------------------------------


def test_control_characters_and_markup_are_shown_not_obeyed(folder: Path) -> None:
    (folder / "walrus.txt").rename(folder / "attack\x1b.txt")
    (folder / "attack\x1b.txt").write_text(ATTACK, encoding="utf-8")
    for arguments in (["ask", "Who keeps the walrus Herbert?"], ["search", "walrus"], ["documents"]):
        shown = rag(*quoting(folder), *arguments).stdout
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown.replace("\t", ""))
        assert "attack␛" in shown
        if arguments != ["documents"]:
            assert "␛[31mwalrus␛[0m Herbert is [bold]kept[/bold] by �31mAda␛]0;owned␇ Love␡lace today." in shown


def test_json_holds_the_same_characters_escaped(folder: Path) -> None:
    (folder / "attack.txt").write_text(ATTACK, encoding="utf-8")
    written = rag(*quoting(folder), "search", "--json", "walrus", "--document", "attack.txt").stdout
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", written)
    assert json.loads(written)[0]["passage"]["text"] == ATTACK.strip()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_it_is_coloured_and_wrapped(folder: Path) -> None:
    (folder / "walrus.txt").write_text(ATTACK, encoding="utf-8")
    shown = _on_a_terminal([*quoting(folder), "ask", "Who keeps the walrus Herbert?"])
    last = shown.rpartition("\x1b[2K")[2].replace("\r\n", "\n")  # what stays, when the draft has been taken away
    assert "\x1b[1;36m[1]" in last
    plain = re.sub(r"\x1b\[[0-9;]*m", "", last)
    assert max(map(len, plain.splitlines())) <= 60
    assert re.search(r"^\[1\] .*walrus\.txt, line 1$", plain, re.MULTILINE)
    assert "[bold]kept[/bold] by �31mAda␛]0;owned␇ Love␡lace" in " ".join(plain.split())
    assert "\x1b]0" not in shown


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_may_ask_for_no_colour(seed_assistant: Assistant) -> None:
    arguments = [*over(seed_assistant), "search", "--mode", "keyword", "terrorism"]
    assert "\x1b[1;36m" in _on_a_terminal(arguments)
    assert "\x1b[" not in _on_a_terminal(arguments, NO_COLOR="1").rpartition("\x1b[2K")[2]


def _on_a_terminal(arguments: Sequence[object], **environment: str) -> str:
    """What `rag` writes to a terminal 60 characters wide."""
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "60"} | environment
    ours, theirs = os.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "rag.cli", *map(str, arguments)], stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    pieces = []
    try:
        while piece := os.read(ours, 65536):
            pieces.append(piece)
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert child.wait() == 0
    return b"".join(pieces).decode()


# -- a broken environment ----------------------------------------------------------------------------------------------


def test_a_missing_documents_folder(tmp_path: Path) -> None:
    result = rag(*quoting(tmp_path / "nowhere"), "ask", ANSWERED)
    assert result.exit_code == 3
    assert "nowhere" in complaint(result)
    assert "RAG_DOCUMENTS" in complaint(result)


def test_a_setting_that_cannot_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_TOP_K", "many")
    result = rag(*quoting(folder), "ask", ANSWERED)
    assert result.exit_code == 3
    assert "RAG_TOP_K" in complaint(result)


def test_an_index_made_with_another_model_is_named_and_can_be_rebuilt(folder: Path) -> None:
    options = quoting(folder)
    with Store.open(Location(folder.parent / "index"), fingerprint="another model", dimension=384):
        pass
    result = rag(*options, "ask", "Who is the keeper of Herbert?")
    assert result.exit_code == 3
    assert "run 'rag rebuild'" in complaint(result)
    assert rag(*options, "doctor").exit_code == 3
    assert rag(*options, "rebuild").exit_code == 0
    assert "Ada Lovelace" in rag(*options, "ask", "Who is the keeper of Herbert?").stdout


def test_a_file_that_cannot_be_read_is_a_warning_and_the_others_answer(folder: Path) -> None:
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 20)
    result = rag(*quoting(folder), "ask", "Who is the keeper of Herbert?")
    assert result.exit_code == 0
    assert "Ada Lovelace" in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("rag: warning: binary.txt ")


def test_many_files_that_cannot_be_read_are_one_line_and_doctor_lists_them(folder: Path) -> None:
    names = [f"{number}.txt" for number in range(7)]
    for name in names:
        (folder / name).write_bytes(bytes(range(256)) * 20)
    told = "rag: warning: 7 files cannot be read; 'rag doctor' lists them\n"
    for indexed in (False, True):
        checked = rag(*quoting(folder), "doctor")
        assert checked.exit_code == 3
        problem, *listed = [line for line in checked.stdout.splitlines() if not line.startswith("ok")]
        assert problem == (
            "problem  files: 7 files, folders or lines of files cannot be read; mend or remove what is listed here"
        )
        assert [line.split()[0] for line in listed] == names
        assert indexed == (folder.parent / "index").exists()
        for command in (["ask", "Who is the keeper of Herbert?"], ["documents"]):
            result = rag(*quoting(folder), *command)
            assert (result.exit_code, result.stderr) == (0, told)
    named = rag(*quoting(folder), "ingest", folder).stderr.splitlines()
    assert named[0] == told.strip()
    assert [line.split()[2] for line in named[1:]] == names


def test_a_folder_that_is_not_read_is_named_among_many_files(folder: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (folder / name).touch()
    (folder / "sub").mkdir()
    (folder / "sub" / ".ragignore").write_text("!\n")
    (folder / "lines.jsonl").write_text("no line\n")
    first, second = rag(*quoting(folder), "documents").stderr.splitlines()
    assert first.startswith("rag: warning: sub/.ragignore: line 1: '!' is no pattern; correct it")
    assert second == "rag: warning: 3 files or lines of files cannot be read; 'rag doctor' lists them"


# -- documents ---------------------------------------------------------------------------------------------------------


def test_ingest_reports_what_it_did(folder: Path) -> None:
    more = folder.parent / "more"
    more.mkdir()
    (more / "a.txt").write_text("The heron Berta lives in Oslo.")
    (more / "b.md").write_text("# Owls\n\nThe owl Carl lives in Turku.")
    (more / "c.txt").write_bytes(b"\x00\x01\x02" * 100)
    options = quoting(folder)

    first = rag(*options, "ingest", more)
    assert (first.exit_code, first.stdout) == (0, "2 added, 0 updated, 0 unchanged, 0 removed, 1 failed\n")
    assert re.fullmatch(r"rag: warning: c\.txt .*\n", first.stderr)

    (more / "a.txt").write_text("The heron Berta lives in Bodø.")
    (more / "b.md").unlink()
    (more / "c.txt").unlink()
    second = rag(*options, "ingest", more, "--json", "--prune")
    assert second.exit_code == 0
    assert json.loads(second.stdout) == {
        "added": [],
        "updated": ["a.txt"],
        "unchanged": [],
        "removed": ["b.md"],
        "failed": [],
    }


def test_ingest_fails_when_nothing_could_be_read(folder: Path) -> None:
    binary = folder.parent / "binary.txt"
    binary.write_bytes(b"\x00\x01\x02" * 100)
    result = rag(*quoting(folder), "ingest", binary)
    assert (result.exit_code, result.stdout) == (3, "0 added, 0 updated, 0 unchanged, 0 removed, 1 failed\n")
    missing = rag(*quoting(folder), "ingest", "missing.txt")
    assert missing.exit_code == 3
    assert "missing.txt" in complaint(missing)


def test_documents_are_listed(seed_assistant: Assistant) -> None:
    rows = [row.split("\t") for row in rag(*over(seed_assistant), "documents").stdout.splitlines()]
    listed = json.loads(rag(*over(seed_assistant), "documents", "--json").stdout)
    assert [row[1] for row in rows] == [document["source"] for document in listed]
    assert [document["id"] for document in listed] == [document.id for document in seed_assistant.documents()]
    for document in listed:
        assert document["characters"] == len(seed_assistant.document(document["id"]).text)
        assert "text" not in document


def test_a_removed_document_is_gone(folder: Path) -> None:
    more = folder.parent / "heron.txt"
    more.write_text("The heron Berta lives in Oslo.")
    options = quoting(folder)
    assert rag(*options, "ingest", more).exit_code == 0
    removed = rag(*options, "remove", "heron.txt")
    assert (removed.exit_code, removed.stderr) == (0, "")
    assert "heron.txt" not in rag(*options, "documents").stdout
    assert more.exists()

    again = rag(*options, "remove", "heron.txt")
    assert again.exit_code == 2
    assert "'rag documents'" in complaint(again)

    kept = rag(*options, "remove", "walrus.txt")
    assert kept.exit_code == 0
    assert "still in" in kept.stderr


def test_of_what_folders_several_documents_of_one_name_are_removed_is_said(folder: Path) -> None:
    others = [folder.parent / name for name in ("A", "B")]
    for other in others:
        other.mkdir()
        (other / "rules.txt").write_text(f"The rules of {other.name} are strict.")
    options = quoting(folder)
    rag(*options, "ingest", *others)
    removed = rag(*options, "remove", "rules.txt")
    assert removed.exit_code == 0
    assert removed.stdout.startswith("2 documents called rules.txt are removed from the index: of ")
    assert re.search(r": of \S*/A, \S*/B$", " ".join(removed.stdout.split()))


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
def test_search_lists_the_best_passages(seed_assistant: Assistant, mode: str) -> None:
    arguments = [*over(seed_assistant), "search", "Counter-Terrorism Service", "-k", 3, "--mode", mode]
    hits = json.loads(rag(*arguments, "--json").stdout)
    assert len(hits) == 3
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    expected = seed_assistant.search("Counter-Terrorism Service", 3, mode=mode)  # type: ignore[arg-type]
    assert [hit["passage"]["id"] for hit in hits] == [hit.passage.id for hit in expected]
    assert len(re.findall(r"^\d+\.\d{4}  ", rag(*arguments).stdout, re.MULTILINE)) == 3


def test_search_that_finds_nothing_ends_with_1(seed_assistant: Assistant) -> None:
    result = rag(*over(seed_assistant), "search", "--mode", "keyword", "--json", "xylophone")
    assert (result.exit_code, result.stdout) == (1, "[]\n")
    assert complaint(rag(*over(seed_assistant), "search", "--mode", "keyword", "xylophone")) == (
        "rag: no passage in the index matches; search for other words"
    )


def test_an_index_without_documents_says_so_and_its_cures_work(folder: Path) -> None:
    options, text = quoting(folder), folder / "walrus.txt"
    more = text.rename(folder.parent / "walrus.txt")
    told = "the index is empty; put documents into the documents folder (RAG_DOCUMENTS), or run 'rag ingest PATH'"
    asked = rag(*options, "ask", "Who is the keeper of Herbert?")
    assert (asked.exit_code, asked.stderr) == (1, "")
    assert f"Why: {told}" in asked.stdout
    for command, code in ((["documents"], 0), (["search", "keeper"], 1)):
        result = rag(*options, *command)
        assert result.exit_code == code
        assert told in complaint(result)
    assert rag(*options, "documents", "--json").stdout == "[]\n"
    assert rag(*options, "ingest", more).exit_code == 0
    assert "Ada Lovelace" in rag(*options, "ask", "Who is the keeper of Herbert?").stdout
    assert rag(*options, "remove", "walrus.txt").exit_code == 0
    assert told in complaint(rag(*options, "documents"))
    more.rename(text)
    assert "Ada Lovelace" in rag(*options, "ask", "Who is the keeper of Herbert?").stdout


def test_an_index_of_documents_that_cannot_be_read_says_so(folder: Path) -> None:
    (folder / "walrus.txt").write_bytes(b"\x00\x01\x02" * 100)
    told = "the index is empty: nothing in the documents folder can be read; 'rag doctor' says why"
    assert f"Why: {told}" in rag(*quoting(folder), "ask", "Who is the keeper of Herbert?").stdout
    assert rag(*quoting(folder), "documents").stderr.endswith(f"rag: {told}\n")
    assert "walrus.txt" in rag(*quoting(folder), "doctor").stdout


# -- chat --------------------------------------------------------------------------------------------------------------


def test_chat_remembers_and_survives_a_wrong_question(seed_assistant: Assistant) -> None:
    typed = f"{ANSWERED}\n\n{'why ' * 5000}\nhello\nIs he competent?\nexit\nWho heads the Badr Organization?\n"
    result = rag(*over(seed_assistant), "chat", typed=typed)
    assert result.exit_code == 0
    assert re.fullmatch(r"rag: the question has [\d,]+ characters; .*\n", result.stderr)
    assert "Al-Saadi" in result.stdout
    assert "Hello." in result.stdout
    assert f"understood as: {ANSWERED} Is he competent?" in result.stdout
    assert "Badr" not in result.stdout.partition("Hello.")[0]


def test_chat_ends_with_the_input(seed_assistant: Assistant) -> None:
    result = rag(*over(seed_assistant), "chat", typed="hello")
    assert (result.exit_code, result.stderr) == (0, "")


# -- the environment ---------------------------------------------------------------------------------------------------


def test_config_shows_values_but_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_LLM_API_KEY", "swordfish")
    Path("rag.toml").write_text('top_k = 5\nllm_base_url = "http://joe:swordfish@localhost/v1"\n')
    result = rag("--llm", "some-model", "config")
    assert result.exit_code == 0
    rows = {row.split("\t")[0]: row.split("\t")[1:3] for row in result.stdout.splitlines()}
    assert rows["top_k"] == ["5", "set"]
    assert rows["llm"] == ["some-model", "set"]
    assert rows["index_dir"] == [".rag", "default"]
    assert rows["llm_base_url"] == ["http://***@localhost/v1", "set"]
    assert "swordfish" not in result.stdout


def test_doctor_finds_nothing_wrong_and_makes_no_index(folder: Path) -> None:
    result = rag(*quoting(folder), "doctor")
    assert result.exit_code == 0
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [
        ["ok", f"{name}:"] for name in ("settings", "documents", "embedding", "reader", "index", "files", "llm", "disk")
    ]
    assert not (folder.parent / "index").exists()


def test_doctor_names_each_problem_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cut_off(tmp_path / "cache", monkeypatch)
    (tmp_path / "no-model").mkdir()
    monkeypatch.setenv("RAG_EMBED_MODEL", "no-model")
    result = rag("--documents", "nowhere", "doctor")
    assert result.exit_code == 3
    problems = [line for line in result.stdout.splitlines() if line.startswith("problem")]
    assert [line.split()[1] for line in problems] == ["documents:", "embedding:", "llm:"]
    assert "RAG_DOCUMENTS" in problems[0]
    assert "'rag models pull'" in problems[2]


@pytest.mark.parametrize("kind", ["a file", "in a file", "a link to nothing"])
def test_an_index_folder_that_is_none_is_told_by_doctor_as_by_ask(folder: Path, tmp_path: Path, kind: str) -> None:
    index = tmp_path / "gf"
    if kind == "a link to nothing":
        index.symlink_to("nowhere")
    else:
        index.write_text("a file")
    options = quoting(folder, index / "below" if kind == "in a file" else index)
    told = f"{index} is no folder, so the index cannot be there; move it away or choose another index_dir"
    asked = rag(*options, "ask", ANSWERED)
    assert (asked.exit_code, complaint(asked)) == (3, f"rag: {told}")
    checked = rag(*options, "doctor")
    assert checked.exit_code == 3
    assert f"problem  index: {told}" in checked.stdout.splitlines()


def test_doctor_says_that_nobody_asks_the_endpoint_that_is_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    (line,) = [line for line in rag(*quoting(folder), "doctor").stdout.splitlines() if " llm: " in line]
    assert line == "ok       llm: none is set, so nobody asks llm_base_url; set llm (RAG_LLM) to a model's name there"


class Yes(Speaking):
    """Plays an LLM that is well."""

    def reply(self, _body: dict[str, Any]) -> None:
        self.begin()
        self.say("Yes")


def test_doctor_says_how_it_went_at_each_address_of_the_llm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_LLM", "m")
    options, nowhere = quoting(folder)[:-2], "http://127.0.0.1:9/v1"
    with serving(Server(Yes)) as one, serving(Server(Yes)) as two:
        monkeypatch.setenv("RAG_LLM_BASE_URL", f"{one.url},{two.url}")
        well = rag(*options, "doctor")
        assert f"ok       llm: m answers at {one.url} and {two.url}" in well.stdout.splitlines()
        monkeypatch.setenv("RAG_LLM_BASE_URL", f"{one.url},http://ada:swordfish@127.0.0.1:9/v1")
        broken = rag(*options, "doctor")
    lines = broken.stdout.splitlines()
    at = lines.index(
        "problem  llm: m does not answer at 1 of its 2 addresses; mend it, or take it out of llm_base_url "
        "(RAG_LLM_BASE_URL)"
    )
    assert lines[at + 1] == f"         {one.url}: answers"
    assert lines[at + 2].startswith(f"         {nowhere}: m failed (Connect")
    assert f"; check that {nowhere} runs" in lines[at + 2]
    assert (broken.exit_code, broken.stderr) == (3, "")
    assert "swordfish" not in broken.output
    dead = rag(*options, "doctor").stdout
    assert f"problem  llm: m: {one.url} failed (" in dead
    assert f", {nowhere} failed (" in dead


def test_a_variable_that_sets_nothing_is_told_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_AUHT", "ada:swordfish")
    told = "there is no setting RAG_AUHT; did you mean RAG_AUTH?"
    asked = rag(*quoting(folder), "ask", "Who is the keeper of Herbert?")
    assert (asked.exit_code, asked.stderr) == (0, f"rag: {told}\n")
    checked = rag(*quoting(folder), "doctor")
    assert (checked.exit_code, checked.stderr) == (3, "")
    assert checked.stdout.startswith(f"problem  settings: {told}\n")


def test_where_rag_toml_sends_questions_is_told_before_they_are_asked(folder: Path) -> None:
    Path("rag.toml").write_text('llm = "some-model"\nllm_base_url = "http://127.0.0.1:9/v1"\n')
    result = rag("--documents", folder, "--index-dir", "index", "ask", "Who is the keeper of Herbert?")
    assert result.exit_code == 0
    told = "rag.toml: questions and passages go to 127.0.0.1:9; if you did not write that, remove llm_base_url there"
    assert result.stderr == f"rag: warning: {told}\n"
    assert rag("--documents", folder, "--index-dir", "index", "search", "Herbert").stderr == ""  # asks no LLM


def test_a_cache_folder_that_is_none_has_one_cure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cut_off(Path(os.devnull), monkeypatch)
    result = rag("--documents", folder, "--index-dir", "index", "ask", "Who is the keeper of Herbert?")
    told = f"{os.devnull} is no folder, so it cannot hold the weights; set cache_dir (RAG_CACHE_DIR) to one"
    assert f"answering in quotes: {told};" in result.stderr
    assert told in result.stdout
    assert "rag models pull" not in result.output


def test_doctor_says_which_reader_there_is(folder: Path) -> None:
    weights = hashlib.sha256((Path(reading.__file__).parent / "weights" / "reader.safetensors").read_bytes())
    (line,) = [line for line in rag(*quoting(folder), "doctor").stdout.splitlines() if " reader: " in line]
    assert f"sha256 {weights.hexdigest()[:12]}" in line


@pytest.mark.parametrize("content", [None, b"version https://git-lfs.example/spec/v1"])
def test_doctor_names_the_cure_for_a_damaged_reader(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "reader.safetensors").write_bytes(content)
    damaged = reading.Reader(model_folder(PACKAGED_EMBEDDER), tmp_path / "reader.safetensors")
    monkeypatch.setattr(reading, "_packaged_reader", lambda: damaged)
    result = rag(*quoting(folder), "doctor")
    assert result.exit_code == 3
    (problem,) = [line for line in result.stdout.splitlines() if line.startswith("problem")]
    assert problem.split()[1] == "reader:"
    assert "install the package again" in problem


def test_models_that_are_there_are_not_fetched(folder: Path) -> None:
    result = rag(*quoting(folder), "models", "pull")
    assert (result.exit_code, result.stderr) == (0, "")


def test_models_that_cannot_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cut_off(tmp_path / "cache", monkeypatch)
    result = rag("models", "pull")
    assert result.exit_code == 3
    assert re.fullmatch(r"rag: fetching .*\nrag: .* could not be fetched .*; check the network.*\n", result.stderr)


def _cut_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded model is wanted, but there are no weights, and an installer that may not fetch any."""
    cut_off = {"RAG_LLM": "embedded", "RAG_CACHE_DIR": str(cache), "PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}
    for name, value in cut_off.items():
        monkeypatch.setenv(name, value)


# -- the program -------------------------------------------------------------------------------------------------------


def test_help_waits_for_nothing_heavy() -> None:
    heavy = ["rich", "numpy", "pydantic", "platformdirs", "torch", "llama_index", "gradio", "rag.assistant"]
    code = f"""
import atexit, sys
from rag.cli import main
atexit.register(lambda: print("loaded:", [name for name in {heavy} if name in sys.modules]))
sys.argv = ["rag", "--help"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("loaded: []\n")
    for command in "ask chat serve search ingest documents remove rebuild config doctor models".split():
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE)


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("--version 2>&-", 0),
        ("--version >&-", 0),
        ("sing 2>&-", 2),
        ("ask '' >&-", 2),
        ("ask 'Who is the keeper of Herbert?' >&-", 0),
        ("ask 'Who is the keeper of Herbert?' 2>&-", 0),
        ("documents >&- 2>&- <&-", 0),
        ("chat <&-", 0),
        ("chat <&- >&-", 0),
    ],
)
def test_the_exit_code_is_right_where_a_stream_is_closed(folder: Path, line: str, code: int) -> None:
    command = f"{sys.executable} -m rag.cli {' '.join(map(str, quoting(folder)))} {line}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)  # noqa: S602 - a shell closes it
    assert done.returncode == code
    assert "unexpected" not in done.stderr


def test_version() -> None:
    assert re.fullmatch(r"rag \d+\.\d+\.\d+\S*\n", rag("--version").stdout)


@pytest.mark.parametrize("arguments", ["ask", "ask a b", "sing", "ask --loud a", "search -k0 a", "--loud"])
def test_wrong_usage(arguments: str) -> None:
    result = rag(*arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--help' for help." in result.stderr


def test_a_pipe_gets_no_codes_and_stderr_stays_empty(seed_assistant: Assistant) -> None:
    environment = os.environ | {"TERM": "xterm-256color", "FORCE_COLOR": "1", "COLUMNS": "40"}
    with process(*over(seed_assistant), "ask", ANSWERED, env=environment) as child:
        out, err = child.communicate()
    assert (child.returncode, err) == (0, "")
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) > 200  # not wrapped


def test_a_reader_that_leaves_is_met_in_silence(seed_assistant: Assistant) -> None:
    with process(*over(seed_assistant), "documents", "--json") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        err = child.stderr.read()
    assert (child.returncode, err) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk is always full here")
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["config"], ["documents", "--json"]])
def test_a_full_disk_behind_the_output_is_one_line(seed_assistant: Assistant, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "rag.cli", *over(seed_assistant), *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    line = "rag: the output cannot be written (No space left on device); make room, or send it elsewhere\n"
    assert (done.returncode, done.stderr) == (3, line)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other ones there")
def test_ctrl_c_is_quiet(seed_assistant: Assistant) -> None:
    with process(*over(seed_assistant), "chat", stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write("hello\n")
        child.stdin.flush()
        assert child.stdout.readline().startswith("Hello.")
        child.send_signal(signal.SIGINT)
        err = child.stderr.read()
    assert (child.returncode, err) == (130, "")
