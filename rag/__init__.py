"""Question answering over your own documents: every sentence backed by an exact quote, or an honest refusal.

>>> import rag
>>> print(rag.ask("When was the bridge built?").text)

Names are loaded on use, so that `import rag` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assistant import Assistant
    from .errors import (
        ClusterUnavailable,
        DocumentsNotFound,
        DocumentUnreadable,
        EmbeddingUnavailable,
        IndexDamaged,
        IndexLocked,
        IndexMismatch,
        LLMUnavailable,
        ModelDownloadFailed,
        ModelMissing,
        PromptError,
        QuestionInvalid,
        RagError,
        SettingsError,
        StoreUnavailable,
        StoreUnreachable,
    )
    from .oneshot import ask
    from .settings import Settings
    from .types import Answer, Citation, Document, Dropped, Failure, Hit, IngestReport, Message, Passage, Sentence

_HOME = {
    "Assistant": "assistant",
    "Settings": "settings",
    "ask": "oneshot",
    **dict.fromkeys(
        (
            "Answer", "Citation", "Document", "Dropped", "Failure", "Hit", "IngestReport", "Message", "Passage",
            "Sentence",
        ),
        "types",
    ),
    **dict.fromkeys(
        (
            "ClusterUnavailable", "DocumentUnreadable", "DocumentsNotFound", "EmbeddingUnavailable", "IndexDamaged",
            "IndexLocked", "IndexMismatch", "LLMUnavailable", "ModelDownloadFailed", "ModelMissing", "PromptError",
            "QuestionInvalid", "RagError", "SettingsError", "StoreUnavailable", "StoreUnreachable",
        ),
        "errors",
    ),
}  # fmt: skip

__all__ = [
    "Answer",
    "Assistant",
    "Citation",
    "ClusterUnavailable",
    "Document",
    "DocumentUnreadable",
    "DocumentsNotFound",
    "Dropped",
    "EmbeddingUnavailable",
    "Failure",
    "Hit",
    "IndexDamaged",
    "IndexLocked",
    "IndexMismatch",
    "IngestReport",
    "LLMUnavailable",
    "Message",
    "ModelDownloadFailed",
    "ModelMissing",
    "Passage",
    "PromptError",
    "QuestionInvalid",
    "RagError",
    "Sentence",
    "Settings",
    "SettingsError",
    "StoreUnavailable",
    "StoreUnreachable",
    "ask",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rag' has no attribute '{name}'")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
