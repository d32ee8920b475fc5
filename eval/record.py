"""What a report is made of, as plain JSON: what was run and with what, every figure, every question.

`record` is a pure function of its arguments; `surroundings` gathers what only the machine knows. Everything that
depends on the clock stands under "timings": without that key, two runs of one commit agree. Passages stand once,
under "passages"; elsewhere they are ids.
"""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import rag

from . import failures
from .bars import Bar, verdict
from .baseline import Baseline, Comparison
from .evaluation import Evaluation
from .gold import Evidence
from .measures import ALL, BY_NAME, Figure, stands
from .metrics import missing, without_markers
from .run import Asked, Row

FORMAT = 1
_PACKAGES = (
    "rag-quoted", "faiss-cpu", "llama-index-core", "numpy", "openvino", "sentence-transformers",
    "snowballstemmer", "tokenizers", "torch", "transformers", "xllamacpp",
)  # fmt: skip
_NOT_SHOWN = {"index_dir", "cache_dir"}  # folders of this machine
_SHORTEST_KEY = 6  # a shorter "key" is a placeholder such as "none": taking it out would only eat words
_HIDDEN = "**********"
_RANKED = 20  # of each search: the documents that R@20 is about
_SHOWN = 5  # of a search: passages whose text is kept although no answer saw them
_AROUND = 60  # characters kept on either side of a gold quote


@dataclass(frozen=True, slots=True)
class GoldFile:
    """Which questions were asked: the file, how many it holds, and which of them were chosen."""

    name: str
    sha256: str
    questions: int
    limit: int | None = None
    kinds: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where it ran. `commit` ends with '+' where files differ from it; it and its date are empty outside a checkout."""

    commit: str = ""
    date: str = ""
    python: str = ""
    platform: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)


def surroundings(root: Path) -> Surroundings:
    """Asks git about the checkout at `root`, and Python about itself."""
    commit = date = ""
    # A package that is installed somewhere below another project's checkout is not of that project's commit.
    if (top := _git(root, "rev-parse", "--show-toplevel")) and Path(top).resolve() == root.resolve():
        commit, _, date = _git(root, "log", "-1", "--format=%h %cI").partition(" ")
        commit += "+" if commit and _git(root, "status", "--porcelain", "--untracked-files=no") else ""
    return Surroundings(commit, date, platform.python_version(), platform.platform(), dict(_versions(_PACKAGES)))


def record(
    evaluation: Evaluation,
    gold: GoldFile,
    around: Surroundings,
    *,
    bars: Sequence[Bar] = (),
    baseline: Baseline | None = None,
    compared: Mapping[tuple[str, str], Comparison] | None = None,
    beside: Evaluation | None = None,
) -> dict[str, Any]:
    """The report as JSON values. `compared` is what `baseline.compare` said of these figures and this baseline.

    `beside` is another system that was asked the same.
    """
    searched_only = {figure.measure.family for figure in evaluation.figures} == {"retrieval"}
    # The search asks follow-ups only to learn their standalone form: those answers are not what was measured.
    rows = [replace(row, asked=None) for row in evaluation.rows] if searched_only else list(evaluation.rows)
    timed = [figure for figure in evaluation.figures if figure.measure.family == "latency"]
    untimed = [figure for figure in evaluation.figures if figure.measure.family != "latency"]
    scores = _scores(untimed)
    report = {
        "format": FORMAT,
        "made": asdict(around),
        "gold": asdict(gold) | {"kinds": list(gold.kinds)},
        "settings": _settings(evaluation.settings),
        "provenance": dict(evaluation.provenance),
        "figures": [_figure(figure) for figure in untimed],
        "bars": [_bar(bar, evaluation) for bar in bars if not _is_timed(bar)],
        "comparison": _comparison(gold, baseline, compared or {}),
        "beside": _beside(beside),
        "questions": [_question(row, scores.get(row.question.id, {})) for row in rows],
        "passages": {str(passage.id): _passage(passage) for passage in _shown(rows)},
        "timings": {
            "figures": [_figure(figure) for figure in timed],
            "bars": [_bar(bar, evaluation) for bar in bars if _is_timed(bar)],
            "questions": {row.question.id: _timings(row.asked) for row in rows if row.asked},
        },
    }
    return dict(_without(_secret(evaluation.settings), report))


def as_json(report: Mapping[str, Any]) -> str:
    """The report as it is written to a file; half characters, which UTF-8 cannot hold, as JSON escapes."""
    text = json.dumps(report, ensure_ascii=False, allow_nan=False, indent=1)
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


# -- the machine -------------------------------------------------------------------------------------------------------


def _git(root: Path, *arguments: str) -> str:
    """What git prints, empty where there is no git or no checkout."""
    try:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _versions(packages: Iterable[str]) -> Iterable[tuple[str, str]]:
    for package in packages:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


# -- settings ----------------------------------------------------------------------------------------------------------


def _settings(settings: rag.Settings) -> dict[str, Any]:
    shown = settings.model_dump(mode="json", exclude=_NOT_SHOWN)
    shown["documents"] = settings.documents.resolve().name  # where they lie is nobody's business
    if settings.llm_addresses:
        shown["llm_base_url"] = ", ".join(map(_without_credentials, settings.llm_addresses))
    if shown.get("llm_api_key"):
        shown["llm_api_key"] = _HIDDEN
    return shown


def _without_credentials(url: str) -> str:
    """Some endpoints take their key as a user name or in the query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=_HIDDEN if parts.query else "").geturl()


