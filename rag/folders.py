"""A folder → the files in it that are to be indexed."""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from .types import Failure

IGNORE_FILE = ".ragignore"
_UNTIL_THEN = (
    "until then nothing in its folder is read, and what was indexed from there stays; "
    "only what other lines name is pruned"
)
_SHOWN = 60  # characters of a line
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
_STAR, _FOLDERS_FIRST, _FOLDERS = "[^/]*", "^(?:.+/)?", "(?:/.+)?"  # "*", "**/" in front, "/**" between, of pathspec


class _Ignored(NamedTuple):
    folder: Path
    patterns: GitIgnoreSpec


class Listing(NamedTuple):
    """What is in a folder and below: files to read, in a stable order, what cannot be listed, other kinds of files.

    `rules` are those of all ignore files that were met, as far as they can be read.
    """

    files: list[Path]
    unlisted: list[Failure]
    others: Counter[str]
    rules: Sequence[_Ignored] = ()

    def is_ignored(self, path: Path) -> bool:
        """Whether an ignore file names this path, which need not be there."""
        return _is_ignored(path, [rule for rule in self.rules if path.is_relative_to(rule.folder)])


class _Unusable(Exception):
    """Why an ignore file, or a line of it, cannot be used; ends with the cure."""


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
    met: list[_Ignored] = []
    for parent, folders, names in os.walk(folder, onerror=errors.append):
        here = Path(parent)
        rules = [rule for rule in rules if here.is_relative_to(rule.folder)]
        if IGNORE_FILE in names or IGNORE_FILE in folders:
            patterns, wrong = _patterns(here / IGNORE_FILE, root)
            rules.append(_Ignored(here, patterns))
            met.append(rules[-1])
            if wrong:
                failures.append(Failure((here / IGNORE_FILE).relative_to(folder).as_posix(), f"{wrong}; {_UNTIL_THEN}"))
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
    return Listing(found, failures, others, met)


class _Pattern(GitIgnoreSpecPattern):
    """One line of an ignore file, in time that a name cannot blow up.

    A folder may come from a stranger, and pathspec's expression for "*a*a*a*b" takes time with the fourth power of the
    name. Here what stands between two stars is found once, at its first place (as `fnmatch` does it): wherever it was
    found further on, the second star would have reached there, too. So with whole folders between two "**".
    """

    @classmethod
    def pattern_to_regex(cls, pattern: Any) -> Any:
        expression, include = super().pattern_to_regex(pattern)
        return (expression and _first_places(expression)), include


def _first_places(expression: str) -> str:
    first, *between = (_stars(part) for part in expression.split(_FOLDERS))
    if not between:
        return first
    if first.startswith(_FOLDERS_FIRST):
        first = rf"^(?>(?:.+?/)??{first.removeprefix(_FOLDERS_FIRST)}(?=/))"
    return "".join([first, *(rf"(?>(?:/.+?)??{part}(?=/))" for part in between[:-1]), _FOLDERS, between[-1]])


def _stars(expression: str) -> str:
    first, *parts = expression.split(_STAR)
    found = [first]
    for part in parts[:-1]:  # each up to the next star; one that a folder ends has only one place
        found.append(f"{_STAR}{part}" if "/" in part.replace("[^/]", "") else f"(?>{_STAR}?{part})")
    return "".join([*found, *(f"{_STAR}{part}" for part in parts[-1:])])


def _patterns(file: Path, root: Path) -> tuple[GitIgnoreSpec, str]:
    """The patterns of an ignore file that can be used, and in words what cannot be, with its cure; "" if all can."""
    try:
        lines = _lines(file, root)
    except _Unusable as error:
        return GitIgnoreSpec([]), str(error)
    patterns = []
    wrong = ""
    for number, line in enumerate(lines, 1):
        try:
            patterns += [_pattern(line)] if line else []
        except (ValueError, re.error):
            wrong = wrong or f"line {number}: '{line.strip()[:_SHOWN]}' is no pattern; correct it, as in .gitignore"
    return GitIgnoreSpec(patterns, backend="simple"), wrong


def _lines(file: Path, root: Path) -> list[str]:
    try:
        kind = stat.S_IFMT(file.stat().st_mode)
        if not file.resolve().is_relative_to(root):
            raise _Unusable("it is a link that leaves the folder; put the file itself there")
        if kind != stat.S_IFREG:  # a pipe would never end
            raise _Unusable(f"it is {_KINDS.get(kind, 'no file')}; put a file of this name there, or move it away")
        return file.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise _Unusable("it is a link to nothing; put the file itself there") from error
    except OSError as error:
        raise _Unusable(f"it cannot be read ({error.strerror or error}); allow reading it") from error
    except UnicodeDecodeError as error:
        raise _Unusable("it is not in UTF-8; write it in UTF-8") from error


def _pattern(line: str) -> _Pattern:
    # "simple" is Python's own `re`: others do not know all of what we write.
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # "[[a]" may mean more to a later `re`
        return _Pattern(line)


def _is_ignored(path: Path, rules: list[_Ignored], ending: str = "") -> bool:
    return any(patterns.match_file(path.relative_to(folder).as_posix() + ending) for folder, patterns in rules)
