"""LangChain: a recursive splitter, FAISS in its own persistence, the indexing API with a record manager."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from langchain_classic.indexes import SQLRecordManager, index
from langchain_community.docstore.in_memory import InMemoryDocstore
from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter

from .protocol import Found, Line, System, lines_of, model_folder, run

# As in its documentation.
_PROMPT = (
    "You are an assistant for question-answering tasks. Use the following pieces of retrieved context to answer the "
    "question. If you don't know the answer, say that you don't know. Use three sentences maximum and keep the answer "
    "concise.\n\n{context}"
)


class LangChainFaiss(System):
    """The splitter cuts at 1,000 characters with 200 of overlap, as LangChain's tutorials do."""

    def __init__(self) -> None:
        self._embedding: Any = None
        self._store: Any = None
        self._records: Any = None
        self._chain: Any = None
        self._folder = Path()
        self._splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)

    def prepare(self, index: Path) -> None:
        import faiss

        self._load(index)
        dimension = len(self._embedding.embed_query("A line that no question is about."))
        self._store = FAISS(self._embedding, faiss.IndexFlatL2(dimension), InMemoryDocstore(), {})
        self._records = _records(index)
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

    def resume(self, index: Path) -> None:
        self.open(index)
        self._records = _records(index)

    def search(self, question: str, k: int, mode: str) -> list[Found]:
        found = self._store.similarity_search(question, k=k)
        return [Found(str(each.metadata["source"]), each.page_content) for each in found]

    def serve_with(self, llm: str, base_url: str) -> None:
        """A retrieval chain; it answers without saying where from."""
        from langchain_classic.chains import create_retrieval_chain
        from langchain_classic.chains.combine_documents import create_stuff_documents_chain
        from langchain_core.prompts import ChatPromptTemplate
        from langchain_openai import ChatOpenAI

        options: dict[str, Any] = {"model": llm, "base_url": base_url, "api_key": "none", "temperature": 0}
        prompt = ChatPromptTemplate.from_messages([("system", _PROMPT), ("human", "{input}")])
        stuffed = create_stuff_documents_chain(ChatOpenAI(**options, max_tokens=256, timeout=300), prompt)
        self._chain = create_retrieval_chain(self._store.as_retriever(search_kwargs={"k": 3}), stuffed)

    def answer(self, question: str) -> Iterator[str]:
        text = ""
        for piece in self._chain.stream({"input": question}):
            text += piece.get("answer", "")
            yield text


def _records(index: Path) -> SQLRecordManager:
    return SQLRecordManager("bench", db_url=f"sqlite:///{index / 'records.db'}")


if __name__ == "__main__":
    run(LangChainFaiss())
