"""Sentence → questions that it answers, by templates: no model, no tagger, a few patterns of plain English prose.

A template would rather pass a sentence over than ask something crooked: documents have sentences enough.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from . import english as en


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
    text = en.plain(sentence)
    if text is None:
        return []
    found = [proposal for template in _TEMPLATES for proposal in template(text, common)]
    return [proposal for proposal in dict.fromkeys(found) if _stands_alone(proposal)]


def _stands_alone(proposal: Proposal) -> bool:
    """Whether the question can be understood without its surroundings and does not give its answer away."""
    question, words = proposal.question, proposal.question.rstrip("?").split()
    anchored = re.search(rf"(?:\s|^(?!{en.OPENERS}\b))(?:{en.CAP}|\d)", question) is not None
    return (
        re.search(r"\w", proposal.answer) is not None
        and 3 <= len(words) <= 30
        and (anchored or (len(words) >= 6 and not re.search(r"\bthe [a-z]+['’]s\b", question)))
        and question.count(",") <= 2
        and words[-1].lower() not in en.OPEN_ENDS
        and not en.POINTS_ELSEWHERE.search(question)
        and not _gives_away(proposal)
    )


def _gives_away(proposal: Proposal) -> bool:
    """Whether a name or number of the answer stands in the question; "which committee" is asked, not told."""
    telling = {word.lower() for word in re.findall(r"[\w-]+", proposal.answer) if not word.islower()}
    asked = re.sub(r"^which \w+", "", proposal.question.lower())
    return proposal.answer.lower() in asked or not telling.isdisjoint(re.findall(r"[\w-]+", asked))


# -- templates ---------------------------------------------------------------------------------------------------------


def _named_as(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “Aino Saari, director of the Harbour Office” to “Who is named as director of the Harbour Office?”."""
    of = rf"(?:the\ |an?\ )?(?:[a-z]+\ )?{en.OFFICES}\ (?:of|for)\ (?:the\ )?{en.NAME}"
    office = rf"(?:{of}|{en.NAME}’s\ (?:[A-Za-z]+\ )?{en.OFFICES})"
    found = re.finditer(
        rf"(?P<name>{en.CAP}(?:\ {en.CAP})+)(?:,\ |\ as\ )(?P<office>(?i:{office}))", text.replace("'", "’")
    )
    for match in found:
        if match.start() == 0 or text[match.start() - 1] == " ":
            asked = _without_the(match["office"])
            asked = en.lowered(asked) if re.match(en.OFFICES, asked.lower()) else asked
            yield Proposal(en.asked(f"who is named as {asked}"), _without_role(match["name"]))


