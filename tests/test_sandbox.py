"""A hostile file costs only itself: it fails within the limits, and the next one is read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import format_samples as samples
import pytest

from rag.documents import read_file
from rag.errors import DocumentUnreadable
from rag.sandbox import Sandbox
from rag.settings import Settings

PAGE = b"<h1>Birds</h1><p>The heron stands still.</p>"
TOO_MUCH = b" " * 251_000_000


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Settings()) as sandbox:
        yield sandbox


def read(sandbox: Sandbox, folder: Path, name: str, data: bytes) -> str:
    """The text of a file with this content."""
    (folder / name).write_bytes(data)
    return sandbox.read(folder / name, root="root", source=name).text


def reason(sandbox: Sandbox, folder: Path, name: str, data: bytes) -> str:
    """Why it could not be read, in one plain line with its cure; the next file is read."""
    with pytest.raises(DocumentUnreadable) as caught:
        read(sandbox, folder, name, data)
    message = str(caught.value)
    assert message.startswith(f"{name} ")
    assert "\n" not in message
    assert ";" in message
    assert "heron" in read(sandbox, folder, "next.html", PAGE)
    return message


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_document_is_the_one_that_is_read_without_it(sandbox: Sandbox, tmp_path: Path) -> None:
    for name, data in [
        ("a.html", PAGE),
        ("a.pdf", samples.pdf(["One.", "Two."])),
        ("a.txt", b"Gr\xf6\xdfe"),
        ("big.md", "# Größe\n\n€ 👩🏽‍🚀 word \n".encode() * 60_000),
    ]:
        (tmp_path / name).write_bytes(data)
        here = read_file(tmp_path / name, root="root", source=name, max_bytes=10_000_000)
        assert sandbox.read(tmp_path / name, root="root", source=name) == here


def test_one_process_serves_all_files_and_none_is_needed_for_small_text(sandbox: Sandbox, tmp_path: Path) -> None:
    read(sandbox, tmp_path, "a.txt", b"small")
    assert sandbox.pid is None
    read(sandbox, tmp_path, "a.html", PAGE)
    first = sandbox.pid
    read(sandbox, tmp_path, "b.html", PAGE)
    with pytest.raises(DocumentUnreadable, match="damaged"):
        read(sandbox, tmp_path, "c.docx", b"PK\x03\x04")
    assert sandbox.pid == first
    assert first is not None


def test_leaving_it_ends_the_process_and_it_may_be_entered_again(tmp_path: Path) -> None:
    sandbox = Sandbox(Settings())
    for _ in range(2):
        with sandbox:
            read(sandbox, tmp_path, "a.html", PAGE)
            pid = sandbox.pid
            assert pid is not None
            assert is_alive(pid)
        assert not is_alive(pid)
        assert sandbox.pid is None


def test_the_process_loads_no_models(sandbox: Sandbox) -> None:
    code = "import sys, rag.worker; print([m for m in ('torch', 'llama_index', 'gradio', 'faiss') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stdout == "[]\n"


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_file_that_takes_too_long(tmp_path: Path) -> None:
    with Sandbox(Settings(read_seconds=1)) as sandbox:
        began = time.monotonic()
        assert "takes longer than 1 s" in reason(sandbox, tmp_path, "slow.pdf", samples.slow_pdf())
        assert time.monotonic() - began < 10


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is the platform's")
def test_a_file_that_takes_too_much_memory(tmp_path: Path) -> None:
    with Sandbox(Settings(read_megabytes=256)) as sandbox:
        data = samples.docx(samples.paragraph("a b ") * 1_000_000)
        assert "needs more than 256 MB" in reason(sandbox, tmp_path, "thick.docx", data)


def test_more_text_than_allowed(sandbox: Sandbox, tmp_path: Path) -> None:
    message = reason(sandbox, tmp_path, "large.txt", b"x" * 99_999_999)
    assert message == "large.txt has more text than the 50 MB allowed; raise text_megabytes or split the file"


def test_a_larger_file_than_allowed(tmp_path: Path) -> None:
    with Sandbox(Settings(file_megabytes=2)) as sandbox:
        assert "file_megabytes" in reason(sandbox, tmp_path, "large.html", b"x" * 2_000_001)


@pytest.mark.skipif(not hasattr(os, "kill"), reason="no signals here")
def test_a_file_that_kills_the_process(sandbox: Sandbox, tmp_path: Path) -> None:
    read(sandbox, tmp_path, "a.html", PAGE)
    assert sandbox.pid is not None
    data = samples.slow_pdf()
    timer = threading.Timer(0.5, os.kill, (sandbox.pid, signal.SIGKILL))
    timer.start()
    assert "has stopped the process" in reason(sandbox, tmp_path, "slow.pdf", data)
    timer.join()


def test_a_process_that_died_between_two_files(sandbox: Sandbox, tmp_path: Path) -> None:
    read(sandbox, tmp_path, "a.html", PAGE)
    assert sandbox.pid is not None
    os.kill(sandbox.pid, signal.SIGKILL)
    time.sleep(0.2)
    assert "heron" in read(sandbox, tmp_path, "b.html", PAGE)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    (tmp_path / "slow.pdf").write_bytes(samples.slow_pdf())
    code = f"""
