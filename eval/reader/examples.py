"""Public documents and questions → what the reader learns from: a question, a text, and where in it the answer stands.

Three kinds, each closer to what people ask: sentences with a gap (`cloze`), questions made by templates (`templated`),
and the sets' own questions with passages that only look alike (`asked`).
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rag.sentences import sentences
from rag.templates import proposals
from rag.types import Span

_WINDOW_WORDS = 130  # as long as a passage
_NEGATIVES = 3  # passages that look alike, for each question


class Example(NamedTuple):
    """One reading: `text[answer.start:answer.end]` answers, or nothing does."""

    question: str
    title: str
    text: str
    answer: Span | None


Group = list[Example]  # of one question: with answers and without
Search = Callable[[str, Sequence[str]], list[tuple[str, str, str]]]  # question, exclude → (id, title, text), best first


KEPT_FOLD = 0  # of the titles that the packaged reader never saw


def fold(title: str) -> int:
    """Which fifth of the titles it belongs to, 0..4. A reader is trained without one: what it says there is fair."""
    return int(hashlib.md5(title.encode(), usedforsecurity=False).hexdigest(), 16) % 5


def held_out(title: str, without: int = KEPT_FOLD) -> bool:
    """Whether a reader that was trained `without` a fold never saw documents of this title."""
    return fold(title) == without


def windows(text: str) -> list[Span]:
    """The text cut behind sentences into runs of at most `_WINDOW_WORDS` words (or one sentence)."""
    found: list[Span] = []
    for sentence in sentences(text):
        if found and len(text[found[-1].start : sentence.end].split()) <= _WINDOW_WORDS:
            found[-1] = Span(found[-1].start, sentence.end)
        else:
            found.append(Span(*sentence))
    return found


# -- sentences with a gap ----------------------------------------------------------------------------------------------

_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_DATE = re.compile(
    rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)? (?:of )?(?:{_MONTH})(?:,? \d{{4}})?"
    rf"|(?:{_MONTH})(?: \d{{1,2}})?(?:,? \d{{4}})?|(?:1\d|20)\d\ds?)\b"
)
_AMOUNT = re.compile(
    r"\b\d[\d,.]*\d?(?:\s?(?:%|percent|million|billion|thousand|km|miles|years|people|metres|feet|hours|days))?\b"
    r"|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred)\b"
)
_NAME = re.compile(
    r"\b(?:[A-Z][\w'’-]+|[A-Z]\.)(?:\s+(?:(?:of|the|de|von|van|al|bin)\s+)*(?:[A-Z][\w'’-]+|[A-Z]\.|\d+))*"
)
_THING = re.compile(r"\b(?:the|a|an|of|by|with|into|for|as|their|his|its)\s+((?:[a-z][a-z-]+\s?){1,4})\b")
_REASON = re.compile(r"\b(?P<word>because|due to|in order to|so that|owing to|as a result of|since)\s+(?P<why>[^.;]+)")
_PLACE = frozenset("in at near from to into".split())
_FUNCTION = frozenset(
    "the a an of to in on at for and or but is are was were be been has have had that which who as by with from it its "
    "this these those their his her he she they not also".split()
)
_ASKING = {
    "date": ["when", "what year", "when", "on what date", "in which year", "what date"],
    "amount": ["how many", "how much", "what number of", "how many"],
    "place": ["where", "which country", "what place", "in which city", "where"],
    "name": ["who", "who", "what", "which", "whose", "what is the name of", "who is"],
    "thing": ["what", "what", "which", "how"],
    "reason": ["why", "why", "what is the reason", "why did", "for what reason"],
}


def cloze(documents: Sequence[Mapping[str, Any]], n: int, seed: int) -> Iterator[Example]:
    """`n` examples: the words around a gap, some dropped and moved, with a question word; a quarter have no answer."""
    dice = random.Random(seed)
    while n:
        document = dice.choice(documents)
        if example := _gap(document["title"], document["text"], dice):
            n -= 1
            yield example


def _gap(title: str, text: str, dice: random.Random) -> Example | None:
    cut = windows(text)
    if not cut:
        return None
    start, end = dice.choice(cut)
    text = text[start:end]
    found = sentences(text)
    if not found or (len(found) == 1 and dice.random() < 0.7):
        return None
    sentence = dice.choice(found)
    gap = _gap_in(text[sentence.start : sentence.end], dice)
    if gap is None:
        return None
    question, answer = gap
    if dice.random() < 0.25 and len(found) > 1:
        return _without(Example(question, title, text, _moved(answer, sentence.start)))
    return Example(question, title, text, _moved(answer, sentence.start))


def _gap_in(sentence: str, dice: random.Random) -> tuple[str, Span] | None:
    """(question, answer in the sentence)."""
    reasons = [m for m in _REASON.finditer(sentence) if 3 <= len(m["why"].split()) <= 25]
    if reasons and dice.random() < 0.7:
        match = dice.choice(reasons)
        kind, answer = "reason", Span(*match.span("why"))
        before, after = sentence[: match.start()].split()[-14:], []
    else:
        candidates = list(_answers_in(sentence, dice))
        if not candidates:
            return None
        kind, answer = dice.choice(candidates)
        before, after = sentence[: answer.start].split(), sentence[answer.end :].split()
        if kind == "name" and before and before[-1].lower() in _PLACE and dice.random() < 0.8:
            kind = "place"
        total = dice.randint(6, 16)
        left = dice.randint(0, total)
        before, after = before[-left:] if left else [], after[: total - left]
    before, after = _thinned(before, dice), _thinned(after, dice)
    if len(before) + len(after) < 3:
        return None
    asking = dice.choice(_ASKING[kind])
    order = dice.choices(([*before, asking, *after], [asking, *after, *before], [asking, *before, *after]), (7, 8, 5))
    question = " ".join(order[0]).lower()
    return question + "?" * (dice.random() < 0.5), answer


def _answers_in(sentence: str, dice: random.Random) -> Iterator[tuple[str, Span]]:
    taken: list[Span] = []
    for kind, pattern in (("date", _DATE), ("amount", _AMOUNT), ("name", _NAME)):
        for match in pattern.finditer(sentence):
            free = not any(span.start < match.end() and match.start() < span.end for span in taken)
            if free and not (kind == "name" and match.start() == 0 and " " not in match[0]):
                taken.append(Span(*match.span()))
                yield kind, taken[-1]
    if dice.random() < 0.35:
        for match in _THING.finditer(sentence):
            words = match[1].strip()
            if not set(words.split()) <= _FUNCTION:
                yield "thing", Span(match.start(1), match.start(1) + len(words))


def _thinned(words: Sequence[str], dice: random.Random) -> list[str]:
    """Without some of the words: people do not ask in the text's own."""
    lost = {True: 0.35, False: 0.15}
    return [word.strip('.,;:()"“”') for word in words if dice.random() > lost[word.lower().strip(",.") in _FUNCTION]]


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)


