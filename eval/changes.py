"""Ways to change a sentence of a document: those that keep what it says, and those that make it false or unsupported.

Each is code, so its label rests on no model. Each takes a `Source` and a source of chance, and returns the changed
sentence, or None where the sentence has nothing that it could change.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from rag.terms import STOPWORDS, content_words


class Source(NamedTuple):
    """A sentence, its document's title and other sentences, and sentences of other documents."""

    text: str
    title: str
    beside: tuple[str, ...]
    elsewhere: tuple[str, ...]


Change = Callable[[Source, random.Random], str | None]

_MONTHS = "January February March April May June July August September October November December".split()
_MONTH = "|".join(_MONTHS)
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}}) ({_MONTH}) (\d{{4}})\b")
_MONTH_FIRST = re.compile(rf"\b({_MONTH}) (\d{{1,2}}), (\d{{4}})\b")
_YEAR = re.compile(r"(?<![\d,.$£€])(1[0-9]\d\d|20[0-2]\d)(?![\d,%])(?!\.\d)")
_AMOUNT = re.compile(r"(?<![\w.,-])(\d{1,3}(?:,\d{3})+|\d+)(?![\w]|[.,]\d|-\d)")
_UNITS = "two three four five six seven eight nine ten eleven twelve".split()
_UNIT = re.compile(rf"\b({'|'.join(_UNITS)})\b(?! ?-)")
_NAME = re.compile(r"\b[A-Z][\w’'-]+(?: [A-Z][\w’'-]+)*")
_AUXILIARY = re.compile(r"\b(?:is|are|was|were|has|have|had|can|could|will|would|may|might|must|should)\b")
_NOT = re.compile(r"\b(is|are|was|were|has|have|had|can|could|will|would|may|might|must|should) not\b")
_PASSIVE = re.compile(
    r"(?P<patient>[A-Z][^,;:()]{2,60}?) (?:was|were) (?P<verb>[a-z]+ed) by"
    r" (?!(?:\w+ing|means) )(?P<agent>[^,;:()]{2,60})\."
)
_VERB = (
    r"(?:(?:is|are|was|were|has|had|had been) )?(?:[a-z]{2,}ed|built|won|wrote|led|took|made|gave|beat|held|left|sent"
    r"|became|found|began|sold|bought|saw|met|lost|born|taught|fought|came|went|grew|fell)\b"
)
_NOUN = r"[a-z]{3,}"
_TRANSITIVE = re.compile(
    rf"(?:The|An?) (?:[a-z]+ )?(?P<one>{_NOUN}) {_VERB}(?: by)? (?:the|an?|its|his|their|another)"
    rf" (?P<other>{_NOUN})(?=[.,]| (?:in|on|at|after|during|when|with|for|from|to)\b)"
)
_SUBJECT = rf"(?:[Tt]he {_NOUN}|[A-Z][\w’'-]+(?: [A-Z][\w’'-]+){{0,3}})"
_CLAUSES = re.compile(
    rf"(?P<s1>{_SUBJECT}) (?P<r1>{_VERB} [^;:()]{{3,}}?)(?:;|, (?:and|but|while|whereas)| (?:but|while|whereas))"
    rf" (?P<s2>{_SUBJECT}) (?P<r2>{_VERB} [^;:(),]{{3,}})\."
)
_FRONTED = re.compile(r"((?:In|On|By|After|During|Since|From|At|Until|Before) [^,]{3,60}), ([^;:]+)\.")
_ASIDE = re.compile(r"\s*\([^()]*\)|,\s+(?:which|who|whose|where)\b[^,;()]*(?:,(?! and| or)|(?=\.$))")
_PHRASE = re.compile(
    r"\b(?:because of|for|with|from|during|after|by|through|against)"
    r" (?:the |a |its |their )?[a-z]+ (?:[a-z]+ )?[a-z]+\b"
)
_SYMMETRIC = re.compile(
    r"\b(?:and|or|with|between|met|married|same|like|near|borders?|from|than|both|called|known|is|are|as)\b"
)
_VERBAL = re.compile(r"\b(?:was|were|had|has|[a-z]{3,}ed|led|won|wrote|made|gave|took|became|beat|held|left|sent)\b")
_SYNONYMS = dict(
    pair.split("/")
    for pair in (
        "said/stated told/informed began/started started/began reported/stated although/though because/since "
        "approximately/about around/about located/situated many/numerous however/nevertheless large/big big/large "
        "received/got purchased/bought bought/purchased argued/claimed stated/said used/employed several/various "
        "built/constructed constructed/built often/frequently frequently/often main/chief chief/main "
        "created/made important/significant famous/well-known ended/finished helped/assisted films/movies "
        "film/movie won/gained shows/demonstrates showed/demonstrated largest/biggest begins/starts "
        "children/kids whole/entire goal/aim required/needed obtained/got"
    ).split()
)
# None taken or left for standing in the checker's own list: "opposites" of Ogden's Basic English with what each is the
# opposite of, then verbs and nouns of everyday and encyclopaedic prose. Both directions are used.
_OPPOSITES = tuple(
    (one, other)
    for pair in (
        "awake/asleep bad/good bent/straight bitter/sweet certain/doubtful cold/hot complete/incomplete cruel/gentle"
        " dark/bright dead/alive dear/cheap delicate/sturdy different/same dirty/clean dry/wet false/true feeble/strong"
        " female/male foolish/wise future/past ill/healthy last/first late/early left/right loose/tight loud/quiet"
        " low/high narrow/wide old/new public/private rough/smooth sad/happy safe/dangerous secret/open short/long"
        " simple/complex slow/fast small/large soft/hard solid/liquid special/ordinary strange/familiar thin/thick"
        " white/black wrong/correct"
        " arrived/departed came/went gave/took found/lost joined/left praised/criticised criticized/praised"
        " expanded/contracted strengthened/weakened appeared/disappeared appears/disappears approved/vetoed"
        " permitted/banned encouraged/discouraged united/divided hired/dismissed borrowed/lent married/divorced"
        " promoted/demoted connected/disconnected attracted/repelled increased/decreased increases/decreases"
        " increase/decrease began/ended started/stopped starts/stops opened/closed won/lost accepted/rejected"
        " rising/falling rose/fell bought/sold born/died sent/received absorbs/emits ascended/descended"
        " advanced/retreated captured/released liked/disliked agreed/disagreed proved/disproved improved/worsened"
        " improves/worsens prevents/promotes prevented/promoted reduces/raises reduced/raised"
        " import/export imports/exports demand/supply profit/loss winner/loser supporters/opponents"
        " advantages/disadvantages wealth/poverty peace/war victory/defeat success/failure love/hatred"
        " strength/weakness majority/minority north/south northern/southern east/west eastern/western father/mother"
        " son/daughter brother/sister husband/wife king/queen men/women boys/girls enemies/allies summer/winter"
        " day/night birth/death beginning/end entrance/exit head/tail ancestor/descendant predecessor/successor"
        " urban/rural domestic/foreign temporary/permanent natural/artificial voluntary/compulsory military/civilian"
        " acidic/alkaline positive/negative internal/external upper/lower inner/outer major/minor common/rare"
        " likely/unlikely possible/impossible able/unable direct/indirect similar/different popular/unpopular"
        " legal/illegal heavy/light deep/shallow empty/full ancient/modern active/passive formal/informal"
        " larger/smaller largest/smallest higher/lower highest/lowest older/younger oldest/youngest longer/shorter"
        " faster/slower wider/narrower heavier/lighter earlier/later better/worse best/worst more/less"
        " before/after above/below inside/outside always/never often/seldom together/separately up/down"
    ).split()
    for one, other in [tuple(pair.split("/"))]
)
_OPPOSITE_OF = {one: other for pair in _OPPOSITES for one, other in (pair, pair[::-1])}
_VAGUE = {
    "some": "all", "many": "all", "most": "all", "several": "all", "few": "all", "often": "always",
    "sometimes": "always", "usually": "always", "generally": "always", "typically": "always", "mostly": "always",
    "frequently": "always", "rarely": "never", "almost": "exactly", "occasionally": "always",
}  # fmt: skip
_HEDGES = (
    (r"\b(?:may|might|could) be\b", "is"), (r"\b(?:may|might|could) have\b", "has"),
    (r"\b(?:may|might|could)\b(?! (?:be|have|not))", "will"),
    (r"\b(?:is|was) (?:thought|believed|said|considered|reported|alleged) to be\b", "is"),
    (r"\b(?:possibly|probably|reportedly|allegedly|perhaps|supposedly|apparently) ", ""),
    (r"\bplanned to\b", "did"), (r"\b(?:is|was) (?:likely|expected|intended) to\b", "will"),
)  # fmt: skip


