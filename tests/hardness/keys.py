"""Canary secrets through every fault and every way out: none of them may come out anywhere, in any form.

An LLM's key (RAG_LLM_API_KEY), a password in its address (RAG_LLM_BASE_URL), a user's password (RAG_AUTH), and a key
that somebody types into the page. The endpoint that gets them repeats them wherever it can.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import httpx
from endpoint import serving

from rag.assistant import Assistant
from rag.errors import LLMUnavailable, RagError
from rag.feedback import Feedback
from rag.llm import open_writer
from rag.settings import Settings

from .endpoints import CASES, MODEL, QUESTION, SENTENCE, TEXTS, TROUBLES, Endpoint, Talker, named
from .table import Row

CORES = {  # what each secret is known by; the rest of it is what has to be escaped somewhere
    "the LLM's key": "c4n4ry7f3e9d01ab",
    "the password in its address": "c4n4ry52d8e6b3f0",
    "a user's password": "c4n4ry91a0c7e2d4",
    "the key typed into the page": "c4n4ry0b6f8d35e7",
}
KEY, PASSWORD, USERS_PASSWORD, TYPED = (f"sk-{core}/x+y==" for core in CORES.values())
LOGIN = f"ada:{USERS_PASSWORD}"
REPOSITORY = Path(__file__).parents[2]

# -- what to look for --------------------------------------------------------------------------------------------------


def forms(core: str) -> Iterator[str]:
    """A secret and its halves, plain, and as base64 at any of the three places at which it can begin, and in hex."""
    for part in (core, core[: len(core) // 2 + 3], core[len(core) // 2 - 3 :]):
        yield part
        yield part.encode().hex()
        for before in range(3):
            encoded = base64.b64encode(b" " * before + part.encode()).decode().rstrip("=")
            yield encoded[2 if before else 0 : -2][before - 1 if before == 2 else 0 :]


def leaks(output: str | bytes) -> list[str]:
    """Which secrets are in it."""
    text = output.decode("utf-8", "replace") if isinstance(output, bytes) else output
    return [name for name, core in CORES.items() if any(form.lower() in text.lower() for form in forms(core))]


class Ways:
    """One row: the outputs of one way out."""

    def __init__(self, way: str) -> None:
        self.row = Row(f"secrets: {way}")

    def look(self, what: str, output: str | bytes, *problems: str | None) -> None:
        self.row.check(what, *problems, lost=[f"{name}, in {what}" for name in leaks(output)])


# -- an endpoint that repeats what it was sent -------------------------------------------------------------------------


def sent(to: Talker) -> str:
    """What came as Authorization, and what it says, if it is packed as base64."""
    header = to.headers["Authorization"] or ""
    scheme, _, value = header.partition(" ")
    return f"{header} {base64.b64decode(value).decode()}" if scheme == "Basic" else header


def repeats(status: int) -> Callable[[Talker], None]:
    return lambda to: to.fail(status, f"not with {sent(to)}, says {to.headers['Authorization']}")


def repeats_as_a_page(to: Talker) -> None:
    to.send_response(502)
    to.send_header("Content-Type", "text/html")
    to.end_headers()
    to.write(f"<h1>Bad gateway</h1><pre>Authorization: {sent(to)}</pre>")


def repeats_as_text(to: Talker) -> None:
    to.begin("text/html")
    to.write(sent(to))


def repeats_in_the_first_line(to: Talker) -> None:
    to.write(f"HTTP/1.1 500 {sent(to)}\r\nContent-Length: 0\r\nX-Sent: {sent(to)}\r\n\r\n")


def repeats_in_a_broken_header(to: Talker) -> None:
    to.write(f"HTTP/1.1 200 OK\r\n{sent(to)}\r\n\r\n")


def repeats_as_its_kind(to: Talker) -> None:
    to.begin(Content_Encoding=sent(to))


def repeats_in_an_event(to: Talker) -> None:
    to.begin()
    to.write(f"data: {json.dumps({'error': {'message': sent(to)}})}\n\n")


def repeats_in_an_event_of_words(to: Talker) -> None:
    to.begin()
    to.write(f"data: {json.dumps({'error': sent(to)})}\n\n")


def repeats_in_a_broken_event(to: Talker) -> None:
    to.begin()
    to.write(f"data: {sent(to)}\n\n")


def repeats_in_its_words(to: Talker) -> None:
    to.begin()
    for word in f"Your header was {sent(to)} and it is 900 metres tall [1]. {SENTENCE}".split(" "):
        to.say(word[:9])
        to.say(word[9:] + " ")
    to.end()


def sends_elsewhere_with_it(to: Talker) -> None:
    to.fail(307, "elsewhere", Location=f"/v1/there?key={quote(sent(to))}")


REPEATING: list[Callable[[Talker], None]] = [
    *map(repeats, (400, 401, 403, 404, 429, 500, 503)),
    repeats_as_a_page,
    repeats_as_text,
    repeats_in_the_first_line,
    repeats_in_a_broken_header,
    repeats_as_its_kind,
    repeats_in_an_event,
    repeats_in_an_event_of_words,
    repeats_in_a_broken_event,
    repeats_in_its_words,
    sends_elsewhere_with_it,
]


IN_HEADERS = (
    repeats_in_the_first_line,
    repeats_in_a_broken_header,
    repeats_as_its_kind,
    sends_elsewhere_with_it,
)


class OneAfterTheOther:
    """Does all of these in turn, and then again."""

    def __init__(self, troubles: Iterable[Callable[[Talker], None]]) -> None:
        self._troubles = list(troubles)
        self._next = 0
        self._lock = threading.Lock()

    def __call__(self, to: Talker) -> None:
        with self._lock:
            trouble = self._troubles[self._next % len(self._troubles)]
            self._next += 1
        trouble(to)


# -- the parts ---------------------------------------------------------------------------------------------------------


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    documents = base / "documents"
    documents.mkdir()
    for name, text in TEXTS.items():
        (documents / name).write_text(text, encoding="utf-8")
    troubles = REPEATING if few else [*REPEATING, *(case.does for case in CASES)]
    with serving(Endpoint()) as server:
        doors = {"key": server.url, "password": server.url.replace("//", f"//bob:{quote(PASSWORD, safe='')}@")}
        if not few:
            doors["second password"] = f"http://127.0.0.1:9/v1,{doors['password']}"
        rows = [
            _within(base, server, doors, troubles),
            _before_it_is_asked(base),
            _command_line(base, server, doors, troubles, few=few),
            _mistakes(base),
            _elsewhere(base, server),
            _page(base, server, doors["password"], troubles),
            _typed(base, server, REPEATING[::3] if few else troubles),
        ]
    return rows


def _settings(base: Path, url: str, **more: Any) -> Settings:
    return Settings(
        documents=base / "documents",
        index_dir=base / "index",
        llm=MODEL,
        llm_base_url=url,
        llm_api_key=KEY,
        auth=LOGIN,
        first_token_s=1,
        total_s=2,
        **more,
    )


def _within(base: Path, server: Endpoint, doors: dict[str, str], troubles: list[Callable[[Talker], None]]) -> Row:
    """In a program of somebody's own: answers, errors with the values behind them, logs of everybody, what is kept."""
    way = Ways("a program's answers, errors, logs and files")
    said = _Logs()
    with said.everything():
        for door, url in doors.items():
            settings = _settings(base, url)
            way.look(f"the settings ({door})", f"{settings!r} {settings} {settings.model_copy()!r}")
            server.requests.clear()
            with Assistant.open(settings) as assistant:
                writer = open_writer(settings)
                assert writer is not None
                for trouble in troubles:
                    server.trouble, name = trouble, f"{trouble.__name__} ({door})"
                    said.of_ours_only = trouble in IN_HEADERS
                    server.client_left.clear()
                    answer = assistant.ask(QUESTION)
                    way.look(name, json.dumps(answer.to_dict()))
                    Feedback(settings.index_dir).add(answer, "up")
                    way.look(f"the error of {name}", _with_values(writer))
                    server.client_left.set()
                way.row.check(*_was_sent(server, door))
                seen = (assistant.provenance, assistant.models(), vars(writer), writer, writer.outcome)
                way.look(f"what is told of the models ({door})", repr(seen))
    way.look("the logs", "\n".join(said.lines), None if len(said.lines) > 100 else "nobody logged anything")
    for file in sorted(base.joinpath("index").rglob("*")):
        if file.is_file():
            way.look(file.name, file.read_bytes())
    return way.row


