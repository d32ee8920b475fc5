"""How well rag/grounding.py tells supported sentences from others.

    python -m eval.grounding QUESTIONS:DOCUMENTS[:LIMIT] …

A sentence that answers a question is changed by code (`changes.py`): in ways that keep what it says, and in ways that
do not. Each changed sentence is checked against its own passage and two more, one of the same article where there is
one, as the chain does it. Articles are split into a half for tuning and one for looking at afterwards. This script
looks inside rag/ because it makes a part of it.
"""

from __future__ import annotations

import json
import random
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rag import Settings
from rag.bert import FloatArray
from rag.embedding import Encoder, open_encoder
from rag.evidence import EvidenceFinder
from rag.grounding import Checker, Claim, Support
from rag.sentences import sentences
from rag.types import Passage
from rag.units import cut, units_of

from .changes import FALSE, RARE, TRUE, Source

_WORDS = range(6, 46)  # of a sentence that an answer could be made of
_SHOWN = 3
_ELSEWHERE = 40  # sentences to take foreign names and words from
_MOST_RARE = 60  # of one kind, from one set of documents
_AT_ONCE = 512  # texts for the encoder: likely of one length, as they are sorted


class Pair(NamedTuple):
    """A claim, the passages it was checked against, and whether they support it."""

    kind: str
    claim: str
    passages: tuple[Passage, ...]
    true: bool
    unseen: bool


