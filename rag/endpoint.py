"""One request to an OpenAI-compatible endpoint over HTTP, and how much is put up with.

It imports httpx, which costs time: `rag.llm` imports this with the first reply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx

_MOST_BYTES = 8_000_000  # of a reply; its few hundred words need a hundredth
_MOST_REDIRECTS = 2  # to https, and to where it has moved
_PACKINGS = ("gzip", "deflate", "br", "zstd")  # that httpx would unpack
_LONGEST_WAIT_S = 2.0  # that an endpoint may ask for before the second try


class NotAnEndpoint(Exception):
    """Something answers there, but it does not speak the OpenAI protocol."""


def client(
    login: tuple[str, str] | None, on_request: Callable[[httpx.Request], None], *, local: bool, secure: bool
) -> httpx.Client:
    """A client for one reply: to cut its connection disturbs no other reply.

    `login`, a name and a password, goes in the place of the key. `local`: the endpoint is on this machine; `secure`: it
    speaks TLS.
    """
    return httpx.Client(
        auth=login,
        headers={"Accept-Encoding": "identity"},  # what is packed small may be large
        trust_env=not local,  # a proxy cannot reach this machine
        verify=httpx.create_ssl_context() if secure else True,  # but a certificate of its own may be set for it
        follow_redirects=True,
        max_redirects=_MOST_REDIRECTS,
        event_hooks={"request": [_anonymous, on_request], "response": [_not_too_late, _must_stream, _bounded]},
    )


def _anonymous(request: httpx.Request) -> None:
    """Tell the endpoint nothing of this machine: openai names its system, its processor and its Python's version."""
    for name in [name for name in request.headers if name.startswith("x-stainless-")]:
        del request.headers[name]
    request.headers["User-Agent"] = "rag"


def _not_too_late(response: httpx.Response) -> None:
    """Let openai not sleep for as long as the endpoint says: up to two minutes, in which nobody can wake it."""
    headers = response.headers
    waits = _number(headers.get("retry-after")), _number(headers.get("retry-after-ms")) / 1000
    if any(wait > _LONGEST_WAIT_S for wait in waits):
        headers["x-should-retry"] = "false"


def _number(written: str | None) -> float:
    try:
        return float(written or 0)
    except ValueError:  # a date
        return float("inf")


def _must_stream(response: httpx.Response) -> None:
    """Refuse a web page or plain JSON with status 200: openai would read it as an empty reply."""
    kind = response.headers.get("content-type", "").partition(";")[0].lower()
    if response.status_code == 200 and kind in ("text/html", "application/json"):
        raise NotAnEndpoint(f"it sent {kind} instead of a stream of words")


def _bounded(response: httpx.Response) -> None:
    """Read no more of it than any reply has, whatever its status is."""
    encoding = response.headers.get("content-encoding", "").lower()
    if packed := next((name for name in _PACKINGS if name in encoding), ""):
        raise NotAnEndpoint(f"it sent words packed as {packed}, which nobody asked for")
    assert isinstance(response.stream, httpx.SyncByteStream)
    response.stream = _Bounded(response.stream)


class _Bounded(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        left = _MOST_BYTES
        for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise NotAnEndpoint(f"it sent more than the {_MOST_BYTES / 1e6:.0f} MB that a reply may have")
            yield piece

    def close(self) -> None:
        self._stream.close()
