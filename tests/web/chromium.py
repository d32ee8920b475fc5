"""What the browser tests share: a page served, a question asked, what can be seen of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rag.web import serve
from rag.web.guard import Users

Page = Any  # playwright's, which may not be installed
Visit = Callable[..., Page]

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<svg onload=alert(1)><a href='javascript:alert(1)'>x</a></svg>",
    "![pixel](http://example.com/pixel.png)",
    "[click](javascript:alert(1)) <http://example.com> [ref]: http://example.com",
    "</p></article></div><iframe src=http://example.com></iframe>",
    "`${alert(1)}` {{constructor.constructor('alert(1)')()}} $$\\href{http://example.com}{x}$$",
    '" onmouseover="alert(1)" x="',
    "&lt;b&gt; &amp;",
    "\u202egnirts\u202c **bold** _it_ # no heading",
)


OPENED: list[Any] = []  # browser contexts, for `served` to close


@contextmanager
def served(assistant: Any, examples: tuple[str, ...] | list[str] = (), users: Users | None = None) -> Iterator[str]:
    with serve(assistant, examples, port=0, users=users) as server:
        try:
            yield server.address
        finally:
            close_pages()  # first: a page that loses its server says so as an error


def close_pages() -> None:
    while OPENED:
        OPENED.pop().close()


def enter(page: Page, question: str) -> None:
    """Ask, and wait for nothing."""
    box = page.get_by_label("Your question")
    box.fill(question)
    box.press("Enter")


def ask(page: Page, question: str) -> Page:
    """Ask, wait for the end of the answer, and return its turn."""
    turns = page.locator(".turn").count()
    enter(page, question)
    turn = page.locator(".turn").nth(turns)
    turn.wait_for()
    page.get_by_role("button", name="Ask", exact=True).wait_for()
    return turn


def in_view(page: Page, selector: str) -> bool:
    """Whether the first such element is wholly inside the window and inside what scrolls around it."""
    return bool(
        page.evaluate(
            """selector => {
                const node = document.querySelector(selector);
                const inside = (a, b) => a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
                const box = node.getBoundingClientRect();
                for (let up = node.parentElement; up; up = up.parentElement) {
                    if (up.scrollHeight > up.clientHeight && getComputedStyle(up).overflowY !== "visible"
                        && !inside(box, up.getBoundingClientRect())) return false;
                }
                return inside(box, {top: 0, bottom: innerHeight});
            }""",
            selector,
        )
    )


def contrast(page: Page, selector: str) -> float:
    """The contrast ratio of the first such element by WCAG 2: (lighter + .05) / (darker + .05)."""
    colours = page.locator(selector).first.evaluate(
        """node => {
            const rgb = colour => colour.match(/[0-9.]+/g).map(Number);
            const background = of => rgb(getComputedStyle(of).backgroundColor);
            let behind = node;
            while (behind.parentElement && background(behind)[3] === 0) behind = behind.parentElement;
            return [rgb(getComputedStyle(node).color), background(behind)];
        }"""
    )
    darker, lighter = sorted(_luminance(colour) for colour in colours)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: list[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour[:3])]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
