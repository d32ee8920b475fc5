"""The works that systems are measured at. Each part puts its values into the book, a round at a time, in turns."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import rag
from eval import metrics

from . import sizes
from .driver import HAIKU, LIMITS, OURS, PEERS, RAW, ROOT, STORE, UNREAD, Environments, Peer, Worker, disk, output_of
from .figures import Book, turns
from .peers.protocol import Line, NotMeasured

K = 5
SEEDS_QUESTION, SEEDS_ANSWER = "Who is the head of the Counter-Terrorism Service?", "Abdel Wahab Al-Saadi"
LLM = "SmolLM2-135M-Instruct"
MODES = {"dense": " dense", "hybrid": ""}


@dataclass
class Bench:
    """What a run has: where it works, what is asked for, and the book."""

    folder: Path
    environments: Environments
    systems: Sequence[Peer]
    rounds: int
    book: Book
    lines: Sequence[Line]
    questions: Sequence[Mapping[str, Any]]
    endpoint: str = ""

    @property
    def asked(self) -> list[str]:
        return [str(question["question"]) for question in self.questions]

    def in_turns(self, systems: Sequence[Peer] | None = None) -> Iterator[tuple[int, Peer]]:
        """Each system in each round, with the round's number."""
        there = {peer.name: peer for peer in systems or self.systems}
        for number in range(self.rounds):
            for name in turns(list(there), number):
                yield number, there[name]

    @contextmanager
    def missing(self, peer: Peer | str, *works: str) -> Iterator[None]:
        """What a system cannot do is said, and the run goes on."""
        try:
            yield
        except (NotMeasured, subprocess.TimeoutExpired) as error:
            for work in works:
                self.book.miss(work, peer if isinstance(peer, str) else peer.name, str(error))

    def start(self, peer: Peer) -> Worker:
        """Raises NotMeasured when it cannot be installed."""
        return Worker(peer, self.environments.python(peer), self.folder / "logs")


