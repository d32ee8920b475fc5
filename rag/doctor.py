"""What `rag doctor` checks: whether each thing that an answer needs is there and works."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence

from .errors import DocumentsNotFound, DocumentUnreadable, LLMUnavailable, RagError, SettingsError
from .scan import told, unreadable
from .settings import Settings, unknown_variables
from .store import Location, Store
from .telemetry import check_traces
from .types import LLMEndpoint

Check = Callable[[Settings], str]

_LEAST_FREE_BYTES = 500_000_000


def variables(settings: Settings) -> str:
    """Return what was found. Like every check here, raise RagError, which ends with the cure, for a problem."""
    if unknown := unknown_variables():
        raise SettingsError("; ".join(unknown))
    check_traces(settings)
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
    location = Location.of(settings)
    location.check()
    if not Store.exists(location):
        what = "'rag ingest PATH'" if location.is_shared else "the first question"
        return f"there is none in {location.name} yet; {what} makes it"
    with _opened(settings) as store:
        store.verify()
        documents, passages = store.count()
    return f"{documents:,} documents and {passages:,} passages in {location.name} agree with each other"


def files(settings: Settings) -> str:
    """Read what is new or changed in the documents folder, all of it where there is no index; each failure is a note.

    Where the folder or the index is broken, their own checks say so.
    """
    if not settings.documents.expanduser().exists():
        return "there are none"
    if failures := unreadable(settings, _hashes(settings)):
        files = "1 file or folder" if len(failures) == 1 else f"{len(failures):,} files, folders or lines of files"
        problem = DocumentUnreadable(f"{files} cannot be read; mend or remove what is listed here")
        for failure in failures:
            problem.add_note(told(failure))
        raise problem
    return f"all in {settings.documents} can be read"


def _hashes(settings: Settings) -> dict[tuple[str, str], str]:
    """What the index was made of; nothing where there is none that can be read."""
    try:
        if not Store.exists(Location.of(settings)):
            return {}
        with _opened(settings) as store:
            return {(document.root, document.source): document.sha256 for document in store.documents()}
    except RagError:
        return {}


def _opened(settings: Settings) -> Store:
    from .assistant import index_fingerprint
    from .embedding import open_encoder

    encoder = open_encoder(settings)
    return Store.open(
        Location.of(settings), fingerprint=index_fingerprint(settings, encoder), dimension=encoder.dimension
    )


def language_model(settings: Settings) -> str:
    """Let the LLM say one word, at each of its addresses; one that is broken is a problem although others answer."""
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
    if broken := [each for each in writer.endpoints if each.outcome and each.outcome.problem]:
        raise _some_broken(writer.name, writer.endpoints, len(broken))
    several = " and ".join(each.address for each in writer.endpoints) if len(writer.endpoints) > 1 else ""
    return f"{writer.name} answers" + (f" at {several}" if several else "")


def _some_broken(name: str, endpoints: Sequence[LLMEndpoint], broken: int) -> LLMUnavailable:
    """Answers are still written, by the others: but whoever set these addresses does not know that some are lost."""
    them = "it" if broken == 1 else "them"
    problem = LLMUnavailable(
        f"{name} does not answer at {broken} of its {len(endpoints)} addresses; mend {them}, or take {them} out of "
        "llm_base_url (RAG_LLM_BASE_URL)"
    )
    for address, outcome in endpoints:
        problem.add_note(f"{address}: {outcome.problem if outcome and outcome.problem else 'answers'}")
    return problem


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
    "files": files,
    "llm": language_model,
    "disk": disk,
}
