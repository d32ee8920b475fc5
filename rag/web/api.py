"""`ask`, `search`, `documents` and `ingest` for programs: named Gradio endpoints, and the functions behind MCP's tools.

Answers are `Answer.to_dict()`. What goes wrong is one plain line.
"""

from __future__ import annotations

import base64
import inspect
import logging
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

import gradio as gr
from gradio.context import LocalContext
from gradio.events import api as gradio_api
from pydantic import ValidationError, validate_call
from typing_extensions import TypedDict  # before Python 3.12 pydantic takes no other

from ..assistant import Assistant
from ..errors import RagError
from ..telemetry import carry
from ..types import UPLOADS_ROOT, Answer, Hit, IngestReport, SearchMode
from ..uploads import MAX_BYTES
from .arrivals import arrivals
from .leaving import while_listened
from .opening import Opening
from .parts import BROKE

logger = logging.getLogger(__name__)

Json = dict[str, Any]

_MOST_HITS = 100


class Earlier(TypedDict):
    """One earlier message of the conversation."""

    role: Literal["user", "assistant"]
    content: str


class Facts(TypedDict):
    """A document of the index, without its text. `source` is what `documents` and `exclude` take."""

    id: int
    source: str
    title: str
    media_type: str
    sha256: str
    pages: int
    uploaded: bool


class Api:
    """What a program can do with the index, once it has a place in the line.

    Raises RagError (Busy among them), QuestionInvalid or ValueError: one plain line each.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._queue = opening.queue

    async def stream(
        self,
        question: str,
        documents: list[str] | None = None,
        exclude: list[str] | None = None,
        history: list[Earlier] | None = None,
    ) -> AsyncGenerator[Answer]:
        """Cumulative Answers; the last one is complete."""
        async with aclosing(self._queue.each(self._answers(question, documents, exclude, history))) as answers:
            async for answer in answers:
                yield answer

    async def ask(
        self,
        question: str,
        documents: list[str] | None = None,
        exclude: list[str] | None = None,
        history: list[Earlier] | None = None,
    ) -> Json:
        """Answer a question from the indexed documents, in exact quotes or in sentences that were checked.

        Each [n] in `text` is the marker of one of `citations`, whose `quote` stands in the document character for
        character, from `start` to `end`. When the documents do not answer, `refused` is true and `nearest` shows the
        passages that come closest.

        Args:
            question: What to find out.
            documents: Only these documents, by their `source`. All when left out.
            exclude: Not these documents, by their `source`.
            history: Earlier turns, so that follow-up questions are understood: {"role", "content"} each.
        """
        answer = await self._queue.last(self._answers(question, documents, exclude, history))
        return replace(answer, dropped=()).to_dict()  # what no document supports is not for another LLM to read

    async def search(
        self,
        question: str,
        k: int = 10,
        mode: SearchMode = "hybrid",
        documents: list[str] | None = None,
        exclude: list[str] | None = None,
    ) -> list[Json]:
        """List the passages of the indexed documents that fit a question best, best first, with their exact text.

        Args:
            question: What to look for.
            k: How many passages, 1 to 100.
            mode: By meaning and words ("hybrid"), by meaning ("dense") or by words ("keyword").
            documents: Only these documents, by their `source`. All when left out.
            exclude: Not these documents, by their `source`.
        """
        if not 1 <= k <= _MOST_HITS:
            raise ValueError(f"k is {k}; ask for 1 to {_MOST_HITS} passages")
        assistant, only, but = self._opening.assistant, documents or (), exclude or ()
        hits = await self._queue.run(lambda: assistant.search(question, k, mode=mode, documents=only, exclude=but))
        return [asdict(hit) for hit in hits]

    async def documents(self) -> list[Facts]:
        """List the documents of the index, sorted by their `source`, without their text."""
        return [
            Facts(
                id=d.id,
                source=d.source,
                title=d.title,
                media_type=d.media_type,
                sha256=d.sha256,
                pages=len(d.pages),
                uploaded=d.root == UPLOADS_ROOT,
            )
            for d in await self._queue.run(self._opening.assistant.documents)
        ]

    async def ingest(self, name: str, text: str = "", content: str = "") -> Json:
        """Add a document to the index, or replace the one that was added under the same name.

        It reports which documents were added, updated, unchanged, or failed and why.

        Args:
            name: A plain file name with a suffix that tells its format, for example "notes.md".
            text: The document's text, for formats that are text.
            content: In place of `text`: the bytes of the file in base64, for example of a PDF.
        """
        data = _bytes(text, content)
        assistant = self._opening.assistant
        return (await self._queue.run(lambda: _uploaded(assistant, name, data))).to_dict()

    def _answers(
        self,
        question: str,
        documents: list[str] | None,
        exclude: list[str] | None,
        history: list[Earlier] | None,
    ) -> Iterator[Answer]:
        return self._opening.assistant.stream(
            question, history=history or (), documents=documents or (), exclude=exclude or ()
        )


def endpoints(api: Api) -> None:
    """The named endpoints of the page that is being built: /ask (it streams), /search, /documents and /ingest."""
    stream = _checked(api.stream)

    async def ask(*arguments: Any) -> AsyncIterator[Json]:
        if request := LocalContext.request.get(None):
            carry(request.headers)  # Gradio works in a task that knows nothing of the request's
        with _one_line():
            async with aclosing(stream(*arguments)) as answers:
                while answer := await while_listened(anext(answers, None)):
                    yield answer.to_dict()

    for run, like, returns in (
        (ask, api.ask, Answer),
        (_plain(api.search), api.search, list[Hit]),
        (_plain(api.documents), api.documents, list[Facts]),
        (_plain(api.ingest), api.ingest, IngestReport),
    ):
        gradio_api(_described(run, like, returns), concurrency_limit=None)  # they wait in our line, not in Gradio's


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    checked = _checked(function)

    async def run(*arguments: Any) -> Any:
        with _one_line():
            return await while_listened(checked(*arguments))

    return run


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with its arguments checked against their types, and named in what pydantic says of them."""
    signature, checked = inspect.signature(function), validate_call(function)
    return lambda *arguments: checked(**signature.bind(*arguments).arguments)


