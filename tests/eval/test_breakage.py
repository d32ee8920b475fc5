"""Breaking things on purpose turns a gate red: the bars of eval/bars.toml, 25 questions, one index."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import rag
from eval.bars import read_bars, verdict
from eval.evaluation import Evaluation
from eval.gold import Question, located, read_gold, sample
from eval.measures import FAMILIES, figures
from eval.run import Part, System, run

EVAL = Path(__file__).parents[2] / "eval"
PARTS: set[Part] = {"search", "ask", "alone", "unrefused"}


class Wrapped:
    """A system whose answers and hits pass through a saboteur."""

    def __init__(
        self,
        system: System,
        answers: Callable[[rag.Answer], rag.Answer] = lambda answer: answer,
        hits: Callable[[list[rag.Hit]], list[rag.Hit]] = lambda hits: hits,
    ) -> None:
        self._system, self._answers, self._hits = system, answers, hits

    def ask(self, question: str, **options: Any) -> rag.Answer:
        return self._answers(self._system.ask(question, **options))

    def search(self, question: str, k: int, **options: Any) -> list[rag.Hit]:
        return self._hits(self._system.search(question, k, **options))


@dataclass(frozen=True)
class Bench:
    """One index, 25 questions drawn by kind, and assistants over them with other settings."""

    questions: Sequence[Question]
    open: Callable[..., rag.Assistant]
    assistant: rag.Assistant

    def evaluate(self, system: System) -> Evaluation:
        text = lambda id: self.assistant.document(id).text  # noqa: E731
        rows = run(system, self.questions, PARTS, text, self.open(refuse_below=0))
        return Evaluation(self.assistant.settings, {}, tuple(rows), tuple(figures(rows, FAMILIES)))

    def red(self, system: System) -> set[str]:
        """The bars that this system misses."""
        evaluation = self.evaluate(system)
        return {str(bar) for bar in read_bars(EVAL / "bars.toml") if verdict(bar, evaluation)}


@pytest.fixture(scope="module")
def bench(seeds: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    settings = rag.Settings(documents=seeds, index_dir=tmp_path_factory.mktemp("bench"), llm="none")
    opened: dict[str, rag.Assistant] = {}

    def open_with(**changed: Any) -> rag.Assistant:
        name = repr(changed)
        if name not in opened:
            opened[name] = rag.Assistant.open(settings.model_copy(update=changed))
        return opened[name]

    assistant = open_with()
    ids = {document.source: document.id for document in assistant.documents()}
    drawn = sample(read_gold(EVAL / "gold.jsonl"), 25)
    yield Bench(located(drawn, ids, lambda source: assistant.document(ids[source]).text), open_with, assistant)
    for each in opened.values():
        each.close()


@pytest.fixture(scope="module")
def wide(bench: Bench) -> set[str]:
    """Bars that so few questions cannot clear, though nothing is broken: their intervals are too wide."""
    missed = bench.red(bench.assistant)
    assert len(missed) <= 4, missed
    return missed


def test_shuffled_citations_are_noticed(bench: Bench, wide: set[str]) -> None:
    """Each answer gets the citations of another one; markers and sentences stay."""
    rng = random.Random(1)
    given: list[rag.Citation] = []

    def shuffled(answer: rag.Answer) -> rag.Answer:
        given.extend(answer.citations)
        others = [replace(rng.choice(given), marker=citation.marker) for citation in answer.citations]
        return replace(answer, citations=tuple(others))

    red = bench.red(Wrapped(bench.assistant, shuffled)) - wide
    assert {"evidence cited ≥ 0.65", "quoted as cited ≥ 1"} <= red


def test_citations_exchanged_within_an_answer_are_noticed(bench: Bench, wide: set[str]) -> None:
    def exchanged(answer: rag.Answer) -> rag.Answer:
        markers = [citation.marker for citation in answer.citations]
        turned = zip(answer.citations, markers[1:] + markers[:1], strict=True)
        return replace(answer, citations=tuple(replace(citation, marker=marker) for citation, marker in turned))

    assert "quoted as cited ≥ 1" in bench.red(Wrapped(bench.assistant, exchanged)) - wide


def test_answers_from_a_random_passage_are_noticed(bench: Bench, wide: set[str]) -> None:
    """Exact quotes, of the wrong place."""
    everything = bench.assistant.search("the", k=100)
    rng = random.Random(1)

    def elsewhere(answer: rag.Answer) -> rag.Answer:
        if answer.refused:
            return answer
        passage = rng.choice(everything).passage
        citation = rag.Citation(1, passage, passage.start, passage.end, passage.text)
        sentence = rag.Sentence(f"“{passage.text}”", (1,), 1.0, "quoted")
        return replace(answer, text=f"{sentence.text} [1]", sentences=(sentence,), citations=(citation,))

    red = bench.red(Wrapped(bench.assistant, elsewhere)) - wide
    assert {"contains gold ≥ 0.65", "evidence cited ≥ 0.65"} <= red


def test_never_refusing_is_noticed(bench: Bench, wide: set[str]) -> None:
    red = bench.red(bench.open(refuse_below=0)) - wide
    assert "unanswerable refused (unanswerable-far) ≥ 0.9" in red


def test_always_refusing_is_noticed(bench: Bench, wide: set[str]) -> None:
    red = bench.red(bench.open(refuse_below=1)) - wide
    assert {"answerable refused ≤ 0.2", "evidence cited ≥ 0.65"} <= red


def test_one_passage_in_place_of_many_is_noticed(bench: Bench, wide: set[str]) -> None:
    red = bench.red(Wrapped(bench.open(top_k=1), hits=lambda hits: hits[:1])) - wide
    assert "span R@5 ≥ 0.8" in red


def test_words_changed_in_a_quote_are_noticed(bench: Bench, wide: set[str]) -> None:
    def changed(answer: rag.Answer) -> rag.Answer:
        return replace(answer, citations=tuple(replace(c, quote=c.quote.replace("e", "E")) for c in answer.citations))

    assert {"quotes exact ≥ 1", "quoted as cited ≥ 1"} <= bench.red(Wrapped(bench.assistant, changed)) - wide


def test_a_lost_marker_is_noticed(bench: Bench, wide: set[str]) -> None:
    def lost(answer: rag.Answer) -> rag.Answer:
        return replace(answer, text=answer.text.replace("[1]", ""))

    assert "dangling markers ≤ 0" in bench.red(Wrapped(bench.assistant, lost)) - wide
