"""`outbox`: an operator's commands on an outbox in a file, and on one in PostgreSQL."""

import csv
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from conftest import Run
from postgres import server

from voxsms.cli import _delivery
from voxsms.cli._errors import SENDS, Sends
from voxsms.outbox import OutboxSummary
from voxsms.sandbox import Sandbox

pytestmark = pytest.mark.slow

ONE, TWO, THREE = (f"44770090000{digit}" for digit in (1, 2, 3))
FROM = ("--from", "VOXSMS")


@pytest.fixture
def where(tmp_path: Path) -> str:
    """Give the path of an outbox that is not there yet."""
    return str(tmp_path / "mailing.db")


@pytest.fixture
def people(tmp_path: Path) -> str:
    """Give a file of people."""
    file = tmp_path / "people.csv"
    file.write_text(f"phone,name\n{ONE},Ann\n{TWO},\nAnn,Cy\n{THREE},Di\n{THREE},Di\n")
    return str(file)


def test_from_add_to_export(voxsms: Run, account: Sandbox, where: str, people: str) -> None:
    """Added once however often, sent, watched, reconciled, exported."""
    add = ("outbox", "add", where, *FROM, "--csv", people, "--template", "{name}", "--key", "nov")
    ran = voxsms(*add)
    assert (ran.status, ran.out) == (0, "2 added\n")
    assert "line 4: phone: '***' is not a phone number" in ran.err
    assert "line 3: is empty" in ran.err
    ran = voxsms(*add, "--json")
    found = json.loads(ran.out)
    assert (found["added"], found["repeated"]) == (0, 2)
    assert [row["at"] for row in found["refused"]] == [4, 3]
    ran = voxsms("outbox", "add", where, "A code", "--to", "+44 7700 900001", "0447", *FROM)
    assert (ran.status, ran.out) == (1, "1 added\n")
    assert "--to, value 2: 0***7 starts with 0" in ran.err
    assert voxsms("outbox", "add", where, "A code", "--to", TWO, *FROM).out == "1 added\n"
    assert account.ledger.requests == {}  # no account is needed until something is sent

    ran = voxsms("outbox", "status", where)
    assert ran.out.splitlines() == [
        "state    messages",
        "pending         4",
        "refused         2",
        "cost so far 0.0000 USD of 0.1360 USD",
    ]
    ran = voxsms("outbox", "run", where, "--max-cost", "0.07", "--concurrency", "1")
    assert ran.status == 1
    assert "stopped: this send would cost 0.034 USD; of the budget of 0.07 USD" in ran.err
    assert "2 messages left to send. Run the same command to resume." in ran.err
    ran = voxsms("outbox", "run", where, "--rate", "inf")
    assert (ran.status, ran.out) == (0, "4 sent for 0.1360 in all\n")
    assert account.ledger.count == 4
    assert json.loads(voxsms("outbox", "run", where, "--json").out)["sent"] == 4

    found = json.loads(voxsms("outbox", "status", where, "--json").out)
    assert (found["sent"], found["cost"], found["estimated_cost"]) == (4, "0.136", "0.136")
    assert found["per_second"] > 0
    assert "messages/s in the last minute" in voxsms("outbox", "status", where).out
    ran = voxsms("outbox", "reconcile", where)
    assert ran.out == "0 found, 0 presumed not sent, 0 ambiguous; 4 statuses read\n"

    ran = voxsms("outbox", "export", where, "-", "--format", "csv", "--state", "sent")
    rows = [*csv.DictReader(StringIO(ran.out))]
    assert {row["key"] for row in rows} == {f"nov:{ONE}", f"nov:{THREE}", ""}
    assert {row["cost"] for row in rows} == {"0.034"}
    lines = voxsms("outbox", "export", where, "-").out.splitlines()
    assert [json.loads(line)["state"] for line in lines].count("refused") == 2
    file = Path(where).with_suffix(".csv")
    assert voxsms("outbox", "export", where, str(file)).out == f"6 messages in {file}\n"
    assert len(file.read_text().splitlines()) == 7
    ran = voxsms("outbox", "export", where, str(file.with_suffix(".jsonl")), "--json")
    assert json.loads(ran.out)["messages"] == 6


