"""`mail`: a marketer's file becomes a mailing, whatever happens on the way, and nobody gets two."""

import csv
import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import anyio
import openpyxl
import pytest
from conftest import Run
from rich.console import Console

from voxsms.cli import _delivery, _io
from voxsms.outbox import OutboxProgress, OutboxSummary
from voxsms.sandbox import Number, Sandbox
from voxsms.webhooks import SqliteOptOuts, SqliteSeen

pytestmark = [pytest.mark.slow, pytest.mark.once]

PEOPLE = (
    "name,phone,city\n"
    "Ann,447700900001,Oslo\n"
    "Bob,447700900002,Rome\n"
    "Cy,no number,Bern\n"
    "Di,447700900003,Paris\n"
    "Ed,447700900004\n"
    "Flo,447700900005,Wien\n"
    "Gil,447700900006,York\n"
    "Hal,447700900007,Bath\n"
)
"""Eight rows, of which two are bad: lines 4 and 6."""
SENT = [2, 3, 5, 7, 8, 9]
NUMBERS = [f"44770090000{digit}" for digit in (1, 2, 3, 5, 6, 7)]
HI = "Hi {name}, we open in {city}"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Give a file of people in a directory of its own."""
    file = tmp_path / "people.csv"
    file.write_text(PEOPLE)
    return file


def words(people: Path, template: str = HI, sender: str = "VOXSMS") -> list[str]:
    """Give the command that is typed."""
    return ["mail", "--csv", str(people), "--template", template, "--from", sender]


def result(people: Path) -> list[dict[str, str]]:
    """Read the file of results."""
    file = people.with_name("people.result.csv")
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def states(people: Path) -> dict[int, str]:
    """Give the state of each row by its line."""
    return {int(row["line"]): row["state"] for row in result(people)}


def delivered(account: Sandbox) -> list[str]:
    """Give the numbers that got a message, as often as they did."""
    return sorted(delivery.destination for delivery in account.ledger.deliveries)


def test_from_a_file_to_a_mailing(voxsms: Run, account: Sandbox, people: Path) -> None:
    """What is shown, asked and written; the same command a second time sends nothing."""
    ran = voxsms(*words(people), stdin=b"y\n")
    assert ran.status == 0
    outbox, file = people.with_name("people.outbox.db"), people.with_name("people.result.csv")
    assert ran.out.splitlines() == [
        "line 2, 1 fragment: Hi Ann, we open in Oslo",
        "line 3, 1 fragment: Hi Bob, we open in Rome",
        "line 5, 1 fragment: Hi Di, we open in Paris",
        "and 3 more",
        f"6 sent for 0.2040 USD, 2 rows left out; row by row in {file}",
    ]
    assert ran.err.startswith(
        "line 4: phone: 'no***er' is not a phone number: only digits may remain\n"
        "line 6: has 2 columns, and the first line 3\n"
        "2 rows left out\n"
        "Send 6 messages for 0.2040 USD? [y/N] 6 of 6: 6 sent, 0.2040 USD"
    )
    assert delivered(account) == NUMBERS
    rows = result(people)
    assert {int(row["line"]): row["state"] for row in rows} == {
        **dict.fromkeys(SENT, "sent"),
        4: "bad_row",
        6: "bad_row",
    }
    ids = {d.destination: str(d.message_id) for d in account.ledger.deliveries}
    assert rows[0] == {
        "line": "2",
        "name": "Ann",
        "phone": "447700900001",
        "city": "Oslo",
        "state": "sent",
        "message_id": ids["447700900001"],
        "fragments": "1",
        "cost": "0.034",
        "error": "",
    }
    assert (rows[2]["name"], rows[2]["phone"]) == ("Cy", "no number")
    assert "is not a phone number" in rows[2]["error"]
    assert rows[4]["error"] == "has 2 columns, and the first line 3"
    assert {outbox.stat().st_mode & 0o777, file.stat().st_mode & 0o777} == {0o600}
    ran = voxsms(*words(people), "--yes", "--json")
    assert ran.status == 0
    assert json.loads(ran.out) == {
        "states": {"sent": 6, "bad_row": 2},
        "cost": "0.204",
        "currency": "USD",
        "stopped": None,
        "results": str(file),
        "outbox": str(outbox),
    }
    assert "6 messages of the list were sent before" in voxsms(*words(people)).out
    assert account.ledger.count == 6


def test_nothing_is_sent_and_nothing_is_left(voxsms: Run, account: Sandbox, people: Path) -> None:
    """After a dry run, a price above the limit, a no, and a question that nobody answers."""
    ran = voxsms(*words(people), "--dry-run")
    assert (ran.status, ran.out.splitlines()[-1]) == (
        0,
        "6 messages would cost 0.2040 USD. Nothing was sent.",
    )
    ran = voxsms(*words(people), "--dry-run", "--json")
    assert json.loads(ran.out)["messages"] == 6
    ran = voxsms(*words(people), "--yes", "--max-cost", "0.2")
    assert ran.status == 1
    assert "6 messages would cost 0.2040 USD; --max-cost is 0.2000 USD." in ran.err
    assert voxsms(*words(people), stdin=b"n\n").status == 1
    assert voxsms(*words(people)).status == 2
    ran = voxsms(*words(people), "--strict", "--yes")
    assert (ran.status, "line 4: phone:" in ran.err) == (1, True)
    assert [*people.parent.iterdir()] == [people]
    assert account.ledger.count == 0


def test_killed_in_the_middle_and_run_again(voxsms: Run, account: Sandbox, people: Path) -> None:
    """Who was being sent to when the process died is found in the history; nobody gets two."""
    account.faults.script("ok*2@A2PSendSms,slow@A2PSendSms:seconds=60:driven=true")
    command = [sys.executable, "-m", "voxsms", *words(people), "--yes", "--concurrency", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ran:  # noqa: S603 - this very program
        while account.ledger.count < 3:
            assert ran.poll() is None
            time.sleep(0.01)
        ran.kill()
    account.faults.clear()
    _let_claims_expire(people)
    again = voxsms(*words(people), "--yes")
    assert again.status == 0
    assert "3 messages of the list were sent before" in again.out
    assert delivered(account) == NUMBERS
    assert [row["line"] for row in result(people) if row["state"] == "sent"] == [
        str(line) for line in SENT
    ]
    assert sum(row["cost"] == "0.034" for row in result(people)) == 6


def _let_claims_expire(people: Path) -> None:
    """Have it be later than any call can take."""
    with closing(sqlite3.connect(people.with_name("people.outbox.db"))) as database:
        database.execute("UPDATE voxsms_chunks SET expires_at = claimed_at WHERE state = 'sending'")
        database.commit()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_person(
    voxsms: Run, account: Sandbox, people: Path, stop: signal.Signals
) -> None:
    """What is under way ends, the rest is left, and how to go on is said."""
    account.faults.script("ok*2@A2PSendSms,slow@A2PSendSms:seconds=60:driven=true")
    command = [sys.executable, "-m", "voxsms", *words(people), "--yes", "--concurrency", "1"]
    with subprocess.Popen(  # noqa: S603 - this very program
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as ran:
        while account.ledger.count < 3:
            assert ran.poll() is None
            time.sleep(0.01)
        ran.send_signal(stop)
        busy = voxsms(*words(people), "--yes")
        account.clock.advance(60)
        out, err = ran.communicate(timeout=60)
    assert ran.returncode == 128 + stop
    assert out.splitlines()[-1].startswith("3 sent for 0.1020 USD, 2 rows left out, 3 pending")
    name = "interrupted" if stop is signal.SIGINT else "stopped by SIGTERM"
    assert err.endswith(
        f"voxsms: {name}\n3 messages left to send. Run the same command to resume; nobody gets the "
        "message twice.\n"
    )
    assert busy == (
        1,
        "",
        f"voxsms: {people}: another `voxsms mail` is sending to this list. Nothing was sent.\n",
    )
    assert voxsms(*words(people), "--yes").status == 0
    assert delivered(account) == NUMBERS


def test_who_is_left_gets_it_as_the_list_is_now(
    voxsms: Run, account: Sandbox, people: Path
) -> None:
    """Mended rows and new ones are sent, removed ones are not, and lines may move."""
    account.faults.script("ok*2@A2PSendSms,error@A2PSendSms:code=127")
    ran = voxsms(*words(people), "--yes", "--concurrency", "1")
    assert ran.status == 1
    assert "stopped: A2PSendSms: 127 INSUFFICIENT_MONEY" in ran.err
    assert "4 messages left to send. Run the same command to resume" in ran.err
    people.write_text(
        "name,phone,city\n"
        "Zoe,447700900009,Ulm\n"  # new, above the others
        "Bobby,447700900002,Rome\n"  # was sent under another name
        "Ann,447700900001,Oslo\n"
        "Cy,447700900008,Bern\n"  # mended
        "Dora,447700900003,Paris\n"  # was left, and has another name now
    )
    ran = voxsms(*words(people), "--yes")
    assert ran.status == 0
    texts = {d.destination: d.text for d in account.ledger.deliveries}
    assert delivered(account) == sorted(texts)
    assert texts == {
        "447700900001": "Hi Ann, we open in Oslo",
        "447700900002": "Hi Bob, we open in Rome",
        "447700900003": "Hi Dora, we open in Paris",
        "447700900008": "Hi Cy, we open in Bern",
        "447700900009": "Hi Zoe, we open in Ulm",
    }
    assert set(states(people).values()) == {"sent"}


def test_another_text(voxsms: Run, account: Sandbox, people: Path) -> None:
    """Only who was left gets it, after a question; a script is told how to start a new mailing."""
    account.faults.script("ok*2@A2PSendSms,error@A2PSendSms:code=127")
    voxsms(*words(people), "--yes", "--concurrency", "1")
    other = words(people, "Dear {name}")
    ran = voxsms(*other, "--yes")
    assert ran.status == 1
    assert "people.outbox.db: was begun with another text or sender. Nothing was sent." in ran.err
    ran = voxsms(*other, stdin=b"y\n")
    assert ran.status == 0
    assert "people.outbox.db was begun with another text or sender" in ran.err
    assert "Send 4 messages for 0.1360 USD? [y/N]" in ran.err
    texts = [d.text for d in account.ledger.deliveries]
    assert sorted(text.split()[0] for text in texts) == ["Dear"] * 4 + ["Hi"] * 2
    assert voxsms(*other).status == 1  # all have got one of them: there is nothing to ask
    assert account.ledger.count == 6
    new = str(people.with_name("december.db"))
    assert voxsms(*other, "--yes", "--outbox", new).status == 0
    assert account.ledger.count == 12
    assert people.with_name("december.result.csv").exists()


def test_a_wrong_sender_is_mended(voxsms: Run, account: Sandbox, people: Path) -> None:
    """As nobody got anything, it is the same mailing still."""
    ran = voxsms(*words(people, sender="NOBODY"), "--yes")
    assert ran.status == 1
    assert "stopped: A2PSendSms: 507" in ran.err
    assert voxsms(*words(people), "--yes").status == 0
    assert delivered(account) == NUMBERS


def test_a_list_that_was_renamed(voxsms: Run, account: Sandbox, people: Path) -> None:
    """It is a new mailing unless its outbox is named, and others beside it are pointed at."""
    voxsms(*words(people), "--yes")
    renamed = people.rename(people.with_name("customers.csv"))
    ran = voxsms(*words(renamed), stdin=b"n\n")
    outbox = people.with_name("people.outbox.db")
    assert f"A new mailing. If the list was renamed: --outbox {outbox} resumes" in ran.out
    people.write_text("another list")
    assert "A new mailing" not in voxsms(*words(renamed), stdin=b"n\n").out
    renamed.write_text(f"{PEOPLE}New,447700900009,Ulm\n")
    ran = voxsms(*words(renamed), "--outbox", str(outbox), stdin=b"y\n")
    assert ran.status == 0
    assert "was begun with another list" in ran.err
    assert delivered(account) == [*NUMBERS, "447700900009"]


def test_a_number_that_stands_twice(voxsms: Run, account: Sandbox, people: Path) -> None:
    """Two texts are two messages; the same text goes to a number once."""
    people.write_text(
        "phone,order\n447700900001,1\n447700900001,2\n447700900001,1\n447700900002,3\n"
    )
    ran = voxsms(*words(people, "Order {order} is ready"), "--yes")
    assert ran.status == 0
    assert "1 row with the same number and text as an earlier one: sent once" in ran.out
    assert "line 3: the same number as in line 2" in ran.err
    assert "line 4" not in ran.err
    assert delivered(account) == ["447700900001", "447700900001", "447700900002"]
    assert [row["state"] for row in result(people)] == ["sent", "sent", "repeated", "sent"]
    assert voxsms(*words(people, "Order {order} is ready"), "--yes").status == 0
    assert account.ledger.count == 3


def test_a_doubt_that_the_history_settles(voxsms: Run, account: Sandbox, people: Path) -> None:
    """An answer was lost: what was sent is found at once, with its id and cost."""
    account.faults.script("commit_then_close*2@A2PSendSms")
    ran = voxsms(*words(people), "--yes")
    assert ran.status == 0
    assert delivered(account) == NUMBERS
    assert [row["cost"] for row in result(people) if row["state"] == "sent"] == ["0.034"] * 6


def test_a_doubt_that_stays(voxsms: Run, account: Sandbox, people: Path) -> None:
    """Status 3 and what to do; the history's silence proves it later; a person sends again."""
    account.faults.script("ok@A2PSendSms,read_then_close@A2PSendSms")
    ran = voxsms(*words(people), "--yes", "--concurrency", "1")
    assert ran.status == 3
    assert ran.err.endswith(
        "voxsms: 1 message may or may not have been sent\n"
        "The same command asks the history again; after 15 min it can settle all of them.\n"
    )
    assert states(people)[3] == "unknown"
    assert voxsms(*words(people), "--yes").status == 3
    account.clock.advance(timedelta(minutes=17).total_seconds())
    ran = voxsms(*words(people), "--yes")
    assert ran.status == 1
    outbox = people.with_name("people.outbox.db")
    assert ran.err.endswith(
        "voxsms: the history does not have 1 message\n"
        f"To send them again: voxsms outbox resend {outbox}, then the same command.\n"
    )
    assert states(people)[3] == "presumed_not_sent"
    assert account.ledger.count == 5
    assert voxsms("outbox", "resend", str(outbox), "--yes").out == "1 message to be sent again\n"
    assert voxsms(*words(people), "--yes").status == 0
    assert delivered(account) == NUMBERS


