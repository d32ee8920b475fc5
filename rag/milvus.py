"""Milvus: the vectors in a cluster, or in a file of Milvus Lite."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .engines import EF_CONSTRUCTION, LlamaIndexEngine, M, Translator, check_packages, class_of
from .errors import RagError, SettingsError, StoreUnavailable, StoreUnreachable

_EXTRA = "milvus"
_CLASS = ("llama_index.vector_stores.milvus", "MilvusVectorStore")
_ANSWER_S = 10.0  # for a connection, and for each request that reads
_WRITE_S = 60.0  # for one that writes, and for one that brings a collection into memory
_SERVICE = "milvus.proto.milvus.MilvusService"
_HOW = "correct RAG_STORE: milvus://name:password@host:19530"
_EF_SEARCH = 400
_MANY = 512  # vectors that Milvus Lite had better index at once
_SILENT = "does not answer ({said}); check that it runs, and RAG_STORE"
_UNREACHED = {  # a pattern of what the client says → what it means, with the cure; it may answer later
    "Deadline Exceeded": "does not answer (it says nothing); check that it runs, and RAG_STORE",
    "(?i)failed to connect|connection refused|unavailable|socket closed|goaway": _SILENT,
}
_REFUSED = "does not do it ({said}); run 'rag doctor', and see its log"
_MEANINGS = {
    "Open local milvus failed": "is used by another process; end that one, or use a Milvus server",
    "errors resolving|DNS resolution failed": f"cannot be found: there is no host of this name; {_HOW}",
    "(?i)unauthenticated|auth check failure": f"does not take this name and password; {_HOW}",
}
_WRITES = ("Upsert", "Delete", "CreateCollection", "DropCollection", "CreateIndex", "LoadCollection", "Flush")


class Milvus:
    """The server, or the file, at `url`; nothing is asked of it yet.

    Raises SettingsError for a URL that is none, and StoreUnavailable where a package is missing.
    """

    def __init__(self, url: str) -> None:
        self._uri, self._token = milvus_address(url)
        self._is_file = self._uri.endswith(".db")
        lite = ("milvus_lite",) if self._is_file else ()
        check_packages(_EXTRA, _CLASS[0], "pymilvus", *lite)
        self._where = f"Milvus at {self._uri}"
        self._translator = Translator(self._told, _quiet.inside)

    def check(self) -> None:
        """Raise RagError where no vectors can be kept there."""
        if self._is_file:
            return _check_folder(self._uri)
        _before_it_is_loaded()
        client = class_of(_EXTRA, "pymilvus", "MilvusClient")
        with self._translator.translated(), closing(client(**self._connection())) as opened:
            opened.list_collections()

    def open(self, name: str, dimension: int) -> LlamaIndexEngine:
        """A collection, which is made where there is none."""
        if self._is_file:
            _check_folder(self._uri)
        _before_it_is_loaded()
        kind = class_of(_EXTRA, *_CLASS)
        with self._translator.translated():
            store = kind(
                collection_name=name,
                dim=dimension,
                similarity_metric="IP",
                consistency_level="Strong",  # what a write has told is there for every reader
                upsert_mode=True,
                use_async_client=False,
                index_config={"index_type": "HNSW", "M": M, "efConstruction": EF_CONSTRUCTION},
                **self._connection(),
            )
            store.client.load_collection(name)  # one that was made before is not in memory yet

        def settle(added: int) -> None:
            # Milvus Lite compares what was added last one by one, until this. A server has its own time for it, and
            # lets itself be told at most every ten seconds.
            if self._is_file and added >= _MANY:
                store.client.flush(name, timeout=_WRITE_S)

        def asking(k: int) -> dict[str, Any]:
            return {"milvus_search_config": {"params": {"ef": max(_EF_SEARCH, k)}}}  # it refuses to give more

        return LlamaIndexEngine(store, self._translator, store.clear, store.client.close, settle, asking)

    def close(self) -> None:
        """Nothing: each collection has a connection of its own."""

    def _connection(self) -> dict[str, Any]:
        # A file has its server in this process, which loads a large one in its own time.
        options = {} if self._is_file else {"grpc.service_config": json.dumps(_deadlines())}
        return {"uri": self._uri, "token": self._token, "timeout": _ANSWER_S, "grpc_options": options}

    def _told(self, error: Exception) -> RagError:
        said = " ".join(_said(error).split())[:300]
        if meant := _meant(_MEANINGS, said):
            return StoreUnavailable(f"{self._where} {meant.format(said=said)}")
        if meant := _meant(_UNREACHED, said):
            return StoreUnreachable(f"{self._where} {meant.format(said=said)}")
        return StoreUnavailable(f"{self._where} {_REFUSED.format(said=said)}")


def milvus_address(url: str) -> tuple[str, str]:
    """(uri, token) of a URL: milvus://name:password@host:19530, milvus+https://…, or milvus:FILE for Milvus Lite."""
    try:
        parts = urlsplit(url)
        is_file, host = not parts.netloc and parts.path, parts.hostname
        port = 19530 if parts.port is None else parts.port
    except ValueError:  # no port is a word, and [ begins an IPv6 address
        is_file, host = False, None
    if not is_file:
        if not host or parts.path.strip("/") not in ("", "default"):  # the database that is used
            raise SettingsError("the address of Milvus is none; write it as milvus://name:password@host:19530")
        login = unquote(parts.username or "")  # by itself it is a key
        if parts.password is not None:
            login += f":{unquote(parts.password)}"
        scheme = "https" if parts.scheme == "milvus+https" else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}", login
    file = Path(parts.path).expanduser()
    if file.suffix != ".db":
        raise SettingsError(f"Milvus Lite keeps its vectors in a file that ends in .db, which '{parts.path}' does not")
    return str(file), ""


