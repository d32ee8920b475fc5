"""The Model panel in a real browser: what is at work, the test, quotes only, another endpoint, where the key goes."""

from __future__ import annotations

import json
import logging
import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from chromium import OPENED, Page, Visit, ask, close_pages, contrast, served
from endpoint import Asked, Server, serving
from pydantic import SecretStr

from rag.assistant import Assistant
from rag.errors import RagError
from rag.settings import Settings
from rag.types import LocalModel, Models
from rag.web import Opening, serve
from rag.web.guard import Guard, Users
from rag.web.models import Bench, Closed, FieldWrong

HERON = "What is the heron of the pond called?"
WRITTEN = "The heron of the pond is called Edda [1]."
KEY = "sk-canary-5f1c"
NOWHERE = "http://127.0.0.1:9/v1"


class Handler(Asked):
    def reply(self, body: dict[str, Any]) -> None:
        assert isinstance(self.server, Endpoint)
        self.server.may_answer.wait(30)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        choice = {"index": 0, "delta": {"content": WRITTEN}}
        with suppress(ConnectionError):  # who asks for one word leaves after it
            self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\ndata: [DONE]\n\n".encode())


class Endpoint(Server):
    def __init__(self) -> None:
        super().__init__(Handler)
        self.may_answer = threading.Event()
        self.may_answer.set()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(Endpoint()) as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "heron.txt").write_text("The heron of the pond is called Edda.\n")
    return Settings(documents=tmp_path / "heron.txt", index_dir=tmp_path / "index", llm="none", refuse_below=0)


@pytest.fixture
def assistant(settings: Settings) -> Iterator[Assistant]:
    with Assistant.open(settings) as assistant:
        yield assistant


@pytest.fixture
def written_url(settings: Settings, endpoint: Endpoint) -> Iterator[str]:
    """A page whose server has an LLM."""
    wanted = settings.model_copy(update={"llm": "of-the-server", "llm_base_url": endpoint.url})
    with Assistant.open(wanted) as assistant, served(assistant) as url:
        yield url


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> bytearray:
    """All that the server sends, streams of events too, which the browser lets nobody read again."""
    kept, serve = bytearray(), Guard.__call__

    async def keeping(guard: Guard, scope: Any, receive: Any, send: Any) -> None:
        async def keep(event: Any) -> None:
            kept.extend(str(event.get("headers", "")).encode() + event.get("body", b""))
            await send(event)

        plain = [pair for pair in scope.get("headers", []) if pair[0] != b"accept-encoding"]
        await serve(guard, {**scope, "headers": plain}, receive, keep)

    monkeypatch.setattr(Guard, "__call__", keeping)
    return kept


def open_panel(page: Page) -> Page:
    page.get_by_role("button", name="Model", exact=True).click()
    panel = page.get_by_role("dialog", name="Model")
    panel.locator(".local dd").first.wait_for()
    return panel


def close_panel(page: Page) -> None:
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")


def use_endpoint(panel: Page, address: str, model: str, key: str = "") -> None:
    panel.get_by_role("radio", name="by another").check()
    panel.get_by_label("Address").fill(address)
    panel.get_by_label("Name of the model").fill(model)
    panel.get_by_label("Key").fill(key)
    panel.get_by_role("button", name="Use this").click()


def test_the_models_are_named_and_the_llm_is_tested(written_url: str, visit: Visit, endpoint: Endpoint) -> None:
    page = visit(written_url)
    panel = open_panel(page)
    shown = panel.inner_text()
    assert f"of-the-server, every sentence checked\nat 127.0.0.1:{endpoint.server_port}" in shown
    assert "all-MiniLM-L6-v2, 384 dimensions\nweights in /" in shown
    assert "Reader\npoints at the answer in the first passages\nweights in /" in shown
    assert "Last asked\nNot asked yet" in shown
    endpoint.may_answer.clear()
    test = panel.get_by_role("button", name="Test")
    test.click()
    panel.get_by_text("It is being asked…").wait_for()
    test.press("Enter")
    close_panel(page)  # nothing waits for it
    assert page.get_by_label("Your question").is_editable()
    open_panel(page)
    endpoint.may_answer.set()
    panel.get_by_text("It answers.").wait_for()
    assert panel.locator(".llm").inner_text().count("Answered in ") == 1
    assert len(endpoint.requests) == 1
    assert endpoint.requests[0]["max_tokens"] == 1