def _before_it_is_asked(base: Path) -> Row:
    """The errors that name an address, which has a password in it: refused, no such name, nobody takes it, TLS."""
    way = Ways("an endpoint that cannot be reached")
    said = _Logs()
    with said.everything(), patch.object(socket, "getaddrinfo", named):
        for name, trouble, _ in TROUBLES if shutil.which("openssl") else TROUBLES[:-1]:
            folder = base / name.replace(" ", "-")
            folder.mkdir()
            with trouble(folder) as place:
                settings = _settings(base, place.url.replace("//", f"//bob:{quote(PASSWORD, safe='')}@"))
                with Assistant.open(settings) as assistant:
                    answer = assistant.ask(QUESTION)
                writer = open_writer(settings)
                way.look(name, json.dumps(answer.to_dict()), None if answer.notes else "nothing was said of it")
                way.look(f"the error of {name}", _with_values(writer))
    way.look("the logs", "\n".join(said.lines))
    return way.row


def _with_values(writer: Any) -> str:
    """An error's text and its traceback, with the values of all variables in it, as some services keep them."""
    try:
        "".join(writer.stream("Be brief.", QUESTION, max_tokens=9))
    except LLMUnavailable as error:
        seen = [f"{error} {error!r}", *traceback.format_exception(error)]
        seen += traceback.TracebackException.from_exception(error, capture_locals=True).format()
        return "".join(seen)
    return ""


