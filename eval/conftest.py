"""`pytest eval/`: ask the gold questions once, hold the figures to the bars, print and write the report."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import pytest
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import rag
from rag.terminal import one_line

from . import baseline, html, record, show, trec
from .bars import Bar, BarsError, read_bars, verdict
from .baseline import Baseline, BaselineError, compare
from .chat import Chat, ChatError, chat_model
from .evaluation import Evaluation, evaluate
from .gold import GoldError, Question, read_gold, sample
from .measures import ALL, BY_NAME, FAMILIES, Family
from .record import GoldFile
from .run import Report
from .show import Compared

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
    "latency": "how long answers take (no bar of ours is about that)",
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
    group.addoption("--llm", help="'none' (default), or 'embedded' or a model name, which is set beside quotes")
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
    beside: Evaluation | None = None

    @cached_property
    def against_baseline(self) -> Compared:
        return compare(self.evaluation.figures, self.baseline) if self.evaluation and self.baseline else {}

    @cached_property
    def shown_against(self) -> Baseline | None:
        """What the table compares with: the system beside, else the baseline."""
        if self.beside:
            return baseline.of(self.beside, self.beside.provenance["llm"], self.gold.sha256)
        return self.baseline

    @cached_property
    def compared(self) -> Compared:
        if not self.beside:
            return self.against_baseline
        return compare(self.evaluation.figures, self.shown_against) if self.evaluation and self.shown_against else {}


class OptionError(ValueError):
    """Options that do not go together; the message says what to do."""


_SESSION = pytest.StashKey[Session]()


def pytest_configure(config: pytest.Config) -> None:
    for name, what in _MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {what}")
    try:
        config.stash[_SESSION] = _session(config.option)
    except (GoldError, BarsError, BaselineError, ChatError, OptionError, rag.SettingsError) as error:
        _stop(error, USAGE)


def _stop(error: Exception, code: int) -> NoReturn:
    pytest.exit(str(error), returncode=code)


def _session(option: argparse.Namespace) -> Session:
    """Everything that can be wrong about the command line is told here, before anything is opened."""
    _fitting(option)
    given = read_gold(option.gold)
    kinds = [kind for group in option.kind for kind in group.split(",") if kind]
    questions = sample(given, option.limit, kinds, option.seed)
    digest = hashlib.sha256(option.gold.read_bytes()).hexdigest()
    ours = option.gold.resolve() == GOLD
    chosen = {"llm": option.llm, "llm_base_url": option.llm_base_url, "documents": option.documents}
    settings = rag.Settings(**{name: value for name, value in chosen.items() if value is not None})
    if settings.llm not in (EMBEDDED, "none") and not settings.llm_base_url:
        raise OptionError(f"'{settings.llm}' needs the address of its endpoint; give --llm-base-url")
    bars = option.bars or (BARS if ours and len(questions) == len(given) else None)
    return Session(
        settings=settings,
        gold=GoldFile(option.gold.name, digest, len(given), option.limit, tuple(kinds), option.seed),
        questions=questions,
        bars=_bars(bars, {question.kind for question in given}) if bars else (),
        baseline=_saved(option, digest),
        judge=_judge(option, settings),
    )


def _bars(path: Path, kinds: set[str]) -> list[Bar]:
    bars = read_bars(path)
    for bar in bars:
        if bar.kind not in (ALL, *kinds):
            raise BarsError(f"{path.name}: no question is of kind '{bar.kind}'; there are {', '.join(sorted(kinds))}")
    return bars


def _fitting(option: argparse.Namespace) -> None:
    """Raise OptionError where options do not go together, or a file could not be written in the end."""
    for name, needs in (("llm_base_url", "llm"), ("judge_base_url", "judge")):
        if getattr(option, name) and not getattr(option, needs):
            raise OptionError(f"--{name.replace('_', '-')} does nothing without --{needs}; name the model too")
    if option.judge in (EMBEDDED, "none"):
        raise OptionError(f"'{option.judge}' is no judge; name a model at --judge-base-url")
    if saved := option.save_baseline:
        if option.limit or option.kind or option.markexpr or option.keyword:
            raise OptionError("a baseline is of all questions and measures; leave out --limit, --kind, -m and -k")
        if saved == BASELINE and option.gold.resolve() != GOLD:
            raise OptionError("eval/baseline.json is about our own questions; give --save-baseline a file")
    for folder in (option.report.parent, *([option.save_baseline.parent] if option.save_baseline else [])):
        if not folder.resolve().is_dir():
            raise OptionError(f"the folder '{folder}' is not there; create it or name another")
    if option.report.is_file():
        raise OptionError(f"'{option.report}' is a file; name a folder for the report")
    if option.save_baseline and option.save_baseline.is_dir():
        raise OptionError(f"'{option.save_baseline}' is a folder; name a file for the baseline")


def _judge(option: argparse.Namespace, settings: rag.Settings) -> Chat | None:
    """The judge's key is its own: the LLM's goes to another address only where nothing says that it is another."""
    if not option.judge:
        return None
    at = option.judge_base_url or settings.llm_base_url
    if not at:
        raise OptionError(f"the judge '{option.judge}' needs an address; give --judge-base-url")
    same = at == settings.llm_base_url or not settings.llm_base_url
    key = SecretStr(os.environ.get("RAG_JUDGE_API_KEY", "")) or (settings.llm_api_key if same else None)
    return chat_model(settings.model_copy(update={"llm": option.judge, "llm_base_url": at, "llm_api_key": key}))


def _saved(option: argparse.Namespace, digest: str) -> Baseline | None:
    """The baseline asked for, or the one beside our gold; a set without one is compared with nothing."""
    path = option.compare or (BASELINE if option.gold.resolve() == GOLD and BASELINE.exists() else None)
    if path is None:
        return None
    try:
        saved = baseline.load(path)
    except BaselineError:
        if option.save_baseline and not option.compare:
            return None  # it is about to be made again
        raise
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
    session.bars = [bar for bar in session.bars if BY_NAME[bar.metric].family in session.families]


@pytest.fixture(scope="session")
def session(request: pytest.FixtureRequest) -> Session:
    return request.config.stash[_SESSION]


@pytest.fixture(scope="session")
def evaluation(
    request: pytest.FixtureRequest, session: Session, tmp_path_factory: pytest.TempPathFactory
) -> Evaluation:
    """The questions, asked once; a model beside quotes, on the same index."""
    index = request.config.option.index or tmp_path_factory.mktemp("evaluation") / "index"
    settings = session.settings.model_copy(update={"index_dir": index})
    judge = session.judge
    try:
        if settings.llm != "none":
            quotes = settings.model_copy(update={"llm": "none", "llm_base_url": None})
            with _progress(request.config, "in quotes") as report:
                session.beside = evaluate(quotes, session.questions, session.families, judge, report)
        with _progress(request.config, "asking") as report:
            session.evaluation = evaluate(settings, session.questions, session.families, judge, report)
    except GoldError as error:
        _stop(error, USAGE)
    except rag.RagError as error:
        _stop(error, ENVIRONMENT)
    return session.evaluation


@contextmanager
def _progress(config: pytest.Config, what: str) -> Iterator[Report]:
    """A bar on the real standard error where that is a terminal, else a line for every tenth of the questions."""
    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("reading the documents", total=None)

            def report(done: int, of: int) -> None:
                bar.update(task, completed=done, total=of)
                if not console.is_terminal and done * 10 // of > (done - 1) * 10 // of:
                    print(f"{what}: {done} of {of}", file=sys.stderr, flush=True)

            yield report


# -- what is shown -----------------------------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    session = config.stash[_SESSION]
    if (evaluation := session.evaluation) is None:
        return
    write = terminalreporter.write_line
    title = f"{len(evaluation.rows)} questions of {session.gold.name} over {config.option.documents.resolve().name}"
    verdicts = {str(bar): verdict(bar, evaluation) for bar in session.bars}
    against = f"against {session.shown_against.name}" if session.shown_against else ""
    if session.baseline and not session.beside and session.baseline.documents != evaluation.provenance["documents"]:
        against += " (over other documents)"
    if session.beside:
        terminalreporter.section(f"{title}: {session.beside.provenance['llm']}")
        write(show.summary(session.beside, {}))
    terminalreporter.section(title)
    write(" · ".join(f"{name} {value}" for name, value in evaluation.provenance.items()))
    if changed := show.changed_settings(evaluation.settings):
        write(f"settings other than the defaults: {changed}")
    write(show.summary(evaluation, session.compared, against))
    for line in show.failed(evaluation):
        write(one_line(line))
    if session.shown_against:
        for line in show.flips(evaluation, session.shown_against):
            write(one_line(line))
    if not session.bars:
        write("no bars: they are set for all of eval/gold.jsonl; give --bars for other questions")
    for said in filter(None, [show.notes(evaluation), *verdicts.values()]):
        write(f"✗ {one_line(said)}", red=True)
    try:
        _write(config.option, session, title, verdicts, against)
    except OSError as error:
        write(f"✗ {error.filename} cannot be written ({error.strerror}); make room or name another folder", red=True)
        return
    if config.option.save_baseline:
        write(f"saved as the baseline: {config.option.save_baseline}")
    write(f"report: {config.option.report / 'report.html'}")


def _write(option: argparse.Namespace, session: Session, title: str, verdicts: dict[str, str], against: str) -> None:
    """The report, and the baseline where one is wanted."""
    assert session.evaluation
    evaluation, folder = session.evaluation, option.report
    around = record.surroundings(HERE.parent)
    report = record.record(
        evaluation,
        session.gold,
        around,
        bars=session.bars,
        baseline=session.shown_against,
        compared=session.compared,
        beside=session.beside,
    )
    text = show.markdown(title, evaluation, session.compared, against, verdicts)
    folder.mkdir(exist_ok=True)
    (folder / "report.json").write_text(record.as_json(report), encoding="utf-8")
    (folder / "report.md").write_text(text, encoding="utf-8", errors="backslashreplace")
    (folder / "report.html").write_text(html.render(report), encoding="utf-8")
    trec.write(folder, evaluation.rows)
    if option.save_baseline:
        name = " at ".join(filter(None, [evaluation.provenance["llm"], around.commit]))
        baseline.save(baseline.of(evaluation, name, session.gold.sha256), option.save_baseline)
