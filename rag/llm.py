"""The writer: a llama-index LLM kept within deadlines, whether an endpoint or the embedded model.

llama-index and httpx are imported by the first reply, never by this module: they cost seconds.
Foreign errors become `LLMUnavailable` in `_unavailable` and nowhere else.
"""

from __future__ import annotations

import atexit
import base64
import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from .address import address
from .embedded import NAME as EMBEDDED_NAME
from .embedded import embedded_weights, not_there, share, stop_all, unshare
from .errors import LLMUnavailable, ModelMissing, SettingsError
from .formats import storable
from .settings import EMBEDDED_LLM, NO_LLM, SETTINGS_FILE, Settings, shown_address
from .telemetry import chatting
from .types import LLMOutcome

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

_OR_QUOTES = "or set llm to 'none' to be answered in quotes"
_REFUSED = ("refused the key", "set llm_api_key (RAG_LLM_API_KEY) to a valid one")  # what happened, and the cure
_ASKED_FOR_KEY = ("asks for a key, none is set", "set llm_api_key (RAG_LLM_API_KEY) to one")
_SHOWN = 300  # characters of what an endpoint says for an error
_SHOWN_FROM = 10_000  # taken from its first ones, where much of it is blank


class Writer:
    """Writes text from a prompt. Thread-safe: replies may overlap.

    `name` is shown to the user. `capable` is False for the embedded model, which must not rewrite questions.
    `host` is where its endpoint is, without what is secret in its address; empty for one in this process. `outcome` is
    how the last request went; None before there was one.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        speak: _Speak,
        *,
        capable: bool = True,
        host: str = "",
        cure: str = f"try again, {_OR_QUOTES}",
        sends_key: bool = True,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.capable = capable
        self.host = host
        self.outcome: LLMOutcome | None = None
        self.deadlines = (settings.first_token_s, settings.total_s)  # seconds
        self._settings = settings
        self._speak = speak
        self._cure = cure
        self._refused = _REFUSED if sends_key else _ASKED_FOR_KEY
        self._on_close = on_close
        self._closed = threading.Lock()  # taken once, for good
        self._testing = threading.Lock()

    def stream(self, system: str, user: str, *, max_tokens: int) -> Generator[str, None, None]:
        """Yield the reply piece by piece. Nothing happens before the first piece is asked for.

        Closing the iterator ends the request. An empty reply yields nothing. An LLM object that was handed in
        keeps its own length limit. Raises `LLMUnavailable` when the LLM refuses, breaks, or passes a deadline.
        """
        pieces = self._stream(system, user, max_tokens)
        speaks = "openai" if self.host else ""  # the protocol; who made the model is not known
        facts: dict[str, Any] = {"model": self.name, "provider": speaks, "host": self.host, "max_tokens": max_tokens}
        return chatting(pieces, system, user, unheard=_NobodyListensError, **facts)

    def _stream(self, system: str, user: str, max_tokens: int) -> Generator[str, None, None]:
        if self._closed.locked():
            raise self._failed(self._was_closed())
        listener: Listener | None = getattr(_thread, "listener", None)
        request = _Request(self, listener)
        try:
            reply = self._speak(_Prompt(system, user, max_tokens), request)
        except LLMUnavailable as error:  # the embedded one does not start
            raise self._failed(error) from error.__cause__
        except ImportError as error:
            raise self._failed(self.unavailable(error)) from error
        # The clock starts now: the first reply of a process imports and loads, which no deadline could interrupt.
        started = time.monotonic()
        request.read(reply, until=started + self.deadlines[1])
        if listener and listener.has_left:  # asked after the request can be found: one of both sees it
            listener.leave()
        try:
            yield from self._noted(self._in_time(request.pieces, started), started)
        finally:
            request.cut()

    def test(self) -> bool:
        """Ask for one word; `outcome` then says how it went. False, and nothing is asked, while another test runs."""
        if not self._testing.acquire(blocking=False):
            return False
        try:
            with closing(self.stream("Answer in one word.", "Say yes.", max_tokens=1)) as pieces:
                next(pieces, "")
        except LLMUnavailable:
            pass  # `outcome` says it
        finally:
            self._testing.release()
        return True

    def unavailable(self, error: Exception) -> LLMUnavailable:
        """What any error of any LLM means, in one line with a cure, without what is secret."""
        return _unavailable(error, self.name, _secrets(self._settings), self._cure, self._refused)

    def close(self) -> None:
        """End the replies under way and give the embedded server back; its last user stops it."""
        if self._closed.acquire(blocking=False):
            for request in list(_requests):
                if request.writer is self:
                    request.end(self._was_closed())
            if self._on_close:
                self._on_close()

    def _noted(self, pieces: Iterator[str], started: float) -> Iterator[str]:
        """The pieces; `outcome` is kept as soon as the first one, the end or an error is there."""
        try:
            first = next(pieces, "")  # an empty reply is one, too
            self.outcome = LLMOutcome(_now(), time.monotonic() - started)
            if first:
                yield first
            yield from pieces
        except _NobodyListensError:
            raise  # it says nothing about the LLM
        except LLMUnavailable as error:
            self._failed(error)
            raise

    def _failed(self, error: LLMUnavailable) -> LLMUnavailable:
        self.outcome = LLMOutcome(_now(), problem=str(error))
        return error

    def _in_time(self, pieces: SimpleQueue[_Piece], started: float) -> Iterator[str]:
        first, total = self.deadlines
        limit, awaited = min((first, "first word"), (total, "end of the reply"))
        while True:
            try:
                piece = pieces.get(timeout=max(0.0, started + limit - time.monotonic()))
            except Empty:
                piece = _Late()
            if piece is None:
                return
            if isinstance(piece, LLMUnavailable):
                raise piece
            if isinstance(piece, _Late):
                cure = f"raise first_token_s and total_s, {_OR_QUOTES}"
                raise LLMUnavailable(f"{self.name}: no {awaited} within {limit:g} s; {cure}") from None
            yield piece
            limit, awaited = total, "end of the reply"

    def _was_closed(self) -> LLMUnavailable:
        return LLMUnavailable(f"{self.name} was closed; open it again")


class Listener:
    """Somebody for whom LLMs are asked, in any number of threads; when they leave, what is asked for them ends.

    >>> with listener:  # in the thread that works for them
    ...     next(answers)
    >>> listener.leave()  # in any other: that thread goes on, as if the LLM had broken
    """

    def __init__(self) -> None:
        self.has_left = False

    def __enter__(self) -> None:
        _thread.listener = self

    def __exit__(self, *exception: object) -> None:
        _thread.listener = None

    def leave(self) -> None:
        """End the requests under way; those that follow end as they begin."""
        self.has_left = True
        for request in list(_requests):
            if request.listener is self:
                request.end(_NobodyListensError("nobody waits for the answer any more; ask again"))


class _NobodyListensError(LLMUnavailable):
    """Whoever an LLM was asked for has left."""


_thread = threading.local()  # `listener`: for whom this thread works


def open_writer(settings: Settings, llm: Any | None = None) -> Writer | None:
    """Return what writes the answers, or None when `settings.llm` is 'none'. Starts and imports nothing heavy.

    `llm` is any llama-index LLM object, and wins over the settings.
    Raises `ModelMissing` without the embedded weights, `SettingsError` without an endpoint for a model name.
    """
    if llm is not None:
        return Writer(_name_of(llm), settings, lambda prompt, _: _deltas(llm, prompt))
    if settings.llm == NO_LLM:
        return None
    if settings.llm == EMBEDDED_LLM:
        return _embedded_writer(settings)
    return _endpoint_writer(settings)


# ---- one reply -------------------------------------------------------------------------------------------------------


class _Prompt(NamedTuple):
    system: str
    user: str
    max_tokens: int


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class _Late(Exception):
    """A deadline passed."""


_Piece = str | LLMUnavailable | _Late | None  # text, why it broke, or the end
_Text = Generator[str, None, None]


class _Request:
    """One reply being read by a thread of its own, which any other thread can end.

    A thread, because an endpoint that hangs cannot be timed out from within. A daemon, because it may hang in
    somebody else's code, and must not keep the interpreter alive.
    """

    def __init__(self, writer: Writer, listener: Listener | None) -> None:
        self.writer = writer
        self.listener = listener
        self.pieces: SimpleQueue[_Piece] = SimpleQueue()
        self._connect_s = min(writer.deadlines)
        self._is_cut = False
        self._socket: socket.socket | None = None

    def read(self, reply: _Text, until: float) -> None:
        self.thread = threading.Thread(target=self._read, args=(reply, until), daemon=True)
        _requests.add(self)
        self.thread.start()

    def _read(self, reply: _Text, until: float) -> None:
        try:
            with closing(reply):
                for piece in reply:
                    if self._is_cut:
                        return
                    if time.monotonic() > until:  # here too: a slow consumer never finds the queue empty
                        raise _Late
                    if piece:
                        self.pieces.put(piece)
            self.pieces.put(None)
        except _Late as late:
            self.pieces.put(late)
        except Exception as error:
            if not self._is_cut:  # else it only says that the connection was cut
                self.pieces.put(self.writer.unavailable(error))
        finally:
            _requests.discard(self)

    def end(self, error: LLMUnavailable) -> None:
        """End it for whoever reads its pieces, too: with this error."""
        self.pieces.put(error)
        self.cut()

    def cut(self) -> None:
        """End it. Closing a socket does not wake the thread that reads from it; shutting it down does."""
        self._is_cut = True
        if self._socket is not None:
            with suppress(OSError):  # it may be closed by now
                # not SSLSocket.shutdown: it takes the TLS state away from the thread that is reading with it
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def watch(self, sent: httpx.Request) -> None:
        """Learn of the socket that this opens; an httpx hook."""
        if self._is_cut:  # no retry of what nobody waits for
            raise ConnectionAbortedError
        sent.extensions["trace"] = self._traced
        # Until there is a connection, nothing can be cut: it may take no longer than anybody waits for it.
        sent.extensions["timeout"] = {**sent.extensions["timeout"], "connect": self._connect_s}

    def _traced(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._is_cut:
                self.cut()


_Speak = Callable[[_Prompt, _Request], _Text]
_requests: set[_Request] = set()  # being read now


@atexit.register
def _end_everything() -> None:
    """Leave no thread reading: the interpreter aborts when it ends while one is inside pydantic's Rust code."""
    requests = list(_requests)
    for request in requests:
        request.cut()
    until = time.monotonic() + 5.0
    for request in requests:
        request.thread.join(max(0.0, until - time.monotonic()))
    stop_all()  # last: a server keeps every thread waiting while it stops


