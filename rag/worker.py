"""The process in which files are parsed: `python -m rag.worker MEGABYTES`, started and spoken to by `sandbox` only.

It reads one request a line from its standard input and answers each with a line of JSON; after the line of a document
come the bytes of its text. It ends when its input does, which is when its parent ends, however that happened. A file
may be hostile: this process has limits, and it imports neither models nor the store.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from .documents import read_file
from .errors import DocumentUnreadable

READY: Final = b"ready\n"
OUT_OF_MEMORY: Final = 77  # exit status: what is left of this process is not worth keeping


def main() -> None:
    """Answers requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    logging.disable()
    warnings.simplefilter("ignore")
    replies = own_output()
    _limit_memory(int(sys.argv[1]) * 1_000_000)
    replies.write(READY)
    replies.flush()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _limit_time(request["seconds"])
        try:
            header, text = _answer(request)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        replies.write(json.dumps(header).encode() + b"\n")
        replies.write(text)
        replies.flush()


def _answer(request: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    source = request["source"]
    try:
        document = read_file(Path(request["path"]), root="", source=source, max_bytes=request["max_bytes"])
    except DocumentUnreadable as error:
        return {"failure": str(error)}, b""
    if sys.getsizeof(document.text) > request["max_text"]:
        allowed = f"{request['max_text'] / 1e6:g} MB allowed"
        return {"failure": f"{source} has more text than the {allowed}; raise text_megabytes or split the file"}, b""
    text = document.text.encode()
    fields = {name: getattr(document, name) for name in ("title", "media_type", "sha256", "pages")}
    return fields | {"bytes": len(text)}, text


def own_output() -> BinaryIO:
    """Standard output, for replies alone: what a library prints goes nowhere."""
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return replies


def _limit_memory(size: int) -> None:
    """Where the platform can; on others (Windows, partly macOS) only the limits on time and text hold."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        allowed = size if hard == resource.RLIM_INFINITY else min(size, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))


def _limit_time(seconds: float) -> None:
    """Of computing, for the next file: the parent that watches the clock may be gone or stopped."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        until = math.ceil(time.process_time() + seconds)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


if __name__ == "__main__":
    main()
