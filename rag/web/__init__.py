"""The web page: ask, read, and see each quote marked in its document."""

from .examples import example_questions
from .page import build, launch

__all__ = ["build", "example_questions", "launch"]
