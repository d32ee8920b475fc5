"""How fast we are, measured beside what people would use instead: in one run, on the same work, in turns.

    python -m eval.performance DOCUMENTS.jsonl QUESTIONS.jsonl [--documents 600] [--rounds 3]

On a shared machine the seconds mean little; a ratio is taken between values of one round, minutes apart at most. Prints
tables, and writes report.json, report.md and report.svg.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from . import growth, report, works
from .driver import Environments
from .figures import Book
from .works import Bench

PARTS = ("install", "import", "cold", "ingest", "search", "ask", "growth")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents_file", type=Path, metavar="DOCUMENTS.jsonl")
    parser.add_argument("questions_file", type=Path, metavar="QUESTIONS.jsonl")
    parser.add_argument("--documents", type=int, default=600, help="how many documents (0: all)")
    parser.add_argument("--questions", type=int, default=150, help="how many questions are searched for")
    parser.add_argument("--asked", type=int, default=12, help="how many of them are answered")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--grow", type=int, action="append", help="passages of a made index (1000, 10000, 100000)")
    parser.add_argument("--full", action="store_true", help="all documents, and a million passages: hours")
    parser.add_argument("--only", action="append", choices=PARTS, help="some parts")
    parser.add_argument("--system", action="append", default=[], help="some systems, by name")
    parser.add_argument("--venvs", type=Path, default=Path("~/.cache/rag-bench").expanduser(), help="kept")
    parser.add_argument("--alone", action="store_true", help="peers share no package with us: gigabytes each")
    parser.add_argument("--report", type=Path, default=Path("eval/report/performance"))
    chosen = parser.parse_args(arguments)
    parts = chosen.only or PARTS
    count = 0 if chosen.full else chosen.documents
    lines, questions = works.sample(chosen.documents_file, chosen.questions_file, count, chosen.questions)
    began = time.monotonic()
    book = Book()
    load = os.getloadavg()[0]  # of others: on a busy machine two threads of one process wait for each other
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as name:
        bench = Bench(
            Path(name),
            Environments(chosen.venvs, alone=chosen.alone),
            works.all_systems(chosen.system),
            chosen.rounds,
            book,
            lines,
            questions,
        )
        if "install" in parts:
            works.installed(bench)
        if "import" in parts:
            works.imported(bench)
        if "cold" in parts:
            works.cold(bench)
        if {"ingest", "search", "ask"} & set(parts):
            indexes = works.ingested(bench)
            if "search" in parts:
                works.searched(bench, indexes)
            if "ask" in parts:
                with works.llm(bench):
                    works.asked(bench, indexes, chosen.asked)
        if "growth" in parts:
            everything, _ = works.sample(chosen.documents_file, chosen.questions_file, 0, 0)
            sizes = chosen.grow or [1_000, 10_000, 100_000, *([1_000_000] if chosen.full else [])]
            growth.grown(bench, everything, sizes)
    about = {
        "documents": len(lines),
        "questions": len(questions),
        "rounds": chosen.rounds,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load before": round(load, 1),
        "minutes": round((time.monotonic() - began) / 60, 1),
    }
    print(report.write(book, about, chosen.report))


if __name__ == "__main__":
    main()