def _deltas(llm: Any, prompt: _Prompt, **options: Any) -> _Text:
    """Ask a llama-index LLM. Options go with the call: not every kind of LLM takes a length limit there."""
    from llama_index.core.base.llms.types import ChatMessage

    if llm.metadata.is_chat_model:
        roles = {"system": prompt.system, "user": prompt.user}
        replies = llm.stream_chat([ChatMessage(role=role, content=text) for role, text in roles.items()], **options)
    else:
        replies = llm.stream_complete(f"{prompt.system}\n\n{prompt.user}", **options)
    yield from _whole(reply.delta or "" for reply in replies)


def _name_of(llm: Any) -> str:
    name = llm.metadata.model_name
    return type(llm).__name__ if name in (None, "", "unknown") else str(name)


def _whole(pieces: _Text) -> _Text:
    """The same text without half characters: JSON can write the halves of a pair (UTF-16), even in two pieces."""
    half = ""
    for piece in pieces:
        text = half + piece
        half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        yield storable(text.removesuffix(half).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _hidden(pieces: _Text, secrets: Sequence[str]) -> _Text:
    """The same text with *** for what is secret; what could be the beginning of it waits for the next piece."""
    held = ""
    for piece in pieces:
        held = _without(secrets, held + piece)
        begun = max((n for secret in secrets for n in range(1, len(secret)) if held.endswith(secret[:n])), default=0)
        yield held[: len(held) - begun]
        held = held[len(held) - begun :]
    yield held


def _unavailable(
    error: Exception, name: str, secrets: Sequence[str], cure: str, refused: tuple[str, str]
) -> LLMUnavailable:
    """Translate any error of any LLM into one line with a cure, what is secret left out."""
    # openai's errors wrap httpx's, which wrap httpcore's, which wrap the socket's. The chain is read, not the
    # types imported: so the LLM objects of other makers are understood too.
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__) and cause not in chain:
        chain.append(cause)
    status = getattr(error, "status_code", None)
    if status in (401, 403):
        what, cure = f"{refused[0]} ({status})", refused[1]
    elif isinstance(status, int):
        what = f"answered {status} ({_detail(error)})"
        cure = f"ask again later, {_OR_QUOTES}" if status == 429 else cure
    else:
        what = f"failed ({_kind(chain[-1])}{_detail(chain[-1])})"
    if "CERTIFICATE_VERIFY_FAILED" in what:  # of ssl's own error httpcore keeps the words alone
        cure = f"let SSL_CERT_FILE name the certificate that vouches for it, {_OR_QUOTES}"
    unavailable = LLMUnavailable(f"{name} {_one_line(_without(secrets, what))}; {cure}")
    said = "".join(traceback.format_exception(error))
    unavailable.__cause__ = error if said == _without(secrets, said) else None  # an endpoint may repeat the key
    _forget_values(error)
    return unavailable


