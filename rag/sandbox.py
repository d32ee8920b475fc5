"""Files are parsed in a process of their own, with limits on memory, time and text: a hostile one costs only itself.

The process starts with the first file that needs it and serves all that follow; one that a file has killed, or that had
to be killed, is replaced for the next file. Small text files are read here: decoding them is safe, and faster.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from .documents import SUFFIXES, read_file
from .errors import DocumentUnreadable
from .formats.kinds import MARKDOWN, TEXT
from .settings import Settings
from .types import Document
from .worker import OUT_OF_MEMORY, READY

_SMALL_BYTES: Final = 1_000_000
_HEADER_BYTES: Final = 10_000_000  # of a reply: mostly the page map
_ELSEWHERE = "convert it to .txt or .md and try again"


class Sandbox:
    """Reads files as `read_file` does, with the limits of the settings.

    Use it in a `with`: leaving it ends the process, and it may be entered again. Not for several threads at once.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._max_bytes = int(settings.file_megabytes * 1_000_000)
        self._max_text = int(settings.text_megabytes * 1_000_000)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None else self._process.pid

    def read(self, path: Path, *, root: str, source: str) -> Document:
        """The document at `path`.

        Raises `DocumentUnreadable`, when the file exceeds a limit or stops the process too.
        """
        media_type = SUFFIXES.get(path.suffix.lower(), TEXT)
        if media_type in (TEXT, MARKDOWN) and _is_at_most(path, _SMALL_BYTES):
            return read_file(path, root=root, source=source, max_bytes=self._max_bytes)
        header, text = self._exchange(path, source)
        if "failure" in header:
            raise DocumentUnreadable(header["failure"])
        return Document(
            root=root,
            source=source,
            title=header["title"],
            media_type=header["media_type"],
            sha256=header["sha256"],
            text=text.decode(),
            pages=tuple(header["pages"]),
        )

    def _exchange(self, path: Path, source: str) -> tuple[dict[str, Any], bytes]:
        """Sends a request and waits for the reply, killing the process when its time is over."""
        request = {
            "path": str(path.absolute()),
            "source": source,
            "max_bytes": self._max_bytes,
            "max_text": self._max_text,
            "seconds": self._settings.read_seconds,
        }
        process = self._running(source)
        late = threading.Event()
        timer = threading.Timer(self._settings.read_seconds, _kill, (process, late))
        timer.start()
        try:
            reply = _ask(process, json.dumps(request).encode() + b"\n", self._max_text)
        except BaseException:  # Ctrl-C: the reply would be taken for that of the next file
            self._stop()
            raise
        finally:
            timer.cancel()
            timer.join()
        if reply is None or late.is_set():
            status = self._stop()
        if reply is None:
            raise DocumentUnreadable(f"{source} {self._why(status, late.is_set())}")
        return reply

    def _running(self, source: str) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._stop()  # something else has ended it
        if self._process is None:
            try:
                self._process = _start(self._settings.read_megabytes)
            except OSError as error:
                reason = f"no process can be started for it ({error.strerror or error})"
                raise DocumentUnreadable(f"{source} cannot be read: {reason}; close programs and try again") from error
            if _pipe(self._process.stdout).readline(len(READY)) != READY:
                self._stop()
                raise DocumentUnreadable(
                    f"{source} cannot be read: the process that reads files does not start; raise read_megabytes, or "
                    "install rag-quoted again"
                )
        return self._process

    def _stop(self) -> int:
        """Ends the process and tells its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(OSError):
            _pipe(process.stdin).close()  # it flushes
        _pipe(process.stdout).close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=0.1)  # one that failed by itself has a status that says how
        process.kill()
        return process.wait()

    def _why(self, status: int, late: bool) -> str:
        if late or -status == _SIGXCPU:
            return f"takes longer than {self._settings.read_seconds:g} s to read; raise read_seconds, or {_ELSEWHERE}"
        if status == OUT_OF_MEMORY:
            needs = f"needs more than {self._settings.read_megabytes} MB of memory to be read"
            return f"{needs}; raise read_megabytes, split the file, or {_ELSEWHERE}"
        return f"has stopped the process that read it; it is damaged or made to do so: {_ELSEWHERE}"


if sys.platform == "win32":
    _SIGXCPU = 0
else:
    from signal import SIGXCPU as _SIGXCPU


def _start(megabytes: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.worker", str(megabytes)],
        cwd=Path(__file__).parent.parent,  # of all packages of this name, this one
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal goes to the parent alone
    )


def _ask(process: subprocess.Popen[bytes], request: bytes, max_text: int) -> tuple[dict[str, Any], bytes] | None:
    """Header and text of the reply, or None when the process ended before it was complete."""
    replies = _pipe(process.stdout)
    try:
        _pipe(process.stdin).write(request)
        _pipe(process.stdin).flush()
    except OSError:
        return None
    try:
        header = json.loads(replies.readline(_HEADER_BYTES))
    except ValueError:
        return None
    size = header.get("bytes", 0)
    if size > 2 * max_text:  # UTF-8 has at most two bytes for what takes one in memory
        return None
    text = replies.read(size)
    return (header, text) if len(text) == size else None


def _kill(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    assert end is not None  # all processes here are started with pipes
    return end


def _is_at_most(path: Path, size: int) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= size
    except OSError:
        return False
