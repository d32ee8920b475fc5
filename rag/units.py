"""A passage → what can be quoted from it: sentences, clauses of long ones, and lists with their introduction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .clauses import clauses
from .leads import all_beside
from .scope import introduces, operates, whole_clauses
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
    """A quotable run: `span` is shown, and `core` is what it is found by; both in offsets of the document.

    `core` is a sentence or a clause; `span` has, besides, what turns it: a negation in another clause of its sentence,
    or "This is false." behind it. `leads` turn it from further in front ("Do not:", or the question that it answers)
    and must be shown with it. `context` are the words that it needs in front of it to be understood: a list item
    needs its introduction ("3- The Lake party" alone says nothing), "They were built in 1903" the sentence before it.
    The introduction of a list has the list's `items`.
    """

    span: Span
    core: Span
    context: str
    items: tuple[Span, ...] = ()
    leads: tuple[Span, ...] = ()


class _Piece(NamedTuple):
    """A clause on its way into a unit."""

    core: Span
    span: Span
    leads: tuple[Span, ...]
    asks: bool


def units_of(passage: Passage) -> list[Unit]:
    """What can be quoted from a passage, in order: no question, which is shown with its answer only.

    The line that introduces a list is quoted together with the items that follow it, as many as fit
    into `ANSWER_WORDS`: alone it says nothing.
    """
    pieces = [piece for piece in _pieces(passage) if _says_something(passage, cut(passage, piece.core))]
    cores = [piece.core for piece in pieces]
    lists = _lists(passage, cores)
    introduced_by = {i: at for at, members in lists.items() for member in members for i in member}
    units = []
    for i, (core, span, leads, asks) in enumerate(pieces):
        items = tuple(Span(cores[m.start].start, cores[m.stop - 1].end) for m in lists.get(i, []))
        if asks and not items:
            continue
        end = _end_of_what_fits(passage, core, items, ANSWER_WORDS - _words(passage, leads))
        context = _context(passage, cores, i, introduced_by.get(i), leads)
        units.append(Unit(Span(span.start, max(span.end, end)), Span(core.start, end), context, items, leads))
    return units


def _pieces(passage: Passage) -> list[_Piece]:
    """The clauses of a passage, each with what must be shown with it."""
    text = passage.text
    found = []
    above = passage.heading.rpartition(" > ")[2]
    groups = _unspliced(text, sentences(text))
    unspliced = [Span(parts[0].start, parts[-1].end) for parts in groups]
    for parts, beside in zip(groups, all_beside(text, unspliced, passage.title, above), strict=True):
        if beside.lost:
            continue
        cores = [clause for part in parts for clause in _clauses(text, part)]
        for core, run in zip(cores, whole_clauses(text, cores), strict=True):
            span = Span(run.start, beside.end) if beside.end > parts[-1].end else run
            leads = tuple(_placed(passage, lead) for lead in beside.leads)
            found.append(_Piece(_placed(passage, core), _placed(passage, span), leads, beside.asks))
    return found


def _unspliced(text: str, spans: Sequence[Span]) -> list[list[Span]]:
    """Sentences in groups: what was cut behind a comma, where a writer forgot a stop, may still be one."""
    groups: list[list[Span]] = []
    for span in spans:
        if groups and text[groups[-1][-1].end - 1] == "," and "\n" not in text[groups[-1][-1].end : span.start]:
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


def _placed(passage: Passage, span: Span) -> Span:
    """A span of the passage's text as one of its document's."""
    return Span(span.start + passage.start, span.end + passage.start)


def showable(passage: Passage, unit: Unit) -> bool:
    """Whether one answer can show the unit with all that turns it."""
    return _words(passage, (*unit.leads, unit.span)) <= ANSWER_WORDS


def with_leads(passage: Passage, unit: Unit) -> Span | None:
    """The unit with what turns it as one run; None where that is long, as more than one thing is said between.

    A question turns nothing unless it has such a word itself: what answers it says so alone, or says nothing.
    """
    leads = [lead for lead in unit.leads if introduces(cut(passage, lead))]
    run = Span(min(unit.span.start, leads[0].start), unit.span.end) if leads else unit.span
    most = _LONG_QUOTE if leads else ANSWER_WORDS
    return run if len(cut(passage, run).split()) <= most else None


def _clauses(text: str, sentence: Span) -> list[Span]:
    """A sentence as quotes: cut behind commas and the like; somewhat longer ones rather than a cut between words."""
    short = clauses(text, sentence, QUOTE_WORDS)
    well_cut = all(text[piece.end - 1] in _PAUSES for piece in short[:-1])
    return short if well_cut else clauses(text, sentence, _LONG_QUOTE)


def _context(passage: Passage, pieces: Sequence[Span], i: int, introduction: int | None, leads: Sequence[Span]) -> str:
    """The words that piece `i` needs in front of it."""
    text = cut(passage, pieces[i])
    if introduction is not None and LIST_ITEM.match(text):
        return cut(passage, pieces[introduction])
    if leads:
        return " ".join(cut(passage, lead) for lead in leads)
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


def _end_of_what_fits(passage: Passage, introduction: Span, items: Sequence[Span], most_words: int) -> int:
    end = introduction.end
    for item in items:
        if _words(passage, [Span(introduction.start, item.end)]) > most_words:
            break
        end = item.end
    return end


def listed(passage: Passage, start: int, items: Sequence[Span], most_words: int) -> list[Span]:
    """The list whose introduction begins at `start`, in at most `most_words` words, with a marker for each quote.

    Whole where it fits. Else each item as far as it fits, by its parts between commas, brackets and stops,
    with the introduction or, where that turns nothing, without it; [] when not even that fits. In the order of the
    text.
    """
    introduction = Span(start, start + len(cut(passage, Span(start, items[0].start)).rstrip()))
    parts = [_parts(passage, item) for item in items]
    for opening in ([introduction],) if introduces(cut(passage, introduction)) else ([introduction], []):
        for level in range(max(map(len, parts)), 0, -1):
            heads = [Span(item.start, ends[min(level, len(ends)) - 1]) for item, ends in zip(items, parts, strict=True)]
            quotes = _joined(passage, [*opening, *heads])
            if _words(passage, quotes) <= most_words:
                return quotes
    return []


def _parts(passage: Passage, item: Span) -> list[int]:
    """Where an item can end: at its end, and before a comma, bracket or stop behind which nothing turns it."""
    text = cut(passage, item)
    mark = LIST_ITEM.match(text)
    first = mark.end() if mark else 0
    ends = [
        item.start + len(text[: match.start()].rstrip())
        for match in _ITEM_PART.finditer(text, first)
        if len(text[: match.start()].split()) >= _LEAST_ITEM_WORDS
    ]
    return [*(end for end in ends if end < item.end and not operates(cut(passage, Span(end, item.end)))), item.end]


def led(passage: Passage, leads: Sequence[Span], quotes: Sequence[Span]) -> list[Span]:
    """The quotes with their leads, in the order of the text: as one run where that is short, else each by itself."""
    spans = sorted([*leads, *quotes])
    run = Span(spans[0].start, spans[-1].end)
    return [run] if leads and len(cut(passage, run).split()) <= _LONG_QUOTE else _joined(passage, spans)


def _joined(passage: Passage, spans: Sequence[Span]) -> list[Span]:
    """Neighbours with only white space between them as one span."""
    joined: list[Span] = []
    for span in spans:
        if joined and not cut(passage, Span(joined[-1].end, span.start)).strip():
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined


def _words(passage: Passage, quotes: Sequence[Span]) -> int:
    """How many there are in quotes, with a marker for each."""
    return sum(len(cut(passage, quote).split()) + 1 for quote in quotes)


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
