"""Texts to be fuzzed with: fragments of what the readers know, put together by chance or by Hypothesis.

Random characters never get past the first test of a parser. So a text is made of pieces of its grammar, and of what
breaks programs: NUL, lone surrogates, marks without letters, line ends of all kinds, runs, nesting.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from hypothesis import strategies as st

PAIR = "\x1f"  # parts the two texts of a target that takes two

BREAKING = (
    "", " ", "  ", "\t", "\n", "\n\n", "\r\n", "\r", "\v", "\f", "\x00", "\x1b[31m", "\x1b]0;x\x07", "\x1b", "\x7f",
    "\x85", "\u00a0", "\u00ad", "\u200b", "\u200c", "\u200d", "\u2028", "\u2029", "\u202e", "\u2066", "\u3000",
    "\ufeff", "\ufffd", "\ud800", "\udfff", "\udc80", "e\u0301", "\u0301", "\u0345", "\uff9e", "\u1d2c", "ﷺ", "ﬃ",
    "İ", "ß", "ǅ", "٣", "२", "²", "½", "Ⅷ", "𝟘", "👩🏽‍🚀", "🇮🇶", "متى وصل؟", "ثم ذهب۔", "你好。", "再见！", "ไทย",
    "한국어",
)  # fmt: skip
PROSE = (
    "the", "The", "a", "of", "and", "or", "but", "who", "which", "In", "It", "he", "They", "not", "never", "was",
    "were", "is", "by", "to", "heron", "herons", "bridge", "Tarn", "Ann Lee", "Edgar Voss", "Al-Sa'adi’s", "iPhone",
    "built", "opened", "eats", "headed", "beaten", "said that", "may", "some", "all", "more than", "unlike", "if",
    "increase", "decrease", "forty", "twenty-sixth", "1902", "3.14", "1,000", "7", "12 May 1902", "May 12, 1902",
    "$5", "50 %", "north", "south", "supercalifragilistic", "x" * 40, "9" * 30, "_", "Dr.", "U.S.", "e.g.", "Inc.",
    "J.", "No. 5", "vol. II", "a.m.", ".", ". ", "...", "…", "?", "!", "?!", "!)", "。", ":", ";", ",", ", ", ", The",
    "-", "–", "—", " - ", "'", "’", "''", '"', "“", "”", "«", "(", ")", "[", "]", "{", "}", "<", ">", "/", "\\", "|",
    "*", "**", "`", "```", "~~~", "#", "# ", "## A", "- ", "• ", "* ", "1. ", "2) ", "3- ", "(a) ", "> ", "---", "===",
    "| a | b |", "---\ntitle: x\n---\n",
)  # fmt: skip
MARKERS = (
    "[1]", "[2]", "[12]", "[999]", "[1,2]", "[1, 2; 4]", "[1-3]", "[1–900]", "【1】", "【1†source】", "［1］", "[¹]",
    "[^1]", "[Passage 1]", "[source: 2", r"\[1\]", "[[1]]", "[1", "1]", "[]", "[0]", "[x](http://y)", "![x](y)", "](",
    "](  ", "<think>", "</think>", "<b>", "</b>", "<!--", "-->", "<a href=", "<script>", "NOT FOUND",
    "Not found.", "The passages do not say", "I could not find", "is not mentioned in the documents",
    "According to the documents,",
)  # fmt: skip
QUESTIONS = (
    "who", "Who is", "what", "What is the", "what's his", "when", "since when", "how many", "how", "why", "which",
    "Which is", "list the", "names of", "tell me", "and", "and so", "please", "thanks,", "Thanks!", "hello", "ok",
    "are you sure", "tell me more", "what about", "the same", "that", "those", "one", "ones", "it", "him", "else",
    "the former", "currently", "date of", "head of", "members", ", and who", "? and when", " or why", "?", "??",
)  # fmt: skip
JSON = (
    "{", "}", "[", "]", ",", ":", '"', "null", "true", "false", "0", "-1", "1e999", "1.5", "9" * 5000, "NaN", "\\u0000",
    "\\ud800", "\\n", "\\", '"id"', '"text"', "\n", " ", "\ufeff",
)  # fmt: skip


class Mutator:
    """Texts by chance, one after the other: joined fragments, runs, nesting, and changes of those that came before."""

    def __init__(self, chance: random.Random, fragments: Sequence[str], seeds: Sequence[str], longest: int) -> None:
        self._chance = chance
        self._fragments = fragments
        self._longest = longest
        self._known = [*seeds, *fragments[:20]]
        self._ways = [self._joined] * 3 + [self._changed] * 4 + [self._crossed] * 2 + [self._run, self._nested]
        self._seeds = len(seeds)

    def next(self) -> str:
        most = self._chance.choice((80, 200, 200, self._longest))  # short ones go fast, and say as much
        text = self._chance.choice(self._ways)()[:most]
        if len(self._known) < 300:
            self._known.append(text)
        else:  # the seeds stay
            self._known[self._chance.randrange(self._seeds, 300)] = text
        return text

    def _fragment(self) -> str:
        return self._chance.choice(self._fragments)

    def _joined(self) -> str:
        between = self._chance.choice(("", " ", " ", "\n", self._fragment()))
        return between.join(self._chance.choices(self._fragments, k=self._chance.randint(0, 24)))

    def _changed(self) -> str:
        text = self._chance.choice(self._known)
        for _ in range(self._chance.randint(1, 4)):
            start = self._chance.randint(0, len(text))
            end = min(len(text), start + self._chance.choice((0, 0, 1, 3, 20)))
            again = text[start:end] * 2
            text = text[:start] + self._chance.choice((self._fragment(), again, "", self._fragment())) + text[end:]
        return text

    def _crossed(self) -> str:
        one, other = self._chance.choices(self._known, k=2)
        return one[: self._chance.randint(0, len(one))] + other[self._chance.randint(0, len(other)) :]

    def _run(self) -> str:
        length = self._chance.choice((5, 30, 200))
        return self._fragment() + self._fragment() * length + self._fragment()

    def _nested(self) -> str:
        depth = self._chance.choice((2, 10, 60))
        return self._fragment() * depth + self._fragment() + self._fragment() * depth


def grown(text: str, length: int) -> str:
    """`text` again and again, up to so many characters."""
    return (text * (length // max(1, len(text)) + 1))[:length]


def texts(fragments: Sequence[str], seeds: Sequence[str]) -> st.SearchStrategy[str]:
    """What the grammar can say: pieces in lines, lists, brackets and quotes, repeated, nested, any text between."""
    piece = st.one_of(st.sampled_from([*fragments, *seeds]), st.sampled_from(fragments), st.text(max_size=8))

    def more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        row = st.lists(inner, min_size=1, max_size=8)
        around = st.sampled_from(["()", "[]", "{}", "<>", "“”", "«»", '""', "**", "【】"])
        return st.one_of(
            st.builds(str.join, st.sampled_from(["", " ", "\n", "\r\n", ". ", ", ", PAIR]), row),
            st.builds(lambda pair, text: f"{pair[0]}{text}{pair[1]}", around, inner),
            st.builds(lambda text, times: text * times, inner, st.integers(2, 40)),
            st.builds(lambda mark, lines: "".join(f"{mark}{line}\n" for line in lines), piece, row),
        )

    return st.recursive(piece, more, max_leaves=20)


def json_texts(names: Sequence[str], seeds: Sequence[str], fragments: Sequence[str]) -> st.SearchStrategy[str]:
    """JSON with these names in it, in one line or more, whole or with a part exchanged."""
    word = st.one_of(st.sampled_from([*names, *fragments]), st.text(max_size=6))
    leaf = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), word)
    value = st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, max_size=5), st.dictionaries(st.one_of(st.sampled_from(names), word), inner, max_size=6)
        ),
        max_leaves=12,
    )
    known = [json.loads(seed) for seed in seeds]
    made = st.builds(_exchanged, st.sampled_from(known), st.sampled_from(names), value) if known else value
    line = st.one_of(made, value).map(lambda each: json.dumps(each, ensure_ascii=False))
    return st.builds(str.join, st.sampled_from(["\n", "", "\r\n", " "]), st.lists(line, min_size=1, max_size=3))


def _exchanged(value: object, name: str, other: object) -> object:
    """`value` with `other` under each key `name`."""
    if isinstance(value, dict):
        return {key: other if key == name else _exchanged(inner, name, other) for key, inner in value.items()}
    return [_exchanged(inner, name, other) for inner in value] if isinstance(value, list) else value
