"""What can go wrong, as a map.

    RagError                     a broken environment; the command line exits with 3
    ├── DocumentsNotFound        settings.documents (or a path to ingest) does not exist
    ├── DocumentUnreadable       one file cannot be read as text (ingestion records it and goes on)
    ├── SettingsError            a setting has an impossible value, or rag.toml cannot be read
    ├── PromptError              a prompt file lacks a variable or has an unknown one
    ├── IndexMismatch            the index was made with another model, splitter or schema
    ├── IndexDamaged             the index file is not an index, or SQLite cannot read it
    ├── IndexLocked              another process is writing to the index
    ├── StoreUnavailable         the server that holds the index does not answer, or refuses
    │   └── StoreUnreachable     it says nothing, or is starting: it may answer later
    ├── EmbeddingUnavailable     the embedding model cannot be loaded
    ├── ClusterUnavailable       the Ray cluster cannot be reached, was lost, or its workers are not like this machine
    ├── ModelMissing             the embedded LLM's weights are not on this machine
    ├── ModelDownloadFailed      'rag models pull' could not fetch or verify the weights
    └── LLMUnavailable           the LLM did not answer: refused, too slow, broken
    QuestionInvalid              (ValueError) empty or too long; the command line exits with 2

Every message is one line and ends with what to do.
"""

from __future__ import annotations


class RagError(Exception):
    """Something outside the question is broken. The message ends with its cure."""


class DocumentsNotFound(RagError):
    """A folder or file that was asked for does not exist."""


class DocumentUnreadable(RagError):
    """One file cannot be read as text; the message is the reason shown in the report."""


class SettingsError(RagError):
    """A setting has an impossible value, or rag.toml cannot be read."""


class PromptError(RagError):
    """A prompt file lacks a variable, or names one that nobody fills."""


class IndexMismatch(RagError):
    """The index was made with another embedding model, splitter or schema."""


class IndexDamaged(RagError):
    """The index's SQLite file cannot be read."""


class IndexLocked(RagError):
    """Another process is writing to the index."""


class StoreUnavailable(RagError):
    """The database or vector server of the index does not answer, or refuses."""


class StoreUnreachable(StoreUnavailable):
    """It says nothing, or is starting: it may answer later."""


class EmbeddingUnavailable(RagError):
    """The embedding model cannot be loaded."""


class ClusterUnavailable(RagError):
    """The Ray cluster cannot be reached, was lost, or its workers would not make the same index."""


class ModelMissing(RagError):
    """The embedded LLM's weights are not on this machine."""


class ModelDownloadFailed(RagError):
    """The embedded LLM's weights could not be fetched or verified."""


class LLMUnavailable(RagError):
    """The LLM refused, broke, or passed a deadline. The chain then answers in quotes."""


class QuestionInvalid(ValueError):
    """The question is empty or too long."""