def test_doubts(voxsms: Run, account: Sandbox, where: str) -> None:
    """Status 3 until the history has settled all; sending again is a person's decision."""
    for number in (ONE, TWO):
        voxsms("outbox", "add", where, "hi", "--to", number, *FROM)
    account.faults.script("commit_then_close@A2PSendSms,read_then_close@A2PSendSms")
    ran = voxsms("outbox", "run", where, "--concurrency", "1")
    assert ran.status == 3
    assert "2 messages may or may not have been sent" in ran.err
    assert f"The history settles that: voxsms outbox reconcile {where}" in ran.err
    ran = voxsms("outbox", "reconcile", where)
    assert (ran.status, ran.out.split(",")[0]) == (3, "1 found")
    assert "1 message may or may not have been sent\nAsk again in 0:1" in ran.err
    ran = voxsms("outbox", "reconcile", where, "--settle-after", "0", "--json")
    assert ran.status in {0, 3}
    account.clock.advance(120)
    voxsms("outbox", "reconcile", where, "--settle-after", "0")
    assert "presumed not sent         1" in voxsms("outbox", "status", where).out
    ran = voxsms("outbox", "resend", where, stdin=b"n\n")
    assert ran.status == 1
    assert "Resend 1 message that may have been delivered? [y/N]" in ran.err
    ran = voxsms("outbox", "resend", where, "--json", stdin=b"y\n")
    assert json.loads(ran.out) == {"pending_again": 1}
    assert voxsms("outbox", "resend", where, "--state", "refused").out == (
        "0 messages to be sent again\n"
    )
    assert voxsms("outbox", "run", where).status == 0
    assert account.ledger.count == 2


def test_what_nobody_can_tell_apart(voxsms: Run, account: Sandbox, where: str) -> None:
    """It is ambiguous, stays a doubt, and where to look is said."""
    for _ in range(2):
        voxsms("outbox", "add", where, "hi", "--to", ONE, *FROM)
    account.faults.script("commit_then_close@A2PSendSms,read_then_close@A2PSendSms")
    voxsms("outbox", "run", where)
    account.clock.advance(1800)
    ran = voxsms("outbox", "reconcile", where)
    assert ran.status == 3
    assert f"See them: voxsms outbox export {where} - --state ambiguous" in ran.err


def test_a_disk_that_is_full(
    voxsms: Run, account: Sandbox, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was under way is in doubt then: 3."""
    voxsms("outbox", "add", where, "hi", "--to", ONE, *FROM)

    def broken(*_: object) -> object:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("voxsms.outbox._chunks.claim", broken)
    ran = voxsms("outbox", "run", where)
    assert ran.status == 3
    assert f"voxsms: {where}: cannot be written: the disk is full\n" in ran.err
    assert "What was under way is in doubt: the same command settles it." in ran.err
    assert account.ledger.count == 0


def test_status_without_an_account(
    voxsms: Run, where: str, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the estimate is shown, and what is missing for that."""
    voxsms("outbox", "add", where, "hi", "--to", ONE, "18765550142", *FROM)
    assert "of at least 0.0340 USD  (no price is known for 1 message)" in (
        voxsms("outbox", "status", where).out
    )
    account.faults.script("error@GetAccountInfo:code=104")
    assert "104" in voxsms("outbox", "status", where).out
    for name in ("VOXIMPLANT_ACCOUNT_ID", "VOXIMPLANT_API_KEY"):
        monkeypatch.delenv(name)
    ran = voxsms("outbox", "status", where)
    assert ran.status == 0
    assert "cost so far 0.0000  (the prices of the account are not known: no credentials)" in (
        ran.out
    )
    assert voxsms("outbox", "run", where).status == 2


def test_an_empty_outbox(voxsms: Run, account: Sandbox, where: str, people: str) -> None:
    """It says so; the time left is told where something moves."""
    Path(people).write_text("phone\nAnn\n")
    assert voxsms("outbox", "add", where, "hi", "--csv", people, *FROM).out == "0 added\n"
    assert voxsms("outbox", "status", where).out == "no messages\ncost so far 0.0000\n"
    voxsms("outbox", "add", where, "hi", "--to", ONE, *FROM)
    assert voxsms("outbox", "run", where).status == 0
    voxsms("outbox", "add", where, "hi", "--to", ONE, *FROM)
    with closing(sqlite3.connect(where)) as database:
        database.execute("UPDATE voxsms_intents SET at = at - 30 WHERE state = 'sent'")
        database.commit()
    assert "0.0 messages/s in the last minute, 0:00:3" in voxsms("outbox", "status", where).out
    assert account.ledger.count == 1


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("status", "nowhere.db"), "nowhere.db: there is no such outbox"),
        (("status", "mysql://u:secret@h/x"), "WHERE: must be the path of a file, or postgresql"),
        (("run", "host=h password=secret"), "WHERE: must be the path of a file, or postgresql"),
        (("status", "postgresql://u:pa/secret@h/x"), "in a password / is written as %2F, @ as %40"),
        (("status", "postgresql://u:pa@secret@h/x"), "in a password / is written as %2F, @ as %40"),
        (("add", "x.db", "hi", *FROM), "give the people: their numbers with --to, or a file"),
        (
            ("export", "{where}", "x.txt"),
            "x.txt: ends neither in .csv nor in .jsonl; name the format with --format",
        ),
        (("resend", "{where}", "--state", "sent"), 'Invalid value "sent" for --state'),
        (("worker", "{where}"), "is a SQLite file: send it with `run`; workers need PostgreSQL"),
    ],
)
def test_called_wrongly(
    voxsms: Run, account: Sandbox, where: str, words: tuple[str, ...], problem: str
) -> None:
    """What is wrong is named; no password is shown."""
    assert account.url
    voxsms("outbox", "add", where, "hi", "--to", ONE, *FROM)
    ran = voxsms("outbox", *(word.format(where=where) for word in words))
    assert (ran.status, ran.out) == (2, "")
    assert problem in ran.err
    assert "secret" not in ran.err


