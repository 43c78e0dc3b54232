"""Requests to forms, with every fault named before anything leaves, and forms back to values."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest

from voxsms.api import codec, spec
from voxsms.api.models import SmsCommand
from voxsms.api.spec import MethodSpec
from voxsms.api.wire import Violation
from voxsms.errors import Fault, InvalidRequest, InvalidText
from voxsms.text import Message

NOW = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)
HUNDRED_AND_ONE = [f"4474433322{n:03}" for n in range(101)]


def faults_of(row: MethodSpec[..., object], request: attrs.AttrsInstance) -> InvalidRequest:
    """Give the error with which a request is refused before it leaves."""
    with pytest.raises(InvalidRequest) as caught:
        codec.write_request(row, request)
    return caught.value


Maker = Callable[..., attrs.AttrsInstance]
"""A request class, seen as what takes anything: a user's mistakes are no types."""


def sms(**changes: object) -> attrs.AttrsInstance:
    """Make a two-way request, good but for the changes."""
    make: Maker = spec.SendSmsMessage
    good = {"source": "447443332211", "destination": "447443332212", "sms_body": "Hi"}
    return make(**{**good, **changes})


def a2p(**changes: object) -> attrs.AttrsInstance:
    """Make an A2P request, good but for the changes."""
    make: Maker = spec.A2PSendSms
    good = {"src_number": "ACME", "dst_numbers": ["447443332212"], "text": "Hi"}
    return make(**{**good, **changes})


def control(**changes: object) -> attrs.AttrsInstance:
    """Make a request to enable a number, good but for the changes."""
    make: Maker = spec.ControlSms
    return make(**{"phone_number": "447443332211", "command": "enable", **changes})


def history(**filters: object) -> attrs.AttrsInstance:
    """Make a request for a page of history."""
    make: Maker = spec.GetSmsHistory
    return make(**filters)


BAD: list[tuple[MethodSpec[..., object], attrs.AttrsInstance, str, str]] = [
    (
        spec.A2P_SEND_SMS,
        a2p(dst_numbers=HUNDRED_AND_ONE),
        "dst_numbers",
        "has 101 items; at most 100 are allowed",
    ),
    (
        spec.A2P_SEND_SMS,
        a2p(text="x" * 1601),
        "text",
        "has 1601 UTF-16 code units; at most 1600 are allowed",
    ),
    (
        spec.A2P_SEND_SMS,
        a2p(text=Message("\U0001f600" * 801)),
        "text",
        "has 1602 UTF-16 code units; at most 1600 are allowed",
    ),
    (
        spec.SEND_SMS_MESSAGE,
        sms(sms_body="x" * 766),
        "sms_body",
        "has 766 UTF-16 code units; at most 765 are allowed",
    ),
    (
        spec.SEND_SMS_MESSAGE,
        sms(sms_body="\U0001f600" * 383),
        "sms_body",
        "has 766 UTF-16 code units; at most 765 are allowed",
    ),
    (spec.SEND_SMS_MESSAGE, sms(sms_body=""), "sms_body", "is empty"),
    (spec.SEND_SMS_MESSAGE, sms(sms_body=None), "sms_body", "is None; it must be a str"),
    (spec.A2P_SEND_SMS, a2p(text=Message("")), "text", "is empty"),
    (
        spec.SEND_SMS_MESSAGE,
        sms(destination="ACME-Shop"),
        "destination",
        "'AC***op' is not a phone number: only digits may remain",
    ),
    (
        spec.SEND_SMS_MESSAGE,
        sms(destination="+0044 7443 332212"),
        "destination",
        "004***212 starts with 00; write the country code without a prefix",
    ),
    (spec.SEND_SMS_MESSAGE, sms(source=""), "source", "is empty"),
    (
        spec.SEND_SMS_MESSAGE,
        sms(store_body="yes"),
        "store_body",
        "is a value of type str; it must be a bool",
    ),
    (
        spec.A2P_SEND_SMS,
        a2p(dst_numbers=["447443332212", "447443332213", "+44 (7443) 33-22-12"]),
        "dst_numbers[2]",
        "447***212 stands at position 0 already",
    ),
    (
        spec.A2P_SEND_SMS,
        a2p(dst_numbers="447443332212"),
        "dst_numbers",
        "is a value of type str; it must be a list",
    ),
    (spec.A2P_SEND_SMS, a2p(dst_numbers=[]), "dst_numbers", "is an empty list"),
    (
        spec.CONTROL_SMS,
        control(command="toggle"),
        "command",
        "is not one of enable, disable",
    ),
    (spec.GET_SMS_HISTORY, history(count=1001), "count", "is 1001; it must be at most 1000"),
    (spec.GET_SMS_HISTORY, history(count=0), "count", "is 0; it must be at least 1"),
    (spec.GET_SMS_HISTORY, history(offset=-1), "offset", "is -1; it must be at least 0"),
    (
        spec.GET_SMS_HISTORY,
        history(to_date=datetime(2026, 1, 1)),  # noqa: DTZ001 - the fault that is tested
        "to_date",
        "is a naive datetime; give it a time zone, such as datetime.UTC",
    ),
    (spec.GET_SMS_HISTORY, history(direction="up"), "direction", "is not one of IN, OUT"),
    (
        spec.GET_SMS_HISTORY,
        history(message_id=[1, 0]),
        "message_id[1]",
        "is 0; it must be at least 1",
    ),
    (
        spec.GET_SMS_HISTORY,
        history(from_date=NOW, to_date=NOW - timedelta(seconds=1)),
        "from_date",
        "is later than to_date",
    ),
    (
        spec.GET_RESOURCE_PRICE,
        spec.GetResourcePrice(resource_type=["SMSOUT", "AC;ME"]),
        "resource_type[1]",
        "has a ';', which separates the items of a list",
    ),
]


