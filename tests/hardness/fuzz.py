"""Fuzzing: texts made of the pieces of each grammar, by Hypothesis and by chance; and how time grows with the text.

What is tried stands in `targets`, what is said in `generating`. Hypothesis makes the structured cases and makes what
fails small; it does some hundred a second, so a plain generator of our own does the rest.

No atheris (Google's libFuzzer for Python): its wheels are for Linux only, each for few Pythons, and it follows the
branches of our Python, while what breaks here mostly sits in `re` and `json`, whose C it does not see.

A case may take `_SECONDS` of this process' CPU time; then it is interrupted (a regular expression can be) and counts as
a hang. For the growth of time each target gets families of texts: a fragment repeated, between others, in turns with
another, nested; and the slowest cases of the fuzzing, repeated. Whatever takes measurable time at the full length is
measured at an eighth, a quarter, a half and the whole of it: the exponent must stay below `_STEEPEST`, n·log n allowed.
Only what is still steeper the second time counts.
"""

from __future__ import annotations

import heapq
import math
import os
import random
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import FrameType

from hypothesis import HealthCheck, Phase, given, seed, settings

from .generating import Mutator, grown, texts
from .table import Row
from .targets import TARGETS, Target

_SECONDS = 5.0
_OF_A_CASE = 32_000  # characters: a longer text may take as much longer
_STEEPEST = 1.5
_NOTICED = 0.02  # seconds: below that, time is noise and nobody waits
_SLOWEST = 4  # cases of each target that are grown


@dataclass(frozen=True)
class Effort:
    """How much of each is done to a target."""

    cases: int  # by chance, for a share of 1
    structured: int  # by Hypothesis
    families: int
    length: int  # of the longest text whose time is measured


FEW, ALL = Effort(300, 30, 5, 4_000), Effort(45_000, 500, 40, 400_000)


class Hung(BaseException):
    """A case took too long. No `except Exception` of what is tried may take it for its own."""


@dataclass
class _Tried:
    """What is known of a target: its row, and its slowest cases by the time that a character takes."""

    target: Target
    row: Row
    slowest: list[tuple[float, str]] = field(default_factory=list)

    def attempt(self, text: str) -> str | None:
        """One case; what was wrong with it."""
        began = time.process_time()
        problem = attempted(self.target.check, text)
        taken = (time.process_time() - began) / (len(text) + 20)
        if len(self.slowest) < _SLOWEST or taken > self.slowest[0][0]:
            heapq.heappushpop(self.slowest, (taken, text)) if len(self.slowest) >= _SLOWEST else heapq.heappush(
                self.slowest, (taken, text)
            )
        return problem


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    effort = FEW if few else ALL
    home, memory = Path.cwd(), Path("/dev/shm")
    # rag.toml is read from here, and every case of a reader is a file: in memory where it can be
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else base))
    os.chdir(folder)
    signal.signal(signal.SIGPROF, _hang)
    try:
        rows = [_fuzzed(target, effort, random.Random(chance.random())) for target in TARGETS]
    finally:
        os.chdir(home)
        shutil.rmtree(folder)
    cases, times = [tried.row for tried, _ in rows], [row for _, row in rows]
    grown_ = Row("time against length: growing texts of all these")
    for row in times:
        grown_.tried += row.tried
        grown_.survived += row.survived
        grown_.problems += row.problems
    grown_.figures = f"steepest {_STEEPEST} allowed; {sum(row.tried for row in cases):,} cases above in all"
    return [*cases, grown_]


def _fuzzed(target: Target, effort: Effort, chance: random.Random) -> tuple[_Tried, Row]:
    tried = _Tried(target, Row(f"fuzzed: {target.name}"))
    began = time.process_time()
    _structured(tried, effort.structured, chance)
    made = Mutator(chance, target.fragments, target.seeds, target.each)
    for _ in range(max(1, int(effort.cases * target.share))):
        text = made.next()
        _add(tried.row, text, tried.attempt(text))
    times = Row(target.name)
    if target.timed:
        for name, text in _families(tried, effort, chance):
            times.check(name, steep(target.check, text, min(target.longest, effort.length)))
    tried.row.figures = f"{time.process_time() - began:.0f} s"
    return tried, times


def _structured(tried: _Tried, cases: int, chance: random.Random) -> None:
    """Cases by Hypothesis; of what fails, the smallest."""
    target, failing = tried.target, dict[str, str]()
    strategy = target.structured if target.structured is not None else texts(target.fragments, target.seeds)

    @seed(chance.randrange(2**32))
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def case(text: str) -> None:
        text = text[: 4 * target.each]
        problem = tried.attempt(text)
        if problem:
            failing[problem[:40]] = f"{problem} for {_short(text)}"
            raise AssertionError(problem[:40])
        tried.row.tried += 1
        tried.row.survived += 1

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case()
    except BaseException as error:  # one failure, or a group of several: each was noted
        if isinstance(error, KeyboardInterrupt):
            raise
        for problem in failing.values() or [f"Hypothesis: {type(error).__name__}: {error}"]:
            tried.row.tried += 1
            tried.row.problems.append(problem)


