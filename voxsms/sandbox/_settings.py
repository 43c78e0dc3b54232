"""How a sandbox is set up; `voxsms.sandbox.serve()` takes these as keyword arguments."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, cast

import attrs

from voxsms.api.country_codes import find_country_code
from voxsms.api.models import (
    DeliveryStatus,
    MessageStatus,
    PriceGroup,
    PriceGroupParams,
    ResourcePrice,
)
from voxsms.api.wire import PhoneType, WireFault
from voxsms.errors import CredentialsInvalid
from voxsms.pricing import RateTable
from voxsms.sandbox._faults import InjectedFault, parse
from voxsms.sandbox._keys import Key, read_key
from voxsms.webhooks import CallbackSecret

HISTORIES = MappingProxyType({"SendSmsMessage": "sms", "A2PSendSms": "a2p"})
"""Which history has the messages of each method."""
_COUNTRIES = {"1": "US", "44": "GB", "7": "RU"}
_PHONE = PhoneType()
# Without user name and password: callbacks are signed instead.
_URL = re.compile(
    r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[1-9]\d{0,4})?(/[!-~]*)?", re.ASCII | re.IGNORECASE
)

STATUS_IDS: Mapping[DeliveryStatus, MessageStatus] = MappingProxyType(
    dict.fromkeys(DeliveryStatus, MessageStatus.ERROR)
    | {
        DeliveryStatus.QUEUED: MessageStatus.WAITING,
        DeliveryStatus.DISPATCHED: MessageStatus.WAITING,
        DeliveryStatus.DELIVERED: MessageStatus.SUCCESS,
    }
)
"""A message's `status_id` for each delivery status."""


def _digits(value: str, field: str = "numbers") -> str:
    try:
        return _PHONE.write(value)
    except WireFault as fault:
        raise ValueError(f"{field}: {fault.problem}") from None


def check_url(url: str | None) -> str | None:
    """Return the URL for callbacks if it is valid, or raise `ValueError`."""
    if url is None:
        return None
    if not _URL.fullmatch(url):
        raise ValueError(
            "callback_url: is not a URL with http or https and a host, such as "
            "http://127.0.0.1:8000/callbacks"
        )
    return url


@attrs.frozen(kw_only=True)
class Number:
    """A number rented by the sandbox's account."""

    number: str = attrs.field(converter=_digits)
    sms_supported: bool = True
    sms_enabled: bool = False
    """Whether SMS is enabled already, as by `ControlSms`."""
    callback_url: str | None = attrs.field(default=None, converter=check_url)
    """Its own `incoming_sms_callback_url`."""

    @property
    def country(self) -> str:
        """The code of the number's country, for the prefixes that the sandbox knows."""
        prefixes = (self.number[:length] for length in (2, 1))
        return next((_COUNTRIES[p] for p in prefixes if p in _COUNTRIES), "ZZ")


def _numbers(given: Iterable[str | Number]) -> tuple[Number, ...]:
    if isinstance(given, str):
        raise ValueError("numbers: is one string; it must be a list")  # noqa: TRY004 - as for every setting
    return tuple(n if isinstance(n, Number) else Number(number=n) for n in given)


def _money(field: str, amount: Decimal | int | str) -> Decimal:
    try:
        money = Decimal(amount)
    except InvalidOperation:
        raise ValueError(f"{field}: is not an amount") from None
    if not money.is_finite():
        raise ValueError(f"{field}: is not finite")
    if money < 0:
        raise ValueError(f"{field}: is {money}; it must not be below 0")
    return money


def _balance(given: Decimal | int | str) -> Decimal:
    return _money("balance", given)


def _min_balance(given: Decimal | int | str) -> Decimal:
    return _money("min_balance", given)


