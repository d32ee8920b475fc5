"""What stands beside a sentence on the page and turns what it says: what a quote has to show besides its own words.

"- drive a car" under "Do not:", "No, never." under "May children take it?", a claim in front of "That is a myth.": each
is exact to the character, and alone it says what its document does not. Pure functions; spans are offsets of the text.
Where it is not sure how far such words reach, they reach further.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .scope import introduces, operates
from .sentences import LIST_ITEM, word_set
from .speechacts import EMPHASIS, asks, takes_back
from .terms import words
from .types import Span

_HEADING = re.compile(r"#{1,6}\s")
_FINAL = ".!?…;,|؟۔。！？"
_LABEL_WORDS = 8  # of a line that stands alone, and of what stands before a colon
_LABELLED = re.compile(r"[^\n:]{1,80}:(?=[\s*_\"“‘'])[*_]*")
_BETWEEN_ITEMS = 4  # sentences that may stand between two items of one list
_NO_ANSWER_YET = re.compile(r"\W*+(?:a|ans|answers?|reply|response)?[\W\d]*+", re.I)
_SEVERAL = word_set("these those they both neither none all claims statements stories")
_POINTING = word_set("this that these those it they such both")
_QUOTATION = re.compile(r'[“”«»"]')
_MOST_QUOTED = 4  # sentences of a quotation: no answer shows a longer one whole
_BARE_ANSWER = 3  # words that another sentence explains: "Yes."


class Beside(NamedTuple):
    """What a sentence needs beside it: `leads` in front, in order, and all up to `end`, where it is taken back.

    A sentence that `asks` says nothing by itself: it leads to its answer. One that is `lost` needs words outside of the
    text.
    """

    leads: tuple[Span, ...]
    end: int
    asks: bool
    lost: bool


class _Piece(NamedTuple):
    """A sentence, and how it stands on the page."""

    span: Span
    text: str
    begins: bool  # a line
    blank: bool  # comes behind an empty line
    column: int  # of its line
    item: bool
    heading: bool
    asks: bool


class _Lead(NamedTuple):
    """Words that may turn what follows them: the introduction of a list, a label, "Myth:"."""

    span: Span
    turns: bool
    at: int  # the sentence that it ends with or stands in
    last: int  # the last sentence that it reached
    column: int
    item: bool
    inline: bool  # reaches no further than its paragraph


_OUTSIDE = _Lead(Span(-1, -1), turns=True, at=-1, last=-1, column=0, item=False, inline=False)


def all_beside(text: str, sentences: Sequence[Span], title: str = "", above: str = "") -> list[Beside]:
    """For each sentence what it needs beside it. A title leads only to an answer: it is shown with every quote.

    `above` is the last heading or introduction in front of the text, which may go on with its list.
    """
    pieces = [_piece(text, sentences, i) for i in range(len(sentences))]
    named = words(title)
    outside = [_OUTSIDE] if pieces and _goes_on(pieces, above) else []
    found = zip(
        _headings(pieces, named),
        _introductions(text, pieces, named, outside),
        _questions(pieces),
        _taken_back(pieces),
        _opening(pieces),
        _explained(pieces, _ends(pieces)),
        strict=True,
    )
    return [
        Beside(
            _merged(text, [span for lead in leads for span in lead if span != _OUTSIDE.span]),
            end,
            piece.asks,
            lost=any(_OUTSIDE.span in lead for lead in leads),
        )
        for piece, (*leads, end) in zip(pieces, found, strict=True)
    ]


def _goes_on(pieces: Sequence[_Piece], above: str) -> bool:
    """Whether the text begins in the middle of a list whose introduction turns it, and stands outside."""
    inside = any(words(piece.text) == words(above) for piece in pieces)
    introduction = above.endswith(":")
    turns = introduces(above) if introduction else operates(above)
    return turns and not inside and (introduction or pieces[0].item)


def _piece(text: str, sentences: Sequence[Span], i: int) -> _Piece:
    span = sentences[i]
    said = text[span.start : span.end]
    between = text[sentences[i - 1].end : span.start] if i else "\n\n"
    line = text.rfind("\n", 0, span.start) + 1
    column = len(text[line : span.start]) - len(text[line : span.start].lstrip())
    return _Piece(
        span,
        said,
        begins="\n" in between,
        blank=between.count("\n") > 1,
        column=column,
        item=LIST_ITEM.match(said) is not None,
        heading=_HEADING.match(said) is not None,
        asks=asks(said),
    )


# -- headings and introductions ----------------------------------------------------------------------------------------


def _headings(pieces: Sequence[_Piece], title: list[str]) -> list[tuple[Span, ...]]:
    """For each sentence the heading above it, where that turns what it says: "Myths"."""
    found: list[tuple[Span, ...]] = []
    above: tuple[Span, ...] = ()
    for piece in pieces:
        if piece.heading:
            above = ()
        found.append(above)
        if piece.heading and not piece.asks and words(piece.text) != title and operates(piece.text):
            above = (piece.span,)
    return found


def _introductions(
    text: str, pieces: Sequence[_Piece], title: list[str], outside: Sequence[_Lead]
) -> list[tuple[Span, ...]]:
    """For each sentence the introductions that reach it, outermost first."""
    found = []
    leads = list(outside)
    for i, piece in enumerate(pieces):
        own = _lead(text, pieces, i) if words(piece.text) != title or piece.asks else None
        leads = [lead for lead in leads if not _closed(lead, piece, i, own)]
        over = [lead for lead in leads if _reaches(lead, piece, i)]
        found.append(tuple(lead.span for lead in over))
        leads = [lead._replace(last=i) if lead in over else lead for lead in leads]
        # Between two items, a paragraph may be a part of the upper one or begin another list: then both are shown.
        if own and (own.turns or (piece.blank and len(over) < len(leads))):
            leads.append(own)
    return found


def _lead(text: str, pieces: Sequence[_Piece], i: int) -> _Lead | None:
    """What sentence `i` introduces: a list, the paragraph behind its colon, or the rest of its own."""
    piece = pieces[i]
    following = pieces[i + 1] if i + 1 < len(pieces) else None
    said = piece.text.rstrip(EMPHASIS)
    span = piece.span
    inline = False
    before_items = following is not None and following.item and not piece.item
    if piece.asks:
        turns = before_items and not pieces[i + 1].asks
    elif said.endswith(":") or before_items:
        if i and not pieces[i - 1].item and _POINTING.intersection(words(said)[:2]):  # "They are forbidden:"
            span = Span(pieces[i - 1].span.start, span.end)
        turns = introduces(said)
    elif _is_label(piece, following):
        turns = operates(said)
    elif (label := _LABELLED.match(piece.text)) and len(label.group().split()) <= _LABEL_WORDS:
        span = Span(span.start, span.start + label.end())
        turns, inline = operates(label.group()), True
    else:
        return None
    return _Lead(span, turns, i, i, piece.column, piece.item, inline)


def _is_label(piece: _Piece, following: _Piece | None) -> bool:
    """Whether it is a short line of its own that is no sentence: "Myth"."""
    alone = piece.begins and not piece.item and following is not None and following.begins
    return alone and piece.text.rstrip(EMPHASIS + ")]")[-1:] not in _FINAL and len(piece.text.split()) <= _LABEL_WORDS


def _closed(lead: _Lead, piece: _Piece, i: int, own: _Lead | None) -> bool:
    """Whether a lead reaches nothing from sentence `i` on."""
    if piece.heading or i - lead.last > _BETWEEN_ITEMS:
        return True
    if piece.item:
        return lead.inline or (lead.item and lead.column >= piece.column)
    if lead.inline:
        return piece.blank or (piece.begins and own is not None)
    introduces = own is not None and (piece.text.rstrip(EMPHASIS)[-1:] not in _FINAL or own.inline)
    return introduces and piece.begins and lead.last > lead.at and lead.column >= piece.column


def _reaches(lead: _Lead, piece: _Piece, i: int) -> bool:
    """Items, and what goes on behind a sentence that it reached; a new paragraph only if it is the first, or deeper."""
    if piece.item or lead.last == lead.at:
        return True
    return piece.column > lead.column if piece.blank else lead.last == i - 1


# -- questions ---------------------------------------------------------------------------------------------------------


def _questions(pieces: Sequence[_Piece]) -> list[tuple[Span, ...]]:
    """For each sentence the question that it answers: it is the first behind it that asks nothing."""
    found: list[tuple[Span, ...]] = []
    asked: Span | None = None
    for piece in pieces:
        answers = asked is not None and not piece.asks and not _NO_ANSWER_YET.fullmatch(piece.text)
        found.append((asked,) if asked and answers else ())
        if piece.asks and (asked is None or piece.begins):
            asked = piece.span
        elif asked:
            asked = None if answers else Span(asked.start, piece.span.end)
    return found


# -- what takes back ---------------------------------------------------------------------------------------------------


def _ends(pieces: Sequence[_Piece]) -> list[int]:
    """For each sentence where it ends, or what takes it back: "That is a myth."."""
    ends = [piece.span.end for piece in pieces]
    for i in range(len(pieces) - 1, 0, -1):
        if _takes_back(pieces, i):
            several = not _SEVERAL.isdisjoint(words(pieces[i].text))
            first = _first_of_block(pieces, i - 1) if several else i - 1
            ends[first:i] = [max(end, ends[i]) for end in ends[first:i]]
    for first, last in _quotations(pieces):
        ends[first:last] = [max(end, ends[last]) for end in ends[first:last]]
    return ends


def _explained(pieces: Sequence[_Piece], ends: Sequence[int]) -> list[int]:
    """The ends; that of a bare answer ("Yes.") is the end of the sentence that goes on in its paragraph."""
    found = list(ends)
    for i, answers in enumerate(_questions(pieces)[:-1]):
        following = pieces[i + 1]
        goes_on = not (following.blank or following.item or following.heading or following.asks)
        if answers and goes_on and len(pieces[i].text.split()) <= _BARE_ANSWER:
            found[i] = max(found[i], ends[i + 1])
    return found


# -- quotations --------------------------------------------------------------------------------------------------------


def _quotations(pieces: Sequence[_Piece]) -> list[tuple[int, int]]:
    """The first and the last sentence of each quotation of several: who says it stands in one of them, or nowhere."""
    found = []
    first: int | None = None
    for i, piece in enumerate(pieces):
        if piece.blank or piece.heading or piece.item:
            first = None
        for mark in _QUOTATION.findall(piece.text):
            opens = mark in "“«" or (mark == '"' and first is None)
            if opens:
                first = i
            elif first is not None:
                found += [(first, i)] if 0 < i - first <= _MOST_QUOTED else []
                first = None
    return found


def _opening(pieces: Sequence[_Piece]) -> list[tuple[Span, ...]]:
    """For each sentence the one with which the quotation begins that it goes on with."""
    leads: list[tuple[Span, ...]] = [()] * len(pieces)
    for first, last in _quotations(pieces):
        leads[first + 1 : last + 1] = [(pieces[first].span,)] * (last - first)
    return leads


def _taken_back(pieces: Sequence[_Piece]) -> list[tuple[Span, ...]]:
    """For each sentence that takes something back the one before it."""
    return [(pieces[i - 1].span,) if i and _takes_back(pieces, i) else () for i in range(len(pieces))]


def _takes_back(pieces: Sequence[_Piece], i: int) -> bool:
    label = _is_label(pieces[i], pieces[i + 1] if i + 1 < len(pieces) else None)
    return not label and not pieces[i].heading and takes_back(pieces[i].text)


def _first_of_block(pieces: Sequence[_Piece], i: int) -> int:
    """The first sentence of the paragraph of sentence `i`, or of the list that it belongs to."""
    items = pieces[i].item
    while i > 0 and (pieces[i - 1].item if items else not pieces[i].blank):
        i -= 1
    return i


def _merged(text: str, spans: Sequence[Span]) -> tuple[Span, ...]:
    """In the order of the text; those with only white space between them as one."""
    merged: list[Span] = []
    for span in sorted(set(spans)):
        if merged and not text[merged[-1].end : span.start].strip():
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)
