from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch

from eval.reader.examples import Example
from eval.reader.train import SpanReader
from rag.embedding import model_folder
from rag.errors import EmbeddingUnavailable
from rag.reading import Reader, open_reader
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
    again = open_reader(PACKAGED_EMBEDDER)
    assert again is not None
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda q: again.read(q, [passage(MILL, 7)])[0].logit, questions))
    assert together == alone


@contextmanager
def looking_up_words(look: Callable[[torch.nn.Embedding, torch.Tensor], Any]) -> Iterator[None]:
    """`look` at the word vectors and the input ids of any model whenever it begins to read."""

    def hook(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, torch.nn.Embedding) and module.num_embeddings > 10_000:
            look(module, inputs[0])

    handle = torch.nn.modules.module.register_module_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def test_threads_read_at_once_with_a_model_that_is_loaded_once() -> None:
    fresh = open_reader(PACKAGED_EMBEDDER)
    assert fresh is not None
    both = Barrier(2, timeout=30)
    models = []

    def look(words: torch.nn.Embedding, _: torch.Tensor) -> None:
        models.append(words)
        both.wait()

    with looking_up_words(look), ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda question: fresh.read(question, [passage(MILL)]), ["Who built it?", "When was it built?"]))
    assert len(models) == 2
    assert models[0] is models[1]


@pytest.mark.parametrize("question", ["Who built the Arden mill?", "who " * 100])
@pytest.mark.parametrize("title", ["", "Mills of the north"])
def test_training_and_reading_see_the_same_tokens(question: str, title: str) -> None:
    trained = SpanReader(model_folder(PACKAGED_EMBEDDER))
    read = open_reader(PACKAGED_EMBEDDER)
    assert read is not None
    long = "The valley has many brooks and the brooks have many stones. " * 40
    texts = [MILL, BREAD, long]
    seen: list[list[list[int]]] = []
    with looking_up_words(lambda _, ids: seen.append(ids.tolist())):
        _, targets = trained([Example(question, title, text, None) for text in texts])
        read.read(question, [passage(text, number, title) for number, text in enumerate(texts)])
    training, reading = seen
    assert training == reading[:3]  # the long text is the last: of it, training sees the first window
    assert len(reading) > 3
    assert targets.tolist() == [[0, 0]] * 3


@pytest.mark.parametrize("title", ["", "Mills of the north"])
def test_training_aims_at_the_tokens_of_the_answer(title: str) -> None:
    trained = SpanReader(model_folder(PACKAGED_EMBEDDER))
    start = MILL.index("Jonas Weld")
    ids: list[list[int]] = []
    with looking_up_words(lambda _, seen: ids.extend(seen.tolist())):
        _, targets = trained([Example("Who built it?", title, MILL, Span(start, start + len("Jonas Weld")))])
    first, last = targets[0].tolist()
    assert trained.tokenizer.decode(ids[0][first : last + 1]) == "jonas weld"


def test_beside_another_embedding_model_there_is_no_reader() -> None:
    assert open_reader("some/multilingual-model") is None


def test_a_damaged_file_is_told_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "reader.safetensors").write_bytes(b"version https://git-lfs.example/spec/v1")
    broken = Reader(model_folder(PACKAGED_EMBEDDER), tmp_path / "reader.safetensors")
    with pytest.raises(EmbeddingUnavailable, match="install the package again"):
        broken.read("Who?", [passage(MILL)])
