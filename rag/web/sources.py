"""The passages behind the answers, and the shell of the viewer that opens their documents → HTML. Pure functions.

A card holds what its answer knows of a passage: it is what the viewer asks for, and what is shown when the document is
no longer what it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from ..types import Answer, Citation, Passage
from .place import place
from .render import card_id
from .turns import Turn

_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_NO_SOURCES = (
    '<h2>Sources</h2><p class="small">The passages behind an answer appear here, with its words marked in them. '
    "Open one, and you see it in its whole document.</p>"
)
VIEWER = """
<section class="viewer" aria-label="Document" hidden>
  <header>
    <div class="bar">
      <button type="button" class="close">Back</button>
      <div class="nav">
        <span class="nth" role="status"></span>
        <button type="button" class="previous" aria-label="Previous citation" title="Previous citation">‹</button>
        <button type="button" class="next" aria-label="Next citation" title="Next citation">›</button>
      </div>
    </div>
    <h2 class="title" dir="auto"></h2>
    <p class="small where" dir="auto"></p>
    <p class="warning" role="status"></p>
  </header>
  <div class="paper" role="document" tabindex="0" aria-label="Text of the document"></div>
  <details class="others"><summary></summary><ul></ul></details>
</section>
"""


def sources(turns: Sequence[Turn]) -> str:
    """The cards beside the chat: those of the last answer that has any; those of earlier ones wait hidden."""
    sections = [
        (number, _section(turn.question, turn.answer, turn.lines, number))
        for number, turn in enumerate(turns, start=1)
        if turn.answer and (turn.answer.citations or turn.answer.nearest)
    ]
    if not sections:
        return _NO_SOURCES
    last, _ = sections[-1]
    return "".join(
        f'<section class="sources" id="sources-{number}" tabindex="-1"{"" if number == last else " hidden"}>'
        f"{section}</section>"
        for number, section in sections
    )


def _section(question: str, answer: Answer, lines: Mapping[int, int], number: int) -> str:
    asked = f'<p class="small" dir="auto">{escape(question)}</p>'
    if answer.refused:
        cards = "".join(_uncited(passage, f"passage-{number}-{n}") for n, passage in enumerate(answer.nearest, 1))
        said = '<p class="small">They do not answer the question; they are only the nearest to it.</p>'
        return f"<h2>Nearest passages</h2>{asked}{said}{cards}"
    cards = "".join(_cited(citation, lines.get(citation.marker), number) for citation in answer.citations)
    return f"<h2>Sources</h2>{asked}{cards}{_others(answer, number)}"


def _others(answer: Answer, number: int) -> str:
    """The passages that the answer was made from and does not cite, folded."""
    cited = {citation.passage.id for citation in answer.citations}
    others = [passage for passage in answer.passages if passage.id not in cited]
    if not others:
        return ""
    cards = "".join(_uncited(passage, f"passage-{number}-{n}") for n, passage in enumerate(others, 1))
    return f'<details class="others"><summary>{others_title(len(others))}</summary>{cards}</details>'


def others_title(count: int) -> str:
    """What passages that were read and not cited are called."""
    return f"{count} other passage{'' if count == 1 else 's'} read for this answer"


def _cited(citation: Citation, line: int | None, number: int) -> str:
    card = card_id(number, citation.marker)
    back = (
        f'<button type="button" class="back" value="{card}" aria-label="Back to the answer" '
        f'title="Back to the answer">[{citation.marker}]</button>'
    )
    return _card(card, citation.passage, where(citation.passage, line), marked(citation), citation, back)


def _uncited(passage: Passage, card: str) -> str:
    return _card(card, passage, where(passage, None), _words(passage.text), passage)


def _card(card: str, passage: Passage, stands: str, words: str, opens: Citation | Passage, marker: str = "") -> str:
    kind = "cited" if isinstance(opens, Citation) else "uncited"
    return (
        f'<article class="card {kind}" id="{card}" tabindex="-1" data-document="{passage.document_id}" '
        f'data-start="{opens.start}" data-end="{opens.end}"><header>{marker}<div>'
        f'<h3><button type="button" class="goto" value="{card}" dir="auto">{escape(passage.title)}</button></h3>'
        f'<p class="small" dir="auto">{escape(stands)}</p></div></header>'
        f'<blockquote dir="auto">{words}</blockquote></article>'
    )


def marked(citation: Citation) -> str:
    """The passage with the quote marked at its exact place. No mark rather than a wrong one."""
    words = citation.passage.text
    start, end = citation.start - citation.passage.start, citation.end - citation.passage.start
    if start < 0 or words[start:end] != citation.quote:
        return _words(words)
    return f"{_words(words[:start])}<mark>{_words(words[start:end])}</mark>{_words(words[end:])}"


def _words(words: str) -> str:
    """A document's text, character for character; blank lines are wrapped, so that many can look like one."""
    return _BLANK_LINES.sub(r'<span class="gap">\g<0></span>', escape(words))


def where(passage: Passage, line: int | None) -> str:
    """Where a quote stands, in a line of its card."""
    return " · ".join(place(passage, line))