def _was_sent(server: Endpoint, door: str) -> tuple[str, str | None]:
    """Nothing could come out if nothing was sent: and the search for secrets has to find it where it is."""
    got = " ".join(str(request["key"]) for request in server.requests)
    wanted = [*CORES][1 if "password" in door else 0]
    return f"what the endpoint got ({door})", None if leaks(got) == [wanted] else f"{leaks(got)}"


class _Logs(logging.Handler):
    """What all libraries log, with the errors that they attach.

    `of_ours_only`: an endpoint puts secrets into headers, which those for HTTP log when somebody turns that on.
    """

    of_ours_only = False

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not (self.of_ours_only and record.name.split(".")[0] in ("httpx", "httpcore", "openai")):
            self.lines.append(self.format(record))

    @contextmanager
    def everything(self) -> Iterator[None]:
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self)
        try:
            yield
        finally:
            root.removeHandler(self)
            root.setLevel(level)


# -- processes ---------------------------------------------------------------------------------------------------------


def _environment(base: Path, url: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "OPENAI_"))}
    kept |= {name: value for name, value in os.environ.items() if name == "RAG_CACHE_DIR"}
    ours = {
        "DOCUMENTS": str(base / "documents"),
        "INDEX_DIR": str(base / "index"),
        "LLM": MODEL,
        "LLM_BASE_URL": url,
        "LLM_API_KEY": KEY,
        "AUTH": LOGIN,
        "FIRST_TOKEN_S": "1",
        "TOTAL_S": "2",
        **more,
    }
    return {**kept, "PYTHONPATH": str(REPOSITORY), **{f"RAG_{name}": value for name, value in ours.items() if value}}


def _rag(base: Path, environment: dict[str, str], *arguments: str, typed: str = "", dev: bool = False) -> str:
    """What the command prints on both streams."""
    command = [sys.executable, *(["-X", "dev"] if dev else []), "-m", "rag.cli", *arguments]
    done = subprocess.run(
        command, cwd=base, env=environment, input=typed, capture_output=True, text=True, encoding="utf-8", timeout=300
    )
    return f"{done.stdout}\n{done.stderr}\n(ended with {done.returncode})"


