"""`export`: a whole history into a file, from the command line."""

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from histories import small_pages
from rich.console import Console

from voxsms import Incomplete
from voxsms.calls.hooks import logger
from voxsms.cli import _io, export
from voxsms.export import ExportProgress, export_history
from voxsms.sandbox import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.once]

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
    assert re.fullmatch(
        rf"2,500 messages in {path}  until \S+ \S+ UTC; \d+ requests, [0-9.]+ s\n", ran.out
    )
    assert len(path.read_text().splitlines()) == 2500
    assert filled.ledger.count == 0


def test_the_words_for_what_is_asked_for(voxsms: Run, filled: Sandbox, tmp_path: Path) -> None:
    """A span, a status and a number by their short names; the figures as JSON."""
    path = tmp_path / "some.csv"
    words = ["--since", "2026-01-10", "--until", "2026-01-20", "--status", "DELIVERED"]
    ran = voxsms("export", "a2p", str(path), *words, "--json")
    found = json.loads(ran.out)
    rows = read(path)
    assert len(rows) == found.pop("rows") > 0
    assert {row["delivery_status"] for row in rows} == {"DELIVERED"}
    assert found.pop("requests") >= found.pop("windows") > 0
    assert found.pop("seconds") > 0
    assert found == {
        "path": str(path),
        "from_date": "2026-01-10T00:00:00+00:00",
        "to_date": "2026-01-20T23:59:59+00:00",
        "resumed": False,
    }
    number = rows[0]["destination_number"]
    assert voxsms("export", "a2p", str(path), "--to", f"+{number}").status == 0
    assert {row["destination_number"] for row in read(path)} == {number}
    assert filled.ledger.requests.keys() == {"A2PGetSmsHistory", "GetAccountInfo"}


def read(path: Path) -> list[dict[str, str]]:
    """Read a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_directory_by_day(voxsms: Run, filled: Sandbox, tmp_path: Path) -> None:
    """With `/` at the end of the path: of Parquet, or what `--format` says."""
    assert filled.url
    assert voxsms("export", "sms", f"{tmp_path}/days/", "--format", "csv").status == 0
    files = list((tmp_path / "days").glob("day=2026-??-??/*.csv"))
    assert sum(len(read(file)) for file in files) == 2500
    assert len(files) == 59


def test_every_night_the_last_days(voxsms: Run, account: Sandbox, tmp_path: Path) -> None:
    """`--update` reads them again, with `--look-back` more or fewer of them."""
    account.fill_history("a2p", 120, start=START, end=START.replace(day=13))
    words = ["export", "a2p", f"{tmp_path}/days/", "--update", "--format", "csv.gz"]
    words += ["--with-rates", "--until", "2026-01-31"]
    found = [json.loads(voxsms(*words, "--json").out) for _ in range(2)]
    found.append(json.loads(voxsms(*words, "--look-back", "1d", "--json").out))
    assert [(each["rows"], each["from_date"]) for each in found] == [
        (120, None),
        (40, "2026-01-09T00:00:00+00:00"),
        (20, "2026-01-11T00:00:00+00:00"),
    ]
    files = sorted((tmp_path / "days").glob("day=2026-01-??/*.csv.gz"))
    assert len(files) == 12
    with gzip.open(files[-1], "rt", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["currency"], row["country"]) == ("USD", "GB")


def test_a_mask(voxsms: Run, filled: Sandbox, tmp_path: Path) -> None:
    """`--mask` hides numbers and texts."""
    assert filled.url
    path = tmp_path / "masked.csv"
    assert voxsms("export", "sms", str(path), "--mask").status == 0
    rows = read(path)
    assert all(re.fullmatch(r"\d{3}\*\*\*\d{3}", row["destination_number"]) for row in rows)
    assert {row["text"] for row in rows} <= {"***", ""}


def test_texts_as_they_are(voxsms: Run, account: Sandbox, post: Any, tmp_path: Path) -> None:  # noqa: ANN401 - a function
    """`--raw` leaves a text that a spreadsheet would run; without it an apostrophe is in front."""
    assert account.url
    post(
        "A2PSendSms",
        src_number="VOXSMS",
        dst_numbers="447700900123",
        text="=1+1",
        store_body="true",
    )
    path = tmp_path / "all.csv"
    texts = []
    for words in ([], ["--raw"]):
        assert voxsms("export", "a2p", str(path), *words).status == 0
        texts += [row["text"] for row in read(path)]
    assert texts == ["'=1+1", "=1+1"]


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
        (["history.txt"], "it must be one of .jsonl, .jsonl.gz, .csv, .csv.gz"),
        (["days/", "--update", "--look-back", "long"], '"long" is not a number of days: write 3d'),
        (["h.csv", "--update"], "end the path with /"),
        (["h.csv", "--look-back", "3"], "is only for an update: it needs --update\n"),
        (["/no/such/place/history.csv"], "there is no directory"),
        (
            ["h.csv", "--since", "2026-02-01", "--until", "2026-01-01"],
            "--since: is later than --until",
        ),
        (["h.csv", "--windows-in-flight", "0"], "--windows-in-flight: must be"),
    ],
)
def test_a_slip_is_named(voxsms: Run, filled: Sandbox, words: list[str], problem: str) -> None:
    """With exit status 2; nothing is asked for and nothing is written."""
    ran = voxsms("export", "sms", *words)
    assert ran.status == 2
    assert problem in ran.err
    assert not filled.ledger.requests


@pytest.mark.parametrize(
    ("path", "problem"),
    [("in the way/all.csv", "there is no directory"), ("all.csv", "PATH: cannot be written")],
)
def test_a_place_that_cannot_be_written(
    voxsms: Run, filled: Sandbox, tmp_path: Path, path: str, problem: str
) -> None:
    """It is named, with exit status 2, before anything is asked for."""
    (tmp_path / "in the way").write_text("a file")
    (tmp_path / ".all.csv.export").write_text("a file, too")
    ran = voxsms("export", "sms", str(tmp_path / path))
    assert ran.status == 2
    assert problem in ran.err
    assert not filled.ledger.requests


def raising(error: BaseException) -> Callable[..., object]:
    """Give an export that fails."""

    async def export_history(*_: object, **__: object) -> None:
        raise error

    return export_history


def test_an_incomplete_export(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with 1 and says which window it is, and what was noted beside it."""
    assert account.url
    error = Incomplete("GetSmsHistory, 2026-01-01 00:00:00 to 2026-01-02 00:00:00: 3 rows of 4")
    error.add_note("What was read is kept.")
    monkeypatch.setattr("voxsms.export.export_history", raising(error))
    assert voxsms("export", "sms", "all.csv") == (
        1,
        "",
        f"voxsms: {error}\nWhat was read is kept.\n",
    )


