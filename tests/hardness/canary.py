"""What nobody may touch: a tree of files outside, an address, and what this process and its workers did elsewhere.

Two ears: audit hooks of Python hear what its code opens, writes, starts and calls, in this process (`Watch`) and in
those that parse files (`Watch.in_workers`); the system itself tells of files outside that were opened (`Canary`), by
libraries in C as well, of which no hook hears.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import socket
import struct
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

SECRET = "The canary Theodora sleeps behind the seventh mirror."
NAME = "Theodora"  # what of it would be quoted in any case
HERE = Path(__file__).parents[1]
_WRITES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_WRITES |= {"shutil.rmtree", "shutil.move", "shutil.copyfile", "os.chown", "os.utime"}
_OF_LINKS = {"os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink"}  # they change a link, not what it leads to
_CODE = {"pickle.find_class", "sqlite3.load_extension", "os.system", "os.exec", "os.posix_spawn"}
_CALLS = {"socket.connect": 1, "socket.getaddrinfo": 0, "socket.gethostbyname": 0}  # where the address stands
_HOME = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0"}  # this machine: the tests' own servers and clients
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Of the machine, and read by no library for us: accounts, and what a process was given or holds in its memory.
_OF_THE_MACHINE = re.compile(r"/etc/(passwd|shadow)|/proc/\w+/(task/\w+/)?(environ|mem)|/dev/(tty|zero)")
_WORKER = "HARDNESS_WORKER"
_IN_WORKERS = "from hardness.canary import watch_worker\nwatch_worker()\n"


class Canary:
    """A folder that must stay as it is; `paths` are files in it that hold the secret."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "deep").mkdir(parents=True)
        self.paths = [folder / name for name in ("secret.txt", "letters.txt", "deep/secret.md", "passwd.txt")]
        for path in self.paths:
            path.write_text(f"{SECRET}\n{path.name}\n", encoding="utf-8")
        self._before = listing(folder)
        self._opens = _Opens([folder, folder / "deep"])

    def problems(self) -> list[str]:
        """What was opened, and what became another one; it is put right again."""
        opened = [f"{name} outside was opened" for name in self._opens.heard()]
        now = listing(self.folder)
        changed = [f"{name} outside was touched" for name in now.keys() ^ self._before.keys()]
        changed += [f"{name} outside was changed" for name, was in self._before.items() if now.get(name, was) != was]
        for path in self.paths if changed else ():
            path.write_text(f"{SECRET}\n{path.name}\n", encoding="utf-8")
        self.forget()
        return [*opened, *changed]

    def forget(self) -> None:
        """What was opened up to now was opened by the test itself."""
        self._opens.heard()


class _Opens:
    """What any process opens in these folders, in C as well; nothing where the system (no Linux) does not tell."""

    _OPEN = 0x20  # IN_OPEN of Linux's inotify.h
    _EVENT = struct.Struct("iIII")  # of which watch, what, a cookie, the size of the name that follows

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders: dict[int, Path] = {}
        libc = ctypes.CDLL(None)
        if not hasattr(libc, "inotify_init1"):
            return
        self._events: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._events)
        for folder in folders:
            self._folders[libc.inotify_add_watch(self._events, os.fsencode(folder), self._OPEN)] = folder

    def heard(self) -> list[str]:
        """Names of what was opened since the last time, each once."""
        names: dict[str, None] = {}
        with suppress(BlockingIOError):
            while self._folders:
                names |= dict.fromkeys(self._names(os.read(self._events, 65536)))
        return [*names]

    def _names(self, events: bytes) -> Iterator[str]:
        while events:
            which, _, _, size = self._EVENT.unpack_from(events)
            name, events = events[self._EVENT.size :][:size], events[self._EVENT.size + size :]
            yield (self._folders[which] / os.fsdecode(name.rstrip(b"\0"))).name


