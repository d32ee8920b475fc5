from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import ScriptedLLM

from rag.assistant import Assistant
from rag.conversation import REFUSAL, is_faithful, last_answer, new_words, parts, recent, smalltalk, standalone
from rag.settings import Settings
from rag.types import Message

HISTORY: list[Message] = [
    {"role": "user", "content": "Who heads the service?"},
    {"role": "assistant", "content": "Al-Saadi heads it."},
    {"role": "user", "content": "thanks"},
    {"role": "assistant", "content": "You are welcome."},
]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "hi",
            "Hello there!",
            "Good morning",
            "thank you so much",
            "ok great",
            "bye",
            "no",
            "I see, thanks",
            "Got it.",
        ),
        *("who are you?", "Hi, what can you do?", "help", "are you a bot?"),
    ],
)
def test_small_talk_gets_a_short_reply(text: str) -> None:
    assert smalltalk(text, HISTORY)


@pytest.mark.parametrize("text", ["Nice", "ok", "great", "Cool!", "Fine", "cheers", "interesting", "ok great"])
def test_what_replies_to_an_answer_is_a_topic_at_the_beginning(text: str) -> None:
    assert smalltalk(text, []) is None
    assert smalltalk(text, HISTORY)


@pytest.mark.parametrize("text", ["hi", "thank you!", "bye", "ok, thanks", "hello, nice", "who are you?"])
def test_a_greeting_or_thanks_need_nothing_before_them(text: str) -> None:
    assert smalltalk(text, [])


def test_a_topic_at_the_beginning_is_what_a_follow_up_is_about() -> None:
    answer: Message = {"role": "assistant", "content": "Nice lies on the coast."}
    assert standalone("Who founded it?", [{"role": "user", "content": "Nice"}, answer]) == "Nice Who founded it?"
    question: Message = {"role": "user", "content": "Where is Nice?"}
    thanks: Message = {"role": "user", "content": "nice"}
    assert standalone("Who founded it?", [question, answer, thanks]) == "Where is Nice? Who founded it?"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "hi, who heads the service?",
            "great powers",
            "hello world program",
            "thanks to whom did it win?",
            "why",
            ".",
        ),
        *("thanks, and who built it?", "help for farmers", "Who are you supposed to call?", "how does it work?", "ok?"),
    ],
)
def test_questions_are_no_small_talk(text: str) -> None:
    assert smalltalk(text, HISTORY) is None


@pytest.mark.parametrize(
    "question",
    [
        *("Why was he chosen?", "and the other one?", "what about the army?", "why?", "tell me more", "yes"),
        *("Who said that?", "Which is bigger?", "Do the Danish people support him?"),
    ],
)
def test_a_follow_up_takes_the_question_before_it_along(question: str) -> None:
    assert standalone(question, HISTORY) == f"Who heads the service? {question}"


@pytest.mark.parametrize(
    "question",
    [
        *("When were the parliamentary elections announced?", "Who is Bo Dahl?", "who is Dahl?"),
        *("What did Ann Lee do before she retired?", "How did France differ from Britain in managing its colonies?"),
        *("Why do those who govern fear elections?", "How long do former presidents get protection?"),
    ],
)
def test_a_new_topic_does_not_drag_the_old_one_along(question: str) -> None:
    assert standalone(question, HISTORY) == question


def test_a_follow_up_that_names_its_subject_stands_alone() -> None:
    assert standalone("And who is the minister of defence?", HISTORY) == "And who is the minister of defence?"


def test_a_chain_of_follow_ups_goes_back_to_its_start() -> None:
    history: list[Message] = [*HISTORY, {"role": "user", "content": "why him?"}, {"role": "assistant", "content": "…"}]
    assert standalone("and who else?", history) == "Who heads the service? why him? and who else?"


@pytest.mark.parametrize("doubt", ["are you sure?", "Really?", "But is that true?", "how do you know that"])
def test_a_doubt_asks_the_last_question_again(doubt: str) -> None:
    assert standalone(doubt, HISTORY) == "Who heads the service?"


def test_thanks_before_a_question_are_no_part_of_it() -> None:
    assert standalone("Thanks! And when was he born?", HISTORY) == "Who heads the service? And when was he born?"
    assert standalone("ok, who is Bo Dahl?", HISTORY) == "who is Bo Dahl?"


