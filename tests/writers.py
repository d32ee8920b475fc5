"""What tests of the writer share: what it says, and a script in an interpreter of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

from rag.llm import Writer


def text_of(writer: Writer, user: str = "Hello", max_tokens: int = 20) -> str:
    return "".join(writer.stream("Be brief.", user, max_tokens=max_tokens))


def python(code: str, *, send: signal.Signals | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script in a fresh interpreter; `send` is sent when it has printed its first line."""
    script = "from rag.llm import open_writer\nfrom rag.settings import Settings\n" + textwrap.dedent(code)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    first = ""
    if send:
        assert process.stdout
        first = process.stdout.readline()
        process.send_signal(send)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(code, process.returncode, first + out, err)
