"""That the look at what is shipped would see what does not belong there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hardness.supply import requirement_problem, wheel_problems
from test_wheel import wheel  # noqa: F401

from rag.embedding import harmless_folder, model_folder
from rag.errors import EmbeddingUnavailable
from rag.settings import PACKAGED_EMBEDDER

Files = dict[str, bytes]


def added(name: str, data: bytes = b"") -> Callable[[Files], None]:
    return lambda files: files.update({name: data})


def changed(end: str, old: bytes, new: bytes) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        (name,) = [name for name in files if name.endswith(end)]
        assert old in files[name]
        files[name] = files[name].replace(old, new)

    return change


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("nothing of ours alone", added("rag/tests/test_x.py")),
        ("nothing of ours alone", added("rag/.env")),
        ("nothing of ours alone", added("rag/data/key.pem")),
        ("nothing of ours alone", added("rag/__pycache__/x.pyc")),
        ("kinds of files", added("rag/x.so")),
        ("no other file", added("other/x.py")),
        ("every file", lambda files: files.pop("rag/answertype.py")),
        ("no secret", added("rag/x.txt", b"-----BEGIN RSA " + b"PRIVATE KEY-----")),
        ("RECORD", changed("rag/types.py", b"frozen", b"thawed")),
        ("RECORD", lambda files: files.pop("rag/types.py")),
        ("licence", changed("/licenses/LICENSE", b"Apache", b"Apachy")),
        ("dependencies", changed("/METADATA", b"Requires-Dist: fastapi", b"Requires-Dist: slowapi")),
        ("Python", changed("/METADATA", b"Requires-Python: >=3.11", b"Requires-Python: >=3.8")),
    ],
)
def test_a_wheel_with_something_wrong_is_seen(what: str, change: Callable[[Files], None], wheel) -> None:  # type: ignore[no-untyped-def] # noqa: F811
    files = {name: wheel.read(name) for name in wheel.namelist()}
    assert not any(wheel_problems(files).values())
    change(files)
    assert wheel_problems(files)[what]


@pytest.mark.parametrize(
    ("line", "bounded", "said"),
    [
        ("numpy>=1.26", False, ""),
        ("torch>=2.4,<2.14", True, ""),
        ("torch>=2.4", True, "no upper bound"),
        ("numpy", False, "no lower bound"),
        ("numpy<3", False, "no lower bound"),
        ("numpy @ https://example.org/numpy.whl", False, "example.org"),
        ("numpy @ git+https://example.org/numpy", False, "example.org"),
    ],
)
def test_a_requirement_without_bounds_or_from_an_address_is_seen(line: str, bounded: bool, said: str) -> None:
    problem = requirement_problem(line, bounded)
    assert said in problem
    assert bool(problem) == bool(said)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "2_Dense/pytorch_model.bin", "modules.json"])
def test_a_model_folder_that_could_run_code_is_refused_with_its_cure(tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(model_folder(PACKAGED_EMBEDDER), tmp_path / "model"))
    assert harmless_folder(str(folder)) == folder
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text('[{"type": "own.Module"}]')
    if name == "pytorch_model.bin":
        assert harmless_folder(str(folder)) == folder  # it lies beside model.safetensors, which is what is loaded
        (folder / "model.safetensors").unlink()
    with pytest.raises(EmbeddingUnavailable, match=r"; choose a model "):
        harmless_folder(str(folder))
