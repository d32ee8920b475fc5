"""A long run: people change documents while `rag ingest` is killed again and again, and others ask all the time.

Every text that a document has ever had is kept here with the time it was on the disk. So each quote of each answer is
compared with the document at a version that the index may have held when it was asked.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from rag import Assistant, Settings
from rag.documents import read_collection, read_file
from rag.embedded import embedded_weights
from rag.errors import IndexLocked
from rag.web.opening import Opening
from rag.web.viewer import Reader

from .facts import TOPICS, Place, wrong
from .subject import raw_problems
from .table import Row

KILLED_AFTER_S = (0.2, 5.0)  # or sooner, where an ingest takes less
COMPLETED = 0.25  # of the ingests are left alone
CHANGES_S = (0.1, 1.5)  # between two changes of the documents
COMMANDS_S = (2.0, 8.0)  # between two `rag ask`
ABOUT, FOUND = "about a place that is there", "of them cite its document"
COMPARED, ANSWERED = "facts asked for in the end", "of them answered"
ASKED_BY_COMMAND = "questions by `rag ask`"
OPENED, STANDS = "citations opened", "of them still there"
ENDS_WITHIN_S = 300.0  # an ingest that is left alone
KILLS_PER_S = 200 / 1800
HERE = 0.5  # of what is cited still stands there when it is opened at once
ENOUGH_S = 120.0  # more than the time given, on a slow machine
PASSAGE_WORDS = 20
LARGEST = 1_000_000


class Size(NamedTuple):
    seconds: float
    documents: int
    topics: tuple[str, ...]  # asked of every place at the end
    answers: int  # at least, about places whose document is there
    cited: float  # of them cite that document, at least, and of the questions in the end are no refusals
    written: float  # of the questions are answered by the embedded LLM


FULL = Size(seconds=1800, documents=120, topics=TOPICS, answers=500, cited=0.85, written=0.03)
FEW = Size(seconds=8, documents=30, topics=TOPICS[1:2], answers=10, cited=0.6, written=0)


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    return LongRun(base, chance, FEW if few else FULL).run()


# -- what was on the disk ----------------------------------------------------------------------------------------------


@dataclass
class Version:
    """A text that a source had, and from when to when (monotonic seconds) somebody could have read it."""

    text: str
    since: float
    until: float = inf


class History:
    """Every version of every source. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions: dict[str, list[Version]] = {}
        self._there: dict[str, float] = {}  # since when a source has been there without a break

    @contextmanager
    def changing(self, source: str, text: str | None) -> Iterator[None]:
        """While a source gets another text, or none; nothing has changed when this raises."""
        with self._lock:
            versions = self._versions.setdefault(source, [])
            old = versions[-1] if versions and versions[-1].until == inf else None
            new = Version(text, time.monotonic()) if text is not None else None
            versions += [new] if new else []
            if text is None:
                self._there.pop(source, None)
        try:
            yield
        except BaseException:
            with self._lock:
                versions[:] = [each for each in versions if each is not new]
                if old:
                    self._there.setdefault(source, old.since)
            raise
        with self._lock:
            if old:
                old.until = time.monotonic()
            if new:
                self._there.setdefault(source, time.monotonic())

    def fault(self, citation: Mapping[str, Any], oldest: float) -> str:
        """What is wrong with a citation in an answer of now, when nothing older than `oldest` may be cited."""
        passage = citation["passage"]
        with self._lock:
            versions = list(self._versions.get(passage["source"], ()))
        spans = ((citation, "quote"), (passage, "text"))
        told = [v for v in versions if all(v.text[of["start"] : of["end"]] == of[words] for of, words in spans)]
        if not told:
            return f"no version of {passage['source']} has {citation['quote']!r} at {citation['start']}"
        late = oldest - max(version.until for version in told)
        return f"{citation['quote']!r} had left {passage['source']} {late:.1f} s before" if late > 0 else ""

    def texts(self) -> dict[str, str]:
        """What each source says now."""
        with self._lock:
            last = {source: versions[-1] for source, versions in self._versions.items() if versions}
        return {source: version.text for source, version in last.items() if version.until == inf}

    def there_since(self, before: float) -> set[str]:
        """The sources that have been there from before this moment until now."""
        with self._lock:
            return {source for source, since in self._there.items() if since < before}


