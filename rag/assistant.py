"""The chain: question → retrieve → evidence → (write → check) or quote → Answer. One implementation for all doors."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Generator, Iterator, Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import SecretStr

from . import conversation
from .backing import is_backed, passages_of
from .confidence import Features
from .embedding import Encoder, open_encoder
from .errors import (
    ClusterUnavailable,
    DocumentsNotFound,
    EmbeddingUnavailable,
    IndexLocked,
    LLMUnavailable,
    ModelMissing,
)
from .evidence import EvidenceFinder
from .grounding import Checker, Composer
from .ingest import Ingester, Report
from .llm import Writer, open_writer
from .pipeline import embedded_text
from .quoting import choose, short_answer
from .reading import Reader, open_reader
from .retrieval import Retriever
from .settings import NO_LLM, SETTINGS_FILE, Settings, shown_address, valid_question
from .splitting import SPLITTER_VERSION, chunks
from .store import SCHEMA_VERSION, Location, Store
from .telemetry import answering, check_traces, whole
from .terms import around
from .turn import Found, Turn, TurnFinder
from .types import (
    Answer,
    Document,
    Failure,
    Hit,
    IngestReport,
    Listed,
    LocalModel,
    Message,
    Models,
    SearchMode,
    StepReport,
)
from .uploads import Removed, SharedUploads, Uploads
from .writing import AnswerPrompts, Author, NothingFoundError

if TYPE_CHECKING:
    from .cluster import RayWorkers

logger = logging.getLogger(__name__)

_NEAREST = 3


class Assistant:
    """Answers questions over one index. Open it once and keep it: it is safe between threads.

    >>> with Assistant.open(Settings(documents="corpus/")) as assistant:
    ...     print(assistant.ask("When was the bridge built?").text)
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        encoder: Encoder,
        writer: Writer | None,
        note: str,
        cluster: RayWorkers | None,
    ) -> None:
        self.settings = settings
        self._store = store
        self._encoder = encoder
        self._writer = writer
        self._note = note  # why there is no writer although one is set
        self._is_guest = False  # in another one's index, see answering_with
        reader = open_reader(encoder.name)
        self._reader = reader
        self._retriever = Retriever(store, encoder, reader)
        self._finder = EvidenceFinder(encoder, reader)
        self._turns = TurnFinder(store, self._retriever, self._finder, writer, settings)
        self._cluster = cluster
        self._ingester = Ingester(store, encoder, settings, cluster)
        shared = Location.of(settings).is_shared
        uploads = SharedUploads(store, self._ingester) if shared else Uploads(store, self._ingester, settings.index_dir)
        self._uploads: Uploads | SharedUploads = uploads
        self.failed: tuple[Failure, ...] = ()  # what could not be read when this was opened
        self._prompts = AnswerPrompts.load()

    @classmethod
    def open(
        cls,
        settings: Settings | None = None,
        *,
        llm: Any | None = None,
        embed_model: Any | None = None,
        report: Report | None = None,
        ray: str | None = None,
    ) -> Assistant:
        """Open the index and bring it up to date with `settings.documents`.

        Of an index that several machines share, only where `documents` was set: it holds what was ingested, and the
        default would add the seeds to it. `llm` and `embed_model` take any llama-index LLM and embedding object in
        place of those that the settings name. `report` is called with the progress of an ingest. While another process
        writes, the last complete state is served. Raises RagError when something is broken.

        `ray` is the address of a Ray cluster (extra 'ray') which reads and embeds for this opening and for `ingest`,
        until `close`: "auto", "host:port", "ray://host:port"; or "local" for a Ray of its own on this machine.
        """
        settings = settings or Settings()
        check_traces(settings)  # before what takes long
        if ray is not None:
            _check_cluster(ray, embed_model)
        location = Location.of(settings)
        encoder = open_encoder(settings, embed_model)
        writer, note = _open_writer(settings, llm)
        with ExitStack() as opened:  # closes what is open when a later step fails
            if writer:
                opened.callback(writer.close)
            fingerprint = index_fingerprint(settings, encoder)
            store = opened.enter_context(Store.open(location, fingerprint=fingerprint, dimension=encoder.dimension))
            if settings.chosen_by_file("store") or settings.chosen_by_file("catalogue"):
                logger.warning(
                    "%s: texts and questions go to %s; if you did not write that, remove store and catalogue there",
                    SETTINGS_FILE,
                    shown_address(location.catalogue or location.vectors),
                )
            cluster = _cluster(settings, encoder, ray)
            if cluster:
                opened.callback(cluster.close)
            assistant = cls(settings, store, encoder, writer, note, cluster)
            if half := store.half_copied():
                logger.warning("%s; what it lacks is not found", half)
            try:
                if _keeps_documents(settings):
                    assistant.failed = assistant._ingester.ingest_default(report).failed
                assistant._uploads.restore()
            except IndexLocked:
                logger.warning("another process is writing to the index; answering from its last complete state")
            opened.pop_all()
        return assistant

    def answering_with(
        self, llm: str, llm_base_url: str | None = None, llm_api_key: SecretStr | None = None
    ) -> Assistant:
        """The same index, asked with another LLM, which is set as in Settings; it opens nothing else.

        Whoever closes it closes that LLM only. Raises SettingsError for a model's name without an endpoint, and
        ModelMissing without the embedded model's weights.
        """
        chosen = {"llm": llm, "llm_base_url": llm_base_url, "llm_api_key": llm_api_key}
        guest = copy(self)
        guest.settings = self.settings.model_copy(update=chosen)
        guest._writer = open_writer(guest.settings)
        guest._note = ""
        guest._is_guest = True
        guest._turns = TurnFinder(self._store, self._retriever, self._finder, guest._writer, guest.settings)
        return guest

    @classmethod
    def rebuild(cls, settings: Settings | None = None, *, embed_model: Any | None = None) -> None:
        """Cut and embed every stored text again, for the model and settings of now. No files are needed."""
        settings = settings or Settings()
        encoder = open_encoder(settings, embed_model)
        Store.rebuild(
            Location.of(settings),
            fingerprint=index_fingerprint(settings, encoder),
            dimension=encoder.dimension,
            chunk=lambda of: chunks(of.text, of.media_type, settings.passage_words, of.pages),
            embed=lambda document, cut: encoder.documents([embedded_text(document, chunk) for chunk in cut]),
        )

    # -- questions -------------------------------------------------------------------------------------------------

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Collection[str] = (),
        exclude: Collection[str] = (),
    ) -> Answer:
        """Answer, or refuse: both are an Answer. `documents` and `exclude` are sources.

        Raises QuestionInvalid for an empty or too long question.
        """
        *_, answer = self.stream(question, history=history, documents=documents, exclude=exclude)
        return answer

    def stream(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Collection[str] = (),
        exclude: Collection[str] = (),
        report: StepReport = lambda step: None,
    ) -> Iterator[Answer]:
        """Yield cumulative Answers, a sentence more each time; the last one is complete.

        `report` is called with what is being done between them: "searching", "reading", "writing", "checking".
        """
        turn = self._turn(question, history, documents, exclude)
        return answering(turn.question, partial(self._stream, turn), report, self.settings)

    def quote(self, question: str, **options: Any) -> Answer:
        """`ask` without any LLM: the documents' own words answer, or it is refused."""
        return self.answering_with(NO_LLM).ask(question, **options)

    async def aask(self, question: str, **options: Any) -> Answer:
        """`ask` in a thread."""
        return await asyncio.to_thread(self.ask, question, **options)

    async def astream(self, question: str, **options: Any) -> AsyncIterator[Answer]:
        """`stream` in a thread."""
        partials = self.stream(question, **options)
        while (answer := await asyncio.to_thread(next, partials, None)) is not None:
            yield answer

    def search(
        self,
        question: str,
        k: int = 10,
        *,
        mode: SearchMode = "hybrid",
        documents: Collection[str] = (),
        exclude: Collection[str] = (),
    ) -> list[Hit]:
        """The `k` best passages, best first. Scores compare within one search only."""
        if k < 1 or mode not in get_args(SearchMode):
            raise ValueError(f"k is at least 1, and mode one of {', '.join(get_args(SearchMode))}")
        only = {"documents": _sources(documents), "exclude": _sources(exclude)}
        with whole("search", self.settings):
            query = self._retriever.query(valid_question(question, self.settings))
            return self._retriever.search(query, k, mode=mode, **only)

    def warm_up(self) -> None:
        """Load what the first question would wait for: encoder, reader, and the embedded LLM. No endpoint is asked.

        Raises RagError when encoder or reader cannot be loaded; how the LLM's one word went, `models().outcome` says.
        """
        if any(self.count()):
            self.search("What is this about?", 1)  # a question: what only names a topic is not read
        if self._writer and not self._writer.capable:
            self._writer.test()

    def backs(self, answer: Answer) -> bool:
        """Whether the index backs what this answer shows, whoever made it: its quotes to the character, each sentence.

        Not whether it answers its question. Raises RagError when the index is broken.
        """
        stored = self._store.passages([passage.id for passage in passages_of(answer)])
        self._store.verify_quotable(stored)
        return is_backed(answer, stored, lambda passages: Checker(passages, self._finder, self._encoder))

    def features(self, question: str, *, history: Sequence[Message] = (), exclude: Collection[str] = ()) -> Features:
        """What the confidence in an answer is computed from; `rag.confidence.confidence` does it."""
        return self._turns.find(self._turn(question, history, (), exclude)).features

    # -- documents -------------------------------------------------------------------------------------------------

    def ingest(self, paths: Sequence[str | Path], *, prune: bool = False, report: Report | None = None) -> IngestReport:
        """Add or update files, folders and `.jsonl` collections; `prune` removes what left those folders."""
        return self._ingester.ingest([Path(path) for path in paths], prune=prune, report=report)

    def documents(self) -> list[Document]:
        """All documents, sorted by source; their text is left out."""
        return self._store.documents()

    def count(self) -> tuple[int, int]:
        """How many documents and passages there are."""
        return self._store.count()

    @property
    def emptiness(self) -> str:
        """Why nothing can be found, and what to do: a line for people; "" where the index holds something."""
        if self.count()[1]:
            return ""
        if self.failed:
            return "the index is empty: nothing in the documents folder can be read; 'rag doctor' says why"
        folder = (
            "put documents into the documents folder (RAG_DOCUMENTS), or " if _keeps_documents(self.settings) else ""
        )
        return f"the index is empty; {folder}run 'rag ingest PATH' for a file or folder"

    def document(self, document_id: int) -> Document:
        """One document with its text: `text[citation.start:citation.end] == citation.quote`."""
        return self._store.document(document_id)

    def remove(self, source: str) -> None:
        """Remove a document from the index; of the files only an upload's copy goes. Raises DocumentsNotFound."""
        found = self._store.documents_called(source)
        if not found:
            raise DocumentsNotFound(f"no document '{source}' is in the index; 'rag documents' lists what is")
        self._uploads.delete(found)

    def upload(self, name: str, file: str | Path) -> IngestReport:
        """Add the file that somebody calls `name`, at most 20 MB; a copy is kept in the index folder.

        The source is `name` without what no file should be called; the same name again updates the document. Raises
        DocumentUnreadable with a plain sentence, and then nothing has changed.
        """
        return self._uploads.add(name, Path(file))

    def listing(self) -> list[Listed]:
        """All documents with their sizes and times, the last stored first."""
        return self._store.listing()

    def stamp(self) -> str:
        """What is another one after every change of the index, by any process; it costs one small read."""
        return self._store.stamp()

    def take_out(self, document_id: int) -> Removed:
        """Remove a document so that `put_back` can undo it. Raises DocumentsNotFound."""
        return self._uploads.take_out(document_id)

    def put_back(self, removed: Removed) -> None:
        """Undo `take_out`: id, text, spans and vectors are as they were, and so is the file of an upload.

        Raises DocumentUnreadable when a document of its name was added meanwhile.
        """
        self._uploads.put_back(removed)

    @property
    def model(self) -> str:
        """Who writes the answers: the LLM's name, or "none" when answers are quotes."""
        return self._writer.name if self._writer else NO_LLM

    def models(self) -> Models:
        """Which models are at work, where they are, and how the LLM's last request went."""
        writer, reader, dimension = self._writer, self._reader, self._encoder.dimension
        return Models(
            _local(self._encoder.name, self._encoder, dimension),
            _local("reader", reader, dimension) if reader else None,
            self.model,
            writer.host if writer else "",
            writer.outcome if writer else None,
            self._note,
            writer.endpoints if writer else (),
        )

    def test_llm(self) -> bool:
        """Ask the LLM for one word, at each address, under the usual deadlines; `models()` then says how it went.

        False, and nothing is asked, without an LLM and while another test runs.
        """
        return self._writer is not None and self._writer.test()

    @property
    def provenance(self) -> dict[str, str]:
        """What its answers depend on besides the documents: names and hashes, for reports."""
        return {
            "version": version("rag-quoted"),
            "llm": self.model,
            "embed_model": self._encoder.name,
            "weights": self._encoder.weights[:12],
            "reader": self._reader.weights[:12] if self._reader else "none",
            "index": index_fingerprint(self.settings, self._encoder),
            "prompts": " ".join(prompt.digest for prompt in (*self._prompts, self._turns.prompt)),
        }

    def close(self) -> None:
        """Close the LLM and, unless it is another one's, the index."""
        if self._writer:
            self._writer.close()
        if not self._is_guest:
            if self._cluster:
                self._cluster.close()
            self._store.close()

    def __enter__(self) -> Assistant:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- the chain -------------------------------------------------------------------------------------------------

    def _turn(
        self, question: str, history: Sequence[Message], documents: Collection[str], exclude: Collection[str]
    ) -> Turn:
        """What is asked, and of the history what may be read."""
        question = valid_question(question, self.settings)
        told = conversation.recent(history, self.settings.question_chars)
        return Turn(question, told, _sources(documents), _sources(exclude))

    def _stream(self, turn: Turn, report: StepReport) -> Generator[Answer, None, None]:
        started = time.monotonic()
        if reply := conversation.smalltalk(turn.question, turn.history):
            yield Answer(turn.question, turn.question, reply, "smalltalk", confidence=1.0, model="none")
            return
        if self._reader:
            self._reader.prepare()
        found = self._turns.find(turn, report)
        searched = time.monotonic()
        base = Answer(
            turn.question,
            found.query.text,  # with the documents' spelling where it was another one
            text="",
            mode="quoted",
            passages=found.passages,
            confidence=round(found.confidence, 4),
            model=self.model,
            timings={"search": round(searched - started, 4)},
            notes=(self._note,) if self._note else (),
        )
        if not any(found.rankings) or found.confidence < self.settings.refuse_below:
            yield self._refusal(base, self._why_refused(found))
            return
        for answer in self._answers(base, found, report):
            now = time.monotonic()
            spent = {"search": searched - started, "answer": now - searched, "total": now - started}
            yield replace(answer, timings={step: round(seconds, 4) for step, seconds in spent.items()})

    def _why_refused(self, found: Found) -> str:
        if not found.hits:
            return self.emptiness or "no passage in the index matches; add documents, or ask about what they hold"
        if found.told and not any(found.rankings):
            return "the documents hold no more about it than what was said"
        said = "hold no more about it that is sure" if found.told else "do not answer it"
        sure = f"confidence {found.confidence:.2f}, needed {self.settings.refuse_below:.2f}"
        return f"the nearest passages {said} ({sure})"

    def _refusal(self, base: Answer, reason: str) -> Answer:
        nearest = base.passages[:_NEAREST]
        return replace(
            base,
            text=conversation.REFUSAL,
            short=None,
            mode="refused",
            refused=True,
            reason=reason,
            nearest=nearest,
            passages=(),
        )

    def _answers(self, base: Answer, found: Found, report: StepReport) -> Iterator[Answer]:
        quotes = choose(*found.rankings)
        base = replace(base, short=short_answer(found.query.text, quotes))
        notes = base.notes
        composer = Composer()
        if self._writer:
            try:
                author = Author(self._writer, self._prompts, self._finder, self._encoder, report)
                for _ in author.write(found.query.text, found.passages, quotes, composer):
                    yield _composed(base, composer, "written")
            except NothingFoundError:
                yield self._refusal(base, f"{self.model} found no answer in the nearest passages")
                return
            except LLMUnavailable as error:
                notes = (*notes, f"answered in quotes: {error}" if not composer.sentences else str(error))
            if composer.sentences:
                yield replace(_composed(base, composer, "written"), notes=notes)
                return
            if not notes and not composer.dropped:
                notes = (f"answered in quotes: {self.model} said nothing; ask again, or set llm to 'none'",)
        dropped = composer.dropped
        composer = Composer()
        composer.dropped = dropped
        for quote in quotes:
            composer.quoted(quote)
            yield replace(_composed(base, composer, "quoted"), notes=notes)