def _without(example: Example) -> Example | None:
    """The same question on the text without the sentence that answers; None where the text answers still."""
    assert example.answer is not None
    start, end = example.answer
    kept = [s for s in sentences(example.text) if not (s.start < end and start < s.end)]
    rest = " ".join(example.text[s.start : s.end] for s in kept)
    if not rest or example.text[start:end].lower() in rest.lower():
        return None
    return Example(example.question, example.title, rest, None)


# -- questions by templates --------------------------------------------------------------------------------------------


def templated(documents: Iterable[Mapping[str, Any]], n: int, seed: int) -> list[Group]:
    """Groups of one or two from `n` questions that templates make of sentences."""
    documents = list(documents)
    common = frozenset(word for document in documents for word in re.findall(r"\b[a-z]{2,}\b", document["text"]))
    found = [example for document in documents for example in _templated_of(document, common)]
    dice = random.Random(seed)
    groups: list[Group] = []
    for example in dice.sample(found, min(n, len(found))):
        example = example._replace(question=example.question.lower() if dice.random() < 0.35 else example.question)
        without = _without(example) if dice.random() < 0.4 else None
        groups.append([example, without] if without else [example])
    return groups


def _templated_of(document: Mapping[str, Any], common: frozenset[str]) -> Iterator[Example]:
    text = document["text"]
    for window in windows(text):
        for sentence in sentences(text[window.start : window.end]):
            here = text[window.start + sentence.start : window.start + sentence.end]
            for proposal in proposals(here, common)[:2] if len(here) <= 600 else ():
                at = here.find(proposal.answer)
                if at >= 0:
                    start = sentence.start + at
                    answer = Span(start, start + len(proposal.answer))
                    yield Example(proposal.question, document["title"], text[window.start : window.end], answer)


