"""JSON values into records: every looseness of the contract, and readers that agree."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxsms.api import decode, fast_decode
from voxsms.api.decode import Unreadable
from voxsms.api.models import (
    A2PSendSmsResult,
    A2PSmsHistory,
    AccountInfo,
    DeliveryStatus,
    Direction,
    HistoryPage,
    MessageStatus,
    PhoneNumber,
    PriceGroupParams,
    ResourcePrice,
    SmsHistory,
)

ROW: Mapping[str, object] = {
    "message_id": 1,
    "source_number": "12345678111",
    "destination_number": "12345678222",
    "fragments": 1,
    "cost": 2.7123,
    "status_id": "1",
    "processing_date": "2019-06-04 21:00:00",
}
"""A row of the A2P history with all it needs."""


def row(**changes: object) -> A2PSmsHistory:
    """Read a row with other values."""
    return decode.read(A2PSmsHistory, {**ROW, **changes})


def trouble(**changes: object) -> tuple[str, str]:
    """Give path and problem of a row that can not be read."""
    with pytest.raises(Unreadable) as caught:
        row(**changes)
    return caught.value.path, caught.value.problem


LOOSE: list[tuple[str, object, object]] = [
    ("source_number", 12345678111, "12345678111"),
    ("source_number", 12345678111.0, "12345678111"),
    ("source_number", "ACME", "ACME"),
    ("destination_number", 12345678222, "12345678222"),
    ("destination_number", "+1 234", "+1 234"),
    ("status_id", 1, MessageStatus.SUCCESS),
    ("status_id", "2", MessageStatus.ERROR),
    ("status_id", 3.0, MessageStatus.WAITING),
    ("status_id", "4", "4"),
    ("status_id", 17, "17"),
    ("delivery_status", "DELIVERED", DeliveryStatus.DELIVERED),
    ("delivery_status", "delivered", DeliveryStatus.DELIVERED),
    ("delivery_status", "TELEPORTED", "TELEPORTED"),
    ("delivery_status", None, None),
    ("fragments", 0, 0),
    ("fragments", "3", 3),
    ("fragments", 3.0, 3),
    ("message_id", "18446744073709551616", 2**64),
    ("message_id", None, None),
    ("message_id", 2.0**53 - 1, 2**53 - 1),
    ("transaction_id", -5, -5),
    ("transaction_id", "-5", -5),
    ("processing_date", "2019-06-04 21:00:00", datetime(2019, 6, 4, 21, tzinfo=UTC)),
    ("processing_date", "2019-06-04", datetime(2019, 6, 4, tzinfo=UTC)),
    ("processing_date", "2019-06-04T21:00:00", datetime(2019, 6, 4, 21, tzinfo=UTC)),
    (
        "processing_date",
        "2019-06-04 21:00:00.5",
        datetime(2019, 6, 4, 21, 0, 0, 500000, tzinfo=UTC),
    ),
    ("processing_date", "2019-06-04 21:00+03", datetime(2019, 6, 4, 18, tzinfo=UTC)),
    ("processing_date", "2019-06-04T21:00:00Z", datetime(2019, 6, 4, 21, tzinfo=UTC)),
    ("processing_date", "", None),
    ("processing_date", None, None),
    ("error_message", 404, "404"),
    ("text", "", ""),
]


@pytest.mark.parametrize(("field", "value", "expected"), LOOSE)
def test_a_loose_value_is_read_as_what_it_means(
    field: str, value: object, expected: object
) -> None:
    """Every documented looseness arrives in one form, of one type."""
    got = getattr(row(**{field: value}), field)
    assert got == expected
    assert type(got) is type(expected)


def test_a_time_is_in_utc_however_it_came() -> None:
    """Every time of a record has the zone UTC itself, not another with the same offset."""
    for written in ("2019-06-04 21:00:00", "2019-06-04", "2019-06-04 21:00:00+03:00"):
        time = row(processing_date=written).processing_date
        assert time is not None
        assert time.tzinfo is UTC


WRONG: list[tuple[str, object, str]] = [
    ("source_number", None, "source_number is missing"),
    ("source_number", True, "a value of type bool where a string was expected"),
    ("source_number", 1.5, "a value of type float where a string was expected"),
    ("source_number", 1e300, "a value of type float where a string was expected"),
    ("source_number", ["1"], "a value of type list where a string was expected"),
    ("status_id", None, "status_id is missing"),
    ("status_id", {}, "a value of type dict where a string was expected"),
    ("fragments", True, "a value of type bool where a whole number was expected"),
    ("fragments", 1.5, "a value of type float where a whole number was expected"),
    ("fragments", "one", "a value of type str where a whole number was expected"),
    ("fragments", "", "a value of type str where a whole number was expected"),
    ("fragments", "--1", "a value of type str where a whole number was expected"),
    ("fragments", "\u0661", "a value of type str where a whole number was expected"),
    ("message_id", 2.0**53, "a value of type float where a whole number was expected"),
    ("message_id", 2.0**64, "a value of type float where a whole number was expected"),
    ("message_id", [], "a value of type list where a whole number was expected"),
    ("cost", None, "cost is missing"),
    ("cost", False, "a value of type bool where an amount was expected"),
    ("cost", "dear", "a string that is not an amount"),
    ("cost", "", "a string that is not an amount"),
    ("cost", "NaN", "an amount that is not finite"),
    ("cost", "-Infinity", "an amount that is not finite"),
    ("cost", "1e99999999999999999999", "a string that is not an amount"),
    ("processing_date", 20190604, "a value of type int where a time was expected"),
    (
        "processing_date",
        "yesterday at nine o",
        "a string that is not a time of the form yyyy-MM-dd HH:mm:ss",
    ),
    ("processing_date", "null", "a string that is not a time of the form yyyy-MM-dd HH:mm:ss"),
    ("processing_date", "0000-00-0", "a string that is not a time of the form yyyy-MM-dd HH:mm:ss"),
    ("delivery_status", 1.5, "a value of type float where a string was expected"),
    ("text", {"a": 1}, "a value of type dict where a string was expected"),
]


@pytest.mark.parametrize(("field", "value", "problem"), WRONG)
def test_a_wrong_value_is_told_by_path_and_type(field: str, value: object, problem: str) -> None:
    """What can not be read is named, and its value is not shown."""
    assert trouble(**{field: value}) == (field, problem)


def test_a_number_too_long_to_be_read_is_told() -> None:
    """Python refuses to read thousands of digits; that is told like any other trouble."""
    path, problem = trouble(fragments="9" * 5000)
    assert path == "fragments"
    assert "9" * 10 not in problem


def test_what_is_told_has_no_chain_that_shows_the_value() -> None:
    """A traceback of the error does not print what stood in the place of a date."""
    with pytest.raises(Unreadable) as caught:
        row(processing_date="call 12345678222 ok")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "12345678222" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0, False),
        ("true", True),
        ("False", False),
        (None, False),
    ],
)
def test_a_flag_is_read_however_it_is_written(value: object, expected: object) -> None:
    """True, 1 and "true" are the same, and null is the default."""
    number = decode.read(
        PhoneNumber, {"phone_id": 1, "phone_number": "12345", "is_sms_enabled": value}
    )
    assert number.is_sms_enabled is expected


@pytest.mark.parametrize("value", [2, -1, "yes", "", 1.0, [], {}])
def test_what_is_no_flag_is_told(value: object) -> None:
    """A value that is neither true nor false is not guessed at."""
    with pytest.raises(Unreadable) as caught:
        decode.read(PhoneNumber, {"phone_id": 1, "phone_number": "12345", "canceled": value})
    assert caught.value.path == "canceled"
    assert caught.value.problem.endswith("where true or false was expected")


def test_a_second_name_counts_where_the_first_is_not_there() -> None:
    """`transaction_id` is taken for `message_id`, and `message_id` goes before it."""
    sent = [
        {"transaction_id": 1, "destination_number": "12345"},
        {"message_id": None, "transaction_id": 2, "destination_number": "12346"},
        {"message_id": 3, "transaction_id": 9, "destination_number": "12347"},
    ]
    got = decode.read(A2PSendSmsResult, {"result": sent, "fragments_count": 1})
    assert [accepted.message_id for accepted in got.result] == [1, 2, 3]


IMPOSSIBLE = [
    "0000-00-00 00:00:00",
    "0000-00-00",
    "0000-00-00T00:00:00Z",
    "-0001-11-30 00:00:00",
    "2026-13-01 00:00:00",
    "2026-02-30",
    "2026-01-01 25:00:00",
    "0001-01-01 00:00:00+01:00",
    "9999-12-31 23:59:59-01:00",
]


@pytest.mark.parametrize("written", IMPOSSIBLE)
def test_a_row_with_an_impossible_time_comes_without_one(
    written: str, caplog: pytest.LogCaptureFixture
) -> None:
    """MySQL's zero date ends no reading: the row is there, and a warning says so, once."""
    decode.warn_of_impossible_time.cache_clear()
    assert row(processing_date=written).processing_date is None
    assert row(processing_date=written).message_id == 1
    assert [each.getMessage() for each in caplog.records] == [
        "a row has an impossible time; its time is None"
    ]


