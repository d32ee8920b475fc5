"""An answer beside a broken endpoint: the inspection of `hardness.endpoints` would see what is wrong with it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from hardness import endpoints

from rag.settings import Settings
from rag.types import Answer, Citation, Document, Passage

SOURCE = Document("", "lighthouse.txt", "", "text/plain", "", endpoints.TEXTS["lighthouse.txt"], id=1)
WHOLE = Passage(1, 1, SOURCE.source, "", 0, len(SOURCE.text), SOURCE.text)
QUOTE = "The lighthouse of Kereva is 42 metres tall."
NOTE = "answered in quotes: scripted answered 500 (it broke); check that it runs"
QUOTED = Answer(
    endpoints.QUESTION,
    endpoints.QUESTION,
    f"“{QUOTE}” [1]",
    "quoted",
    citations=(Citation(1, WHOLE, 0, len(QUOTE), QUOTE),),
    notes=(NOTE,),
)


class Shelf:
    settings = Settings(total_s=2)

    def document(self, document_id: int) -> Document:
        return SOURCE


SHELF: Any = Shelf()


def wrong(answer: Answer) -> list[str]:
    return list(endpoints.wrong_with(answer, SHELF, ("answered 500",)))


def test_the_inspection_finds_nothing_wrong_with_a_quoted_answer() -> None:
    assert wrong(QUOTED) == []
    assert endpoints.too_many(1, 2) is endpoints.too_late(2.5, SHELF) is endpoints.still_busy() is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"text": "It is 900 metres tall [1]."}, "900"),
        ({"mode": "written"}, "written"),
        ({"refused": True}, "quoted:"),
        ({"citations": ()}, "nothing is cited"),
        ({"citations": (Citation(1, WHOLE, 1, len(QUOTE), QUOTE),)}, "no words of the document"),
        ({"notes": ()}, "0 notes"),
        ({"notes": (NOTE, NOTE)}, "2 notes"),
        ({"notes": (NOTE.replace("500", "404"),)}, "not the cause"),
        ({"notes": (NOTE.replace("check", "see"),)}, "no cure"),
        ({"notes": (NOTE.replace(" (", "\n("),)}, "not a plain line"),
        ({"notes": (f"{NOTE} {endpoints.KEY}",)}, "the key"),
        ({"notes": (NOTE.replace("scripted", "it"),)}, "does not say who"),
    ],
)
def test_the_inspection_sees_a_wrong_answer(changed: dict[str, Any], said: str) -> None:
    assert any(said in problem for problem in wrong(replace(QUOTED, **changed)))


def test_the_inspection_sees_who_comes_late_asks_often_or_does_not_end() -> None:
    end = threading.Event()

    def _read() -> None:
        end.wait()

    assert "requests" in (endpoints.too_many(3, 2) or "")
    assert "requests" in (endpoints.too_many(0, 2) or "")
    assert "2 requests" in (endpoints.other_than(2, 1) or "")
    assert endpoints.other_than(2, 2) is None
    assert "answered after" in (endpoints.too_late(5.1, SHELF) or "")
    threading.Thread(target=_read, daemon=True).start()
    assert endpoints.still_busy() == "1 threads are left"
    end.set()