# -- what keeps it true ------------------------------------------------------------------------------------------------


def as_it_is(source: Source, _: random.Random) -> str | None:
    return source.text


def clause_dropped(source: Source, _: random.Random) -> str | None:
    return _other(source, _ASIDE.sub("", source.text, count=1))


def pronoun_named(source: Source, _: random.Random) -> str | None:
    fits = source.title and len(source.title.split()) <= 4 and "(" not in source.title
    return _other(source, re.sub(r"^(?:He|She|It)\b", lambda _: source.title, source.text)) if fits else None


def reordered(source: Source, _: random.Random) -> str | None:
    match = _FRONTED.fullmatch(source.text)
    if not match:
        return None
    opening, main = match.groups()
    return f"{_upper(main)} {opening[0].lower()}{opening[1:]}."


def made_active(source: Source, _: random.Random) -> str | None:
    match = _PASSIVE.fullmatch(source.text)
    if not match:
        return None
    agent, *rest = re.split(r" (?=(?:in|on|at|during|after|for|as)\b)", match["agent"], maxsplit=1)
    return " ".join([_upper(agent), match["verb"], match["patient"], *rest]) + "."


def date_reformatted(source: Source, _: random.Random) -> str | None:
    if _DAY_FIRST.search(source.text):
        return _DAY_FIRST.sub(r"\2 \1, \3", source.text)
    return _other(source, _MONTH_FIRST.sub(r"\2 \1 \3", source.text))