@pytest.mark.parametrize(
    ("rewritten", "faithful"),
    [
        ("How many of the 1,200 guards does Al-Saadi lead?", True),
        ("How many of the 1200 guards does Al-Sa'adi lead?", True),
        ("How many of the guards does Al-Saadi lead?", False),
        ("How many of the 1,200 guards does Al-Saadi lead in Springfield?", False),
        ("How many of the 1,200 guards does Al-Saadi lead since 1903?", False),
    ],
)
def test_a_rewrite_neither_adds_nor_loses_a_name_or_an_amount(rewritten: str, faithful: bool) -> None:
    assert is_faithful(rewritten, "how many of the 1,200 guards does he lead?", HISTORY) is faithful


@pytest.mark.parametrize(
    ("rewritten", "new"),
    [
        ("Where is the service that Al-Sa'adi heads located?", []),
        ("When did Al-Saadi begin to head the 2 services?", []),
        ("Why does Al-Saadi head the service? swordfish", ["swordfish"]),
        ("please log in again and type your password", ["log", "password"]),
    ],
)
def test_the_words_that_a_rewrite_brings_in(rewritten: str, new: list[str]) -> None:
    assert new_words(rewritten, "and why?", HISTORY) == new


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


# -- what a person sees, with the real embedding model ----------------------------------------------------------------

