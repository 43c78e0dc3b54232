"""The table in CSV, Parquet and Excel files: typed columns, additional ones, masked values.

An amount means little without its currency, which is read from the account. On request two more
columns have the country of each destination, and the price group by which a message to it is
charged. Both histories use the same name for the time, so that their files can be read together.

Masked values may be shown to strangers. An error of the service may contain a number in any
notation: everything that could be one is hidden, that is five or more digits (the shortest number
has five) without a letter between them, including dates. In a log that would hide too much, so
`mask_message` hides less.
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
"""The send method whose messages each history shows."""
_MAX_NUMBERS = 65_536
"""How many numbers' countries and price groups are cached: people get more than one message."""


class Table:
    """The columns of a file, and their values.

    Args:
        layout: the columns of the history.
        mask: whether numbers and texts are hidden.
        with_rates: whether to add the country and the price group of each destination.
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
        """Ask the service for the currency, and the prices if needed."""
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
        """Return the values of a column, masked where needed."""
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
        """Return currency, country and price group for a row that stays JSON."""
        country, group = self._find_place(row.get("destination_number"), row.get("direction"))
        return {_CURRENCY: self._currency, _COUNTRY: country, _PRICE_GROUP: group}

    def _look_up(self, number: str | None, direction: str | None) -> tuple[str | None, str | None]:
        """Return the country of a destination, and the price group of a message to it.

        Received messages have no price group: they are priced differently.
        """
        try:
            rate = self._rates and self._rates.get(number or "")
        except InvalidRequest:  # not a phone number
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
    """Return the value of a field, masked if the field is sensitive."""
    mask = _MASKS.get(name)
    return value if mask is None or value is None else mask(str(value))
