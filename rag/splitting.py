"""Text → passages: whole sentences packed up to a number of words, each passage an exact span of the text.

All functions take time linear in the length of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .clauses import counted_clauses
from .formats.kinds import HEADED
from .scope import introduces
from .sentences import LIST_ITEM, OWN_LINE, lines_of, sentences
from .speechacts import asks, takes_back
from .types import Chunk, Span

SPLITTER_VERSION = 3  # of sentences, clauses and passages together

_BLANK_AHEAD = re.compile(r"[^\S\n]*\n[^\S\n]*\n|\s*\Z")
_LINE_END = re.compile(r"[^\S\n]*(?:\n|\Z)")
_FENCE = re.compile(r"```+|~~~+")
_FRONT_MATTER = re.compile(r"---[^\S\n]*\n[\w-]+:")
_UNDERLINE = re.compile(r"=+|--+")
_ATX = re.compile(r"(#{1,6})\s+(?=\S)")
_LINK = re.compile(r"(!?)\[([^\[\]]*)\]\([^()]*\)")
_MARKUP_CHARS, _HEADING_CHARS = 1000, 200  # read of a heading, and kept of it: every passage below repeats it
_FULL_ENOUGH = 0.6
_TITLE_WORDS = 12
_LIST_LENGTHS = 2  # a list with its introduction may be so many times as long as other passages


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence, or a clause of a long one, on its way into a passage."""

    span: Span
    words: int
    item: bool  # opens a list item
    opens: bool  # opens a paragraph or a list item
    leads: bool  # belongs to what follows: a heading, a question at the end of a line, or "…, including:"
    takes_back: bool  # belongs to what stands before it: "This is false."
    heading: str | None  # the heading path that starts here
    page: int | None  # the one it starts on, from 1


def chunks(text: str, media_type: str = "text/plain", max_words: int = 120, pages: Sequence[int] = ()) -> list[Chunk]:
    """Passages of whole sentences, at most `max_words` words each (counted as in `clauses`), lists twice as many.

    Ordered, without overlap, trimmed; together they hold every non-whitespace character. A blank line is a better
    place to cut than the middle of a paragraph, a Markdown heading opens a passage, and a list stays with the line
    that introduces it. Only a sentence that is too long for one passage is cut. Text without a word gives `[]`.

    `heading` is the path "A > B" where the media type has Markdown headings, else ""; where a list goes on from the
    passage before, its introduction joins it if that turns the items ("Do not:"). `pages` are the offsets at which
    pages start: each opens a passage, so that the page of a quote is that of its passage (`page`, from 1); only a
    sentence may go on over the end of a page.
    """
    packed: list[list[_Piece]] = []
    words = 0
    for piece in _pieces(text, headings(text) if media_type in HEADED else {}, max_words, pages):
        same_page = bool(packed) and packed[-1][-1].page == piece.page
        if same_page and not _opens_passage(packed[-1], words, piece, max_words):
            packed[-1].append(piece)
            words += piece.words
            continue
        packed.append([*(_carry_over(packed[-1], piece, max_words) if same_page else []), piece])
        words = sum(each.words for each in packed[-1])
    return list(_headed(text, packed))


def _headed(text: str, packed: list[list[_Piece]]) -> Iterator[Chunk]:
    path = introduction = ""
    last: _Piece | None = None
    for pieces in packed:
        path = next((piece.heading for piece in reversed(pieces) if piece.heading is not None), path)
        goes_on = introduction if pieces[0].item or not pieces[0].opens else ""
        heading = " > ".join(part for part in (path, goes_on) if part)
        yield Chunk(pieces[0].span.start, pieces[-1].span.end, pieces[0].page, heading)
        for piece in pieces:
            introduction = _introduction(text, last, piece, introduction)
            last = piece


def _introduction(text: str, last: _Piece | None, piece: _Piece, before: str) -> str:
    """The introduction of the list that `piece` belongs to, if it turns what it introduces; else ""."""
    if not piece.item:
        return "" if piece.opens or piece.leads else before
    if last is None or last.item or not (last.opens or last.leads):
        return before
    said = _plain(" ".join(text[last.span.start : last.span.end].split()))
    return said if last.heading is None and introduces(said) else ""


