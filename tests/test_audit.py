"""`make audit` over a scripted pip-audit: what it says of weaknesses, the dated list, and a service out of reach."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hardness.audit import FINE, KNOWN, LIST, UNREACHABLE, UNUSABLE, main, read_list

TODAY = datetime.now(UTC).date()
LATER, EARLIER = TODAY + timedelta(days=30), TODAY - timedelta(days=1)
WEAK = {
    "name": "mill",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"], "description": "long"}],
}
SOUND = {"name": "heron", "version": "2.0", "vulns": []}
SKIPPED = {"name": "ours", "skip_reason": "not found"}


def tool(folder: Path, says: Any, *, errors: str = "", status: int = 0) -> list[str]:
    script = folder / "tool.py"
    said = says if isinstance(says, str) else json.dumps({"dependencies": says, "fixes": []})
    script.write_text(f"import sys\nprint({said!r})\nprint({errors!r}, file=sys.stderr)\nsys.exit({status})\n")
    return [sys.executable, str(script)]


def audited(folder: Path, command: list[str], entries: str = "") -> int:
    listed = folder / "list.toml"
    listed.write_text(entries)
    return main(["--list", str(listed), "--", *command])


def entry(name: str, until: object) -> str:
    return f'[[ignored]]\nid = "{name}"\nreason = "never loaded"\nuntil = {until}\n'


@pytest.mark.parametrize(
    ("entries", "status", "told"),
    [
        ("", KNOWN, "mill 1.0: PYSEC-1, mended in 1.1"),
        (entry("PYSEC-1", LATER), FINE, "nothing is known of 2 packages"),
        (entry("CVE-1", LATER), FINE, "nothing is known of 2 packages"),
        (entry("CVE-1", EARLIER), KNOWN, f"the entry CVE-1 has run out on {EARLIER}; look at it again (never loaded)"),
        (entry("CVE-1", TODAY), KNOWN, "mill 1.0: PYSEC-1, mended in 1.1"),
        (entry("CVE-1", LATER) + entry("CVE-2", LATER), KNOWN, "the entry CVE-2 excuses nothing any more; take it out"),
    ],
)
def test_what_is_known_is_told_unless_a_dated_entry_excuses_it(
    tmp_path: Path, entries: str, status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(tmp_path, tool(tmp_path, [WEAK, SOUND], status=1), entries) == status
    said = "".join(capsys.readouterr())
    assert f"audit: {told}\n" in said


def test_nothing_known_is_fine_and_what_was_skipped_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audited(tmp_path, tool(tmp_path, [SOUND, SOUND, SKIPPED])) == FINE
    assert capsys.readouterr().out == "audit: nothing is known of 2 packages; it could not look at ours\n"


@pytest.mark.parametrize(
    ("says", "errors"),
    [
        ("", "Traceback\nrequests.exceptions.ConnectionError: HTTPSConnectionPool: Max retries exceeded"),
        ([SKIPPED, SKIPPED, SOUND], "No known vulnerabilities found"),  # that is what it says then, and ends with 0
    ],
)
def test_a_service_out_of_reach_is_one_line_and_a_status_of_its_own(
    tmp_path: Path, says: Any, errors: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(tmp_path, tool(tmp_path, says, errors=errors)) == UNREACHABLE
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert told.err.startswith("audit: its service ")


@pytest.mark.parametrize(
    "entries",
    [
        "[[ignored]]\nid = 'x'\n",
        entry("x", '"soon"'),
        entry(" ", LATER),
        "ignored = 3",
        "[[ignored",
        "[ignored]\nid = 1",
    ],
)
def test_a_list_that_cannot_be_used_is_told(tmp_path: Path, entries: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert audited(tmp_path, tool(tmp_path, [SOUND]), entries) == UNUSABLE
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_tool_that_breaks_or_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audited(tmp_path, tool(tmp_path, "nonsense", errors="it broke", status=7)) == UNUSABLE
    assert "ended with 7 (it broke)" in capsys.readouterr().err
    assert audited(tmp_path, [str(tmp_path / "nowhere")]) == UNUSABLE


def test_our_own_list_can_be_read() -> None:
    assert [one.id for one in read_list(LIST)] == list(dict.fromkeys(one.id for one in read_list(LIST)))
