"""The Documents panel in a real browser: upload, remove, undo, ask only some."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from chromium import HOSTILE, Page, Visit, ask, close_pages, contrast, served

from rag.assistant import Assistant
from rag.errors import DocumentUnreadable, RagError
from rag.settings import Settings
from rag.web import Opening, documents, serve

OWL = "What is the owl of the tower called?"
HERON = "What is the heron of the pond called?"


@pytest.fixture
def assistant(tmp_path: Path) -> Iterator[Assistant]:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "heron.txt").write_text("The heron of the pond is called Edda.\n")
    (folder / "newt.txt").write_text("The newt of the ditch is called Pia.\n")
    settings = Settings(documents=folder, index_dir=tmp_path / "index", llm="none", refuse_below=0)
    with Assistant.open(settings) as assistant:
        yield assistant


@pytest.fixture
def owl(tmp_path: Path) -> Path:
    """A PDF of two pages; the owl is on the second."""
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_font("Helvetica", size=12)
    for line in ("This page says nothing about birds.", "The owl of the tower is called Brunhilde."):
        pdf.add_page()
        pdf.cell(text=line)
    path = tmp_path / "owl.pdf"
    pdf.output(str(path))
    return path


def open_panel(page: Page) -> Page:
    page.get_by_role("button", name="Documents", exact=True).click()
    panel = page.get_by_role("dialog", name="Documents")
    panel.locator(".listed ul").wait_for()
    return panel


def close_panel(page: Page) -> None:
    page.get_by_label("Close", exact=True).click()


def upload(panel: Page, *files: Any) -> None:
    """Choose the files, and wait until each has its sentence."""
    panel.locator("input[type=file]").set_input_files(list(files))
    panel.locator(".happened li").nth(len(files) - 1).wait_for()
    panel.page.wait_for_function("!document.querySelector('.happened .reading')")


def row(panel: Page, source: str) -> Page:
    return panel.locator("li.document").filter(has=panel.page.locator(f"input[value='{source}']"))


def test_a_pdf_is_uploaded_asked_about_and_cited_with_its_page(url: str, visit: Visit, owl: Path) -> None:
    page = visit(url)
    panel = open_panel(page)
    assert panel.locator("li.document").count() == 2
    upload(panel, owl)
    assert panel.locator(".happened").inner_text() == "owl.pdf: added: 2 passages to ask about"
    facts = row(panel, "owl.pdf").locator(".small")
    facts.wait_for()
    assert re.match(r"owl\.pdf · PDF · \d+ characters · 2 passages · uploaded · indexed · \w+", facts.inner_text())
    close_panel(page)
    assert page.locator("#header p").inner_text().startswith("3 documents")
    turn = ask(page, OWL)
    assert "Brunhilde" in turn.inner_text()
    turn.locator(".chip").first.click()
    assert "owl.pdf · uploaded · page 2" in page.locator("#sources").inner_text()


def test_of_two_files_the_bad_one_is_told_in_a_sentence(url: str, visit: Visit, owl: Path, tmp_path: Path) -> None:
    page = visit(url)
    panel = open_panel(page)
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"%PDF-1.7 this is none")
    upload(panel, bad, owl)
    lines = panel.locator(".happened li").all_inner_texts()
    assert lines[0] == "owl.pdf: added: 2 passages to ask about"
    assert lines[1].startswith("bad.pdf ")
    assert panel.locator(".happened .failed").count() == 1
    picture = tmp_path / "photo.png"
    picture.write_bytes(b"\x89PNG")
    huge = {"name": "huge.txt", "mimeType": "text/plain", "buffer": b"a" * 20_000_001}
    upload(panel, picture)
    panel.locator("input[type=file]").set_input_files(huge)
    panel.get_by_text("huge.txt: it has 20 MB, more than the 20 MB of an upload").wait_for()
    assert "photo.png is of a kind that cannot be read" in panel.locator(".happened").inner_text()
    assert panel.locator("li.document").count() == 3


def test_files_are_dropped_anywhere(url: str, visit: Visit) -> None:
    page = visit(url)
    page.evaluate("""() => {
        const data = new DataTransfer();
        data.items.add(new File(["The lark of the field is called Nora.\\n"], "../lark.txt"));
        data.items.add(new File(["The eel of the brook is called Otto.\\n"], "eel <b>.txt"));
        document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
    }""")
    panel = page.get_by_role("dialog", name="Documents")
    panel.get_by_text("lark.txt: added: 1 passage to ask about").wait_for()
    panel.get_by_text("eel _b_.txt: added: 1 passage to ask about").wait_for()


def test_a_removed_document_answers_no_more_until_it_is_brought_back(url: str, visit: Visit, owl: Path) -> None:
    page = visit(url)
    panel = open_panel(page)
    upload(panel, owl)
    row(panel, "owl.pdf").get_by_role("button").click()
    undo = panel.get_by_role("button", name="Undo")
    undo.wait_for()
    row(panel, "owl.pdf").wait_for(state="detached")
    assert "the next ingest" not in panel.locator(".happened").inner_text()
    close_panel(page)
    assert "Brunhilde" not in ask(page, OWL).inner_text()
    open_panel(page)
    undo.click()
    row(panel, "owl.pdf").wait_for()
    assert panel.get_by_role("button", name="Undo").count() == 0
    close_panel(page)
    assert "Brunhilde" in ask(page, OWL).inner_text()
    panel = open_panel(page)
    row(panel, "heron.txt").get_by_role("button").click()
    panel.get_by_text("Its file stays: if it is still there, the next ingest adds it again.").wait_for()


def test_a_document_of_another_process_appears(url: str, visit: Visit, assistant: Assistant, tmp_path: Path) -> None:
    page = visit(url)
    panel = open_panel(page)
    assert panel.locator("li.document").count() == 2
    lark = tmp_path / "lark.txt"
    lark.write_text("The lark of the field is called Nora.\n")
    settings = assistant.settings
    options = ["--documents", str(settings.documents), "--index-dir", str(settings.index_dir)]
    subprocess.run([sys.executable, "-m", "rag.cli", *options, "ingest", str(lark)], check=True, capture_output=True)
    row(panel, "lark.txt").wait_for(timeout=5000)
    assert page.locator("#header p").inner_text().startswith("3 documents")


def test_only_the_chosen_documents_are_asked_and_the_page_says_so(url: str, visit: Visit) -> None:
    page = visit(url)
    panel = open_panel(page)
    panel.get_by_role("checkbox", name="newt").check()
    close_panel(page)
    page.get_by_text("Asking only newt.txt").wait_for()
    turn = ask(page, HERON)
    assert "Edda" not in turn.inner_text()
    assert "Asked only of newt.txt." in turn.inner_text()
    page.get_by_role("button", name="Use all documents").click()
    page.locator(".scope").wait_for(state="hidden")
    turn = ask(page, HERON)
    assert "Edda" in turn.inner_text()
    assert "Asked only" not in turn.inner_text()
    panel = open_panel(page)
    assert panel.locator(":checked").count() == 0


def test_a_server_that_has_forgotten_the_page_asks_no_other_documents(visit: Visit, assistant: Assistant) -> None:
    with serve(assistant, port=0) as server:
        page = visit(server.address)
        open_panel(page).get_by_role("checkbox", name="newt").check()
        close_panel(page)
        page.get_by_text("Asking only newt.txt").wait_for()
        server._page.state_holder.session_data.clear()  # type: ignore[attr-defined]  # as when a laptop slept
        assert "Asked only of newt.txt." in ask(page, HERON).inner_text()
        close_pages()


def test_two_tabs_choose_and_remove_side_by_side(url: str, visit: Visit) -> None:
    one, two = visit(url), visit(url)
    first, second = open_panel(one), open_panel(two)
    first.get_by_role("checkbox", name="newt").check()
    row(second, "newt.txt").get_by_role("button").click()
    row(first, "newt.txt").wait_for(state="detached")
    close_panel(one)
    close_panel(two)
    assert "Edda" not in ask(one, HERON).inner_text()  # what was chosen is gone: that is not all documents
    assert "Edda" in ask(two, HERON).inner_text()
    assert one.get_by_role("button", name="Undo").count() == 0


def test_hostile_names_and_titles_are_shown_as_text(url: str, visit: Visit) -> None:
    page = visit(url)
    panel = open_panel(page)
    files = [
        {"name": f"{words}.txt".replace("/", "∕"), "mimeType": "", "buffer": f"{words}\n\nText {n}.\n".encode()}
        for n, words in enumerate(HOSTILE)
    ]
    upload(panel, *files)
    assert panel.locator(".happened .done").count() == len(HOSTILE)
    panel.locator("li.document").nth(len(HOSTILE) + 1).wait_for()
    assert panel.locator(":is(img, script, iframe, svg, a, b, em)").count() == 0
    panel.get_by_label("Find a document").fill("<SCRIPT>")
    page.wait_for_function("document.querySelectorAll('li.document').length === 1")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for selector in (".document .name", ".document .small", ".documents h2", ".remove", ".happened .done"):
            assert contrast(page, selector) >= 4.5, (scheme, selector)


def test_the_reply_to_an_older_search_is_not_shown(url: str, visit: Visit) -> None:
    page = visit(url)
    panel = open_panel(page)
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route) if b"newt" in (route.request.post_data_buffer or b"") else route.continue_()

    page.route("**/component_server**", hold)
    search = panel.get_by_label("Find a document")
    search.fill("newt")
    page.wait_for_timeout(500)
    search.fill("heron")
    row(panel, "newt.txt").wait_for(state="detached")
    (late,) = held
    with page.expect_response(lambda response: response.request == late.request):
        late.continue_()
    page.wait_for_timeout(200)
    assert panel.locator("li.document").count() == 1
    assert row(panel, "heron.txt").count() == 1


def test_while_the_index_opens_one_line_says_so(visit: Visit, assistant: Assistant) -> None:
    ready = threading.Event()

    def opener(_: Any) -> Assistant:
        ready.wait(60)
        return assistant

    with Opening(opener) as opening, served(opening) as url:
        page = visit(url)
        page.get_by_role("button", name="Documents", exact=True).click()
        panel = page.get_by_role("dialog", name="Documents")
        panel.get_by_text("the index is being opened; ask again in a moment").wait_for()
        for words in ("h", "he"):
            panel.get_by_label("Find a document").fill(words)
            page.wait_for_timeout(400)
        assert panel.locator(".happened li").count() == 1
        ready.set()
        row(panel, "heron.txt").wait_for()
        assert panel.locator(".happened li").count() == 0


@pytest.mark.parametrize("width", [360, 1920])
def test_the_keyboard_alone_opens_ticks_and_closes(url: str, visit: Visit, width: int) -> None:
    page = visit(url, viewport={"width": width, "height": 800})
    page.get_by_role("button", name="Documents", exact=True).focus()
    page.keyboard.press("Enter")
    page.locator(".listed ul").wait_for()
    page.get_by_role("checkbox", name="heron").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    page.get_by_text("Asking only heron.txt").wait_for()
    assert page.get_by_role("dialog").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# -- without a browser -------------------------------------------------------------------------------------------------


def test_a_path_that_gradio_did_not_receive_is_not_read(assistant: Assistant, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("The secret.\n")
    opening = Opening.of(assistant)
    served = {function.__name__: function for function in documents._served(documents.Desk(opening, set()), opening)}
    sent = {"name": "a.txt", "path": str(secret)}

    def called(name: str, sent: Any) -> documents.Reply:
        with ThreadPoolExecutor(1) as pool:  # playwright's own loop runs in this thread
            return pool.submit(lambda: asyncio.run(served[name](sent))).result(60)

    assert called("document_add", sent) == {"failed": "a.txt did not arrive; upload it again"}
    assert secret.exists()
    for hostile in (None, [], {}, "x", {"name": None}, -1):
        for name in served:
            reply = called(name, hostile)
            assert set(reply) & {"failed", "stamp"}, (name, hostile, reply)
    assert len(assistant.documents()) == 2


def test_what_could_not_be_read_is_listed_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 this is none")
    with Assistant.open(Settings(documents=folder, index_dir=tmp_path / "index")) as assistant:
        html = documents.Desk(Opening.of(assistant), set()).listing("")["html"]
    assert '<li class="failed" dir="auto"><span class="name">broken.pdf</span> ' in html
    assert "No documents yet." in html


def test_removals_that_can_be_undone_are_bounded(
    assistant: Assistant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = documents.Desk(Opening.of(assistant), set())
    file = tmp_path / "incoming"
    tokens = []
    for number in range(3):
        file.write_text(f"Line {number}.\n" + "x" * 100_000)
        assistant.upload("large.txt", file)
        (large,) = (d.id for d in assistant.documents() if d.source == "large.txt")
        tokens.append(desk.remove(large)["undo"])
        monkeypatch.setattr(documents, "_UNDONE_BYTES", 500_000)
    assert [removed.taken.document.text[:6] for removed in desk._removed.values()] == ["Line 1", "Line 2"]
    monkeypatch.setattr(documents, "_UNDONE_BYTES", 1)
    (heron,) = (d.id for d in assistant.documents() if d.source == "heron.txt")
    tokens.append(desk.remove(heron)["undo"])
    for token in tokens[:-1]:
        with pytest.raises(RagError, match="cannot be undone any more"):
            desk.undo(token)
    assert "heron" in desk.undo(tokens[-1])["says"]  # the last one always can be


class Reading:
    """Stands where the Assistant stands, and looks at the list while a file is being read."""

    failed = ()

    def __init__(self, arrived: set[str]) -> None:
        self.desk = documents.Desk(Opening.of(self), arrived)  # type: ignore[arg-type]
        self.seen: list[dict[str, Any]] = []

    def listing(self) -> list[Any]:
        return []

    def stamp(self) -> str:
        return "one"

    def upload(self, name: str, file: str) -> Any:
        self.seen.append(self.desk.listing(""))
        raise DocumentUnreadable(f"{name} is damaged; save it again")


def test_what_is_being_read_is_in_everybodys_list(tmp_path: Path) -> None:
    file = tmp_path / "received"
    file.write_text("text")
    reading = Reading({str(file)})
    with pytest.raises(DocumentUnreadable):
        reading.desk.add("<b>.txt", str(file))
    (seen,) = reading.seen
    assert '<li class="reading" dir="auto"><span class="name">&lt;b&gt;.txt</span> being read…</li>' in seen["html"]
    assert seen["stamp"] != reading.desk.stamp()["stamp"] == "one"
    assert not file.exists()  # what Gradio received is not left behind
