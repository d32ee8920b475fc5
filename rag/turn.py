"""A turn of a conversation → what it asks, the passages and the evidence for it, and how surely they answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from . import conversation
from .confidence import Features, confidence, features, mean
from .errors import LLMUnavailable
from .evidence import Evidence, EvidenceFinder
from .grounding import without_thinking
from .llm import Writer
from .prompts import load_prompt
from .retrieval import CANDIDATES, Query, Retriever
from .settings import Settings
from .store import Store
from .types import Hit, Message, Passage, Span, StepReport
from .units import cut

_MORE_CANDIDATES = 2  # passages from the last answer of a follow-up, and from each part of a question
_CONDENSE_TOKENS = 100
_NEW_WORDS = 2  # of a rewritten question
_SAME_TOPIC = 0.2  # cosine of a question to those before it, from which on they join its search


@dataclass(frozen=True, slots=True)
class Turn:
    """A question as it was asked, what was said before, and the sources that may answer: `documents`, or all."""

    question: str
    history: Sequence[Message] = ()
    documents: Collection[str] = ()
    exclude: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What the search and the evidence step know about one turn."""

    query: Query
    hits: tuple[Hit, ...]
    rankings: tuple[tuple[Evidence, ...], ...]  # the evidence for each part of the question
    features: Features
    told: bool  # whether evidence was left out, as more was asked for than what had been said

    @property
    def passages(self) -> tuple[Passage, ...]:
        return tuple(hit.passage for hit in self.hits)

    @property
    def confidence(self) -> float:
        return confidence(self.features) if any(self.rankings) else 0.0


class TurnFinder:
    """Understands turns and searches for what they ask. Safe between threads.

    With history, a capable LLM makes the question stand alone; otherwise earlier questions join it.
    """

    def __init__(
        self, store: Store, retriever: Retriever, finder: EvidenceFinder, writer: Writer | None, settings: Settings
    ) -> None:
        self._store = store
        self._retriever = retriever
        self._finder = finder
        self._writer = writer
        self._settings = settings
        self.prompt = load_prompt("condense", frozenset({"history", "question"}))

    def find(self, turn: Turn, report: StepReport = lambda step: None) -> Found:
        """Search; further candidates are what each part of the question finds alone, and the last answer's passages."""
        report("searching")
        question = conversation.without_pleasantries(turn.question)
        standalone = self._standalone(turn)
        asked = conversation.parts(question, standalone)
        make = cache(partial(self._retriever.query, documents=turn.documents))  # some are needed twice
        search = partial(self._retriever.search, documents=turn.documents, exclude=turn.exclude)
        with self._store.reading():  # one state of the index, whatever is written meanwhile
            query = make(standalone)
            parts = [query] if asked == [standalone] else [make(part).about(query) for part in asked]
            hits = self._hits(question, query, conversation.context(question, standalone, turn.history), make, search)
            further = [part for part in parts if part is not query]
            if standalone != question and (cited := conversation.last_answer(turn.history)):
                further.append(make(cited[: self._settings.question_chars]))
            for other in further:
                more = search(other, _MORE_CANDIDATES)
                known = {hit.passage.id for hit in hits}
                lowest = hits[-1].score if hits else 0.0
                hits += [replace(hit, score=lowest) for hit in more if hit.passage.id not in known]
            report("reading")
            every = [tuple(self._finder.find(part, hits)) for part in parts]
            vectors = self._store.vectors([hit.passage.id for hit in hits])
        rankings = every
        if conversation.asks_for_more(question):
            rankings = [tuple(e for e in ranking if not _said(e, turn.history)) for ranking in every]
        seen = [features(part, evidence, vectors) for part, evidence in zip(parts, rankings, strict=True)]
        return Found(query, tuple(hits), tuple(rankings), mean(seen), told=rankings != every)

    def _standalone(self, turn: Turn) -> str:
        question, history = turn.question, turn.history
        own = conversation.standalone(question, history)
        clear = conversation.asks_again(question) or conversation.asks_for_more(question)
        if not history or clear or not self._writer or not self._writer.capable:
            return own
        # Each in a line of its own: what was quoted from a document cannot begin another one's turn.
        told = "\n".join(f"{said['role']}: {' '.join(said['content'].split())}" for said in history[-6:])
        filled = self.prompt.fill(history=told, question=question)
        try:
            reply = "".join(self._writer.stream(self.prompt.system, filled, max_tokens=_CONDENSE_TOKENS))
        except LLMUnavailable:
            return own
        rewritten = " ".join(without_thinking(reply).split())
        # A rewrite that rambles or brings in something new is not what was asked: better our own way.
        fits = 0 < len(rewritten) <= min(self._settings.question_chars, 4 * len(question) + 200)
        faithful = fits and conversation.is_faithful(rewritten, question, history)
        return rewritten if faithful and self._may_be_new(conversation.new_words(rewritten, question, history)) else own

    def _may_be_new(self, new: Sequence[str]) -> bool:
        """Whether a rewrite may bring in these words: one or two that the documents know, to say what was left out."""
        return len(new) <= _NEW_WORDS and all(map(self._store.document_frequency(new).get, new))

    def _hits(
        self,
        question: str,
        query: Query,
        context: str,
        make: Callable[[str], Query],
        search: Callable[[Query, int], list[Hit]],
    ) -> list[Hit]:
        """The passages for one turn; while it is about the same, what was asked before joins the search by half."""
        k = self._settings.top_k
        if context:
            alone, before = make(question), make(context)
            if conversation.depends_on_history(question) or float(alone.vector @ before.vector) > _SAME_TOPIC:
                together = make(f"{context} {question}")
                return conversation.found_in_context(search(alone, CANDIDATES), search(together, CANDIDATES), k)
        return search(query, k)


def _said(evidence: Evidence, history: Sequence[Message]) -> bool:
    spans = (Span(evidence.start, evidence.end), *evidence.items)
    return any(conversation.already_said(cut(evidence.passage, span), history) for span in spans)
