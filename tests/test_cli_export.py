"""`export`: a whole history into a file, from the command line."""

import json
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from conftest import Run
from rich.console import Console

from voxsms.cli import exporting, show
from voxsms.export import ExportProgress
from voxsms.sandbox import Sandbox

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def filled(account: Sandbox) -> Sandbox:
    """Give a sandbox with 2,500 messages of each kind."""
    for kind in ("sms", "a2p"):
        account.fill_history(kind, 2500, start=START, end=END)
    return account


@pytest.mark.parametrize("kind", ["sms", "a2p"])
def test_a_whole_history(voxsms: Run, filled: Sandbox, tmp_path: Path, kind: str) -> None:
    """Every row is in the file; what was done is said in a line."""
    path = tmp_path / "history.jsonl"
    ran = voxsms("export", kind, str(path))
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"2,500 messages in {path}  ")
    assert len(path.read_text().splitlines()) == 2500
    assert filled.ledger.count == 0


def test_the_words_for_what_is_asked_for(voxsms: Run, filled: Sandbox, tmp_path: Path) -> None:
    """A span, a status and a number by their short names; the figures as JSON."""
    path = tmp_path / "some.csv"
    words = ["--from", "2026-01-10", "--to", "2026-01-20", "--status", "DELIVERED"]
    ran = voxsms("export", "a2p", str(path), *words, "--json")
    found = json.loads(ran.out)
    assert found["path"] == str(path)
    head, *rows = path.read_text().splitlines()
    assert len(rows) == found["rows"] > 0
    assert "delivery_status" in head
    assert all("DELIVERED" in row for row in rows)
    assert filled.ledger.requests.keys() == {"A2PGetSmsHistory"}


def test_standard_output(voxsms: Run, filled: Sandbox) -> None:
    """`-` writes the rows and nothing beside them."""
    ran = voxsms("export", "sms", "-", "--format", "jsonl", "--direction", "in")
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert (ran.status, ran.err) == (0, "")
    assert {row["direction"] for row in rows} == {"IN"}
    assert filled.ledger.requests.keys() == {"GetSmsHistory"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["history.txt"], "it must be one of .jsonl, .csv, .parquet"),
        (["/no/such/place/history.csv"], "there is no directory"),
        (["h.csv", "--from", "2026-02-01", "--to", "2026-01-01"], "is later than to_date"),
        (["h.csv", "--windows-in-flight", "0"], "windows_in_flight"),
    ],
)
def test_a_slip_is_named(voxsms: Run, filled: Sandbox, words: list[str], problem: str) -> None:
    """With exit status 2; nothing is asked for and nothing is written."""
    ran = voxsms("export", "sms", *words)
    assert ran.status == 2
    assert problem in ran.err
    assert not filled.ledger.requests


def test_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal: rows, requests, rows a second; before the plan there is no total."""
    screen = StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(show, "err", lambda: terminal)
    with exporting._progress() as tell:
        tell(ExportProgress(0, 0, 1, 0, 0, 0.0))
        tell(ExportProgress(500_000, 1_000_000, 520, 5, 10, 2.5))
    assert "500,000 rows, 520 requests, 200,000 rows/s" in screen.getvalue()


def test_without_its_extra(voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "voxsms.export", None)
    ran = voxsms("export", "sms", "all.csv")
    assert (ran.status, ran.err) == (
        1,
        "voxsms: the export needs msgspec: pip install 'voxsms[export]'\n",
    )
    assert not account.ledger.requests