import threading, time
from pathlib import Path
from rag.sandbox import Sandbox
from rag.settings import Settings
with Sandbox(Settings()) as sandbox:
    def tell():
        while sandbox.pid is None:
            time.sleep(0.01)
        print(sandbox.pid, flush=True)
    threading.Thread(target=tell).start()
    sandbox.read(Path({str(tmp_path / "slow.pdf")!r}), root="", source="slow.pdf")
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    time.sleep(0.3)
    os.kill(worker, signal.SIGINT)  # is ignored
    time.sleep(0.2)
    assert is_alive(worker)
    parent.send_signal(signal.SIGINT)
    _, errors = parent.communicate(timeout=10)
    assert "KeyboardInterrupt" in errors
    assert not is_alive(worker)


# -- hostile files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bomb.docx", "bomb.xlsx", "bomb.epub"])
def test_a_zip_bomb(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    made = {"docx": lambda: samples.docx(TOO_MUCH.decode()), "xlsx": lambda: samples.xlsx(TOO_MUCH)}
    data = made.get(name[5:], lambda: samples.epub(TOO_MUCH))()
    assert len(data) < 3_000_000
    assert "unpacks to more than 250 MB" in reason(sandbox, tmp_path, name, data)


def test_a_pdf_bomb(sandbox: Sandbox, tmp_path: Path) -> None:
    data = samples.pdf_with_content(b"BT /F1 12 Tf (a) Tj ET " + TOO_MUCH)
    assert len(data) < 1_000_000
    assert "unpacks to more than can be read" in reason(sandbox, tmp_path, "bomb.pdf", data)


def test_an_entity_bomb(sandbox: Sandbox, tmp_path: Path) -> None:
    laughs = samples.BILLION_LAUGHS
    word = samples.docx(samples.paragraph("&a11;"), doctype=laughs)
    assert "damaged" in reason(sandbox, tmp_path, "laughs.docx", word)
    book = samples.epub("<p>fine</p>", title="&a11;", doctype=laughs)
    assert "damaged" in reason(sandbox, tmp_path, "laughs.epub", book)
    for name, data in [
        ("page.epub", samples.epub(f"{laughs}<p>&a11; fine</p>")),
        ("laughs.html", f"{laughs}<p>&a11; fine</p>".encode()),
    ]:
        text = read(sandbox, tmp_path, name, data)
        assert "fine" in text
        assert "haha" not in text


def test_a_long_pdf(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "long.pdf").write_bytes(samples.pdf([f"This is page {n}." for n in range(1, 1001)]))
    document = sandbox.read(tmp_path / "long.pdf", root="", source="long.pdf")
    assert len(document.pages) == 1000
    assert document.text[document.pages[999] :] == "This is page 1000.\n"


def test_a_page_that_is_nested_too_deep_is_not_read_in_part(sandbox: Sandbox, tmp_path: Path) -> None:
    assert "nested too deep" in reason(sandbox, tmp_path, "deep.html", b"<p>a</p>" + b"<div>" * 100_000 + b"b")


def test_what_cannot_be_stored_never_comes(sandbox: Sandbox, tmp_path: Path) -> None:
    text = read(sandbox, tmp_path, "odd.html", b"<title>a&#xDFFF;</title><p>x&#xD800;y&#0;z &#x202E;abc</p>")
    assert "\u202e" in text  # what turns the reading direction is the author's: a quote is exact
    assert text.encode()
    assert "\0" not in text
    assert "damaged" in reason(sandbox, tmp_path, "odd.docx", samples.docx(samples.paragraph("x&#xD800;y")))
    assert "binary" in reason(sandbox, tmp_path, "nul.html", b"<p>x\0y</p>")
    assert read(sandbox, tmp_path, "odd.rtf", b"{\\rtf1 x\\u-10240?y \\u0?z}") == "x\ufffdy \ufffdz\n"
