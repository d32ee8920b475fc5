import pytest

from rag.conversation import REFUSAL, last_answer, parts, smalltalk, standalone
from rag.types import Message

HISTORY: list[Message] = [
    {"role": "user", "content": "Who heads the service?"},
    {"role": "assistant", "content": "Al-Saadi heads it."},
    {"role": "user", "content": "thanks"},
    {"role": "assistant", "content": "You are welcome."},
]


@pytest.mark.parametrize("text", ["hi", "Hello there!", "Good morning", "thank you so much", "ok great", "bye"])
def test_small_talk_gets_a_short_reply(text: str) -> None:
    assert smalltalk(text)


@pytest.mark.parametrize(
    "text",
    ["hi, who heads the service?", "great powers", "hello world program", "thanks to whom did it win?", "why", "."],
)
def test_questions_are_no_small_talk(text: str) -> None:
    assert smalltalk(text) is None


@pytest.mark.parametrize(
    "question", ["Why was he chosen?", "and the other one?", "what about the army?", "why?", "tell me more"]
)
def test_a_follow_up_takes_the_question_before_it_along(question: str) -> None:
    assert standalone(question, HISTORY) == f"Who heads the service? {question}"


@pytest.mark.parametrize(
    "question", ["When were the parliamentary elections announced?", "Who is Bo Dahl?", "who is Dahl?"]
)
def test_a_new_topic_does_not_drag_the_old_one_along(question: str) -> None:
    assert standalone(question, HISTORY) == question


def test_a_follow_up_that_names_its_subject_stands_alone() -> None:
    assert standalone("And who is the minister of defence?", HISTORY) == "And who is the minister of defence?"


def test_a_chain_of_follow_ups_goes_back_to_its_start() -> None:
    history: list[Message] = [*HISTORY, {"role": "user", "content": "why him?"}, {"role": "assistant", "content": "…"}]
    assert standalone("and who else?", history) == "Who heads the service? and who else?"


def test_without_history_nothing_changes() -> None:
    assert standalone("why him?", []) == "why him?"
    assert last_answer([]) == ""
    assert last_answer(HISTORY) == "Al-Saadi heads it."
    refused: list[Message] = [*HISTORY, {"role": "assistant", "content": REFUSAL}]
    assert last_answer(refused) == "Al-Saadi heads it."


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who built it, and when was it opened?", ["Who built it", "when was it opened?"]),
        (
            "Which country won the cup and how many goals did Germany score?",
            ["Which country won the cup", "how many goals did Germany score?"],
        ),
        ("When and where was the bridge built?", ["When and where was the bridge built?"]),
        ("Which forces and which people backed him?", ["Which forces and which people backed him?"]),
        ("What did she say about who attacked?", ["What did she say about who attacked?"]),
        ("Bread and butter", ["Bread and butter"]),
    ],
)
def test_a_question_of_several_parts(question: str, expected: list[str]) -> None:
    assert parts(question, question) == expected


def test_of_a_follow_up_only_the_follow_up_is_asked() -> None:
    assert parts("And when was it opened?", "Who built it? And when was it opened?") == ["And when was it opened?"]
    rewritten = "Who opened the bridge and when was it opened?"
    assert parts("And that?", rewritten) == ["Who opened the bridge", "when was it opened?"]
