"""What a message costs: the account's price groups, made ready to be asked for a number.

A message of n fragments takes `ceil(n / quantum) * quantum` resources, for each recipient (shared
contract, section 3). How money is rounded: `money.py`; which group a number belongs to:
`prefixes.py`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import chain
from types import MappingProxyType

import attrs

from voxsms.api.models import PriceGroup, ResourcePrice
from voxsms.api.phone_numbers import MAX_DIGITS, MIN_DIGITS
from voxsms.api.wire import PhoneType, WireFault
from voxsms.errors import Fault, InvalidRequest, PriceUnknown
from voxsms.masking import mask_number
from voxsms.pricing import ratefile
from voxsms.pricing.money import EXACT, price_of_one
from voxsms.pricing.prefixes import Doubt, PrefixIndex, Territory

RESOURCE_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "send_sms_message": ("SMSOUT", "SMSOUT_INTERNATIONAL", "SMSOUT_RU_INTERNATIONAL"),
        "a2p_send_sms": ("A2P_SMS_E212",),
    }
)
"""Which resource types price which send, in the order they are tried.

The service documents none, so this is voxsms's own rule: `resource_types=` replaces it.
"""

_WIRE_NAMES = {"SendSmsMessage": "send_sms_message", "A2PSendSms": "a2p_send_sms"}
_MOST_PLACES = 30  # on either side of the point: no price has them, and no division is slow
_PHONE = PhoneType()
_SEPARATORS = str.maketrans("", "", "+ -.()")


@attrs.frozen(cache_hash=True)
class Rate:
    """What one price group charges."""

    group: str
    """The group's name, with its resource type and id where another of the table has it too."""
    resource_type: str
    price_group_id: int
    price: Decimal
    """Of one resource, in the currency of the table."""
    quantum: int = 1
    """Resources are counted in steps of this many."""

    def resources(self, fragments: int) -> int:
        """Say how many resources a message of so many fragments takes."""
        return -(-fragments // self.quantum) * self.quantum

    def cost(self, fragments: int, messages: int = 1) -> Decimal:
        """Say what messages of so many fragments each cost."""
        return EXACT.multiply(self.price, self.resources(fragments) * messages)


@attrs.frozen(kw_only=True)
class RateTable:
    """The rates of one method; made by `from_resource_prices` or `from_json`."""

    currency: str
    method: str
    """`send_sms_message` or `a2p_send_sms`."""
    resource_types: tuple[str, ...]
    """Tried in this order."""
    prices: tuple[ResourcePrice, ...] = attrs.field(repr=False)
    """What the table was made from."""

    @classmethod
    def from_resource_prices(
        cls,
        prices: Iterable[ResourcePrice],
        *,
        currency: str,
        method: str,
        resource_types: Sequence[str] | None = None,
    ) -> "RateTable":
        """Make the rates of one method from what `get_resource_price` gave.

        `method` is `send_sms_message` or `a2p_send_sms` (or its name on the wire), `currency` that
        of the account. `resource_types` replaces `RESOURCE_TYPES[method]`.
        """
        name = method_name(method)
        return cls(
            currency=currency,
            method=name,
            resource_types=tuple(resource_types or RESOURCE_TYPES[name]),
            prices=tuple(prices),
        )

    def rate_for(self, number: str) -> Rate:
        """Give the rate of a destination; `PriceUnknown` where there is none, or no single one."""
        found = self._index.find(destination_digits(number))
        if isinstance(found, Rate):
            return found
        raise PriceUnknown(
            f"no {self.method} price is known for {mask_number(number)}: {found.reason}"
        )

    def get(self, number: str) -> Rate | None:
        """Give the rate of a destination, or None where `rate_for` raises `PriceUnknown`."""
        found = self._index.find(destination_digits(number))
        return found if isinstance(found, Rate) else None

    @cached_property
    def _index(self) -> PrefixIndex[Rate]:
        layers = {kind: _groups(self.prices, kind) for kind in self.resource_types}
        names = Counter(group.price_group_name for layer in layers.values() for group in layer)
        return PrefixIndex(
            [_territory(group, kind, alone=names[group.price_group_name] == 1) for group in layer]
            for kind, layer in layers.items()
        )

    def to_json(self) -> str:
        """Write the table as JSON that `from_json` reads back without loss."""
        return ratefile.write(self.currency, self.method, self.resource_types, self.prices)

    @classmethod
    def from_json(cls, text: str | bytes) -> "RateTable":
        """Read a table that `to_json` wrote; `InvalidRequest` says where a damaged one is wrong."""
        stored = ratefile.read(text)
        return cls.from_resource_prices(
            stored.prices,
            currency=stored.currency,
            method=stored.method,
            resource_types=stored.resource_types,
        )


def method_name(method: str) -> str:
    """Give the client's name of a send, which may be given as on the wire."""
    name = _WIRE_NAMES.get(method, method)
    if name in RESOURCE_TYPES:
        return name
    names = ", ".join(RESOURCE_TYPES)
    raise InvalidRequest("RateTable", (Fault("method", f"{method!r} is not one of {names}"),))


def destination_digits(number: object) -> str:
    """Return a destination's digits as every call does; `InvalidRequest` for what is no number."""
    # Most are written so already. A test holds this against the rule itself.
    if isinstance(number, str) and number.isdigit() and number.isascii():
        length = len(number)
        if MIN_DIGITS <= length <= MAX_DIGITS and number[0] != "0":
            return number
    try:
        return _PHONE.write(number)
    except WireFault as fault:
        raise InvalidRequest("RateTable", (Fault("destination", fault.problem),)) from None


def _groups(prices: tuple[ResourcePrice, ...], kind: str) -> list[PriceGroup]:
    """Give the groups of a resource type; one that the service lists twice counts once."""
    listed = [price.price_groups for price in prices if price.resource_type == kind]
    return list(dict.fromkeys(chain.from_iterable(listed)))


def _territory(group: PriceGroup, kind: str, *, alone: bool) -> Territory[Rate]:
    name = group.price_group_name
    label = name if alone and name else f"{name} ({kind} {group.price_group_id})".lstrip()
    return Territory(
        label,
        _prefixes(group.params.allowed),
        _prefixes(group.params.forbidden),
        _rate(group, kind, label),
    )


def _prefixes(written: tuple[str, ...]) -> frozenset[str]:
    return frozenset(prefix.translate(_SEPARATORS) for prefix in written)


def _rate(group: PriceGroup, kind: str, label: str) -> Rate | Doubt:
    """Give a group's rate; a group that can not be priced is no group that is free."""
    if not _is_usable(group):
        return Doubt(
            f"{label} has price {group.price} for {group.num_resources_per_price} resources in "
            f"steps of {group.quantum}, which can not be"
        )
    price = price_of_one(group.price, group.num_resources_per_price)
    return Rate(label, kind, group.price_group_id, price, group.quantum)


def _is_usable(group: PriceGroup) -> bool:
    price = group.price
    if not price.is_finite() or min(group.num_resources_per_price, group.quantum) < 1:
        return False
    return price >= 0 and -_MOST_PLACES <= price.adjusted() <= _MOST_PLACES
