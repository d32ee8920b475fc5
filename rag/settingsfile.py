"""`rag.toml` of the current folder: what it sets, if nobody else can have written it."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, InitSettingsSource

from .errors import SettingsError

SETTINGS_FILE = "rag.toml"
_ROOT = 0


class SettingsFile(InitSettingsSource):
    """The settings in `rag.toml`, as a source for pydantic-settings; none where there is no such file."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls, _values(Path(SETTINGS_FILE)))


def _values(file: Path) -> dict[str, Any]:
    """Raises OSError, ValueError (it is no TOML) and SettingsError."""
    if not os.path.lexists(file):
        return {}
    if not file.is_file():  # a pipe would never end
        raise SettingsError(f"{file} is no file; move it away, or write the settings into a file of this name")
    with file.open("rb") as opened:
        _check_owner(os.fstat(opened.fileno()))  # of what is read, whatever its name means by now
        return tomllib.load(opened)


def _check_owner(state: os.stat_result) -> None:
    """It says where questions, passages and the key go: whoever else can write it could send them elsewhere."""
    if not hasattr(os, "geteuid"):  # Windows: its folders say who may write into them
        return
    if state.st_uid not in (os.geteuid(), _ROOT):
        owner = _name(state.st_uid)
        raise SettingsError(
            f"{SETTINGS_FILE} belongs to another user ({owner}) and is not read; move it away, or, if you trust it, "
            "make it yours with 'chown'"
        )
    # Where the mask is 002, everybody has a group alone, and may write with it: that group is no other user.
    of_others = stat.S_IWOTH | (0 if state.st_gid == os.getegid() else stat.S_IWGRP)
    if state.st_mode & of_others:
        raise SettingsError(
            f"{SETTINGS_FILE} may be written by other users and is not read; look at what it says, then run "
            f"'chmod go-w {SETTINGS_FILE}'"
        )


def _name(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