def _texts(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(given)


def _faults(given: str | Iterable[InjectedFault]) -> tuple[InjectedFault, ...]:
    return parse(given) if isinstance(given, str) else tuple(given)


def _outcomes(given: Mapping[str, DeliveryStatus | str]) -> Mapping[str, DeliveryStatus]:
    return {_digits(number, "outcomes"): DeliveryStatus(status) for number, status in given.items()}


def _codes(given: Mapping[str, int]) -> Mapping[str, int]:
    return {_digits(number, "refused"): int(code) for number, code in given.items()}


def _group(
    id_: int,
    name: str,
    price: str,
    allowed: str,
    forbidden: tuple[str, ...] = (),
    per: int = 1,
) -> PriceGroup:
    params = PriceGroupParams(allowed=(allowed,), forbidden=forbidden)
    return PriceGroup(id_, name, Decimal(price), per, 1, params)


# The first five are from the contract's example; the others complete the three prefixes.
PRICES = (
    ResourcePrice(
        "SMSOUT",
        (
            _group(101, "USA", "0.0079", "1", forbidden=("1876", "1809")),
            _group(102, "United Kingdom", "0.0410", "44"),
            _group(103, "United Kingdom Mobile", "3.55", "447", per=100),
            _group(104, "Russia", "0.0550", "7"),
        ),
    ),
    ResourcePrice(
        "A2P_SMS_E212",
        (
            _group(201, "Russia Mobile", "0.0312", "79"),
            _group(202, "Russia", "0.0420", "7"),
            _group(203, "USA", "0.0085", "1", forbidden=("1876", "1809")),
            _group(204, "United Kingdom", "0.0385", "44"),
            _group(205, "United Kingdom Mobile", "3.40", "447", per=100),
        ),
    ),
)
"""The prices of a sandbox for the prefixes 1, 44 and 7."""
_FIRST_ADDED = (111, 211)
"""The ids of the first groups that are added to each type."""


def _prices(
    given: Iterable[ResourcePrice] | Mapping[str, Decimal | int | str],
) -> tuple[ResourcePrice, ...]:
    if not isinstance(given, Mapping):
        return tuple(given)
    added = cast("Mapping[str, Decimal | int | str]", given)
    prices = {_prefix(prefix): _money("prices", price) for prefix, price in added.items()}
    return tuple(
        attrs.evolve(listed, price_groups=(*_without(listed, prices), *_added(first, prices)))
        for first, listed in zip(_FIRST_ADDED, PRICES, strict=True)
    )


def _prefix(given: str) -> str:
    prefix = given.removeprefix("+")
    if not (prefix.isascii() and prefix.isdigit() and find_country_code(prefix)):
        raise ValueError(f"prices: {given!r} does not begin with a country code, such as 48")
    return prefix


def _without(listed: ResourcePrice, prefixes: Collection[str]) -> list[PriceGroup]:
    """Return the groups of a type that no new price replaces."""
    replaced = tuple(prefixes)
    return [g for g in listed.price_groups if not g.params.allowed[0].startswith(replaced)]


def _added(first: int, prices: Mapping[str, Decimal]) -> Iterator[PriceGroup]:
    for id_, (prefix, price) in enumerate(prices.items(), first):
        code = find_country_code(prefix)
        name = code.country if code else ""
        yield PriceGroup(id_, name, price, 1, 1, PriceGroupParams((prefix,), ()))


def _above_zero(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and value <= 0:
        raise ValueError(f"{attribute.name}: is {value}; it must be above 0")


def _not_negative(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if value < 0:
        raise ValueError(f"{attribute.name}: is {value}; it must not be below 0")


def _address(_: object, attribute: "attrs.Attribute[Any]", value: str) -> None:
    try:
        ip_address(value)
    except ValueError:
        raise ValueError(
            f"{attribute.name}: is not an IP address of this machine, such as 127.0.0.1 or 0.0.0.0"
        ) from None


@attrs.frozen(kw_only=True)
class Settings:
    """The settings of a sandbox: money, two numbers, a SenderID, prices."""

    balance: Decimal = attrs.field(default=Decimal("100.00"), converter=_balance)
    currency: str = "USD"
    numbers: tuple[Number, ...] = attrs.field(
        default=(Number(number="447443332211"), Number(number="14155550100")), converter=_numbers
    )
    """Rented numbers; a `str` is a number that supports SMS and is not enabled yet."""
    sender_ids: tuple[str, ...] = attrs.field(default=("VOXSMS",), converter=_texts)
    prices: tuple[ResourcePrice, ...] = attrs.field(default=PRICES, converter=_prices)
    """A number without a price has no route.

    A mapping such as `{"48": "0.03"}` adds prices to those for 1, 44 and 7: the cost of a fragment
    to numbers with a prefix, for both ways to send. It replaces existing prices for that prefix.
    """
    a2p_enabled: bool = True
    refused: Mapping[str, int] = attrs.field(factory=dict[str, int], converter=_codes)
    """Destinations that a send refuses, each with its error code, such as 385 or 506."""
    outcomes: Mapping[str, DeliveryStatus] = attrs.field(
        factory=dict[str, DeliveryStatus], converter=_outcomes
    )
    """Destinations whose messages end with another status than `DELIVERED`."""
    dispatch_after: float = attrs.field(default=1.0, validator=_not_negative)
    """Seconds of the sandbox's clock from a send to `DISPATCHED`."""
    deliver_after: float = attrs.field(default=3.0, validator=_not_negative)
    """Seconds from `DISPATCHED` to the final status."""
    callback_url: str | None = attrs.field(default=None, converter=check_url)
    """Where signed callbacks are posted; a number's own URL takes precedence."""
    min_balance: Decimal = attrs.field(default=Decimal(1), converter=_min_balance)
    """A charge that leaves less than this posts `min_balance` once."""
    rate_limit: int | None = attrs.field(default=None, validator=_above_zero)
    """How many requests a second are answered before code 340; no limit if None."""
    max_rows: int = attrs.field(default=1000, validator=_above_zero)
    """The most rows in a page, whatever `count` asks for: a lower number makes pages short."""
    start: datetime | None = None
    """The time at which the clock is stopped; if None it follows real time."""
    database: str | os.PathLike[str] | None = None
    """A file for messages, balance and enabled numbers; if None they are in memory."""
    faults: tuple[InjectedFault, ...] = attrs.field(default=(), converter=_faults)
    """The initial script of faults, which may be in its text form."""
    account_id: int | None = None
    """The account's id; by default the one in the database, or a random one."""
    api_key: str | None = attrs.field(default=None, repr=False)
    """The account's API key; by default likewise, as for the salt and the private key."""
    callback_salt: str | None = attrs.field(default=None, repr=False)
    """The salt that signs callbacks."""
    key_file: Key | None = attrs.field(default=None, repr=False, converter=read_key)
    """A file with the service account's private key: in PEM form, or a credentials file."""
    port: int = attrs.field(default=0, validator=_not_negative)
    """The port to listen on; 0 takes a free one."""
    host: str = attrs.field(default="127.0.0.1", validator=_address)
    """The address to listen on; with "0.0.0.0" other machines and containers can reach it."""
    host_names: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    """Its other host names for the certificate, such as that of its container."""
    tls: bool = False
    """Serve HTTPS with a generated certificate: `sandbox.certificate`."""
    keep_alive: float = attrs.field(default=5.0, validator=_above_zero)
    """Seconds after which an idle connection is closed."""

    def __attrs_post_init__(self) -> None:
        """Check the parts of the account's credentials that are given."""
        try:
            CallbackSecret(
                self.callback_salt or "-", self.account_id or 1, (self.api_key or "-").strip()
            )
        except CredentialsInvalid as error:
            raise ValueError(str(error)) from None

    def rates(self) -> dict[str, RateTable]:
        """Return the rates of the messages of each history."""
        return {
            kind: RateTable.from_resource_prices(self.prices, currency=self.currency, method=method)
            for method, kind in HISTORIES.items()
        }

    @property
    def server(self) -> Mapping[str, Any]:
        """The settings of the server, not of the account."""
        names = ("port", "keep_alive", "host", "host_names", "tls")
        return {name: getattr(self, name) for name in names}
