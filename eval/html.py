"""A report as one page that needs nothing else: no request leaves it, and what documents say is text in it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from . import failures, plots
from .measures import ALL, FAMILIES

Json = Mapping[str, Any]
_HERE = Path(__file__).parent
_CARDS = 500  # of failed, and of right questions: beyond, report.json has them
_PASSAGE = 300  # characters of a passage, around the gold where it holds some
_MOST_KINDS = 14  # in one plot
_BLANK_LINES = re.compile(r"\n\s*\n")
_HEADLINES = (
    "document R@5",
    "span R@5",
    "document nDCG@10",
    "contains gold",
    "evidence cited",
    "citation precision",
    "unanswerable refused",
    "answerable refused",
)
_FAMILY_NAMES = {
    "retrieval": "Finding passages",
    "answers": "Answers",
    "citations": "Citations",
    "refusal": "Refusals and confidence",
    "followups": "Follow-up questions",
    "latency": "Time",
    "judge": "Judged by a language model",
}


def render(report: Json) -> str:
    """The page of a report that `record.record` made (or that was read back from its JSON)."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": _number, "signed": _signed, "share": failures.share, "squeezed": _squeezed}
    environment.filters["one_line"] = _one_line
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    measured = [question for question in report["questions"] if question["measured"]]
    failed = [question for question in measured if question["failed"]]
    right = [question for question in measured if not question["failed"]]
    page = environment.get_template(
        "report.html.j2"
    ).render(
        report=report,
        style=Markup(style),  # our own file
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        failed=failed,
        right=right,
        groups=list(_groups(failed[:_CARDS])),
        counts=Counter(question["failed"] for question in failed),
        most=_CARDS,
        answers=any(question["answer"] or question["error"] for question in report["questions"]),
        unmeasured=len(report["questions"]) - len(measured),
        kinds=Counter(question["kind"] for question in report["questions"]),
        families=list(_families(report)),
        bars=sorted([*report["bars"], *report["timings"]["bars"]], key=lambda bar: bool(bar["holds"])),
        by_kind=_by_kind(report),
        plots=[Markup(plot) for plot in _plots(report)],  # made by us; labels in them are escaped
        snippet=lambda question, id_: _snippet(question, report["passages"][str(id_)]),
        passage=lambda id_: report["passages"][str(id_)],
    )
    return page.encode("utf-8", "replace").decode()  # half characters, which no file can hold


# -- figures -----------------------------------------------------------------------------------------------------------


def _figures(report: Json) -> list[Json]:
    return [*report["figures"], *report["timings"]["figures"]]


def _families(report: Json) -> Iterator[tuple[str, list[Json]]]:
    """Heading and rows of each family that was measured: the figures over all questions, with their differences."""
    comparison = report["comparison"]
    differences = {(d["name"], d["kind"]): d for d in comparison["differences"]} if comparison else {}
    for family in FAMILIES:
        rows: list[Json] = [
            {**figure, "share": _is_share(figure), "against": differences.get((figure["name"], ALL))}
            for figure in _figures(report)
            if figure["family"] == family and figure["kind"] == ALL
        ]
        if rows:
            yield _FAMILY_NAMES.get(family, family), rows


def _is_share(figure: Json) -> bool:
    """Whether a line from 0 to 1 can show it."""
    return bool(figure["family"] != "latency" and figure["low"] >= 0 and figure["high"] <= 1)


def _by_kind(report: Json) -> Json | None:
    """A row for each kind of question, a column for each headline; None where there is one kind only."""
    figures = {(figure["name"], figure["kind"]): figure for figure in report["figures"]}
    columns = [name for name in _HEADLINES if (name, ALL) in figures]
    asked = Counter(question["kind"] for question in report["questions"] if question["measured"])
    failed = Counter(question["kind"] for question in report["questions"] if question["failed"])
    if len(asked) < 2:
        return None
    rows = [
        {
            "kind": kind,
            "asked": count,
            "right": count - failed[kind],
            "cells": [figures.get((name, kind)) for name in columns],
        }
        for kind, count in asked.items()
    ]
    return {"columns": columns, "rows": rows}


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else '±'}{_number(abs(value))}"


# -- plots -------------------------------------------------------------------------------------------------------------


def _plots(report: Json) -> Iterator[str]:
    """Those that there are numbers for."""
    told = [q for q in report["questions"] if "confidence AURC" in q["scores"]]
    if told:
        pairs = np.array([question["scores"]["confidence AURC"] for question in told])
        refused = np.array([float(bool(q["answer"] and q["answer"]["refused"])) for q in told])
        yield plots.risk_coverage(pairs[:, 0], pairs[:, 1], refused)
        yield plots.reliability(pairs[:, 0], pairs[:, 1])
    seconds = [timing["seconds"] for timing in report["timings"]["questions"].values()]
    if seconds and report["timings"]["figures"]:
        yield plots.latency(np.array(seconds))
    for name in _HEADLINES:
        kinds = [f for f in report["figures"] if f["name"] == name and f["kind"] != ALL]
        if len(kinds) > 1:
            largest = sorted(kinds, key=lambda figure: -figure["n"])[:_MOST_KINDS]
            yield plots.kinds(name, [plots.Bar(f["kind"], f["value"], f["low"], f["high"], f["n"]) for f in largest])


# -- questions ---------------------------------------------------------------------------------------------------------


def _groups(failed: Sequence[Json]) -> Iterator[tuple[str, str, list[Json]]]:
    """Step, heading and questions of each way to fail, in the order of the chain."""
    for step, heading in failures.STEPS.items():
        if some := [question for question in failed if question["failed"] == step]:
            yield step, heading, some


def _snippet(question: Json, passage: Json) -> list[tuple[str, bool]]:
    """A part of a passage in pieces, each with whether it is gold evidence: around the first gold, or its beginning."""
    text = passage["text"]
    spans = list(_gold_spans(question["gold"]["evidence"], passage))
    first = spans[0][0] if spans else 0
    begin = max(0, first - _PASSAGE // 3) if first > _PASSAGE // 3 else 0
    end = max(begin + _PASSAGE, min(spans[0][1], begin + 2 * _PASSAGE) if spans else 0)
    pieces, at = [("…", False)] if begin else [], begin
    for start, stop in spans:
        start, stop = max(start, at), min(stop, end)
        if start < stop:
            pieces += [(text[at:start], False), (text[start:stop], True)]
            at = stop
    pieces += [(text[at:end], False), ("…" if end < len(text) else "", False)]
    return [(_squeezed(piece), gold) for piece, gold in pieces if piece]


def _squeezed(text: str) -> str:
    """Without blank lines."""
    return _BLANK_LINES.sub("\n", text)


def _one_line(text: str) -> str:
    """All space alike, to tell whether two texts read the same."""
    return " ".join(text.split())


def _gold_spans(evidence: Iterable[Json], passage: Json) -> Iterator[tuple[int, int]]:
    """Where gold quotes stand in a passage's text, in order."""
    length = len(passage["text"])
    spans = [
        (max(0, e["start"] - passage["start"]), min(length, e["start"] + len(e["quote"]) - passage["start"]))
        for e in evidence
        if e["quote"] and e["document"] == passage["source"]
    ]
    yield from sorted(span for span in spans if span[0] < span[1])
