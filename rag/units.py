"""A passage → what can be quoted from it: sentences, clauses of long ones, and lists with their introduction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .clauses import clauses
from .sentences import LIST_ITEM, sentences
from .terms import words
from .types import Passage, Span

QUOTE_WORDS = 35  # a longer sentence is quoted by the clause
_LONG_QUOTE = 46  # … or by a longer one, where no comma stands in a better place
ANSWER_WORDS = 79  # all quotes of one answer together, with their markers

_PRONOUNS = frozenset("he she it they this that these those his her its their him them".split())
_PAUSES = ",;:.!?)…—–،؛؟"
_BYLINE_WORDS = 8  # a line this short says what it says about the document: "By Ann Lee"
_DIGITS = re.compile(r"\d+")
_ITEM_PART = re.compile(r"[,;:(](?=\s|\w)|\.(?=\s|$)|\s[–—-]\s")
_LEAST_ITEM_WORDS = 3  # of an item cut short, its number included
_BETWEEN_ITEMS = 4  # pieces of text that an item may have behind its first


class Unit(NamedTuple):
    """A quotable run, and the words that it needs in front of it to be understood (not part of the quote).

    A list item needs its introduction ("3- The Lake party" alone says nothing), "They were built in
    1903" the sentence before it. The introduction of a list has the list's `items`.
    """

    span: Span  # absolute offsets
    context: str
    items: tuple[Span, ...] = ()


def units_of(passage: Passage) -> list[Unit]:
    """What can be quoted from a passage, in order.

    The line that introduces a list is quoted together with the items that follow it, as many as fit
    into `ANSWER_WORDS`: alone it says nothing.
    """
    pieces = [
        Span(clause.start + passage.start, clause.end + passage.start)
        for sentence in sentences(passage.text)
        for clause in _clauses(passage.text, sentence)
        if _says_something(passage, passage.text[clause.start : clause.end])
    ]
    lists = _lists(passage, pieces)
    introduced_by = {i: at for at, members in lists.items() for member in members for i in member}
    units = []
    for i, span in enumerate(pieces):
        members = lists.get(i, [])
        items = tuple(Span(pieces[m.start].start, pieces[m.stop - 1].end) for m in members)
        whole = Span(span.start, _end_of_what_fits(passage, span, items))
        units.append(Unit(whole, _context(passage, pieces, i, introduced_by.get(i)), items))
    return units


def _clauses(text: str, sentence: Span) -> list[Span]:
    """A sentence as quotes: cut behind commas and the like; somewhat longer ones rather than a cut between words."""
    short = clauses(text, sentence, QUOTE_WORDS)
    well_cut = all(text[piece.end - 1] in _PAUSES for piece in short[:-1])
    return short if well_cut else clauses(text, sentence, _LONG_QUOTE)


def _context(passage: Passage, pieces: Sequence[Span], i: int, introduction: int | None) -> str:
    """The words that piece `i` needs in front of it."""
    text = cut(passage, pieces[i])
    if introduction is not None and LIST_ITEM.match(text):
        return cut(passage, pieces[introduction])
    if len(text.split()) < _BYLINE_WORDS and not text.endswith((".", "?", "!")):
        return passage.title
    if i == 0:
        return ""
    before = cut(passage, pieces[i - 1])
    goes_on = text.endswith(":") and before[-1] not in ".!?:"
    return before if goes_on or _points_back(text) else ""


def _lists(passage: Passage, pieces: Sequence[Span]) -> dict[int, list[range]]:
    """For each piece that introduces a list: the pieces of each of its items.

    Text between two items belongs to the upper one where the lower one has the next number.
    """
    numbers = [_item_number(cut(passage, piece)) for piece in pieces]
    found: dict[int, list[range]] = {}
    i = 0
    while i < len(pieces):
        starts = [i + 1] if cut(passage, pieces[i]).endswith(":") and i + 1 < len(pieces) else []
        if not starts or numbers[i + 1] is None:
            i += 1
            continue
        while (following := _next_item(numbers, starts[-1])) is not None:
            starts.append(following)
        ends = [*starts[1:], starts[-1] + 1]
        found[i] = [range(start, end) for start, end in zip(starts, ends, strict=True)]
        i = ends[-1]
    return found


def _next_item(numbers: Sequence[int | None], item: int) -> int | None:
    """The piece that opens the item after the one that piece `item` opens; `numbers`: None for no item, 0 for a dot."""
    for i in range(item + 1, min(item + 1 + _BETWEEN_ITEMS, len(numbers))):
        if numbers[i] is not None:
            goes_on = numbers[item] and numbers[i] == numbers[item] + 1  # type: ignore[operator]
            return i if i == item + 1 or goes_on else None
    return None


def _item_number(text: str) -> int | None:
    """Of the list item that `text` opens; 0 where the item has a mark but no number, None for no item."""
    mark = LIST_ITEM.match(text)
    if not mark:
        return None
    digits = _DIGITS.search(mark.group())
    return int(digits.group()) if digits else 0


def _end_of_what_fits(passage: Passage, introduction: Span, items: Sequence[Span]) -> int:
    end = introduction.end
    for item in items:
        if len(cut(passage, Span(introduction.start, item.end)).split()) >= ANSWER_WORDS:
            break
        end = item.end
    return end


def listed(passage: Passage, start: int, items: Sequence[Span], most_words: int) -> list[Span]:
    """The list whose introduction begins at `start`, in at most `most_words` words, with a marker for each quote.

    Whole where it fits. Else each item as far as it fits, by its parts between commas, brackets and stops,
    with the introduction or without it; [] when not even that fits. In the order of the text.
    """
    introduction = Span(start, start + len(cut(passage, Span(start, items[0].start)).rstrip()))
    parts = [_parts(passage, item) for item in items]
    for opening in ([introduction], []):
        for level in range(max(map(len, parts)), 0, -1):
            heads = [Span(item.start, ends[min(level, len(ends)) - 1]) for item, ends in zip(items, parts, strict=True)]
            quotes = _joined(passage, [*opening, *heads])
            if sum(len(cut(passage, quote).split()) + 1 for quote in quotes) <= most_words:
                return quotes
    return []


def _parts(passage: Passage, item: Span) -> list[int]:
    """Where an item can end: before each comma, bracket or stop, and at its end."""
    text = cut(passage, item)
    mark = LIST_ITEM.match(text)
    first = mark.end() if mark else 0
    ends = [
        item.start + len(text[: match.start()].rstrip())
        for match in _ITEM_PART.finditer(text, first)
        if len(text[: match.start()].split()) >= _LEAST_ITEM_WORDS
    ]
    return [*(end for end in ends if end < item.end), item.end]


def _joined(passage: Passage, spans: Sequence[Span]) -> list[Span]:
    """Neighbours with only white space between them as one span."""
    joined: list[Span] = []
    for span in spans:
        if joined and not cut(passage, Span(joined[-1].end, span.start)).strip():
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined


def cut(passage: Passage, span: Span) -> str:
    """The characters of a span given in offsets of the document."""
    return passage.text[span.start - passage.start : span.end - passage.start]


def _says_something(passage: Passage, text: str) -> bool:
    """Neither a rule or a fence, nor the title or a heading over again."""
    plain = words(text)
    return bool(plain) and plain != words(passage.title) and plain != words(passage.heading.rpartition(" > ")[2])


def _points_back(text: str) -> bool:
    """Whether a sentence begins with a pronoun, so that the sentence before it says what it is about."""
    return bool(_PRONOUNS & set(words(text)[:2]))
