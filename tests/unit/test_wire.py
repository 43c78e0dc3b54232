"""How one parameter crosses the wire, in both directions: shared contract, section 1."""

from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

import pytest

from voxsms.api import wire
from voxsms.api.models import DeliveryStatus, Direction, Output, SmsCommand
from voxsms.api.wire import Violation, WireFault, WireFaults
from voxsms.text import Message

PHONE = wire.PhoneType()
SOURCE = wire.SenderType()
WORD = wire.StringType()
TEXT = wire.TextType(10)
COUNT = wire.IntType(1, 1000)
OFFSET = wire.IntType()
FLAG = wire.BoolType()
TIME = wire.TimeType()
DIRECTION = wire.ChoiceType(Direction)
COMMAND = wire.ChoiceType(SmsCommand)
STATUS = wire.ChoiceType(DeliveryStatus, wire=lambda status: str(status.number))
NUMBERS = wire.ListType(PHONE, 3, distinct=True)
IDS = wire.ListType(wire.IntType(1))
WORDS = wire.ListType(WORD)
SOURCES = wire.ListType(SOURCE)


class Rank(IntEnum):
    """An int that is more than an int."""

    FIRST = 1


def _name(value: object) -> str | None:
    """Name a case by its form alone: values are too odd to be names."""
    return type(value).__name__ if str(type(value)).find("wire.") > 0 else ""


def faults_of(form: wire.WireType, value: object) -> list[WireFault]:
    """Give what `write` finds wrong; a wire error of any other kind fails the test."""
    with pytest.raises(WireFaults) as caught:
        form.write(value)
    return caught.value.faults


def read_faults_of(form: wire.WireType, text: str) -> list[WireFault]:
    """Give what `read` finds wrong."""
    with pytest.raises(WireFaults) as caught:
        form.read(text)
    return caught.value.faults


