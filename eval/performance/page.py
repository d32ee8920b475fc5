"""How long somebody waits for the page: it starts, a first sentence comes, a click on a chip opens its source.

    python -m eval.performance.page [TIMES]

The start and the first sentences are `python app.py` over seeds/, in quotes and with the embedded model, asked the
gold questions; the click is in a document of 500 pages, 1.7 million characters, made for it. Chromium (Playwright)
asks and clicks, all on this machine.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fpdf import FPDF
from playwright.sync_api import Browser, Page, sync_playwright

import rag
from eval.gold import read_gold
from rag.web import serve

_ROOT = Path(__file__).parents[2]
_PAGES = 500
_LINES = 40
_ASKED = 417  # the page that is asked about
_WORDS = "harbour council water bridge winter quay letter stone paper river market window season keeper copper"

# From the click to the frame in which the mark is painted: two frames after it is in the document and in view.
_CLICK = """
async chip => {
    const inView = () => {
        const mark = document.querySelector(".paper mark");
        if (!mark) return false;
        const box = mark.getBoundingClientRect(), paper = document.querySelector(".paper").getBoundingClientRect();
        return box.height > 0 && box.top >= paper.top && box.bottom <= paper.bottom;
    };
    const frame = () => new Promise(requestAnimationFrame);
    const began = performance.now();
    chip.click();
    while (!inView() && performance.now() - began < 5000) await frame();
    await frame();
    return performance.now() - began;
}
"""

# From the key to the frame in which the first sentence of turn `count` is painted; a promise inside an object, for the
# page is told to wait before the key is pressed. (Playwright's own waiting looks only every half second.)
_SENTENCE = """
(question, count) => ({sentence: new Promise((tell, fail) => question.addEventListener("keydown", () => {
    const began = performance.now();
    const look = () => document.querySelectorAll(".turn")[count]?.querySelector(".said")
        ? requestAnimationFrame(() => tell(performance.now() - began))
        : performance.now() - began < 120_000 ? requestAnimationFrame(look) : fail("no sentence came");
    look();
}, {once: true}))})
"""


def pdf(path: Path) -> None:
    """A document of `_PAGES` pages; one sentence of it is about a lighthouse."""
    document = FPDF()
    document.set_font("helvetica", size=10)
    words = _WORDS.split()
    for page in range(1, _PAGES + 1):
        document.add_page()
        for line in range(_LINES):
            number = page * _LINES + line
            run = [words[(number * 7 + n * n) % len(words)] for n in range(11)]
            text = f"Entry {number}: {' '.join(run)}."
            if (page, line) == (_ASKED, 20):
                text = "The lighthouse of Kereva was painted green in 1907."
            document.cell(text=text, new_x="LMARGIN", new_y="NEXT")
    document.output(str(path))


def clicked(page: Page, url: str) -> tuple[float, float]:
    """Seconds of the first click on a chip, when nothing of the document is there yet, and of the second."""
    page.goto(url)
    page.get_by_label("Your question").fill("When was the lighthouse of Kereva painted green?")
    page.get_by_label("Your question").press("Enter")
    page.locator(".chip").first.wait_for()
    page.get_by_role("button", name="Ask").wait_for()
    first = float(page.locator(".chip").first.evaluate(_CLICK)) / 1000
    page.keyboard.press("Escape")
    page.wait_for_timeout(1500)  # the rest of the document arrives
    return first, float(page.locator(".chip").first.evaluate(_CLICK)) / 1000


@contextmanager
def app(folder: Path, llm: str) -> Iterator[str]:
    """`python app.py` over seeds/, with an index in `folder`; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = {"GRADIO_SERVER_PORT": str(port), "RAG_LLM": llm, "RAG_INDEX_DIR": str(folder)}
    started = subprocess.Popen(
        [sys.executable, "app.py"], cwd=_ROOT, env={**os.environ, **ours}, stdout=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        started.terminate()
        started.wait()


def until_usable(page: Page, url: str) -> None:
    """Until somebody can type a question.

    The port is tried until it is open, and only then the page: a browser that tried in vain would take its time from
    the app that starts.
    """
    where = urlsplit(url)
    end = time.monotonic() + 120
    while True:
        try:
            socket.create_connection((where.hostname, where.port)).close()
            break
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
    page.goto(url)
    page.get_by_label("Your question").fill("?")


def started(browser: Browser, folder: Path) -> tuple[float, float]:
    """Seconds from the start of `app.py` to a page that takes a question, and to the end of a first answer."""
    began = time.monotonic()
    with app(folder, "none") as url:
        page = browser.new_page()
        until_usable(page, url)
        usable = time.monotonic() - began
        first_sentence(page, "Who is the head of the Counter-Terrorism Service?")
        page.close()
        return usable, time.monotonic() - began


def first_sentence(page: Page, question: str) -> float:
    """Seconds from Enter to the first sentence of the answer, or to the refusal; waits for the rest."""
    page.get_by_label("Your question").fill(question)
    count = page.locator(".turn").count()
    told = page.get_by_label("Your question").evaluate_handle(_SENTENCE, count)
    page.get_by_label("Your question").press("Enter")
    waited = float(told.evaluate("told => told.sentence")) / 1000
    page.get_by_role("button", name="Ask", exact=True).wait_for(timeout=120_000)
    return waited


def sentences(browser: Browser, folder: Path, llm: str, count: int) -> list[float]:
    """Seconds to the first sentence of `count` answerable questions, each in a conversation of its own, after one."""
    questions = [each.question for each in read_gold(_ROOT / "eval" / "gold.jsonl") if each.answerable][: count + 1]
    times = []
    with app(folder, llm) as url:
        for question in questions:
            page = browser.new_page()
            until_usable(page, url)
            times.append(first_sentence(page, question))
            page.close()
    return times[1:]  # the first loads the models


def tell(what: str, seconds: list[float]) -> None:
    """One line."""
    middle, slowest = statistics.median(seconds), max(seconds)
    in_ms = slowest < 0.5
    unit, factor, places = ("ms", 1000, 0) if in_ms else ("s", 1, 2)
    print(
        f"{what}: median {middle * factor:.{places}f} {unit}, slowest {slowest * factor:.{places}f} {unit} "
        f"of {len(seconds)}",
        flush=True,
    )


def main(count: int = 20) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        starts = [started(browser, folder / "seeds") for _ in range(4)]
        tell("start of app.py to a page that takes a question, new index", [starts[0][0]])
        tell("start of app.py to a page that takes a question", [usable for usable, _ in starts[1:]])
        tell("start of app.py to the end of a first answer", [answered for _, answered in starts[1:]])
        for llm in ("none", "embedded"):
            tell(f"Enter to the first sentence, llm {llm}", sentences(browser, folder / "seeds", llm, count))
        for what, seconds in zip(
            ("click to mark, first opening", "again"), clicks(browser, folder, count), strict=True
        ):
            tell(what, list(seconds))
        browser.close()


def clicks(browser: Browser, folder: Path, count: int) -> Iterator[tuple[float, ...]]:
    """Seconds from a click to the mark in a long document: when nothing of it is there yet, and again."""
    documents = folder / "documents"
    documents.mkdir()
    pdf(documents / "book.pdf")
    settings: dict[str, Any] = {"documents": documents, "index_dir": folder / "index", "llm": "none"}
    with (
        rag.Assistant.open(rag.Settings(**settings, refuse_below=0)) as assistant,
        serve(assistant, port=0) as server,
    ):
        book = assistant.document(assistant.documents()[0].id)
        print(f"a document of {len(book.pages)} pages, {len(book.text):,} characters")
        yield from zip(*(clicked(browser.new_page(), server.address) for _ in range(count)), strict=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
