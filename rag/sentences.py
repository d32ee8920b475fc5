"""Text → sentences, each an exact span of the text.

Nothing here copies or repairs text: every function returns where to look, so a quote is what the document says.
What a cut depends on lies within a few lines of it, so the sentences of a passage are the sentences of its document.
All functions take time linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from .types import Span


def word_set(words: str) -> frozenset[str]:
    """The words of a block of text: easier to read and to mend than a list of literals."""
    return frozenset(words.split())


# Words that open a sentence far more often than a name: what follows "U.S." or "Inc." if that ends the sentence.
_STARTERS = word_set(
    "The A An This That These Those It Its He She They We You I His Her Their Our My There Here In On At By For From To"
    " As But And Or So If When While Where Since Because Although Though After Before During However Thus Therefore"
    " Hence Moreover Furthermore Also Additionally Then Some Many Most Both Each Every All Such Other Another What"
    " Which Who Why How Not Among Under Between Through Until Unless Once Later Today Now Despite Instead Yet According"
    " With Meanwhile Nevertheless Finally First Second Third Either Neither Without Within Please"
)
# The few that open one even where the writer forgot the capital.
_LOWER_STARTERS = word_set("a an the it he she they we this these there but however i you my what")
# A name or an explanation follows these: never the end.
_NEVER_LAST = word_set(
    "dr mr mrs ms mx messrs prof rev hon sen rep gov lt gen col capt cpt sgt cmdr adm maj pres supt insp fr sra"
    " srta mme mlle shri smt e.g i.e eg ie vs viz cf z.b d.h bzw"
)
# A number follows these, or they end the sentence.
_BEFORE_DIGITS = word_set("no nos nr art app tab ref etc jan feb mar apr jun jul aug sep sept oct nov dec")
# A number or letter follows these.
_BEFORE_NUMBER = word_set("fig figs p pp pg vol vols sec secs ch chap eq eqs pt pts op ed par refs")
# Other shortened words; several mean something else without the capital.
_ABBREVIATIONS = word_set(
    "St Ft Mt Mts Jr Sr Inc Ltd Corp Co Cos Bros LLC Univ Ave Blvd Rd Hwy Bldg Apt Rev Proc Acad Sci Biol Chem Phys Med"
    " Bull Ann Soc Inst Natl Intl Govt Dept Assn Calif Mass Conn Wash Penn Fla Ala Ariz Colo Minn Wis Mich Tenn Okla"
    " Ill Del Staph Strep Linn jr sr co al ca approx est dept univ assn assoc govt ave apt ibid sp spp ssp subsp var cv"
    " lit trans transl fl esp incl excl abbr misc avg tel ext abp bp pseud translit appt"
)
# A single letter after these is not the initial of a name.
_LETTERED = word_set(
    "vitamin vitamins hepatitis influenza group type class grade plan category factor level part section appendix"
    " figure table schedule war phase"
)
# Words that end neither a sentence nor a line nor a clause.
OPEN_WORDS = word_set(
    "of in on at by for from to with as and or than like the a an his her its their is are was were be been has have"
    " not called named titled"
)
_MONTHS = word_set(
    "January February March April May June July August September October November December"
    " Januar Februar März Mai Juni Juli Oktober Dezember"
)
_SPEECH = r"(?:said|says|asked|asks|replied|answered|cried|shouted|exclaimed|wondered|added|told|whispered|wrote)\b"

_CLOSERS = r"[)\]}”’»›」』】》〉）］]"
_STOP = re.compile(
    rf"""(?P<marks>[.!?…؟۔।॥።。！？｡]++)
         (?P<close>(?: [^\S\n]?(?: {_CLOSERS} | ''(?!\w) ) | ["'*_]++(?!\w)
                     | \[\d{{1,3}}\] | [^\S\n]++[.!?…]++(?!\S) )*+)""",
    re.VERBOSE,
)
_WORD = re.compile(r"\w")
_NEXT = re.compile(r"(?P<space>\s*)(?P<open>[\W_]{0,40}?)(?P<word>\w[\w-]*)(?P<after>.?)", re.DOTALL)
_NAME_LIKE = re.compile(r"[a-z]{1,3}-?[A-Z]")  # iPhone, mRNA, al-Farabi: a capital that comes late
_SAID = re.compile(rf"\s*(?:\w[\w.’'-]*\s+){{1,2}}{_SPEECH}")
_ROMAN_OR_LETTER = re.compile(r"[IVXLC]+|[A-Z]")
_OPENED = re.compile(r"[(\[][^)\]]*")  # (Phil. 4:15): hardly a sentence of one word
_VOWELLESS = re.compile(r"[B-DF-HJ-NP-TV-XZ][bcdfghjklmnpqrstvwxz]{1,4}")
# What a stop does not end at the head of a sentence: "3.", "a.", "IV.", "Figure 2."
_LABEL = re.compile(
    r"[\W_]{0,3}(?:\d{1,3}|[a-z]|[ivx]{1,5}|(?:fig|figure|table|chapter|section|step|part|box|example)\.? [\d.]{1,6})",
    re.IGNORECASE,
)
_LOOKBACK, _LOOKAHEAD = 40, 80  # characters around a stop that decide about it

# A forgotten stop: ", The", or "In" right after a list item's name; words in lower case follow, so it is no title.
_SPLICE = re.compile(r",\s+(?P<word>[A-Z][a-z]*)(?=(?:\s+[a-z]+){2})")
_HEAD_END = re.compile(r"(?P<last>[\w’'-]*\w)\s+(?P<word>[A-Z][a-z]*)(?=(?:\s+[a-z]+){2})")
_HEAD_STARTERS = word_set("In It He She They We This These There The However Thus But And Also According")
_HEAD_CHARS = 200
_LONG_WORDS = 8

LIST_ITEM = re.compile(r"(?:[-*•◦▪‣·–]|\d{1,3}[.)-]|\(\w{1,3}\)|[a-z]\))(?=\s)")
_QUOTED = re.compile(r"(?:>[ \t]?)++")
OWN_LINE = re.compile(r"#{1,6}\s|\||```|~~~|[\W_]*+$")  # a heading, a table row, a fence, a rule
_LINE_ENDS = ".!?…:;؟۔。！？|>}"
_WRAP_MIN, _WRAP_MAX, _NEIGHBOURS = 40, 160, 8
_CONTEXT = 2 * (_NEIGHBOURS + 1) * (_WRAP_MAX + 1)  # characters around a range that decide about its line breaks


def sentences(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """The sentences of `text[start:end]`, as offsets into `text`, ordered and without overlap.

    No span starts or ends in whitespace; together they hold every other character. A heading, a table row or a rule
    shares no sentence with other lines. Text around the range is looked at only to judge its line breaks.
    """
    spans: list[Span] = []
    for run in _runs(text, start, len(text) if end is None else end):
        spans += _cut_run(text, run)
    return spans


def without_mark(line: str) -> str:
    """A line without the mark of the list item that it opens."""
    mark = LIST_ITEM.match(line)
    return line[mark.end() :] if mark else line


def _trim(text: str, start: int, end: int) -> Span:
    """The range without the whitespace at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end)


