"""What somebody who knows the program may do to an index folder before handing it over: name → what is done to it."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import sqlite3
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

Craft = Callable[[Path, Path], object]  # the index folder, and one outside that must stay as it is
GIANT = 2**63 - 1
SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")
LIE = "Ottokar"  # takes the place of a name that the documents have
ANYTHING = random.Random(0)
ENDLESS = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT {} FROM c"


def sql(*statements: str, checked: bool = True) -> Craft:
    """Statements; `checked` False lets them break what the tables demand."""

    def craft(index: Path, outside: Path) -> None:
        connection = sqlite3.connect(index / "index.db", isolation_level=None)
        connection.create_function("load_extension", 1, lambda path: path)
        connection.execute("PRAGMA foreign_keys = OFF")
        if not checked:
            connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            connection.execute(statement.replace("OUTSIDE", str(outside)))
        connection.close()

    return craft


def rewritten(table: str, old: str, new: str, *then: str, back: bool = False) -> Craft:
    """Another text in the schema; `back`: it is put right again after the statements of `then`."""

    def craft(index: Path, outside: Path) -> None:
        change = "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = ?"
        for old_text, new_text, statements in [(old, new, then), *([(new, old, ())] if back else [])]:
            connection = sqlite3.connect(index / "index.db", isolation_level=None)
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(change, (old_text, new_text.replace("OUTSIDE", str(outside)), table))
            (version,) = connection.execute("PRAGMA schema_version").fetchone()
            connection.execute(f"PRAGMA schema_version = {version + 1}")
            connection.close()
            sql(*statements)(index, outside)

    return craft


def vectors(value: float, size: int = 384, of: str = "TRUE") -> Craft:
    """All stored vectors filled with one number."""
    blob = np.full(size, value, "<f2").tobytes().hex()
    return _and(sql(f"UPDATE passage SET vector = x'{blob}' WHERE {of}"), without_vector_file)


def without_vector_file(index: Path, outside: Path) -> None:
    for file in index.glob("vectors-*"):
        file.unlink()


def fitted(index: Path, outside: Path, data: bytes | None = None) -> None:
    """The state says the hash of the vector file that is there, or of `data`, which is put there."""
    for file in index.glob("vectors-*"):
        if data is not None:
            file.write_bytes(data)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        sql(f"UPDATE state SET snapshot_sha256 = '{digest}'")(index, outside)


def snapshot_is(name: str) -> Craft:
    """The state names another file as that of the vectors, with its right hash where it has one."""

    def craft(index: Path, outside: Path) -> None:
        path = index / name.replace("OUTSIDE", str(outside))
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "0" * 64
        sql(f"UPDATE state SET snapshot = '{name}', snapshot_sha256 = '{digest}'")(index, outside)

    return craft


def link(name: str, target: str) -> Craft:
    def craft(index: Path, outside: Path) -> None:
        _gone(index / name)
        (index / name).parent.mkdir(exist_ok=True)
        (index / name).symlink_to(target.replace("OUTSIDE", str(outside)))

    return craft


def hard_link(name: str) -> Craft:
    def craft(index: Path, outside: Path) -> None:
        _gone(index / name)
        (index / name).parent.mkdir(exist_ok=True)
        (index / name).hardlink_to(outside / "secret.txt")

    return craft


def fifo(name: str) -> Craft:
    def craft(index: Path, outside: Path) -> None:
        _gone(index / name)
        (index / name).parent.mkdir(exist_ok=True)
        os.mkfifo(index / name)

    return craft


def folder(name: str) -> Craft:
    def craft(index: Path, outside: Path) -> None:
        _gone(index / name)
        (index / name / "in it").mkdir(parents=True)

    return craft


def socket_at(name: str) -> Craft:
    def craft(index: Path, outside: Path) -> None:
        _gone(index / name)
        here = Path.cwd()
        os.chdir(index)  # the path of a socket has 107 characters at most
        try:
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(name)
        finally:
            os.chdir(here)

    return craft


def file(name: str, content: bytes) -> Craft:
    def craft(index: Path, outside: Path) -> None:
        (index / name).parent.mkdir(exist_ok=True)
        (index / name).write_bytes(content.replace(b"OUTSIDE", str(outside).encode()))

    return craft


def sparse(name: str, size: int) -> Craft:
    def craft(index: Path, outside: Path) -> None:
        with (index / name.replace("SNAPSHOT", _snapshot(index).name)).open("r+b") as opened:
            opened.truncate(size)

    return craft


def patched(offset: int, content: bytes) -> Craft:
    """Other bytes in the header of index.db."""

    def craft(index: Path, outside: Path) -> None:
        with (index / "index.db").open("r+b") as opened:
            opened.seek(offset)
            opened.write(content)

    return craft


def vector_header(offset: int, form: str, value: int) -> Craft:
    """A number in the vector file, and the hash that fits."""

    def craft(index: Path, outside: Path) -> None:
        data = bytearray(_snapshot(index).read_bytes())
        struct.pack_into(form, data, offset, value)
        fitted(index, outside, bytes(data))

    return craft


def giant_record(index: Path, outside: Path) -> None:
    """A record that says it is two gigabytes long: a leaf of one long text, its length written anew."""
    sql(
        "INSERT INTO document (root, source, title, media_type, sha256, pages, text) "
        "VALUES ('r', 'giant', 't', 'text/plain', 'x', '[]', 'giant ' || hex(zeroblob(200000)))"
    )(index, outside)
    data = bytearray((index / "index.db").read_bytes())
    (size,) = struct.unpack_from(">H", data, 16)
    giant = _varint(2**31 - 100)
    for page in range(size, len(data), size):
        count = struct.unpack_from(">H", data, page + 3)[0]
        for cell in range(count if data[page] == 13 else 0):
            (at,) = struct.unpack_from(">H", data, page + 8 + 2 * cell)
            if b"giant" in data[page + at : page + at + 200]:
                length = next(i for i in range(9) if not data[page + at + i] & 0x80) + 1
                start = page + at - (len(giant) - length)
                data[start : page + at + length] = giant
                struct.pack_into(">H", data, page + 8 + 2 * cell, start - page)
                (index / "index.db").write_bytes(data)
                return
    raise AssertionError("no leaf holds the text")


def journal_that_names_another(index: Path, outside: Path) -> None:
    """A journal that SQLite would play back, and then delete the file that it says belongs to it."""
    database = index / "index.db"
    (size,) = struct.unpack_from(">H", database.read_bytes(), 16)
    name = str(outside / "letters.txt").encode()
    pages = database.stat().st_size // size
    head = bytes.fromhex("d9d505f920a163d7") + struct.pack(">IIIII", 0, 0, pages, 512, size)
    tail = struct.pack(">I", 1) + name + struct.pack(">II", len(name), sum(name)) + SUPER_JOURNAL
    (index / "index.db-journal").write_bytes(head.ljust(512, b"\0") + tail)


def sized(name: str, text: str) -> Craft:
    """A value in `meta`."""
    return sql(f"INSERT OR REPLACE INTO meta VALUES ({name}, {text})")


def lie(index: Path, outside: Path) -> None:
    """Another name in the documents' texts and in their passages alike; the hashes still say that all is as it was."""
    sql(
        f"UPDATE passage SET text = replace(text, 'Edda', '{LIE}'), stop = stop + 3 * (text LIKE '%Edda%')",
        f"UPDATE document SET text = replace(text, 'Edda', '{LIE}')",
        "UPDATE passage SET text = (SELECT substr(document.text, start + 1, stop - start) FROM document "
        "WHERE document.id = document_id)",
        "INSERT INTO words (words) VALUES ('rebuild')",
    )(index, outside)


