"""What a quote must show besides its own words: each case was once a quote that said the opposite of its document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.leads import all_beside
from rag.sentences import sentences


def beside_each(text: str, title: str = "") -> dict[str, tuple[list[str], str, bool]]:
    """Each sentence with its leads, what takes it back, and whether it asks."""
    spans = sentences(text)
    return {
        text[span.start : span.end]: (
            [text[lead.start : lead.end] for lead in beside.leads],
            text[span.end : beside.end].strip(),
            beside.asks,
        )
        for span, beside in zip(spans, all_beside(text, spans, title), strict=True)
    }


def leads(text: str, title: str = "") -> dict[str, list[str]]:
    return {said: before for said, (before, *_) in beside_each(text, title).items()}


@pytest.mark.parametrize(
    "introduction",
    [
        "While you use the tablets, do not:",
        "Never",
        "Avoid:",
        "Except for:",
        "If it rains:",
        "The following statements are false:",
        "Bo Dahl claims:",
        "## Myths",
        "The council rejected:",
        "## Planned features",
        "**Do not**",
        "You must not do any of these.",
        "What must you not do?",
    ],
)
def test_an_introduction_that_turns_a_list_leads_each_item(introduction: str) -> None:
    found = leads(f"{introduction}\n\n- take the tablets\n- drive a car. It is far.\n\nIt is noon. The sun shines.")
    items = ("- take the tablets", "- drive a car.", "It is far.")
    assert [found[item] for item in items] == [[introduction]] * 3
    assert found["The sun shines."] == ([introduction] if introduction.startswith("#") else [])


def test_other_introductions_turn_nothing() -> None:
    assert not any(leads("The guards are these:\n\n- Ann Lee\n- Bo Dahl\n\nIn May 1903:\n\n- Cleo Fry").values())


def test_the_next_introduction_ends_the_one_before() -> None:
    found = leads("Do not:\n- take milk\nDo:\n- take water")
    assert found["- take milk"] == ["Do not:"]
    assert found["- take water"] == []


def test_a_list_in_a_list_has_both_introductions() -> None:
    found = leads("Do not:\n- take unless:\n  - told\n- drive")
    assert found["- told"] == ["Do not:\n- take unless:"]
    assert found["- drive"] == ["Do not:"]


def test_an_introduction_that_points_back_brings_what_it_points_to() -> None:
    found = leads("Some things are forbidden. They are:\n\n- milk")
    assert found["- milk"] == []
    found = leads("Some things harm. These you must avoid:\n\n- milk")
    assert found["- milk"] == ["Some things harm. These you must avoid:"]


def test_a_paragraph_between_two_items_leaves_the_second_led() -> None:
    found = leads("Except for:\n\n- dogs\n\nThey bite.\n\n- cats")
    assert found["- cats"] == ["Except for:", "They bite."]


def test_a_colon_leads_the_paragraph_behind_it_and_no_further() -> None:
    found = leads("The following is false:\n\nThe mayor stole. He fled.\n\nThe sun shines.")
    assert found["He fled."] == ["The following is false:"]
    assert found["The sun shines."] == []


def test_a_label_leads_the_rest_of_its_paragraph() -> None:
    found = leads("Myth: The earth is flat. Ships fall off it.\nFact: The earth is round. It turns.")
    assert found["Ships fall off it."] == ["Myth:"]
    assert found["It turns."] == []
    found = leads("Myth\n\nThe earth is flat.\n\nFact\n\nIt is round.")
    assert found["The earth is flat."] == ["Myth"]
    assert found["It is round."] == []


def test_a_title_leads_nothing_but_its_answer() -> None:
    assert leads("Never Let Me Go\n\nIt is a book.", "Never Let Me Go")["It is a book."] == []
    assert leads("May they go?\n\nNo.", "May they go?")["No."] == ["May they go?"]


@pytest.mark.parametrize(
    ("text", "answer", "question"),
    [
        ("May they take it?\n\nNo, never.", "No, never.", "May they take it?"),
        ("Q: May they take it?\nA: No.", "A: No.", "Q: May they take it?"),
        ("Q: May they take it?\n\nA:\n\nNo.", "No.", "Q: May they take it?\n\nA:"),
        ("Question 3: May they?\nAnswer:\nNo.", "No.", "Question 3: May they?\nAnswer:"),
        ("## May they take it?\n\nNo.", "No.", "## May they take it?"),
        ("**May they take it?**\nNo.", "No.", "**May they take it?**"),
        ("1. May they take it?\n\n   No.\n\n2. And you?", "No.", "1. May they take it?"),
        ("It is new. May they take it?\n\nNo.", "No.", "May they take it?"),
        ("May they? May we? No.", "No.", "May they? May we?"),
        ("- [May they?](#a)\n- [May we?](#b)\n\n## May they?\n\nNo.", "No.", "## May they?"),
        ("“May they take it?” No.", "No.", "“May they take it?”"),
    ],
)
def test_a_question_leads_to_its_answer(text: str, answer: str, question: str) -> None:
    found = beside_each(text)
    assert found[answer][0] == [question]
    assert all(asks == ("?" in said) for said, (_, _, asks) in found.items())


@pytest.mark.parametrize("text", ["He asked: “May they?”", "She hosted Who Wants to Be a Millionaire?", "It ended."])
def test_what_tells_of_a_question_asks_nothing(text: str) -> None:
    assert not beside_each(text)[text][2]


@pytest.mark.parametrize(
    "retraction",
    ["This is false.", "That is a myth.", "(This is no longer true.)", "It never happened.", "The opposite is true.",
     "None of that has been proven.", "Not true!", "However, this claim was never confirmed."],
)  # fmt: skip
@pytest.mark.parametrize("gap", [" ", "\n", "\n\n"])
def test_what_is_taken_back_at_once_is_shown_so(retraction: str, gap: str) -> None:
    found = beside_each(f"The vaccine was made in York. It contains mercury.{gap}{retraction}{gap}The sun shines.")
    assert found["It contains mercury."][1] == retraction
    assert found[retraction][0] == ["It contains mercury."]
    assert found["The sun shines."] == ([], "", False)


@pytest.mark.parametrize(
    "restriction", ["But not on Sundays.", "Except in May.", "Unless it rains.", "Not for children."]
)
def test_what_restricts_a_sentence_is_shown_with_it(restriction: str) -> None:
    assert beside_each(f"The gate is open. {restriction} The sun shines.")["The gate is open."][1] == restriction


def test_a_bare_answer_goes_on_to_what_explains_it() -> None:
    assert beside_each("May they?\n\nYes. They need a doctor.")["Yes."][1] == "They need a doctor."
    assert beside_each("May they?\n\nYes.\n\nThe sun shines.")["Yes."][1] == ""
    assert beside_each("Q: May they?\nA: No.\nQ: May we?\nA: Yes.")["A: No."][1] == ""


@pytest.mark.parametrize("marks", ["“”", '""', "«»"])
def test_a_quotation_of_several_sentences_is_shown_whole(marks: str) -> None:
    first, last = f"{marks[0]}The mayor is ill.", f"The dam is safe,{marks[1]} said Bo Dahl."
    found = beside_each(f"It is noon. {first} He coughs. {last} The sun shines.")
    assert found[first] == ([], f"He coughs. {last}", False)
    assert found["He coughs."] == ([first], last, False)
    assert found[last] == ([first], "", False)
    assert found["It is noon."] == found["The sun shines."] == ([], "", False)


def test_a_quotation_that_never_ends_leads_nothing() -> None:
    assert not any(leads("“The mayor is ill. He coughs.\n\nThe dam is safe,” said Bo Dahl.").values())


def test_several_are_taken_back_together() -> None:
    found = beside_each("They say:\n\n- Ann stole.\n- Bo fled.\n\nAll of these statements are false.")
    assert found["- Ann stole."][1] == "- Bo fled.\n\nAll of these statements are false."


@pytest.mark.parametrize(
    "text",
    [
        "These claims are false:",
        "It is a bridge.",
        "Is this false?",
        "False claims",
        "This former mill is a museum.",
        "It plans to open a garden.",
    ],
)
def test_what_takes_nothing_back(text: str) -> None:
    assert beside_each(f"The sun shines.\n\n{text}\n\nIt rains in York today.")["The sun shines."][1] == ""


def test_items_whose_introduction_stands_outside_are_lost() -> None:
    text = "- drive. It is far.\n- swim\n\nThe sun shines."
    for above, lost in (("Do not:", [True, True, True, False]), ("The guards:", [False] * 4), ("", [False] * 4)):
        assert [beside.lost for beside in all_beside(text, sentences(text), above=above)] == lost
    inside = f"Do not:\n{text}"
    assert not any(beside.lost for beside in all_beside(inside, sentences(inside), above="Do not:"))


@given(
    st.lists(st.sampled_from(["Do not:", "- a b", "Why?", "No.", "It is false.", "## Myth", "\n", "x y"]), max_size=9)
)
def test_leads_are_exact_and_stand_beside_their_sentence(lines: list[str]) -> None:
    text = "\n".join(lines)
    spans = sentences(text)
    for span, beside in zip(spans, all_beside(text, spans), strict=True):
        assert span.end <= beside.end <= len(text)
        assert all(0 <= lead.start < lead.end <= span.start for lead in beside.leads)
        assert list(beside.leads) == sorted(beside.leads)
