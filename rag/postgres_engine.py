"""PostgreSQL by its address: an engine whose waits have bounds, and its errors in our words, each with its cure."""

from __future__ import annotations

import re
import time
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from .errors import IndexDamaged, IndexLocked, RagError, SettingsError, StoreUnavailable, StoreUnreachable
from .watchdog import REFUSES, Unanswered, Watchdog

_CONNECT_S = 4
_TRIES = 3
_BETWEEN_TRIES_S = 0.5
_UNANSWERED_MS = 60_000  # a server that is gone without a word
_CONNECTIONS, _MORE_CONNECTIONS, _WAIT_FOR_CONNECTION_S = 8, 24, 30
_IN = "RAG_STORE and RAG_CATALOGUE"
_FORM = "postgresql://name:password@host:5432/database"

_LATER = "starting up|shutting down|too many (clients|connections)|remaining connection slots|recovery"

# What libpq says where there is no connection has no code: a pattern of it → what it means, with the cure.
_UNCONNECTED = {
    "no password supplied": f"wants a password, and none is given; write it into {_IN}: {_FORM}",
    "password authentication failed": (
        f"does not take this name and password; correct them in {_IN}: {_FORM}, and of the password each @ is %40"
    ),
    "pg_hba.conf": (
        f"does not let this login in from here ({{said}}); allow it in its pg_hba.conf, or correct {_IN}, "
        "with sslmode=require in it where encryption is wanted"
    ),
    "does not support SSL": (
        f"offers no encryption, and 'sslmode' in its address wants it; let the server offer it, or correct {_IN}"
    ),
    "certificate verify failed|root certificate": (
        f"is not trusted ({{said}}); correct sslmode and sslrootcert in {_IN}, or the server's certificate"
    ),
    "could not translate host name|could not parse network address": (
        f"cannot be found: there is no host of this name; correct {_IN}"
    ),
    'invalid port number|option "port"': f"cannot be found: its port is no number from 1 to 65535; correct {_IN}",
    "^invalid ": f"has an address that PostgreSQL does not understand ({{said}}); correct {_IN}: {_FORM}",
}


def engine_at(url: str, *, options: str = "") -> Engine:
    """An engine for what everybody writes as postgresql://…, connected with bounds on every wait."""
    try:
        parsed = make_url(url).set(drivername="postgresql+psycopg2")
        if "@" in f"{parsed.host}{parsed.database}" or url.count("://") > 1:  # a password, which no message may show
            raise ArgumentError
    except (ArgumentError, ValueError) as error:
        port = ": no number stands where its port is" if isinstance(error, ValueError) else ""
        raise SettingsError(
            f"the address of the database is none{port}; write it as {_FORM}, one address, and of the password "
            "each @ as %40 and each / as %2F"
        ) from None
    engine = create_engine(
        parsed,
        pool_pre_ping=True,  # a server that was started again is no error
        pool_size=_CONNECTIONS,
        max_overflow=_MORE_CONNECTIONS,
        pool_timeout=_WAIT_FOR_CONNECTION_S,
        hide_parameters=True,  # they are texts of documents
        connect_args={
            "connect_timeout": _CONNECT_S,
            "application_name": "rag",
            "options": f"{parsed.query.get('options', '')} {options}",
            "keepalives_idle": 30,
            "tcp_user_timeout": _UNANSWERED_MS,
        },
    )
    Watchdog(engine)
    return engine


def connected(engine: Engine) -> Connection:
    """A connection; a server that takes none is tried again, a bounded time: it may be starting."""
    for _ in range(_TRIES - 1):
        try:
            return engine.connect()
        except OperationalError as error:
            if _code(error) or REFUSES in str(error) or isinstance(error.orig, Unanswered) or _meant(str(error.orig)):
                raise
        time.sleep(_BETWEEN_TRIES_S)
    return engine.connect()


def shown(engine: Engine) -> str:
    """Where the database is, without name and password."""
    url = engine.url
    hosts = url.query.get("host", "")
    host = url.host or (hosts if isinstance(hosts, str) else ",".join(hosts))
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{host}{port}/{url.database or ''}"


def in_our_words(error: Exception, name: str) -> RagError:
    """What an error of SQLAlchemy's means, in one line with a cure."""
    if isinstance(error, PoolTimeoutError):
        return StoreUnavailable(f"{name}: all connections of this process are in use; ask again later")
    said = " ".join(str(getattr(error, "orig", error)).split())[:300]
    if isinstance(error, PendingRollbackError):
        said = "the connection was lost"
    match _code(error):
        case "55P03" | "40001" | "40P01":
            return IndexLocked(f"another process is writing to {name}; wait until it has finished, then try again")
        case "25P02":
            return RagError(f"{name}: an earlier statement of this question failed; ask again")
        case "53100":
            return RagError(f"the disk of {name} is full; free some space, then try again")
        case "42501" if 'extension "vector"' in said:
            return StoreUnavailable(f"{name} has no pgvector; let a superuser run 'CREATE EXTENSION vector' in it")
        case "42501":
            return StoreUnavailable(f"{name} does not allow it ({said}); grant it to the user that is named there")
        case "3F000":
            return StoreUnavailable(f"{name} has no schema to keep the index in; create it, or correct the search_path")
        case "42P01" | "42703":
            return IndexDamaged(f"{name} has lost tables of the index ({said}); restore it from a copy")
        case "" if meant := _meant(said):
            return StoreUnavailable(f"{name} {meant.format(said=said.rpartition(REFUSES)[2].strip())}")
        case "" if REFUSES in said and re.search(_LATER, said):
            return StoreUnreachable(f"{name} is not ready ({said.partition(REFUSES)[2].strip()}); try again later")
        case "" if REFUSES in said:
            why = said.partition(REFUSES)[2].strip()
            return StoreUnavailable(
                f"{name} refuses ({why}); correct RAG_STORE or RAG_CATALOGUE, or create what it misses"
            )
        case "":
            return StoreUnreachable(
                f"{name} does not answer ({said}); check that it runs, and RAG_STORE and RAG_CATALOGUE"
            )
    return RagError(f"{name}: {said}; run 'rag doctor', and report it if that finds nothing")


def _meant(said: str) -> str:
    """What it means that there is no connection, as far as it is known."""
    return next((meant for pattern, meant in _UNCONNECTED.items() if re.search(pattern, said)), "")


def _code(error: Any) -> str:
    """SQLSTATE; "" where no server said anything, or ended the connection."""
    code = getattr(getattr(error, "orig", None), "pgcode", None) or ""
    return "" if code.startswith(("08", "57P")) else code
