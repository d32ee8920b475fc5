"""`make audit`: known weaknesses of what is installed, by pip-audit, but for those of a dated list.

    python -m hardness.audit pip-audit

`audit.toml` beside this file has an entry for each weakness that does not touch us: its `id`, the `reason`, and the
date `until` which that was looked at; from then on the entry counts for nothing and is told. Ends with 0 if nothing
else is known, 1 if something is or the list has run out, 2 if list or tool cannot be used, 3 if the tool's service
cannot be reached, or knows nothing of most packages (a mirror of a registry may): then nothing is known, good or bad.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

LIST = Path(__file__).with_name("audit.toml")
FINE, KNOWN, UNUSABLE, UNREACHABLE = 0, 1, 2, 3
_NO_NETWORK = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|Max retries|NameResolution|Temporary failure"
    r"|timed out|unreachable|ServiceError"
)


class AuditError(Exception):
    """The list or the tool cannot be used; one line that ends with what to do."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A weakness that does not touch us, and until when somebody has said so."""

    id: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be told, and the exit status."""

    lines: tuple[str, ...]
    status: int


def read_list(path: Path) -> list[Ignored]:
    """The entries of a list: `[[ignored]]` tables with `id`, `reason` and `until`. Raises AuditError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("ignored", [])
        return [_entry(table) for table in tables]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise AuditError(f"{path.name} cannot be used ({' '.join(str(error).split())}); correct it") from error


def _entry(table: Mapping[str, Any]) -> Ignored:
    if set(table) != {"id", "reason", "until"}:
        raise ValueError("an entry has id, reason and until, and nothing else")
    texts = [table["id"], table["reason"]]
    if not all(isinstance(text, str) and text.strip() for text in texts) or type(table["until"]) is not date:
        raise ValueError(f"in the entry '{table['id']}': id and reason are texts, until is a date like 2030-01-31")
    return Ignored(**table)


def audit(tool: Sequence[str], ignored: Sequence[Ignored], today: date) -> Outcome:
    """Run the tool and judge what it says. Raises AuditError."""
    try:
        done = subprocess.run([*tool, "--format", "json", "--progress-spinner", "off"], capture_output=True, text=True)
    except OSError as error:
        raise AuditError(
            f"{tool[0]} cannot be run ({error.strerror}); install pip-audit, as 'make audit' does"
        ) from error
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError) as error:
        last = done.stderr.strip().rpartition("\n")[2][:200]
        if _NO_NETWORK.search(done.stderr):
            return Outcome(("its service cannot be reached: nothing is known; try again where it can",), UNREACHABLE)
        raise AuditError(f"{tool[0]} ended with {done.returncode} ({last}); see what it says by itself") from error
    skipped = [package["name"] for package in dependencies if "skip_reason" in package]
    if len(skipped) * 2 > len(dependencies):  # the tool itself ends with 0 then: "no known vulnerabilities found"
        line = f"its service knows nothing of {len(skipped)} of {len(dependencies)} packages: that is no answer"
        return Outcome((line,), UNREACHABLE)
    lines = tuple(_judged(dependencies, ignored, today))
    fine = f"nothing is known of {len(dependencies) - len(skipped)} packages"
    fine += f"; it could not look at {', '.join(skipped)}" if skipped else ""
    return Outcome(lines or (fine,), KNOWN if lines else FINE)


def _judged(dependencies: Sequence[Mapping[str, Any]], ignored: Sequence[Ignored], today: date) -> Iterator[str]:
    """A line for each weakness that nothing excuses, and for each entry that has run out or excuses nothing."""
    dated = {entry.id: entry for entry in ignored}
    met = set()
    for package in dependencies:
        for weakness in package.get("vulns", ()):
            names = {weakness["id"], *weakness.get("aliases", ())}
            met |= names
            if not any(entry.until > today for name in names if (entry := dated.get(name))):
                cure = ", ".join(weakness.get("fix_versions", ())) or "no version yet"
                yield f"{package['name']} {package['version']}: {weakness['id']}, mended in {cure}"
    for entry in ignored:
        if entry.until <= today:
            yield f"the entry {entry.id} has run out on {entry.until}; look at it again ({entry.reason})"
        elif entry.id not in met:
            yield f"the entry {entry.id} excuses nothing any more; take it out"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="hardness.audit", description=__doc__)
    parser.add_argument("tool", nargs="+", help="pip-audit, with options of its own behind --")
    parser.add_argument("--list", type=Path, default=LIST)
    options = parser.parse_args(arguments)
    try:
        outcome = audit(options.tool, read_list(options.list), datetime.now(UTC).date())
    except AuditError as error:
        outcome = Outcome((str(error),), UNUSABLE)
    print("\n".join(f"audit: {line}" for line in outcome.lines), file=sys.stderr if outcome.status else sys.stdout)
    return outcome.status


if __name__ == "__main__":
    raise SystemExit(main())
