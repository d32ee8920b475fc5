"""The values that flow through the chain: frozen, without behaviour that touches the outside.

Offsets are Python character offsets into `Document.text`, half-open: `text[start:end]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypedDict

UPLOADS_ROOT: Final = "uploads:"  # the root of documents that somebody sent; it is no path

Mode = Literal["written", "quoted", "refused", "smalltalk"]
SearchMode = Literal["hybrid", "dense", "keyword"]
Step = Literal["searching", "reading", "writing", "checking"]  # of the chain, as they come
StepReport = Callable[[Step], None]
Fact = str | int | float | bool  # about a piece of work, as metrics and traces hear of it


class Message(TypedDict):
    """One earlier turn of a conversation."""

    role: Literal["user", "assistant"]
    content: str


class Span(NamedTuple):
    """A half-open run of characters, `text[start:end]`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """One document as it was read. `(root, source)` is its key; `id` is 0 until it is stored.

    `text` is canonical: made once when the file is read, stored, never made again.
    `pages[i]` is the offset at which page `i + 1` starts; empty where the format has no pages.
    """

    root: str
    source: str
    title: str
    media_type: str
    sha256: str
    text: str
    pages: tuple[int, ...] = ()
    id: int = 0


class Listed(NamedTuple):
    """A stored document (its text left out) as a list shows it; `changed` is when it was stored: ISO, UTC, or ""."""

    document: Document
    characters: int
    passages: int
    changed: str


class LLMOutcome(NamedTuple):
    """How the last request to an LLM went: `at` (ISO, UTC) its first word was there after `seconds`, or why not."""

    at: str
    seconds: float = 0.0
    problem: str = ""


class LLMEndpoint(NamedTuple):
    """One of an LLM's addresses, without what is secret in it. `outcome`: of the last request to it, None before."""

    address: str
    outcome: LLMOutcome | None


class LocalModel(NamedTuple):
    """A model in this process. `place` is where its weights lie, "" for one that was handed in.

    `missing` says why it cannot be used, with the cure; "" when it can.
    """

    name: str
    dimension: int
    place: str = ""
    missing: str = ""


class Models(NamedTuple):
    """What an Assistant works with, for people to look at: nothing in it is secret."""

    embedder: LocalModel
    reader: LocalModel | None
    llm: str  # "none" when answers are quotes
    host: str  # of the LLM's endpoints; "" for one in this process
    outcome: LLMOutcome | None  # None before it was asked
    note: str  # why there is no LLM although one is set
    endpoints: tuple[LLMEndpoint, ...] = ()  # where it is asked; none for one in this process


@dataclass(frozen=True, slots=True)
class Chunk:
    """A cut of a document that has not been stored: where a passage starts and ends."""

    start: int
    end: int
    page: int | None = None
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stored chunk: `text == document.text[start:end]`. `id` is never used twice.

    `uploaded`: of a document that somebody sent, perhaps under the name of one of the folder's.
    """

    id: int
    document_id: int
    source: str
    title: str
    start: int
    end: int
    text: str
    page: int | None = None
    heading: str = ""
    uploaded: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found; higher scores are better, within one search only."""

    passage: Passage
    score: float


@dataclass(frozen=True, slots=True)
class Citation:
    """Marker `[n]` of an answer: `document.text[start:end] == quote`, inside `passage`."""

    marker: int
    passage: Passage
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """One shown sentence. `verified`: written by the LLM and checked; `quoted`: the document's words.

    `support` is the checker's score in 0..1; a quote supports itself and has 1.
    """

    text: str
    citations: tuple[int, ...]
    support: float
    status: Literal["verified", "quoted"]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A sentence of the LLM that was not shown, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What `ask()` returns; a refusal is an Answer too.

    `text` carries only `[n]`, one per citation; `short` is the words of it that answer by themselves,
    where the reader is fairly sure of them (it is right about half the time); `passages` is what the
    answer was made from; `nearest` is filled only when refused; `timings` are seconds per step; `notes`
    says in plain words what did not go as usual (no model weights, the LLM too slow).
    """

    question: str
    standalone_question: str
    text: str
    mode: Mode
    short: str | None = None
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    passages: tuple[Passage, ...] = ()
    refused: bool = False
    reason: str = ""
    nearest: tuple[Passage, ...] = ()
    confidence: float = 0.0
    model: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the command line, of REST and of the evaluation (docs/answer.schema.json)."""
        return {
            "question": self.question,
            "standalone_question": self.standalone_question,
            "text": self.text,
            "short": self.short,
            "mode": self.mode,
            "refused": self.refused,
            "reason": self.reason,
            "confidence": self.confidence,
            "model": self.model,
            "sentences": [
                {"text": s.text, "citations": list(s.citations), "support": s.support, "status": s.status}
                for s in self.sentences
            ],
            "citations": [
                {"marker": c.marker, "start": c.start, "end": c.end, "quote": c.quote, "passage": _passage(c.passage)}
                for c in self.citations
            ],
            "passages": [_passage(p) for p in self.passages],
            "nearest": [_passage(p) for p in self.nearest],
            "dropped": [{"text": d.text, "reason": d.reason} for d in self.dropped],
            "notes": list(self.notes),
            "timings": dict(self.timings),
        }


@dataclass(frozen=True, slots=True)
class Failure:
    """A file (or line of a collection) that could not be read; its older version stays indexed."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did, by `source`."""

    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the index is another one than before."""
        return bool(self.added or self.updated or self.removed)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `rag ingest --json`."""
        return {
            "added": list(self.added),
            "updated": list(self.updated),
            "unchanged": list(self.unchanged),
            "removed": list(self.removed),
            "failed": [{"source": f.source, "reason": f.reason} for f in self.failed],
        }


def _passage(p: Passage) -> dict[str, Any]:
    return {
        "id": p.id,
        "document_id": p.document_id,
        "source": p.source,
        "title": p.title,
        "start": p.start,
        "end": p.end,
        "text": p.text,
        "page": p.page,
        "heading": p.heading,
        "uploaded": p.uploaded,
    }
