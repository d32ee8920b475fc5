"""The pure half of `make bench`: what is made of the values. No clock, no peer."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from eval.performance import growth, report, works
from eval.performance.driver import LLAMAINDEX, OURS, Worker
from eval.performance.figures import (
    Bar,
    Book,
    Ratio,
    Spread,
    difference,
    least,
    markdown,
    number,
    ratio,
    ratios_table,
    spread,
    turns,
    values_table,
)
from eval.performance.peers.protocol import Found, Line, NotMeasured, System, _reply


def test_a_spread_is_the_middle_the_least_and_the_most() -> None:
    assert spread([3, 1, 2]) == Spread(2, 1, 3)
    with pytest.raises(ValueError, match="nothing was measured"):
        spread([])


def test_a_ratio_is_taken_within_a_round() -> None:
    # The machine was twice as slow in the second round, for both.
    assert ratio([10, 20], [5, 10]) == Spread(2, 2, 2)
    assert ratio([10, 20], [5]) is None  # which round was missed is not known
    assert difference([10, 20], [5]) is None
    assert ratio([], [5]) is None
    assert ratio([1], [0]) is None
    assert difference([10, 20], [5, 10]) == Spread(7.5, 5, 10)


def test_a_bar_is_held_by_the_median() -> None:
    assert Ratio("speed", Spread(2, 1, 3), Bar("≥", 2)).verdict == "held"
    assert Ratio("time", Spread(2, 1, 3), Bar("≤", 1.9)).verdict == "NOT HELD"
    assert Ratio("time", Spread(2, 1, 3)).verdict == ""


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.01234, "0.0123"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1,234")]
)
def test_a_number_has_three_digits_that_tell_something(value: float, shown: str) -> None:
    assert number(value) == shown


def test_another_system_begins_every_round() -> None:
    assert [turns(["a", "b", "c"], number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]
    assert turns([], 1) == []


def test_the_best_peer_has_the_least_median() -> None:
    assert least({"a": [3, 1, 3], "b": [2, 2, 2], "ours": [0]}, ["a", "b", "c"]) == "b"
    assert least({}, ["a"]) is None


def booked() -> Book:
    book = Book()
    for ours, stock in ((1.0, 3.0), (2.0, 4.0), (1.0, 2.0)):
        book.note("ingest", OURS.name, ours, "s")
        book.note("ingest", LLAMAINDEX.name, stock, "s")
    book.note("R@5", OURS.name, 0.9, "")
    book.miss("ingest again", "txtai", "it has no way to tell what has changed")
    book.miss("ingest again", "Haystack", "it has no way to tell what has changed")
    return book


def test_tables() -> None:
    rows = values_table(booked(), [OURS.name, LLAMAINDEX.name])
    assert rows == [
        ["work", "ours", "LlamaIndex"],
        ["ingest", "1 (1–2) s", "3 (2–4) s"],
        ["R@5", "0.9", "–"],
    ]
    assert markdown(rows).splitlines()[1:3] == [
        "|--------|-----------|------------|",
        "| ingest | 1 (1–2) s | 3 (2–4) s  |",
    ]
    assert ratios_table([Ratio("speed", Spread(2, 1, 3), Bar("≥", 2))])[1] == ["speed", "2 (1–3) ×", "≥ 2", "held"]


def test_the_report_has_ratios_values_what_is_missing_and_a_plot(tmp_path) -> None:
    text = report.write(booked(), {"documents": 3}, tmp_path)
    assert "| ingest: speed ÷ LlamaIndex" in text
    assert "- ingest again, txtai, Haystack: it has no way to tell what has changed" in text
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert data["ratios"][0] == {
        "what": "ingest: speed ÷ LlamaIndex",
        "median": 2.0,
        "low": 2.0,
        "high": 3.0,
        "must be": "≥ 2",
        "verdict": "held",
    }
    assert data["missing"]["ingest again"] == dict.fromkeys(
        ("txtai", "Haystack"), "it has no way to tell what has changed"
    )
    assert "<svg" in (tmp_path / "report.svg").read_text(encoding="utf-8")


def test_a_report_of_nothing(tmp_path) -> None:
    assert "# Speed" in report.write(Book(), {}, tmp_path)


class Scripted(System):
    def search(self, question: str, k: int, mode: str) -> list[Found]:
        return [Found(f"{question} {mode}", "")][:k]

    def open(self, index: object) -> None:
        raise OSError("no such index")


def test_what_a_system_cannot_do_is_said() -> None:
    found = _reply(Scripted(), {"do": "search", "questions": ["q"], "k": 5, "mode": "dense"})
    assert [each["sources"] for each in found["result"]] == [["q dense"]]
    assert _reply(Scripted(), {"do": "open", "index": "/nowhere"}) == {"missing": "OSError: no such index"}
    assert "no way to tell" in _reply(Scripted(), {"do": "again", "documents": "/nowhere"})["missing"]


def test_a_sample_has_the_answers_to_its_questions(tmp_path) -> None:
    documents = tmp_path / "documents.jsonl"
    documents.write_text(
        "".join(json.dumps({"id": f"d{i}", "title": "", "text": str(i)}) + "\n" for i in range(50)), encoding="utf-8"
    )
    questions = tmp_path / "questions.jsonl"
    asked = [{"question": f"{i}?", "answerable": True, "answers": [[str(i)]], "evidence": [{"document": f"d{i}"}]}
             for i in range(50)]  # fmt: skip
    asked.append({"question": "?", "answerable": False, "answers": [], "evidence": []})
    questions.write_text("".join(json.dumps(each) + "\n" for each in asked), encoding="utf-8")
    lines, chosen = works.sample(documents, questions, 10, 4)
    assert len(lines) == 10
    assert len(chosen) == 4
    assert {e["document"] for q in chosen for e in q["evidence"]} <= {line["id"] for line in lines}
    assert works.sample(documents, questions, 10, 4) == (lines, chosen)
    assert len(works.sample(documents, questions, 0, 4)[0]) == 50


def test_we_are_driven_as_the_peers_are(tmp_path) -> None:
    lines: list[Line] = [
        {"id": "a", "title": "Bridge", "text": "The bridge of Kereva was built by Anna Lind in 1932."},
        {"id": "b", "title": "Gate", "text": "The gate of Kereva is made of copper."},
    ]
    documents = works.write(lines, tmp_path / "documents.jsonl")
    with Worker(OURS, sys.executable, tmp_path / "logs") as worker:
        worker.do("prepare", index=tmp_path / "index")
        assert worker.do("ingest", documents=documents).result == 2
        assert worker.do("again", documents=documents).result == 0
        changed: Line = {**lines[1], "text": "The gate of Kereva is made of oak."}
        works.write([lines[0], changed], documents)
        worker.do("update", documents=documents, line=changed)
        (found,) = worker.do("search", questions=["Who built the bridge?"], k=1, mode="hybrid").result
        assert found["sources"] == ["a"]
        with pytest.raises(NotMeasured, match="AttributeError"):
            worker.do("fly")
        (answer,) = worker.do("answer", questions=["What is the gate of Kereva made of?"]).result
        assert "oak" in answer["text"]


def test_a_process_that_ends_is_said(tmp_path) -> None:
    with (
        Worker(replace(OURS, module="nobody"), sys.executable, tmp_path) as worker,
        pytest.raises(NotMeasured, match="its process ended"),
    ):
        worker.do("prepare", index=tmp_path)


def test_made_texts_and_vectors_are_the_same_every_time() -> None:
    base = np.eye(4, dtype=np.float32)
    (once,), (again,) = growth.vectors(base, 10), growth.vectors(base, 10)
    assert np.array_equal(once, again)
    assert np.allclose(np.linalg.norm(once, axis=1), 1)
    assert growth.nearest(base, 10, once[:2], 1) == [{"0"}, {"1"}]
    lines: list[Line] = [{"id": "a", "title": "", "text": "One sentence here. Another one there."}]
    text = next(growth.texts(lines))
    assert 80 <= len(text.split()) < 90
    assert text == next(growth.texts(lines))


def test_a_size_is_that_of_all_that_a_package_requires() -> None:
    from eval.performance import sizes

    try:
        found = sizes.closure(["pydantic"])
    except ModuleNotFoundError:
        pytest.skip(f"{sys.prefix} has no pip")
    assert {"pydantic", "pydantic-core", "typing-extensions"} <= found.keys()
    assert sizes.size(found["pydantic-core"]) > 1_000_000


def test_nothing_is_measured_that_was_not_written() -> None:
    with pytest.raises(NotMeasured, match="not written"):
        System().ingest(None)  # type: ignore[arg-type]
