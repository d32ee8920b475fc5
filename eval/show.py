"""An evaluation as text: the summary in the terminal, and report.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import rag

from . import failures
from .baseline import Baseline, Comparison
from .evaluation import Evaluation
from .measures import ALL, Figure

_FAILED = 20  # told in the terminal
Compared = Mapping[tuple[str, str], Comparison]
# What stands in the table of kinds, a column each: the measure and its heading.
_BY_KIND = {
    "document R@5": "doc R@5",
    "span R@5": "span R@5",
    "contains gold": "contains",
    "citation precision": "cit. prec.",
    "evidence cited": "ev. cited",
    "answerable refused": "falsely ref.",
    "unanswerable refused": "refused",
}


def summary(evaluation: Evaluation, compared: Compared, against: str = "") -> str:
    """The table of the terminal: every figure over all questions by family, then the headline figures by kind."""
    beside = f"{'':>2}{against}" if compared else ""
    lines = [f"{'':34}  value   95 % interval       n{beside}".rstrip()]
    over_all = [figure for figure in evaluation.figures if figure.kind == ALL]
    for family, figures in groupby(over_all, key=lambda figure: figure.measure.family):
        lines.append(family)
        lines += [_line(figure, compared) for figure in figures]
    if kinds := _kinds(evaluation):
        lines += ["", *_columns([["", *_headings(evaluation), "n"], *kinds])]
    return "\n".join(lines)


def _line(figure: Figure, compared: Compared) -> str:
    value, low, high, n = figure.interval
    line = f"  {figure.name:32}  {_number(value)}  [{_number(low)}, {_number(high)}]  {n:5}"
    comparison = compared.get((figure.name, figure.kind))
    return f"{line}  {change(comparison)}".rstrip() if comparison else line


def change(comparison: Comparison) -> str:
    """The difference to the baseline in words: "=", or "+.012 [-.004, +.031] p=.14", with what it means where clear."""
    difference = comparison.difference
    if difference.value == difference.low == difference.high == 0:
        return "="
    signed = [f"{number:+.3f}" for number in difference[:3]]
    verdict = ("  WORSE" if comparison.worse else "  better") if comparison.clear else ""
    if comparison.figure.measure.better is None:
        verdict = ""
    over = "" if difference.n == comparison.figure.interval.n else f" n={difference.n}"
    return f"{signed[0]} [{signed[1]}, {signed[2]}] p={difference.p:.3f}{over}{verdict}"


def _number(value: float) -> str:
    return f"{value:6.3f}" if abs(value) < 100 else f"{value:6.1f}"


def notes(evaluation: Evaluation) -> str:
    """What did not go as usual while answering: how often, and the first of it; empty where all went well."""
    said = [note for row in evaluation.rows if row.answer for note in row.answer.notes]
    said += [row.asked.error for row in evaluation.rows if row.asked and row.asked.error]
    said += [row.search_error for row in evaluation.rows if row.search_error]
    return f"{len(said)} answers did not come as usual: {said[0]}" if said else ""


def changed_settings(settings: rag.Settings) -> str:
    """What is set otherwise than by default, what is secret left out: "top_k=1, refuse_below=0.4"."""
    aside = {"documents", "index_dir", "cache_dir", "llm_api_key"}
    default = {name: field.get_default() for name, field in type(settings).model_fields.items() if name not in aside}
    shown = dict(settings.__repr_args__())  # an address there has no password
    return ", ".join(f"{name}={shown[name]}" for name, value in default.items() if getattr(settings, name) != value)


def failed(evaluation: Evaluation) -> Iterator[str]:
    """How many questions went right, and a line for each of the first that did not."""
    told = [(row, failures.why(row)) for row in evaluation.rows]
    wrong = [(row, why) for row, why in told if why]
    measured = [row for row, why in told if why or failures.is_measured(row)]
    yield f"{len(measured) - len(wrong)} of {len(measured)} questions went right{'; the others:' if wrong else ''}"
    for row, why in wrong[:_FAILED]:
        yield f"  {row.question.id} ({row.question.kind}) {row.question.question[:60]!r}: {why}"
    if len(wrong) > _FAILED:
        yield f"  … and {len(wrong) - _FAILED} more; report.html shows them all"


def flips(evaluation: Evaluation, old: Baseline) -> Iterator[str]:
    """For each headline figure, the questions that it lost against the baseline, and those that it won."""
    for name in _BY_KIND:
        if (figure := evaluation.figure(name)) is None:
            continue
        both = {q: (value, old.values[name][q]) for q, value in figure.values.items() if q in old.values.get(name, {})}
        sign = -1 if figure.measure.better == "less" else 1
        # Headline figures are numbers, not pairs.
        lost = [q for q, (new, was) in both.items() if sign * new < sign * was]  # type: ignore[operator]
        won = [q for q, (new, was) in both.items() if sign * new > sign * was]  # type: ignore[operator]
        if lost or won:
            yield f"{name}: lost {', '.join(lost) or 'none'}; won {', '.join(won) or 'none'}"


# -- by kind -----------------------------------------------------------------------------------------------------------


def _headings(evaluation: Evaluation) -> list[str]:
    return [heading for name, heading in _BY_KIND.items() if evaluation.figure(name)]


def _kinds(evaluation: Evaluation) -> list[list[str]]:
    """A row for each kind: its headline figures and its number of questions."""
    counts: dict[str, int] = {}
    for row in evaluation.rows:
        counts[row.question.kind] = counts.get(row.question.kind, 0) + 1
    if len(counts) < 2:
        return []
    return [[kind, *_of_kind(evaluation, kind), str(count)] for kind, count in counts.items()]


def _of_kind(evaluation: Evaluation, kind: str) -> Iterator[str]:
    for name in _BY_KIND:
        if evaluation.figure(name):
            figure = evaluation.figure(name, kind)
            yield f"{figure.interval.value:.3f}" if figure else ""


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


# -- Markdown ----------------------------------------------------------------------------------------------------------


def markdown(title: str, evaluation: Evaluation, compared: Compared, against: str, verdicts: Mapping[str, str]) -> str:
    """report.md: what was evaluated, figures, kinds and bars (`verdicts`: empty where a bar holds)."""
    made_with = [f"- {name}: {value}" for name, value in evaluation.provenance.items()]
    heads = ["figure", "value", "95 % interval", "n", *([against] if compared else [])]
    rows = [
        [
            figure.name,
            f"{figure.interval.value:.3f}",
            f"{figure.interval.low:.3f} – {figure.interval.high:.3f}",
            str(figure.interval.n),
            *([_change_of(figure, compared)] if compared else []),
        ]
        for figure in evaluation.figures
        if figure.kind == ALL
    ]
    parts = [f"# {title}", "\n".join(made_with), *filter(None, [notes(evaluation)]), _markdown_table(heads, rows)]
    if kinds := _kinds(evaluation):
        parts.append(_markdown_table(["kind", *_headings(evaluation), "n"], kinds))
    if verdicts:
        held = [f"- {'✓ ' + bar if not verdict else '✗ ' + verdict}" for bar, verdict in verdicts.items()]
        parts.append("\n".join(["## Bars", "", *held]))
    return "\n\n".join(parts) + "\n"


def _change_of(figure: Figure, compared: Compared) -> str:
    comparison = compared.get((figure.name, figure.kind))
    return change(comparison) if comparison else ""


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
