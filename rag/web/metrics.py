"""/metrics, in Prometheus' text format: what this process has answered, read and waited for. Of the extra 'otel'.

Labels are words of ours alone: no question, no name of a document, a model or a user. Imported when it is switched on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any, get_args

from fastapi import FastAPI, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from ..errors import DocumentUnreadable, RagError
from ..types import Fact, IngestReport, Mode, Step
from .opening import Opening

# Seconds: a search takes hundredths, a quoted answer tenths, a written one up to the deadline of a minute.
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)

_End = Callable[[Mapping[str, Any], float, str], None]  # facts, seconds, the error that ended it


class Metrics:
    """Counts what it is told of: it is what telemetry calls a Watcher, and what a Line calls a Watch."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._answers = self._counter("answers", "Complete answers.", "mode", get_args(Mode))
        self._unanswered = self._counter(
            "questions_unanswered", "Questions that broke, or whose asker left.", "reason", ("error", "left")
        )
        self._answer_seconds = self._histogram("answer_duration", "Of answers, without the line.", "mode")
        self._step_seconds = self._histogram("step_duration", "Of steps, in all of an answer.", "step")
        self._llm = self._counter("llm_requests", "Requests to the LLM.", "outcome", ("answered", "failed", "left"))
        self._llm_seconds = self._histogram("llm_request_duration", "What a request to the LLM took.")
        self._llm_first = self._histogram("llm_first_token", "What the first words of the LLM took.")
        self._ingests = self._counter("ingests", "Ingests, and files sent to be added.", "result", ("done", "failed"))
        self._ingested = self._counter(
            "ingested_documents", "What ingests did with documents.", "result", IngestReport().to_dict()
        )
        self._wait = self._histogram("line_wait", "What requests waited in line before they were begun.")
        self._refusals = Counter("rag_line_refused", "Requests that found the line full.", registry=self._registry)
        for step in get_args(Step):
            self._step_seconds.labels(step)
        Info("rag_build", "Which version this is.", registry=self._registry).info({"version": version("rag-quoted")})
        ProcessCollector(registry=self._registry)
        self._ends: Mapping[str, _End] = {"answer": self._answered, "chat": self._chatted, "ingest": self._ingest_ended}

    def begin(self, work: str, facts: Mapping[str, Fact], *, aside: bool) -> _Work:
        """Hear of a piece of work until it ends."""
        return _Work(self._ends.get(work, _unheard))

    def waited(self, seconds: float) -> None:
        """Somebody's turn came."""
        self._wait.observe(seconds)

    def refused(self) -> None:
        """Somebody found the line full."""
        self._refusals.inc()

    def add_to(self, app: FastAPI, opening: Opening) -> None:
        """Add GET /metrics to `app`, with what stands in the index and in the line of `opening`."""
        self._registry.register(_Now(opening))
        opening.queue.watch = self

        @app.get("/metrics")
        async def scraped(request: Request) -> Response:
            encode, kind = choose_encoder(request.headers.get("accept", ""))
            return Response(await asyncio.to_thread(encode, self._registry), headers={"content-type": kind})

    # -- what ended ------------------------------------------------------------------------------------------------

    def _answered(self, facts: Mapping[str, Any], seconds: float, error: str) -> None:
        if error or facts.get("left") or "mode" not in facts:
            self._unanswered.labels("error" if error else "left").inc()
            return
        self._answers.labels(facts["mode"]).inc()
        self._answer_seconds.labels(facts["mode"]).observe(seconds)
        for step in get_args(Step):
            if (spent := facts.get(f"seconds.{step}")) is not None:
                self._step_seconds.labels(step).observe(spent)

    def _chatted(self, facts: Mapping[str, Any], seconds: float, error: str) -> None:
        outcome = "left" if facts.get("left") else "failed" if error else "answered"
        self._llm.labels(outcome).inc()
        if outcome == "answered":
            self._llm_seconds.observe(seconds)
        if "first_chunk" in facts:
            self._llm_first.observe(facts["first_chunk"])

    def _ingest_ended(self, facts: Mapping[str, Any], seconds: float, error: str) -> None:
        self._ingests.labels("failed" if error else "done").inc()
        for result in IngestReport().to_dict():
            self._ingested.labels(result).inc(facts.get(result, 0))
        if error == DocumentUnreadable.__name__:
            self._ingested.labels("failed").inc()

    # -- making them -----------------------------------------------------------------------------------------------

    def _counter(self, name: str, meaning: str, label: str, values: Iterable[str]) -> Counter:
        made = Counter(f"rag_{name}", meaning, [label], registry=self._registry)
        for value in values:  # from the start: what was never there cannot be seen to rise
            made.labels(value)
        return made

    def _histogram(self, name: str, meaning: str, *labels: str) -> Histogram:
        return Histogram(f"rag_{name}_seconds", meaning, labels, registry=self._registry, buckets=_BUCKETS)


class _Work:
    """A piece of work, of which all facts are kept until it ends."""

    def __init__(self, when_it_ends: _End) -> None:
        self._when_it_ends = when_it_ends
        self._facts: dict[str, Fact] = {}
        self._began = time.perf_counter()

    def note(self, facts: Mapping[str, Fact]) -> None:
        self._facts.update(facts)

    def say(self, words: Mapping[str, Any]) -> None:
        """Words are not for counting."""

    def end(self, error: str) -> None:
        self._when_it_ends(self._facts, time.perf_counter() - self._began, error)


def _unheard(facts: Mapping[str, Any], seconds: float, error: str) -> None:
    """Nothing is counted of it."""


class _Now:
    """What is there at the moment of a scrape."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    def collect(self) -> Iterable[Metric]:
        line = self._opening.queue
        yield GaugeMetricFamily("rag_line_waiting", "Requests that wait in line.", line.waiting)
        yield GaugeMetricFamily("rag_line_working", "Requests at work.", line.at_work)
        try:
            documents, passages = self._opening.assistant.count()
        except RagError:  # it is being opened, or broken
            yield GaugeMetricFamily("rag_index_ready", "Whether the index can be asked.", 0)
            return
        yield GaugeMetricFamily("rag_index_ready", "Whether the index can be asked.", 1)
        yield GaugeMetricFamily("rag_documents", "Documents in the index.", documents)
        yield GaugeMetricFamily("rag_passages", "Passages in the index.", passages)
