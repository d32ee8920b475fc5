"""Vector stores on servers, by URL, through llama-index's own classes: pgvector and Milvus.

Of a passage they get its id and its vector, no text: what is quoted comes from the catalogue. All that is asked of a
llama-index vector store is `add`, `query` and `delete_nodes`, so another one is a few lines here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .errors import RagError, SettingsError, StoreUnavailable
from .remote import Engine
from .stored import FloatArray

_EF_SEARCH, _EF_CONSTRUCTION, _M = 200, 64, 16  # HNSW (Malkov and Yashunin, 2016); pgvector's own but for the first
_ANSWER_S = 10.0  # for a connection, and for each request


def engine_opener(url: str) -> Callable[[str, int], Engine]:
    """What opens collections on the server at `url`; nothing is asked of it before one is opened.

    Raises SettingsError for a URL that is none.
    """
    if url.startswith("milvus"):
        milvus_address(url)
        return lambda name, dimension: _milvus(url, name, dimension)
    return lambda name, dimension: _pgvector(url, name, dimension)


class LlamaIndexEngine:
    """A llama-index vector store as `remote.Engine`."""

    def __init__(self, store: Any, where: str, drop: Callable[[], None], close: Callable[[], None]) -> None:
        self._store = store
        self._where = where
        self._drop = drop
        self._close = close

    def add(self, ids: Sequence[int], vectors: FloatArray) -> None:
        from llama_index.core.schema import TextNode

        nodes = [
            TextNode(id_=str(i), text="", embedding=vector.tolist()) for i, vector in zip(ids, vectors, strict=True)
        ]
        with self._translated():
            self._store.add(nodes)

    def delete(self, ids: Sequence[int]) -> None:
        with self._translated():
            self._store.delete_nodes([str(i) for i in ids])

    def search(self, vector: FloatArray, k: int) -> list[int]:
        from llama_index.core.vector_stores.types import VectorStoreQuery

        with self._translated():
            found = self._store.query(VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=k))
        return [int(i) for i in found.ids or ()]

    def drop(self) -> None:
        with self._translated():
            self._drop()

    def close(self) -> None:
        with self._translated():
            self._close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(self._where):
            yield


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn any error of a vector store's client into ours."""
    try:
        yield
    except RagError:
        raise
    except Exception as error:
        said = " ".join(str(getattr(error, "message", error)).split())[:300]
        if "Open local milvus failed" in said:
            raise StoreUnavailable(
                f"{where} is used by another process; end that one, or use a Milvus server"
            ) from None
        raise StoreUnavailable(
            f"{where} does not answer ({type(error).__name__}: {said}); check that it runs, and RAG_STORE"
        ) from None


def _pgvector(url: str, name: str, dimension: int) -> LlamaIndexEngine:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.ext.asyncio import create_async_engine

    from .postgres_engine import connected, engine_at, in_our_words, shown

    kind = _class("llama_index.vector_stores.postgres", "PGVectorStore", "postgres")
    # Beyond ef_search, pgvector looks on where it stopped, rather than to give fewer than were asked for.
    engine = engine_at(url, options="-c hnsw.iterative_scan=strict_order")
    where = shown(engine)
    table = f"data_{name}"
    try:
        with connected(engine) as connection:
            schema = connection.execute(text("SELECT current_schema()")).scalar()
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
            connection.commit()
    except SQLAlchemyError as error:
        raise in_our_words(error, where) from None
    store = kind(
        table_name=name,
        schema_name=schema,
        embed_dim=dimension,
        use_halfvec=True,  # as the catalogue keeps them
        hnsw_kwargs={
            "hnsw_m": _M,
            "hnsw_ef_construction": _EF_CONSTRUCTION,
            "hnsw_ef_search": _EF_SEARCH,
            "hnsw_dist_method": "halfvec_cosine_ops",
        },
        initialization_fail_on_error=True,
        engine=engine,
        async_engine=create_async_engine("postgresql+asyncpg://"),  # asked for with the other; nobody connects it
    )
    with translated(where):
        store._initialize()
        with engine.begin() as connection:  # llama-index makes none, and a deletion would read the whole table
            connection.execute(text(f'CREATE INDEX IF NOT EXISTS {table}_node ON "{schema}".{table} (node_id)'))

    def drop() -> None:
        with engine.begin() as connection:
            connection.execute(text(f'DROP TABLE IF EXISTS "{schema}".{table}'))

    return LlamaIndexEngine(store, where, drop, engine.dispose)


def _milvus(url: str, name: str, dimension: int) -> LlamaIndexEngine:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes past Python to the terminal, and only when it is loaded
    kind = _class("llama_index.vector_stores.milvus", "MilvusVectorStore", "milvus")
    for quiet in ("pymilvus", "milvus_lite", "grpc"):
        logging.getLogger(quiet).setLevel(logging.CRITICAL)  # it reports what it raises
    uri, token = milvus_address(url)
    where = f"Milvus at {uri}"
    with translated(where):
        store = kind(
            uri=uri,
            token=token,
            collection_name=name,
            dim=dimension,
            similarity_metric="IP",
            consistency_level="Strong",  # what a write has told is there for every reader
            upsert_mode=True,
            use_async_client=False,
            index_config={"index_type": "HNSW", "M": _M, "efConstruction": _EF_CONSTRUCTION},
            search_config={"params": {"ef": _EF_SEARCH}},
            timeout=_ANSWER_S,
        )
        store.client.load_collection(name)  # one that was made before is not in memory yet
    return LlamaIndexEngine(store, where, store.clear, store.client.close)


def milvus_address(url: str) -> tuple[str, str]:
    """(uri, token) of a URL: milvus://name:password@host:19530, milvus+https://…, or milvus:FILE for Milvus Lite."""
    parts = urlsplit(url)
    if parts.netloc:
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if parts.username else ""
        scheme = "https" if parts.scheme == "milvus+https" else "http"
        try:
            return f"{scheme}://{parts.hostname}:{parts.port or 19530}", login
        except ValueError:
            raise SettingsError(
                "the address of Milvus is none; write it as milvus://name:password@host:19530"
            ) from None
    file = Path(parts.path).expanduser()
    if file.suffix != ".db":
        raise SettingsError(f"Milvus Lite keeps its vectors in a file that ends in .db, which '{parts.path}' does not")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"{file.parent} cannot be made ({error.strerror}); correct RAG_STORE") from error
    return str(file), ""


def _class(module: str, name: str, extra: str) -> Any:
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise StoreUnavailable(
            f"this store needs a package that is not installed ({error.name}); pip install 'rag-quoted[{extra}]'"
        ) from None
