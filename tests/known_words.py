"""Words and names that documents hold, in two dictionaries, for the tests of spelling."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from rag.terms import sound


class KnownWords(NamedTuple):
    """`spelling.Words`: word → number of passages; `names` are those that are never written in lower case."""

    words: Mapping[str, int]
    names: Mapping[str, int]

    def words_held(self, words: Collection[str]) -> dict[str, int]:
        return {word: self.words[word] for word in words if word in self.words}

    def names_sounding(self, heard: str) -> dict[str, int]:
        return {name: n for name, n in self.names.items() if sound(name) == heard}