@pytest.mark.parametrize(
    ("row", "request_", "field", "problem"),
    BAD,
    ids=[f"{b[0].cmd} {b[2]} {i}" for i, b in enumerate(BAD)],
)
def test_bad_input_is_told_by_field_problem_and_limit(
    row: MethodSpec[..., object], request_: attrs.AttrsInstance, field: str, problem: str
) -> None:
    """Nothing leaves the machine, and the user reads which parameter is wrong and why."""
    error = faults_of(row, request_)
    assert type(error) is InvalidRequest
    assert error.faults == (Fault(field, problem),)
    assert str(error) == f"{row.cmd}: {field}: {problem}. Nothing was sent."
    assert error.sent == "no"


def test_every_fault_of_a_request_is_told_at_once() -> None:
    """One error is enough to mend everything; it shows no whole number and no text."""
    error = faults_of(
        spec.A2P_SEND_SMS,
        a2p(
            src_number=None,
            dst_numbers=["447443332212", "44 7443 332212", "4474433322120000", "nobody"],
            text="secret" * 300,
            store_body=1,
        ),
    )
    assert [fault.field for fault in error.faults] == [
        "src_number",
        "dst_numbers[2]",
        "dst_numbers[3]",
        "dst_numbers[1]",
        "text",
        "store_body",
    ]
    assert "447443332212" not in str(error)
    assert "secret" not in str(error)


def test_a_reversed_span_is_told_beside_other_faults() -> None:
    """The check of two parameters together does not wait for the others to be right."""
    error = faults_of(
        spec.GET_SMS_HISTORY, history(count=0, from_date=NOW, to_date=NOW - timedelta(days=1))
    )
    assert [fault.field for fault in error.faults] == ["count", "from_date"]


@pytest.mark.parametrize(
    "filters",
    [
        {"from_date": NOW},
        {"to_date": NOW},
        {"from_date": NOW, "to_date": NOW},
        {
            "from_date": NOW,
            "to_date": (NOW + timedelta(1)).astimezone(timezone(-timedelta(hours=9))),
        },
    ],
)
def test_a_span_may_be_open_or_one_moment(filters: dict[str, datetime]) -> None:
    """Both ends are inclusive, and either may be left out."""
    assert codec.write_request(spec.GET_SMS_HISTORY, history(**filters)).keys() == filters.keys()