# -- the sets' own questions -------------------------------------------------------------------------------------------


def asked(
    questions: Iterable[Mapping[str, Any]],
    documents: Mapping[str, Mapping[str, Any]],
    search: Search,
    dice: random.Random,
) -> list[Group]:
    """A group for each question: its answer in its evidence, and found passages that do not hold it.

    `documents` by id. Questions of kind "fact" and "long" are answered; for the others what was found is no answer.
    """
    groups = []
    for question in questions:
        found = search(question["question"], question.get("exclude") or ())
        if question["kind"] in ("fact", "long"):
            group = _answered(question, documents, found, dice)
        else:
            group = [Example(question["question"], title, text, None) for _, title, text in found[:2]]
        if group:
            groups.append(_as_people_type(group, dice))
    return groups


def _answered(
    question: Mapping[str, Any],
    documents: Mapping[str, Mapping[str, Any]],
    found: Sequence[tuple[str, str, str]],
    dice: random.Random,
) -> Group:
    asks = question["question"]
    gold = list(dict.fromkeys(e["document"] for e in question["evidence"]))
    answers = [answer for group in question["answers"] or () for answer in group]
    place = _quoted if question["kind"] == "long" else _nearest_answer
    positives = [example for id in gold if (example := place(question, documents[id], answers))][:2]
    if not positives:
        return []
    wrong = [f for f in found if f[0] not in gold and not any(a.lower() in f[2].lower() for a in answers)]
    negatives = [
        Example(asks, title, text, None)
        for _, title, text in sorted(dice.sample(wrong, min(_NEGATIVES, len(wrong))), key=wrong.index)
    ]
    without = _without(positives[0]) if question["kind"] == "fact" and dice.random() < 0.5 else None
    return [*positives, *negatives, *([without] if without else [])]


def _quoted(question: Mapping[str, Any], document: Mapping[str, Any], _: Sequence[str]) -> Example | None:
    """The evidence itself is the answer of a question that wants more than a few words."""
    text = document["text"]
    quote = next((e["quote"] for e in question["evidence"] if e["document"] == document["id"] and "quote" in e), None)
    at = text.find(quote) if quote else -1
    window = next((window for window in windows(text) if window.start <= at < window.end), None)
    if quote is None or window is None:
        return None
    answer = Span(at - window.start, min(at + len(quote), window.end) - window.start)
    return Example(question["question"], document["title"], text[window.start : window.end], answer)


def _nearest_answer(question: Mapping[str, Any], document: Mapping[str, Any], answers: Sequence[str]) -> Example | None:
    """The occurrence of an answer that has most of the question's words around it."""
    wanted = set(re.findall(r"\w+", question["question"].lower())) - _FUNCTION
    best: tuple[int, Example] | None = None
    for window in windows(document["text"]):
        text = document["text"][window.start : window.end]
        for answer in answers:
            for match in re.finditer(rf"(?<!\w){re.escape(answer.lower())}(?!\w)", text.lower()):
                around = set(re.findall(r"\w+", text[max(0, match.start() - 120) : match.end() + 120].lower()))
                shared = len(around & wanted)
                if best is None or shared > best[0]:
                    best = (shared, Example(question["question"], document["title"], text, Span(*match.span())))
    return best[1] if best else None


def _as_people_type(group: Group, dice: random.Random) -> Group:
    """Some questions in lower case, some without their mark, some texts without a title."""
    question = group[0].question.strip()
    question = question.lower() if dice.random() < 0.25 else question
    question = question.rstrip("? ") if dice.random() < 0.2 else question
    return [
        example._replace(question=question, title=example.title if dice.random() < 0.92 else "") for example in group
    ]
