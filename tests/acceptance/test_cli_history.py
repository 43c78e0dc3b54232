"""`history`, `numbers`, `methods`: what is shown of what the service says."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import attrs
import pytest
from conftest import Run

from voxsms.api.models import A2PSmsHistory, DeliveryStatus, MessageStatus, PhoneNumber, SmsHistory
from voxsms.api.spec import METHODS
from voxsms.cli import _io, numbers
from voxsms.cli.history import Lines
from voxsms.sandbox import Number, Sandbox

pytestmark = pytest.mark.slow

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
OWN = "447443332211"


@pytest.fixture
def filled(account: Sandbox) -> Sandbox:
    """Give a sandbox with 2,500 messages of each kind."""
    for kind in ("sms", "a2p"):
        account.fill_history(kind, 2500, start=START, end=END)
    return account


def test_a_history_is_shown_whole(voxsms: Run, filled: Sandbox) -> None:
    """Every message is a line, page after page, with the sum under them."""
    ran = voxsms("history", "sms")
    head, *lines, total = ran.out.splitlines()
    assert (ran.status, ran.err) == (0, "")
    assert head.split() == [
        "time",
        "(UTC)",
        "message",
        *["from", "to", "frag.", "cost", "status"],
    ]
    assert len(lines) == 2500
    assert total.startswith("2,500 messages, ")
    assert filled.ledger.requests["GetSmsHistory"] == 3


def test_a_history_as_json(voxsms: Run, filled: Sandbox) -> None:
    """Each line is one message as JSON: money a string, time ISO 8601, names those of the wire."""
    lines = voxsms("history", "a2p", "--json").out.splitlines()
    assert len(lines) == 2500
    row = json.loads(lines[-1])
    assert row.keys() == {field.name for field in attrs.fields(A2PSmsHistory)}
    assert row["processing_date"] == "2026-01-01T00:00:00+00:00"
    assert Decimal(row["cost"]) > 0
    assert sum(filled.ledger.requests.values()) == 3


@pytest.mark.parametrize(
    ("limit", "words", "requests"),
    [(1, [], 1), (1000, [], 1), (1001, [], 2), (250, ["--count", "100"], 3), (9999, [], 3)],
)
def test_a_limit(voxsms: Run, filled: Sandbox, limit: int, words: list[str], requests: int) -> None:
    """`--limit` shows so many messages, and asks for no more pages than that needs."""
    ran = voxsms("history", "sms", "--json", "--limit", str(limit), *words)
    assert len(ran.out.splitlines()) == min(limit, 2500)
    assert filled.ledger.requests["GetSmsHistory"] == requests


@pytest.mark.usefixtures("filled")
def test_filters_reach_the_service(voxsms: Run) -> None:
    """The filters are those of the method; a last day counts as a whole."""

    def rows(*words: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in voxsms(*words, "--json").out.splitlines()]

    incoming = rows("history", "sms", "--direction", "in", "--destination-number", f"+{OWN}")
    assert {row["direction"] for row in incoming} == {"IN"}
    failed = rows("history", "a2p", "--delivery-status", "failed", "--source-number", "VOXSMS")
    assert {row["delivery_status"] for row in failed} == {"FAILED"}
    day = rows("history", "sms", "--since", "2026-01-05", "--until", "2026-01-05")
    assert {row["processed_date"][:10] for row in day} == {"2026-01-05"}
    assert max(row["processed_date"] for row in day) > "2026-01-05T23:00"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ["--since", "2026-02-01", "--until", "2026-01-01"],
            "voxsms: --since: is later than --until\n",
        ),
        (["--count", "1001"], "--count: is 1001; it must be at most 1000"),
        (["--offset", "-1"], "--offset: is -1; it must be at least 0"),
        (["--to", "Ada"], "--to: '***' is not a phone number"),
        (["--since", "last week"], '"last week" is not a time: write 2026-11-25, 2026-11-25T14:00'),
        (["--to", "2026-02-01"], "Dates are given with --since and --until."),
        (["--from", "2026-02-01"], "Dates are given with --since and --until."),
        (["--from", "+44 (0)7700 900123"], "--from: '+44***123' cannot be guessed"),
        (["--from", "447700900123.0"], "--from: '447***3.0' is a spreadsheet's decimal"),
        (["--message-id", "0"], "--message-id, value 1: is 0; it must be at least 1"),
    ],
)
def test_filters_that_cannot_be(
    voxsms: Run, account: Sandbox, words: list[str], problem: str
) -> None:
    """A wrong filter is named before anything is asked."""
    ran = voxsms("history", "sms", *words)
    assert ran.status == 2
    assert problem in ran.err
    assert "_" not in ran.err
    assert "sent" not in ran.err
    assert account.ledger.requests == {}


@pytest.mark.parametrize("kind", ["sms", "a2p"])
@pytest.mark.usefixtures("account")
def test_an_empty_history(voxsms: Run, kind: str) -> None:
    """No messages are said so to a person, and are no line of JSON."""
    assert voxsms("history", kind) == (0, "no messages\n", "")
    assert voxsms("history", kind, "--json") == (0, "", "")


TWO_WAY = SmsHistory(
    message_id=7,
    source_number=OWN,
    destination_number="14155550101",
    direction="OUT",
    fragments=2,
    cost=Decimal("0.071"),
    status_id=MessageStatus.SUCCESS,
    processed_date=START,
)
A2P = A2PSmsHistory(
    message_id=8,
    source_number="VOXSMS",
    destination_number="14155550101",
    fragments=1,
    cost=Decimal("0.0085"),
    status_id=MessageStatus.ERROR,
    processing_date=None,
)
ODD = attrs.evolve(TWO_WAY, message_id=None, direction="SIDEWAYS", status_id="9", text="\x1b[2J\n")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (TWO_WAY, f"2026-01-01 00:00 7 OUT {OWN} 14155550101 2 0.0710 success"),
        (A2P, "8 VOXSMS 14155550101 1 0.0085 error"),
        (
            attrs.evolve(A2P, delivery_status=DeliveryStatus.EXPIRED, error_message="too late"),
            "8 VOXSMS 14155550101 1 0.0085 expired too late",
        ),
        (attrs.evolve(A2P, delivery_status="LOST"), "8 VOXSMS 14155550101 1 0.0085 lost"),
        (
            ODD,
            f"2026-01-01 00:00 SIDEWAYS {OWN} 14155550101 2 0.0710 9 <U+001B>[2J\u23ce",
        ),
    ],
)
def test_a_row(
    row: SmsHistory | A2PSmsHistory, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row shows what is there, also what nobody knew of; a text cannot drive the terminal."""
    Lines().row(row)
    assert capsys.readouterr().out.splitlines()[1].split() == words.split()


