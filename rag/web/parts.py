"""What the rooms of the page share: packaged files, a piece of HTML with its script, what is said when it breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any, Final, Literal

import gradio as gr

BROKE: Final = "something broke; the terminal says what"


def packaged(name: str) -> str:
    """The text of a script or style sheet of the page."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def html(
    name: str,
    value: str,
    *,
    js: str | None = None,
    serves: Sequence[Callable[..., Any]] = (),
    visible: bool | Literal["hidden"] = True,
) -> gr.HTML:
    """A piece of the page whose id is `name`. `js` runs once, when it is there, and may call the functions `serves`."""
    return gr.HTML(
        value, elem_id=name, js_on_load=js, server_functions=[*serves], apply_default_css=False, visible=visible
    )
