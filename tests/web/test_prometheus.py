"""/metrics as Prometheus scrapes it, and the trace of whoever asks over HTTP."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from doubles import Double
from endpoint import Server as Endpoint
from endpoint import Speaking, eventually, serving
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed
from pydantic import SecretStr
from spans import ASK, ended, exporter

from rag.assistant import Assistant
from rag.errors import RagError
from rag.settings import Settings
from rag.types import Answer
from rag.web import Opening, serve
from rag.web.guard import Users
from rag.web.line import Line

WHO = "Where does the walrus Herbert live?"
TEXT = "The walrus Herbert lives in the harbour of Bergen.\n"
ACCEPTS = {"Accept": "application/json, text/event-stream"}

Samples = Mapping[tuple[str, ...], float]  # name, then each label's value


def scraped(url: str) -> Samples:
    answer = httpx.get(f"{url}metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = parsed(answer.text)
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def rise(url: str, do: Callable[[], object]) -> dict[tuple[str, ...], float]:
    """What a deed adds to which counters."""
    before = scraped(url)
    do()
    after = scraped(url)
    counts = [key for key in after if key[0].endswith(("_total", "_count", "_sum")) and key[0].startswith("rag_")]
    return {key: risen for key in counts if (risen := after[key] - before.get(key, 0.0))}


def asked(url: str, question: str = WHO, **headers: str) -> Any:
    body = {"messages": [{"role": "user", "content": question}]}
    return httpx.post(f"{url}v1/chat/completions", json=body, headers=headers, timeout=60).json()


def called(url: str, tool: str, headers: Mapping[str, str] | None = None, **arguments: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    return httpx.post(f"{url}mcp", json=body, headers={**ACCEPTS, **(headers or {})}, timeout=60).json()["result"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "docs").mkdir()
    (folder / "docs" / "walrus.txt").write_text(TEXT)
    return Settings(documents=folder / "docs", index_dir=folder / "index")


@contextmanager
def served(settings: Settings, **options: Any) -> Iterator[str]:
    with Assistant.open(settings) as assistant, serve(assistant, port=0, **options) as server:
        yield server.address


@pytest.fixture(scope="module")
def counted(settings: Settings) -> Iterator[str]:
    """A server with metrics, over one document when it opens."""
    with served(settings, metrics=True, mcp=True) as url:
        yield url


@pytest.fixture(scope="module")
def traced(settings: Settings) -> Iterator[str]:
    """A server with traces and no metrics."""
    exporter()
    with served(settings.model_copy(update={"traces": True}), mcp=True) as url:
        ended()
        yield url


# -- who sees it -------------------------------------------------------------------------------------------------------


def test_there_are_none_unless_they_are_asked_for(traced: str) -> None:
    assert httpx.get(f"{traced}metrics").status_code == 404


def test_they_are_behind_the_same_door_as_all_else(settings: Settings) -> None:
    with served(settings, metrics=True, users=Users(SecretStr("prometheus:scrape"))) as url:
        assert httpx.get(f"{url}metrics").status_code == 401
        assert httpx.get(f"{url}metrics", auth=("prometheus", "guess")).status_code == 401
        known = httpx.get(f"{url}metrics", auth=("prometheus", "scrape"))
        assert known.status_code == 200
        assert "rag_documents " in known.text
        assert "prometheus:" not in known.text


def test_without_the_extra_one_line_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(RagError) as caught:
        serve(Double(), port=0, metrics=True)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "Prometheus' client is not installed; run \"pip install 'rag-quoted[otel]'\", or leave out --metrics"
    )


# -- what they say -----------------------------------------------------------------------------------------------------


def test_answers_are_counted_by_mode_and_each_step_is_timed(counted: str) -> None:
    quoted = rise(counted, lambda: asked(counted))
    assert quoted[("rag_answers_total", "quoted")] == 1
    assert quoted[("rag_answer_duration_seconds_count", "quoted")] == 1
    assert quoted[("rag_line_wait_seconds_count",)] == 1
    steps = {key[1]: value for key, value in quoted.items() if key[0] == "rag_step_duration_seconds_sum"}
    assert set(steps) == {"searching", "reading"}
    assert 0 < sum(steps.values()) <= quoted[("rag_answer_duration_seconds_sum", "quoted")] + 0.001
    refused = rise(counted, lambda: called(counted, "ask", question=WHO, documents=["another.txt"]))
    assert refused[("rag_answers_total", "refused")] == 1
    smalltalk = rise(counted, lambda: asked(counted, "Hello"))
    assert smalltalk[("rag_answers_total", "smalltalk")] == 1
    assert not any(key[0].startswith("rag_step") for key in smalltalk)


def test_it_tells_what_is_in_the_index_and_of_the_process(counted: str) -> None:
    now = scraped(counted)
    facts = httpx.get(f"{counted}health").json()
    assert now[("rag_index_ready",)] == 1
    assert (now[("rag_documents",)], now[("rag_passages",)]) == (facts["documents"], facts["passages"])
    assert ("rag_answers_total", "written") in now  # from the start, so that its rise is seen
    assert any(key[0] == "rag_build_info" for key in now)
    if sys.platform == "linux":
        assert now[("process_resident_memory_bytes",)] > 1e6


def test_an_index_that_is_being_opened_is_not_ready() -> None:
    go_on = threading.Event()

    def opened(report: object) -> Assistant:
        assert go_on.wait(60)
        return Double()  # type: ignore[return-value]

    with Opening(opened) as opening, serve(opening, port=0, metrics=True) as server:
        now = scraped(server.address)
        assert now[("rag_index_ready",)] == 0
        assert ("rag_documents",) not in now
        go_on.set()
        opening.wait(60)
        assert scraped(server.address)[("rag_index_ready",)] == 1


def test_no_words_of_anybody_are_in_them(counted: str) -> None:
    asked(counted)
    called(counted, "ingest", name="secret-plans.txt", text="The narwhal Nils swims in Narvik.")
    called(counted, "ingest", name="broken.pdf", text="no such thing")
    text = httpx.get(f"{counted}metrics").text
    assert not re.search("walrus|herbert|secret|plans|narwhal|broken", text, re.IGNORECASE)
    labels = {name for family in parsed(text) for each in family.samples for name in each.labels}
    assert labels == {"mode", "reason", "step", "outcome", "result", "le", "version"}


def test_openmetrics_is_given_to_those_who_want_it(counted: str) -> None:
    answer = httpx.get(f"{counted}metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert "rag_answers" in {family.name for family in parsed_openmetrics(answer.text)}


def test_documents_that_are_sent_are_counted_by_what_became_of_them(counted: str) -> None:
    for text, became in (("The otter Olga swims.", "added"), ("The otter Olga sleeps.", "updated")):
        risen = rise(counted, lambda text=text: called(counted, "ingest", name="otter.txt", text=text))
        assert risen[("rag_ingested_documents_total", became)] == 1
        assert risen[("rag_ingests_total", "done")] == 1
    risen = rise(counted, lambda: called(counted, "ingest", name="otter.pdf", text="this is no PDF"))
    assert risen[("rag_ingested_documents_total", "failed")] == risen[("rag_ingests_total", "failed")] == 1


class Moody(Speaking):
    """Answers, refuses, or says one word and waits, as its server's mood is."""

    def reply(self, body: dict[str, Any]) -> None:
        mood = self.server.moods.pop(0)  # type: ignore[attr-defined]
        if mood == "broken":
            self.fail(500, f"no words for {WHO}")
            return
        self.begin()
        self.say("The walrus Herbert lives in the harbour of Bergen [1]. ")
        if mood == "slow":
            self.wait_for_the_client_to_leave()
        self.end()


