"""The server in front of the page: who may come in, what leaves with every answer, and that it starts and stops."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from endpoint import eventually
from hardness.wire import half_an_upload
from pydantic import SecretStr
from starlette.testclient import TestClient

from rag.assistant import Assistant
from rag.errors import RagError, SettingsError
from rag.settings import Settings
from rag.web import Opening, Server, UsersNeeded, serve, users_for
from rag.web.arrivals import Arrivals
from rag.web.guard import Users
from rag.web.page import build
from rag.web.parts import BROKE
from rag.web.server import _app

WHO = "Who is the head of the Counter-Terrorism Service?"
READY = {"status": "ready", "documents": 2, "passages": 41}  # the seeds
ADA, BOB = ("ada", "correct: horse"), ("bob", "päss")
AS_JSON = {"Content-Type": "application/json"}
USERS = SecretStr(f"{':'.join(ADA)}, {':'.join(BOB)}")

# What a visitor could try without a name: the page, Gradio's own routes, ours, schemas and files.
ROUTES = """
    / /config /theme.css /manifest.json /robots.txt /login_check /monitoring /static/x /assets/x /nothing
    /gradio_api/info /gradio_api/openapi.json /gradio_api/user /gradio_api/app_id /gradio_api/startup-events
    /gradio_api/file=/etc/passwd /gradio_api/upload_progress?upload_id=1 /gradio_api/heartbeat/1
    /gradio_api/queue/data?session_hash=1 /gradio_api/call/documents/1 /gradio_api/mcp/schema /gradio_api/mcp/
    /health /metrics /openapi.json /v1/models /mcp
""".split()
POSTS = """
    /gradio_api/upload /gradio_api/queue/join /gradio_api/call/ask /gradio_api/call/v2/ingest /gradio_api/run/ask
    /gradio_api/cancel /gradio_api/reset /gradio_api/component_server /login /v1/chat/completions /mcp
