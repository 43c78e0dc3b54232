"""The records themselves: frozen, slotted, silent about secrets."""

import copy
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from voxsms.api import codec, models, spec
from voxsms.api.models import (
    A2PSendSmsResult,
    AccountInfo,
    DeliveryStatus,
    FailedSms,
    HistoryPage,
    SmsHistory,
    SmsTransaction,
)
from voxsms.errors import PartlyFailed

_EXAMPLES = Path(__file__).parents[1] / "vectors" / "examples"
_RECORDS: list[type[attrs.AttrsInstance]] = [
    kind for kind in vars(models).values() if isinstance(kind, type) and attrs.has(kind)
]


def _history() -> HistoryPage[Any]:
    body = (_EXAMPLES / "get_sms_history.json").read_bytes()
    answer = codec.Answer(200, {}, body, datetime(2026, 1, 15, tzinfo=UTC))
    page = codec.read_answer(spec.METHODS["GetSmsHistory"], answer)
    assert isinstance(page, HistoryPage)
    return page


@pytest.mark.parametrize("record", _RECORDS, ids=lambda record: record.__name__)
def test_a_record_is_slotted(record: type[attrs.AttrsInstance]) -> None:
    """A million rows of history have no dictionary each."""
    assert "__dict__" not in dir(record)
    assert "__slots__" in vars(record)


def test_a_record_that_was_read_is_frozen() -> None:
    """What came back stays what came back, however it was built."""
    page = _history()
    row = page.result[0]
    assert type(row) is SmsHistory
    for record, name in ((page, "total_count"), (row, "cost")):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(record, name, 0)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            delattr(record, name)
    with pytest.raises((AttributeError, TypeError)):
        setattr(row, "added_later", 1)  # noqa: B010 - a type checker refuses it already


def test_a_record_that_was_read_is_like_one_that_was_made() -> None:
    """It compares, hashes, copies, pickles and evolves as any attrs record does."""
    row = _history().result[0]
    made = SmsHistory(**attrs.asdict(row))
    assert made == row
    assert hash(made) == hash(row)
    assert copy.deepcopy(row) == row
    assert pickle.loads(pickle.dumps(row)) == row  # noqa: S301 - our own bytes
    assert attrs.evolve(row, cost=Decimal(0)).cost == 0


def test_an_account_keeps_its_secrets_out_of_its_repr() -> None:
    """A logged account shows neither the API key nor the callback salt."""
    account = AccountInfo(
        account_id=1,
        account_name="acme",
        balance=Decimal("1.5"),
        currency="USD",
        api_key="planted-key",
        callback_salt="planted-salt",
    )
    assert (account.api_key, account.callback_salt) == ("planted-key", "planted-salt")
    assert "acme" in repr(account)
    assert "planted" not in f"{account!r} {account} {[account]}"


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (1, "QUEUED"),
        (2, "DISPATCHED"),
        (3, "ABORTED"),
        (4, "REJECTED"),
        (5, "DELIVERED"),
        (6, "FAILED"),
        (7, "EXPIRED"),
        (8, "UNKNOWN"),
    ],
)
def test_a_delivery_status_is_found_by_name_and_by_number(number: int, name: str) -> None:
    """The request's number and the answer's name are one status."""
    status = DeliveryStatus(name)
    lookup: Any = DeliveryStatus  # StrEnum is typed for str alone
    assert lookup(number) is DeliveryStatus[name] is status
    assert (status.number, status, str(status)) == (number, name, name)


@pytest.mark.parametrize("value", [0, 9, True, 1.0, "1", None])
def test_what_is_no_delivery_status_is_no_member(value: object) -> None:
    """Only the eight names and the eight numbers are known."""
    lookup: Any = DeliveryStatus
    with pytest.raises(ValueError, match="is not a valid DeliveryStatus"):
        lookup(value)


def test_a_partial_success_is_an_exception_only_when_asked() -> None:
    """`raise_if_failed` says how many were refused and why, and carries the result."""
    sent = SmsTransaction(message_id=1, destination_number="447443332213")
    refused = FailedSms("447443332212", "SMS failed to send.", 385)
    A2PSendSmsResult(result=(sent,), fragments_count=1).raise_if_failed()
    partial = A2PSendSmsResult(result=(sent,), fragments_count=1, failed=(refused,))
    with pytest.raises(PartlyFailed) as caught:
        partial.raise_if_failed()
    assert caught.value.result is partial
    assert caught.value.sent == "yes"
    assert str(caught.value) == "1 of 2 numbers were not accepted: 1 with code 385"
