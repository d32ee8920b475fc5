"""What Ray brings on this machine: the same ingest by this process and on a Ray of its own, in turns.

    python -m eval.performance.clusters DOCUMENTS.jsonl [--documents 1500] [--rounds 3]

Both embed on all cores there are, so on one machine nothing is to be gained but what one process leaves idle; a second
machine is what would make it faster. Starting Ray is timed apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import rag

from .figures import turns

_WAYS = {"one process": None, "Ray": "local"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents_file", type=Path, metavar="DOCUMENTS.jsonl")
    parser.add_argument("--documents", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args(arguments)
    taken: dict[str, list[float]] = {way: [] for way in _WAYS}
    starts: list[float] = []
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as name:
        folder = Path(name)
        collection = folder / "documents.jsonl"
        with chosen.documents_file.open(encoding="utf-8") as lines:
            collection.write_text("".join(islice(lines, chosen.documents)), encoding="utf-8")
        first = folder / "first"
        first.mkdir()
        (first / "first.txt").write_text("The first document starts what has to be started.", encoding="utf-8")
        for number in range(chosen.rounds):
            for way in turns(list(_WAYS), number):
                settings = rag.Settings(documents=first, index_dir=folder / f"{way} {number}", llm="none")
                began = time.perf_counter()
                with rag.Assistant.open(settings, ray=_WAYS[way]) as assistant:
                    ready = time.perf_counter()
                    report = assistant.ingest([collection])
                    taken[way].append(time.perf_counter() - ready)
                    _, passages = assistant.count()
                if _WAYS[way]:
                    starts.append(ready - began)
                print(f"round {number + 1}, {way}: {taken[way][-1]:.1f} s for {passages:,} passages", flush=True)
                assert len(report.added) == chosen.documents, "not all of them were added"
    ratios = [one / ray for one, ray in zip(taken["one process"], taken["Ray"], strict=True)]
    print(f"{os.cpu_count()} cores, load before {load:.1f}; medians of {chosen.rounds} rounds (least–most)")
    for way, seconds in taken.items():
        print(f"{way}: {_spread(seconds)} s")
    print(f"Ray is {_spread(ratios)} times as fast; it and its first document took {_spread(starts)} s before that")


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


if __name__ == "__main__":
    main()
