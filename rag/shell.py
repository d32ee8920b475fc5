"""Between the `rag` command and the shell that calls it: exit codes, streams, one plain line for each error."""

from __future__ import annotations

import atexit
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from .errors import QuestionInvalid, RagError
from .terminal import complain

OK, NOT_FOUND, USAGE, ENVIRONMENT = range(4)
INTERRUPTED = 130  # 128 + SIGINT, and 128 + SIGPIPE: as the shell would say it
NOBODY_READS = 141
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Border(TyperGroup):
    """Where errors become one line on stderr and an exit code; no traceback passes."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _in_one_line():  # --help and --version print here
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _in_one_line():
            return super().invoke(ctx)


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # here, where what cannot be written can still be met
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _write_nothing_more()
        raise typer.Exit(NOBODY_READS) from None
    except QuestionInvalid as error:
        complain(str(error))
        raise typer.Exit(USAGE) from error
    except RagError as error:
        complain(str(error))
        raise typer.Exit(ENVIRONMENT) from error
    except Exception as error:
        its_own = isinstance(error, typer.Abort) or hasattr(error, "exit_code")  # typer prints these
        if its_own or sys.flags.dev_mode:
            raise
        if isinstance(error, OSError) and error.errno in _NO_ROOM and error.filename is None:
            # Standard output: where a file of ours has no room, it is a RagError that names it.
            _write_nothing_more()
            complain(f"the output cannot be written ({error.strerror}); make room, or send it elsewhere")
        else:
            complain(
                f"unexpected {type(error).__name__}: {error}; this is a bug: please report it with what "
                "'python -X dev -P -m rag.cli' prints in place of 'rag'"
            )
        raise typer.Exit(ENVIRONMENT) from error


def _write_nothing_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be flushed


def open_closed_streams() -> None:
    """Put nothing where a stream is closed ('>&-', a service): else the next file that is opened takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - until the process ends


def leave(code: object) -> None:
    """End this process at once: giving back piece by piece what models and modules hold takes a quarter of a second.

    What was begun is over or can be cut off by now, as by a kill. What cannot be written any more is left to Python,
    which says so.
    """
    if not isinstance(code, int):
        return
    with suppress(OSError):
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        atexit._run_exitfuncs()
        os._exit(code)
