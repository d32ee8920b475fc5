"""The writer: a llama-index LLM kept within deadlines, whether endpoints or the embedded model.

llama-index and httpx are imported by the first reply, never by this module: they cost seconds.
"""

from __future__ import annotations

import atexit
import base64
import logging
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from .address import Address, addresses
from .calls import Backend, Call, Pool, Prompt, now
from .embedded import NAME as EMBEDDED_NAME
from .embedded import embedded_weights, not_there, share, stop_all, unshare
from .errors import LLMUnavailable, ModelMissing, SettingsError
from .failures import ASKED_FOR_KEY, OR_QUOTES, REFUSED, without
from .formats import storable
from .replies import NobodyListens, Request, Text, end_all
from .settings import EMBEDDED_LLM, NO_LLM, SETTINGS_FILE, Settings, shown_address
from .telemetry import chatting
from .types import LLMEndpoint, LLMOutcome

logger = logging.getLogger(__name__)


class Writer:
    """Writes text from a prompt. Thread-safe: replies may overlap.

    `name` is shown to the user. `capable` is False for the embedded model, which must not rewrite questions.
    `host` is where its endpoints are, without what is secret in their addresses; empty for one in this process.
    `outcome` is how the last request went; None before there was one.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        backends: Sequence[Backend],
        *,
        capable: bool = True,
        host: str = "",
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.capable = capable
        self.host = host
        self.outcome: LLMOutcome | None = None
        self.deadlines = (settings.first_token_s, settings.total_s)  # seconds
        self._pool = Pool(name, backends, self.deadlines, _secrets(settings))
        self._on_close = on_close
        self._closed = threading.Lock()  # taken once, for good
        self._testing = threading.Lock()

    @property
    def endpoints(self) -> tuple[LLMEndpoint, ...]:
        """Each address, with how the last request to it went; none for an LLM in this process."""
        both = zip(self._pool.backends, self._pool.outcomes, strict=True)
        return tuple(LLMEndpoint(backend.address, outcome) for backend, outcome in both if backend.address)

    def stream(self, system: str, user: str, *, max_tokens: int) -> Generator[str, None, None]:
        """Yield the reply piece by piece. Nothing happens before the first piece is asked for.

        Closing the iterator ends the request. An empty reply yields nothing. An LLM object that was handed in
        keeps its own length limit. Raises `LLMUnavailable` when no address gives a first word within the deadlines,
        and when the reply breaks off behind it: then nobody is asked again.
        """
        pieces = self._stream(system, user, max_tokens)
        speaks = "openai" if self.host else ""  # the protocol; who made the model is not known
        facts: dict[str, Any] = {"model": self.name, "provider": speaks, "host": self.host, "max_tokens": max_tokens}
        return chatting(pieces, system, user, unheard=NobodyListens, **facts)

    def _stream(self, system: str, user: str, max_tokens: int) -> Generator[str, None, None]:
        call = Call(self._pool, Prompt(system, user, max_tokens))
        try:
            yield from self._noted(call)
        except LLMUnavailable as error:
            self._note(error)
            raise
        finally:
            call.end()

    def test(self) -> bool:
        """Ask for one word, at every address; `outcome` and `endpoints` then say how it went.

        False, and nothing is asked, while another test runs.
        """
        if not self._testing.acquire(blocking=False):
            return False
        call = Call(self._pool, Prompt("Answer in one word.", "Say yes.", max_tokens=1))
        try:
            self.outcome = call.test()
        except LLMUnavailable as error:
            self._note(error)
        finally:
            call.end()
            self._testing.release()
        return True

    def close(self) -> None:
        """End the replies under way and give the embedded server back; its last user stops it."""
        if self._closed.acquire(blocking=False):
            self._pool.close()
            if self._on_close:
                self._on_close()

    def _noted(self, call: Call) -> Iterator[str]:
        """The pieces; `outcome` is kept as soon as the first one or the end is there."""
        pieces = call.pieces()
        first = next(pieces, "")  # an empty reply is one, too
        self.outcome = LLMOutcome(now(), call.seconds)
        if first:
            yield first
        yield from pieces

    def _note(self, error: LLMUnavailable) -> None:
        if not isinstance(error, NobodyListens):  # that says nothing about the LLM
            self.outcome = LLMOutcome(now(), problem=str(error))


def open_writer(settings: Settings, llm: Any | None = None) -> Writer | None:
    """Return what writes the answers, or None when `settings.llm` is 'none'. Starts and imports nothing heavy.

    `llm` is any llama-index LLM object, and wins over the settings.
    Raises `ModelMissing` without the embedded weights, `SettingsError` without an endpoint for a model name.
    """
    if llm is not None:
        return Writer(_name_of(llm), settings, [Backend(lambda prompt, _: _deltas(llm, prompt))])
    if settings.llm == NO_LLM:
        return None
    if settings.llm == EMBEDDED_LLM:
        return _embedded_writer(settings)
    return _endpoint_writer(settings)


@atexit.register
def _end_everything() -> None:
    end_all()
    stop_all()  # last: a server keeps every thread waiting while it stops


# ---- the words of one reply ------------------------------------------------------------------------------------------


def _deltas(llm: Any, prompt: Prompt, **options: Any) -> Text:
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


def _whole(pieces: Text) -> Text:
    """The same text without half characters: JSON can write the halves of a pair (UTF-16), even in two pieces."""
    half = ""
    for piece in pieces:
        text = half + piece
        half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        yield storable(text.removesuffix(half).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _hidden(pieces: Text, secrets: Sequence[str]) -> Text:
    """The same text with *** for what is secret; what could be the beginning of it waits for the next piece."""
    held = ""
    for piece in pieces:
        held = without(secrets, held + piece)
        begun = max((n for secret in secrets for n in range(1, len(secret)) if held.endswith(secret[:n])), default=0)
        yield held[: len(held) - begun]
        held = held[len(held) - begun :]
    yield held


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
    is_alone: bool = True  # nobody else can be asked

    @property
    def is_local(self) -> bool:
        return urlsplit(self.url).hostname in ("localhost", "127.0.0.1", "::1")


def _endpoint_writer(settings: Settings) -> Writer:
    each = addresses(settings)
    key = _key(settings)
    hosts = _listed(list(dict.fromkeys(at.host for at in each)))
    if settings.chosen_by_file("llm_base_url"):  # who runs rag in a folder of somebody else's may not know
        logger.warning(
            "%s: questions and passages go to %s%s; if you did not write that, remove llm_base_url there",
            SETTINGS_FILE,
            hosts,
            "" if key == _NO_KEY else ", with the key",
        )
    backends = [_backend(at, key, settings, alone=len(each) == 1) for at in each]
    return Writer(settings.llm, settings, backends, host=hosts)


def _backend(at: Address, key: str, settings: Settings, *, alone: bool) -> Backend:
    secrets = [secret for secret in _secrets(settings) if len(secret) >= _SURELY_SECRET]
    endpoint = _Endpoint(at.url, settings.llm, key, settings.total_s, at.login, secrets, is_alone=alone)
    shown = shown_address(at.url)
    return Backend(
        lambda prompt, request: _over_http(endpoint, prompt, request),
        shown,
        f"check that {shown} runs and that llm and llm_base_url are right{at.hint}, {OR_QUOTES}",
        REFUSED if key != _NO_KEY or at.login else ASKED_FOR_KEY,
    )


def _listed(names: Sequence[str]) -> str:
    """One; one and another; one, another and a third."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _over_http(endpoint: _Endpoint, prompt: Prompt, request: Request) -> Text:
    from llama_index.llms.openai_like import OpenAILike

    from .endpoint import client

    def ask() -> Text:
        secure = endpoint.url.startswith("https:")
        with client(endpoint.login, request.watch, local=endpoint.is_local, secure=secure) as http_client:
            llm = OpenAILike(
                model=endpoint.model,
                api_base=endpoint.url,
                api_key=endpoint.key,
                temperature=0.0,
                is_chat_model=True,
                timeout=endpoint.timeout_s,
                # Over a network, once more may help: where there is another address, there.
                max_retries=1 if endpoint.is_alone and not endpoint.is_local else 0,
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
    known = {settings.llm_api_key.get_secret_value().strip() if settings.llm_api_key else ""}
    for address in settings.llm_addresses:
        user = address.partition("//")[2].partition("/")[0].rpartition("@")[0]
        password = user.partition(":")[2]
        basic = base64.b64encode(unquote(user).encode()).decode()
        known |= {user, unquote(user), basic, password, unquote(password)} if user else set()
    return sorted(known - {""}, key=len, reverse=True)


# ---- the embedded model ----------------------------------------------------------------------------------------------


def _embedded_writer(settings: Settings) -> Writer:
    weights = embedded_weights(settings)
    if weights is None:
        raise ModelMissing(not_there(settings))
    server = share(weights)

    def speak(prompt: Prompt, request: Request) -> Text:
        url, key = server.address()
        return _over_http(_Endpoint(url, "SmolLM2-135M-Instruct", key, settings.total_s), prompt, request)

    return Writer(
        EMBEDDED_NAME,
        settings,
        [Backend(speak, cure=f"try again, lower top_k, {OR_QUOTES}")],
        capable=False,
        on_close=lambda: unshare(weights, server),
    )
