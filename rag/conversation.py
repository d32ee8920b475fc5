"""What a turn of a conversation asks: small talk, or a question that stands on its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .formats import storable
from .terms import cardinals, content_words, names, numbers, same_sound, stem, stems, words
from .types import Hit, Message

_GREETINGS = frozenset("hello hi hey greetings howdy salam salaam hallo".split()) | {
    "good morning", "good afternoon", "good evening", "good day",
}  # fmt: skip
_THANKS = frozenset("thanks thx cheers".split()) | {"thank you", "many thanks"}
_FAREWELLS = frozenset("bye goodbye".split()) | {"see you", "good night"}
_ACKNOWLEDGEMENTS = frozenset("ok okay great perfect cool nice fine interesting understood alright no nope".split()) | {
    "i see", "got it", "good to know", "never mind", "no problem", "makes sense",
}  # fmt: skip
# At the very beginning they answer nothing: there "Nice" is a city, and "Cheers" a play.
_ONLY_IN_REPLY = _ACKNOWLEDGEMENTS | {"cheers"}
# Words that may stand around them: "hi there", "thank you so much", "ok, that is great".
_PADDING = frozenset(
    "there everyone all again so very much a lot you for your help that was is it the this and oh then now".split()
)
_REPLIES = (
    (_GREETINGS, "Hello. Ask me something about your documents."),
    (_THANKS, "You are welcome."),
    (_FAREWELLS, "Goodbye."),
    (_ACKNOWLEDGEMENTS, "All right. What else would you like to know?"),
)
_ABOUT_US = re.compile(
    r"(?:please )?(?:can you )?help(?: me)?(?: please)?|(?:who|what) are you"
    r"|are you (?:an? )?(?:bot|robot|human|person|machine|ai|real)"
    r"|(?:what|how) can you (?:do|help)(?: me| for me)?|what can i ask(?: you)?|how do you work"
)
_WHO_WE_ARE = (
    "I answer from your documents, in their own words, and show where each sentence stands. "
    "What they do not say, I do not make up. Ask me something about them."
)

# A question with one of these needs the turns before it to be understood.
_PRONOUNS = frozenset("he she it they him her his hers its their theirs them".split())
_POINTERS = frozenset("this these".split())
_REFERRING_PHRASES = re.compile(
    r"\b(?:what|how) about\b|\b(?:the|an?) \w+ ones?\b|\bones?\W*$|\belse\b"
    r"|\bthe (?:former|latter|same(?: \w+)?)\W*$|\bthose\b(?! (?:who|which|that|of|in|at|with)\b)"
    r"|\b(?:is|was|of|about|for|after|before|why|how|did|does) that\b|\bthat\W*$",
    re.IGNORECASE,
)
# How a question begins that says by itself what it is about: "Who is Ann Lee?".
_ASKS = re.compile(
    r"(?:who|what|when|where|why|how|which|whose|is|are|was|were|do|does|did|can|list|name|tell)\b", re.I
)
_ASKS_ANYWHERE = re.compile(rf"\b{_ASKS.pattern}", re.I)
_WHICH = re.compile(r"(?:which|what|whose)\b", re.I)
# "Which is cheaper?" chooses among what was spoken of.
_CHOOSES = re.compile(r"which\b", re.I)
_CONJUNCTION = re.compile(r"^(?:(?:and|or|but|so|also|then)\b[\s,]*)+", re.I)
# "Thanks, and who built it?": what stands before the question.
_PLEASANTRY = re.compile(
    r"^(?:(?:thanks|thank you|thx|ok|okay|great|cool|i see|got it|good to know|hi|hello|hey|good morning)"
    r"(?: (?:there|so much|very much|a lot))?\s*[,.!;:]+\s*)+(?=\w)",
    re.I,
)
# Turns that ask for the last answer again, and for more than it said.
_AGAIN = re.compile(
    r"(?:are you (?:really |quite )?(?:sure|certain)|really|is (?:that|this|it) (?:really )?(?:true|right|correct)"
    r"|how do you know(?: that| this)?|says who|prove it|repeat that|say that again|where does it say (?:that|so))"
    r"(?: about (?:that|this|it))?"
)
_MORE = re.compile(
    r"(?:(?:please|yes|ok|okay|sure|can you|could you) )*"
    r"(?:(?:tell|show|give) (?:me|us) (?:some |any )?more|(?:some |any(?:thing)? )?more|go on|continue|carry on|proceed"
    r"|(?:what|anything|something) else|elaborate|yes|yeah|yep|sure|please do)"
    r"(?: (?:about|on) (?:it|this|that|him|her|them))?(?: please)?"
)
# Words of which questions are made; and verbs whose stems do not tell that their forms are one word.
_ASKING = frozenset(
    stem(word)
    for word in """
    happen occur place located situated based exist held work used call reason cause purpose role effect result way type
    sort part example person people man woman event date day month year time age period country city town area amount
    total cost size long old far big large high detail information describe explain mention specific exact current
    previous following first second last next new main important different difference compare comparison relation
    related concern answer question conversation discuss talk earlier
    become became begin began bring brought build built buy bought choose chose come came draw drew fall fell feel felt
    fight fought find found get got give gave go went gone grow grew hold keep kept know knew lead led leave left lie
    lose lost make made mean meant meet met pay paid rise rose run ran say said see saw seen seek sought sell sold send
    sent spend spent speak spoke stand stood take took taken teach taught tell told think thought throw threw understand
    understood wear wore win won write wrote written
    """.split()
)
_EARLIER_QUESTIONS = 3
# Of what was said before: enough for any conversation, and a bound on what somebody makes us read.
_MESSAGES = 100
_MESSAGE_CHARS = 10_000  # of an answer
_SAME_START = 6  # words by which a quote is known again
# Where one question joins another: "… leads it, and since when?"
_JOINT = re.compile(
    # Possessive, and never from inside a run: else its time grows with the third power of the commas and blanks.
    r"(?:(?<![,;?])[,;?]++(?:\s*+(?:and|or|but))?+|\s(?:and|or|but))\s++"
    r"(?=(?:(?:on|in|at|by|from|for|to|with|since|of) )?(?:who|whom|whose|what|when|where|why|how|which)\b)",
    re.I,
)

REFUSAL = "I did not find an answer to this in the documents."


def recent(history: Sequence[Message], question_chars: int) -> list[Message]:
    """The last messages, each with its beginning, without the halves of characters that nothing can hold.

    What was asked is searched for again: of that no more is kept than a question may have.
    """
    most = {"user": question_chars, "assistant": _MESSAGE_CHARS}
    return [
        {"role": said["role"], "content": storable(said["content"][: most[said["role"]]])}
        for said in history[-_MESSAGES:]
        if said["role"] in most  # what a system says is nothing that was said
    ]


def smalltalk(text: str, history: Sequence[Message]) -> str | None:
    """A short plain reply when `text` is only a greeting, thanks, the like, or about ourselves; None for a question."""
    spoken = " ".join(words(text))
    if _ABOUT_US.fullmatch(_without_greeting(spoken)):
        return _WHO_WE_ARE
    if not spoken or len(spoken.split()) > 8 or "?" in text:
        return None
    phrases = {phrase: reply for known, reply in _REPLIES for phrase in known if f" {phrase} " in f" {spoken} "}
    if not history and phrases.keys() <= _ONLY_IN_REPLY:
        return None
    rest = f" {spoken} "
    for phrase in sorted(phrases, key=len, reverse=True):
        rest = rest.replace(f" {phrase} ", " ")
    return next(iter(phrases.values()), None) if set(rest.split()) <= _PADDING else None


def _without_greeting(spoken: str) -> str:
    first, _, rest = spoken.partition(" ")
    return rest if first in _GREETINGS and rest else spoken


def asks_again(text: str) -> bool:
    """Whether a turn doubts the last answer: what it rests on is to be shown once more."""
    return bool(_AGAIN.fullmatch(_bare(text)))


def asks_for_more(text: str) -> bool:
    """Whether a turn wants to hear more about what was asked last: "go on", "tell me more"."""
    return bool(_MORE.fullmatch(_bare(text)))


def _bare(text: str) -> str:
    return " ".join(words(_CONJUNCTION.sub("", text.strip())))


def without_pleasantries(text: str) -> str:
    """A question without the thanks or the greeting in front of it."""
    return _PLEASANTRY.sub("", text.strip())


def depends_on_history(question: str) -> bool:
    """Whether the question points back (a pronoun, "and …", "what about …") or says too little alone."""
    rest = _CONJUNCTION.sub("", question.strip())
    said = len(content_words(rest))
    if said == 0 or (said == 1 and (not _ASKS.match(rest) or bool(_CHOOSES.match(rest)))):
        return True
    return _points_back(rest) or bool(_REFERRING_PHRASES.search(rest))


def _points_back(question: str) -> bool:
    """Whether a pronoun stands for something outside the question.

    One that follows two content words and does not end the question is taken to stand for what it
    follows: "What did Ann Lee do before she retired?" needs no history, "Do the Danes support her?" does.
    """
    said = words(question)
    content = set(content_words(question))
    before: set[str] = set()
    for i, word in enumerate(said):
        if word in _PRONOUNS and (i + 1 == len(said) or len(before) < 2):
            return True
        before |= {word} & content
    return not _POINTERS.isdisjoint(said)


def asked_before(history: Sequence[Message]) -> str:
    """What this conversation is about: the last question, with those before it that it needs to be understood."""
    turns = (
        (without_pleasantries(turn["content"]), history[:i]) for i, turn in enumerate(history) if turn["role"] == "user"
    )
    asked = [
        turn
        for turn, before in turns
        if turn and not (smalltalk(turn, before) or asks_again(turn) or asks_for_more(turn))
    ]
    chain: list[str] = []
    for earlier in reversed(asked[-_EARLIER_QUESTIONS:]):
        chain.insert(0, earlier)
        if not depends_on_history(earlier):
            break
    return " ".join(chain)


def standalone(question: str, history: Sequence[Message]) -> str:
    """The question with what it follows in front of it; itself when it needs none.

    No words are made up: "Who heads the CTS?" then "Why him?" gives "Who heads the CTS? Why him?".
    A doubt ("are you sure?") is the last question once more.
    """
    question = without_pleasantries(question)
    if asks_again(question):
        return asked_before(history) or question
    if not depends_on_history(question):
        return question
    return f"{asked_before(history)} {question}".strip()


def is_faithful(rewritten: str, question: str, history: Sequence[Message]) -> bool:
    """Whether a rewritten question has no name or amount that the conversation lacks, and all of the question's.

    A name may be spelt in another way.
    """
    told = " ".join((question, *(turn["content"] for turn in history)))
    return (
        cardinals(rewritten) <= cardinals(told)
        and cardinals(question) <= cardinals(rewritten)
        and _all_in(names(rewritten), words(told))
        and _all_in(names(question), words(rewritten))
    )


def new_words(rewritten: str, question: str, history: Sequence[Message]) -> list[str]:
    """The words that a rewritten question brings in, but for those of which all questions are made.

    The rewrite is shown: a word that nobody said may come from a document's order, or from the prompt.
    """
    told = " ".join((question, *(turn["content"] for turn in history)))
    known, spelt = stems(told) | _ASKING, words(told)
    new = [word for word in content_words(rewritten) if stem(word) not in known and not numbers(word)]
    return [word for word in new if not _all_in([word], spelt)]


def _all_in(wanted: Sequence[str], said: Sequence[str]) -> bool:
    return all(name in said or any(same_sound(name, word) for word in said) for name in wanted)


def context(question: str, standalone: str, history: Sequence[Message]) -> str:
    """What was asked before, to be searched for together with the question as well as without it.

    Empty where that adds nothing: at the start, and where `standalone` is in other words.
    """
    earlier = asked_before(history)
    return earlier if content_words(question) and standalone in {question, f"{earlier} {question}"} else ""


def already_said(text: str, history: Sequence[Message]) -> bool:
    """Whether an earlier answer of the conversation has the words that `text` begins with: quotes may be cut short."""
    said = " ".join(words(text)[:_SAME_START])
    answers = (turn["content"] for turn in history if turn["role"] == "assistant")
    return bool(said) and any(f" {said} " in f" {' '.join(words(answer))} " for answer in answers)


def found_in_context(alone: Sequence[Hit], with_context: Sequence[Hit], k: int) -> list[Hit]:
    """The `k` best passages by the mean of two searches' scores: for the question, and with what was asked before.

    As shares of each search's best score: they compare within one search only.
    """
    scores: dict[int, float] = {}
    for hits in (alone, with_context):
        for hit in hits:
            scores[hit.passage.id] = scores.get(hit.passage.id, 0.0) + hit.score / (hits[0].score or 1.0) / 2
    passages = {hit.passage.id: hit.passage for hit in (*alone, *with_context)}
    best = sorted(scores, key=lambda i: (-scores[i], i))[:k]
    return [Hit(passages[i], scores[i]) for i in best]


def parts(question: str, standalone: str) -> list[str]:
    """What is asked in this turn, question by question; `standalone` is the question made to stand alone.

    "Who built it, and when was it opened?" gives "Who built it" and "when was it opened?". Of a
    follow-up with an earlier question in front, only the follow-up is asked.
    """
    if standalone != question and standalone.endswith(question):
        return [question]
    found = [part.strip() for part in _JOINT.split(standalone) if part.strip()]
    return found if all(map(_asks_something, found)) else [standalone]


def _asks_something(part: str) -> bool:
    """Whether a part of a question has more than its question word: "which forces" alone asks nothing."""
    least = 4 if _WHICH.match(part) else 3
    return len(words(part)) >= least and bool(content_words(part)) and bool(_ASKS_ANYWHERE.search(part))


def last_answer(history: Sequence[Message]) -> str:
    """What was answered last from the documents; empty when nothing was."""
    no_answers = {REFUSAL, _WHO_WE_ARE, *(reply for _, reply in _REPLIES)}
    answers = (turn["content"] for turn in reversed(history) if turn["role"] == "assistant")
    return next((answer for answer in answers if answer not in no_answers), "")
