"""The Documents panel: what is indexed, uploads, removing with undo, and which documents are asked.

The list is HTML made here and fetched by `documents.js`, as everything in the panel is. Which documents are asked is
known to the browser alone: it says so above the question and sends it along. What people and documents wrote is escaped
text.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ..assistant import Assistant
from ..errors import RagError
from ..types import Answer, Failure, Listed
from ..uploads import MAX_BYTES, ROOT, Removed
from .asked import part, whole
from .line import Line
from .opening import Opening
from .parts import BROKE, html

logger = logging.getLogger(__name__)

_SHOWN = 300  # documents in the list; the box above narrows it
_NAMED = 3  # documents named where it is said which ones are asked
# Removals that can be undone: each holds its document in memory, and the file of an upload. The largest upload takes
# some 80 MB with its text and vectors; all of them together are little beside the models.
_UNDONE, _UNDONE_BYTES = 50, 200_000_000

# The line above the question that says which documents are asked; documents.js fills it in.
SCOPE = """<p class="scope" role="status" hidden><span dir="auto"></span>
<button type="button" class="ask-all">Use all documents</button></p>"""

Reply = dict[str, Any]


class Desk:
    """What the panel asks for. `arrived` are the paths of the files that Gradio has received."""

    def __init__(self, opening: Opening, arrived: Collection[str]) -> None:
        self._opening = opening
        self._arrived = arrived
        self._guard = threading.Lock()
        self._reading: list[str] = []
        self._removed: OrderedDict[str, Removed] = OrderedDict()

    @property
    def _assistant(self) -> Assistant:
        return self._opening.assistant

    def stamp(self) -> Reply:
        """What is another one as soon as the list is."""
        return {"stamp": " ".join([self._assistant.stamp(), *self._reading])}

    def listing(self, wanted: str) -> Reply:
        """The list, of those documents whose title or source holds `wanted`."""
        listed = self._assistant.listing()
        found = [each for each in listed if _matches(each, wanted.casefold())]
        indexed = {each.document.source for each in listed}
        failed = [failure for failure in self._assistant.failed if failure.source not in indexed]
        return {**self.stamp(), "html": _list(found, len(listed), failed, tuple(self._reading))}

    def add(self, name: str, path: str) -> Reply:
        """Index an uploaded file; `path` is where Gradio put it."""
        if path not in self._arrived:
            raise RagError(f"{name} did not arrive; upload it again")
        with self._being_read(name), _used_up(Path(path)):
            report = self._assistant.upload(name, path)
        (source,) = report.added or report.updated
        passages = next(d.passages for d in self._assistant.listing() if _is_upload(d, source))
        says = f"{_counted(passages, 'passage')} to ask about" if passages else "there is no text in it"
        return {"says": f"{'added' if report.added else 'updated'}: {says}", "source": source}

    def remove(self, document_id: int) -> Reply:
        """Remove a document; the reply holds what `undo` takes."""
        removed = self._assistant.take_out(document_id)
        token = secrets.token_urlsafe(16)
        with self._guard:
            self._removed[token] = removed
            self._forget_oldest()
        document = removed.taken.document
        stays = " Its file stays: if it is still there, the next ingest adds it again." if document.root != ROOT else ""
        return {"says": f"{document.title or document.source} is removed.{stays}", "undo": token}

    def undo(self, token: str) -> Reply:
        """Put back what `remove` took."""
        with self._guard:
            removed = self._removed.pop(token, None)
        if removed is None:
            raise RagError("this cannot be undone any more; upload the file again")
        try:
            self._assistant.put_back(removed)
        except BaseException:
            with self._guard:
                self._removed[token] = removed
            raise
        return {"says": f"{removed.taken.document.title or removed.taken.document.source} is back."}

    def _forget_oldest(self) -> None:
        """Keep the newest removals within the bounds, the last one whatever its size."""
        held = sum(removed.bytes for removed in self._removed.values())
        while len(self._removed) > 1 and (len(self._removed) > _UNDONE or held > _UNDONE_BYTES):
            _, oldest = self._removed.popitem(last=False)
            held -= oldest.bytes

    @contextmanager
    def _being_read(self, name: str) -> Iterator[None]:
        with self._guard:
            self._reading.append(name)
        try:
            yield
        finally:
            with self._guard:
                self._reading.remove(name)


def place(page: gr.Blocks, opening: Opening, script: str) -> gr.HTML:
    """The button that opens the panel, and the panel. Its event `documents_changed` says that there are others now."""
    desk = Desk(opening, page.upload_file_set)
    return html("documents", _panel(), js=script, serves=_served(desk, opening))


def scoped(answer: Answer, only: Sequence[str]) -> Answer:
    """The answer, which says that only some documents were asked."""
    if not only or answer.mode == "smalltalk":
        return answer
    return replace(answer, notes=(*answer.notes, f"asked only of {_named(only)}"))


def _named(sources: Sequence[str]) -> str:
    names = ", ".join(sources[:_NAMED])
    return f"{names} and {len(sources) - _NAMED:,} more" if len(sources) > _NAMED else names


# -- between the browser and the desk ----------------------------------------------------------------------------------


def _served(desk: Desk, opening: Opening) -> list[Callable[[Any], Awaitable[Reply]]]:
    """The functions that `documents.js` calls. Each takes one value and always replies; `failed` says what is wrong.

    What changes the index takes a place in the line, as over REST: it waits for who else is writing.
    """

    async def document_stamp(_: Any) -> Reply:
        return await _reply(opening.aside, desk.stamp)

    async def document_list(wanted: Any) -> Reply:
        return await _reply(opening.aside, lambda: desk.listing(str(wanted or "")))

    async def document_add(sent: Any) -> Reply:
        return await _reply(opening.queue, lambda: desk.add(_clean(part(sent, "name")), str(part(sent, "path"))))

    async def document_remove(document_id: Any) -> Reply:
        return await _reply(opening.queue, lambda: desk.remove(whole(document_id)))

    async def document_undo(token: Any) -> Reply:
        return await _reply(opening.queue, lambda: desk.undo(str(token)))

    return [document_stamp, document_list, document_add, document_remove, document_undo]


async def _reply(line: Line, do: Callable[[], Reply]) -> Reply:
    try:
        return await line.run(do)
    except RagError as error:
        return {"failed": str(error)}
    except Exception:  # the page stays usable whatever broke
        logger.exception("the documents panel broke")
        return {"failed": BROKE}


def _clean(name: Any) -> str:
    return str(name).encode("utf-8", "replace").decode()


@contextmanager
def _used_up(file: Path) -> Iterator[None]:
    """Gradio keeps what it received; we keep a copy."""
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


# -- what is shown -----------------------------------------------------------------------------------------------------


def _panel() -> str:
    megabytes = f"{MAX_BYTES / 1e6:g}"
    return f"""<button type="button" class="open-documents" aria-haspopup="dialog">Documents</button>
