"""`llm_base_url` → where the LLM's endpoints are, or in one line why something in it is no address."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from .errors import SettingsError
from .settings import Settings

_SCHEMES = ("http://", "https://")
_AT_BEHIND_HOST = re.compile(r"://[^/?#]*[/?#].*@", re.DOTALL)
_VERSION = re.compile(r"/v\d")
_LOGIN = "in a name or password in front of the @, write / as %2F, ? as %3F, # as %23 and @ as %40"
_PORT = "behind the host's name and a : stands a number from 1 to 65535"
_HOST = "behind the // stands the host's name"
_COMMA = "each of several begins with http:// or https://, and a comma within one is written as %2C"


class Address(NamedTuple):
    """An address without name and password, which others would write into their logs with it; and those two."""

    url: str
    login: tuple[str, str] | None

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def hint(self) -> str:
        """What most addresses have and this one lacks, for behind "llm_base_url" in a cure."""
        return "" if _VERSION.search(urlsplit(self.url).path) else " (most addresses end in /v1)"


def addresses(settings: Settings) -> tuple[Address, ...]:
    """At least one. Raises SettingsError, which shows nothing of what is no address: it may be a password."""
    written = settings.llm_addresses
    if not written:
        raise SettingsError(
            f"setting 'llm_base_url': llm '{settings.llm}' needs the address of an OpenAI-compatible endpoint; "
            "set it (RAG_LLM_BASE_URL) to one, for example http://127.0.0.1:11434/v1"
        )
    each = []
    for number, url in enumerate(written, 1):
        which = f": number {number} of its {len(written)} addresses" if len(written) > 1 else ""
        each.append(_address(url, which))
    if len({at.url.rstrip("/") for at in each}) < len(each):
        raise SettingsError("setting 'llm_base_url' names an address twice; write each once (RAG_LLM_BASE_URL)")
    return tuple(each)


def _address(url: str, which: str) -> Address:
    if not url.startswith(_SCHEMES):
        raise SettingsError(
            "setting 'llm_base_url' must begin with http:// or https://; correct it (RAG_LLM_BASE_URL), for example to "
            "http://127.0.0.1:11434/v1"
        )
    if _AT_BEHIND_HOST.search(url):
        raise _no_address(which, _LOGIN)
    try:
        parts = urlsplit(url)
    except ValueError as error:  # brackets that are no IPv6 address
        raise _no_address(which, _HOST) from error
    user, _, host = parts.netloc.rpartition("@")
    if "," in host + parts.path:
        raise _no_address(which, _COMMA)
    if not parts.hostname:
        raise _no_address(which, _HOST)
    if not _has_port(parts):
        raise _no_address(which, _PORT)
    name, _, password = user.partition(":")
    return Address(parts._replace(netloc=host).geturl(), (unquote(name), unquote(password)) if user else None)


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _no_address(which: str, why: str) -> SettingsError:
    return SettingsError(f"setting 'llm_base_url'{which} is no address; correct it (RAG_LLM_BASE_URL): {why}")
