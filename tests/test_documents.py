"""Files become exactly the text they hold, or a reason with its cure."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.documents import COLLECTION_SUFFIX, SUFFIXES, read_collection, read_file
from rag.errors import DocumentUnreadable
from rag.sentences import sentences
from rag.splitting import chunks
from rag.types import Document, Failure

SEEDS = Path(__file__).parent.parent / "seeds"
LIMIT = 10_000_000
FRENCH = "Éric a été très déçu par l'été à Genève. Où est-il allé ? Il a mangé une crêpe."


def read(folder: Path, data: bytes, name: str = "note.txt", max_bytes: int = LIMIT) -> Document:
    (folder / name).write_bytes(data)
    return read_file(folder / name, root="root", source=name, max_bytes=max_bytes)


def reason(folder: Path, data: bytes, name: str = "note.txt", max_bytes: int = LIMIT) -> str:
    with pytest.raises(DocumentUnreadable) as caught:
        read(folder, data, name, max_bytes)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(name)
    return message


def collect(folder: Path, *lines: object, max_bytes: int = LIMIT) -> list[Document | Failure]:
    """What a collection yields whose lines are these: bytes as they are, else their JSON."""
    rows = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path = folder / "dump.jsonl"
    path.write_bytes(b"\n".join(rows) + b"\n")
    return list(read_collection(path, root="root", max_bytes=max_bytes))


def test_a_file_is_a_document(tmp_path: Path) -> None:
    data = b"A title\n\nThe text, with tabs\tand  spaces. \n"
    assert read(tmp_path, data) == Document(
        root="root",
        source="note.txt",
        title="A title",
        media_type="text/plain",
        sha256=hashlib.sha256(data).hexdigest(),
        text=data.decode(),
    )


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("a.txt", "text/plain"), ("a.TEXT", "text/plain"), ("a.md", "text/markdown"), ("a.Markdown", "text/markdown")],
)
def test_the_suffix_tells_the_media_type(tmp_path: Path, name: str, media_type: str) -> None:
    assert read(tmp_path, b"text", name).media_type == media_type
    assert SUFFIXES[Path(name).suffix.lower()] == media_type
    assert COLLECTION_SUFFIX not in SUFFIXES


def test_line_ends_become_line_feeds_and_nothing_else_changes(tmp_path: Path) -> None:
    assert (
        read(tmp_path, b"one\r\ntwo\rthree\n\r\n \t four\x0c\xc2\xa0 ").text == "one\ntwo\nthree\n\n \t four\x0c\xa0 "
    )


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_with_or_without_a_byte_order_mark(tmp_path: Path, codec: str) -> None:
    text = "Café 👩🏽‍🚀 e\u0301 الكاتب 你好\n"
    assert read(tmp_path, text.encode(codec)).text == text


@pytest.mark.parametrize("mark", [b"\xfe\xff", b"\x00\x00\xfe\xff"])
def test_big_endian_text(tmp_path: Path, mark: bytes) -> None:
    codec = "utf-16-be" if len(mark) == 2 else "utf-32-be"
    assert read(tmp_path, mark + "Grüße".encode(codec)).text == "Grüße"


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("latin-1", FRENCH),
        ("cp1252", "The “quoted” word – it’s here… and costs 5 €."),
        ("cp1252", "Die Größe und das Maß der Dinge: Äpfel, Öl und Übermut. Straße."),
        ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy."),
        ("cp1250", "Byłam tam z małą siostrą."),
        ("cp1251", "Нет, мама и сам дома. Она дала им том, и он был дома."),
        ("cp1251", "Привет, как дела? Сегодня хорошая погода, и мы идём гулять в парк."),
        ("cp1256", "مرحبا بكم في بغداد. هذه جملة ثانية طويلة بعض الشيء."),
        ("shift_jis", "これは日本語の文章です。とても良い天気ですね。"),
        ("gb18030", "这是一个中文句子。今天天气很好。"),
    ],
)
def test_old_encodings_are_recognised(tmp_path: Path, codec: str, text: str) -> None:
    assert read(tmp_path, text.encode(codec)).text == text


@pytest.mark.parametrize(
    "data",
    [
        "Zwölf Boxkämpfer jagen Viktor. ".encode() * 20 + b"\xff\xfe\x80\x81",  # UTF-8 with a torn end
        "The quick brown fox. Größe é. ".encode() * 200 + b"\xff\xfe bad",
        b"\xff\xfea",  # half a character
        bytes(range(128, 256)) * 4,
    ],
)
def test_an_encoding_that_cannot_be_told_is_not_guessed(tmp_path: Path, data: bytes) -> None:
    assert "save it as UTF-8" in reason(tmp_path, data)


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n1 0 obj",
        b"PK\x03\x04word/document.xml",
        b"\x7fELF\x02",
        b"\x89PNG\r\n\x1a\n",
        b"\x93\x00\xfe\x00",
        b"text with one\0zero",
        "zero\0".encode("utf-16"),
        b"\x01\x02\x03\x04 abc",
        b"{\\rtf1 Hello}",
    ],
)
def test_binary_content_is_refused(tmp_path: Path, data: bytes) -> None:
    message = reason(tmp_path, data)
    assert "looks binary" in message
    assert message.endswith("convert it to .txt or .md and try again")


def test_a_few_control_characters_are_text(tmp_path: Path) -> None:
    text = "Coloured \x1b[31mred\x1b[0m and a bell \x07 in a long line of text.\x0cNext page."
    assert read(tmp_path, text.encode()).text == text


def test_a_file_may_have_exactly_the_limit(tmp_path: Path) -> None:
    assert len(read(tmp_path, b"x" * 1000, max_bytes=1000).text) == 1000
    message = reason(tmp_path, b"x" * 2_500_000, max_bytes=1_000_000)
    assert "2.5 MB, more than the 1 MB allowed;" in message
    assert "file_megabytes" in message


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable, match=r"^gone\.txt does not exist .* try again$"):
        read_file(tmp_path / "gone.txt", root="", source="gone.txt", max_bytes=LIMIT)


@pytest.mark.parametrize("name", ["folder", "pipe"])
def test_what_is_not_a_file_is_not_opened(tmp_path: Path, name: str) -> None:
    if name == "pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names here")
    (tmp_path / name).mkdir() if name == "folder" else os.mkfifo(tmp_path / name)
    with pytest.raises(DocumentUnreadable, match="not a regular file"):
        read_file(tmp_path / name, root="", source=name, max_bytes=LIMIT)
    with pytest.raises(DocumentUnreadable, match="not a regular file"):
        list(read_collection(tmp_path / name, root="", max_bytes=LIMIT))


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "note.txt").symlink_to(tmp_path / "note.txt")
    with pytest.raises(DocumentUnreadable, match=r"^note\.txt cannot be read: .*; check the file and try again$"):
        read_file(tmp_path / "note.txt", root="", source="note.txt", max_bytes=LIMIT)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "note.txt").touch(mode=0o000)
    with pytest.raises(DocumentUnreadable, match="permission"):
        read_file(tmp_path / "note.txt", root="", source="note.txt", max_bytes=LIMIT)


@pytest.mark.parametrize("text", ["", " \n\t\n"])
def test_a_file_without_text_is_a_document_without_passages(tmp_path: Path, text: str) -> None:
    document = read(tmp_path, text.encode(), "my-empty_note.txt")
    assert (document.text, document.title) == (text, "my empty note")
    assert chunks(document.text) == []


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Al-Kazemi's wars for power\n\nIt is impossible.", "Al-Kazemi's wars for power"),
        ("\n\n  Indented title \n \nText.", "Indented title"),
        ("A first line\nthat goes on.\n\nText.", "my note"),
        ("A whole sentence.\n\nText.", "my note"),
        ("“A quoted sentence.”\n\nText.", "my note"),
        ("- a list item\n\nText.", "my note"),
        ("1- a list item\n\nText.", "my note"),
        ("-----\n\nText.", "my note"),
        ("word " * 30 + "\n\nText.", "my note"),
        ("The only line", "my note"),
        ("# Heading in plain text\n\nText.", "Heading in plain text"),
    ],
)
def test_the_title_of_plain_text(tmp_path: Path, text: str, title: str) -> None:
    assert read(tmp_path, text.encode(), "my-note.txt").title == title


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Intro.\n\n## About C# ##\n\n# Later", "About C#"),
        ("```\n# a comment\n```\n# Heading", "Heading"),
        ("---\nauthor: me\n---\n\nTitle\n=====\n", "Title"),
        ("Title\n-----\n\nText.", "Title"),
        ("No heading here\n\nText.", "No heading here"),
        ("# The **proxy** [![Build](https://x/y.svg)](https://x/y) of [Omar](https://o)", "The proxy of Omar"),
        ("#hashtag\ntext.", "my note"),
        ("# " + "long " * 100, "long " * 23 + "long…"),
    ],
)
def test_the_title_of_markdown(tmp_path: Path, text: str, title: str) -> None:
    assert read(tmp_path, text.encode(), "my-note.md").title == title


@pytest.mark.parametrize("path", sorted(SEEDS.glob("*.txt")), ids=lambda path: path.name[:3])
def test_the_seeds_are_read_as_they_are(path: Path) -> None:
    document = read_file(path, root=str(SEEDS), source=path.name, max_bytes=LIMIT)
    assert document.text.encode() == path.read_bytes()
    assert "Kazemi" in document.title


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples of a property."""
    return tmp_path_factory.mktemp("documents")


