"""What nobody may touch: a tree of files outside, with a secret in it, and what this process did to files elsewhere."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SECRET = "The canary Theodora sleeps behind the seventh mirror."
_WRITES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_WRITES |= {"shutil.rmtree", "shutil.move", "shutil.copyfile", "os.chown", "os.utime"}
_OF_LINKS = {"os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink"}  # they change a link, not what it leads to
_CODE = {"pickle.find_class", "sqlite3.load_extension", "os.system", "os.exec", "os.posix_spawn"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Canary:
    """A folder that must stay as it is; `paths` are files in it that hold the secret."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "deep").mkdir(parents=True)
        self.paths = [folder / name for name in ("secret.txt", "letters.txt", "deep/secret.md", "passwd.txt")]
        for path in self.paths:
            path.write_text(f"{SECRET}\n{path.name}\n", encoding="utf-8")
        self._before = listing(folder)

    def problems(self) -> list[str]:
        """What became another one; it is put right again."""
        now = listing(self.folder)
        changed = [f"{name} outside was touched" for name in now.keys() ^ self._before.keys()]
        changed += [f"{name} outside was changed" for name, was in self._before.items() if now.get(name, was) != was]
        for path in self.paths if changed else ():
            path.write_text(f"{SECRET}\n{path.name}\n", encoding="utf-8")
        return changed


def listing(folder: Path) -> dict[str, tuple[int, str]]:
    """Names below, with sizes and hashes."""
    return {
        path.relative_to(folder).as_posix(): (path.lstat().st_size if path.is_file() else 0, _hash(path))
        for path in sorted(folder.rglob("*"))
    }


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""


class Watch:
    """Hears what Python opens, writes, starts and unpickles from now on; nothing takes a hook away again.

    `forbidden`: folders in which nothing may be opened. `allowed`: the only folders that may be written to, once there
    are any.
    """

    def __init__(self, forbidden: Sequence[Path], allowed: Sequence[Path] = ()) -> None:
        self.forbidden = [os.path.realpath(folder) for folder in forbidden]
        self.allowed = [os.path.realpath(folder) for folder in allowed]
        self.active = False
        self.heard: list[str] = []
        sys.addaudithook(self._hook)

    def __enter__(self) -> Watch:
        self.heard.clear()
        self.active = True
        return self

    def __exit__(self, *exception: object) -> None:
        self.active = False

    def _hook(self, event: str, values: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event in _CODE or (event == "subprocess.Popen" and "rag.worker" not in values[1]):
            self.heard.append(f"{event} {values!r:.200}")
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

    def _look(self, path: Any, *, writes: bool, follows: bool = True) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        self.active = False  # what looks here must not be heard
        place = Path(os.fsdecode(path))
        real = os.path.realpath(place if follows else place.parent)
        real = real if follows else f"{real}{os.sep}{place.name}"
        self.active = True
        if _inside(real, self.forbidden):
            self.heard.append(f"{path!r} outside was {'written' if writes else 'read'}")
        elif writes and self.allowed and not _inside(real, self.allowed):
            self.heard.append(f"{path!r} was written")


def _writes(values: tuple[Any, ...]) -> bool:
    _, mode, flags = values
    return bool(set(mode) & set("wax+")) if isinstance(mode, str) else bool(isinstance(flags, int) and flags & _WRITING)


def _inside(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}{os.sep}") for folder in folders)
