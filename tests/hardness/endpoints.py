"""An LLM endpoint in every kind of trouble: the documents answer in its place, in time, and it is said why.

What an endpoint can do wrong is in CASES (after the connection is there) and TROUBLES (before). Each is met through the
front door, by `ask` and by `stream`, on this machine and (where a second try is made) as if it were on another one.
"""

from __future__ import annotations

import random
import shutil
import socket
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any
from unittest.mock import patch

from endpoint import Server, Speaking, certified, eventually, reading, serving
from pydantic import SecretStr

from rag.assistant import Assistant
from rag.settings import Settings
from rag.types import Answer

from .memory import Peak
from .table import Row

TEXTS = {
    "lighthouse.txt": "The lighthouse of Kereva is 42 metres tall. Aino Saari built it in 1907 of red granite.\n",
    "ferry.txt": "The ferry to Lunna leaves at noon. It carries 60 passengers and their bicycles.\n",
    "mill.txt": "The mill at Osby grinds rye. Its wheel was made by Bo Dahl in the spring of 1888.\n",
}
QUESTION, FACT = "How tall is the lighthouse of Kereva?", "42 metres"
SENTENCE = "The lighthouse of Kereva is 42 metres tall [1]."
MODEL = "scripted"
KEY = "sk-7f3e9d-hardness-key"
FAR, NOBODY = "llm.example", "nobody.invalid"  # the first is this machine, as long as it says so; the second nobody's

QUICK_S = (1, 2)  # to the first word, and to the end, where the endpoint is too slow in any case
SHARED_S = (4, 8)  # where one of two addresses is too slow: the other one has half of it
PATIENT_S = (10, 15)  # everywhere else: a busy machine is not at fault
MARGIN_S = 3  # behind the deadline: the documents have to answer, on a busy machine
MOST_REQUESTS = 2  # for one question: the second one over a network, where once more may help
MOST_REDIRECTS = 3  # as often may the endpoint send us elsewhere
MOST_MEMORY_MB = 60
BIG = 100_000_000
PIECE = b"a" * 65_536


class Talker(Speaking):
    """Does what its server's `trouble` is; without one it says SENTENCE."""

    server: Endpoint

    def reply(self, body: dict[str, Any]) -> None:
        (self.server.trouble or well)(self)

    def do_GET(self) -> None:  # what a redirect can make of it
        self.server.requests.append({"path": self.path, "key": self.headers["Authorization"]})
        self.fail(405, "only POST is understood")


