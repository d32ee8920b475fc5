"""What the command line shows: coloured and wrapped on a terminal, plain and unwrapped in a pipe.

Text from documents is shown literally: rich's markup is off, and control characters become visible ones.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import textwrap
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from .errors import RagError
from .terms import around
from .types import Answer, Document, Hit, Passage

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Part = str | tuple[str, str]  # text, or text and its style
_Lookup = Callable[[int], Document]

_SHORT = 240  # characters of a passage that is shown to be recognised, not to be read
_NOT_SHOWN = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(0x80, 0xA0), *range(0xD800, 0xE000))}
_CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: "\u2421"}
_HARMLESS = _NOT_SHOWN | _CONTROL_PICTURES
_ESCAPED_IN_JSON = re.compile("[\x7f-\x9f\ud800-\udfff]")  # the rest of the control characters json escapes itself


def harmless(text: str) -> str:
    """`text` without anything that a terminal obeys: ESC becomes "␛". Line breaks and tabs stay."""
    return text.translate(_HARMLESS)


def one_line(text: str) -> str:
    """`text` as it may stand inside a line: harmless, white space of any kind a single blank."""
    return harmless(" ".join(text.split()))


def complain(text: str) -> None:
    """One line on stderr."""
    print(f"rag: {one_line(text)}", file=sys.stderr)


def print_json(value: Any) -> None:
    """One JSON text in UTF-8, and nothing else."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    print(_ESCAPED_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


class WarningLines(logging.Handler):
    """Warnings of the library, and what it waits for, as plain lines on stderr, wherever that points just then."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[tuple[str, str]] | None = None  # what could not be read (a file, a line …), and its warning

    def emit(self, record: logging.LogRecord) -> None:
        unread = getattr(record, "unread", "folder")
        if record.levelno < logging.WARNING:
            complain(record.getMessage())
        elif self._held is not None and unread != "folder":
            self._held.append((unread, record.getMessage()))
        else:
            complain(f"warning: {record.getMessage()}")

    @contextmanager
    def summed_up(self) -> Iterator[None]:
        """Say of files that could not be read meanwhile how many they are, if there are several.

        What cannot be read of a whole folder is always said.
        """
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if len(held) > 1:
                what = "files or lines of files" if any(kind == "line" for kind, _ in held) else "files"
                complain(f"warning: {len(held):,} {what} cannot be read; 'rag doctor' lists them")
            else:
                for _, told in held:
                    complain(f"warning: {told}")


@contextmanager
def waiting(text: str) -> Iterator[Callable[[str], None]]:
    """Show on stderr, if it is a terminal, that something goes on; the yielded function changes the text."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.text import Text

    with console(stderr=True).status(Text(text, "dim")) as status:
        yield lambda changed: status.update(Text(changed, "dim"))


def typed_lines() -> Iterator[str]:
    """What is typed (or piped in), line by line, until it ends or says 'exit'; empty lines are passed over."""
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    if interactive:
        with suppress(ImportError):
            import readline  # noqa: F401  # arrow keys and history in input()
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    while True:
        try:
            line = input("? " if interactive else "").strip()
        except EOFError:
            if interactive:
                print()
            return
        if line.lower() in ("exit", "quit"):
            return
        if line:
            yield line


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    # With NO_COLOR rich still writes bold and dim: codes, too.
    return Console(stderr=stderr, color_system=None) if console.no_color else console


