"""Words that the documents do not hold, and the word of theirs that was probably meant."""

from __future__ import annotations

from rapidfuzz.distance import DamerauLevenshtein

from .terms import sound, stem
from .types import Vocabulary

_SHORTEST_TYPO = 6  # shorter words are one letter away from too many others


def respell(word: str, vocabulary: Vocabulary) -> str | None:
    """The documents' spelling of a word that they do not hold, or None.

    A typo: same first letter and at most one edit (two from nine letters on), as in "terorism".
    Another transliteration: a name that sounds the same, as in "mohamed" for "muhammad".
    """
    if len(word) >= _SHORTEST_TYPO:
        limit = 1 if len(word) < 9 else 2
        near = [
            known
            for known in vocabulary.words
            if known[:1] == word[:1]
            and abs(len(known) - len(word)) <= limit
            and DamerauLevenshtein.distance(word, known, score_cutoff=limit) <= limit
        ]
        if near:
            return min(
                near, key=lambda known: (DamerauLevenshtein.distance(word, known), -vocabulary.words[known], known)
            )
    heard = sound(word)
    alike = [name for name in vocabulary.names if heard and sound(name) == heard and stem(name) != stem(word)]
    return min(alike, key=lambda name: (-vocabulary.names[name], name), default=None)