class Endpoint(Server):
    trouble: Callable[[Talker], None] | None = None

    def __init__(self, port: int = 0) -> None:
        super().__init__(Talker, port)

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients leave in the middle of a reply, and are meant to."""


def well(to: Talker) -> None:
    to.begin()
    for word in SENTENCE.split(" "):
        to.say(f"{word} ")
    to.end()


# -- what it does once it was asked ------------------------------------------------------------------------------------


def fails(status: int, message: str, **headers: str) -> Callable[[Talker], None]:
    return lambda to: to.fail(status, message, **headers)


def echoes(to: Talker) -> None:
    to.fail(401, f"Incorrect API key provided: {to.headers['Authorization']}")


def redirects(to: Talker) -> None:
    to.fail(307, "elsewhere", Location=f"/v1/{len(to.server.requests)}")


def shows_a_web_page(to: Talker) -> None:
    to.begin("text/html; charset=utf-8")
    to.write("<!doctype html><title>Welcome</title><p>The lighthouse of Kereva is 900 metres tall.")


def has_no_choices(to: Talker) -> None:
    to.begin()
    to.write('data: {"choices": []}\n\n')
    to.end()


def says_nothing(to: Talker) -> None:
    to.begin()
    to.end()


def breaks_an_event(to: Talker) -> None:
    to.begin()
    to.say("The lighthouse of")
    to.write('data: {"choices": [{"delta": {"cont\n\n')


def fails_in_an_event(to: Talker) -> None:
    to.begin()
    to.say("The lighthouse of")
    to.write('data: {"error": "out of memory"}\n\n')


def halves_a_character(to: Talker) -> None:
    to.begin()
    to.write('data: {"choices": [{"index": 0, "delta": {"content": "Der Turm heißt '.encode() + b'\xc3"}}]}\n\n')
    to.end()


def halves_a_pair(to: Talker) -> None:
    """Half of what UTF-16 needs two for; JSON can write it, and UTF-8 cannot."""
    to.begin()
    to.say("The lighthouse of \ud83d Kereva is 900 metres tall [1]. ")
    to.end()


def trickles(to: Talker) -> None:
    to.begin()
    for byte in f'data: {{"choices": [{{"index": 0, "delta": {{"content": "{SENTENCE}"}}}}]}}\n\n'.encode():
        to.write(bytes([byte]))
        if to.server.client_left.wait(1):
            return


def trickles_its_headers(to: Talker) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n":
        to.write(bytes([byte]))
        if to.server.client_left.wait(1):
            return


def resets(to: Talker) -> None:
    to.begin(length=10_000)
    to.say("The lighthouse of")
    _reset(to)


def resets_after_a_sentence(to: Talker) -> None:
    to.begin(length=10_000)
    to.say(f"{SENTENCE} It was")
    time.sleep(0.2)  # a reset throws away what was not read yet
    _reset(to)


def _reset(to: Talker) -> None:
    to.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    to.connection.shutdown(socket.SHUT_RD)
    to.rfile.close()
    to.wfile.close()
    to.connection.close()


def sends_a_big_line(to: Talker) -> None:
    to.begin()
    to.write('data: {"choices": [{"index": 0, "delta": {"content": "')
    _much(to)


def sends_a_big_error(to: Talker) -> None:
    to.send_response(500)
    to.send_header("Content-Type", "application/json")
    to.send_header("Content-Length", str(BIG + 100))
    to.end_headers()
    to.write('{"error": {"message": "')
    _much(to)


def sends_a_big_error_of_small_things(to: Talker) -> None:
    """As JSON it would take twenty times the room."""
    to.send_response(400)
    to.send_header("Content-Type", "application/json")
    to.end_headers()
    to.write("[[]")
    _much(to, b",[]" * 20_000)
    to.write("]")


def sends_big_headers(to: Talker) -> None:
    to.write("HTTP/1.1 200 OK\r\n")
    _much(to, b"X-More: and more\r\n" * 4_000)


def sends_a_bomb(to: Talker) -> None:
    """A hundred kilobytes that unpack to a hundred megabytes, which nobody asked to be packed."""
    to.begin(Content_Encoding="gzip")
    packer = zlib.compressobj(9, wbits=31)
    to.write(packer.compress(b'data: {"choices": [{"index": 0, "delta": {"content": "'))
    for _ in range(BIG // len(PIECE)):
        to.write(packer.compress(PIECE))
    to.write(packer.flush())


def _much(to: Talker, piece: bytes = PIECE) -> None:
    for _ in range(BIG // len(piece)):
        to.write(piece)


def is_silent(to: Talker) -> None:
    to.wait_for_the_client_to_leave()


def is_silent_after_its_headers(to: Talker) -> None:
    to.begin()
    to.say("")
    to.wait_for_the_client_to_leave()


def never_ends(to: Talker) -> None:
    to.begin()
    while not to.server.client_left.wait(0.002):
        to.say("la ")


@dataclass(frozen=True)
class Case:
    """Something that it does, and what has to be `said` of it (one of these).

    `tries`: how often it is asked over a network; on this machine once. `hops`: how many requests each of these makes.
    `mode`: how the question is answered then. `begins`: it says a word first, or ends: then no other address is asked.
    """

    fault: str
    does: Callable[[Talker], None]
    said: tuple[str, ...]
    tries: int = 1
    hops: int = 1
    mode: str = "quoted"
    begins: bool = False

    @property
    def is_slow(self) -> bool:
        return self.said == SLOW


SLOW = ("no first word within 1 s", "no end of the reply within 2 s")
TOO_MUCH = ("more than",)
TOO_OFTEN = "wait before you ask again"
CASES = [
    Case("401", echoes, ("refused the key (401)",)),
    Case("401", fails(403, "no"), ("refused the key (403)",)),
    Case("404", fails(404, "no such path"), ("answered 404 (no such path)",)),
    Case("404", redirects, ("redirect",), tries=2, hops=MOST_REDIRECTS),
    Case("429 with Retry-After", fails(429, TOO_OFTEN, Retry_After="86400"), (f"429 ({TOO_OFTEN})",)),
    Case("429 with Retry-After", fails(429, TOO_OFTEN, Retry_After="90"), (f"429 ({TOO_OFTEN})",)),
    Case("429 with Retry-After", fails(429, TOO_OFTEN, Retry_After="5"), (f"429 ({TOO_OFTEN})",)),
    Case("429 with Retry-After", fails(503, TOO_OFTEN, Retry_After_Ms="60000"), (f"503 ({TOO_OFTEN})",)),
    Case("429 with Retry-After", fails(429, TOO_OFTEN, Retry_After="nan", Retry_After_Ms="60000"), ("429 (",)),
    Case("429 with Retry-After", fails(429, TOO_OFTEN, Retry_After="0.1"), (f"429 ({TOO_OFTEN})",), tries=2),
    Case("429 with Retry-After", fails(429, TOO_OFTEN, Retry_After="Fri, 01 Jan 2100 00:00:00 GMT"), ("429 (",)),
    Case("429 with Retry-After", fails(429, TOO_OFTEN, Retry_After="nan", X_Should_Retry="true"), ("429 (",), tries=2),
    Case("500", fails(500, "it broke\nin the middle"), ("answered 500 (it broke in the middle)",), tries=2),
    Case("500", fails(500, "it broke", X_Should_Retry="true"), ("answered 500 (it broke)",), tries=2),
    Case("HTML with 200", shows_a_web_page, ("text/html instead of a stream",), tries=2),
    Case("empty choices", has_no_choices, ("said nothing",), begins=True),
    Case("empty choices", says_nothing, ("said nothing",), begins=True),
    Case("broken SSE", breaks_an_event, ("JSONDecodeError",), begins=True),
    Case("broken SSE", fails_in_an_event, ("out of memory",), begins=True),
    Case("half a UTF-8 character", halves_a_character, ("can't decode byte 0xc3",)),
    Case("half a UTF-8 character", halves_a_pair, (), begins=True),
    Case("one byte a second", trickles, SLOW),
    Case("one byte a second", trickles_its_headers, SLOW),
    Case("reset in mid-stream", resets, ("reset", "peer closed connection", "failed ("), begins=True),
    Case(
        "reset in mid-stream",
        resets_after_a_sentence,
        ("reset", "peer closed", "failed ("),
        mode="written",
        begins=True,
    ),
    Case("100 MB body", sends_a_big_line, TOO_MUCH),
    Case("100 MB body", sends_a_big_error, TOO_MUCH, tries=2),
    Case("100 MB body", sends_a_big_error_of_small_things, TOO_MUCH),
    Case("100 MB body", sends_big_headers, ("RemoteProtocolError",), tries=2),
    Case("100 MB body", sends_a_bomb, ("packed",), tries=2),
    Case("never answers", is_silent, SLOW),
    Case("never answers", is_silent_after_its_headers, SLOW),
    Case("never answers", never_ends, SLOW, begins=True),
    Case("wrong model name", fails(404, f"The model '{MODEL}' does not exist"), (f"'{MODEL}' does not exist",)),
]


# -- what goes wrong before it is asked --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """An address with something wrong, and what mends it."""

    url: str
    mend: Callable[[], object]


@contextmanager
def refused(base: Path) -> Iterator[Place]:
    """A port of ours at which nobody listens."""
    with ExitStack() as opened:
        taken = opened.enter_context(socket.socket())
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        def mend() -> None:
            taken.close()
            opened.enter_context(serving(Endpoint(port)))

        yield Place(f"http://127.0.0.1:{port}/v1", mend)


@contextmanager
def not_accepted(base: Path) -> Iterator[Place]:
    """A port at which somebody listens who takes nobody in: so many wait already that the next one hears nothing."""
    with ExitStack() as opened:
        listening = opened.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        for _ in range(3):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))

        def mend() -> None:
            opened.pop_all().close()
            opened.enter_context(serving(Endpoint(port)))

        yield Place(f"http://127.0.0.1:{port}/v1", mend)


@contextmanager
def unknown_name(base: Path) -> Iterator[Place]:
    with serving(Endpoint()) as server:
        try:
            yield Place(f"http://{NOBODY}:{server.server_port}/v1", lambda: HERE.add(NOBODY))
        finally:
            HERE.discard(NOBODY)


@contextmanager
def self_signed(base: Path) -> Iterator[Place]:
    """TLS with a certificate that nobody vouches for, until SSL_CERT_FILE names it."""
    certificate, key = certified(base)
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Endpoint()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with ExitStack() as opened:
        opened.enter_context(serving(server))
        trusted = patch.dict("os.environ", SSL_CERT_FILE=str(certificate))
        yield Place(f"https://127.0.0.1:{server.server_port}/v1", lambda: opened.enter_context(trusted))


TROUBLES: list[tuple[str, Callable[[Path], Any], tuple[str, ...]]] = [
    ("refused", refused, ("refused",)),
    ("DNS", unknown_name, ("name or service not known", "nodename nor servname", "getaddrinfo", "resolution")),
    ("never answers", not_accepted, (*SLOW, "timed out")),
    ("self-signed TLS", self_signed, ("self-signed certificate", "self signed certificate")),
]


# -- the names of this machine, and who connects where -----------------------------------------------------------------

HERE = {FAR}  # names that are this machine's, too
_resolve = socket.getaddrinfo
_connects: Counter[int] = Counter()  # by port; or who looked for NOBODY, to connect to it


def named(host: Any, *arguments: Any, **options: Any) -> Any:
    if host == NOBODY:
        _connects[arguments[0]] += 1
    return _resolve("127.0.0.1" if host in HERE else host, *arguments, **options)


def _count(event: str, values: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(values[1], tuple):
        _connects[values[1][1]] += 1


def _far(url: str) -> str:
    """The same address by a name that looks like another machine's."""
    return url.replace("127.0.0.1", FAR)