def _value(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The largest weight is 23 kg” to “What is the largest weight?”."""
    match = re.fullmatch(rf"(The [^,]{{4,70}}?) ({en.BE}) (?P<value>.{{2,40}})", en.clause(text))
    if match and (parts := en.inverted(match[0], common)) and len(match["value"].split()) <= 5:
        named = re.fullmatch(rf"(?:the )?{en.NAME}", match["value"])
        if named or re.match(rf"{en.HEDGE}(?:{en.NUMBER}|\d)", match["value"]):
            yield Proposal(en.asked(f"{'who or what' if named else 'what'} {parts[1]} {parts[0]}"), match["value"])


def _led_by(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The harbour movement headed by Aino Saari” to “By whom is the harbour movement headed?”."""
    match = re.match(rf"(The [^,]{{4,60}}?) (headed|led|chaired|owned|run|founded) by ({en.NAME})", text)
    if match and not en.FINITE.search(match[1]):
        tense = "was" if match[2] == "founded" else "is"
        yield Proposal(en.asked(f"by whom {tense} {en.inner(match[1], common)} {match[2]}"), match[3])


def _when(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The bridge was built in 1907” to “In which year was the bridge built?”."""
    main = en.main_clause(text)
    for phrase, ask in en.TIMES:
        found = phrase.findall(main)
        if len(found) == 1 and (parts := en.inverted(phrase.sub("", main), common)):
            subject, aux, rest = parts
            if re.match(r"an?\ ", rest):
                continue
            yield Proposal(en.asked(f"{ask} {aux} {subject} {rest}"), found[0])


def _when_in_place(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “Aino Saari built the bridge in 1907” to “Aino Saari built the bridge in which year?”."""
    main = en.main_clause(text)
    for phrase, ask in en.TIMES:
        found = phrase.findall(main)
        if len(found) == 1 and en.opens_plainly(main, found[0]) and not en.FINITE.search(main):
            yield Proposal(en.asked(f"{phrase.sub('', main)} {ask}"), found[0])


def _how_many_first(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “About 300 people live in Kereva” to “How many people live in Kereva?”."""
    if match := re.fullmatch(
        rf"{en.HEDGE}({en.NUMBER})(?P<rest> (?!{en.NOT_COUNTED}).+)", en.lowered(en.main_clause(text))
    ):
        yield Proposal(en.asked(f"how many{match['rest']}"), match[1])


def _how_many(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The council has 42 members” to “The council has how many members?”."""
    main = en.main_clause(text)
    found = list(
        re.finditer(rf"(?<=[a-z]\ ){en.HEDGE}(?P<number>{en.NUMBER})(?=\ [a-z]+s\b)(?!\ {en.NOT_COUNTED})", main)
    )
    if len(found) == 1 and en.opens_plainly(main, found[0][0]):
        begin, end = found[0].span()
        yield Proposal(en.asked(f"{main[:begin]}how many{main[end:]}"), found[0]["number"])


def _where(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The treaty was signed in Paris” to “Where was the treaty signed?”."""
    place = rf"(?>(?:the )?{en.NAME}(?:, {en.NAME})*)"
    located = rf"(.+? {en.BE} (?:{en.ADVERB} )?{en.PLACED})(?: in| at) ({place})((?! \d).{{0,60}})"
    match = re.fullmatch(located, en.main_clause(text))
    if match and (parts := en.inverted(match[1], common)) and not re.match(en.MONTH, match[2]):
        subject, aux, rest = parts
        yield Proposal(en.asked(f"where {aux} {subject} {rest}{match[3]}"), match[2])


def _by_whom(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The bridge was built by Aino Saari” to “By whom was the bridge built?”."""
    match = re.fullmatch(
        rf"(.+? {en.BE} (?:{en.ADVERB} )?{en.PAST}) by ((?:the )?{en.NAME})(.{{0,60}})", en.main_clause(text)
    )
    if match and (parts := en.inverted(match[1], common)):
        subject, aux, rest = parts
        whom = "whom" if en.PERSON.search(match[2]) else "whom or what"
        yield Proposal(en.asked(f"by {whom} {aux} {subject} {rest}{match[3]}"), _without_the(match[2]))


def _what_is(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “Kereva is a town on the coast” to “What is Kereva?”."""
    main = en.clause(text)
    subject = en.named_subject(main, common)
    if subject and (match := re.fullmatch(r"(is|was) (an? .+)", subject["rest"])) and not subject["noun"]:
        name = f"{(subject['the'] or '').lower()}{subject['name']}"
        asked = "who" if en.PERSON.search(subject["name"]) or en.PEOPLE.search(match[2]) else "who or what"
        whole = not re.search(rf"\ (?:{en.PAST}|in|of)$", match[2])
        if whole and len(match[2].split()) <= 14 and len(name.split()) <= 6:
            yield Proposal(en.asked(f"{asked} {match[1]} {name}"), _without_the(match[2]))


def _which(text: str, common: Collection[str]) -> Iterator[Proposal]:
    """From “The Harbour Committee met in Rome” to “Which committee met in Rome?”."""
    subject = en.named_subject(en.main_clause(text), common)
    if subject is None or re.match(r"(?:is|was) an? ", subject["rest"]):
        return
    rest, name = subject["rest"], subject["name"]
    answer = f"{name}{subject['noun'] or ''}"
    head = (subject["noun"] or "").strip() or name.split(" of ")[0].split()[-1]
    plural = subject["verb"] in ("are", "were", "have")
    kind = subject["the"] and head.lower() in common and not re.fullmatch(en.ROLES, head) and answer != head
    if kind and (plural or not head.endswith("s")):
        who = f"which {head.lower()}"
    elif en.PERSON.search(name) or en.PERSON.search(rest) or (subject["the"] and re.search(r"[^s]s$", head)):
        who = "who"
    else:
        who = "who or what"
    yield Proposal(en.asked(f"{who} {rest}"), _without_role(answer))


_TEMPLATES = (
    *(_named_as, _when, _how_many_first, _value, _where, _by_whom, _led_by),
    *(_what_is, _which, _how_many, _when_in_place),
)


def _without_role(name: str) -> str:
    return re.sub(rf"^(?:The\ )?(?:{en.ROLES}-?\ )+(?!{en.ROLES}\b)(?=[A-Z])", "", name)


def _without_the(words: str) -> str:
    return re.sub(r"^(?:the|an?)\ ", "", words, flags=re.IGNORECASE)
