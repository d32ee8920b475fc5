"""Traces: a span for each question with one for each step, none with words in it unless that is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from scripted import Reply, ScriptedLLM
from spans import ASK, ended, exporter, facts

from rag.assistant import Assistant
from rag.doctor import variables
from rag.errors import RagError
from rag.settings import Settings
from rag.types import Answer

REPOSITORY = Path(__file__).parents[1]
NAME, TEXT = "wading-birds.txt", "The heron stands still in the shallow water. It eats small fish.\n"
QUESTION = "Where does the heron stand still?"
WRITTEN = ["The heron stands still in the shallow water [1]. ", "It eats small fish [1]. ", "It flies to Mars [1]."]
EMBED, CHAT = "embeddings all-MiniLM-L6-v2", "chat scripted"

Open = Callable[..., Assistant]


@pytest.fixture
def open_one(tmp_path: Path) -> Iterator[Open]:
    """Opens Assistants over one text, traced; what opening told of is forgotten."""
    exporter()
    opened: list[Assistant] = []
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / NAME).write_text(TEXT)

    def assistant(*replies: Reply, **options: Any) -> Assistant:
        folders = {"documents": tmp_path / "docs", "index_dir": tmp_path / "index"}
        settings = Settings(**{**folders, "traces": True, "refuse_below": 0, **options})
        opened.append(Assistant.open(settings, llm=ScriptedLLM(replies=list(replies)) if replies else None))
        ended()
        return opened[-1]

    yield assistant
    for each in opened:
        each.close()


# -- what is told ------------------------------------------------------------------------------------------------------


def test_a_question_is_a_span_with_one_inside_for_each_step(open_one: Open) -> None:
    answer = open_one(WRITTEN).ask(QUESTION)
    spans = ended()
    searching = [(EMBED, []), ("retrieval", [("dense search", []), ("keyword search", [])])]
    writing = [(CHAT, []), ("checking", []), ("checking", []), ("checking", [])]
    assert spans.tree() == [(ASK, [("searching", searching), ("reading", []), ("writing", writing)])]
    told = facts(spans.one(ASK))
    assert told["gen_ai.operation.name"] == "invoke_workflow"
    assert told["rag.mode"] == answer.mode == "written"
    assert told["rag.confidence"] == answer.confidence
    assert told["rag.sentences"] == len(answer.sentences) == 2
    assert told["rag.dropped"] == len(answer.dropped) == 1
    chat = facts(spans.one(CHAT))
    assert chat["gen_ai.request.model"] == "scripted"
    assert chat["rag.characters"] == len("".join(WRITTEN))
    assert 0 <= chat["gen_ai.response.time_to_first_chunk"] < 60  # type: ignore[operator]
    assert facts(spans.one("retrieval"))["gen_ai.retrieval.top_k"] == 8


def test_a_quoted_answer_and_small_talk_have_the_steps_that_they_take(open_one: Open) -> None:
    assistant = open_one()
    assistant.ask(QUESTION)
    ((_, steps),) = ended().tree()
    assert [name for name, _ in steps] == ["searching", "reading"]
    assistant.ask("hello")
    spans = ended()
    assert spans.tree() == [(ASK, [])]
    assert facts(spans.one(ASK))["rag.mode"] == "smalltalk"


def test_a_search_and_an_ingest_are_told_of(open_one: Open, tmp_path: Path) -> None:
    assistant = open_one()
    assistant.search("heron", mode="keyword")
    assert ended().tree() == [("search", [(EMBED, []), ("retrieval", [("keyword search", [])])])]
    (tmp_path / "more.txt").write_text("The owl hunts at night.\n")
    assistant.ingest([tmp_path / "more.txt"])
    spans = ended()
    assert spans.tree() == [("ingest", [(EMBED, []), ("storing", [])])]  # embedded in a thread of its own
    assert facts(spans.one("ingest"))["rag.added"] == facts(spans.one("storing"))["rag.passages"] == 1


def test_nothing_is_told_unless_it_is_asked_for(open_one: Open) -> None:
    open_one(traces=False).ask(QUESTION)
    assert ended().all == []


# -- words -------------------------------------------------------------------------------------------------------------


def test_no_words_of_documents_questions_or_answers_are_in_a_span(open_one: Open, tmp_path: Path) -> None:
    assistant = open_one(WRITTEN, ConnectionError(f"400: cannot read {TEXT!r}"))
    assistant.ask(QUESTION)
    assert assistant.ask(QUESTION).mode == "quoted"
    assistant.ingest([tmp_path / "docs"])
    said = ended().words()
    assert CHAT in said
    for words in ("heron", "Where does", "small fish", "wading", "Mars", str(tmp_path)):
        assert words not in said


def test_they_are_where_that_is_set(open_one: Open) -> None:
    answer = open_one(WRITTEN, trace_text=True).ask(QUESTION)
    spans = ended()
    question, chat, found = (facts(spans.one(name)) for name in (ASK, CHAT, "retrieval"))
    assert question["rag.question"] == QUESTION
    assert question["rag.answer"] == answer.text
    assert TEXT.strip() in str(chat["gen_ai.input.messages"])
    assert "It flies to Mars" in str(chat["gen_ai.output.messages"])
    assert found["gen_ai.retrieval.query.text"] == QUESTION
    assert NAME in str(found["gen_ai.retrieval.documents"])


# -- what does not go as usual -----------------------------------------------------------------------------------------


def test_who_leaves_half_way_ends_every_span_and_breaks_none(open_one: Open) -> None:
    answers = open_one(WRITTEN).stream(QUESTION)
    next(answers)
    assert ASK not in [span.name for span in ended().all]
    del answers  # as whoever forgets it does
    spans = ended()
    assert {ASK, "writing", CHAT} <= {span.name for span in spans.all}
    assert facts(spans.one(ASK))["rag.left"] is True
    assert all(span.status.is_unset for span in spans.all)


def test_an_answer_that_nobody_begins_to_read_is_no_question(open_one: Open) -> None:
    open_one().stream(QUESTION)
    assert ended().all == []


def test_an_llm_that_breaks_is_marked_and_the_question_is_not(open_one: Open) -> None:
    open_one(ConnectionError("gone")).ask(QUESTION)
    spans = ended()
    chat = spans.one(CHAT)
    assert not chat.status.is_ok
    assert not chat.status.is_unset
    assert facts(chat)["error.type"] == "LLMUnavailable"
    assert spans.one(ASK).status.is_unset


def test_a_question_that_breaks_is_marked_with_the_step_that_broke_it(open_one: Open) -> None:
    assistant = open_one()
    assistant.close()
    with pytest.raises(RagError) as caught:
        assistant.ask(QUESTION)
    spans = ended()
    for name in (ASK, "searching"):
        assert facts(spans.one(name))["error.type"] == caught.type.__name__


# -- threads, and traces of others -------------------------------------------------------------------------------------


def test_threads_that_take_turns_make_one_trace_and_keep_nothing_of_it(open_one: Open) -> None:
    answers = open_one(WRITTEN).stream(QUESTION)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:

        def taken() -> Answer | None:
            answer = next(answers, None)
            assert not trace.get_current_span().get_span_context().is_valid
            return answer

        turns = 0
        while (one, other)[turns % 2].submit(taken).result():
            turns += 1
    assert turns > 2
    ((name, steps),) = ended().tree()
    assert (name, [step for step, _ in steps]) == (ASK, ["searching", "reading", "writing"])


def test_questions_side_by_side_do_not_mix(open_one: Open) -> None:
    assistant = open_one()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(assistant.ask, [QUESTION] * 8))
    trees = ended().tree()
    assert len(trees) == 8
    assert all([step for step, _ in steps] == ["searching", "reading"] for _, steps in trees)


def test_a_question_is_part_of_what_an_application_is_at(open_one: Open) -> None:
    assistant = open_one()
    with trace.get_tracer("an application").start_as_current_span("its work"):
        assistant.ask(QUESTION)
    ((name, inside),) = ended().tree()
    assert (name, [question for question, _ in inside]) == ("its work", [ASK])


# -- where nobody has set up OpenTelemetry -----------------------------------------------------------------------------


class Collector(ThreadingHTTPServer):
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Collecting)
        self.requests: list[tuple[str, str | None, ExportTraceServiceRequest]] = []


class _Collecting(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sent = ExportTraceServiceRequest.FromString(body)
        self.server.requests.append((self.path, self.headers["x-team"], sent))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def rag(folder: Path, *arguments: str, start: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """The command line, after `start` was run."""
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / NAME).write_text(TEXT)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAG_", "OTEL_", "COV_"))}
    command = f"import sys; {start or 'pass'}; sys.argv[1:] = {list(arguments)!r}; from rag.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", command],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(REPOSITORY), "RAG_DOCUMENTS": "docs", "RAG_TRACES": "1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_line_sends_its_traces_where_the_sdk_s_variables_say(collector: Collector, tmp_path: Path) -> None:
    at = f"http://127.0.0.1:{collector.server_port}"
    team = {
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=birds",
        "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=birds",
    }
    done = rag(tmp_path, "ask", QUESTION, OTEL_EXPORTER_OTLP_ENDPOINT=at, **team)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    names = set()
    for path, header, request in collector.requests:
        assert (path, header) == ("/v1/traces", "birds")
        for each in request.resource_spans:
            resource = {fact.key: fact.value.string_value for fact in each.resource.attributes}
            assert resource["service.name"] == "rag-quoted"
            assert resource["service.namespace"] == "birds"
            names |= {span.name for scope in each.scope_spans for span in scope.spans}
        assert b"heron" not in request.SerializeToString()
    assert {ASK, "searching", "reading", "ingest"} <= names


def test_where_nobody_takes_them_it_says_so_once_and_answers_and_ends(tmp_path: Path) -> None:
    began = time.monotonic()
    done = rag(tmp_path, "ask", QUESTION, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 0
    assert "shallow water" in done.stdout
    (line,) = done.stderr.splitlines()
    assert "traces do not arrive; check OTEL_EXPORTER_OTLP_ENDPOINT" in line
    assert time.monotonic() - began < 60


OPENTELEMETRY = "OpenTelemetry is not installed; run \"pip install 'rag-quoted[otel]'\", or set traces to false"
CLIENT = "Prometheus' client is not installed; run \"pip install 'rag-quoted[otel]'\", or leave out --metrics"


@pytest.mark.parametrize(
    ("missing", "traces", "arguments", "told"),
    [
        ("opentelemetry", "1", ("ask", QUESTION), OPENTELEMETRY),
        ("opentelemetry.sdk", "1", ("serve", "--port", "0"), OPENTELEMETRY),  # the rest comes with others
        ("prometheus_client", "0", ("serve", "--port", "0", "--metrics"), CLIENT),
    ],
)
def test_without_the_extra_one_line_names_it_before_anything_is_begun(
    tmp_path: Path, missing: str, traces: str, arguments: tuple[str, ...], told: str
) -> None:
    begun = {"RAG_TRACES": traces, "RAG_LLM": "embedded", "RAG_CACHE_DIR": "cache"}  # there is a model to fetch
    done = rag(tmp_path, *arguments, start=f"sys.modules['{missing}'] = None", **begun)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", f"rag: {told}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs"]


def test_doctor_names_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rag.tracing", None)
    with pytest.raises(RagError, match="OpenTelemetry is not installed"):
        variables(Settings(traces=True))


def test_a_package_that_is_there_and_broken_is_not_called_missing(tmp_path: Path) -> None:
    exporter = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    done = rag(tmp_path, "ask", QUESTION, start=f"sys.modules[{exporter!r}] = sys")
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (3, "")
    assert line.startswith("rag: OpenTelemetry cannot be loaded (cannot import name 'OTLPSpanExporter' from ")
    assert line.endswith("; run \"pip install 'rag-quoted[otel]'\", or set traces to false")


def test_an_address_is_no_answer_to_whether_there_are_traces(tmp_path: Path) -> None:
    done = rag(tmp_path, "config", RAG_TRACES="http://127.0.0.1:9")
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (3, "")
    assert "true or false (OTEL_EXPORTER_OTLP_ENDPOINT says where they go); correct the keyword, RAG_TRACES" in line
