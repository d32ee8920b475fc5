"""What a run says: tables of values and of ratios, with what was not measured and why; as text, data and a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from .driver import LLAMAINDEX, OURS, PEERS, UNREAD
from .figures import Bar, Book, Ratio, Spread, difference, least, markdown, ratio, ratios_table, spread, values_table

_ME, _STOCK = OURS.name, LLAMAINDEX.name
_OTHERS = [peer.name for peer in PEERS]


def ratios(book: Book) -> list[Ratio]:
    """Those that issue and README speak of, as far as both sides were measured."""
    made: list[tuple[str, Spread | None, Bar | None, str]] = []

    def times(what: str, work: str, above: str | None, below: str, bar: Bar | None = None) -> None:
        made.append((what, ratio(book.of(work, above or ""), book.of(work, below)), bar, "×"))

    ingest = book.values.get("ingest", {})
    times(f"ingest: speed ÷ {_STOCK}", "ingest", _STOCK, _ME, Bar("≥", 2))
    best = least(ingest, _OTHERS)
    times(f"ingest: speed ÷ best peer ({best})", "ingest", best, _ME, Bar("≥", 1.8))
    times("ingest: speed ÷ our encoder alone, same texts sorted", "ingest", "our encoder", _ME, Bar("≥", 0.92))
    times("ingest: speed ÷ raw encode, float32, same texts", "ingest", "raw encode", _ME)
    again = "ingest again, new process"
    times(f"nothing changed, new process: speed ÷ {_STOCK}", again, _STOCK, _ME, Bar("≥", 10))
    best = least(book.values.get(again, {}), _OTHERS)
    times(f"nothing changed, new process: speed ÷ best peer ({best})", again, best, _ME)
    times(f"nothing changed, same process: speed ÷ {_STOCK}", "ingest again", _STOCK, _ME)
    times(f"one changed: speed ÷ {_STOCK}", "one changed", _STOCK, _ME)
    if book.of("cold ask", _ME):
        made.append(("cold ask", spread(book.of("cold ask", _ME)), Bar("≤", 3), "s"))
    best = least(book.values.get("cold ask", {}), _OTHERS)
    times(f"cold ask: time ÷ best peer ({best})", "cold ask", _ME, best or "", Bar("≤", 0.25))
    times(f"import: time ÷ {_STOCK}", "import", _ME, _STOCK)
    times(f"open: time ÷ {_STOCK}", "open", _ME, _STOCK)
    p50 = book.values.get("search p50", {})
    for what, name in (("hybrid", _ME), ("hybrid, first passages not read", UNREAD)):
        more = difference(p50.get(name, []), p50.get("encode alone", []))
        made.append((f"search, {what}: p50 − query encode", more, Bar("≤", 10), "ms"))
    times(f"search, hybrid: p50 ÷ {_STOCK} dense", "search p50", _ME, _STOCK, Bar("≤", 1))
    times(f"search, dense: p50 ÷ {_STOCK} dense", "search p50", f"{_ME} dense", _STOCK)
    times(f"ask, written: time ÷ {_STOCK}", "ask, written", _ME, _STOCK)
    times(f"first sentence, written: time ÷ {_STOCK}", "first sentence, written", _ME, _STOCK)
    if memory := book.of("peak memory, written", _ME):
        made.append(("peak memory of a warm written ask", spread(memory), Bar("≤", 900), "MB"))
    for size in book.values.get("grown: open", {}):
        big = size == "1,000,000"
        grown = {work: systems[size] for work, systems in book.values.items() if size in systems}
        for what, bar, unit in (
            ("grown: dense alone p95", Bar("≤", 25), "ms"),
            ("grown: dense alone recall@10", Bar("≥", 0.98), ""),
            ("grown: dense alone peak memory", Bar("≤", 1500), "MB"),
            ("grown: open", Bar("≤", 1), "s"),
            ("grown: one updated, seen by a reader", Bar("≤", 1), "s"),
        ):
            if grown.get(what):
                made.append((f"{what}, {size} passages", spread(grown[what]), bar if big else None, unit))
        more = difference(grown.get("grown: hybrid p50", []), grown.get("grown: query encode p50", []))
        made.append((f"grown: hybrid p50 − query encode, {size} passages", more, Bar("≤", 60) if big else None, "ms"))
    return [Ratio(what, found, bar, unit) for what, found, bar, unit in made if found is not None]


def text(book: Book, about: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    flat, grown = _parted(book)
    parts = [
        "# Speed",
        ", ".join(f"{name}: {value}" for name, value in about.items()),
        "Medians over rounds, in brackets the least and the most; all take turns within a round, and so do the ratios.",
    ]
    if found := ratios(book):
        parts.append(markdown(ratios_table(found)))
    for each in (flat, grown):
        if each.values:
            columns = list(dict.fromkeys(name for systems in each.values.values() for name in systems))
            parts.append(markdown(values_table(each, columns)))
    if book.missing:
        lines = [f"- {work}, {names}: {why}" for work, names, why in _missing(book)]
        parts.append("\n".join(["Not measured:", "", *lines]))
    return "\n\n".join(parts) + "\n"


def _missing(book: Book) -> list[tuple[str, str, str]]:
    """Work, systems, reason: those that share a reason together."""
    found: dict[tuple[str, str], list[str]] = {}
    for work, systems in book.missing.items():
        for name, why in systems.items():
            found.setdefault((work, why), []).append(name)
    return [(work, ", ".join(names), why) for (work, why), names in found.items()]


def _parted(book: Book) -> tuple[Book, Book]:
    """What was measured of systems, and of sizes: two tables."""
    grown = {work for work in book.values if work.startswith("grown: ")}
    of = {True: Book(units=book.units), False: Book(units=book.units)}
    for work, systems in book.values.items():
        of[work in grown].values[work] = systems
    return of[False], of[True]


def write(book: Book, about: Mapping[str, Any], folder: Path) -> str:
    """Write report.md, report.json and report.svg into `folder`; returns the text."""
    folder.mkdir(parents=True, exist_ok=True)
    said = text(book, about)
    (folder / "report.md").write_text(said, encoding="utf-8")
    found = [
        {"what": r.what, **r.spread._asdict(), "must be": str(r.bar or ""), "verdict": r.verdict} for r in ratios(book)
    ]
    data = {"about": dict(about), **book.to_dict(), "ratios": found}
    (folder / "report.json").write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")
    plot(book).savefig(folder / "report.svg")
    return said


_PLOTTED = (
    *("ingest", "ingest again, new process", "one changed", "cold ask", "import", "open", "search p50", "ask, written"),
    *("grown: open", "grown: dense alone p95", "grown: hybrid p50", "grown: one updated, seen by a reader"),
)


def plot(book: Book) -> Figure:
    """A small panel for each work: a bar for each system, its whisker from the least to the most."""
    works = [work for work in _PLOTTED if book.values.get(work)] or ["nothing"]
    columns = min(4, len(works))
    rows = -(-len(works) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(works) :]:
        panel.set_visible(False)
    for panel, work in zip(panels, works, strict=False):
        systems = book.values.get(work, {})
        spreads = [spread(values) for values in systems.values()]
        middles = [each.median for each in spreads]
        whiskers = [[s.median - s.low for s in spreads], [s.high - s.median for s in spreads]]
        colours = ["#1f8f86" if name.startswith(_ME) or work.startswith("grown") else "#9aa3ab" for name in systems]
        panel.barh(list(systems), middles, xerr=whiskers, color=colours, error_kw={"linewidth": 1})
        panel.invert_yaxis()
        panel.set_title(f"{work}, {book.units.get(work, '')}", fontsize=9, loc="left")
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    return figure