@pytest.mark.parametrize("text", ["a\ud83d", "\x1b[0m"])
@pytest.mark.parametrize("wrap", [str, Message])
def test_a_text_no_message_can_carry_is_invalid_text(text: str, wrap: type[str | Message]) -> None:
    """Such a text has its own class, whatever else is wrong with the request."""
    error = faults_of(spec.SEND_SMS_MESSAGE, sms(sms_body=wrap(text), destination="x"))
    assert type(error) is InvalidText
    assert [fault.field for fault in error.faults] == ["destination", "sms_body"]


@pytest.mark.parametrize(
    ("row", "request_"),
    [
        (spec.A2P_SEND_SMS, a2p(text="x" * 1600, dst_numbers=HUNDRED_AND_ONE[:100])),
        (spec.A2P_SEND_SMS, a2p(text="\U0001f600" * 800)),
        (spec.SEND_SMS_MESSAGE, sms(sms_body="x" * 765)),
        (spec.SEND_SMS_MESSAGE, sms(sms_body="\U0001f600" * 382 + "x")),
        (spec.GET_SMS_HISTORY, history(count=1000)),
    ],
)
def test_the_limits_themselves_are_allowed(
    row: MethodSpec[..., object], request_: attrs.AttrsInstance
) -> None:
    """765 and 1600 code units, 100 numbers and 1000 rows go out."""
    assert codec.write_request(row, request_)


Found = tuple[str, int | None, Violation]


def read(
    row: MethodSpec[..., object], form: Mapping[str, str]
) -> tuple[dict[str, object], list[Found]]:
    """Read a form and give its values beside name, position and kind of each fault."""
    values, faults = codec.read_request(row, form)
    return values, [(f.name, f.fault.position, f.fault.violation) for f in faults]


def test_a_request_is_read_past_what_is_unknown_or_empty() -> None:
    """The sandbox takes fields it does not know and counts an empty optional one as absent."""
    form = {
        "phone_number": "447443332211",
        "command": "enable",
        "cmd": "ControlSms",
        "api_key": "k",
    }
    assert read(spec.CONTROL_SMS, form) == (
        {"phone_number": "447443332211", "command": SmsCommand.ENABLE},
        [],
    )
    assert read(spec.GET_SMS_HISTORY, {"count": "", "offset": "3"}) == ({"offset": 3}, [])


def test_a_missing_parameter_is_said_to_be_missing() -> None:
    """The sandbox can name the parameter and what is wrong in its answer."""
    _, [fault] = codec.read_request(spec.CONTROL_SMS, {"command": "enable"})
    assert fault.for_user() == Fault("phone_number", "is missing")


def test_every_fault_of_a_read_request_is_told() -> None:
    """The sandbox can choose the service's code for each kind of fault."""
    assert read(spec.A2P_SEND_SMS, {"text": "\x1b", "src_number": ""})[1] == [
        ("dst_numbers", None, Violation.MISSING),
        ("src_number", None, Violation.MISSING),
        ("text", None, Violation.UNSENDABLE),
    ]
    form = {"text": "x" * 1601, "src_number": "ACME", "dst_numbers": "12345;;x", "store_body": "1"}
    assert read(spec.A2P_SEND_SMS, form) == (
        {"src_number": "ACME"},
        [
            ("dst_numbers", 1, Violation.INVALID),
            ("dst_numbers", 2, Violation.INVALID),
            ("text", None, Violation.TOO_LONG),
            ("store_body", None, Violation.INVALID),
        ],
    )
    span = {"from_date": "2026-01-02 00:00:00", "to_date": "2026-01-01 00:00:00"}
    assert read(spec.GET_SMS_HISTORY, span)[1] == [("from_date", None, Violation.REVERSED)]
    assert read(spec.GET_SMS_HISTORY, {**span, "output": "pdf"})[1] == [
        ("output", None, Violation.INVALID)
    ]
