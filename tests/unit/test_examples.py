"""Every example of the contract (copied to `tests/vectors/examples`), with its values by hand."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from voxsms import errors
from voxsms.api import codec, spec
from voxsms.api.models import (
    A2PSendSmsResult,
    A2PSmsHistory,
    AccountInfo,
    ControlSmsResult,
    DeliveryStatus,
    Direction,
    FailedSms,
    HistoryPage,
    MessageStatus,
    PhoneNumber,
    PriceGroup,
    PriceGroupParams,
    ResourcePrice,
    SendSmsMessageResult,
    SmsHistory,
    SmsTransaction,
)

_EXAMPLES = Path(__file__).parents[1] / "vectors" / "examples"

_A2P_HISTORY = HistoryPage(
    result=(
        A2PSmsHistory(
            message_id=1,
            source_number="12345678111",
            destination_number="12345678222",
            fragments=0,
            cost=Decimal("4.3437"),
            status_id=MessageStatus.ERROR,
            processing_date=datetime(2019, 3, 11, 21, 0, 0, tzinfo=UTC),
            delivery_status=DeliveryStatus.FAILED,
            error_message="Error send sms to 12345678222 from 12345678111 Code = 1",
            transaction_id=123123,
            text="Your reservation has been confirmed",
        ),
        A2PSmsHistory(
            message_id=3,
            source_number="12345678111",
            destination_number="12345678222",
            fragments=1,
            cost=Decimal("2.7123"),
            status_id=MessageStatus.SUCCESS,
            processing_date=datetime(2019, 6, 4, 21, 0, 0, tzinfo=UTC),
            delivery_status=DeliveryStatus.DELIVERED,
            error_message=None,
            transaction_id=3333,
            text="Your reservation has been canceled",
        ),
    ),
    total_count=2,
)
_HISTORY = HistoryPage(
    result=(
        SmsHistory(
            message_id=1,
            source_number="12345678111",
            destination_number="12345678222",
            direction=Direction.OUT,
            fragments=1,
            cost=Decimal("2.7123"),
            status_id=MessageStatus.SUCCESS,
            processed_date=datetime(2019, 6, 4, 21, 0, 0, tzinfo=UTC),
            error_message=None,
            transaction_id=3333,
            text=None,
        ),
        SmsHistory(
            message_id=2,
            source_number="12345678222",
            destination_number="12345678111",
            direction=Direction.IN,
            fragments=2,
            cost=Decimal("0.5"),
            status_id=MessageStatus.SUCCESS,
            processed_date=datetime(2019, 6, 4, 0, 0, 0, tzinfo=UTC),
            error_message=None,
            transaction_id=None,
            text="Привет",
        ),
    ),
    total_count=2,
)
_NUMBERS = HistoryPage(
    result=(
        PhoneNumber(
            phone_id=11,
            phone_number="447443332211",
            phone_country_code="GB",
            phone_region_name="Mobile",
            is_sms_supported=True,
            is_sms_enabled=False,
            incoming_sms_callback_url=None,
            deactivated=False,
            canceled=False,
        ),
    ),
    total_count=1,
)
_ACCOUNT = AccountInfo(
    account_id=1,
    account_name="acme",
    account_email="ops@acme.example",
    api_key="not-a-real-key",
    balance=Decimal("100.5"),
    credit_limit=Decimal(0),
    currency="USD",
    a2p_sms_enabled=True,
    callback_url="https://acme.example/voximplant",
    callback_salt="not-a-real-salt",
    api_address="api.voximplant.com",
)
_PRICES = (
    ResourcePrice(
        resource_type="SMSOUT",
        price_groups=(
            PriceGroup(
                price_group_id=101,
                price_group_name="USA",
                price=Decimal("0.0079"),
                num_resources_per_price=1,
                quantum=1,
                params=PriceGroupParams(allowed=("1",), forbidden=("1876", "1809")),
            ),
            PriceGroup(
                price_group_id=102,
                price_group_name="United Kingdom",
                price=Decimal("0.041"),
                num_resources_per_price=1,
                quantum=1,
                params=PriceGroupParams(allowed=("44",)),
            ),
            PriceGroup(
                price_group_id=103,
                price_group_name="United Kingdom Mobile",
                price=Decimal("3.55"),
                num_resources_per_price=100,
                quantum=1,
                params=PriceGroupParams(allowed=("447",)),
            ),
        ),
    ),
    ResourcePrice(
        resource_type="A2P_SMS_E212",
        price_groups=(
            PriceGroup(
                price_group_id=201,
                price_group_name="Russia Mobile",
                price=Decimal("0.0312"),
                num_resources_per_price=1,
                quantum=1,
                params=PriceGroupParams(allowed=("79",), requested=("79263331122",)),
            ),
        ),
    ),
)
_SENT = SmsTransaction(message_id=3996474, destination_number="447443332213")
_REFUSED = FailedSms(
    destination_number="447443332212", error_description="SMS failed to send.", error_code=385
)

_EXPECTED: dict[str, tuple[str, object]] = {
    "send_sms_message": (
        "SendSmsMessage",
        SendSmsMessageResult(result=1, message_id=1861, fragments_count=1),
    ),
    "send_sms_message_older": (
        "SendSmsMessage",
        SendSmsMessageResult(result=1, message_id=None, fragments_count=1),
    ),
    "a2p_send_sms_partial": (
        "A2PSendSms",
        A2PSendSmsResult(result=(_SENT,), failed=(_REFUSED,), fragments_count=1),
    ),
    "a2p_send_sms_older": (
        "A2PSendSms",
        A2PSendSmsResult(result=(_SENT,), failed=(), fragments_count=1),
    ),
    "control_sms": ("ControlSms", ControlSmsResult(result=1)),
    "get_sms_history": ("GetSmsHistory", _HISTORY),
    "a2p_get_sms_history": ("A2PGetSmsHistory", _A2P_HISTORY),
    "get_phone_numbers": ("GetPhoneNumbers", _NUMBERS),
    "get_resource_price": ("GetResourcePrice", _PRICES),
    "get_account_info": ("GetAccountInfo", _ACCOUNT),
}
_ELSEWHERE = {"error_rate_limit", "callbacks"}
"""The examples that are no method's record, each with a test of its own below."""


