from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.embeddings.mock_embed_model import MockEmbedding

from rag.assistant import Assistant
from rag.settings import Settings
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
