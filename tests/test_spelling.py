from rag.spelling import respell
from rag.types import Vocabulary

WORDS = {"terrorism": 3, "kazemi": 9, "movement": 4, "station": 1, "primary": 1}
VOCABULARY = Vocabulary(WORDS, {"kazemi": 9})


def test_a_typo_is_mended() -> None:
    assert respell("terorism", VOCABULARY) == "terrorism"
    assert respell("movemnt", VOCABULARY) == "movement"


def test_another_transliteration_of_a_name_is_found() -> None:
    assert respell("kadhimi", VOCABULARY) == "kazemi"


def test_other_words_are_left_alone() -> None:
    assert respell("nation", VOCABULARY) is None  # another first letter
    assert respell("premier", VOCABULARY) is None  # sounds like "primary", which is no name
    assert respell("health", VOCABULARY) is None
    assert respell("2011", Vocabulary({"2001": 1}, {"2001": 1})) is None
    assert respell("production", Vocabulary({"protection": 1}, {})) is None