def test_a_doubt_and_no_history(voxsms: Run, account: Sandbox, people: Path) -> None:
    """A history that cannot be read leaves it a doubt, beside why the mailing stopped."""
    lost, history = "read_then_close@A2PSendSms", "error*9@A2PGetSmsHistory:code=104"
    account.faults.script(f"{lost},error@A2PSendSms:code=127,{history}")
    ran = voxsms(*words(people), "--yes", "--concurrency", "1")
    assert ran.status == 3
    assert "warning: what is in doubt stays in doubt: A2PGetSmsHistory: 104" in ran.err
    told = ran.err[ran.err.index("voxsms: 1 message may") :]
    assert told.splitlines() == [
        "voxsms: 1 message may or may not have been sent",
        "5 messages left to send. Run the same command to resume; nobody gets the message twice.",
        "The same command asks the history again.",
        "Stopped: A2PSendSms: 127 INSUFFICIENT_MONEY: Insufficient money",
    ]


def test_what_nobody_can_tell_apart(voxsms: Run, account: Sandbox, people: Path) -> None:
    """Two messages to one number, of which one arrived: a person has to look."""
    people.write_text("phone,n\n447700900001,1\n447700900001,2\n")
    account.faults.script("commit_then_close@A2PSendSms,read_then_close@A2PSendSms")
    command = ["--yes", "--concurrency", "1"]
    voxsms(*words(people, "Order {n}"), *command)
    with closing(sqlite3.connect(people.with_name("people.outbox.db"))) as database:
        database.execute("UPDATE voxsms_intents SET state = 'ambiguous' WHERE state = 'unknown'")
        database.commit()
    ran = voxsms(*words(people, "Order {n}"), *command)
    assert ran.status == 3
    assert "Check them by hand: voxsms outbox export" in ran.err


