"""CSV, EPUB, mail and RTF."""

from __future__ import annotations

import sys
from email.message import EmailMessage
from pathlib import Path

import format_samples as samples
import pytest

from rag.formats import FormatError, convert
from rag.formats.kinds import CSV, EML, EPUB, RTF


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'Name,Size\n"A, b","two\nlines"\n\n', "| Name | Size |\n| A, b | two lines |\n"),
        ("Name;Größe\nMaß;3".encode("cp1252"), "| Name | Größe |\n| Maß | 3 |\n"),
        ("a\tb\r\nc\té".encode("utf-16"), "| a | b |\n| c | é |\n"),
        (b"only\nlines", "| only |\n| lines |\n"),
        (b'"' + b"x" * 200_000 + b'"', f"| {'x' * 200_000} |\n"),
        (b"", ""),
    ],
)
def test_csv(data: bytes, text: str) -> None:
    assert convert(data, CSV).text == text


def test_an_epub_in_its_reading_order() -> None:
    found = convert(samples.epub("<h1>One</h1><p>Text.</p>", "<h1>Two</h1>", title="The book"), EPUB)
    assert found.text == "# One\n\nText.\n\n# Two\n"
    assert found.title == "The book"


def test_an_epub_with_copy_protection() -> None:
    def encryption(method: str) -> dict[str, str]:
        method = f'<EncryptionMethod xmlns="http://www.w3.org/2001/04/xmlenc#" Algorithm="{method}"/>'
        return {"META-INF/encryption.xml": f"<encryption>{method}</encryption>"}

    fonts = encryption("http://www.idpf.org/2008/embedding")
    assert convert(samples.epub("<p>x</p>", extra=fonts), EPUB).text == "x\n"
    with pytest.raises(FormatError, match="DRM"):
        convert(samples.epub("<p>x</p>", extra=encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc")), EPUB)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", samples.zipped({"a": "b"})])
def test_what_is_no_epub(data: bytes) -> None:
    with pytest.raises(FormatError, match="EPUB"):
        convert(data, EPUB)


def mail() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Zoë <z@x.org>", "b@x.org", "Größe\u202e"
    return message


def test_a_mail() -> None:
    message = mail()
    message.set_content("The plain body.\n", charset="utf-8")
    message.add_alternative("<p>The HTML body</p>", subtype="html")
    message.add_attachment(b"attached", maintype="application", subtype="pdf", filename="a.pdf")
    found = convert(message.as_bytes(), EML)
    assert found.text == "From: Zoë <z@x.org>\nTo: b@x.org\nSubject: Größe\u202e\n\nThe plain body.\n"
    assert found.title == "Größe\u202e"


def test_a_mail_of_html_in_an_old_encoding() -> None:
    message = mail()
    message.set_content("<h1>Привет</h1><p>мир</p>", subtype="html", charset="koi8-r")
    assert convert(message.as_bytes(), EML).text.endswith("\n\n# Привет\n\nмир\n")


@pytest.mark.parametrize("charset", [b"utf-8", b"no-such-charset", b"us-ascii"])
def test_a_mail_that_names_a_wrong_encoding(charset: bytes) -> None:
    data = (
        b"Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=%s\n\nA case of d\xe9j\xe0 vu.\n" % charset
    )
    assert convert(data, EML).text == "Subject: x\n\nA case of déjà vu.\n"


def test_mails_that_others_wrote() -> None:
    folder = Path(sys.base_prefix, "lib", f"python3.{sys.version_info.minor}", "test", "test_email", "data")
    mails = [path for path in sorted(folder.glob("msg_*.txt")) if b"Subject:" in path.read_bytes()[:2000]]
    if not mails:
        pytest.skip("this Python comes without its tests")
    texts = {path.name: convert(path.read_bytes(), EML).text for path in mails}
    assert "\ufffd".join(texts.values()).encode()  # no lone surrogates
    assert "Subject: This is a test message" in texts["msg_01.txt"]


def test_rtf() -> None:
    source = rb"""{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\title My title}}
{\*\generator Riched20;}\f0 Caf\'e9 {\b bold} \u-10179?\u-8704? end.\par
{\field{\*\fldinst{HYPERLINK "http://x.org"}}{\fldrslt{a link}}} more.{\v  hidden}\par
{\listtext\'b7\tab}one\par{\listtext\'b7\tab}two\par
\trowd A\cell B\cell\row}"""
    found = convert(source, RTF)
    assert found.text == "Café bold 😀 end.\n\na link more.\n\n- one\n- two\n\n| A | B |\n"
    assert found.title == "My title"


def test_what_is_no_rtf() -> None:
    with pytest.raises(FormatError, match="is no RTF file"):
        convert(b"text", RTF)
