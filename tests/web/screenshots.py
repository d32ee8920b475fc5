"""Pictures of the real page over seeds/: `python -m screenshots FOLDER` (make screenshots)."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from chromium import ask, served
from conftest import CHROMIUM
from PIL import Image
from playwright.sync_api import sync_playwright

from rag import Assistant, Settings
from rag.web import example_questions

SEEDS = Path(__file__).parents[2] / "seeds"
ANSWERED, FOLLOWED = "Who is the head of the Counter-Terrorism Service?", "Why does Al-Kazemi rely on it?"
REFUSED = "Who is the Minister of Health?"
COLOURS = 128  # enough for text on paper, and a third of the bytes


def chat(page: Any) -> None:
    ask(page, ANSWERED)
    ask(page, FOLLOWED)


def refusal(page: Any) -> None:
    ask(page, REFUSED)
    page.get_by_role("button", name="See the nearest passages").click()


def viewer(page: Any) -> None:
    ask(page, ANSWERED).locator(".chip").first.click()
    page.locator(".paper mark").wait_for()


def documents(page: Any) -> None:
    page.get_by_role("button", name="Documents").click()
    page.locator("li.document").first.wait_for()


WIDE = {"viewport": {"width": 1280, "height": 720}}
PICTURES = {
    "chat": (chat, {"viewport": {"width": 1280, "height": 860}}),
    "refusal": (refusal, WIDE),
    "viewer": (viewer, WIDE),
    "documents": (documents, WIDE),
    "phone": (viewer, {"viewport": {"width": 390, "height": 780}}),
    "dark": (viewer, {**WIDE, "color_scheme": "dark"}),
}


def main(folder: Path) -> None:
    """Write the pictures into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as index, sync_playwright() as driver:
        settings = Settings(documents=SEEDS, index_dir=Path(index), llm="none")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with Assistant.open(settings) as assistant, served(assistant, example_questions(SEEDS)) as url:
            for name, (act, options) in PICTURES.items():
                page = browser.new_context(reduced_motion="reduce", **options).new_page()
                page.goto(url)
                act(page)
                page.mouse.move(0, 0)
                page.wait_for_timeout(500)
                Image.open(io.BytesIO(page.screenshot())).quantize(COLOURS).save(folder / f"{name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
