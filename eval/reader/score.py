"""How well the shipped reader reads what it was not trained on.

    python -m eval.reader.score WIKI_FOLDER

For the questions about titles that were kept from it: token F1 of the likeliest words in the passage with
the answer, and how well it tells that passage from those that a search finds beside it.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np

from rag import Passage
from rag.reading import Reader, open_reader
from rag.settings import PACKAGED_EMBEDDER
from rag.types import Span

from ..metrics import auroc, token_f1
from .examples import Example, asked, held_out
from .train import alike, lines, searching, title_of


def main(wiki: Path) -> None:
    """Print the figures."""
    documents = {document["id"]: document for document in lines(wiki / "documents.jsonl")}
    questions = [q for q in lines(wiki / "questions.jsonl") if q["kind"] == "fact"]
    with searching(wiki / "documents.jsonl") as assistant:
        found = {q["question"]: alike(assistant, q) for q in questions}
    unseen = [q for q in questions if held_out(title_of(q, documents, found[q["question"]]))]
    groups = asked(unseen, documents, lambda question, _: found[question], random.Random(0))
    reader = open_reader(PACKAGED_EMBEDDER)
    assert reader is not None
    examples = [example for group in groups for example in group]
    logits, words = zip(*(_read(reader, i, example) for i, example in enumerate(examples)), strict=True)
    answers = np.array([float(example.answer is not None) for example in examples])
    f1 = [
        token_f1(said, [[example.text[slice(*example.answer)]]])
        for said, example in zip(words, examples, strict=True)
        if example.answer
    ]
    print(f"{len(unseen)} questions, {len(examples)} passages")
    print(f"token F1 in the passage that answers: {np.mean(f1):.3f}")
    print(f"AUROC, passages that answer against others: {auroc(np.array(logits), answers):.3f}")


def _read(reader: Reader, number: int, example: Example) -> tuple[float, str]:
    """(log-odds that the passage answers, its likeliest answer)."""
    passage = Passage(number, number, "", example.title, 0, len(example.text), example.text)
    (reading,) = reader.read(example.question, [passage])
    best = reading.best(Span(0, len(example.text)))
    return reading.logit, example.text[best.start : best.end] if best else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
