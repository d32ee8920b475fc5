"""Fit the confidence model of rag/confidence.py; prints the line to put there, and how well it separates.

    python -m eval.fit_confidence QUESTIONS:DOCUMENTS[:LIMIT] …

Each argument is a set: questions in the schema of eval/README.md (`exclude` hides documents) and the
documents they are about. Every set counts the same, and within a set answerable and unanswerable
questions do. Signs are held to what a feature means (more coverage never speaks against an answer),
so that the habits of one set's authors are not learnt. This script looks inside rag/ because it makes
a part of it.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from rag import Assistant, Settings
from rag.confidence import Features

from .metrics import auroc

# Least and largest coefficient of each feature.
_SIGNS = Features(
    sentence_cosine=(0, None),  # type: ignore[arg-type]
    passage_cosine=(0, None),  # type: ignore[arg-type]
    numbers=(0, None),  # type: ignore[arg-type]
    answer_type=(0, None),  # type: ignore[arg-type]
    asked_for=(0, None),  # type: ignore[arg-type]
    asks_for_type=(None, 0),  # type: ignore[arg-type]
)
_RIDGE = 1e-3
_FALSE_REFUSALS = 0.10  # of no set may more answerable questions be refused


def features_of(questions: list[dict[str, Any]], assistant: Assistant) -> np.ndarray:
    """`[n, len(Features)]`."""
    return np.array(
        [
            assistant.features(q["question"], history=q.get("history", ()), exclude=q.get("exclude", ()))
            for q in questions
        ]
    )


def fit(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, Features]:
    """Weighted logistic regression with a small ridge, within the bounds of `_SIGNS`."""

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        logits = x @ parameters[1:] + parameters[0]
        losses = np.logaddexp(0, -np.where(y, logits, -logits))
        slope = weights * (1 / (1 + np.exp(-logits)) - y)
        gradient = np.concatenate([[slope.sum()], x.T @ slope + 2 * _RIDGE * parameters[1:]])
        return float(weights @ losses + _RIDGE * (parameters[1:] ** 2).sum()), gradient

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", bounds=[(None, None), *_SIGNS])
    return float(found.x[0]), Features(*map(float, found.x[1:]))


def main(arguments: list[str]) -> None:
    sets = []
    for argument in arguments:
        questions_file, documents, *limit = argument.split(":")
        data = Path(questions_file).read_text(encoding="utf-8")
        questions = [json.loads(line) for line in data.splitlines()]
        questions = [q for q in questions if "answerable" in q]
        random.Random(0).shuffle(questions)
        questions = questions[: int(limit[0]) if limit else None]
        digest = hashlib.sha256(data.encode()).hexdigest()[:12]
        print(f"# {Path(questions_file).name} sha256 {digest}, {len(questions)} questions", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(documents=Path(documents), index_dir=Path(folder), llm="none")
            with Assistant.open(settings) as assistant:
                x = features_of(questions, assistant)
        sets.append((questions_file, questions, x, np.array([q["answerable"] for q in questions])))
    x = np.vstack([s[2] for s in sets])
    y = np.concatenate([s[3] for s in sets])
    weights = np.concatenate([np.where(a, 0.5 / a.sum(), 0.5 / (~a).sum()) for *_, a in sets]) / len(sets)
    bias, coefficients = fit(x, y, weights)
    # Put the operating point at ½: the set that would lose most answers decides.
    logits = [s[2] @ np.array(coefficients) + bias for s in sets]
    shift = min(float(np.quantile(z[s[3]], _FALSE_REFUSALS)) for z, s in zip(logits, sets, strict=True))
    print(f"_BIAS = {bias - shift:.3f}")
    print("_COEFFICIENTS = Features(" + ", ".join(f"{n}={c:.2f}" for n, c in coefficients._asdict().items()) + ")")
    for z, (name, questions, _, answerable) in zip(logits, sets, strict=True):
        refused = z < shift
        print(f"# {Path(name).name}: AUROC {auroc(z, answerable.astype(float)):.3f}; refused:")
        kinds = np.array([q["kind"] for q in questions])
        for kind in sorted(set(kinds)):
            print(f"#   {kind}: {refused[kinds == kind].mean():.3f} of {(kinds == kind).sum()}")


if __name__ == "__main__":
    main(sys.argv[1:])
