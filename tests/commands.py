"""The `rag` command for tests that come in by it, and a document to ask."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from rag.cli import app

WALRUS = "The walrus Herbert lives in the harbour of Bergen.\nIts keeper is Ada Lovelace, who feeds it every morning.\n"


def rag(*arguments: object, typed: str | None = None) -> Result:
    """What the command does in this process; `typed` is its standard input."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed, prog_name="rag")
