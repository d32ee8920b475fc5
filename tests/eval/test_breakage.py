"""Breaking things on purpose turns gates red: every bar of eval/bars.toml by at least one way of breaking.

Two times 25 questions on one index: a draw by kind, and a set rich in follow-ups and unanswerable questions, for
bars that a draw by kind has too few questions to clear. Only bars that the unbroken system clears count as turned red.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import rag
from eval.bars import Bar, read_bars, verdict
from eval.evaluation import Evaluation
from eval.gold import Question, located, read_gold, sample
from eval.measures import FAMILIES, figures
from eval.run import Part, System, run

EVAL = Path(__file__).parents[2] / "eval"
PARTS: set[Part] = {"search", "ask", "alone", "unrefused"}
BARS = read_bars(EVAL / "bars.toml")


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


class WithoutHistory(Wrapped):
    """Whoever asks a follow-up is refused; without its history the question is answered."""

    def ask(self, question: str, *, history: Sequence[rag.Message] = (), **options: Any) -> rag.Answer:
        answer = super().ask(question, **options)
        if not history:
            return answer
        return replace(answer, text="?", mode="refused", refused=True, reason="?", sentences=(), citations=())


@dataclass(frozen=True)
class Bench:
    """One index and assistants over it with other settings; two sets of 25 questions."""

    open: Callable[..., rag.Assistant]
    sets: Sequence[Sequence[Question]]

    def red(self, system: System) -> list[set[str]]:
        """The bars that this system misses, by set of questions."""
        return [{str(bar) for bar in BARS if verdict(bar, self._evaluate(system, asked))} for asked in self.sets]

    def _evaluate(self, system: System, questions: Sequence[Question]) -> Evaluation:
        assistant = self.open()
        if (id(system), id(questions)) not in _ASKED:
            rows = run(system, questions, PARTS, lambda id_: assistant.document(id_).text, self.open(refuse_below=0))
            rated = Evaluation(assistant.settings, {}, tuple(rows), tuple(figures(rows, FAMILIES)))
            _ASKED[id(system), id(questions)] = system, rated
        return _ASKED[id(system), id(questions)][1]


_ASKED: dict[tuple[int, int], tuple[System, Evaluation]] = {}


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
    gold = located(read_gold(EVAL / "gold.jsonl"), ids, lambda source: assistant.document(ids[source]).text)
    counts = {"follow-up": 12, "unanswerable-far": 6, "unanswerable-near": 7}
    rich = [question for kind, count in counts.items() for question in sample(gold, count, [kind])]
    yield Bench(open_with, [sample(gold, 25), rich])
    _ASKED.clear()
    for each in opened.values():
        each.close()


@pytest.fixture(scope="module")
def missed_unbroken(bench: Bench) -> list[set[str]]:
    """Bars that so few questions cannot clear, or that are not about them, though nothing is broken."""
    return bench.red(bench.open())


# -- ways of breaking --------------------------------------------------------------------------------------------------


def shuffled_citations(bench: Bench) -> System:
    """Each answer gets the citations of others; markers and sentences stay."""
    rng = random.Random(1)
    given: list[rag.Citation] = []

    def shuffled(answer: rag.Answer) -> rag.Answer:
        given.extend(answer.citations)
        others = [replace(rng.choice(given), marker=citation.marker) for citation in answer.citations]
        return replace(answer, citations=tuple(others))

    return Wrapped(bench.open(), shuffled)


def exchanged_citations(bench: Bench) -> System:
    """The markers of an answer change places."""

    def exchanged(answer: rag.Answer) -> rag.Answer:
        markers = [citation.marker for citation in answer.citations]
        turned = zip(answer.citations, markers[1:] + markers[:1], strict=True)
        return replace(answer, citations=tuple(replace(citation, marker=marker) for citation, marker in turned))

    return Wrapped(bench.open(), exchanged)


def random_passage(bench: Bench) -> System:
    """Exact quotes, of the wrong place."""
    everything = bench.open().search("the", k=100)
    rng = random.Random(1)

    def elsewhere(answer: rag.Answer) -> rag.Answer:
        if answer.refused:
            return answer
        passage = rng.choice(everything).passage
        citation = rag.Citation(1, passage, passage.start, passage.end, passage.text)
        sentence = rag.Sentence(f"“{passage.text}”", (1,), 1.0, "quoted")
        return replace(answer, text=f"{sentence.text} [1]", sentences=(sentence,), citations=(citation,))

    return Wrapped(bench.open(), elsewhere)


def never_refusing(bench: Bench) -> System:
    return bench.open(refuse_below=0)


def always_refusing(bench: Bench) -> System:
    return bench.open(refuse_below=1)


def one_passage(bench: Bench) -> System:
    return Wrapped(bench.open(top_k=1), hits=lambda hits: hits[:1])


def worst_first(bench: Bench) -> System:
    return Wrapped(bench.open(), hits=lambda hits: hits[::-1])


def changed_words(bench: Bench) -> System:
    def changed(answer: rag.Answer) -> rag.Answer:
        return replace(answer, citations=tuple(replace(c, quote=c.quote.replace("e", "E")) for c in answer.citations))

    return Wrapped(bench.open(), changed)


def lost_marker(bench: Bench) -> System:
    return Wrapped(bench.open(), lambda answer: replace(answer, text=answer.text.replace("[1]", "")))


def uncited_sentences(bench: Bench) -> System:
    def uncited(answer: rag.Answer) -> rag.Answer:
        return replace(answer, sentences=tuple(replace(sentence, citations=()) for sentence in answer.sentences))

    return Wrapped(bench.open(), uncited)


def inverted_confidence(bench: Bench) -> System:
    return Wrapped(bench.open(), lambda answer: replace(answer, confidence=1 - answer.confidence))


def history_that_harms(bench: Bench) -> System:
    return WithoutHistory(bench.open())


class Breaking(NamedTuple):
    """A way of breaking and the bars that must notice."""

    system: Callable[[Bench], System]
    noticed_by: set[str]


BROKEN = [
    Breaking(shuffled_citations, {"evidence cited", "citation precision", "citation recall", "quoted as cited"}),
    Breaking(exchanged_citations, {"quoted as cited"}),
    Breaking(random_passage, {"contains gold", "contains gold (fact)", "evidence cited"}),
    Breaking(never_refusing, {"unanswerable refused", "unanswerable refused (unanswerable-far)"}),
    Breaking(always_refusing, {"answerable refused", "contains gold", "follow-ups right"}),
    Breaking(one_passage, {"span R@5"}),
    Breaking(worst_first, {"document R@1", "span MRR@10"}),
    Breaking(changed_words, {"quotes exact", "quoted as cited"}),
    Breaking(lost_marker, {"dangling markers"}),
    Breaking(uncited_sentences, {"uncited sentences"}),
    Breaking(inverted_confidence, {"confidence AUROC"}),
    Breaking(history_that_harms, {"follow-ups right", "follow-up lift"}),
]


@pytest.mark.parametrize("breaking", BROKEN, ids=lambda breaking: breaking.system.__name__)
def test_it_is_noticed(bench: Bench, missed_unbroken: list[set[str]], breaking: Breaking) -> None:
    red = bench.red(breaking.system(bench))
    turned = set().union(*(now - before for now, before in zip(red, missed_unbroken, strict=True)))
    assert {name(bar) for bar in BARS if str(bar) in turned} >= breaking.noticed_by


def test_every_bar_is_turned_red_by_something() -> None:
    assert set().union(*(breaking.noticed_by for breaking in BROKEN)) == {name(bar) for bar in BARS}


def name(bar: Bar) -> str:
    """The bar without its limit."""
    return str(bar).partition(" ≥ ")[0].partition(" ≤ ")[0]