class Screen:
    """stdout, for people to read."""

    @cached_property
    def _terminal(self) -> Console | None:
        return console() if sys.stdout.isatty() else None

    @property
    def is_terminal(self) -> bool:
        return self._terminal is not None

    def line(self, *parts: Part, indent: int = 0) -> None:
        """Print parts on a line of their own; line breaks inside keep the indent."""
        if self._terminal is None:
            text = "".join(part if isinstance(part, str) else part[0] for part in parts)
            print(textwrap.indent(harmless(text), " " * indent))
            return
        from rich.padding import Padding

        line = _text(*parts)
        self._terminal.print(Padding(line, (0, 0, 0, indent), expand=False) if indent else line)

    def rows(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; in a pipe its cells are separated by tabs, without the header."""
        if self._terminal is None:
            for row in rows:
                print("\t".join(one_line(cell) for cell in row))
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(*header, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*(Text(one_line(cell), overflow="fold") for cell in row))
        self._terminal.print(table)

    def last(self, answers: Iterator[Answer]) -> Answer:
        """Return the last of these cumulative Answers; on a terminal each is shown until the next one comes."""
        if self._terminal is None:
            *_, answer = answers
            return answer
        from rich.live import Live

        with Live(_text(("searching …", "dim")), console=self._terminal, transient=True, auto_refresh=False) as live:
            for answer in answers:
                live.update(_text(answer.text), refresh=True)
        return answer

    def answer(self, answer: Answer, document: _Lookup) -> None:
        """Print an answer with its citations as footnotes, or a refusal with the nearest passages."""
        if answer.standalone_question != answer.question:
            self.line((f"understood as: {one_line(answer.standalone_question)}", "dim"))
        before, short, after = around(answer.text, answer.short)
        self.line(before, (short, "bold"), after)
        if answer.refused:
            self.line((f"Why: {answer.reason}.", "dim"))
        for citation in answer.citations:
            self.line()
            self.line((f"[{citation.marker}]", "bold cyan"), f" {place(citation.passage, document, citation.start)}")
            self.line((citation.quote, "italic"), indent=4)
        if answer.nearest:
            self.line()
            self.line(("Nearest passages:", "bold"))
            for passage in answer.nearest:
                self.line(place(passage, document), indent=2)
                self.line((_shortened(passage.text), "dim"), indent=4)
        if answer.notes:
            self.line()
        for note in answer.notes:
            self.line((f"Note: {one_line(note)}", "dim"))

    def explanation(self, answer: Answer, hits: Sequence[Hit], refuse_below: float, document: _Lookup) -> None:
        """Print how the answer came about."""
        timings = ", ".join(f"{step} {seconds:.3f} s" for step, seconds in answer.timings.items())
        facts = {
            "standalone question": one_line(answer.standalone_question),
            "confidence": f"{answer.confidence:.3f} (refused below {refuse_below:.3f})",
            "mode": answer.mode,
            "model": answer.model,
            "time": timings or "none to speak of",
        }
        self.line()
        self.line(("How it came about", "bold"))
        for name, value in facts.items():
            self.line((f"{name}: ", "dim"), value, indent=2)
        self.line((f"passages searched: {len(hits)}", "dim"), indent=2)
        self.hits(hits, document, indent=4)
        self.line((f"sentences dropped: {len(answer.dropped)}", "dim"), indent=2)
        for dropped in answer.dropped:
            self.line(f"{one_line(dropped.text)} ({one_line(dropped.reason)})", indent=4)

    def hits(self, hits: Sequence[Hit], document: _Lookup, indent: int = 0) -> None:
        """Print search results, best first."""
        for hit in hits:
            self.line((f"{hit.score:.4f}", "bold cyan"), f"  {place(hit.passage, document)}", indent=indent)
            self.line((_shortened(hit.passage.text), "dim"), indent=indent + 4)


def place(passage: Passage, document: _Lookup, start: int | None = None) -> str:
    """Where `start` (else the passage) stands: "title — source, line 3", or the page where there are pages.

    An uploaded document is said to be one, whatever it calls itself.
    """
    start = passage.start if start is None else start
    name = " — ".join(dict.fromkeys(one_line(part) for part in (passage.title, passage.source) if part))
    name = f"{name}, uploaded" if passage.uploaded else name
    try:
        found = document(passage.document_id)
    except RagError:  # replaced or removed by another process since it was searched
        return name
    if found.text[passage.start : passage.end] != passage.text:
        return name
    if found.pages:
        return f"{name}, page {bisect_right(found.pages, start)}"
    line = 1 + found.text.count("\n", 0, start)
    return f"{name}, line {line}"


def _shortened(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _SHORT else f"{line[:_SHORT].rpartition(' ')[0] or line[:_SHORT]} …"


def _text(*parts: Part) -> Text:
    from rich.text import Text

    return Text.assemble(*(harmless(p) if isinstance(p, str) else (harmless(p[0]), p[1]) for p in parts))
