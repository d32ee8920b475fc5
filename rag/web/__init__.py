"""The web page: ask, read, and see each quote marked in its document."""

from .page import build, example_questions, launch

__all__ = ["build", "example_questions", "launch"]
