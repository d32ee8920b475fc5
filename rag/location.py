"""Where an index lies, by URL: which catalogue, and which index of vectors over it."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .catalogue import Catalogue, VectorIndex
from .errors import SettingsError, StoreUnavailable
from .settings import FAISS, Settings, shown_address
from .sqlite import SqliteCatalogue
from .vectors import Vectors

if TYPE_CHECKING:
    from .milvus import Milvus
    from .pgvector import Pgvector

_POSTGRES = ("postgresql://", "postgres://", "postgresql+psycopg2://", "postgres+psycopg2://")  # as SQLAlchemy has it
_OTHER_DRIVER = re.compile(r"postgres(?:ql)?\+(\w+)://")
_MILVUS = ("milvus:", "milvus+https://")


class Location(NamedTuple):
    """Of an index: its folder on this machine, the URL of its vectors, and that of its catalogue.

    `vectors` is 'faiss', postgresql://… or milvus://…; `catalogue` postgresql://…, or "" for what goes with the
    vectors: the same database, or SQLite in the folder.
    """

    index_dir: Path
    vectors: str = FAISS
    catalogue: str = ""

    def __repr__(self) -> str:
        return f"Location({str(self.index_dir)!r}, {shown_address(self.vectors)!r}, {shown_address(self.catalogue)!r})"

    @classmethod
    def of(cls, settings: Settings) -> Location:
        """Where the settings say. Raises SettingsError for an address that is none."""
        vectors, catalogue = settings.store, settings.catalogue
        for name, url in (("store", vectors), ("catalogue", catalogue)):
            if (driver := _OTHER_DRIVER.match(url)) and not url.startswith(_POSTGRES):
                raise SettingsError(
                    f"setting '{name}': PostgreSQL is asked through psycopg2, not {driver[1]}; write postgresql://… "
                    f"(RAG_{name.upper()})"
                )
        if catalogue and not catalogue.startswith(_POSTGRES):
            raise SettingsError(
                "setting 'catalogue' must begin with postgresql://, or be left out; correct it (RAG_CATALOGUE)"
            )
        if vectors == FAISS and catalogue:
            raise SettingsError(
                "setting 'catalogue': FAISS keeps its vectors beside SQLite in index_dir, which cannot be shared; "
                "set store (RAG_STORE) to postgresql://… or milvus://…, too"
            )
        if vectors != FAISS and not vectors.startswith((*_POSTGRES, *_MILVUS)):
            raise SettingsError(
                "setting 'store' must be faiss, or begin with postgresql:// or milvus:; correct it (RAG_STORE)"
            )
        return cls(settings.index_dir, vectors, catalogue)

    @property
    def is_shared(self) -> bool:
        """Whether other machines may read and write it, too."""
        return self.database != ""

    @property
    def database(self) -> str:
        """The URL of the catalogue's database; "" for SQLite."""
        return self.catalogue or (self.vectors if self.vectors.startswith(_POSTGRES) else "")

    @property
    def catalogue_key(self) -> str:
        """The same for locations that have one catalogue."""
        return self.database or str(self.index_dir.resolve())

    @property
    def name(self) -> str:
        """Where it is, for messages, without what is secret."""
        with closing(self.open_catalogue()) as catalogue:
            name = catalogue.name
        return (
            name if self.vectors in (FAISS, self.database) else f"{name} with vectors in {shown_address(self.vectors)}"
        )

    def root_of(self, path: Path) -> str:
        """What a folder or file is called in the index: "./…", from the folder around it, so that both may move.

        Where that cannot be, and in an index that other machines share, by its whole path: each has a "./documents".
        """
        resolved, base = path.resolve(), self.index_dir.resolve().parent
        if self.is_shared or not resolved.is_relative_to(base):
            return resolved.as_posix()
        return "/".join((".", *resolved.relative_to(base).parts))

    def root_there(self, root: str, there: Location) -> str:
        """What is called `root` here, as the index at `there` calls it."""
        folder = self if there.is_shared else there
        base = folder.index_dir.resolve().parent.as_posix().rstrip("/")
        if self.is_shared == there.is_shared:
            return root
        if there.is_shared:
            return f"{base}{root[1:]}" if root == "." or root.startswith("./") else root
        return f".{root.removeprefix(base)}" if root == base or root.startswith(f"{base}/") else root

    def open_catalogue(self) -> Catalogue:
        """The catalogue, which may not have been made yet."""
        if not self.database:
            return SqliteCatalogue(self.index_dir)
        _check_driver()
        from .postgres import PostgresCatalogue

        return PostgresCatalogue(self.database)

    def open_vectors(self) -> VectorIndex:
        """The index of vectors."""
        if self.vectors == FAISS:
            return Vectors(self.index_dir.absolute())
        from .remote import RemoteIndex

        return RemoteIndex(self._server())

    def check(self) -> None:
        """Raise RagError where no vectors can be kept."""
        if self.vectors != FAISS:
            with closing(self._server()) as server:
                server.check()

    def _server(self) -> Milvus | Pgvector:
        if self.vectors.startswith(_MILVUS):
            from .milvus import Milvus

            return Milvus(self.vectors)
        _check_driver()
        from .pgvector import Pgvector

        return Pgvector(self.vectors)


def _check_driver() -> None:
    try:
        import psycopg2  # noqa: F401 - SQLAlchemy itself comes with llama-index
    except ImportError as error:
        raise StoreUnavailable(
            f"PostgreSQL needs a package that is not installed ({error.name}); pip install 'rag-quoted[postgres]'"
        ) from None
