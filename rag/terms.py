"""The words of a text, as the chain compares them: content terms, numbers, names, spellings.

Pure functions over strings. English function words are left out and English endings cut; words of
other languages pass through unchanged.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import snowballstemmer  # type: ignore[import-untyped]

from .types import Span

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_RANK = re.compile(r"(?<!\d)\d++(?:st|nd|rd|th)\b")  # from the first digit only: else n digits take n² steps
_VOWELS = re.compile(r"[aeiouy]+")
_VOWEL_KIND = str.maketrans("eyo", "iiu")
_DOUBLE = re.compile(r"(.)\1+")
# Ways in which one foreign sound is written in Latin letters (BGN/PCGN against common press use).
_SOUNDS = (
    ("dh", "z"), ("th", "t"), ("kh", "k"), ("gh", "g"), ("ph", "f"), ("ck", "k"),
    ("q", "k"), ("c", "k"), ("x", "ks"), ("j", "g"),
)  # fmt: skip

# Function words, and words by which people ask rather than what they ask for.
STOPWORDS = frozenset(
    """
    a about above after again against all also although always am among an and any anybody anyone anything are
    aren't around as at be because been before being below between both but by can can't cannot could couldn't did
    didn't do does doesn't doing don't done down during each either else ever every few for from further get gets
    give given had hadn't has hasn't have haven't having he hello her here hers herself hey hi him himself his how
    however i i'm i've if in instead into is isn't it it's its itself just kind know let like list many may me
    might more most much must my myself name named need neither no nor not now of off often on once one ones only or
    other others ought our ours ourselves out over own per perhaps please quite rather really regarding same say
    says shall she should shouldn't show since so some someone something sort still such tell than that that's the
    their theirs them themselves then there there's these they they're thing things this those though through thus
    to together too toward towards under until up upon us very was wasn't we were weren't what what's whatever when
    where whereabouts wherever whether which while who who's whoever whom whose why will with within without won't
    would wouldn't yes yet you your yours yourself
    """.split()
)

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth"
).split()
_VALUES = (
    {word: n for n, word in enumerate(_UNITS)}
    | {word: n for n, word in enumerate(_ORDINALS)}
    | {word: 10 * n for n, word in enumerate(_TENS, start=2)}
    | {word[:-1] + "ieth": 10 * n for n, word in enumerate(_TENS, start=2)}
)
_ORDINAL_WORDS = frozenset(_ORDINALS) | {word[:-1] + "ieth" for word in _TENS}
_stemmer = snowballstemmer.stemmer("english")
_stemming = threading.Lock()  # the stemmer keeps the word that it works on in itself: two threads would mix theirs


def word_spans(text: str) -> list[Span]:
    """Where the words of `text` stand."""
    return [Span(*match.span()) for match in _WORD.finditer(text)]


def words(text: str) -> list[str]:
    """The words of `text` in order, lower-case, without accents: "Al-Ma'arri’s" gives al, maarri."""
    return [fold(match) for match in _WORD.findall(text)]


@lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """Lower-case, accents, apostrophes and the possessive 's off. Never empty: some letters are accents."""
    word = word.replace("’", "'")
    if word[-2:].lower() == "'s":
        word = word[:-2]
    decomposed = unicodedata.normalize("NFKD", word.replace("'", "").casefold()).casefold()  # "ᴬ" is an A by then
    return "".join(c for c in decomposed if not unicodedata.combining(c)) or word


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The word without its English ending (Snowball "english")."""
    with _stemming:
        return str(_stemmer.stemWord(word))


def content_words(text: str) -> list[str]:
    """The words that carry meaning, in order, each once."""
    return list(dict.fromkeys(w for w in words(text) if w not in _FOLDED_STOPWORDS and (len(w) > 1 or w.isdigit())))


def stems(text: str) -> frozenset[str]:
    """The stems of every word of `text`, function words too."""
    return frozenset(stem(w) for w in words(text))


def numbers(text: str) -> frozenset[str]:
    """Every number in `text` in one form: "1,000" and "1000" alike, "forty" as "40", "twenty-sixth" as "26"."""
    digits = {_plain(match) for match in _NUMBER.findall(text)}
    return frozenset(digits | _spelled(words(text)))


def cardinals(text: str) -> frozenset[str]:
    """The amounts in `text`: numbers but for ranks ("first", "3rd") and "one", which is mostly a pronoun."""
    kept = " ".join(word for word in words(text) if word not in _ORDINAL_WORDS and word != "one")
    return frozenset({_plain(match) for match in _NUMBER.findall(_RANK.sub(" ", text))} | _spelled(kept.split()))


def around(text: str, short: str | None) -> tuple[str, str, str]:
    """(before, short, after) where `text` has the short answer, whole and no marker; else (text, "", "")."""
    match = re.search(rf"(?<![\w\[]){re.escape(short)}(?![\w\]])", text) if short else None
    return (text[: match.start()], match[0], text[match.end() :]) if match else (text, "", "")


def _plain(number: str) -> str:
    """Digits without thousands separators: a comma before exactly three digits."""
    number = re.sub(r",(?=\d{3}(?:\D|$))", "", number)
    if not number.isdigit():
        return number
    # Not by int(): it refuses more than 4,300 digits, and a document may have them.
    return "".join(str(unicodedata.digit(digit)) for digit in number).lstrip("0") or "0"


def _spelled(tokens: Iterable[str]) -> set[str]:
    found: set[str] = set()
    tens = 0
    for token in tokens:
        value = _VALUES.get(token)
        if value is None or token == "second":  # far more often a unit of time or a rank than a number
            tens = 0
        elif tens and value < 10:
            found.discard(str(tens))
            found.add(str(tens + value))
            tens = 0
        else:
            found.add(str(value))
            tens = value if value >= 20 else 0
    return found


def names(text: str) -> list[str]:
    """Words written as names, folded, in order: capitalised or in capitals, but for the first word and function words.

    The first word counts when a capital follows it directly, as in "Ann Lee heads …".
    """
    found = list(_WORD.finditer(text))
    result = []
    for i, match in enumerate(found):
        word = match.group()
        if not word[0].isupper() or fold(word) in _FOLDED_STOPWORDS | _PARTICLES or len(word) < 2:
            continue
        starts = i == 0 or text[found[i - 1].end() : match.start()].strip()[:1] in {".", "!", "?", ":"}
        followed = i + 1 < len(found) and found[i + 1].group()[0].isupper()
        if not starts or followed or word.isupper():
            result.append(fold(word))
    return list(dict.fromkeys(result))


def same_sound(one: str, other: str) -> bool:
    """Whether two folded words are likely spellings of one foreign name.

    The same consonants as they sound, as many syllables, and at most a third of the vowels of another
    kind: "mohamed" and "muhammad" are, "niger" and "nigeria", "sudan" and "sweden" are not.
    """
    heard = sound(one)
    vowels, others = _vowel_kinds(one), _vowel_kinds(other)
    if not heard or heard != sound(other) or len(vowels) != len(others):
        return False
    return sum(a != b for a, b in zip(vowels, others, strict=True)) <= len(vowels) / 3


def _vowel_kinds(word: str) -> list[str]:
    return [group[0].translate(_VOWEL_KIND) for group in _VOWELS.findall(word)]


@lru_cache(maxsize=65536)
def sound(word: str) -> str:
    """The consonants of a folded word as they sound, alike for spellings of one foreign name.

    "mohamed" and "muhammad" give "mhmd". Two letters or fewer say too little: empty; so do numbers.
    """
    if not word.isalpha():
        return ""
    for written, heard in _SOUNDS:
        word = word.replace(written, heard)
    consonants = _DOUBLE.sub(r"\1", _VOWELS.sub("", word[1:]))
    skeleton = _DOUBLE.sub(r"\1", word[:1] + consonants)
    return skeleton if len(skeleton) > 2 else ""


_PARTICLES = frozenset("al el ibn bin bint de da di la le van von der".split())  # parts of names, no names
_FOLDED_STOPWORDS = frozenset(fold(w) for w in STOPWORDS)
