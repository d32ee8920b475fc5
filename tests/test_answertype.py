import pytest

from rag.answertype import asked_for, asks_for_several, expected, holds, share_asked_for


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


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Who is the deputy head of the River Guard?", ["deputy", "head", "river", "guard"]),
        ("what's the email address", ["email", "address"]),
        ("army chief of staff?", ["army", "chief", "staff"]),
        ("What is the reason for this?", []),
        ("Who was appointed in 1903?", []),
        ("Why did it fall?", []),
        ("What is the crew'who doing?", []),
    ],
)
def test_what_is_asked_for_is_read_from_the_question(question: str, words: list[str]) -> None:
    assert asked_for(question) == words


@pytest.mark.parametrize(
    ("question", "share"),
    [
        ("Who is the head of the River Guard?", 1.0),
        ("Who is the leader of the River Guard?", 1.0),
        ("Who is the deputy head of the River Guard?", 0.75),
        ("What is the email address?", 0.0),
        ("Why did it fall?", 1.0),
    ],
)
def test_a_text_speaks_of_it_or_not(question: str, share: float) -> None:
    assert share_asked_for(question, "General Ann Lee, head of the River Guard") == share


@pytest.mark.parametrize(
    ("question", "several"),
    [
        ("Which forces backed him?", True),
        ("List the guards of the lake.", True),
        ("who were the founders", True),
        ("What are the names of the two parties?", True),
        ("Who is the founder?", False),
        ("What is his address?", False),
        ("Which bus is red?", False),
        ("When was it built?", False),
    ],
)
def test_a_question_for_several_is_told_from_one_for_one(question: str, several: bool) -> None:
    assert asks_for_several(question) == several


def test_an_endless_word_takes_no_endless_time() -> None:
    # The words of what is asked for were sought in every way in which the first could be cut: hours for this one.
    assert asked_for("x" * 3900 + " b c d e f g h") == []
    assert asked_for("x" * 3900 + " b c d e f g") == ["x" * 3900]
    assert asked_for("What is" + " " * 3900 + "\nthe weather\nlike") == ["weather"]


def test_only_the_mark_of_a_list_is_no_amount() -> None:
    assert holds("number", "In all they caught 42. It took an hour", "How many herons?")
    assert not holds("number", "42. It took an hour", "How many herons?")
