"""How far an ingest is, for whoever waits for it; and Ctrl-C without half a batch."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from .terminal import complain, console

if TYPE_CHECKING:
    from .ingest import Progress, Report

_SECONDS_BETWEEN_LINES = 10


@contextmanager
def progress(what: str) -> Iterator[Report]:
    """Show on stderr how far an ingest is: a bar on a terminal, a line now and then in a pipe.

    Ctrl-C is heard between documents only, so that what is being stored is stored whole; a second one at once.
    """
    with _Patience() as patience, _bar(what) if sys.stderr.isatty() else _lines(what) as show:

        def report(now: Progress) -> None:
            show(now)
            patience.check()

        yield report


class _AtOnce(KeyboardInterrupt):
    """The second Ctrl-C: nothing is stored first."""


class _Patience:
    """From the first `check` on, Ctrl-C raises KeyboardInterrupt at the next one only, or when it is pressed again."""

    def __init__(self) -> None:
        self._before: Any = None
        self._pressed = False

    def check(self) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        if self._before is None:
            with suppress(ValueError):  # not the main thread: nobody presses anything
                self._before = signal.signal(signal.SIGINT, self._press)

    def _press(self, *_: object) -> None:
        if self._pressed:
            raise _AtOnce
        self._pressed = True
        complain("stopping when this batch is stored; Ctrl-C again stops at once")

    def __enter__(self) -> _Patience:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self._pressed:
            complain("stopped: what was stored is whole; the same command goes on from here")
            if kind is None:  # pressed after the last document: there was nothing left to stop but the command
                raise KeyboardInterrupt


@contextmanager
def _bar(what: str) -> Iterator[Report]:
    from rich import progress as bars

    columns = (
        bars.SpinnerColumn(),
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.TextColumn("{task.fields[counts]}"),
        bars.TimeRemainingColumn(compact=True),
    )
    with bars.Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, counts="…")
        started = time.monotonic()

        def show(now: Progress) -> None:
            bar.update(task, completed=now.documents, total=now.total, counts=_counts(now, time.monotonic() - started))

        yield show


@contextmanager
def _lines(what: str) -> Iterator[Report]:
    started = told = time.monotonic()

    def show(now: Progress) -> None:
        nonlocal told
        if time.monotonic() - told > _SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            complain(f"{what}: {_counts(now, told - started)}")

    yield show


def _counts(now: Progress, seconds: float) -> str:
    speed = f", {now.passages / seconds:,.0f} passages/s" if now.passages and seconds > 0 else ""
    return f"{now.documents:,} of {max(now.total, now.documents):,} documents, {now.changed:,} new or changed{speed}"