class Remembering:
    """An encoder that encodes no text twice: the sweep asks for the same ones again and again."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, FloatArray] = {}
        self.name, self.dimension, self.weights = encoder.name, encoder.dimension, encoder.weights
        self.place = encoder.place

    def documents(self, texts: Sequence[str]) -> FloatArray:
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        new.sort(key=len)
        for start in range(0, len(new), _AT_ONCE):
            some = new[start : start + _AT_ONCE]
            self._known.update(zip(some, self._encoder.documents(some), strict=True))
        return np.array([self._known[text] for text in texts]).reshape(len(texts), self.dimension)

    def queries(self, texts: Sequence[str]) -> FloatArray:
        return self.documents(texts)


def pairs(questions: Iterable[dict[str, Any]], documents: Sequence[dict[str, Any]]) -> Iterator[Pair]:
    """Every change of one gold sentence for each question; deterministic."""
    by_id = {d["id"]: i for i, d in enumerate(documents)}
    by_title: dict[str, list[int]] = defaultdict(list)
    for i, document in enumerate(documents):
        by_title[document["title"]].append(i)
    used = set()
    for question in questions:
        chance = random.Random(question["id"])
        at, text = _gold(question, documents, by_id, chance)
        if not text or text in used:
            continue
        used.add(text)
        title = documents[at]["title"]
        siblings = [i for i in by_title[title] if i != at] if title else []
        chance.shuffle(siblings)
        strangers = [i for i in chance.sample(range(len(documents)), _ELSEWHERE) if documents[i]["title"] != title]
        shown = [at, *siblings[:1], *strangers][:_SHOWN]
        passages = tuple(_passage(i, documents[i]) for i in shown)
        foreign = tuple(s for i in strangers if i not in shown for s in _sentences(documents[i]["text"]))
        beside = tuple(s for s in _sentences(documents[at]["text"]) if s != text)
        source = Source(text, title, beside, foreign)
        unseen = zlib.crc32((title or documents[at]["id"]).encode()) % 2 == 1
        for kind, change in (TRUE | FALSE).items():
            if kind not in RARE and (claim := change(source, chance)):
                yield Pair(kind, claim, passages, kind in TRUE, unseen)
        hard = [s for i in siblings[_SHOWN:] for s in _sentences(documents[i]["text"])]
        if hard:
            yield Pair("sentence, same article", chance.choice(hard), passages, False, unseen)


def rare_pairs(documents: Sequence[dict[str, Any]]) -> Iterator[Pair]:
    """Changes that few sentences allow, of any sentence of the documents; deterministic."""
    found: dict[str, int] = defaultdict(int)
    order = list(range(len(documents)))
    random.Random(0).shuffle(order)
    for at, other in pairwise(order):
        document = documents[at]
        passages = (_passage(at, document), _passage(other, documents[other]))
        unseen = zlib.crc32((document["title"] or document["id"]).encode()) % 2 == 1
        for text in _sentences(document["text"]):
            source, chance = Source(text, document["title"], (), ()), random.Random(text)
            for kind in sorted(RARE):
                if found[kind] < _MOST_RARE and (claim := (TRUE | FALSE)[kind](source, chance)):
                    found[kind] += 1
                    yield Pair(kind, claim, passages, kind in TRUE, unseen)


def _gold(
    question: dict[str, Any], documents: Sequence[dict[str, Any]], by_id: dict[str, int], chance: random.Random
) -> tuple[int, str]:
    """The document that answers, and its sentence with the answer (any sentence where no short answer is given)."""
    relevant = [e["document"] for e in question.get("evidence", ())] or list(question.get("relevant", ()))
    strings = [string for group in question.get("answers") or () for string in group]
    for at in (by_id[d] for d in relevant if d in by_id):
        found = [s for s in _sentences(documents[at]["text"]) if not strings or any(a in s for a in strings)]
        if found:
            return at, chance.choice(found)
    return 0, ""


def _sentences(text: str) -> list[str]:
    found = (" ".join(text[span.start : span.end].split()) for span in sentences(text))
    return [s for s in found if len(s.split()) in _WORDS and s.endswith(".") and s[0].isupper()]


def _passage(i: int, document: dict[str, Any]) -> Passage:
    return Passage(i, i, document["id"], document["title"], 0, len(document["text"]), document["text"])


def _units(passages: Iterable[Passage]) -> Iterator[str]:
    """What the finder will encode of them."""
    for passage in passages:
        for unit in units_of(passage):
            yield f"{unit.context} {cut(passage, unit.span)}".strip()


def supports(checked: Sequence[Pair], encoder: Encoder, finder: EvidenceFinder) -> list[float]:
    """The support of each pair, 0 for what is dropped."""
    found = []
    for pair in checked:
        outcome = Checker(pair.passages, finder, encoder).check(Claim(pair.claim, (1,)))
        found.append(outcome.score if isinstance(outcome, Support) else 0.0)
    return found


def figures(made: Sequence[Pair], found: Sequence[float]) -> tuple[float, float]:
    """Precision and recall of "supported", every kind counting the same: their sizes are chance."""
    passed: dict[tuple[bool, str], list[bool]] = defaultdict(list)
    for pair, score in zip(made, found, strict=True):
        passed[pair.true, pair.kind].append(score > 0)
    rate = {of: float(np.mean([np.mean(v) for (true, _), v in passed.items() if true is of])) for of in (True, False)}
    return rate[True] / (rate[True] + rate[False]), rate[True]


def table(made: Sequence[Pair], found: Sequence[float]) -> list[str]:
    """A line for each kind and half: how many of how many were shown, and the precision that this leaves.

    Precision of a kind: true sentences and this kind, one of each for every other: recall / (recall + share shown).
    """
    lines = []
    for unseen in (False, True):
        half = [(pair, score > 0) for pair, score in zip(made, found, strict=True) if pair.unseen is unseen]
        _, recall = figures([p for p, _ in half], [float(s) for _, s in half])
        for kind in dict.fromkeys(pair.kind for pair in made):
            shown = [ok for pair, ok in half if pair.kind == kind]
            true = kind in TRUE
            share = float(np.mean(shown)) if shown else 0.0
            precision = "" if true else f" precision {recall / (recall + share):.3f}"
            label = "true " if true else "false"
            lines.append(
                f"{'unseen' if unseen else 'tuning'} {label} {kind:24} shown {sum(shown):4}/{len(shown):4} "
                f"{share:.3f}{precision}"
            )
        total, recall = figures([p for p, _ in half], [float(s) for _, s in half])
        lines.append(f"{'unseen' if unseen else 'tuning'} all kinds: precision {total:.3f} recall {recall:.3f}")
    return lines


def main(arguments: Sequence[str]) -> None:
    made: list[Pair] = []
    for argument in arguments:
        questions_file, documents_file, *limit = argument.split(":")
        questions = [json.loads(line) for line in Path(questions_file).read_text(encoding="utf-8").splitlines()]
        documents = [json.loads(line) for line in Path(documents_file).read_text(encoding="utf-8").splitlines()]
        asked = [q for q in questions if q.get("answerable", True)]
        random.Random(0).shuffle(asked)
        made += pairs(asked[: int(limit[0]) if limit else None], documents)
        made += rare_pairs(documents)
    encoder = Remembering(open_encoder(Settings()))
    encoder.documents([text for pair in made for text in (pair.claim, *_units(pair.passages))])
    finder = EvidenceFinder(encoder)
    print(*table(made, supports(made, encoder, finder)), sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
