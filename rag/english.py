"""Patterns of plain English prose: names, verbs, numbers and times, and what the parts of a simple sentence are.

No grammar: each function says no to what it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Collection


def any_of(words: str) -> str:
    """The pattern of one of these words."""
    return rf"(?:{'|'.join(words.split())})"


CAP = r"(?:(?:al|el|as|ad|an|d|l)[-’'])?[A-Z][\w’'-]*(?:(?<=\b[A-Z])\.(?=\ [A-Z]))?"
NAME = rf"{CAP}(?:\ (?:(?:of|for|de|von|van|bin|ibn|al|and|of\ the)\ )?(?:the\ )?{CAP})*"
BE = any_of("is was are were")
AUX = any_of("is was are were has had have will would can could may might must should")
_IRREGULAR = any_of(
    "became began bore bought broke brought built came chose drew fell felt fought found gave got grew held hit kept"
    " knew laid lay led left lost made meant met paid put ran rose said sat saw sent set sold sought spent spoke spread"
    " stood swore taught thought threw told took understood went won wore wrote"
)
_PRESENT = any_of(
    "aims allows announces appears begins belongs comes consists contains controls covers describes enables"
    " expects faces flows follows forms gives happens has heads helps holds includes involves keeps leads lies"
    " lives makes means needs offers operates owns plays produces provides receives refers refuses relies remains"
    " represents requires says seeks serves shows starts supports takes tries uses wants works"
)
PAST = rf"(?:[a-z]{{2,}}ed|{_IRREGULAR})"
_VERB = rf"(?:{AUX}|{PAST}|{_PRESENT})"
ADVERB = r"(?:[a-z]+ly|also|then|later|still|often|first|soon|thereafter|again|always|never|now)"
ROLES = any_of(
    "Admiral Bishop Captain Chancellor Colonel Doctor Dr. Dr Duke Emperor Empress General Governor Judge King Leader"
    " Lieutenant Lord Major Marshal Minister MP Mr Mr. Mrs Mrs. Ms Ms. Pope President Prime Prince Princess Professor"
    " Queen Representative Saint Secretary Senator Sheikh Sir Speaker Sultan"
)
PERSON = re.compile(
    rf"\b{ROLES}\b|\b(?:he|she|his|him|her|who)\b"
    r"|\b(?:said|told|wrote|argued|explained|believed|married|died|born|stressed|announced)\b"
)
OFFICES = any_of(
    "ambassador author captain chair chairman chairwoman chancellor chief commander composer coach dean director editor"
    " emperor foreman founder general governor head inventor king leader manager mayor minister owner president"
    " principal professor queen representative secretary speaker spokesman spokeswoman treasurer"
)
_TRADES = any_of(
    "actor actress athlete criminal doctor engineer filmmaker footballer judge king lawyer member nurse officer painter"
    " poet queen ruler sculptor singer soldier teacher writer"
)
PEOPLE = re.compile(rf"\b(?:{_TRADES}|{OFFICES}|[a-z]{{3,}}(?:ist|ian|writer|player))\b")
OPENERS = any_of("Who What Which Where How By In On Since The A An")

YEAR = r"(?:1\d{3}|20\d\d)"
MONTH = any_of("January February March April May June July August September October November December")
DAY = any_of("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
# What a time phrase looks like, and how to ask for it. The first group is the answer.
TIMES = [
    (re.compile(rf",? on (\d{{1,2}} {MONTH},? {YEAR}|{MONTH} \d{{1,2}}, {YEAR})\b,?"), "on which date"),
    (re.compile(rf",? on ({MONTH} \d{{1,2}}|\d{{1,2}} {MONTH})\b(?! {YEAR}|, {YEAR}),?"), "on which date"),
    (re.compile(rf",? in ({MONTH},? {YEAR})\b,?"), "in which month of which year"),
    (re.compile(rf",? in (?:the year )?({YEAR})\b(?![–-]),?"), "in which year"),
    (re.compile(rf",? since ({YEAR})\b,?"), "since which year"),
    (re.compile(r",? in the (?:early |late |mid-)?(\d{1,2}(?:st|nd|rd|th) century)\b,?"), "in which century"),
    (re.compile(rf",? on ({DAY})\b,?"), "on which day"),
]
NUMBER = (
    r"(?:\d{1,3}(?:,\d{3})+|(?!1\d{3}\b|20\d\d\b)\d{1,4}(?:\.\d+)?|two|three|four|five|six|seven|eight|nine|ten|eleven"
    r"|twelve|fifteen|twenty|thirty|forty|fifty)(?:\ (?:hundred|thousand|million|billion))?+"
)
NOT_COUNTED = r"(?:of|percent|per|more|thirds?|quarters?|halves|years?|days?|hours?|times|others?|or|to|and)\b"
HEDGE = r"(?:(?:about|around|approximately|some|nearly|almost|over|at least|more than|up to|only)\ )?"
PLACED = any_of("born located situated held built based signed buried fought founded established found kept stationed")

POINTS_ELSEWHERE = re.compile(
    r"\b(?:this|these|those|such|same|now|aforementioned|latter|former|above|below|following|it|they|them|we|our|us"
    r"|I|you|your|my|there)\b"
    # which one?
    r"|\b[Tt]he (?:film|song|series|company|book|game|album|group|city|town|show|episode)\b(?! (?:of|for) )"
)
_NO_SUBJECT = frozenset(
    "a an it he she they we you i this that these those there here his her its their our my some many most both each"
    " every all such other another what which who why how not only no one in on at by for from to with as but and or so"
    " if when while where since because although though after before during however thus therefore also then today"
    " according despite under between through until several few more much any most".split()
)
OPEN_ENDS = frozenset(
    "a an the of in on at by for from to with as and or but that which who than is was are were be into between not"
    " its his her their during under over".split()
)
# Where a long sentence turns to something else.
_TURN = re.compile(
    r"\s*(?:[;:–—]|\ and\ (?=(?:he|she|it|they|we)\b)"
    r"|,\ (?=(?:and|but|while|where|which|who|whom|whose|with|including|as|although|though|when|so|after|before"
    r"|because|since|or|yet|a|an|the|[a-z]+ing|[a-z]+ed|such|especially|particularly|even|not)\b))"
)
_SUBCLAUSE = re.compile(r"\s(?:that|which|who|whose|where|when|while|because|although|after|before|if|and|but|as)\s|,")
FINITE = re.compile(rf"\b{AUX}\b")
_LEAD = re.compile(r"(?P<lead>(?:In|On|During|Since|By|After|Before|Until)\ [^,]{0,40}\d[^,]{0,20}),\ (?P<main>.+)")
_SUBJECT = re.compile(
    rf"(?P<the>The\ )?(?P<name>{NAME})(?P<noun>\ [a-z]+)??(?:\ {ADVERB})?\ (?P<rest>(?P<verb>{_VERB})\ .+)"
)
_INVERTIBLE = re.compile(rf"(?P<subject>[^,]{{2,80}}?)\ (?P<aux>{AUX})\ (?P<rest>.+)")


def plain(sentence: str) -> str | None:
    """The sentence as one line without list mark, brackets and full stop; None where no template may try it."""
    text = re.sub(r"\s*(?:\([^()]*\)|\[[^\][]*\])", "", " ".join(sentence.split()))
    text = re.sub(r"^(?:\d{1,3}[.)-]|[-*•–]) ", "", re.sub(r"\s+([,.])", r"\1", text))
    return text.removesuffix(".") if re.fullmatch(r"[A-Z0-9][^\"“”«»()\[\]?!|•*#=_{}<>]{20,900}", text) else None


def clause(text: str, least: int = 4) -> str:
    """The text up to where it turns to something else, after at least so many words."""
    for turn in _TURN.finditer(text):
        if len(text[: turn.start()].split()) >= least:
            return text[: turn.start()]
    return text


def main_clause(text: str) -> str:
    """The main clause, an opening "In 1066, …" moved to its end."""
    lead = _LEAD.match(text)
    if lead is None:
        return clause(text)
    return f"{clause(lead['main'])} {lead['lead'][0].lower()}{lead['lead'][1:]}"


def inner(text: str, common: Collection[str]) -> str:
    """What opened a sentence, as it stands inside one."""
    first, *rest = text.split()
    ordinary = first.lower() in common and not any(word[0].isupper() for word in rest) and not first[1:].isupper()
    return lowered(text) if first in ("The", "A", "An") or ordinary else text


def lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def asked(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}?".replace(" ,", ",").replace("  ", " ")


def _is_ordinary(word: str, common: Collection[str]) -> bool:
    return word in common or word in _NO_SUBJECT


def named_subject(text: str, common: Collection[str]) -> re.Match[str] | None:
    """The sentence's subject, where it is a name, and its verb."""
    match = _SUBJECT.fullmatch(text)
    if match is None or (not match["the"] and _is_ordinary(match["name"].split()[0].lower(), common)):
        return None
    if match["noun"] and (not match["the"] or re.fullmatch(rf" (?:{ADVERB}|{_VERB}|[a-z]+ed)", match["noun"])):
        return None
    if match["verb"].endswith("ed"):  # "The troops based in Rome were …": a participle, not the verb
        first = _SUBCLAUSE.split(match["rest"], maxsplit=1)[0]
        if match["rest"].split()[1] == "by" or FINITE.search(first):
            return None
    return match


