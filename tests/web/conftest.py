"""Debian's Chromium, driven by Playwright; no page may reach another origin, log an error or show a dialog."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from chromium import OPENED, close_pages, served

from rag.assistant import Assistant

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

Page = Any  # playwright's, which may not be installed
Visit = Callable[..., Page]
Routes = Mapping[str, Callable[[Any], Any]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not on PATH")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    """Opens pages; at the end, none may have reached another origin, logged an error or shown a dialog."""
    faults: list[str] = []

    def open_page(url: str, *, before: str = "", routes: Routes | None = None, **options: Any) -> Page:
        """`before` is a script that runs before those of the page; `routes` get the requests for what they name."""
        context = browser.new_context(reduced_motion="reduce", **options)
        OPENED.append(context)
        if before:
            context.add_init_script(before)
        for pattern, handler in (routes or {}).items():
            context.route(pattern, handler)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda r: r.url.startswith((url, "data:", "blob:")) or faults.append(f"asked for {r.url}"))
        page.on("response", lambda r: r.status < 400 or faults.append(f"{r.status} for {r.url}"))
        page.on("console", lambda m: m.type in ("error", "warning") and faults.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(url)
        page.get_by_label("Your question").wait_for()
        return page

    yield open_page
    close_pages()
    assert faults == []


# Tests ask for it before `visit`, so that the pages close first: an open panel looks for news.
@pytest.fixture
def url(assistant: Assistant) -> Iterator[str]:
    """The page over the module's own `assistant`."""
    with served(assistant) as url:
        yield url
