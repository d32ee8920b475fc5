"""Sentence → questions that it answers, by templates: no model, no tagger, a few patterns of plain English prose.

A template would rather pass a sentence over than ask something crooked: documents have sentences enough. What it asks
is a draft for a person to judge, never gold.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from .metrics import normalise


@dataclass(frozen=True, slots=True)
class Proposal:
    """A question, and the words of the sentence that answer it."""

    question: str
    answer: str


def proposals(sentence: str, common: Collection[str]) -> list[Proposal]:
    """The questions that a sentence answers, the best first; none where no template fits.

    `common` are words that the documents also write in lower case: a capital at the head of a sentence makes no name
    of these.
    """
    text = _plain(sentence)
    if text is None:
        return []
    found = [
        proposal
        for template in (
            _named_as,
            _when,
            _how_many_first,
            _value,
            _where,
            _by_whom,
            _led_by,
            _what_is,
            _which,
            _how_many,
            _when_in_place,
        )
        for proposal in template(text, common)
    ]
    return [proposal for proposal in dict.fromkeys(found) if _stands_alone(proposal)]


# -- words -------------------------------------------------------------------------------------------------------------


def _any(words: str) -> str:
    return rf"(?:{'|'.join(words.split())})"


_CAP = r"(?:(?:al|el|as|ad|an|d|l)[-’'])?[A-Z][\w’'-]*(?:(?<=\b[A-Z])\.(?=\ [A-Z]))?"
_NAME = rf"{_CAP}(?:\ (?:(?:of|for|de|von|van|bin|ibn|al|and|of\ the)\ )?(?:the\ )?{_CAP})*"
_BE = _any("is was are were")
_AUX = _any("is was are were has had have will would can could may might must should")
_IRREGULAR = _any(
    "became began bore bought broke brought built came chose drew fell felt fought found gave got grew held hit kept"
    " knew laid lay led left lost made meant met paid put ran rose said sat saw sent set sold sought spent spoke spread"
    " stood swore taught thought threw told took understood went won wore wrote"
)
_PRESENT = _any(
    "aims allows announces appears begins belongs comes consists contains controls covers describes enables"
    " expects faces flows follows forms gives happens has heads helps holds includes involves keeps leads lies"
    " lives makes means needs offers operates owns plays produces provides receives refers refuses relies remains"
    " represents requires says seeks serves shows starts supports takes tries uses wants works"
)
_PAST = rf"(?:[a-z]{{2,}}ed|{_IRREGULAR})"
_VERB = rf"(?:{_AUX}|{_PAST}|{_PRESENT})"
_ADVERB = r"(?:[a-z]+ly|also|then|later|still|often|first|soon|thereafter|again|always|never|now)"
_ROLES = _any(
    "Admiral Bishop Captain Chancellor Colonel Doctor Dr. Dr Duke Emperor Empress General Governor Judge King Leader"
    " Lieutenant Lord Major Marshal Minister MP Mr Mr. Mrs Mrs. Ms Ms. Pope President Prime Prince Princess Professor"
    " Queen Representative Saint Secretary Senator Sheikh Sir Speaker Sultan"
)
_PERSON = re.compile(
    rf"\b{_ROLES}\b|\b(?:he|she|his|him|her|who)\b"
    r"|\b(?:said|told|wrote|argued|explained|believed|married|died|born|stressed|announced)\b"
)
_OFFICES = _any(
    "ambassador author captain chair chairman chairwoman chancellor chief commander composer coach dean director editor"
    " emperor foreman founder general governor head inventor king leader manager mayor minister owner president"
    " principal professor queen representative secretary speaker spokesman spokeswoman treasurer"
)
_PEOPLE = re.compile(r"\b(?:member|leader|king|queen|ruler|politician|[a-z]{3,}(?:ist|ian|ologist|writer|player))\b")

_YEAR = r"(?:1\d{3}|20\d\d)"
_MONTH = _any("January February March April May June July August September October November December")
_DAY = _any("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
# What a time phrase looks like, and how to ask for it. The first group is the answer.
_TIMES = [
    (re.compile(rf",? on (\d{{1,2}} {_MONTH},? {_YEAR}|{_MONTH} \d{{1,2}}, {_YEAR})\b,?"), "on which date"),
    (re.compile(rf",? on ({_MONTH} \d{{1,2}}|\d{{1,2}} {_MONTH})\b(?! {_YEAR}|, {_YEAR}),?"), "on which date"),
    (re.compile(rf",? in ({_MONTH},? {_YEAR})\b,?"), "in which month of which year"),
    (re.compile(rf",? in (?:the year )?({_YEAR})\b(?![–-]),?"), "in which year"),
    (re.compile(rf",? since ({_YEAR})\b,?"), "since which year"),
    (re.compile(r",? in the (?:early |late |mid-)?(\d{1,2}(?:st|nd|rd|th) century)\b,?"), "in which century"),
    (re.compile(rf",? on ({_DAY})\b,?"), "on which day"),
]
_NUMBER = (
    r"(?:\d{1,3}(?:,\d{3})+|(?!1\d{3}\b|20\d\d\b)\d{1,4}(?:\.\d+)?|two|three|four|five|six|seven|eight|nine|ten|eleven"
    r"|twelve|fifteen|twenty|thirty|forty|fifty)(?:\ (?:hundred|thousand|million|billion))?+"
)
_NOT_COUNTED = r"(?:of|percent|per|more|thirds?|quarters?|halves|years?|days?|hours?|times|others?|or|to|and)\b"
_HEDGE = r"(?:(?:about|around|approximately|some|nearly|almost|over|at least|more than|up to|only)\ )?"
_PLACED = _any("born located situated held built based signed buried fought founded established found kept stationed")

_POINTS_ELSEWHERE = re.compile(
    r"\b(?:this|these|those|such|same|now|aforementioned|latter|former|above|below|following|it|they|them|we|our|us|I|you|your|my|there)\b"
)
_NO_SUBJECT = frozenset(
    "a an it he she they we you i this that these those there here his her its their our my some many most both each"
    " every all such other another what which who why how not only no one in on at by for from to with as but and or so"
    " if when while where since because although though after before during however thus therefore also then today"
    " according despite under between through until several few more much any most".split()
)
_OPEN_ENDS = frozenset(
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
_FINITE = re.compile(rf"\b{_AUX}\b")
_CLOSE = 200  # characters
_LEAD = re.compile(r"(?P<lead>(?:In|On|During|Since|By|After|Before|Until)\ [^,]{0,40}\d[^,]{0,20}),\ (?P<main>.+)")
_SUBJECT = re.compile(
    rf"(?P<the>The\ )?(?P<name>{_NAME})(?P<noun>\ [a-z]+)??(?:\ {_ADVERB})?\ (?P<rest>(?P<verb>{_VERB})\ .+)"
)
_INVERTIBLE = re.compile(rf"(?P<subject>[^,]{{2,80}}?)\ (?P<aux>{_AUX})\ (?P<rest>.+)")


def _plain(sentence: str) -> str | None:
    """The sentence as one line without list mark, brackets and full stop; None where no template may try it."""
    text = re.sub(r"\s*(?:\([^()]*\)|\[[^\][]*\])", "", " ".join(sentence.split()))
    text = re.sub(r"^(?:\d{1,3}[.)-]|[-*•–]) ", "", re.sub(r"\s+([,.])", r"\1", text))
    return text.removesuffix(".") if re.fullmatch(r"[A-Z0-9][^\"“”«»()\[\]?!|•*#=_{}<>]{20,900}", text) else None


def _clause(text: str, least: int = 4) -> str:
    """The text up to where it turns to something else, after at least so many words."""
    for turn in _TURN.finditer(text):
        if len(text[: turn.start()].split()) >= least:
            return text[: turn.start()]
    return text


def _main(text: str) -> str:
    """The main clause, an opening "In 1066, …" moved to its end."""
    lead = _LEAD.match(text)
    if lead is None:
        return _clause(text)
    return f"{_clause(lead['main'])} {lead['lead'][0].lower()}{lead['lead'][1:]}"


def _inner(text: str, common: Collection[str]) -> str:
    """What opened a sentence, as it stands inside one."""
    first, *rest = text.split()
    ordinary = first.lower() in common and not any(word[0].isupper() for word in rest) and not first[1:].isupper()
    return _lowered(text) if first in ("The", "A", "An") or ordinary else text


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _asked(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}?".replace(" ,", ",").replace("  ", " ")


def _stands_alone(proposal: Proposal) -> bool:
    """Whether the question can be understood without its surroundings and does not give its answer away."""
    question, words = proposal.question, proposal.question.rstrip("?").split()
    anchored = re.search(rf"\s(?:{_CAP}|\d)", question) is not None
    return (
        bool(normalise(proposal.answer))
        and 3 <= len(words) <= 30
        and (anchored or (len(words) >= 6 and not re.search(r"\bthe [a-z]+['’]s\b", question)))
        and question.count(",") <= 2
        and words[-1].lower() not in _OPEN_ENDS
        and not _POINTS_ELSEWHERE.search(question)
        and normalise(proposal.answer).split()[-1] not in normalise(question).split()
    )


def _subject(text: str, common: Collection[str]) -> re.Match[str] | None:
    """The sentence's subject, where it is a name, and its verb."""
    match = _SUBJECT.fullmatch(text)
    if match is None or (not match["the"] and match["name"].split()[0].lower() in {*common, *_NO_SUBJECT}):
        return None
    if match["noun"] and (not match["the"] or re.fullmatch(rf" (?:{_ADVERB}|{_VERB}|[a-z]+ed)", match["noun"])):
        return None
    if match["verb"].endswith("ed"):  # "The troops based in Rome were …": a participle, not the verb
        first = _SUBCLAUSE.split(match["rest"], maxsplit=1)[0]
        if match["rest"].split()[1] == "by" or _FINITE.search(first):
            return None
    return match


