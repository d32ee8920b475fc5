"""Whether a sentence says no more and no less than a sentence of a document, by what was done to its words.

A rewording may leave out what stands between commas, brackets or behind a preposition; move the phrase or the clause in
front to the end; exchange two phrases at the end; turn the passive into the active; say of somebody what stands behind
his name ("Ann Lee, a nurse, …"); join two sentences; write numbers, dates and units in another way; and put the
document's title in the place of a pronoun, or of "the bridge". Everything else that it says, to the last function word,
sign and unit, must stand in the sentence in the same order, and nothing may be left out that turns, limits or doubts
what is said: "only", "not", "according to", "if". What this does not know, other ways to say the same too, is no
rewording: a true sentence may be refused, and the document's own words are shown in its place. Pure functions over
strings.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from .operators import CONDITIONS, NEGATIONS, OPERATORS, PROHIBITIONS, TELLING
from .sentences import sentences, word_set
from .speechacts import asks
from .terms import numbers, stem

MOST_TOKENS = 250  # of a sentence that is looked at: what is longer is quoted

_MOST_STEPS = 50_000  # a sentence of 45 words takes some thousands
_ARTICLES = word_set("the a an")
_PRONOUNS = word_set("he she it they him them this these those his her hers its their theirs who which that")
_RELATED = word_set(
    "wife husband son daughter brother sister mother father widow widower uncle aunt cousin nephew niece friend rival"
    " opponent enemy pupil student teacher colleague partner lover successor predecessor assistant"
)
_SOMEBODY = word_set(
    "man woman boy girl child people person men women children member cook guest thief spy nurse judge"
)
_OF_PEOPLE = ("er", "or", "ist", "ian", "man", "woman", "ess", "ant", "ent", "ee", "ic", "ast", "ate")
_OF_A_PERSON = word_set("he she him her his hers")
_OF_SEVERAL = word_set("they them their theirs these")
_DEFINITE = word_set("the this our")
_POSSESSIVE = word_set("his her its their")
_STANDS_FOR = _POSSESSIVE | word_set("he she it they him them this these hers theirs")  # a title, perhaps
# May go or come: they only lead on to the sentence.
_LEADING_ON = _ARTICLES | word_set("also however therefore thus moreover furthermore indeed consequently additionally")
_COMING = _LEADING_ON - word_set("therefore thus consequently")
_PREPOSITIONS = word_set(
    "of in on at by for from with as into onto over under against between among through during before after since"
    " until toward towards about around near across along within behind beyond despite to below above inside"
    " outside because following alongside throughout upon off via"
)
_WHEN = word_set("in on at by during since from until before after of")
_LIVED = word_set("born died founded since c ca circa")
_ONCE = word_set("after before during since until when while as once")  # of a time in the past: whenever it was
_WEEKDAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")  # one: "on Mondays" is a limit
_DAYS = frozenset(day + ending for day in _WEEKDAYS for ending in ("", "s"))
_PLACING = word_set("in at near on until since")  # in front of the name of a place, a month, a day
_SUBORDINATORS = word_set("when while where because since as after before until although though whereas once")
_CLAUSES = _SUBORDINATORS | {"if", "unless"}
_RELATIVES = word_set("who whom whose which that where")
_JOINS_SENTENCES = word_set("and")
_JOINING = word_set("and but while whereas yet so")
_TELLING_WHICH = (_PREPOSITIONS - word_set("since until during despite because")) | _RELATIVES | {"'s"}
_BEFORE_A_SUBJECT = _PREPOSITIONS | _SUBORDINATORS | _JOINING | _STANDS_FOR | (_LEADING_ON - _ARTICLES)
_FUNCTION_WORDS = _ARTICLES | _PRONOUNS | _PREPOSITIONS | _SUBORDINATORS | _JOINING | word_set("'s or not")
_TITLES = word_set(
    "mr mrs ms dr doctor professor general colonel captain major admiral lieutenant president minister chancellor king"
    " queen prince princess sir lord lady pope bishop saint sheikh senator judge governor mayor prime secretary"
)
_MODALS = word_set("may might can could must shall should will would")
_ELABORATING = word_set("especially preferably particularly including usually mostly most")
_FOR_A_PARTICIPLE = word_set("is are was were")
_PAST = word_set("was were had did")
_LASTING = word_set(
    "'s 're 've 'll 'm remain remains stay stays keep keeps become becomes get gets cost costs work works contain"
    " contains include includes need needs use uses run runs open opens close closes"
)
_NOT_PAST = word_set(
    "is are am be been has have do does may might can could must shall should will would cannot need needs"
)
# What turns, limits, doubts or hands on to somebody else what is said: it is never left out. Wider than `operators`: by
# those a quote grows, by these a sentence is refused.
_TURNING = OPERATORS | word_set(
    # no, and nearly no
    "rarely seldom lacking failing failure refusing denying denial ban bans prevent prevents prevented preventing stop"
    " stops stopped stopping cease ceases ceased ceasing cancel cancelled canceled abandon abandoned reject rejects"
    " rejected exclusion exempt exempts exempting exempted save bar barring instead rather contrary opposite"
    " contraindicated unable impossible solely exclusively"
    # perhaps
    " would should can must will shall potential planned plan plans planning expected expects expect attempt attempts"
    " attempted try tries tried intended intends going need needs needed mock toy pseudo theoretical theoretically"
    # somebody says so
    " report reports opinion view views accusing charge charged state states maintain maintained maintains tale wrote"
    " testified testify testifies heard hears explained explains promised promises complained complains recalled"
    " concluded concludes boasted remarked admitted admits revealed reveals added"
    " write writes quoted quote forecast estimate estimated estimates assuming wonder wondered ask asked asks asking"
    " question questions questioned dispute disputed seemed appear appeared deem deemed consider considered"
    # not in this world
    " novel story stories play film movie poem legend tradition version versions dream dreams dreamed dreamt game"
    " episode fiction fictional fictitious scenario example joke joked satire parody"
    # only then
    " given subject case condition conditions else depending depends where when whenever until till only"
)
_OPERATORS = _TURNING | word_set(
    # how many, how much, which
    "just merely half third quarter most mostly many few fewer several some partly partially almost nearly about"
    " approximately roughly around up less more least than other another second next last former formerly once"
    " originally initially previously ex vice deputy acting each both either or versus every all any especially usually"
    " often sometimes occasionally generally typically mainly primarily largely little afew alittle"
)
_SWEEPING = (
    NEGATIONS
    | PROHIBITIONS
    | word_set(
        "every any always only everyone everybody everything nobody whole entire both most least first last sole same"
    )
)
_ENGLISH = word_set(
    "of were with from by that has have had to his her their its this these which she he they it who whose when while"
    " because but not been being there than into after before during would could should"
)

_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "|".join(_MONTHS)
_DATE = re.compile(
    rf"\b(?:(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m1>{_MONTH}),? (?P<y1>\d{{4}})"
    rf"|(?P<m2>{_MONTH}) (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y2>\d{{4}}))\b",
    re.I,
)
# Bounds of numbers in their usual words, each by one sign.
_BOUND = re.compile(
    r"\b(?:(?P<over>more than|over|above|exceeding)|(?P<under>less than|fewer than|under|below)"
    r"|(?P<least>at least|no fewer than|no less than)|(?P<most>at most|no more than|up to)"
    r"|(?P<about>about|around|approximately|roughly|circa))\s+(?=[$£€]?(?P<number>\d|[a-z]+))",
    re.I,
)
_BOUND_SIGNS = {"over": "⋗ ", "under": "⋖ ", "least": "⩾ ", "most": "⩽ ", "about": "≈ "}
_PERCENT = re.compile(r"\b(?:per cent|percent)\b", re.I)
# Behind a number, signs that mean nothing else.
_SPEECH = re.compile(r"[^\w“\"«]*[“\"«][^”\"»]*(?:[”\"»]\W*)?")  # all of it, in quotation marks
_UNTICKED = re.compile(r"\W*?(?:\[[ _]?\]|[☐❏❑□])")
_UNITS = {
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "kg": "kilogram", "mg": "milligram", "ml": "milliliter",
}  # fmt: skip
_A_FEW = re.compile(r"\b(?:a|an)\s+(few|little)\b", re.I)  # more than "few"
_SPOKEN = {"each": "every", "all": "every", "&": "and", "cannot": "can not", "can't": "can not", "won't": "will not"}
_NO_PRONOUN = frozenset({"IT", "US", "WHO", "HER", "HIS"})
_PARTICIPLES = {
    "written": "wrote", "beaten": "beat", "taken": "took", "given": "gave", "chosen": "chose", "driven": "drove",
    "eaten": "ate", "seen": "saw", "known": "knew", "shown": "showed", "begun": "began", "drawn": "drew",
    "broken": "broke", "stolen": "stole", "woven": "wove", "sung": "sang", "worn": "wore", "grown": "grew",
    "thrown": "threw", "flown": "flew", "ridden": "rode", "overthrown": "overthrew", "undertaken": "undertook",
}  # fmt: skip
_ENDINGS = frozenset({"", "s", "es", "d", "ed", "y", "ies", "ied"})  # "killing" is not "killed"
_OF_THE_PAST = frozenset({"d", "ed", "ied"})


class Token(NamedTuple):
    """A word, number or sign. `key` is what is compared."""

    key: str
    kind: str  # "word", "number", "sign", or "stop" for what parts
    capital: bool = False
    parted: bool = False  # something that parts stands in front of it
    present: bool = False  # a participle in the place of a verb: "heads" of "is headed by"


# -- reading -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a text. What is neither letter, digit, blank nor plain punctuation is a sign."""
    raised = _RAISED.sub(lambda match: f"^{match[0]}", text.replace("’", "'").replace("‘", "'"))
    text = unicodedata.normalize("NFKC", raised)
    text = _A_FEW.sub(r"a\1", _DATE.sub(_dated, text))
    text = _PERCENT.sub("%", _BOUND.sub(_bounded, text))
    read = list(_joined_numbers([_month(token, n) for n, token in enumerate(_read(text))]))
    return tuple(_in_quotes(_with_unit(token, read[n - 1] if n else token), read, n) for n, token in enumerate(read))