def number_rewritten(source: Source, _: random.Random) -> str | None:
    def digits(match: re.Match[str]) -> str:
        return str(_UNITS.index(match[1]) + 2)

    def word(match: re.Match[str]) -> str:
        plain = match[1].replace(",", "")
        return _UNITS[int(plain) - 2] if 2 <= int(plain) <= 12 else plain

    return _other(source, _UNIT.sub(digits, source.text)) or _other(source, _AMOUNT.sub(word, source.text))


def synonyms(source: Source, _: random.Random) -> str | None:
    return _words_replaced(source, _SYNONYMS)


def attributed(source: Source, _: random.Random) -> str | None:
    first = source.text.split(maxsplit=1)[0]
    plain = first.lower() in STOPWORDS
    return "According to the documents, " + (first.lower() + source.text[len(first) :] if plain else source.text)


# -- what does not -----------------------------------------------------------------------------------------------------


def number_changed(source: Source, chance: random.Random) -> str | None:
    found = [m for m in _AMOUNT.finditer(source.text) if not _YEAR.fullmatch(m[1])]
    if found:
        match = chance.choice(found)
        value = int(match[1].replace(",", ""))
        changed = value + chance.choice([1, 2, 10]) * 10 ** max(0, len(str(value)) - 2)
        return _spliced(source.text, match.span(1), f"{changed:,}" if "," in match[1] else str(changed))
    if not (match_word := _UNIT.search(source.text)):
        return None
    other = chance.choice([unit for unit in _UNITS if unit != match_word[1]])
    return _spliced(source.text, match_word.span(1), other)


def date_changed(source: Source, chance: random.Random) -> str | None:
    months = list(re.finditer(rf"\b({_MONTH})\b(?= \d)|(?<=\d )({_MONTH})\b", source.text))
    years = list(_YEAR.finditer(source.text))
    if not months + years:
        return None
    match = chance.choice(months + years)
    if match.group() in _MONTHS:
        return _spliced(source.text, match.span(), chance.choice([m for m in _MONTHS if m != match.group()]))
    return _spliced(source.text, match.span(), str(int(match.group()) + chance.choice([-10, -3, -1, 1, 2, 5])))


def numbers_exchanged(source: Source, chance: random.Random) -> str | None:
    found = list(_AMOUNT.finditer(source.text))
    pairs = [(a, b) for a in found for b in found if a.start() < b.start() and a[1] != b[1]]
    if not pairs:
        return None
    one, other = chance.choice(pairs)
    # "between 3 and 5", "from 1990 to 1995", "3, 4 and 5" say nothing of one that they do not say of the other
    if len(content_words(source.text[one.end() : other.start()])) < 2:
        return None
    return _spliced(_spliced(source.text, other.span(1), one[1]), one.span(1), other[1])


