"""What parts of the server need besides the default install, looked for before anything is opened."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import RagError
from ..telemetry import listen

if TYPE_CHECKING:
    from .metrics import Metrics


def check_extras(*, mcp: bool, metrics: bool) -> None:
    """Raises RagError when something is wanted whose extra is not installed."""
    if mcp:
        _check("mcp", "MCP", "mcp", "--mcp")
    if metrics:
        _check("prometheus_client", "Prometheus' client", "otel", "--metrics")


def _check(module: str, name: str, extra: str, option: str) -> None:
    if find_spec(module) is None:
        raise RagError(f"{name} is not installed; run \"pip install 'rag-quoted[{extra}]'\", or leave out {option}")


def counting() -> Metrics:
    """Metrics of what this process does from now on."""
    from .metrics import Metrics  # here alone: it imports what may not be installed

    metrics = Metrics()
    listen(metrics)
    return metrics