@contextmanager
def _one_line() -> Iterator[None]:
    """What goes wrong, as one line for the client."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise gr.Error(f"{where}: {first['msg']}", print_exception=False) from error
    except (RagError, ValueError) as error:
        raise gr.Error(str(error), print_exception=False) from error
    except Exception as error:
        logger.exception("a request broke")
        raise gr.Error(BROKE, print_exception=False) from error


def _described(run: Callable[..., Any], like: Callable[..., Any], returns: Any) -> Callable[..., Any]:
    """`run` with the name, the words and the arguments of `like`: from these Gradio makes the JSON schema."""
    run.__name__, run.__doc__ = like.__name__, like.__doc__
    run.__annotations__ = {**get_type_hints(like), "return": returns}
    run.__signature__ = inspect.signature(like).replace(return_annotation=returns)  # type: ignore[attr-defined]
    return run


# -- what is uploaded --------------------------------------------------------------------------------------------------


def _uploaded(assistant: Assistant, name: str, data: bytes) -> IngestReport:
    with tempfile.TemporaryDirectory(dir=arrivals().folder) as folder:
        file = Path(folder, "upload")
        file.write_bytes(data)
        return assistant.upload(name, file)


def _bytes(text: str, content: str) -> bytes:
    if bool(text) == bool(content):
        raise ValueError("give 'text', or 'content' in base64: one of them, and not empty")
    try:
        data = base64.b64decode(content, validate=True) if content else text.encode("utf-8", "replace")
    except ValueError as error:
        raise ValueError("'content' is not base64; send the bytes of the file in base64") from error
    if len(data) > MAX_BYTES:
        raise ValueError(f"the document is larger than {MAX_BYTES / 1e6:.0f} MB; put it on the server's disk")
    return data
