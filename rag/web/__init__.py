"""The web page and its server: ask, read, and see each quote marked in its document."""

from .examples import example_questions
from .extras import check_extras
from .guard import Users
from .opening import Opening
from .page import build
from .server import Server, UsersNeeded, run, serve, users_for

__all__ = [
    "Opening",
    "Server",
    "Users",
    "UsersNeeded",
    "build",
    "check_extras",
    "example_questions",
    "run",
    "serve",
    "users_for",
]