def _opens_plainly(text: str, until: str) -> bool:
    """Whether a subject of its own and a verb stand before the words `until`, without a clause between."""
    before = text.partition(until)[0]
    return (
        text.split()[0].lower() not in _NO_SUBJECT
        and not _SUBCLAUSE.search(before)
        and re.search(rf"\ {_VERB}\b", before) is not None
    )


def _inverted(text: str, common: Collection[str]) -> tuple[str, str, str] | None:
    """Subject, auxiliary and the rest, for "was the bridge built …"."""
    match = _INVERTIBLE.fullmatch(text)
    if match is None or _SUBCLAUSE.search(f"{match['subject']} ") or match["subject"].split()[0].lower() in _NO_SUBJECT:
        return None
    if re.search(rf"\b(?:{_IRREGULAR}|{_PRESENT})\b", match["subject"]):
        return None
    if match["aux"] in ("has", "have", "had") and not re.match(rf"(?:{_ADVERB} )?(?:been|{_PAST})\b", match["rest"]):
        return None  # it is the verb itself
    subject = _inner(match["subject"], common)
    if subject.islower() and len(subject.split()) < 3:  # "the film": which?
        return None
    return subject, match["aux"], re.split(rf"\ and\ (?={_AUX}|{_PRESENT}|{_IRREGULAR})", match["rest"])[0]


