"""`pytest eval/` as an evaluator runs it: on documents and questions of one's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from chat_endpoint import KEY, Endpoint

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = {
    "heron.txt": "The grey heron stands still in shallow water. It eats fish and frogs.\n\nHerons nest in April.\n",
    "bridge.txt": "The bridge over the Orla was built by Anna Lind in 1932. It carries two lanes of cars.\n",
}


def question(id: str, text: str, answer: str, document: str, quote: str, **more: Any) -> dict[str, Any]:
    labels = {"answers": [[answer]], "answerable": True, "evidence": [{"document": document, "quote": quote}]}
    return {"id": id, "kind": "fact", "question": text, **labels, **more}


QUESTIONS: list[dict[str, Any]] = [
    question("bridge", "Who built the bridge over the Orla?", "Lind", "bridge.txt", "built by Anna Lind in 1932"),
    question("lanes", "How many lanes does the bridge carry?", "two", "bridge.txt", "It carries two lanes of cars."),
    question("nest", "When do herons nest?", "April", "heron.txt", "Herons nest in April."),
    question("wrong", "What does the grey heron eat?", "cheese", "heron.txt", "It eats fish and frogs."),
    question(
        "then", "And what does it eat?", "frogs", "heron.txt", "It eats fish and frogs.", kind="follow-up",
        history=[{"role": "user", "content": "Where does the heron stand?"}],
    ),
    {"id": "far", "kind": "far", "question": "How hot is the sun?", "answers": [], "answerable": False, "evidence": []},
]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    write(tmp_path, QUESTIONS)
    return tmp_path


def write(project: Path, lines: Sequence[dict[str, Any] | str]) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (project / "gold.jsonl").write_text("\n".join(texts) + "\n", encoding="utf-8")


def evaluate(project: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = ["--gold", "gold.jsonl", "--documents", "documents", "--report", "report"]
    given += [] if any(option.startswith("--llm") for option in options) else ["--llm", "none"]
    command = [sys.executable, "-m", "pytest", str(REPOSITORY / "eval"), "-p", "no:cacheprovider", *given, *options]
    return subprocess.run(
        command, cwd=project, env=os.environ | environment, capture_output=True, text=True, timeout=240, check=False
    )


def test_the_table_and_the_report(project: Path) -> None:
    done = evaluate(project)
    assert done.returncode == 0, done.stdout
    assert "6 questions of gold.jsonl over documents" in done.stdout
    for name in ("span R@5", "contains gold", "citation precision", "unanswerable refused", "follow-up lift"):
        assert f"  {name} " in done.stdout
    report = project / "report"
    assert "| contains gold | 0.800 |" in (report / "report.md").read_text(encoding="utf-8")
    saved = json.loads((report / "report.json").read_text(encoding="utf-8"))
    assert [question["id"] for question in saved["questions"] if question["failed"]] == ["wrong"]
    assert "missing: “cheese”" in (report / "report.html").read_text(encoding="utf-8")
    assert {path.name for path in report.iterdir()} >= {"qrels", "hybrid.run", "dense.run", "keyword.run"}


def test_two_runs_print_the_same_figures(project: Path) -> None:
    def figures() -> tuple[list[str], dict[str, Any]]:
        lines = evaluate(project).stdout.splitlines()
        report = json.loads((project / "report" / "report.json").read_text(encoding="utf-8"))
        del report["timings"]
        return [line for line in lines if "seconds" not in line and "passed" not in line], report

    assert figures() == figures()


def test_a_missed_bar_fails_and_says_on_which_questions(project: Path) -> None:
    (project / "bars.toml").write_text('[[bar]]\nmetric = "contains gold"\nleast = 0.9\n')
    done = evaluate(project, "--bars", "bars.toml")
    assert done.returncode == 1
    assert "contains gold ≥ 0.9: the interval begins at 0." in done.stdout
    assert "5 questions); lost on wrong" in done.stdout
    assert "5 of 6 questions went right; the others:" in done.stdout
    assert "'What does the grey heron eat?': the gold evidence is cited, but" in done.stdout


def test_a_baseline_is_kept_and_compared_with(project: Path) -> None:
    (project / "before.json").write_text("of another format")
    assert evaluate(project, "--save-baseline", "before.json").returncode == 0
    again = evaluate(project, "--compare", "before.json")
    assert again.returncode == 0, again.stdout
    assert "contains gold                      0.800  [ 0.400,  1.000]      5  =" in again.stdout
    write(project, QUESTIONS[:2])
    other = evaluate(project, "--compare", "before.json")
    assert (other.returncode, other.stdout) == (2, "")
    assert "before.json is about other questions than gold.jsonl" in other.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--save-baseline", "b.json", "--limit", "2"], "a baseline is of all questions and measures"),
        (["--save-baseline", "b.json", "-m", "retrieval"], "a baseline is of all questions and measures"),
        (["--save-baseline"], "give --save-baseline a file"),
        (["--compare", "none.json"], "none.json cannot be read; make it with --save-baseline"),
        (["--llm", "gpt-x"], "'gpt-x' needs the address of its endpoint; give --llm-base-url"),
        (["--llm-base-url", "http://127.0.0.1:9/v1"], "--llm-base-url does nothing without --llm"),
        (["--judge", "embedded"], "'embedded' is no judge"),
        (["--judge", "solomon"], "the judge 'solomon' needs an address; give --judge-base-url"),
        (["--limit", "0"], "name a limit of 1 or more"),
        (["--kind", "fakt"], "no question is of kind 'fakt'; there are fact, follow-up, far"),
        (["--bars", "bars.toml"], "bars.toml: no question is of kind 'fakt'"),
        (["--report", "no/where"], "the folder 'no' is not there"),
        (["--report", "gold.jsonl"], "'gold.jsonl' is a file; name a folder for the report"),
        (["--save-baseline", "documents"], "'documents' is a folder; name a file for the baseline"),
    ],
)
def test_options_that_do_not_go_together_are_told_at_once(project: Path, options: list[str], told: str) -> None:
    (project / "bars.toml").write_text('[[bar]]\nmetric = "contains gold"\nkind = "fakt"\nleast = 0.9\n')
    done = evaluate(project, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_only_what_is_looked_at_is_run(project: Path) -> None:
    done = evaluate(project, "-m", "retrieval")
    assert done.returncode == 0, done.stdout
    assert "document R@5" in done.stdout
    assert "contains gold" not in done.stdout


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([QUESTIONS[0], '{"id": "half'], "gold.jsonl, line 2: is no JSON"),
        ([QUESTIONS[0], {**QUESTIONS[1], "answers": None}], "gold.jsonl, line 2: an answerable question"),
    ],
)
def test_a_malformed_line_stops_before_anything_is_asked(project: Path, lines: list[Any], told: str) -> None:
    write(project, lines)
    done = evaluate(project)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (project / "report").exists()


def test_a_question_that_cannot_be_asked_scores_zero_and_loses_nothing(project: Path) -> None:
    write(project, [*QUESTIONS, QUESTIONS[0] | {"id": "long", "question": "Why? " * 1000}])
    done = evaluate(project)
    assert done.returncode == 1
    assert "the question has 4,999 characters" in done.stdout
    assert "test_every_search_came_back" in done.stdout
    assert "  contains gold                      0.667" in done.stdout


def test_a_label_that_does_not_fit_the_documents_stops_too(project: Path) -> None:
    write(project, [QUESTIONS[0] | {"evidence": [{"document": "bridge.txt", "quote": "built by Bob"}]}])
    done = evaluate(project)
    assert done.returncode == 2
    assert "gold.jsonl, line 1: the quote “built by Bob” stands 0 times in 'bridge.txt'; copy it exactly" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_documents_that_are_not_there_are_the_environments_fault(project: Path) -> None:
    done = evaluate(project, "--documents", "elsewhere")
    assert done.returncode == 3
    assert "elsewhere" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_model_stands_beside_quotes(project: Path, endpoint: Endpoint) -> None:
    endpoint.replies = ["It was built by Anna Lind in 1932 [1]."]
    done = evaluate(project, "--llm", "m", "--llm-base-url", endpoint.url, RAG_LLM_API_KEY=KEY)
    assert done.returncode == 0, done.stdout
    assert "llm m " in done.stdout
    assert "against none" in done.stdout
    compared = [line for line in done.stdout.splitlines() if line.startswith("  contains gold ")]
    assert len(compared) == 2  # the quotes' table, then this one's with the difference
    assert " p=" in compared[1] or compared[1].endswith("=")
    assert KEY not in "".join(path.read_text(encoding="utf-8") for path in (project / "report").iterdir())


def test_quotes_in_place_of_a_model_that_failed_are_no_figures_of_it(project: Path, endpoint: Endpoint) -> None:
    endpoint.status = 500
    done = evaluate(project, "--llm", "m", "--llm-base-url", endpoint.url)
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert "answers did not come as usual: answered in quotes: m " in done.stdout
    assert "answers did not come as usual" in (project / "report" / "report.md").read_text(encoding="utf-8")


def test_a_judge_is_named_and_its_verdicts_are_counted(project: Path, endpoint: Endpoint) -> None:
    endpoint.replies = [
        '{"correct": true, "supported": true, "why": "right"}',
        '{"correct": false, "supported": true, "why": "no cheese"}',
    ]
    done = evaluate(project, "--judge", "solomon", "--judge-base-url", endpoint.url)
    assert done.returncode == 0, done.stdout
    assert "judge solomon " in done.stdout
    assert "  judged correct                     0.167" in done.stdout
    assert "  judged supported                   1.000" in done.stdout
    assert "correct no, supported yes. no cheese" in (project / "report" / "report.html").read_text(encoding="utf-8")
    assert len(endpoint.requests) == len(QUESTIONS)


def test_a_judge_that_gives_no_verdict_fails_the_run_and_loses_nothing(project: Path, endpoint: Endpoint) -> None:
    endpoint.replies = ["I would rather not say."]
    done = evaluate(project, "--judge", "solomon", "--judge-base-url", endpoint.url)
    assert done.returncode == 1
    assert "the judge's reply cannot be read: I would rather not say." in done.stdout
    assert "  contains gold                      0.800" in done.stdout
