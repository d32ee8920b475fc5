"""What the readers of all formats raise."""

from __future__ import annotations


class FormatError(Exception):
    """The file has no text that can be had. The message goes on after the file's name and ends with what to do."""
