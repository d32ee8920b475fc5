"""The shape that everything else rests on: public names, the direction of imports, what is loaded when."""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from pytest_socket import SocketConnectBlockedError

import rag

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "rag"

PUBLIC = """
    Answer Assistant Citation ClusterUnavailable Document DocumentUnreadable DocumentsNotFound Dropped
    EmbeddingUnavailable Failure Hit IndexDamaged IndexLocked IndexMismatch IngestReport LLMUnavailable Message
    ModelDownloadFailed ModelMissing Passage
    PromptError QuestionInvalid RagError Sentence Settings SettingsError StoreUnavailable StoreUnreachable ask
""".split()

# From the bottom up (DESIGN §3): a module may import from the rows above its own, never from its own row or below.
LAYERS = [
    {"types", "errors"},
    {"foreign", "layout", "settingsfile", "balancer", "failures"},
    {"replies", "settings", "terms", "stored", "sentences", "formats", "kept", "english", "bert", "endpoint"},
    {"calls", "address", "embedded", "operators", "tokens", "sending", "untrusted"},
    {"tracing"},
    {"telemetry"},
    {"clauses", "spelling", "answertype", "dictation", "scope", "syntax"},
    {"prompts", "embedding", "llm", "conversation", "schema", "speechacts", "antecedents", "forms"},
    {"templates", "leads", "omissions"},
    {"splitting", "units", "feedback", "rewording"},
    {"documents", "folders", "fulltext", "database", "catalogue"},
    {"rows", "worker", "nearest", "integrity"},
    {"sandbox", "sqlite", "vectors", "lexemes", "remote"},
    {"postgres_words"},
    {"postgres_rows"},
    {"postgres_writes", "watchdog"},
    {"postgres_engine"},
    {"postgres"},
    {"engines"},
    {"milvus", "pgvector"},
    {"location"},
    {"store", "migration"},
    {"scan"},
    {"workers", "parcels", "rayaddress"},
    {"cluster", "raydriver"},
    {"pipeline", "reading"},
    {"ingest", "retrieval"},
    {"evidence", "uploads"},
    {"quoting", "grounding"},
    {"confidence"},
    {"writing", "turn"},
    {"backing"},
    {"assistant"},
    {"oneshot", "adapters", "web", "doctor", "terminal", "capacity"},
    {"progress", "shell"},
    {"cli"},
]
# The rooms behind store.py. Nothing else may know that the passages are in SQLite, or on this machine.
STORE = {
    *("stored", "catalogue", "sqlite", "schema", "fulltext", "rows", "database", "integrity"),
    *("lexemes", "postgres_words", "postgres_rows", "postgres_writes", "watchdog", "postgres_engine", "postgres"),
    *("layout", "nearest", "vectors", "remote", "engines", "milvus", "pgvector", "location", "migration", "store"),
}
# Files outside rag/ that may use more of it than the public names.
INSIDERS = {
    "app.py": {"rag.web"},
    "eval/fit_confidence.py": {"rag.confidence", "rag.reading"},  # it makes a part of rag/: it has to know its features
    # So does this: the weights that the reader is trained from, how it reads, and what a sentence is.
    "eval/reader/examples.py": {"rag.sentences", "rag.templates", "rag.types"},
    "eval/reader/score.py": {"rag.reading", "rag.settings", "rag.types"},
    "eval/reader/train.py": {"rag.bert", "rag.embedding", "rag.reading", "rag.settings"},
    # They measure rag/grounding.py: they ask the checker as the chain does.
    "eval/changes.py": {"rag.terms"},
    "eval/claims.py": {"rag.embedding", "rag.evidence", "rag.grounding", "rag.types"},
    "eval/grounding.py": {
        "rag.bert",
        "rag.embedding",
        "rag.evidence",
        "rag.grounding",
        "rag.sentences",
        "rag.types",
        "rag.units",
    },
    # Drafts are made of sentences, as the assistant cuts them, and shown on a terminal, which documents must not drive.
    "eval/conftest.py": {"rag.terminal"},  # what comes from outside is printed as one plain line
    "eval/draft.py": {"rag.terminal"},
    "eval/gold.py": {"rag.terminal"},
    "eval/proposing.py": {"rag.prompts", "rag.sentences", "rag.templates", "rag.types"},
    "eval/near.py": {"rag", "rag.english"},
    "eval/judge.py": {"rag.prompts"},  # prompts are checked values, this one too
    "eval/performance/page.py": {"rag.web"},
    "eval/performance/peers/our_limits.py": {"rag.embedding"},  # the encoder alone, without what surrounds it
    "eval/performance/peers/our_store.py": {"rag.assistant", "rag.embedding", "rag.retrieval", "rag.store"},
    "eval/performance/peers/llm_server.py": {"rag.embedded"},  # where its weights are
    # A million passages with vectors that nobody embedded can only be put into the store itself.
    "eval/performance/stores.py": {"rag.migration", "rag.store"},
    "eval/performance/weights.py": {"rag.spelling", "rag.splitting", "rag.store", "rag.terms", "rag.types"},
    "eval/performance/growth.py": {"rag.assistant", "rag.embedding", "rag.store", "rag.types"},
}


