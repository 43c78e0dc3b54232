"""Rates as JSON on disk: what the service said, every decimal as a string so that none is lost."""

import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final, cast

import attrs

from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.errors import Fault, InvalidRequest

_VERSION: Final = 1


@attrs.frozen
class StoredRates:
    """What a file of rates holds."""

    currency: str
    method: str
    resource_types: tuple[str, ...]
    prices: tuple[ResourcePrice, ...]


def write(
    currency: str, method: str, resource_types: Sequence[str], prices: Sequence[ResourcePrice]
) -> str:
    """Write rates as JSON."""
    stored = {
        "voxsms_rates": _VERSION,
        "currency": currency,
        "method": method,
        "resource_types": list(resource_types),
        "prices": [attrs.asdict(price) for price in prices],
    }
    return json.dumps(stored, ensure_ascii=False, indent=1, default=str) + "\n"


def read(text: str | bytes) -> StoredRates:
    """Read what `write` wrote, or raise `InvalidRequest` naming the place that is wrong."""
    try:
        file = _Value(json.loads(text), "rates")
    except (ValueError, RecursionError) as error:
        raise _damaged("rates", f"is not JSON ({error})") from None
    if (version := file["voxsms_rates"].whole()) != _VERSION:
        raise _damaged("voxsms_rates", f"is {version}; this voxsms reads {_VERSION}")
    return StoredRates(
        currency=file["currency"].text(),
        method=file["method"].text(),
        resource_types=file["resource_types"].texts(),
        prices=tuple(map(_resource_price, file["prices"].items())),
    )


def _resource_price(value: "_Value") -> ResourcePrice:
    return ResourcePrice(
        resource_type=value["resource_type"].text(),
        price_groups=tuple(map(_price_group, value["price_groups"].items())),
    )


def _price_group(value: "_Value") -> PriceGroup:
    params = value["params"]
    return PriceGroup(
        price_group_id=value["price_group_id"].whole(),
        price_group_name=value["price_group_name"].text(),
        price=value["price"].money(),
        num_resources_per_price=value["num_resources_per_price"].whole(),
        quantum=value["quantum"].whole(),
        params=PriceGroupParams(
            **{field.name: params[field.name].texts() for field in attrs.fields(PriceGroupParams)}
        ),
    )


def _damaged(path: str, problem: str) -> InvalidRequest:
    return InvalidRequest("RateTable.from_json", (Fault(path, problem),))


@attrs.frozen
class _Value:
    """One value of the file, and where it stands."""

    value: object
    path: str

    def __getitem__(self, key: str) -> "_Value":
        """Give the value of an object's field."""
        inside = cast("dict[str, object]", self._of(dict, "an object"))
        path = key if self.path == "rates" else f"{self.path}.{key}"
        if key not in inside:
            raise _damaged(path, "is missing")
        return _Value(inside[key], path)

    def items(self) -> list["_Value"]:
        """Give the values of a list."""
        inside = cast("list[object]", self._of(list, "a list"))
        return [_Value(item, f"{self.path}[{index}]") for index, item in enumerate(inside)]

    def text(self) -> str:
        """Give a string."""
        return cast("str", self._of(str, "a string"))

    def texts(self) -> tuple[str, ...]:
        """Give a list of strings."""
        return tuple(item.text() for item in self.items())

    def whole(self) -> int:
        """Give a whole number."""
        return cast("int", self._of(int, "a whole number"))

    def money(self) -> Decimal:
        """Give a decimal, written as a string."""
        try:
            amount = Decimal(self.text())
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite():
            raise _damaged(self.path, "is not a decimal number")
        return amount

    def _of(self, kind: type, name: str) -> object:
        if type(self.value) is not kind:
            raise _damaged(self.path, f"is not {name}")
        return self.value
