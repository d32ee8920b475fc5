"""The `rag` command: parse, call, print. Heavy modules are imported by the commands: `rag --help` waits for none."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from io import TextIOWrapper
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from .errors import ModelDownloadFailed, QuestionInvalid, RagError, SettingsError
from .progress import progress
from .rayaddress import LOCAL, is_meant
from .shell import ENVIRONMENT, NOT_FOUND, OK, USAGE, Border, leave, open_closed_streams
from .terminal import Screen, WarningLines, complain, one_line, print_json, typed_lines, waiting
from .types import UPLOADS_ROOT, Answer, Listed, Message, SearchMode

if TYPE_CHECKING:
    from .assistant import Assistant
    from .settings import Settings

_warning_lines = WarningLines()
_silence = logging.NullHandler()

app = typer.Typer(
    cls=Border,
    help="Ask your own documents: every sentence shown is backed by an exact quote, or it says that it found none.",
    epilog="Exit codes: 0 answered or done, 1 not found in the documents, 2 wrong usage, 3 broken environment. "
    "Settings come from RAG_… variables and rag.toml; 'rag config' lists them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich would cost every --help a tenth of a second
    pretty_exceptions_enable=False,
)
models = typer.Typer(help="Fetch models ahead of time.", no_args_is_help=True)
app.add_typer(models, name="models")
feedback = typer.Typer(help="What people said about answers on the page.", invoke_without_command=True)
app.add_typer(feedback, name="feedback")

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Question = Annotated[str, typer.Argument(metavar="QUESTION")]
Sources = Annotated[list[str] | None, typer.Option("--document", metavar="SOURCE", help="Only this document; repeat.")]


def main() -> None:
    """Run the command line; the console script `rag`."""
    open_closed_streams()
    try:
        app(prog_name="rag")
    except SystemExit as ended:
        leave(ended.code)
        raise


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"rag {version('rag-quoted')}")
        raise typer.Exit


@app.callback()
def _global(
    context: typer.Context,
    documents: Annotated[Path | None, typer.Option(help="Folder, file or .jsonl to keep indexed.")] = None,
    index_dir: Annotated[Path | None, typer.Option(help="Where the index lives.")] = None,
    llm: Annotated[
        str | None, typer.Option(help="'none' (quotes), 'embedded', or a model name at llm_base_url.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    given = {"documents": documents, "index_dir": index_dir, "llm": llm}
    context.obj = {name: value for name, value in given.items() if value is not None}
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows few characters still shows the rest
    ours = logging.getLogger("rag")
    ours.addHandler(_warning_lines)
    ours.setLevel(logging.INFO)  # what somebody waits for
    logging.getLogger().addHandler(_silence)  # else Python prints other people's warnings
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"(?!rag\b)")


# -- questions ---------------------------------------------------------------------------------------------------------


@app.command()
def ask(
    context: typer.Context,
    question: Question,
    json: Json = False,
    explain: Annotated[bool, typer.Option("--explain", help="Also print how the answer came about.")] = False,
    document: Sources = None,
) -> None:
    """Answer a question with exact quotes.

    When the documents do not answer it, it says so, shows the nearest passages, and ends with exit code 1.
    """
    settings = _settings(context)
    question = _valid(question, settings)
    _before_the_first_answer(settings)
    sources = document or ()
    with _opened(settings, to_ask=True) as assistant:
        _check_sources(sources, assistant)
        if json:
            answer = assistant.ask(question, documents=sources)
            print_json(answer.to_dict())
        else:
            screen = Screen()
            answer = screen.last(assistant.stream(question, documents=sources))
            screen.answer(answer, assistant.document)
            if explain:
                smalltalk = answer.mode == "smalltalk"
                hits = [] if smalltalk else assistant.search(question, settings.top_k, documents=sources)
                screen.explanation(answer, hits, settings.refuse_below, assistant.document)
    raise typer.Exit(NOT_FOUND if answer.refused else OK)


@app.command()
def chat(context: typer.Context) -> None:
    """Ask one question after another.

    'exit' or Ctrl-D ends it; Ctrl-C stops an answer.
    """
    settings = _settings(context)
    _before_the_first_answer(settings)
    with _opened(settings, to_ask=True) as assistant:
        screen = Screen()
        if screen.is_terminal:
            screen.line((f"{assistant.count()[0]:,} documents. 'exit' or Ctrl-D ends the chat.", "dim"))
        history: list[Message] = []
        for question in typed_lines():
            try:
                answer = screen.last(assistant.stream(question, history=history))
                screen.answer(answer, assistant.document)
                screen.line()
                sys.stdout.flush()  # whoever reads a pipe waits for this answer
                history += _turn(answer)
            except (QuestionInvalid, RagError) as error:
                complain(str(error))
            except KeyboardInterrupt:
                complain("stopped")


@app.command()
def serve(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(help="7860 or the next that is free; 0: any.", min=0, max=65535)] = None,
    host: Annotated[str, typer.Option(help="Where to listen; others than this machine need RAG_AUTH.")] = "127.0.0.1",
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Let in everybody who can reach it.")] = False,
    mcp: Annotated[bool, typer.Option("--mcp", help="Serve MCP tools at /mcp too (extra 'mcp').")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="Serve Prometheus /metrics too (extra 'otel').")] = False,
) -> None:
    """Open the web page, and the same to programs: REST, OpenAI's chat completions, MCP.

    Whoever is named in RAG_AUTH (name:password,name2:password2) may use it.
    """
    from .web import UsersNeeded, check_extras, run, users_for

    settings = _settings(context)
    check_extras(mcp=mcp, metrics=metrics)
    try:
        users = users_for(settings, host, no_auth=no_auth)
    except UsersNeeded as error:
        complain(str(error))
        raise typer.Exit(USAGE) from error
    _before_the_first_answer(settings)
    run(settings, users, host=host, port=port, mcp=mcp, metrics=metrics, announce=_announce)


def _announce(line: str) -> None:
    Screen().line(line)
    sys.stdout.flush()


@app.command()
def search(
    context: typer.Context,
    question: Question,
    json: Json = False,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many passages.")] = 10,
    mode: Annotated[SearchMode, typer.Option(help="What to search by.")] = "hybrid",
    document: Sources = None,
) -> None:
    """List the passages that fit best.

    Exit code 1 when there are none.
    """
    settings = _settings(context, llm="none")
    question = _valid(question, settings)
    with _opened(settings, to_ask=True) as assistant:
        _check_sources(document or (), assistant)
        hits = assistant.search(question, k, mode=mode, documents=document or ())
        if json:
            print_json([asdict(hit) for hit in hits])
        else:
            Screen().hits(hits, assistant.document)
            if not hits:
                complain(assistant.emptiness or "no passage in the index matches; search for other words")
    raise typer.Exit(OK if hits else NOT_FOUND)


# -- documents ---------------------------------------------------------------------------------------------------------


class _IngestCommand(TyperCommand):
    """Gives a `--ray` without an address one, so that the PATH behind it is none."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = args.index("--") if "--" in args else len(args)
        for at in (at for at, each in enumerate(args[:options]) if each == "--ray"):
            there = at + 1 < options and is_meant(args[at + 1])
            args[at : at + 1 + there] = [f"--ray={args[at + 1] if there else LOCAL}"]
            break
        return super().parse_args(ctx, args)


