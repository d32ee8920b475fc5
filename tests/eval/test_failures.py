"""Each way in which a question fails has its sentence, and what is right has none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_samples import BUILT, GREY, asked, passage, question, quoted, refused, unanswerable

from eval.failures import STEPS, failure, why
from eval.gold import Evidence, Question
from eval.metrics import missing
from eval.run import Asked, Row

ELSEWHERE = passage(GREY, id_=2)
THERE = passage(BUILT, id_=1)
TWO = question(
    answers=(("1932",), ("grey", "gray")),
    evidence=(Evidence("bridge.txt", BUILT, 0), Evidence("bridge.txt", GREY, len(BUILT) + 1)),
)


@pytest.mark.parametrize(
    "row",
    [
        asked(question(), quoted(BUILT)),
        asked(unanswerable(), refused()),
        asked(TWO, quoted(BUILT, GREY)),
        asked(question(answers=None, reference=("In 1932.",)), quoted(BUILT)),
        asked(question(answers=None, reference=("In 1932.",), evidence=()), quoted(GREY)),
        asked(question(evidence=(Evidence("other.txt"),)), quoted(BUILT)),  # right words from another place are right
        Row(question(), found={"hybrid": (ELSEWHERE, THERE)}),
        Row(question()),  # nothing was run: nothing failed
    ],
)
def test_what_is_right_has_no_reason(row: Row) -> None:
    assert why(row) == ""
    assert failure(row) is None


@pytest.mark.parametrize(
    ("row", "step", "says"),
    [
        (
            Row(question(), asked=Asked(None, 0.1, error="the index is damaged; run 'rag rebuild'")),
            "broke",
            "something broke: the index is damaged; run 'rag rebuild'",
        ),
        (
            Row(question(), asked=Asked(quoted(BUILT, GREY), 0.1, inexact=(2,))),
            "promise",
            "not what the document says at that place: the quote of [2]",
        ),
        (
            asked(question(), replace(quoted(BUILT), text="“The bridge was built in 1932.” [1] [7]")),
            "promise",
            "a marker without a citation, or a citation without a marker",
        ),
        (
            asked(unanswerable(), quoted(BUILT, confidence=0.63)),
            "answered",
            "answered although the documents do not (confidence .63)",
        ),
        (
            asked(question(), quoted(text="Hello!", mode="smalltalk")),
            "smalltalk",
            "taken for small talk",
        ),
        (
            asked(question(), quoted(GREY)),
            "search",
            "not found: no passage with the gold evidence among the 1 the answer was made from",
        ),
        (
            asked(question(), quoted(GREY, seen=(ELSEWHERE, THERE))),
            "evidence",
            "found (passage 2 of 2), but another sentence was quoted",
        ),
        (
            asked(question(), quoted(GREY, seen=(ELSEWHERE, THERE), mode="written")),
            "evidence",
            "found (passage 2 of 2), but another sentence was cited",
        ),
        (
            asked(question(), refused()),
            "refused",
            "refused although the documents answer (confidence .42)",
        ),
        (
            asked(question(), refused(), unrefused=quoted(BUILT)),
            "refused",
            "refused although the documents answer (confidence .42); it would have quoted the gold evidence",
        ),
        (
            asked(question(), refused(), unrefused=quoted(GREY, seen=(ELSEWHERE, THERE))),
            "refused",
            "refused although the documents answer (confidence .42); it would have quoted something else",
        ),
        (
            asked(question(), refused(), unrefused=quoted(GREY)),
            "search",
            "not found: no passage with the gold evidence among the 1 that it had; it refused (confidence .42)",
        ),
        (
            asked(question(), refused(), unrefused=replace(refused(0.0), nearest=())),
            "search",
            "not found: nothing in the index matches the question",
        ),
        (
            asked(question(answers=(("thirties",), ("steel", "iron"))), quoted(BUILT)),
            "wording",
            "the gold evidence is cited, but the answer has no accepted wording; missing: “thirties” · “steel”",
        ),
        (
            asked(TWO, quoted(BUILT, seen=(THERE, ELSEWHERE))),
            "part",
            "only 1 of 2 pieces of gold evidence cited, passage 2 of 2 has more; missing: “grey”",
        ),
        (
            asked(TWO, quoted(BUILT)),
            "part",
            "only 1 of 2 pieces of gold evidence cited, the rest was not found; missing: “grey”",
        ),
        (
            asked(question(), replace(quoted(BUILT), text=" ".join(["so"] * 92) + " 1932 [1]")),
            "length",
            "too long: 93 words, 80 count",
        ),
        (
            Row(question(), found={"hybrid": (ELSEWHERE,)}),
            "search",
            "not found: no passage with the gold evidence among the first 1 passages",
        ),
        (
            Row(question(), found={"hybrid": (*[ELSEWHERE] * 11, THERE)}),
            "search",
            "found only as passage 12, beyond the first 10",
        ),
        (
            Row(
                Question("r1", "retrieval", "bridges", None, relevant={"tower.txt": 2}),
                found={"hybrid": (ELSEWHERE, THERE)},
            ),
            "search",
            "not found: no passage of a relevant document among the first 2 passages",
        ),
    ],
)
def test_each_way_to_fail_has_its_sentence(row: Row, step: str, says: str) -> None:
    assert why(row) == says
    found = failure(row)
    assert found is not None
    assert found.step == step
    assert step in STEPS


def test_missing_reads_words_as_the_measure_does() -> None:
    assert missing("They disobeyed, in 1932.", [["disobey"], ["1932"], ["grey", "gray"]]) == [["grey", "gray"]]
