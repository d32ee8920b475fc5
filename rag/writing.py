"""Evidence → the LLM → checked sentences, for a capable LLM and for the small embedded one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

from .embedding import Encoder
from .errors import LLMUnavailable
from .evidence import Evidence, EvidenceFinder
from .grounding import (
    Checker,
    Claim,
    Composer,
    Support,
    claims,
    completed_claims,
    orders_refusal,
    says_not_found,
    without_thinking,
)
from .llm import Writer
from .prompts import Prompt, load_prompt
from .sentences import without_mark
from .types import Dropped, Passage, StepReport

_MOST_TOKENS = 400
_MOST_CHARACTERS = 8_000  # about four times as much
_MOST_WITH_THOUGHTS = 200_000  # characters of a reply, thoughts and all; whatever comes behind them is not read
_SUCCESSOR = 40  # characters within which a next sentence has begun
_ONE_SENTENCE_TOKENS = 80
_SAME = str.maketrans("“”„«»‘’‐‑–−", '"""""\'\'----')
_FAKE_NUMBER, _IN_ROUND = re.compile(r"^([^\w\n\[]*)\[(\s*\d+\s*)\]", re.M), r"\1(\2)"
_PARTING = ".,;:!?…()[]"  # at either end of a word


class NothingFoundError(Exception):
    """A capable LLM read the passages and found no answer in them: a turn of the chain, not a fault."""


class AnswerPrompts(NamedTuple):
    """What a capable LLM is asked about several passages, and the small one about the best quote."""

    answer: Prompt
    sentence: Prompt

    @classmethod
    def load(cls) -> AnswerPrompts:
        """Raises PromptError."""
        return cls(
            load_prompt("answer", frozenset({"passages", "question"})),
            load_prompt("sentence", frozenset({"quote", "question"})),
        )


class Author:
    """Lets an LLM write and keeps what the passages support. Nothing unchecked leaves it."""

    def __init__(
        self,
        writer: Writer,
        prompts: AnswerPrompts,
        finder: EvidenceFinder,
        encoder: Encoder,
        report: StepReport = lambda step: None,
    ) -> None:
        self._report = report
        self._writer = writer
        self._prompts = prompts
        self._finder = finder
        self._encoder = encoder

    def write(
        self, question: str, passages: Sequence[Passage], quotes: Sequence[Evidence], into: Composer
    ) -> Iterator[None]:
        """Add each sentence that holds to `into`, one per step. `quotes` are the evidence, best first.

        Raises LLMUnavailable, and NothingFoundError when a capable LLM says that the passages do not answer.
        """
        self._report("writing")
        if self._writer.capable:
            yield from self._freely(question, passages, into)
        else:
            yield from self._one_sentence(question, quotes, into)

    def _freely(self, question: str, passages: Sequence[Passage], into: Composer) -> Iterator[None]:
        """Keep every sentence that holds.

        A reply that says it found nothing, before it says anything that holds, found nothing: what it goes on with is
        about something else. Behind an answer, the same words only tell what is missing.
        """
        prompt = self._prompts.answer
        user = prompt.fill(passages=numbered(passages), question=question)
        checker = Checker(passages, self._finder, self._encoder)
        seen: set[Claim] = set()
        with closing(self._writer.stream(prompt.system, user, max_tokens=_MOST_TOKENS)) as pieces:
            for claim in _claims_of(pieces):
                if claim in seen:
                    continue
                seen.add(claim)
                self._report("checking")
                outcome = checker.check(claim)
                self._report("writing")
                if isinstance(outcome, Dropped) and not into.sentences and says_not_found(claim.text):
                    if any(orders_refusal(text) for text in (claim.text, *(passage.text for passage in passages))):
                        into.dropped.append(outcome)
                        continue  # the words of our prompt, or perhaps of a document: not what the LLM found
                    raise NothingFoundError
                if _kept(outcome, claim, into):
                    yield

    def _one_sentence(self, question: str, quotes: Sequence[Evidence], into: Composer) -> Iterator[None]:
        """Keep one sentence in place of the best quote if it copies it; the other quotes follow.

        A model of this size copies well and reasons badly: it sees that quote alone, and is stopped at the first word
        that is no copy, or after its first sentence.
        """
        prompt, best = self._prompts.sentence, quotes[0]
        copy = Copy(best.text)
        reply = ""
        user = prompt.fill(quote=best.text, question=question)
        with closing(self._writer.stream(prompt.system, user, max_tokens=_ONE_SENTENCE_TOKENS)) as pieces:
            for piece in pieces:
                reply += piece
                if completed_claims(reply) or copy.stray(reply.rpartition(" ")[0]):
                    break
        self._report("checking")
        for claim in claims(reply)[:1]:
            against = copy.against(claim.text)
            if _kept(Dropped(claim.text, against) if against else Support(best, 1.0), claim, into):
                yield
                for quote in quotes[1:]:
                    into.quoted(quote)
                    yield


