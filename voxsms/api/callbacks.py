"""THE SECOND TABLE: what the service posts to the account's URL.

`webhooks` reads posts by it and the sandbox writes them by it. Shared contract, section 5.
"""

from collections.abc import Mapping
from decimal import Decimal

import attrs

from voxsms.api.models import DeliveryStatus


@attrs.frozen(kw_only=True)
class Callback:
    """The fields of every callback."""

    callback_id: int
    """From a sequence of the service: the same id is the same callback, however often posted."""
    account_id: int
    type: str
    """The kind of callback as the service names it, such as `sms_inbound`."""
    balance: Decimal | None = None
    """The account's balance when the callback was posted, in `currency`, if given."""
    currency: str | None = None


@attrs.frozen(kw_only=True)
class InboundSms(Callback):
    """Someone sent a message to one of the account's numbers."""

    source_number: str
    destination_number: str
    sms_body: str = ""


@attrs.frozen(kw_only=True)
class A2PDelivery(Callback):
    """The delivery status of an A2P message changed."""

    id: int
    """The message's id."""
    source_number: str
    status: DeliveryStatus | str
    destination_numbers: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class A2PActivated(Callback):
    """A2P messages were enabled or disabled for the account."""

    a2p_enabled: bool


@attrs.frozen(kw_only=True)
class MinBalance(Callback):
    """The balance fell below the limit that the account has set."""

    is_min_credit: bool
    is_repeated: bool


@attrs.frozen(kw_only=True)
class UnknownCallback(Callback):
    """A callback of another type: about 40 exist, and more may be added."""

    raw: Mapping[str, object] = attrs.field(repr=False)
    """The object as it was posted; it contains the account's name and address."""


@attrs.frozen
class CallbackSpec:
    """One row of the table."""

    name: str
    """The type on the wire, and the key of the object that has the fields."""
    record: type[Callback]
    known_by: frozenset[str] = frozenset()
    """The fields that identify the object under another key, or under another type."""


CALLBACKS: tuple[CallbackSpec, ...] = (
    CallbackSpec("sms_inbound", InboundSms),
    CallbackSpec("a2p_sms_delivery", A2PDelivery, frozenset({"id", "source_number", "status"})),
    CallbackSpec("a2p_sms_activated", A2PActivated, frozenset({"a2p_enabled"})),
    CallbackSpec("min_balance", MinBalance, frozenset({"is_min_credit", "is_repeated"})),
)
