"""Draft gold questions over one's own documents, for a person to accept or reject in the terminal.

    python -m eval.draft DOCUMENTS

Nothing counts as gold before somebody has accepted it.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

import rag
from rag.terminal import Screen, WarningLines, one_line, waiting

from .chat import Chat, ChatError, chat_model
from .drafts import Answers, Draft, DraftsFile, append, check, gold_lines
from .gold import GoldError
from .proposing import Library, by_model, by_templates, library

OK, NOTHING, USAGE, ENVIRONMENT, INTERRUPTED = 0, 1, 2, 3, 130
_AROUND = 240  # characters shown on each side of a quote
_TRIES = 3  # replies asked of a model for each draft that is wanted
_NOTHING_NEW = (
    "No question could be drafted that has not been reviewed. Templates know plain English prose: "
    "add documents, or name a model with --llm and --llm-base-url."
)
_KEYS = "[a]ccept  [e]dit  [r]eject  [s]kip  [q]uit: "

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def draft(
    documents: Annotated[Path, typer.Argument(help="Folder, file or .jsonl collection.")],
    gold: Annotated[Path, typer.Option(help="Accepted questions are added to this file.")] = Path("gold.jsonl"),
    questions: Annotated[int, typer.Option(min=1, help="How many drafts to review.")] = 20,
    seed: Annotated[int, typer.Option(help="Draws other sentences.")] = 0,
    llm: Annotated[str | None, typer.Option(help="A model name at llm-base-url; else templates are used.")] = None,
    llm_base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible endpoint; RAG_LLM_API_KEY.")] = None,
    drafts: Annotated[Path | None, typer.Option(help="Where drafts are kept; beside the gold file.")] = None,
) -> None:
    """Draft questions over your documents, and accept, edit or reject each.

    Accepted ones are added to the gold file, rejected ones are not asked again, and what you skip or do not reach
    waits for the next time. In a pipe, drafts are kept for review and nothing is accepted.
    """
    file = DraftsFile(drafts or gold.with_name(f"{gold.stem}.drafts.jsonl"))
    with _one_line_for_errors():
        _prepare(gold, file.path)
        ids, asked = gold_lines(gold)
        before = file.read()
        given = {"llm": llm, "llm_base_url": llm_base_url}
        chat = chat_model(rag.Settings(**{name: value for name, value in given.items() if value is not None}))
        with _library(documents) as read:
            desk = _Desk(gold, file, read, Screen())
            waiting_drafts = [d for key, (d, state) in before.items() if state == "open" and key not in ids]
            ready = [placed for d in waiting_drafts if (placed := desk.placed(d))][:questions]
            known = {*ids, *before, *asked, *(d.question for d, _ in before.values())}
            desk.say_how(chat, len(ready))
            ready += desk.propose(questions - len(ready), known, chat, seed)
            if not ready:
                desk.screen.line(_NOTHING_NEW)
                raise typer.Exit(NOTHING)
            if sys.stdin.isatty() and sys.stdout.isatty():
                desk.review(ready)
            else:
                desk.screen.line(f"Drafts in {file.path}: {len(ready)}. Nothing is gold yet.")
                desk.screen.line("Run the same command in a terminal to review them.")


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where drafts are made and judged: the files, the documents and the screen."""

    gold: Path
    file: DraftsFile
    documents: Library
    screen: Screen

    def say_how(self, chat: Chat | None, kept: int) -> None:
        """Which way drafts are made."""
        if kept:
            self.screen.line((f"Drafts from before: {kept}.", "dim"))
        way = f"written by {chat.model}" if chat else "made by templates; name a model with --llm"
        self.screen.line((f"New drafts are {way}.", "dim"))

    def placed(self, draft: Draft) -> Draft | None:
        """The draft where it stands in these documents, if it would be read as gold."""
        if draft.document not in self.documents.titles:
            return None
        placed = draft.in_place(self.documents.text(draft.document))
        return placed if placed and not self.fault(placed) else None

    def fault(self, draft: Draft) -> str:
        """Why a draft cannot be gold as it is; empty if it can."""
        line = draft.gold(self.documents.text(draft.document))
        try:
            check(line, self.documents.titles, self.documents.text)
        except GoldError as error:
            return str(error).partition(": ")[2]
        return ""

    def propose(self, wanted: int, known: set[str], chat: Chat | None, seed: int) -> list[Draft]:
        """At most `wanted` new drafts, each kept in the drafts file as soon as it is made.

        `known` are ids and questions that are not drafted again.
        """
        if wanted < 1:
            return []
        source = by_model(self.documents, chat, seed) if chat else by_templates(self.documents, seed)
        found: list[Draft] = []
        failed = 0
        with waiting("drafting questions …") as show:
            for draft in source:
                if draft is None:
                    failed += 1
                elif draft.id not in known and draft.question not in known and self.placed(draft):
                    known |= {draft.id, draft.question}
                    self.file.add(draft, "open")
                    found.append(draft)
                    show(f"drafting questions … {len(found)} of {wanted}")
                if len(found) == wanted or failed > _TRIES * wanted:
                    break
        if failed:
            self.screen.line((f"Replies without an exact quote that holds the answer, dropped: {failed}.", "dim"))
        return found

    def review(self, drafts: list[Draft]) -> None:
        """Show each draft and do as its reader says."""
        done = {"a": 0, "r": 0}
        for number, draft in enumerate(drafts, start=1):
            self._show(draft, f"{number} of {len(drafts)}")
            key = self._decide(draft)
            if key == "q":
                break
            if key in done:
                done[key] += 1
        left = len(drafts) - sum(done.values())
        self.screen.line()
        self.screen.line(f"{done['a']} accepted into {self.gold}, {done['r']} rejected, {left} left for the next time.")

    def _decide(self, draft: Draft) -> str:
        """What became of the draft: a, r, s or q."""
        while True:
            try:
                key = input(_KEYS).strip().lower()[:1]
                if key == "e":
                    if (edited := self._edited(draft)) is None:
                        continue
                    self._accept(edited, draft.id)
                    return "a"
            except EOFError:
                self.screen.line()
                return "q"
            if key == "a":
                self._accept(draft, draft.id)
            elif key == "r":
                self.file.add(draft, "rejected")
            if key in ("a", "r", "s", "q"):
                return key

    def _accept(self, draft: Draft, key: str) -> None:
        append(self.gold, {**draft.gold(self.documents.text(draft.document)), "id": key})
        self.file.add(draft, "accepted", key)

    def _edited(self, draft: Draft) -> Draft | None:
        """The draft as its reader wants it, or None when it cannot be gold so."""
        question = _typed("question: ", draft.question)
        answers = draft.answers
        if answers:
            self.screen.line(("between acceptable answers |, between answers that are all wanted ;", "dim"))
            answers = _groups(_typed("answer: ", " ; ".join(" | ".join(group) for group in draft.answers)))
        edited = replace(draft, question=question, answers=answers)
        if fault := self.fault(edited):
            self.screen.line((f"Not accepted: {one_line(fault)}.", "red"))
            return None
        return edited

    def _show(self, draft: Draft, number: str) -> None:
        title = self.documents.titles[draft.document]
        name = " — ".join(dict.fromkeys(part for part in (title, draft.document) if part))
        text, end = self.documents.text(draft.document), draft.start + len(draft.quote)
        line = 1 + text.count("\n", 0, draft.start)
        self.screen.line()
        self.screen.line((f"{number} · {draft.kind} · {one_line(name)}, line {line}", "dim"))
        self.screen.line((one_line(draft.question), "bold"))
        if draft.answers:
            self.screen.line(("answer: ", "dim"), (" ; ".join(" | ".join(g) for g in draft.answers), "green"), indent=2)
        else:
            self.screen.line(("no answer is wanted; the nearest words are marked", "yellow"), indent=2)
        before = " ".join(text[max(0, draft.start - _AROUND) : draft.start].split()).partition(" ")[2]
        after = " ".join(text[end : end + _AROUND].split()).rpartition(" ")[0]
        quote = (" ".join(draft.quote.split()), "bold reverse" if self.screen.is_terminal else "")
        self.screen.line((f"… {before} ", "dim"), quote, (f" {after} …", "dim"), indent=2)


