"""The verdicts below an answer, in a real browser."""

from __future__ import annotations

from pathlib import Path

from chromium import Visit, ask, served

from rag.assistant import Assistant
from rag.feedback import Feedback
from rag.settings import Settings


def test_a_verdict_and_its_note_are_kept(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "heron.txt").write_text("The heron of the pond is called Edda.\n")
    settings = Settings(documents=tmp_path / "heron.txt", index_dir=tmp_path / "index", llm="none", refuse_below=0)
    with Assistant.open(settings) as assistant, served(assistant) as url:
        page = visit(url)
        first = ask(page, "What is the heron of the pond called?")
        first.get_by_role("button", name="Wrong evidence").click()
        first.get_by_text("Kept on this machine. Thank you.").wait_for()
        note = first.get_by_label("A note")
        note.fill("<img src=x onerror=alert(1)>")
        note.press("Enter")
        page.wait_for_timeout(500)
        second = ask(page, "Who lives in the pond?")
        second.get_by_role("button", name="Good").click()
        second.get_by_text("Kept on this machine. Thank you.").wait_for()
        assert ask(page, "thanks").locator(".judge").count() == 0
        pressed = first.locator("[aria-pressed=true]")  # drawn anew twice meanwhile
        assert pressed.inner_text() == "Wrong evidence"
        assert [(j.question, j.verdict, j.note) for j in Feedback(settings.index_dir).judgements()] == [
            ("What is the heron of the pond called?", "wrong evidence", "<img src=x onerror=alert(1)>"),
            ("Who lives in the pond?", "up", ""),
        ]
