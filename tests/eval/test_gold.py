"""Reading gold: what a line must be, what the messages say, and how questions are drawn."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from eval.gold import Evidence, GoldError, Question, located, read_gold, sample

GOOD: dict[str, Any] = {
    "id": "q1",
    "kind": "fact",
    "question": "Who built the bridge?",
    "answers": [["Smith", "J. Smith"]],
    "answerable": True,
    "evidence": [{"document": "bridge.txt", "quote": "built by Smith"}],
}
TEXTS = {
    "bridge.txt": "It was built by Smith. Later it fell. It fell.",
    "sub/road.txt": "A road.",
    "a/x.txt": "",
    "b/x.txt": "",
}


def gold(tmp_path: Path, *lines: str | dict[str, Any]) -> Path:
    path = tmp_path / "gold.jsonl"
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines), encoding="utf-8")
    return path


def read(tmp_path: Path, **changed: Any) -> Question:
    row = {name: value for name, value in (GOOD | changed).items() if value is not ...}
    return read_gold(gold(tmp_path, row))[0]


def locate(*questions: Question) -> list[Question]:
    return located(questions, TEXTS, TEXTS.__getitem__)


def test_a_question_is_read_whole(tmp_path: Path) -> None:
    question = read(tmp_path, history=[{"role": "user", "content": "Hm?"}], exclude=["sub/road.txt"])
    assert question.answers == (("Smith", "J. Smith"),)
    assert question.history == ({"role": "user", "content": "Hm?"},)
    assert locate(question)[0].evidence == (Evidence("bridge.txt", "built by Smith", 7),)


def test_the_other_forms_of_the_schema(tmp_path: Path) -> None:
    none = {"answers": [], "answerable": False, "evidence": []}
    assert read(tmp_path, **none).answerable is False
    long = read(tmp_path, answers=None, reference=["Smith built it."])
    assert (long.answers, long.reference) == (None, ("Smith built it.",))
    retrieval = read(tmp_path, answers=..., answerable=..., evidence=..., relevant={"bridge.txt": 2, "sub/road.txt": 0})
    assert (retrieval.answerable, retrieval.relevance) == (None, {"bridge.txt": 2})
    assert read(tmp_path).relevance == {"bridge.txt": 1}


def test_blank_lines_and_notes_of_ones_own_are_welcome(tmp_path: Path) -> None:
    assert len(read_gold(gold(tmp_path, GOOD, "", GOOD | {"id": "q2", "asked_by": "Ada"}, ""))) == 2
    assert len(read_gold(gold(tmp_path, "\ufeff" + json.dumps(GOOD)))) == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"id": ...}, "'id' is missing"),
        ({"question": "  "}, "'question' is no text"),
        ({"answerable": "yes"}, "'answerable' is neither true nor false"),
        ({"answerable": ...}, "'answerable' is missing"),
        ({"answers": ["Smith"]}, "'answers' is no list of groups"),
        ({"answers": [[7]]}, "the answers [7] are no texts"),
        ({"answers": [["—", "."]]}, "none has a letter or digit to compare"),
        ({"answers": ...}, "'answers' is missing"),
        ({"answers": []}, "an answerable question has answers"),
        ({"answers": None}, "has a reference"),
        ({"answerable": False}, "an unanswerable question has neither"),
        ({"evidence": []}, "an answerable question has evidence"),
        ({"evidence": {}}, "'evidence' is no list"),
        ({"evidence": [{"quote": "x"}]}, "an 'evidence' is"),
        ({"evidence": [{"document": "bridge.txt", "quote": ""}]}, "the 'quote' of an evidence is no text"),
        ({"evidence": [{"document": "bridge.txt", "start": "7"}]}, "the 'start' of an evidence is no offset"),
        ({"history": [{"role": "system", "content": "x"}]}, "a turn of 'history' is"),
        ({"exclude": "bridge.txt"}, "'exclude' is no list"),
        ({"relevant": ["bridge.txt"]}, "'relevant' is no {document: whole number}"),
        ({"exclude": ..., "excluded": ["x"]}, "'excluded' is no field of a gold question; 'exclude' is"),
        ({"relevant": {"bridge.txt": 0}, "evidence": ...}, "'relevant' has no document of grade 1"),
        ({"relevant": {"bridge.txt": 1}}, "'evidence' or 'relevant', not both"),
        ({"kind": "two\nlines"}, "'kind' has characters that cannot be printed"),
        ({"id": "\ud800"}, "'id' has characters that cannot be printed"),
        ({"draft": True}, "is a draft that nobody has reviewed"),
    ],
)
def test_a_bad_line_is_named_with_what_is_wrong(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    bad = {name: value for name, value in (GOOD | {"id": "q2"} | changed).items() if value is not ...}
    with pytest.raises(GoldError) as caught:
        read_gold(gold(tmp_path, GOOD, bad))
    assert str(caught.value).startswith("gold.jsonl, line 2: ")
    assert told in str(caught.value)


def test_all_bad_lines_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(GoldError) as caught:
        read_gold(gold(tmp_path, "{", GOOD, GOOD, "[1]"))
    assert str(caught.value).splitlines() == [
        "gold.jsonl, line 1: is no JSON (Expecting property name enclosed in double quotes, column 2)",
        "gold.jsonl, line 3: the id 'q1' already stands in line 2",
        "gold.jsonl, line 4: is no JSON object (a gold file has one object a line)",
    ]
    with pytest.raises(GoldError, match="nested too deeply"):
        read_gold(gold(tmp_path, "[" * 100_000))
    with pytest.raises(GoldError, match="… and 5 more"):
        read_gold(gold(tmp_path, *["{"] * 25))
    with pytest.raises(GoldError, match="line 1: 'ki nd' is no field") as caught:
        read_gold(gold(tmp_path, {**GOOD, "ki\u2029nd": "none"}))
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_not_there_is_not_text_or_is_empty(tmp_path: Path) -> None:
    with pytest.raises(GoldError, match=r"cannot be read: No such file.*; name a file of gold questions"):
        read_gold(tmp_path / "none.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GoldError, match="not UTF-8"):
        read_gold(tmp_path / "binary.jsonl")
    with pytest.raises(GoldError, match="holds no question"):
        read_gold(gold(tmp_path, ""))


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        ({"document": "none.txt"}, "no document is called 'none.txt'"),
        ({"document": "x.txt"}, "several documents are called 'x.txt'"),
        ({"document": "bridge.txt", "quote": "built by Jones"}, "stands 0 times in 'bridge.txt'; copy it exactly"),
        ({"document": "bridge.txt", "quote": "fell"}, "stands 2 times in 'bridge.txt'; make it longer"),
        ({"document": "bridge.txt", "quote": "fell", "start": 3}, "does not stand at 3"),
    ],
)
def test_labels_must_fit_the_documents(tmp_path: Path, evidence: dict[str, Any], told: str) -> None:
    with pytest.raises(GoldError, match=r"gold\.jsonl, line 1: ") as caught:
        locate(read(tmp_path, evidence=[evidence]))
    assert told in str(caught.value)


def test_a_quote_that_stands_twice_is_told_by_its_start(tmp_path: Path) -> None:
    where = TEXTS["bridge.txt"].rindex("fell")
    found = locate(read(tmp_path, evidence=[{"document": "bridge.txt", "quote": "fell", "start": where}]))
    assert found[0].evidence[0].span == (where, where + 4)


def test_a_document_is_known_by_its_path_or_its_file_name(tmp_path: Path) -> None:
    for name in ("sub/road.txt", "road.txt"):
        assert locate(read(tmp_path, evidence=[{"document": name}]))[0].evidence[0].document == "sub/road.txt"
    found = located([read(tmp_path, evidence=[{"document": "x.txt"}])], ["x.txt", "sub/x.txt"], lambda source: "")
    assert found[0].evidence[0].document == "x.txt"


# -- drawing -----------------------------------------------------------------------------------------------------------


def questions(**counts: int) -> list[Question]:
    return [Question(f"{kind}{i}", kind, "?", answerable=False) for kind, n in counts.items() for i in range(n)]


def kinds(drawn: list[Question]) -> dict[str, int]:
    return dict(Counter(question.kind for question in drawn))


def test_every_kind_keeps_its_share() -> None:
    assert kinds(sample(questions(a=60, b=30, c=10), 20)) == {"a": 12, "b": 6, "c": 2}
    assert kinds(sample(questions(a=95, b=4, c=1), 10)) == {"a": 8, "b": 1, "c": 1}
    assert len(sample(questions(a=7, b=7, c=7), 10)) == 10
    assert len(sample(questions(a=7, b=7, c=7), 2)) == 2


def test_the_draw_is_random_and_repeatable() -> None:
    given = questions(a=100)
    assert sample(given, 10, seed=1) == sample(given, 10, seed=1)
    assert sample(given, 10, seed=1) != sample(given, 10, seed=2)
    assert sample(given, 10, seed=1) != given[:10]


def test_a_draw_keeps_the_order_of_the_file_and_never_repeats() -> None:
    given = questions(a=50, b=50)
    drawn = sample(given, 30)
    assert drawn == sorted(drawn, key=given.index)
    assert len({question.id for question in drawn}) == 30


def test_kinds_are_chosen_by_name() -> None:
    assert kinds(sample(questions(a=5, b=5), kinds=["b"])) == {"b": 5}
    with pytest.raises(GoldError, match="no question is of kind 'c'; there are a, b"):
        sample(questions(a=5, b=5), kinds=["c"])
    with pytest.raises(GoldError, match="limit of 1 or more"):
        sample(questions(a=5), 0)
