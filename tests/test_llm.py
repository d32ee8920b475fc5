"""The writer against a real HTTP server that misbehaves in every way we know, and llama-index LLMs."""

from __future__ import annotations

import base64
import json
import logging
import shutil
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from endpoint import HANG, Server, Speaking, certified, eventually, reading, serving
from scripted import ScriptedLLM
from writers import python, text_of

from rag.errors import LLMUnavailable, SettingsError
from rag.llm import Writer, open_writer
from rag.replies import Listener
from rag.settings import Settings

KEY = "sk-very-secret"


# ---- an endpoint that does what the model's name says ----------------------------------------------------------------


class Endpoint(Server):
    """Each reply is chosen by the name of the model that is asked for."""

    echoed = ""  # of what it was sent
    wait: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        super().__init__(Handler)


class Handler(Speaking):
    server: Endpoint

    def reply(self, body: dict[str, Any]) -> None:
        getattr(self, body["model"].replace("-", "_"))(body)

    def good(self, body: dict[str, Any]) -> None:
        self.begin()
        for word in ["", "You", " said: ", body["messages"][-1]["content"]]:
            self.say(word)
        self.write("data: [DONE]\n\n")

    def empty(self, _body: dict[str, Any]) -> None:
        self.begin()
        self.write("data: [DONE]\n\n")

    def silent(self, _body: dict[str, Any]) -> None:
        self.wait_for_the_client_to_leave()

    def silent_after_headers(self, _body: dict[str, Any]) -> None:
        self.begin()
        self.say("")
        self.wait_for_the_client_to_leave()

    def stuck(self, _body: dict[str, Any]) -> None:
        self.begin()
        self.say("Half a")
        self.wait_for_the_client_to_leave()

    def endless(self, _body: dict[str, Any]) -> None:
        self.begin()
        try:
            until = time.monotonic() + HANG
            while time.monotonic() < until:
                self.say("la ")
                time.sleep(0.002)
        except OSError:
            self.server.client_left.set()

    def cut_off(self, _body: dict[str, Any]) -> None:
        self.begin(length=10_000)
        self.say("Half a")

    def http_401(self, _body: dict[str, Any]) -> None:
        self.fail(401, f"Incorrect API key provided: {self.headers['Authorization']}")

    def http_404(self, _body: dict[str, Any]) -> None:
        self.fail(404, "The model 'http-404' does not exist")

    def http_500(self, _body: dict[str, Any]) -> None:
        self.fail(500, f"Something broke\nwith {self.headers['Authorization']}")

    def broken_json(self, _body: dict[str, Any]) -> None:
        self.begin()
        self.write('data: {"choices": [{"delta": {"cont\n\n')

    def error_event(self, _body: dict[str, Any]) -> None:
        self.begin()
        self.write('data: {"error": {"message": "out of memory"}}\n\n')

    def other_json(self, _body: dict[str, Any]) -> None:
        self.begin()
        self.write('data: {"hello": "world"}\n\n')

    def string_event(self, _body: dict[str, Any]) -> None:
        self.begin()
        self.write('data: {"error": "out of memory"}\n\n')

    def echo_status(self, _body: dict[str, Any]) -> None:
        self.fail(500, f"no {self.server.echoed}")

    def echo_event(self, _body: dict[str, Any]) -> None:
        self.begin()
        self.write(f"data: {json.dumps({'error': self.server.echoed})}\n\n")

    def echo_header(self, _body: dict[str, Any]) -> None:
        self.write(f"HTTP/1.1 200 OK\r\n{self.server.echoed}\r\n\r\n")

    def echo_packing(self, _body: dict[str, Any]) -> None:
        self.begin(Content_Encoding=self.server.echoed)

    def echo_words(self, _body: dict[str, Any]) -> None:
        self.begin()
        for letter in f"It was {self.server.echoed}.":
            self.say(letter)
        self.end()

    def later(self, _body: dict[str, Any]) -> None:
        self.fail(429, "slow down", **self.server.wait)

    def redirects(self, _body: dict[str, Any]) -> None:
        self.fail(307, "elsewhere", Location=self.path)

    def halves(self, _body: dict[str, Any]) -> None:
        self.begin()
        for piece in ["\ud83e", "\udd89 and ", "\ud83e."]:
            self.say(piece)
        self.end()

    def big(self, _body: dict[str, Any]) -> None:
        self.begin()
        self.write_without_end()

    def big_error(self, _body: dict[str, Any]) -> None:
        self.send_response(400)
        self.end_headers()
        self.write_without_end()

    def packed(self, _body: dict[str, Any]) -> None:
        assert self.headers["Accept-Encoding"] == "identity"
        self.begin(Content_Encoding="gzip")
        self.write_without_end()

    def write_without_end(self) -> None:
        with suppress(OSError):
            until = time.monotonic() + HANG
            while time.monotonic() < until:
                self.write(b"a" * 65_536)
        self.server.client_left.set()

    def web_page(self, _body: dict[str, Any]) -> None:
        self.begin("text/html; charset=utf-8")
        self.write("<!doctype html><title>Welcome</title>")

    def no_stream(self, _body: dict[str, Any]) -> None:
        self.begin("application/json")
        self.write('{"choices": [{"message": {"content": "all at once"}}]}')


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(Endpoint()) as server:
        yield server


