"""A chat model at an OpenAI-compatible endpoint, asked for one reply at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import rag

_READ = 16_000  # characters of a reply, at its end
_NO_KEY = "no-key"  # with an empty one openai would send the user's OPENAI_API_KEY to whatever endpoint this is


class ChatError(Exception):
    """The model gave no reply; the message is one line that ends with what to do."""


class Chat(Protocol):
    """Whoever replies: a `ChatModel`, or a script in a test."""

    @property
    def model(self) -> str:
        """Its name."""
        ...

    def reply(self, system: str, user: str) -> str:
        """The reply to one message. Raises ChatError when none comes."""
        ...


@dataclass(frozen=True, slots=True)
class ChatModel:
    """A model at an endpoint such as http://127.0.0.1:11434/v1. Asked at temperature 0; each request stands alone."""

    model: str
    base_url: str
    key: str = field(default="", repr=False)
    timeout_s: float = 60

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            cure = "give it (--llm-base-url or RAG_LLM_BASE_URL), for example http://127.0.0.1:11434/v1"
            raise ChatError(f"'{self.model}' needs the address of an OpenAI-compatible endpoint; {cure}")

    def reply(self, system: str, user: str) -> str:
        """The reply to one message. Raises ChatError when the endpoint refuses, breaks or passes the deadline."""
        import httpx  # these cost seconds: only the first reply waits for them
        import openai

        local = urlsplit(self.base_url).hostname in ("localhost", "127.0.0.1", "::1")
        try:
            with httpx.Client(trust_env=not local, follow_redirects=True) as http:  # no proxy reaches this machine
                client = openai.OpenAI(
                    api_key=self.key.strip() or _NO_KEY,
                    base_url=self.base_url,
                    timeout=self.timeout_s,
                    max_retries=0 if local else 2,  # over a network, once more may help
                    http_client=http,
                )
                completion = client.chat.completions.create(
                    model=self.model,
                    messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
                    temperature=0,
                )
                return completion.choices[0].message.content or ""
        except openai.OpenAIError as error:
            raise self._error(error) from error
        except (AttributeError, IndexError, TypeError, ValueError, httpx.HTTPError) as error:
            # What answers there does not speak the protocol: openai hands a web page over as it is.
            raise self._error(error, "sent something that is no chat completion") from error

    def _error(self, error: Exception, what: str = "") -> ChatError:
        """One line for whatever went wrong, the key left out."""
        status = getattr(error, "status_code", None)
        address = urlsplit(self.base_url)
        shown = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()  # without a password
        cure = f"check that {shown} runs and serves '{self.model}'"
        if status in (401, 403):
            what, cure = f"refused the key ({status})", "set RAG_LLM_API_KEY to a valid one"
        elif isinstance(status, int):
            what = f"answered {status} ({_detail(error)})"
        elif "Timeout" in type(error).__name__:
            what = f"did not reply within {self.timeout_s:g} s"
        line = " ".join((what or f"cannot be reached ({_detail(error)})").split())
        return ChatError(f"{self.model} {line.replace(self.key.strip() or _NO_KEY, '***')[:300]}; {cure}")


def chat_model(settings: rag.Settings) -> ChatModel | None:
    """The model that the settings name, at the first of its addresses; None when they name none at an endpoint."""
    if settings.llm in ("embedded", "none"):
        return None
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
    return ChatModel(settings.llm, next(iter(settings.llm_addresses), ""), key, settings.total_s)


def _detail(error: Exception) -> str:
    body = getattr(error, "body", None)  # openai keeps the server's own words there
    return str(body["message"] if isinstance(body, dict) and "message" in body else error.__cause__ or error)


def as_data(**values: Any) -> str:
    """The values as one JSON object without `<`: whatever they say, they cannot end the delimiters around them."""
    return json.dumps(values, ensure_ascii=False, indent=1).replace("<", "\\u003c")


def json_object(reply: str) -> dict[str, Any] | None:
    """The last JSON object in a reply, be it in a code fence, in prose or after thoughts; None without one."""
    decoder = json.JSONDecoder()
    found: dict[str, Any] | None = None
    reply = reply[-_READ:]  # each brace that opens no object costs a look at all before it
    at = reply.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(reply, at)
        except RecursionError:  # nobody means that
            break
        except ValueError:
            end = at + 1
        else:
            found = value
        at = reply.find("{", end)
    return found