@pytest.mark.voxsms_sandbox(refused={"447700900002": 506})
def test_what_the_service_refuses(voxsms: Run, account: Sandbox, people: Path) -> None:
    """Each refusal is in the file with its code; the others are sent."""
    ran = voxsms(*words(people), "--yes")
    assert ran.status == 1
    assert "the service refused 1 message: " in ran.err
    (row,) = (row for row in result(people) if row["state"] == "refused")
    assert (row["name"], "506" in row["error"]) == ("Bob", True)
    assert account.ledger.count == 5


def test_who_wants_nothing(voxsms: Run, account: Sandbox, people: Path, tmp_path: Path) -> None:
    """A list of opt-outs is respected and is no failure; a bad row in it stops everything."""
    listed = tmp_path / "stop.csv"
    listed.write_text("phone\n+44 7700 900001\n")
    ran = voxsms(*words(people), "--yes", "--opt-outs", str(listed))
    assert ran.status == 0
    assert delivered(account) == NUMBERS[1:]
    assert result(people)[0]["error"] == "is on the opt-out list"
    listed.write_text("phone\nAnn\n")
    ran = voxsms(*words(people), "--yes", "--opt-outs", str(listed))
    assert ran.status == 2
    assert f"{listed}: line 2: phone: " in ran.err
    listed.write_text("number\n447700900001\n")
    ran = voxsms(*words(people), "--yes", "--opt-outs", str(listed))
    assert (ran.status, f'{listed}: there is no column "phone"' in ran.err) == (2, True)


