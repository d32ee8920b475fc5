"""Where words stand, as a reader would look them up."""

from __future__ import annotations

from ..types import Passage


def place(passage: Passage, line: int | None = None) -> list[str]:
    """What is known of it: source, whether it was uploaded, page (without pages the `line`), heading."""
    at = f"page {passage.page}" if passage.page else f"line {line:,}" if line else ""
    uploaded = "uploaded" if passage.uploaded else ""  # whatever it calls itself
    return [part for part in (passage.source, uploaded, at, passage.heading) if part]
