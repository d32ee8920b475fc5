"""`rag.ask`: the shortcut around one kept Assistant per settings."""

from __future__ import annotations

import atexit
import threading
from typing import Any

from .assistant import Assistant
from .settings import Settings
from .types import Answer

_open: dict[Settings, Assistant] = {}
_lock = threading.Lock()


def ask(question: str, settings: Settings | None = None, **options: Any) -> Answer:
    """Answer one question; `options` are those of `Assistant.ask`.

    The Assistant stays open for the next call with equal settings, until the process ends.
    """
    settings = settings or Settings()
    with _lock:
        if settings not in _open:
            _open[settings] = Assistant.open(settings)
        assistant = _open[settings]
    return assistant.ask(question, **options)


@atexit.register
def _close() -> None:
    for assistant in _open.values():
        assistant.close()
