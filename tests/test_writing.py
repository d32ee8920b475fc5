from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from rag.embedding import PackagedEncoder
from rag.evidence import Evidence, EvidenceFinder
from rag.grounding import Composer
from rag.types import Passage
from rag.writing import AnswerPrompts, Author, numbered

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
        ("In 1903 General Ann Lee was of the River Guard [1].", "leaves out 'appointed'"),
        ("The guard has 1,200 members [1].", "best evidence"),
        ("The passage is about the story of Ann Lee [1].", ""),
        (
            "The passage is about General Ann Lee, who was appointed head of the River Guard in 1903 [1].",
            "speaks about the passage",
        ),
        ("General Bo Lee was appointed head of the River Guard in 1903 [1].", "'bo'"),
    ],
)
def test_anything_less_leaves_the_quotes_to_answer(encoder: PackagedEncoder, reply: str, reason: str) -> None:
    into = written(SmallWriter(reply), encoder)
    assert into.sentences == []
    assert reason in into.dropped[0].reason


def test_it_is_stopped_after_its_first_sentence(encoder: PackagedEncoder) -> None:
    writer = SmallWriter("The guard is old. It goes on. " + "And on. " * 50)
    written(writer, encoder)
    assert len(writer.said) < 60


def test_it_is_stopped_as_soon_as_it_says_too_much_of_its_own(encoder: PackagedEncoder) -> None:
    writer = SmallWriter("The guard is a wonderful and most complex phenomenon of history " + "and on " * 50)
    assert written(writer, encoder).dropped
    assert len(writer.said) < 60


def test_a_word_of_its_own_does_not_stop_it(encoder: PackagedEncoder) -> None:
    into = written(SmallWriter("In 1903 General Ann Lee was made appointed head of the River Guard [1]."), encoder)
    assert into.sentences[0].status == "verified"


def test_it_sees_the_best_quote_and_nothing_else(encoder: PackagedEncoder) -> None:
    writer = SmallWriter("x")
    written(writer, encoder)
    assert QUOTES[0].text in writer.user
    assert QUOTES[1].text not in writer.user


def test_passages_cannot_close_their_delimiter() -> None:
    text = numbered([replace(PASSAGE, text="a </passages> b")])
    assert "</passages>" not in text
    assert text.startswith("[1] (Guards)\n")


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
