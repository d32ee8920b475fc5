from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from rag.confidence import confidence, features
from rag.embedding import PackagedEncoder
from rag.evidence import Evidence, EvidenceFinder
from rag.quoting import choose, short_answer
from rag.reading import Answering
from rag.retrieval import Query, informativeness, topicality
from rag.store import centre_of
from rag.terms import content_words, stem
from rag.types import Hit, Passage
from rag.units import ANSWER_WORDS, QUOTE_WORDS, cut, units_of

FORCES = (
    "He was backed by several forces, the most important of which were:\n\n"
    "1- The River movement headed by Ann Lee\n\n2- The Hill movement headed by Bo Dahl\n\n3- The Lake party\n\n"
    "The capital has two bridges. They were built in 1903."
)


def passage(text: str, number: int = 1, title: str = "Forces") -> Passage:
    # Placed somewhere inside its document, so that a forgotten offset shows.
    return Passage(number, number, f"{number}.txt", title, 100, 100 + len(text), text)


def texts(text: str) -> list[str]:
    return [text[span.start - 100 : span.end - 100] for span, *_ in units_of(passage(text))]


def query(question: str, encoder: PackagedEncoder) -> Query:
    terms = tuple(content_words(question))
    return Query(question, terms, {stem(t): 1.0 for t in terms}, encoder.queries([question])[0], {}, 1.0)


def find(question: str, passages: Sequence[str], encoder: PackagedEncoder) -> list[Evidence]:
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


def test_of_a_long_list_each_item_is_quoted_as_far_as_it_fits(encoder: PackagedEncoder) -> None:
    long = "The guards of the lake are these:\n\n" + "\n\n".join(
        f"{i}- Member {name} of the guard, who has served for {i + 4} years and knows every stone of the shore"
        for i, name in enumerate(("Ann", "Bo", "Cleo", "Dan", "Eve", "Finn"), start=1)
    )
    chosen = choose(find("Who are the guards of the lake?", [long], encoder))
    assert [e.text for e in chosen] == [
        "The guards of the lake are these:\n\n1- Member Ann of the guard",
        *(f"{i}- Member {name} of the guard" for i, name in enumerate(("Bo", "Cleo", "Dan", "Eve", "Finn"), start=2)),
    ]


def test_an_item_that_is_cut_short_ends_with_a_word(encoder: PackagedEncoder) -> None:
    text = "The guards are these:\n\n" + "\n\n".join(
        f"{i}- Member {i} of the guard (who has served for {i + 4} years and knows each stone and tree of the shore)"
        for i in range(1, 7)
    )
    assert all(quote.text[-1] == "d" for quote in choose(find("Who are the guards?", [text], encoder)))


def test_text_between_two_numbered_items_belongs_to_the_upper_one() -> None:
    text = "They were:\n\n1- Ann Lee. She was fast.\n\n2- Bo Dahl. He was slow.\n\nThe lake is deep."
    first = units_of(passage(text))[0]
    assert [text[item.start - 100 : item.end - 100] for item in first.items] == [
        "1- Ann Lee. She was fast.",
        "2- Bo Dahl.",
    ]


def test_clauses_side_by_side_become_one_quote(encoder: PackagedEncoder) -> None:
    half = "the old stone bridge over the river was closed to all traffic by the ministry of works in the capital"
    long = f"In the spring of that year {half}, because the old stone bridge over the river had lost two of its piers."
    (quote,) = choose(find("Why was the old stone bridge over the river closed?", [long], encoder))
    assert quote.text == long


def test_a_reason_is_found_in_the_clause_beside_the_one_that_matches(encoder: PackagedEncoder) -> None:
    text = (
        "In the first days of that spring the ministry of works closed the old stone bridge over the river to all "
        "traffic, and sent the engineers of the capital to it by boat, because two of the eleven piers had sunk. "
        "The old bridge over the river is loved by painters. The ministry of works owns forty bridges."
    )
    shown = choose(find("Why did the ministry of works close the old bridge?", [text], encoder))
    assert any("two of the eleven piers had sunk" in quote.text for quote in shown[:1])


def test_each_part_of_a_question_has_its_quote(encoder: PackagedEncoder) -> None:
    built = find("When were the bridges built?", [FORCES], encoder)
    headed = find("Who heads the Hill movement?", [FORCES], encoder)
    assert [e.text for e in choose(built, headed)][:2] == [built[0].text, headed[0].text]


def test_a_list_item_is_embedded_behind_its_introduction() -> None:
    contexts = dict(zip(texts(FORCES), (unit.context for unit in units_of(passage(FORCES))), strict=True))
    assert contexts["3- The Lake party"].startswith("He was backed by several forces")
    assert contexts["They were built in 1903."] == "The capital has two bridges."
    assert contexts["The capital has two bridges."] == ""