def test_the_zero_of_an_opt_out_was_lost(
    voxsms: Run, account: Sandbox, people: Path, tmp_path: Path
) -> None:
    """A number that would never be found in the list of opt-outs is told, as in the list itself."""
    listed = tmp_path / "stop.csv"
    listed.write_text("phone\n7700900001\n")
    ran = voxsms(*words(people), "--dry-run", "--opt-outs", str(listed))
    assert f"warning: {listed}: 1 number (line 2) was taken for Russia" in ran.err
    assert account.ledger.count == 0


def test_another_database_was_given_for_the_opt_outs(
    voxsms: Run, account: Sandbox, people: Path, tmp_path: Path
) -> None:
    """`seen.db` lies beside `opt-outs.db`, and nobody in it has opted out."""
    file = tmp_path / "seen.db"

    async def keep() -> None:
        seen = SqliteSeen(file)
        await seen.keep(1)
        await seen.aclose()

    anyio.run(keep)
    ran = voxsms(*words(people), "--yes", "--opt-outs", str(file))
    problem = f"{file}: is a database that SqliteOptOuts did not create"
    assert (ran.status, problem in ran.err) == (2, True)
    file.write_bytes(b"SQLite format 3\0" + bytes(50))
    ran = voxsms(*words(people), "--yes", "--opt-outs", str(file))
    assert (ran.status, f"{file}: file is not a database" in ran.err) == (2, True)
    assert account.ledger.count == 0