def name_of_the_document(source: Source, chance: random.Random) -> str | None:
    return _renamed(source, [*source.beside, source.title], chance)


def name_from_elsewhere(source: Source, chance: random.Random) -> str | None:
    return _renamed(source, source.elsewhere, chance)


def polarity_changed(source: Source, chance: random.Random) -> str | None:
    if _NOT.search(source.text):
        return _NOT.sub(r"\1", source.text, count=1)
    found = list(_AUXILIARY.finditer(source.text))
    return _spliced(source.text, (found[0].end(), found[0].end()), " not") if found else None


def roles_exchanged(source: Source, chance: random.Random) -> str | None:
    found = [m for m in _NAME.finditer(source.text) if m.group().lower() not in STOPWORDS and m.group() not in _MONTHS]
    for one, other in pairwise(found):
        between = source.text[one.end() : other.start()]
        if one.start() == 0 and _VERBAL.search(between) and not _SYMMETRIC.search(between):
            return _spliced(_spliced(source.text, other.span(), one.group()), one.span(), other.group())
    return None


def nouns_exchanged(source: Source, _: random.Random) -> str | None:
    """Common nouns around a verb in either voice: "The city attacked the army" of "The army attacked the city"."""
    match = _TRANSITIVE.match(source.text)
    if not match or match["one"] == match["other"] or not STOPWORDS.isdisjoint((match["one"], match["other"])):
        return None
    return _spliced(_spliced(source.text, match.span("other"), match["one"]), match.span("one"), match["other"])


def clause_alone(source: Source, chance: random.Random) -> str | None:
    found = _two_clauses(source.text)
    return chance.choice([f"{one.subject} {one.rest}." for one in found]) if found else None


def subject_of_other_clause(source: Source, chance: random.Random) -> str | None:
    if not (found := _two_clauses(source.text)):
        return None
    one, other = chance.sample(found, 2)
    return f"{one.subject} {other.rest}."


def year_of_other_clause(source: Source, chance: random.Random) -> str | None:
    if not (found := _two_clauses(source.text)):
        return None
    one, other = chance.sample(found, 2)
    ours, theirs = _YEAR.findall(one.rest), _YEAR.findall(other.rest)
    if len(ours) != 1 or not theirs or ours[0] in theirs:
        return None
    return f"{one.subject} {one.rest.replace(ours[0], theirs[0])}."


def voice_exchanged(source: Source, _: random.Random) -> str | None:
    match = _PASSIVE.fullmatch(source.text)
    return f"{match['patient']} {match['verb']} {match['agent']}." if match else None


def clause_added(source: Source, chance: random.Random) -> str | None:
    tails = [sentence.rpartition(", ")[2] for sentence in source.elsewhere if ", " in sentence]
    tails = [tail.rstrip(".") for tail in tails if 4 <= len(content_words(tail)) <= 9]
    return f"{source.text.rstrip('.')}, {chance.choice(tails)}." if tails else None


def words_added(source: Source, chance: random.Random) -> str | None:
    phrases = [m.group() for sentence in source.elsewhere for m in _PHRASE.finditer(sentence)]
    phrases = [phrase for phrase in phrases if len(content_words(phrase)) >= 2]
    return f"{source.text.rstrip('.')} {chance.choice(phrases)}." if phrases else None


def word_exchanged(source: Source, chance: random.Random) -> str | None:
    """A word for another with the same ending, so that it stays a sentence."""
    ours = _plain_words(source.text)
    theirs = [word for sentence in source.beside + source.elsewhere for word in _plain_words(sentence)]
    chance.shuffle(ours)
    for word in ours:
        for other in theirs:
            if other[-3:] == word[-3:] and other not in source.text and word not in other:
                return re.sub(rf"\b{word}\b", other, source.text, count=1)
    return None


def hedge_removed(source: Source, _: random.Random) -> str | None:
    for pattern, plain in _HEDGES:
        if changed := _other(source, re.sub(pattern, plain, source.text, count=1)):
            return changed
    return None


def all_for_some(source: Source, _: random.Random) -> str | None:
    return _words_replaced(source, _VAGUE)