def _cut_run(text: str, run: Span) -> Iterator[Span]:
    start, word = run.start, _WORD.search(text, *run)
    for stop in _STOP.finditer(text, *run):
        if word is None or stop.start() < word.start() or stop.end() == run.end:
            continue  # a sentence has a word
        if _ends(text, start, run.end, stop):
            yield from _cut_run_on(text, Span(start, stop.end()))
            start = stop.end()
            while text[start].isspace():
                start += 1
            word = _WORD.search(text, start, run.end)
    yield from _cut_run_on(text, Span(start, run.end))


def _ends(text: str, start: int, end: int, stop: re.Match[str]) -> bool:
    """Whether a stop with its closing quotes and brackets ends the sentence that opens `text[start:end]`."""
    marks, close = stop["marks"], stop["close"]
    following = _NEXT.match(text, stop.end(), min(end, stop.end() + _LOOKAHEAD))
    before = text[max(start, stop.start() - _LOOKBACK) : stop.start()].rsplit(maxsplit=2)
    if following is None or not before:
        return False
    if marks[-1] in "。！？｡":
        return bool(following["space"]) or not close or (marks[-1] == "。" and following["word"][0] != "と")
    word, last = following["word"], before[-1].lstrip("([{\"'“‘«*_")
    starter = word in _STARTERS and (following["after"] in ",’'" or following["after"].isspace())
    if not following["space"]:  # "the end.The next": a forgotten space, not the name of a file
        return starter and not following["open"] and "." not in last and (last[1:].islower() or last[-4:].isdigit())
    if word[0].islower() and not _NAME_LIKE.match(word):
        plain = marks == "." and not close and len(last) > 2 and last.isalpha()
        return plain and word in _LOWER_STARTERS and not _shortened(last)
    if marks != ".":
        dash = following["open"][:1] in ("-", "–", "—")  # (1176? – 1216)
        return not (dash or (close and _SAID.match(text, stop.end(), end)))
    if _OPENED.fullmatch(before[-1]) or _LABEL.fullmatch(text, start, stop.start()):
        return False
    return _full_stop_ends(before, last, word, starter)