def test_a_history_on_a_terminal_of_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is a line; what was said, or what went wrong, stands under it between words."""
    monkeypatch.setattr("voxsms.cli._io._WIDE", 80)
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = Lines()
    text = "See you at the new shop, two doors down from the old one. " * 3
    for row in (TWO_WAY, A2P, attrs.evolve(TWO_WAY, text=text), attrs.evolve(A2P, text="Bye")):
        lines.row(row)
    plain = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    shown = [line.rstrip() for line in plain.splitlines()]
    assert max(map(len, shown)) <= 79
    assert len(shown) == 1 + 4 + 3 + 1
    assert " ".join(line.strip() for line in shown[4:7]) == text.strip()
    assert shown[-1].strip() == "Bye"


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (TWO_WAY, "\x1b[32msuccess\x1b[0m"),
        (attrs.evolve(TWO_WAY, status_id=MessageStatus.WAITING), "\x1b[2mwaiting\x1b[0m"),
        (A2P, "\x1b[1;31merror\x1b[0m"),
        (ODD, " 9\n"),
    ],
)
def test_a_status_has_a_colour(
    row: SmsHistory | A2PSmsHistory,
    shown: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Good, bad and not yet known are told apart at a glance; what nobody knows has no colour."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    Lines().row(row)
    assert shown in capsys.readouterr().out


@pytest.mark.voxsms_sandbox(
    numbers=[
        Number(number=OWN, sms_enabled=True),
        Number(number="14155550100"),
        Number(number="79135550100", sms_supported=False),
    ]
)
@pytest.mark.usefixtures("account")
def test_numbers(voxsms: Run) -> None:
    """Each number shows whether it can carry SMS, and whether it does."""
    ran = voxsms("numbers")
    assert ran.status == 0
    assert [line.split(maxsplit=3) for line in map(str.rstrip, ran.out.splitlines()[1:])] == [
        [OWN, "GB", "Mobile", "enabled"],
        ["14155550100", "US", "Mobile", "not enabled"],
        ["79135550100", "RU", "Mobile", "not supported"],
    ]
    lines = voxsms("numbers", "--json", "--sms-supported", "--count", "1").out.splitlines()
    assert [json.loads(line)["phone_number"] for line in lines] == [OWN, "14155550100"]


def test_numbers_that_are_gone(capsys: pytest.CaptureFixture[str]) -> None:
    """What became of a number is shown, and what the service left out is empty."""
    found = [
        PhoneNumber(1, OWN, deactivated=True),
        PhoneNumber(2, "1\x1b[2J", phone_region_name="\x07", canceled=True),
    ]
    _io.out().print(numbers.table_of_numbers(found))
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        [OWN, "not", "supported", "deactivated"],
        ["1<U+001B>[2J", "<U+0007>", "not", "supported", "canceled"],
    ]


def test_methods(voxsms: Run) -> None:
    """The table of methods is that of the package."""
    ran = voxsms("methods")
    assert ran.status == 0
    for row in METHODS.values():
        assert row.cmd in ran.out
        assert row.summary in ran.out
    row_of_a2p = "Send one text to up to 100 numbers"
    (send,) = (line for line in ran.out.splitlines() if line.startswith("a2p_send_sms"))
    assert send.split() == ["a2p_send_sms", "A2PSendSms", *row_of_a2p.split(), "yes"]


def test_methods_as_json(voxsms: Run) -> None:
    """A program gets the table with its parameters."""
    found = [json.loads(line) for line in voxsms("methods", "--json").out.splitlines()]
    assert [each["cmd"] for each in found] == list(METHODS)
    control = found[2]
    assert control["roles"] == ["Owner", "Admin", "Developer"]
    assert control["parameters"][0] == {
        "name": "phone_number",
        "required": True,
        "doc": "A rented number with SMS support.",
    }