class Import(NamedTuple):
    """`importer` (a file) imports `module`, and of it `name` ("" for the module itself)."""

    importer: str
    module: str
    name: str


def imports_of(path: Path, package: str) -> Iterator[Import]:
    """All imports in a file of `package`, also those inside functions and for type checkers."""
    where = path.relative_to(REPOSITORY).as_posix()
    parts = package.split(".")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(where, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (Import(where, module, alias.name) for alias in node.names)


def module_of(path: Path) -> str:
    """The row entry of a file: `rag/store.py` is "store", everything in `rag/web/` is "web"."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def edges() -> list[tuple[str, str, str]]:
    """(file, its module, the module of ours that it imports), without those from the package's own front."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path == PACKAGE / "__init__.py":
            continue
        package = ".".join(path.relative_to(REPOSITORY).parent.parts)
        for each in imports_of(path, package):
            head, *rest = each.module.split(".")
            if head == "rag":
                found.append((each.importer, module_of(path), rest[0] if rest else each.name or "__init__"))
    return found


def layer(module: str) -> int:
    return next(number for number, row in enumerate(LAYERS) if module in row)


# -- names -------------------------------------------------------------------------------------------------------------


def test_the_exported_names() -> None:
    assert rag.__all__ == sorted(PUBLIC)
    assert dir(rag) == sorted(PUBLIC)
    assert {name for name, each in vars(rag.errors).items() if isinstance(each, type)} <= set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_exported_name_is_there(name: str) -> None:
    assert getattr(rag, name).__name__ == name


def test_another_name_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Retriever'"):
        _ = rag.Retriever


# -- import edges ------------------------------------------------------------------------------------------------------


def test_every_module_has_its_place() -> None:
    modules = {module_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert modules == set().union(*LAYERS), "a new module has to be placed in LAYERS"


def test_no_module_is_in_two_places() -> None:
    assert sum(map(len, LAYERS)) == len(set().union(*LAYERS))


def test_imports_point_one_way() -> None:
    wrong = [
        f"{file} imports {imported}"
        for file, module, imported in edges()
        if module != imported and (imported == "__init__" or layer(imported) >= layer(module))
    ]
    assert wrong == []


def test_only_the_store_knows_its_rooms() -> None:
    inside = STORE - {"store", "migration"}
    assert [
        f"{file} imports {imported}" for file, module, imported in edges() if imported in inside and module not in STORE
    ] == []


def test_the_check_sees_the_edges_there_are() -> None:
    known = {(module, imported) for _, module, imported in edges()}
    assert {("location", "vectors"), ("assistant", "conversation"), ("oneshot", "assistant")} <= known


def test_outside_only_public_names_are_used() -> None:
    wrong = []
    for path in [REPOSITORY / "app.py", *(REPOSITORY / "eval").rglob("*.py")]:
        if not path.exists():
            continue
        allowed = {"rag"} | INSIDERS.get(path.relative_to(REPOSITORY).as_posix(), set())
        package = ".".join(path.relative_to(REPOSITORY).parent.parts)
        for each in imports_of(path, package):
            ours = each.module.split(".")[0] == "rag"
            public = each.name in ("", *PUBLIC) if each.module == "rag" else each.module in allowed
            if ours and not public and f"{each.module}.{each.name}" not in allowed:
                wrong.append(f"{each.importer} imports {each.module} {each.name}")
        wrong += [f"{path.name} uses rag.{name}" for name in _attributes_of_rag(path) if name not in (*PUBLIC, "web")]
    assert wrong == []


def _attributes_of_rag(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "rag"
    }


# -- what is loaded when -----------------------------------------------------------------------------------------------


def loaded_by(code: str, *suspects: str) -> list[str]:
    """Which of `suspects` a fresh Python has loaded after `code`."""
    script = f"{code}\nimport sys\nprint(*[name for name in {suspects!r} if name in sys.modules])"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAG_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


def test_loaded_by_sees_what_is_loaded() -> None:
    assert loaded_by("import rag; rag.Settings", "pydantic", "torch") == ["pydantic"]


def test_importing_rag_loads_nothing_heavy() -> None:
    assert loaded_by("import rag", "torch", "llama_index", "gradio", "faiss", "numpy", "pydantic", "openvino") == []


def test_the_quoted_path_needs_neither_torch_nor_llama_index() -> None:
    code = "import rag.types, rag.splitting, rag.store, rag.retrieval, rag.evidence, rag.grounding, rag.assistant"
    assert loaded_by(code, "torch", "transformers", "sentence_transformers", "llama_index", "gradio", "openai") == []


def test_an_ingest_that_finds_nothing_new_loads_no_vectors_and_no_model(tmp_path: Path) -> None:
    (tmp_path / "birds.txt").write_text("The heron stands still in the shallow water.\n")
    code = f"""
import rag
settings = rag.Settings(documents={str(tmp_path)!r}, index_dir={str(tmp_path / "index")!r}, llm="none")
rag.Assistant.open(settings).close()
"""
    assert loaded_by(code, "faiss", "openvino") == ["faiss", "openvino"]
    assert loaded_by(code, "faiss", "openvino", "tokenizers", "gradio") == []


def test_asking_loads_no_llama_index(tmp_path: Path) -> None:
    (tmp_path / "birds.txt").write_text("The heron stands still in the shallow water.\n")
    code = f"""
import rag
settings = rag.Settings(documents={str(tmp_path)!r}, index_dir={str(tmp_path / "index")!r}, llm="none", refuse_below=0)
with rag.Assistant.open(settings) as assistant:
    assert "heron" in assistant.ask("Which bird stands still?").text
"""
    assert loaded_by(code, "llama_index", "llama_index.core", "gradio", "openai", "xllamacpp") == []
    assert loaded_by(code, "opentelemetry", "prometheus_client", "rag.tracing", "rag.sending") == []
    assert loaded_by(code, "sqlalchemy", "psycopg2", "pgvector", "pymilvus", "milvus_lite", "grpc", "ray") == []
    assert loaded_by(code, "rag.postgres", "rag.remote", "rag.engines", "rag.lexemes", "rag.migration") == []
    traced = code.replace("refuse_below=0", "refuse_below=0, traces=True").replace(
        "import rag",
        "import rag, opentelemetry.sdk.trace as sdk, opentelemetry.trace as api; "
        "api.set_tracer_provider(sdk.TracerProvider())",
    )
    assert loaded_by(traced, "rag.tracing", "rag.sending") == ["rag.tracing"]  # an application has its own way


def test_a_server_loads_neither_metrics_nor_traces_that_nobody_wants() -> None:
    assert loaded_by("import rag.web", "opentelemetry.sdk", "prometheus_client", "rag.tracing", "rag.web.metrics") == []


def test_the_default_install_needs_nothing_that_only_some_need() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = re.compile(r"[A-Za-z0-9_.-]+")
    extras = {e: {name.match(line)[0] for line in lines} for e, lines in project["optional-dependencies"].items()}  # type: ignore[index]
    scale = set.union(*(extras[extra] for extra in ("milvus", "otel", "postgres", "ray")))
    default = {name.match(line)[0] for line in project["dependencies"]}  # type: ignore[index]
    assert len(scale) > 6
    assert not default & scale
    assert len(default) == 31  # one more, or one less, is a decision


@pytest.mark.filterwarnings("ignore:A test tried to use")
def test_these_tests_cannot_reach_the_network() -> None:
    with pytest.raises(SocketConnectBlockedError):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


# -- nothing that a stranger wrote is run ------------------------------------------------------------------------------

# What ruff does not see (see its rules in pyproject.toml): calls by their name, and with these arguments.
UNPICKLES = {"torch.load", "joblib.load", "pandas.read_pickle", "yaml.load", "yaml.unsafe_load", "pickle.load"}
UNPICKLES |= {"pickle.loads", "marshal.loads", "runpy.run_path", "faiss.deserialize_index"}
LETS_CODE_IN = {"trust_remote_code": True, "allow_pickle": True, "shell": True, "weights_only": False}
PICKLING = {"pickle", "_pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}


def runs_what_it_reads(code: str) -> list[str]:
    """Calls and imports in some code that would run what a file holds."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [name for name in names if name.split(".")[0] in PICKLING]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {each.arg: ast.unparse(each.value) for each in node.keywords}
            found += [f"{what}={value}" for what, value in LETS_CODE_IN.items() if given.get(what) == str(value)]
            if name in UNPICKLES:
                found.append(name)
            if name in ("eval", "exec", "compile", "__import__", "os.system", "os.popen"):
                found.append(name)
            if name.endswith(("enable_load_extension", ".load_extension")):
                found.append(name)
    return found


def test_no_code_runs_what_it_reads() -> None:
    files = [*PACKAGE.rglob("*.py"), REPOSITORY / "app.py", *(REPOSITORY / "eval").rglob("*.py")]
    found = {file.name: runs_what_it_reads(file.read_text(encoding="utf-8")) for file in files if file.exists()}
    assert {name: calls for name, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "code",
    [
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "np.load(file, allow_pickle=True)",
        "numpy.load(file, mmap_mode=None, allow_pickle=True)",
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "import joblib",
        "from pickle import loads",
        "import os, shelve",
        "yaml.load(text)",
        "subprocess.run(command, shell=True)",
        "faiss.deserialize_index(array)",
        "connection.enable_load_extension(True)",
        "eval(text)",
        "def f():\n    import cloudpickle as c",
    ],
)
def test_code_that_would_is_seen(code: str) -> None:
    assert runs_what_it_reads(code)
    assert not runs_what_it_reads(
        "np.load(file); json.loads(text); subprocess.run(command); np.load(f, allow_pickle=False)"
    )


# -- the documents are data --------------------------------------------------------------------------------------------


def test_no_word_of_the_seed_documents_is_in_the_package() -> None:
    """What is known about the documents must come from reading them, so no code may mention what is in them."""
    names = "kazemi kadhimi saadi sa'adi sadr khamenei zarif araji hezbollah counter-terrorism iraq baghdad sinjar"
    seed_word = re.compile("|".join(rf"\b(?:al-)?{re.escape(name)}" for name in names.split()), re.IGNORECASE)
    hits = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and path.suffix in (".py", ".js", ".css", ".html", ".md", ".json", ".toml")
        if "data" not in path.relative_to(PACKAGE).parts  # the wheel's copy of seeds/ and prompts/
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if seed_word.search(line)
    ]
    assert hits == []