def _full_stop_ends(before: list[str], last: str, word: str, starter: bool) -> bool:
    """Whether "last." ends a sentence before "word", which looks like a beginning."""
    low = last.lower().rsplit("-", 1)[-1]
    if last.isupper() and last.isalpha() and len(last) > 1 and word[1:].islower():  # "MS. Patients", but "MR. SMITH"
        return True
    if low in _NEVER_LAST:
        return False
    if low in _BEFORE_DIGITS:
        return not word[0].isdigit()
    if low in _BEFORE_NUMBER and (word[0].isdigit() or _ROMAN_OR_LETTER.fullmatch(word)):
        return False
    if last.isdigit() and len(last) <= 2 and word in _MONTHS:
        return False
    if len(last) == 1 and len(before) > 1 and _names_a_letter(before[-2], last):
        return True
    return starter or not _shortened(last)


def _names_a_letter(before: str, letter: str) -> bool:
    """Whether the letter is no initial: vitamin C, 20 m."""
    return before.lower() in _LETTERED or (letter.islower() and before[-1].isdigit())


def _shortened(word: str) -> bool:
    """Whether a stop after this word may belong to the word: Inc., U.S., J., Wm."""
    low = word.lower()
    return (
        word in _ABBREVIATIONS
        or low in _NEVER_LAST
        or low in _BEFORE_DIGITS
        or low in _BEFORE_NUMBER
        or (len(word) == 1 and word.isalpha())
        or ("." in word and word.replace(".", "").isalpha() and max(map(len, word.split("."))) <= 2)
        or _VOWELLESS.fullmatch(word) is not None
    )


def _cut_run_on(text: str, span: Span) -> Iterator[Span]:
    """Cuts where the writer began a new sentence and forgot the stop."""
    head = _head_end(text, span)
    if head and _is_long(text, head, span.end):
        yield from _cut_splices(text, _trim(text, span.start, head))
        span = Span(head, span.end)
    yield from _cut_splices(text, span)


def _cut_splices(text: str, span: Span) -> Iterator[Span]:
    start = span.start
    for splice in _SPLICE.finditer(text, *span):
        cut = splice.start("word")
        if splice["word"] in _STARTERS and _is_long(text, start, cut) and _is_long(text, cut, span.end):
            yield _trim(text, start, cut)
            start = cut
    yield Span(start, span.end)


def _is_long(text: str, start: int, end: int) -> bool:
    return len(text[start : min(end, start + _HEAD_CHARS)].split()) > _LONG_WORDS


