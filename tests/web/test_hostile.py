"""A hundred hostile strings as question, answer, document, title and name, in a real browser: shown as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chromium import Visit, ask, served
from doubles import Double
from hostile import HUNDRED

from rag.types import Answer, Citation, Document, Passage, Sentence, StepReport

TOGETHER = 5
WORDS = ["\n".join(HUNDRED[i : i + TOGETHER]).strip() for i in range(0, len(HUNDRED), TOGETHER)]
FOREIGN = "#desk :is(img, script, iframe, object, embed, svg, math, a, form, b, em, strong, code, table, style, .katex)"


class Parrot(Double):
    """Answers with the question, from a document that says and is called the same."""

    model = "Parrot"

    def document(self, document_id: int) -> Document:
        words = WORDS[document_id]
        return Document("root", words, words, "text/plain", "", words, id=document_id)

    def stream(self, question: str, *, history: Any, documents: Any, report: StepReport) -> Iterator[Answer]:
        at = WORDS.index(question)
        passage = Passage(at, at, question, question, 0, len(question), question, heading=question)
        yield Answer(
            question,
            f"{question}?",
            f"{question} [1]",
            "written",
            sentences=(Sentence(question, (1,), 0.9, "verified"),),
            citations=(Citation(1, passage, 0, len(question), question),),
            passages=(passage,),
            model=question,
            notes=(question,),
        )


def test_a_hundred_hostile_strings_are_text(visit: Visit) -> None:
    assert len(set(HUNDRED)) == 100
    with served(Parrot(), WORDS) as url:
        page = visit(url)
        assert page.locator(".example").evaluate_all("all => all.map(node => node.textContent)") == WORDS
        for words in WORDS:
            turn = ask(page, words)
            assert turn.locator(".asked").evaluate("node => node.textContent") == words
            assert words in turn.locator(".said").evaluate("node => node.textContent")
            turn.locator(".chip").click()
            page.locator(".paper mark").first.wait_for()
            for place in (".paper", ".viewer .title"):
                assert page.locator(place).evaluate("node => node.textContent") == words
            assert words in page.locator(".viewer .where").evaluate("node => node.textContent")
        assert page.locator(f"{FOREIGN}:not(button *)").count() == 0