class Copy:
    """Tells whether somebody says what a quote says: all its words and no others, in their order.

    Of one line, another part may come first, as long as what stood before it follows: "in 1903 Ann Lee was heard" and
    "Ann Lee was heard in 1903". A number in a list, case, and what parts clauses do not count.
    """

    def __init__(self, quote: str) -> None:
        self._words = _spoken(without_mark(quote))
        self._around = _run(self._words if "\n" in quote else self._words * 2)
        self._asks = "?" in quote

    def against(self, text: str) -> str:
        """Why `text` is no copy; "" when it is one."""
        if stray := self.stray(text):
            return f"'{stray}' is not what the quote goes on with"
        if len(_spoken(text)) < len(self._words):
            return "it leaves out words that the quote has"
        return "one asks and the other tells" if ("?" in text) != self._asks else ""

    def stray(self, begun: str) -> str:
        """The word at which `begun` is no copy any more; "" while it is one."""
        said = _spoken(begun)
        for count, word in enumerate(said, start=1):
            if count > len(self._words) or _run(said[:count]) not in self._around:
                return word
        return ""


def _spoken(text: str) -> list[str]:
    """The words of `text`, with all signs that say something (%, $, a minus, quotation marks), in one form."""
    plain = text.translate(_SAME).casefold()
    return [word for each in plain.split() if (word := each.strip(_PARTING))]


def _run(said: Sequence[str]) -> str:
    return f" {' '.join(said)} "


def _claims_of(pieces: Iterable[str]) -> Iterator[Claim]:
    """The claims of a reply as it comes, each as soon as it is complete, some more than once."""
    reply = ""
    behind = _SUCCESSOR  # characters since the last stop; that a sentence has ended is seen when the next one begins
    try:
        for piece in pieces:
            reply += piece
            is_stop = any(stop in piece for stop in ".!?\n。؟")
            behind = 0 if is_stop else behind + len(piece)
            if behind < _SUCCESSOR:
                yield from completed_claims(reply)
            # It may not keep to the length that was asked for.
            if len(reply) > _MOST_WITH_THOUGHTS or (is_stop and len(without_thinking(reply)) > _MOST_CHARACTERS):
                break
    except LLMUnavailable:
        yield from completed_claims(reply)  # what it said before it broke off is as good as any
        raise
    yield from claims(reply[:_MOST_WITH_THOUGHTS])


def _kept(outcome: Support | Dropped, claim: Claim, into: Composer) -> bool:
    if isinstance(outcome, Support):
        return into.verified(claim, outcome)
    into.dropped.append(outcome)
    return False


def numbered(passages: Sequence[Passage]) -> str:
    """Passages as the prompt shows them. None can begin another one: a line's "[2]" is written "(2)"."""
    blocks = []
    for number, passage in enumerate(passages, start=1):
        where = " — ".join(part for part in (passage.title, passage.heading) if part)
        blocks.append(f"[{number}] ({where})\n{_FAKE_NUMBER.sub(_IN_ROUND, passage.text)}")
    return "\n\n".join(blocks)