def opens_plainly(text: str, until: str) -> bool:
    """Whether a subject of its own and a verb stand before the words `until`, without a clause between."""
    before = text.partition(until)[0]
    return (
        text.split()[0].lower() not in _NO_SUBJECT
        and not _SUBCLAUSE.search(before)
        and re.search(rf"\ {_VERB}\b", before) is not None
    )


def inverted(text: str, common: Collection[str]) -> tuple[str, str, str] | None:
    """Subject, auxiliary and the rest, for "was the bridge built …"."""
    match = _INVERTIBLE.fullmatch(text)
    if match is None or _SUBCLAUSE.search(f"{match['subject']} ") or match["subject"].split()[0].lower() in _NO_SUBJECT:
        return None
    if re.search(rf"\b(?:{_IRREGULAR}|{_PRESENT})\b", match["subject"]):
        return None
    if match["aux"] in ("has", "have", "had") and not re.match(rf"(?:{ADVERB} )?(?:been|{PAST})\b", match["rest"]):
        return None  # it is the verb itself
    subject = inner(match["subject"], common)
    if subject.islower() and len(subject.split()) < 3:  # "the film": which?
        return None
    return subject, match["aux"], re.split(rf"\ and\ (?={AUX}|{_PRESENT}|{_IRREGULAR})", match["rest"])[0]