def _in_quotes(token: Token, read: list[Token], at: int) -> Token:
    """The “doctor” is none, perhaps; a name in quotation marks is one without them."""
    around = [other.key for other in read[max(0, at - 1) : at] + read[at + 1 : at + 2]]
    doubted = len(around) == 2 and all(key in _QUOTES for key in around) and not token.capital
    return token._replace(key=f"“{token.key}”") if doubted else token


def _month(token: Token, at: int) -> Token:
    """May, the month, and Will, the man, are no verbs; the A of "vitamin A" is no article."""
    other = at and token.capital and token.key in ("may", "will", "a")
    return token._replace(key=token.key.title()) if other else token


def _with_unit(token: Token, before: Token) -> Token:
    return token._replace(key=_UNITS.get(token.key, token.key)) if before.kind == "number" else token


def _bounded(bound: re.Match[str]) -> str:
    is_number = bound["number"].isdigit() or bool(numbers(bound["number"]))
    sign = next(sign for name, sign in _BOUND_SIGNS.items() if bound[name])
    return sign if is_number else bound[0]


def _dated(date: re.Match[str]) -> str:
    day, month, year = (date["d1"], date["m1"], date["y1"]) if date["d1"] else (date["d2"], date["m2"], date["y2"])
    return f"{int(year)}\ue000{_MONTHS.index(month.lower()) + 1}\ue000{int(day)}"


# Of words that are long enough to have no other meaning in the other spelling: colour, centre, organise.
_BRITISH = re.compile(
    r"(?<=[a-z]{3})(?P<our>our)(?=s?$|ed$|ing$|s?ite|able|al$|hood)|(?<=[a-z]{2}[tb])(?P<re>re)(?=s?$)"
    r"|(?<=[a-z]{3})(?P<is>is)(?=e[ds]?$|ing$|ations?$)|(?<=[a-z]{3})(?P<ys>ys)(?=e[ds]?$|ing$)"
)
_AMERICAN = {"our": "or", "re": "er", "is": "iz", "ys": "yz"}
_RAISED = re.compile("[⁰¹²³⁴-⁹₀-₉]")  # NFKC would make 106 of 10⁶
_SENTENCE_END = "¶"  # put between two sentences: a full stop may be an abbreviation's
_WITHIN_WORDS = frozenset("-'")
_QUOTES = frozenset("\"'“”‘’„«»")
_FREE_STOPS = frozenset("\"'“”„«»‹›-.!…·•")  # that part nothing
_SIGNS = frozenset("%‰‱&#@*/\\")
_BETWEEN_DIGITS = frozenset(".,:\ue000")


