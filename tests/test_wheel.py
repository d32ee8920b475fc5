"""What is installed is a wheel: it has to hold every file that the package reads while it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

REPOSITORY = Path(__file__).parents[1]
# Where the wheel has what lies beside the package in a checkout.
MOVED = {"prompts": "rag/data/prompts", "seeds": "rag/data/seeds"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    for needed in ("build", "hatchling"):
        pytest.importorskip(needed, reason=f"building a wheel offline needs {needed}: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | {"PIP_NO_INDEX": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = folder.glob("*.whl")
    with ZipFile(file) as opened:
        yield opened


def needed() -> dict[str, Path]:
    """Name in the wheel → file, of all that is in the package and of what travels with it."""
    found = {f"rag/{p.relative_to(REPOSITORY / 'rag').as_posix()}": p for p in (REPOSITORY / "rag").rglob("*")}
    for folder, name in MOVED.items():
        found |= {f"{name}/{p.name}": p for p in (REPOSITORY / folder).iterdir()}
    return {name: path for name, path in found.items() if path.is_file() and "__pycache__" not in path.parts}


def test_it_holds_every_file_of_the_package_as_it_is(wheel: ZipFile) -> None:
    files = needed()
    assert {Path(name).suffix for name in files} >= {".py", ".typed", ".safetensors", ".js", ".css", ".md", ".txt"}
    assert sorted(files.keys() - set(wheel.namelist())) == []
    assert [name for name, path in files.items() if wheel.read(name) != path.read_bytes()] == []


def test_it_holds_nothing_else(wheel: ZipFile) -> None:
    others = set(wheel.namelist()) - needed().keys()
    assert [name for name in others if ".dist-info/" not in name] == []


def test_it_brings_the_program(wheel: ZipFile) -> None:
    (points,) = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
    assert "rag = rag.cli:main" in wheel.read(points).decode()