# -- templates ---------------------------------------------------------------------------------------------------------


def _named_as(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “Aino Saari, director of the Harbour Office” to “Who is named as director of the Harbour Office?”."""
    office = (
        rf"(?:the\ |an?\ )?(?:[a-z]+\ )?{_OFFICES}\ (?:of|for)\ (?:the\ )?{_NAME}|{_NAME}’s\ (?:[A-Za-z]+\ )?{_OFFICES}"
    )
    found = re.finditer(
        rf"(?P<name>{_CAP}(?:\ {_CAP})+)(?:,\ |\ as\ )(?P<office>(?i:{office}))", text.replace("'", "’")
    )
    for match in found:
        if match.start() == 0 or text[match.start() - 1] == " ":
            asked = _without_the(match["office"])
            asked = _lowered(asked) if re.match(_OFFICES, asked.lower()) else asked
            yield Proposal(_asked(f"who is named as {asked}"), _without_role(match["name"]))


def _value(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The largest weight is 23 kg” to “What is the largest weight?”."""
    match = re.fullmatch(rf"(The [^,]{{4,70}}?) ({_BE}) (?P<value>.{{2,40}})", _clause(text))
    if match and (parts := _inverted(match[0], common)) and len(match["value"].split()) <= 5:
        named = re.fullmatch(rf"(?:the )?{_NAME}", match["value"])
        if named or re.match(rf"{_HEDGE}(?:{_NUMBER}|\d)", match["value"]):
            yield Proposal(_asked(f"{'who or what' if named else 'what'} {parts[1]} {parts[0]}"), match["value"])


def _led_by(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The harbour movement headed by Aino Saari” to “By whom is the harbour movement headed?”."""
    match = re.match(rf"(The [^,]{{4,60}}?) (headed|led|chaired|owned|run|founded) by ({_NAME})", text)
    if match and not _FINITE.search(match[1]):
        tense = "was" if match[2] == "founded" else "is"
        yield Proposal(_asked(f"by whom {tense} {_inner(match[1], common)} {match[2]}"), match[3])


def _when(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The bridge was built in 1907” to “In which year was the bridge built?”."""
    main = _main(text)
    for phrase, ask in _TIMES:
        found = phrase.findall(main)
        if len(found) == 1 and (parts := _inverted(phrase.sub("", main), common)):
            subject, aux, rest = parts
            if re.match(r"an?\ ", rest):
                continue
            yield Proposal(_asked(f"{ask} {aux} {subject} {rest}"), found[0])


def _when_in_place(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “Aino Saari built the bridge in 1907” to “Aino Saari built the bridge in which year?”."""
    main = _main(text)
    for phrase, ask in _TIMES:
        found = phrase.findall(main)
        if len(found) == 1 and _opens_plainly(main, found[0]) and not _FINITE.search(main):
            yield Proposal(_asked(f"{phrase.sub('', main)} {ask}"), found[0])


def _how_many_first(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “About 300 people live in Kereva” to “How many people live in Kereva?”."""
    if match := re.fullmatch(rf"{_HEDGE}({_NUMBER})(?P<rest> (?!{_NOT_COUNTED}).+)", _lowered(_main(text))):
        yield Proposal(_asked(f"how many{match['rest']}"), match[1])


def _how_many(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The council has 42 members” to “The council has how many members?”."""
    main = _main(text)
    found = list(re.finditer(rf"(?<=[a-z]\ ){_HEDGE}(?P<number>{_NUMBER})(?=\ [a-z]+s\b)(?!\ {_NOT_COUNTED})", main))
    if len(found) == 1 and _opens_plainly(main, found[0][0]):
        begin, end = found[0].span()
        yield Proposal(_asked(f"{main[:begin]}how many{main[end:]}"), found[0]["number"])


def _where(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The treaty was signed in Paris” to “Where was the treaty signed?”."""
    match = re.fullmatch(
        rf"(.+? {_BE} (?:{_ADVERB} )?{_PLACED})(?: in| at) ((?>(?:the )?{_NAME}(?:, {_NAME})*))((?! \d).{{0,60}})",
        _main(text),
    )
    if match and (parts := _inverted(match[1], common)) and not re.match(_MONTH, match[2]):
        subject, aux, rest = parts
        yield Proposal(_asked(f"where {aux} {subject} {rest}{match[3]}"), match[2])


def _by_whom(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The bridge was built by Aino Saari” to “By whom was the bridge built?”."""
    match = re.fullmatch(rf"(.+? {_BE} (?:{_ADVERB} )?{_PAST}) by ((?:the )?{_NAME})(.{{0,60}})", _main(text))
    if match and (parts := _inverted(match[1], common)):
        subject, aux, rest = parts
        whom = "whom" if _PERSON.search(match[2]) else "whom or what"
        yield Proposal(_asked(f"by {whom} {aux} {subject} {rest}{match[3]}"), _without_the(match[2]))


def _what_is(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “Kereva is a town on the coast” to “What is Kereva?”."""
    main = _clause(text)
    subject = _subject(main, common)
    if subject and (match := re.fullmatch(r"(is|was) (an? .+)", subject["rest"])) and not subject["noun"]:
        name = f"{(subject['the'] or '').lower()}{subject['name']}"
        asked = "who" if _PERSON.search(subject["name"]) or _PEOPLE.search(match[2]) else "who or what"
        whole = not re.search(rf"\ (?:{_PAST}|in|of)$", match[2])
        if whole and len(match[2].split()) <= 14 and len(name.split()) <= 6:
            yield Proposal(_asked(f"{asked} {match[1]} {name}"), _without_the(match[2]))


def _which(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The Harbour Committee met in Rome” to “Which committee met in Rome?”."""
    subject = _subject(_main(text), common)
    if subject is None or re.match(r"(?:is|was) an? ", subject["rest"]):
        return
    rest, name = subject["rest"], subject["name"]
    head = (subject["noun"] or "").strip() or name.split(" of ")[0].split()[-1]
    plural = subject["verb"] in ("are", "were", "have")
    if (
        subject["the"]
        and head.lower() in common
        and not re.fullmatch(_ROLES, head)
        and not (head.endswith("s") and not plural)
    ):
        who = f"which {head.lower()}"
    elif _PERSON.search(name) or _PERSON.search(rest) or (subject["the"] and re.search(r"[^s]s$", head)):
        who = "who"
    else:
        who = "who or what"
    answer = f"{name}{subject['noun'] or ''}"
    yield Proposal(_asked(f"{who} {rest}"), _without_role(answer))


def _without_role(name: str) -> str:
    return re.sub(rf"^(?:The\ )?(?:{_ROLES}-?\ )+(?!{_ROLES}\b)(?=[A-Z])", "", name)


def _without_the(words: str) -> str:
    return re.sub(r"^(?:the|an?)\ ", "", words, flags=re.IGNORECASE)


# -- questions that nothing answers ------------------------------------------------------------------------------------


_SLOT = rf"(?:{_any('in of by from to with for at')})(?:\ the)?"
# A name that stands for itself, not before a noun: "in Rome, …", but not "the Roman army".
_ENDS = rf"(?=[,.;:?]|$|\ (?:{_AUX}|{_any('and or in of on by from to with for at as who which that during')})\b)"


def names_after(sentence: str) -> Iterator[tuple[str, str]]:
    """(preposition, name) wherever a name stands after a preposition: what may take another name's place."""
    for match in re.finditer(rf"\b(?P<slot>{_SLOT})\ (?P<name>{_NAME}){_ENDS}", " ".join(sentence.split())):
        if not re.match(rf"{_MONTH}\b|{_DAY}\b", match["name"]):
            yield match["slot"], match["name"]


def near_misses(question: str, names: Iterable[tuple[str, str]], seed: int) -> Iterator[tuple[str, str]]:
    """(question, new): the question with one of its years or names replaced by `new`, in an order drawn by the seed.

    A name is replaced by one of `names` that stands after the same preposition.
    """
    dice = random.Random(f"{seed} {question}")
    for match in re.finditer(rf"\b{_YEAR}\b", question):
        for years in dice.sample([-11, -7, -4, 3, 6, 9], 6):
            new = str(int(match[0]) + years)
            yield question[: match.start()] + new + question[match.end() :], new
    others = sorted(set(names))
    for slot, new in dice.sample(others, len(others)):
        for match in re.finditer(rf"(?<=\b{re.escape(slot)} ){_NAME}{_ENDS}", question):
            if not set(normalise(new).split()) & set(normalise(question).split()):
                yield question[: match.start()] + new + question[match.end() :], new


def may_be_answered(question: str, new: str, texts: Iterable[str]) -> bool:
    """Whether some text holds, close to the name or year `new`, a third of the question's other long words.

    Words are compared by their first five letters. It errs towards yes: better no near miss than one that is answered.
    """
    words = _stems(question.replace(new, "")) - {"which"}
    for text in texts:
        for match in re.finditer(rf"\b{re.escape(new)}\b", text):
            around = text[max(0, match.start() - _CLOSE) : match.end() + _CLOSE]
            if 3 * len(words & _stems(around)) >= len(words):
                return True
    return False


def _stems(text: str) -> set[str]:
    return {word[:5] for word in normalise(text).split() if len(word) > 3}
