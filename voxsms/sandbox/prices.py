"""Price groups as `GetResourcePrice` gives them, money as exact JSON numbers."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

from voxsms.api.models import PriceGroup, ResourcePrice
from voxsms.sandbox.refusal import Refusal

_INVALID_RESOURCE_TYPE = 429
_TYPES = re.compile(
    "SMSOUT|SMSOUT_INTERNATIONAL|SMSOUT_RU_INTERNATIONAL|A2P_SMS_E212|SMSINPUT|SMS_IN_MOB_[A-Z]{2}"
)
_BY_NUMBER = "resource_param"


def number(amount: Decimal) -> orjson.Fragment:
    """Write an amount as a JSON number with every digit it has."""
    return orjson.Fragment(f"{amount:f}")


def select(prices: Iterable[ResourcePrice], values: Mapping[str, Any]) -> list[dict[str, object]]:
    """Give the prices that a request asks for, as JSON."""
    types = values.get("resource_type")
    for name in types or ():
        if not _TYPES.fullmatch(name):
            raise Refusal(_INVALID_RESOURCE_TYPE)
    wanted = [price for price in prices if types is None or price.resource_type in types]
    found = [(price.resource_type, list(_groups(price.price_groups, values))) for price in wanted]
    return [{"resource_type": name, "price_groups": groups} for name, groups in found if groups]


def _groups(groups: Sequence[PriceGroup], values: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    ids, name = values.get("price_group_id"), values.get("price_group_name", "")
    asked = _requested(groups, values.get(_BY_NUMBER, ()))
    for group in groups:
        requested = asked.get(group.price_group_id, [])
        if (
            (ids is None or group.price_group_id in ids)
            and name.lower() in group.price_group_name.lower()
            and (requested or _BY_NUMBER not in values)
        ):
            yield _group(group, requested)


def _requested(groups: Sequence[PriceGroup], numbers: Iterable[str]) -> dict[int, list[str]]:
    """Sort numbers into the groups that they belong to, by group id."""
    found: dict[int, list[str]] = {}
    for each in numbers:
        group = max(groups, key=lambda group: _match(group, each), default=None)
        if group and _match(group, each) and not each.startswith(group.params.forbidden):
            found.setdefault(group.price_group_id, []).append(each)
    return found


def _match(group: PriceGroup, digits: str) -> int:
    """Give the length of a group's longest allowed prefix of a number; 0 if there is none."""
    return max((len(p) for p in group.params.allowed if digits.startswith(p)), default=0)


def _group(group: PriceGroup, requested: Sequence[str]) -> dict[str, object]:
    params = {"forbidden": group.params.forbidden, "requested": requested}
    return {
        "price_group_id": group.price_group_id,
        "price_group_name": group.price_group_name,
        "price": number(group.price),
        "num_resources_per_price": group.num_resources_per_price,
        "quantum": group.quantum,
        "params": {"allowed": group.params.allowed} | {k: v for k, v in params.items() if v},
    }