@pytest.mark.parametrize("written", IMPOSSIBLE)
def test_a_page_with_an_impossible_time_is_whole(written: str) -> None:
    """The rows around it keep their times."""
    rows = [{**ROW, "processing_date": each} for each in ("2019-06-04 21:00:00", written, "")]
    page = decode.read(HistoryPage[A2PSmsHistory], {"result": rows, "total_count": 3})
    assert [each.processing_date for each in page.result] == [
        datetime(2019, 6, 4, 21, tzinfo=UTC),
        None,
        None,
    ]


GROUP = {"price_group_id": 1, "price_group_name": "all", "price": 1}


@pytest.mark.parametrize("empty", [[], {}, None])
def test_an_empty_object_or_list_may_be_written_as_the_other(empty: object) -> None:
    """PHP writes `[]` for both, or `{}`; null is as if it were not there."""
    price = {"resource_type": "SMSOUT", "price_groups": [{**GROUP, "params": empty}]}
    [found] = decode.read(tuple[ResourcePrice, ...], [price])
    assert found.price_groups[0].params == PriceGroupParams()
    params = {"allowed": ["44"], "forbidden": empty, "requested": empty}
    price = {"resource_type": "SMSOUT", "price_groups": [{**GROUP, "params": params}]}
    [found] = decode.read(tuple[ResourcePrice, ...], [price])
    assert found.price_groups[0].params == PriceGroupParams(("44",))
    [found] = decode.read(
        tuple[ResourcePrice, ...], [{"resource_type": "SMSOUT", "price_groups": empty}]
    )
    assert found.price_groups == ()
    accepted = [{"message_id": 1, "destination_number": "12345"}]
    sent = {"result": accepted, "failed": empty, "fragments_count": 1}
    assert decode.read(A2PSendSmsResult, sent).failed == ()


