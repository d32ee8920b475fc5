"""Text of others → what may be sent to an LLM as data, and what of it can be seen. Pure functions."""

from __future__ import annotations

import re
import unicodedata

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.?)")  # what drives a terminal
# Joiners belong to the spelling of many scripts, but not to that of English.
_STRAY_JOINER = re.compile(r"(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])")
# What ends a delimiter of our prompts, or is a token of a model's chat template, which servers also read inside a
# message: "</passages>", "<|im_end|>", "<｜User｜>", "<<SYS>>", "<end_of_turn>"; "[/INST]", "[SYSTEM_PROMPT]".
_ANGLE = re.compile(r"[<＜﹤](?=\s*[/|｜]|[^\s\d=])")
_BRACKETED = re.compile(r"\[(/?[A-Z][A-Z_]{2,})\]")
_INSTEAD = "˂"  # a sign of phonetics: what else could be taken for it would be taken back in other texts


# Marks, letters and signs that are drawn as nothing, or only choose how the one before is drawn.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def visible(text: str) -> str:
    """Without what drives a terminal, turns the direction of writing, or cannot be seen."""
    text = _UNSEEN.sub("", _STRAY_JOINER.sub("", _ESCAPE.sub("", text)))
    return "".join(c for c in text if c in "\n\t\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf"))


def as_data(text: str) -> str:
    """`text` as a prompt may hold it: an LLM reads in it what people can see, and it ends nothing.

    Of tags the "<" is written "˂", and "[INST]" in round brackets. `as_written` undoes the first.
    """
    return _BRACKETED.sub(r"(\1)", _ANGLE.sub(_INSTEAD, visible(text)))


def as_written(reply: str) -> str:
    """What an LLM copied from `as_data`, with its tags."""
    return reply.replace(_INSTEAD, "<")
