"""`prices`: show what the service charges, and save it in a file of rates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from voxsms.api import spec
from voxsms.api.models import PriceGroup, ResourcePrice
from voxsms.cli import _io as io
from voxsms.cli._account import FROM_ENVIRONMENT, OfAccount
from voxsms.cli._io import Json
from voxsms.cli._mirror import Given, mirror
from voxsms.pricing import RESOURCE_TYPES, RateTable, price_of_one

Way = Literal["a2p", "send"]
"""The two ways to send, by the names of their commands."""
METHOD_OF_WAY: dict[Way, Literal["a2p_send_sms", "send_sms_message"]] = {
    "a2p": "a2p_send_sms",
    "send": "send_sms_message",
}


@mirror(spec.GET_RESOURCE_PRICE)
async def prices(
    *,
    way: Annotated[
        Way, Parameter(name="--for", help="Which command's prices: `voxsms a2p` or `voxsms send`.")
    ] = "a2p",
    save: Annotated[
        Path | None, Parameter(help="Save them in this file, for `voxsms estimate --rates`.")
    ] = None,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
    **given: Given,
) -> None:
    """List prices, by default those of one way to send."""
    method = METHOD_OF_WAY[way]
    async with account.client() as client:
        info = await client.get_account_info()
        filters: dict[str, Any] = {"resource_type": RESOURCE_TYPES[method], **given}
        found = await client.get_resource_price(**filters)
    rates = RateTable.from_resource_prices(found, currency=info.currency, method=method)
    if save is not None:
        save.write_text(rates.to_json(), encoding="utf-8")
    if json:
        for price in found:
            io.print_json(price)
        return
    _print_prices(found, info.currency)
    if save is not None:
        io.say(f"saved in {save}")


def _print_prices(found: Sequence[ResourcePrice], currency: str) -> None:
    price = f"{currency} a fragment"
    table = io.Rows("type", "group", price, "steps", "prefixes", "but not", right=(price, "steps"))
    for resource in found:
        for group in resource.price_groups:
            table.add(resource.resource_type, *_cells(group))
    io.out().print(table if table.row_count else "no prices")


def _cells(group: PriceGroup) -> tuple[str, ...]:
    return (
        io.visible(group.price_group_name),
        io.money(price_of_one(group.price, group.num_resources_per_price)),
        str(group.quantum),
        " ".join(group.params.allowed),
        " ".join(group.params.forbidden),
    )