GOOD: list[tuple[wire.WireType, object, str]] = [
    (PHONE, "447443332212", "447443332212"),
    (PHONE, "+44 (7443) 33-22.12", "447443332212"),
    (PHONE, "\u00a0+44\u202f7443\u2009332\u2011212\t", "447443332212"),
    (PHONE, "12345", "12345"),
    (PHONE, "123456789012345", "123456789012345"),
    (SOURCE, "+44 7443 332212", "447443332212"),
    (SOURCE, "123", "123"),
    (SOURCE, "07443 332212", "07443332212"),
    (SOURCE, "447443332212.0", "447443332212.0"),
    (SOURCE, "+44 (0)7443 332212", "+44 (0)7443 332212"),
    (SOURCE, "2026-11-27", "2026-11-27"),
    (SOURCE, "7-11", "7-11"),
    (SOURCE, "1.5", "1.5"),
    (SOURCE, "ACME", "ACME"),
    (SOURCE, " ACME-Shop 1 ", " ACME-Shop 1 "),
    (SOURCE, "+", "+"),
    (SOURCE, "44\u0663", "44\u0663"),
    (WORD, "SMSOUT", "SMSOUT"),
    (WORD, "a;b = c", "a;b = c"),
    (TEXT, "0123456789", "0123456789"),
    (TEXT, "\U0001f600" * 5, "\U0001f600" * 5),
    (TEXT, Message("Hi; you"), "Hi; you"),
    (COUNT, 1, "1"),
    (COUNT, 1000, "1000"),
    (OFFSET, 0, "0"),
    (OFFSET, 2**63 - 1, "9223372036854775807"),
    (FLAG, True, "true"),
    (FLAG, False, "false"),
    (TIME, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05"),
    (TIME, datetime(2026, 1, 2, 3, 4, 5, 999999, tzinfo=UTC), "2026-01-02 03:04:05"),
    (
        TIME,
        datetime(2026, 1, 2, 1, 0, 0, tzinfo=timezone(timedelta(hours=3))),
        "2026-01-01 22:00:00",
    ),
    (TIME, datetime(987, 1, 2, tzinfo=UTC), "0987-01-02 00:00:00"),
    (DIRECTION, "IN", "IN"),
    (DIRECTION, "out", "OUT"),
    (DIRECTION, Direction.IN, "IN"),
    (COMMAND, "enable", "enable"),
    (COMMAND, "DISABLE", "disable"),
    (STATUS, DeliveryStatus.QUEUED, "1"),
    (STATUS, "DELIVERED", "5"),
    (STATUS, "expired", "7"),
    (STATUS, 8, "8"),
    (STATUS, "2", "2"),
    (NUMBERS, ["12345"], "12345"),
    (NUMBERS, ("+1 2345", "1-2346", "12347"), "12345;12346;12347"),
    (NUMBERS, (number for number in ("12345", "12346")), "12345;12346"),
    (IDS, range(1, 4), "1;2;3"),
    (IDS, [7, 7], "7;7"),
]


@pytest.mark.parametrize(("form", "value", "text"), GOOD, ids=_name)
def test_a_good_value_is_written_as_documented(
    form: wire.WireType, value: object, text: str
) -> None:
    """What a user may give goes out in the one documented form."""
    assert form.write(value) == text


BAD: list[tuple[wire.WireType, Any, Violation, str]] = [
    (PHONE, None, Violation.INVALID, "is None; it must be a str"),
    (PHONE, 447443332212, Violation.INVALID, "is a value of type int; it must be a str"),
    (PHONE, "", Violation.MISSING, "is empty"),
    (PHONE, "1234", Violation.INVALID, "1***4 has 4 digits; a phone number has 5 to 15"),
    (
        PHONE,
        "1234567890123456",
        Violation.INVALID,
        "123***456 has 16 digits; a phone number has 5 to 15",
    ),
    (
        PHONE,
        "+00 44 7443 332212",
        Violation.INVALID,
        "004***212 starts with 00; write the country code without a prefix",
    ),
    (
        PHONE,
        "ACME-Shop",
        Violation.INVALID,
        "'AC***op' is not a phone number: only digits may remain",
    ),
    (
        PHONE,
        "44744333X2212",
        Violation.INVALID,
        "'447***212' is not a phone number: only digits may remain",
    ),
    (
        PHONE,
        "1+2345678",
        Violation.INVALID,
        "'1+***78' is not a phone number: only digits may remain",
    ),
    (
        PHONE,
        "1234\u0665",
        Violation.INVALID,
        "'1***\u0665' is not a phone number: only digits may remain, and only 0 to 9",
    ),
    (PHONE, "\ud83d" * 3, Violation.INVALID, "'***' is not a phone number: only digits may remain"),
    (SOURCE, b"ACME", Violation.INVALID, "is a value of type bytes; it must be a str"),
    (SOURCE, "", Violation.MISSING, "is empty"),
    (
        SOURCE,
        "AC\ud83dME",
        Violation.INVALID,
        "has a lone surrogate, half of a character that was cut",
    ),
    (WORD, 5, Violation.INVALID, "is a value of type int; it must be a str"),
    (WORD, "\udc00", Violation.INVALID, "has a lone surrogate, half of a character that was cut"),
    (TEXT, None, Violation.INVALID, "is None; it must be a str"),
    (TEXT, ["Hi"], Violation.INVALID, "is a value of type list; it must be a str"),
    (TEXT, "", Violation.MISSING, "is empty"),
    (TEXT, Message(""), Violation.MISSING, "is empty"),
    (TEXT, "01234567890", Violation.TOO_LONG, "has 11 UTF-16 code units; at most 10 are allowed"),
    (
        TEXT,
        "\U0001f600" * 6,
        Violation.TOO_LONG,
        "has 12 UTF-16 code units; at most 10 are allowed",
    ),
    (COUNT, 0, Violation.OUT_OF_RANGE, "is 0; it must be at least 1"),
    (COUNT, 1001, Violation.OUT_OF_RANGE, "is 1001; it must be at most 1000"),
    (COUNT, True, Violation.INVALID, "is a value of type bool; it must be an int"),
    (COUNT, "5", Violation.INVALID, "is a value of type str; it must be an int"),
    (COUNT, 5.0, Violation.INVALID, "is a value of type float; it must be an int"),
    (COUNT, Rank.FIRST, Violation.INVALID, "is a value of type Rank; it must be an int"),
    (OFFSET, -1, Violation.OUT_OF_RANGE, "is -1; it must be at least 0"),
    (OFFSET, 2**63, Violation.OUT_OF_RANGE, "is too large for 64 bits"),
    (FLAG, 1, Violation.INVALID, "is a value of type int; it must be a bool"),
    (FLAG, "true", Violation.INVALID, "is a value of type str; it must be a bool"),
    (
        TIME,
        "2026-01-02 03:04:05",
        Violation.INVALID,
        "is a value of type str; it must be an aware datetime",
    ),
    (
        TIME,
        datetime(2026, 1, 2),  # noqa: DTZ001 - the fault that is tested
        Violation.INVALID,
        "is a naive datetime; give it a time zone, such as datetime.UTC",
    ),
    (
        TIME,
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        Violation.INVALID,
        "is outside the years 1 to 9999 in UTC",
    ),
    (DIRECTION, "sideways", Violation.INVALID, "is not one of IN, OUT"),
    (DIRECTION, SmsCommand.ENABLE, Violation.INVALID, "is not one of IN, OUT"),
    (COMMAND, "toggle", Violation.INVALID, "is not one of enable, disable"),
    (COMMAND, None, Violation.INVALID, "is not one of enable, disable"),
    (COMMAND, [], Violation.INVALID, "is not one of enable, disable"),
    (
        STATUS,
        9,
        Violation.INVALID,
        (
            "is not one of QUEUED (1), DISPATCHED (2), ABORTED (3), REJECTED (4), DELIVERED (5), "
            "FAILED (6), EXPIRED (7), UNKNOWN (8)"
        ),
    ),
    (NUMBERS, "447443332212", Violation.INVALID, "is a value of type str; it must be a list"),
    (NUMBERS, b"447443332212", Violation.INVALID, "is a value of type bytes; it must be a list"),
    (NUMBERS, 447443332212, Violation.INVALID, "is a value of type int; it must be a list"),
    (NUMBERS, None, Violation.INVALID, "is None; it must be a list"),
    (NUMBERS, [], Violation.MISSING, "is an empty list"),
    (
        NUMBERS,
        ["12345", "12346", "12347", "12348"],
        Violation.TOO_LONG,
        "has 4 items; at most 3 are allowed",
    ),
]


@pytest.mark.parametrize(("form", "value", "trouble", "problem"), BAD, ids=_name)
def test_a_bad_value_is_told_with_its_problem_and_the_limit(
    form: wire.WireType, value: object, trouble: Violation, problem: str
) -> None:
    """A newcomer reads what is wrong and what would be right; no number is shown whole."""
    [fault] = faults_of(form, value)
    assert (fault.violation, fault.problem, fault.position) == (trouble, problem, None)


def test_an_int_too_long_to_be_written_is_a_fault_too() -> None:
    """Python refuses to write such an int; a user is told, and not with Python's own error."""
    [fault] = faults_of(OFFSET, -(10**5000))
    assert (fault.violation, fault.problem) == (Violation.OUT_OF_RANGE, "is too large for 64 bits")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a\ud83d", "U+D83D at index 1"),
        ("\udc00", "U+DC00 at index 0"),
        ("ab\x1b", "U+001B at index 2"),
    ],
)
@pytest.mark.parametrize("wrap", [str, Message])
def test_a_text_that_no_message_can_carry_is_refused_by_name(
    text: str, named: str, wrap: type[str] | type[Message]
) -> None:
    """Half a character or a bare ESC is found before it is sent, and said where it stands."""
    [fault] = faults_of(TEXT, wrap(text))
    assert fault.violation is Violation.UNSENDABLE
    assert fault.problem.startswith(named)


