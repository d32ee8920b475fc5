"""The web page over the documents that the settings name: `python app.py`."""

from __future__ import annotations

import sys

from rag import RagError, Settings
from rag.web import run, users_for


def main() -> int:
    """Serve the page until Ctrl+C; 3 when something is broken."""
    try:
        settings = Settings()
        run(settings, users_for(settings), announce=lambda line: print(line, flush=True))
    except RagError as error:
        print(error, file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
