"""`rag capacity`: its bytes against real indexes, its sums, its sentences, and the tables in docs/SCALE.md."""

from __future__ import annotations

import json
import math
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import rag
from scripted import ScriptedLLM
from servers import location_of
from typer.testing import Result

from rag.assistant import Assistant
from rag.capacity import Plan, Wanted, plan
from rag.capacity.machines import tokens_in
from rag.capacity.request import FAISS, MILVUS, MONTH, POSTGRESQL, STORES
from rag.store import Location, Store
from rag.types import Chunk, Document

SCALE = Path(__file__).parents[1] / "docs" / "SCALE.md"
DIMENSION, PER_DOCUMENT = 128, 4
AGREES = 0.35  # of what is measured, more or less


def asked(passages: float, store: str = "", **others: Any) -> Wanted:
    usual = Wanted(
        passages=passages, questions=0.1, store=store, copies=2, characters=400, per_document=10, dimension=384,
        cores=16, memory=128e9, disk=4e12, price=500, embedded=1000, prices=None,
    )  # fmt: skip
    return replace(usual, **others)


def capacity(*arguments: str) -> Result:
    return rag("capacity", *arguments)


def bytes_of(made: Plan, what: str) -> float:
    return next(each.one_copy for each in made.kept if each.what == what)


# -- real indexes ------------------------------------------------------------------------------------------------------


