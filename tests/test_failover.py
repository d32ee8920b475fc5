"""One LLM at several addresses: real servers that die, hang, refuse and come back, and what is asked meanwhile."""

from __future__ import annotations

import base64
import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from endpoint import Server, Speaking, eventually, reading, serving
from writers import text_of

from rag.assistant import Assistant
from rag.calls import Backend, Call, Pool, Prompt
from rag.errors import LLMUnavailable, SettingsError
from rag.llm import Writer, open_writer
from rag.replies import Listener, Request, Text
from rag.settings import Settings, shown_address

KEY = "sk-very-secret-indeed"
HELLO = "Hello"


class Handler(Speaking):
    server: Place

    def reply(self, body: dict[str, Any]) -> None:
        self.server.does(self)


class Place(Server):
    """One of the LLM's addresses. `does` is what it does when it is asked."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(Handler, port)
        self.does: Callable[[Handler], None] = well

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


def well(to: Handler) -> None:
    to.begin()
    with suppress(ConnectionError):  # who tests leaves after a word
        to.say("I am ")
        to.say(str(to.server.server_port))
        to.end()


def silent(to: Handler) -> None:
    to.wait_for_the_client_to_leave()


def silent_after_headers(to: Handler) -> None:
    to.begin()
    to.wait_for_the_client_to_leave()


def breaks(to: Handler) -> None:
    to.begin(length=10_000)


def hangs_up(to: Handler) -> None:
    to.connection.shutdown(socket.SHUT_RDWR)


def breaks_in_the_middle(to: Handler) -> None:
    to.begin(length=10_000)
    to.say("I am")


def web_page(to: Handler) -> None:
    to.begin("text/html")
    to.write("<title>Welcome</title>")


def error_event(to: Handler) -> None:
    to.begin()
    to.write('data: {"error": {"message": "out of memory"}}\n\n')


def answers(status: int) -> Callable[[Handler], None]:
    def reply(to: Handler) -> None:
        to.fail(status, f"it is {status} with {to.headers['Authorization']}", Retry_After="0.1")

    reply.__name__ = f"answers_{status}"
    return reply


def after(seconds: float) -> Callable[[Handler], None]:
    def reply(to: Handler) -> None:
        time.sleep(seconds)
        with suppress(ConnectionError):
            well(to)

    return reply


@pytest.fixture
def places() -> Iterator[tuple[Place, Place]]:
    with serving(Place()) as one, serving(Place()) as two:
        yield one, two


def of(*places: Place, **settings: Any) -> Writer:
    given = {"llm": "m", "llm_base_url": ",".join(place.url for place in places), "llm_api_key": KEY, **settings}
    writer = open_writer(Settings(**given))
    assert writer is not None
    return writer


def said_by(place: Place) -> str:
    return f"I am {place.server_port}"


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


# ---- who is asked ----------------------------------------------------------------------------------------------------


def test_requests_are_spread_in_turn(places: tuple[Place, Place]) -> None:
    writer = of(*places)
    assert {text_of(writer) for _ in range(6)} == {said_by(place) for place in places}
    assert [len(place.requests) for place in places] == [3, 3]
    assert writer.host == f"{places[0].host} and {places[1].host}"


def test_whoever_has_fewer_replies_under_way_is_asked(places: tuple[Place, Place]) -> None:
    busy, free = places
    text_of(writer := of(busy, free))
    text_of(writer)
    busy.does = silent
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(text_of, writer)
        assert eventually(lambda: len(busy.requests) == 2)
        assert [text_of(writer) for _ in range(4)] == [said_by(free)] * 4
        writer.close()
        assert isinstance(waiting.exception(), LLMUnavailable)


def test_each_gets_its_own_password_and_nobody_else_s(places: tuple[Place, Place]) -> None:
    one, two = places
    urls = [one.url.replace("//", "//ada:first@"), two.url]
    writer = of(llm_base_url=" ,\n ".join(urls))
    for _ in range(2):
        text_of(writer)
    assert one.requests[0]["key"] == f"Basic {base64.b64encode(b'ada:first').decode()}"
    assert two.requests[0]["key"] == f"Bearer {KEY}"


def test_one_dies_in_the_middle_of_fifty_and_is_used_again_when_it_is_back() -> None:
    with ExitStack() as ends, serving(Place()) as stays:
        dies = Place()
        lives = ends.enter_context(ExitStack())
        lives.enter_context(serving(dies))
        writer = of(dies, stays)
        answered: list[str] = []

        def ask(number: int) -> None:
            if number == 20:
                lives.close()
            answered.append(text_of(writer))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ask, range(50)))
        assert len(answered) == 50
        assert set(answered) == {said_by(dies), said_by(stays)}
        assert len(dies.requests) < 25
        assert writer.outcome is not None
        assert writer.outcome.problem == ""
        back = ends.enter_context(serving(Place(dies.server_port)))
        assert eventually(lambda: bool(text_of(writer) and back.requests), 15)
        del stays.requests[:], back.requests[:]
        for _ in range(6):
            text_of(writer)
        assert len(back.requests) == len(stays.requests) == 3


# ---- what is a failure -----------------------------------------------------------------------------------------------

TROUBLES = [breaks, hangs_up, web_page, error_event, *map(answers, (500, 503, 429, 401, 403, 404))]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_whoever_fails_before_a_word_is_followed_at_once_and_left_out(
    places: tuple[Place, Place], trouble: Callable[[Handler], None], caplog: pytest.LogCaptureFixture
) -> None:
    broken, works = places
    broken.does = trouble
    writer = of(broken, works)
    assert [text_of(writer) for _ in range(4)] == [said_by(works)] * 4
    assert len(broken.requests) == 1
    assert writer.outcome is not None
    assert writer.outcome.problem == ""
    first, second = writer.endpoints
    assert (first.address, second.address) == (broken.url, works.url)
    assert first.outcome is not None
    assert first.outcome.problem.startswith("m ")
    assert second.outcome is not None
    assert second.outcome.problem == ""
    (line,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith(f"{broken.url} ")
    assert line.endswith("; for 5 s others are asked in its place; 'rag doctor' tests each")
    assert KEY not in f"{line} {writer.endpoints}"


@pytest.mark.parametrize("trouble", [silent, silent_after_headers])
def test_whoever_hangs_is_overtaken_within_the_deadline_and_left_out(
    places: tuple[Place, Place], trouble: Callable[[Handler], None]
) -> None:
    text_of(of(places[1]))  # the imports are paid here
    hangs, works = places
    hangs.does = trouble
    writer, before = of(hangs, works, first_token_s=3), reading()
    assert [text_of(writer) for _ in range(3)] == [said_by(works)] * 3
    assert len(hangs.requests) == 1
    assert hangs.client_left.wait(5)
    assert eventually(lambda: reading() <= before)
    assert "no first word within" in str(writer.endpoints[0].outcome)


def test_a_slow_one_may_still_be_the_first_to_speak(places: tuple[Place, Place]) -> None:
    slow, hangs = places
    slow.does, hangs.does = after(2.5), silent
    writer = of(slow, hangs, first_token_s=4)
    assert text_of(writer) == said_by(slow)  # as if it were alone
    assert len(hangs.requests) == 1
    assert hangs.client_left.wait(5)
    assert writer.endpoints[1].outcome is None  # it had little time, which says nothing


def test_when_no_word_comes_from_anybody_the_deadline_is_that_of_one(places: tuple[Place, Place]) -> None:
    for place in places:
        place.does = silent
    writer, started = of(*places, first_token_s=1), time.monotonic()
    with pytest.raises(LLMUnavailable) as caught:
        text_of(writer)
    assert time.monotonic() - started < 15
    one, two = places
    assert str(caught.value) == (
        f"m: {one.url}: no first word within 1 s, {two.url}: no first word within 1 s; "
        "raise first_token_s and total_s, or set llm to 'none' to be answered in quotes"
    )


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_is_wrong_is_told_and_nobody_is_left_out_for_it(
    places: tuple[Place, Place], status: int
) -> None:
    picky, other = places
    picky.does = answers(status)
    writer = of(picky, other)
    for _ in range(2):
        with pytest.raises(LLMUnavailable, match=f"m answered {status} "):
            text_of(writer)
        assert text_of(writer) == said_by(other)
    assert [len(place.requests) for place in places] == [2, 2]


def test_a_reply_that_breaks_off_is_not_begun_again(places: tuple[Place, Place]) -> None:
    breaking, other = places
    breaking.does = breaks_in_the_middle
    writer = of(breaking, other)
    reply = writer.stream("", HELLO, max_tokens=9)
    assert next(reply) == "I am"
    with pytest.raises(LLMUnavailable, match="m failed "):
        next(reply)
    assert other.requests == []
    assert [text_of(writer) for _ in range(3)] == [said_by(other)] * 3


def test_over_a_network_too_nobody_is_asked_twice(places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **more: resolve("127.0.0.1", *rest, **more))
    monkeypatch.setenv("NO_PROXY", "*")
    for place in places:
        place.does = answers(503)
    with pytest.raises(LLMUnavailable, match="answered 503"):
        text_of(of(llm_base_url=",".join(place.url.replace("127.0.0.1", "llm.example") for place in places)))
    assert [len(place.requests) for place in places] == [1, 1]


# ---- nobody is well --------------------------------------------------------------------------------------------------


def test_all_are_dead_says_one_line_that_names_them_and_quotes_answer(
    places: tuple[Place, Place], tmp_path: Path
) -> None:
    (tmp_path / "heron.txt").write_text("The heron of the pond is called Edda.\n")
    dead, broken = free_port(), places[0]
    broken.does = answers(500)
    second = broken.url.replace("//", "//bob:second-password@")
    settings = Settings(
        documents=tmp_path / "heron.txt",
        index_dir=tmp_path / "index",
        llm="m",
        llm_base_url=f"http://ada:first-password@127.0.0.1:{dead}/v1, {second}",
        llm_api_key=KEY,
        refuse_below=0,
    )
    with Assistant.open(settings) as assistant:
        answer = assistant.ask("What is the heron of the pond called?")
        assert answer.mode == "quoted"
        assert "Edda" in answer.text
        (note,) = answer.notes
        assert f"m: http://127.0.0.1:{dead}/v1 failed (Connect" in note
        assert f", {broken.url} answered 500 (it is 500 with Basic ***); check that each runs and that llm" in note
        assert "\n" not in note
        told = f"{answer.to_dict()} {assistant.models()} {assistant.settings} {assistant.provenance} {note}"
        for secret in ("password", KEY, base64.b64encode(b"bob:second-password").decode()):
            assert secret not in told
        broken.does = well
        assert assistant.ask("What is the heron of the pond called?").mode in ("written", "quoted")
        assert "answered in quotes: m" not in str(assistant.ask("What is the heron of the pond called?").notes)


def test_one_cure_for_all_is_told_as_it_is(places: tuple[Place, Place], caplog: pytest.LogCaptureFixture) -> None:
    for place in places:
        place.does = answers(401)
    with pytest.raises(LLMUnavailable) as caught:
        text_of(of(*places))
    assert caplog.messages == []  # that line says it all
    one, two = (f"{place.url} refused the key (401)" for place in places)
    assert str(caught.value) == f"m: {one}, {two}; set llm_api_key (RAG_LLM_API_KEY) to a valid one"


def test_who_is_left_out_is_asked_when_nobody_else_is_there(places: tuple[Place, Place]) -> None:
    for place in places:
        place.does = answers(503)
    writer = of(*places)
    for _ in range(3):
        with pytest.raises(LLMUnavailable, match="answered 503"):
            text_of(writer)
    assert [len(place.requests) for place in places] == [3, 3]
    for place, other in (places, places[::-1]):
        place.does, other.does = well, answers(503)
        assert text_of(writer) == said_by(place)


# ---- leaving, closing, testing ---------------------------------------------------------------------------------------


def test_who_leaves_while_the_second_is_asked_ends_it(places: tuple[Place, Place]) -> None:
    broken, hangs = places
    broken.does, hangs.does = answers(500), silent
    writer, listener = of(broken, hangs), Listener()
    before = reading()

    def ask() -> None:
        with listener:
            text_of(writer)

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        assert eventually(lambda: bool(hangs.requests))
        listener.leave()
        assert "nobody waits" in str(asked.exception(10))
    assert hangs.client_left.wait(5)
    assert eventually(lambda: reading() <= before)
    assert writer.outcome is None  # it is not the LLM's fault
    hangs.does = well
    assert text_of(writer) == said_by(hangs)


def test_a_close_while_a_request_begins_ends_it() -> None:
    never = threading.Event()

    def closes(_prompt: Prompt, _request: Request) -> Text:
        pool.close()
        return (word for word in iter(lambda: str(never.wait(20)), ""))

    pool = Pool("m", [Backend(closes)], (20, 20), ())
    call = Call(pool, Prompt("", HELLO, 9))
    with pytest.raises(LLMUnavailable, match="m was closed; open it again"):
        next(call.pieces())
    call.end()
    never.set()


def test_closing_the_writer_ends_a_request_that_went_on(places: tuple[Place, Place]) -> None:
    broken, hangs = places
    broken.does, hangs.does = hangs_up, silent
    writer = of(broken, hangs)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(text_of, writer)
        assert eventually(lambda: bool(hangs.requests))
        writer.close()
        assert str(asked.exception(10)) == "m was closed; open it again"
    assert hangs.client_left.wait(5)
    with pytest.raises(LLMUnavailable, match="was closed"):
        text_of(writer)
    assert [len(place.requests) for place in places] == [1, 1]


@pytest.mark.parametrize("trouble", [well, answers(500), answers(400), silent])
def test_a_test_asks_every_address(places: tuple[Place, Place], trouble: Callable[[Handler], None]) -> None:
    one, two = places
    two.does = trouble
    writer = of(one, two, first_token_s=2 if trouble is silent else 20)
    assert writer.test()
    assert [len(place.requests) for place in places] == [1, 1]
    assert writer.outcome is not None
    assert writer.outcome.problem == ""
    first, second = (endpoint.outcome for endpoint in writer.endpoints)
    assert first is not None
    assert second is not None
    assert (first.problem, bool(second.problem)) == ("", trouble is not well)
    one.does = two.does = answers(500)
    assert writer.test()
    assert str(writer.outcome.problem).startswith(f"m: {one.url} answered 500")


# ---- secrets and addresses -------------------------------------------------------------------------------------------

PASSWORDS = ("pass,word/of-the-first", "pass:word@of-the-second")
LOGINS = [base64.b64encode(f"me:{password}".encode()).decode() for password in PASSWORDS]


def with_password(place: Place, password: str) -> str:
    return place.url.replace("//", f"//me:{quote(password, safe=',')}@")


@pytest.mark.parametrize("status", [401, 500, 400])
def test_nothing_that_is_said_has_a_password_of_either(
    places: tuple[Place, Place], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "rag")
    for place in places:
        place.does = answers(status)
    writer = of(llm_base_url=", ".join(map(with_password, places, PASSWORDS)))
    said = [repr(writer), repr(vars(writer))]
    for _ in range(2):
        with pytest.raises(LLMUnavailable) as caught:
            text_of(writer)
        said += traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    said += [repr(writer.outcome), repr(writer.endpoints), writer.host, caplog.text]
    assert [place.requests[0]["key"] for place in places] == [f"Basic {login}" for login in LOGINS]
    for secret in (*PASSWORDS, *(quote(password, safe=",") for password in PASSWORDS), *LOGINS, KEY):
        assert secret not in "".join(said)


def test_what_one_repeats_of_its_password_is_hidden_in_its_words(places: tuple[Place, Place]) -> None:
    def repeats(to: Handler) -> None:
        to.begin()
        to.say(f"It is {PASSWORDS[1]}.")
        to.end()

    places[0].does, places[1].does = answers(500), repeats
    assert text_of(of(llm_base_url=",".join(map(with_password, places, PASSWORDS)))) == "It is ***."


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("http://a/v1,http://b/v1", "http://a/v1, http://b/v1"),
        ("http://me:sesame@a/v1,http://b/v1", "http://***@a/v1, http://b/v1"),
        ("http://a/v1 , https://me:sesame@b/v1?k=sesame", "http://a/v1, https://***@b/v1?***"),
        (
            "http://me:ses,ame@a/v1,http://b/v1?k=sesame,http://me:sesame@c",
            "http://***@a/v1, http://b/v1?***, http://***@c",
        ),
    ],
)
def test_of_each_address_is_shown_what_is_no_secret(written: str, shown: str) -> None:
    assert shown_address(written) == shown
    assert f"llm_base_url='{shown}'" in repr(Settings(llm_base_url=written))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://a/v1,http://me:pass/word@b/v1", ": number 2 of its 2 addresses is no address; .*write / as %2F"),
        ("http://a/v1, http://b:x/v1, http://c/v1", ": number 2 of its 3 addresses is no address; .*from 1 to 65535"),
        ("http://a/v1,b:8000/v1", " is no address; .*each of several begins with http:// or https://"),
        ("http://a,http:/b/v1", " is no address; .*each of several begins with"),
        ("http://a/v1,", " is no address; .*a comma within one is written as %2C"),
        ("a/v1,http://me:word@b/v1", " must begin with http:// or https://; correct it"),
        ("http://a/v1,http://b/v1,http://me:word@a/v1/", " names an address twice; write each once"),
    ],
)
def test_a_mistake_in_one_of_several_is_told_without_what_is_secret(url: str, told: str) -> None:
    with pytest.raises(SettingsError, match=f"^setting 'llm_base_url'{told}") as caught:
        open_writer(Settings(llm="m", llm_base_url=url))
    assert "word" not in str(caught.value).replace("password", "")


def test_every_host_that_rag_toml_names_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rag.toml").write_text(
        'llm = "m"\nllm_base_url = """\nhttp://me:password@one:1/v1,\nhttp://two:2/v1,\nhttp://two:2/v2"""\n'
    )
    assert open_writer(Settings()) is not None
    (told,) = caplog.messages
    assert told.startswith("rag.toml: questions and passages go to one:1 and two:2; if you did not write that")
