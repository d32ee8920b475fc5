"""How much disk a package takes with everything that it needs: `python sizes.py NAME…` prints it as JSON.

Summed from the RECORD files of the packages in this environment, following their requirements, so it does not matter
where they lie and what else is there. Run in the environment that is measured; it needs nothing but pip.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any


def closure(names: Sequence[str]) -> dict[str, Distribution]:
    """These packages and, with their extras, all that they require here; what is not installed is left out."""
    requirement: Any = import_module("pip._vendor.packaging.requirements").Requirement
    canonical: Any = import_module("pip._vendor.packaging.utils").canonicalize_name
    waiting = [requirement(name) for name in names]
    seen: set[tuple[str, frozenset[str]]] = set()
    found: dict[str, Distribution] = {}
    while waiting:
        wanted = waiting.pop()
        key = (str(canonical(wanted.name)), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            found[key[0]] = package = distribution(wanted.name)
        except PackageNotFoundError:
            continue
        extras = ["", *wanted.extras]
        for each in map(requirement, package.requires or ()):
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(each)
    return found


def size(package: Distribution) -> int:
    """Bytes of its files, as its RECORD has them."""
    link = json.loads(package.read_text("direct_url.json") or "{}")
    if link.get("dir_info", {}).get("editable"):  # its RECORD knows a link only: what would be installed lies there
        files = Path(link["url"].removeprefix("file://"), "rag").rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file() and "__pycache__" not in file.parts)
    return sum(file.size or 0 for file in package.files or ())


def main() -> None:
    packages = closure(sys.argv[1:])
    print(json.dumps({"packages": len(packages), "bytes": sum(map(size, packages.values()))}))


if __name__ == "__main__":
    main()
