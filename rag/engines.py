"""Vector stores on servers, through llama-index's own classes; see `pgvector` and `milvus`.

Of a passage they get its id and its vector, no text: what is quoted comes from the catalogue. All that is asked of a
llama-index vector store is `add`, `query` and `delete_nodes`, so another one is a few lines.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from .errors import RagError, StoreUnavailable, StoreUnreachable
from .stored import FloatArray

logger = logging.getLogger(__name__)

EF_CONSTRUCTION, M = 64, 16  # HNSW (Malkov and Yashunin, 2016)
_WAITED_S = 0.5  # whoever is refused at once has not waited
_REST_S = 1.0
_UNSETTLED_S = 600.0  # until what failed is tried again


class Translator:
    """Where errors of a vector store's client become ours. Safe between threads.

    After somebody has waited in vain for a server, who comes next is told so at once for `_REST_S` seconds: else all
    would wait, one behind the other.
    """

    def __init__(
        self, told: Callable[[Exception], RagError], around: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        """`told` says an error in our words; `around` is entered with every `translated`."""
        self._told = told
        self._around = around
        self._resting = (0.0, "")  # until when, and what is said

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn any error into ours."""
        until, line = self._resting
        began = time.monotonic()
        if began < until:
            raise StoreUnreachable(line)
        try:
            with self._around():
                yield
        except RagError:
            raise
        except Exception as error:
            told, now = self._told(error), time.monotonic()
            if isinstance(told, StoreUnreachable) and now - began > _WAITED_S:
                self._resting = (now + _REST_S, str(told))
            raise told from None


class LlamaIndexEngine:
    """A llama-index vector store as `remote.Engine`; what it has no method for is given."""

    def __init__(
        self,
        store: Any,
        translator: Translator,
        drop: Callable[[], None],
        close: Callable[[], None],
        settle: Callable[[int], None] = lambda added: None,
        asking: Callable[[int], dict[str, Any]] = lambda k: {},
    ) -> None:
        """`asking(k)` is what a query for `k` needs besides."""
        self._store = store
        self._translator = translator
        self._drop = drop
        self._close = close
        self._settle = settle
        self._settles_from = 0.0  # time.monotonic(): after a failure not at once
        self._asking = asking

    def add(self, ids: Sequence[int], vectors: FloatArray) -> None:
        from llama_index.core.schema import TextNode

        nodes = [
            TextNode(id_=str(i), text="", embedding=vector.tolist()) for i, vector in zip(ids, vectors, strict=True)
        ]
        with self._translator.translated():
            self._store.add(nodes)

    def delete(self, ids: Sequence[int]) -> None:
        with self._translator.translated():
            self._store.delete_nodes([str(i) for i in ids])

    def search(self, vector: FloatArray, k: int) -> list[int]:
        from llama_index.core.vector_stores.types import VectorStoreQuery

        with self._translator.translated():
            asked = VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=k)
            found = self._store.query(asked, **self._asking(k))
        return [int(i) for i in found.ids or ()]

    def holds(self, ids: Sequence[int]) -> set[int]:
        with self._translator.translated():
            return {int(node.node_id) for node in self._store.get_nodes([str(i) for i in ids])}

    def settle(self, added: int) -> None:
        if time.monotonic() < self._settles_from:  # with each write it would fail again, and may take long each time
            return
        try:
            with self._translator.translated():
                self._settle(added)
        except RagError as error:
            self._settles_from = time.monotonic() + _UNSETTLED_S
            logger.warning("searches are slower than they could be, as vectors were sent but not indexed: %s", error)

    def drop(self) -> None:
        with self._translator.translated():
            self._drop()

    def close(self) -> None:
        with suppress(Exception):  # also of a server that is gone: nobody needs it any more
            self._close()


def check_packages(extra: str, *modules: str) -> None:
    """Raise StoreUnavailable, with the cure, where one of these cannot be imported; nothing is."""
    for module in modules:
        try:
            found = find_spec(module)
        except ModuleNotFoundError:  # of the package that it would be in
            found = None
        if found is None:
            raise _missing(extra, module)


def class_of(extra: str, module: str, name: str) -> Any:
    """A class of llama-index's. Raises StoreUnavailable where something that it needs is missing."""
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise _missing(extra, str(error.name)) from None


def _missing(extra: str, module: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"this store needs a package that is not installed ({module}); pip install 'rag-quoted[{extra}]'"
    )
