"""What `rag doctor` checks: whether each thing that an answer needs is there and works."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

from .errors import DocumentsNotFound, LLMUnavailable, RagError, SettingsError
from .settings import Settings, unknown_variables

Check = Callable[[Settings], str]

_LEAST_FREE_BYTES = 500_000_000


def variables(settings: Settings) -> str:
    """Return what was found. Like every check here, raise RagError, which ends with the cure, for a problem."""
    if unknown := unknown_variables():
        raise SettingsError("; ".join(unknown))
    return "every RAG_ variable is a setting"


def documents(settings: Settings) -> str:
    """Look for the documents folder."""
    folder = settings.documents.expanduser()
    if not folder.exists():
        raise DocumentsNotFound(f"{folder} does not exist; create it, or set RAG_DOCUMENTS to another folder")
    if not os.access(folder, os.R_OK):
        raise DocumentsNotFound(f"{folder} cannot be read; allow reading it, or set RAG_DOCUMENTS to another folder")
    return f"{folder} is there"


def embedding(settings: Settings) -> str:
    """Encode one question."""
    from .embedding import open_encoder

    encoder = open_encoder(settings)
    (vector,) = encoder.queries(["Does it work?"])
    return f"{encoder.name} makes vectors of {len(vector)} numbers"


def reader(settings: Settings) -> str:
    """Read one passage."""
    from .reading import open_reader
    from .types import Passage

    opened = open_reader(settings.embed_model)
    if opened is None:
        return f"none is used beside {settings.embed_model}"
    text = "It works."
    opened.read("Does it work?", [Passage(0, 0, "", "", 0, len(text), text)])
    return f"its weights can be read (sha256 {opened.weights[:12]}…)"


def index(settings: Settings) -> str:
    """Read the whole index, if there is one: a check makes none."""
    from .assistant import index_fingerprint
    from .embedding import open_encoder
    from .store import Store

    if not Store.exists(settings.index_dir):
        return f"there is none in {settings.index_dir} yet; the first question makes it"
    encoder = open_encoder(settings)
    fingerprint = index_fingerprint(settings, encoder)
    with Store.open(settings.index_dir, fingerprint=fingerprint, dimension=encoder.dimension) as store:
        store.verify()
        documents, passages = store.count()
    return f"{documents:,} documents and {passages:,} passages in {settings.index_dir} agree with each other"


def language_model(settings: Settings) -> str:
    """Let the LLM say one word."""
    from .llm import open_writer

    writer = open_writer(settings)
    if writer is None:
        if settings.llm_base_url:
            return "none is set, so nobody asks llm_base_url; set llm (RAG_LLM) to a model's name there"
        return "none is set; answers are quotes"
    writer.test()
    writer.close()
    if writer.outcome and writer.outcome.problem:
        raise LLMUnavailable(writer.outcome.problem)
    return f"{writer.name} answers"


def disk(settings: Settings) -> str:
    """Look for room, and leave to write, where the index is."""
    folder = settings.index_dir.resolve()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        raise RagError(f"{folder} cannot be written to; allow it, or set RAG_INDEX_DIR to another folder")
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE_BYTES:
        raise RagError(f"only {free / 1e6:,.0f} MB are free at {folder}; make room, or set RAG_INDEX_DIR elsewhere")
    return f"{free / 1e9:,.0f} GB are free at {folder}"


CHECKS: dict[str, Check] = {
    "settings": variables,
    "documents": documents,
    "embedding": embedding,
    "reader": reader,
    "index": index,
    "llm": language_model,
    "disk": disk,
}
