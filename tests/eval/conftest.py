"""What the tests of eval/ share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chat_endpoint import Endpoint
from endpoint import serving


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(Endpoint()) as server:
        yield server
