"""What nobody fetches is not kept for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from doubles import Double

from rag.web import Opening
from rag.web.page import build
from rag.web.server import _app
from rag.web.unread import Mailbox, Unread


def mailbox(unread: Unread) -> Mailbox:
    """One of those that share `unread`."""
    return type("Box", (Mailbox,), {"unread": unread})()


def test_what_has_lain_longest_goes() -> None:
    unread = Unread(10_000)
    first, second, listened = (mailbox(unread) for _ in range(3))
    for _ in range(5):
        listened.put_nowait({"output": "x" * 4000})
        assert listened.get_nowait()
    assert unread.total == 0
    first.put_nowait({"output": ["x" * 4000]})
    second.put_nowait({"output": ["x" * 4000]})
    assert (first.qsize(), second.qsize()) == (1, 1)
    second.put_nowait({"output": ["x" * 4000]})
    assert (first.qsize(), second.qsize()) == (0, 2)
    first.put_nowait("again")
    assert first.get_nowait() == "again"
    second.put_nowait({"output": ["x" * 4000]})
    assert second.qsize() == 0  # alone too much
    assert unread.total == 0


def test_gradio_remembers_no_conversation() -> None:
    page = build(Double())  # type: ignore[arg-type]
    app = _app(Opening.of(Double()), page, mcp=False)  # type: ignore[arg-type]
    (draw,) = (fn for fn in page.fns.values() if any(event == "conversation_draw" for _, event in fn.targets))
    sent = {"showing": "1", "turns": [{"question": "Who is Alice?"}], "only": [], "llm": ""}

    async def drawn() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            call = {"fn_index": draw._id, "data": [sent], "session_hash": "s"}
            return await client.post("/gradio_api/run/predict", json=call)

    assert "Who is Alice?" in asyncio.run(drawn()).text
    held = page.state_holder.session_data["s"]  # type: ignore[attr-defined]
    assert "Alice" not in repr(held.config_values) + repr(held.state_data)


def test_gradio_puts_what_it_makes_into_them() -> None:
    page = build(Double())  # type: ignore[arg-type]
    app = _app(Opening.of(Double()), page, mcp=False)  # type: ignore[arg-type]

    async def join() -> Any:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post("/gradio_api/call/documents", json={"data": [], "session_hash": "s"})

    assert asyncio.run(join()).status_code == 200
    assert isinstance(page._queue.pending_messages_per_session["s"], Mailbox)