def test_long_sentences_are_quoted_by_the_clause() -> None:
    long = "In the spring of that year " + ", and later ".join(f"bridge number {i} was closed" for i in range(40)) + "."
    assert all(len(text.split()) <= QUOTE_WORDS for text in texts(long))


LEAFLET = (
    "The tablets are white.\n\nWhile you use the tablets, do not:\n\n- take the tablets with alcohol\n- drive a car\n\n"
    "May children take the tablets?\n\nNo, never.\n\nThe tablets cost ten euros. This is no longer true."
)


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ("How do I take the tablets?", "While you use the tablets, do not:\n\n- take the tablets with alcohol"),
        ("May children take the tablets?", "May children take the tablets?\n\nNo, never."),
        ("What do the tablets cost?", "The tablets cost ten euros. This is no longer true."),
    ],
)
def test_a_quote_shows_what_turns_it(encoder: PackagedEncoder, question: str, shown: str) -> None:
    chosen = choose(find(question, [LEAFLET], encoder))
    assert any(quote.text.startswith(shown) for quote in chosen)
    assert all(quote.text not in ("- drive a car", "- take the tablets with alcohol") for quote in chosen)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Ann Lee stole it.", "Ann Lee"),
        ("It is not true that Ann Lee stole it.", None),
        ("Ann Lee stole it. That is a myth.", None),
        ("Unless it rains, Ann Lee stole it.", None),
        ("Bo Dahl never claimed this:\n\n- Ann Lee stole it.", None),
    ],
)
def test_words_that_others_turn_answer_nothing_by_themselves(
    encoder: PackagedEncoder, text: str, short: str | None
) -> None:
    start = 100 + text.index("Ann Lee")
    found = [replace(e, answer=Answering(start, start + 7, 3.0)) for e in find("Who stole it?", [text], encoder)]
    chosen = choose([e for e in found if e.start <= start and start + 7 <= e.end])
    assert any("Ann Lee" in quote.text for quote in chosen)
    assert short_answer("Who stole it?", chosen) == short


def test_a_question_is_no_quote() -> None:
    assert texts("Who are you? Why?") == []
    assert texts("He asked: “Who are you?”") == ["He asked: “Who are you?”"]


def test_an_introduction_far_in_front_is_a_quote_of_its_own(encoder: PackagedEncoder) -> None:
    rules = [f"- rule {i} of the lake, of the river and of the old stone bridge" for i in range(8)]
    text = "\n".join(["Nobody who lives here has to obey:", *rules, "- paint the boats blue", "- feed the herons"])
    evidence = find("What about the boats and the herons?", [text], encoder)
    boats, herons = (next(e for e in evidence if e.text == item) for item in text.splitlines()[-2:])
    chosen = choose([replace(boats, score=2.0), replace(herons, score=1.9)])
    assert [quote.text for quote in chosen] == [
        "Nobody who lives here has to obey:",
        "- paint the boats blue\n- feed the herons",
    ]


def test_a_second_quote_stands_behind_the_lead_that_it_shares(encoder: PackagedEncoder) -> None:
    rules = [f"- rule {i} of the lake, of the river and of the old stone bridge" for i in range(8)]
    text = "\n".join(["Nobody has to obey:", "- paint the boats blue", *rules, "- feed the herons"])
    evidence = find("What about the boats and the herons?", [text, "The sun shines."], encoder)
    first, other, second = (
        next(e for e in evidence if e.text == said)
        for said in ("- paint the boats blue", "The sun shines.", "- feed the herons")
    )
    ranked = [replace(e, score=2.0 - 0.01 * i) for i, e in enumerate((first, other, second))]
    assert [quote.text for quote in choose(ranked)] == [
        "Nobody has to obey:\n- paint the boats blue",
        "- feed the herons",
        "The sun shines.",
    ]


def test_what_no_answer_can_show_with_what_turns_it_is_no_evidence(encoder: PackagedEncoder) -> None:
    middle = ", ".join(f"as the report on bridge number {i} of the river tells" for i in range(12))
    text = f"It is not true, {middle}, that the mayor Ann Lee had stolen the relief money. The sun shines."
    assert [e.text for e in find("Who stole the relief money?", [text], encoder)] == ["The sun shines."]


def test_an_item_whose_introduction_is_in_another_passage_is_no_quote() -> None:
    text = "- take the tablets with milk\n- drive a car\n\nThe sun shines."
    above = replace(passage(text), heading="Leaflet > While you use the tablets, do not:")
    assert [cut(above, unit.span) for unit in units_of(above)] == ["The sun shines."]