def test_requests_to_the_llm_are_counted_by_how_they_went(settings: Settings) -> None:
    with serving(Endpoint(Moody)) as llm:
        llm.moods = ["good", "broken", "slow"]  # type: ignore[attr-defined]
        chosen = settings.model_copy(update={"llm": "moody", "llm_base_url": llm.url, "refuse_below": 0})
        with served(chosen, metrics=True) as url:
            good = rise(url, lambda: asked(url))
            assert good[("rag_llm_requests_total", "answered")] == good[("rag_answers_total", "written")] == 1
            assert good[("rag_llm_first_token_seconds_count",)] == 1
            assert good[("rag_llm_request_duration_seconds_count",)] == 1
            assert good[("rag_step_duration_seconds_count", "checking")] == 1
            broken = rise(url, lambda: asked(url))
            assert broken[("rag_llm_requests_total", "failed")] == broken[("rag_answers_total", "quoted")] == 1
            before = scraped(url)
            body = {"messages": [{"role": "user", "content": WHO}], "stream": True}
            with httpx.stream("POST", f"{url}v1/chat/completions", json=body) as answers:
                lines = answers.iter_lines()
                next(lines)
                assert eventually(lambda: len(llm.requests) == 3)
            left = ("rag_llm_requests_total", "left")
            assert eventually(lambda: scraped(url)[left] == before[left] + 1)
            nobody = ("rag_questions_unanswered_total", "left")
            assert eventually(lambda: scraped(url)[nobody] == before[nobody] + 1)