def test_an_empty_page_may_be_an_empty_object() -> None:
    """No rows are no rows however they are written."""
    assert decode.read(tuple[ResourcePrice, ...], {}) == ()
    page = decode.read(HistoryPage[SmsHistory], {"result": {}, "total_count": 0})
    assert page.result == ()
    sent = decode.read(A2PSendSmsResult, {"result": {}, "failed": {}, "fragments_count": 1})
    assert (sent.result, sent.failed) == ((), ())


def test_an_empty_list_has_not_what_an_object_must_have() -> None:
    """Read as empty, and then missed."""
    with pytest.raises(Unreadable) as caught:
        decode.read(A2PSmsHistory, [])
    assert caught.value.problem == "source_number is missing"


@pytest.mark.parametrize("value", [None, 1, "x", [1], {"a": 1}])
@pytest.mark.parametrize(
    "kind", [A2PSmsHistory, HistoryPage[SmsHistory], tuple[ResourcePrice, ...]]
)
def test_what_is_no_record_is_told(kind: Any, value: object) -> None:  # noqa: ANN401 - a generic alias
    """A value of another kind has the path of the whole or of its first item."""
    if isinstance(value, dict) and kind != tuple[ResourcePrice, ...]:
        return
    with pytest.raises(Unreadable) as caught:
        decode.read(kind, value)
    assert caught.value.path in ("$", "[0]")
    assert caught.value.problem.endswith(
        ("where an object was expected", "where a list was expected")
    )


