"""A long sentence → its clauses, each an exact span of the text; in time linear in its length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from .sentences import OPEN_WORDS, word_set
from .types import Span

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
# A word for counting: what stands between spaces; two signs of a script without spaces; a piece of an endless run.
_UNIT = re.compile(rf"[{_IDEOGRAPHS}]{{1,2}}|[^\s{_IDEOGRAPHS}]{{1,32}}")
_AND = word_set("and or nor but")
_LINKING = word_set("so yet while because since as if although though whereas unless until")
_RELATIVE = word_set(
    "which who whose whom where when that including in then however therefore with after before for especially"
    " particularly despite due such rather instead along thus without not"
)
_BARE = word_set("and but because which while where who although since that")
_SHORTEST = 8


def clauses(text: str, span: Span, max_words: int = 60) -> list[Span]:
    """Cuts a span of more than `max_words` words where a reader would pause; `[span]` if it is not longer.

    The pieces are ordered, trimmed, hold every non-whitespace character of the span, have at most `max_words` words,
    and are seldom shorter than eight. A word is what stands between spaces; of a script written without spaces, two
    signs; of an endless run, 32 characters.
    """
    return [piece for piece, _ in counted_clauses(text, span, max_words)]


def counted_clauses(text: str, span: Span, max_words: int) -> list[tuple[Span, int]]:
    """The clauses, each with its number of words."""
    units = [unit.span() for unit in _UNIT.finditer(text, *span)]
    if len(units) <= max_words:
        return [(span, len(units))]
    cuts = [0, *_cut_points(_strengths(text, units), max_words), len(units)]
    return [(Span(units[first][0], units[last - 1][1]), last - first) for first, last in pairwise(cuts)]


def _cut_points(strength: list[float], max_words: int) -> Iterator[int]:
    """The units that open a new piece: at the strongest gap that is not far from an even division."""
    total, first = len(strength), 0
    shortest = min(_SHORTEST, max_words // 2)
    while total - first > max_words:
        left = total - first
        even = left / -(-left // max_words)
        options = range(first + max(1, shortest), min(first + max_words, total - shortest) + 1)
        first = max(options, key=lambda at: strength[at] - 2.5 * abs(at - first - even) / even)
        yield first


def _strengths(text: str, units: list[tuple[int, int]]) -> list[float]:
    """`[i]` is how good a place the gap before unit `i` is for a cut."""
    words = [text[start:end] for start, end in units]
    return [0.0] + [
        _gap_strength(words, index) if before[1] < after[0] else _joint_strength(words[index - 1], words[index])
        for index, (before, after) in enumerate(pairwise(units), start=1)
    ]


def _joint_strength(before: str, after: str) -> float:
    """Between two units without a space: punctuation, two signs of a word, the middle of an endless run."""
    if before[-1] in "，；：、。！？":
        return 4.0
    return 1.0 if "\u3040" <= after[0] <= "\uff9f" else -9.0


def _gap_strength(words: list[str], index: int) -> float:
    before, after = words[index - 1], words[index]
    mark, word = before.rstrip("”’\"')]")[-1:], after.lower().strip("“‘\"'(,")
    if mark and mark in ".!?;؛；":
        return 6.0
    if mark and mark in ":—–-":
        return 5.0
    if mark and mark in ",،":
        return _comma_strength(words, index, word)
    if word in _BARE or after[0] in "(“[":
        return 2.0
    return 0.5 if before in OPEN_WORDS or (before[0].isupper() and after[0].isupper()) else 1.0


def _comma_strength(words: list[str], index: int, word: str) -> float:
    """A comma between clauses is a better place than one inside an enumeration or a date."""
    if word in _LINKING or word in _RELATIVE:
        return 4.5
    listed = any(near.endswith(",") for near in words[max(0, index - 3) : index - 1])
    if word in _AND:
        return 1.5 if listed else 4.5
    listed = listed or any(near.endswith(",") for near in words[index : index + 2])
    return 1.5 if listed or word[:1].isdigit() or not _AND.isdisjoint(words[index + 1 : index + 4]) else 3.0
