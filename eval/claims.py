"""How many sentences that people made up are shown, of those that a text backs and of those that it does not.

    python -m eval.claims

`claims.tsv` was written without knowledge of the checker and its tests, in two sets: sentences in free words, and
sentences as an LLM should write them, in the words of the text. A row: set, true or false, kind, title, text, claim.
This script looks inside rag/ because it measures a part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rag.embedding import PackagedEncoder
from rag.evidence import EvidenceFinder
from rag.grounding import Checker, Support, claims
from rag.types import Passage

FILE = Path(__file__).with_name("claims.tsv")


class Row(NamedTuple):
    """A claim, and the document that backs it (`true`) or does not."""

    of: str
    true: bool
    kind: str
    title: str
    text: str
    claim: str


def rows() -> Iterator[Row]:
    for line in FILE.read_text(encoding="utf-8").splitlines():
        of, label, kind, title, text, claim = line.split("\t")
        yield Row(of, label == "true", kind, title, text.replace("\\n", "\n"), claim)


def is_shown(row: Row, encoder: PackagedEncoder) -> bool:
    """Whether all of a true claim is shown, or any of a false one."""
    passage = Passage(1, 1, "document.txt", row.title, 0, len(row.text), row.text)
    checker = Checker([passage], EvidenceFinder(encoder), encoder)
    found = [isinstance(checker.check(claim._replace(cited=(1,))), Support) for claim in claims(row.claim)]
    return all(found) if row.true else any(found)


def main() -> None:
    encoder = PackagedEncoder()
    asked: Counter[tuple[str, bool]] = Counter()
    shown: Counter[tuple[str, bool]] = Counter()
    for row in rows():
        asked[row.of, row.true] += 1
        shown[row.of, row.true] += is_shown(row, encoder)
    for (of, true), number in sorted(asked.items()):
        print(f"{of:9} {'backed' if true else 'not backed':10} shown {shown[of, true]:3} of {number}")


if __name__ == "__main__":
    main()
