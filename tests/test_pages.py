"""A file with pages, from the folder to the passage: by the front door, with the packaged encoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import format_samples as samples
import pytest

from rag.assistant import Assistant
from rag.settings import Settings

FACTS = [
    "The heron of the north stands still in the shallow water for hours.",
    "",
    "A barn owl hears a mouse under the snow and flies without a sound.",
    "The wandering albatross has the widest wings of all living birds.",
]


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    base = tmp_path_factory.mktemp("pages")
    folder = base / "docs"
    folder.mkdir()
    (folder / "birds.pdf").write_bytes(samples.pdf(FACTS, title="Three birds"))
    (folder / "fish.html").write_text("<h1>Fish</h1><h2>Salmon</h2><p>The salmon returns to its own river.</p>")
    (folder / "scan.pdf").write_bytes(samples.pdf([""]))
    (folder / "sheet.docx").write_bytes(samples.docx(samples.paragraph("The beaver builds a dam of wood.")))
    settings = Settings(documents=folder, index_dir=base / "index", llm="none", passage_words=20)
    with Assistant.open(settings) as assistant:
        yield assistant


@pytest.mark.parametrize(("question", "page"), [("heron water", 1), ("owl mouse", 3), ("albatross wings", 4)])
def test_a_hit_knows_its_page(assistant: Assistant, question: str, page: int) -> None:
    passage = assistant.search(question, k=1)[0].passage
    assert (passage.source, passage.title, passage.page) == ("birds.pdf", "Three birds", page)
    assert FACTS[page - 1].startswith(passage.text.split("\n")[0])


def test_a_quote_is_exact(assistant: Assistant, tmp_path: Path) -> None:
    for question in ["How does the barn owl fly?", "Where does the salmon return to?", "What does the beaver build?"]:
        answer = assistant.ask(question)
        assert answer.citations
        for citation in answer.citations:
            text = assistant.document(citation.passage.document_id).text
            assert text[citation.start : citation.end] == citation.quote


def test_other_formats_have_headings_and_no_pages(assistant: Assistant) -> None:
    passage = assistant.search("salmon river", k=1)[0].passage
    assert (passage.source, passage.heading, passage.page) == ("fish.html", "Fish > Salmon", None)


def test_what_cannot_be_read_is_told_and_the_rest_is_there(assistant: Assistant) -> None:
    report = assistant.ingest([assistant.settings.documents])
    assert [failure.source for failure in report.failed] == ["scan.pdf"]
    assert "ocrmypdf" in report.failed[0].reason
    assert set(report.unchanged) == {"birds.pdf", "fish.html", "sheet.docx"}
