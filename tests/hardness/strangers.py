"""An index folder that a stranger hands over: bytes changed, things crafted, files planted.

Each try opens it, asks, lists, reads and ingests again, in a process of its own kind: what comes is a plain line with a
cure, or answers whose every quote is what the documents say. Nothing in the folder runs, nothing outside is touched.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import rag.database
import rag.nearest
from rag.assistant import Assistant
from rag.errors import RagError
from rag.feedback import Feedback
from rag.settings import Settings
from rag.types import Answer, Document, Hit, Passage
from rag.uploads import ROOT

from .canary import SECRET, Canary, Watch
from .crafted import CODE, CRAFTED, PLANTED, Craft, fitted
from .memory import Peak
from .table import Row

MOST_MEGABYTES = 200  # beside what the undamaged folder takes
HANG_SECONDS = 120
_TOGETHER = 250  # tries in one process
_CELLS_ABOVE = 20  # passages: a vector file with cells, as large indexes have
_RUNAWAY_BYTES = 3_000_000_000  # of address space: what is beyond ends in MemoryError and not in the machine's

HERONS_NAME = "Edda"
HERON, STORKS = "What is the heron of the pond called?", "How many storks nest on the tower?"
QUESTIONS = (HERON, STORKS, "Whta is the hreon of the pond caled?", "newts", "Who feeds the owl of the tower?")
# How the command line is started: by its script as pip makes it, and as it asks for reports of faults.
SCRIPT = "import sys\nfrom rag.cli import main\nsys.exit(main())\n"
WAYS: dict[str, Sequence[str]] = {"rag": ["SCRIPT"], "python -X dev -P -m": ["-X", "dev", "-P", "-m", "rag.cli"]}
HERE = Path(__file__).parents[1]
Told = dict[str, Any]  # of one try: name, problems, lost, outcome, megabytes


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    make_pristine(base)
    flips = 8 if few else 1000
    kinds = {
        "bytes": ("stranger: bytes of index.db", flips),
        "vectors": ("stranger: bytes of the vector file", flips),
        "fitted": ("stranger: vector file and its hash", flips),
        "feedback": ("stranger: bytes of feedback.db", flips // 4),
        "crafted": ("stranger: index.db crafted", len(CRAFTED)),
        "planted": ("stranger: files planted", len(PLANTED)),
    }
    step = {"crafted": 12, "planted": 12} if few else {}
    tries = [(kind, number) for kind, (_, most) in kinds.items() for number in range(0, most, step.get(kind, 1))]
    rows = {kind: Row(fault) for kind, (fault, _) in kinds.items()}
    outcomes = {kind: Counter[str]() for kind in kinds}
    most = dict.fromkeys(kinds, 0)
    for kind, told in tried(base, tries, chance.randrange(2**31)):
        rows[kind].check(told["name"], *told["problems"], lost=told["lost"])
        outcomes[kind][told["outcome"]] += 1
        most[kind] = max(most[kind], told["megabytes"])
    for kind, row in rows.items():
        counted = ", ".join(f"{n} {what}" for what, n in sorted(outcomes[kind].items()))
        row.figures = f"{counted}; {most[kind]} MB more at most"
    return [*rows.values(), _worked_in(base / "worked in", base / "pristine", few=few)]


def _worked_in(base: Path, pristine: Path, *, few: bool) -> Row:
    """Somebody asks from inside a folder that a stranger handed over: no code that lies there runs."""
    row = Row("stranger: code where one works")
    for way in islice(WAYS, 1 if few else None):
        for where in ("index", "docs"):
            work = base / way / where
            canary = Canary(work / "outside")
            shutil.copytree(pristine, work, dirs_exist_ok=True)
            (work / "docs" / "b.html").write_text("<p>What is parsed in a process of its own.</p>")
            CODE(work / where, canary.folder)
            done = asked_from(work / where, WAYS[way], settings(work))
            problem = None if HERONS_NAME in done.stdout else f"no answer: {done.stderr:.500}"
            row.check(f"{way}, in {where}", problem, lost=canary.problems())
    return row


def asked_from(folder: Path, way: Sequence[str], settings: Settings) -> subprocess.CompletedProcess[str]:
    """The command line asks about the heron; `way` is how Python is told to start it."""
    script = settings.index_dir.parent / "rag"
    script.write_text(SCRIPT)
    command = [sys.executable, *(part.replace("SCRIPT", str(script)) for part in way)]
    command += ["--documents", str(settings.documents), "--index-dir", str(settings.index_dir), "--llm", "none"]
    given = {"RAG_PASSAGE_WORDS": str(settings.passage_words), "RAG_REFUSE_BELOW": str(settings.refuse_below)}
    environment = {**os.environ, **given, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}
    return subprocess.run([*command, "ask", HERON], cwd=folder, env=environment, capture_output=True, text=True)


def tried(base: Path, tries: Sequence[tuple[str, int]], seed: int) -> Iterator[tuple[str, Told]]:
    """What came of each. One process after the other: one that ends or hangs takes only its own try with it."""
    left = list(tries)
    while left:
        for told in _process(base, left[:_TOGETHER], seed):
            yield left.pop(0)[0], told


def _process(base: Path, tries: Sequence[tuple[str, int]], seed: int) -> Iterator[Told]:
    """What came of each try, up to the one that ended the process."""
    results = base / "results"
    results.write_text("")
    arguments = [str(base), str(seed), json.dumps(tries)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)]), "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen([sys.executable, "-m", "hardness.strangers", *arguments], env=environment, cwd=HERE.parent)
    done, last, ended = 0, time.monotonic(), False
    while not ended:
        ended = child.poll() is not None
        for line in islice(results.read_text().splitlines(), done, None):
            done, last = done + 1, time.monotonic()
            yield json.loads(line)
        if time.monotonic() - last > HANG_SECONDS and not ended:
            child.kill()
        time.sleep(0.02)
    if done < len(tries):
        kind, number = tries[done]
        why = f"the process ended with {child.returncode}, or hung for {HANG_SECONDS} s"
        yield {"name": f"{kind} {number}", "problems": [why], "lost": [], "outcome": "fatal", "megabytes": 0}


# -- in a process of its own -------------------------------------------------------------------------------------------


def main(base: Path, seed: int, tries: Sequence[tuple[str, int]]) -> None:
    rag.database.LOCK_WAIT_S, rag.database.BUSY_WAIT_S = 0.05, 3.0
    logging.disable()
    trials = Trials(base)
    problems = trials.problems("as it was", lambda index, outside: None)
    assert trials.outcome == "right", (trials.outcome, trials.said)
    assert not problems, problems
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + _RUNAWAY_BYTES,) * 2)
    with (base / "results").open("a") as results:
        for kind, number in tries:
            trials.cells, trials.heals = kind == "fitted", kind == "vectors"
            name, craft = craft_of(kind, number, seed)
            memory = Peak()
            problems = trials.problems(name, craft)
            more = round(memory.grown())
            if more > MOST_MEGABYTES:
                problems.append(f"it took {more} MB more")
            told = {
                "name": name,
                "problems": problems,
                "lost": trials.lost,
                "outcome": trials.outcome,
                "megabytes": more,
            }
            results.write(json.dumps(told) + "\n")
            results.flush()


def craft_of(kind: str, number: int, seed: int) -> tuple[str, Craft]:
    """The try of this number: what it is called, and what does it."""
    if kind in ("crafted", "planted"):
        return list((CRAFTED if kind == "crafted" else PLANTED).items())[number]
    chance = random.Random(f"{kind} {number} {seed}")
    return f"{kind} {number}", lambda index, outside: _mutated(kind, chance, index, outside)


def _mutated(kind: str, chance: random.Random, index: Path, outside: Path) -> None:
    """Bytes changed at random: some of them in what the file says about itself, some ends lost."""
    name = {"bytes": "index.db", "feedback": "feedback.db"}.get(kind, "vectors-*.faiss")
    (path,) = index.glob(name)
    data = bytearray(path.read_bytes())
    head = 200 if "vectors" in name else 100
    match chance.randrange(8):
        case 0:
            data = data[: chance.randrange(len(data))]
        case 1:  # what the file says of itself
            data[chance.randrange(head)] = chance.randrange(256)
        case 2:  # a giant size, somewhere in the head
            at = chance.randrange(head - 8)
            data[at : at + 8] = chance.choice([b"\xff" * 8, b"\0\0\0\0\0\x01\0\0", b"\x7f" + b"\xff" * 7])
        case 3 if name.endswith(".db"):  # the head of a page of the tree
            page = 8192 if kind == "bytes" else 4096
            at = page * chance.randrange(max(1, len(data) // page)) + chance.randrange(120)
            data[at % len(data)] ^= chance.randrange(1, 256)
        case 4:  # a piece from elsewhere
            at, source, size = chance.randrange(len(data)), chance.randrange(len(data)), chance.randrange(1, 4096)
            piece = data[source : source + size]
            data[at : at + len(piece)] = piece
        case _:
            for _ in range(chance.choice([1, 1, 2, 5, 40])):
                data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
    path.write_bytes(data)
    if kind == "fitted":
        fitted(index, outside)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def make_pristine(base: Path) -> None:
    """Documents of some kinds, their index, an upload, and what somebody said about an answer."""
    docs = base / "pristine" / "docs"
    docs.mkdir(parents=True)
    pond = "\n\n".join(f"The pond number {n} lies behind the mill and has {n + 3} lilies on it." for n in range(150))
    (docs / "heron.txt").write_text("The heron of the pond is called Edda.\n", encoding="utf-8")
    (docs / "ponds.txt").write_text(f"{pond}\n", encoding="utf-8")
    (docs / "storks.md").write_text("# Störche 🦢\n\nSeven storks nest on the tower. They feed on frogs.\n")
    lines = ({"id": f"newt{n}", "text": f"The newt {n} of the ditch is called Pia {n}."} for n in range(12))
    (docs / "newts.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    owl = base / "owl"
    owl.write_text("The owl of the tower is called Brunhilde. The sexton feeds it.\n", encoding="utf-8")
    with Assistant.open(settings(base / "pristine")) as assistant:
        assistant.upload("owl.txt", owl)
        Feedback(assistant.settings.index_dir).add(assistant.ask(HERON), "up", "a note")
        for file in assistant.settings.index_dir.glob("vectors-*"):
            file.unlink()  # one of before the upload
        assistant._store.snapshot()
    with sqlite3.connect(base / "pristine" / "index" / "index.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def settings(base: Path) -> Settings:
    return Settings(documents=base / "docs", index_dir=base / "index", llm="none", refuse_below=0, passage_words=40)


class Trials:
    """Takes the folder as it was, does something to it, and lives with it."""

    def __init__(self, base: Path) -> None:
        self._pristine = base / "pristine"
        self._work = base / "work"
        shutil.rmtree(self._work, ignore_errors=True)
        self._canary = Canary(self._work / "outside")
        self._watch = Watch([self._canary.folder], [self._work / "index", self._work / "docs", Path(os.devnull)])
        self._disk = {path.name: path.read_text("utf-8") for path in (self._pristine / "docs").glob("*.*")}
        lines = map(json.loads, self._disk.pop("newts.jsonl").splitlines())
        self._disk |= {line["id"]: line["text"] for line in lines}
        self.heals, self._found = True, list[list[Hit]]()
        self.cells, self._usual = False, rag.nearest.APPROXIMATE_ABOVE
        self.outcome, self.said, self.lost = "", "", list[str]()

    def problems(self, name: str, craft: Craft) -> list[str]:
        """What was wrong with what came; `outcome` is "right", or "named" where at some point a line told of damage."""
        for part in ("index", "docs"):
            shutil.rmtree(self._work / part, ignore_errors=True)
            shutil.copytree(self._pristine / part, self._work / part)
        rag.nearest.APPROXIMATE_ABOVE = _CELLS_ABOVE if self.cells else self._usual
        if self.cells:
            self._with_cells()
        craft(self._work / "index", self._canary.folder)
        self._canary.forget()
        self.outcome, self.said, self.lost = "right", "", []
        here = Path.cwd()
        os.chdir(self._work / "index")
        with self._watch:
            problems = [why for step in (self._read_only, self._used, self._judged) for why in self._tried(step)]
            if "rag rebuild" in self.said:
                problems += self._tried(self._rebuilt)
        os.chdir(here)
        self.lost += [*self._watch.taken(), *self._canary.problems()]
        self.lost = [f"{name}: {what}" for what in dict.fromkeys(self.lost)]
        return problems

    def _with_cells(self) -> None:
        """The vector file of a large index."""
        for file in (self._work / "index").glob("vectors-*"):
            file.unlink()
        with Assistant.open(settings(self._work)) as assistant:
            assistant._store.snapshot()

    def _tried(self, step: Callable[[], list[str]]) -> list[str]:
        try:
            return step()
        except RagError as error:
            self.outcome, self.said = "named", self.said + str(error)
            fine = "\n" not in str(error) and ";" in str(error) and len(str(error)) < 600
            return [] if fine else [f"not a plain line with its cure: {error}"]
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-3:]
            trace = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(where))
            return [f"not one of our errors: {type(error).__name__}: {error!s:.200} ({trace})"]

    def _read_only(self) -> list[str]:
        """While somebody else writes, what is stored is served as it is."""
        if not (self._work / "index" / "write.lock").is_file() or (self._work / "index" / "write.lock").is_symlink():
            return []
        with _locked(self._work / "index" / "write.lock"), Assistant.open(settings(self._work)) as assistant:
            return self._asked(assistant, {})

    def _used(self) -> list[str]:
        with Assistant.open(settings(self._work)) as assistant:
            problems = self._asked(assistant, self._disk)
            problems += self._not_healed(assistant) if self.heals else []
            assistant.ingest([self._work / "docs"])
            assistant.stamp()
            assistant.listing()
            problems += [*self._asked(assistant, self._disk), *self._all_there(assistant)]
            for document in assistant.documents():
                if document.root == ROOT:
                    assistant.put_back(assistant.take_out(document.id))
            assistant._store.snapshot()
            assistant._store.verify()
        return problems

    def _not_healed(self, assistant: Assistant) -> list[str]:
        """A vector file that is not the one which was stored is made again, and a search finds what it found before."""
        (whole,) = (self._pristine / "index").glob("vectors-*")
        found = [assistant.search(question, 5, mode="dense") for question in QUESTIONS]
        self._found = self._found or found
        assistant._store.snapshot()
        problems = [] if found == self._found else ["a search finds something else"]
        files = (self._work / "index").glob("vectors-*")  # under the number of the state that they are of
        if [file.read_bytes() for file in files] != [whole.read_bytes()]:
            problems.append("the vector file was not healed")
        return problems

    def _judged(self) -> list[str]:
        kept = Feedback(self._work / "index")
        kept.add(Answer("q", "q", "a", "refused", refused=True), "down")
        return [] if any(judgement.question == "q" for judgement in kept.judgements()) else ["a verdict is not kept"]

    def _rebuilt(self) -> list[str]:
        Assistant.rebuild(settings(self._work))
        with Assistant.open(settings(self._work)) as assistant:
            return [*self._asked(assistant, self._disk), *self._all_there(assistant)]

    def _all_there(self, assistant: Assistant) -> list[str]:
        """After an ingest, whatever was done to the index: each document of the folder is there, and is found."""
        missing = self._disk.keys() - {document.source for document in assistant.documents()}
        answer = assistant.ask(HERON)
        found = not answer.refused and any(HERONS_NAME in citation.quote for citation in answer.citations)
        problems = [f"gone without a word: {sorted(missing)}"] if missing else []
        return problems if found else [*problems, f"the heron is not found any more: {answer.text:.200}"]

    def _asked(self, assistant: Assistant, disk: dict[str, str]) -> list[str]:
        """What is shown, against the text that is stored and against the file that it is of, if there is one."""
        problems = []
        texts = {document.id: assistant.document(document.id) for document in assistant.documents()}
        for question in QUESTIONS:
            answer = assistant.ask(question)
            hits = assistant.search(question, 5)
            for citation in answer.citations:
                problems += _not_there(citation.passage, citation.start, citation.end, citation.quote, texts, disk)
            for passage in (*answer.nearest, *answer.passages, *map(_passage, hits)):
                problems += _not_there(passage, passage.start, passage.end, passage.text, texts, disk)
            told = f"{answer.to_dict()} {hits}"
            self.lost += ["the secret was quoted"] if SECRET.split()[2] in told else []
        for document in texts.values() if disk else ():
            if (
                document.source in disk
                and document.root.startswith("./docs")
                and document.text != disk[document.source]
            ):
                problems.append(f"{document.source} is shown with another text than its file has")
        return problems


def _not_there(
    passage: Passage, start: int, end: int, words: str, texts: dict[int, Document], disk: dict[str, str]
) -> list[str]:
    document = texts.get(passage.document_id)
    if document is None or document.text[start:end] != words:
        return [f"passage {passage.id} is not what its document says"]
    if document.root.startswith("./docs") and document.source in disk and disk[document.source][start:end] != words:
        return [f"passage {passage.id} is not what the file of its document says"]
    return []


def _passage(hit: Hit) -> Passage:
    return hit.passage


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """As another process holds it."""
    with path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
