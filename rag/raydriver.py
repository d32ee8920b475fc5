"""The process that speaks to Ray: `python -m rag.raydriver`, started and spoken to by `cluster` only.

Ray prints where it likes, takes over signals, and ends its process when a cluster is gone. So it has one of its own,
which knows bytes only: it hands batches to workers, and to others when one is lost. It ends when its input does, which
is when its parent ends, however that happened; a Ray that it has started ends with it.

A cluster is trusted: whoever may start tasks on it runs code as its user, and Ray itself sends pickles. What travels
for us is bytes that run nothing.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO

from .errors import RagError
from .parcels import receive, send
from .rayaddress import AUTO, CLIENT, LOCAL, described, not_reached
from .worker import own_output

_TRIES = 3  # of a batch whose worker is lost each time
_READ_TRIES = 2  # then its files are tried one by one, as often
_QUEUED = 2  # batches at an embedding worker: one is embedded, and the next is there
_LOOK_SECONDS = 3  # between two looks at the cluster
_PATIENCE_SECONDS = 20  # before it is said that there is no room
_STOP_SECONDS = 10
_FIND_SECONDS = 10  # for a cluster of this machine to answer; Ray itself warns after 5 and ends after 60
# One process writes what all of them make: more than these would wait for it.
_MOST_READERS, _MOST_EMBEDDERS = 32, 64


# What happens: a request, what Ray has done (in a thread of its own: this calls back), and that the parent has gone.
_Event = tuple[dict[str, Any], bytes] | Callable[[], None] | None
_Events = SimpleQueue[_Event]


class _GivingUp(Exception):
    """Why the cluster is no use any more."""


@dataclass(eq=False)
class _Task:
    number: int
    payload: bytes
    tries: int


@dataclass(eq=False)
class _Embedder:
    actor: Any
    ready: bool = False
    tasks: int = 0


class _Driver:
    """Ray's own errors and the parent's requests are events; one thread handles them in turn."""

    def __init__(self, ray: Any, terms: bytes, gpu: bool, events: _Events, tell: Callable[..., None]) -> None:
        self._ray = ray
        self._events = events
        self._terms = terms
        self._tell = tell
        self._device = "GPU" if gpu and ray.cluster_resources().get("GPU") else "CPU"
        # They take no CPU of Ray's count, all of which embed: reading is a twentieth of the work, or less.
        self._read_batch = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy="SPREAD")(_read_batch)
        share = {"num_gpus": 1} if self._device == "GPU" else {"num_cpus": 1}
        self._actor = ray.remote(max_restarts=0, max_task_retries=0, **share)(_EmbedderActor)
        self._embedders: list[_Embedder] = []
        self._asked: set[_Task] = set()  # and not answered
        self._waiting: deque[_Task] = deque()  # to be embedded
        self._lost_in_a_row = 0
        self._patient = True
        self._served = self._looked = time.monotonic()
        self._room: dict[str, int] = {}

    def serve(self) -> None:
        """Until there are no more requests. Raises _GivingUp, and what Ray raises."""
        self._look()
        self._tell(self._room)
        while True:
            try:
                event = self._events.get(timeout=_LOOK_SECONDS)
            except Empty:
                event = _nothing
            if event is None:
                return
            if isinstance(event, tuple):
                self._take(*event)
            else:
                event()
            if time.monotonic() - self._looked > _LOOK_SECONDS:
                self._look()
            self._dispatch()

    def _take(self, header: dict[str, Any], payload: bytes) -> None:
        if header["kind"] == "rest":
            self._rest()
            return
        task = _Task(header["number"], payload, _READ_TRIES if header["kind"] == "read" else _TRIES)
        self._asked.add(task)
        if header["kind"] == "read":
            self._read(task)
        else:
            self._waiting.append(task)

    def _rest(self) -> None:
        """An ingest is over: nobody waits for what was asked, and others may want what embedding workers hold."""
        self._asked.clear()
        self._waiting.clear()
        for embedder in self._embedders:
            self._ray.kill(embedder.actor)
        self._embedders.clear()
        self._patient = True

    def _look(self) -> None:
        """How large the cluster is now, and whether it is there at all."""
        self._looked = time.monotonic()
        if not any(node["Alive"] for node in self._ray.nodes() if self._is_mine(node)):
            raise _GivingUp("its node on this machine has ended")
        there = self._ray.cluster_resources()
        self._room = {
            "readers": max(1, min(_MOST_READERS, int(there.get("CPU", 0)))),
            "embedders": max(1, min(_MOST_EMBEDDERS, int(there.get(self._device, 0)))),
        }
        if not self._waiting or any(embedder.ready for embedder in self._embedders):
            self._served = self._looked
        if self._patient and self._looked - self._served > _PATIENCE_SECONDS:
            self._patient = False
            self._tell({"notice": f"no {self._device} of the Ray cluster is free; waiting for one"})

    def _is_mine(self, node: dict[str, Any]) -> bool:
        return bool(node["NodeID"] == self._ray.get_runtime_context().get_node_id())

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read(self, task: _Task) -> None:
        ref = self._read_batch.remote(self._terms, task.payload)
        ref.future().add_done_callback(lambda done: self._events.put(partial(self._has_read, task, done)))

    def _has_read(self, task: _Task, done: Any) -> None:
        if not self._is_answered(task, done):
            self._read(task)

    # -- embedding ---------------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        ready = [embedder for embedder in self._embedders if embedder.ready]
        while self._waiting and ready:
            embedder = min(ready, key=lambda each: each.tasks)
            if embedder.tasks >= _QUEUED:
                break
            self._embed(self._waiting.popleft(), embedder)
        wanted = len(self._waiting) + sum(embedder.tasks for embedder in ready)
        while len(self._embedders) < min(wanted, self._room["embedders"]):
            self._start()

    def _start(self) -> None:
        embedder = _Embedder(self._actor.remote(self._terms))
        self._embedders.append(embedder)
        loaded = embedder.actor.load.remote()
        loaded.future().add_done_callback(lambda done: self._events.put(partial(self._has_started, embedder, done)))

    def _has_started(self, embedder: _Embedder, done: Any) -> None:
        if embedder not in self._embedders:
            return
        error = self._lost(done)
        embedder.ready = error is None
        if error is not None:
            self._drop(embedder, error)

    def _embed(self, task: _Task, embedder: _Embedder) -> None:
        embedder.tasks += 1
        ref = embedder.actor.embed.remote(task.payload)
        ref.future().add_done_callback(lambda done: self._events.put(partial(self._has_embedded, task, embedder, done)))

    def _has_embedded(self, task: _Task, embedder: _Embedder, done: Any) -> None:
        embedder.tasks -= 1
        if not self._is_answered(task, done):
            self._waiting.appendleft(task)
        if error := done.exception():
            self._drop(embedder, error)
        else:
            self._lost_in_a_row = 0

    def _drop(self, embedder: _Embedder, error: BaseException) -> None:
        """Another one is started when there is work for it."""
        if embedder not in self._embedders:
            return
        self._embedders.remove(embedder)
        self._ray.kill(embedder.actor)  # one that cannot be reached may live
        self._lost_in_a_row += 1
        if self._lost_in_a_row > _TRIES * self._room["embedders"]:
            raise _GivingUp(f"its embedding workers end again and again ({_line(error)})")

    # -- what has become of it ---------------------------------------------------------------------------------------

    def _is_answered(self, task: _Task, done: Any) -> bool:
        """Whether there is nothing more to do for a task: it is done, or has taken its last worker with it."""
        if task not in self._asked:
            return True
        if self._lost(done) is None:
            self._asked.remove(task)
            self._tell(self._room | {"number": task.number}, done.result())
            return True
        task.tries -= 1
        if task.tries:
            return False
        self._asked.remove(task)
        self._tell(self._room | {"number": task.number, "lost": True})
        return True

    def _lost(self, done: Any) -> BaseException | None:
        """The error that says that a worker was lost, not what it was doing. Raises what ends all."""
        error: BaseException | None = done.exception()
        if error is None:
            return None
        raised = getattr(error, "cause", None) or error
        if isinstance(raised, ImportError):
            lacking = f"the workers of the Ray cluster cannot run rag-quoted ({_line(raised)})"
            raise RagError(f"{lacking}; install the same version there")
        if isinstance(raised, RagError):
            raise raised
        if isinstance(error, self._ray.exceptions.RayTaskError):
            raise _GivingUp(f"a worker failed: {type(raised).__name__}: {_line(raised)}")
        return error


# These travel as code, and what they import is what is installed there: a worker without it says so.


def _read_batch(terms: bytes, batch: bytes) -> bytes:
    from rag.parcels import read_batch

    return read_batch(terms, batch)


class _EmbedderActor:
    def __init__(self, terms: bytes) -> None:
        self._terms = terms

    def load(self) -> None:
        from rag.parcels import Embedder

        self._embedder = Embedder(self._terms)
        self._embedder.load()

    def embed(self, texts: bytes) -> bytes:
        return self._embedder.embed(texts)


def main() -> None:
    """Serves one parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    tell = partial(send, own_output())
    events: _Events = SimpleQueue()
    first = receive(sys.stdin.buffer)
    if first is None:
        return
    threading.Thread(target=_listen, args=(sys.stdin.buffer, events), daemon=True).start()
    header, terms = first
    address = header["address"]
    if address == AUTO:
        address = os.environ.get("RAY_ADDRESS") or AUTO  # as Ray would have it, but looked at as if it was written here

    def fail(why: str) -> None:
        tell({"failure": not_reached(address, why)})

    try:
        ray = _connected(address, fail)
    except Exception as error:  # Ray's own, of many kinds
        fail(_line(error))
        return
    try:
        _Driver(ray, terms, header["gpu"], events, tell).serve()
    except RagError as error:
        tell({"failure": str(error)})
    except Exception as error:  # Ray's own, of many kinds
        why = str(error) if isinstance(error, _GivingUp) else f"{type(error).__name__}: {_line(error)}"
        whole = "what was stored is whole: the same command goes on from there"
        tell({"failure": f"{described(address)} was lost ({why}); {whole}"})
    ray.shutdown()


