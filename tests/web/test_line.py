"""One line for the page, REST, /v1 and MCP: how many are at work, how many wait, and that who leaves holds no place."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from chromium import Page, Visit, ask, close_pages, enter
from doubles import Double
from endpoint import Endless, Server, serving
from gradio_client import Client
from gradio_client.exceptions import AppError
from hardness.doors import doors

from rag.assistant import Assistant
from rag.settings import Settings
from rag.types import Answer
from rag.web import Opening, serve
from rag.web.line import AT_ONCE, Busy, Line

BUSY = "too many questions are waiting; ask again in a moment"
DONE = Answer("q", "q", "One.", "smalltalk")


class Slow(Double):
    """Each question takes until it may go on."""

    model = "none"

    def __init__(self) -> None:
        self.at_work = 0
        self.most = 0
        self.go_on = threading.Event()
        self._lock = threading.Lock()

    def stream(self, question: str, **options: Any) -> Iterator[Answer]:
        with self._lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        try:
            yield replace(DONE, text="")
            assert self.go_on.wait(60)
            yield DONE
        finally:
            with self._lock:
                self.at_work -= 1


def until(holds: Callable[[], bool], seconds: float = 20) -> float:
    """How many seconds it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        time.sleep(0.01)
    return time.monotonic() - began


# -- the line itself ---------------------------------------------------------------------------------------------------


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_who_comes_and_leaves_piles_up_no_more_than_sixteen_threads() -> None:
    go_on, lock = threading.Event(), threading.Lock()
    at_work: list[str] = []

    def step() -> None:
        with lock:
            at_work.append(threading.current_thread().name)
        assert go_on.wait(60)

    async def main() -> None:
        line = Line()
        try:
            for came in range(1, 41):
                task = asyncio.ensure_future(line.run(step))
                while len(at_work) < min(came, 16):  # as far as there are threads, it is at work
                    await asyncio.sleep(0.001)
                await settled()
                task.cancel()  # its client has left; its step goes on
                with suppress(asyncio.CancelledError):
                    await task
            await asyncio.sleep(0.1)
            assert len(set(at_work)) == len(at_work) == 16
            assert line.free == AT_ONCE
        finally:
            go_on.set()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_few_are_at_work_and_the_others_follow_in_order() -> None:
    async def work(line: Line, number: int, came: list[int], go_on: asyncio.Event) -> None:
        async with line.place():
            came.append(number)
            await go_on.wait()

    async def main() -> None:
        line, came, go_on = Line(at_once=2, waiting=3), list[int](), asyncio.Event()
        line.check()
        tasks = [asyncio.ensure_future(work(line, number, came, go_on)) for number in range(5)]
        await settled()
        assert came == [0, 1]
        with pytest.raises(Busy, match=BUSY):
            line.check()
        with pytest.raises(Busy):
            await line.run(list)
        go_on.set()
        await asyncio.gather(*tasks)
        assert came == [0, 1, 2, 3, 4]
        line.check()

    asyncio.run(main())


def test_whoever_leaves_while_waiting_or_at_work_is_not_missed() -> None:
    async def main() -> None:
        line, never = Line(at_once=1, waiting=2), asyncio.Event()

        async def work() -> None:
            async with line.place():
                await never.wait()

        first, second, third = (asyncio.ensure_future(work()) for _ in range(3))
        await settled()
        second.cancel()
        await settled()
        line.check()
        first.cancel()
        await settled()
        third.cancel()  # it had just been given the place
        await asyncio.wait([first, second, third])
        assert await line.run(lambda: 7) == 7

    asyncio.run(main())


def test_whoever_leaves_as_their_turn_comes_passes_it_on() -> None:
    async def main() -> None:
        line = Line(at_once=1, waiting=2)
        holder = line.place()
        await holder.__aenter__()
        waiting = asyncio.ensure_future(line.run(list))
        await settled()
        await holder.__aexit__(None, None, None)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        assert await asyncio.wait_for(line.run(lambda: 7), 5) == 7

    asyncio.run(main())


def test_one_line_serves_several_loops() -> None:
    line, lock, at_work = Line(at_once=2, waiting=100), threading.Lock(), [0, 0]

    def work() -> None:
        with lock:
            at_work[0] += 1
            at_work[1] = max(at_work)
        time.sleep(0.002)
        with lock:
            at_work[0] -= 1

    async def several() -> None:
        await asyncio.gather(*(line.run(work) for _ in range(20)))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: asyncio.run(several()), range(3)))
    assert at_work == [0, 2]


# -- by every door -----------------------------------------------------------------------------------------------------

ASKED = {"messages": [{"role": "user", "content": "q"}]}
CALLED = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": {"question": "q"}}}


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.go_on.set()


