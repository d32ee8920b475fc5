"""Where drafts come from: templates over the documents' sentences, or a language model that is shown passages."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import rag
from rag.prompts import Prompt, parse_prompt
from rag.sentences import sentences
from rag.templates import proposals
from rag.types import Span

from .chat import Chat, as_data, json_object
from .drafts import Draft
from .metrics import normalise
from .near import may_be_answered, names_after, near_misses

_Name = tuple[str, str]  # with the preposition before it
_NEAR_EVERY = 4  # one draft of so many is a question that nothing answers
_PASSAGE = 1200  # characters shown to a model, and on to the end of the sentence
_NAMES_FROM = 30  # documents whose names may take another's place


@dataclass(frozen=True, slots=True)
class Library:
    """The documents, by source."""

    titles: Mapping[str, str]
    text: Callable[[str], str]


def library(assistant: rag.Assistant) -> Library:
    """What an Assistant has read."""
    found = {document.source: document for document in assistant.documents()}
    titles = {source: document.title for source, document in found.items()}
    return Library(titles, lambda source: assistant.document(found[source].id).text)


@cache
def prompt() -> Prompt:
    """What a model is asked for."""
    text = Path(__file__).with_name("draft.md").read_text(encoding="utf-8")
    return parse_prompt("draft", text, frozenset({"data"}))


# -- templates ---------------------------------------------------------------------------------------------------------


def by_templates(documents: Library, seed: int) -> Iterator[Draft]:
    """Drafts from sentences of all documents in turn, in an order drawn by the seed, until there are no more."""
    flat = [" ".join(documents.text(source).split()) for source in documents.titles]
    common = frozenset(word for text in flat for word in re.findall(r"\b[a-z]{2,}\b", text))
    dice = random.Random(seed)
    far = _names(documents, dice.sample(sorted(documents.titles), min(_NAMES_FROM, len(documents.titles))))
    facts = misses = 0
    for source, span in _spread(documents, sentences, seed):
        text = documents.text(source)
        quote = text[slice(*span)]
        asked = next((p for p in proposals(quote, common) if _holds(quote, p.answer)), None)
        if asked is None:
            continue
        yield Draft("fact", asked.question, ((asked.answer,),), source, quote, span.start)
        facts += 1
        if facts >= (_NEAR_EVERY - 1) * (misses + 1):  # not each has one: some are made up for later
            close = _names(documents, [source])
            if near := _near_miss(asked.question, (close, far), flat, seed):
                misses += 1
                yield Draft("unanswerable-near", near, (), source, quote, span.start)


def _near_miss(question: str, pools: Iterable[Iterable[_Name]], flat: Iterable[str], seed: int) -> str | None:
    """The question about another name or year, if nothing in the documents seems to answer that."""
    for names in pools:
        for changed, new in near_misses(question, names, seed):
            if not may_be_answered(changed, new, flat):
                return changed
    return None


def _names(documents: Library, sources: Iterable[str]) -> frozenset[_Name]:
    texts = map(documents.text, sources)
    return frozenset(name for text in texts for span in sentences(text) for name in names_after(text[slice(*span)]))


# -- a model -----------------------------------------------------------------------------------------------------------


def by_model(documents: Library, chat: Chat, seed: int) -> Iterator[Draft | None]:
    """Drafts that a model wrote from passages of all documents in turn; None for each reply that does not hold.

    Raises ChatError when the model gives no reply.
    """
    for number, (source, span) in enumerate(_spread(documents, _passages, seed), start=1):
        text = documents.text(source)
        data = as_data(title=documents.titles[source], passage=text[slice(*span)])
        said = json_object(chat.reply(prompt().system, prompt().fill(data=data))) or {}
        fact = _fact(said, source, text)
        yield fact
        near = said.get("unanswerable")
        if fact and number % (_NEAR_EVERY - 1) == 0 and isinstance(near, str) and near.strip():
            yield Draft("unanswerable-near", " ".join(near.split()), (), source, fact.quote, fact.start)


def _fact(said: Mapping[str, object], source: str, text: str) -> Draft | None:
    """What the model said, if its quote stands in the document exactly once and holds the answer."""
    question, answer, quote = (said.get(name) for name in ("question", "answer", "quote"))
    if not (isinstance(question, str) and isinstance(answer, str) and isinstance(quote, str)) or not quote.strip():
        return None
    # The document's own line breaks are the document's; a model writes blanks for them.
    found = list(re.finditer(r"\s+".join(map(re.escape, quote.split())), text))
    if len(found) != 1 or not question.strip() or not _holds(quote, answer):
        return None
    return Draft("fact", " ".join(question.split()), ((answer.strip(),),), source, found[0][0], found[0].start())


def _holds(quote: str, answer: str) -> bool:
    """Whether the answer's words stand in the quote, as answers are compared."""
    return bool(normalise(answer)) and f" {normalise(answer)} " in f" {normalise(quote)} "


# -- places ------------------------------------------------------------------------------------------------------------


def _spread(documents: Library, cut: Callable[[str], list[Span]], seed: int) -> Iterator[tuple[str, Span]]:
    """One cut of each document in turn, then a second of each, … documents and cuts shuffled by the seed."""
    sources = sorted(documents.titles)
    random.Random(seed).shuffle(sources)
    turns = [(source, _shuffled(documents, cut, source, seed)) for source in sources]
    while turns:
        going = []
        for source, cuts in turns:
            if span := next(cuts, None):
                going.append((source, cuts))
                yield source, span
        turns = going


def _shuffled(documents: Library, cut: Callable[[str], list[Span]], source: str, seed: int) -> Iterator[Span]:
    spans = cut(documents.text(source))
    random.Random(f"{seed} {source}").shuffle(spans)
    yield from spans


def _passages(text: str) -> list[Span]:
    """Runs of whole sentences, side by side."""
    runs: list[Span] = []
    for span in sentences(text):
        if runs and span.start - runs[-1].start < _PASSAGE:
            runs[-1] = Span(runs[-1].start, span.end)
        else:
            runs.append(span)
    return runs
