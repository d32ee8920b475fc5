"""llama-index both ways: our index and our answers as its vector store, retriever and query engine.

>>> with Assistant.open() as assistant:
...     index = VectorStoreIndex.from_vector_store(QuotedVectorStore(assistant), embed_model=embed_model())
...     engine = RetrieverQueryEngine.from_args(QuotedRetriever(assistant), llm=llm)
...     checked = QuotedQueryEngine(assistant)

Of every node that comes out of here, `Assistant.document(metadata["document_id"]).text[start:end]` is the node's text;
`start` and `end` are in its metadata and in `start_char_idx` and `end_char_idx`. Its `ref_doc_id` is the document's
source. llama-index's global `Settings` is neither read nor set here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.response.schema import Response
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import (
    BaseNode,
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from .assistant import Assistant
from .bert import FloatArray
from .embedding import harmless_folder, verify_published
from .errors import DocumentsNotFound
from .formats import storable
from .retrieval import Query, Retriever
from .settings import PACKAGED_EMBEDDER, Settings
from .store import Store
from .types import Answer, Chunk, Citation, Document, Hit, Passage, SearchMode

if TYPE_CHECKING:
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

__all__ = ["QuotedQueryEngine", "QuotedRetriever", "QuotedVectorStore", "embed_model"]

_ROOT = "llama-index:"  # with a hash behind it: the root of what `QuotedVectorStore.add` stored
_GAP = "\n\n"  # between the nodes of one document
_MODES: dict[VectorStoreQueryMode, SearchMode] = {
    VectorStoreQueryMode.DEFAULT: "dense",
    VectorStoreQueryMode.TEXT_SEARCH: "keyword",
    VectorStoreQueryMode.SPARSE: "keyword",
    VectorStoreQueryMode.HYBRID: "hybrid",
}
_UNSUPPORTED = ("node_ids", "alpha", "sparse_top_k", "hybrid_top_k", "mmr_threshold")
_READABLE = ("title", "heading", "source")  # metadata for a model to read; the rest is for programs


def embed_model(settings: Settings | None = None) -> HuggingFaceEmbedding:
    """The embedding model of the settings as llama-index's own class: the same weights, the same vectors.

    Raises `EmbeddingUnavailable` when the weights are not on this machine; nothing is fetched.
    """
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding  # seconds: it brings torch

    settings = settings or Settings()
    folder = harmless_folder(settings.embed_model)
    if settings.embed_model == PACKAGED_EMBEDDER:
        verify_published(folder)
    prompts = _prompts(folder)
    return HuggingFaceEmbedding(
        str(folder),
        query_instruction=prompts.get("query"),
        text_instruction=prompts.get("document"),
        normalize=True,
        cache_folder=str(settings.cache_dir),  # else llama-index makes a cache folder of its own
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )


def _prompts(folder: Path) -> dict[str, str]:
    """What the model wants in front of texts: HuggingFaceEmbedding would put nothing there."""
    config = folder / "config_sentence_transformers.json"
    if not config.is_file():
        return {}
    prompts: dict[str, str] = json.loads(config.read_text(encoding="utf-8")).get("prompts", {})
    return prompts


class QuotedVectorStore(BasePydanticVectorStore):
    """The index of an open Assistant as a llama-index vector store. It stores texts; there is nothing to persist.

    A node's id is that of its passage; it is never used again, whatever is deleted.
    """

    stores_text: bool = True
    _assistant: Assistant = PrivateAttr()
    _store: Store = PrivateAttr()
    _retriever: Retriever = PrivateAttr()

    def __init__(self, assistant: Assistant) -> None:
        super().__init__(stores_text=True)
        self._assistant = assistant
        self._store = assistant._store
        self._retriever = assistant._retriever

    @classmethod
    def class_name(cls) -> str:
        return "QuotedVectorStore"

    @property
    def client(self) -> Assistant:
        """The Assistant."""
        return self._assistant

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Store nodes that have embeddings, in one transaction; returns the new node ids, in order.

        Nodes of one `ref_doc_id` become a document with that source (a node without one: with its own id). Its text
        is theirs, exactly, with an empty line between two; each is a passage of it. What the splitter cut off between
        nodes is not in them, and their offsets are often wrong, so offsets are those of this text: to keep a file's
        own, use `Assistant.ingest`. Of the metadata, `title` (or `file_name`) and `page_label` are kept.

        As in other stores, a second `add` adds to what is there, and `delete` comes first when a document changed;
        but the very same `add` again stores nothing twice. Raises ValueError for a node without text or embedding, or
        with an embedding of another size than the index has; nothing is stored then.
        """
        groups: dict[str, list[BaseNode]] = defaultdict(list)
        for node in nodes:
            groups[_source(node)].append(node)
        items = [_as_document(source, group) for source, group in groups.items()]
        if not items:
            return []
        with self._store.writing():
            document_ids = self._store.replace(items)
            passages = self._passages_of(list(groups), any_vector=items[0][2][0])
        documents = dict(zip(groups, document_ids, strict=True))
        return [str(passages[documents[_source(node)]].pop()) for node in nodes]

    def _passages_of(self, sources: Sequence[str], any_vector: FloatArray) -> dict[int, list[int]]:
        """Document id -> the ids of its passages, last one first; for all documents with these sources."""
        # The store gives passages to searches only: one for anything, as deep as can be, finds all.
        _, everything = self._store.count()
        found = self._store.dense(any_vector, everything, documents=sources)
        ids: dict[int, list[int]] = defaultdict(list)
        for passage in self._store.passages(sorted((i for i, _ in found), reverse=True)):
            ids[passage.document_id].append(passage.id)
        return ids

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Remove every document with this source, as `Assistant.remove`; what is not there is passed over."""
        with suppress(DocumentsNotFound):
            self._assistant.remove(ref_doc_id)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The `similarity_top_k` best passages, best first.

        Modes: default (cosine to `query_embedding`), text_search and sparse (BM25 of `query_str`), hybrid (both,
        fused). `doc_ids` and metadata filters on `source` (==, !=, in, nin, all of them) narrow it; an empty list of
        `doc_ids` allows nothing. Raises ValueError for what is not supported, rather than passing over it.
        """
        mode = _mode(query)
        documents, exclude = _sources(query)
        if documents is not None and not documents:
            return _result([])
        prepared = self._prepared(query, mode)
        with self._store.reading():
            return _result(
                self._retriever.search(
                    prepared, query.similarity_top_k, mode=mode, documents=documents or (), exclude=exclude
                )
            )

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """`query` in a thread."""
        return await asyncio.to_thread(self.query, query, **kwargs)

    def _prepared(self, query: VectorStoreQuery, mode: SearchMode) -> Query:
        """The query with the vector that llama-index gave, so that its own query transformations count."""
        if mode != "dense" and not query.query_str:
            raise ValueError(f"mode '{query.mode.value}' searches for words; give query_str")
        if mode == "keyword":
            return self._retriever.query(query.query_str or "")
        if query.query_embedding is None:
            raise ValueError(f"mode '{query.mode.value}' compares vectors; give query_embedding")
        vector = _unit([query.query_embedding])[0]
        if mode == "dense":
            return Query("", (), {}, vector, {}, 0.0)
        return replace(self._retriever.query(query.query_str or ""), vector=vector)


