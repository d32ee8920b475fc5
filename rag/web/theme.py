"""One calm look: paper and ink, one accent, the reader's own fonts; nothing is fetched for it."""

from __future__ import annotations

from inspect import signature

import gradio as gr


def theme() -> gr.themes.Base:
    """Gradio's variables; `css` names the colours once, for light and dark."""
    look = gr.themes.Base(
        primary_hue="teal", neutral_hue="slate", radius_size="lg", font=["sans-serif"], font_mono=["monospace"]
    )
    ours = {
        "body_background_fill": "var(--page)",
        "body_text_color": "var(--ink)",
        "body_text_color_subdued": "var(--quiet)",
        "background_fill_primary": "var(--paper)",
        "background_fill_secondary": "var(--page)",
        "border_color_primary": "var(--edge)",
        "block_background_fill": "transparent",
        "block_border_width": "0px",
        "input_background_fill": "var(--paper)",
        "input_border_color": "var(--edge)",
        "input_border_color_focus": "var(--accent)",
        "input_placeholder_color": "var(--quiet)",
        "color_accent": "var(--accent)",
        "button_primary_background_fill": "var(--accent)",
        "button_primary_background_fill_hover": "var(--accent)",
        "button_primary_text_color": "var(--paper)",
        "button_secondary_background_fill": "var(--paper)",
        "button_secondary_background_fill_hover": "var(--tint)",
        "button_secondary_text_color": "var(--ink)",
    }
    known = signature(look.set).parameters
    dark = {f"{name}_dark": value for name, value in ours.items()}
    return look.set(**ours, **{name: value for name, value in dark.items() if name in known})
