"""What a message costs: the account's price groups, indexed by number.

A message of n fragments takes `ceil(n / quantum) * quantum` resources, for each recipient (shared
contract, section 3). The price of one is `price / num_resources_per_price`, rounded once, half to
even, to 12 decimals; everything after that is exact. `_prefixes.py` finds the group of a number.
On disk a table is JSON: the service's prices, each decimal as a string so that no digit is lost.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from fractions import Fraction
from functools import cached_property, reduce
from itertools import chain
from types import MappingProxyType
from typing import Final, cast

import attrs

from voxsms.api.country_codes import is_short_code
from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.api.phone_numbers import MAX_DIGITS, MIN_DIGITS
from voxsms.api.wire import PhoneType, WireFault
from voxsms.errors import Fault, InvalidRequest, PriceUnknown
from voxsms.masking import mask_number
from voxsms.pricing._prefixes import NoPrice, PrefixIndex, Territory

RESOURCE_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "send_sms_message": ("SMSOUT", "SMSOUT_INTERNATIONAL", "SMSOUT_RU_INTERNATIONAL"),
        "a2p_send_sms": ("A2P_SMS_E212",),
    }
)
"""The resource types that price each send, in the order they are tried.

The service does not document this, so it is voxsms's own rule: `resource_types=` replaces it.
"""

EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""A decimal context in which sums and products are never rounded."""
_PLACES: Final = 12  # of the price of one resource
_WIRE_NAMES: Final = {"SendSmsMessage": "send_sms_message", "A2PSendSms": "a2p_send_sms"}
_MAX_PLACES: Final = 30  # on either side of the point: no price has more, and dividing gets slow
_PHONE: Final = PhoneType()
_SHORT_CODE: Final = NoPrice("it is a short code, and prices are those of phone numbers")
_SEPARATORS: Final = str.maketrans("", "", "+ -.()")