def _composed(base: Answer, composer: Composer, mode: Any) -> Answer:
    text = composer.text
    return replace(
        base,
        text=text,
        short=around(text, base.short)[1] or None,  # the sentences may be other ones
        mode=mode,
        sentences=tuple(composer.sentences),
        citations=tuple(composer.citations),
        dropped=tuple(composer.dropped),
    )


def _keeps_documents(settings: Settings) -> bool:
    """Whether the index follows a folder; a shared one only that of a process which names one."""
    return "documents" in settings.model_fields_set or not Location.of(settings).is_shared


def _sources(sources: Collection[str]) -> Collection[str]:
    return (sources,) if isinstance(sources, str) else sources


def _local(name: str, model: Encoder | Reader, dimension: int) -> LocalModel:
    try:
        return LocalModel(name, dimension, model.place)
    except EmbeddingUnavailable as error:
        return LocalModel(name, dimension, missing=str(error))


def _check_cluster(ray: str, embed_model: Any | None) -> None:
    from .cluster import check_ray

    check_ray(ray)
    if embed_model is not None:
        raise ClusterUnavailable(
            "an embedding object cannot be sent to a Ray cluster; name its model in embed_model, or leave out ray"
        )


def _cluster(settings: Settings, encoder: Encoder, ray: str | None) -> RayWorkers | None:
    if ray is None:
        return None
    from .cluster import RayWorkers

    return RayWorkers(settings, encoder, ray)


def _open_writer(settings: Settings, llm: Any | None) -> tuple[Writer | None, str]:
    try:
        return open_writer(settings, llm), ""
    except ModelMissing as error:
        return None, f"answered in quotes: {error}"


def index_fingerprint(settings: Settings, encoder: Encoder) -> str:
    """What an index must have been made with to serve these settings."""
    return settings.fingerprint(
        weights=encoder.weights, dimension=encoder.dimension, splitter=SPLITTER_VERSION, schema=SCHEMA_VERSION
    )