def condition_dropped(source: Source, _: random.Random) -> str | None:
    if match := re.match(r"(?:If|Unless) [^,]+, (.+)", source.text):
        return _upper(match[1])
    return _other(source, re.sub(r",? \b(?:if|unless|provided that)\b [^,;]+\.$", ".", source.text))


def attribution_dropped(source: Source, _: random.Random) -> str | None:
    verbs = "said|says|claimed|claims|argued|argues|believed|suggested|suggests|alleged|proposed|speculated|predicted"
    match = re.match(rf"[^,;]{{3,50}} (?:{verbs}) that (.+)", source.text)
    return _upper(match[1]) if match else None


def opposite(source: Source, _: random.Random) -> str | None:
    return _words_replaced(source, _OPPOSITE_OF)


def sentence_from_elsewhere(source: Source, chance: random.Random) -> str | None:
    return chance.choice(source.elsewhere) if source.elsewhere else None


class _Clause(NamedTuple):
    subject: str
    rest: str


def _two_clauses(text: str) -> list[_Clause]:
    """The two clauses of a sentence, each with a subject of its own; none where it has no such two."""
    match = _CLAUSES.fullmatch(text)
    if not match or match["s1"].lower() == match["s2"].lower() or match["s1"].lower() in STOPWORDS:
        return []
    return [_Clause(_upper(match[f"s{n}"]), match[f"r{n}"]) for n in (1, 2)]


# Too rare in sentences that answer questions to say anything: any sentence of a document will do for these.
RARE = frozenset(
    (
        "reordered", "passive → active", "clause alone", "roles exchanged", "nouns exchanged", "voice exchanged",
        "subject, other clause", "year, other clause",
    )
)  # fmt: skip
TRUE: dict[str, Change] = {
    "as it is": as_it_is, "clause dropped": clause_dropped, "pronoun → title": pronoun_named, "reordered": reordered,
    "passive → active": made_active, "date reformatted": date_reformatted, "number rewritten": number_rewritten,
    "synonym": synonyms, "“according to”": attributed, "clause alone": clause_alone,
}  # fmt: skip
FALSE: dict[str, Change] = {
    "number": number_changed, "date": date_changed, "numbers exchanged": numbers_exchanged,
    "name, same document": name_of_the_document, "name, elsewhere": name_from_elsewhere,
    "polarity": polarity_changed, "roles exchanged": roles_exchanged,
    "nouns exchanged": nouns_exchanged, "voice exchanged": voice_exchanged,
    "subject, other clause": subject_of_other_clause, "year, other clause": year_of_other_clause,
    "clause added": clause_added, "words added": words_added, "word exchanged": word_exchanged,
    "hedge removed": hedge_removed, "all for some": all_for_some, "opposite": opposite,
    "condition dropped": condition_dropped, "attribution dropped": attribution_dropped,
    "sentence, elsewhere": sentence_from_elsewhere,
}  # fmt: skip


def _other(source: Source, changed: str) -> str | None:
    return changed if changed != source.text else None


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _spliced(text: str, span: tuple[int, int], new: str) -> str:
    return text[: span[0]] + new + text[span[1] :]


def _words_replaced(source: Source, by: Mapping[str, str]) -> str | None:
    """The first word that has another in `by` replaced by it."""
    match = re.search(rf"\b(?:{'|'.join(by)})\b", source.text)
    return _spliced(source.text, match.span(), by[match.group()]) if match else None


def _renamed(source: Source, texts: Sequence[str], chance: random.Random) -> str | None:
    ours = _names(source.text)
    said = set(re.findall(r"\w+", source.text))
    others = [name for text in texts for name in _names(text) if not said & set(re.findall(r"\w+", name))]
    if not ours or not others:
        return None
    one = chance.choice(ours)
    same_length = [other for other in others if len(other.split()) == len(one.split())]
    return source.text.replace(one, chance.choice(same_length or others), 1)


def _names(text: str) -> list[str]:
    """Runs of capitalised words behind the first word, months and function words left out."""
    found = [m.group() for m in _NAME.finditer(text) if m.start() or " " in m.group()]
    return [name for name in found if name not in _MONTHS and name.split()[0].lower() not in STOPWORDS]


def _plain_words(text: str) -> list[str]:
    return [word for word in re.findall(r"\b[a-z]{5,}\b", text) if word not in STOPWORDS]
