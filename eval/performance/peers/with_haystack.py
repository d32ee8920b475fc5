"""Haystack: its splitter, its sentence-transformers embedders, its in-memory store with its own persistence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from haystack import Document
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import ComponentDevice
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)

from .protocol import Found, Line, System, lines_of, model_folder, run

# As in its documentation.
_PROMPT = """Given the following information, answer the question.

Context:
{% for document in documents %}
    {{ document }}
{% endfor %}

Question: {{question}}
Answer:"""


class Haystack(System):
    """The splitter cuts at its default of 200 words; what is written twice is overwritten."""

    def __init__(self) -> None:
        self._store: Any = None
        self._asked: Any = None
        self._told: Any = None
        self._prompt: Any = None
        self._generator: Any = None
        self._folder = Path()
        self._splitter: Any = DocumentSplitter()

    def prepare(self, index: Path) -> None:
        index.mkdir(parents=True, exist_ok=True)
        self._folder = index
        self._store = InMemoryDocumentStore(embedding_similarity_function="cosine")
        device = ComponentDevice.from_str("cpu")
        self._told = SentenceTransformersDocumentEmbedder(model=model_folder(), device=device, progress_bar=False)
        self._told.warm_up()
        self._splitter.warm_up()
        self._told.run(documents=[Document(content="A line that no question is about.")])

    def ingest(self, documents: Path) -> int:
        written = self._written(lines_of(documents))
        self._store.save_to_disk(str(self._folder / "store.json"))
        return written

    def update(self, documents: Path, line: Line) -> None:
        old = self._store.filter_documents({"field": "meta.source", "operator": "==", "value": line["id"]})
        self._store.delete_documents([each.id for each in old])
        self._written([line])
        self._store.save_to_disk(str(self._folder / "store.json"))

    def _written(self, lines: list[Line]) -> int:
        whole = [Document(content=each["text"], meta={"source": each["id"], "title": each["title"]}) for each in lines]
        cut = self._splitter.run(documents=whole)["documents"]
        embedded = self._told.run(documents=cut)["documents"]
        return int(self._store.write_documents(embedded, policy=DuplicatePolicy.OVERWRITE))

    def open(self, index: Path) -> None:
        self._store = InMemoryDocumentStore.load_from_disk(str(index / "store.json"))
        device = ComponentDevice.from_str("cpu")
        self._asked = SentenceTransformersTextEmbedder(model=model_folder(), device=device, progress_bar=False)
        self._asked.warm_up()

    def search(self, question: str, k: int, mode: str) -> list[Found]:
        retriever: Any = InMemoryEmbeddingRetriever(self._store, top_k=k)
        found = retriever.run(query_embedding=self._asked.run(text=question)["embedding"])["documents"]
        return [Found(str(each.meta["source"]), each.content) for each in found]

    def serve_with(self, llm: str, base_url: str) -> None:
        """A prompt and a generator; it answers without saying where from."""
        from haystack.components.builders import ChatPromptBuilder
        from haystack.components.generators.chat import OpenAIChatGenerator
        from haystack.dataclasses import ChatMessage
        from haystack.utils import Secret

        self._prompt = ChatPromptBuilder([ChatMessage.from_user(_PROMPT)], required_variables="*")
        self._generator = OpenAIChatGenerator(
            api_key=Secret.from_token("none"),
            model=llm,
            api_base_url=base_url,
            timeout=300,
            generation_kwargs={"temperature": 0, "max_tokens": 256},
        )

    def answer(self, question: str) -> Iterator[str]:
        documents = [found.text for found in self.search(question, 3, "dense")]
        prompt = self._prompt.run(question=question, documents=documents)["prompt"]
        yield self._generator.run(messages=prompt)["replies"][0].text or ""


if __name__ == "__main__":
    run(Haystack())
