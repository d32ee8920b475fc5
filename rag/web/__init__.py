"""The web page and its server: ask, read, and see each quote marked in its document."""

from .opening import Opening
from .page import build, example_questions
from .server import LOCAL, Server, UsersNeeded, run, serve

__all__ = ["LOCAL", "Opening", "Server", "UsersNeeded", "build", "example_questions", "run", "serve"]
