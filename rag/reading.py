"""Question + passages → where in them the answer may stand: a small extractive reader.

The packaged MiniLM, trained to point at the first and the last word of an answer, or at none
(docs/reader.md is its model card). It ranks passages and sentences, finds short answers, and tells
questions that the documents answer from those that they nearly answer. It points, and never writes.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .bert import Bert, FloatArray, scores, word_pieces
from .embedding import model_folder, packaged_damaged, packaged_encoder, published_weights, verify_published
from .errors import EmbeddingUnavailable
from .kept import Kept, once
from .settings import PACKAGED_EMBEDDER, Settings
from .types import Passage, Span

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

_MOST_TOKENS = 256  # of question, title and passage together; longer passages are read in windows
_OVERLAP = 64
_QUESTION_TOKENS = 80
_ANSWER_TOKENS = 24
_SOFTNESS = 3.0
_KEPT = 512  # readings
WEIGHTS = Path(str(files("rag"))) / "weights" / "reader.safetensors"
WEIGHTS_SHA256 = "95e984c309f4592e848c997bd5cd52ca39229d885c9777e5e3f6ff59b2790035"  # docs/reader.md


def _nothing() -> FloatArray:
    return np.zeros(0, np.float32)


class Answering(NamedTuple):
    """The best answer in a run of a passage: `document.text[start:end]`, and the log-odds that it is one."""

    start: int
    end: int
    logit: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader sees in one passage, token by token.

    `tokens`: where each stands in the document. `starts`, `ends`: how much more likely than "no
    answer" it begins or ends the answer there, as logits, float32 `[len(tokens)]`.
    """

    tokens: tuple[Span, ...] = ()
    starts: FloatArray = field(default_factory=_nothing)
    ends: FloatArray = field(default_factory=_nothing)

    @property
    def logit(self) -> float:
        """The log-odds that the passage answers: all spans against none."""
        if not self.tokens:
            return -20.0
        return float(np.logaddexp.reduce(self.starts) + np.logaddexp.reduce(self.ends)) / 2

    def best(self, within: Span) -> Answering | None:
        """The likeliest answer of at most `_ANSWER_TOKENS` tokens inside a run of the document; None without tokens."""
        inside = [i for i, token in enumerate(self.tokens) if token.start >= within.start and token.end <= within.end]
        if not inside:
            return None
        first, last = inside[0], inside[-1] + 1
        sums = self.starts[first:last, None] + self.ends[None, first:last]
        reach = np.arange(last - first)
        ahead = reach[None, :] - reach[:, None]
        sums = np.where((ahead >= 0) & (ahead < _ANSWER_TOKENS), sums, -np.inf)
        i, j = divmod(int(np.argmax(sums)), last - first)
        return Answering(self.tokens[first + i].start, self.tokens[first + j].end, float(sums[i, j]) / 2)


def squeezed(logit: float) -> float:
    """Into 0..1, more slowly than a probability: between passages, a little surer says little."""
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit / _SOFTNESS))))


class Reader:
    """Loads on first use, never from the network; keeps what it read, bounded; safe between threads."""

    def __init__(self, folder: Path, weights: Path, published: str = "") -> None:
        """`published` is the sha256 that the file `weights` must have; any will do where it is empty: a new one."""
        self._folder = folder
        self._weights = weights
        self._published = published
        self._lock = threading.Lock()
        self._bert = Bert(folder, self._adapted, self._scores, packaged_damaged)
        self._kept = Kept[tuple[str, Passage], Reading](_KEPT)

    @cached_property
    def weights(self) -> str:
        """The sha256 of the file with what was learnt."""
        try:
            return hashlib.sha256(self._weights.read_bytes()).hexdigest()
        except OSError as error:
            raise self._unreadable(error) from error

    @property
    def place(self) -> str:
        """The file with what was learnt. Raises EmbeddingUnavailable when it is not there."""
        try:
            self._weights.stat()
        except OSError as error:
            raise self._unreadable(error) from error
        return str(self._weights)

    def prepare(self) -> None:
        """Begin to load: beside the encoder, and beside the search."""
        self._bert.prepare()

    def read(self, question: str, passages: Sequence[Passage]) -> list[Reading]:
        """One reading for each passage, in their order."""
        return self._kept.get([(question, passage) for passage in passages], self._read)

    def _read(self, wanted: Sequence[tuple[str, Passage]]) -> list[Reading]:
        with self._lock:  # to load once
            pieces = self._pieces
        verify_published(self._folder)
        windows = windows_of(pieces, [(question, of.title, of.text) for question, of in wanted])
        seen: list[list[tuple[Span, float, float]]] = [[] for _ in wanted]
        for number, tokens, logits in zip(windows.of, windows.tokens, self._bert.run(windows.rows), strict=True):
            shift = wanted[number][1].start
            against_none = logits - logits[0]  # the head's bias is in both sides of every difference
            seen[number] += [
                (Span(start + shift, end + shift), *against_none[at]) for at, (start, end) in tokens.items()
            ]
        return [_reading(tokens) for tokens in seen]

    @cached_property
    def _pieces(self) -> Pieces:
        try:
            return pieces_of(self._folder)
        except Exception as error:  # the tokenizers have one type of error for all
            raise packaged_damaged(error) from error

    def _adapted(self) -> dict[str, FloatArray]:
        base = published_weights(self._folder)
        try:
            return adapted(base, self._trained)
        except (KeyError, ValueError) as error:
            raise self._unreadable(error) from error

    def _scores(self, hidden: Any, mask: Any) -> Any:
        return scores(self._trained["head.weight"].astype(np.float32))(hidden, mask)

    @cached_property
    def _trained(self) -> dict[str, FloatArray]:
        from safetensors.numpy import load

        try:
            data = self._weights.read_bytes()
            if self._published and hashlib.sha256(data).hexdigest() != self._published:
                raise ValueError("they are not the published ones")
            found: dict[str, FloatArray] = load(data)
            found["head.weight"]
        except Exception as error:  # a damaged file raises whatever its reader raises
            raise self._unreadable(error) from error
        return found

    def _unreadable(self, error: Exception) -> EmbeddingUnavailable:
        return EmbeddingUnavailable(
            f"the reader's weights {self._weights} cannot be read ({type(error).__name__}); install the package again"
        )