""".split()


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


@pytest.fixture(scope="module")
def url(seed_assistant: Assistant) -> Iterator[str]:
    with serve(seed_assistant, port=0) as server:
        yield server.address


@pytest.fixture
def closed(seed_assistant: Assistant) -> Iterator[Server]:
    """A server that wants names."""
    with serve(seed_assistant, port=0, users=Users(USERS)) as server:
        yield server


# -- who may come in ---------------------------------------------------------------------------------------------------


def test_without_a_name_every_route_is_closed(closed: Server) -> None:
    with httpx.Client(base_url=closed.address) as client:
        for route in ROUTES:
            for method in ("GET", "HEAD", "OPTIONS"):
                answer = client.request(method, route)
                assert answer.status_code == 401, (method, route)
                assert answer.headers["www-authenticate"].startswith("Basic ")
                assert len(answer.content) < 200
        for route in POSTS:
            assert client.post(route, json={"data": []}).status_code == 401, route
            assert client.delete(route).status_code == 401, route


@pytest.mark.parametrize(
    "headers",
    [
        basic(*ADA),
        basic(*BOB),
        {"Authorization": f"Bearer {':'.join(ADA)}"},
        {"authorization": "bearer ada:correct: horse"},
    ],
)
def test_with_a_name_they_are_open(closed: Server, headers: dict[str, str]) -> None:
    for route in ("/", "/health", "/v1/models", "/gradio_api/info", "/config"):
        assert httpx.get(f"{closed.address.rstrip('/')}{route}", headers=headers).status_code == 200, route


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !",
        "Basic YWRh",
        "Bearer",
        "Bearer ada",
        "Bearer ada:",
        "Bearer ada:correct",
        "Token ada:correct: horse",
        "Digest ada:correct: horse",
        "ada:correct: horse",
        "ada:x",
        "\x80",
    ],
)
def test_what_is_no_name_and_password_is_refused(closed: Server, authorization: str) -> None:
    assert httpx.get(closed.address, headers={"Authorization": authorization.encode("latin-1")}).status_code == 401


def test_ten_failed_logins_are_enough_for_a_minute(closed: Server) -> None:
    with httpx.Client(base_url=closed.address) as client:
        for _ in range(10):
            assert client.get("/health", headers=basic("ada", "guess")).status_code == 401
        late = client.get("/health", headers=basic(*ADA))
        assert late.status_code == 429
        assert 0 < int(late.headers["retry-after"]) <= 60
        assert "too many failed logins" in late.text


def test_failed_logins_are_forgotten_after_a_minute_and_count_by_address() -> None:
    now = [0.0]
    users = Users(USERS, clock=lambda: now[0])
    for _ in range(10):
        assert not users.known("Bearer ada:guess", "10.0.0.1")
    assert users.wait("10.0.0.1") == 61
    assert users.wait("10.0.0.2") == 0
    assert users.known("Bearer ada:correct: horse", "10.0.0.2")
    now[0] = 60.0
    assert users.wait("10.0.0.1") == 0


def test_many_addresses_do_not_make_it_forget_the_last_failures() -> None:
    users = Users(USERS, clock=lambda: 0.0)
    for _ in range(10):
        users.known("Bearer ada:guess", "10.0.0.1")
    for number in range(9_999):
        users.known("Bearer ada:guess", f"other {number}")
    assert users.wait("10.0.0.1") > 0
    users.known("Bearer ada:guess", "one more")
    assert users.wait("10.0.0.1") == 0  # the one that failed the longest ago


@pytest.mark.parametrize(
    ("guessing", "also", "other"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:1:2:3", "2001:db8:0:2::1"),
        ("fe80::1%eth0", "fe80::2%eth0", "fe80:0:0:1::1%eth0"),
        ("::ffff:10.0.0.1", "10.0.0.1", "::ffff:10.0.0.2"),
    ],
)
def test_failed_logins_from_ipv6_count_by_64_bits(guessing: str, also: str, other: str) -> None:
    users = Users(USERS, clock=lambda: 0.0)
    for _ in range(10):
        users.known("Bearer ada:guess", guessing)
    assert users.wait(guessing) == users.wait(also) == 61
    assert users.wait(other) == 0


@pytest.mark.parametrize("value", ["", "ada", "ada:", ":secret", "ada:x,", "ada:x,bob"])
def test_users_that_cannot_be_read_are_named_without_their_passwords(value: str) -> None:
    with pytest.raises(SettingsError, match="RAG_AUTH") as raised:
        Users(SecretStr(value))
    assert "x" not in str(raised.value).split("'")[0]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_other_addresses_need_users(host: str, tmp_path: Path) -> None:
    alone = Settings(documents=tmp_path, index_dir=tmp_path)
    with pytest.raises(UsersNeeded, match="RAG_AUTH"):
        users_for(alone, host)
    assert users_for(alone, host, no_auth=True) is None
    assert users_for(Settings(auth=USERS), host) is not None
    assert "horse" not in repr(Settings(auth=USERS))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_from_python_other_addresses_need_users_too(host: str, seed_assistant: Assistant) -> None:
    with pytest.raises(UsersNeeded, match=r"users=.* or no_auth=True"):
        serve(seed_assistant, host=host, port=0)


@pytest.mark.parametrize("said", [{"users": Users(USERS)}, {"no_auth": True}])
def test_from_python_it_can_be_said_who_may_come_in(seed_assistant: Assistant, said: dict[str, Any]) -> None:
    with serve(seed_assistant, host="0.0.0.0", port=0, **said) as server:
        health = httpx.get(f"{server.address.replace('0.0.0.0', '127.0.0.1')}health")
        assert health.status_code == (401 if "users" in said else 200)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_this_machine_needs_none_but_takes_them(host: str) -> None:
    assert users_for(Settings(), host) is None
    assert users_for(Settings(auth=USERS), host) is not None


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "", "192.168.1.5"])
def test_a_name_that_was_pointed_at_this_machine_is_refused(url: str, host: str) -> None:
    assert httpx.get(f"{url}v1/models", headers={"Host": host}).status_code == 421


def test_who_lets_all_in_is_found_by_no_name_that_a_website_could_have(seed_assistant: Assistant) -> None:
    with serve(seed_assistant, host="0.0.0.0", port=0, no_auth=True) as server:
        url = f"{server.address.replace('0.0.0.0', '127.0.0.1')}v1/models"
        for host in ("192.168.1.5:7860", "[::1]", "docs", "docs.local", socket.gethostname()):
            assert httpx.get(url, headers={"Host": host}).status_code == 200, host
        for host in ("evil.example", "docs.local.evil.example", "192.168.1.5.evil.example", ""):
            assert httpx.get(url, headers={"Host": host}).status_code == 421, host


@pytest.mark.parametrize(("proxy", "code"), [("127.0.0.1", 200), ("10.9.8.7", 429), ("", 429)])
def test_behind_a_proxy_nobody_locks_out_another(seed_assistant: Assistant, proxy: str, code: int) -> None:
    with serve(seed_assistant, port=0, users=Users(USERS), proxy=proxy) as server:
        for _ in range(11):
            headers = {"X-Forwarded-For": "203.0.113.9"}
            refused = httpx.get(f"{server.address}health", auth=("ada", "wrong"), headers=headers)
        assert refused.status_code == 429
        other = {"X-Forwarded-For": "1.2.3.4, 203.0.113.7", "Host": "docs.example.org"}  # the first is what it claims
        assert httpx.get(f"{server.address}health", auth=ADA, headers=other).status_code == code


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", "x", ""])
def test_another_website_is_refused(url: str, origin: str) -> None:
    for route in ("gradio_api/upload", "v1/chat/completions", "gradio_api/call/ask"):
        answer = httpx.post(f"{url}{route}", content="{}", headers={"Origin": origin})
        assert answer.status_code == 403, (route, origin)
        assert "access-control-allow-origin" not in answer.headers
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert httpx.options(f"{url}v1/models", headers=preflight).status_code == 403


def test_the_page_itself_is_no_other_website(url: str) -> None:
    assert httpx.get(f"{url}v1/models", headers={"Origin": url.rstrip("/")}).status_code == 200
    proxied = {"Origin": "https://docs.example", "X-Forwarded-Host": "docs.example"}
    assert httpx.get(f"{url}v1/models", headers=proxied).status_code == 200


# -- what leaves, and how much may come --------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["", "health", "v1/models", "config", "theme.css", "nothing", "gradio_api/info"])
def test_every_answer_has_the_headers(url: str, route: str) -> None:
    headers = httpx.get(f"{url}{route}").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    policy = headers["content-security-policy"]
    for rule in ("default-src 'self'", "object-src 'none'", "frame-ancestors 'none'", "form-action 'self'"):
        assert rule in policy
    assert "http" not in policy
    assert "*" not in policy
    scripts = re.search("script-src ([^;]*)", policy)
    assert scripts is not None
    assert "'unsafe-inline'" not in scripts[1]
    assert ("'sha256-" in scripts[1]) == (route == "")


def test_a_compressing_client_gets_a_page_whose_scripts_may_run(url: str) -> None:
    plain, compressing = (httpx.get(url, headers={"Accept-Encoding": coding}) for coding in ("identity", "br, gzip"))
    policy = "content-security-policy"
    assert plain.headers[policy].count("sha256-") == compressing.headers[policy].count("sha256-") >= 5


def test_no_answer_names_the_software_behind_it(url: str) -> None:
    assert "server" not in httpx.get(url).headers


@pytest.mark.parametrize(
    ("route", "megabytes"),
    [
        ("v1/chat/completions", 2),
        ("gradio_api/call/ask", 2),
        ("gradio_api/call/v2/ask", 2),
        ("gradio_api/call/v2/ingest", 31),
        ("gradio_api/queue/join", 31),
        ("gradio_api/component_server", 12),
        ("gradio_api/cancel", 1),
        ("login", 1),
        ("nothing", 1),
    ],
)
def test_too_large_a_request_is_refused(url: str, route: str, megabytes: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"messages": [{"role": "user", "content": "'
        for _ in range(megabytes):
            yield b"a" * 1_000_000

    headers = {"Content-Type": "application/json"}
    told = httpx.post(f"{url}{route}", content=b"".join(pieces()), headers=headers)
    assert (told.status_code, told.headers["content-type"]) == (413, "application/json")
    unsaid = httpx.post(f"{url}{route}", content=pieces(), headers=headers)  # does not say its size
    assert unsaid.status_code in (413, 400, 404, 405)  # Gradio hides why it could not read it; some read nothing


def test_too_large_a_file_is_refused(url: str) -> None:
    answer = httpx.post(f"{url}gradio_api/upload", files={"files": ("a.txt", b"a" * 20_000_001)})
    assert answer.status_code == 413


def test_too_long_a_question_is_refused(url: str) -> None:
    asked = {"messages": [{"role": "user", "content": "a" * 4001}]}
    answer = httpx.post(f"{url}v1/chat/completions", json=asked)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "the question has 4,001 characters; ask it in at most 4,000"


def test_too_large_a_file_in_json_is_refused(url: str) -> None:
    sent = {"name": "a.txt", "content": base64.b64encode(b"a" * 20_000_001).decode()}
    started = httpx.post(f"{url}gradio_api/call/v2/ingest", json=sent, timeout=60)
    told = httpx.get(f"{url}gradio_api/call/ingest/{started.json()['event_id']}", timeout=60).text
    assert "event: error" in told
    assert "the document is larger than 20 MB; put it on the server's disk" in told


@pytest.mark.parametrize(
    "route",
    [
        "proxy=https://a.hf.space/x",
        "file=http://127.0.0.1/",
        "FILE=HTTPS://a.b/",
        "file/http://127.0.0.1/",
        "vibe-code/",
        "deep_link",
    ],
)
def test_routes_that_fetch_from_elsewhere_are_closed(url: str, route: str) -> None:
    assert httpx.get(f"{url}gradio_api/{route}").status_code == 404


def test_no_file_of_this_machine_is_served(url: str, seed_assistant: Assistant, seeds: Path) -> None:
    settings = seed_assistant.settings
    for path in ("/etc/passwd", settings.index_dir.resolve() / "index.db", next(seeds.resolve().glob("*.txt"))):
        assert Path(path).exists()
        assert httpx.get(f"{url}gradio_api/file={path}").status_code == 403


def test_no_file_of_this_machine_is_taken_by_its_path(url: str, seed_assistant: Assistant) -> None:
    events = httpx.get(f"{url}config").json()["dependencies"]
    (draw,) = (each for each in events if any(name == "conversation_draw" for _, name in each["targets"]))
    for path in ("/etc/passwd", str(seed_assistant.settings.index_dir.resolve() / "index.db"), ""):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        for showing in (file, {**file, "is_stream": True}, [file]):
            sent = {"showing": showing, "turns": [], "only": [], "llm": ""}
            drawn = httpx.post(f"{url}gradio_api/run/predict", json={"fn_index": draw["id"], "data": [sent]})
            assert drawn.status_code == 400
            assert "file=" not in drawn.text


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("run/predict", '{"data": [], "fn_index": 99999}'),
        ("run/ask", '{"data": []}'),
        ("call/v2/nothing", '{"question": "a"}'),
        ("call/ask", '{"data": NaN}'),
        ("call/ask", '{"data": "\\ud800"}'),
        ("queue/join", '{"data": [], "fn_index": -1, "session_hash": "s"}'),
        ("component_server", '{"data": 1, "component_id": 99999, "session_hash": "s", "fn_name": "x"}'),
        ("component_server", '{"data": 1, "component_id": [], "session_hash": {}, "fn_name": 1}'),
    ],
)
def test_what_gradio_does_not_expect_is_refused_in_a_line(url: str, route: str, body: str) -> None:
    answer = httpx.post(f"{url}gradio_api/{route}", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert set(answer.json()) <= {"error", "detail"}
    assert "Error" not in answer.text


UNSENT: tuple[Any, ...] = (
    None, -1, 10**100, "\ud800", [], [[]], {}, {"turn": 1, "verdict": [], "answer": {}, "note": {}},
    {"document": "x", "start": 0, "end": 1, "words": 1}, {"document": 10**100, "start": 0, "end": 1, "words": 1},
    {"document": 1, "first": [], "version": ""}, {"title": 1, "turns": 1, "format": "markdown"},
    {"name": 1, "path": []},
)  # fmt: skip


@pytest.mark.parametrize("sent", UNSENT, ids=lambda sent: str(sent)[:40])
def test_what_no_script_of_the_page_sends_breaks_nothing(
    url: str, sent: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    config = httpx.get(f"{url}config").json()
    for component in config["components"]:
        for name in component["props"].get("server_fns") or ():
            asked = {"data": sent, "component_id": component["id"], "session_hash": "s", "fn_name": name}
            said = httpx.post(f"{url}gradio_api/component_server", content=json.dumps(asked), headers=AS_JSON)
            assert said.status_code == 200, name
            assert BROKE not in said.text, name
    for event in config["dependencies"]:
        if any(name in ("conversation_draw", "ask_anew", "documents_changed") for _, name in event["targets"]):
            asked = {"fn_index": event["id"], "data": [sent] * len(event["inputs"]), "event_data": sent}
            httpx.post(f"{url}gradio_api/run/predict", content=json.dumps(asked), headers=AS_JSON)
    assert "broke" not in caplog.text
    assert not re.search(r'rag/web/(page|viewer)\.py", line', capfd.readouterr().err)


LONG = "z" * 65


@pytest.mark.parametrize("name", [LONG, "a b", "a/b", "é", "", "a\n"])
def test_a_session_has_a_short_plain_name(seed_assistant: Assistant, name: str) -> None:
    page = build(seed_assistant)
    app = _app(Opening.of(seed_assistant), page, mcp=False)
    with TestClient(app, raise_server_exceptions=False) as client:
        sent = {"data": [None], "fn_index": 0, "session_hash": name}
        for route in ("queue/join", "run/ask", "api/ask", "call/ask"):
            answer = client.post(f"/gradio_api/{route}", json=sent)
            assert answer.status_code == 400, route
            assert LONG not in answer.text
            assert answer.json()["error"].startswith("body.session_hash: String should match pattern"), route
        for more in ({"fn_index": 0, "event_id": "1"}, {"fn_name": "document_stamp", "component_id": 1}):
            route = "component_server" if "fn_name" in more else "cancel"
            answer = client.post(f"/gradio_api/{route}", json={"data": None, "session_hash": name, **more})
            assert answer.status_code == 400, route
        form = {"data": "1", "session_hash": name, "component_id": "1", "fn_name": "document_stamp"}
        assert client.post("/gradio_api/component_server", data=form, files={"a": b"a"}).status_code == 400
        if "\n" not in name:
            assert client.get("/gradio_api/queue/data", params={"session_hash": name}).status_code == 400
            told = client.post("/gradio_api/upload", params={"upload_id": name}).json()["error"]
            assert told.startswith("sessions and uploads are named by at most 64")
        if name == LONG:
            assert client.get(f"/gradio_api/heartbeat/{name}").status_code == 400
    assert not page.state_holder.session_data  # type: ignore[attr-defined]
    assert not page._queue.pending_event_ids_session


def test_few_sessions_are_kept(seed_assistant: Assistant) -> None:
    page = build(seed_assistant)
    _app(Opening.of(seed_assistant), page, mcp=False)
    for number in range(1100):
        _ = page.state_holder[str(number)]  # type: ignore[attr-defined]
    assert len(page.state_holder.session_data) == 1000  # type: ignore[attr-defined]


def test_the_plain_line_of_a_call_stays(url: str) -> None:
    answer = httpx.post(f"{url}gradio_api/run/search", json={"data": ["walrus", 0, "hybrid", None, None]})
    assert answer.status_code == 400
    assert answer.json()["error"] == "k is 0; ask for 1 to 100 passages"


# -- uploads that fail -------------------------------------------------------------------------------------------------


@pytest.fixture
def arriving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed_assistant: Assistant) -> Iterator[tuple[str, Path]]:
    """A server, and the folder where what is being sent to it lies."""
    arrivals = Arrivals(tmp_path)
    monkeypatch.setattr("rag.web.server.arrivals", lambda: arrivals)
    with closing(arrivals), serve(seed_assistant, port=0) as server:
        yield server.address, arrivals.folder


def files_in(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def test_of_an_upload_that_is_refused_nothing_stays(arriving: tuple[str, Path]) -> None:
    url, folder = arriving
    two = [("files", (name, b"a" * 15_000_000)) for name in ("a.txt", "b.txt")]  # more than one request may bring
    pieces = httpx.Request("POST", url, files=two)
    body = pieces.read()
    kind = {"Content-Type": pieces.headers["content-type"]}
    halves = (body[at : at + 1_000_000] for at in range(0, len(body), 1_000_000))
    assert httpx.post(f"{url}gradio_api/upload", content=halves, headers=kind, timeout=60).status_code == 413
    assert httpx.post(f"{url}gradio_api/upload", files={"other": ("a.txt", b"a")}).status_code == 400
    assert httpx.post(f"{url}gradio_api/upload", files={"files": ("..", b"a")}).status_code == 400
    assert httpx.post(f"{url}gradio_api/upload", content=body[:100_000], headers=kind).status_code == 400
    assert files_in(folder) == []
    assert httpx.post(f"{url}gradio_api/upload", files={"files": ("a.txt", b"a")}).status_code == 200
    assert [file.name for file in files_in(folder)] == ["a.txt"]


def test_of_an_upload_whose_sender_leaves_nothing_stays(arriving: tuple[str, Path]) -> None:
    url, folder = arriving
    with half_an_upload(url):
        assert eventually(lambda: bool(files_in(folder)), 30)
    assert eventually(lambda: not files_in(folder), 30)


# -- starting and stopping ---------------------------------------------------------------------------------------------


def test_health(url: str) -> None:
    answer = httpx.get(f"{url}health")
    assert (answer.status_code, answer.json()) == (200, READY)


def test_the_server_is_there_before_the_index_is(seed_assistant: Assistant) -> None:
    go_on = threading.Event()

    def slowly(report: Any) -> Assistant:
        go_on.wait(60)
        return Unowned(seed_assistant)  # type: ignore[return-value]

    with Opening(slowly) as opening, serve(opening, port=0) as server:
        early = httpx.get(f"{server.address}health")
        assert early.status_code == 503
        assert early.json() == {
            "status": "starting",
            "documents": 0,
            "passages": 0,
            "reason": "the index is being opened",
        }
        assert httpx.get(server.address).status_code == 200
        asked = {"messages": [{"role": "user", "content": WHO}]}
        told = httpx.post(f"{server.address}v1/chat/completions", json=asked)
        assert told.status_code == 503
        assert told.json()["error"]["message"] == "the index is being opened; ask again in a moment"
        go_on.set()
        opening.wait(60)
        assert httpx.get(f"{server.address}health").json() == READY


class Unowned:
    """An Assistant that others still need when this one is closed."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    def __getattr__(self, name: str) -> Any:
        return getattr(self._assistant, name)

    def close(self) -> None:
        pass