def _listen(requests: BinaryIO, events: _Events) -> None:
    while frame := receive(requests):
        events.put(frame)
    events.put(None)
    time.sleep(_STOP_SECONDS)  # for what cannot be ended: Ray waits for a cluster that is gone
    os._exit(1)


def _connected(address: str, fail: Callable[[str], None]) -> Any:
    for name in [name for name in os.environ if name.startswith("RAG_")]:  # keys: a worker needs none of them
        del os.environ[name]
    options: dict[str, Any] = {"log_to_driver": False}
    if address == LOCAL:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["RAY_AUTH_MODE"] = "token"  # else whoever is logged in here may start tasks on it
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else it listens on every network, on Linux, too
        options["include_dashboard"] = False
    elif address != AUTO:
        # Ray itself would try for a minute.
        host, _, port = address.removeprefix(CLIENT).rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    import ray

    with nullcontext() if address == LOCAL or address.startswith(CLIENT) else _bounded(fail):
        ray.init(address, **options)
    return ray


@contextmanager
def _bounded(fail: Callable[[str], None]) -> Iterator[None]:
    """End this process when what is done takes too long: Ray cannot be told to stop."""

    def give_up() -> None:
        fail(f"no answer within {_FIND_SECONDS} s")
        os._exit(1)

    timer = threading.Timer(_FIND_SECONDS, give_up)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _nothing() -> None:
    """It has been quiet: a time to look at the cluster."""


def _line(error: BaseException) -> str:
    """What an error says, without the rest of its report."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), type(error).__name__)


if __name__ == "__main__":
    main()