def method_name(method: str) -> str:
    """Return the client's name of a send; its name on the wire is accepted too."""
    name = _WIRE_NAMES.get(method, method)
    if name in RESOURCE_TYPES:
        return name
    names = ", ".join(RESOURCE_TYPES)
    raise InvalidRequest("RateTable", (Fault("method", f"{method!r} is not one of {names}"),))


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Add up exactly."""
    return reduce(EXACT.add, amounts, Decimal(0))


def price_of_one(price: Decimal, resources: int) -> Decimal:
    """Divide a price by the number of resources it buys, rounded once.

    A decimal division would round to the context's digits first, and so twice.
    """
    rounded = round(Fraction(price) / resources * 10**_PLACES)
    shown = f"{Decimal(rounded).scaleb(-_PLACES, EXACT):f}"
    return Decimal(shown.rstrip("0").rstrip("."))  # 0.041 and not 0.041000000000


@attrs.frozen(cache_hash=True)
class Rate:
    """What one price group charges."""

    group: str
    """The group's name, with its resource type and id if another group has the same name."""
    resource_type: str
    price_group_id: int
    price: Decimal
    """The price of one resource, in the currency of the table."""
    quantum: int = 1
    """Resources are counted in steps of this many."""

    def resources(self, fragments: int) -> int:
        """Return how many resources a message of this many fragments takes."""
        return -(-fragments // self.quantum) * self.quantum

    def cost(self, fragments: int, messages: int = 1) -> Decimal:
        """Return what messages of this many fragments each cost together."""
        return EXACT.multiply(self.price, self.resources(fragments) * messages)


@attrs.frozen(kw_only=True)
class RateTable:
    """The rates of one method; create it with `from_resource_prices` or `from_json`."""

    currency: str
    method: str = attrs.field(converter=method_name)
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
        """Build the rates of one method from the result of `get_resource_price`.

        `method` is `send_sms_message` or `a2p_send_sms` (or its name on the wire), `currency` the
        account's. `resource_types` replaces `RESOURCE_TYPES[method]`.

        Raises:
            InvalidRequest: the method is neither of the two.
        """
        name = method_name(method)
        return cls(
            currency=currency,
            method=name,
            resource_types=tuple(resource_types or RESOURCE_TYPES[name]),
            prices=tuple(prices),
        )

    def rate_for(self, number: str) -> Rate:
        """Return the rate of a destination.

        Raises:
            PriceUnknown: there is no rate, or no single rate.
            InvalidRequest: no message can go to this number.
        """
        found = self._find(number)
        if isinstance(found, Rate):
            return found
        raise PriceUnknown(
            f"no {self.method} price is known for {mask_number(number)}: {found.reason}"
        )

    def get(self, number: str) -> Rate | None:
        """Return the rate of a destination, or None where `rate_for` raises `PriceUnknown`.

        Raises:
            InvalidRequest: no message can go to this number.
        """
        found = self._find(number)
        return found if isinstance(found, Rate) else None

    def _find(self, number: str) -> Rate | NoPrice:
        digits = destination_digits(number)
        return _SHORT_CODE if is_short_code(digits) else self._index.find(digits)

    @cached_property
    def _index(self) -> PrefixIndex[Rate]:
        layers = {kind: _list_groups(self.prices, kind) for kind in self.resource_types}
        names = Counter(group.price_group_name for layer in layers.values() for group in layer)
        return PrefixIndex(
            [
                _make_territory(group, kind, alone=names[group.price_group_name] == 1)
                for group in layer
            ]
            for kind, layer in layers.items()
        )

    def to_json(self) -> str:
        """Write the table as JSON that `from_json` reads back without loss."""
        stored = {
            "voxsms_rates": _VERSION,
            "currency": self.currency,
            "method": self.method,
            "resource_types": list(self.resource_types),
            "prices": [attrs.asdict(price) for price in self.prices],
        }
        return json.dumps(stored, ensure_ascii=False, indent=1, default=str) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "RateTable":
        """Read a table that `to_json` wrote.

        Raises:
            InvalidRequest: the file is damaged; the error says where.
        """
        try:
            file = _Value(json.loads(text), "rates")
        except (ValueError, RecursionError) as error:
            raise _refuse("rates", f"is not JSON ({error})") from None
        if (version := file["voxsms_rates"].read_int()) != _VERSION:
            raise _refuse("voxsms_rates", f"is {version}; this voxsms reads {_VERSION}")
        return cls.from_resource_prices(
            currency=file["currency"].read_str(),
            method=file["method"].read_str(),
            resource_types=file["resource_types"].read_strs(),
            prices=map(_read_resource_price, file["prices"].items()),
        )


def destination_digits(number: object) -> str:
    """Return a destination's digits as every call does; raise `InvalidRequest` for a non-number."""
    # Most are already plain digits. A test compares this with the rule itself.
    if isinstance(number, str) and number.isdigit() and number.isascii():
        length = len(number)
        if MIN_DIGITS <= length <= MAX_DIGITS and number[0] != "0":
            return number
    try:
        return _PHONE.write(number)
    except WireFault as fault:
        raise InvalidRequest("RateTable", (Fault("destination", fault.problem),)) from None


def _list_groups(prices: tuple[ResourcePrice, ...], kind: str) -> list[PriceGroup]:
    """Return the groups of a resource type; one that the service lists twice counts once."""
    listed = [price.price_groups for price in prices if price.resource_type == kind]
    return list(dict.fromkeys(chain.from_iterable(listed)))


def _make_territory(group: PriceGroup, kind: str, *, alone: bool) -> Territory[Rate]:
    name = group.price_group_name
    label = name if alone and name else f"{name} ({kind} {group.price_group_id})".lstrip()
    return Territory(
        label,
        _read_prefixes(group.params.allowed),
        _read_prefixes(group.params.forbidden),
        _make_rate(group, kind, label),
    )


def _read_prefixes(listed: Iterable[str]) -> frozenset[str]:
    """Return the digits of prefixes; one longer than any number matches nothing and is dropped."""
    prefixes = (prefix.translate(_SEPARATORS) for prefix in listed)
    return frozenset(prefix for prefix in prefixes if len(prefix) <= MAX_DIGITS)


def _make_rate(group: PriceGroup, kind: str, label: str) -> Rate | NoPrice:
    """Return a group's rate; a group with an impossible price has none, and is not free."""
    if not _is_usable(group):
        return NoPrice(
            f"{label} has price {group.price} for {group.num_resources_per_price} resources in "
            f"steps of {group.quantum}, which is impossible"
        )
    price = price_of_one(group.price, group.num_resources_per_price)
    return Rate(label, kind, group.price_group_id, price, group.quantum)


def _is_usable(group: PriceGroup) -> bool:
    price = group.price
    if not price.is_finite() or min(group.num_resources_per_price, group.quantum) < 1:
        return False
    return price >= 0 and -_MAX_PLACES <= price.adjusted() <= _MAX_PLACES


# --- A table on disk ------------------------------------------------------------------------------

_VERSION: Final = 1


def _read_resource_price(value: "_Value") -> ResourcePrice:
    return ResourcePrice(
        resource_type=value["resource_type"].read_str(),
        price_groups=tuple(map(_read_price_group, value["price_groups"].items())),
    )


def _read_price_group(value: "_Value") -> PriceGroup:
    params = value["params"]
    return PriceGroup(
        price_group_id=value["price_group_id"].read_int(),
        price_group_name=value["price_group_name"].read_str(),
        price=value["price"].read_decimal(),
        num_resources_per_price=value["num_resources_per_price"].read_int(),
        quantum=value["quantum"].read_int(),
        params=PriceGroupParams(
            **{
                field.name: params[field.name].read_strs()
                for field in attrs.fields(PriceGroupParams)
            }
        ),
    )


def _refuse(path: str, problem: str) -> InvalidRequest:
    return InvalidRequest("RateTable.from_json", (Fault(path, problem),))


@attrs.frozen
class _Value:
    """One value in the file, and its path."""

    value: object
    path: str

    def __getitem__(self, key: str) -> "_Value":
        """Return the value of an object's field."""
        inside = cast("dict[str, object]", self._read(dict, "an object"))
        path = key if self.path == "rates" else f"{self.path}.{key}"
        if key not in inside:
            raise _refuse(path, "is missing")
        return _Value(inside[key], path)

    def items(self) -> list["_Value"]:
        """Return the values of a list."""
        inside = cast("list[object]", self._read(list, "a list"))
        return [_Value(item, f"{self.path}[{index}]") for index, item in enumerate(inside)]

    def read_str(self) -> str:
        """Return a string."""
        return cast("str", self._read(str, "a string"))

    def read_strs(self) -> tuple[str, ...]:
        """Return a list of strings."""
        return tuple(item.read_str() for item in self.items())

    def read_int(self) -> int:
        """Return a whole number."""
        return cast("int", self._read(int, "a whole number"))

    def read_decimal(self) -> Decimal:
        """Return a decimal, written as a string."""
        try:
            amount = Decimal(self.read_str())
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite():
            raise _refuse(self.path, "is not a decimal number")
        return amount

    def _read(self, kind: type, name: str) -> object:
        if type(self.value) is not kind:
            raise _refuse(self.path, f"is not {name}")
        return self.value