def _kind(error: BaseException) -> str:
    return "" if type(error).__module__.startswith("rag.") else f"{type(error).__name__}: "


def _detail(error: BaseException) -> str:
    body = getattr(error, "body", None)  # openai keeps the server's own words there
    words = body.get("message") if isinstance(body, Mapping) else body or getattr(error, "strerror", None)
    return str(words or error)


def _one_line(text: str) -> str:
    return " ".join(text[:_SHOWN_FROM].split())[:_SHOWN]


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _forget_values(error: BaseException) -> None:
    """Let the frames behind an error hold nothing any more: they have the key, and all that was read."""
    seen: list[BaseException | None] = [None]
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each not in seen:
            seen.append(each)
            traceback.clear_frames(each.__traceback__)
            waiting += [other for other in (each.__cause__, each.__context__) if other]


# ---- an OpenAI-compatible endpoint -----------------------------------------------------------------------------------


_SURELY_SECRET = 16  # characters; what is shorter may be a word that servers without keys want, and documents have
_NO_KEY = "no-key"  # with an empty one llama-index would send the user's OPENAI_API_KEY to whatever endpoint this is


@dataclass(frozen=True)
class _Endpoint:
    url: str
    model: str
    key: str = field(repr=False)
    timeout_s: float
    login: tuple[str, str] | None = field(default=None, repr=False)  # goes in the place of the key
    secrets: Sequence[str] = field(default=(), repr=False)  # of what is sent, what no reply may say

    @property
    def is_local(self) -> bool:
        return urlsplit(self.url).hostname in ("localhost", "127.0.0.1", "::1")


