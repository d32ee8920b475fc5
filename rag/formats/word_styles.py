"""What the styles and the numbering of a Word file say about a paragraph."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MAX_LEVEL = 8  # of a list or an outline, from 0; the outline level after it is "body text"
_STYLES_DEPTH = 20  # a style is based on another, and so on
_HEADING = re.compile(r"heading ([1-9])")


@dataclass(frozen=True, slots=True)
class Style:
    """Of a paragraph: its heading level (from 1; 0 is none), its list ("" is none) and its depth in it (from 0)."""

    heading: int = 0
    list_id: str = ""
    list_level: int = 0
    is_contents: bool = False


class Styles:
    """The styles of a file, by id."""

    def __init__(self, root: Any) -> None:
        found = [] if root is None else root.findall(W + "style")
        self._styles = {style.get(W + "styleId"): style for style in found}
        self._default = next((s for s in found if s.get(W + "type") == "paragraph" and s.get(W + "default")), None)

    def of(self, properties: Any) -> Style:
        """Of a paragraph with this `w:pPr` or None: what it says itself, else its style, else what that is based on."""
        outline = list_id = depth = None
        names = []
        for name, source in self._sources(properties):
            names.append(name)
            outline = _first(outline, source, "outlineLvl")
            list_id = _first(list_id, source, "numPr/", "numId")
            depth = _first(depth, source, "numPr/", "ilvl")
        level = next((int(match[1]) for name in names if (match := _HEADING.fullmatch(name))), 0)
        if not level and "title" in names:
            level = 1
        if not level and outline is not None and 0 <= int(outline) <= _MAX_LEVEL:
            level = int(outline) + 1
        contents = any(re.fullmatch(r"toc \d|table of figures", name) for name in names)
        listed = list_id if list_id and list_id != "0" else ""
        return Style(level, listed, min(max(int(depth or 0), 0), _MAX_LEVEL), contents)

    def _sources(self, properties: Any) -> Iterator[tuple[str, Any]]:
        """Name of the style ("" for the paragraph itself) and its `w:pPr`, from the nearest to the farthest."""
        style = self._default
        if properties is not None:
            yield "", properties
            named = properties.find(W + "pStyle")
            style = self._styles.get(value(named)) if named is not None else style
        for _ in range(_STYLES_DEPTH):
            if style is None:
                return
            name = style.find(W + "name")
            yield (value(name) or "").lower() if name is not None else "", style.find(W + "pPr")
            base = style.find(W + "basedOn")
            style = self._styles.get(value(base)) if base is not None else None


class Numbering:
    """The lists of a file; counts their items in the order in which they are asked for."""

    def __init__(self, root: Any) -> None:
        levels: dict[str | None, dict[int, tuple[str, int]]] = {}
        self._lists: dict[str, tuple[str, dict[int, tuple[str, int]]]] = {}
        self._counts: dict[str, list[int | None]] = {}
        for each in [] if root is None else root.findall(W + "abstractNum"):
            levels[each.get(W + "abstractNumId")] = dict(_levels(each))
        for each in [] if root is None else root.findall(W + "num"):
            base = value(each.find(W + "abstractNumId")) or ""
            own = {int(o.get(W + "ilvl", "0")): dict(_levels(o)) for o in each.findall(W + "lvlOverride")}
            starts_anew = any(o.find(W + "startOverride") is not None for o in each.findall(W + "lvlOverride"))
            number = each.get(W + "numId", "")
            merged = levels.get(base, {}) | {k: v for override in own.values() for k, v in override.items()}
            self._lists[number] = (number if starts_anew else f"abstract {base}", merged)

    def marker(self, list_id: str, level: int) -> str | None:
        """The next "1.", or "-" for a bullet; None where the list shows no mark."""
        if list_id not in self._lists:
            return "-"
        counted, levels = self._lists[list_id]
        kind, start = levels.get(level, ("bullet", 1))
        counts = self._counts.setdefault(counted, [None] * (_MAX_LEVEL + 1))
        before = counts[level]
        counts[level] = number = start if before is None else before + 1
        counts[level + 1 :] = [None] * (_MAX_LEVEL - level)
        if kind == "none":
            return None
        return "-" if kind == "bullet" else f"{number}."


def value(element: Any) -> str | None:
    """The `w:val` of an element, or None if there is no such element."""
    found = None if element is None else element.get(W + "val")
    return None if found is None else str(found)


def is_on(element: Any) -> bool:
    """Whether a switch such as `w:vanish` is there and not turned off."""
    return element is not None and value(element) not in ("0", "false", "off")


def _first(before: str | None, properties: Any, *path: str) -> str | None:
    if before is not None or properties is None:
        return before
    return value(properties.find("".join(W + step for step in path)))


def _levels(parent: Any) -> Iterator[tuple[int, tuple[str, int]]]:
    """Level -> (number format, first number)."""
    for level in parent.findall(W + "lvl"):
        start = value(level.find(W + "start")) or ""
        kind = value(level.find(W + "numFmt")) or "decimal"
        yield int(level.get(W + "ilvl", "0")), (kind, int(start) if start.isdigit() else 1)
