"""`pytest eval/`: ask the gold questions once, hold the figures to the bars, print and write the report."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import rag

from . import baseline, html, record, show, trec
from .bars import Bar, BarsError, read_bars, verdict
from .baseline import Baseline, BaselineError, Comparison, compare
from .chat import Chat, ChatError, chat_model
from .evaluation import Evaluation, evaluate
from .gold import GoldError, Question, read_gold, sample
from .measures import BY_NAME, FAMILIES, Family
from .record import GoldFile
from .run import Report

HERE = Path(__file__).parent
GOLD = HERE / "gold.jsonl"
BARS = HERE / "bars.toml"
BASELINE = HERE / "baseline.json"
REPORT = HERE / "report"
EMBEDDED = "embedded"
USAGE, ENVIRONMENT = 2, 3  # exit codes, those of the `rag` command

_MARKERS = {
    "retrieval": "whether the search finds the gold",
    "answers": "whether answers hold the gold",
    "citations": "whether citations stand on the gold, and the promises about quotes",
    "refusal": "whether it refuses when it should, and how good its confidence is",
    "followups": "whether a conversation's earlier turns help",
    "judge": "an LLM as judge, by choice (--judge)",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("evaluation")
    group.addoption("--gold", type=Path, default=GOLD, help="gold questions, the schema of eval/README.md")
    group.addoption("--documents", type=Path, default=HERE.parent / "seeds", help="the documents they are about")
    group.addoption("--index", type=Path, help="keep the index here for the next run")
    group.addoption("--limit", type=int, help="ask this many questions, drawn by kind")
    group.addoption("--kind", action="append", default=[], help="only these kinds (repeat, or part by commas)")
    group.addoption("--seed", type=int, default=0, help="of the draw that --limit makes")
    group.addoption("--llm", help="'embedded' (default), 'none', or a model name, which is set beside the embedded one")
    group.addoption("--llm-base-url", help="an OpenAI-compatible endpoint; its key is RAG_LLM_API_KEY")
    group.addoption("--judge", help="a model at --judge-base-url that judges every answer as well")
    group.addoption("--judge-base-url", help="its OpenAI-compatible endpoint; --llm-base-url unless given")
    group.addoption("--bars", type=Path, help="bars for these questions (ours have eval/bars.toml)")
    group.addoption(
        "--compare", type=Path, nargs="?", const=BASELINE, help="fail where clearly worse than this baseline"
    )
    group.addoption("--save-baseline", type=Path, nargs="?", const=BASELINE, help="keep this run to compare with")
    group.addoption("--report", type=Path, default=REPORT, help="folder for report.json, report.md and report.html")


@dataclass
class Session:
    """What one `pytest eval/` is about; `evaluation` and `beside` are there once a test has asked for them."""

    settings: rag.Settings
    gold: GoldFile
    questions: Sequence[Question]
    bars: Sequence[Bar]
    baseline: Baseline | None
    judge: Chat | None
    families: set[Family] = field(default_factory=set)
    evaluation: Evaluation | None = None
    against: Baseline | None = None

    @cached_property
    def compared(self) -> dict[tuple[str, str], Comparison]:
        return compare(self.evaluation.figures, self.against) if self.evaluation and self.against else {}


_SESSION = pytest.StashKey[Session]()


def pytest_configure(config: pytest.Config) -> None:
    for name, what in _MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {what}")
    try:
        config.stash[_SESSION] = _session(config.option)
    except (GoldError, BarsError, BaselineError, ChatError) as error:
        _stop(error, USAGE)
    except rag.RagError as error:
        _stop(error, ENVIRONMENT)


def _stop(error: Exception, code: int) -> NoReturn:
    pytest.exit(str(error), returncode=code)


def _session(option: argparse.Namespace) -> Session:
    """Everything that can be wrong about the command line is told here, before anything is opened."""
    given = read_gold(option.gold)
    kinds = [kind for group in option.kind for kind in group.split(",") if kind]
    questions = sample(given, option.limit, kinds, option.seed)
    digest = hashlib.sha256(option.gold.read_bytes()).hexdigest()
    ours = option.gold.resolve() == GOLD
    chosen = {"llm": option.llm, "llm_base_url": option.llm_base_url, "documents": option.documents}
    settings = rag.Settings(**{name: value for name, value in chosen.items() if value is not None})
    bars = option.bars or (BARS if ours and len(questions) == len(given) else None)
    return Session(
        settings=settings,
        gold=GoldFile(option.gold.name, digest, len(given), option.limit, tuple(kinds), option.seed),
        questions=questions,
        bars=read_bars(bars) if bars else (),
        baseline=_saved(option, digest),
        judge=_judge(option, settings),
    )


def _judge(option: argparse.Namespace, settings: rag.Settings) -> Chat | None:
    if not option.judge:
        return None
    at = option.judge_base_url or settings.llm_base_url
    return chat_model(settings.model_copy(update={"llm": option.judge, "llm_base_url": at}))


def _saved(option: argparse.Namespace, digest: str) -> Baseline | None:
    """The baseline asked for, or the one beside our gold; a set without one is compared with nothing."""
    path = option.compare or (BASELINE if option.gold.resolve() == GOLD and BASELINE.exists() else None)
    if path is None:
        return None
    saved = baseline.load(path)
    if saved.gold == digest:
        return saved
    if option.compare:
        raise BaselineError(f"{path} is about other questions than {option.gold}; make it again with --save-baseline")
    return None


# -- what is asked -----------------------------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each bar, under the marker of its family."""
    if "bar" in metafunc.fixturenames:
        bars = metafunc.config.stash[_SESSION].bars
        marked = [
            pytest.param(bar, id=str(bar), marks=getattr(pytest.mark, BY_NAME[bar.metric].family)) for bar in bars
        ]
        metafunc.parametrize("bar", marked)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What nobody looks at is not run: `-m retrieval` asks no questions of the LLM."""
    marked = {marker.name for item in items for marker in item.iter_markers()}
    session = config.stash[_SESSION]
    session.families = {family for family in FAMILIES if family in marked}
    if session.families - {"retrieval"}:
        session.families.add("latency")


@pytest.fixture(scope="session")
def session(request: pytest.FixtureRequest) -> Session:
    return request.config.stash[_SESSION]


@pytest.fixture(scope="session")
def evaluation(
    request: pytest.FixtureRequest, session: Session, tmp_path_factory: pytest.TempPathFactory
) -> Evaluation:
    """The questions, asked once; a model at an endpoint beside the embedded one, on the same index."""
    index = request.config.option.index or tmp_path_factory.mktemp("evaluation") / "index"
    settings = session.settings.model_copy(update={"index_dir": index})
    session.against = session.baseline
    try:
        if settings.llm not in (EMBEDDED, "none"):
            embedded = settings.model_copy(update={"llm": EMBEDDED, "llm_base_url": None})
            with _progress(request.config, "the embedded model") as report:
                beside = evaluate(embedded, session.questions, session.families, session.judge, report)
            session.against = baseline.of(beside, beside.provenance["llm"], session.gold.sha256)
        with _progress(request.config, "asking") as report:
            session.evaluation = evaluate(settings, session.questions, session.families, session.judge, report)
    except GoldError as error:
        _stop(error, USAGE)
    except rag.RagError as error:
        _stop(error, ENVIRONMENT)
    return session.evaluation


@contextmanager
def _progress(config: pytest.Config, what: str) -> Iterator[Report]:
    """A bar on the real standard error where that is a terminal."""
    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, of: bar.update(task, completed=done, total=of)


# -- what is shown -----------------------------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    session = config.stash[_SESSION]
    if (evaluation := session.evaluation) is None:
        return
    title = f"{len(evaluation.rows)} questions of {session.gold.name} over {config.option.documents.name}"
    verdicts = {
        str(bar): verdict(bar, evaluation) for bar in session.bars if BY_NAME[bar.metric].family in session.families
    }
    against = f"against {session.against.name}" if session.against else ""
    terminalreporter.section(title)
    terminalreporter.write_line(" · ".join(f"{name} {value}" for name, value in evaluation.provenance.items()))
    terminalreporter.write_line(show.summary(evaluation, session.compared, against))
    for broken in filter(None, verdicts.values()):
        terminalreporter.write_line(f"✗ {broken}", red=True)
    around = record.surroundings(HERE.parent)
    if config.option.save_baseline:
        name = " at ".join(filter(None, [evaluation.provenance["llm"], around.commit]))
        baseline.save(baseline.of(evaluation, name, session.gold.sha256), config.option.save_baseline)
        terminalreporter.write_line(f"saved as the baseline: {config.option.save_baseline}")
    folder: Path = config.option.report
    folder.mkdir(parents=True, exist_ok=True)
    report = record.record(
        evaluation, session.gold, around, bars=session.bars, baseline=session.against, compared=session.compared
    )
    text = show.markdown(title, evaluation, session.compared, against, verdicts)
    (folder / "report.json").write_text(record.as_json(report), encoding="utf-8")
    (folder / "report.md").write_text(text, encoding="utf-8")
    (folder / "report.html").write_text(html.render(report), encoding="utf-8")
    trec.write(folder, evaluation.rows)
    terminalreporter.write_line(f"report: {folder / 'report.html'}")