@app.command(cls=_IngestCommand)
def ingest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…")],
    json: Json = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove what is no longer in these folders.")] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[ADDRESS]",
            help="Read and embed on a Ray cluster (extra 'ray'): auto, host:port or ray://host:port; without an "
            "address, on a Ray that is started on this machine for it. Any other word behind it is a PATH.",
        ),
    ] = None,
) -> None:
    """Add or update documents.

    PATH is a file, a folder or a .jsonl collection. What cannot be read is a warning, and its older version stays;
    exit code 3 only when nothing could be read.
    """
    from .ingest import check_paths

    settings = _settings(context, llm="none")
    check_paths(paths)  # before a cluster is started for what is not there
    with _opened(settings, ray=ray) as assistant:
        with progress("reading") as report:
            done = assistant.ingest(paths, prune=prune, report=report)  # each failure is logged: a warning line
        if json:
            print_json(done.to_dict())
        else:
            Screen().line(", ".join(f"{len(sources)} {what}" for what, sources in done.to_dict().items()))
    raise typer.Exit(ENVIRONMENT if done.failed and not (done.changed or done.unchanged) else OK)


@app.command()
def documents(context: typer.Context, json: Json = False) -> None:
    """List what is in the index."""
    with _opened(_settings(context, llm="none")) as assistant:
        found = sorted(assistant.listing(), key=lambda each: (each.document.source, each.document.root))
        emptiness = assistant.emptiness
    if json:
        print_json([_facts(each) for each in found])
    elif emptiness and not found:
        complain(emptiness)
    else:
        Screen().rows(("title", "source", "characters", ""), [_row(each) for each in found])