LINES = st.lists(
    st.sampled_from(["Same line.", "Same line.", "\ttab", "no end", "e\u0301", "👩🏽‍🚀!", "متى؟", "", " "])
)


@settings(deadline=None)  # a busy machine is no failure
@given(LINES, st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.booleans())
def test_whatever_the_line_ends_the_text_and_its_spans_are_the_same(
    folder: Path, lines: list[str], newline: str, codec: str, final: bool
) -> None:
    text = "\n".join(lines) + "\n" * final
    document = read(folder, text.replace("\n", newline).encode(codec))
    assert document.text == text
    shown = [document.text[start:end] for start, end in sentences(document.text)]
    assert "".join("".join(shown).split()) == "".join(text.split())


def test_a_collection_has_a_document_a_line(tmp_path: Path) -> None:
    titled = {"id": "a/1", "text": "One.\r\nTwo.", "title": "The  title\n"}
    found = collect(tmp_path, titled, b"", {"id": "b", "text": ""})
    assert [type(item) for item in found] == [Document, Document]
    first, second = found
    assert (first.source, first.text, first.title) == ("a/1", "One.\nTwo.", "The title")  # type: ignore[union-attr]
    assert (second.source, second.text, second.title) == ("b", "", "b")  # type: ignore[union-attr]
    assert {(item.root, item.media_type) for item in found} == {("root", "text/plain")}  # type: ignore[union-attr]