def test_a_full_disk(voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with 1, with the place and what was noted beside it."""
    assert account.url
    error = OSError(28, "No space left on device", ".all.csv.export/result.tmp", None, "all.csv")
    error.add_note("The same command goes on.")
    monkeypatch.setattr("voxsms.export.export_history", raising(error))
    words = "voxsms: all.csv: No space left on device\nThe same command goes on.\n"
    assert voxsms("export", "sms", "all.csv") == (1, "", words)


def test_a_stopped_export_goes_on(voxsms: Run, filled: Sandbox, tmp_path: Path) -> None:
    """The same command goes on and says so; another one is refused; `--restart` begins anew."""
    path = tmp_path / "all.jsonl"
    words = ["export", "sms", str(path), "--until", "2026-03-01"]
    with small_pages(100, 300):
        filled.faults.script("ok*30,error*1:code=104")
        assert voxsms(*words).status == 1
        assert not path.exists()
        other = voxsms(*words, "--direction", "in")
        assert other.status == 1
        assert "belongs to another export" in other.err
        assert "--restart" in other.err
        again = voxsms(*words)
        assert (again.status, again.err) == (0, "")
        assert "until 2026-03-01 23:59:59 UTC" in again.out
        assert again.out.endswith(", resumed from an earlier run\n")
        assert len(path.read_text().splitlines()) == 2500
        filled.faults.script("ok*30,error*1:code=104")
        assert voxsms(*words).status == 1
        anew = voxsms(*words, "--direction", "in", "--restart", "--json")
        assert json.loads(anew.out)["resumed"] is False
        assert all(json.loads(line)["direction"] == "IN" for line in path.read_text().splitlines())


def test_ctrl_c(voxsms: Run, account: Sandbox, tmp_path: Path) -> None:
    """It ends with 130 and no traceback; what was read is kept, and the same command goes on."""
    account.fill_history("sms", 30_000, start=START, end=END)
    path, work = tmp_path / "all.jsonl", tmp_path / ".all.jsonl.export"
    words = ["export", "sms", str(path), "--until", "2026-03-01", "--windows-in-flight", "1"]
    account.faults.script("ok*25,never*99")
    command = [sys.executable, "-m", "voxsms", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - this very program
        while not (work / "rows").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err.startswith("voxsms: interrupted\n")
    assert "Traceback" not in err
    assert not path.exists()
    assert (work / "journal").exists()
    account.faults.clear()
    found = json.loads(voxsms(*words, "--json").out)
    assert (found["rows"], found["resumed"]) == (30_000, True)
    assert len(path.read_text().splitlines()) == 30_000
    assert not work.exists()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_into_head(filled: Sandbox, unbuffered: str) -> None:
    """Whoever reads no further ends it with the status of SIGPIPE, quietly.

    Also where Python does not buffer, as often in containers: a write may do a part of it there.
    """
    assert filled.url
    command = f"{sys.executable} -m voxsms export sms - | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(  # noqa: S603 - as a shell would
        ["/bin/bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert (done.returncode, done.stderr) == (141, "")
    assert json.loads(done.stdout)["message_id"]


def test_standard_output_is_closed(
    voxsms: Run, filled: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file is written all the same; rows that were to go there have no way."""
    path = tmp_path / "all.csv"
    command = f"{sys.executable} -m voxsms export sms {path} --until 2026-03-01 >&-"
    done = subprocess.run(  # noqa: S603 - as a shell would
        ["/bin/bash", "-c", command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    assert len(read(path)) == 2500
    asked = dict(filled.ledger.requests)
    monkeypatch.setattr(sys, "stdout", None)
    ran = voxsms("export", "sms", "-")
    assert (ran.status, ran.err) == (2, "voxsms: path: standard output is closed\n")
    assert filled.ledger.requests == asked


def test_warnings_are_shown(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the library warns of stands on standard error, and the export goes on."""
    assert account.url
    original = export_history

    async def warning(*given: Any, **options: Any) -> Any:  # noqa: ANN401 - those of the function
        logger.info("not for everyone")
        logger.warning("the plan is 30 days old\nuse --restart")
        return await original(*given, **options)

    monkeypatch.setattr("voxsms.export.export_history", warning)
    ran = voxsms("export", "sms", str(tmp_path / "all.csv"), "--until", "2026-03-01")
    words = "voxsms: warning: the plan is 30 days old\nuse --restart\n"
    assert (ran.status, ran.err) == (0, words)
    assert not logger.handlers


def test_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal of 80 columns all of it stands in one line; before the plan it has no share."""
    screen = StringIO()
    terminal = Console(file=screen, force_terminal=True, no_color=True, width=80)
    monkeypatch.setattr(_io, "err", lambda: terminal)
    with export._progress() as tell:
        tell(ExportProgress(0, 0, 7, 0, 0, 0.5))
    assert "0 rows, 7 requests, 0 rows/s" in screen.getvalue()
    with export._progress() as tell:
        tell(ExportProgress(9_500_000, 10_000_000, 10_520, 5, 10, 100.0))
    assert "95% 9,500,000 rows, 10,520 requests, 95,000 rows/s, 0:00:05 left" in screen.getvalue()


@pytest.mark.parametrize(
    ("rows", "seconds", "rate"),
    [
        (500_000, 0.0, "0 rows/s"),
        (500_000, 0.1, "0 rows/s"),
        (600_000, 10.0, "10,000 rows/s, 0:00:40 left"),
        (900_000, 4_000.0, "100 rows/s, 0:16:40 left"),
        (1_000_000, 50.0, "10,000 rows/s"),
        (1_000_001, 50.0, "10,000 rows/s"),
    ],
)
def test_the_progress_of_one_that_goes_on(rows: int, seconds: float, rate: str) -> None:
    """What an earlier run has read says nothing of how fast this one is."""
    progress = ExportProgress(rows, 1_000_000, 100, 5, 10, seconds, rows_before=500_000)
    assert export._figures(progress) == f"{rows:,} rows, 100 requests, {rate}"


@pytest.mark.parametrize(("kind", "messages"), [("sms", "two-way messages"), ("a2p", "A2P")])
def test_the_help(voxsms: Run, kind: str, messages: str) -> None:
    """It says which history it is, that it goes on, and what the options do."""
    ran = voxsms("export", kind, "--help")
    words = " ".join(ran.out.split())
    assert f"whole history of {messages}" in words
    assert "the same command resumes it" in words
    for option in (
        "--since",
        "--until",
        "--to",
        "--mask",
        "--raw",
        "--restart",
        "--format",
        "--update",
    ):
        assert f"{option} " in ran.out
    assert "aware datetime" not in words


def test_without_its_extra(voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    for name in [name for name in sys.modules if name.startswith("voxsms.export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "msgspec", None)
    ran = voxsms("export", "sms", "all.csv")
    assert (ran.status, ran.err) == (
        1,
        "voxsms: the export needs msgspec: pip install 'voxsms[export]'\n",
    )
    assert not account.ledger.requests
