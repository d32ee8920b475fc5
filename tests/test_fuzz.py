"""That the fuzzing would see what goes wrong: a crash, a broken promise, a hang, time that grows too fast."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hardness import fuzz
from hardness.generating import Mutator
from hardness.targets import TARGETS, Target, ensure

FRAGMENTS = ("heron", "9" * 50, "(", ")", ",", " ", "\n", "\ud800", "x" * 30)


@pytest.fixture(autouse=True)
def limited() -> Iterator[None]:
    if not hasattr(signal, "setitimer"):
        pytest.skip("a hang is interrupted by a timer that this platform does not have")
    before = signal.signal(signal.SIGPROF, fuzz._hang)
    yield
    signal.signal(signal.SIGPROF, before)


def backtracking(text: str) -> None:
    re.match(r"(?:\S+\s*){1,7}$", text + " b c d e f g h")


def crash(text: str) -> None:
    int("0" + "".join(re.findall(r"\d", text * 100)))  # of 4,300 digits


def promise(text: str) -> None:
    ensure(text.encode("utf-8", "replace").decode() == text, "half a character")


@pytest.mark.parametrize(("check", "said"), [(crash, "ValueError: Exceeds the limit"), (promise, "half a character")])
def test_fuzzing_sees_what_breaks(check: Callable[[str], None], said: str) -> None:
    effort = fuzz.Effort(cases=300, structured=60, families=0, length=0)
    tried, _ = fuzz._fuzzed(Target("x", check, FRAGMENTS, timed=False), effort, random.Random(1))
    assert tried.row.tried > tried.row.survived
    assert len(tried.row.problems) >= 1
    assert all(said in problem for problem in tried.row.problems)


def test_a_hang_is_interrupted_and_told() -> None:
    assert fuzz.attempted(backtracking, "x" * 200, most=0.2) == "it hangs: more than 0.2 s"
    assert fuzz.attempted(backtracking, "x", most=30) is None


@pytest.mark.parametrize(
    ("check", "steep"),
    [
        (lambda text: re.sub(r"^(\s*)(?:-|x)", "", text * 3, flags=re.MULTILINE), True),  # the square of the lines
        (lambda text: [one for one in text * 3 for _ in text * 3], True),
        (lambda text: sorted(text * 200), False),
        (lambda text: [ord(c) for c in text * 200], False),
        (lambda text: None, False),
    ],
)
def test_only_time_that_grows_faster_than_the_text_is_steep(check: Callable[[str], object], steep: bool) -> None:
    found = fuzz.steep(check, lambda length: "\n" * length, 2_400)
    assert (found is not None) == steep, found


def test_generators_say_something_else_each_time_and_the_same_by_seed() -> None:
    one, other = (Mutator(random.Random(7), FRAGMENTS, ("seed",), 500) for _ in range(2))
    said = [one.next() for _ in range(500)]
    assert said == [other.next() for _ in range(500)]
    assert len(set(said)) > 350
    assert max(map(len, said)) > 200


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_is_as_it_should_be_is_taken(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [fuzz.attempted(target.check, seed) for seed in target.seeds] == [None] * len(target.seeds)