def writer_for(endpoint: Endpoint, model: str, **settings: Any) -> Writer:
    writer = open_writer(Settings(**{"llm": model, "llm_base_url": endpoint.url, "llm_api_key": KEY, **settings}))
    assert writer is not None
    return writer


def no_thread_is_left(before: set[threading.Thread]) -> bool:
    return eventually(lambda: reading() <= before)


def test_an_endpoint_is_asked_in_its_own_protocol_and_its_words_arrive(endpoint: Endpoint) -> None:
    writer = writer_for(endpoint, "good")
    assert list(writer.stream("Be brief.", "Hello", max_tokens=20)) == ["You", " said: ", "Hello"]
    [request] = endpoint.requests
    assert request["path"] == "/v1/chat/completions"
    kept = "host accept-encoding connection accept content-type user-agent authorization content-length".split()
    assert sorted(name.lower() for name in request["headers"]) == sorted(kept)  # nothing of this machine
    assert request["headers"]["User-Agent"] == "rag"
    assert request["key"] == f"Bearer {KEY}"
    assert request["temperature"] == 0
    assert request["max_tokens"] == 20
    assert [(m["role"], m["content"]) for m in request["messages"]] == [("system", "Be brief."), ("user", "Hello")]
    assert writer.name == "good"
    assert writer.capable


def test_an_empty_reply_is_no_error(endpoint: Endpoint) -> None:
    assert text_of(writer_for(endpoint, "empty")) == ""


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("good", ""),
        ("empty", ""),
        ("http-404", "http-404 answered 404"),
        ("http-401", "refused the key (401)"),
    ],
)
def test_how_the_last_request_went_is_kept(endpoint: Endpoint, model: str, problem: str) -> None:
    writer = writer_for(endpoint, model)
    assert writer.outcome is None
    assert writer.test()
    outcome = writer.outcome
    assert problem in outcome.problem
    assert bool(outcome.problem) == bool(problem)
    assert datetime.now(UTC) - datetime.fromisoformat(outcome.at) < timedelta(seconds=60)
    assert 0 <= outcome.seconds < 30
    assert KEY not in repr(outcome)
    assert writer.host == f"127.0.0.1:{endpoint.server_port}"


def test_an_answer_that_breaks_off_failed(endpoint: Endpoint) -> None:
    writer = writer_for(endpoint, "stuck", total_s=0.5)
    pieces = writer.stream("Be brief.", "Hello", max_tokens=20)
    next(pieces)
    assert writer.outcome.problem == ""
    with pytest.raises(LLMUnavailable) as failed:
        list(pieces)
    assert writer.outcome.problem == str(failed.value)


def test_a_test_is_not_repeated_while_one_runs(endpoint: Endpoint) -> None:
    writer = writer_for(endpoint, "silent", first_token_s=1)
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda _: writer.test(), range(8))) == [False] * 7 + [True]
    assert len(endpoint.requests) == 1
    writer.close()
    assert writer.test()
    assert writer.outcome.problem == "silent was closed; open it again"