def _meant(meanings: Mapping[str, str], said: str) -> str:
    return next((meant for pattern, meant in meanings.items() if re.search(pattern, said)), "")


def _check_folder(file: str) -> None:
    if Path(file).is_file():
        raise StoreUnavailable(
            f"{file} is a file, and Milvus Lite needs a folder for itself; name another in RAG_STORE"
        )
    folder = Path(file).parent
    if not folder.is_dir():
        raise StoreUnavailable(
            f"{folder} is no folder, so Milvus Lite cannot keep {file}; create it, or correct RAG_STORE"
        )
    if not os.access(folder, os.W_OK):
        raise StoreUnavailable(
            f"{folder} cannot be written to, so Milvus Lite cannot keep {file}; allow it, or correct RAG_STORE"
        )


def _deadlines() -> dict[str, Any]:
    """A service config of gRPC's: without it a request waits for ever, as llama-index gives it no deadline.

    gRPC takes up to two seconds off.
    """
    writes = [{"service": _SERVICE, "method": method} for method in _WRITES]
    return {
        "methodConfig": [
            {"name": [{"service": _SERVICE}], "timeout": f"{_ANSWER_S}s"},
            {"name": writes, "timeout": f"{_WRITE_S}s"},
        ]
    }


def _before_it_is_loaded() -> None:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes past Python to the terminal, and only when it is loaded


def _said(error: BaseException) -> str:
    """What gRPC said, if it did: of most of that the client says "illegal connection params or server unavailable"."""
    behind: BaseException | None = error
    while behind is not None:
        if callable(details := getattr(behind, "details", None)):
            return str(details())
        behind = behind.__context__
    return str(getattr(error, "message", error))


class _Quiet(logging.Filter):
    """Keeps the client from logging what it raises as well, in our calls: not in those of the program around us."""

    def __init__(self) -> None:
        super().__init__()
        self._here = threading.local()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """A call of ours, in this thread."""
        self._here.inside = True
        try:
            yield
        finally:
            self._here.inside = False

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(self._here, "inside", False)


def _is_news(record: logging.LogRecord) -> bool:
    """Milvus Lite serves from threads of its own, and its client asks it for more than it can."""
    return "Method not implemented!" not in record.getMessage()


_quiet = _Quiet()
logging.getLogger("grpc._server").addFilter(_is_news)
for _each in ("pymilvus.decorators", "pymilvus.client.connection_manager", "milvus_lite.server_manager"):
    logging.getLogger(_each).addFilter(_quiet)