class Waits(Double):
    """Each question takes until it may go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def stream(self, question: str, **options: Any) -> Iterator[Answer]:
        assert self.go_on.wait(60)
        yield replace(Answer("q", "q", "One.", "smalltalk"))


def test_who_waits_in_line_and_who_is_turned_away(settings: Settings) -> None:
    waits = Waits()
    opening = Opening.of(waits)  # type: ignore[arg-type]
    opening.queue = Line(at_once=1, waiting=1)
    with serve(opening, port=0, metrics=True) as server, ThreadPoolExecutor(2) as pool:
        url = server.address
        both = [pool.submit(asked, url) for _ in range(2)]
        try:
            assert eventually(lambda: opening.queue.waiting == 1)
            now = scraped(url)
            assert now[("rag_line_working",)] == now[("rag_line_waiting",)] == 1
            assert rise(url, lambda: asked(url)) == {("rag_line_refused_total",): 1}
            call = f"{url}gradio_api/call/v2/ask"
            assert rise(url, lambda: httpx.post(call, json={"question": "q"})) == {("rag_line_refused_total",): 1}
        finally:
            waits.go_on.set()
        for each in both:
            each.result(60)
        after = scraped(url)
        assert after[("rag_line_wait_seconds_count",)] == 2
        assert after[("rag_line_wait_seconds_sum",)] > 0
        assert after[("rag_line_working",)] == after[("rag_line_waiting",)] == 0


# -- traces ------------------------------------------------------------------------------------------------------------


def by_v1(url: str, **headers: str) -> None:
    assert asked(url, **headers)["rag"]["mode"] == "quoted"


def by_rest(url: str, **headers: str) -> None:
    call = f"{url}gradio_api/call/v2/ask"
    event = httpx.post(call, json={"question": WHO}, headers=headers).json()["event_id"]
    assert "Bergen" in httpx.get(f"{url}gradio_api/call/ask/{event}", timeout=60).text


def by_mcp(url: str, **headers: str) -> None:
    assert "Bergen" in str(called(url, "ask", headers, question=WHO))


@pytest.mark.parametrize("door", [by_v1, by_rest, by_mcp])
def test_a_question_belongs_to_the_trace_that_its_request_names(traced: str, door: Callable[..., None]) -> None:
    ended()
    door(traced, traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01")
    assert eventually(lambda: any(span.name == ASK for span in exporter().get_finished_spans()))
    spans = ended()
    assert {span.instrumentation_scope.name for span in spans.all} == {"rag-quoted"}  # no paths, by FastAPI
    question = spans.one(ASK)
    assert question.context.trace_id == int("ab" * 16, 16)
    assert question.parent
    assert question.parent.span_id == int("cd" * 8, 16)
    door(traced)
    assert eventually(lambda: any(span.name == ASK for span in exporter().get_finished_spans()))
    assert ended().one(ASK).parent is None