def test_replies_at_the_same_time_do_not_mix(endpoint: Endpoint) -> None:
    writer = writer_for(endpoint, "good")
    users = [f"I am number {n}" for n in range(12)]
    with ThreadPoolExecutor(len(users)) as pool:
        assert list(pool.map(lambda user: text_of(writer, user), users)) == [f"You said: {user}" for user in users]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("http-401", "refused the key"),
        ("http-404", "The model 'http-404' does not exist"),
        ("http-500", "Something broke"),
        ("broken-json", "JSONDecodeError"),
        ("error-event", "out of memory"),
        ("string-event", "failed (APIError: out of memory)"),
        ("other-json", "failed"),
        ("web-page", "failed (it sent text/html instead of a stream"),
        ("no-stream", "application/json instead of a stream"),
        ("cut-off", "failed"),
    ],
)
def test_whatever_goes_wrong_is_one_plain_line_with_a_cure(endpoint: Endpoint, model: str, said: str) -> None:
    with pytest.raises(LLMUnavailable) as caught:
        text_of(writer_for(endpoint, model))
    message = str(caught.value)
    assert said in message
    assert message.startswith(model)
    assert any(cure in message for cure in ("; check that", "; set llm_api_key"))
    assert "\n" not in message
    assert "object at" not in message
    assert KEY not in "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert (caught.value.__cause__ is None) == (model in ("http-401", "http-500"))  # those repeat the key


LONG_KEY, PASSWORD = f"{KEY}-indeed", "pass/word-of-mine"
LOGIN = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
ECHOED = [LONG_KEY, f"Bearer {LONG_KEY}", f"Basic {LOGIN}", f"me:{PASSWORD}", quote(PASSWORD, safe="")]


@pytest.mark.parametrize("echoed", ECHOED)
@pytest.mark.parametrize("model", ["echo-status", "echo-event", "echo-header", "echo-packing", "echo-words"])
def test_what_an_endpoint_repeats_of_our_secrets_is_not_shown(endpoint: Endpoint, model: str, echoed: str) -> None:
    endpoint.echoed = echoed
    url = endpoint.url.replace("//", f"//me:{quote(PASSWORD, safe='')}@")
    writer = writer_for(endpoint, model, llm_base_url=url, llm_api_key=LONG_KEY)
    try:
        said = text_of(writer)
    except LLMUnavailable as error:
        said = "".join(traceback.format_exception(error))
    said += repr(writer.outcome)
    assert endpoint.requests[0]["key"] == f"Basic {LOGIN}"
    assert not [secret for secret in (LONG_KEY, PASSWORD, quote(PASSWORD, safe=""), LOGIN) if secret in said]


def test_a_short_key_is_a_word_like_any_other_in_a_reply(endpoint: Endpoint) -> None:
    writer = open_writer(Settings(llm="good", llm_base_url=endpoint.url, llm_api_key="ollama"))
    assert writer is not None
    assert text_of(writer, "What is ollama?") == "You said: What is ollama?"


def test_a_password_in_the_address_is_in_no_log(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    writer = open_writer(Settings(llm="good", llm_base_url=endpoint.url.replace("//", "//me:password@")))
    assert writer is not None
    assert text_of(writer) == "You said: Hello"
    assert "/v1/chat/completions" in caplog.text
    assert "password" not in caplog.text


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://me:pass/word@h/v1", "write / as %2F"),
        ("http://me:pass#word@h/v1", "write / as %2F"),
        ("http://me:pass?word@h/v1", "write / as %2F"),
        ("http://me:80/word@h/v1", "write / as %2F"),
        ("http://h:x/v1", "a number from 1 to 65535"),
        ("http://h:99999/v1", "a number from 1 to 65535"),
        ("http://h:0/v1", "a number from 1 to 65535"),
        ("http:///v1", "the host's name"),
        ("http://[h/v1", "the host's name"),
    ],
)
def test_an_address_that_is_none_is_said_so_without_its_password(url: str, told: str) -> None:
    with pytest.raises(SettingsError, match=f"'llm_base_url' is no address; correct it .*{told}") as caught:
        open_writer(Settings(llm="good", llm_base_url=url))
    assert "word@" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://me:word@h/v1", "127.0.0.1:7890/v1", "h"])
def test_an_address_of_another_kind_is_told_how_to_begin(url: str) -> None:
    with pytest.raises(SettingsError, match="'llm_base_url' must begin with http:// or https://; correct it") as caught:
        open_writer(Settings(llm="good", llm_base_url=url))
    assert "word" not in str(caught.value)


def test_an_endpoint_that_wants_a_key_where_none_is_set_asks_for_one(endpoint: Endpoint) -> None:
    with pytest.raises(LLMUnavailable, match=r"asks for a key, none is set \(401\); set llm_api_key .* to one"):
        text_of(writer_for(endpoint, "http-401", llm_api_key=None))
    login = endpoint.url.replace("//", "//me:password@")
    with pytest.raises(LLMUnavailable, match="refused the key"):
        text_of(writer_for(endpoint, "http-401", llm_api_key=None, llm_base_url=login))