def _row(listed: Listed) -> tuple[str, ...]:
    document = listed.document
    uploaded = "uploaded" if document.root == UPLOADS_ROOT else ""
    return document.title or "–", document.source, f"{listed.characters:,}", uploaded


def _facts(listed: Listed) -> dict[str, Any]:
    left_out = ("text", "pages")
    return {k: v for k, v in asdict(listed.document).items() if k not in left_out} | {"characters": listed.characters}


@app.command()
def remove(context: typer.Context, source: Annotated[str, typer.Argument(metavar="SOURCE")]) -> None:
    """Remove a document from the index only.

    SOURCE is a name that 'rag documents' lists; all documents of that name go. The files stay on the disk.
    """
    settings = _settings(context, llm="none")
    with _opened(settings) as assistant:
        _check_sources([source], assistant)
        roots = [document.root for document in assistant.documents() if document.source == source]
        assistant.remove(source)
    if len(roots) == 1:
        Screen().line(f"{source} is removed from the index")
    else:
        Screen().line(f"{len(roots)} documents called {source} are removed from the index: of {', '.join(roots)}")
    if (settings.documents / source).is_file():
        complain(f"warning: it is still in {settings.documents}, so the next command adds it again; move it away")


@app.command()
def rebuild(
    context: typer.Context,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="Only fill the index of vectors again; nothing is embedded.")
    ] = False,
) -> None:
    """Make the index again from what it holds.

    Needed after another embedding model or passage size was set; the files are not needed.
    """
    from .assistant import Assistant
    from .store import Location, Store

    settings = _settings(context)
    location = Location.of(settings)
    with waiting("rebuilding the index …"):
        if not vectors:
            Assistant.rebuild(settings)
        elif Store.exists(location):
            Store.rebuild_vectors(location)
    Screen().line(f"the index in {location.name} is rebuilt")


@app.command()
def migrate(
    context: typer.Context,
    to: Annotated[str, typer.Option("--to", metavar="URL", help="faiss, postgresql://… or milvus://…, as RAG_STORE.")],
    to_catalogue: Annotated[
        str, typer.Option("--to-catalogue", metavar="URL", help="postgresql://…, as RAG_CATALOGUE.")
    ] = "",
) -> None:
    """Copy the index to another store, without embedding again.

    Every id stays, and so does every answer. What was cut off goes on where it was. Nothing is deleted here; 'faiss' is
    the index folder.
    """
    from .ingest import Progress
    from .migration import migrate as migrated
    from .settings import FAISS
    from .store import Location

    settings = _settings(context)
    source = Location.of(settings)
    try:
        target = Location.of(settings.model_copy(update={"store": to, "catalogue": to_catalogue}))
    except SettingsError as error:
        complain(f"--to or --to-catalogue: {error}")
        raise typer.Exit(USAGE) from error
    with progress("copying") as show:
        done = migrated(source, target, lambda *now: show(Progress(*now)))
    there = f"{done.documents:,} documents and {done.passages:,} passages are in {target.name}"
    use = "set RAG_STORE and RAG_CATALOGUE" if to_catalogue else "set RAG_STORE"
    if not target.is_shared and target.vectors == FAISS:
        use = f"set RAG_STORE=faiss and RAG_INDEX_DIR={target.index_dir}"
    Screen().line(f"{there} ({done.copied:,} copied now); {use} to use them")


