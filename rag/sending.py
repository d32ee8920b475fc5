"""Spans → an OTLP endpoint over HTTP: where it is, and all else, the SDK's own variables say (OTEL_…)."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Sequence
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

logger = logging.getLogger(__name__)

_LAST_SECONDS = 2.0  # that the end of a process waits for an endpoint that does not answer


class _Exporter(OTLPSpanExporter):
    """Says once, in the place of each time in a log that nobody sees, that nothing arrives."""

    def __init__(self) -> None:
        super().__init__()
        self._open = True
        self._complained = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        if result is SpanExportResult.FAILURE and not self._complained:
            logger.warning("traces do not arrive; check OTEL_EXPORTER_OTLP_ENDPOINT, or set traces to false")
        self._complained = result is SpanExportResult.FAILURE
        return result

    def shutdown(self) -> None:
        if self._open:
            self._open = False
            super().shutdown()  # type: ignore[no-untyped-call]


def our_provider(name: str) -> TracerProvider:
    """One that sends what is traced, until the process ends. It is not made everybody's."""
    resource = Resource.create({"service.version": version("rag-quoted")})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):  # OTEL_SERVICE_NAME says nothing
        resource = resource.merge(Resource({SERVICE_NAME: name}))
    exporter = _Exporter()
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))

    ending = threading.Event()

    def give_up() -> None:
        """What does not answer is tried again for ten seconds, unless the exporter is shut down meanwhile."""
        ending.wait()
        time.sleep(_LAST_SECONDS)
        exporter.shutdown()

    def end() -> None:
        ending.set()
        provider.shutdown()

    threading.Thread(target=give_up, name="last traces", daemon=True).start()  # now: at the end none can be started
    atexit.register(end)
    return provider
