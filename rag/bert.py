"""Texts → word pieces → what a BERT makes of them, on OpenVINO: half a second to load, and no torch.

The packaged MiniLM and the reader are the same small network with other weights and another last step. It is built
here from the weights as they were published, so nothing has to be exported or converted first.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import EmbeddingUnavailable, RagError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

# OpenVINO reports each import of it to its makers, from a process that it forks. Where the package which does so cannot
# be imported, it leaves that be.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

FloatArray = npt.NDArray[np.float32]
Weights = Mapping[str, FloatArray]
Precision = Literal["bf16", "int8", "f32"]
Top = Callable[[Any, Any], Any]  # hidden states [rows, tokens, width], mask [rows, tokens] → what is asked for

_making_core = threading.Lock()
_MOST_STREAMS = 8
# Of one batch, padding included: what a core's cache holds. 4096 are a tenth slower, and 256 too in float32.
_TOKENS_AT_ONCE = 512
_SHARES = 4  # batches for each stream, where there are rows enough: with three on two streams, one idles at the end
_STEP = 16  # rows are padded to a multiple of it: the fewer shapes there are, the less is compiled and kept for them
_HIDDEN = np.float32(-10_000)  # added to what attention must not see
_GROUP = 64  # values side by side that share a scale, in eight bits: at 128 a tenth faster, and twice as far off


class Inputs(NamedTuple):
    """Word pieces, int32 `[rows, tokens]`: their ids, 1 where there is one, and 1 where the second text stands."""

    ids: npt.NDArray[np.int32]
    mask: npt.NDArray[np.int32]
    types: npt.NDArray[np.int32]


def word_pieces(folder: Path) -> Tokenizer:
    """The tokenizer of the model in `folder`, as it is: it cuts nothing off and pads nothing."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def padded(rows: Sequence[Encoding]) -> Inputs:
    """Encoded texts as one array; the pad of BERT is piece 0."""
    longest = max(len(row.ids) for row in rows)
    arrays = np.zeros((3, len(rows), -(-longest // _STEP) * _STEP), np.int32)
    for i, row in enumerate(rows):
        for array, values in zip(arrays, (row.ids, row.attention_mask, row.type_ids), strict=True):
            array[i, : len(values)] = values
    return Inputs(*arrays)


class _Loaded(NamedTuple):
    pool: ThreadPoolExecutor
    network: Any


class Bert:
    """A BERT with weights of its own. Loads on first use; safe between threads, which share the cores."""

    def __init__(
        self,
        folder: Path,
        weights: Callable[[], Weights],
        top: Top,
        damaged: Callable[[Exception], RagError],
        cores: int | None = None,
    ) -> None:
        """`folder` holds its config.json. What cannot be loaded is told on first use, in the words of `damaged`.

        `cores` are those it uses: up to eight of this machine's, unless that is said.
        """
        self._folder = folder
        self._weights = weights
        self._top = top
        self._damaged = damaged
        self._streams = cores or min(_MOST_STREAMS, os.cpu_count() or 1)
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None
        self._mine = threading.local()

    def run(self, rows: Sequence[Encoding]) -> list[FloatArray]:
        """What the last step gives for each row, in their order: `[width]`, or `[tokens, n]`, padding included.

        Rows of like length share a batch, and batches the cores. Raises RagError when it cannot be loaded.
        """
        pool, _ = self._load()
        result: list[FloatArray] = [np.empty(0, np.float32)] * len(rows)
        batches = list(_batches([len(row.ids) for row in rows], self._streams))
        for batch, out in zip(batches, pool.map(self._infer, ([rows[i] for i in b] for b in batches)), strict=True):
            for i, row in zip(batch, out, strict=True):
                result[i] = row
        return result

    def prepare(self) -> None:
        """Begin to do what the first `run` would otherwise do, in a thread of its own."""
        if not self._loaded:
            # No daemon: a process that ends while one compiles aborts.
            threading.Thread(target=self._prepare, name="bert").start()

    def _prepare(self) -> None:
        with suppress(RagError):  # whoever runs it is told
            self._load()

    def _infer(self, rows: Sequence[Encoding]) -> FloatArray:
        if not hasattr(self._mine, "request"):
            self._mine.request = self._load().network.create_infer_request()
        (out,) = self._mine.request.infer(list(padded(rows)), share_inputs=True).values()
        return out  # type: ignore[no-any-return]

    def _load(self) -> _Loaded:
        with self._lock:  # no cached_property: in Python 3.11 those of two models wait for each other
            if not self._loaded:
                self._loaded = self._made()
            return self._loaded

    def _made(self) -> _Loaded:
        try:
            return _Loaded(ThreadPoolExecutor(self._streams, "bert"), self._compiled())
        except RagError:
            raise
        except ImportError as error:
            raise EmbeddingUnavailable(
                f"OpenVINO cannot be loaded ({type(error).__name__}); run 'pip install --force-reinstall openvino'"
            ) from error
        except Exception as error:  # a damaged file raises whatever its reader raises, and OpenVINO what it likes
            raise self._damaged(error) from error

    def _compiled(self) -> Any:
        with _making_core:
            core = _core()
        config = json.loads((self._folder / "config.json").read_text(encoding="utf-8"))
        best = precision()
        return core.compile_model(
            _network(config, self._weights(), self._top, eight_bits=best == "int8"),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if best == "bf16" else "f32",
                "DYNAMIC_QUANTIZATION_GROUP_SIZE": _GROUP if best == "int8" else 0,
                "PERFORMANCE_HINT": "THROUGHPUT",
                "NUM_STREAMS": self._streams,  # a core each: as fast for one long text as for several short ones
            },
        )


@cache
def _core() -> Any:
    """OpenVINO's own state: one for the process, made in a thread of its own.

    It gives the thread that makes it another stack for signals, and takes that away when it goes. When several go in
    another order than they came, the thread is left with a stack that is none, and its next Ctrl-C ends the process.
    """

    def make() -> Any:
        import openvino

        core = openvino.Core()
        core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")  # only this loads what a CPU needs
        return core

    with ThreadPoolExecutor(1) as one:
        return one.submit(make).result()


def precision() -> Precision:
    """What this CPU multiplies fast: bfloat16, two to four times as fast as float32; or eight bits, 1.6 times.

    Each gives nearly the float32 vectors (tests/test_embedding.py says how nearly), so they share a fingerprint: an
    index made on one machine is searched and added to on any other.
    """
    if "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return "bf16"
    return "int8" if _multiplies_bytes() else "f32"


def _multiplies_bytes() -> bool:
    """Whether it has AVX512-VNNI. With AVX2 alone, eight bits are slower than float32; AVX-VNNI has not been tried.

    OpenVINO says INT8 of every CPU.
    """
    try:
        from numpy._core._multiarray_umath import __cpu_features__ as features  # type: ignore[import-not-found]
    except ImportError:  # numpy has no public name for it; where it is gone, float32 is right, too
        return False
    return bool(features.get("AVX512VNNI"))


def _batches(lengths: Sequence[int], streams: int) -> Iterable[list[int]]:
    """Rows by length, longest first: few enough at once that all streams end together, and memory stays small."""
    lengths = [_STEP * -(-length // _STEP) for length in lengths]
    most = min(_TOKENS_AT_ONCE, -(-sum(lengths) // (_SHARES * streams)))
    batch: list[int] = []
    longest = 0
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        longest = longest or lengths[i]
        if batch and (len(batch) + 1) * longest > most:
            yield batch
            batch, longest = [], lengths[i]
        batch.append(i)
    if batch:
        yield batch


# -- the network -------------------------------------------------------------------------------------------------------


def unit_mean(hidden: Any, mask: Any) -> Any:
    """The mean over a row's tokens, of length 1: `[rows, width]`."""
    from openvino import opset13 as op

    there = op.unsqueeze(mask, _constant(np.int32(2)))
    mean = op.divide(
        op.reduce_sum(op.multiply(hidden, there), _constant(np.array([1])), keep_dims=False),
        op.reduce_sum(there, _constant(np.array([1])), keep_dims=False),
    )
    return op.normalize_l2(mean, _constant(np.array([1])), 1e-12, "max")


def scores(head: FloatArray) -> Top:
    """How well each token fits each row of `head` `[n, width]`: `[rows, tokens, n]`."""

    def top(hidden: Any, mask: Any) -> Any:
        from openvino import opset13 as op

        return op.matmul(hidden, _constant(head), False, True)

    return top


def _constant(value: Any) -> Any:
    from openvino import opset13 as op

    return op.constant(np.asarray(value))


def _in_eight_bits(weight: FloatArray) -> Any:
    """A dense step's weights as bytes, a scale for each `_GROUP` of a row; OpenVINO does so to what comes in."""
    from openvino import opset13 as op

    groups = weight.reshape(len(weight), -1, _GROUP)
    scales = np.abs(groups).max(-1, keepdims=True) / np.float32(127)
    scales = np.maximum(scales, np.finfo(np.float32).tiny)
    bytes_ = groups * (1 / scales)
    np.rint(bytes_, out=bytes_)  # in place: a cold question waits for this
    bytes_ = op.convert(_constant(bytes_.astype(np.int8)), np.float32)
    return op.reshape(op.multiply(bytes_, _constant(scales)), _constant(np.array(weight.shape)), False)


def _network(config: Mapping[str, Any], weights: Weights, top: Top, *, eight_bits: bool) -> Any:
    """Devlin et al., "BERT", 2018: embeddings, then layers of attention and of two dense steps, each with its norm."""
    import openvino
    from openvino import opset13 as op

    width, heads, epsilon = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]
    ids, mask, types = (op.parameter([-1, -1], np.int32, name) for name in Inputs._fields)

    def weight(name: str) -> Any:
        return op.constant(weights[name], shared_memory=True)  # compiling copies what it needs in another form

    def dense(of: Any, name: str) -> Any:
        # What attention passes on stays as it is: it alone would make half of the error.
        exact = not eight_bits or name.endswith("value")
        by = weight(f"{name}.weight") if exact else _in_eight_bits(weights[f"{name}.weight"])
        return op.add(op.matmul(of, by, False, True), weight(f"{name}.bias"))

    def norm(of: Any, name: str) -> Any:
        normed = op.mvn(of, _constant(np.array([-1])), True, epsilon, "inside_sqrt")
        return op.add(op.multiply(normed, weight(f"{name}.weight")), weight(f"{name}.bias"))

    def looked_up(name: str, at: Any) -> Any:
        return op.gather(weight(f"embeddings.{name}_embeddings.weight"), at, _constant(np.int32(0)))

    def by_head(of: Any) -> Any:
        split = op.reshape(of, _constant(np.array([0, 0, heads, width // heads])), True)
        return op.transpose(split, _constant(np.array([0, 2, 1, 3])))

    length = op.gather(op.shape_of(ids, "i32"), _constant(np.int32(1)), _constant(np.int32(0)))
    places = op.range(_constant(np.int32(0)), length, _constant(np.int32(1)), "i32")
    words = op.add(looked_up("word", ids), looked_up("token_type", types))
    hidden = norm(
        op.add(words, op.unsqueeze(looked_up("position", places), _constant(np.int32(0)))), "embeddings.LayerNorm"
    )
    there = op.convert(mask, np.float32)
    unseen = op.multiply(op.subtract(_constant(np.float32(1)), there), _constant(_HIDDEN))
    unseen = op.unsqueeze(unseen, _constant(np.array([1, 2])))
    for number in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        asked = (by_head(dense(hidden, f"{layer}.attention.self.{name}")) for name in ("query", "key", "value"))
        seen = op.transpose(op.scaled_dot_product_attention(*asked, unseen), _constant(np.array([0, 2, 1, 3])))
        seen = op.reshape(seen, _constant(np.array([0, 0, width])), True)
        seen = dense(seen, f"{layer}.attention.output.dense")
        hidden = norm(op.add(hidden, seen), f"{layer}.attention.output.LayerNorm")
        inner = op.gelu(dense(hidden, f"{layer}.intermediate.dense"), "erf")
        hidden = norm(op.add(hidden, dense(inner, f"{layer}.output.dense")), f"{layer}.output.LayerNorm")
    return openvino.Model([op.result(top(hidden, there))], [ids, mask, types], "bert")
