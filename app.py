"""The web page over the documents that the settings name: `python app.py`."""

from __future__ import annotations

import sys

from rag import Assistant, RagError, Settings
from rag.web import build, example_questions, launch


def main() -> int:
    """Serve the page until Ctrl+C; 3 when something is broken."""
    try:
        with Assistant.open(Settings()) as assistant:
            page = build(assistant, example_questions(assistant.settings.documents))
            print(f"Ask your documents at {launch(page)} (Ctrl+C stops)", flush=True)
            page.block_thread()
    except RagError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