# -- feedback ----------------------------------------------------------------------------------------------------------


@feedback.callback()
def list_feedback(context: typer.Context, json: Json = False) -> None:
    """List what people said about answers on the page.

    It lies in feedback.db in the index folder; deleting that file deletes it.
    """
    if context.invoked_subcommand:
        return
    from .feedback import Feedback

    judgements = Feedback(_settings(context).index_dir).judgements()
    if json:
        print_json([asdict(judgement) for judgement in judgements])
    elif judgements:
        rows = [(j.time[:16].replace("T", " "), j.verdict, j.question, j.note or "–") for j in judgements]
        Screen().rows(("time", "verdict", "question", "note"), rows)
    else:
        Screen().line("nobody has judged an answer yet")


@feedback.command()
def export(
    context: typer.Context, file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="A file to make.")]
) -> None:
    """Write it as gold questions for 'pytest eval/ --gold FILE.jsonl'.

    What was judged good is gold; the rest are drafts, which the evaluation refuses until a person has mended them.
    """
    from .feedback import Feedback

    lines = [judgement.gold() for judgement in Feedback(_settings(context).index_dir).judgements()]
    try:
        with file.open("x", encoding="utf-8") as out:
            out.writelines(f"{dumps(line, ensure_ascii=False)}\n" for line in lines)
    except FileExistsError:
        complain(f"{file} is there already; name another file")
        raise typer.Exit(USAGE) from None
    except OSError as error:
        raise RagError(f"{file} cannot be written ({error.strerror}); name another file") from error
    drafts = sum("draft" in line for line in lines)
    Screen().line(f"{len(lines) - drafts} gold questions and {drafts} drafts in {file}")


# -- planning ----------------------------------------------------------------------------------------------------------


@app.command()
def capacity(
    passages: Annotated[str, typer.Option(help="How many, 1 to 1000T: 20K, 1,000,000, 1e9, 10B.")],
    questions: Annotated[str, typer.Option(help="How many: 10K/day or 5/s, on average.")] = "10K/day",
    store: Annotated[str, typer.Option(help="faiss, postgresql or milvus; else the smallest that holds them.")] = "",
    copies: Annotated[str, typer.Option(help="Of catalogue and vectors, the first included.")] = "2",
    characters: Annotated[str, typer.Option(help="Of a passage.")] = "400",
    per_document: Annotated[str, typer.Option(help="Passages of a document.")] = "10",
    dimension: Annotated[str, typer.Option(help="Of the embedding model's vectors.")] = "384",
    machine_cores: Annotated[str, typer.Option(help="Of each machine.")] = "16",
    machine_memory: Annotated[str, typer.Option(help="Of each machine, in GB.")] = "128",
    machine_disk: Annotated[str, typer.Option(help="Of each machine, in GB.")] = "4K",
    machine_price: Annotated[str, typer.Option(help="Of each machine, a month.")] = "500",
    passages_per_second: Annotated[
        str, typer.Option(help="That a machine embeds, of a GPU for example; else 89 a core.")
    ] = "",
    token_price: Annotated[
        str, typer.Option(metavar="IN/OUT", help="Of a million tokens, for example 0.15/0.60; else no LLM is asked.")
    ] = "",
    json: Json = False,
) -> None:
    """Reckon what an index of some size takes: disk, memory, machines, hours, money; and what breaks first.

    Nothing is opened. What is measured, estimated or assumed of this: docs/SCALE.md. No number may be above 1000T,
    which is 1e15.
    """
    from .capacity import plan, told, wanted

    try:
        asked = wanted(
            passages=passages,
            questions=questions,
            store=store,
            copies=copies,
            characters=characters,
            per_document=per_document,
            dimension=dimension,
            cores=machine_cores,
            memory=machine_memory,
            disk=machine_disk,
            price=machine_price,
            embedded=passages_per_second,
            prices=token_price,
        )
    except ValueError as error:
        complain(str(error))
        raise typer.Exit(USAGE) from None
    made = plan(asked)
    if json:
        print_json(asdict(made))
    else:
        print(told(made))