def test_the_hash_of_a_line_is_that_of_its_title_and_text(tmp_path: Path) -> None:
    same = {"id": "a", "text": "t", "title": "x"}
    others = [same | {"id": "b", "note": 1}, same | {"id": "c", "text": "u"}, {"id": "d", "text": "t"}]
    found = collect(tmp_path, same, *others)
    hashes = [item.sha256 for item in found if isinstance(item, Document)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{not json}", "not JSON"),
        (b'{"id": "x", "text": ' + b"[" * 100_000, "not JSON"),
        (b'{"id": ' + b"9" * 10_000 + b', "text": ""}', "not JSON"),
        (b'["id", "text"]', "not a JSON object"),
        ({"text": "no id"}, '"id"'),
        ({"id": 7, "text": "a number"}, '"id"'),
        ({"id": " ", "text": "nothing"}, '"id"'),
        ({"id": "x"}, '"text"'),
        ({"id": "x", "text": None}, '"text"'),
        ({"id": "good", "text": "again"}, "used before"),
        ({"id": "x", "text": "x" * 2000}, "file_megabytes"),
        (b'{"id": "x", "text": "caf\xe9"}', "UTF-8"),
    ],
)
def test_a_bad_line_is_a_failure_and_the_others_go_on(tmp_path: Path, line: object, why: str) -> None:
    limit = 1000 if why == "file_megabytes" else LIMIT
    found = collect(tmp_path, {"id": "good", "text": "a"}, b" ", line, {"id": "after", "text": "b"}, max_bytes=limit)
    assert [item.source for item in found] == ["good", "dump.jsonl:3", "after"]
    failure = found[1]
    assert isinstance(failure, Failure)
    assert why in failure.reason
    assert ";" in failure.reason  # what to do
    assert "\n" not in failure.reason


def test_what_cannot_be_stored_is_replaced(tmp_path: Path) -> None:
    line = rb'{"id": "a\ud800", "text": "\ufeffx\ud800y\u0000z \ud83d\ude00", "title": "\udfff!"}'
    (document,) = collect(tmp_path, line)
    assert isinstance(document, Document)
    assert (document.source, document.text, document.title) == ("a\ufffd", "x\ufffdy\ufffdz 😀", "\ufffd!")


def test_a_collection_may_begin_with_a_byte_order_mark_and_lack_a_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a", "text": "x"}\r\n{"id": "b", "text": "y"}')
    assert [item.source for item in read_collection(path, root="", max_bytes=LIMIT)] == ["a", "b"]


@pytest.mark.parametrize("data", ['{"id": "a", "text": "é"}'.encode("utf-16"), b'{"id": "\xe9"}', b"\x1f\x8b\x08\x00"])
def test_a_collection_that_is_not_utf_8(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "dump.jsonl").write_bytes(data)
    with pytest.raises(DocumentUnreadable, match="save it as UTF-8"):
        list(read_collection(tmp_path / "dump.jsonl", root="", max_bytes=LIMIT))


def test_a_collection_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable, match=r"^gone\.jsonl does not exist"):
        list(read_collection(tmp_path / "gone.jsonl", root="", max_bytes=LIMIT))


def test_a_collection_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    path.write_text('{"id": "a", "text": "x"}\n' + "not json\n" * 100_000)
    found = read_collection(path, root="", max_bytes=100)  # far less than the file has
    assert next(found) == next(read_collection(path, root="", max_bytes=LIMIT))
    assert sum(isinstance(item, Failure) for item in found) == 100_000


def test_what_is_wrong_with_a_line_is_one_line(tmp_path: Path) -> None:
    _, failure = collect(tmp_path, {"id": "a\nb", "text": "One."}, {"id": "a\nb", "text": "Two."})
    assert isinstance(failure, Failure)
    assert failure.reason.startswith("the id 'a b' was used before")


@pytest.mark.parametrize("end", ["\f", "\v", "\u2028", "\x85"])
def test_a_title_is_one_line_whatever_ends_it(tmp_path: Path, end: str) -> None:
    assert read(tmp_path, f"The mill{end}of Tarn\n\nIt stands.".encode()).title == "The mill of Tarn"
