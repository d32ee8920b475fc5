"""Fit the confidence model of rag/confidence.py; prints the line to put there, and how well it separates.

    python -m eval.fit_confidence QUESTIONS:DOCUMENTS[:LIMIT] … [--reader FILE:FOLD] …

Each argument is a set: questions in the schema of eval/README.md (`exclude` hides documents) and the
documents they are about. Of a collection with titles only the questions count that are about titles
which the reader never saw: a fifth for the packaged one, and a fifth more for each `--reader` that
`eval.reader.train --without FOLD` made (stacking: what a model says of what it learnt by heart tells
nothing). Every set counts the same, and within a set answerable and unanswerable questions do. Signs
are held to what a feature means (more coverage never speaks against an answer), so that the habits of
one set's authors are not learnt. This script looks inside rag/ because it makes a part of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy.optimize import brentq, minimize

import rag.reading as reading
from rag import Assistant, Settings
from rag.confidence import Features

from .metrics import auroc
from .reader.examples import KEPT_FOLD, held_out

# Least and largest coefficient of each feature.
_SIGNS: dict[str, tuple[float | None, float | None]] = dict.fromkeys(Features._fields, (0, None)) | {
    "asks_for_type": (None, 0),
    "topical": (None, None),
}
_RIDGE = 1e-3
_FALSE_REFUSALS = 0.04  # of the answerable questions: on others it may be a little more, and should stay under .05


def features_of(questions: list[dict[str, Any]], assistant: Assistant) -> np.ndarray:
    """`[n, len(Features)]`."""
    return np.array(
        [
            assistant.features(q["question"], history=q.get("history", ()), exclude=q.get("exclude", ()))
            for q in questions
        ]
    )


def unseen_by_reader(question: dict[str, Any], assistant: Assistant, without: int = KEPT_FOLD) -> bool:
    """Whether it is about a title of the fold that the reader was trained without; only collections were seen.

    What no reader saw is the packaged one's to read.
    """
    gold = {e["document"] for e in question["evidence"]}
    hits = assistant.search(question["question"], 20, mode="dense", exclude=question.get("exclude", ()))
    if not hits:
        return without == KEPT_FOLD  # about nothing that is there
    about = next((hit.passage for hit in hits if hit.passage.source in gold), hits[0].passage)
    in_collection = Path(assistant.document(about.document_id).root).suffix == ".jsonl"
    return held_out(about.title, without) if in_collection else without == KEPT_FOLD


def fit(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, Features]:
    """Weighted logistic regression with a small ridge, within the bounds of `_SIGNS`."""

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        logits = x @ parameters[1:] + parameters[0]
        losses = np.logaddexp(0, -np.where(y, logits, -logits))
        slope = weights * (1 / (1 + np.exp(-logits)) - y)
        gradient = np.concatenate([[slope.sum()], x.T @ slope + 2 * _RIDGE * parameters[1:]])
        return float(weights @ losses + _RIDGE * (parameters[1:] ** 2).sum()), gradient

    bounds = [(None, None), *(_SIGNS[name] for name in Features._fields)]
    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    return float(found.x[0]), Features(*map(float, found.x[1:]))


def at_operating_point(x: np.ndarray, y: np.ndarray, bias: float, c: Features) -> tuple[float, Features]:
    """Move ½ to where `_FALSE_REFUSALS` of the answerable questions fall below it, in both kinds of collections.

    The bias does it where the documents are about everything, the coefficient of `topical` where they are about one
    thing.
    """
    logits, t = x @ np.array(c) + bias, x[:, Features._fields.index("topical")]
    low, high = y & (t < 0.5), y & (t >= 0.5)
    down = float(np.quantile(logits[low], _FALSE_REFUSALS))
    slope = brentq(lambda s: float(np.quantile(logits[high] - down + s * t[high], _FALSE_REFUSALS)), -50, 50)
    return bias - down, c._replace(topical=c.topical + slope)


def measured(
    questions_file: Path, documents: Path, limit: int | None, readers: Mapping[int, Path]
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The questions of a set that some reader never saw, and their features `[n, len(Features)]` by that reader."""
    data = questions_file.read_text(encoding="utf-8")
    questions = [q for q in map(json.loads, data.splitlines()) if "answerable" in q]
    random.Random(0).shuffle(questions)
    questions = questions[:limit]
    digest = hashlib.sha256(data.encode()).hexdigest()[:12]
    print(f"# {questions_file.name} sha256 {digest}, {len(questions)} questions", flush=True)
    asked, seen = [], []
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(documents=documents, index_dir=Path(folder), llm="none")
        for fold, weights in readers.items():
            with patch.object(reading, "WEIGHTS", weights), Assistant.open(settings) as assistant:
                mine = [q for q in questions if unseen_by_reader(q, assistant, fold)]
                if mine:
                    asked += mine
                    seen.append(features_of(mine, assistant))
    print(f"#   {len(asked)} of them that a reader has not seen", flush=True)
    return asked, np.vstack(seen)


def main() -> None:
    """See the module's own words."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sets", nargs="+", metavar="QUESTIONS:DOCUMENTS[:LIMIT]")
    options.add_argument("--reader", action="append", default=[], metavar="FILE:FOLD", help="one more reader")
    chosen = options.parse_args()
    further = (argument.rsplit(":", 1) for argument in chosen.reader)
    readers = {KEPT_FOLD: reading.WEIGHTS} | {int(fold): Path(file) for file, fold in further}
    sets = []
    for argument in chosen.sets:
        questions_file, documents, *limit = argument.split(":")
        questions, x = measured(Path(questions_file), Path(documents), int(limit[0]) if limit else None, readers)
        sets.append((questions_file, questions, x, np.array([q["answerable"] for q in questions])))
    x = np.vstack([s[2] for s in sets])
    y = np.concatenate([s[3] for s in sets])
    weights = np.concatenate([np.where(a, 0.5 / a.sum(), 0.5 / (~a).sum()) for *_, a in sets]) / len(sets)
    bias, coefficients = fit(x, y, weights)
    bias, coefficients = at_operating_point(x, y, bias, coefficients)
    logits = [s[2] @ np.array(coefficients) + bias for s in sets]
    print(f"_BIAS = {bias:.3f}")
    print("_COEFFICIENTS = Features(" + ", ".join(f"{n}={c:.2f}" for n, c in coefficients._asdict().items()) + ")")
    for z, (name, questions, _, answerable) in zip(logits, sets, strict=True):
        refused = z < 0
        print(f"# {Path(name).name}: AUROC {auroc(z, answerable.astype(float)):.3f}; refused:")
        print(f"#   answerable: {refused[answerable].mean():.3f} of {answerable.sum()}")
        kinds = np.array([q["kind"] for q in questions])
        for kind in sorted(set(kinds[~answerable])):
            print(f"#   {kind}: {refused[kinds == kind].mean():.3f} of {(kinds == kind).sum()}")


if __name__ == "__main__":
    main()