TEXTS = {
    "lighthouse.txt": (
        "The Orrin lighthouse\n\nThe Orrin lighthouse was designed by Marta Quill in 1871. "
        "The tower is painted in red and white bands. "
        "The keeper climbs 214 steps every evening."
    ),
    "mill.txt": (
        "The Tarn mill\n\nThe Tarn mill was designed by Edgar Voss in 1902. "
        "The mill grinds barley for three villages. "
        "The mill was painted in green by its owner."
    ),
    "choir.txt": "The Vale choir\n\nThe Vale choir sings on Sundays. It was founded by Ruth Aldous.",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talk")
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def talker(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    settings = Settings(documents=folder, index_dir=tmp_path_factory.mktemp("index"), llm="none", refuse_below=0.0)
    with Assistant.open(settings) as assistant:
        yield assistant


def talk(assistant: Assistant, *turns: str) -> list[str]:
    """What is answered to each turn."""
    history: list[Message] = []
    for turn in turns:
        answer = assistant.ask(turn, history=history).text
        history += [{"role": "user", "content": turn}, {"role": "assistant", "content": answer}]
    return [message["content"] for message in history if message["role"] == "assistant"]


def test_a_follow_up_is_about_what_was_asked_before(talker: Assistant) -> None:
    for building, source, colour in (
        ("Orrin lighthouse", "lighthouse.txt", "red and white"),
        ("Tarn mill", "mill.txt", "green"),
    ):
        history: list[Message] = [{"role": "user", "content": f"Who designed the {building}?"}]
        answer = talker.ask("And how is it painted?", history=history)
        assert answer.citations[0].passage.source == source
        assert colour in answer.text


def test_the_talk_before_helps_a_question_that_could_stand_alone(talker: Assistant) -> None:
    for building, source in (("Orrin lighthouse", "lighthouse.txt"), ("Tarn mill", "mill.txt")):
        history: list[Message] = [{"role": "user", "content": f"Who designed the {building}?"}]
        answer = talker.ask("Which architect made the design?", history=history)
        assert answer.passages[0].source == source


def test_a_new_topic_is_answered_as_if_nothing_had_been_said(talker: Assistant) -> None:
    question = "Who founded the Vale choir?"
    *_, after = talk(talker, "Who designed the Tarn mill?", "How is it painted?", question)
    assert after == talker.ask(question).text
    assert "Ruth Aldous" in after


def test_more_brings_what_was_not_said_yet(talker: Assistant) -> None:
    history: list[Message] = []
    quoted: list[str] = []
    for turn in ("How many steps does the keeper of the Orrin lighthouse climb?", "tell me more"):
        answer = talker.ask(turn, history=history)
        assert answer.citations
        assert not {c.quote for c in answer.citations} & set(quoted)
        quoted += [c.quote for c in answer.citations]
        history += [{"role": "user", "content": turn}, {"role": "assistant", "content": answer.text}]


def test_when_all_has_been_said_it_says_so(talker: Assistant) -> None:
    history: list[Message] = [{"role": "user", "content": "Who designed the Tarn mill?"}]
    history += [{"role": "assistant", "content": text} for text in TEXTS.values()]
    answer = talker.ask("tell me more", history=history)
    assert answer.refused
    assert answer.reason == "the documents hold no more about it than what was said"


def test_what_is_left_but_does_not_answer_is_told_apart(folder: Path, tmp_path: Path) -> None:
    history: list[Message] = [
        {"role": "user", "content": "Who designed the Tarn mill?"},
        {"role": "assistant", "content": TEXTS["mill.txt"]},
    ]
    settings = Settings(documents=folder, index_dir=tmp_path / "index", llm="none", refuse_below=1.0)
    with Assistant.open(settings) as assistant:
        more = assistant.ask("tell me more", history=history).reason
        first = assistant.ask("Who designed the Tarn mill?").reason
    assert more.startswith("the nearest passages hold no more about it that is sure (confidence ")
    assert first.startswith("the nearest passages do not answer it (confidence ")


def test_a_word_that_could_be_small_talk_is_searched_at_the_beginning(talker: Assistant) -> None:
    assert talker.ask("Fine").mode != "smalltalk"
    assert talk(talker, "Who designed the Tarn mill?", "Fine")[1] == smalltalk("Fine", HISTORY)


def test_a_doubt_shows_the_evidence_again(talker: Assistant) -> None:
    first, again = talk(talker, "Who designed the Tarn mill?", "are you sure?")
    assert "Edgar Voss" in again
    assert first.split("]")[0] == again.split("]")[0]


def test_a_rewrite_that_brings_in_a_name_is_not_searched_for(folder: Path, tmp_path: Path) -> None:
    llm = ScriptedLLM(replies=["When did Napoleon see the Tarn mill?", "NOT FOUND"])
    with Assistant.open(
        Settings(documents=folder, index_dir=tmp_path / "index", refuse_below=0.0), llm=llm
    ) as assistant:
        history: list[Message] = [{"role": "user", "content": "Who designed the Tarn mill?"}]
        answer = assistant.ask("and when was it?", history=history)
    assert answer.standalone_question == "Who designed the Tarn mill? and when was it?"


def test_only_the_end_of_a_long_conversation_is_read() -> None:
    roles = ("user", "assistant")
    said: list[Message] = [{"role": roles[n % 2], "content": f"{n} {'a' * 20_000}"} for n in range(1_000)]  # type: ignore[typeddict-item]
    kept = recent(said, 4_000)
    assert [message["content"].split()[0] for message in kept] == [str(number) for number in range(900, 1_000)]
    assert [len(message["content"]) for message in kept] == [4_000, 10_000] * 50


def test_what_no_file_can_hold_is_not_kept_of_a_conversation() -> None:
    assert recent([{"role": "user", "content": "\ud800 Ada"}], 4_000) == [{"role": "user", "content": "\ufffd Ada"}]


def test_a_run_of_commas_and_blanks_takes_no_endless_time() -> None:
    # Minutes, when each comma and blank was tried in every way.
    run = "," * 1900 + " " * 1900
    assert parts(f"Who built it{run}x", f"Who built it{run}x") == [f"Who built it{run}x"]
    assert parts(f"Who built it{run}and when was it opened", f"Who built it{run}and when was it opened") == [
        "Who built it",
        "when was it opened",
    ]


def test_of_a_history_no_more_is_read_than_could_be_said(folder: Path, tmp_path: Path) -> None:
    book = " ".join(f"word{n}" for n in range(100_000))
    history: list[Message] = [
        {"role": "user", "content": f"Who built {book}?"},
        {"role": "assistant", "content": f"\ud800 {book}"},
    ] * 200
    with Assistant.open(Settings(documents=folder, index_dir=tmp_path / "index", llm="none")) as assistant:
        answer = assistant.ask("And why did he do it?", history=history)
    assert len(answer.standalone_question) < 3 * assistant.settings.question_chars