def test_quotes_only_holds_for_this_page_alone(written_url: str, visit: Visit) -> None:
    one, two = visit(written_url), visit(written_url)
    assert "Written by of-the-server" in ask(one, HERON).inner_text()
    panel = open_panel(one)
    assert "Answered in 0." in panel.locator(".llm").inner_text()  # a real answer counts, too
    panel.get_by_role("radio", name="quotes only").check()
    panel.get_by_role("button", name="Use this").click()
    panel.get_by_text("From now on answers are quotes.").wait_for()
    assert panel.get_by_role("button", name="Test").is_hidden()
    close_panel(one)
    one.get_by_text("1 document · answers are quotes").wait_for()
    assert "Quoted from your documents" in ask(one, HERON).inner_text()
    assert "Written by of-the-server" in ask(two, HERON).inner_text()
    panel = open_panel(one)
    assert panel.get_by_role("radio", name="quotes only").is_checked()
    panel.get_by_role("radio", name="as this server is set").check()
    panel.get_by_role("button", name="Use this").click()
    panel.get_by_text("From now on answers are by of-the-server at").wait_for()
    close_panel(one)
    assert "Written by of-the-server" in ask(one, HERON).inner_text()


def test_another_endpoint_answers_and_its_key_stays_on_the_server(
    url: str,
    sent: bytearray,
    visit: Visit,
    endpoint: Endpoint,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    page = visit(url)
    panel = open_panel(page)
    use_endpoint(panel, endpoint.url, "mine", KEY)
    panel.get_by_text(f"From now on answers are by mine at 127.0.0.1:{endpoint.server_port}.").wait_for()
    assert panel.get_by_label("Key").input_value() == ""
    assert "A key is set." in panel.inner_text()
    panel.get_by_role("button", name="Test").click()
    panel.get_by_text("It answers.").wait_for()
    use_endpoint(panel, endpoint.url, "renamed")  # the key stays
    panel.get_by_text("From now on answers are by renamed at").wait_for()
    close_panel(page)
    turn = ask(page, HERON)
    assert "Written by renamed, every sentence checked" in turn.inner_text()
    assert [request["key"] for request in endpoint.requests] == [f"Bearer {KEY}"] * 2
    page.wait_for_timeout(200)
    bodies = [page.content(), page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")]
    for path in ("", "config", "gradio_api/info", "gradio_api/info?all_endpoints=true", "gradio_api/openapi.json"):
        with urllib.request.urlopen(url + path) as reply:
            reply.read()
    everything = sent.decode(errors="replace")
    assert "Written by renamed" in everything  # what is sent is seen to be looked at
    assert '"has_key":true' in everything.replace(" ", "")
    out, err = capfd.readouterr()
    for text in (*bodies, everything, caplog.text, out, err):
        assert KEY not in text


def test_an_endpoint_that_does_not_answer_is_told_in_a_sentence(url: str, visit: Visit) -> None:
    page = visit(url)
    panel = open_panel(page)
    use_endpoint(panel, "me:secret@example.org/v1", "mine")
    problem = panel.get_by_role("alert")
    problem.wait_for()
    assert problem.inner_text().startswith("The address begins with http:// or https://")
    assert page.evaluate("document.activeElement.name") == "url"
    use_endpoint(panel, NOWHERE, "mine")
    panel.get_by_text("From now on answers are by mine at 127.0.0.1:9.").wait_for()
    assert problem.count() == 0
    panel.get_by_role("button", name="Test").click()
    panel.get_by_text("It failed.").wait_for()
    said = panel.locator(".llm .failed").inner_text()
    assert said.startswith("mine failed (ConnectError: ")
    assert f"check that {NOWHERE} runs" in said
    close_panel(page)
    turn = ask(page, HERON).inner_text()
    assert "Edda" in turn
    assert "Quoted from your documents" in turn
    assert f"Answered in quotes: {said}" in turn


def test_where_others_may_come_no_endpoint_can_be_set(visit: Visit, assistant: Assistant, endpoint: Endpoint) -> None:
    with served(assistant, users=Users(SecretStr("ada:secret"))) as url:
        page = visit(url, http_credentials={"username": "ada", "password": "secret"})
        panel = open_panel(page)
        assert panel.locator("input").count() == 2
        assert "Another endpoint can be set only where the page is served to this machine alone." in panel.inner_text()
        assert "weights in /" not in panel.inner_text()
        panel.locator("fieldset").evaluate(
            """(fields, address) => {
                fields.innerHTML = "<input name=how value=endpoint><input name=url><input name=model value=mine>";
                fields.querySelector("[name=url]").value = address;
            }""",
            endpoint.url,
        )
        panel.get_by_role("button", name="Use this").click()
        panel.get_by_text("An endpoint can be set only where the page is served to this machine alone.").wait_for()
        close_panel(page)
        assert "Quoted from your documents" in ask(page, HERON).inner_text()
        assert endpoint.requests == []


@pytest.mark.parametrize("width", [360, 1280])
def test_the_keyboard_alone_chooses(url: str, visit: Visit, width: int) -> None:
    page = visit(url, viewport={"width": width, "height": 700})
    page.get_by_role("button", name="Model", exact=True).focus()
    page.keyboard.press("Enter")
    page.locator(".models .local dd").first.wait_for()
    page.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    for typed in (NOWHERE, "mine", "a-key"):
        page.keyboard.press("Tab")
        page.keyboard.type(typed)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("dialog.models").evaluate("panel => panel.scrollWidth <= panel.clientWidth")
    page.keyboard.press("Enter")
    page.get_by_text("From now on answers are by mine at 127.0.0.1:9.").wait_for()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    assert page.evaluate("document.activeElement.className") == "open-models"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_can_be_read_in_the_light_and_in_the_dark(url: str, visit: Visit) -> None:
    page = visit(url)
    panel = open_panel(page)
    use_endpoint(panel, NOWHERE, "mine")
    panel.get_by_text("From now on").wait_for()
    panel.get_by_role("button", name="Test").click()
    panel.get_by_text("It failed.").wait_for()
    use_endpoint(panel, "", "mine")
    panel.get_by_role("alert").wait_for()
    seen = "h2, dt, dd, .facts .small, .failed, .tested, legend, label, .about-key, .problem, .test-model, [name=url]"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for selector in seen.split(", "):
            assert contrast(page, f".models {selector}") >= 4.5, (scheme, selector)


def test_an_index_that_cannot_be_opened_says_so_here_too(visit: Visit) -> None:
    def fail(_: Any) -> Any:
        raise RagError("embed_model 'x' is not on this machine; run 'rag models pull', or set embed_model to a folder")

    opening = Opening(fail)
    with served(opening) as url:
        page = visit(url)
        page.get_by_role("button", name="Model", exact=True).click()
        page.get_by_role("dialog").get_by_text(
            "Embed_model 'x' is not on this machine; run 'rag models pull'"
        ).wait_for()


@pytest.mark.parametrize("way", ["quotes only", "by another"])
def test_a_choice_that_the_server_forgot_ends_in_quotes(
    visit: Visit, settings: Settings, endpoint: Endpoint, way: str
) -> None:
    wanted = settings.model_copy(update={"llm": "of-the-server", "llm_base_url": endpoint.url})
    with Assistant.open(wanted) as assistant, serve(assistant, ["?"], port=0) as server:
        page = visit(server.address)
        panel = open_panel(page)
        use_endpoint(panel, endpoint.url, "mine")
        panel.get_by_text("From now on answers are by mine").wait_for()
        panel.get_by_role("radio", name=way).check()
        panel.get_by_role("button", name="Use this").click()
        panel.locator("[type=submit]:not([aria-disabled])").wait_for()  # it is answered: said is what was said before
        panel.get_by_text("From now on answers are " + ("quotes" if way == "quotes only" else "by mine")).wait_for()
        close_panel(page)
        held = server._page.state_holder  # type: ignore[attr-defined]
        for session in list(held.session_data):  # as when a laptop slept
            held.delete_state(session)
        if way == "by another":
            told = ask(page, HERON).locator(".notice").inner_text()
            assert told.startswith("The endpoint that was set on this page is closed")
            page.evaluate("window.dispatchEvent(new Event('focus'))")
        page.get_by_text("1 document · answers are quotes").wait_for()
        assert "Quoted from your documents" in ask(page, HERON).inner_text()
        assert endpoint.requests == []
        close_pages()


def test_a_closed_page_closes_its_endpoint(visit: Visit, assistant: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_IS_E2E_TEST", "1")  # a session ends a second after its page, not an hour
    ended = threading.Event()

    class Watched(Assistant):
        def close(self) -> None:
            super().close()
            ended.set()

    monkeypatch.setattr(assistant, "__class__", Watched)
    with served(assistant) as url:
        panel = open_panel(visit(url))
        use_endpoint(panel, NOWHERE, "mine", KEY)
        panel.get_by_text("From now on").wait_for()
        assert not ended.is_set()
        OPENED.pop().close()
        assert ended.wait(10)
    assert assistant.documents()  # the index is open


# -- without a browser -------------------------------------------------------------------------------------------------


@pytest.fixture
def bench(assistant: Assistant) -> Bench:
    return Bench(Opening.of(assistant), private=True)


def choose(bench: Bench, url: str = NOWHERE, model: str = "mine", key: str = "", before: str = "") -> str:
    return bench.choose(before, "endpoint", url, model, SecretStr(key))


@pytest.mark.parametrize(
    ("typed", "field", "says"),
    [
        ({"url": ""}, "url", "begins with http:// or https://"),
        ({"url": "localhost:11434/v1"}, "url", "begins with http:// or https://"),
        ({"url": "file:///etc/passwd"}, "url", "begins with http:// or https://"),
        ({"url": "http://"}, "url", "begins with http:// or https://"),
        ({"url": "http://me:word@host/v1"}, "url", "leave out the name and password"),
        ({"url": "https://host/v1?key=word"}, "url", "leave out what follows the ?"),
        ({"url": "http://host:port/v1"}, "url", "this is no address"),
        ({"url": "http://[host/v1"}, "url", "this is no address"),
        ({"url": "http://ho st/v1"}, "url", "no address is like this"),
        ({"url": "http://" + "a" * 3000}, "url", "no address is like this"),
        ({"url": "http://host/v1,http://me:word@other/v1"}, "url", "leave out the name and password"),
        ({"url": "http://host/v1, http://other/v1?key=word"}, "url", "leave out what follows the ?"),
        ({"url": "http://host/v1,other:8000/v1"}, "url", "behind a comma stands another address"),
        ({"url": "http://host/v1,http://host/v1/"}, "url", "stands there twice"),
        ({"model": ""}, "model", "write the name"),
        ({"model": "embedded"}, "model", "no endpoint has a model of this name"),
        ({"key": "two words"}, "key", "no key has"),
        ({"key": "sk-ä"}, "key", "no key has"),
    ],
)
def test_what_cannot_be_is_told_beside_its_field(bench: Bench, typed: dict[str, str], field: str, says: str) -> None:
    with pytest.raises(FieldWrong, match=re.escape(says)) as wrong:
        choose(bench, **typed)
    assert wrong.value.field == field
    assert "word" not in str(wrong.value).replace("password", "")


def test_a_key_is_never_taken_to_another_address(bench: Bench) -> None:
    first = choose(bench, key=KEY)
    assert bench.look(first)["has_key"]
    assert bench.look(choose(bench, model="other", before=first))["has_key"]
    assert not bench.look(choose(bench, url="http://127.0.0.1:10/v1", before=first))["has_key"]
    quoting = bench.choose(first, "quotes", "", "", SecretStr(""))
    assert not bench.look(choose(bench, before=quoting))["has_key"]
    assert KEY not in repr([vars(bench.answering(quoting)), bench.look(quoting), vars(bench)])


def test_several_addresses_are_one_llm_and_each_is_told(bench: Bench, endpoint: Endpoint) -> None:
    several = choose(bench, f"{endpoint.url}/,{NOWHERE}", key=KEY)
    told = bench.look(several)
    assert told["answers"] == f"by mine at 127.0.0.1:{endpoint.server_port} and 127.0.0.1:9"
    assert told["answering"].count("Not asked yet") == 3  # the LLM, and each address
    told = bench.test(several)
    assert told["tested"] == f"It answers, but not at {NOWHERE}."
    assert f'{endpoint.url}</span><span class="small">Answered in ' in told["answering"]
    assert f'{NOWHERE}</span><span class="small">Failed at ' in told["answering"]
    assert bench.look(choose(bench, f"{endpoint.url}, {NOWHERE}", before=several))["has_key"]
    several = choose(bench, f"{endpoint.url},{NOWHERE}", key=KEY)
    alone = choose(bench, NOWHERE, before=several)
    assert not bench.look(alone)["has_key"]
    assert "Addresses" not in bench.look(alone)["answering"]
    assert not bench.look(choose(bench, f"{NOWHERE},http://127.0.0.1:10/v1", before=alone))["has_key"]


def test_no_visitor_from_elsewhere_is_told_a_path() -> None:
    lost = LocalModel("/inner/models/mini", 384, missing="/inner/models/mini/model.safetensors is not there")
    note = "answered in quotes: the weights of Small are not in /inner/weights; run 'rag models pull'"

    class Broken:
        settings = Settings(llm="none")

        def models(self) -> Models:
            return Models(lost, lost, "none", "", None, note)

    for private in (True, False):
        told = Bench(Opening.of(Broken()), private=private).look("")  # type: ignore[arg-type]
        assert ("/inner" in str(told)) == private
        assert "mini, 384 dimensions" in told["local"]


def test_endpoints_are_few_and_end_with_their_page(bench: Bench, assistant: Assistant) -> None:
    chosen = [choose(bench, model=f"m{n}") for n in range(20)]
    asked = bench.answering(chosen[0])
    chosen[19] = choose(bench, model="again", before=chosen[19])
    assert bench.test(chosen[0])["tested"] == "It failed."  # one's own was replaced, nobody's was closed
    choose(bench)
    with pytest.raises(Closed, match="choose with the button Model"):
        bench.look(chosen[0])
    assert "m0 was closed" in asked.ask(HERON).notes[0]
    asked = bench.answering(chosen[1])
    bench.end(chosen[1])
    assert "m1 was closed" in asked.ask(HERON).notes[0]
    bench.end(chosen[1])
    bench.end("")
    assert "was closed" not in bench.answering(chosen[2]).ask(HERON).notes[0]
    assert assistant.ask(HERON).citations