async def test_opt_outs_of_the_webhooks(tmp_path: Path) -> None:
    """The file that keeps who answered STOP is one, too."""
    file = tmp_path / "opt-outs.db"
    kept = SqliteOptOuts(file)
    await kept.add("447700900001")
    await kept.aclose()
    async with _delivery.Delivery(opt_outs=file).guards() as guards:
        assert await guards.refuse("447700900001") == "is on the opt-out list"
        assert await guards.refuse("447700900002") is None


def test_nobody_is_woken(voxsms: Run, account: Sandbox, people: Path) -> None:
    """In the quiet hours of the recipient nothing is sent; the same command sends it later."""
    here = datetime.now(ZoneInfo("Europe/London"))
    night = "-".join(f"{here + timedelta(hours=hours):%H:%M}" for hours in (-1, 2))
    ran = voxsms(*words(people), "--yes", "--quiet-hours", night)
    assert ran.status == 1
    assert "stopped: what is left is not due yet" in ran.err
    assert account.ledger.count == 0
    day = "-".join(f"{here + timedelta(hours=hours):%H:%M}" for hours in (2, 4))
    assert voxsms(*words(people), "--yes", "--quiet-hours", day).status == 0
    assert delivered(account) == NUMBERS
    ran = voxsms(*words(people), "--yes", "--quiet-hours", "at night")
    assert ran.status == 2
    assert '"at night" is not a span of hours, such as 21:00-08:00' in ran.err


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--from", "VOXSMS"], "give the people: a file of them with --csv"),
        (["--csv", "-", "--from", "VOXSMS", "hi"], "has no name: name the outbox with --outbox"),
        (
            ["--csv", "p.csv", "--from", "VOXSMS", "hi", "--outbox", "postgresql://x/y"],
            "--outbox: must be the path of a file; for one on a server use `voxsms outbox add`",
        ),
        (["--csv", "p.csv", "--from", "VOXSMS"], "give one text"),
        (["--csv", "p.csv", "--from", "VOXSMS", "hi", "--template", "x"], "replaces the text"),
        (["--csv", "p.csv", "--from", "", "hi"], '"" is empty'),
        (["--csv", "/nowhere/p.csv", "--from", "VOXSMS", "hi"], "No such file"),
    ],
)
def test_called_wrongly(voxsms: Run, account: Sandbox, more: list[str], problem: str) -> None:
    """The mistake is named, and nothing is sent."""
    ran = voxsms("mail", *more)
    assert (ran.status, ran.out) == (2, "")
    assert problem in ran.err
    assert account.ledger.count == 0


