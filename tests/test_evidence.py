from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rag.embedding import SentenceEncoder
from rag.evidence import ANSWER_WORDS, QUOTE_WORDS, Evidence, EvidenceFinder, choose, confidence, features, units_of
from rag.retrieval import Query, informativeness
from rag.terms import content_words, stem
from rag.types import Hit, Passage

FORCES = (
    "He was backed by several forces, the most important of which were:\n\n"
    "1- The River movement headed by Ann Lee\n\n2- The Hill movement headed by Bo Dahl\n\n3- The Lake party\n\n"
    "The capital has two bridges. They were built in 1903."
)


def passage(text: str, number: int = 1, title: str = "Forces") -> Passage:
    # Placed somewhere inside its document, so that a forgotten offset shows.
    return Passage(number, number, f"{number}.txt", title, 100, 100 + len(text), text)


def texts(text: str) -> list[str]:
    return [text[span.start - 100 : span.end - 100] for span, _ in units_of(passage(text))]


def query(question: str, encoder: SentenceEncoder) -> Query:
    terms = tuple(content_words(question))
    return Query(question, terms, {stem(t): 1.0 for t in terms}, encoder.queries([question])[0], {})


def find(question: str, passages: Sequence[str], encoder: SentenceEncoder) -> list[Evidence]:
    hits = [Hit(passage(text, i), 1.0) for i, text in enumerate(passages, start=1)]
    return EvidenceFinder(encoder).find(query(question, encoder), hits)


def test_units_are_exact_and_lists_come_whole_too() -> None:
    assert texts(FORCES) == [
        FORCES[: FORCES.index("\n\nThe capital")],
        "1- The River movement headed by Ann Lee",
        "2- The Hill movement headed by Bo Dahl",
        "3- The Lake party",
        "The capital has two bridges.",
        "They were built in 1903.",
    ]


def test_of_a_long_list_the_introduction_takes_what_fits() -> None:
    long = "They were:\n\n" + "\n\n".join(f"{i}- Member {i} of the guard" for i in range(1, 40))
    first = texts(long)[0]
    assert first.startswith("They were:\n\n1- Member 1")
    assert ANSWER_WORDS - 6 < len(first.split()) <= ANSWER_WORDS


def test_a_list_item_is_embedded_behind_its_introduction() -> None:
    contexts = dict(zip(texts(FORCES), (unit.context for unit in units_of(passage(FORCES))), strict=True))
    assert contexts["3- The Lake party"].startswith("He was backed by several forces")
    assert contexts["They were built in 1903."] == "The capital has two bridges."
    assert contexts["The capital has two bridges."] == ""


def test_long_sentences_are_quoted_by_the_clause() -> None:
    long = (
        "The ministry of works said that "
        + ", and that ".join(f"bridge number {i} was closed" for i in range(40))
        + "."
    )
    assert all(len(text.split()) <= QUOTE_WORDS for text in texts(long))


def test_a_rule_between_paragraphs_is_no_evidence() -> None:
    assert texts("One is here.\n\n----\n\nTwo is there.") == ["One is here.", "Two is there."]


def test_the_sentence_that_answers_comes_first(encoder: SentenceEncoder) -> None:
    best = find("When were the bridges of the capital built?", [FORCES, "Owls hunt at night."], encoder)[0]
    assert best.text == "They were built in 1903."
    assert best.passage.text[best.start - 100 : best.end - 100] == best.text


def test_a_question_for_several_gets_the_whole_list(encoder: SentenceEncoder) -> None:
    shown = " ".join(e.text for e in choose(find("Which forces backed him?", [FORCES], encoder)))
    assert "River" in shown
    assert "Hill" in shown
    assert "Lake" in shown


def test_quotes_do_not_overlap_and_stay_short(encoder: SentenceEncoder) -> None:
    evidence = find("Which movements and bridges are there?", [FORCES, FORCES.replace("Ann", "Eve")], encoder)
    chosen = choose(evidence)
    assert len({e.text for e in chosen}) == len(chosen)
    assert sum(len(e.text.split()) for e in chosen) <= ANSWER_WORDS
    assert not any(a.overlaps(b) for a in chosen for b in chosen if a is not b)


def test_vectors_of_a_passage_are_made_once(encoder: SentenceEncoder) -> None:
    class Counting:
        calls = 0
        name, dimension, weights = encoder.name, encoder.dimension, encoder.weights
        queries = encoder.queries

        def documents(self, texts: Sequence[str]) -> np.ndarray:
            self.calls += len(texts)
            return encoder.documents(texts)

    counting = Counting()
    finder = EvidenceFinder(counting)
    hits = [Hit(passage(FORCES), 1.0)]
    first = finder.find(query("Which forces?", encoder), hits)
    made = counting.calls
    assert finder.find(query("Which forces?", encoder), hits) == first
    assert counting.calls == made > 0


def test_nothing_found_is_no_evidence(encoder: SentenceEncoder) -> None:
    asked = query("Anything?", encoder)
    assert EvidenceFinder(encoder).find(asked, []) == []
    assert choose([]) == []
    assert confidence(features(asked, [], np.zeros((0, encoder.dimension), np.float32))) < 0.5


def test_confidence_falls_when_the_documents_speak_of_something_else(encoder: SentenceEncoder) -> None:
    def sure(question: str) -> float:
        asked = query(question, encoder)
        hits = [Hit(passage(FORCES), 1.0)]
        vectors = encoder.documents([FORCES])
        return confidence(features(asked, EvidenceFinder(encoder).find(asked, hits), vectors))

    assert sure("Who heads the Hill movement?") > 0.5 > sure("How do I bake sourdough bread?")
    assert sure("When were the two bridges built?") > sure("How many people crossed the bridges?")


@pytest.mark.parametrize("passages", [1, 40, 10_000, 1_000_000])
def test_term_weights_do_not_depend_on_the_size_of_the_corpus(passages: int) -> None:
    assert informativeness(0, passages) == pytest.approx(1.0)
    assert 0 <= informativeness(passages, passages) < 0.5
    assert informativeness(1, passages) > informativeness(passages, passages) or passages == 1