def _add(row: Row, text: str, problem: str | None) -> None:
    row.tried += 1
    row.survived += problem is None
    if problem and len(row.problems) < 20:
        row.problems.append(f"{problem} for {_short(text)}")


def attempted(check: Callable[[str], object], text: str, most: float = _SECONDS) -> str | None:
    """Check `text`; what it raised, in a line, or None."""
    began = time.process_time()
    try:
        with _limited(most):
            check(text)
        if time.process_time() - began > most + 1:  # inside of C, or of what swallows everything
            return f"it hangs: more than {most:g} s"
    except Hung:
        return f"it hangs: more than {most:g} s"
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return None


@contextmanager
def _limited(most: float) -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, most)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hung


def _short(text: str) -> str:
    return ascii(text if len(text) <= 300 else f"{text[:200]} … {text[-100:]}")


# -- time --------------------------------------------------------------------------------------------------------------

Text = Callable[[int], str]  # of that many characters


def _families(tried: _Tried, effort: Effort, chance: random.Random) -> Iterator[tuple[str, Text]]:
    """Texts that grow, with what they are called; the slowest cases first."""
    for _, text in sorted(tried.slowest, reverse=True)[: max(1, min(_SLOWEST, effort.families // 5))]:
        yield f"again and again {_short(text)}", lambda length, text=text: grown(text, length)  # type: ignore[misc]
    # A long text takes its time: fewer of these.
    families = effort.families // (5 if min(tried.target.longest, effort.length) > _OF_A_CASE else 1)
    yield from islice(_shapes(tried.target, chance), families)


def _shapes(target: Target, chance: random.Random) -> Iterator[tuple[str, Text]]:
    fragments = [fragment for fragment in target.fragments if 0 < len(fragment) < 100]
    while True:
        before, one, other, middle, after = chance.choices(fragments, k=5)
        start = chance.choice(("", *target.seeds, before))
        shape = chance.randrange(4)
        if shape == 0:
            yield f"{start!a} + n × {one!a} + {after!a}", _between(start, one, after)
        elif shape == 1:
            yield f"{start!a} + n × {one + other!a} + {after!a}", _between(start, one + other, after)
        elif shape == 2:
            yield f"n × {one!a} + {middle!a} + n × {other!a}", _nested(one, middle, other)
        else:
            yield f"{start!a} + n × {one!a} + n × {other!a} + {after!a}", _halves(start, one, other, after)


def _between(start: str, run: str, after: str) -> Text:
    return lambda length: start + grown(run, length - len(start) - len(after)) + after


def _nested(one: str, middle: str, other: str) -> Text:
    def text(length: int) -> str:
        times = max(1, (length - len(middle)) // (len(one) + len(other)))
        return one * times + middle + other * times

    return text


def _halves(start: str, one: str, other: str, after: str) -> Text:
    def text(length: int) -> str:
        half = max(1, (length - len(start) - len(after)) // 2)
        return start + grown(one, half) + grown(other, half) + after

    return text


def steep(check: Callable[[str], object], text: Text, longest: int) -> str | None:
    """What is wrong with how the time of `check` grows up to `longest` characters; None if nothing is."""
    lengths = [longest // 8, longest // 4, longest // 2, longest]
    for length in lengths:
        if problem := attempted(check, text(length), _SECONDS * max(1.0, length / _OF_A_CASE)):
            return f"{length:,} characters: {problem}"
        if length == lengths[0] and _seconds(check, text(length)) * 8**2 < _NOTICED:
            return None  # were it quadratic, nobody would notice at the full length
    if _seconds(check, text(longest)) < _NOTICED:
        return None
    exponent, best = 0.0, dict.fromkeys(lengths, math.inf)
    for times in (2, 4, 12):  # in turns, so that what else the machine does falls on all lengths alike
        for length in lengths * times:
            best[length] = min(best[length], _seconds(check, text(length)))
        exponent = _exponent(best)
        if exponent < _STEEPEST:
            return None
    return f"time grows with the power {exponent:.2f} of the length up to {longest:,} characters"


def _exponent(measured: dict[int, float]) -> float:
    """The slope of a line through the logarithms, by least squares."""
    points = [(math.log(length), math.log(seconds)) for length, seconds in measured.items() if seconds > _NOTICED / 100]
    if len(points) < 2:
        return 0.0
    middle = [sum(values) / len(points) for values in zip(*points, strict=True)]
    over = sum((x - middle[0]) * (y - middle[1]) for x, y in points)
    return over / sum((x - middle[0]) ** 2 for x, _ in points)


def _seconds(check: Callable[[str], object], text: str) -> float:
    """The CPU time of one try."""
    began = time.process_time()
    attempted(check, text)
    return time.process_time() - began