def test_a_text_too_long_and_unsendable_has_both_faults() -> None:
    """Each fault is told at once, so nobody corrects a text twice."""
    found = faults_of(TEXT, "0123456789\ud83d")
    assert [fault.violation for fault in found] == [Violation.TOO_LONG, Violation.UNSENDABLE]


def test_every_bad_item_of_a_list_is_named_by_position() -> None:
    """One look at the error is enough to mend the list, however many items are wrong."""
    found = faults_of(NUMBERS, ["123", "12345", None, "+1 2345", "", "1 23 45"])
    assert [(fault.position, fault.violation, fault.problem) for fault in found] == [
        (None, Violation.TOO_LONG, "has 6 items; at most 3 are allowed"),
        (0, Violation.INVALID, "*** has 3 digits; a phone number has 5 to 15"),
        (2, Violation.INVALID, "is None; it must be a str"),
        (4, Violation.MISSING, "is empty"),
        (3, Violation.INVALID, "1***5 stands at position 1 already"),
        (5, Violation.INVALID, "1***5 stands at position 1 already"),
    ]


def test_the_same_number_in_two_spellings_is_one_number() -> None:
    """A message would be delivered twice to it, so both positions are named."""
    [fault] = faults_of(NUMBERS, ["+44 7443 332212", "447443332213", "(44)7443-332212"])
    assert (fault.position, fault.problem) == (2, "447***212 stands at position 0 already")


