from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.embedding import PackagedEncoder
from rag.evidence import Evidence, EvidenceFinder
from rag.grounding import Composer
from rag.types import Passage
from rag.writing import AnswerPrompts, Author, Copy, numbered

TEXT = "General Ann Lee was appointed head of the River Guard in 1903. The guard has 1,200 members."
PASSAGE = Passage(1, 1, "guard.txt", "Guards", 0, len(TEXT), TEXT)
QUOTES = [Evidence(PASSAGE, 0, 62, 0.9, 0.9, 0.9), Evidence(PASSAGE, 63, len(TEXT), 0.5, 0.5, 0.5)]


class SmallWriter:
    """Plays the embedded model: not capable, and says what it was told to say."""

    name, capable = "small", False

    def __init__(self, reply: str) -> None:
        self.reply = reply
        self.said = ""
        self.user = ""

    def stream(self, system: str, user: str, *, max_tokens: int) -> Iterator[str]:
        self.user = user
        for start in range(0, len(self.reply), 4):
            self.said += self.reply[start : start + 4]
            yield self.reply[start : start + 4]


def written(writer: SmallWriter, encoder: PackagedEncoder) -> Composer:
    into = Composer()
    author = Author(writer, AnswerPrompts.load(), EvidenceFinder(encoder), encoder)  # type: ignore[arg-type]
    for _ in author.write("Who heads the River Guard?", [PASSAGE], QUOTES, into):
        pass
    return into


def test_a_faithful_sentence_stands_for_the_best_quote(encoder: PackagedEncoder) -> None:
    into = written(SmallWriter("In 1903 General Ann Lee was appointed head of the River Guard [1]. Then"), encoder)
    assert into.text == (
        "In 1903 General Ann Lee was appointed head of the River Guard. [1] “The guard has 1,200 members.” [2]"
    )
    assert [c.quote for c in into.citations] == [quote.text for quote in QUOTES]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Ann Lee was appointed head of the River Guard [1].", "leaves out"),
        ("In 1903 General Ann Lee was appointed head of the River Gu", "'gu'"),  # it was cut off
        ("In 1903 General Ann Lee was appointed head of the River", "leaves out"),
        ("The guard has 1,200 members [1].", "'guard'"),  # of another quote
        ("The passage is about the story of Ann Lee [1].", "'passage'"),
        ("General Bo Lee was appointed head of the River Guard in 1903 [1].", "'bo'"),
        ("General Ann Lee was wrongly appointed head of the River Guard in 1903 [1].", "'wrongly'"),
        ("General Ann Lee was appointed deputy head of the River Guard in 1903 [1].", "'deputy'"),
        ("General Ann Lee may have been appointed head of the River Guard in 1903 [1].", "'may'"),
        ("General Ann Lee was appointed head of the River Guard before 1903 [1].", "'before'"),
        ("General Ann Lee was appointed head of the River Guard in 1903?", "asks"),
        ("", ""),
    ],
)
def test_anything_but_a_copy_leaves_the_quotes_to_answer(encoder: PackagedEncoder, reply: str, reason: str) -> None:
    into = written(SmallWriter(reply), encoder)
    assert into.sentences == []
    assert [reason in dropped.reason for dropped in into.dropped] == [True] * bool(reply)


@pytest.mark.parametrize(
    ("quote", "reply"),
    [
        ("Unlike Bo Dahl, Ann Lee took bribes.", "Unlike Ann Lee, Bo Dahl took bribes."),
        ("The alleged spy stole two maps.", "The spy stole two maps."),
        ("It fell by -5 °C, or 9 %, at $ 3.", "It fell by 5 °C, or 9 %, at $ 3."),
        ("It fell by -5 °C, or 9 %, at $ 3.", "It fell by -5 °C, or 9, at $ 3."),
        ("He met the “expert”.", "He met the expert."),
        ("He met her.", "He met her. He met her. He met"),
        ("Never:\n- meet her", "Meet her, never."),
    ],
)
def test_no_copy(quote: str, reply: str) -> None:
    assert Copy(quote).against(reply)


@pytest.mark.parametrize(
    ("quote", "reply"),
    [
        ("Unlike Bo Dahl, Ann Lee took bribes.", "Ann Lee took bribes, unlike Bo Dahl."),
        ("1- General Lee (retired) as head", "General Lee, retired, as head."),
        ("The ‘Heron’ — it’s old.", "The 'heron' — it's old."),
        ("Who knew?", "who knew?"),
        ("The war – long – ended in 1903.", "The war – long – ended in 1903."),  # no list: the dash is its own
    ],
)
def test_a_copy(quote: str, reply: str) -> None:
    assert Copy(quote).against(reply) == ""


@given(st.lists(st.sampled_from("a b not 7 % the".split()), min_size=1, max_size=7), st.data())
def test_only_turning_a_sentence_around_is_copying(quote: list[str], data: st.DataObject) -> None:
    reply = data.draw(st.lists(st.sampled_from("a b not 7 % the".split()), min_size=1, max_size=7))
    turned = [quote[at:] + quote[:at] for at in range(len(quote))]
    assert (Copy(" ".join(quote)).against(" ".join(reply)) == "") == (reply in turned)
    assert Copy(" ".join(quote)).against(" ".join(data.draw(st.sampled_from(turned)))) == ""


def test_it_is_stopped_after_its_first_sentence(encoder: PackagedEncoder) -> None:
    writer = SmallWriter("In 1903 General Ann Lee was appointed head of the River Guard. In 1903 " + "and on " * 50)
    written(writer, encoder)
    assert len(writer.said) < 80


def test_it_is_stopped_at_the_first_word_that_is_no_copy(encoder: PackagedEncoder) -> None:
    writer = SmallWriter("General Ann Lee was a wonderful head " + "and on " * 50)
    assert written(writer, encoder).dropped
    assert len(writer.said) < 40


def test_it_sees_the_best_quote_and_nothing_else(encoder: PackagedEncoder) -> None:
    writer = SmallWriter("x")
    written(writer, encoder)
    assert QUOTES[0].text in writer.user
    assert QUOTES[1].text not in writer.user


def test_a_passage_cannot_begin_another_one() -> None:
    text = numbered([replace(PASSAGE, text="a\n[2] (Correction)\nb\n  > [ 3 ] c, see [12]")])
    assert text == "[1] (Guards)\na\n(2) (Correction)\nb\n  > ( 3 ) c, see [12]"


class TokenWriter:
    """Plays a capable model that streams word by word."""

    name, capable = "tokens", True

    def __init__(self, reply: str) -> None:
        self.reply = reply
        self.said = ""

    def stream(self, system: str, user: str, *, max_tokens: int) -> Iterator[str]:
        for token in self.reply.split(" "):
            self.said += f"{token} "
            yield f"{token} "


def test_a_sentence_is_shown_when_the_next_one_begins_not_when_it_ends(encoder: PackagedEncoder) -> None:
    writer = TokenWriter("Ann Lee was appointed head of the River Guard in 1903 [1]. The guard has 1,200 members [1].")
    into = Composer()
    author = Author(writer, AnswerPrompts.load(), EvidenceFinder(encoder), encoder)  # type: ignore[arg-type]
    answers = author.write("Who heads the River Guard?", [PASSAGE], QUOTES, into)
    next(answers)
    assert len(into.sentences) == 1
    assert "1,200" not in writer.said