def documents(passages: int) -> Iterator[tuple[Document, list[Chunk], Any]]:
    """Documents whose words are as unequally frequent as those of a language (Zipf's law)."""
    rng = np.random.default_rng(1)
    for number in range(passages // PER_DOCUMENT):
        text, spans = "", []
        for _ in range(PER_DOCUMENT):
            ranks = np.exp(rng.random(70) * math.log(30_000)).astype(int)
            start = len(text)
            text += " ".join(_word(rank) for rank in ranks) + ". "
            spans.append(Chunk(start, len(text) - 1))
        vectors = rng.standard_normal((PER_DOCUMENT, DIMENSION), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        yield Document("root", f"file {number}.txt", f"Title {number}", "text/plain", "0" * 64, text), spans, vectors


def _word(rank: int) -> str:
    """A word of its own for each rank: letters, no ending that is cut off."""
    letters = ""
    while rank:
        rank, letter = divmod(rank, 20)
        letters += "bcdfghjklmnpqrtvwxzo"[letter]
    return f"{letters}ak"


def filled(location: Location, passages: int) -> float:
    """Characters of a passage, of an index of so many."""
    every = list(documents(passages))
    with Store.open(location, fingerprint="one", dimension=DIMENSION) as store:
        for start in range(0, len(every), 250):
            store.replace(every[start : start + 250])
        store.snapshot()
    return sum(len(document.text) for document, _, _ in every) / passages


@pytest.mark.parametrize("passages", [1_000, 4_000])
def test_bytes_of_a_real_index_in_a_folder(tmp_path: Path, passages: int) -> None:
    characters = filled(Location(tmp_path), passages)
    made = plan(asked(passages, FAISS, characters=characters, per_document=PER_DOCUMENT, dimension=DIMENSION))
    database = (tmp_path / "index.db").stat().st_size
    (snapshot,) = tmp_path.glob("vectors-*.faiss")
    assert bytes_of(made, "texts and vectors") + bytes_of(made, "words") == pytest.approx(database, rel=AGREES)
    if passages == 1_000:  # of more, the file may lag
        assert bytes_of(made, "search of vectors") == pytest.approx(snapshot.stat().st_size, rel=AGREES)


def test_what_is_compared_one_by_one_is_what_the_calculator_takes_for_it() -> None:
    from rag import pgvector
    from rag.capacity import weights

    assert weights._COMPARED == pgvector._EXACT


@pytest.mark.parametrize("compared", [20_000, 500], ids=["exact", "HNSW"])
def test_bytes_of_a_real_index_in_postgresql(compared: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy import text

    from rag.postgres_engine import engine_at

    monkeypatch.setattr("rag.pgvector._EXACT", compared)
    monkeypatch.setattr("rag.capacity.weights._COMPARED", compared)
    with location_of("postgresql", tmp_path) as location:
        passages = 1_000
        characters = filled(location, passages)
        engine = engine_at(location.database)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # What a young index has not yet reused would be half of it; of a large one it is little.
            connection.execute(text("VACUUM"))
            connection.execute(text("REINDEX TABLE rag_passage"))
            tables = "SELECT relname, pg_total_relation_size(c.oid) FROM pg_class AS c JOIN pg_namespace AS n "
            found = connection.execute(text(f"{tables} ON n.oid = relnamespace WHERE nspname = current_schema()"))
            sizes: dict[str, int] = dict(found.tuples().all())
        engine.dispose()
    made = plan(asked(passages, POSTGRESQL, characters=characters, per_document=PER_DOCUMENT, dimension=DIMENSION))
    words = sizes["rag_passage_lexemes_idx"] + sizes["rag_word"] + sizes["rag_lexeme"]
    texts = sizes["rag_passage"] - sizes["rag_passage_lexemes_idx"] + sizes["rag_document"]
    vectors = next(size for name, size in sizes.items() if name.startswith("data_rag_") and "_" not in name[26:])
    assert bytes_of(made, "texts and vectors") == pytest.approx(texts, rel=AGREES)
    assert bytes_of(made, "words") == pytest.approx(words, rel=AGREES)
    assert bytes_of(made, "search of vectors") == pytest.approx(vectors, rel=AGREES)


def test_tokens_of_a_real_prompt(seed_assistant: Assistant) -> None:
    llm = ScriptedLLM(replies=["NOT FOUND"] * 9)
    with Assistant.open(seed_assistant.settings, llm=llm) as written:
        written.ask("Who is the head of the Counter-Terrorism Service?")
        hits = written.search("Who is the head of the Counter-Terrorism Service?", written.settings.top_k)
    characters = sum(len(hit.passage.text) for hit in hits) / len(hits)
    assert 4 * tokens_in(asked(1_000, characters=characters)) == pytest.approx(len(llm.prompts[0]), rel=AGREES)


# -- sums, and more of everything for more passages --------------------------------------------------------------------

SIZES = [10.0**n for n in range(3, 11)]


@pytest.mark.parametrize("store", STORES)
def test_totals_are_the_sums_of_their_rows(store: str) -> None:
    for passages in SIZES:
        made = plan(asked(passages, store, prices=(1.0, 2.0)))
        for column in ("a_passage", "one_copy", "disk", "memory"):
            rows = sum(getattr(each, column) for each in made.kept)
            assert getattr(made.total, column) == pytest.approx(rows)
            assert rows > 0
        assert made.total.disk == pytest.approx(2 * made.total.one_copy)
        kept_on = sum(each.number for each in made.machines if each.kind != "embedding")
        month = made.month
        assert month.machines_money == 500 * kept_on
        assert month.tokens_money == pytest.approx((month.tokens_in + 2 * month.tokens_out) / 1e6)
        assert month.money == month.machines_money + month.tokens_money
        assert month.questions == pytest.approx(0.1 * MONTH)


@pytest.mark.parametrize("store", STORES)
def test_more_passages_take_no_less(store: str) -> None:
    for fewer, more in pairwise(plan(asked(passages, store)) for passages in SIZES):
        assert more.total.one_copy > fewer.total.one_copy
        assert more.words > fewer.words
        assert more.month.money >= fewer.month.money
        assert more.ingest.embedding_hours > fewer.ingest.embedding_hours
        assert {each.kind for each in more.machines} == {each.kind for each in fewer.machines}
        for many, few in zip(more.machines, fewer.machines, strict=True):
            assert many.number >= few.number


def test_the_machines_hold_what_is_kept() -> None:
    for passages in SIZES:
        made = plan(asked(passages))
        behind = sum(each.number for each in made.machines if each.kind in ("database", "vectors"))
        if made.wanted.store != FAISS:
            assert behind * 128e9 >= 2 * made.total.memory
            assert behind * 4e12 >= made.total.disk


def test_more_questions_take_more_machines_and_tokens() -> None:
    few, many = (plan(asked(1e7, POSTGRESQL, questions=each, prices=(1.0, 1.0))) for each in (0.1, 1_000.0))
    assert many.month.tokens_in == pytest.approx(10_000 * few.month.tokens_in)
    assert all(more.number >= less.number for more, less in zip(many.machines[:2], few.machines[:2], strict=True))
    assert many.machines[0].number > 10


# -- what breaks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("passages", "store", "first", "broken"),
    [
        (100_000, FAISS, "listing all documents", 0),
        (1_000_000, FAISS, "listing all documents", 0),
        (100_000_000, MILVUS, "listing all documents", 3),
        (10_000_000_000, MILVUS, "listing all documents", 7),
    ],
)
def test_what_breaks_first(passages: float, store: str, first: str, broken: int) -> None:
    made = plan(asked(passages))
    assert made.wanted.store == store
    assert first in made.limits[0].what
    assert sum(limit.passages < passages for limit in made.limits) == broken
    assert [limit.passages for limit in made.limits] == sorted(limit.passages for limit in made.limits)
    assert all(math.isfinite(value) for value in numbers(asdict(made)))


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from numbers(each)
    elif isinstance(value, int | float):
        yield value


def stops_first(store: str, **machine: float) -> str:
    return next(limit.what for limit in plan(asked(1e9, store, **machine)).limits if limit.stops)


def test_what_stops_first_is_what_there_is_too_little_of() -> None:
    assert "search of vectors" in stops_first(FAISS)
    assert "FAISS fills the memory" in stops_first(FAISS, memory=16e9)
    assert "outgrow the memory" in stops_first(POSTGRESQL)
    assert "disk" in stops_first(POSTGRESQL, memory=4e12, disk=1e12)
    assert "keyword search" in stops_first(MILVUS, memory=4e12, disk=1e15)


def test_vectors_elsewhere_leave_room_in_the_database() -> None:
    one, other = (plan(asked(1e9, store)).ingest.catalogues for store in (POSTGRESQL, MILVUS))
    assert one > other > 1


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        "--passages many",
        "--passages -1",
        "--passages 0",
        "--passages nan",
        "--passages 1e9M",
        "--passages 1,5M",
        "--passages 1,0000",
        "--passages 1_000,000",
        "--passages 1M --questions 10/week",
        "--passages 1M --questions some/day",
        "--passages 1M --store redis",
        "--passages 1M --copies 1.5",
        "--passages 1M --copies 0",
        "--passages 1M --machine-memory 0",
        "--passages 1M --machine-price -5",
        "--passages 1M --token-price 0.15",
        "--passages 1M --token-price a/b",
        "--passages 1M --passages-per-second fast",
    ],
)
def test_what_is_no_amount_is_one_line_that_names_the_option(arguments: str) -> None:
    result = capacity(*arguments.split())
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    wrong = arguments.split()[-2]
    assert line.startswith(f"rag: {wrong} is '")


