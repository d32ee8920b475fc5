"""Our values as rows of `index.db`, and back. All of it runs inside the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from itertools import count, groupby, repeat
from operator import itemgetter

from .errors import DocumentsNotFound, DocumentUnreadable, IndexDamaged
from .fulltext import WordCounts
from .schema import PASSAGES_OF_SOURCES
from .stored import (
    FIBONACCI,
    HASHES,
    SAMPLE,
    Centre,
    FloatArray,
    TakenOut,
    centre_of,
    from_blobs,
    to_blob,
    to_document,
)
from .types import UPLOADS_ROOT, Chunk, Document, Listed

# Columns in the order of `to_passage` and, with `text` behind them, of `to_document`.
PASSAGE = f"""
    SELECT passage.id, document_id, source, title, start, stop, passage.text, page, heading, root = '{UPLOADS_ROOT}'
    FROM passage JOIN document ON document.id = document_id
"""
DOCUMENT = "id, root, source, title, media_type, sha256, pages"
# The keys in `meta` under which it stands when a document was stored, and how long its text is: for that alone, SQLite
# would read all texts.
_CHANGED, _CHARACTERS = "'changed ' || document.id", "'characters ' || document.id"


def is_of_document(key: str) -> bool:
    """Whether a key in `meta` is one of those two."""
    return key.startswith(("changed ", "characters "))


def chunks_of(connection: sqlite3.Connection, document_id: int) -> list[Chunk]:
    """How a document is cut."""
    rows = connection.execute(
        "SELECT start, stop, page, heading FROM passage WHERE document_id = ? ORDER BY id", (document_id,)
    )
    return [Chunk(*row) for row in rows]


def verify_quotable(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """IndexDamaged when the text of one of these passages does not stand where it says in its document."""
    rows = connection.execute(
        """
        SELECT document_id, id, start, stop, text FROM passage
        WHERE id IN (SELECT value FROM json_each(?)) ORDER BY document_id
        """,
        (json.dumps(list(ids)),),
    ).fetchall()
    for document_id, passages in groupby(rows, key=itemgetter(0)):  # a text is read once, and compared here:
        of = "SELECT source, text FROM document WHERE id = ?"  # SQLite's substr ends at a NUL
        source, whole = connection.execute(of, (document_id,)).fetchone() or ("", "")
        for _, passage_id, start, stop, text in passages:
            if not isinstance(whole, str) or whole[start:stop] != text:
                raise IndexDamaged(
                    f"passage {passage_id} of '{source}' is not what its document says; run 'rag rebuild'"
                )


def put_document(
    connection: sqlite3.Connection,
    words: WordCounts,
    document: Document,
    chunks: Sequence[Chunk],
    vectors: FloatArray,
    *,
    document_id: int | None = None,
    changed: str = "",
    first: int | None = None,
) -> int:
    """Add a document with its passages, or replace the one with its (root, source), which keeps its id.

    A new one gets `document_id`, or the next that was never used, and so do its passages, from `first` on; `changed` is
    a time (ISO), now if empty.
    """
    key = (document.root, document.source)
    old = connection.execute("SELECT id FROM document WHERE root = ? AND source = ?", key).fetchone()
    if old is not None:  # first, as the full-text index takes the old passages out under the old title
        delete_passages(connection, words, old[0])
    row = connection.execute(
        """
        INSERT INTO document (id, root, source, title, media_type, sha256, pages, text)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (root, source) DO UPDATE SET title = excluded.title, media_type = excluded.media_type,
            sha256 = excluded.sha256, pages = excluded.pages, text = excluded.text
        RETURNING id
        """,
        (
            document_id,
            *key,
            document.title,
            document.media_type,
            document.sha256,
            json.dumps(document.pages),
            document.text,
        ),
    )
    stored_id = int(row.fetchone()[0])
    put_passages(connection, words, stored_id, document, chunks, vectors, first)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for key_of, value in ((_CHANGED, changed or now), (_CHARACTERS, str(len(document.text)))):
        connection.execute(
            f"INSERT OR REPLACE INTO meta SELECT {key_of}, ? FROM document WHERE id = ?", (value, stored_id)
        )
    return stored_id


def whole_document(connection: sqlite3.Connection, document_id: int, dimension: int) -> TakenOut:
    """A document with all that `put_back_document` needs; DocumentsNotFound when it is gone."""
    document = get_document(connection, document_id)
    rows = connection.execute(
        "SELECT start, stop, page, heading, vector FROM passage WHERE document_id = ? ORDER BY id", (document.id,)
    ).fetchall()
    vectors = from_blobs([row[-1] for row in rows], dimension)
    changed = connection.execute(
        f"SELECT value FROM document JOIN meta ON key = {_CHANGED} WHERE document.id = ?", (document.id,)
    ).fetchone()
    return TakenOut(document, tuple(Chunk(*row[:-1]) for row in rows), vectors, changed[0] if changed else "")


def put_back_document(connection: sqlite3.Connection, words: WordCounts, taken: TakenOut) -> None:
    """Add the document again as it was, with its id; its passages get new ones.

    DocumentUnreadable when another has its name by now.
    """
    document = taken.document
    key = (document.root, document.source)
    if connection.execute("SELECT 1 FROM document WHERE root = ? AND source = ?", key).fetchone():
        raise DocumentUnreadable(
            f"{document.source} was added again meanwhile; remove that one first to have the older one back"
        )
    put_document(
        connection, words, document, taken.chunks, taken.vectors, document_id=document.id, changed=taken.changed
    )


def list_documents(connection: sqlite3.Connection) -> list[Listed]:
    """All documents with their sizes, the last stored first."""
    rows = connection.execute(
        f"""
        SELECT {DOCUMENT}, '',
            coalesce((SELECT value FROM meta WHERE key = {_CHARACTERS}), length(document.text)),  -- of an older index
            (SELECT count(*) FROM passage WHERE document_id = document.id),
            (SELECT value FROM meta WHERE key = {_CHANGED}) AS changed
        FROM document ORDER BY changed DESC, source, root
        """
    )
    return [
        Listed(to_document(*row), int(characters) if str(characters).isdecimal() else 0, passages, str(changed or ""))
        for *row, characters, passages, changed in rows
    ]


def put_passages(
    connection: sqlite3.Connection,
    words: WordCounts,
    document_id: int,
    document: Document,
    chunks: Sequence[Chunk],
    vectors: FloatArray,
    first: int | None = None,
) -> None:
    """Add passages. Their text is cut from the document here, so it cannot be another."""
    ids = repeat(None) if first is None else count(first)
    connection.executemany(
        "INSERT INTO passage (id, document_id, start, stop, page, heading, text, vector) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (i, document_id, c.start, c.end, c.page, c.heading, document.text[c.start : c.end], to_blob(vector))
            for i, (c, vector) in zip(ids, zip(chunks, vectors, strict=True), strict=False)
        ),
    )
    words.add(connection, document_id, 1)


def delete_passages(connection: sqlite3.Connection, words: WordCounts, document_id: int) -> None:
    """Delete the passages of a document; the triggers take them out of the full-text index."""
    words.add(connection, document_id, -1)
    connection.execute("DELETE FROM passage WHERE document_id = ?", (document_id,))


def delete_documents(connection: sqlite3.Connection, words: WordCounts, document_ids: Iterable[int]) -> None:
    """Delete documents with their passages; ids that are gone are passed over."""
    for document_id in document_ids:
        delete_passages(connection, words, document_id)
        connection.execute("DELETE FROM meta WHERE key IN ('changed ' || ?1, 'characters ' || ?1)", (document_id,))
        connection.execute("DELETE FROM document WHERE id = ?", (document_id,))


def rename_document(connection: sqlite3.Connection, words: WordCounts, document_id: int, document: Document) -> None:
    """Another root, source and title for a document. Its passages are found under the new title, too."""
    ours = "SELECT {} passage_text.* FROM passage_text JOIN passage USING (id) WHERE document_id = ?"
    taken_out = "INSERT INTO words (words, rowid, title, heading, text) " + ours.format("'delete',")
    put_in = "INSERT INTO words (rowid, title, heading, text) " + ours.format("")
    words.add(connection, document_id, -1)
    connection.execute(taken_out, (document_id,))
    connection.execute(
        "UPDATE document SET root = ?, source = ?, title = ? WHERE id = ?",
        (document.root, document.source, document.title, document_id),
    )
    connection.execute(put_in, (document_id,))
    words.add(connection, document_id, 1)


def passages_of_titled(
    connection: sqlite3.Connection,
    titles: Sequence[str],
    most: int,
    documents: Collection[str],
    exclude: Collection[str],
) -> list[int]:
    """At most `most` ids of passages of documents with one of these titles, whatever its case; see `Store.titled`."""
    chosen = "AND source IN (SELECT value FROM json_each(?4))" if documents else ""
    filters = [exclude, documents] if documents else [exclude]
    rows = connection.execute(
        f"""
        SELECT passage.id FROM (
            SELECT document.id FROM json_each(?1) JOIN document ON title = value COLLATE NOCASE
            UNION
            SELECT document.id FROM json_each(?1) JOIN document
            ON title > value || ' (' COLLATE NOCASE AND title < value || ' )' COLLATE NOCASE
        ) AS named JOIN document USING (id) JOIN passage ON document_id = document.id
        WHERE source NOT IN (SELECT value FROM json_each(?3)) {chosen} ORDER BY passage.id LIMIT ?2
        """,
        (json.dumps(list(titles)), most, *(json.dumps(list(sources)) for sources in filters)),
    )
    return [i for (i,) in rows]


def centre(connection: sqlite3.Connection, dimension: int, documents: Collection[str]) -> Centre:
    """The centre of some `SAMPLE` vectors spread over all passages, or over those of some sources; of few, all."""
    where, values = (f"id IN ({PASSAGES_OF_SOURCES})", (json.dumps(list(documents)),)) if documents else ("1", ())
    (count,) = connection.execute(f"SELECT count(*) FROM passage WHERE {where}", values).fetchone()
    # By Fibonacci hashing (Knuth, TAOCP 6.4) of ids: it spreads them evenly, and no vector is looked at to choose.
    share = HASHES if count <= SAMPLE else HASHES * SAMPLE // count
    chosen = f"SELECT id FROM passage WHERE {where} AND id * {FIBONACCI} % {HASHES} < ?"
    rows = connection.execute(f"SELECT vector FROM passage WHERE id IN ({chosen})", (*values, share))
    return centre_of(from_blobs([blob for (blob,) in rows], dimension))


def get_document(connection: sqlite3.Connection, document_id: int) -> Document:
    """One document, whole."""
    # As a string: the column turns it into a number, and one with thirty digits is no error.
    row = connection.execute(f"SELECT {DOCUMENT}, text FROM document WHERE id = ?", (str(document_id),)).fetchone()
    if row is None:
        raise DocumentsNotFound(f"document {document_id} is no longer in the index; run 'rag documents' to see what is")
    return to_document(*row)