class QuotedRetriever(BaseRetriever):
    """The search of an open Assistant as a llama-index retriever."""

    def __init__(
        self,
        assistant: Assistant,
        *,
        k: int | None = None,
        mode: SearchMode = "hybrid",
        documents: Collection[str] = (),
        exclude: Collection[str] = (),
        callback_manager: CallbackManager | None = None,
    ) -> None:
        """`k` is `settings.top_k` where it is left out; `documents` and `exclude` are sources."""
        super().__init__(callback_manager=callback_manager)
        self._assistant = assistant
        self._k = assistant.settings.top_k if k is None else k
        self._mode = mode
        self._documents = documents
        self._exclude = exclude

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self._assistant.search(
            query_bundle.query_str, self._k, mode=self._mode, documents=self._documents, exclude=self._exclude
        )
        return [NodeWithScore(node=_node(hit.passage), score=hit.score) for hit in hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


class QuotedQueryEngine(BaseQueryEngine):
    """The checked answers of an open Assistant as a llama-index query engine.

    Of a Response, `response` is the text with its `[n]`, `source_nodes[n - 1]` is citation n (its text is the quote,
    its score the support of what cites it), and `metadata["answer"]` is `Answer.to_dict()`. A refusal is a Response
    without source nodes.
    """

    def __init__(
        self,
        assistant: Assistant,
        *,
        documents: Collection[str] = (),
        exclude: Collection[str] = (),
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(callback_manager=callback_manager)
        self._assistant = assistant
        self._documents = documents
        self._exclude = exclude

    def _query(self, query_bundle: QueryBundle) -> Response:
        return _response(self._assistant.ask(query_bundle.query_str, documents=self._documents, exclude=self._exclude))

    async def _aquery(self, query_bundle: QueryBundle) -> Response:
        return await asyncio.to_thread(self._query, query_bundle)

    def _get_prompt_modules(self) -> PromptMixinType:
        return {}


# ---- nodes out -------------------------------------------------------------------------------------------------------


def _result(hits: Sequence[Hit]) -> VectorStoreQueryResult:
    nodes = [_node(hit.passage) for hit in hits]
    return VectorStoreQueryResult(
        nodes=nodes, similarities=[hit.score for hit in hits], ids=[node.node_id for node in nodes]
    )


def _node(passage: Passage) -> TextNode:
    return _text_node(str(passage.id), passage.text, passage, passage.start, passage.end, {})


def _citation_node(citation: Citation) -> TextNode:
    passage = citation.passage
    more = {"marker": citation.marker, "quote": citation.quote, "passage_id": passage.id}
    node_id = f"{passage.id}:{citation.start}-{citation.end}"
    return _text_node(node_id, citation.quote, passage, citation.start, citation.end, more)


def _text_node(node_id: str, text: str, of: Passage, start: int, end: int, more: dict[str, Any]) -> TextNode:
    metadata = {
        "title": of.title,
        "heading": of.heading,
        "source": of.source,
        "page": of.page,
        "document_id": of.document_id,
        "start": start,
        "end": end,
        **more,
    }
    hidden = [key for key, value in metadata.items() if key not in _READABLE or not value]
    return TextNode(
        id_=node_id,
        text=text,
        start_char_idx=start,
        end_char_idx=end,
        metadata=metadata,
        excluded_llm_metadata_keys=hidden,
        excluded_embed_metadata_keys=hidden,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=of.source)},
    )


