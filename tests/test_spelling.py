import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_words import KnownWords

from rag.spelling import edits, respelled

WORDS = {"terrorism": 3, "kazemi": 9, "movement": 4, "station": 1, "primary": 1}
KNOWN = KnownWords(WORDS, {"kazemi": 9})


def of(*words: str) -> KnownWords:
    return KnownWords({word: 1 for word in words}, {})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("terorism", "terrorism", id="a letter left out"),
        pytest.param("movemnt", "movement", id="a vowel left out"),
        pytest.param("movementt", "movement", id="one too many"),
        pytest.param("movememt", "movement", id="another one"),
        pytest.param("terrorsim", "terrorism", id="two that stand the other way round"),
    ],
)
def test_a_typo_is_mended(written: str, meant: str) -> None:
    assert respelled(written, KNOWN) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("wroclaw", "wrocław"),
        ("kobenhavn", "københavn"),
        ("достоевсий", "достоевский"),
        ("αριστοτελς", "αριστοτελης"),
        ("السلمية", "السلامية"),
    ],
)
def test_each_script_has_letters_of_its_own(written: str, meant: str) -> None:
    assert respelled(written, of(meant)) == meant


def test_another_transliteration_of_a_name_is_found() -> None:
    assert respelled("kadhimi", KNOWN) == "kazemi"


def test_of_several_spellings_the_most_frequent_is_taken() -> None:
    near = KnownWords({"station": 5, "statiom": 5, "stati": 2, "statios": 4, "stations": 9}, {})
    assert respelled("statio", near) == "statiom"  # as frequent as "station", and before it; "stations" is too far
    alike = KnownWords({}, {"mohamed": 2, "muhammad": 7, "mahmud": 9})
    assert respelled("mohammed", alike) == "muhammad"


def test_other_words_are_left_alone() -> None:
    assert respelled("nation", KNOWN) is None  # another first letter
    assert respelled("premier", KNOWN) is None  # sounds like "primary", which is no name
    assert respelled("health", KNOWN) is None
    assert respelled("2011", KnownWords({"2001": 1}, {"2001": 1})) is None
    assert respelled("production", of("protection")) is None
    assert respelled("桥在河上面很长", of("桥在河上面很短")) is None  # a sentence, as it is cut, and no word
    assert respelled("a" * 100, of("a" * 99)) is None


@given(st.text("abehrwøł", min_size=2, max_size=9), st.sampled_from("abcdeøł"), st.data())
def test_every_word_one_edit_away_is_among_them(word: str, letter: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(word) - 1))
    start, rest = word[:at], word[at:]
    near = {start + rest[1:], start + letter + rest, start + letter + rest[1:], word + letter}
    if len(rest) > 1:
        near.add(start + rest[1] + rest[0] + rest[2:])
    found = edits(word)
    assert near - {word} <= found
    assert word not in found
    assert all(one[0] == word[0] and abs(len(one) - len(word)) <= 1 for one in found)
