"""What travels to the workers of a cluster, as bytes, and what they do with it: what `LocalWorkers` do here.

All of it is JSON, and float32 for vectors. Of the settings only those travel that reading and embedding need: no keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from .bert import FloatArray
from .documents import READERS_VERSION
from .embedding import Encoder, open_encoder
from .errors import ClusterUnavailable
from .sandbox import Sandbox
from .scan import Cut, File, Read, Same, Unread, read
from .settings import Settings
from .splitting import SPLITTER_VERSION
from .types import Chunk, Document, Failure

_NEEDED = ("embed_model", "passage_words", "file_megabytes", "text_megabytes", "read_megabytes", "read_seconds")
_VERSIONS: Final = f"{READERS_VERSION} {SPLITTER_VERSION}"
NOT_THERE: Final = None  # of a file: the worker does not see it, or sees another one


def terms(settings: Settings, encoder: Encoder) -> bytes:
    """What every worker has to know, and what it has to agree with."""
    needed = {name: getattr(settings, name) for name in _NEEDED}
    if Path(settings.embed_model).is_dir():
        needed["embed_model"] = str(Path(settings.embed_model).absolute())
    return json.dumps({"settings": needed, "weights": encoder.weights, "versions": _VERSIONS}).encode()


# -- on a worker -------------------------------------------------------------------------------------------------------


def read_batch(terms: bytes, batch: bytes) -> bytes:
    """Read and cut what `packed` holds; `unpacked` takes it apart."""
    settings, sandbox = _reading(terms)
    return json.dumps([_read(item, settings, sandbox) for item in json.loads(batch)]).encode()


class Embedder:
    """A model in a process of its own, on one core, or on the GPU that this process sees."""

    def __init__(self, terms: bytes) -> None:
        self._terms = terms

    def load(self) -> None:
        """Raises EmbeddingUnavailable, and ClusterUnavailable when its vectors would be others."""
        self._encoder = open_encoder(_settings(self._terms), cores=1)
        if self._encoder.weights != json.loads(self._terms)["weights"]:
            raise ClusterUnavailable(
                f"a worker of the Ray cluster has other weights of the embedding model '{self._encoder.name}' than "
                "this machine; put the same ones there"
            )
        self._encoder.documents(["Ready?"])

    def embed(self, texts: bytes) -> bytes:
        """JSON → the rows of a float32 array."""
        return self._encoder.documents(json.loads(texts)).tobytes()


@lru_cache(maxsize=1)
def _reading(terms: bytes) -> tuple[Settings, Sandbox]:
    """A worker's process serves many batches, and so does its sandbox, which ends with it."""
    settings = _settings(terms)
    return settings, Sandbox(settings)


def _settings(terms: bytes) -> Settings:
    """As they were sent: a worker's own variables and rag.toml say nothing here."""
    told = json.loads(terms)
    if told["versions"] != _VERSIONS:
        raise ClusterUnavailable(
            "the workers of the Ray cluster have another version of rag-quoted, which reads or cuts in another way; "
            "install the same version there"
        )
    return Settings.model_construct(**told["settings"])


def _read(item: dict[str, Any], settings: Settings, sandbox: Sandbox) -> dict[str, Any] | None:
    if "text" in item:
        done = read(_document(item), settings, sandbox)
        assert isinstance(done, Cut)
        return {"chunks": [_row(chunk) for chunk in done.chunks]}
    path = Path(item["path"])
    if item["size"] != size_of(path):
        return NOT_THERE
    done = read(File(path, item["root"], item["source"], item["known"]), settings, sandbox)
    if isinstance(done, Cut):
        return {"document": asdict(done.document), "chunks": [_row(chunk) for chunk in done.chunks]}
    if isinstance(done, Same):
        return {}
    return {"reason": done.failure.reason, "kind": done.kind}


# -- here --------------------------------------------------------------------------------------------------------------


def packed(items: Sequence[File | Document]) -> bytes:
    """Documents whole; of files where they are, and how large: workers read them where this process would."""
    return json.dumps([_sent(item) for item in items]).encode()


def unpacked(items: Sequence[File | Document], replies: bytes) -> Iterator[Read | None]:
    """What `read_batch` made of each of `items`; None where a worker does not see the file as it is here."""
    for item, reply in zip(items, json.loads(replies), strict=True):
        if reply is NOT_THERE:
            yield None
        elif "chunks" in reply:
            document = item if isinstance(item, Document) else _document(reply["document"])
            yield Cut(document, [Chunk(*row) for row in reply["chunks"]])
        elif reply:
            yield Unread(item.root, item.source, Failure(item.source, reply["reason"]), reply["kind"])
        else:
            yield Same(item.root, item.source)


def vectors(rows: bytes, dimension: int) -> FloatArray:
    """`[n, dimension]`, of what an Embedder gave."""
    return np.frombuffer(rows, np.float32).reshape(-1, dimension)


def size_of(path: Path) -> int:
    """Bytes of a file, -1 where there is none to be seen."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _sent(item: File | Document) -> dict[str, Any]:
    if isinstance(item, Document):
        return asdict(item)
    path = item.path.absolute()
    return {"path": str(path), "size": size_of(path), "root": item.root, "source": item.source, "known": item.known}


def _document(fields: dict[str, Any]) -> Document:
    return Document(**{**fields, "pages": tuple(fields["pages"])})


def _row(chunk: Chunk) -> tuple[int, int, int | None, str]:
    return chunk.start, chunk.end, chunk.page, chunk.heading


# -- between this process and the one that speaks to Ray ---------------------------------------------------------------


def send(stream: BinaryIO, header: dict[str, Any], payload: bytes = b"") -> None:
    """A line of JSON that says how many bytes follow, and the bytes."""
    stream.write(json.dumps(header | {"bytes": len(payload)}).encode() + b"\n" + payload)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """What `send` sent; None when the stream has ended."""
    try:
        header: dict[str, Any] = json.loads(stream.readline())
    except (OSError, ValueError):
        return None
    payload = stream.read(header["bytes"])
    return (header, payload) if len(payload) == header["bytes"] else None