def test_an_outbox_of_something_else(voxsms: Run, account: Sandbox, people: Path) -> None:
    """A file that holds other messages, or another program's, is left alone."""
    outbox = str(people.with_name("other.db"))
    voxsms("outbox", "add", outbox, "hi", "--from", "VOXSMS", "--to", "447700900001")
    ran = voxsms(*words(people), "--yes", "--outbox", outbox)
    assert ran.status == 2
    assert "other.db: holds messages that `voxsms mail` did not add" in ran.err
    with closing(sqlite3.connect(outbox)) as database:
        voxsms("outbox", "add", outbox, "hi", "--from", "VOXSMS", "--to", "447700900002")
        key = "'mail-0000000' || position || '-00000000:1'"
        database.execute(f"UPDATE voxsms_intents SET state = 'sent', key = {key}")  # noqa: S608 - ours
        database.commit()
    ran = voxsms(*words(people), "--yes", "--outbox", outbox)
    assert (ran.status, "other.db: holds more than one mailing" in ran.err) == (2, True)
    ran = voxsms(*words(people), "--yes", "--outbox", str(people))
    assert ran.status == 1
    assert "is not a SQLite file; an outbox needs its own file" in ran.err
    assert people.read_text() == PEOPLE
    people.write_text("phone\nAnn\n")
    assert (
        "no row can be sent: all were left out, such as line 2: phone: "
        in voxsms(*words(people, "hi"), "--yes").err
    )
    assert account.ledger.count == 0


def test_one_text_through_a_pipe(voxsms: Run, account: Sandbox, tmp_path: Path) -> None:
    """Braces stay, chunks are full, and the result lies beside the outbox."""
    outbox = tmp_path / "x.db"
    words = ["mail", "Hi {name}!", "--csv", "-", "--from", "VOXSMS", "--outbox", str(outbox)]
    assert voxsms(*words, "--yes", stdin=PEOPLE.encode()).status == 0
    assert account.ledger.requests["A2PSendSms"] == 1
    assert {d.text for d in account.ledger.deliveries} == {"Hi {name}!"}
    assert (tmp_path / "x.result.csv").exists()


@pytest.mark.voxsms_sandbox(numbers=[Number(number="447443332211", sms_enabled=True)])
def test_from_a_number_and_made_shorter(voxsms: Run, account: Sandbox, people: Path) -> None:
    """Two-way messages from a rented number, with the options that make a text shorter."""
    people.write_text(
        "name,phone\nZo\u00eb,447700900001\n\u0141ukasz,447700900002\n,447700900003\n"
    )
    text = (
        "{name}, \u201cthe shop\u201d opens at nine, and you are the first to know of it, as always"
    )
    ran = voxsms(
        *words(people, text, "+44 7443 332211"), "--yes", "--for", "send", "--accents", "--fit", "1"
    )
    assert ran.status == 0
    assert sorted(d.text for d in account.ledger.deliveries) == [
        f'{name}, "the shop" opens at nine, and you are the first to know of it, as always'
        for name in ("", "Lukasz", "Zoe")
    ]
    assert "SendSmsMessage" in account.ledger.requests


