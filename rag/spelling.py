"""Words that the documents do not hold, and the word of theirs that was probably meant.

The documents' words are asked for a few hundred that it might be, however many there are: all that are one edit away
(after Norvig, "How to Write a Spelling Corrector", 2007), and the names that sound the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Protocol

from .terms import fold, same_sound, sound, stem

_SHORTEST_TYPO = 6  # shorter words are one letter away from too many others
_LONGEST_TYPO = 48
_RANGE = 0x180  # code points whose letters one alphabet is made of: the first such range is that of Latin, with Polish
_LARGEST_ALPHABET = 320  # where there are more letters, as in Chinese, too many words are one edit away


class Words(Protocol):
    """The words of titles, headings and texts, folded as by `terms.fold`, unstemmed."""

    def words_held(self, words: Collection[str]) -> Mapping[str, int]:
        """How many passages hold each of `words`; without those that none holds."""

    def names_sounding(self, sound: str) -> Mapping[str, int]:
        """The words with this `terms.sound` that are never written in lower case, and how many passages hold each."""


def respelled(word: str, known: Words) -> str | None:
    """The documents' spelling of a folded word that they do not hold, or None.

    A typo: same first letter and one edit, as in "terorism".
    Another transliteration: a name that sounds the same, as in "mohamed" for "muhammad".
    """
    if not word.isalpha():  # 2011 is no misspelling of 2001
        return None
    near = known.words_held(edits(word)) if _SHORTEST_TYPO <= len(word) <= _LONGEST_TYPO else {}
    if near:
        return _most_frequent(near)
    heard = sound(word)
    names = known.names_sounding(heard) if heard else {}
    return _most_frequent({name: n for name, n in names.items() if same_sound(word, name) and stem(name) != stem(word)})


def edits(word: str) -> set[str]:
    """All words with the same first letter that are one edit from `word` (Damerau and Levenshtein).

    One letter less, more, or another one, or two that stand the other way round. Letters are those of its alphabet.
    """
    letters = set[str]().union(*(_alphabet(ord(letter) // _RANGE) for letter in word))
    if len(letters) > _LARGEST_ALPHABET:
        return set()
    splits = [(word[:at], word[at:]) for at in range(1, len(word) + 1)]
    less = {start + rest[1:] for start, rest in splits}
    turned = {start + rest[1] + rest[0] + rest[2:] for start, rest in splits if len(rest) > 1}
    more = {start + letter + rest for start, rest in splits for letter in letters}
    other = {start + letter + rest[1:] for start, rest in splits if rest for letter in letters}
    return (less | turned | more | other) - {word}


def _most_frequent(words: Mapping[str, int]) -> str | None:
    return min(words, key=lambda word: (-words[word], word), default=None)


@lru_cache(maxsize=64)
def _alphabet(number: int) -> frozenset[str]:
    """The letters that folded words are written in, of a range of code points."""
    every = map(chr, range(number * _RANGE, (number + 1) * _RANGE))
    return frozenset(letter for letter in every if letter.isalpha() and fold(letter) == letter)
