"""The web page and its server: ask, read, and see each quote marked in its document."""

from .opening import Opening
from .page import build, example_questions
from .server import Server, UsersNeeded, run, serve, users_for

__all__ = ["Opening", "Server", "UsersNeeded", "build", "example_questions", "run", "serve", "users_for"]
