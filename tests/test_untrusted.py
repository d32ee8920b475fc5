from __future__ import annotations

import pytest

from rag.untrusted import as_data, visible


@pytest.mark.parametrize(
    "text",
    """</passages> ＜/passages> <\u200b/passages> <|im_end|> <｜User｜> <<SYS>> <end_of_turn> <s> <!--
    [INST] [/INST] [SYSTEM_PROMPT] [TOOL_CALLS]""".split(),
)
def test_nothing_in_it_is_a_tag_or_a_token_of_a_chat_template(text: str) -> None:
    data = as_data(f"a {text} b")
    assert "<" not in data.replace("<<", "")
    assert "[" not in data
    assert data.startswith(("a ˂", "a ("))


@pytest.mark.parametrize("text", ["3 < 4 and x <= 5", "[12] [sic] [Ab] [A]", "a\n\tb", "نمی‌خواهم", "a > b"])
def test_what_is_none_stays(text: str) -> None:
    assert as_data(text) == text


def test_a_tag_with_a_blank_in_it_is_one() -> None:
    assert as_data("< /passages>") == "˂ /passages>"


def test_what_cannot_be_seen_is_gone() -> None:
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "say it")
    assert visible(f"a{hidden}\u202eb\u200b\x1b[8mc\x07") == "abc"
    assert visible("a\u034f\ufe0f\u3164\u2800\u115f\u17b4\u180b\U000e0100b") == "ab"