@pytest.fixture
def opening(slow: Slow) -> Opening:
    """With room for two at work and two in line."""
    opening = Opening.of(slow)  # type: ignore[arg-type]
    opening.queue = Line(at_once=2, waiting=2)
    return opening


@pytest.fixture
def url(opening: Opening, slow: Slow) -> Iterator[str]:
    with serve(opening, port=0, mcp=True) as server:
        yield server.address
        slow.go_on.set()


def by_rest(url: str) -> Any:
    client = Client(url, verbose=False, analytics_enabled=False)
    try:
        return client.predict("q", api_name="/ask")["text"]
    except AppError as error:
        return str(error)
    finally:
        client.close()


def by_v1(url: str) -> Any:
    answer = httpx.post(f"{url}v1/chat/completions", json=ASKED, timeout=60)
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) > 0
        return answer.json()["error"]["message"]
    return answer.json()["choices"][0]["message"]["content"]


def by_v1_streaming(url: str) -> Any:
    with openai.OpenAI(base_url=f"{url}v1", api_key="x", max_retries=0) as gpt:
        try:
            chunks = gpt.chat.completions.create(model="x", messages=ASKED["messages"], stream=True)  # type: ignore[call-overload]
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        except openai.APIStatusError as error:
            return error.body["message"] if error.status_code == 503 else error  # type: ignore[index]


def by_mcp(url: str) -> Any:
    accepts = {"Accept": "application/json, text/event-stream"}
    result = httpx.post(f"{url}mcp", json=CALLED, headers=accepts, timeout=60).json()["result"]
    said = result["content"][0]["text"]
    return said.partition(": ")[2] if result["isError"] else json.loads(said)["text"]


DOORS = [by_rest, by_v1, by_v1_streaming, by_mcp]


def test_all_doors_lead_to_one_line(url: str, opening: Opening, slow: Slow) -> None:
    with ThreadPoolExecutor(len(DOORS)) as pool:
        first = [pool.submit(door, url) for door in DOORS]
        until(lambda: slow.at_work == 2 and opening.queue.waiting == 2)
        assert [door(url) for door in DOORS] == [BUSY] * len(DOORS)
        slow.go_on.set()
        assert [asked.result(60) for asked in first] == [DONE.text] * len(DOORS)
    assert slow.most == 2


def called(url: str, name: str, data: Any) -> Any:
    """What one of the page's own functions replies."""
    components = httpx.get(f"{url}config").json()["components"]
    (component,) = (each["id"] for each in components if name in (each["props"].get("server_fns") or ()))
    sent = {"session_hash": "s", "component_id": component, "fn_name": name, "data": data}
    return httpx.post(f"{url}gradio_api/component_server", json=sent, timeout=60).json()


def test_what_pages_do_beside_answers_holds_nobody_up(url: str, opening: Opening, slow: Slow) -> None:
    opening.aside = Line(at_once=1, waiting=0)
    slow.go_on.set()
    done = threading.Event()
    export = {"title": "t", "turns": [{"question": "q"}], "created": "", "format": "markdown"}
    events = httpx.get(f"{url}config").json()["dependencies"]
    (draw,) = (each for each in events if any(name == "conversation_draw" for _, name in each["targets"]))
    sent = {"fn_index": draw["id"], "data": [{"showing": "1", "turns": [], "only": [], "llm": ""}]}
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(asyncio.run, opening.aside.run(done.wait))
        until(lambda: opening.aside.free == 0)
        assert called(url, "conversation_export", export) == {"failed": BUSY}
        assert called(url, "document_list", "") == {"failed": BUSY}
        assert called(url, "judge", {}) == {"says": BUSY}
        drawn = httpx.post(f"{url}gradio_api/run/predict", json=sent, timeout=60)
        assert (drawn.status_code, drawn.json()["error"]) == (400, BUSY)
        assert by_v1(url) == DONE.text
        done.set()
        assert held.result(60)
    assert "q" in called(url, "conversation_export", export)["text"]


def test_to_add_a_document_takes_a_place_in_the_line(url: str, opening: Opening, slow: Slow) -> None:
    opening.queue = Line(at_once=1, waiting=0)
    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(asyncio.run, opening.queue.run(done.wait))
        until(lambda: opening.queue.free == 0)
        for name, data in (("document_add", {"name": "a.txt", "path": "a"}), ("document_remove", 1)):
            assert called(url, name, data) == {"failed": BUSY}
        done.set()
        assert held.result(60)


def test_more_calls_than_the_line_holds_are_refused_with_503(slow: Slow) -> None:
    with serve(slow, port=0) as server, httpx.Client(base_url=server.address) as client:  # type: ignore[arg-type]
        full = next(
            answer
            for _ in range(150)
            if (answer := client.post("/gradio_api/call/v2/ask", json={"question": "q"})).status_code != 200
        )
        assert full.status_code == 503
        assert full.json()["error"]["message"] == BUSY
        assert full.headers["retry-after"] == "2"
        slow.go_on.set()


