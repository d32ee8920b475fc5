"""Stock LlamaIndex: IngestionPipeline with a docstore, VectorStoreIndex, CitationQueryEngine, its own persistence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llama_index.core import Document, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from .protocol import Found, Line, System, lines_of, model_folder, run


class StockLlamaIndex(System):
    """Its defaults, but for the model and one retrieval of `k`."""

    def __init__(self) -> None:
        self._embedding: Any = None
        self._pipeline: Any = None
        self._index: Any = None
        self._engine: Any = None
        self._folder = Path()

    def prepare(self, index: Path) -> None:
        self._load(index)
        self._embedding.get_text_embedding("A line that no question is about.")
        self._set_up()

    def _set_up(self) -> None:
        self._pipeline = IngestionPipeline(
            transformations=[SentenceSplitter(), self._embedding],
            docstore=SimpleDocumentStore(),
            docstore_strategy=DocstoreStrategy.DUPLICATES_ONLY,
        )

    def resume(self, index: Path) -> None:
        self._load(index)
        self._set_up()
        self._pipeline.load(str(index / "pipeline"))

    def _load(self, index: Path) -> None:
        self._folder = index
        self._embedding = HuggingFaceEmbedding(model_name=model_folder(), device="cpu")

    def ingest(self, documents: Path) -> int:
        nodes = self._pipeline.run(documents=list(map(_document, lines_of(documents))))
        self._index = VectorStoreIndex(nodes=nodes, embed_model=self._embedding)
        self._persist()
        return len(nodes)

    def again(self, documents: Path) -> int:
        return len(self._pipeline.run(documents=list(map(_document, lines_of(documents)))))

    def update(self, documents: Path, line: Line) -> None:
        self._index.update_ref_doc(_document(line))
        self._persist()

    def _persist(self) -> None:
        self._index.storage_context.persist(persist_dir=str(self._folder))
        self._pipeline.persist(str(self._folder / "pipeline"))

    def open(self, index: Path) -> None:
        self._load(index)
        context = StorageContext.from_defaults(persist_dir=str(index))
        self._index = load_index_from_storage(context, embed_model=self._embedding)

    def search(self, question: str, k: int, mode: str) -> list[Found]:
        nodes = self._index.as_retriever(similarity_top_k=k).retrieve(question)
        return [Found(str(each.node.ref_doc_id), each.node.get_content()) for each in nodes]

    def serve_with(self, llm: str, base_url: str) -> None:
        from llama_index.core.query_engine import CitationQueryEngine
        from llama_index.llms.openai_like import OpenAILike

        model = OpenAILike(
            model=llm, api_base=base_url, api_key="none", is_chat_model=True, timeout=300, context_window=4096,
            max_tokens=256, temperature=0.0,
        )  # fmt: skip
        self._engine = CitationQueryEngine.from_args(self._index, llm=model, similarity_top_k=3, streaming=True)

    def answer(self, question: str) -> Iterator[str]:
        text = ""
        for piece in self._engine.query(question).response_gen:
            text += piece
            yield text


def _document(line: Line) -> Document:
    return Document(id_=line["id"], text=line["text"], metadata={"title": line["title"]})


if __name__ == "__main__":
    run(StockLlamaIndex())
