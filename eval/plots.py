"""Plots as SVG to stand inside a page: text and lines take the page's colour, its font, and its light or dark.

Each function takes plain numbers and gives one `<svg>` element. The same numbers give the same bytes: nothing is
random and nothing is dated.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter

from . import metrics
from .metrics import Floats

# Drawn in a colour that nothing else has, then named: matplotlib has no word for the page's own colour.
_INK = "#010203"
# Blue-green and orange keep apart for every kind of colour blindness; both have 3 : 1 on white and on dark blue.
_MAIN = "#1f8f86"
_SECOND = "#c46a1b"
_WIDTH = 4.6  # inches of 72 points: the width at which the text has its size
_STYLE: Any = {
    "svg.fonttype": "none",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.parse_math": False,  # a "$" in a question's kind is a dollar
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "grid.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_PERCENT = PercentFormatter(1.0, decimals=0)
_LONGEST_LABEL = 24


class Bar(NamedTuple):
    """One bar with its 95 % interval, over `n` questions."""

    label: str
    value: float
    low: float
    high: float
    n: int


def risk_coverage(scores: Floats, correct: Floats, refused: Floats) -> str:
    """How many answers would be wrong if more, or fewer, questions were answered; the point is what is done now.

    All `[n]`: the confidence, whether the answer is (or would have been) right, and whether it was refused.
    """
    coverage, risk = metrics.risk_coverage(scores, correct)
    answered = refused <= 0
    with _drawn("Wrong answers against answers given") as (figure, axes):
        axes.plot(coverage, risk, color=_MAIN)
        axes.set(xlim=(0, 1.02), ylim=(0, max(0.1, min(1.0, 1.15 * float(risk.max(initial=0.0))))))
        axes.set(xlabel="Share of questions answered, the surest first", ylabel="Wrong among them")
        if answered.any():
            at, wrong = float(answered.mean()), float(1 - correct[answered].mean())
            axes.plot([at], [wrong], "o", color=_SECOND, markersize=7)
            right = at > 0.55
            axes.annotate(
                f"now: {at:.0%} answered, {wrong:.0%} of them wrong", (at, wrong), (-9 if right else 9, 9),
                textcoords="offset points", ha="right" if right else "left", fontsize=9,
            )  # fmt: skip
        axes.xaxis.set_major_formatter(_PERCENT)
        axes.yaxis.set_major_formatter(_PERCENT)
        return _svg(figure, "risk-coverage", "Share of wrong answers against share of questions answered")


def reliability(scores: Floats, correct: Floats) -> str:
    """Whether a confidence of .7 is right seven times in ten: bars on the line say yes. `[n]` each."""
    with _drawn("Is the confidence to be believed?") as (figure, axes):
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.9, linestyle=(0, (4, 4)), alpha=0.7)
        for mean, right, count in metrics.reliability(scores, correct):
            middle = min(int(mean * 10), 9) / 10 + 0.05
            axes.bar(middle, right, width=0.086, color=_MAIN, alpha=0.75)
            axes.annotate(str(count), (middle, right), (0, 3), textcoords="offset points", ha="center", fontsize=8.5)
        axes.set(xlim=(0, 1), ylim=(0, 1.08), xlabel="Confidence (numbers: questions)", ylabel="Right")
        axes.yaxis.set_major_formatter(_PERCENT)
        axes.grid(visible=False, axis="x")
        return _svg(figure, "reliability", "Share of right answers against confidence")


def latency(seconds: Floats) -> str:
    """How long answers took, `[n]` seconds, with the median and the 95th percentile."""
    seconds = np.maximum(seconds, 1e-4)
    low, high = float(seconds.min()), float(seconds.max())
    wide = high > 10 * low
    edges = np.geomspace(low * 0.95, high * 1.05, 25) if wide else np.linspace(low * 0.95, high * 1.05, 25)
    with _drawn("Time to an answer") as (figure, axes):
        counts, *_ = axes.hist(seconds, bins=edges.tolist(), color=_MAIN, alpha=0.75)
        top = float(np.max(counts))
        for share, height in ((0.5, 1.16), (0.95, 1.04)):
            at = float(np.quantile(seconds, share))
            axes.axvline(at, color=_SECOND, linewidth=1.4)
            end = at > (np.sqrt(low * high) if wide else (low + high) / 2)
            axes.annotate(
                f"p{share * 100:.0f} {_time(at)}", (at, top * height), (-5 if end else 5, 0),
                textcoords="offset points", ha="right" if end else "left", fontsize=9,
            )  # fmt: skip
        axes.set(ylim=(0, top * 1.28), xlabel="Time", ylabel="Questions")
        if wide:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if high < 1000 * low else (1.0,)))
            axes.xaxis.set_minor_locator(LogLocator(subs=()))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _time(value)))
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(visible=False, axis="x")
        return _svg(figure, "latency", "Number of questions against time to an answer")


def kinds(name: str, bars: Sequence[Bar]) -> str:
    """One measure, a share in 0 … 1, for each kind of question, with intervals."""
    height = 0.95 + 0.27 * len(bars)
    with _drawn(name[:1].upper() + name[1:], height) as (figure, axes):
        rows = np.arange(len(bars))[::-1]
        values = np.array([bar.value for bar in bars])
        # The end of an interval may lie a rounding error on the wrong side of its middle.
        errors = np.maximum(0, [[b.value - b.low for b in bars], [b.high - b.value for b in bars]])
        axes.barh(rows, values, height=0.62, color=_MAIN, alpha=0.75)
        axes.errorbar(values, rows, xerr=errors, fmt="none", ecolor=_INK, elinewidth=1, capsize=2.5, alpha=0.8)
        axes.set_yticks(rows, [f"{_plain(bar.label)} ({bar.n})" for bar in bars])
        axes.set(xlim=(0, 1.02), ylim=(-0.6, len(bars) - 0.4))
        axes.xaxis.set_major_formatter(_PERCENT)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        return _svg(figure, f"kinds-{name}", f"{name} by kind of question, with 95 % intervals")


# -- drawing and writing -----------------------------------------------------------------------------------------------


@contextmanager
def _drawn(title: str, height: float = 2.9) -> Iterator[tuple[Figure, Axes]]:
    """An empty plot; the style holds while it is drawn and written, and nowhere else."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title)
        yield figure, axes


def _svg(figure: Figure, name: str, says: str) -> str:
    """The figure as one element; `name` keeps its ids apart from those of other plots, `says` is read aloud."""
    written = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _inline(written.getvalue(), re.sub(r"\W+", "-", name), says)


def _inline(svg: str, name: str, says: str) -> str:
    """One element without prologue; colours and font of the page; ids of its own, and only those that are used."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    used = set(re.findall(r"#([\w-]+)[\")]", svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r"(url\(|href=\")#", rf"\g<1>#{name}-", svg)
    svg = svg.replace(_INK, "currentColor")
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, flags=re.DOTALL)  # it would style the whole page
    head = f'<svg role="img" aria-label="{escape(says)}" style="stroke-linejoin: round; stroke-linecap: butt"'
    return head + svg.removeprefix("<svg")


def _plain(text: str) -> str:
    """A label of one line, without what cannot be printed."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= _LONGEST_LABEL else line[: _LONGEST_LABEL - 1] + "…"


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds / 60:.0f} min"
