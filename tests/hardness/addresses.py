"""Addresses in every field that could be one, and where the key of an endpoint goes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from .table import Row
from .website import JSON, SHAPES, Ground, Site, as_json, broken, form, given_away, tool_call
from .wire import LOOPBACK, Listener, Response

KEY = "sk-canary-0d4c"


def addresses(ground: Ground) -> Row:
    """An address in every field that could be one: the server asks nobody, and looks up no name."""
    row = Row("web: addresses of elsewhere in every field (SSRF)")
    with Listener() as listener, _listener_of_ipv6() as other:
        before = len(ground.served.events())
        spelled = _addresses(listener.port, other.port if other else listener.port)
        tried = ground.some([*spelled], 3)
        for what in tried:
            for where, said in _brought(ground, spelled[what]):
                row.check(f"{what} {where}", broken(said), lost=given_away(said))
        time.sleep(0.5)  # what is asked later is asked, too
        heard = listener.heard + (other.heard if other else [])
        asked = [f"{kind} {what}" for kind, what in ground.served.events()[before:] if kind != "open"]
    row.check("those who listen", *(f"heard {said[:60]!r}" for said in heard))
    row.check("the network", *sorted({f"the server reached out: {line}" for line in asked}))
    row.figures = f"{len(tried)} forms, {len(heard)} hits, {len(asked)} connections or look-ups"
    return row


def _listener_of_ipv6() -> Any:
    try:
        return Listener(host="::1")
    except OSError:  # not every machine has it
        return nullcontext()


def _addresses(port: int, port_of_ipv6: int) -> dict[str, str]:
    at = f"{LOOPBACK}:{port}"
    return {
        "http": f"http://{at}/x.png",
        "upper case": f"HTTP://{at}/x",
        "https": f"https://{at}/x",
        "a name": f"http://localhost:{port}/x",
        "somebody else's name": f"http://attacker.example:{port}/x",
        "IPv6": f"http://[::1]:{port_of_ipv6}/x",
        "IPv4 in IPv6": f"http://[::ffff:{LOOPBACK}]:{port}/x",
        "decimal": f"http://2130706433:{port}/x",
        "hexadecimal": f"http://0x7f000001:{port}/x",
        "octal": f"http://0177.0.0.1:{port}/x",
        "short": f"http://127.1:{port}/x",
        "zero": f"http://0:{port}/x",
        "a name and password": f"http://a.hf.space:x@{at}/x",
        "a space's name": f"http://{at}#.hf.space/",
        "no scheme": f"//{at}/x",
        "one slash": f"http:/{at}/x",
        "backslashes": f"\\\\{at}\\share\\x",
        "a space in front": f" http://{at}/x",
        "ftp": f"ftp://{at}/x",
        "gopher": f"gopher://{at}/_GET%20/",
        "dict": f"dict://{at}/x",
        "a remote file": f"file://{at}/x",
        "a jar": f"jar:http://{at}/x!/y",
        "data": "data:text/plain;base64,QQ==",
        "metadata of a cloud": "http://169.254.169.254/latest/meta-data/",
    }


def _brought(ground: Ground, address: str) -> Iterator[tuple[str, Response]]:
    """The address in each place, and what was said to it."""
    known = ground.known
    quoted = address.replace(" ", "%20").replace("#", "%23")
    for start in ("/gradio_api/proxy=", "/gradio_api/file=", "/gradio_api/file/", "/gradio_api/%66ile=",
                  "/gradio_api/file=%68ttp:", "/GRADIO_API/FILE=", "//gradio_api/file=", "/gradio_api/upload?url=",
                  "/?deep_link=", "/config?url=", "/gradio_api/startup-events?url=", "/logout?next=", "/"):  # fmt: skip
        for method in ("GET", "HEAD"):
            yield f"in {method} {start}", known.ask(method, f"{start}{quoted}")
    for name in ("Origin", "Referer", "X-Forwarded-Host", "X-Forwarded-For", "X-Gradio-Server", "X-Direct-Url"):
        yield f"in {name}", known.ask("GET", "/config", ((name, address),))
    yield "as what is asked for", known.ask("GET", quoted if quoted[0] != " " else "/")
    for event in ground.some(ground.known.events, 2):
        for shape in ground.some([*SHAPES], 2):
            for said in known.event(event, SHAPES[shape](address)):
                yield f"as {shape} in event {event['id']}", said
    for component, function in ground.some(ground.known.functions, 3):
        for shape in ground.some([*SHAPES], 1):
            yield f"as {shape} in {function}", known.component(component, function, SHAPES[shape](address))
    for shape in ground.some([*SHAPES], 3):
        value = SHAPES[shape](address)
        yield f"as {shape} in REST", known.rest("ask", as_json({"data": [value, [value], [value], [value]]}))
        history = [{"role": "user", "content": value}]
        asked = {"question": value, "documents": [address], "history": history, "oauth_token": address}
        yield f"as {shape} in REST by name", known.rest("ask", as_json(asked), by_name=True)
        yield f"as {shape} in an ingest", known.rest("ingest", as_json({"data": [value, value, ""]}))
        yield f"as {shape} in an ingest's bytes", known.rest("ingest", as_json({"data": ["a.txt", "", value]}))
        yield f"as {shape} in a tool", known.tool(tool_call("ask", question=value, documents=value, history=history))
        yield f"as {shape} in a tool's ingest", known.tool(tool_call("ingest", name=value, content=value))
        yield f"as {shape} in a form", known.ask("POST", "/gradio_api/upload", JSON, as_json({"files": [value]}))
    image = {"type": "image_url", "image_url": {"url": address}, "file": {"file_url": address}}
    parts = [image, {"type": "text", "text": address}, {"type": "input_file", "file_url": address}]
    completion = {"messages": [{"role": "user", "content": parts}], "tools": [{"server_url": address}]}
    yield "as an image on /v1", known.completion(as_json(completion))
    resource = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": address}}
    yield "as a resource of MCP", known.tool(as_json(resource))
    for part, name in (("files", address), ("url", "a.txt"), (address, address)):
        yield (
            f"as a file's name in {part[:10]}",
            known.ask("POST", "/gradio_api/upload", *form((part, name, address.encode()))),
        )
    page = f'<html><link href="{address}"><img src="{address}"><iframe src="{address}"></iframe>Nothing.</html>'
    yield "in a page that is ingested", known.rest("ingest", as_json({"data": ["evil.html", page, ""]}))
    for site in (known, ground.public):
        yield "in the Model panel of others", site.direct(_chosen(site, address))


def _chosen(site: Site, address: str) -> bytes:
    """The event of the Model panel that sets an endpoint."""
    (event,) = (each for each in site.events if any(name == "choose_model" for _, name in each["targets"]))
    brought = {"how": "endpoint", "url": address, "model": "m", "key": KEY, "before": "", "count": 1}
    sent = {"fn_index": event["id"], "session_hash": "chosen", "data": [], "event_data": brought}
    return as_json(sent)


def keys(ground: Ground) -> Row:
    """On a page that this machine alone reaches somebody sets an endpoint, which sends the server elsewhere."""
    row = Row("web: an endpoint's key, when it sends the server elsewhere")
    (component,) = (component for component, name in ground.local.functions if name == "test_model")
    for status in ground.some((301, 302, 303, 307, 308), 2):
        for where in ("http://127.0.0.1:{}/v1", "http://localhost:{}/v1", "//127.0.0.1:{}/v1"):
            with Listener() as elsewhere:
                to = where.format(elsewhere.port)
                reply = f"HTTP/1.1 {status} Go\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                with Listener(reply.encode()) as endpoint:
                    chosen = ground.local.direct(_chosen(ground.local, f"http://{LOOPBACK}:{endpoint.port}/v1"))
                    name = json.loads(chosen.body)["data"][1]["llm"]
                    said = ground.local.component(component, "test_model", name)
                    asked, led = b"".join(endpoint.heard), b"".join(elsewhere.heard)
            row.check(
                f"{status} to {where}",
                None if said.status == 200 else f"{said.status}",
                None if KEY.encode() in asked else "this tried nothing: the endpoint was not asked",
                "the key went along" if KEY.encode() in led else None,
                "the page was told the key" if KEY in chosen.text + said.text else None,
                lost=[f"the key, by a {status}"] if KEY.encode() in led else [],
            )
    for what, address in _addresses(9, 9).items():
        if not address.strip().lower().startswith(("http://", "https://")):
            said = ground.local.direct(_chosen(ground.local, address))
            row.check(f"{what} as an endpoint", broken(said), None if "http://" in said.text else said.text[:100])
    if KEY in ground.served.said():
        row.check("the terminal", "it shows the key", lost=["the key, in the terminal"])
    return row


ATTACKS = (addresses, keys)
