"""An LLM that says what a test wrote down, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llama_index.core.base.llms.types import CompletionResponse, CompletionResponseGen, LLMMetadata
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.custom import CustomLLM

# A whole reply, or what makes it of the prompt; an error instead of it; or pieces of a reply and perhaps the error that
# ends it.
Reply = str | Callable[[str], str] | Exception | Sequence[str | Exception]


class ScriptedLLM(CustomLLM):
    """Gives `replies` in turn, a few characters at a time; `prompts` is what it was asked.

    >>> llm = ScriptedLLM(replies=["It was he [1].", ConnectionError("gone"), ["It was ", TimeoutError()]])
    """

    replies: list[Any] = Field(description="of type Reply; taken out as they are given")
    prompts: list[str] = Field(default_factory=list)
    piece: int = Field(default=3, description="characters streamed at a time")
    is_chat_model: bool = False

    @classmethod
    def class_name(cls) -> str:
        return "ScriptedLLM"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="scripted", is_chat_model=self.is_chat_model)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text="".join(self._reply(prompt)))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        pieces = self._reply(prompt)

        def stream() -> CompletionResponseGen:
            text = ""
            for piece in pieces:
                text += piece
                yield CompletionResponse(text=text, delta=piece)

        return stream()

    def _reply(self, prompt: str) -> Iterator[str]:
        self.prompts.append(prompt)
        assert self.replies, f"the script has no reply to: {prompt}"
        reply: Reply = self.replies.pop(0)
        reply = reply(prompt) if callable(reply) else reply
        return self._pieces([reply] if isinstance(reply, str | Exception) else reply)

    def _pieces(self, parts: Sequence[str | Exception]) -> Iterator[str]:
        for part in parts:
            if isinstance(part, Exception):
                raise part
            for start in range(0, len(part), self.piece):
                yield part[start : start + self.piece]
