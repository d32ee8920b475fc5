"""What the README says that other programs may do: each of its snippets, run as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from rag.assistant import Assistant
from rag.settings import Settings
from rag.web import serve

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
HEAD = "Abdel Wahab Al-Saadi as a head of the Counter-Terrorism Service"


@pytest.fixture(scope="module")
def url(seeds: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    index = tmp_path_factory.mktemp("readme") / "index"
    settings = Settings(documents=seeds, index_dir=index, llm="none")
    with Assistant.open(settings) as assistant, serve(assistant, port=0, mcp=True) as server:
        yield server.address.rstrip("/")


def snippet(says: str) -> str:
    """The only Python of the README that holds `says`."""
    (found,) = (code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if says in code)
    return str(found)


def said(url: str, *command: str) -> str:
    """What a command prints that would ask the page where the README says it is."""
    assert "http://127.0.0.1:7860" in command[-1]
    done = subprocess.run(
        [*command[:-1], command[-1].replace("http://127.0.0.1:7860", url)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"GRADIO_ANALYTICS_ENABLED": "False"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_curl(url: str) -> None:
    if not (shutil.which("curl") and shutil.which("bash")):
        pytest.skip("curl is not on PATH")
    commands = re.search(r"takes two steps:\n\n((?:    .*\n)+)", README)
    assert commands is not None
    events = said(url, "bash", "-euc", dedent(commands[1]))
    assert "event: generating" in events
    assert HEAD in events.partition("event: complete")[2]


def test_gradio_client(url: str) -> None:
    printed = said(url, sys.executable, "-c", snippet("gradio_client"))
    assert HEAD in printed
    assert "Iran" in printed
    assert "notes.md" in printed.splitlines()[-1]


def test_openai(url: str) -> None:
    printed = said(url, sys.executable, "-c", snippet("from openai"))
    assert printed.count("\nSources:\n[1] “") == 2
    assert printed.count(HEAD) >= 3


def test_mcp(url: str) -> None:
    tools, text = said(url, sys.executable, "-c", snippet("from mcp")).splitlines()
    assert tools == "['ask', 'search', 'documents', 'ingest']"
    assert "Iran" in text
