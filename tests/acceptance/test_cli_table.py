"""The commands that mirror a method: names, types and help come from the table."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from attrs import AttrsInstance
from conftest import Run
from cyclopts import App
from cyclopts.argument import Argument

from voxsms.api import spec, wire
from voxsms.api.codec import FormFields
from voxsms.api.models import DeliveryStatus
from voxsms.api.spec import METHODS, AnyMethod
from voxsms.cli._mirror import moment
from voxsms.cli.app import app
from voxsms.errors import InvalidRequest
from voxsms.sandbox import Sandbox

MIRRORED: Mapping[str, AnyMethod] = {
    "send": spec.SEND_SMS_MESSAGE,
    "a2p": spec.A2P_SEND_SMS,
    "control": spec.CONTROL_SMS,
    "history sms": spec.GET_SMS_HISTORY,
    "history a2p": spec.A2P_GET_SMS_HISTORY,
    "numbers": spec.GET_PHONE_NUMBERS,
    "prices": spec.GET_RESOURCE_PRICE,
}
PARAMETERS = [
    (command, name)
    for command, row in MIRRORED.items()
    for name in spec.parameters(spec.request_class(row))
    if row.sending is None or name != row.sending.text
]


def _parameters(method: AnyMethod) -> Mapping[str, spec.Param]:
    return spec.parameters(spec.request_class(method))


def _command(words: str) -> App:
    found = app
    for word in words.split():
        found = found[word]
    return found


def _arguments(words: str) -> Mapping[str, Argument]:
    return {each.field_info.name: each for each in _command(words).assemble_argument_collection()}


@pytest.mark.parametrize(("command", "name"), PARAMETERS)
def test_an_option_is_a_parameter_of_the_table(command: str, name: str) -> None:
    """Each option has the name, the words and the necessity that the table gives it.

    Not the words on what a time is in Python: there is none on a command line.
    """
    row = MIRRORED[command]
    kind = spec.request_class(row)
    param, argument = spec.parameters(kind)[name], _arguments(command)[name]
    assert f"--{name.replace('_', '-')}" in argument.names
    words = param.doc.removesuffix("; an aware datetime.")
    assert (argument.parameter.help or "").startswith(words)
    assert argument.required == (name in spec.required(kind))


@pytest.mark.parametrize("command", ["send", "a2p"])
def test_both_sends_have_the_same_short_names(command: str) -> None:
    """Sender and destinations are `--from` and `--to`, whatever they are called on the wire."""
    row, arguments = MIRRORED[command], _arguments(command)
    assert row.sending is not None
    assert "--from" in arguments[row.sending.sender].names
    assert "--to" in arguments[row.sending.to].names
    assert row.sending.text not in arguments or row.sending.text == "text"


def test_a_word_means_one_thing_in_all_commands() -> None:
    """`--from` and `--to` are always numbers, `--since` and `--until` times, `--limit` rows."""
    wire_names: dict[str, set[str]] = {}
    for command, method in MIRRORED.items():
        kinds = {n: type(p.wire_type) for n, p in _parameters(method).items()}
        for name, argument in _arguments(command).items():
            for option in argument.names:
                wire_names.setdefault(option, set()).add(kinds.get(name, type(None)).__name__)
    assert wire_names["--from"] == {"SenderType"}
    assert wire_names["--to"] <= {"PhoneType", "ListType", "SenderType"}
    assert wire_names["--since"] == wire_names["--until"] == {"TimeType"}


def test_every_method_but_the_account_has_a_command() -> None:
    """Nothing of the table is out of reach; of the account `balance` tells what is no secret."""
    missing = METHODS.keys() - {row.cmd for row in MIRRORED.values()} - {"GetAccountInfo"}
    assert missing == set(), "voxsms/cli has no command for these (app.py, and MIRRORED here)"


def test_the_help_of_a_list_of_choices(voxsms: Run) -> None:
    """Choices are named, lists are shown as lists, flags can be switched off."""
    shown = voxsms("history", "a2p", "--help").out
    assert "dispatched" in shown
    assert "--message-id INT..." in shown
    assert "--no-store-body" in voxsms("send", "--help").out


@pytest.mark.parametrize(
    ("text", "last", "expected"),
    [
        ("2026-09-30", False, datetime(2026, 9, 30, tzinfo=UTC)),
        ("2026-09-30", True, datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC)),
        ("2026-09-30T14:00", True, datetime(2026, 9, 30, 14, tzinfo=UTC)),
        ("2026-09-30 14:00:05", False, datetime(2026, 9, 30, 14, 0, 5, tzinfo=UTC)),
        (
            "2026-09-30T14:00+02:00",
            False,
            datetime(2026, 9, 30, 14, tzinfo=timezone(timedelta(hours=2))),
        ),
        ("2026-09-30T14:00Z", False, datetime(2026, 9, 30, 14, tzinfo=UTC)),
    ],
)
def test_a_time_is_read(text: str, last: bool, expected: datetime) -> None:
    """A time without a zone is UTC; a day that ends a span is meant as a whole."""
    found = moment(text, last=last)
    assert found == expected
    assert found.utcoffset() == expected.utcoffset()


def test_a_time_that_is_none() -> None:
    """What is no time is refused, with all that may be written there."""
    with pytest.raises(ValueError, match=r"is not a time: write 2026-11-25, .* or -7d"):
        moment("last week")


@pytest.mark.parametrize(("text", "days"), [("today", 0), ("yesterday", 1), ("-7d", 7)])
def test_an_analyst_asked_for_the_last_days(text: str, days: int) -> None:
    """A day is named from here; it is whole, so that the same command is the same all day long."""
    before = datetime.now(UTC)
    first, last = moment(text), moment(text, last=True)
    after = datetime.now(UTC)
    assert before.date() <= (first + timedelta(days)).date() <= after.date()
    assert (first.hour, first.minute, first.second, first.microsecond) == (0, 0, 0, 0)
    assert last - first == timedelta(hours=23, minutes=59, seconds=59) or before.day != after.day


def test_every_form_of_the_table_is_known() -> None:
    """A form that is added to the table is thought of here too."""
    forms = {
        type(param.wire_type)
        for row in METHODS.values()
        for param in spec.parameters(spec.request_class(row)).values()
    }
    assert forms == {
        wire.BoolType,
        wire.ChoiceType,
        wire.IntType,
        wire.ListType,
        wire.PhoneType,
        wire.SenderType,
        wire.TextType,
        wire.TimeType,
        wire.StringType,
    }


def test_values_arrive_as_the_wire_has_them(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists, flags, choices and times given as words reach the service as what they are."""
    seen: dict[str, Any] = {}

    def requested(_: object, request: AttrsInstance, _phone: object) -> FormFields:
        seen.update(attrs.asdict(request))
        raise InvalidRequest("seen", ())

    monkeypatch.setattr("voxsms.calls.session.write_request", requested)
    words = "--message-id 1 2 --message-id 3 --status delivered --until 2026-09-30 --since -7d"
    assert voxsms("history", "a2p", *words.split(), "--from", "+1 (415) 555").status == 2
    assert seen["message_id"] == [1, 2, 3]
    assert seen["delivery_status"] is DeliveryStatus.DELIVERED
    assert seen["to_date"] == datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC)
    assert seen["source_number"] == "+1 (415) 555"
    assert seen["from_date"] in (moment("-7d"), moment("-8d"))
    assert seen["offset"] is None
    assert voxsms("history", "a2p", "--delivery-status", "5").status == 2
    assert seen["delivery_status"] is DeliveryStatus.DELIVERED
    assert voxsms("numbers", "--no-sms-supported").status == 2
    assert seen["sms_supported"] is False
    assert account.ledger.requests == {}
