"""How long after a click on a chip the marked sentence is in view: a document of 500 pages, 1.7 million characters.

    python -m eval.performance.page [CLICKS]

Served by the real page over a PDF made for it, clicked by Chromium (Playwright), both on this machine.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fpdf import FPDF
from playwright.sync_api import Page, sync_playwright

import rag
from rag.web import serve

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
    """Milliseconds of the first click on a chip, when nothing of the document is there yet, and of the second."""
    page.goto(url)
    page.get_by_label("Your question").fill("When was the lighthouse of Kereva painted green?")
    page.get_by_label("Your question").press("Enter")
    page.locator(".chip").first.wait_for()
    page.get_by_role("button", name="Ask").wait_for()
    first = float(page.locator(".chip").first.evaluate(_CLICK))
    page.keyboard.press("Escape")
    page.wait_for_timeout(1500)  # the rest of the document arrives
    return first, float(page.locator(".chip").first.evaluate(_CLICK))


def main(count: int = 20) -> None:
    """Print the milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        documents = Path(folder, "documents")
        documents.mkdir()
        pdf(documents / "book.pdf")
        settings: dict[str, Any] = {"documents": documents, "index_dir": Path(folder, "index"), "llm": "none"}
        began = time.monotonic()
        with rag.Assistant.open(rag.Settings(**settings, refuse_below=0)) as assistant:
            book = assistant.document(assistant.documents()[0].id)
            print(f"{len(book.pages)} pages, {len(book.text):,} characters, read in {time.monotonic() - began:.0f} s")
            measure(assistant, count)


def measure(assistant: rag.Assistant, count: int) -> None:
    """Serve, ask, click."""
    with serve(assistant, port=0) as server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        times = [clicked(browser.new_page(), server.address) for _ in range(count)]
        for what, each in zip(("first opening", "again"), zip(*times, strict=True), strict=True):
            print(f"{what}: median {statistics.median(each):.0f} ms, slowest {max(each):.0f} ms of {count}")
        browser.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
