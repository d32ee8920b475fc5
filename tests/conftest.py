"""What several test modules share. The network is cut by pytest-socket: see `addopts` in pyproject.toml."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_samples import open_store

from rag.assistant import Assistant
from rag.embedding import PackagedEncoder
from rag.settings import Settings
from rag.store import Location, Store


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> Iterator[None]:
    """Tests see neither the developer's RAG_ settings (but for where the weights are) nor an OpenAI key."""
    foreign = [name for name in os.environ if name.startswith(("RAG_", "OPENAI_")) and name != "RAG_CACHE_DIR"]
    with pytest.MonkeyPatch.context() as patch:
        for name in foreign:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def seeds() -> Path:
    """The documents that are indexed by default."""
    return Path(__file__).parents[1] / "seeds"


@pytest.fixture(scope="session")
def encoder() -> PackagedEncoder:
    """The packaged MiniLM."""
    return PackagedEncoder()


@pytest.fixture(scope="session")
def seed_assistant(seeds: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    """An Assistant over the seeds that answers in quotes. Read only: all tests share it."""
    settings = Settings(documents=seeds, index_dir=tmp_path_factory.mktemp("seeds") / "index", llm="none")
    with Assistant.open(settings) as assistant:
        yield assistant


@pytest.fixture
def store(location: Location) -> Iterator[Store]:
    """A new one at `location`, a fixture of the module that asks for it."""
    with open_store(location) as store:
        yield store


if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # a shell starts jobs in the background so, and children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
