"""What the tests of eval/ share."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from chat_endpoint import Endpoint


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
