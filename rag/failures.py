"""Foreign errors → `Failure`: why an LLM did not answer, in one line with a cure, without what is secret."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence

from .errors import LLMUnavailable

OR_QUOTES = "or set llm to 'none' to be answered in quotes"
REFUSED = ("refused the key", "set llm_api_key (RAG_LLM_API_KEY) to a valid one")  # what happened, and the cure
ASKED_FOR_KEY = ("asks for a key, none is set", "set llm_api_key (RAG_LLM_API_KEY) to one")
_OF_THE_REQUEST = (400, 413, 422)  # it is wrong, whoever is asked
_SHOWN = 300  # characters of what an endpoint says for an error
_SHOWN_OF_EACH = 100  # where several are told of, at least
_SHOWN_FROM = 10_000  # taken from its first ones, where much of it is blank


class Failure(LLMUnavailable):
    """One backend of the LLM `name` did not answer. `what` stands behind its name or address.

    `of_the_request`: another one would not answer it either, and the backend is well.
    """

    def __init__(self, name: str, what: str, cure: str, *, of_the_request: bool = False) -> None:
        super().__init__(f"{name}{what}; {cure}")
        self.what = what
        self.cure = cure
        self.of_the_request = of_the_request


def all_failed(name: str, failures: Mapping[str, Failure]) -> LLMUnavailable:
    """One line for what happened at each address; for a single one, that failure itself."""
    each = list(failures.values())
    if len(each) == 1:
        return each[0]
    shown = max(_SHOWN_OF_EACH, _SHOWN // len(each))
    told = ", ".join(f"{address}{failure.what[:shown]}" for address, failure in failures.items())
    cure = f"check that each runs and that llm, llm_base_url and llm_api_key are right, {OR_QUOTES}"
    if len({failure.cure for failure in each}) == 1:
        cure = each[0].cure
    unavailable = LLMUnavailable(f"{name}: {told}; {cure}")
    unavailable.__cause__ = each[-1].__cause__
    return unavailable


def failure(error: Exception, name: str, secrets: Sequence[str], cure: str, refused: tuple[str, str]) -> Failure:
    """Translate any error of any LLM."""
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
        cure = f"ask again later, {OR_QUOTES}" if status == 429 else cure
    else:
        what = f"failed ({_kind(chain[-1])}{_detail(chain[-1])})"
    if "CERTIFICATE_VERIFY_FAILED" in what:  # of ssl's own error httpcore keeps the words alone
        cure = f"let SSL_CERT_FILE name the certificate that vouches for it, {OR_QUOTES}"
    what = f" {_one_line(without(secrets, what))}"
    unavailable = Failure(name, what, cure, of_the_request=status in _OF_THE_REQUEST)
    said = "".join(traceback.format_exception(error))
    unavailable.__cause__ = error if said == without(secrets, said) else None  # an endpoint may repeat the key
    _forget_values(error)
    return unavailable


def without(secrets: Sequence[str], text: str) -> str:
    """The text with *** for what is secret."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _kind(error: BaseException) -> str:
    return "" if type(error).__module__.startswith("rag.") else f"{type(error).__name__}: "


def _detail(error: BaseException) -> str:
    body = getattr(error, "body", None)  # openai keeps the server's own words there
    words = body.get("message") if isinstance(body, Mapping) else body or getattr(error, "strerror", None)
    return str(words or error)


def _one_line(text: str) -> str:
    return " ".join(text[:_SHOWN_FROM].split())[:_SHOWN]


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