@dataclass
class Library:
    """The documents: a folder, another one with a collection in it, and uploads. One thread changes them."""

    base: Path
    count: int
    chance: random.Random
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        self.docs, self.more = self.base / "docs", self.base / "more"
        self._editions: Counter[int] = Counter()
        self._names: dict[int, str] = {}  # of those that are files now
        self._places: dict[int, Place] = {}  # which they are about
        self._lines: dict[str, Place] = {}  # of the collection
        self.uploads: dict[str, Place] = {}
        self.docs.mkdir()
        self.more.mkdir()
        sixth = self.count // 6
        self._collected = range(sixth)
        self._uploaded = range(sixth, sixth + 5)
        self._filed = range(sixth + 5, self.count)
        for number in self._filed:
            self._add(number)
        self._rewrite()

    def change(self, assistant: Assistant) -> str:
        """One change by chance; its name."""
        number = self.chance.choice(self._filed)
        there = number in self._names
        match self.chance.choices(("edit", "rename", "remove", "collection", "upload"), (8, 3, 3, 2, 2))[0]:
            case "collection":
                self._rewrite()
                return "collection"
            case "upload":
                return self._upload(assistant)
            case "remove" if there and len(self._names) > len(self._filed) // 2:
                self._remove(number)
                return "removed"
            case "rename" if there:
                self._rename(number)
                return "renamed"
        self._add(number)
        return "edited" if there else "added"

    def now(self) -> dict[str, Place]:
        """What each source is about."""
        filed = {name: self._places[number] for number, name in list(self._names.items())}
        return {**filed, **self._lines, **self.uploads}

    def source_of(self, number: int) -> str:
        """What the document about a place is called now; "" when there is none."""
        return next((source for source, place in self.now().items() if place.number == number), "")

    def is_upload(self, source: str) -> bool:
        return any(source == Place(number).source for number in self._uploaded)

    def _next(self, number: int) -> Place:
        self._editions[number] += 1
        return Place(number, self._editions[number])

    def _folder(self, number: int) -> Path:
        return self.more if number % 5 == 0 else self.docs

    def _add(self, number: int) -> None:
        """A document that was not there, or its next edition."""
        place = self._next(number)
        name = self._names.get(number) or self._a_name(place)
        new = self.base / f"new{Path(name).suffix}"
        new.write_text(_as_file(place, new.suffix), encoding="utf-8")
        with self.history.changing(name, read_file(new, root="", source=name, max_bytes=LARGEST).text):
            new.replace(self._folder(number) / name)
        self._places[number] = place
        self._names[number] = name

    def _a_name(self, place: Place) -> str:
        suffix = (".txt", ".md", ".html")[place.number % 3]
        return f"{Path(place.source).stem}-{place.edition}{suffix}"

    def _rename(self, number: int) -> None:
        old, new = self._names[number], self._a_name(self._next(number))
        file = self._folder(number) / old
        text = read_file(file, root="", source=old, max_bytes=LARGEST).text
        with self.history.changing(new, text), self.history.changing(old, None):
            file.rename(file.with_name(new))
        self._names[number] = new

    def _remove(self, number: int) -> None:
        name = self._names.pop(number)
        with self.history.changing(name, None):
            (self._folder(number) / name).unlink()

    def _rewrite(self) -> None:
        """Some lines of the collection are others, some come, some go."""
        lines = {f"note {n}": place for n in self._collected if (place := self._line(n)) is not None}
        new = self.base / "new.jsonl"
        said = ({"id": source, "title": place.name, "text": place.text} for source, place in lines.items())
        new.write_text("".join(f"{json.dumps(line)}\n" for line in said), encoding="utf-8")
        texts = {each.source: each.text for each in read_collection(new, root="", max_bytes=LARGEST)}  # type: ignore[union-attr]
        with ExitStack() as changing:
            for source in _others(self._lines, lines):
                changing.enter_context(self.history.changing(source, texts.get(source)))
            new.replace(self.more / "notes.jsonl")
        self._lines = lines

    def _line(self, number: int) -> Place | None:
        old = self._lines.get(f"note {number}")
        kind = self.chance.random()
        if kind < 0.1:
            return None
        return self._next(number) if old is None or kind < 0.4 else old

    def _upload(self, assistant: Assistant) -> str:
        """Add, replace or remove one."""
        place = self._next(self.chance.choice(self._uploaded))
        name = Place(place.number).source
        removes = name in self.uploads and self.chance.random() < 0.3
        new = self.base / "upload.txt"
        new.write_text(place.text, encoding="utf-8")
        try:
            with self.history.changing(name, None if removes else place.text):
                if removes:
                    assistant.remove(name)
                else:
                    assistant.upload(name, new)
        except IndexLocked:
            return "told to wait"
        if removes:
            del self.uploads[name]
        else:
            self.uploads[name] = place
        return "upload removed" if removes else "uploaded"


