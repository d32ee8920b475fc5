"""The report: what its JSON holds, that it says the same twice, and that what documents say stays text."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_samples import BUILT, GREY, TEXT, asked, evaluation, passage, question, quoted, refused, unanswerable

import rag
from eval import baseline, plots, show
from eval.bars import Bar
from eval.gold import Evidence, Question
from eval.html import render
from eval.record import GoldFile, Surroundings, as_json, record, surroundings
from eval.run import Asked, Row

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
GOLD = GoldFile("gold.jsonl", "ab" * 32, questions=9, limit=5, kinds=(), seed=3)
AROUND = Surroundings("0123abc+", "2026-01-02T03:04:05+00:00", "3.11", "Linux", {"numpy": "2.0"})
KEY = "sk-very-secret-key"
HOSTILE = (
    "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">",
    "</p></article></details></main><iframe src=http://example.com></iframe>",
    '" onmouseover="document.title=\'ran\'" x="',
    "{{ 7 * 7 }} {% raw %} <!-- ]]> </style></script><style>*{display:none}</style>",
    "<link rel=stylesheet href=http://example.com/x.css><base href=http://example.com/>",
    "$\\frac{1}{0}$ \x00 \u202egnirts \ud800",
)

Json = dict[str, Any]


def rows() -> list[Row]:
    """One right, one of each common failure, one follow-up."""
    history: tuple[rag.Message, ...] = ({"role": "user", "content": "Tell me of the bridge."},)
    return [
        asked(question(), quoted(BUILT), 0.1, found={"hybrid": (passage(GREY, id_=2), passage(BUILT))}),
        asked(question(id="q2", kind="why"), quoted(GREY, confidence=0.6), 0.3),
        asked(question(id="q3"), refused(), unrefused=quoted(BUILT)),
        asked(question(id="q4", kind="follow-up", history=history), quoted(BUILT), alone=Asked(quoted(GREY), 0.2)),
        asked(unanswerable(), quoted(BUILT, confidence=0.63)),
        asked(unanswerable(id="u2"), refused()),
        Row(question(id="q5"), asked=Asked(None, 0.1, error="the index is damaged")),
    ]


def made(changed: list[Row] | None = None, **options: Any) -> Json:
    return record(evaluation(changed or rows()), GOLD, AROUND, **options)


def by_id(report: Json) -> dict[str, Json]:
    return {q["id"]: q for q in report["questions"]}


# -- JSON --------------------------------------------------------------------------------------------------------------


def test_the_json_holds_what_a_reader_needs() -> None:
    run = evaluation(rows())
    old = baseline.of(run, "last week", "cd" * 32)
    bars = [Bar("contains gold", least=0.0), Bar("unanswerable refused", least=0.99), Bar("seconds p95", most=5.0)]
    report = record(run, GOLD, AROUND, bars=bars, baseline=old, compared=baseline.compare(run.figures, old))
    report = json.loads(as_json(report))
    assert list(report) == [
        "format", "made", "gold", "settings", "provenance", "figures", "bars", "comparison", "beside",
        "questions", "passages", "timings",
    ]  # fmt: skip
    assert report["made"]["commit"] == "0123abc+"
    assert report["gold"] == {
        "name": "gold.jsonl", "sha256": "ab" * 32, "questions": 9, "limit": 5, "kinds": [], "seed": 3,
    }  # fmt: skip
    assert set(report["settings"]) == set(rag.Settings.model_fields) - {"index_dir", "cache_dir"}
    assert report["provenance"]["embed_model"] == "m"
    contains = next(f for f in report["figures"] if (f["name"], f["kind"]) == ("contains gold", "all"))
    assert set(contains) == {"name", "kind", "family", "better", "value", "low", "high", "n"}
    assert [bar["holds"] for bar in report["bars"]] == [True, False]
    assert [bar["metric"] for bar in report["timings"]["bars"]] == ["seconds p95"]
    assert report["comparison"]["baseline"] == "last week"
    assert report["comparison"]["same_gold"] is False
    assert {d["name"] for d in report["comparison"]["differences"]} > {"contains gold", "citation precision"}
    questions = by_id(report)
    assert len(questions) == 7
    assert questions["q1"]["failed"] == questions["q1"]["why"] == ""
    assert questions["q1"]["gold"]["evidence"][0]["cited"] is True
    assert questions["q1"]["answer"]["citations"][0] == {
        "marker": 1, "passage": 1, "start": 0, "end": len(BUILT), "quote": BUILT, "gold": True, "exact": True,
    }  # fmt: skip
    assert questions["q1"]["ranks"]["search"] == {"span": 2, "document": 1, "of": 2}
    assert questions["q1"]["scores"]["contains gold"] == 1.0
    assert questions["q3"]["failed"] == "refused"
    assert questions["q5"]["error"] == "the index is damaged"
    assert report["passages"]["1"]["text"] == BUILT
    assert report["timings"]["questions"]["q2"]["seconds"] == 0.3


def test_two_runs_differ_only_in_timings() -> None:
    slower = [replace(row, asked=replace(row.asked, seconds=row.asked.seconds * 3)) for row in rows() if row.asked]
    slower = [
        replace(row, asked=replace(row.asked, answer=replace(row.asked.answer, timings={"total": 9.0})))
        if row.asked and row.asked.answer
        else row
        for row in slower
    ]
    bars = [Bar("seconds p95", most=0.5)]
    first, second = made(bars=bars), made(slower, bars=bars)
    assert first.pop("timings") != second.pop("timings")
    assert as_json(first) == as_json(second)


def test_gold_quotes_stand_in_their_surroundings() -> None:
    whole = passage(TEXT)
    at = TEXT.index(GREY)
    row = asked(question(evidence=(Evidence("bridge.txt", GREY, at),)), quoted(BUILT, seen=(whole,)))
    (evidence,) = by_id(made([row]))["q1"]["gold"]["evidence"]
    assert evidence["before"] + evidence["quote"] + evidence["after"] == TEXT


def test_no_key_appears() -> None:
    settings = rag.Settings(
        documents="docs", llm="a-model", llm_api_key=KEY, llm_base_url=f"http://user:{KEY}@127.0.0.1:9/v1?key={KEY}"
    )
    told = asked(question(), replace(quoted(BUILT), notes=(f"the endpoint said: {KEY} is no key",)))
    report = record(evaluation([told], settings=settings), GOLD, AROUND)
    for text in (as_json(report), render(report), show.changed_settings(settings)):
        assert KEY not in text
        assert "user:" not in text
    assert report["settings"]["llm_base_url"].startswith("http://127.0.0.1:9/v1")
    several = settings.model_copy(update={"llm_base_url": f"http://a/v1,http://user:{KEY}@b/v1?key={KEY}"})
    report = record(evaluation([told], settings=several), GOLD, AROUND)
    assert report["settings"]["llm_base_url"].startswith("http://a/v1, http://b/v1")
    for text in (as_json(report), render(report), show.changed_settings(several)):
        assert KEY not in text


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not on PATH")
def test_the_commit_is_that_of_this_checkout(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=n", "-c", "user.email=e@localhost"]
        subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True)

    assert surroundings(tmp_path).commit == ""
    git("init")
    (tmp_path / "a").write_text("a")
    git("add", "a")
    git("commit", "-m", "a")
    clean = surroundings(tmp_path)
    assert clean.commit.isalnum()
    assert clean.date[:2] == "20"
    assert "numpy" in clean.packages
    (tmp_path / "a").write_text("b")
    assert surroundings(tmp_path).commit == clean.commit + "+"
    (tmp_path / "below").mkdir()
    assert surroundings(tmp_path / "below").commit == ""  # another project's checkout


# -- plots -------------------------------------------------------------------------------------------------------------


def test_plots_are_the_same_twice_and_take_the_pages_colour() -> None:
    scores, right, no = np.array([0.9, 0.8, 0.8, 0.2]), np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0])

    def draw() -> list[str]:
        return [
            plots.risk_coverage(scores, right, no),
            plots.reliability(scores, right),
            plots.latency(np.array([0.01, 0.2, 30.0])),
            plots.kinds("contains gold", [plots.Bar("fact", 0.5, 0.4, 0.6, 9), plots.Bar("why", 1.0, 1.0, 1.0, 2)]),
        ]

    once = draw()
    assert once == draw()
    for svg in once:
        assert svg.startswith('<svg role="img"')
        assert "currentColor" in svg
        assert "<text" in svg
        assert "DejaVu" not in svg
        assert "metadata" not in svg
        assert "<style" not in svg
    assert "75% answered, 33% of them wrong" in once[0]


@pytest.mark.parametrize("seconds", [[0.0], [1.0, 1.0], [0.001, 4000.0]])
def test_any_times_can_be_drawn(seconds: list[float]) -> None:
    assert "p95" in plots.latency(np.array(seconds))


def test_one_question_can_be_drawn() -> None:
    one = np.array([1.0])
    assert "0% answered" not in plots.risk_coverage(one, one, one)  # all refused: there is no point
    assert plots.reliability(one, one)


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_says_the_same_twice_and_from_its_json() -> None:
    report = made()
    page = render(report)
    assert page == render(report)
    assert page == render(json.loads(as_json(report)))


def test_the_page_tells_why() -> None:
    page = render(made())
    assert "<b>3</b> of 7 questions went right" in page
    assert "Refused although the documents answer (confidence .42); it would have quoted the gold evidence." in page
    assert "Something broke: the index is damaged." in page
    assert "Answered although the documents do not (confidence .63)." in page
    assert page.count('class="question panel"') == 7


def test_retrieval_alone_makes_a_page() -> None:
    found = (passage(GREY, id_=2, source="other.txt"),)
    looked = [
        Row(Question("r1", "retrieval", "bridges", None, relevant={"bridge.txt": 2}), found={"hybrid": found}),
        Row(question(), found={"hybrid": (passage(),)}),
    ]
    report = record(evaluation(looked, ["retrieval"]), GOLD, AROUND)
    page = render(report)
    assert by_id(report)["r1"]["failed"] == "search"
    assert "Only the search was run" in page
    assert "Refuses below" not in page


@pytest.mark.parametrize("family", ["answers", "citations", "refusal", "followups", "latency"])
def test_one_family_alone_makes_a_page(family: Any) -> None:
    assert "went right" in render(record(evaluation(rows(), [family]), GOLD, AROUND))


def test_one_question_and_no_failure_make_a_page() -> None:
    page = render(made([rows()[0]]))
    assert "none failed" in page


def test_many_questions_stay_a_page_that_opens() -> None:
    long = passage(TEXT * 10, text=TEXT * 10)
    many = [
        asked(question(id=f"q{n}", kind=f"kind {n % 30}"), quoted(GREY, seen=[replace(long, id=i) for i in range(12)]))
        for n in range(600)
    ]
    page = render(record(evaluation(many, ["answers"]), GOLD, AROUND))
    assert len(page.encode()) < 5_000_000
    assert "100 more failed; report.json has them." in page


# -- what documents say is text ----------------------------------------------------------------------------------------


def hostile() -> list[Row]:
    """Hostile words everywhere: in questions, kinds, documents, answers, errors."""
    found = []
    for number, words in enumerate(HOSTILE):
        held = rag.Passage(number, 1, words, words, 0, len(words), words, heading=words)
        cited = (rag.Citation(1, held, 0, len(words), words),)
        answer = quoted(
            text=words, sentences=(rag.Sentence(words, (1,), 1.0, "quoted"),), citations=cited, passages=(held,),
            short=words, notes=(words,), dropped=(rag.Dropped(words, words),), standalone_question=words,
        )  # fmt: skip
        asks = question(
            id=f"{number}{words}", kind=words, question=words, answers=((words + " 1", words),),
            evidence=(Evidence(words, words, 0),), history=({"role": "user", "content": words},),
        )  # fmt: skip
        found += [
            asked(asks, replace(answer, text=f"{words} [1]"), alone=Asked(answer, 0.1)),
            asked(replace(asks, id=f"r{number}{words}"), replace(refused(), reason=words), unrefused=answer),
            Row(replace(asks, id=f"e{number}"), asked=Asked(None, 0.1, error=words)),
        ]
    return found


def test_nothing_hostile_is_markup() -> None:
    page = render(made(hostile()))
    assert page.count("<script>") == 1
    assert page.count("<style>") == 1
    assert not any(tag in page for tag in ("<iframe", "<img", "<link", "<base"))
    assert "49" not in page.split("<main>")[0]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")
def test_hostile_text_is_inert_in_a_browser_and_nothing_is_asked_for(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    file = tmp_path / "report.html"
    file.write_text(render(made([*hostile(), *rows()])), encoding="utf-8")
    faults: list[str] = []
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 360, "height": 800})
        page.on("request", lambda r: r.url == file.as_uri() or faults.append(f"asked for {r.url}"))
        page.on("console", lambda m: faults.append(m.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        page.goto(file.as_uri())
        page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
        assert page.title() == "Evaluation of gold.jsonl"
        assert page.locator(".question").count() == len(hostile()) + len(rows())
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        for shown in page.locator(".question").all()[:3]:
            shown.hover()
        page.select_option("#kind", "why")
        assert page.locator(".question:visible").count() == 1
        page.select_option("#kind", "")
        page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = false")
        page.evaluate("location.hash = '#q-u2'")
        page.locator("#q-u2").wait_for(state="visible")
        browser.close()
    assert faults == []