def test_other_files_and_servers(voxsms: Run, account: Sandbox, people: str) -> None:
    """Another program's file is left alone, a server that is not there is named."""
    ran = voxsms("outbox", "run", people)
    assert (ran.status, "is not a SQLite file" in ran.err) == (1, True)
    ran = voxsms("outbox", "status", "postgresql://me:secret@127.0.0.1:1/x")
    assert ran.status == 1
    assert "postgresql://127.0.0.1:1/x: " in ran.err
    assert "secret" not in ran.err
    assert account.ledger.requests == {}


def test_a_run_that_was_stopped_has_nothing_more_to_say() -> None:
    """Where all had been sent there is no word of what is left."""
    SENDS.set(Sends())
    stopped = _delivery.find_ending(OutboxSummary(sent=1, stopped="SIGINT"), settle="", how="")
    assert isinstance(stopped, KeyboardInterrupt)
    assert not hasattr(stopped, "__notes__")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Give the URL of a database of its own."""
    with server() as found:
        yield found


def test_workers_on_a_server(voxsms: Run, account: Sandbox, url: str) -> None:
    """A worker sends what others add, until a signal ends it."""
    assert voxsms("outbox", "add", url, "hi", "--to", ONE, TWO, *FROM, "--key", "a").status == 0
    ran = voxsms("outbox", "worker", url, "--until-done", "--rate", "1000")
    assert ran.status == 0
    assert ran.err.startswith("sending what is added to postgresql://127.0.0.1:")
    assert account.ledger.count == 2
    command = [sys.executable, "-m", "voxsms", "outbox", "worker", url]
    with subprocess.Popen(  # noqa: S603 - this very program
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stderr is not None
        assert worker.stderr.readline().startswith("sending what is added to ")
        assert voxsms("outbox", "add", url, "hi", "--to", THREE, *FROM).status == 0
        while account.ledger.count < 3:
            assert worker.poll() is None
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=60)
    assert worker.returncode == 0
    found = json.loads(voxsms("outbox", "status", url, "--json").out)
    assert (found["sent"], found["cost"]) == (3, "0.102")
    account.faults.script("read_then_close@A2PSendSms")
    voxsms("outbox", "add", url, "hi", "--to", ONE, *FROM)
    ran = voxsms("outbox", "run", url)
    assert ran.status == 3
    assert "voxsms outbox reconcile URL" in ran.err
    ran = voxsms("outbox", "worker", url, "--until-done")
    assert ran.status == 3
    assert ran.err.endswith(
        "voxsms: 1 message may or may not have been sent\n"
        "The history settles that: voxsms outbox reconcile URL\n"
    )