@pytest.mark.parametrize(("path", "hinted"), [("", True), ("/", True), ("/v1", False), ("/v1beta/openai/", False)])
def test_an_address_without_v1_is_asked_whether_it_lacks_it(endpoint: Endpoint, path: str, hinted: bool) -> None:
    url = endpoint.url.removesuffix("/v1") + path
    with pytest.raises(LLMUnavailable, match="answered 404") as caught:
        text_of(writer_for(endpoint, "http-404", llm_base_url=url))
    assert ("llm_base_url are right (most addresses end in /v1)," in str(caught.value)) == hinted


def test_an_endpoint_that_rag_toml_names_is_told_before_anything_goes_there(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    host = f"127.0.0.1:{endpoint.server_port}"
    Path("rag.toml").write_text(f'llm = "good"\nllm_base_url = "http://me:password@{host}/v1"\n')
    assert open_writer(Settings()) is not None
    (told,) = caplog.messages
    assert told == (
        f"rag.toml: questions and passages go to {host}; if you did not write that, remove llm_base_url there"
    )
    monkeypatch.setenv("RAG_LLM_API_KEY", KEY)
    assert open_writer(Settings()) is not None
    assert f"go to {host}, with the key;" in caplog.messages[1]
    assert endpoint.requests == []
    assert open_writer(Settings(llm_base_url=endpoint.url)) is not None
    assert open_writer(Settings(llm="none")) is None
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("key", ["sk-very\nsecret", "sk-very\x07secret", "sk-vëry-secret"])
def test_a_key_with_characters_that_no_header_has_is_said_so(endpoint: Endpoint, key: str) -> None:
    with pytest.raises(SettingsError, match="'llm_api_key' has characters that no key has; copy it again") as caught:
        writer_for(endpoint, "good", llm_api_key=key)
    assert "secret" not in str(caught.value)


def test_what_is_no_part_of_a_reply_is_not_read(endpoint: Endpoint) -> None:
    for model, said in {"big": "more than the 8 MB", "big-error": "more than the 8 MB", "packed": "packed as"}.items():
        with pytest.raises(LLMUnavailable, match=said):
            text_of(writer_for(endpoint, model))
        assert endpoint.client_left.wait(10)
        endpoint.client_left.clear()


def test_an_endpoint_that_sends_us_on_and_on_is_left(endpoint: Endpoint) -> None:
    with pytest.raises(LLMUnavailable, match="redirects"):
        text_of(writer_for(endpoint, "redirects"))
    assert len(endpoint.requests) == 3


def test_half_characters_are_joined_or_replaced(endpoint: Endpoint) -> None:
    assert text_of(writer_for(endpoint, "halves")) == "\N{OWL} and \N{REPLACEMENT CHARACTER}."


@pytest.fixture
def by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another name of this machine, which looks like another machine's: a second try is made there."""
    resolve = socket.getaddrinfo
    named = {"llm.example": "127.0.0.1"}
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: resolve(named.get(host, host), *rest, **more)
    )
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.mark.usefixtures("by_name")
@pytest.mark.parametrize(
    ("wait", "requests"),
    [
        ({"Retry_After": "30"}, 1),
        ({"Retry_After": "86400"}, 1),
        ({"Retry_After": "Fri, 01 Jan 2100 00:00:00 GMT"}, 1),
        ({"Retry_After": "0.1"}, 2),
        ({"Retry_After": "nonsense"}, 1),
        ({"Retry_After": "nan", "Retry_After_Ms": "60000"}, 1),
    ],
)
def test_nobody_waits_for_as_long_as_an_endpoint_says(endpoint: Endpoint, wait: dict[str, str], requests: int) -> None:
    text_of(writer_for(endpoint, "good"))
    before = set(threading.enumerate())
    endpoint.requests.clear()
    endpoint.wait = wait
    url = endpoint.url.replace("127.0.0.1", "llm.example")
    writer = open_writer(Settings(llm="later", llm_base_url=url, llm_api_key=KEY))
    assert writer is not None
    with pytest.raises(LLMUnavailable, match=r"later answered 429 \(slow down\); ask again later, or set llm"):
        text_of(writer)
    assert no_thread_is_left(before)
    assert len(endpoint.requests) == requests