def tell(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


# -- the work ----------------------------------------------------------------------------------------------------------


def sample(documents: Path, questions: Path, count: int, asked: int) -> tuple[list[Line], list[dict[str, Any]]]:
    """`count` documents (0: all) and `asked` questions that they answer; the same ones every time."""
    lines: list[Line] = [json.loads(line) for line in documents.read_text(encoding="utf-8").splitlines()]
    everything = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
    there = {line["id"] for line in lines}
    facts = [q for q in everything if q["answerable"] and q["answers"] and q["evidence"]]
    facts = [q for q in facts if {e["document"] for e in q["evidence"]} <= there]
    draw = random.Random(7)
    chosen = draw.sample(facts, min(asked, len(facts)))
    if not count or count >= len(lines):
        return lines, chosen
    needed: set[str] = set()
    kept = []
    for question in chosen:
        evidence = {e["document"] for e in question["evidence"]}
        if len(needed | evidence) <= count:
            needed |= evidence
            kept.append(question)
    others = draw.sample([line["id"] for line in lines if line["id"] not in needed], count - len(needed))
    needed |= set(others)
    return [line for line in lines if line["id"] in needed], kept


def write(lines: Sequence[Line], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


class Recorder:
    """An embedding that remembers what it was asked to embed: exactly the texts that our ingest embeds."""

    model_name = "recorder"

    def __init__(self) -> None:
        self.texts: list[str] = []

    def get_query_embedding(self, text: str) -> list[float]:
        return [1.0]

    def get_text_embedding_batch(self, texts: list[str]) -> list[list[float]]:
        self.texts += texts
        return [[1.0]] * len(texts)


def embedded_texts(documents: Path, folder: Path) -> list[str]:
    """The texts that our ingest of `documents` hands to its encoder."""
    recorder = Recorder()
    settings = rag.Settings(documents=documents, index_dir=folder / "recorded", llm="none")
    rag.Assistant.open(settings, embed_model=recorder).close()
    return recorder.texts


def _changed(line: Line) -> Line:
    return {**line, "text": line["text"] + " The gate of Kereva was painted green."}


# -- parts -------------------------------------------------------------------------------------------------------------


def installed(bench: Bench) -> None:
    """How much disk each takes, and whether it can be installed at all."""
    for peer in (*bench.systems, HAIKU):
        with bench.missing(peer, "install size", "install time"):
            python = bench.environments.python(peer)
            names = peer.requirements or ("rag-quoted",)
            _, out = output_of([python, str(Path(sizes.__file__)), *names])
            bench.book.note("install size", peer.name, json.loads(out)["bytes"] / 1e9, "GB")
            bench.book.note("install packages", peer.name, json.loads(out)["packages"], "")
        with bench.missing(peer, "install time"):
            bench.book.note("install time", peer.name, bench.environments.install_seconds(peer), "s")


def imported(bench: Bench) -> None:
    """How long an import takes, in a new process; files are in the system's cache."""
    tell("imports")
    for number, peer in bench.in_turns():
        code = f"import time; t = time.perf_counter(); {peer.imports}; print(time.perf_counter() - t)"
        with bench.missing(peer, "import"):
            python = bench.environments.python(peer)
            if number == 0:
                output_of([python, "-c", code])  # writes byte code
            _, out = output_of([python, "-c", code])
            bench.book.note("import", peer.name, float(out.splitlines()[-1]), "s")


def cold(bench: Bench) -> None:
    """From the start of a process to a correct answer over seeds/: `rag ask`, and the peers' best passages."""
    folder = bench.folder / "seeds"
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "seeds").glob("*.txt"))}
    seeds = write([{"id": name, "title": name, "text": text} for name, text in texts.items()], folder / "seeds.jsonl")
    commands: dict[str, list[str]] = {}
    variables = {"RAG_INDEX_DIR": str(folder / "ours"), "RAG_DOCUMENTS": str(ROOT / "seeds"), "RAG_LLM": "none"}
    for peer in bench.systems:
        tell(f"{peer.name} gets ready for a cold question")
        with bench.missing(peer, "cold ask"):
            python = bench.environments.python(peer)
            if peer == OURS:
                commands[peer.name] = [python, "-m", "rag.cli", "ask", SEEDS_QUESTION]
            else:
                index = folder / peer.module / "index"
                with bench.start(peer) as worker:
                    worker.do("prepare", index=index)
                    worker.do("ingest", documents=seeds)
                module = f"eval.performance.peers.{peer.module}"
                commands[peer.name] = [python, "-m", module, "cold", str(index), SEEDS_QUESTION]
            _, out = output_of(commands[peer.name], **variables)  # once before: it fills caches
            if SEEDS_ANSWER not in out:
                bench.book.miss("cold ask", peer.name, "its answer is wrong")
                del commands[peer.name]
    for _, peer in bench.in_turns([peer for peer in bench.systems if peer.name in commands]):
        with bench.missing(peer, "cold ask"):
            seconds, _ = output_of(commands[peer.name], **variables)
            bench.book.note("cold ask", peer.name, seconds, "s")


def ingested(bench: Bench) -> dict[str, Path]:
    """Ingest, nothing changed, one changed; beside the encoders alone. Where each system's last index is."""
    texts = bench.folder / "texts.json"
    documents = write(bench.lines, bench.folder / "documents.jsonl")
    texts.write_text(json.dumps(embedded_texts(documents, bench.folder)), encoding="utf-8")
    indexes: dict[str, Path] = {}
    for number, peer in bench.in_turns([*bench.systems, RAW, LIMITS]):
        tell(f"round {number + 1}: {peer.name} ingests")
        folder = bench.folder / f"round{number}" / peer.module
        with bench.missing(peer, "ingest"), bench.start(peer) as worker:
            if peer in (RAW, LIMITS):
                worker.do("prepare", index=folder / "index")
                name = "raw encode" if peer == RAW else "our encoder"
                bench.book.note("ingest", name, worker.do("ingest", documents=texts).seconds, "s")
            else:
                _ingested(bench, peer, worker, folder)
                indexes[peer.name] = folder
    return indexes


