"""What is in `index.db`: its tables, and the row that says which state they are in."""

from __future__ import annotations

import secrets
import sqlite3

from .errors import IndexDamaged
from .stored import State, are

SCHEMA_VERSION = 4
OPENED_FILE = "opened_file"  # a function that each connection has
TOKENIZE = "porter unicode61 remove_diacritics 2"  # how FTS5 makes lexemes of a text
APPLICATION_ID = 0x52414751  # "RAGQ": tells our file from another program's SQLite file

# An index with other tables, to the character, is refused: what changes here needs another SCHEMA_VERSION.
SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};

CREATE TABLE state (              -- one row
    one INTEGER PRIMARY KEY CHECK (one = 1),
    identity TEXT NOT NULL,       -- of this index; another one in the same folder has another
    fingerprint TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    generation INTEGER NOT NULL,  -- +1 with every write
    snapshot TEXT NOT NULL,       -- the FAISS file: name, sha256, what it holds; '' if there is none
    snapshot_sha256 TEXT NOT NULL,
    snapshot_generation INTEGER NOT NULL,
    snapshot_count INTEGER NOT NULL,
    snapshot_highest INTEGER NOT NULL
);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE document (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    root TEXT NOT NULL,
    source TEXT NOT NULL,
    title TEXT NOT NULL,
    media_type TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    pages TEXT NOT NULL,          -- JSON
    text TEXT NOT NULL,
    UNIQUE (root, source)
);
CREATE INDEX document_source ON document (source);
CREATE INDEX document_title ON document (title COLLATE NOCASE);
CREATE TABLE passage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- No cascade: the trigger below needs the document's title, so passages go first. SQLite refuses the other order.
    document_id INTEGER NOT NULL REFERENCES document (id),
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    page INTEGER,
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    vector BLOB NOT NULL          -- float16, little-endian
);
CREATE INDEX passage_document ON passage (document_id);
CREATE TABLE tombstone (id INTEGER PRIMARY KEY);  -- passages deleted since the snapshot
-- how many passages hold a word (folded, unstemmed), and how many hold it in lower case
CREATE TABLE word (
    word TEXT PRIMARY KEY,
    passages INTEGER NOT NULL,
    lower INTEGER NOT NULL,
    sound TEXT NOT NULL           -- as by `terms.sound`
) WITHOUT ROWID;
CREATE INDEX word_name ON word (sound) WHERE sound <> '' AND lower = 0;

CREATE VIEW passage_text AS
    SELECT passage.id, document.title, passage.heading, passage.text
    FROM passage JOIN document ON document.id = passage.document_id;
CREATE VIRTUAL TABLE words USING fts5 (
    title, heading, text,
    content = 'passage_text', content_rowid = 'id', tokenize = '{TOKENIZE}'
);
CREATE TRIGGER passage_added AFTER INSERT ON passage BEGIN
    INSERT INTO words (rowid, title, heading, text) SELECT * FROM passage_text WHERE id = new.id;
END;
CREATE TRIGGER passage_removed BEFORE DELETE ON passage BEGIN
    INSERT INTO words (words, rowid, title, heading, text) SELECT 'delete', * FROM passage_text WHERE id = old.id;
    INSERT INTO tombstone VALUES (old.id);
END;
"""


# One JSON parameter instead of one parameter per value: SQLite limits their number.
PASSAGES_OF_SOURCES = """
    SELECT passage.id FROM document JOIN passage ON passage.document_id = document.id
    WHERE document.source IN (SELECT value FROM json_each(?))
"""


_STATE = (str, str, int, int, str, str, int, int, int, str)  # types of its fields


def create_tables(connection: sqlite3.Connection) -> None:
    """Make what `SCHEMA` says in an empty file."""
    connection.executescript(SCHEMA)


def create_index(connection: sqlite3.Connection, fingerprint: str, dimension: int) -> None:
    """Make an empty index of an empty file."""
    create_tables(connection)
    row = (secrets.token_hex(8), fingerprint, dimension)
    connection.execute("INSERT INTO state VALUES (1, ?, ?, ?, 0, '', '', 0, 0, 0)", row)


def read_state(connection: sqlite3.Connection) -> State:
    """The state that this connection's transaction sees."""
    row = connection.execute(f"SELECT {', '.join(State._fields[:-1])}, {OPENED_FILE}() FROM state").fetchone()
    if row is None or not are(row, _STATE):
        raise IndexDamaged("the index has lost its state; restore it from a copy, or delete it and ingest again")
    return State(*row)


def count_write(connection: sqlite3.Connection) -> None:
    """Tell every reader that the index is another one now."""
    connection.execute("UPDATE state SET generation = generation + 1")
