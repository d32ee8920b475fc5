"""HTML becomes what a reader sees of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.formats import Converted, convert
from rag.formats.kinds import HTML

EXAMPLES = [
    ("<p>One\n  two</p><p>three", "One two\n\nthree\n"),
    ("<p>a<b>b</b>c <i>d</i></p>", "abc d\n"),
    ("<h1>Top</h1>text<h3>Low <a href='#x'>¶</a></h3>", "# Top\n\ntext\n\n### Low\n"),
    ("<ul><li>a<li>b<ul><li>c</ul></ul>", "- a\n- b\n  - c\n"),
    ("<ol start=3><li>a<li><p>b</p><p>more</p><li value=9>c</ol>", "3. a\n4. b\n\nmore\n\n9. c\n"),
    ("<table><tr><th>A<th>B<tr><td>1<td><p>2</p><p>3</p></table>", "| A | B |\n| 1 | 2 3 |\n"),
    ("<table><caption>Sizes</caption><tr><td>a<td></table>after", "Sizes\n\n| a |  |\n\nafter\n"),
    ("<table><tr><td><h1>Mail</h1><td>text</table>", "# Mail\n\ntext\n"),
    ("<p>one<br>two</p>", "one\ntwo\n"),
    ("<p>a&nbsp;b &amp; &lt;c&gt;</p>", "a\xa0b & <c>\n"),
    ("<pre>def f():\n    pass\n</pre>", "def f():\n    pass\n"),
    ("<pre># a comment\nx = 1</pre>", "```\n# a comment\nx = 1\n```\n"),
    ("<pre># ```\n</pre>", "````\n# ```\n````\n"),
    ("<script>x</script><style>y</style><nav>z</nav><p hidden>h</p><p>seen</p>", "seen\n"),
    ("<div style='color:red; display : NONE'>x</div><p aria-hidden=true>x</p>tail", "tail\n"),
    ("<div role=navigation>x</div>tail", "tail\n"),
    ("<p>a<!-- comment -->b</p>", "ab\n"),
    ("<p>cut off <!-- here", "cut off\n"),
    ("<p>cut off <a href=\"http://", "cut off\n"),
    ("<p>cut off <script>x = '", "cut off\n"),
    ("<html><body><p>a</p></body></html>\n<p>late</p>", "a\n\nlate\n"),
    ("", ""),
    ("   ", ""),
]  # fmt: skip


def html(page: str | bytes) -> Converted:
    return convert(page if isinstance(page, bytes) else page.encode(), HTML)


@pytest.mark.parametrize(("page", "text"), EXAMPLES)
def test_what_a_reader_sees(page: str, text: str) -> None:
    assert html(page).text == text


def test_the_title_is_that_of_the_head() -> None:
    assert html("<title>\n A  title </title><h1>Heading</h1>").title == "A title"
    assert html("<title>Untitled Document</title><h1>Heading</h1>").title == ""


@pytest.mark.parametrize(
    ("head", "codec"),
    [
        ('<meta charset="windows-1251">', "cp1251"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=KOI8-R">', "koi8-r"),
        ('<?xml version="1.0" encoding="iso-8859-5"?>', "iso8859-5"),
        ('<meta charset="no-such-encoding">', "utf-8"),
        ('<meta charset="us-ascii">', "utf-8-sig"),
        ("", "utf-16"),
    ],
)
def test_the_encoding_is_the_one_that_the_page_names(head: str, codec: str) -> None:
    assert html(f"{head}<p>Привет, мир</p>".encode(codec)).text == "Привет, мир\n"


def test_latin_1_is_what_browsers_take_it_for() -> None:
    assert html("<meta charset=iso-8859-1><p>“it’s” 5 €</p>".encode("cp1252")).text == "“it’s” 5 €\n"


REAL = [
    ("/usr/share/doc/libffi8/html/The-Basics.html", "### 2.1 The Basics\n", "The first thing you must do is create"),
    ("/usr/share/doc/zlib1g-dev/examples/zlib_how.html", "## zlib Usage Example\n", "#define CHUNK 16384"),
    (
        "/usr/share/doc/base-passwd/users-and-groups.html",
        "# Chapter 1. Introduction\n",
        "master versions of /etc",
    ),
]


@pytest.mark.parametrize(("path", "heading", "words"), REAL)
def test_pages_that_others_wrote(path: str, heading: str, words: str) -> None:
    if not Path(path).is_file():
        pytest.skip("this system has no such page")
    found = html(Path(path).read_bytes())
    assert heading in found.text
    assert words in found.text
    assert "</" not in found.text.replace("</A\n", "")
    assert "\r" not in found.text
    assert found == html(Path(path).read_bytes())
