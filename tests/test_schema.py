"""docs/answer.schema.json says what Answer.to_dict() gives: no less and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rag.types import Answer, Citation, Dropped, Passage, Sentence

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "answer.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)

PASSAGE = Passage(1, 1, "a.txt", "A", 0, 20, "Ada keeps the walrus", page=3, heading="Walruses")
QUOTED = Answer(
    "Who keeps the walrus?",
    "Who keeps the walrus?",
    "“Ada keeps the walrus” [1]",
    "quoted",
    short="Ada",
    sentences=(Sentence("“Ada keeps the walrus”", (1,), 1.0, "quoted"),),
    citations=(Citation(1, PASSAGE, 0, 20, "Ada keeps the walrus"),),
    passages=(PASSAGE, replace(PASSAGE, id=2, title="", page=None, heading="")),
    confidence=0.9,
    model="none",
    timings={"search": 0.1, "total": 0.2},
    dropped=(Dropped("Ada keeps two.", "its numbers are not in the passage"),),
    notes=("answered in quotes: no model",),
)
REFUSED = Answer(
    "Who?",
    "Who keeps the walrus? Who?",
    "I did not find it.",
    "refused",
    refused=True,
    reason="too far",
    nearest=(PASSAGE,),
    model="none",
)
SMALLTALK = Answer("Hi", "Hi", "Hello.", "smalltalk", confidence=1.0, model="none")


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of the schema that describes an object with known names."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            yield schema
        for part in schema.values():
            yield from objects(part)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("answer", [QUOTED, REFUSED, SMALLTALK], ids=lambda answer: answer.mode)
def test_every_kind_of_answer_is_valid(answer: Answer) -> None:
    VALIDATOR.validate(json.loads(json.dumps(answer.to_dict())))


def test_it_is_strict_and_says_what_each_name_means() -> None:
    found = list(objects(SCHEMA))
    assert len(found) == 5
    for part in found:
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
        assert all(value["description"].endswith(".") for value in part["properties"].values())


def test_it_names_what_the_types_have() -> None:
    kinds: dict[str, type[Any]] = {"sentence": Sentence, "citation": Citation, "passage": Passage, "dropped": Dropped}
    described = {name: SCHEMA["$defs"][name] for name in kinds} | {"answer": SCHEMA}
    for name, kind in (kinds | {"answer": Answer}).items():
        assert set(described[name]["properties"]) == {field.name for field in fields(kind)}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mode",), "guessed"),
        (("confidence",), 1.2),
        (("extra",), 1),
        (("refused",), True),
        (("citations",), []),
        (("citations", 0, "start"), -1),
        (("citations", 0, "passage", "page"), 0),
        (("citations", 0, "passage", "extra"), ""),
        (("sentences", 0, "citations"), [0]),
        (("sentences", 0, "status"), "refused"),
        (("timings", "search"), "fast"),
    ],
    ids=str,
)
def test_it_refuses_what_no_answer_is(path: tuple[str | int, ...], value: Any) -> None:
    answer: Any = deepcopy(QUOTED.to_dict())
    part = answer
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    assert not VALIDATOR.is_valid(answer)


@pytest.mark.parametrize("name", QUOTED.to_dict())
def test_it_refuses_an_answer_without(name: str) -> None:
    answer = QUOTED.to_dict()
    del answer[name]
    assert not VALIDATOR.is_valid(answer)


def test_it_refuses_a_refusal_that_cites() -> None:
    assert not VALIDATOR.is_valid({**REFUSED.to_dict(), "citations": QUOTED.to_dict()["citations"]})