@pytest.mark.parametrize("form", [WORDS, SOURCES])
def test_an_item_cannot_smuggle_in_another(form: wire.WireType) -> None:
    """A `;` inside an item would make two items of it on the wire."""
    [fault] = faults_of(form, ["SMSOUT", "A2P;SMS"])
    assert (fault.position, fault.problem) == (1, "has a ';', which separates the items of a list")


READ: list[tuple[wire.WireType, str, object]] = [
    (PHONE, "447443332212", "447443332212"),
    (SOURCE, "ACME", "ACME"),
    (COUNT, "1000", 1000),
    (FLAG, "true", True),
    (FLAG, "True", True),  # the official Python client
    (FLAG, "False", False),
    (TIME, "2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    (DIRECTION, "in", Direction.IN),
    (DIRECTION, "OUT", Direction.OUT),
    (COMMAND, "disable", SmsCommand.DISABLE),
    (STATUS, "5", DeliveryStatus.DELIVERED),
    (STATUS, "DELIVERED", DeliveryStatus.DELIVERED),
    (wire.ChoiceType(Output), "json", Output.JSON),
    (NUMBERS, "12345;+1 2346", ("12345", "12346")),
    (IDS, "1;22", (1, 22)),
]


@pytest.mark.parametrize(("form", "text", "value"), READ, ids=_name)
def test_what_clients_send_is_read(form: wire.WireType, text: str, value: object) -> None:
    """The sandbox takes the documented form and what the official clients make of it."""
    got = form.read(text)
    assert got == value
    assert type(got) is type(value)


UNREADABLE: list[tuple[wire.WireType, str, Violation, str]] = [
    (COUNT, "five", Violation.INVALID, "is not a whole number"),
    (COUNT, "-", Violation.INVALID, "is not a whole number"),
    (COUNT, "1.0", Violation.INVALID, "is not a whole number"),
    (COUNT, "\u0661", Violation.INVALID, "is not a whole number"),
    (COUNT, "9" * 5000, Violation.INVALID, "is not a whole number"),
    (COUNT, "1001", Violation.OUT_OF_RANGE, "is 1001; it must be at most 1000"),
    (OFFSET, "-1", Violation.OUT_OF_RANGE, "is -1; it must be at least 0"),
    (OFFSET, "9999999999999999999", Violation.OUT_OF_RANGE, "is too large for 64 bits"),
    (FLAG, "yes", Violation.INVALID, "is neither true nor false"),
    (FLAG, "", Violation.INVALID, "is neither true nor false"),
    (TIME, "2026-01-02", Violation.INVALID, "is not a time of the form yyyy-MM-dd HH:mm:ss"),
    (TIME, "2026-1-2 3:4:5", Violation.INVALID, "is not a time of the form yyyy-MM-dd HH:mm:ss"),
    (
        TIME,
        "2026-01-02T03:04:05",
        Violation.INVALID,
        "is not a time of the form yyyy-MM-dd HH:mm:ss",
    ),
    (
        TIME,
        "2026-02-30 00:00:00",
        Violation.INVALID,
        "is not a time of the form yyyy-MM-dd HH:mm:ss",
    ),
    (DIRECTION, "", Violation.INVALID, "is not one of IN, OUT"),
]


@pytest.mark.parametrize(("form", "text", "trouble", "problem"), UNREADABLE, ids=_name)
def test_what_cannot_be_read_is_told(
    form: wire.WireType, text: str, trouble: Violation, problem: str
) -> None:
    """The sandbox refuses what the service would refuse, and knows which refusal it is."""
    [fault] = read_faults_of(form, text)
    assert (fault.violation, fault.problem, fault.position) == (trouble, problem, None)


def test_a_list_with_an_empty_item_is_read_with_its_position() -> None:
    """A stray `;` at the end is a fault of the item after it."""
    [fault] = read_faults_of(NUMBERS, "12345;")
    assert fault.position == 1


def test_a_fault_stands_for_itself_where_several_may_come() -> None:
    """Whoever catches one fault or several reads them in the same way."""
    fault = WireFault("is empty", Violation.MISSING, 3)
    assert fault.faults == [fault]
    assert isinstance(fault, WireFaults | ValueError)
    assert str(WireFaults([fault]).faults[0].problem) == "is empty"


@pytest.mark.parametrize(
    ("text", "units"), [("", 0), ("abc", 3), ("\u20ac", 1), ("\U0001f600a", 3), ("\ud83d", 1)]
)
def test_utf16_units_are_counted(text: str, units: int) -> None:
    """A character outside the basic plane counts twice, as the service is taken to count."""
    assert wire.utf16_units(text) == units