def test_amounts_as_people_write_them() -> None:
    spelt = ("1500K", "1.5M", "1500000", "1.5 m", "1,500,000", "1_500_000", "1.5e6", "15E+5", "1,500.0K")
    same = [capacity("--passages", written, "--json").stdout for written in spelt]
    assert len(set(same)) == 1
    assert json.loads(same[0])["wanted"]["passages"] == 1.5e6


@pytest.mark.parametrize(
    ("arguments", "bounds"),
    [
        ("--passages 0.9", "1 to 1000T"),
        ("--passages 1001T", "1 to 1000T"),
        ("--passages 1e999", "1 to 1000T"),
        ("--passages 1M --questions 1001T/s", "0 to 1000T"),
        ("--passages 1M --machine-cores 0", "more than 0, at most 1000T"),
    ],
)
def test_a_number_out_of_bounds_is_told_them(arguments: str, bounds: str) -> None:
    result = capacity(*arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith(f"out of bounds; write {bounds}\n")


def test_help_names_the_bounds_and_they_are_within() -> None:
    assert "How many, 1 to 1000T:" in capacity("--help").stdout
    assert [capacity("--passages", bound).exit_code for bound in ("1", "1000T")] == [0, 0]


def test_what_one_folder_cannot_carry_is_said() -> None:
    said = "One machine does not carry this"
    assert said in capacity("--passages", "10B", "--store", "faiss").stdout
    assert said not in capacity("--passages", "10M", "--store", "faiss").stdout


def test_json_keeps_its_names() -> None:
    result = capacity("--passages", "1B", "--questions", "5/s", "--token-price", "0.15/0.60", "--json")
    made = json.loads(result.stdout)
    row = ["what", "where", "a_passage", "one_copy", "disk", "memory"]
    assert result.exit_code == 0
    assert list(made) == ["wanted", "documents", "words", "kept", "total", "machines", "ingest", "month", "limits"]
    assert [list(each) for each in [*made["kept"], made["total"]]] == [row] * 4
    assert {tuple(each) for each in made["machines"]} == {("kind", "number", "why")}
    assert {tuple(each) for each in made["limits"]} == {("what", "passages", "stops", "then")}
    assert list(made["ingest"]) == ["hours", "embedding_hours", "catalogues", "money"]
    assert list(made["month"]) == [
        *("questions", "tokens_in", "tokens_out", "tokens_money", "machines_money", "money")
    ]  # fmt: skip
    assert made["month"]["questions"] == 5 * MONTH
    assert made["wanted"]["prices"] == [0.15, 0.6]
    assert made["wanted"]["store"] == MILVUS


def examples() -> list[tuple[str, str]]:
    """Commands in the document, and what is shown below each: indented, up to what is not or the next command."""
    found: list[tuple[str, list[str]]] = []
    inside = False
    for line in SCALE.read_text(encoding="utf-8").splitlines():
        if line.startswith("    $ "):
            inside = line.startswith("    $ rag capacity ")
            if inside:
                found.append((line.removeprefix("    $ rag capacity "), []))
        elif line and not line.startswith("    "):
            inside = False
        elif inside:
            found[-1][1].append(line.removeprefix("    "))
    return [(command, "\n".join(lines).strip("\n")) for command, lines in found]


def test_the_document_shows_what_the_command_prints() -> None:
    shown = examples()
    assert [command.split()[1] for command, _ in shown] == ["1M", "100M", "10B"]
    for command, text in shown:
        assert capacity(*shlex.split(command)).stdout.rstrip("\n") == text


def test_the_document_names_the_sizes_at_which_something_breaks() -> None:
    section = SCALE.read_text(encoding="utf-8").partition("## What breaks first")[2].partition("\n## ")[0]
    column = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
    named = [
        float(n) * {"M": 1e6, "B": 1e9}[unit] for text in column for n, unit in re.findall(r"([\d.]+) ([MB])", text)
    ]
    assert len(named) == 11
    for store in STORES[1:]:
        for limit in plan(asked(1e6, store)).limits:
            assert any(limit.passages == pytest.approx(each, rel=0.05) for each in named), limit
    (first, *_) = (limit for limit in plan(asked(1e6, FAISS)).limits if limit.stops)
    assert any(first.passages == pytest.approx(each, rel=0.05) for each in named)


def test_no_other_command_loads_the_calculator() -> None:
    code = "import sys, rag.cli; print([name for name in sys.modules if name.startswith('rag.capacity')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
