"""Rankings and labels in the files of trec_eval, so that anybody's tool can check the retrieval figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from .measures import ranked_documents
from .run import MODES, Mode, Row


def write(folder: Path, rows: Sequence[Row]) -> None:
    """`qrels` and one `<mode>.run` per search mode, of documents. Names are percent-encoded: fields end at a space."""
    for name in ("qrels", *(f"{mode}.run" for mode in MODES)):
        (folder / name).unlink(missing_ok=True)  # an earlier run's
    searched = [row for row in rows if row.question.relevance and (row.found or row.search_error)]
    if not searched:
        return
    (folder / "qrels").write_text("".join(_qrels(searched)), encoding="utf-8")
    for mode in MODES:
        (folder / f"{mode}.run").write_text("".join(_run(searched, mode)), encoding="utf-8")


def _qrels(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        for document, grade in row.question.relevance.items():
            yield f"{_field(row.question.id)} 0 {_field(document)} {grade}\n"


def _run(rows: Sequence[Row], mode: Mode) -> Iterator[str]:
    for row in rows:
        for rank, document in enumerate(ranked_documents(row.found.get(mode, ())), start=1):
            yield f"{_field(row.question.id)} Q0 {_field(document)} {rank} {1 / rank:.9f} {mode}\n"


def _field(name: str) -> str:
    return quote(name, safe="")