def test_the_first_of_many_faults_is_told() -> None:
    """One path is given: the first place a person has to look at."""
    page = {"result": [{**ROW, "cost": "x"}, {**ROW, "cost": "y", "text": 1.5}], "total_count": "z"}
    with pytest.raises(Unreadable) as caught:
        decode.read(HistoryPage[A2PSmsHistory], page)
    assert caught.value.path == "result[0].cost"


_DIGITS_OF_A_DOUBLE = 15
_AMOUNTS = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**_DIGITS_OF_A_DOUBLE - 1),
    st.integers(-20, 5),
)


@given(_AMOUNTS)
def test_money_of_fifteen_digits_is_the_number_on_the_wire(amount: Decimal) -> None:
    """What is read is a double, which holds 15 significant digits as they were written."""
    body = f'{{"cost": {amount}}}'.replace("E+", "E")
    assert row(**orjson.loads(body)).cost == amount


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_money_in_a_string_is_exact(amount: Decimal) -> None:
    """An amount that came as text keeps every digit."""
    got = row(cost=str(amount)).cost
    assert got == amount
    assert str(got) == str(amount)


@given(st.integers(-(2**63), 2**64 - 1))
def test_money_without_a_point_is_exact(amount: int) -> None:
    """A whole amount is no double on the way."""
    assert row(**orjson.loads(f'{{"cost": {amount}}}')).cost == amount


def test_many_different_amounts_are_all_right() -> None:
    """The cache of amounts forgets, so that memory stays flat, and never mixes them up."""
    for cents in [*range(10_000), *range(100)]:
        assert row(cost=cents / 100).cost == Decimal(cents) / 100
        assert len(decode.AMOUNTS) <= 4096