class Listening:
    """An address at which nobody may knock."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        weakref.finalize(self, self._socket.close)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def problems(self) -> list[str]:
        """Who knocked since the last time: the system lets them in, nobody answers."""
        with suppress(BlockingIOError):
            self._socket.accept()[0].close()
            return [f"somebody came to {self.url}", *self.problems()]
        return []


def listing(folder: Path) -> dict[str, tuple[int, str]]:
    """Names below, with sizes and hashes."""
    return {
        path.relative_to(folder).as_posix(): (path.lstat().st_size if path.is_file() else 0, _hash(path))
        for path in sorted(folder.rglob("*"))
    }


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""


class Watch:
    """Hears what Python opens, writes, starts, calls and unpickles while it is entered; no hook is ever taken away.

    `forbidden`: folders in which nothing may be opened. `allowed`: the only folders that may be written to, once there
    are any. `confined`: folders from which no link may lead to what is opened. It may be entered again inside.
    """

    def __init__(self, forbidden: Sequence[Path], allowed: Sequence[Path] = (), confined: Sequence[Path] = ()) -> None:
        self.forbidden = [os.path.realpath(folder) for folder in forbidden]
        self.allowed = [os.path.realpath(folder) for folder in allowed]
        self.confined = [each(folder) for folder in confined for each in (_named, os.path.realpath)]
        self.heard: list[str] = []
        self._depth = 0
        self._own = threading.local()  # what looks here must not be heard; what other threads do meanwhile must
        self._workers: Path | None = None  # where they tell what they hear
        self._told = 0  # lines of it that were taken
        sys.dont_write_bytecode = True  # where nobody has compiled our modules yet, that would be heard
        sys.addaudithook(self._hook)

    def __enter__(self) -> Watch:
        self._depth += 1
        return self

    def __exit__(self, *exception: object) -> None:
        self._depth -= 1

    def taken(self) -> list[str]:
        """What was heard since the last time, here and in the workers, each line once."""
        with self.unheard():
            told = (self._workers / "told").read_text().splitlines() if self._workers and self.workers() else []
        self.heard, heard, self._told = [], [*self.heard, *told[self._told :]], len(told)
        return [*dict.fromkeys(heard)]

    def workers(self) -> int:
        """How many of them have told that they are watched."""
        return len([*self._workers.glob("worker-*")]) if self._workers else 0

    @contextmanager
    def in_workers(self, folder: Path) -> Iterator[None]:
        """The processes in which files are parsed are watched, too: Python runs this `sitecustomize` in each."""
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(_IN_WORKERS)
        self._workers = folder
        told = json.dumps([str(folder), self.forbidden, self.confined])
        path = os.pathsep.join([str(folder), str(HERE.parent), str(HERE)])
        with patch.dict(os.environ, {"PYTHONPATH": path, _WORKER: told}):
            yield

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """What this thread does meanwhile is the test's own."""
        before = getattr(self._own, "looks", False)
        self._own.looks = True
        try:
            yield
        finally:
            self._own.looks = before

    def _hook(self, event: str, values: tuple[Any, ...]) -> None:
        if not self._depth or getattr(self._own, "looks", False):
            return
        if event in _CODE or (event == "subprocess.Popen" and "rag.worker" not in values[1]):
            self.hear(f"{event} {values!r:.200}")
        elif event in _CALLS:
            self._called(event, values[_CALLS[event]])
        elif event == "sqlite3.connect":
            self._look(str(values[0]).removeprefix("file://").partition("?")[0], writes=False)
        elif event in ("open", "os.listdir", "os.scandir"):
            self._look(values[0], writes=event == "open" and _writes(values))
        elif event in _WRITES:
            for path in values[: 2 if event in ("os.rename", "os.link", "shutil.move") else 1]:
                open_folder = values[-1] if isinstance(values[-1], int) and values[-1] >= 0 else None
                if open_folder is not None and event in _OF_LINKS | {"os.mkdir"}:
                    path = Path(f"/proc/self/fd/{open_folder}", os.fsdecode(path))
                self._look(path, writes=True, follows=event not in _OF_LINKS)

    def hear(self, line: str) -> None:
        self.heard.append(line)

    def _called(self, event: str, address: Any) -> None:
        """A path, or (in one of two ways) a host that is not this machine."""
        host = address[0] if isinstance(address, tuple) else address
        host = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if host not in _HOME:
            self.hear(f"{event} {address!r:.200}")

    def _look(self, path: Any, *, writes: bool, follows: bool = True) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        with self.unheard():
            place = Path(os.fsdecode(path))
            named = _named(place)
            real = os.path.realpath(place if follows else place.parent)
            real = real if follows else f"{real}{os.sep}{place.name}"
        if _inside(real, self.forbidden) or _OF_THE_MACHINE.fullmatch(real):
            self.hear(f"{path!r} outside was {'written' if writes else 'read'}")
        elif _inside(named, self.confined) and not _inside(real, self.confined):
            self.hear(f"{path!r} leads to {real}")
        elif writes and self.allowed and not _inside(real, self.allowed):
            self.hear(f"{path!r} was written")


class _Telling(Watch):
    """In a worker: what it hears goes into a file. Nothing may be written there, and nobody be called."""

    def __init__(self, folder: str, forbidden: Sequence[Path], confined: Sequence[Path]) -> None:
        super().__init__(forbidden, [Path(os.devnull)], confined)
        Path(folder, f"worker-{os.getpid()}").touch()
        self._told_in = Path(folder, "told")
        self._told_in.touch()

    def hear(self, line: str) -> None:
        with self.unheard(), self._told_in.open("a") as file:
            file.write(f"in a worker: {line!r}\n")


def watch_worker() -> None:
    """Called by `sitecustomize`, in every Python that starts; those in which files are parsed are watched for good."""
    if "rag.worker" in sys.orig_argv:
        folder, *lists = json.loads(os.environ[_WORKER])
        _Telling(folder, *([Path(each) for each in paths] for paths in lists)).__enter__()


def _writes(values: tuple[Any, ...]) -> bool:
    _, mode, flags = values
    return bool(set(mode) & set("wax+")) if isinstance(mode, str) else bool(isinstance(flags, int) and flags & _WRITING)


def _named(path: Path) -> str:
    """Where it is by its name, whatever links there are."""
    return os.path.normpath(path.absolute())


def _inside(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}{os.sep}") for folder in folders)