<dialog class="panel documents" aria-label="Documents" data-most="{MAX_BYTES}">
  <header><h2>Documents</h2><button type="button" class="close-documents" aria-label="Close">✕</button></header>
  <label class="drop"><input type="file" multiple><span>Drop files here, or choose them</span>
    <span class="small">PDF, Word, PowerPoint, Excel, HTML, text and more, up to {megabytes} MB each</span></label>
  <ul class="happened" aria-live="polite"></ul>
  <div class="narrow"><input type="search" placeholder="Find a document" aria-label="Find a document">
    <p class="small choice" role="status"></p>
    <button type="button" class="choose-all" hidden>Use all documents</button></div>
  <div class="listed"></div>
</dialog>"""


def _list(found: Sequence[Listed], total: int, failed: Sequence[Failure], reading: Sequence[str]) -> str:
    rows = [_row(each) for each in found[:_SHOWN]]
    pending = [_pending(name, "reading", "being read…") for name in reading]
    pending += [_pending(failure.source, "failed", failure.reason) for failure in failed]
    empty = "No document has this in its name." if total else "No documents yet."
    more = f"{len(found) - _SHOWN:,} more: narrow the list with the box above." if len(found) > _SHOWN else ""
    note = more or ("" if found else empty)
    after = f'<p class="small">{escape(note)}</p>' if note else ""
    return f"<ul>{''.join(pending)}{''.join(rows)}</ul>{after}"


def _row(listed: Listed) -> str:
    document = listed.document
    title = escape(document.title or document.source)
    kind = document.source.rpartition(".")[2].upper() if "." in document.source[-6:] else "TEXT"
    facts = [
        document.source,
        kind,
        _counted(listed.characters, "character"),
        _counted(listed.passages, "passage"),
        *(["uploaded"] if document.root == ROOT else []),
        "indexed" if listed.passages else "has no text",
    ]
    when = (
        f' · <time datetime="{escape(listed.changed)}">{escape(listed.changed[:10])}</time>' if listed.changed else ""
    )
    return (
        f'<li class="document"><label><input type="checkbox" value="{escape(document.source)}">'
        f'<span class="name" dir="auto">{title}</span></label>'
        f'<button type="button" class="remove" value="{document.id}" aria-label="Remove {title}">Remove</button>'
        f'<p class="small" dir="auto">{escape(" · ".join(facts))}{when}</p></li>'
    )


def _pending(name: str, state: str, says: str) -> str:
    told = says.removeprefix(name).lstrip(": ")
    return f'<li class="{state}" dir="auto"><span class="name">{escape(name)}</span> {escape(told)}</li>'


def _counted(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def _matches(listed: Listed, wanted: str) -> bool:
    return wanted in listed.document.title.casefold() or wanted in listed.document.source.casefold()


def _is_upload(listed: Listed, source: str) -> bool:
    return (listed.document.root, listed.document.source) == (ROOT, source)