def _command_line(
    base: Path, server: Endpoint, doors: dict[str, str], troubles: list[Callable[[Talker], None]], *, few: bool
) -> Row:
    """A chat meets every fault in one process; the other commands some of them."""
    way = Ways("the command line")
    everything = [("ask", QUESTION, "--explain"), ("ask", QUESTION, "--json"), ("doctor",), ("feedback",), ("config",)]
    for door, url in doors.items():
        environment = _environment(base, url)
        server.client_left.set()  # who would trickle on for an hour does not
        server.trouble = OneAfterTheOther(troubles)
        chat = _rag(base, environment, "chat", typed=f"{QUESTION}\n" * len(troubles))
        told = chat.lower().count("answered in quotes")
        way.look(f"chat ({door})", chat, f"only {told} notes: {chat[-500:]}" if told < len(REPEATING) // 2 else None)
        for command in everything[-1:] if few else everything:
            server.trouble = repeats(401)
            way.look(f"{command[0]} ({door})", _rag(base, environment, *command, dev=not few))
        if not few:
            export = base / f"gold-{door}.jsonl"
            way.look(f"feedback export ({door})", _rag(base, environment, "feedback", "export", str(export)))
            way.look(export.name, export.read_bytes())
            way.look(f"the evaluation ({door})", _evaluated(base, environment, export))
    return way.row


def _evaluated(base: Path, environment: dict[str, str], gold: Path) -> str:
    """All that an evaluation prints and writes."""
    reports = base / f"reports-{gold.stem}"
    sentence = TEXTS["lighthouse.txt"].partition(". ")[0]
    evidence = [{"document": "lighthouse.txt", "quote": sentence}]
    line = {"id": "tall", "kind": "fact", "question": QUESTION, "answers": [["42 metres"]], "answerable": True}
    gold.write_text(json.dumps({**line, "evidence": evidence}) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "eval/", "--gold", str(gold)]
    command += ["--documents", environment["RAG_DOCUMENTS"], "--report", str(reports)]
    command += ["--llm", MODEL, "--llm-base-url", environment["RAG_LLM_BASE_URL"]]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=600
    )
    written = [file.read_text(encoding="utf-8") for file in sorted(reports.rglob("*")) if file.is_file()]
    assert written, done.stdout + done.stderr
    return "".join([done.stdout, done.stderr, *written])


def _mistakes(base: Path) -> Row:
    """Settings that cannot be, with a secret in or beside them."""
    way = Ways("settings that cannot be")
    written = {
        "a mistyped name": f'llm_apikey = "{KEY}"',
        "no TOML": f"llm_api_key = {KEY}",
        "a number": f'top_k = "{KEY}"',
        "a list": f'llm_api_key = ["{KEY}"]',
        "no users": f'auth = ",{LOGIN}"',
    }
    variables = {
        "a key in two lines": {"LLM_API_KEY": f"{KEY[:12]}\n{KEY[12:]}"},
        "a key with a control character": {"LLM_API_KEY": f"{KEY}\x07{KEY}"},
        "an address that is none": {"LLM_BASE_URL": f"http://bob:{PASSWORD}@127.0.0.1:9/v1"},
        "an address without scheme": {"LLM_BASE_URL": f"bob:{PASSWORD}@127.0.0.1:9/v1"},
        "a user without name": {"AUTH": f":{USERS_PASSWORD}"},
    }
    for what, line in written.items():
        folder = base / what.replace(" ", "-")
        folder.mkdir()
        (folder / "rag.toml").write_text(line + "\n", encoding="utf-8")
        way.look(what, *_complaint(folder, _environment(base, "", LLM="none", LLM_API_KEY="", AUTH="")))
    for what, changed in variables.items():
        way.look(what, *_complaint(base, _environment(base, "http://127.0.0.1:9/v1", **changed)))
    return way.row


def _complaint(folder: Path, environment: dict[str, str]) -> tuple[str, str | None]:
    """What Python prints of the error that these settings raise; and a problem, if they raise none."""
    from rag.web import users_for  # Gradio takes seconds

    with patch.dict("os.environ", environment, clear=True), chdir(folder):
        try:
            settings = Settings()
            open_writer(settings)
            users_for(settings)
        except RagError as error:
            return "".join(traceback.format_exception(error)), None
    return "", "nothing was wrong with it"


def _elsewhere(base: Path, server: Endpoint) -> Row:
    """An endpoint that sends us to another server: that one gets no key and no password."""
    way = Ways("a redirect to another server")
    with serving(Endpoint()) as other:
        for door in (server.url, server.url.replace("//", f"//bob:{quote(PASSWORD, safe='')}@")):
            server.trouble = lambda to: to.fail(307, "there", Location=f"{other.url}/chat/completions")
            with Assistant.open(_settings(base, door)) as assistant:
                answer = assistant.ask(QUESTION)
            got = json.dumps(other.requests)
            way.look("what it got", got, None if answer.mode == "written" and other.requests else f"nothing: {got}")
    return way.row


# -- the page ----------------------------------------------------------------------------------------------------------


@contextmanager
def _served(settings: Settings, way: Ways) -> Iterator[str]:
    """The address of the page. At the end, `way` has looked at all that was printed and logged meanwhile."""
    from rag.web import serve, users_for

    printed, said = StringIO(), _Logs()
    said.of_ours_only = True  # of the others' logs, see _within
    with (
        redirect_stdout(printed),
        redirect_stderr(printed),
        said.everything(),
        Assistant.open(settings) as assistant,
        serve(assistant, port=0, users=users_for(settings)) as server,
    ):
        yield server.address
    way.look("what the server printed", printed.getvalue())
    way.look("what the server logged", "\n".join(said.lines))


