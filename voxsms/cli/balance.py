"""`balance`: how much money an account has left."""

from decimal import Decimal
from typing import Final

from voxsms.cli import _io as io
from voxsms.cli._account import FROM_ENVIRONMENT, OfAccount
from voxsms.cli._io import Json

_SHOWN: Final = ("account_id", "account_name", "balance", "credit_limit", "currency")
"""The fields of the account that are shown; others are secrets."""


async def balance(*, json: Json = False, account: OfAccount = FROM_ENVIRONMENT) -> None:
    """Show how much money the account has left."""
    async with account.client() as client:
        found = await client.get_account_info(return_live_balance=True)
    if json:
        io.print_json({name: getattr(found, name) for name in _SHOWN})
        return
    credit = io.money(found.credit_limit or Decimal(0), found.currency)
    more = f", and {credit} of credit" if found.credit_limit else ""
    io.say((io.money(found.balance, found.currency), io.ACCENT), more)