def _endpoint_writer(settings: Settings) -> Writer:
    at = address(settings)
    key = _key(settings)
    secrets = [secret for secret in _secrets(settings) if len(secret) >= _SURELY_SECRET]
    endpoint = _Endpoint(at.url, settings.llm, key, settings.total_s, at.login, secrets)
    if settings.file_names_endpoint:  # who runs rag in a folder of somebody else's may not know
        logger.warning(
            "%s: questions and passages go to %s%s; if you did not write that, remove llm_base_url there",
            SETTINGS_FILE,
            at.host,
            "" if key == _NO_KEY else ", with the key",
        )
    return Writer(
        settings.llm,
        settings,
        lambda prompt, request: _over_http(endpoint, prompt, request),
        host=at.host,
        cure=f"check that {shown_address(at.url)} runs and that llm and llm_base_url are right{at.hint}, {_OR_QUOTES}",
        sends_key=key != _NO_KEY or at.login is not None,
    )


def _over_http(endpoint: _Endpoint, prompt: _Prompt, request: _Request) -> _Text:
    from llama_index.llms.openai_like import OpenAILike

    from .endpoint import client

    def ask() -> _Text:
        secure = endpoint.url.startswith("https:")
        with client(endpoint.login, request.watch, local=endpoint.is_local, secure=secure) as http_client:
            llm = OpenAILike(
                model=endpoint.model,
                api_base=endpoint.url,
                api_key=endpoint.key,
                temperature=0.0,
                is_chat_model=True,
                timeout=endpoint.timeout_s,
                max_retries=0 if endpoint.is_local else 1,  # over a network, once more may help
                http_client=http_client,
            )
            yield from _hidden(_deltas(llm, prompt, max_tokens=prompt.max_tokens), endpoint.secrets)

    return ask()


def _key(settings: Settings) -> str:
    secret = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
    key = secret.strip() or _NO_KEY  # a pasted line break would be an illegal header, which httpx quotes
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(
            "setting 'llm_api_key' has characters that no key has; copy it again (RAG_LLM_API_KEY or rag.toml)"
        )
    return key


def _secrets(settings: Settings) -> list[str]:
    """What an endpoint knows of us and may repeat, in the forms in which it can; the longest first."""
    address = (settings.llm_base_url or "").partition("//")[2]
    user = address.partition("/")[0].rpartition("@")[0]
    password = user.partition(":")[2]
    basic = base64.b64encode(unquote(user).encode()).decode()
    key = settings.llm_api_key.get_secret_value().strip() if settings.llm_api_key else ""
    known = {key, *((user, unquote(user), basic, password, unquote(password)) if user else ())}
    return sorted(known - {""}, key=len, reverse=True)


# ---- the embedded model ----------------------------------------------------------------------------------------------


def _embedded_writer(settings: Settings) -> Writer:
    weights = embedded_weights(settings)
    if weights is None:
        raise ModelMissing(not_there(settings))
    server = share(weights)

    def speak(prompt: _Prompt, request: _Request) -> _Text:
        url, key = server.address()
        return _over_http(_Endpoint(url, "SmolLM2-135M-Instruct", key, settings.total_s), prompt, request)

    return Writer(
        EMBEDDED_NAME,
        settings,
        speak,
        capable=False,
        cure=f"try again, lower top_k, {_OR_QUOTES}",
        on_close=lambda: unshare(weights, server),
    )