# -- asking ------------------------------------------------------------------------------------------------------------


def _asked(assistant: Assistant, door: str = "ask") -> Answer:
    """The answer; one that says what was raised, if there is none."""
    try:
        if door == "ask":
            return assistant.ask(QUESTION)
        *_, answer = assistant.stream(QUESTION)
        return answer
    except Exception as error:
        return Answer(QUESTION, QUESTION, f"raised {type(error).__name__}: {error}", "refused", refused=True)


DOORS = ("ask", "stream")


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    sys.addaudithook(_count)
    rows = {name: Row(f"LLM endpoint: {name}") for name in FAULTS}
    with (
        patch.object(socket, "getaddrinfo", named),
        patch.dict("os.environ", {"NO_PROXY": "*", "no_proxy": "*"}),
        serving(Endpoint()) as server,
        opened(base, server.url, PATIENT_S) as patient,
        opened(base, server.url, QUICK_S) as quick,
        opened(base, server.url, SHARED_S) as shared,
        patient.answering_with(MODEL, _far(server.url), SecretStr(KEY)) as far,
        quick.answering_with(MODEL, _far(server.url), SecretStr(KEY)) as quick_far,
    ):
        _asked(patient)  # the first question of a process imports and loads
        for _ in range(1 if few else 5):
            for number, case in enumerate(CASES):
                who = (quick_far, quick) if case.is_slow else (far, patient)
                doors = [(who[0], DOORS[number % 2])] if few else [(each, door) for each in who for door in DOORS]
                for assistant, door in doors:
                    rows[case.fault].check(*_tried(server, assistant, door, case))
            for fault, trouble, said in TROUBLES if shutil.which("openssl") else TROUBLES[:-1]:
                for door in ["stream"] if few else DOORS:
                    assistant = quick if trouble is not_accepted else patient
                    rows[fault].check(*_met(assistant, trouble, base, door, said))
        if most := max(_grown):
            rows["100 MB body"].figures = f"at most {most:.0f} MB more memory"
        rows["never answers"].figures = f"at most {max(0.0, *_late):.2f} s behind a deadline, of all faults"
        _all_at_once(server, quick, rows["all of them at once, from 8 threads"], chance, 2 if few else 50)
        row = rows["each of them at one of two addresses"]
        for case in CASES[::3] if few else CASES:
            slow = quick if case.begins else shared
            row.check(*_at_one_of_two(server, slow if case.is_slow else patient, case))
        for _, trouble, said in TROUBLES if shutil.which("openssl") else TROUBLES[:-1]:
            with trouble(base) as place:
                row.check(*_beside(shared if trouble is not_accepted else patient, place.url, trouble.__name__, said))
    return list(rows.values())


