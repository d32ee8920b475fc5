"""An answer → Markdown with footnotes: the exact quotes and where they stand. Pure functions.

Whatever others wrote is escaped: a Markdown reader shows it as it is, and makes no link, image or heading of it.
"""

from __future__ import annotations

import re

from ..types import Answer, Citation, Passage
from .place import place

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~!&$^@]|(?<=\w)[:.](?=\S)")  # "http:" and "www." make links, too
_AT_LINE_START = re.compile(r"^([^\S\n]*)(?:([-+=])|(\d+)([.)]))", re.MULTILINE)


def as_markdown(answer: Answer, series: str = "") -> str:
    """The answer, each sentence with its footnotes; of a refusal, the nearest passages.

    `series` stands before the number of each footnote, so that several answers can share a page.
    """
    if answer.refused:
        nearest = "\n".join(f"- {_stands(passage)}" for passage in answer.nearest)
        return f"{text(answer.text)}\n" + (f"\nNearest passages:\n\n{nearest}\n" if nearest else "")
    if not answer.sentences:
        return f"{text(answer.text)}\n"
    said = [
        text(sentence.text) + "".join(f"[^{series}{marker}]" for marker in sentence.citations)
        for sentence in answer.sentences
    ]
    body = "\n\n".join(said) if answer.mode == "quoted" else " ".join(said)
    return f"{body}\n\n" + "\n".join(_footnote(citation, series) for citation in answer.citations)


def _footnote(citation: Citation, series: str) -> str:
    quote = "\n".join(f"    > {line}" for line in text(citation.quote).split("\n"))
    stands = f"{_stands(citation.passage)}, characters {citation.start:,}–{citation.end:,}"
    return f"[^{series}{citation.marker}]: {stands}\n\n{quote}\n"


def _stands(passage: Passage) -> str:
    return f"{text(passage.title)} — {', '.join(map(text, place(passage)))}"


def line(words: str) -> str:
    """`words` as one line of Markdown, for a heading."""
    return text(" ".join(words.split()))


def text(words: str) -> str:
    """`words` as Markdown that shows them."""
    escaped = _SPECIAL.sub(r"\\\g<0>", words)
    return _AT_LINE_START.sub(lambda m: f"{m[1]}\\{m[2]}" if m[2] else f"{m[1]}{m[3]}\\{m[4]}", escaped)
