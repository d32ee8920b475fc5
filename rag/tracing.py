"""OpenTelemetry's spans, of what telemetry.py tells. Of the extra 'otel': imported when the first span begins.

Where an application has set up OpenTelemetry, its provider gets them; else sending.py sends them off. Names are those
of the conventions for generative AI where there is one (open-telemetry/semantic-conventions-genai, as of 2026). The
texts of errors are left out: they may quote what was asked or read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextvars import Token
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import context, propagate, trace

from .kept import once
from .types import Fact

Headers = Callable[[], Mapping[str, str]]

_NAME = "rag-quoted"
_OPERATIONS = {"answer": "invoke_workflow", "retrieval": "retrieval", "embeddings": "embeddings", "chat": "chat"}
_ATTRIBUTES = {  # all other facts are rag.…
    "model": "gen_ai.request.model",
    "provider": "gen_ai.provider.name",
    "max_tokens": "gen_ai.request.max_tokens",
    "first_chunk": "gen_ai.response.time_to_first_chunk",  # seconds
    "top_k": "gen_ai.retrieval.top_k",
    "host": "server.address",
    "port": "server.port",
}


class Traces:
    """Makes a span of each piece of work. `headers` are those of the request that asks, if one does."""

    def __init__(self, tracer: trace.Tracer, text: bool, headers: Headers) -> None:
        self._tracer = tracer
        self._text = text
        self._headers = headers

    def begin(self, work: str, facts: Mapping[str, Fact], *, aside: bool) -> _Span:
        """The span of it: a child of the one under way here, else of the one that a request came with."""
        remote = None if trace.get_current_span().get_span_context().is_valid else self._headers()
        facts = {**facts, **_server(str(facts.get("host", "")))}
        span = self._tracer.start_span(
            _name(work, facts),
            propagate.extract(remote) if remote else None,
            kind=trace.SpanKind.CLIENT if facts.get("host") else trace.SpanKind.INTERNAL,
            attributes=_operation(work),
        )
        begun = _Span(span, None if aside else context.attach(trace.set_span_in_context(span)), self._text)
        begun.note(facts)
        return begun


class _Span:
    def __init__(self, span: trace.Span, token: Token[context.Context] | None, text: bool) -> None:
        self._span = span
        self._token = token
        self._text = text

    def note(self, facts: Mapping[str, Fact]) -> None:
        known = {name: fact for name, fact in facts.items() if fact != ""}
        self._span.set_attributes({_ATTRIBUTES.get(name, f"rag.{name}"): fact for name, fact in known.items()})

    def say(self, words: Mapping[str, Any]) -> None:
        if self._text:
            self._span.set_attributes(dict(_written(name, said) for name, said in words.items()))

    def end(self, error: str) -> None:
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()
        if self._token:
            context.detach(self._token)


def _name(work: str, facts: Mapping[str, Fact]) -> str:
    """As the conventions have it: the operation, and who does it."""
    operation, who = _OPERATIONS.get(work), _NAME if work == "answer" else facts.get("model")
    return f"{operation} {who}" if operation and who else work


def _operation(work: str) -> dict[str, str]:
    name = {"gen_ai.operation.name": _OPERATIONS[work]} if work in _OPERATIONS else {}
    return {**name, "gen_ai.agent.name": _NAME} if work == "answer" else name


def _server(host: str) -> dict[str, Fact]:
    at = urlsplit(f"//{host}")
    return {"host": at.hostname or "", "port": at.port or ""}


def _written(name: str, said: Any) -> tuple[str, str]:
    """The attribute for words, and these in the form that the conventions want."""
    if name == "system":
        return "gen_ai.system_instructions", _json([_part(said)])
    if name == "prompt":
        return "gen_ai.input.messages", _json([{"role": "user", "parts": [_part(said)]}])
    if name == "reply":
        message = {"role": "assistant", "parts": [_part(said)], "finish_reason": "stop"}
        return "gen_ai.output.messages", _json([message])
    if name == "query":
        return "gen_ai.retrieval.query.text", said
    if name == "hits":
        found = [{"id": str(h.passage.id), "score": h.score, "source": h.passage.source} for h in said]
        return "gen_ai.retrieval.documents", _json(found)
    return f"rag.{name}", said


def _part(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def traces(text: bool, headers: Headers) -> Traces:
    """What makes spans, with words in them when `text`. Raises ImportError where the SDK is needed and not there."""
    return Traces(_tracer(), text, headers)


@once
def _tracer() -> trace.Tracer:
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):  # nobody has set one
        from .sending import our_provider

        provider = our_provider(_NAME)
    return provider.get_tracer(_NAME, version("rag-quoted"))
