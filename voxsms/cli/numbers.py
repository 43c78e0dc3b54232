"""`numbers`: the phone numbers that an account rents, and which can carry SMS."""

from rich.table import Table
from rich.text import Text

from voxsms.api import spec
from voxsms.api.models import PhoneNumber
from voxsms.cli import _io as io
from voxsms.cli._account import FROM_ENVIRONMENT, OfAccount
from voxsms.cli._io import Json
from voxsms.cli._mirror import Given, mirror


@mirror(spec.GET_PHONE_NUMBERS)
async def numbers(
    *, json: Json = False, account: OfAccount = FROM_ENVIRONMENT, **given: Given
) -> None:
    """List the numbers of the account."""
    async with account.client() as client:
        found = [number async for number in client.get_phone_numbers(**given)]
    if json:
        for number in found:
            io.print_json(number)
        return
    io.out().print(table_of_numbers(found))


def table_of_numbers(found: list[PhoneNumber]) -> Table:
    """Return numbers as a table."""
    table = io.Rows("number", "country", "region", "SMS", "state")
    for number in found:
        state = "deactivated" if number.deactivated else "canceled" if number.canceled else ""
        cells = (number.phone_country_code, number.phone_region_name)
        table.add(
            number.phone_number,
            *(io.visible(cell or "") for cell in cells),
            _sms(number),
            state,
        )
    return table


def _sms(number: PhoneNumber) -> Text:
    if not number.is_sms_supported:
        return Text("not supported", io.FAINT)
    return Text("enabled", io.GOOD) if number.is_sms_enabled else Text("not enabled")