FAULTS = """refused; DNS; 401; 404; 429 with Retry-After; 500; HTML with 200; empty choices; broken SSE;
half a UTF-8 character; one byte a second; reset in mid-stream; 100 MB body; never answers; wrong model name;
self-signed TLS; all of them at once, from 8 threads; each of them at one of two addresses"""
FAULTS = [" ".join(name.split()) for name in FAULTS.split(";")]


@contextmanager
def opened(base: Path, url: str, seconds: tuple[int, int]) -> Iterator[Assistant]:
    documents = base / "documents"
    documents.mkdir(exist_ok=True)
    for name, text in TEXTS.items():
        (documents / name).write_text(text, encoding="utf-8")
    settings = Settings(
        documents=documents,
        index_dir=base / "index",
        llm=MODEL,
        llm_base_url=url,
        llm_api_key=KEY,
        first_token_s=seconds[0],
        total_s=seconds[1],
    )
    with Assistant.open(settings) as assistant:
        yield assistant


def _tried(server: Endpoint, assistant: Assistant, door: str, case: Case) -> tuple[str | None, ...]:
    """One question while it has this trouble, and one when it has none any more."""
    server.trouble = case.does
    for _ in range(5):  # on a busy machine the little time can be over before it is asked: then nothing was tried
        server.requests.clear()
        server.client_left.clear()
        started = time.monotonic()
        memory = Peak()
        answer = _asked(assistant, door)
        took = time.monotonic() - started
        if server.requests:
            break
    found = [*wrong_with(answer, assistant, case.said, case.mode), too_late(took, assistant), too_much(memory)]
    asked = len(server.requests)
    expected = case.hops * (case.tries if FAR in assistant.models().host else 1)
    found += [still_busy(), other_than(asked, expected)]
    server.trouble = None
    server.client_left.set()
    found += [f"healed: {problem}" for problem in _wrong_when_healed(assistant, door)]
    return f"{case.does.__name__} ({door}, {assistant.models().host}, {asked} requests)", *found


