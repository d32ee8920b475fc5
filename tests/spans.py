"""What the tests of traces share: this process has set up OpenTelemetry, as applications do, and keeps spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rag.kept import once

ASK = "invoke_workflow rag-quoted"


@once
def exporter() -> InMemorySpanExporter:
    """That of this process: a provider can be set once."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    return kept


class Spans(NamedTuple):
    """Those that have ended, in the order in which they began."""

    all: Sequence[ReadableSpan]

    def one(self, name: str) -> ReadableSpan:
        (span,) = [span for span in self.all if span.name == name]
        return span

    def tree(self, of: ReadableSpan | None = None) -> list[tuple[str, list]]:  # type: ignore[type-arg]
        """Names with those of what is inside; what came as parent from elsewhere counts as none."""
        return [(span.name, self.tree(span)) for span in self._inside(of)]

    def words(self) -> str:
        """All that they say."""
        return "\n".join(f"{s.name} {dict(facts(s))} {s.status.description} {s.events}" for s in self.all)

    def _inside(self, of: ReadableSpan | None) -> Iterator[ReadableSpan]:
        known = {span.context.span_id for span in self.all}
        for span in self.all:
            parent = span.parent.span_id if span.parent and span.parent.span_id in known else None
            if parent == (of.context.span_id if of else None):
                yield span


def facts(span: ReadableSpan) -> Mapping[str, object]:
    return span.attributes or {}


def ended() -> Spans:
    """Those that ended since it was asked before."""
    found = sorted(exporter().get_finished_spans(), key=lambda span: (span.start_time or 0, span.context.span_id))
    exporter().clear()
    return Spans(found)