class _Visitor:
    """Asks a server, and shows all that it says to `way`."""

    def __init__(self, way: Ways, url: str, auth: tuple[str, str] | None = None) -> None:
        self._way = way
        self._http = httpx.Client(base_url=url, auth=auth, timeout=60, trust_env=False)

    def get(self, path: str) -> str:
        return self._seen(f"GET {path}", self._http.get(path))

    def post(self, path: str, body: Any) -> str:
        return self._seen(f"POST {path}", self._http.post(path, json=body))

    def _seen(self, what: str, response: httpx.Response) -> str:
        self._way.look(what, f"{response.status_code} {list(response.headers.raw)} {response.text}")
        return response.text


PAGES = (
    "/",
    "/config",
    "/gradio_api/info",
    "/gradio_api/info?all_endpoints=true",
    "/gradio_api/openapi.json",
    "/health",
)


def _page(base: Path, server: Endpoint, door: str, troubles: list[Callable[[Talker], None]]) -> Row:
    """The page with users, its doors for programs, and what is said to somebody who is no user."""
    way = Ways("the page and the doors of programs")
    server.trouble = OneAfterTheOther(troubles)
    with _served(_settings(base, door), way) as url:
        visitor = _Visitor(way, url, ("ada", USERS_PASSWORD))
        for path in PAGES:
            visitor.get(path)
        for n in range(len(troubles)):
            if n % 2:
                asked = {"messages": [{"role": "user", "content": QUESTION}], "stream": n % 4 == 1}
                visitor.post("/v1/chat/completions", asked)
            else:
                begun = json.loads(visitor.post("/gradio_api/call/v2/ask", {"question": QUESTION}))
                visitor.get(f"/gradio_api/call/ask/{begun['event_id']}")
        stranger = _Visitor(way, url, ("eve", "a guess"))
        for path in PAGES:
            stranger.get(path)
    return way.row


def _typed(base: Path, server: Endpoint, troubles: list[Callable[[Talker], None]]) -> Row:
    """A key typed into the panel Model, as the page sends it; then tests and questions with it."""
    way = Ways("the key typed into the page")
    server.requests.clear()
    settings = _settings(base, server.url).model_copy(update={"llm": "none", "llm_api_key": None, "auth": None})
    with _served(settings, way) as url:
        visitor = _Visitor(way, url)
        config = json.loads(visitor.get("/config"))
        panel = next(part["id"] for part in config["components"] if part["props"].get("elem_id") == "models")
        choose = _event(config, "choose_model")
        sent = {"before": "", "how": "endpoint", "url": server.url, "model": MODEL, "key": TYPED, "count": 1}
        body = {"fn_index": choose, "data": [], "event_data": sent, "session_hash": "somebody", "trigger_id": panel}
        chosen = json.loads(visitor.post("/gradio_api/run/predict", body))["data"][1]["llm"]
        call = {"session_hash": "somebody", "component_id": panel}
        server.trouble = OneAfterTheOther(troubles)
        for _ in troubles:
            told = visitor.post("/gradio_api/component_server", {**call, "fn_name": "test_model", "data": chosen})
            visitor.post("/gradio_api/component_server", {**call, "fn_name": "look_at_models", "data": chosen})
        _asked_on_the_page(visitor, config, chosen)
        bad = {**body, "event_data": {**sent, "key": f"{TYPED} {TYPED}"}}
        visitor.post("/gradio_api/run/predict", bad)
        for path in PAGES:
            visitor.get(path)
    got = " ".join(str(request["key"]) for request in server.requests)
    way.row.check("it was sent to the endpoint", None if leaks(got) == [*CORES][3:] else f"not: {told}")
    return way.row


def _event(config: dict[str, Any], name: str) -> int:
    """The number of the page's own event."""
    return next(
        event["id"] for event in config["dependencies"] if any(target[1] == name for target in event["targets"])
    )


def _asked_on_the_page(visitor: _Visitor, config: dict[str, Any], chosen: str) -> None:
    page = {"showing": "one", "turns": [], "only": [], "llm": chosen}
    body = {"fn_index": _event(config, "submit"), "data": [QUESTION, page], "session_hash": "somebody"}
    visitor.post("/gradio_api/queue/join", body)
    visitor.get("/gradio_api/queue/data?session_hash=somebody")