def _answer(name: str) -> codec.Answer:
    body = (_EXAMPLES / f"{name}.json").read_bytes()
    return codec.Answer(200, {}, body, datetime(2026, 1, 15, tzinfo=UTC))


def test_no_example_is_left_out() -> None:
    """Whoever copies a new example has to say what it reads as."""
    assert {path.stem for path in _EXAMPLES.glob("*.json")} == {*_EXPECTED, *_ELSEWHERE}


@pytest.mark.parametrize("name", sorted(_EXPECTED))
def test_an_example_reads_as_written_down(name: str) -> None:
    """The service's documented answers come out field by field as a person reads them."""
    cmd, expected = _EXPECTED[name]
    got = codec.read_answer(spec.METHODS[cmd], _answer(name))
    assert got == expected
    assert repr(got) == repr(expected)  # a str equals its enumeration, but reads differently


@pytest.mark.parametrize("cmd", sorted(spec.METHODS))
def test_the_rate_limit_example_is_the_same_error_for_every_method(cmd: str) -> None:
    """A refusal to process is told as such, whatever was called."""
    with pytest.raises(errors.RateLimited) as caught:
        codec.read_answer(spec.METHODS[cmd], _answer("error_rate_limit"))
    assert caught.value.args == (340, "RATE_LIMIT_EXCEED", "Rate limit exceed", cmd, None)


def test_the_callbacks_example_has_the_documented_structure() -> None:
    """The example that the webhooks are built on is there and has the documented envelope."""
    callbacks: list[dict[str, Any]] = json.loads(_answer("callbacks").body)["callbacks"]
    assert [callback["type"] for callback in callbacks] == ["sms_inbound", "min_balance"]
    for callback in callbacks:
        assert type(callback["callback_id"]) is int
        assert {"account_id", "hash", "account_name", "account_email", "balance", "currency"} < set(
            callback
        )
    inbound, low = callbacks
    assert inbound["sms_inbound"]["sms_inbound"] == {
        "source_number": "447443332212",
        "destination_number": "447443332211",
        "sms_body": "STOP",
    }
    assert low["min_balance"] == {"is_min_credit": False, "is_repeated": True}