def _ingested(bench: Bench, peer: Peer, worker: Worker, folder: Path) -> None:
    book = bench.book
    copy = write(bench.lines, folder / "documents.jsonl")
    worker.do("prepare", index=folder / "index")
    reply = worker.do("ingest", documents=copy)
    book.note("ingest", peer.name, reply.seconds, "s")
    book.note("passages", peer.name, reply.result, "")
    book.note("peak memory of ingest", peer.name, reply.peak / 1e6, "MB")
    book.note("index on disk", peer.name, disk(folder / "index") / 1e6, "MB")
    with bench.missing(peer, "ingest again"):
        reply = worker.do("again", documents=copy)
        book.note("embedded again", peer.name, reply.result, "")
        _few(reply.result, bench)
        book.note("ingest again", peer.name, reply.seconds, "s")
    start = time.perf_counter()
    with bench.missing(peer, "ingest again, new process"), bench.start(peer) as another:
        another.do("resume", index=folder / "index")
        _few(another.do("again", documents=copy).result, bench)
        book.note("ingest again, new process", peer.name, time.perf_counter() - start, "s")
    with bench.missing(peer, "one changed"):
        middle = len(bench.lines) // 2
        changed = _changed(bench.lines[middle])
        write([*bench.lines[:middle], changed, *bench.lines[middle + 1 :]], copy)
        book.note("one changed", peer.name, worker.do("update", documents=copy, line=changed).seconds, "s")


def _few(embedded: int, bench: Bench) -> None:
    """LangChain embeds a passage or two again whose document fell between two of its batches; that is let pass."""
    if embedded > len(bench.lines) / 50:
        raise NotMeasured(f"it embedded {embedded} again")


def searched(bench: Bench, indexes: Mapping[str, Path]) -> None:
    """Open what was stored, in new processes, all alive together; then questions in turns; and the parts alone."""
    gold = [{e["document"] for e in question["evidence"]} for question in bench.questions]
    tell("questions in turns")
    with ExitStack() as alive:
        workers: dict[str, Worker] = {}
        for _, peer in bench.in_turns([peer for peer in bench.systems if peer.name in indexes]):
            with bench.missing(peer, "open"):
                worker = bench.start(peer)
                alive.callback(worker.close)
                opened = worker.do("open", index=indexes[peer.name] / "index")
                bench.book.note("open", peer.name, opened.seconds, "s")
                if peer.name in workers:
                    workers[peer.name].close()
                workers[peer.name] = worker
        limits = alive.enter_context(bench.start(LIMITS))
        limits.do("open", index=bench.folder / "documents.jsonl")
        limits.do("embed", questions=bench.asked)
        jobs: dict[str, tuple[Worker, str, str]] = {
            f"{name}{label}": (worker, mode, name)
            for name, worker in workers.items()
            for mode, label in (MODES.items() if name == OURS.name else [("dense", "")])
        }
        jobs |= {f"{mode} alone": (limits, mode, "") for mode in ("encode", "flat", "fts5")}
        if OURS.name in indexes:
            store = alive.enter_context(bench.start(STORE))
            store.do("open", index=indexes[OURS.name] / "index")
            jobs[UNREAD] = (store, "hybrid", "")
        with bench.missing(RAW, "search p50"):
            raw = alive.enter_context(bench.start(RAW))
            raw.do("prepare", index=bench.folder)
            jobs["raw encode"] = (raw, "encode", "")
        for name, (worker, mode, _) in list(jobs.items()):
            with bench.missing(name, "search p50"):
                worker.do("search", questions=bench.asked[:5], k=K, mode=mode)
                continue
            del jobs[name]
        for number in range(bench.rounds):
            for name in turns(list(jobs), number):
                worker, mode, system = jobs[name]
                with bench.missing(name, "search p50"):
                    reply = worker.do("search", questions=bench.asked, k=K, mode=mode)
                    _note_search(bench.book, name, reply.result, gold)
                    if name == system:
                        bench.book.note("peak memory of search", system, reply.peak / 1e6, "MB")