# -- the environment ---------------------------------------------------------------------------------------------------


@app.command()
def config(context: typer.Context) -> None:
    """List the settings and their values."""
    from .settings import shown_address

    settings = _settings(context)
    rows = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        shown = "–" if value is None else shown_address(str(value))
        origin = "set" if name in settings.model_fields_set else "default"
        rows.append((name, shown, origin, field.description or ""))
    Screen().rows(("setting", "value", "", "meaning"), rows)


@app.command()
def doctor(context: typer.Context) -> None:
    """Check documents, models, index and disk.

    Exit code 3 when something is wrong.
    """
    from .doctor import CHECKS

    settings = _settings_alone(context)  # one of the checks tells of variables that set nothing
    screen = Screen()
    healthy = True
    for name, check in CHECKS.items():
        try:
            with waiting(f"checking {name} …"):
                finding = check(settings)
            screen.line(("ok       ", "green"), f"{name}: {finding}")
        except RagError as error:
            healthy = False
            screen.line(("problem  ", "bold red"), f"{name}: {error}")
            for note in getattr(error, "__notes__", ()):
                screen.line(one_line(note), indent=9)
    raise typer.Exit(OK if healthy else ENVIRONMENT)


@models.command()
def pull(context: typer.Context) -> None:
    """Fetch the models that the settings name, once."""
    from .embedded import pull as pull_llm
    from .embedding import pull_model

    settings = _settings(context)
    screen = Screen()
    screen.line(f"the embedding model is in {pull_model(settings.embed_model, complain)}")
    if settings.llm == "embedded":
        screen.line(f"the language model is {pull_llm(settings, complain)}")
    else:
        screen.line(f"llm is '{settings.llm}': no language model to fetch")


# -- what the commands share -------------------------------------------------------------------------------------------


def _settings(context: typer.Context, **fixed: str) -> Settings:
    from .settings import unknown_variables

    for line in unknown_variables():
        complain(line)
    return _settings_alone(context, **fixed)


def _settings_alone(context: typer.Context, **fixed: str) -> Settings:
    from .settings import Settings

    return Settings(**{**context.obj, **fixed})


@contextmanager
def _opened(settings: Settings, *, to_ask: bool = False, ray: str | None = None) -> Iterator[Assistant]:
    with _warning_lines.summed_up(), progress("opening the index") as report:
        if to_ask:
            from .reading import prepare

            prepare(settings)  # beside the imports, and the opening
        from .assistant import Assistant

        assistant = Assistant.open(settings, report=report, ray=ray)
    with assistant:
        yield assistant


def _valid(question: str, settings: Settings) -> str:
    """As the Assistant would check it, but before anything is fetched or indexed."""
    from .settings import valid_question

    return valid_question(question, settings)


def _check_sources(sources: Collection[str], assistant: Assistant) -> None:
    known = {document.source for document in assistant.documents()} if sources else set()
    for source in sources:
        if source not in known:
            complain(f"no document '{source}' is in the index; 'rag documents' lists what is")
            raise typer.Exit(USAGE)


def _before_the_first_answer(settings: Settings) -> None:
    """Fetch the embedded model's weights when they are missing. Without them answers are quotes, so it may fail."""
    from .embedded import WEIGHTS_BYTES, embedded_weights
    from .embedded import pull as pull_llm
    from .telemetry import check_traces

    check_traces(settings)
    if settings.llm != "embedded" or embedded_weights(settings):
        return
    complain(f"fetching the language model once ({WEIGHTS_BYTES / 1e6:.0f} MB) …")
    try:
        pull_llm(settings, lambda _: None)
    except ModelDownloadFailed as error:
        complain(f"answering in quotes: {error}; with RAG_LLM=none it is not tried again")


def _turn(answer: Answer) -> Sequence[Message]:
    return (
        {"role": "user", "content": answer.question},
        {"role": "assistant", "content": answer.text},
    )


if __name__ == "__main__":
    main()