def test_a_long_list_keeps_an_introduction_that_turns_it(encoder: PackagedEncoder) -> None:
    text = "You must never do any of these things here:\n\n" + "\n".join(
        f"- feed heron {i}, which is grey and old and likes to sleep near the water" for i in range(7)
    )
    chosen = choose(find("What must you never do here?", [text], encoder))
    assert chosen[0].text.startswith("You must never do any of these things here:\n\n- feed heron 0")
    assert all(quote.text.startswith("- ") for quote in chosen[1:])


def test_an_item_is_not_cut_short_of_what_turns_it(encoder: PackagedEncoder) -> None:
    text = "The rules are these:\n\n" + "\n".join(
        f"- take {i} tablets a day, unless the doctor of the town or of the lake says something else" for i in range(7)
    )
    chosen = choose(find("Which rules are there?", [text], encoder))
    assert all("unless" in quote.text for quote in chosen if "- take" in quote.text)


def test_the_checker_sees_what_turns_a_sentence(encoder: PackagedEncoder) -> None:
    vector = encoder.documents(["Take the tablets with alcohol."])[0]
    seen = [e.text for e in EvidenceFinder(encoder).against(vector, [passage(LEAFLET)])]
    assert not any("alcohol" in text and "do not" not in text for text in seen)
    assert "No, never." in seen  # what answers says so alone, or nothing


def test_a_rule_between_paragraphs_is_no_evidence() -> None:
    assert texts("One is here.\n\n----\n\nTwo is there.") == ["One is here.", "Two is there."]


def test_the_sentence_that_answers_comes_first(encoder: PackagedEncoder) -> None:
    best = find("When were the bridges of the capital built?", [FORCES, "Owls hunt at night."], encoder)[0]
    assert best.text == "They were built in 1903."
    assert best.passage.text[best.start - 100 : best.end - 100] == best.text


def test_a_question_for_several_gets_the_whole_list(encoder: PackagedEncoder) -> None:
    shown = " ".join(e.text for e in choose(find("Which forces backed him?", [FORCES], encoder)))
    assert "River" in shown
    assert "Hill" in shown
    assert "Lake" in shown


def test_quotes_do_not_overlap_and_stay_short(encoder: PackagedEncoder) -> None:
    evidence = find("Which movements and bridges are there?", [FORCES, FORCES.replace("Ann", "Eve")], encoder)
    chosen = choose(evidence)
    assert len({e.text for e in chosen}) == len(chosen)
    assert sum(len(e.text.split()) for e in chosen) <= ANSWER_WORDS
    assert not any(a.overlaps(b) for a in chosen for b in chosen if a is not b)


def test_vectors_of_a_passage_are_made_once(encoder: PackagedEncoder) -> None:
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


def test_nothing_found_is_no_evidence(encoder: PackagedEncoder) -> None:
    asked = query("Anything?", encoder)
    assert EvidenceFinder(encoder).find(asked, []) == []
    assert choose([]) == []
    assert confidence(features(asked, [], np.zeros((0, encoder.dimension), np.float32))) < 0.5


def test_confidence_falls_when_the_documents_speak_of_something_else(encoder: PackagedEncoder) -> None:
    def sure(question: str) -> float:
        hits = [Hit(passage(FORCES), 1.0)]
        vectors = encoder.documents([FORCES])
        asked = query(question, encoder)
        asked = replace(asked, topical=topicality(asked.vector, centre_of(vectors)))
        return confidence(features(asked, EvidenceFinder(encoder).find(asked, hits), vectors))

    assert sure("Who heads the Hill movement?") > 0.5 > sure("How do I bake sourdough bread?")
    assert sure("When were the two bridges built?") > sure("How many people crossed the bridges?")


@pytest.mark.parametrize("passages", [1, 40, 10_000, 1_000_000])
def test_term_weights_do_not_depend_on_the_size_of_the_corpus(passages: int) -> None:
    assert informativeness(0, passages) == pytest.approx(1.0)
    assert 0 <= informativeness(passages, passages) < 0.5
    assert informativeness(1, passages) > informativeness(passages, passages) or passages == 1


def test_a_list_without_end_shows_its_beginning(encoder: PackagedEncoder) -> None:
    spices = "saffron cardamom turmeric cumin fennel nutmeg clove mace anise sumac".split()
    names = [f"{a} {b}" for a in spices for b in spices[:5]]
    feast = "You will need for it:\n\n" + "\n".join(f"- {name}" for name in names)
    question = "Which feast needs saffron, cardamom, turmeric, cumin, fennel and nutmeg?"
    evidence = find(question, [feast], encoder)
    shown = choose(evidence)
    assert shown[0].text.startswith("You will need for it:\n\n- saffron saffron\n")
    assert sum(len(e.text.split()) + 1 for e in shown) <= ANSWER_WORDS
    assert 0 <= confidence(features(query(question, encoder), evidence, encoder.documents([feast]))) <= 1
