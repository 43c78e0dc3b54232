"""The table that CSV, Parquet and Excel files hold: typed columns, more of them, masked values.

An amount says little without its currency, so the account is asked for it. On request two columns
say of each destination in which country it is, and which price group a message to it is charged by.
Both histories have one name for the time, so that their files can be read as one.

Masked values may be shown to strangers. An error of the service may name a number in any way of
writing: everything that could be one is hidden, that is five digits and more (the shortest number
has five) with no letter between them, and dates with them. A log would lose too much by that, which
is why `mask_message` hides less.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any

from voxsms.api import spec
from voxsms.api.models import Direction
from voxsms.api.phone_numbers import find_country
from voxsms.calls.hooks import logger
from voxsms.calls.session import Session
from voxsms.errors import ApiError, InvalidRequest, RateLimited, ServerFault
from voxsms.export._rows import Column, Kind, Layout, take
from voxsms.masking import mask_number
from voxsms.pricing import RESOURCE_TYPES, RateTable

_TIME, _CURRENCY, _COUNTRY, _PRICE_GROUP = "processed_date", "currency", "country", "price_group"
_SENDS: Mapping[str, str] = {
    spec.GET_SMS_HISTORY.cmd: "send_sms_message",
    spec.A2P_GET_SMS_HISTORY.cmd: "a2p_send_sms",
}
"""The send whose messages each history shows."""
_MAX_NUMBERS = 65_536
"""Of which the country and the price group are remembered: people get more than one message."""


class Table:
    """The columns of a file, and their values.

    Args:
        layout: the columns of the history.
        mask: whether numbers and texts are hidden.
        with_rates: whether there are the country and the price group of each destination.
    """

    def __init__(self, layout: Layout, *, mask: bool, with_rates: bool) -> None:
        self.layout = layout
        self.mask = mask
        self.with_rates = with_rates
        self.columns: tuple[Column, ...] = tuple(_columns(layout, with_rates=with_rates))
        names = (_TIME if c.kind is Kind.TIME else c.name for c in self.columns)
        self.names: tuple[str, ...] = tuple(names)
        self._currency: str | None = None
        self._rates: RateTable | None = None
        self._has_directions = "direction" in [column.name for column in layout.columns]
        self._find_place = lru_cache(_MAX_NUMBERS)(self._look_up)

    async def ask(self, session: Session) -> None:
        """Ask the service for what no row brings."""
        try:
            account = await session.call(spec.GET_ACCOUNT_INFO, spec.GET_ACCOUNT_INFO.request())
            self._currency = account.currency
        except (RateLimited, ServerFault):
            raise
        except ApiError as error:  # a key may be allowed to read a history and nothing else
            logger.warning("the column currency stays empty: %s", error)
        if self.with_rates:
            method = _SENDS[self.layout.cmd]
            kinds = RESOURCE_TYPES[method]
            request = spec.GET_RESOURCE_PRICE.request(resource_type=kinds)
            prices = await session.call(spec.GET_RESOURCE_PRICE, request)
            self._rates = RateTable.from_resource_prices(prices, currency="", method=method)

    def take(self, column: Column, contents: Sequence[Any]) -> list[Any]:
        """Return the values of a column, masked where they have something to hide."""
        if column.name == _CURRENCY:
            return [self._currency] * len(contents)
        if column.name in (_COUNTRY, _PRICE_GROUP):
            which = (_COUNTRY, _PRICE_GROUP).index(column.name)
            numbers = take(contents, "destination_number")
            directions = take(contents, "direction") if self._has_directions else repeat(None)
            return [place[which] for place in map(self._find_place, numbers, directions)]
        values = take(contents, column.name)
        return [mask_value(column.name, value) for value in values] if self.mask else values

    def fields_of(self, row: Mapping[str, Any]) -> dict[str, str | None]:
        """Return the same for a row that stays JSON."""
        country, group = self._find_place(row.get("destination_number"), row.get("direction"))
        return {_CURRENCY: self._currency, _COUNTRY: country, _PRICE_GROUP: group}

    def _look_up(self, number: str | None, direction: str | None) -> tuple[str | None, str | None]:
        """Return the country of a destination, and the price group that a message to it is of.

        What was received is priced in another way.
        """
        try:
            rate = self._rates and self._rates.get(number or "")
        except InvalidRequest:  # it is no phone number
            return None, None
        is_received = (direction or "").upper() == Direction.IN
        return find_country(number or ""), None if is_received or not rate else rate.group


def _columns(layout: Layout, *, with_rates: bool) -> Iterator[Column]:
    for column in layout.columns:
        yield column
        if column.kind is Kind.MONEY:
            yield Column(_CURRENCY, Kind.CHOICE, str, {})
    for name in (_COUNTRY, _PRICE_GROUP) if with_rates else ():
        yield Column(name, Kind.CHOICE, str, {})


_maybe_numbers = re.compile(r"\d(?:[\W_]{0,3}\d){4,}")
_no_digits = re.compile(r"\D+")


def _mask_numbers(text: str) -> str:
    return _maybe_numbers.sub(lambda found: mask_number(_no_digits.sub("", found.group())), text)


_MASKS: Mapping[str, Callable[[str], str]] = {
    "source_number": mask_number,
    "destination_number": mask_number,
    "error_message": _mask_numbers,
    "text": lambda _: "***",
}


def mask_value(name: str, value: object) -> object:
    """Return the value of a field, masked if it is one that has something to hide."""
    mask = _MASKS.get(name)
    return value if mask is None or value is None else mask(str(value))