def test_an_index_that_cannot_be_opened_is_told_so(tmp_path: Path) -> None:
    settings = Settings(documents=tmp_path / "nowhere", index_dir=tmp_path / "index")
    with Opening(lambda report: Assistant.open(settings, report=report)) as opening, serve(opening, port=0) as server:
        opening.wait(60)
        health = httpx.get(f"{server.address}health")
        assert health.status_code == 503
        assert health.json()["status"] == "failed"
        assert "nowhere' does not exist" in health.json()["reason"]


def test_closing_while_it_opens_stops_the_ingest(tmp_path: Path) -> None:
    started = threading.Event()

    def opener(report: Any) -> Assistant:
        from rag.ingest import Progress

        while True:
            report(Progress(1, 1, 1, 3))
            started.set()

    with Opening(opener) as opening:
        started.wait(60)
        assert opening.line == "the index is being made: 1 of 3 documents read"
    assert opening.status == "failed"


def test_ports(seed_assistant: Assistant) -> None:
    with serve(seed_assistant, port=0) as server:
        port = int(server.address.rstrip("/").rpartition(":")[2])
        with pytest.raises(RagError, match=f"cannot serve on port {port}: it is taken; choose another with --port"):
            serve(seed_assistant, port=port)
    with socket.socket() as probe:  # it is free again
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_it_closes_while_a_browser_is_listening(seed_assistant: Assistant) -> None:
    server = serve(seed_assistant, port=0)
    with httpx.stream("GET", f"{server.address}gradio_api/heartbeat/abc", timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "data: ALIVE"
        closing = threading.Thread(target=server.close)
        closing.start()
        assert [line for line in lines if line not in ("", "data: ALIVE")] == []
        closing.join(20)
        assert not closing.is_alive()


# -- from the command line ---------------------------------------------------------------------------------------------


@contextmanager
def rag(assistant: Assistant, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`rag serve` over the assistant's index; it ends with the test, whatever comes of it."""
    settings = assistant.settings
    over = ["--documents", str(settings.documents), "--index-dir", str(settings.index_dir), "--llm", "none"]
    with subprocess.Popen(
        [sys.executable, "-m", "rag.cli", *over, "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("arguments", "auth", "code", "line"),
    [
        (["--host", "0.0.0.0"], "", 2, "others can reach 0.0.0.0: set RAG_AUTH to name:password"),
        (["--host", "0.0.0.0"], "ada", 3, "setting 'auth' is not 'name:password,name2:password2'"),
        (["--host", "192.0.2.1", "--no-auth"], "", 3, "cannot serve on 192.0.2.1"),
    ],
)
def test_serve_says_in_one_line_why_it_does_not(
    seed_assistant: Assistant, arguments: list[str], auth: str, code: int, line: str
) -> None:
    with rag(seed_assistant, *arguments, **{"RAG_AUTH": auth} if auth else {}) as child:
        out, err = child.communicate(timeout=180)
    assert (child.returncode, out) == (code, "")
    assert err.startswith(f"rag: {line}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_serve_asks_for_a_name_and_puts_all_away_when_it_is_stopped(
    seed_assistant: Assistant, ending: signal.Signals, code: int
) -> None:
    before = set(Path(tempfile.gettempdir()).glob("rag-arrived-*"))
    with rag(seed_assistant, "--host", "0.0.0.0", "--port", "0", RAG_AUTH="ada:horse") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        line = child.stdout.readline()
        found = re.fullmatch(r"Ask your documents at http://0\.0\.0\.0:(\d+)/ \(Ctrl-C stops\)\n", line)
        assert found is not None
        url = f"http://127.0.0.1:{found[1]}/health"
        assert httpx.get(url).status_code == 401
        while (health := httpx.get(url, auth=("ada", "horse")).json())["status"] == "starting":
            time.sleep(0.1)
        assert health == READY
        assert set(Path(tempfile.gettempdir()).glob("rag-arrived-*")) - before
        child.send_signal(ending)
        if ending == signal.SIGTERM:
            child.send_signal(ending)  # from somebody who does not like to wait
        assert child.wait(120) == code
        assert child.stderr.read() == ""
    assert not set(Path(tempfile.gettempdir()).glob("rag-arrived-*")) - before


def test_an_address_in_a_request_is_not_fetched(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    known = socket.getaddrinfo

    def noted(host: Any, *rest: Any, **more: Any) -> Any:
        asked.append(str(host))
        return known(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    file = {"path": "https://example.com/large", "meta": {"_type": "gradio.FileData"}}
    for sent in (file, [[file]], {"nested": file}):
        started = httpx.post(f"{url}gradio_api/call/ask", json={"data": [sent, None, None, None]})
        assert started.status_code == 200
        ended = httpx.get(f"{url}gradio_api/call/ask/{started.json()['event_id']}", timeout=60).text
        assert "event: error" in ended
    assert asked
    assert not [host for host in asked if "example.com" in host]
