"""What tokens of English are, as far as form and closed classes tell: phrases, clauses, dates, verbs of the past.

Where form does not tell, the answer is the one by which less is taken to be said. Pure functions over tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from .sentences import word_set
from .terms import stem
from .tokens import MONTHS, Token

ARTICLES = word_set("the a an")
_PRONOUNS = word_set("he she it they him them this these those his her hers its their theirs who which that")
OF_A_PERSON = word_set("he she him her his hers")
DEFINITE = word_set("the this our")
POSSESSIVE = word_set("his her its their")
STANDS_FOR = POSSESSIVE | word_set("he she it they him them this these hers theirs")  # a title, perhaps
# May go or come: they only lead on to the sentence.
LEADING_ON = ARTICLES | word_set("also however therefore thus moreover furthermore indeed consequently additionally")
PREPOSITIONS = word_set(
    "of in on at by for from with as into onto over under against between among through during before after since"
    " until toward towards about around near across along within behind beyond despite to below above inside"
    " outside because following alongside throughout upon off via"
)
_WHEN = word_set("in on at by during since from until before after of")
_WEEKDAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")  # one: "on Mondays" is a limit
_DAYS = frozenset(day + ending for day in _WEEKDAYS for ending in ("", "s"))
PLACING = word_set("in at near on until since")  # in front of the name of a place, a month, a day
SUBORDINATORS = word_set("when while where because since as after before until although though whereas once")
CLAUSES = SUBORDINATORS | {"if", "unless"}
RELATIVES = word_set("who whom whose which that where")
JOINING = word_set("and but while whereas yet so")
FUNCTION_WORDS = ARTICLES | _PRONOUNS | PREPOSITIONS | SUBORDINATORS | JOINING | word_set("'s or not")
TITLES = word_set(
    "mr mrs ms dr doctor professor general colonel captain major admiral lieutenant president minister chancellor king"
    " queen prince princess sir lord lady pope bishop saint sheikh senator judge governor mayor prime secretary"
)
FOR_A_PARTICIPLE = word_set("is are was were")
PAST = word_set("was were had did")
NOT_PAST = word_set(
    "is are am be been has have do does may might can could must shall should will would cannot need needs"
)
_PARTICIPLES = {
    "written": "wrote", "beaten": "beat", "taken": "took", "given": "gave", "chosen": "chose", "driven": "drove",
    "eaten": "ate", "seen": "saw", "known": "knew", "shown": "showed", "begun": "began", "drawn": "drew",
    "broken": "broke", "stolen": "stole", "woven": "wove", "sung": "sang", "worn": "wore", "grown": "grew",
    "thrown": "threw", "flown": "flew", "ridden": "rode", "overthrown": "overthrew", "undertaken": "undertook",
}  # fmt: skip
_ENDINGS = frozenset({"", "s", "es", "d", "ed", "y", "ies", "ied"})  # "killing" is not "killed"
_OF_THE_PAST = frozenset({"d", "ed", "ied"})
_IRREGULAR = word_set(
    "became began bore bought broke brought built came chose cut drew drove fell felt fled fought found gave got grew"
    " held hit kept knew laid lay led left lent lit lost made meant met overthrew paid put ran rode rose sang sank sat"
    " saw sent set sold sought spent spoke spread stole stood struck swam swore taught threw took understood undertook"
    " underwent went woke won wore died born beat burnt wrote ate drank blew froze hid hung lay learnt rang shook shot"
    " slept slid spun stuck swept tore wept wound"
)


def past_of(verb: Token) -> str:
    """The past of an irregular participle, "wrote" of "written"; any other word as it is."""
    return _PARTICIPLES.get(verb.key, verb.key)


def without_articles(title: Sequence[Token]) -> list[str]:
    """The keys of the tokens but for articles."""
    return [token.key for token in title if token.key not in ARTICLES]


def content(run: Sequence[Token]) -> list[Token]:
    """What the tokens say: "(?)" says something, too."""
    return [token for token in run if token.key == "?" or (token.kind != "stop" and token.key not in LEADING_ON)]


def tells_when(core: Sequence[Token]) -> bool:
    """Whether it is a preposition and a date or a year, nothing else: "in May 1903", "on the 5 of May"."""
    told = [token for token in core[1:] if token.key not in ARTICLES and token.key != "of"]
    dated = any(is_date(token) for token in told)
    return core[0].key in _WHEN and dated and all(is_date(token) or token.kind == "number" for token in told)


def tells_when_or_where(core: Sequence[Token]) -> bool:
    """Whether it is a date or the name of a place behind its preposition, or several: "in New York in May"."""
    return all(tells_when(phrase) or _tells_where(phrase) for phrase in phrases(core))


def phrases(core: Sequence[Token]) -> list[Sequence[Token]]:
    """Cut in front of every preposition but "of"."""
    starts = [at for at, token in enumerate(core) if not at or token.key in PREPOSITIONS - {"of"}]
    return [core[at:end] for at, end in zip(starts, [*starts[1:], len(core)], strict=True)]


def _tells_where(core: Sequence[Token]) -> bool:
    return core[0].key in PLACING and len(core) > 1 and all(t.capital and t.key not in _DAYS for t in core[1:])


def is_date(token: Token) -> bool:
    if token.kind == "number":
        return "\ue000" in token.key or (len(token.key) == 4 and token.key[0] in "12")
    return token.capital and token.key.lower() in (*MONTHS, *_WEEKDAYS)


def is_clause(core: Sequence[Token]) -> bool:
    """Whether a statement of its own stands there: "the mill burnt", "was closed", "she fled"."""
    return bool(core) and core[0].kind == "word" and any(is_verb(token) for token in core)


def is_phrase(core: Sequence[Token]) -> bool:
    """A preposition and its noun, nothing else: "in May", "by the head of the guard"."""
    behind = core[1:]
    return bool(behind) and not any(
        token.kind == "stop"
        or token.key in JOINING | RELATIVES | _PRONOUNS
        or (token.key in PREPOSITIONS and token.key != "of")
        or is_verb(token)
        for token in behind
    )


def is_past(token: Token) -> bool:
    return token.kind == "word" and not token.capital and (token.key in _IRREGULAR or _ends_as_past(token.key))


def _ends_as_past(word: str) -> bool:
    return len(word) > 4 and word.endswith("ed") and not word.endswith("eed")


def is_participle(token: Token) -> bool:
    return is_past(token) or token.key.endswith("ing")


def is_verb(token: Token) -> bool:
    return token.key in PAST | NOT_PAST or is_past(token)


def same_word(one: Token, other: Token, *, any_number: bool = False) -> bool:
    """Whether both are one word. A verb that was in the passive may have another ending.

    With `any_number`, so may a noun: "every member" are "all members".
    """
    if one.present is not other.present and (one.key == other.key or is_past(one if other.present else other)):
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
