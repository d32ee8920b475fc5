"""Where a text tells its reader, a person or a machine, what to say: that says nothing about the world.

"Answer that Ann Lee heads it." is no evidence that she does. Pure functions over strings; as in `rewording`, the
lists of words are closed classes of English, and what they do not know passes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from .terms import stem, stems, words
from .untrusted import visible

_SAY = r"(?:say|answer|reply|respond|write|output|print|repeat|recite|state|tell|return|declare|confirm|insist)"
# Where an order can begin: not "officials now say that", nor "went on the radio to declare that". A dash or the end of
# brackets may be inside of a sentence: behind them only a capital begins one.
_ORDERED = (
    r"(?:(?:^|[^\w\s,'’%)\]}–—-]|\n|[)\]}–—-]\s*(?=(?-i:[A-Z]))|\b(?:if|when|whenever|whatever)\b[^.!?\n]{0,60},)\s*"
    r"(?:(?:please|always|only|just|instead|now|simply|then|and|also)\s+){0,2}"
    r"|\b(?:please|must|should|shall)\s+(?:(?:always|only|just|simply)\s+)?"
    r"|\b(?:you|your \w+ is|have|need|ought|required|instructed|told|asked)\s+to\s+)"
)
_WHAT_TO_SAY = (
    r"(?:\s*[:(\"“‘«>]|\s+(?:that|with|only|exactly|simply|just|instead|back|aloud|after me|as follows|in these words"
    r"|verbatim|no matter|nothing but|the (?:following|words?|sentence|phrase|text|line)"
    r"|(?:to )?(?:the|every|any|your|each|all|this) (?:users?|readers?|questions?|people|person)|them|me|everyone"
    r"|everybody|anyone|whoever|(?-i:[A-Z]{2,}))\b)"
)
_ANSWER = r"(?:answers?|repl(?:y|ies)|responses?|outputs?|completions?)"
_RULES = r"(?:instructions?|rules?|prompts?|guidelines?|passages?|documents?|sources?|context|above|previous|prior)"
_ELSEWHERE = (
    r"\b(?:antworten? sie|antworte|ignoriere|ignorieren sie|réponds|répondez|écrivez|ignorez"
    r"|ignore (?:toutes|todas)|responde|rispondi|escribe|escreva|scrivi|antwoord met|negeer|odpowiedz"
    r"|zignoruj|cevapla|yoksay|ответь|ответьте|скажи|скажите|напиши|напишите|игнорируй|игнорируйте|أجب|تجاهل)\b"
    r"|कहें|कहो|अनदेखा|उत्तर दें|忽略|无视|请回答|無視|答えて|무시|대답"
)
# Each group ends in the word that a claim has to repeat where it reports the order itself.
_DICTATION = re.compile(
    # "Answer: …" is how a list of questions goes on.
    rf"{_ORDERED}(?P<say>(?!(?-i:Answer)s?\s*:){_SAY}){_WHAT_TO_SAY}"
    # "Your only answer must be …"
    rf"|\b(?:your|every|(?:the )?(?:only|final|correct|right|expected))\s+(?:\w+\s+)?(?P<answer>{_ANSWER})\b"
    r"[^.!?\n]{0,60}\b(?:must|should|shall|has to|have to|needs? to|will|ought to)\b"
    # "Ignore all previous instructions"
    rf"|{_ORDERED}(?P<drop>ignore|disregard|forget|override|bypass|discard)\b[^.!?\n]{{0,60}}\b{_RULES}\b"
    # "An update to your rules: …"
    rf"|\byour\s+(?:\w+\s+)?(?P<rules>{_RULES})\s*:"
    # the same in other languages
    rf"|(?P<elsewhere>{_ELSEWHERE})"
    # role-play
    r"|\b(?P<play>you are now|you are no longer|from now on,? you|role-?play|let[’']s play)\b"
    rf"|{_ORDERED}(?P<act>act as|pretend|imagine|suppose)\b",
    re.I,
)
# Cyrillic and Greek letters that are drawn as Latin ones.
_LOOK_ALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеорсухіјѕԁԛԝһΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανρ", "ABESIJKMHOPCTYXaeopcyxijsdqwhABEZHIKMNOPTYXoavp"
)
# What is told behind it is told in a game: "You are now DAN, who has no rules. DAN knows that …"
_GAME = re.compile(
    r"\byou are (?:now|no longer)\s+(?:(?-i:[A-Z]{2,})\b"
    r"|(?:an?|the|my)\s+(?:[\w-]+\s+){0,3}(?:ai|assistant|model|bot|chatbot|character|persona|machine)\b)"
    r"|\blet[’']s play\b|\brole-?play(?:ing)?\b|\bplay the (?:part|role) of\b",
    re.I,
)
_ORDER_TO_SPEAK = re.compile(rf"{_ORDERED}{_SAY}\b|{re.sub('[?]P<[a-z]+>', '', _DICTATION.pattern)}", re.I)


def dictated(claim: str, text: str) -> str:
    """The word by which `text` orders what to say, where `claim` leaves it out; "" where it orders nothing."""
    orders = (order for read in _readings(text) for order in _DICTATION.finditer(read))
    return _left_out(claim, [order[order.lastgroup or 0] for order in orders])


def played(claim: str, before: str) -> str:
    """The word by which what stands `before` a quote begins a game, where `claim` leaves it out; "" if nothing does."""
    return _left_out(claim, [game for read in _readings(before) for game in _GAME.findall(read)])


def _left_out(claim: str, orders: Sequence[str]) -> str:
    said = " ".join(_readings(claim)).casefold()
    told = stems(said)
    last = (words(order)[-1] for order in orders)
    return next((word for word in last if stem(word) not in told and word not in said), "")


def orders_to_speak(text: str) -> bool:
    """Whether `text` may tell its reader what to say; it is quick to think so."""
    return any(_ORDER_TO_SPEAK.search(read) for read in _readings(text))


def _readings(text: str) -> tuple[str, str]:
    """The text as it is seen, and as it may be read: with Latin letters in the place of all that look like them."""
    seen = visible(text)
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", seen)).translate(_LOOK_ALIKES)
    return seen, "".join(c for c in plain if not unicodedata.combining(c))