def _read(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        kind = _kind(text, at)
        end = at + 1
        if kind == "word":
            while end < len(text) and (_kind(text, end) == "word" or _is_apostrophe(text, end)):
                end += 1
            yield from _words(text[at:end])
        elif kind == "number":
            while end < len(text) and (_kind(text, end) == "number" or _is_within_number(text, end)):
                end += 1
            yield Token(_plain_number(text[at:end]), "number")
        elif kind:
            yield Token(text[at], kind)
        at = end


@lru_cache(maxsize=4096)
def _category(character: str) -> str:
    return unicodedata.category(character)


def _kind(text: str, at: int) -> str:
    """What begins there: "word", "number", "sign", "stop", or "" for a blank."""
    character = text[at]
    group = _category(character)[0]
    if group in "LM":
        return "word"
    if group == "N":
        return "number"
    if group == "Z" or character in "\t\n\r\f\v":
        return ""
    if character in "-−–" and text[at + 1 : at + 2].isdigit():
        before = text[at - 1 : at]
        return "stop" if before.isalpha() else "sign"  # a minus, or from one number to another
    return "stop" if group == "P" and character not in _SIGNS else "sign"


def _is_apostrophe(text: str, at: int) -> bool:
    return text[at] == "'" and text[at + 1 : at + 2].isalpha()


def _is_within_number(text: str, at: int) -> bool:
    return text[at] in _BETWEEN_DIGITS and text[at + 1 : at + 2].isdigit()


def _plain_number(written: str) -> str:
    grouped = re.sub(r",(?=\d{3}(?:,|\.|$))", "", written)
    return "".join(str(unicodedata.decimal(c, c)) for c in grouped)


def _words(written: str) -> Iterator[Token]:
    lower = written.casefold()
    capital = written[0].isupper()
    if written in _NO_PRONOUN:
        yield Token(written, "word", capital)
        return
    if lower in _SPOKEN:
        for word in _SPOKEN[lower].split():
            yield Token(word, "word", capital)
        return
    if lower.endswith("n't"):
        yield Token(_folded(lower[:-3]), "word", capital)
        yield Token("not", "word")
        return
    base, apostrophe, ending = lower.rpartition("'")
    if apostrophe and ending in ("s", "re", "ve", "ll", "d", "m"):
        yield Token(_folded(base), "word", capital)
        yield Token(f"'{ending}", "word")
        return
    yield Token(_folded(lower), "word", capital)


def _folded(word: str) -> str:
    """In American spelling, and without the accents of Latin letters.

    Other marks stay: they are letters of other scripts, or hide something.
    """
    found = []
    for character in word:
        base = unicodedata.normalize("NFD", character)
        found.append(base[0] if len(base) > 1 and base[0].isascii() else character)
    return _BRITISH.sub(_in_american, "".join(found))


def _in_american(british: re.Match[str]) -> str:
    return next(american for name, american in _AMERICAN.items() if british[name])


def _joined_numbers(found: list[Token]) -> Iterator[Token]:
    """Numbers in words as digits: "twenty-six" is one number, and "hundred" another token behind it."""
    at = 0
    while at < len(found):
        token = found[at]
        value = _value(token)
        if value and len(value) == 2 and value[1] == "0" and at + 1 < len(found):
            behind = at + 2 if found[at + 1].key == "-" and at + 2 < len(found) else at + 1
            units = _value(found[behind])
            if len(units) == 1 and units != "0":
                yield Token(value[0] + units, "number")
                at = behind + 1
                continue
        yield Token(value, "number") if value else token
        at += 1


def _value(token: Token) -> str:
    """The digits of a number in words; "" for what is none. "one" may be a pronoun, "second" an hour's."""
    if token.kind != "word" or token.key in ("one", "second", "first", "third") or token.key.endswith("th"):
        return ""
    found = numbers(token.key)
    return next(iter(found)) if len(found) == 1 else ""


# -- comparing ---------------------------------------------------------------------------------------------------------


def changed(claim: str, sentence: str, titles: Sequence[str] = ()) -> str:
    """Why `claim` does not say what `sentence` says, or a part of it that stands by itself; "" where it does.

    Each of `titles` may stand for a pronoun. What turns the sentence from outside has to stand in it: see `leads.py`.
    """
    said, written = _by_sentence(claim), _by_sentence(sentence)
    if asks(sentence):
        return "the passage asks it"
    if _SPEECH.fullmatch(sentence) and not _SPEECH.fullmatch(claim):
        return "the passage quotes it from somebody"
    if _UNTICKED.match(sentence):
        return "the passage has not ticked it"
    if max(len(said), len(written)) > MOST_TOKENS:
        return "it is longer than any quote"
    if [token.key for token in said] == [token.key for token in written]:
        return ""
    names = tuple(_without_stops(tokens(title)) for title in titles)
    ours = [form.tokens for form in _forms(_without_stops(said))]
    for form in _forms(written):
        source = _Source(form, names, frozenset(token.key for token in said))
        if any(source.gives(tokens) for tokens in ours):
            return ""
    return _difference(said, written)


def _by_sentence(text: str) -> tuple[Token, ...]:
    """The tokens of a text of several sentences, with a stop between two of them."""
    found: list[Token] = []
    for span in sentences(text):
        found += [*([Token(_SENTENCE_END, "stop")] if found else []), *tokens(text[span.start : span.end])]
    return tuple(found)


def first_unsaid(claim: str, text: str, titles: Sequence[str] = ()) -> str:
    """The first word, number or sign of `claim` that neither `text` nor one of `titles` has; "" if they have all."""
    known = [token for source in (text, *titles) for token in tokens(source)]
    keys = {_past_of(token) for token in known} | _COMING | _FOR_A_PARTICIPLE
    if len(sentences(text)) > 1:
        keys |= _JOINS_SENTENCES
    if any(token.key in _POSSESSIVE for token in known):
        keys |= {"'s"}
    stemmed = {stem(token.key) for token in known if token.kind == "word"}
    first = ""
    for form in _forms(_without_stops(tokens(claim))):
        unsaid = (t.key for t in form.tokens if _past_of(t) not in keys and stem(t.key) not in stemmed)
        if not (missing := next(unsaid, "")):
            return ""
        first = first or missing
    return first


def leans(sentence: str) -> bool:
    """Whether it begins with a pronoun, and another sentence says whom it is about."""
    first = next((token for token in tokens(sentence) if token.kind == "word"), None)
    return first is not None and first.key in _STANDS_FOR


def of_a_person(sentence: str) -> bool:
    """Whether its first pronoun is one of a person: he or she."""
    first = next((token.key for token in tokens(sentence) if token.key in _STANDS_FOR), "")
    return first in _OF_A_PERSON


def stands_for(title: str, before: str, *, at_start: bool, person: bool) -> bool:
    """Whether a pronoun behind the text `before` is likely to mean what the title names.

    The last sentence that does not begin with a pronoun begins with the title, and nobody else is named from there on;
    where all do, that is so `at_start` of a document. Of a `person`: "the war" is nobody else.
    """
    named = _without_stops(tokens(title))
    for span in reversed(sentences(before)):
        found = _without_stops(tokens(before[span.start : span.end]))
        first = next((token for token in found if token.key not in _ARTICLES and token.kind == "word"), None)
        if first is None:
            continue
        if not (_defines(found, named) if first.key not in _STANDS_FOR else False) and _names_another(
            found, named, person=person
        ):
            return False
        if first.key not in _STANDS_FOR:
            return _begins_with(found, named)
    return at_start


def _begins_with(found: Sequence[Token], title: Sequence[Token]) -> bool:
    """Whether a sentence is about the title, or about a part of a name: "Curie"; not about "Curie's husband"."""
    bare, names = [token for token in found if token.key not in _ARTICLES and token.kind != "sign"], _bare(title)
    length = next((at for at, token in enumerate(bare) if token.key not in names), len(bare))
    behind = bare[length].key if length < len(bare) else ""
    return length > 0 and behind not in ("'s", "and", "or")


def _defines(found: Sequence[Token], title: Sequence[Token]) -> bool:
    """Whether it says what the title is, "Orvanna is a lake in Tessaly": what follows goes on about it.

    Not where it is somebody's relative, as who is then told of may be either.
    """
    at = next((n for n, token in enumerate(found) if token.key in _FOR_A_PARTICIPLE), 0)
    told = found[at + 1 :]
    is_one = bool(told) and told[0].key in _ARTICLES | {"one"} and _begins_with(found, title)
    return at > 0 and is_one and not any(token.key in _RELATED | _RELATIVES or _is_verb(token) for token in told)


def _names_another(found: Sequence[Token], title: Sequence[Token], *, person: bool = False) -> bool:
    """Whether somebody or something else stands there than what the title names.

    A name, but for that of a place or a month, or an adjective; "a dog", but not in "was a chemist", "in the city".
    """
    known = {token.key for token in title}
    leading = _PREPOSITIONS - _SUBORDINATORS | _FOR_A_PARTICIPLE | {"as"}
    for n, token in enumerate(found):
        other = n and token.key in _ARTICLES and found[n - 1].key not in leading
        if other and (not person or any(_is_somebody(near) for near in found[n + 1 : n + 4])):
            return True
    at = 1
    if known.intersection(token.key for token in found[:2]):  # "General Mills, Inc., is": of the title, to its end
        at = next((n for n, token in enumerate(found) if n and not token.capital), len(found))
    while at < len(found):
        end = next((n for n in range(at, len(found)) if not found[n].capital), len(found))
        names = [token for token in found[at:end] if token.key.lower() not in {*known, *_MONTHS}]
        if names and found[at - 1].key not in _PLACING and not _is_adjective(found, at, end):
            return True
        at = end + 1
    return False


def _is_somebody(token: Token) -> bool:
    """Whether a noun may name a person; generous: "letter" is taken for one."""
    return token.key in _SOMEBODY | _RELATED | _TITLES or (len(token.key) > 4 and token.key.endswith(_OF_PEOPLE))


def _is_adjective(found: Sequence[Token], start: int, end: int) -> bool:
    """Whether capitals are of an adjective: "an American Thoroughbred racehorse"."""
    noun = found[end] if end < len(found) else None
    if noun is None or noun.kind != "word" or found[start - 1].key not in _ARTICLES:
        return False
    return not (noun.parted or noun.key in _FUNCTION_WORDS or _is_verb(noun))


def _past_of(verb: Token) -> str:
    return _PARTICIPLES.get(verb.key, verb.key)


def _difference(said: Sequence[Token], written: Sequence[Token]) -> str:
    """What parts them, in a few words."""
    kept = {token.key for token in said}
    left = next((token.key for token in written if token.key in _OPERATORS and token.key not in kept), "")
    return f"it leaves out '{left}'" if left else "the passage says it in another way"


def _without_stops(found: Sequence[Token]) -> tuple[Token, ...]:
    """The words alone; each knows whether something parts it from the one before."""
    kept: list[Token] = []
    parted = False
    for token in found:
        if token.kind == "stop":
            parted = parted or _parts(token)
        else:
            kept.append(token._replace(parted=parted and bool(kept)))
            parted = False
    return tuple(kept)


def _parts(token: Token) -> bool:
    """Whether it parts what stands around it, as a comma does and a hyphen or a quotation mark does not."""
    return token.kind == "stop" and token.key not in _FREE_STOPS


class _Form(NamedTuple):
    """The tokens of a sentence in another order."""

    tokens: tuple[Token, ...]
    moved: bool = False  # what was in front now stands behind


def _forms(found: Sequence[Token]) -> Iterator[_Form]:
    """The tokens as they stand; with what is in front behind the rest; with two phrases at the end exchanged.

    Each of these in the active voice, too; what stands behind a name as a sentence; and the name behind what it is.
    """
    plain = _Form(tuple(found))
    for form in (plain, *_turned(plain.tokens), *_exchanged(plain.tokens)):
        yield form
        if active := _active(form.tokens):
            yield form._replace(tokens=active, moved=True)
    yield from _behind_a_name(plain.tokens)
    yield from _named_last(plain.tokens)


def _turned(found: tuple[Token, ...]) -> Iterator[_Form]:
    """Turn "In May the queen fled" into "the queen fled in May": up to its comma, else wherever the phrase may end.

    A clause in front, "If it rains, …", ends with its comma. It is moved with all that turns it, and never left out.
    """
    if not found or any(token.key == _SENTENCE_END for token in found):
        return
    body = found[:-1] if found[-1].kind == "stop" else found
    if any(
        token.key in _RELATIVES | TELLING | _CLAUSES - word_set("since as after before until") for token in body[1:]
    ):
        return  # whose the phrase is, nobody knows
    comma = next((at for at, token in enumerate(body) if token.key == "," or token.parted), 0)
    behind = comma + (body[comma].key == ",") if comma else 0
    if found[0].key in _CLAUSES and comma:
        yield _Form((*body[behind:], *body[:comma]), moved=True)
    elif found[0].key in _PREPOSITIONS:
        for cut in (comma,) if comma else range(2, min(9, len(body) - 1)):
            front = body[:cut]
            if not any(token.key in _OPERATORS | _JOINING for token in front):
                yield _Form((*body[behind or cut :], *front), moved=True)


def _exchanged(found: tuple[Token, ...]) -> Iterator[_Form]:
    """Turn "is closed until May for repairs" into "is closed for repairs until May"."""
    body = found[:-1] if found and found[-1].kind == "stop" else found
    second = _last_phrase(body)
    first = _last_phrase(body[:second]) if second else 0
    told = _tells_when_or_where(body[first:second]) or _tells_when_or_where(body[second:]) if first else False
    if told and not any(_parts(token) or token.parted for token in body[first + 1 :]):
        yield _Form((*body[:first], *body[second:], *body[first:second]))


def _last_phrase(found: Sequence[Token]) -> int:
    """Where the phrase begins with which the tokens end, "in the north of Iran"; 0 if they end with none."""
    at = next((n for n in range(len(found) - 1, 0, -1) if found[n].key in _PREPOSITIONS - {"of"}), 0)
    return at if at and _is_phrase(found[at:]) else 0


def _behind_a_name(found: tuple[Token, ...]) -> Iterator[_Form]:
    """Turn "Ann Lee, a nurse, left" into "Ann Lee was a nurse", and "Ann Lee, who fled, fell" into "Ann Lee fled"."""
    commas = [at for at, token in enumerate(found) if token.key == ","][:2]
    if len(commas) < 2 or any(token.key in _PREPOSITIONS | _OPERATORS for token in found[: commas[0]]):
        return
    name, said = found[: commas[0]], found[commas[0] + 1 : commas[1]]
    behind = found[commas[1] + 1 : commas[1] + 2]
    several = behind and behind[0].key in _JOINING | {"or"}
    if not said or several or any(_parts(token) for token in said) or any(token.key in _TURNING for token in found):
        return
    if said[0].key in ("which", "who"):
        yield _Form((*name, *said[1:]))
    elif said[0].key in ("a", "an") and all(token.capital for token in name):
        past = any(_is_past(token) or token.key in _PAST for token in found[commas[1] :])
        yield _Form((*name, Token("was" if past else "is", "word"), *said))


def _named_last(found: tuple[Token, ...]) -> Iterator[_Form]:
    """Turn "Ann Lee is the head of the guard" into "the head of the guard is Ann Lee"."""
    body = found[:-1] if found and found[-1].kind == "stop" else found
    at = next((n for n, token in enumerate(body) if token.key in ("is", "was")), 0)
    name, told = body[:at], body[at + 1 :]
    plain = not any(_parts(token) or token.parted or token.key in _JOINING | _RELATIVES for token in told)
    if name and plain and told and told[0].key == "the" and all(token.capital for token in name):
        yield _Form((*told, body[at], *name))


def _active(found: tuple[Token, ...]) -> tuple[Token, ...]:
    """Turn "A was beaten by B in May" as "B beat A in May" round; nothing where it is not so simple."""
    keys = [token.key for token in found]
    for at in range(1, len(found) - 3):
        if keys[at] in _FOR_A_PARTICIPLE and keys[at + 2] == "by" and found[at + 1].kind == "word":
            patient, verb = found[:at], found[at + 1]
            if any(_parts(token) for token in patient) or patient[0].key in _PREPOSITIONS:
                return ()
            rest = found[at + 3 :]
            ends = (n for n, t in enumerate(rest) if n and (_parts(t) or t.key in _PREPOSITIONS - {"of"}))
            end = next(ends, len(rest))
            present = keys[at] in ("is", "are")
            active = Token(verb.key if present else _past_of(verb), "word", present=present)
            return (*rest[:end], active, *patient, *rest[end:])
    return ()


def _bare(title: Sequence[Token]) -> list[str]:
    return [token.key for token in title if token.key not in _ARTICLES]


class _Source:
    """A sentence of a document, from which others may be made."""

    def __init__(self, form: _Form, titles: Sequence[Sequence[Token]], said: frozenset[str]) -> None:
        self._tokens = found = form.tokens
        self._moved = form.moved
        self._titles = [_bare(title) for title in titles if title]
        keys = {token.key for token in found}
        self._is_joined = _SENTENCE_END in keys
        # "No member left in 1903": without "in 1903" it says more, not less.
        self._is_sweeping = any(_sweeps(token) for token in found if token.key in said)
        self._english = bool(keys & {"the", "and"}) or keys >= {"a", "was"} or len(keys & _ENGLISH) >= 2
        past = said & _PAST or any(_is_past(token) for token in found if token.key in said)
        self._past = bool(past) and not said & (_NOT_PAST | _LASTING)
        self._known: dict[tuple[int, int], bool] = {}

    def gives(self, claim: Sequence[Token]) -> bool:
        """Whether the claim's tokens are this sentence's, in order, but for what may be left out, added or replaced."""
        at: dict[int, set[int]] = {0: {0}}  # by the claim's tokens so far: how far into the sentence they may reach
        looked_at = 0
        for i, token in enumerate(claim):
            for j in at.pop(i, set()):
                looked_at += len(self._tokens) - j
                if looked_at > _MOST_STEPS:  # the same word again and again
                    return False
                for after, ahead in self._steps(claim, i, token, j):
                    at.setdefault(after, set()).add(ahead)
            if not at:
                return False
        return any(self._may_go(j, len(self._tokens)) for j in at.get(len(claim), ()))

    def _steps(self, claim: Sequence[Token], i: int, token: Token, j: int) -> Iterator[tuple[int, int]]:
        """How far one may get in both from there by the next token of the claim."""
        if self._may_come(token, j) or self._is_auxiliary(claim, i, j):
            yield i + 1, j
        for k in range(j, len(self._tokens)):
            theirs = self._tokens[k]
            each = "every" in (claim[i - 1].key if i else "", self._tokens[k - 1].key if k else "")
            if _same(token, theirs, any_number=each) and self._may_go(j, k) and self._is_parted_alike(token, i, j, k):
                yield i + 1, k + 1
            if (theirs.key in _STANDS_FOR or self._is_described(k)) and self._may_go(j, k) and self._is_of_title(k):
                yield from ((end, k + 1) for end in self._named(claim, i, theirs))
            if token.key in _JOINS_SENTENCES and theirs.key == _SENTENCE_END and self._may_go(j, k):
                yield i + 1, k + 2 if self._goes_on_about_it(k) else k + 1

    def _is_parted_alike(self, token: Token, i: int, j: int, k: int) -> bool:
        """Whether a comma stands before a token in both or in neither: "the panda eats, shoots and leaves"."""
        run = self._tokens[j:k]
        stops = [t for t in run if _parts(t)]
        if not i or len(stops) < len([t for t in run if t.key not in _LEADING_ON and t.key not in _FREE_STOPS]):
            return True  # a new beginning, or something between was left out
        if bool(stops) is token.parted:
            return True
        in_front = self._tokens[0].key in _PREPOSITIONS | _SUBORDINATORS
        return token.key in _JOINING | {"or"} | _RELATIVES or in_front

    def _is_of_title(self, k: int) -> bool:
        """Whether nothing that the word there could mean is named in front of it: "Ann Lee left when she …"."""
        if self._tokens[k].key not in _STANDS_FOR:
            return sum(token.key == self._tokens[k].key for token in self._tokens) == 1
        front = self._tokens if self._moved else self._tokens[:k]
        known = [Token(name, "word") for title in self._titles for name in title]
        plain = not any(token.key in _ARTICLES for token in front) and not _names_another(front, known)
        return not front or (front[0].key in _BEFORE_A_SUBJECT and plain)

    def _may_come(self, token: Token, j: int) -> bool:
        """Whether the claim may say that word besides: not "the cause" for "a cause", nor "therefore"."""
        indefinite = j < len(self._tokens) and self._tokens[j].key in ("a", "an")
        return token.key in _COMING and not (token.key == "the" and indefinite)

    def _goes_on_about_it(self, end: int) -> bool:
        """Whether behind that end of a sentence "he" or "she" is whom the sentence is about: it has nobody else."""
        first, behind = self._tokens[:end], self._tokens[end + 1 : end + 2]
        if not behind or behind[0].key not in ("he", "she", "it", "they"):
            return False
        titles = [[Token(name, "word") for name in title] for title in self._titles]
        words = [token for token in first if token.kind != "stop"]
        if any(_begins_with(words, title) and _defines(words, title) for title in titles):
            return True
        if behind[0].key not in ("he", "she"):
            return False
        name = [token for n, token in enumerate(first) if all(t.capital for t in first[: n + 1])]
        alone = name or first[0].key == behind[0].key
        told = ((first[n - 1], token) for n, token in enumerate(first) if n)
        others = any(token.key in _ARTICLES | _POSSESSIVE and before.key not in _PREPOSITIONS for before, token in told)
        return bool(alone) and not others and not _names_another(first, name)

    def _is_described(self, k: int) -> bool:
        """Whether it is a word of a title behind "the", with nothing that says which: "the bridge", not "of Bled"."""
        token, behind = self._tokens[k], self._tokens[k + 1 : k + 2]
        if not k or self._tokens[k - 1].key not in _DEFINITE or token.capital or not behind:
            return False
        which = behind[0].capital or behind[0].key in _TELLING_WHICH
        return not which and any(token.key in title for title in self._titles)

    def _named(self, claim: Sequence[Token], i: int, pronoun: Token) -> Iterator[int]:
        """Where a title, or a part of a plain name, ends in the claim that stands there for the pronoun."""
        start = i + (claim[i].key in _ARTICLES)
        for title in self._titles:
            end = start
            while end < len(claim) and claim[end].key in title:
                end += 1
            run = _bare(claim[start:end])
            role = len(run) == 1 and run[0] in _TITLES and run[0] in title
            surname = len(title) == 2 and run == title[-1:] and pronoun.key in _OF_A_PERSON
            if not run or not (role or surname or run == title):
                continue
            if any(key in ("and", "or", "vs", "&") for key in title) and pronoun.key not in _OF_SEVERAL:
                continue
            if pronoun.key not in _STANDS_FOR and pronoun.key not in _bare(claim[start:end]):
                continue
            owner = end < len(claim) and claim[end].key == "'s"
            if owner and pronoun.key in _POSSESSIVE:
                yield end + 1
            elif not owner and pronoun.key not in _POSSESSIVE - {"her"}:
                yield end

    def _is_auxiliary(self, claim: Sequence[Token], i: int, j: int) -> bool:
        """Whether it is a verb that the participle behind it does without: "the movement (is) headed by Ann Lee"."""
        behind = claim[i + 1 : i + 3]
        if claim[i].key not in _FOR_A_PARTICIPLE or len(behind) < 2 or behind[1].key != "by":
            return False
        here = self._tokens[j : j + 2]
        return [t.key for t in here] == [t.key for t in behind] and not any(
            t.key in _PAST | _NOT_PAST for t in self._tokens
        )

    # -- what may be left out --

    def _may_go(self, start: int, end: int) -> bool:
        """Whether the sentence may do without its tokens from `start` to `end`."""
        if start not in range(end):
            return start == end
        known = self._known.get((start, end))
        if known is None:
            known = self._known[start, end] = self._is_free(start, end)
        return known

    def _is_free(self, start: int, end: int) -> bool:
        run = self._tokens[start:end]
        core = _core(run)
        if not core:
            return True
        if not self._english or any(token.key in _not_left_out(run, core) for token in core):
            return False
        if self._is_joined or core[0].key == "?":
            return False
        if any(token.kind == "sign" for token in core) and not self._is_parted(start, end):
            return False
        if all(token.key in _TITLES and token.capital for token in core) and self._is_name(start, end):
            return True
        if start == 0:
            return not self._moved and self._is_free_in_front(run, core)
        if all(token.kind == "stop" for token in self._tokens[end:]):
            return self._is_free_behind(run, core, self._tokens[start - 1])
        return self._is_free_between(run, core, end)

    def _is_name(self, start: int, end: int) -> bool:
        """Whether a name stands there, and all the titles that it has go: not "Minister" for "Prime Minister"."""
        around = self._tokens[max(0, start - 1) : start] + self._tokens[end : end + 1]
        named = end < len(self._tokens) and self._tokens[end].capital
        return named and not any(token.key in _TITLES for token in around)

    def _is_parted(self, start: int, end: int) -> bool:
        return _parts(self._tokens[start]) and (end == len(self._tokens) or self._tokens[end - 1].kind == "stop")

    def _is_free_in_front(self, run: Sequence[Token], core: Sequence[Token]) -> bool:
        """What a comma ends, or ", and"; without one, when it was."""
        first, last = core[0], run[-1]
        if last.key == ":" or first.key in _PAST | _NOT_PAST:  # a label; "Were it to leak, …"
            return False
        joined = last.key in _JOINING and len(run) > 1 and _parts(run[-2])
        if first.key not in _PREPOSITIONS | _SUBORDINATORS:
            return joined or (_parts(last) and _is_aside(run, core))
        if first.key == "because" and _parts(last):
            return True
        if not self._past or self._is_sweeping:
            return False
        return _tells_when(core) or (_parts(last) and first.key in _ONCE) or joined

    def _is_free_behind(self, run: Sequence[Token], core: Sequence[Token], before: Token) -> bool:
        """What a comma or a bracket begins, another clause behind "and", and when or where it was."""
        first = core[0]
        while run[0].kind == "stop" and not _parts(run[0]) and run[0].key not in _WITHIN_WORDS:
            run = run[1:]  # a full stop, a quotation mark
        if run[0].key in "([":
            return self._is_free_in_brackets(core)
        parted = _parts(run[0])
        if not parted and (comma := next((at for at, token in enumerate(run) if _parts(token)), 0)):
            rest = run[comma:]
            return all(
                self._is_free_behind(part, said, before)
                for part, said, before in (
                    (run[:comma], _core(run[:comma]), before),
                    (rest, _core(rest), run[comma - 1]),
                )
                if said
            )
        if first.key == "because":
            return parted or not self._is_sweeping
        if first.key == "such" and core[1:] and core[1].key == "as":
            return not self._is_sweeping
        if first.key in _SUBORDINATORS | _PREPOSITIONS:
            if not self._past or self._is_sweeping:
                return False
            clause = first.key in _SUBORDINATORS and (
                _is_clause(core[1:]) or _is_participle(core[-1 if not core[1:] else 1])
            )
            once = first.key in _ONCE or (first.key == "of" and before.kind == "number")  # "died in 1934 of an illness"
            phrase = once and all(_is_phrase(part) for part in _phrases(core))
            return parted or clause or phrase or _tells_when_or_where(core)
        if first.key in _JOINING:
            return _is_clause(core[1:]) or (parted and first.key == "and" and not self._is_sweeping)
        return parted and run[0].key != ":" and _is_aside(run[1:], core) and not _says_who(core)

    def _is_free_between(self, run: Sequence[Token], core: Sequence[Token], end: int) -> bool:
        """An aside between two commas or in brackets; without them, when it was."""
        first = core[0]
        while len(run) > 2 and run[-1].kind == run[-2].kind == "stop":  # "(1841), "
            run = run[:-1]
        inside = any(_parts(token) for token in run[1:-1])  # more than one aside, or more than one sentence
        if run[0].key in "([" and run[-1].key in ")]":
            return not any(token.key in "()[]" for token in run[1:-1]) and self._is_free_in_brackets(core)
        if _parts(run[0]) and _parts(run[-1]):
            if inside or ":" in (run[0].key, run[-1].key):
                return False
            if first.key in _RELATIVES:
                return True
            if any(_is_verb(token) for token in core[1:]):
                return False
            if first.key in _PREPOSITIONS | _SUBORDINATORS:
                return self._past and not self._is_sweeping
            # What begins otherwise may be a clause of its own.
            return all(token.capital or token.key == "of" for token in core) or _is_noun_or_participle(run[1:], core)
        behind = self._tokens[end]
        if run[0].kind == "stop" or run[-1].kind == "stop":
            return False
        if run[-1].key == "and" and behind.key in _PAST | _NOT_PAST:  # "was built in 1926 and has two floors"
            return (_is_verb(first) or first.key.endswith("s")) and not any(t.key in _RELATIVES for t in core)
        if not self._past or self._is_sweeping:
            return False
        goes_on = behind.kind == "number" or behind.key in ("'s", "of") or _is_participle(behind)
        return _tells_when(core) and not goes_on

    def _is_free_in_brackets(self, core: Sequence[Token]) -> bool:
        """What somebody is called, how many, or when he lived; in the past, whatever does not say when or where."""
        dated = any(map(_is_date, core)) and (core[0].kind == "number" or core[0].key in _LIVED)
        foreign = any(not token.key.isascii() for token in core if token.kind == "word")
        if dated or foreign or all(token.capital or token.kind == "number" or token.key == "%" for token in core):
            return True
        return self._past and not self._is_sweeping and core[0].key not in _PREPOSITIONS


def _not_left_out(run: Sequence[Token], core: Sequence[Token]) -> frozenset[str]:
    """The words that may not go with these tokens. What counts or limits in an aside counts nothing outside of it.

    "…, which surprised all", "…, the third novel by Bo Dahl", "…, especially for long stays", "…, who never left".
    """
    first = core[0].key
    if not _parts(run[0]) and first != "because":
        return _OPERATORS
    if first in ("who", "whose", "whom", "because"):
        return CONDITIONS
    if first == "which":
        return _TURNING - _MODALS
    aside = first in _RELATIVES | _ELABORATING or any(token.key in _ARTICLES for token in run[1:2])
    return _TURNING if aside else _OPERATORS


def _core(run: Sequence[Token]) -> list[Token]:
    """What the tokens say: "(?)" says something, too."""
    return [token for token in run if token.key == "?" or (token.kind != "stop" and token.key not in _LEADING_ON)]


def _tells_when(core: Sequence[Token]) -> bool:
    """Whether it is a preposition and a date or a year, nothing else: "in May 1903", "on the 5 of May"."""
    told = [token for token in core[1:] if token.key not in _ARTICLES and token.key != "of"]
    dated = any(_is_date(token) for token in told)
    return core[0].key in _WHEN and dated and all(_is_date(token) or token.kind == "number" for token in told)


def _tells_when_or_where(core: Sequence[Token]) -> bool:
    """Whether it is a date or the name of a place behind its preposition, or several: "in New York in May"."""
    return all(_tells_when(phrase) or _tells_where(phrase) for phrase in _phrases(core))


def _phrases(core: Sequence[Token]) -> list[Sequence[Token]]:
    """Cut in front of every preposition but "of"."""
    starts = [at for at, token in enumerate(core) if not at or token.key in _PREPOSITIONS - {"of"}]
    return [core[at:end] for at, end in zip(starts, [*starts[1:], len(core)], strict=True)]


def _tells_where(core: Sequence[Token]) -> bool:
    return core[0].key in _PLACING and len(core) > 1 and all(t.capital and t.key not in _DAYS for t in core[1:])


def _is_date(token: Token) -> bool:
    if token.kind == "number":
        return "\ue000" in token.key or (len(token.key) == 4 and token.key[0] in "12")
    return token.capital and token.key.lower() in (*_MONTHS, *_WEEKDAYS)


def _is_clause(core: Sequence[Token]) -> bool:
    """Whether a statement of its own stands there: "the mill burnt", "was closed", "she fled"."""
    return bool(core) and core[0].kind == "word" and any(_is_verb(token) for token in core)


def _is_aside(run: Sequence[Token], core: Sequence[Token]) -> bool:
    """Whether it may stand alone behind or in front of a comma: a clause, "a coal port", "built in 1841", "Ann Lee".

    Nothing of a list may: "gold, silver and bronze".
    """
    named = len(core) > 1 and all(token.capital or token.key == "of" for token in core)
    relative = core[0].key in _RELATIVES
    return relative or named or _is_noun_or_participle(run, core) or any(_is_verb(token) for token in core)


def _is_noun_or_participle(run: Sequence[Token], core: Sequence[Token]) -> bool:
    return run[0].key in _ARTICLES | _POSSESSIVE | _ELABORATING | {"one"} or _is_participle(core[0])


def _says_who(core: Sequence[Token]) -> bool:
    """Whether it says who said so, behind what was said: ", Bo Dahl testified", ", the court heard"."""
    return len(core) > 1 and _is_verb(core[-1])


def _is_phrase(core: Sequence[Token]) -> bool:
    """A preposition and its noun, nothing else: "in May", "by the head of the guard"."""
    behind = core[1:]
    return bool(behind) and not any(
        token.kind == "stop"
        or token.key in _JOINING | _RELATIVES | _PRONOUNS
        or (token.key in _PREPOSITIONS and token.key != "of")
        or _is_verb(token)
        for token in behind
    )


def _is_past(token: Token) -> bool:
    return token.kind == "word" and not token.capital and (token.key in _IRREGULAR or _ends_as_past(token.key))


def _ends_as_past(word: str) -> bool:
    return len(word) > 4 and word.endswith("ed") and not word.endswith("eed")


_IRREGULAR = word_set(
    "became began bore bought broke brought built came chose cut drew drove fell felt fled fought found gave got grew"
    " held hit kept knew laid lay led left lent lit lost made meant met overthrew paid put ran rode rose sang sank sat"
    " saw sent set sold sought spent spoke spread stole stood struck swam swore taught threw took understood undertook"
    " underwent went woke won wore died born beat burnt wrote ate drank blew froze hid hung lay learnt rang shook shot"
    " slept slid spun stuck swept tore wept wound"
)


def _sweeps(token: Token) -> bool:
    """Whether it says that there is no other, or none at all."""
    word = token.key
    return word in _SWEEPING or (len(word) > 5 and word.endswith("est") and token.kind == "word" and not token.capital)


def _is_participle(token: Token) -> bool:
    return _is_past(token) or token.key.endswith("ing")


def _is_verb(token: Token) -> bool:
    return token.key in _PAST | _NOT_PAST or _is_past(token)


def _same(one: Token, other: Token, *, any_number: bool = False) -> bool:
    """Whether both are one word. A verb that was in the passive may have another ending.

    With `any_number`, so may a noun: "every member" are "all members".
    """
    if one.present is not other.present and (one.key == other.key or _is_past(one if other.present else other)):
        return False  # "was used by" is not "uses"
    if one.key == other.key:
        return one.kind == other.kind
    if one.kind != "word" or other.kind != "word" or min(len(one.key), len(other.key)) < 4:
        return False
    if one.capital and other.capital:  # "Roberts" is not "Robert"
        return False
    common = next((n for n, (a, b) in enumerate(zip(one.key, other.key, strict=False)) if a != b), None)
    if common is None:
        common = min(len(one.key), len(other.key))
    if common < 3 or stem(one.key) != stem(other.key):
        return False
    doubled = one.key[common - 1]
    ends = (_ending(one.key[common:], doubled), _ending(other.key[common:], doubled))
    if not (any_number or one.present or other.present) and {*ends} <= {"", "s", "es"}:
        return False  # "a nurse" is not "nurses"
    one_tense = one.present or other.present or (ends[0] in _OF_THE_PAST) is (ends[1] in _OF_THE_PAST)
    return one_tense and all(end in _ENDINGS for end in ends)


def _ending(rest: str, last: str) -> str:
    return rest[1:] if rest[:1] == last and len(rest) > 1 else rest