def _as_file(place: Place, suffix: str) -> str:
    if suffix != ".html":
        return place.text
    paragraphs = "".join(f"<p>{part}</p>\n" for part in place.text.strip().split("\n\n"))
    return f"<html><head><title>{place.name}</title></head><body>{paragraphs}</body></html>"


def _others(old: Mapping[str, Place], new: Mapping[str, Place]) -> list[str]:
    return [source for source in old.keys() | new.keys() if old.get(source) != new.get(source)]


# -- the run -----------------------------------------------------------------------------------------------------------


class LongRun:
    """Four threads until the time is over: one changes documents, one ingests and kills, two ask. Then one looks."""

    def __init__(self, base: Path, chance: random.Random, size: Size) -> None:
        self._base, self._chance, self._size = base, chance, size
        self._library = Library(base, size.documents, random.Random(chance.random()))
        self._settings = Settings(
            documents=self._library.docs, index_dir=base / "index", passage_words=PASSAGE_WORDS, llm="none"
        )
        self._completed = -inf  # when the last ingest began that came to its end
        self._takes_s = inf  # it, from its beginning to its end
        self._over = threading.Event()
        self._did: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._groups: list[int] = []  # of processes that were killed
        minutes = f"long run of {size.seconds / 60:.1f} minutes"
        self._answers = Row(f"{minutes}: answers while it is killed and changed")
        self._commands = Row("long run: `rag ask` beside it")
        self._there = Row("long run: what stays in the folder stays in the index")
        self._ingests = Row("long run: `rag ingest`, killed or not")
        self._end = Row("long run: in the end the index is that of a fresh ingest")

    def run(self) -> list[Row]:
        with Assistant.open(self._settings) as assistant:
            self._ingest(killed_after=None)
            work = (self._change, self._ask, self._ask_by_command, self._ingest_and_kill)
            with ThreadPoolExecutor(len(work)) as pool:
                running = [pool.submit(each, assistant) for each in work]
                self._over.wait(self._size.seconds)
                until = time.monotonic() + ENOUGH_S
                while too_little(self._did, self._size) and time.monotonic() < until and not self._over.wait(0.2):
                    pass
                self._over.set()
            for each in running:
                each.result()
            self._ingest(killed_after=None)
            self._look(assistant)
        self._answers.check("all of it", *too_little(self._did, self._size), *too_often(self._did, self._size))
        self._answers.figures = self._figures(
            "quotes compared", "answers with the LLM", ABOUT, FOUND, OPENED, STANDS, "refused"
        )
        self._ingests.figures = self._figures("kills", "ingests completed", "ingests told to wait")
        self._end.figures = self._figures(COMPARED, ANSWERED, *sorted(self._did))
        return [self._answers, self._commands, self._there, self._ingests, self._end]

    def _figures(self, *names: str) -> str:
        return ", ".join(f"{self._did.pop(name)} {name}" for name in names if name in self._did)

    def _note(self, what: str, count: int = 1) -> None:
        with self._lock:
            self._did[what] += count

    def _wait(self, between: tuple[float, float]) -> bool:
        """Whether it goes on, after a while of chance."""
        return not self._over.wait(self._chance.uniform(*between))

    # -- changing and ingesting ------------------------------------------------------------------------------------

    def _change(self, assistant: Assistant) -> None:
        while self._wait(CHANGES_S):
            self._note(self._library.change(assistant))

    def _ingest_and_kill(self, _: Assistant) -> None:
        while not self._over.is_set():
            completes = self._chance.random() < COMPLETED
            soonest, latest = KILLED_AFTER_S
            at = self._chance.uniform(soonest, max(soonest, min(latest, self._takes_s)))
            self._ingest(killed_after=None if completes else at)

    def _ingest(self, killed_after: float | None) -> None:
        began = time.monotonic()
        process = self._command("ingest", self._library.docs, self._library.more, "--prune", start_new_session=True)
        try:
            _, said = process.communicate(timeout=killed_after or ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()  # SIGKILL, to this process only: what it has started has to see for itself
            process.communicate()
            self._groups.append(process.pid)
            self._note("kills")
            self._ingests.check("an ingest", None if killed_after else f"it took more than {ENDS_WITHIN_S:g} s")
            return
        if process.returncode == 0:
            self._completed, self._takes_s = began, time.monotonic() - began
            self._note("ingests completed")
        locked = process.returncode == 3 and "another process is writing" in said and said.count("\n") <= 2
        self._note("ingests told to wait", locked)
        fine = locked or process.returncode == 0
        self._ingests.check("an ingest", None if fine else f"it ended with {process.returncode}: {said[-300:]}")

    def _command(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        given = ["--documents", self._library.docs, "--index-dir", self._settings.index_dir, "--llm", "none"]
        command = [sys.executable, "-m", "rag.cli", *map(str, (*given, *arguments))]
        environment = {**os.environ, "RAG_PASSAGE_WORDS": str(PASSAGE_WORDS)}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, **pipes, **options)

    # -- asking ----------------------------------------------------------------------------------------------------

    def _ask(self, assistant: Assistant) -> None:
        """One Assistant for all questions, as a server has it; what it cites is opened as in the page."""
        viewer = Reader(Opening.of(assistant))
        writes = embedded_weights(self._settings) is not None
        with assistant.answering_with("embedded" if writes else "none") as writing:
            while self._wait((0.0, 0.2)):
                by_llm = writes and self._chance.random() < self._size.written
                who, number = writing if by_llm else assistant, self._number()
                question, source = self._question(number), self._steady(number)
                oldest, asked = self._completed, time.monotonic()
                try:
                    answer = who.ask(question).to_dict()
                except Exception as error:
                    self._answers.check(question, f"it raised {type(error).__name__}: {error}")
                    continue
                faults = self._faults(answer, oldest, asked)
                if source and source == self._steady(number):
                    self._note(ABOUT)
                    self._note(FOUND, any(c["passage"]["source"] == source for c in answer["citations"]))
                self._note("refused", answer["refused"])
                views = [_view(viewer, citation) for citation in answer["citations"]]
                self._note(OPENED, len(views))
                self._note(STANDS, views.count("here"))
                self._note("answers with the LLM", by_llm)
                self._answers.check(question, *[view for view in views if view.startswith("broken")], lost=faults)
                self._look_for_all(assistant)

    def _ask_by_command(self, _: Assistant) -> None:
        while self._wait(COMMANDS_S):
            question, oldest, asked = self._question(self._number()), self._completed, time.monotonic()
            process = self._command("ask", "--json", question)
            out, said = process.communicate()
            self._note(ASKED_BY_COMMAND)
            if process.returncode not in (0, 1):
                self._commands.check(question, f"it ended with {process.returncode}: {said[-300:]}")
                continue
            self._commands.check(question, lost=self._faults(json.loads(out), oldest, asked))

    def _number(self) -> int:
        return self._chance.randrange(self._size.documents)

    def _question(self, number: int) -> str:
        return Place(number).question(self._chance.choice(TOPICS))

    def _steady(self, number: int) -> str:
        """The document about a place, if it has been there since before the last completed ingest; else ""."""
        source = self._library.source_of(number)
        return source if source in self._library.history.there_since(self._completed) else ""

    def _faults(self, answer: dict[str, Any], completed: float, asked: float) -> list[str]:
        """Wrong or dangling citations."""
        self._note("quotes compared", len(answer["citations"]))
        faults = []
        for citation in answer["citations"]:
            is_upload = self._library.is_upload(citation["passage"]["source"])  # these are there as soon as it is said
            faults.append(self._library.history.fault(citation, asked if is_upload else completed))
        return [fault for fault in faults if fault]

    def _look_for_all(self, assistant: Assistant) -> None:
        """What has been in the folder since before the last completed ingest is in the index."""
        before = self._library.history.there_since(self._completed)
        listed = {document.source for document in assistant.documents()}
        still = self._library.history.there_since(self._completed)
        self._there.check("the documents", lost=sorted((before & still) - listed))

    # -- in the end ------------------------------------------------------------------------------------------------

    def _look(self, assistant: Assistant) -> None:
        """Against a fresh index of the same folders and uploads."""
        row, fresh_index = self._end, self._base / "fresh"
        doctor = self._command("doctor")
        said, _ = doctor.communicate()
        row.check("rag doctor", said if doctor.returncode else None)
        row.check("index.db", *raw_problems(self._settings.index_dir / "index.db"))
        row.check("processes", *_orphans(self._groups))
        with Assistant.open(self._settings.model_copy(update={"index_dir": fresh_index})) as fresh:
            fresh.ingest([self._library.docs, self._library.more], prune=True)
            for name, place in self._library.uploads.items():
                file = self._base / "again.txt"
                file.write_text(place.text, encoding="utf-8")
                fresh.upload(name, file)
            ours, theirs = held(self._settings.index_dir), held(fresh_index)
            for key in sorted(ours.keys() | theirs.keys()):
                gone = [key] if key not in ours else []
                row.check(key, None if gone or ours[key] == theirs.get(key) else "it is another one", lost=gone)
            for number in range(self._size.documents):
                for topic in self._size.topics:
                    question = Place(number).question(topic)
                    ours, theirs = (each.ask(question).to_dict() for each in (assistant, fresh))
                    row.check(question, *self._wrong(ours, number, topic), differing(ours, theirs))

    def _wrong(self, answer: dict[str, Any], number: int, topic: str) -> list[str]:
        """What is wrong with an answer in the end: the fact is that of the place's edition of now."""
        source = self._library.source_of(number)
        if not source:
            return []
        self._note(COMPARED)
        if answer["refused"]:
            return []  # which may be, but not often
        self._note(ANSWERED)
        place, texts = self._library.now()[source], self._library.history.texts()
        return wrong(answer, place.question(topic), place, topic, texts, source=source)


def _view(viewer: Reader, citation: Mapping[str, Any]) -> str:
    """What who clicks on a citation gets: "here", "changed", or "gone", which the page says; or "broken", and why."""
    asked = {"document": citation["passage"]["document_id"], "start": citation["start"], "end": citation["end"]}
    view = viewer.open_at({**asked, "words": citation["quote"]})
    if view["state"] == "here":
        at = citation["start"] - view["starts"][view["first"]]
        shown = "".join(view["texts"])[at:][: len(citation["quote"])]
        return "here" if shown == citation["quote"] else f"broken: {shown!r} is marked"
    return "changed" if view["state"] in ("changed", "gone") else f"broken: {view.get('reason')}"


def differing(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    """What two indexes of the same documents do not say alike."""
    told, expected = _essence(ours), _essence(theirs)
    return None if told == expected else f"{told} against {expected}"


def too_little(did: Mapping[str, int], size: Size) -> list[str]:
    """What was not done as often as it has to be to show something."""
    least = {
        "kills": int(KILLS_PER_S * size.seconds) + 1,
        "ingests completed": 2,
        "quotes compared": size.answers,
        ABOUT: size.answers,
        OPENED: size.answers,
        ASKED_BY_COMMAND: 1,
    }
    return [f"{did.get(what, 0)} {what}, and {times} are the least" for what, times in least.items()
            if did.get(what, 0) < times]  # fmt: skip


def too_often(did: Mapping[str, int], size: Size) -> list[str]:
    """What may happen, but not as often as this: refusals, answers about others, words that have changed."""
    shares = ((FOUND, ABOUT, size.cited), (STANDS, OPENED, HERE), (ANSWERED, COMPARED, size.cited))
    return [f"only {did.get(part, 0)} {part}: {did.get(whole, 0)} {whole}" for part, whole, share in shares
            if did.get(part, 0) < share * did.get(whole, 0)]  # fmt: skip


def _essence(answer: Mapping[str, Any]) -> tuple[Any, ...]:
    """What two indexes of the same documents say alike."""
    cited = [(c["passage"]["source"], c["start"], c["end"], c["quote"]) for c in answer["citations"]]
    return answer["text"], answer["refused"], cited


def held(index: Path) -> dict[str, Any]:
    """All documents of an index by their full name, with their passages."""
    connection = sqlite3.connect(index / "index.db")
    try:
        documents = connection.execute("SELECT id, root, source, title, media_type, sha256, text FROM document")
        spans = "SELECT start, stop, text, heading FROM passage WHERE document_id = ? ORDER BY start, stop"
        return {
            f"{root}/{source}": (*rest, connection.execute(spans, (i,)).fetchall())
            for i, root, source, *rest in documents.fetchall()
        }
    finally:
        connection.close()


def _orphans(groups: list[int]) -> list[str]:
    """Processes that outlived the killed one that had started them, by Linux's /proc."""
    until = time.monotonic() + 5
    while (left := alive(groups)) and time.monotonic() < until:
        time.sleep(0.1)
    return left


def alive(groups: list[int]) -> list[str]:
    """What is still at work in these process groups."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, rest = stat.parent.name, stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(rest[2]) in groups and rest[0] != "Z":
                found.append(f"process {pid} outlived the ingest that had started it")
    return found