_TEXTS = st.text("abc1 é€", max_size=4)
_NUMBERS = st.one_of(
    st.integers(0, 10**15), st.from_regex(r"[0-9]{5,15}", fullmatch=True), st.just("ACME")
)
_INTS = st.one_of(st.integers(-5, 2**64 - 1), st.integers(0, 99).map(str), st.just(2.0))
_MONEY = st.one_of(
    st.integers(-10, 10**6),
    st.floats(-1e6, 1e6),
    st.decimals(-100, 100, places=4).map(str),
)
_TIMES = st.one_of(
    st.none(),
    st.just(""),
    st.dates().map(str),
    st.datetimes().map(lambda time: time.isoformat(" ", "seconds")),
    st.datetimes().map(lambda time: time.isoformat("T", "minutes")),
    st.datetimes(
        min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis adds the zones
        max_value=datetime(9998, 1, 1),  # noqa: DTZ001
        timezones=st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours))),
    ).map(str),
    st.from_regex(r"20[0-9]{2}-?0[1-9]-?0[1-9][T ][0-9:.+-]{5,12}", fullmatch=True),
)
_STATUSES = st.one_of(st.sampled_from(["1", "2", "3", "9"]), st.integers(1, 9))
_FLAGS = st.one_of(st.booleans(), st.integers(0, 1), st.sampled_from(["true", "False"]))
_EXTRA = {"added_later": st.one_of(st.none(), st.lists(_TEXTS, max_size=1))}
_OPTIONAL = {
    "error_message": st.none() | _TEXTS,
    "transaction_id": st.none() | _INTS,
    "text": st.none() | _TEXTS,
    **_EXTRA,
}
_COMMON = {
    "message_id": st.none() | _INTS,
    "source_number": _NUMBERS,
    "destination_number": _NUMBERS,
    "fragments": _INTS,
    "cost": _MONEY,
    "status_id": _STATUSES,
}
_HISTORY = st.fixed_dictionaries(
    {**_COMMON, "direction": st.sampled_from(["IN", "OUT", "in", "UP"]), "processed_date": _TIMES},
    optional=_OPTIONAL,
)
_A2P_HISTORY = st.fixed_dictionaries(
    {**_COMMON, "processing_date": _TIMES},
    optional={
        **_OPTIONAL,
        "delivery_status": st.none() | st.sampled_from([*DeliveryStatus, "failed", "NEW"]),
    },
)
_PHONES = st.fixed_dictionaries(
    {"phone_id": _INTS, "phone_number": _NUMBERS},
    optional={
        "phone_region_name": st.none() | _TEXTS,
        "is_sms_supported": _FLAGS,
        "deactivated": _FLAGS,
        **_EXTRA,
    },
)
_PREFIXES = st.lists(st.one_of(st.integers(0, 999), st.integers(0, 999).map(str)), max_size=2)
_GROUPS = st.fixed_dictionaries(
    {"price_group_id": _INTS, "price_group_name": _TEXTS, "price": _MONEY},
    optional={
        "num_resources_per_price": _INTS,
        "quantum": _INTS,
        "params": st.fixed_dictionaries(
            {}, optional={"allowed": _PREFIXES, "forbidden": _PREFIXES}
        ),
        **_EXTRA,
    },
)
_PRICES = st.fixed_dictionaries(
    {"resource_type": _TEXTS}, optional={"price_groups": st.lists(_GROUPS, max_size=2)}
)
_ACCOUNTS = st.fixed_dictionaries(
    {"account_id": _INTS, "account_name": _TEXTS, "balance": _MONEY, "currency": _TEXTS},
    optional={
        "credit_limit": st.none() | _MONEY,
        "a2p_sms_enabled": st.none() | _FLAGS,
        "api_key": st.none() | _TEXTS,
        **_EXTRA,
    },
)
_SENT = st.fixed_dictionaries(
    {
        "result": st.lists(
            st.fixed_dictionaries({"message_id": _INTS, "destination_number": _NUMBERS}), max_size=2
        ),
        "fragments_count": _INTS,
    },
    optional={
        "failed": st.lists(
            st.fixed_dictionaries(
                {"destination_number": _NUMBERS, "error_description": _TEXTS, "error_code": _INTS}
            ),
            max_size=2,
        )
    },
)


def _pages(rows: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"result": st.lists(rows, max_size=3), "total_count": _INTS})


@given(
    st.one_of(
        st.tuples(st.just(HistoryPage[SmsHistory]), _pages(_HISTORY)),
        st.tuples(st.just(HistoryPage[A2PSmsHistory]), _pages(_A2P_HISTORY)),
        st.tuples(st.just(HistoryPage[PhoneNumber]), _pages(_PHONES)),
    ),
    st.booleans(),
)
def test_a_page_read_fast_is_the_page(case: tuple[Any, object], structs: bool) -> None:
    """What the fast readers take they read as `decode` does; the rest they leave to it."""
    kind, value = case
    body = json.dumps(value).encode()
    with nullcontext() if structs else patch.object(fast_decode, "msgspec", None):
        fast = fast_decode.page_reader(kind)(body)
    if fast is not None:
        assert repr(fast) == repr(decode.read(kind, orjson.loads(body)))


@given(
    st.one_of(
        st.tuples(st.just(tuple[ResourcePrice, ...]), st.lists(_PRICES, max_size=2)),
        st.tuples(st.just(AccountInfo), _ACCOUNTS),
        st.tuples(st.just(A2PSendSmsResult), _SENT),
    )
)
def test_a_documented_answer_can_always_be_read(case: tuple[Any, object]) -> None:
    """With every looseness of the contract, alone and together."""
    kind, value = case
    assert decode.read(kind, orjson.loads(json.dumps(value))) is not None


@pytest.mark.parametrize("value", ["IN", "in", Direction.IN])
def test_a_direction_is_known_in_either_case(value: object) -> None:
    """The request's `in` and the answer's `IN` are one direction."""
    data = {**ROW, "direction": value, "processed_date": ""}
    assert decode.read(SmsHistory, data).direction is Direction.IN