def _head_end(text: str, span: Span) -> int | None:
    """Where a list item's name ends and a sentence goes on without a stop: "3- The party of X In addition to …"."""
    item = LIST_ITEM.match(text, span.start, span.end)
    if item is None:
        return None
    for head in _HEAD_END.finditer(text, item.end(), min(span.end, span.start + _HEAD_CHARS)):
        if head["word"] in _HEAD_STARTERS and head["last"] not in OPEN_WORDS:
            return head.start("word")
    return None


def _runs(text: str, start: int, end: int) -> Iterator[Span]:
    """What stands between hard line breaks: paragraphs, list items, headings, verses."""
    block: list[Span] = []
    for line in lines_of(text, max(0, start - _CONTEXT), min(len(text), end + _CONTEXT)):
        if line.start < line.end:
            block.append(line)
            continue
        yield from _block_runs(text, block, start, end)
        block = []
    yield from _block_runs(text, block, start, end)


def lines_of(text: str, start: int, end: int) -> Iterator[Span]:
    while start <= end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        yield _trim(text, start, stop)
        start = stop + 1


def _block_runs(text: str, lines: list[Span], start: int, end: int) -> Iterator[Span]:
    """Joins the lines that a wrap tore apart, and keeps what lies in the range."""
    if not lines:
        return
    first = lines[0].start
    for line, following, soft in zip(lines, [*lines[1:], None], [*_soft_breaks(text, lines), False], strict=True):
        if soft:
            continue
        run = _trim(text, max(first, start), min(line.end, end))
        if run.start < run.end:
            yield run
        first = following.start if following else line.end


def _soft_breaks(text: str, lines: list[Span]) -> list[bool]:
    """`[i]` tells whether the break after `lines[i]` is only a wrap.

    It is one if the line plainly goes on; or if the next line's first word did not fit into the widest line near by,
    that width is one at which people wrap, and most breaks near by look the same (some line is always the widest).
    """
    if max(line.end - line.start for line in lines) < _WRAP_MIN:
        return [False] * (len(lines) - 1)
    quoted = [_QUOTED.match(text, *line) for line in lines]
    bodies = [Span(mark.end(), line.end) if mark else line for mark, line in zip(quoted, lines, strict=True)]
    forced = _forced_breaks(text, bodies)
    return [
        bool(quoted[index]) == bool(quoted[index + 1])
        and not OWN_LINE.match(text, *line)
        and not OWN_LINE.match(text, *following)
        and not LIST_ITEM.match(text, *following)
        and (_unfinished(text, line, following) or _mostly(forced, index))
        for index, (line, following) in enumerate(pairwise(bodies))
    ]


def _forced_breaks(text: str, lines: list[Span]) -> list[bool]:
    sizes = [line.end - line.start for line in lines]
    forced = []
    for index, following in enumerate(lines[1:]):
        width = max(sizes[max(0, index - _NEIGHBOURS) : index + _NEIGHBOURS + 2])
        word = len(text[following.start : min(following.end, following.start + _WRAP_MAX)].partition(" ")[0])
        forced.append(_WRAP_MIN <= width <= _WRAP_MAX and sizes[index] + 1 + word > width)
    return forced


def _mostly(forced: list[bool], index: int) -> bool:
    around = forced[max(0, index - _NEIGHBOURS) : index + _NEIGHBOURS + 1]
    return forced[index] and 2 * sum(around) > len(around)


def _unfinished(text: str, line: Span, following: Span) -> bool:
    """Whether a long line plainly goes on: "… the services of the", or a next line in lower case."""
    if not _WRAP_MIN <= line.end - line.start <= _WRAP_MAX:
        return False
    last = text[max(line.start, line.end - _LOOKBACK) : line.end].split()[-1]
    return last in OPEN_WORDS or (text[following.start].islower() and last[-1] not in _LINE_ENDS)