def _groups(typed: str) -> Answers:
    """What was typed as answers: "Aino Saari | A. Saari ; 1907" is two groups, the first with two strings."""
    groups = (tuple(answer.strip() for answer in group.split("|") if answer.strip()) for group in typed.split(";"))
    return tuple(group for group in groups if group)


def _typed(prompt: str, text: str) -> str:
    """A line that is typed; `text` stands there to be changed, or is kept by typing nothing."""
    try:
        import readline
    except ImportError:
        return input(f"{prompt}[{one_line(text)}] ").strip() or text
    readline.set_startup_hook(lambda: readline.insert_text(text))
    try:
        return input(prompt).strip() or text
    finally:
        readline.set_startup_hook()


# -- the edges ---------------------------------------------------------------------------------------------------------


def _prepare(gold: Path, drafts: Path) -> None:
    if drafts.absolute() == gold.absolute():
        raise GoldError("drafts and gold are the same file; name another one with --drafts")
    for file in (gold, drafts):
        if not file.parent.is_dir():
            raise GoldError(f"the folder of {file} is not there; create it or name another file")


@contextmanager
def _library(documents: Path) -> Iterator[Library]:
    """The documents as the assistant reads them, in an index that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        with waiting("reading the documents …"):
            from llama_index.core import MockEmbedding  # nothing is searched: a document needs no vectors

            settings = rag.Settings(documents=documents, index_dir=Path(folder, "index"), llm="none")
            assistant = rag.Assistant.open(settings, embed_model=MockEmbedding(embed_dim=8))
        with assistant:
            yield library(assistant)


@contextmanager
def _one_line_for_errors() -> Iterator[None]:
    """Errors become one line on stderr and an exit code."""
    try:
        yield
    except GoldError as error:
        first, *more = str(error).splitlines()
        _complain(f"{first} (and {len(more)} more)" if more else first)
        raise typer.Exit(USAGE) from error
    except (rag.RagError, ChatError) as error:
        _complain(str(error))
        raise typer.Exit(ENVIRONMENT) from error
    except OSError as error:
        _complain(f"{error.filename or 'a file'}: {error.strerror}; make room or choose other files")
        raise typer.Exit(ENVIRONMENT) from error
    except KeyboardInterrupt:
        print(file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def _complain(text: str) -> None:
    print(f"draft: {one_line(text)}", file=sys.stderr)


def main() -> None:
    """Run the command line."""
    logging.getLogger("rag").addHandler(WarningLines())
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"(?!rag\b|eval\b)")
    for stream in (sys.stdin, sys.stdout):
        with suppress(AttributeError):  # not a text stream of Python's own
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    app(prog_name="python -m eval.draft")


if __name__ == "__main__":
    main()
