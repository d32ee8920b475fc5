import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag.terms import cardinals, content_words, fold, names, numbers, same_sound, stem, words


def test_words_are_folded() -> None:
    assert words("Al-Sa'adi’s CAFÉ, naïve") == ["al", "saadi", "cafe", "naive"]


def test_content_words_leave_out_how_people_ask() -> None:
    assert content_words("Tell me who the head of the Counter-Terrorism Service is") == [
        "head",
        "counter",
        "terrorism",
        "service",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,000 men and 1000 women", {"1000"}),
        ("about forty factions", {"40"}),
        ("the twenty-sixth of June 2020", {"26", "2020"}),
        ("pi is 3.14, not 3,14", {"3.14", "3,14"}),
        ("007 and 7", {"7"}),
        ("wait a second", set()),
        ("no number here", set()),
    ],
)
def test_numbers_have_one_form(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


def test_ranks_and_one_are_no_amounts() -> None:
    assert cardinals("One of the first 3rd-rate banks seized 12 of the twenty") == {"12", "20"}


def test_names_are_capitalised_words_past_the_start() -> None:
    assert names("Who is Lieutenant General Amir? The man. Nothing else") == ["lieutenant", "general", "amir"]
    assert names("Muqtada al-Sadr heads it") == ["sadr"]
    assert names("Abdel Wahab leads") == ["abdel", "wahab"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kadhimi", "kazemi"),
        ("husayni", "husseini"),
        ("muntadhar", "montazer"),
        ("qasim", "kasem"),
        ("mohamed", "muhammad"),
    ],
)
def test_spellings_of_one_name_sound_alike(one: str, other: str) -> None:
    assert same_sound(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kazemi", "khamenei"), ("niger", "nigeria"), ("sudan", "sweden"), ("turkey", "tariq"), ("moscow", "mosque"),
        ("2011", "2001"), ("saadi", "side"),
    ],
)  # fmt: skip
def test_different_names_do_not_sound_alike(one: str, other: str) -> None:
    assert not same_sound(one, other)


@pytest.fixture
def _eager_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_eager_threads")
def test_threads_stem_without_mixing_their_words() -> None:
    some = [f"{part}{i}ations" for i in range(300) for part in ("commission", "nation", "generous")]
    unremembered = stem.__wrapped__
    expected = [unremembered(word) for word in some]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: [unremembered(word) for word in some], range(4)))
    assert found == [expected] * 4


def test_a_number_may_have_any_number_of_digits() -> None:
    assert numbers("9" * 5000) == cardinals("9" * 5000) == {"9" * 5000}
    assert numbers("00" + "7" * 5000) == {"7" * 5000}
    assert numbers("٠٣") == {"3"}
    assert cardinals("1" * 200_000) == {"1" * 200_000}  # in a moment, not after a minute


@pytest.mark.parametrize("word", ["ᴬ", "\uff9e", "ﷺ", "İstanbul", "ǅ", "Straße", "don’t"])
def test_a_folded_word_is_folded_and_never_empty(word: str) -> None:
    (folded,) = words(word)
    assert folded
    assert fold(folded) == folded