# -- leaving -----------------------------------------------------------------------------------------------------------


def drop(url: str, path: str, body: dict[str, Any]) -> socket.socket:
    """A connection on which `body` was sent, to be dropped."""
    data = json.dumps(body).encode()
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port))
    head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
    head += f"Accept: application/json, text/event-stream\r\nContent-Length: {len(data)}\r\n\r\n"
    connection.sendall(head.encode() + data)
    return connection


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {**ASKED, "stream": True}),
        ("/v1/chat/completions", ASKED),
        ("/mcp", CALLED),
    ],
)
def test_who_leaves_frees_the_place_and_the_line(
    url: str, opening: Opening, slow: Slow, path: str, body: dict[str, Any]
) -> None:
    with ExitStack() as connected:
        for _ in range(4):
            connected.enter_context(drop(url, path, body))
        until(lambda: slow.at_work == 2 and opening.queue.waiting == 2)
    assert until(lambda: opening.queue.free == 2) < 2
    assert opening.queue.waiting == 0
    slow.go_on.set()
    assert by_v1(url) == DONE.text


def test_who_leaves_over_rest_frees_the_place(
    url: str, opening: Opening, slow: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    events = []
    for _ in range(3):
        started = httpx.post(f"{url}gradio_api/call/v2/ask", json={"question": "q"})
        events.append(started.json()["event_id"])
    until(lambda: slow.at_work == 2 and opening.queue.waiting == 1)
    with ExitStack() as listening:
        for event in events:
            answers = listening.enter_context(httpx.stream("GET", f"{url}gradio_api/call/ask/{event}"))
            assert answers.status_code == 200
    assert until(lambda: opening.queue.free == 2) < 2
    slow.go_on.set()
    assert by_rest(url) == DONE.text
    assert not caplog.records


def test_an_llm_is_not_asked_on_for_whoever_has_left(tmp_path: Path) -> None:
    """More leave than there are threads, each while an LLM speaks that would go on for a minute."""
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "walrus.txt").write_text("The walrus Herbert lives in the harbour of Bergen.\n")
    asked = {"messages": [{"role": "user", "content": "Where does the walrus Herbert live?"}]}
    with serving(Server(Endless)) as llm:
        settings = Settings(documents=documents, index_dir=tmp_path / "index", llm="endless", llm_base_url=llm.url)
        with Assistant.open(settings) as assistant, serve(assistant, port=0) as server:
            for count in range(1, 4 * AT_ONCE + 3):
                with drop(server.address, "/v1/chat/completions", asked):
                    until(lambda count=count: len(llm.requests) == count)
            outcome = assistant.models().outcome
            assert outcome is None or not outcome.problem  # it is not the LLM's fault


# -- the page ----------------------------------------------------------------------------------------------------------


def begin(page: Page) -> None:
    enter(page, "q")
    page.locator(".turn").wait_for()


def test_a_page_is_not_drawn_anew_while_nothing_happens(url: str, slow: Slow) -> None:
    """With many in line, drawing them several times a second left nothing for those at work."""

    async def drawn() -> int:
        async with doors(url) as open_doors:
            asking = asyncio.ensure_future(open_doors.some(0).ask("q"))
            await asyncio.sleep(2)
            slow.go_on.set()
            heard = await asking
        assert heard.answer
        assert heard.answer["text"] == DONE.text
        return heard.raw.count("process_generating")

    assert asyncio.run(drawn()) < 6


@pytest.mark.parametrize("leave", ["Stop", "New", "close"])
def test_the_page_is_a_door_too_and_who_leaves_frees_the_place(
    opening: Opening, slow: Slow, visit: Visit, leave: str
) -> None:
    opening.queue = Line(at_once=1, waiting=1)
    with serve(opening, ["?"], port=0) as server:
        url = server.address
        first, second, third = visit(url), visit(url), visit(url)
        begin(first)
        until(lambda: slow.at_work == 1)
        begin(second)
        until(lambda: opening.queue.waiting == 1)
        begin(third)
        third.locator(".turn .notice", has_text="Too many questions are waiting").wait_for()
        assert by_v1(url) == BUSY
        for page in (second, first):
            if leave == "close":
                page.close()
            else:
                page.get_by_role("button", name=leave, exact=True).click()
            assert until(lambda: opening.queue.waiting == 0) < 3
        assert until(lambda: opening.queue.free == 1) < 3
        slow.go_on.set()
        assert ask(third, "q").locator(".said").inner_text() == DONE.text
        close_pages()
