"""LangChain: a recursive splitter, FAISS in its own persistence, the indexing API with a record manager."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from langchain_classic.indexes import SQLRecordManager, index
from langchain_community.docstore.in_memory import InMemoryDocstore
from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter

from .protocol import Found, Line, System, lines_of, model_folder, run


class LangChainFaiss(System):
    """The splitter cuts at 1,000 characters with 200 of overlap, as LangChain's tutorials do."""

    def __init__(self) -> None:
        self._embedding: Any = None
        self._store: Any = None
        self._records: Any = None
        self._folder = Path()
        self._splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)

    def prepare(self, index: Path) -> None:
        import faiss

        self._load(index)
        dimension = len(self._embedding.embed_query("A line that no question is about."))
        self._store = FAISS(self._embedding, faiss.IndexFlatL2(dimension), InMemoryDocstore(), {})
        self._records = SQLRecordManager("bench", db_url=f"sqlite:///{index.parent / 'records.db'}")
        self._records.create_schema()

    def _load(self, index: Path) -> None:
        index.mkdir(parents=True, exist_ok=True)
        self._folder = index
        self._embedding = HuggingFaceEmbeddings(model_name=model_folder(), model_kwargs={"device": "cpu"})

    def ingest(self, documents: Path) -> int:
        added = self._indexed(lines_of(documents))
        self._store.save_local(str(self._folder))
        return added

    def again(self, documents: Path) -> int:
        return self._indexed(lines_of(documents))

    def update(self, documents: Path, line: Line) -> None:
        self._indexed([line])
        self._store.save_local(str(self._folder))

    def _indexed(self, lines: list[Line]) -> int:
        whole = [Document(each["text"], metadata={"source": each["id"], "title": each["title"]}) for each in lines]
        cut = self._splitter.split_documents(whole)
        result = index(
            cut, self._records, self._store, cleanup="incremental", source_id_key="source", key_encoder="sha256"
        )
        return int(result["num_added"])

    def open(self, index: Path) -> None:
        self._load(index)
        # Its own format is a pickle; this one was made a moment ago, by this very class.
        self._store = FAISS.load_local(str(index), self._embedding, allow_dangerous_deserialization=True)

    def search(self, question: str, k: int, mode: str) -> list[Found]:
        found = self._store.similarity_search(question, k=k)
        return [Found(str(each.metadata["source"]), each.page_content) for each in found]


if __name__ == "__main__":
    run(LangChainFaiss())
