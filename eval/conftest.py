"""`pytest eval/`: ask the gold questions once, test the figures, print them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import rag

from .gold import Question, read_gold
from .metrics import table
from .run import Row, ask_all, figures

HERE = Path(__file__).parent
GOLD = HERE / "gold.jsonl"
_ROWS = pytest.StashKey[list[Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("evaluation")
    group.addoption("--gold", type=Path, default=GOLD, help="gold questions, the schema of eval/README.md")
    group.addoption("--documents", type=Path, default=HERE.parent / "seeds", help="the documents they are about")
    group.addoption("--llm", default=None, help="'embedded' (default), 'none', or a model name at RAG_LLM_BASE_URL")
    group.addoption("--show-failures", action="store_true", help="print every question that failed, with its answer")


@pytest.fixture(scope="session")
def assistant(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[rag.Assistant]:
    options = {"llm": request.config.option.llm} if request.config.option.llm else {}
    settings = rag.Settings(
        documents=request.config.option.documents, index_dir=tmp_path_factory.mktemp("index"), **options
    )
    with rag.Assistant.open(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def texts(assistant: rag.Assistant) -> dict[str, str]:
    """The documents' texts by file name, as the assistant indexed them."""
    return {Path(d.source).name: assistant.document(d.id).text for d in assistant.documents()}


@pytest.fixture(scope="session")
def gold(request: pytest.FixtureRequest, texts: dict[str, str]) -> list[Question]:
    return read_gold(request.config.option.gold, texts)


@pytest.fixture
def our_gold(request: pytest.FixtureRequest, assistant: rag.Assistant) -> None:
    """The bars are about our questions with the default LLM."""
    if request.config.option.gold != GOLD or request.config.option.llm:
        pytest.skip("bars are set for the default questions and settings")
    assert assistant.model != "none", "the language model is not on this machine; run 'rag models pull'"


@pytest.fixture(scope="session")
def rows(request: pytest.FixtureRequest, assistant: rag.Assistant, gold: list[Question]) -> list[Row]:
    request.config.stash[_ROWS] = ask_all(assistant, gold)
    return request.config.stash[_ROWS]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(_ROWS, None)
    if not rows:
        return
    terminalreporter.section("answers, citations, refusals: mean [95 % interval]")
    terminalreporter.write_line(f"model: {rows[0].answer.model}")
    terminalreporter.write_line(table(figures(rows)))
    if config.option.show_failures:
        for row in rows:
            if row.question.answerable != row.contains or row.question.answerable == row.answer.refused:
                terminalreporter.write_line(_failure(row))


def _failure(row: Row) -> str:
    wanted = row.question.answers or "to be refused"
    return (
        f"\n{row.question.id} ({row.question.kind}) {row.question.question}\n"
        f"  wanted: {wanted}\n  answer ({row.answer.mode}, {row.answer.confidence:.2f}): {row.answer.text}"
    )