def _note_search(book: Book, name: str, results: Sequence[Mapping[str, Any]], gold: Sequence[set[str]]) -> None:
    p50, p95 = np.percentile([result["ms"] for result in results], [50, 95])
    book.note("search p50", name, float(p50), "ms")
    book.note("search p95", name, float(p95), "ms")
    if any(result["sources"] for result in results):
        rankings = [list(dict.fromkeys(result["sources"])) for result in results]
        scores = [metrics.recall(ranking, wanted, K) for ranking, wanted in zip(rankings, gold, strict=True)]
        book.note("R@5", name, statistics.mean(scores), "")


def asked(bench: Bench, indexes: Mapping[str, Path], count: int) -> None:
    """Whole answers, warm: quotes, and written by the same small model. All sit over the same documents."""
    questions = bench.questions[:count]
    ways = [("quoted", OURS, "none"), ("written", OURS, "embedded")]
    ways += [("written", peer, LLM) for peer in bench.systems if peer != OURS]
    with ExitStack() as alive:
        ready: dict[tuple[str, str], Worker] = {}
        for way, peer, llm in ways:
            if peer.name not in indexes:
                continue
            with bench.missing(peer, f"ask, {way}"):
                if peer != OURS and not bench.endpoint:
                    raise NotMeasured("no endpoint: the embedded model's weights are missing ('rag models pull')")
                worker = alive.enter_context(bench.start(peer))
                worker.do("open", index=indexes[peer.name] / "index")
                worker.do("serve_with", llm=llm, base_url=bench.endpoint)
                worker.do("answer", questions=[questions[0]["question"]])  # loads what is loaded late
                ready[way, peer.name] = worker
        for number in range(bench.rounds):
            mine = questions[number :: bench.rounds] or questions
            for way, name in turns(list(ready), number):
                tell(f"round {number + 1}: {name} answers, {way}")
                with bench.missing(name, f"ask, {way}"):
                    reply = ready[way, name].do("answer", questions=[q["question"] for q in mine])
                    _note_answers(bench.book, way, name, reply.result, mine)
                    bench.book.note(f"peak memory, {way}", name, reply.peak / 1e6, "MB")


def _note_answers(
    book: Book, way: str, name: str, answers: Sequence[Mapping[str, Any]], questions: Sequence[Mapping[str, Any]]
) -> None:
    book.note(f"ask, {way}", name, statistics.median(answer["total"] for answer in answers), "s")
    book.note(f"first sentence, {way}", name, statistics.median(answer["first"] for answer in answers), "s")
    scores = [
        metrics.contains(metrics.without_markers(answer["text"]), question["answers"])
        for answer, question in zip(answers, questions, strict=True)
    ]
    book.note(f"contains gold, {way}", name, statistics.mean(scores), "")


@contextmanager
def llm(bench: Bench) -> Iterator[None]:
    """The embedded model behind an endpoint for the peers, and how fast it is alone."""
    server = Peer("llama.cpp alone", "llm_server", "")
    with ExitStack() as alive:
        with bench.missing(server, "ask, written"):
            worker = alive.enter_context(bench.start(server))
            bench.endpoint = worker.do("start").result
            passages = "\n\n".join(line["text"] for line in bench.lines[:4])[:2000]
            worker.do("write", prompt="Hello.", max_tokens=4)
            for _ in range(bench.rounds):
                prompt = f"{passages}\n\nWrite a long summary of this."
                speeds = worker.do("write", prompt=prompt, max_tokens=64).result
                bench.book.note("llama.cpp: prompt", server.name, speeds["prompt"], "tokens/s")
                bench.book.note("llama.cpp: reply", server.name, speeds["reply"], "tokens/s")
        yield


def all_systems(names: Sequence[str]) -> list[Peer]:
    """Ours and the peers, or those of them that are named."""
    there = (OURS, *PEERS)
    return [peer for peer in there if not names or peer.name.casefold() in {name.casefold() for name in names}]