def _pieces(text: str, paths: dict[int, str], max_words: int, pages: Sequence[int]) -> Iterator[_Piece]:
    end = 0
    for sentence in sentences(text):
        heading = paths.get(sentence.start)
        item = LIST_ITEM.match(text, *sentence) is not None
        blank = end == 0 or text.count("\n", end, sentence.start) > 1
        alone = blank and not item and _BLANK_AHEAD.match(text, sentence.end) is not None
        for span, words in counted_clauses(text, sentence, max_words):
            last = text[span.end - 1]
            title = alone and words <= _TITLE_WORDS and last not in ".!?…;,؟۔。！？"
            opens = (blank or item) and span.start == sentence.start
            asked = _LINE_END.match(text, span.end) is not None and asks(text[span.start : span.end])
            leads = heading is not None or title or last == ":" or asked
            back = span == sentence and takes_back(text[span.start : span.end])
            page = bisect_right(pages, span.start) or None  # the last that starts there: the ones before it are empty
            yield _Piece(span, words, item, opens, leads, back, heading, page)
        end = sentence.end


def _opens_passage(passage: list[_Piece], words: int, piece: _Piece, max_words: int) -> bool:
    """Whether `piece` opens a new passage after this one of so many words."""
    last = passage[-1]
    if words + piece.words > (_LIST_LENGTHS * max_words if piece.item and _lists(passage) else max_words):
        return True
    if piece.heading is not None:
        return last.heading is None
    together = piece.item or piece.takes_back or last.leads
    return piece.opens and not together and words >= _FULL_ENOUGH * max_words


def _lists(passage: list[_Piece]) -> bool:
    """Whether the passage has the introduction of a list and its first item."""
    return any(one.leads and not one.item and other.item for one, other in pairwise(passage))


def _carry_over(passage: list[_Piece], piece: _Piece, max_words: int) -> list[_Piece]:
    """Takes off the end of a passage what belongs together with `piece`, if that fits and enough remains.

    That is a paragraph which began late in the passage and goes on in `piece`, lines that introduce it, and the
    sentence that it takes back.
    """
    if piece.heading is not None:
        return []
    keep, room = len(passage), max_words - piece.words
    if not piece.opens and not _lists(passage):
        late = max((index for index, each in enumerate(passage) if each.opens), default=0)
        begun = sum(each.words for each in passage[late:])
        if begun <= room and sum(each.words for each in passage[:late]) >= _FULL_ENOUGH * max_words:
            keep, room = late, room - begun
    back = piece.takes_back and keep == len(passage)
    while keep and (passage[keep - 1].leads or back) and passage[keep - 1].words <= room:
        back = False
        keep -= 1
        room -= passage[keep].words
    if all(each.leads for each in passage[:keep]):
        return []
    taken = passage[keep:]
    del passage[keep:]
    return taken


def headings(text: str) -> dict[int, str]:
    """Offset of each Markdown heading, and of the line under it -> its path "A > B", in the order of the text.

    Links and emphasis are reduced to their words. Code fences and front matter have no headings.
    """
    found: dict[int, str] = {}
    path: list[tuple[int, str]] = []
    fence, front = "", _FRONT_MATTER.match(text) is not None
    above, blank = Span(0, 0), True  # the line above, and whether the one above that is blank
    for number, line in enumerate(lines_of(text, 0, len(text))):
        content = text[line.start : line.end]
        heading = None
        if front or fence:
            front = front and (number == 0 or content not in ("---", "..."))
            fence = "" if fence and content.startswith(fence) else fence
        elif mark := _FENCE.match(content):
            fence = mark[0]
        elif mark := _ATX.match(content):
            heading = (len(mark[1]), _plain(content[mark.end() :]), line.start)
        elif blank and _UNDERLINE.fullmatch(content) and _is_title(text, above):
            heading = (1 if content[0] == "=" else 2, _plain(text[above.start : above.end]), above.start)
        if heading:
            level, title, at = heading
            path = [*(entry for entry in path if entry[0] < level), (level, title)]
            found[at] = found[line.start] = " > ".join(name for _, name in path)
        above, blank = line, above.start == above.end
    return found


def _is_title(text: str, line: Span) -> bool:
    """Whether a line of dashes under this one makes it a heading."""
    return line.start < line.end and not LIST_ITEM.match(text, *line) and not OWN_LINE.match(text, *line)


def _plain(title: str) -> str:
    """The title without closing marks, images, link targets and emphasis, if anything is left then."""
    title = title[:_MARKUP_CHARS]
    text, _, last = title.rpartition(" ")
    words = text if last and not last.strip("#") else title
    for _ in range(2):  # an image may stand in a link
        words = _LINK.sub(lambda link: "" if link[1] else link[2], words)
    return (" ".join(re.sub(r"[*`]+", "", words).split()) or title)[:_HEADING_CHARS]
