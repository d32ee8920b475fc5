"""Words that the documents do not hold, and the word of theirs that was probably meant."""

from __future__ import annotations

from rapidfuzz.distance import DamerauLevenshtein

from .terms import same_sound, stem
from .types import Vocabulary

_SHORTEST_TYPO = 6  # shorter words are one letter away from too many others


def respell(word: str, vocabulary: Vocabulary) -> str | None:
    """The documents' spelling of a word that they do not hold, or None.

    A typo: same first letter and one edit, as in "terorism".
    Another transliteration: a name that sounds the same, as in "mohamed" for "muhammad".
    """
    if not word.isalpha():  # 2011 is no misspelling of 2001
        return None
    if len(word) >= _SHORTEST_TYPO:
        near = [
            known
            for known in vocabulary.words
            if known[:1] == word[:1] and DamerauLevenshtein.distance(word, known, score_cutoff=1) <= 1
        ]
        if near:
            return min(near, key=lambda known: (-vocabulary.words[known], known))
    alike = [name for name in vocabulary.names if same_sound(word, name) and stem(name) != stem(word)]
    return min(alike, key=lambda name: (-vocabulary.names[name], name), default=None)