def _and(*crafts: Craft) -> Craft:
    def craft(index: Path, outside: Path) -> None:
        for each in crafts:
            each(index, outside)

    return craft


def _gone(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            _gone(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _snapshot(index: Path) -> Path:
    (path,) = index.glob("vectors-*.faiss")
    return path


def _varint(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def document(**columns: str) -> Craft:
    """A document more."""
    fields = {"root": "'r'", "source": "'s'", "title": "'t'", "media_type": "'text/plain'", "sha256": "'x'"}
    fields |= {"pages": "'[]'", "text": "'The heron of the pond is called Ottokar.'", **columns}
    return sql(f"INSERT INTO document ({', '.join(fields)}) VALUES ({', '.join(fields.values())})")


TRIGGER = "CREATE TRIGGER planted AFTER {} BEGIN {}; END"
SET_PASSAGE = "UPDATE passage SET {}"
LOOSE = partial(rewritten, "passage", " NOT NULL", "", back=True)
LOOSE_DOCUMENT = partial(rewritten, "document", " NOT NULL", "", back=True)
LOOSE_WORD = partial(rewritten, "word", " NOT NULL", "", back=True)
AS_VIEW = "CREATE VIEW {0} AS SELECT * FROM old"

CRAFTED: dict[str, Craft] = {
    # what runs when a table is used
    "a trigger that loads an extension": sql(
        TRIGGER.format("UPDATE ON state", "SELECT load_extension('OUTSIDE/planted.so')")
    ),
    "a trigger that writes a file": rewritten(
        "passage_added", "INSERT INTO words", "SELECT writefile('OUTSIDE/x', 'x'); INSERT INTO words"
    ),
    "a trigger that never ends": sql(
        TRIGGER.format("INSERT ON meta", f"INSERT INTO tombstone {ENDLESS.format('n + 1000000')}")
    ),
    "a trigger that lies": sql(
        TRIGGER.format("UPDATE ON state", "UPDATE passage SET text = 'The heron is called Ottokar.'")
    ),
    "a view that never ends": sql(
        "ALTER TABLE state RENAME TO old",
        "CREATE VIEW state AS "
        + ENDLESS.format("'i' identity, 'f' fingerprint, 384 dimension, n generation, '' snapshot"),
    ),
    "a view as a table": sql("ALTER TABLE word RENAME TO old", AS_VIEW.format("word")),
    "a view more": sql("CREATE VIEW more AS SELECT load_extension('OUTSIDE/planted.so')"),
    "a table more": sql("CREATE TABLE more (value)"),
    "an index with a function": sql("CREATE INDEX more ON document (abs(id))"),
    "a generated column": sql("ALTER TABLE document ADD COLUMN more GENERATED ALWAYS AS (hex(text)) VIRTUAL"),
    "a generated column that loads": rewritten(
        "document", "UNIQUE (root, source)", "more AS (load_extension('OUTSIDE/planted.so')), UNIQUE (root, source)"
    ),
    "a default that is a function": rewritten("meta", "value TEXT", "value TEXT DEFAULT (load_extension('OUTSIDE/x'))"),
    "words are a table": sql("DROP TABLE words", "CREATE TABLE words (title, heading, text)"),
    "words are a view": sql("DROP TABLE words", "CREATE VIEW words AS SELECT title, heading, text FROM passage_text"),
    "words are of another module": sql("DROP TABLE words", "CREATE VIRTUAL TABLE words USING fts4 (title, heading)"),
    "words are of no module": rewritten("words", "fts5", "planted"),
    "words with another tokenizer": rewritten("words", "porter unicode61", "trigram"),
    "words are those of another table": rewritten("words", "'passage_text'", "'sqlite_master'"),
    "passages are another view": rewritten("passage_text", "passage.text", "'Ottokar' AS text"),
    "the schema is no SQL": rewritten("meta", "CREATE TABLE", "CREATE ELBAT"),
    "the schema names itself": rewritten("meta", "meta", "sqlite_master"),
    "no table": sql("DROP TABLE tombstone"),
    "no trigger": sql("DROP TRIGGER passage_removed"),
    # states
    "another fingerprint": sql("UPDATE state SET fingerprint = 'another'"),
    "another dimension": sql("UPDATE state SET dimension = 383"),
    "a giant dimension": sql(f"UPDATE state SET dimension = {2**31}"),
    "a dimension of text": sql("UPDATE state SET dimension = 'wide'"),
    "two states": sql(
        "INSERT INTO state SELECT 2, identity, 'x', 1, 1, snapshot, '', 0, 0, 0 FROM state", checked=False
    ),
    "no state": sql("DELETE FROM state"),
    "the last generation": sql(f"UPDATE state SET generation = {GIANT}"),
    "a generation of text": sql("UPDATE state SET generation = 'last'"),
    "a generation before the first": sql(f"UPDATE state SET generation = -{GIANT}"),
    "a giant highest": sql(f"UPDATE state SET snapshot_highest = {GIANT}, snapshot_count = {GIANT}"),
    "a negative highest": sql("UPDATE state SET snapshot_highest = -5, snapshot_count = -5"),
    "a state of blobs": sql("UPDATE state SET identity = x'00ff', snapshot = x'00ff'"),
    "the snapshot is outside": snapshot_is("../outside/secret.txt"),
    "the snapshot is an absolute path": snapshot_is("OUTSIDE/secret.txt"),
    "the snapshot never ends": snapshot_is("/dev/zero"),
    "the snapshot is the folder": snapshot_is("."),
    "the snapshot has a NUL": sql("UPDATE state SET snapshot = 'vectors-1' || char(0) || '.faiss'"),
    "another format": sql("PRAGMA user_version = 2"),
    "another program's": sql("PRAGMA application_id = 1"),
    "a journal instead of a log": sql("PRAGMA journal_mode = DELETE"),
    # passages
    "a span that begins before the text": sql(SET_PASSAGE.format("start = -1")),
    "a span that ends after the text": sql(SET_PASSAGE.format("stop = stop + 1000")),
    "a span without end": sql(SET_PASSAGE.format(f"stop = {GIANT}")),
    "a span backwards": sql(SET_PASSAGE.format("start = stop, stop = start")),
    "spans of other passages": sql(SET_PASSAGE.format("start = start + 1, stop = stop + 1")),
    "a span of text": sql(SET_PASSAGE.format("start = 'first'")),
    "a span of fractions": sql(SET_PASSAGE.format("start = 0.5")),
    "spans of nothing": LOOSE(SET_PASSAGE.format("start = NULL, stop = NULL")),
    "text of nothing": LOOSE(SET_PASSAGE.format("text = NULL, heading = NULL")),
    "text of bytes": sql(SET_PASSAGE.format("text = x'ff00ff'")),
    "text that is no UTF-8": sql(SET_PASSAGE.format("text = CAST(x'ff41ff' AS TEXT)")),
    "other text": sql(SET_PASSAGE.format("text = 'The heron of the pond is called Ottokar.'")),
    "a page of text": sql(SET_PASSAGE.format("page = 'three', heading = x'00'")),
    "passages of one document": sql(SET_PASSAGE.format("document_id = 1")),
    "passages of no document": sql(SET_PASSAGE.format("document_id = 99999")),
    "the highest id": sql(f"UPDATE passage SET id = {GIANT} WHERE id = 1"),
    "negative ids": sql("UPDATE passage SET id = -id"),
    # vectors
    "vectors of not-a-number": vectors(float("nan")),
    "infinite vectors": vectors(float("inf")),
    "vectors too small to be normal": vectors(6e-8),
    "vectors of zeros": vectors(0.0),
    "long vectors": vectors(60000.0),
    "one vector of not-a-number": vectors(float("nan"), of="id = 3"),
    "short vectors": vectors(0.1, size=383),
    "vectors of nothing": LOOSE(SET_PASSAGE.format("vector = NULL")),
    "vectors of text": sql(SET_PASSAGE.format("vector = 'vector'")),
    "giant vectors": sql("UPDATE passage SET vector = zeroblob(20000000) WHERE id = 1"),
    # documents
    "a page map that is no JSON": sql("UPDATE document SET pages = 'pages'"),
    "a page map that is nested": sql("UPDATE document SET pages = replace(hex(zeroblob(100000)), '0', '[')"),
    "a page map of giants": sql("UPDATE document SET pages = '[1e999, 99999999999999999999]'"),
    "a page map of many digits": sql(
        "UPDATE document SET pages = '[' || replace(hex(zeroblob(5000)), '0', '9') || ']'"
    ),
    "a page map backwards": sql("UPDATE document SET pages = '[30, 2, -5]'"),
    "a page map of names": sql("""UPDATE document SET pages = '{"0": 5}'"""),
    "a page map beyond the text": sql("UPDATE document SET pages = '[0, 99999999]'"),
    "a document of nothing": LOOSE_DOCUMENT("UPDATE document SET text = NULL, title = NULL WHERE id = 1"),
    "a document of bytes": sql("UPDATE document SET text = x'ff00ff' WHERE id = 1"),
    "a title that is no UTF-8": sql("UPDATE document SET title = CAST(x'ff41ff' AS TEXT)"),
    "other documents' texts": sql("UPDATE document SET text = 'The heron of the pond is called Ottokar.'"),
    "the same lie in text and passages": lie,
    "hashes of nothing": LOOSE_DOCUMENT("UPDATE document SET sha256 = NULL"),
    "a document that is elsewhere": document(root="'uploads:'", source="'../../outside/secret.txt'"),
    "a document with an absolute path": document(root="'uploads:'", source="'OUTSIDE/secret.txt'"),
    "a document of an endless name": document(source="hex(zeroblob(2000000))", title="hex(zeroblob(2000000))"),
    "a document with lines in its name": document(source="'a' || char(10) || 'b' || char(8238) || char(27) || '[2J'"),
    "a document with the last id": document(id=str(GIANT)),
    "a document of another root": document(root="'/etc'", source="'passwd'"),
    "a text that says it is two gigabytes": giant_record,
    # what is counted
    "words of other types": sql("UPDATE word SET passages = 'many', lower = x'00'"),
    "words of nothing": LOOSE_WORD("UPDATE word SET passages = NULL, lower = NULL"),
    "giant counts": sql(f"UPDATE word SET passages = {GIANT}, lower = {GIANT}"),
    "words that are no UTF-8": sql("UPDATE OR REPLACE word SET word = CAST(x'ff41ff' AS TEXT)"),
    "no words": sql("INSERT INTO words (words) VALUES ('delete-all')"),
    "an empty keyword index": sql("DELETE FROM words_data"),
    "a keyword index of zeros": sql("UPDATE words_data SET block = zeroblob(length(block))"),
    "a giant block": sql("UPDATE words_data SET block = zeroblob(100000) WHERE id > 10"),
    "a keyword index of another format": sql("UPDATE words_config SET v = 99 WHERE k = 'version'"),
    "no sizes": sql("DELETE FROM words_docsize"),
    "sizes of nothing": sql("UPDATE words_docsize SET sz = x'ffffffffffffffffffff'"),
    "all passages are dead": sql("INSERT INTO tombstone SELECT id FROM passage"),
    "sizes in words": sized("'characters 1'", "'many'"),
    "sizes of bytes": sized("'characters 1'", "x'ff'"),
    "a giant size": sized("'characters 1'", f"'{10**30}'"),
    "a time of bytes": sized("'changed 1'", "x'ff00'"),
    "another folder before": sized("'default_root'", "'OUTSIDE'"),
    "a folder of bytes before": sized("'default_root'", "x'00ff'"),
    # sizes that the file says of itself
    "giant pages": patched(16, b"\x00\x01"),
    "pages of 512 bytes": patched(16, b"\x02\x00"),
    "a page size that is none": patched(16, b"\x7f\x7f"),
    "reserved bytes": patched(20, b"\xff"),
    "giant page count": patched(28, b"\x7f\xff\xff\xff"),
    "giant free list": patched(32, b"\x00\x00\x00\x02\x7f\xff\xff\xff"),
    "another encoding": patched(56, b"\x00\x00\x00\x02"),
    "another schema format": patched(44, b"\x00\x00\x00\x63"),
    "a file of eight gigabytes": sparse("index.db", 8_000_000_000),
    "a vector file of eight gigabytes": sparse("SNAPSHOT", 8_000_000_000),
    "a vector file of a giant count": vector_header(8, "<q", 2**40),
    "a vector file of a negative count": vector_header(8, "<q", -1),
    "a vector file of a giant dimension": vector_header(4, "<i", 2**31 - 1),
    "a vector file of another metric": vector_header(33, "<i", 7),
    "a vector file of giant vectors": vector_header(74, "<Q", 2**39),
    "a vector file of another kind": vector_header(37, "<I", int.from_bytes(b"IxPT", "little")),
    "a vector file that cannot be trained": vector_header(32, "<B", 0),
}

BAIT = b"import pathlib\npathlib.Path(r'OUTSIDE/ran').touch()\n"
# What Python would run if it looked for modules in the folder that one works in.
CODE: Craft = _and(*(file(name, BAIT) for name in (
    "sitecustomize.py", "usercustomize.py", "rag.py", "typer.py", "faiss.py", "numpy.py", "lxml.py", "readline.py",
    "json.py", "sqlite3.py", "conftest.py", "evil.pth", "__init__.py", "__main__.py",
)))  # fmt: skip
PLANTED: dict[str, Craft] = {
    **{f"a link: {name}": link(name, "OUTSIDE/secret.txt") for name in (
        "index.db", "index.db-wal", "index.db-shm", "index.db-journal", "write.lock", "feedback.db",
        "feedback.db-journal", "new.db", "uploads/secret.txt", "uploads/.ragignore",
        f"uploads/.new-{'0' * 16}-secret.txt", f"uploads/.removed-{'0' * 16}-secret.txt",
    )},
    "a link: the vector file": lambda index, outside: link(_snapshot(index).name, "OUTSIDE/secret.txt")(index, outside),
    **{f"a link: vectors-{n}.faiss.tmp": _and(
        without_vector_file, link(f"vectors-{n}.faiss.tmp", "OUTSIDE/letters.txt")
    ) for n in range(1, 9)},
    "a link: uploads": link("uploads", "OUTSIDE"),
    "a link to a pipe": link("index.db-wal", "/dev/stdin"),
    "a link to what never ends: uploads": link("uploads/zero.txt", "/dev/zero"),
    "a link to itself": link("index.db", "index.db"),
    # A hard link in uploads/ cannot be told from a file; no archive and no other machine can bring one along.
    **{f"a hard link: {name}": hard_link(name) for name in ("write.lock", "index.db-wal")},
    **{f"a pipe: {name}": fifo(name) for name in (
        "index.db", "index.db-wal", "index.db-shm", "index.db-journal", "write.lock", "feedback.db", "uploads",
        "uploads/pipe.txt", "uploads/.ragignore", f"uploads/.new-{'0' * 16}-owl.txt",
    )},
    "a pipe: the vector file": lambda index, outside: fifo(_snapshot(index).name)(index, outside),
    **{f"a folder: {name}": folder(name) for name in (
        "index.db", "index.db-wal", "index.db-journal", "write.lock", "feedback.db", "uploads/owl.txt",
        "uploads/.ragignore", f"uploads/.removed-{'0' * 16}-owl.txt",
    )},
    "a folder: the vector file": lambda index, outside: folder(_snapshot(index).name)(index, outside),
    "a socket: index.db": socket_at("index.db"),
    "a socket: the log": socket_at("index.db-wal"),
    "a log of anything": file("index.db-wal", ANYTHING.randbytes(50_000)),
    "a log that begins as one": file("index.db-wal", b"\x37\x7f\x06\x82\x00\x2d\xe2\x18" + ANYTHING.randbytes(50_000)),
    "shared memory of anything": file("index.db-shm", ANYTHING.randbytes(32_768)),
    "a journal that names another file": journal_that_names_another,
    "a journal of anything": file("index.db-journal", bytes.fromhex("d9d505f920a163d7") + ANYTHING.randbytes(5_000)),
    **{f"a pickle: {name}": file(name, b"cposix\nsystem\n(S'touch OUTSIDE/ran'\ntR.") for name in (
        "index.pkl", "docstore.pkl", "index.faiss", "default__vector_store.json", "uploads/index.pkl",
        "vectors-0.faiss",
    )},
    "a vector file that is a pickle": lambda index, outside: fitted(
        index, outside, f"cposix\nsystem\n(S'touch {outside}/ran'\ntR.".encode()
    ),
    "an extension": file("fts5.so", b"\x7fELF"),
    "settings": file("rag.toml", b'documents = "OUTSIDE"\n'),
    "feedback of anything": file("feedback.db", ANYTHING.randbytes(20_000)),
}  # fmt: skip


def feedback(*statements: str) -> Craft:
    """What was said about answers, by somebody else."""

    def craft(index: Path, outside: Path) -> None:
        connection = sqlite3.connect(index / "feedback.db", isolation_level=None)
        connection.create_function("load_extension", 1, lambda path: path)
        for statement in statements:
            connection.execute(statement.replace("OUTSIDE", str(outside)))
        connection.close()

    return craft


PLANTED |= {
    "feedback: a trigger": feedback(TRIGGER.format("INSERT ON judgement", "SELECT load_extension('OUTSIDE/x')")),
    "feedback: a view": feedback("ALTER TABLE judgement RENAME TO old", "CREATE VIEW judgement AS SELECT 1"),
    "feedback: no JSON": feedback("UPDATE judgement SET answer = 'answer'"),
    "feedback: nested JSON": feedback("UPDATE judgement SET answer = replace(hex(zeroblob(100000)), '0', '[')"),
    "feedback: another answer": feedback("UPDATE judgement SET answer = '{}'"),
    "feedback: documents of numbers": feedback("UPDATE judgement SET documents = '5'"),
    "feedback: bytes": feedback("UPDATE judgement SET time = x'ff', note = x'00', question = CAST(x'ff' AS TEXT)"),
    "feedback: a table more": feedback("CREATE TABLE more (value)"),
}
