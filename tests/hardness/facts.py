"""Documents whose answers are known: each is about a place of its own, and no two places share a fact.

A document comes in editions: from one to the next all facts and all spans are others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_STARTS = "Bar Cor Dal Fen Grim Hol Jar Kel Lum Mor Nar Ost Pel Quin Ros Sil Tor Ulm Ver Wex Yar Zan".split()
_ENDS = "beck combe dale ford gate holm mere ness stow wick".split()
_FIRST = (
    "Ada Boris Clara Dmitri Edda Felix Greta Hugo Ines Jonas Kira Lars Mona Nils Olga Pavel Rosa Sven Tilda".split()
)
_LAST = "Abbot Bergmann Castell Dubois Eklund Farrow Gruber Hansen Ivarsson Jansen Kovac Lindqvist Moreau".split()
PLACES = len(_STARTS) * len(_ENDS)
_KINDS = ("lighthouse", "windmill", "library", "observatory", "chapel", "museum", "bakery", "theatre")
_BELLS = "Bertha Cedric Doris Egbert Fanny Gilbert Hilda Ivan Judith Klaus Lotte Magnus Nelly Otto Paula".split()
TOPICS = ("keeper", "cost", "windows", "bell")


@dataclass(frozen=True)
class Place:
    """What document `number` is about, in one of its editions."""

    number: int
    edition: int = 0

    @property
    def source(self) -> str:
        return f"{self.number:03}-{self._town.lower()}.txt"

    @property
    def name(self) -> str:
        return f"the {_KINDS[self.number % len(_KINDS)]} of {self._town}"

    @property
    def _town(self) -> str:
        return _made_up(self.number)

    @cached_property
    def facts(self) -> dict[str, str]:
        """What is asked about → the words that answer it, which no other place and no other edition has."""
        n = self.number + PLACES * self.edition
        first, last, middle = n % len(_FIRST), n // len(_FIRST) % len(_LAST), n // (len(_FIRST) * len(_LAST))
        return {
            "keeper": f"{_FIRST[first]} {_made_up(middle)} {_LAST[last]}",
            "cost": f"{500_000 + n:,}",
            "windows": f"{100_000 + n:,}",
            "bell": f"{_BELLS[n % len(_BELLS)]} {n}",
        }

    @cached_property
    def text(self) -> str:
        facts, name = self.facts, self.name
        capital = name[0].upper() + name[1:]
        said = [
            f"{capital} stands above the water meadows, and the road to it is steep.",
            f"The keeper of {name} is {facts['keeper']}.",
            f"{capital} cost {facts['cost']} crowns.",
            "Visitors come on Sundays, when the ferry runs and the weather is kind.",
            f"{capital} has {facts['windows']} windows.",
            f"The bell of {name} is called {facts['bell']}.",
            f"In autumn the fog hides {name} for days.",
        ]
        shifts = [f"This is note {n} of revision {self.edition}." for n in range(self.edition % 5)]
        return "\n\n".join([f"About {name}", *shifts, *said]) + "\n"

    def question(self, topic: str, *, follows: bool = False) -> str:
        """`follows`: as somebody asks who has spoken of the place before."""
        name = "it" if follows else self.name
        whose = "its" if follows else "the"
        of = "" if follows else f" of {self.name}"
        return {
            "keeper": f"Who is {whose} keeper{of}?",
            "cost": f"How much did {name} cost?",
            "windows": f"How many windows does {name} have?",
            "bell": f"What is {whose} bell{of} called?",
        }[topic]


def _made_up(number: int) -> str:
    return _STARTS[number % len(_STARTS)] + _ENDS[number // len(_STARTS) % len(_ENDS)]


def says(quote: str, fact: str) -> bool:
    """Whether a quote holds a fact as whole words: "Otto II" does not hold "Otto I"."""
    return re.search(rf"(?<![\w,]){re.escape(fact)}(?![\w,]*\w)", quote) is not None


def wrong(
    answer: Mapping[str, Any], asked: str, place: Place, topic: str, texts: Mapping[str, str], *, source: str = ""
) -> list[str]:
    """What is wrong with an answer: its question, its words, its quotes, their places.

    `texts` are the documents by their names; the one about `place` is `source`, or has the place's own name.
    """
    if answer["question"] != asked:
        return [f"an answer to {answer['question']!r}"]
    if answer["refused"]:
        return [f"refused: {answer['reason']}"]
    problems = [
        f"{c['passage']['source']}: no such words at {c['start']}" for c in answer["citations"] if _false(c, texts)
    ]
    fact, markers, source = place.facts[topic], {c["marker"]: c for c in answer["citations"]}, source or place.source
    if not says(answer["text"], fact):
        problems.append(f"'{fact}' is not in {answer['text']!r}")
    if {int(n) for n in re.findall(r"\[(\d+)\]", answer["text"])} != set(markers):
        problems.append(f"the markers of {answer['text']!r} are not {sorted(markers)}")
    if not any(c["passage"]["source"] == source and says(c["quote"], fact) for c in answer["citations"]):
        problems.append(f"{answer['text']!r} does not cite '{fact}' of {source}")
    return problems


def _false(citation: Mapping[str, Any], texts: Mapping[str, str]) -> bool:
    """Whether the document does not hold the quote, or its passage, at its place."""
    passage = citation["passage"]
    text = texts.get(passage["source"], "")
    return any(
        not part or text[start:end] != part
        for part, start, end in (
            (citation["quote"], citation["start"], citation["end"]),
            (passage["text"], passage["start"], passage["end"]),
        )
    )