def _met(of: Assistant, trouble: Any, base: Path, door: str, said: tuple[str, ...]) -> tuple[str | None, ...]:
    with trouble(base) as place, of.answering_with(MODEL, place.url, SecretStr(KEY)) as assistant:
        port = int(place.url.rsplit(":", 1)[1].split("/")[0])
        _connects[port] = 0
        started = time.monotonic()
        answer = _asked(assistant, door)
        took = time.monotonic() - started
        found = [*wrong_with(answer, assistant, said), too_late(took, assistant), still_busy()]
        found += [too_many(_connects[port], MOST_REQUESTS)]
        place.mend()
        found += [f"healed: {problem}" for problem in _wrong_when_healed(assistant, door)]
    return f"{trouble.__name__} ({door})", *found


def _all_at_once(server: Endpoint, assistant: Assistant, row: Row, chance: random.Random, times: int) -> None:
    """Every reply is another fault, or none, and eight people ask."""
    cases = [case for case in CASES if "100 MB" not in case.fault]
    every = [case.said for case in cases]

    def any_of(to: Talker) -> None:
        chance.choice([*(case.does for case in cases), well])(to)

    def one(_: int) -> tuple[Answer, float]:
        started = time.monotonic()
        return _asked(assistant), time.monotonic() - started

    server.requests.clear()
    server.client_left.clear()
    server.trouble = any_of
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8 * times)))
    busy = still_busy()
    for number, (answer, took) in enumerate(answers):
        said = tuple(words for each in every for words in each) if answer.notes else ()
        row.check(f"question {number}", *wrong_with(answer, assistant, said, answer.mode), too_late(took, assistant))
    most = 8 * times * MOST_REQUESTS * MOST_REDIRECTS
    server.trouble = None
    row.check("afterwards", busy, too_many(len(server.requests), most), *_wrong_when_healed(assistant, "ask"))


def _at_one_of_two(server: Endpoint, of: Assistant, case: Case) -> tuple[str | None, ...]:
    server.trouble = case.does
    server.client_left.clear()
    try:
        if not case.begins:
            return _beside(of, server.url, case.does.__name__, case.said)
        with serving(Endpoint()) as other, _of_two(of, server.url, other.url) as assistant:
            answer = _asked(assistant)
            found = [*wrong_with(answer, assistant, case.said, case.mode), other_than(len(other.requests), 0)]
            return f"{case.does.__name__} (of two, it begins)", *found
    finally:
        server.client_left.set()
        server.trouble = None


