"""pgvector: the vectors beside the documents in PostgreSQL, or in a database of their own."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .engines import EF_CONSTRUCTION, LlamaIndexEngine, M, Translator, check_packages, class_of
from .errors import RagError, StoreUnavailable
from .postgres_engine import connected, engine_at, in_our_words, shown
from .watchdog import cut, patient

logger = logging.getLogger(__name__)

_EXTRA = "postgres"
_CLASS = ("llama_index.vector_stores.postgres", "PGVectorStore")
_EF_SEARCH = 200
_EXACT = 20_000  # vectors that are compared one by one: HNSW can lose sight of some where many are nearly the same
_OLDEST = (0, 8)  # looks on where its index stopped; before, a search found `_EF_SEARCH` passages at most

# The schema of new tables. Whether pgvector's types can be named; the version that is there, and its schema; the one
# that can be had, and by whom.
_EXTENSION = """
    SELECT current_schema(),
        to_regtype('halfvec') IS NOT NULL, extension.extversion, nspname, available.default_version,
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
            OR coalesce(trusted AND has_database_privilege(current_database(), 'CREATE'), FALSE)
    FROM (SELECT 'vector' AS wanted) AS one
    LEFT JOIN pg_extension AS extension ON extname = wanted
    LEFT JOIN pg_namespace AS namespace ON namespace.oid = extnamespace
    LEFT JOIN pg_available_extensions AS available ON available.name = wanted
    LEFT JOIN pg_available_extension_versions AS version
        ON version.name = wanted AND version.version = available.default_version
"""

_WANTS_INDEX = """
    SELECT to_regclass(:index) IS NULL AND count(*) > {most} FROM (SELECT FROM {table} LIMIT {most} + 1) AS first_ones
"""
# As they came, thousands that are nearly the same would hide others from a search; mixed, they do not. Searches stand
# still meanwhile, so it does not wait, with all of them behind it, for somebody who reads for long.
_MIX = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL lock_timeout = '2s';
    CREATE INDEX {name}_mixed ON {table} (md5(node_id));
    CLUSTER {table} USING {name}_mixed;
    DROP INDEX {schema}.{name}_mixed
"""
_INDEX = """
    SET LOCAL statement_timeout = 0;
    CREATE INDEX IF NOT EXISTS {name} ON {table} USING hnsw (embedding halfvec_cosine_ops)
        WITH (m = {links}, ef_construction = {tried})
"""
_WHERE_THERE_IS = (  # they came with PostgreSQL 14, not on all systems, and 17
    "SET LOCAL client_connection_check_interval = 2000",  # else it would go on for nobody after a kill
    "SET LOCAL transaction_timeout = 0",
)


class Pgvector:
    """The server at `url`. Raises StoreUnavailable where a package is missing; nothing is asked of it yet."""

    def __init__(self, url: str) -> None:
        check_packages(_EXTRA, _CLASS[0], "pgvector", "asyncpg")
        # Beyond ef_search, pgvector looks on where it stopped, rather than to give fewer than were asked for.
        searching = f"-c hnsw.ef_search={_EF_SEARCH} -c hnsw.iterative_scan=strict_order"
        self._engine = engine_at(url, options=searching)
        self._where = shown(self._engine)
        self._translator = Translator(self._told)

    def check(self) -> None:
        """Raise RagError where no vectors can be kept there; nothing is changed."""
        with self._translator.translated(), connected(self._engine) as connection:
            _check(connection, self._where)

    def open(self, name: str, dimension: int) -> LlamaIndexEngine:
        """A collection, which is made where there is none."""
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = self._engine
        table = f"data_{name}"
        with self._translator.translated(), connected(engine) as connection:
            schema = _check(connection, self._where)
            where = f'"{schema}".{table}'
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
            connection.commit()
        store = class_of(_EXTRA, *_CLASS)(
            table_name=name,
            schema_name=schema,
            embed_dim=dimension,
            use_halfvec=True,
            initialization_fail_on_error=True,
            engine=engine,
            async_engine=create_async_engine("postgresql+asyncpg://"),  # asked for with the other; nobody connects it
        )
        with self._translator.translated():
            store._initialize()
            with engine.begin() as connection:  # llama-index makes none, and a deletion would read the whole table
                connection.execute(text(f"CREATE INDEX IF NOT EXISTS {table}_node ON {where} (node_id)"))

        def drop() -> None:
            with engine.begin() as connection:
                connection.execute(text(f"DROP TABLE IF EXISTS {where}"))

        settle = partial(_settle, engine, schema, table)
        return LlamaIndexEngine(store, self._translator, drop, lambda: None, settle)

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    def _told(self, error: Exception) -> RagError:
        if isinstance(error, SQLAlchemyError):
            return in_our_words(error, self._where)
        return StoreUnavailable(f"{self._where} keeps no vectors ({type(error).__name__}: {error}); run 'rag doctor'")


def _settle(engine: Engine, schema: str, table: str, _: int) -> None:
    """Index all vectors, if they are many and have no index."""
    named = {"schema": f'"{schema}"', "table": f'"{schema}".{table}', "name": f"{table}_hnsw"}
    with engine.connect() as connection, patient(connection):
        wants = text(_WANTS_INDEX.format(**named, most=_EXACT))
        if not connection.execute(wants, {"index": f"{named['schema']}.{named['name']}"}).scalar():
            return
        logger.info("the vectors in PostgreSQL are being indexed: once, and it may take minutes")
        for statements in (_MIX.format(**named), _INDEX.format(**named, links=M, tried=EF_CONSTRUCTION)):
            connection.rollback()
            for setting in _WHERE_THERE_IS:
                with suppress(DBAPIError), connection.begin_nested():
                    connection.execute(text(setting))
            _run(connection, statements)
            connection.commit()


def _run(connection: Connection, statements: str) -> None:
    """Execute them so that Ctrl-C ends them: psycopg2 hears of it only when the server has answered."""
    if threading.current_thread() is not threading.main_thread():  # no other hears it
        connection.execute(text(statements))
        return
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(connection.execute, text(statements))
        try:
            running.result()
        except KeyboardInterrupt:
            cut(connection)
            raise


def _check(connection: Connection, where: str) -> str:
    """The schema in which vectors can be kept. Raises StoreUnavailable where there is none."""
    ours, named, version, schema, available, may_create = connection.execute(text(_EXTENSION)).one()
    if ours is None:
        raise StoreUnavailable(f"{where} has no schema to keep the index in; create it, or correct the search_path")
    oldest = ".".join(map(str, _OLDEST))
    if not version and not available:
        raise StoreUnavailable(f"{where} has no pgvector; install it there, version {oldest} or later")
    if not version and not may_create:
        raise StoreUnavailable(f"{where} has no pgvector; let a superuser run 'CREATE EXTENSION vector' in it")
    if _numbers(version or available) < _OLDEST:
        raise StoreUnavailable(
            f"{where} has pgvector {version or available}, and {oldest} is needed; install a later one there, and let "
            "its owner run 'ALTER EXTENSION vector UPDATE' in it"
        )
    if version and not named:
        raise StoreUnavailable(
            f"{where} has pgvector in its schema '{schema}', which is not in the search_path; add it behind the first: "
            f"options=-csearch_path%3D…,{schema} in the address"
        )
    if ours != ours.lower():  # llama-index writes it so
        raise StoreUnavailable(
            f"{where} has the schema '{ours}' first, and only one without capitals can be used; rename it"
        )
    return str(ours)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