def _secret(settings: rag.Settings) -> str:
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
    return key if len(key) >= _SHORTEST_KEY else ""


def _without(secret: str, value: Any) -> Any:
    """The same value with the secret hidden wherever it stands: an endpoint's error message may repeat it."""
    if not secret:
        return value
    if isinstance(value, str):
        return value.replace(secret, _HIDDEN)
    if isinstance(value, Mapping):
        return {_without(secret, key): _without(secret, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without(secret, item) for item in value]
    return value


# -- figures -----------------------------------------------------------------------------------------------------------


def _figure(figure: Figure) -> dict[str, Any]:
    measure = figure.measure
    head = {"name": measure.name, "kind": figure.kind, "family": measure.family, "better": measure.better}
    return head | figure.interval._asdict()


def _bar(bar: Bar, evaluation: Evaluation) -> dict[str, Any]:
    says = verdict(bar, evaluation)
    named = {"metric": bar.metric, "kind": bar.kind, "least": bar.least, "most": bar.most, "says": str(bar)}
    return named | {"holds": not says, "verdict": says}


def _is_timed(bar: Bar) -> bool:
    return BY_NAME[bar.metric].family == "latency"


def _comparison(
    gold: GoldFile, baseline: Baseline | None, compared: Mapping[tuple[str, str], Comparison]
) -> dict[str, Any] | None:
    if baseline is None:
        return None
    differences = [
        {"name": name, "kind": kind, **c.difference._asdict(), "significant": c.clear, "worse": c.worse}
        for (name, kind), c in compared.items()
    ]
    return {"baseline": baseline.name, "same_gold": baseline.gold == gold.sha256, "differences": differences}


def _beside(other: Evaluation | None) -> dict[str, Any] | None:
    """The figures of the system beside; its answers are its own report's business."""
    if other is None:
        return None
    untimed = [figure for figure in other.figures if figure.measure.family != "latency"]
    return {"provenance": dict(other.provenance), "figures": [_figure(figure) for figure in untimed]}


def _scores(figures: Iterable[Figure]) -> dict[str, dict[str, Any]]:
    """Values by question, then by measure; pairs as lists, as JSON has them."""
    scores: dict[str, dict[str, Any]] = {}
    for figure in figures:
        if figure.kind == ALL:
            for question, value in figure.values.items():
                scores.setdefault(question, {})[figure.name] = list(value) if isinstance(value, tuple) else value
    return scores


# -- one question ------------------------------------------------------------------------------------------------------


def _question(row: Row, scores: Mapping[str, Any]) -> dict[str, Any]:
    question = row.question
    failure = failures.failure(row)
    return {
        "id": question.id,
        "kind": question.kind,
        "question": question.question,
        "history": [dict(turn) for turn in question.history],
        "answerable": question.answerable,
        "measured": bool(failure) or failures.is_measured(row),
        "failed": failure.step if failure else "",
        "why": failure.says if failure else "",
        "gold": _gold(row),
        "answer": _answer(row.answer, row, row.asked.inexact) if row.asked and row.answer else None,
        "error": row.asked.error if row.asked else "",
        "alone": _answer(row.alone.answer, row) if row.alone and row.alone.answer else None,
        "unrefused": _answer(row.unrefused, row) if row.unrefused else None,
        "found": {mode: [passage.id for passage in passages[:_RANKED]] for mode, passages in row.found.items()},
        "ranks": {"answer": _ranks(_seen(row), row), "search": _ranks(row.found.get("hybrid", ()), row)},
        "verdict": asdict(row.verdict) if row.verdict else None,
        "scores": dict(scores),
    }


def _gold(row: Row) -> dict[str, Any]:
    question = row.question
    text = row.answer.text if row.answer and not row.answer.refused else ""
    lacking = missing(without_markers(text), question.answers or ())
    return {
        "answers": None if question.answers is None else [list(group) for group in question.answers],
        "missing": [list(group) for group in lacking],
        "evidence": [_evidence(evidence, row) for evidence in question.evidence],
        "reference": list(question.reference),
        "relevant": dict(question.relevant),
        "exclude": list(question.exclude),
    }


def _evidence(evidence: Evidence, row: Row) -> dict[str, Any]:
    seen = _seen(row)
    citations = row.answer.citations if row.answer else ()
    before, after = _around(evidence, (*seen, *row.found.get("hybrid", ())))
    return {
        "document": evidence.document,
        "quote": evidence.quote,
        "start": evidence.start,
        "before": before,
        "after": after,
        "cited": any(stands(citation, evidence) for citation in citations),
        "rank": failures.rank(seen, [evidence]),
    }


def _around(evidence: Evidence, passages: Iterable[rag.Passage]) -> tuple[str, str]:
    """Some characters before and after a gold quote, from the first passage that holds all of it; else nothing."""
    start, end = evidence.span
    for passage in passages:
        if evidence.quote and passage.source == evidence.document and passage.start <= start and end <= passage.end:
            first, last = start - passage.start, end - passage.start
            return passage.text[max(0, first - _AROUND) : first], passage.text[last : last + _AROUND]
    return "", ""


def _seen(row: Row) -> Sequence[rag.Passage]:
    """What the answer was made from, or would have been."""
    answer = row.unrefused or row.answer
    return (answer.passages or answer.nearest) if answer else ()


def _ranks(passages: Sequence[rag.Passage], row: Row) -> dict[str, int | None]:
    """Where the first passage with gold evidence, and of a relevant document, stands among these."""
    documents = [Evidence(document) for document in row.question.relevance]
    return {
        "span": failures.rank(passages, row.question.quotes),
        "document": failures.rank(passages, documents),
        "of": len(passages),
    }


def _answer(answer: rag.Answer, row: Row, inexact: Sequence[int] = ()) -> dict[str, Any]:
    """An Answer's own JSON with ids for passages, without timings; each citation tells whether it stands on gold."""
    shown = {name: value for name, value in answer.to_dict().items() if name not in ("question", "timings")}
    shown["passages"] = [passage.id for passage in answer.passages]
    shown["nearest"] = [passage.id for passage in answer.nearest]
    shown["citations"] = [_citation(citation, row, citation.marker not in inexact) for citation in answer.citations]
    return shown


def _citation(citation: rag.Citation, row: Row, exact: bool) -> dict[str, Any]:
    return {
        "marker": citation.marker,
        "passage": citation.passage.id,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
        "gold": any(stands(citation, evidence) for evidence in row.question.evidence),
        "exact": exact,
    }


def _shown(rows: Iterable[Row]) -> list[rag.Passage]:
    """The passages whose text is kept: what answers saw or cite, and the first that a search found."""
    shown: dict[int, rag.Passage] = {}
    for row in rows:
        passages = list(row.found.get("hybrid", ())[:_SHOWN])
        for answer in (row.answer, row.alone.answer if row.alone else None, row.unrefused):
            if answer:
                passages += [*answer.passages, *answer.nearest, *(citation.passage for citation in answer.citations)]
        for passage in passages:
            shown.setdefault(passage.id, passage)
    return [shown[id_] for id_ in sorted(shown)]


def _passage(passage: rag.Passage) -> dict[str, Any]:
    # By hand: `asdict` copies deeply, which is slow for thousands.
    return {
        "source": passage.source,
        "title": passage.title,
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
        "page": passage.page,
        "heading": passage.heading,
    }


def _timings(asked: Asked) -> dict[str, Any]:
    return {"seconds": asked.seconds, "steps": dict(asked.answer.timings) if asked.answer else {}}
