"""Whether what an index holds agrees with itself: for `rag doctor`, and after a fault."""

from __future__ import annotations

import sqlite3

import numpy as np

from .errors import IndexDamaged
from .stored import from_blobs

_REBUILD = "run 'rag rebuild'"


def verify(connection: sqlite3.Connection, dimension: int) -> None:
    """Read everything once. Raises IndexDamaged, with the cure, at the first thing that does not agree.

    The file itself, the passages with the text of their documents, the vectors, the keyword index.
    """
    finding = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if finding != "ok":
        finding = " ".join(finding.split())
        raise IndexDamaged(f"index.db is damaged ({finding}); restore it from a copy, or delete it and ingest again")
    documents = connection.execute("SELECT id, source, text FROM document ORDER BY id")
    for document_id, source, text in documents:
        _verify_passages(connection, document_id, source, text, dimension)
    (passages,) = connection.execute("SELECT count(*) FROM passage").fetchone()
    (indexed,) = connection.execute("SELECT count(*) FROM words_docsize").fetchone()
    (orphans,) = connection.execute(
        "SELECT count(*) FROM passage WHERE document_id NOT IN (SELECT id FROM document)"
    ).fetchone()
    if orphans:
        raise IndexDamaged(f"{orphans} passages belong to no document; {_REBUILD}")
    if indexed != passages:
        raise IndexDamaged(f"the keyword index holds {indexed} of {passages} passages; {_REBUILD}")


def _verify_passages(connection: sqlite3.Connection, document_id: int, source: str, text: str, dimension: int) -> None:
    rows = connection.execute("SELECT id, start, stop, text, vector FROM passage WHERE document_id = ?", (document_id,))
    for passage_id, start, stop, passage, blob in rows:
        if text[start:stop] != passage:
            raise IndexDamaged(f"passage {passage_id} of '{source}' is not what its document says; {_REBUILD}")
        if not np.linalg.norm(from_blobs([blob], dimension)) < 1.01:  # not-a-number fails this, too
            raise IndexDamaged(f"passage {passage_id} of '{source}' has a damaged vector; {_REBUILD}")