def _response(answer: Answer) -> Response:
    support: dict[int, float] = defaultdict(float)
    for sentence in answer.sentences:
        for marker in sentence.citations:
            support[marker] = max(support[marker], sentence.support)
    nodes = [NodeWithScore(node=_citation_node(c), score=support[c.marker]) for c in answer.citations]
    return Response(answer.text, source_nodes=nodes, metadata={"answer": answer.to_dict()})


# ---- nodes in --------------------------------------------------------------------------------------------------------


def _source(node: BaseNode) -> str:
    return node.ref_doc_id or node.node_id


def _as_document(source: str, nodes: Sequence[BaseNode]) -> tuple[Document, list[Chunk], FloatArray]:
    texts = [storable(node.get_content(metadata_mode=MetadataMode.NONE)) for node in nodes]
    if not all(texts):
        raise ValueError(f"a node of '{source}' has no text; add nodes with text")
    chunks = []
    start = 0
    for node, text in zip(nodes, texts, strict=True):
        chunks.append(Chunk(start, start + len(text), page=_page(node)))
        start += len(text) + len(_GAP)
    whole = _GAP.join(texts)
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
    metadata = nodes[0].metadata
    title = str(metadata.get("title") or metadata.get("file_name") or source)
    # A root for each content: a document may come in several batches, and none may replace another.
    document = Document(_ROOT + digest[:16], source, title, "text/plain", digest, whole)
    return document, chunks, _unit([node.get_embedding() for node in nodes])


def _page(node: BaseNode) -> int | None:
    label = str(node.metadata.get("page_label", ""))
    return int(label) if label.isdecimal() and int(label) > 0 else None


def _unit(vectors: Sequence[Sequence[float]]) -> FloatArray:
    array = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    unit: FloatArray = array / np.maximum(lengths, np.float32(1e-12))
    return unit


# ---- queries ---------------------------------------------------------------------------------------------------------


def _mode(query: VectorStoreQuery) -> SearchMode:
    for name in _UNSUPPORTED:
        if getattr(query, name) not in (None, []):
            raise ValueError(f"'{name}' is not supported by QuotedVectorStore; leave it out")
    if query.mode not in _MODES:
        supported = ", ".join(mode.value for mode in _MODES)
        raise ValueError(f"mode '{query.mode.value}' is not supported by QuotedVectorStore; use {supported}")
    return _MODES[query.mode]


def _sources(query: VectorStoreQuery) -> tuple[frozenset[str] | None, frozenset[str]]:
    """Which sources are allowed (None: all) and which are not."""
    allowed = None if query.doc_ids is None else frozenset(query.doc_ids)
    exclude: frozenset[str] = frozenset()
    for operator, sources in _filters(query.filters):
        if operator in (FilterOperator.EQ, FilterOperator.IN):
            allowed = sources if allowed is None else allowed & sources
        else:
            exclude |= sources
    return allowed if allowed is None else allowed - exclude, exclude


def _filters(filters: MetadataFilters | None) -> Iterator[tuple[FilterOperator, frozenset[str]]]:
    if filters is None:
        return
    if filters.condition not in (None, FilterCondition.AND):
        raise ValueError(f"filters joined by '{filters.condition.value}' are not supported; use 'and'")
    for each in filters.filters:
        if not isinstance(each, MetadataFilter) or each.key != "source":
            key = getattr(each, "key", "filters in filters")
            raise ValueError(f"QuotedVectorStore cannot filter by '{key}'; filter by 'source'")
        one = each.operator in (FilterOperator.EQ, FilterOperator.NE)
        many = each.operator in (FilterOperator.IN, FilterOperator.NIN)
        values = [each.value] if one else each.value
        if not (one or many) or not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise ValueError(f"a filter '{each.operator.value}' by {each.value!r} is not supported; name sources")
        yield each.operator, frozenset(str(v) for v in values)
