"""What is being done, told to whoever watches: nobody, unless metrics or traces are switched on.

A question, a search or an ingest begins with its settings, which say who watches; its steps are told where they happen
and do not know it: the watchers travel in a context variable. What they hear are counts, names of models and times;
words of documents and of people go by `say` alone, which a watcher may leave out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from contextvars import Context, ContextVar, copy_context
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from .errors import RagError
from .settings import Settings
from .types import Answer, Fact, IngestReport, Step, StepReport

Answers = Callable[[StepReport], Generator[Answer, None, None]]
P = ParamSpec("P")
S = TypeVar("S", bound="_HasSettings")


class Watched(Protocol):
    """A piece of work that has begun."""

    def note(self, facts: Mapping[str, Fact]) -> None:
        """Facts about it: of documents and people, numbers alone."""

    def say(self, words: Mapping[str, Any]) -> None:
        """What was asked, read or written."""

    def end(self, error: str) -> None:
        """It is over; `error` is the name of the class that broke it, "" for none."""


class Watcher(Protocol):
    """Hears of every piece of work in which it is told. Must be safe between threads."""

    def begin(self, work: str, facts: Mapping[str, Fact], *, aside: bool) -> Watched:
        """What begins until this one ends is part of it, unless it is done `aside`, between pieces of other work."""


_watching: ContextVar[tuple[Watcher, ...]] = ContextVar("watching", default=())
_carried: ContextVar[Mapping[str, str]] = ContextVar("carried", default={})  # noqa: B039 - nobody changes it
_listening: list[Watcher] = []


def listen(watcher: Watcher) -> None:
    """Let `watcher` hear of all that begins in this process from now on."""
    _listening.append(watcher)


def leave(watcher: Watcher) -> None:
    """Undo `listen`."""
    _listening.remove(watcher)


def carry(headers: Mapping[str, str]) -> None:
    """What is asked from here on, in this task or thread, was asked by a request with these headers (W3C's)."""
    _carried.set({name: headers[name] for name in ("traceparent", "tracestate") if name in headers})


class Telling:
    """One piece of work, told to those who watch here.

    >>> with step("dense search", candidates=50) as told:
    ...     told.note(results=len(found))
    """

    def __init__(self, work: str, facts: Mapping[str, Fact], *, aside: bool = False) -> None:
        self.work = work
        self._heard = [watcher.begin(work, facts, aside=aside) for watcher in _watching.get()]

    def note(self, **facts: Fact) -> None:
        """Facts about it."""
        for heard in self._heard:
            heard.note(facts)

    def say(self, **words: Any) -> None:
        """What was asked, read or written."""
        for heard in self._heard:
            heard.say(words)

    def end(self, error: BaseException | None = None) -> None:
        """It is over. Who stops listening breaks nothing."""
        name = "" if error is None or isinstance(error, GeneratorExit) else _kind(error)
        for heard in reversed(self._heard):
            heard.end(name)

    def __enter__(self) -> Telling:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.end(error)


def _kind(error: BaseException) -> str:
    """The name of its class, or of the error of `rag.errors` that it is one of."""
    kinds = type(error).__mro__
    return next((kind.__name__ for kind in kinds if kind.__module__ == "rag.errors"), kinds[0].__name__)


def step(work: str, **facts: Fact) -> Telling:
    """Tell of a part of what is under way; nobody hears of what is part of nothing."""
    return Telling(work, facts)


@contextmanager
def whole(work: str, settings: Settings) -> Iterator[Telling]:
    """Tell of something that somebody asked for, to those who watch under `settings`."""
    before = _watching.set(_watchers(settings))
    try:
        with step(work) as told:
            yield told
    finally:
        _watching.reset(before)


def check_traces(settings: Settings) -> None:
    """Raises RagError when traces are wanted whose extra is not installed."""
    _watchers(settings)


def _watchers(settings: Settings) -> tuple[Watcher, ...]:
    if not settings.traces:
        return tuple(_listening)
    try:
        from .tracing import traces  # an extra, and half a second

        return (*_listening, traces(settings.trace_text, _carried.get))
    except ImportError as error:
        what = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be loaded ({error})"
        raise RagError(
            f"OpenTelemetry {what}; run \"pip install 'rag-quoted[otel]'\", or set traces to false"
        ) from error


# -- questions ---------------------------------------------------------------------------------------------------------


def answering(question: str, answers: Answers, report: StepReport, settings: Settings) -> Iterator[Answer]:
    """The same answers, told of with their steps, of which `report` hears as before."""
    watchers = _watchers(settings)
    if not watchers:
        return answers(report)
    # Each answer may be asked for in another thread, where nothing must be left: they have a context of their own, a
    # copy of the caller's, so that they are part of what is under way there.
    context = copy_context()
    context.run(_watching.set, watchers)
    return _answering(question, answers, report, context)


def _answering(question: str, answers: Answers, report: StepReport, context: Context) -> Iterator[Answer]:
    told = context.run(_Question, question, report)
    coming = answers(told.report)
    ending: BaseException | None = None
    try:
        while (answer := context.run(next, coming, None)) is not None:
            told.answer = answer
            yield answer
    except BaseException as error:
        ending = error
        raise
    finally:
        context.run(coming.close)
        context.run(told.end, ending)


class _Question:
    """One question. "checking" is a part of "writing"; all other steps come one after the other."""

    def __init__(self, question: str, report: StepReport) -> None:
        self.answer: Answer | None = None
        self._report = report
        self._told = step("answer")
        self._told.say(question=question)
        self._open: list[Telling] = []
        self._spent: dict[str, float] = {}  # seconds, of writing without what was checked meanwhile
        self._since = time.perf_counter()

    def report(self, now: Step) -> None:
        self._count()
        while self._open and self._open[-1].work != now and (self._open[-1].work, now) != ("writing", "checking"):
            self._open.pop().end()
        if not self._open or self._open[-1].work != now:
            self._open.append(step(now))
        self._report(now)

    def end(self, error: BaseException | None) -> None:
        self._count()
        while self._open:
            self._open.pop().end(error)
        if isinstance(error, GeneratorExit):
            self._told.note(left=True)
        if self.answer:
            self._told.note(**_facts(self.answer))
            self._told.say(asked_as=self.answer.standalone_question, answer=self.answer.text)
        self._told.note(**{f"seconds.{name}": round(spent, 4) for name, spent in self._spent.items()})
        self._told.end(error)

    def _count(self) -> None:
        now = time.perf_counter()
        if self._open:
            work = self._open[-1].work
            self._spent[work] = self._spent.get(work, 0.0) + now - self._since
        self._since = now


def _facts(answer: Answer) -> dict[str, Fact]:
    return {
        "mode": answer.mode,
        "refused": answer.refused,
        "confidence": answer.confidence,
        "answered_by": answer.model,
        "sentences": len(answer.sentences),
        "citations": len(answer.citations),
        "dropped": len(answer.dropped),
        "passages": len(answer.passages),
    }


# -- the LLM -----------------------------------------------------------------------------------------------------------


def chatting(
    pieces: Generator[str, None, None], system: str, user: str, *, unheard: type[Exception], **facts: Fact
) -> Generator[str, None, None]:
    """The same pieces of an LLM's reply, told of. `unheard` is raised when nobody waits for them: no fault of its."""
    if not _watching.get():
        return pieces
    return _chatting(pieces, system, user, unheard, facts)


def _chatting(
    pieces: Generator[str, None, None], system: str, user: str, unheard: type[Exception], facts: Mapping[str, Fact]
) -> Generator[str, None, None]:
    told = Telling("chat", facts, aside=True)  # it goes on while what came of it is checked
    said: list[str] = []
    told.say(system=system, prompt=user)
    began = time.perf_counter()
    ending: BaseException | None = None
    try:
        with closing(pieces):
            for piece in pieces:
                if not said:
                    told.note(first_chunk=time.perf_counter() - began)
                said.append(piece)
                yield piece
    except unheard:
        told.note(left=True)
        raise
    except BaseException as error:
        ending = error
        raise
    finally:
        told.note(characters=sum(map(len, said)))
        told.say(reply="".join(said))
        told.end(ending)


# -- ingestion ---------------------------------------------------------------------------------------------------------


class _HasSettings(Protocol):
    _settings: Settings


def ingesting(run: Callable[Concatenate[S, P], IngestReport]) -> Callable[Concatenate[S, P], IngestReport]:
    """The same ingest, told of with what became of how many documents."""

    @wraps(run)
    def told(self: S, /, *arguments: P.args, **named: P.kwargs) -> IngestReport:
        with whole("ingest", self._settings) as ingest:
            report = run(self, *arguments, **named)
            ingest.note(**{what: len(documents) for what, documents in report.to_dict().items()})
            return report

    return told
