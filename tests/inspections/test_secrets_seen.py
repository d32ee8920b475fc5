"""A secret in any form: the search of `hardness.keys` would find it."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hardness import keys


@pytest.mark.parametrize(
    "output",
    [
        keys.KEY,
        keys.KEY.upper(),
        keys.KEY[: len(keys.KEY) // 2 + 5],
        quote(f"Bearer {keys.KEY}", safe=""),
        json.dumps({"key": [keys.KEY]}),
        repr(keys.KEY.encode()),
        keys.KEY.encode().hex(),
        *(base64.b64encode(f"{'x' * n}:{keys.KEY}".encode()).decode() for n in range(4)),
        base64.urlsafe_b64encode(keys.KEY.encode()).decode(),
        f"aaa{keys.KEY}".encode(),
    ],
)
def test_the_inspection_sees_a_secret_in_any_form(output: str | bytes) -> None:
    assert keys.leaks(output) == ["the LLM's key"]
    way = keys.Ways("a way")
    way.look("what is said", output)
    assert way.row.lost == ["the LLM's key, in what is said"]
    assert not way.row.held


def test_the_inspection_sees_no_secret_where_there_is_none() -> None:
    assert keys.leaks("sk-*** Authorization: Basic *** c4n4ry") == []
