"""The address of a Ray cluster: what is one, and what is said of it. Nothing is asked here."""

from __future__ import annotations

import re
from typing import Final

from .errors import ClusterUnavailable

LOCAL: Final = "local"  # in Ray's own words: a Ray on this machine, for as long as it is needed
AUTO: Final = "auto"  # too: the cluster of which this machine is a node
CLIENT: Final = "ray://"  # for a machine that is none
_HOST_AND_PORT = re.compile(rf"({CLIENT})?([\w.-]+|\[[\da-fA-F:.]+\]):(?P<port>\d{{1,5}})")
_MEANT = re.compile(rf"{AUTO}|{LOCAL}|{CLIENT}.*|[\w.-]+:\d+|\[[\da-fA-F:.]+\]:\d+")


def is_meant(word: str) -> bool:
    """Whether a word is to be an address, not a file; it may be one that cannot be."""
    return _MEANT.fullmatch(word) is not None


def check_address(address: str) -> None:
    """Raises ClusterUnavailable for what cannot be one."""
    found = _HOST_AND_PORT.fullmatch(address)
    if address not in (AUTO, LOCAL) and not (found and 0 < int(found["port"]) < 2**16):
        raise ClusterUnavailable(
            f"'{address}' is no address of a Ray cluster; write auto, host:port or ray://host:port, with a port from 1 "
            "to 65535"
        )


def described(address: str) -> str:
    """What is at an address, for messages."""
    if address == LOCAL:
        return "Ray on this machine"
    return "a Ray cluster on this machine ('auto')" if address == AUTO else f"the Ray cluster at '{address}'"


def not_reached(address: str, why: str) -> str:
    """A line that says so, and what to do."""
    cure = "check the address, set RAY_AUTH_MODE=token where it asks for one"
    if address == LOCAL:
        cure = "see its logs in /tmp/ray/session_latest/logs"
    elif address == AUTO:
        cure = "start one with 'ray start --head', name one that runs elsewhere (ray://host:10001), or leave 'auto' out"
    elif not address.startswith(CLIENT):
        cure += ", write ray://host:10001 where this machine is no node of the cluster"
    return f"{described(address)} cannot be reached ({why}); {cure}, or ingest without --ray"