def test_rows_whose_text_cannot_be_sent(voxsms: Run, account: Sandbox, people: Path) -> None:
    """An empty text, and one with a character that no message carries: told with their lines."""
    people.write_text(
        "text,phone,state\n,447700900001,a\nb\x1b,447700900002,b\nhi,447700900003,c\n"
    )
    ran = voxsms(*words(people, "{text}"), "--yes")
    assert ran.status == 0
    assert "line 2: is empty" in ran.err
    assert "line 3: U+001B" in ran.err
    rows = result(people)
    assert [row["sms_state"] for row in rows] == ["refused", "refused", "sent"]
    assert [row["state"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["error"] == "is empty"
    assert delivered(account) == ["447700900003"]
    one_letter = "a" + 100 * "\u0301"
    people.write_text(f"text,phone\n{one_letter},447700900001\nhi,447700900004\n")
    other = ["--outbox", str(people.with_name("other.db")), "--yes", "--fit", "1"]
    ran = voxsms(*words(people, "{text}"), *other)
    assert ran.status == 0
    assert "line 2: " in ran.err
    assert delivered(account) == ["447700900003", "447700900004"]
    assert ",bad_row," in people.with_name("other.result.csv").read_text("utf-8-sig")


@pytest.mark.usefixtures("account")
def test_a_workbook_and_a_list_of_an_office(voxsms: Run, tmp_path: Path) -> None:
    """The result opens with what has opened the list: its delimiter, its encoding."""
    office = tmp_path / "people.csv"
    office.write_bytes("phone;name\r\n447700900001;\u042f\u043d\r\n".encode("cp1251"))
    ran = voxsms(*words(office, "{name}"), "--yes", "--encoding", "cp1251")
    assert ran.status == 0
    written = (tmp_path / "people.result.csv").read_bytes().decode("cp1251")
    assert written.splitlines()[1].startswith("2;447700900001;\u042f\u043d;sent;")
    book = openpyxl.Workbook()
    for row in (("phone", "name"), ("447700900002", "\u042f\u043d")):
        book.active.append(row)
    book.save(tmp_path / "book.xlsx")
    assert voxsms(*words(tmp_path / "book.xlsx", "{name}"), "--yes").status == 0
    assert "2,447700900002,\u042f\u043d,sent" in (tmp_path / "book.result.csv").read_text(
        "utf-8-sig"
    )
    office.write_bytes("phone,name\n447700900003,Ann\n".encode("utf-16"))
    other = str(tmp_path / "wide.db")
    assert voxsms(*words(office, "{name}"), "--yes", "--outbox", other).status == 0
    assert "Ann,sent" in (tmp_path / "wide.result.csv").read_text("utf-16")


@pytest.mark.voxsms_sandbox(faults="error@GetAccountInfo:code=104")
def test_prices_that_may_not_be_seen(voxsms: Run, account: Sandbox, people: Path) -> None:
    """Somebody is asked without a price; a limit cannot be kept."""
    ran = voxsms(*words(people), stdin=b"n\n")
    assert ran.status == 1
    assert "The cost is not known (GetAccountInfo: 104" in ran.err
    assert "Send 6 messages? [y/N]" in ran.err
    account.faults.script("error@GetAccountInfo:code=104")
    assert voxsms(*words(people), "--max-cost", "9", "--yes").status == 1
    account.faults.script("error*2@GetAccountInfo:code=104")
    assert voxsms(*words(people), "--yes").status == 0
    assert account.ledger.count == 6


def test_a_result_that_cannot_be_written(voxsms: Run, account: Sandbox, people: Path) -> None:
    """It is said; the outbox knows all, and the same command writes it."""
    file = people.with_name("people.result.csv")
    file.mkdir()
    ran = voxsms(*words(people), "--yes")
    assert ran.status == 1
    assert str(file) in ran.err
    assert {each.name for each in people.parent.iterdir()} == {
        "people.csv",
        "people.outbox.db",
        file.name,
    }
    file.rmdir()
    assert voxsms(*words(people), "--yes").status == 0
    assert account.ledger.count == 6
    assert set(states(people).values()) == {"sent", "bad_row"}


def test_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal of 80 columns all of it stands in one line."""
    screen = StringIO()
    terminal = Console(file=screen, force_terminal=True, no_color=True, width=80)
    monkeypatch.setattr(_io, "err", lambda: terminal)
    before = OutboxSummary(pending=100_000, sent=5)
    now = OutboxProgress(
        pending=4_000,
        sending=1_000,
        sent=94_005,
        refused=600,
        unknown=400,
        per_second=100.0,
        seconds_left=50.0,
    )
    with _delivery._progress(before, "USD") as (_, tell):
        tell(now)
    shown = "95% 94,000 sent, 600 refused, 400 unknown, 0.0000 USD, 100/s, 0:00:50"
    assert shown in screen.getvalue()