def test_a_certificate_that_nobody_vouches_for_is_said_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl, which makes the certificate, is not here")
    certificate, key = certified(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Endpoint()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        url = server.url.replace("http:", "https:")
        writer = open_writer(Settings(llm="good", llm_base_url=url, llm_api_key=KEY))
        assert writer is not None
        with pytest.raises(LLMUnavailable, match=r"self.signed certificate.*; let SSL_CERT_FILE name the certificate"):
            text_of(writer)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert text_of(writer) == "You said: Hello"


def test_nobody_at_the_address_is_said_with_the_address() -> None:
    with Endpoint() as server:
        url = server.url
    writer = open_writer(Settings(llm="good", llm_base_url=url.replace("//", "//me:password@"), llm_api_key=KEY))
    assert writer is not None
    with pytest.raises(LLMUnavailable, match="refused") as caught:
        text_of(writer)
    assert url in str(caught.value)
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("model", ["silent", "silent-after-headers"])
def test_no_first_word_ends_at_its_deadline_and_hangs_up(endpoint: Endpoint, model: str) -> None:
    text_of(writer_for(endpoint, "good"))  # the imports are paid here
    before, started = set(threading.enumerate()), time.monotonic()
    with pytest.raises(LLMUnavailable, match=r"no first word within 0\.5 s; raise first_token_s"):
        text_of(writer_for(endpoint, model, first_token_s=0.5))
    assert time.monotonic() - started < HANG / 5
    assert endpoint.client_left.wait(5)
    assert no_thread_is_left(before)


def test_a_reply_that_stops_halfway_ends_at_the_total_deadline_and_hangs_up(endpoint: Endpoint) -> None:
    text_of(writer_for(endpoint, "good"))
    before = set(threading.enumerate())
    reply = writer_for(endpoint, "stuck", total_s=1.0).stream("", "Hello", max_tokens=20)
    assert next(reply) == "Half a"
    with pytest.raises(LLMUnavailable, match="no end of the reply within 1 s"):
        next(reply)
    assert endpoint.client_left.wait(5)
    assert no_thread_is_left(before)


def test_the_total_deadline_holds_for_words_without_end_and_a_slow_reader(endpoint: Endpoint) -> None:
    text_of(writer_for(endpoint, "good"))
    words = []
    with pytest.raises(LLMUnavailable, match="no end of the reply within 1 s"):  # noqa: PT012
        for word in writer_for(endpoint, "endless", total_s=1.0).stream("", "Hello", max_tokens=20):
            words.append(word)
            time.sleep(0.003)  # slower than they come: the queue is never empty
    assert words
    assert endpoint.client_left.wait(5)


def test_a_finished_reply_is_kept_however_slowly_it_is_read(endpoint: Endpoint) -> None:
    text_of(writer_for(endpoint, "good"))
    words = []
    for word in writer_for(endpoint, "good", first_token_s=1.0, total_s=1.0).stream("", "Hello", max_tokens=20):
        words.append(word)
        time.sleep(0.6)
    assert words == ["You", " said: ", "Hello"]


def test_closing_the_reply_ends_the_request(endpoint: Endpoint) -> None:
    before = set(threading.enumerate())
    reply = writer_for(endpoint, "endless").stream("", "Hello", max_tokens=20)
    assert next(reply) == "la "
    reply.close()
    assert endpoint.client_left.wait(5)
    assert no_thread_is_left(before)


@pytest.mark.parametrize("model", ["silent", "stuck"])
def test_closing_the_writer_ends_what_another_thread_waits_for(endpoint: Endpoint, model: str) -> None:
    text_of(writer_for(endpoint, "good"))
    writer = writer_for(endpoint, model)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(text_of, writer)
        assert eventually(lambda: len(endpoint.requests) == 2)
        started = time.monotonic()
        writer.close()
        with pytest.raises(LLMUnavailable, match="was closed; open it again"):
            waiting.result()
    assert time.monotonic() - started < 5
    assert endpoint.client_left.wait(5)


def test_nobody_is_written_for_who_has_left(endpoint: Endpoint) -> None:
    writer, listener = writer_for(endpoint, "endless", total_s=60), Listener()
    with listener:
        pieces = writer.stream("", "Hello", max_tokens=20)
        next(pieces)
    threading.Timer(0.1, listener.leave).start()
    with pytest.raises(LLMUnavailable, match="nobody waits for the answer any more"):
        list(pieces)
    assert endpoint.client_left.wait(10)
    with listener, pytest.raises(LLMUnavailable, match="nobody waits"):
        list(writer.stream("", "Hello", max_tokens=20))
    assert writer.outcome is not None
    assert not writer.outcome.problem  # it is not the LLM's fault
    assert next(writer.stream("", "Hello", max_tokens=20)) == "la "  # for somebody else


def test_the_users_environment_does_not_leak_into_the_request(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-somebody-else")
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # a proxy that cannot reach this machine
    writer = open_writer(Settings(llm="good", llm_base_url=endpoint.url))
    assert writer is not None
    assert text_of(writer) == "You said: Hello"
    assert "somebody" not in endpoint.requests[0]["key"]


def test_a_model_name_needs_an_address() -> None:
    for url in (None, "localhost:8000/v1"):
        with pytest.raises(SettingsError, match=r"llm_base_url.*RAG_LLM_BASE_URL"):
            open_writer(Settings(llm="qwen", llm_base_url=url))


def test_the_key_is_in_no_repr_and_a_pasted_line_break_does_no_harm(endpoint: Endpoint) -> None:
    writer = open_writer(Settings(llm="good", llm_base_url=endpoint.url, llm_api_key=f"{KEY}\n"))
    assert writer is not None
    assert text_of(writer) == "You said: Hello"
    assert KEY not in repr(writer) + repr(vars(writer))


def test_no_llm_means_no_writer() -> None:
    assert open_writer(Settings(llm="none")) is None


# ---- an LLM object that is handed in ---------------------------------------------------------------------------------


def scripted(*deltas: str, chat: bool, fail: Exception | None = None) -> Any:
    """Return a llama-index LLM that says its deltas, then fails; `seen` holds what it was asked."""
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata

    class Scripted(CustomLLM):
        seen: list[str] = []  # noqa: RUF012 -- a pydantic field

        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(is_chat_model=chat)

        def complete(self, *_: Any, **__: Any) -> CompletionResponse:
            raise AssertionError("only streams are asked for")

        def stream_complete(self, prompt: str, formatted: bool = False, **options: Any) -> Any:
            assert not options
            self.seen.append(prompt)
            for delta in deltas:
                yield CompletionResponse(text=delta, delta=delta)
            if fail:
                raise fail

    return Scripted()


@pytest.mark.parametrize("chat", [True, False])
def test_an_llm_object_wins_over_the_settings_and_sees_both_parts(chat: bool) -> None:
    given = scripted("Good", "", " day", chat=chat)
    writer = open_writer(Settings(llm="none"), given)
    assert writer is not None
    assert list(writer.stream("Be brief.", "Hello", max_tokens=20)) == ["Good", " day"]
    assert "Be brief." in given.seen[0]
    assert given.seen[0].index("Be brief.") < given.seen[0].index("Hello")
    assert writer.name == "Scripted"
    assert writer.capable


def test_an_llm_object_that_breaks_is_unavailable_after_the_words_it_said() -> None:
    writer = open_writer(Settings(), scripted("Half", chat=True, fail=RuntimeError("boom")))
    assert writer is not None
    reply = writer.stream("", "Hello", max_tokens=20)
    assert next(reply) == "Half"
    with pytest.raises(LLMUnavailable, match=r"Scripted failed \(RuntimeError: boom\); try again"):
        next(reply)


def test_a_hanging_endpoint_does_not_keep_the_interpreter_alive(endpoint: Endpoint) -> None:
    done = python(f"""
        import threading, time
        def ask(model):
            url = "{endpoint.url}"
            writer = open_writer(Settings(llm=model, llm_base_url=url, first_token_s=300, total_s=300))
            return writer.stream("", "Hello", max_tokens=9)
        print(len(list(ask("good"))))
        threading.Thread(target=next, args=(ask("silent"),), daemon=True).start()
        time.sleep(1)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")
    assert [request["model"] for request in endpoint.requests] == ["good", "silent"]
    assert endpoint.client_left.is_set()


def test_a_reply_has_no_halves_of_characters() -> None:
    writer = open_writer(Settings(), ScriptedLLM(replies=["It was \ud83d\0 he."]))
    assert writer is not None
    assert "".join(writer.stream("", "", max_tokens=9)) == "It was \ufffd\ufffd he."  # no tokenizer takes a half
