"""The records that calls return: frozen, slotted, with the wire's field names.

The field types say how a value is read (`voxsms/api/decode.py`): a `str` may come as a number,
money is a `Decimal`, a time an aware UTC `datetime`, or `None` where the wire has an empty string
or an impossible time. A value that the service later adds to an enumeration arrives as a plain
`str`.
Source: shared contract, sections 2 and 3.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar

import attrs

from voxsms.errors import PartlyFailed

Record = TypeVar("Record")


class Direction(StrEnum):
    """Whether a message was received or sent."""

    IN = "IN"
    OUT = "OUT"


class SmsCommand(StrEnum):
    """What `control_sms` does to a number."""

    ENABLE = "enable"
    DISABLE = "disable"


class Output(StrEnum):
    """The kinds of answer a history can be asked for."""

    JSON = "json"
    CSV = "csv"
    XLS = "xls"


class MessageStatus(StrEnum):
    """`status_id` of a history row."""

    SUCCESS = "1"
    ERROR = "2"
    WAITING = "3"


class DeliveryStatus(StrEnum):
    """How far an A2P message has come; looked up by name or by the request's number 1 to 8."""

    QUEUED = "QUEUED"
    DISPATCHED = "DISPATCHED"
    ABORTED = "ABORTED"
    REJECTED = "REJECTED"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"

    @property
    def number(self) -> int:
        """The number that stands for this status in a request, 1 to 8."""
        return list(DeliveryStatus).index(self) + 1

    @classmethod
    def _missing_(cls, value: object) -> "DeliveryStatus | None":
        found = [status for status in cls if type(value) is int and status.number == value]
        return found[0] if found else None


@attrs.frozen
class SendSmsMessageResult:
    """What `send_sms_message` returns."""

    result: int
    fragments_count: int
    """How many fragments the service made of the text; each is charged."""
    message_id: int | None = None
    """`None` from an older server, which does not return it."""
    predicted_fragments_count: int = 0
    """How many fragments voxsms counted before sending."""


@attrs.frozen
class SmsTransaction:
    """One accepted message of an A2P send."""

    message_id: int = attrs.field(metadata={"also": "transaction_id"})
    destination_number: str


@attrs.frozen
class FailedSms:
    """One number that the service did not accept in an A2P send."""

    destination_number: str
    error_description: str
    error_code: int
    """If the code leaves a send in doubt, such as 14 or 515, this number is in doubt: check the
    history before sending to it again. `voxsms explain 14` says what a code means for a send."""


@attrs.frozen
class A2PSendSmsResult:
    """What `a2p_send_sms` returns: a partial success is a value, not an exception."""

    result: tuple[SmsTransaction, ...]
    fragments_count: int
    """How many fragments the service made of the text; each is charged, for each number."""
    failed: tuple[FailedSms, ...] = ()
    predicted_fragments_count: int = 0
    """How many fragments voxsms counted before sending."""

    def raise_if_failed(self) -> None:
        """Raise `PartlyFailed`, which carries this result, if any number was not accepted."""
        if self.failed:
            raise PartlyFailed(self)


@attrs.frozen
class ControlSmsResult:
    """What `control_sms` returns: 1."""

    result: int


@attrs.frozen
class HistoryPage(Generic[Record]):
    """One page: its rows, and the total number of rows that match the query."""

    result: tuple[Record, ...]
    total_count: int


@attrs.frozen
class SmsHistory:
    """One two-way message, sent or received."""

    message_id: int | None
    source_number: str
    destination_number: str
    direction: Direction | str
    fragments: int
    """0 for some messages that failed."""
    cost: Decimal
    """In the currency of the account."""
    status_id: MessageStatus | str
    processed_date: datetime | None
    error_message: str | None = None
    transaction_id: int | None = None
    text: str | None = None
    """Only there if the message was sent with `store_body`."""


@attrs.frozen
class A2PSmsHistory:
    """One A2P message."""

    message_id: int | None
    source_number: str
    destination_number: str
    fragments: int
    """0 for some messages that failed."""
    cost: Decimal
    """In the currency of the account."""
    status_id: MessageStatus | str
    processing_date: datetime | None
    delivery_status: DeliveryStatus | str | None = None
    error_message: str | None = None
    transaction_id: int | None = None
    text: str | None = None
    """Only there if the message was sent with `store_body`."""


@attrs.frozen
class PhoneNumber:
    """A number attached to the account."""

    phone_id: int
    phone_number: str
    phone_country_code: str | None = None
    phone_region_name: str | None = None
    is_sms_supported: bool = False
    is_sms_enabled: bool = False
    incoming_sms_callback_url: str | None = None
    """Where inbound messages of this number go instead of the account's callback URL."""
    deactivated: bool = False
    canceled: bool = False


@attrs.frozen
class PriceGroupParams:
    """Which number prefixes a price group covers."""

    allowed: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    requested: tuple[str, ...] = ()
    """Those of the request's `resource_param` that fall into this group."""


@attrs.frozen
class PriceGroup:
    """The price of a group of destinations."""

    price_group_id: int
    price_group_name: str
    price: Decimal
    """For `num_resources_per_price` resources."""
    num_resources_per_price: int = 1
    quantum: int = 1
    """Resources are counted in steps of this many."""
    params: PriceGroupParams = PriceGroupParams()


@attrs.frozen
class ResourcePrice:
    """The price groups of one resource type (`SMSOUT`, `A2P_SMS_E212`, ...)."""

    resource_type: str
    price_groups: tuple[PriceGroup, ...] = ()


def _secret() -> Any:  # noqa: ANN401 - attrs.field is typed so that it fits any field
    return attrs.field(default=None, repr=False)


@attrs.frozen
class AccountInfo:
    """The account. `api_key` and `callback_salt` are secrets and stay out of `repr`."""

    account_id: int
    account_name: str
    balance: Decimal
    """In `currency`; the service shows four decimals."""
    currency: str
    account_email: str | None = None
    credit_limit: Decimal | None = None
    a2p_sms_enabled: bool | None = None
    callback_url: str | None = None
    api_address: str | None = None
    """The host the service prefers for this account."""
    api_key: str | None = _secret()
    callback_salt: str | None = _secret()