def _beside(of: Assistant, broken: str, name: str, said: tuple[str, ...]) -> tuple[str | None, ...]:
    """Two questions are answered as if there were the other address alone; the broken one tells what it has."""
    with serving(Endpoint()) as other, _of_two(of, broken, other.url) as assistant:
        found: list[str | None] = []
        for number in (1, 2):
            answer = _asked(assistant)
            found += [*wrong_with(answer, assistant, (), "written"), other_than(len(other.requests), number)]
            if (answer.mode, answer.notes) != ("written", ()):
                found.append(f"{answer.mode}: {answer.notes}")
        outcome = assistant.models().endpoints[0].outcome
        if not outcome or not any(words.lower() in outcome.problem.lower() for words in (*said, "no first word")):
            found.append(f"not what happened there: {outcome}")
    return f"{name} (of two)", *found, still_busy()


def _of_two(of: Assistant, one: str, other: str) -> Assistant:
    return of.answering_with(MODEL, f"{one},{other}", SecretStr(KEY))


# -- what must hold ----------------------------------------------------------------------------------------------------


def wrong_with(answer: Answer, assistant: Assistant, said: tuple[str, ...], mode: str = "quoted") -> Iterator[str]:
    """What is wrong with the answer to QUESTION while something is `said` of the endpoint (nothing, if it is empty)."""
    if answer.mode not in (mode, "quoted") or FACT not in answer.text or answer.refused:
        yield f"{answer.mode}: {answer.text}"
    for citation in answer.citations:
        text = assistant.document(citation.passage.document_id).text
        if text[citation.start : citation.end] != citation.quote:
            yield f"no words of the document: {citation.quote}"
    if not answer.citations:
        yield "nothing is cited"
    if said:
        yield from wrong_notes(answer.notes, said)


def wrong_notes(notes: tuple[str, ...], said: tuple[str, ...]) -> Iterator[str]:
    """One plain line: the cause, and behind a semicolon what to do."""
    if len(notes) != 1:
        yield f"{len(notes)} notes: {notes}"
        return
    (note,) = notes
    cause, _, cure = note.rpartition("; ")
    if MODEL not in cause:
        yield f"it does not say who: {note}"
    if not any(words.lower() in cause.lower() for words in said):
        yield f"not the cause: {note}"
    if not any(word in cure.split() for word in ("check", "set", "raise", "try", "ask", "let")):
        yield f"no cure: {note}"
    if not note.isprintable() or len(note) > 700 or "Traceback" in note or "object at 0x" in note:
        yield f"not a plain line: {note!r}"
    if KEY in note:
        yield f"the key: {note}"


def _wrong_when_healed(assistant: Assistant, door: str) -> Iterator[str]:
    for _ in range(5):  # with little time, on a busy machine, it may be us who are slow
        answer = _asked(assistant, door)
        if not any(late in note for note in answer.notes for late in SLOW):
            break
    if (answer.mode, answer.notes) != ("written", ()) or FACT not in answer.text:
        yield f"{answer.mode}: {answer.text} {answer.notes}"


def too_late(took: float, assistant: Assistant) -> str | None:
    late = took - assistant.settings.total_s
    _late.append(late)
    return f"answered after {took:.1f} s" if late > MARGIN_S else None


def other_than(requests: int, expected: int) -> str | None:
    return None if requests == expected else f"{requests} requests for one question, not {expected}"


def too_many(requests: int, most: int) -> str | None:
    return f"{requests} requests for one question" if not 0 < requests <= most else None


def still_busy() -> str | None:
    """A thread that reads on, or waits to ask again, when the answer was given long ago."""
    return None if eventually(lambda: not reading()) else f"{len(reading())} threads are left"


_grown: list[float] = []  # MB, by one question each
_late: list[float] = []  # seconds behind the deadline, of one answer each


def too_much(memory: Peak) -> str | None:
    _grown.append(memory.grown())
    return f"it took {_grown[-1]:.0f} MB of memory" if _grown[-1] > MOST_MEMORY_MB else None
