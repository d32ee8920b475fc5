from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.embeddings.mock_embed_model import MockEmbedding

from rag.assistant import Assistant, index_fingerprint
from rag.embedding import PackagedEncoder
from rag.evidence import EvidenceFinder
from rag.retrieval import Retriever
from rag.settings import Settings
from rag.store import Location, Store
from rag.turn import Turn, TurnFinder
from rag.types import Message


class Counting(MockEmbedding):
    """All vectors are alike; `asked` counts the questions."""

    asked: Counter[str] = Field(default_factory=Counter)

    def get_query_embedding(self, query: str, **_: Any) -> list[float]:
        self.asked[query] += 1
        return super().get_query_embedding(query)


def test_no_question_of_a_turn_is_embedded_twice(tmp_path: Path) -> None:
    (tmp_path / "mill.txt").write_text("The Tarn mill was designed by Edgar Voss in 1902. It grinds barley.")
    counting = Counting(embed_dim=8)
    with Assistant.open(Settings(documents=tmp_path, index_dir=tmp_path / "i"), embed_model=counting) as assistant:
        counting.asked.clear()
        history: list[Message] = [
            {"role": "user", "content": "Who designed the Tarn mill?"},
            {"role": "assistant", "content": "Edgar Voss."},
        ]
        assistant.ask("What does it grind?", history=history)
    assert counting.asked.keys() >= {"What does it grind?", "Who designed the Tarn mill? What does it grind?"}
    assert set(counting.asked.values()) == {1}


def test_how_much_all_is_about_it_is_said_of_the_documents_that_are_asked(
    tmp_path: Path, encoder: PackagedEncoder
) -> None:
    (tmp_path / "mill.txt").write_text("The Tarn mill was designed by Edgar Voss in 1902. It grinds barley.")
    (tmp_path / "owls.txt").write_text("Owls hunt mice at night. The barn owl nests in old towers.")
    settings = Settings(documents=tmp_path, index_dir=tmp_path / "index", llm="none")
    Assistant.open(settings).close()
    fingerprint = index_fingerprint(settings, encoder)
    with Store.open(Location(settings.index_dir), fingerprint=fingerprint, dimension=encoder.dimension) as store:
        turns = TurnFinder(store, Retriever(store, encoder), EvidenceFinder(encoder), None, settings)
        question = "When do owls hunt mice?"
        everything, owls, mill = (
            turns.find(Turn(question, documents=only)).features.topical for only in ([], ["owls.txt"], ["mill.txt"])
        )
    assert mill < 0.8 < owls
    assert everything == 0  # the two have nothing in common
