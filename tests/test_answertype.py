import pytest

from rag.answertype import expected, holds


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many seats does it have?", "number"),
        ("number of deaths in the uprising", "number"),
        ("When was he born?", "date"),
        ("On which day was he appointed?", "date"),
        ("what is the new date of the visit", "date"),
        ("Who is the Minister of Health?", "name"),
        ("names of the two parties", "name"),
        ("Why did he resign?", "any"),
        ("What happened in the raid?", "any"),
    ],
)
def test_the_wording_says_what_is_wanted(question: str, kind: str) -> None:
    assert expected(question) == kind


@pytest.mark.parametrize(
    ("question", "text", "fits"),
    [
        ("How many were arrested?", "About forty men were arrested.", True),
        ("How many were arrested?", "3- They were arrested in 2020, on June 26.", False),
        ("How many of the 12 were freed?", "All 12 were freed.", False),
        ("When was he killed?", "He was killed on 3 January.", True),
        ("When was he killed?", "He was killed near the 2 gates.", False),
        ("When did he take office?", "He took office on 5-7-2020.", True),
        ("Who leads the Nujaba Movement?", "4- Al-Nujaba Movement", False),
        ("Who leads the Badr Organization?", "Hadi Al-Ameri, head of the Badr Organization", True),
        ("Why?", "Because.", True),
    ],
)
def test_a_text_holds_what_is_wanted_or_not(question: str, text: str, fits: bool) -> None:
    assert holds(expected(question), text, question) is fits
