"""An Assistant that opens in the background, so that the page is there before the index is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..errors import RagError, StoreUnavailable
from .line import ASIDE_AT_ONCE, ASIDE_WAITING, AT_ONCE, WAITING, Line
from .outages import Outages

if TYPE_CHECKING:
    from ..assistant import Assistant
    from ..ingest import Progress, Report

logger = logging.getLogger(__name__)

Status = Literal["starting", "ready", "failed"]
Opener = Callable[["Report"], "Assistant"]

_UNOPENED = "the index could not be opened; the terminal says why"
_UNREACHED = "the index cannot be reached (the server's log says why); it is tried again and again"
_AGAIN_S = 5.0  # until then; a database may be started after this server
_STOP_SECONDS = 30  # that an ingest may take to store the batch at hand


@dataclass(frozen=True, slots=True)
class _State:
    """Replaced as a whole, so that no thread sees half of a change."""

    status: Status
    line: str = ""
    assistant: Assistant | None = None


def _lines(outages: Outages) -> tuple[Line, Line, Line]:
    """`queue`, `aside` and `asking` of an Opening. Each question needs one place in the last, also who is refused."""
    places = ((AT_ONCE, WAITING), (ASIDE_AT_ONCE, ASIDE_WAITING), (ASIDE_AT_ONCE, 2 * (AT_ONCE + WAITING)))
    queue, aside, asking = (Line(*each, outages.translated) for each in places)
    return queue, aside, asking


class Opening:
    """Holds an Assistant that is being opened, is open, or could not be opened. Safe between threads.

    `queue` is the line in which all wait who want something of it; `aside` one for what a page does beside answers:
    drawing, exporting and judging. That takes moments, and waits for no LLM. `asking` is one for what a question needs
    of that: whoever has a place in `queue`, or waits for one, is refused nothing there. `outages` are for what does not
    go through a line.

    >>> with Opening(lambda report: Assistant.open(settings, report=report)) as opening:
    ...     opening.wait()
    ...     opening.assistant.count()
    """

    def __init__(self, opener: Opener) -> None:
        self.outages = Outages()
        self.queue, self.aside, self.asking = _lines(self.outages)
        self._state = _State("starting", "the index is being opened")
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = threading.Thread(
            target=self._run, args=(opener,), name="opening", daemon=True
        )
        self._thread.start()

    @classmethod
    def of(cls, assistant: Assistant | Opening) -> Opening:
        """One around an Assistant that is open; its owner closes it."""
        if isinstance(assistant, cls):
            return assistant
        opening = cls.__new__(cls)
        opening.outages = Outages()
        opening.queue, opening.aside, opening.asking = _lines(opening.outages)
        opening._state = _State("ready", assistant=assistant)  # type: ignore[arg-type]
        opening._thread = None
        return opening

    @property
    def status(self) -> Status:
        """How far it is."""
        return self._state.status

    @property
    def line(self) -> str:
        """What to tell somebody who waits: how far it is, or why it failed; empty when it is ready."""
        return self._state.line

    @property
    def assistant(self) -> Assistant:
        """The open Assistant. Raises RagError, with the line to show, when there is none (yet)."""
        state = self._state
        if state.assistant is None:
            raise RagError(state.line if state.status == "failed" else f"{state.line}; ask again in a moment")
        return state.assistant

    def wait(self, seconds: float | None = None) -> None:
        """Until it is ready or has failed, `seconds` at most."""
        if self._thread:
            self._thread.join(seconds)

    def close(self) -> None:
        """Close the Assistant; what is still being ingested stops when the batch at hand is stored."""
        if self._thread is None:
            return
        with self._lock:
            self._closing.set()
        self._thread.join(_STOP_SECONDS)
        if assistant := self._state.assistant:
            self._state = _State("failed", "the server is stopping; start it again")
            assistant.close()

    def __enter__(self) -> Opening:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- in the thread ---------------------------------------------------------------------------------------------

    def _run(self, opener: Opener) -> None:
        self._open(opener)
        while self._state.status == "starting" and not self._closing.wait(_AGAIN_S):
            self._open(opener)

    def _open(self, opener: Opener) -> None:
        try:
            assistant = opener(self._report)
        except KeyboardInterrupt:  # from _report
            self._state = _State("failed", "the server is stopping; start it again")
        except StoreUnavailable as error:  # also one that refuses: who runs the database may be mending it
            self.outages.told(error)
            self._state = _State("starting", _UNREACHED)
        except RagError as error:
            self._state = _State("failed", str(self.outages.told(error)))
            logger.error("%s", error)
        except Exception:  # in a thread of its own nobody would hear of it, and the page would wait for ever
            self._state = _State("failed", _UNOPENED)
            logger.exception("opening the index broke")
        else:
            self._settle(assistant)

    def _settle(self, assistant: Assistant) -> None:
        with self._lock:
            self._state = _State("ready", assistant=assistant)
            closing = self._closing.is_set()
        if not closing:
            with suppress(RagError):  # the first question tells
                assistant.warm_up()

    def _report(self, now: Progress) -> None:
        if self._closing.is_set():
            raise KeyboardInterrupt  # as Ctrl-C does: an ingest stops between two batches
        self._state = _State("starting", f"the index is being made: {now.documents:,} of {now.total:,} documents read")
