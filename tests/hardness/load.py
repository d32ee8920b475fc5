"""Load: many people at once on a real server with the embedded models, people who leave, and one process of 20 threads.

Everything stays on this machine. Each person speaks of a place of their own and says a word that nobody else says: an
answer about another place, or that word with somebody else, would be crosstalk.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import httpx
from endpoint import Endless, Server, serving

from rag import Assistant, Message, Settings
from rag.embedded import embedded_weights
from rag.web.line import AT_ONCE as AT_WORK

from .doors import Door, Doors, Heard, Page, doors
from .facts import TOPICS, Place, wrong
from .memory import held
from .table import Row

TALKS = 2  # that a person may have of each place
LEAST_TALKS = 0.8  # of them are answered rightly while nobody else asks
INSISTS_S = 600.0
SLOW = 4.0  # times as long somebody waits where nobody heard anything in time
COME_AGAIN_S = 2.0  # after they were told that the line is full
GROWTH = 0.05
SETTLED_S = 60.0  # after which memory may not grow
AT_ENDS_S = 30.0  # of memory, compared with each other
WITHIN_S = 60.0  # the LLM is asked for who has a place
ENDS_WITHIN_S = 1800.0  # a process in which some ask
BADGE = re.compile(r"zq[a-z]{6}")
TOO_MANY = "too many questions are waiting; ask again in a moment"


class Talk(NamedTuple):
    """What one person asks, one question after the other: of a place, then of "it"."""

    place: Place
    badge: str
    topics: tuple[str, ...]

    def asked(self) -> list[str]:
        first, *rest = (self.place.question(topic, follows=n > 0) for n, topic in enumerate(self.topics))
        return [f"My badge is {self.badge}. {first}", *rest]


class Size(NamedTuple):
    """How much of it."""

    users: int
    seconds: float
    pause_s: tuple[float, float]  # in which people read and type
    rushes: tuple[float, ...]  # when, in seconds
    rush: int  # who come at once then; the line holds 68
    patience_s: tuple[float, float]  # of those who came in a rush
    insists: int  # one in so many of those who were told that it is full
    first_token_s: float  # the LLM's deadline
    written: float  # of the answers are by the LLM, at least
    leavers: int
    within_s: float  # of somebody's leaving the next has the place
    at_once: int  # questions in one process
    closings: int


FULL = Size(
    50, 300, (3, 30), rushes=(30, 130, 230), rush=100, patience_s=(6, 15), insists=4, first_token_s=20, written=0.1,
    leavers=100, within_s=2, at_once=20, closings=10,
)  # fmt: skip
FEW = Size(
    3, 4, (0, 1), rushes=(1,), rush=100, patience_s=(5, 8), insists=8, first_token_s=300, written=0.5,
    leavers=12, within_s=10, at_once=3, closings=1,
)  # fmt: skip


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    if embedded_weights(Settings()) is None:
        return [Row("load", figures="not tried: the LLM's weights are not on this machine; run 'rag models pull'")]
    size = FEW if few else FULL
    places = [Place(number) for number in range(2 * size.users + max(size.rush, size.leavers + AT_WORK))]
    documents = _written(base / "docs", places)
    rows = Load(documents, base / "index", places, size, chance).run()
    rows.append(leaving(documents, base / "index", size.leavers, size.within_s))
    return [*rows, *one_process(documents, base / "index", places[: size.at_once], size.closings, size.written)]


def _written(folder: Path, places: Sequence[Place]) -> Path:
    folder.mkdir(parents=True)
    for place in places:
        (folder / place.source).write_text(place.text, encoding="utf-8")
    return folder


# -- what people ask ---------------------------------------------------------------------------------------------------


def answered_alone(documents: Path, index: Path, talks: Sequence[Talk], texts: Mapping[str, str]) -> list[Talk]:
    """Those of which every question is answered rightly while nobody else asks: the others say nothing of the load."""
    settings = Settings(documents=documents, index_dir=index, llm="none")
    with Assistant.open(settings) as assistant:
        return [talk for talk in talks if _is_answered(assistant, talk, texts)]


def _is_answered(assistant: Assistant, talk: Talk, texts: Mapping[str, str]) -> bool:
    history: list[Message] = []
    for asked, topic in zip(talk.asked(), talk.topics, strict=True):
        answer = assistant.ask(asked, history=history)
        if wrong(answer.to_dict(), asked, talk.place, topic, texts):
            return False
        history += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer.text}]
    return True


# -- what somebody was told --------------------------------------------------------------------------------------------


def too_few_written(modes: Sequence[str], least: float) -> str | None:
    """What is wrong with how often the LLM wrote the answer: where it never does, no load was put on it."""
    written = modes.count("written")
    enough = written >= max(1, least * len(modes))
    return None if enough else f"{written} of {len(modes)} answers were written by the LLM"


def _too_few_talks(right: Sequence[Talk], talks: Sequence[Talk]) -> str | None:
    enough = len(right) >= LEAST_TALKS * len(talks)
    return None if enough else f"{len(right)} of {len(talks)} conversations are answered rightly while nobody else asks"


def strangers(raw: str, badge: str) -> list[str]:
    """The badges of others in what somebody with this one received."""
    return sorted(set(BADGE.findall(raw)) - {badge})


# -- the server --------------------------------------------------------------------------------------------------------


@contextmanager
def served(documents: Path, index: Path, llm: str, **variables: str) -> Iterator[tuple[int, str]]:
    """`rag serve` in a process of its own, ready: its id and its address."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith("RAG_") or name == "RAG_CACHE_DIR"
    }
    options = ["--documents", str(documents), "--index-dir", str(index), "--llm", llm]
    command = [sys.executable, "-m", "rag.cli", *options, "serve", "--port", "0"]
    process = subprocess.Popen(command, env={**clean, **variables}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()
        yield process.pid, line.partition(" at ")[2].split()[0]
        if process.poll() is not None:
            raise RuntimeError(f"the server ended by itself with {process.returncode}")
    finally:
        process.terminate()
        process.wait(60)


async def _ready(open_doors: Doors) -> None:
    """Until the index is there and the models are warm: each door has answered once."""
    until = time.monotonic() + 120
    while not await open_doors.are_open():
        if time.monotonic() > until:
            raise TimeoutError("the index was not opened within two minutes")
        await asyncio.sleep(0.2)
    for number in range(10):
        await open_doors.some(number).ask("Hello!")


# -- many people -------------------------------------------------------------------------------------------------------


class Load:
    """People ask for some minutes; now and then a crowd comes at once, and most of it leaves again."""

    def __init__(
        self, documents: Path, index: Path, places: Sequence[Place], size: Size, chance: random.Random
    ) -> None:
        self._documents, self._index, self._size, self._chance = documents, index, size, chance
        self._places = places
        self._texts = {place.source: place.text for place in places}
        self._answers = Row(f"load, {size.users} people for {size.seconds:.0f} s: answers")
        self._apart = Row("load: nobody hears of another")
        self._full = Row("load: full, told so, answered later")
        self._heard: list[Heard] = []
        self._left = 0  # before their answer
        self._memory: list[tuple[float, int]] = []

    def run(self) -> list[Row]:
        talks = [talk for number in range(self._size.users) for talk in self._talks_of(number)]
        visits = [Talk(place, self._badge(), (self._chance.choice(TOPICS),)) for place in self._places_of_visitors()]
        self._talks = answered_alone(self._documents, self._index, talks, self._texts)
        self._visits = answered_alone(self._documents, self._index, visits, self._texts)
        self._answers.check("the questions", _too_few_talks(self._talks + self._visits, talks + visits))
        first_token_s = self._size.first_token_s
        deadlines = {"RAG_FIRST_TOKEN_S": str(first_token_s), "RAG_TOTAL_S": str(3 * first_token_s)}
        with served(self._documents, self._index, "embedded", **deadlines) as (pid, url):
            asyncio.run(self._people(pid, url))
        modes = [heard.answer["mode"] for heard in self._heard if heard.answer]
        self._answers.check("the LLM", too_few_written(modes, self._size.written))
        self._answers.figures = self._times()
        if not self._full.tried:
            self._full.check("the line", "it was never full")
        rows = [self._answers, self._apart, self._full]
        if self._memory and self._size is FULL:
            rows.append(self._growth())
        return rows

    async def _people(self, pid: int, url: str) -> None:
        async with doors(url) as open_doors:
            await _ready(open_doors)
            began = time.monotonic()
            until = began + self._size.seconds
            watching = asyncio.ensure_future(self._watch(pid, began))
            people = [self._person(open_doors.some(n), n, until) for n in range(self._size.users)]
            await asyncio.gather(*people, *(self._rush(open_doors, at) for at in self._size.rushes))
            if not self._full.tried:  # where all is slow, those who leave leave before they hear anything
                await self._rush(open_doors, 0, patience=SLOW)
            watching.cancel()

    async def _watch(self, pid: int, began: float) -> None:
        while True:
            if (resident := held("VmRSS", pid)) is not None:
                self._memory.append((time.monotonic() - began, resident))
            await asyncio.sleep(1)

    async def _person(self, door: Door, number: int, until: float) -> None:
        """One conversation after the other, each about one of two places."""
        ours = [talk for talk in self._talks if talk.place in self._places_of(number)]
        while ours and time.monotonic() < until:
            talk = self._chance.choice(ours)
            door.begin_anew()
            for said, topic in zip(talk.asked(), talk.topics, strict=True):
                await asyncio.sleep(self._chance.uniform(*self._size.pause_s))
                if time.monotonic() > until:
                    return
                if not await self._insistently(door, said, talk.place, topic, talk.badge):
                    break

    def _places_of(self, number: int) -> Sequence[Place]:
        return self._places[2 * number : 2 * number + 2]

    def _places_of_visitors(self) -> Sequence[Place]:
        first = 2 * self._size.users
        return self._places[first : first + self._size.rush]

    def _talks_of(self, number: int) -> list[Talk]:
        badge = self._badge()
        orders = [self._chance.sample(TOPICS, len(TOPICS)) for _ in range(TALKS)]
        return [Talk(place, badge, tuple(topics)) for place in self._places_of(number) for topics in orders]

    async def _insistently(self, door: Door, said: str, place: Place, topic: str, badge: str) -> bool:
        """Ask, and whenever the line is full again after a while; whether there was a right answer."""
        was_full = False
        until = time.monotonic() + INSISTS_S
        while (heard := await _asked(door, said)).full and time.monotonic() < until:
            was_full = True
            self._full.check(said, *said_plainly(heard))
            await asyncio.sleep(COME_AGAIN_S + self._chance.random())
        problems = self._judge(heard, said, place, topic, badge)
        if was_full:
            self._full.check(f"{said} (later)", *problems)
        return not problems

    def _judge(self, heard: Heard, said: str, place: Place, topic: str, badge: str) -> list[str]:
        self._heard.append(heard)
        foreign = strangers(heard.raw, badge)
        self._apart.check(said, "the badge of somebody else" if foreign else None, lost=foreign)
        problems = [f"no answer: {heard.line}"]
        if heard.answer:
            problems = wrong(heard.answer, said, place, topic, self._texts)
        self._answers.check(said, *problems)
        return problems

    async def _rush(self, open_doors: Doors, at: float, patience: float = 1) -> None:
        """More come at once than the line holds. Who is let in waits for some seconds only; some others insist."""
        await asyncio.sleep(at)
        who = (self._visits[n % len(self._visits)] for n in range(self._size.rush))
        await asyncio.gather(*(self._visitor(open_doors.some(n), visit, n, patience) for n, visit in enumerate(who)))

    async def _visitor(self, door: Door, visit: Talk, number: int, patience: float) -> None:
        place, badge, (topic,), (said,) = *visit, visit.asked()
        try:
            waits = patience * self._chance.uniform(*self._size.patience_s)
            heard = await asyncio.wait_for(_asked(door, said), waits)
        except TimeoutError:
            self._left += 1
            return
        if heard.full:
            self._full.check(said, *said_plainly(heard))
            if number % self._size.insists == 0:
                await asyncio.sleep(COME_AGAIN_S)
                await self._insistently(door, said, place, topic, badge)
        else:
            self._judge(heard, said, place, topic, badge)

    def _badge(self) -> str:
        return "zq" + "".join(self._chance.choices("abcdefghijklmnopqrstuvwxyz", k=6))

    def _times(self) -> str:
        answers = [heard for heard in self._heard if heard.answer]
        modes = Counter(heard.answer["mode"] for heard in answers if heard.answer)
        late = sum("no first word" in " ".join(heard.answer["notes"]) for heard in answers if heard.answer)
        said = [
            f"whole answer {_percentiles([heard.whole_s for heard in answers])}",
            f"first words {_percentiles([heard.first_s for heard in answers if heard.first_s])}",
            *(f"{number} {mode}" for mode, number in sorted(modes.items())),
            f"{late} as the LLM was late",
            f"{self._left} left before their answer",
        ]
        return "; ".join(said)

    def _growth(self) -> Row:
        settled = [(at, resident) for at, resident in self._memory if SETTLED_S <= at < self._size.seconds]
        first, last = ends(settled)
        row = Row(f"load: memory over the last {settled[-1][0] - settled[0][0]:.0f} s")
        row.check("memory", grown(first, last))
        row.figures = f"{first / 1e6:.0f} to {last / 1e6:.0f} MB, {last / first - 1:+.1%}"
        return row


def ends(samples: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """The medians of the first and of the last half minute of (second, bytes)."""
    (start, _), (end, _) = samples[0], samples[-1]
    first = median(resident for at, resident in samples if at < start + AT_ENDS_S)
    return first, median(resident for at, resident in samples if at > end - AT_ENDS_S)


def grown(first: float, last: float) -> str | None:
    """What is wrong with how much memory is in use after some minutes."""
    return f"it grew by {last / first - 1:.1%}" if last > (1 + GROWTH) * first else None


async def _asked(door: Door, said: str) -> Heard:
    """What came back; a connection that broke is what came back, too."""
    began = time.monotonic()
    try:
        return await door.ask(said)
    except httpx.HTTPError as error:
        return Heard(line=f"{type(error).__name__}: {error}", began=began)


def said_plainly(heard: Heard) -> list[str]:
    """What is wrong with how somebody was told that the line is full."""
    problems = [] if heard.line.lower().rstrip(".") == TOO_MANY else [f"not a plain line: {heard.line}"]
    if heard.status != 200 and (heard.status != 503 or heard.retry_after != f"{COME_AGAIN_S:g}"):
        problems.append(f"status {heard.status}, Retry-After {heard.retry_after!r}")
    return problems


def _percentiles(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return "unknown"
    parts = quantiles(seconds, n=20, method="inclusive")
    return f"p50 {parts[9]:.1f} s, p95 {parts[18]:.1f} s"


# -- who leaves --------------------------------------------------------------------------------------------------------


def leaving(documents: Path, index: Path, leavers: int, within_s: float) -> Row:
    """Four are at work on an LLM that never ends, one waits to say hello; when one of the four leaves, it is greeted.

    They leave by closing the page, by its button Stop, and by closing the connection of REST and of both kinds of /v1.
    """
    row = Row("load: who leaves frees the place")
    with serving(Server(Endless)) as llm, served(documents, index, "endless", RAG_LLM_BASE_URL=llm.url) as (_, url):
        seconds = asyncio.run(_leaving(url, llm, leavers, within_s, row))
    if seconds:
        row.figures = f"the next had it after {median(seconds):.2f} s, {max(seconds):.2f} s at most"
    return row


async def _leaving(url: str, llm: Server, leavers: int, within_s: float, row: Row) -> list[float]:
    seconds: list[float] = []
    inside: deque[tuple[Door, asyncio.Task[Heard]]] = deque()
    async with doors(url) as open_doors:
        await _ready(open_doors)
        for number in range(AT_WORK + leavers):
            door = open_doors.some(number)
            question = f"Visitor {number:03} asks: {Place(number).question('keeper')}"
            inside.append((door, asyncio.ensure_future(door.ask(question))))
            if not await _asks(llm, f"Visitor {number:03} "):
                row.check(f"visitor {number}", f"the LLM was not asked within {WITHIN_S:g} s")
                break
            if len(inside) < AT_WORK:
                continue
            greeting = asyncio.ensure_future(open_doors.some(5).ask("Hello!"))
            await asyncio.sleep(0.3)
            early = "somebody else had the place before" if greeting.done() else None
            began = time.monotonic()
            how = await _leave(*inside.popleft(), stops=number % 3 == 0)
            heard = await greeting
            seconds.append(time.monotonic() - began)
            late = f"the next had the place after {seconds[-1]:.1f} s" if seconds[-1] > within_s else None
            row.check(how, early, late, None if heard.answer else heard.line)
        for _, task in inside:
            task.cancel()
        await asyncio.wait([task for _, task in inside])
    return seconds


async def _leave(door: Door, task: asyncio.Task[Heard], *, stops: bool) -> str:
    """Press Stop where there is such a button, or close the window."""
    if stops and isinstance(door, Page):
        await door.stop()
        await asyncio.wait([task])
        return "Stop on the page"
    task.cancel()
    await asyncio.wait([task])
    return f"left the {type(door).__name__}"


async def _asks(llm: Server, name: str, within_s: float = WITHIN_S) -> bool:
    """Whether the LLM is asked for somebody before long."""
    until = time.monotonic() + within_s
    while not (asked := _is_asked(llm, name)) and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return asked


def _is_asked(llm: Server, name: str) -> bool:
    return any(name in json.dumps(request["messages"]) for request in list(llm.requests))


# -- one process -------------------------------------------------------------------------------------------------------


def one_process(documents: Path, index: Path, places: Sequence[Place], closings: int, written: float) -> list[Row]:
    """A thread for each place asks one Assistant; and then each closes it, too, when it has its answer."""
    asking = Row(f"load: {len(places)} ask at once in one process")
    closing = Row(f"load: it is closed while {len(places)} ask")
    texts = {file.name: file.read_text(encoding="utf-8") for file in documents.iterdir()}
    for rounds in ([asking, closing], *[[closing]] * (closings - 1)):
        command = [sys.executable, "-m", "hardness.load", str(documents), str(index)]
        command += ["close" if row is closing else "stay" for row in rounds]
        asked = "\n".join(map(_first_question, places))
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=ENDS_WITHIN_S)
        failed = f"it ended with {done.returncode}: {done.stderr[-500:]}" if done.returncode else None
        said = [json.loads(line) for line in done.stdout.splitlines()]
        for number, row in enumerate(rounds):
            row.check("the process", failed)
            _judged(row, said[number] if number < len(said) else [], places, texts, closes=row is closing)
        if asking in rounds and said:
            modes = [got["mode"] for got in said[0] if isinstance(got, dict)]
            asking.check("the LLM", too_few_written(modes, written))
    return [asking, closing]


def _judged(row: Row, said: list[Any], places: Sequence[Place], texts: dict[str, str], *, closes: bool) -> None:
    """What each thread got: its answer, or as it was closed, that it is."""
    row.check("the process", f"{len(said)} of {len(places)} threads ended" if len(said) != len(places) else None)
    for got, place in zip(said, places, strict=False):
        if isinstance(got, dict):
            row.check(place.source, *wrong(got, _first_question(place), place, TOPICS[0], texts))
        else:
            row.check(place.source, None if closes and _is_closed(got) else f"it raised {got}")


def _first_question(place: Place) -> str:
    return place.question(TOPICS[0])


def _is_closed(error: list[str]) -> bool:
    """Whether somebody was told plainly that the Assistant was closed."""
    kind, line = error
    return kind == "RagError" and "closed" in line and "open" in line


def ask_at_once(documents: Path, index: Path, questions: Sequence[str], *, closes: bool) -> list[Any]:
    """The answers, or what was raised in place of one."""
    settings = Settings(documents=documents, index_dir=index, llm="embedded", first_token_s=300, total_s=600)
    assistant = Assistant.open(settings)
    together = threading.Barrier(len(questions))

    def ask(question: str) -> Any:
        together.wait()
        try:
            return assistant.ask(question).to_dict()
        except Exception as error:
            return [type(error).__name__, str(error)]
        finally:
            if closes:
                assistant.close()

    with ThreadPoolExecutor(len(questions)) as pool:
        answers = list(pool.map(ask, questions))
    assistant.close()
    return answers


if __name__ == "__main__":
    _, where, of, *rounds = sys.argv
    asked = sys.stdin.read().splitlines()
    for how in rounds:
        print(json.dumps(ask_at_once(Path(where), Path(of), asked, closes=how == "close")), flush=True)
