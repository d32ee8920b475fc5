"""A folder → the files in it that are to be indexed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pathspec import GitIgnoreSpec

from .types import Failure

IGNORE_FILE = ".ragignore"


class Listing(NamedTuple):
    """What is in a folder and below: files to read, in a stable order, what cannot be listed, other kinds of files."""

    files: list[Path]
    unlisted: list[Failure]
    others: Counter[str]


class _Ignored(NamedTuple):
    folder: Path
    patterns: GitIgnoreSpec


def list_files(folder: Path, known: Callable[[Path], bool]) -> Listing:
    """The files for which `known` holds.

    Hidden files, links that leave the folder, and what a `.ragignore` of the folder or of one below names
    (patterns as in `.gitignore`) are passed over.
    """
    others: Counter[str] = Counter()
    root = folder.resolve()
    errors: list[OSError] = []
    found = []
    failures = []
    rules: list[_Ignored] = []
    for parent, folders, names in os.walk(folder, onerror=errors.append):
        here = Path(parent)
        rules = [rule for rule in rules if here.is_relative_to(rule.folder)]
        if IGNORE_FILE in names:
            try:
                rules.append(_Ignored(here, _patterns(here / IGNORE_FILE, root)))
            except (OSError, ValueError) as error:
                reason = (
                    f"cannot be used ({type(error).__name__}); write it in UTF-8, one pattern a line as in .gitignore"
                )
                failures.append(Failure((here / IGNORE_FILE).relative_to(folder).as_posix(), reason))
                folders[:] = []  # what it would have named must not be shown: nothing is read here
                continue
        folders[:] = sorted(n for n in folders if not n.startswith(".") and not _is_ignored(here / n, rules, "/"))
        for name in sorted(names):
            path = here / name
            if name.startswith(".") or not path.is_file() or not path.resolve().is_relative_to(root):
                continue
            if _is_ignored(path, rules):
                continue
            if known(path):
                found.append(path)
            else:
                others[path.suffix.lower() or "without suffix"] += 1
    failures += [Failure(str(e.filename), f"cannot be listed ({e.strerror}); allow reading it") for e in errors]
    return Listing(found, failures, others)


def _patterns(file: Path, root: Path) -> GitIgnoreSpec:
    if not (file.is_file() and file.resolve().is_relative_to(root)):  # a pipe would never end, a link leads elsewhere
        raise ValueError("no file of the folder")
    return GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8-sig").splitlines())


def _is_ignored(path: Path, rules: list[_Ignored], ending: str = "") -> bool:
    return any(patterns.match_file(path.relative_to(folder).as_posix() + ending) for folder, patterns in rules)