class Pieces(NamedTuple):
    """The tokenizer twice: for a text as it is, and for a question beside a text that is cut into windows."""

    whole: Tokenizer
    windowed: Tokenizer


class Windows(NamedTuple):
    """Questions beside texts as the model takes them. A row is a window: a long text is read in several.

    `of`: which question and text a row belongs to. `tokens`: of each row, where the text's tokens stand in the text,
    by their column.
    """

    rows: list[Encoding]
    of: list[int]
    tokens: list[dict[int, Span]]


def pieces_of(folder: Path) -> Pieces:
    """The tokenizer of the model in `folder`."""
    windowed = word_pieces(folder)
    windowed.enable_truncation(_MOST_TOKENS, stride=_OVERLAP, strategy="only_second")
    return Pieces(word_pieces(folder), windowed)


def windows_of(pieces: Pieces, read: Sequence[tuple[str, str, str]]) -> Windows:
    """What the model reads of (question, title, text): the title stands in front of the text. For training, too."""
    shortened = {question: _shortened(pieces.whole, question) for question, _, _ in read}
    titles = [f"{title}. " if title else "" for _, title, _ in read]
    encoded = pieces.windowed.encode_batch(
        [(shortened[question], title + text) for title, (question, _, text) in zip(titles, read, strict=True)]
    )
    windows = [(i, row) for i, first in enumerate(encoded) for row in (first, *first.overflowing)]
    tokens = [
        {
            column: Span(start - len(titles[i]), end - len(titles[i]))
            for column, (part, (start, end)) in enumerate(zip(row.sequence_ids, row.offsets, strict=True))
            if part == 1 and start >= len(titles[i])
        }
        for i, row in windows
    ]
    return Windows([row for _, row in windows], [i for i, _ in windows], tokens)


def _shortened(tokenizer: Tokenizer, question: str) -> str:
    """The question as far as there is room for it beside a text."""
    offsets = tokenizer.encode(question, add_special_tokens=False).offsets
    return question[: offsets[_QUESTION_TOKENS - 1][1]] if len(offsets) > _QUESTION_TOKENS else question


def adapted(base: Mapping[str, FloatArray], trained: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """The weights of the reader: a matrix of `base` plus what was learnt, left · right; a vector anew.

    Raises ValueError or KeyError when they do not belong together.
    """
    result = dict(base)
    whole = {name.removesuffix(".left") for name in trained if name.replace(".left", ".right") in trained}
    if {name for name in base if name.startswith("encoder.")} - whole:
        raise ValueError("a part of it was not trained")
    for name, weight in base.items():
        if f"{name}.left" in trained:
            learnt = trained[f"{name}.left"].astype(np.float32) @ trained[f"{name}.right"].astype(np.float32)
            result[name] = np.add(learnt, weight, out=learnt)
        elif name in trained:
            result[name] = trained[name].astype(np.float32)
        if result[name].shape != weight.shape:
            raise ValueError(f"{name} has another shape")
    return result


def open_reader(embed_model: str) -> Reader | None:
    """The packaged reader; None beside another embedding model, which may know languages that it cannot read."""
    return _packaged_reader() if embed_model == PACKAGED_EMBEDDER else None


@once
def _packaged_reader() -> Reader:
    """One for the process, however many indexes it opens."""
    return Reader(model_folder(PACKAGED_EMBEDDER), WEIGHTS, WEIGHTS_SHA256)


def prepare(settings: Settings) -> None:
    """Begin to load what the first question over `settings` will need of the packaged models."""
    if settings.embed_model == PACKAGED_EMBEDDER:
        with suppress(EmbeddingUnavailable):  # whoever asks is told
            _packaged_reader().prepare()
            packaged_encoder().prepare()


def _reading(tokens: Sequence[tuple[Span, float, float]]) -> Reading:
    """Windows overlap: a token counts where it is likelier."""
    best: dict[Span, tuple[float, float]] = {}
    for span, start, end in tokens:
        before = best.get(span, (start, end))
        best[span] = (max(start, before[0]), max(end, before[1]))
    spans = sorted(best)
    starts, ends = np.array([best[span] for span in spans], np.float32).reshape(-1, 2).T
    return Reading(tuple(spans), starts, ends)
