"""`numbers` and `methods`: what an account has, and what it can do with it."""

from cyclopts import App
from rich.table import Table
from rich.text import Text

from voxsms.api import spec
from voxsms.api.models import PhoneNumber
from voxsms.api.spec import METHODS, AnyMethod
from voxsms.cli import _io as io
from voxsms.cli._account import FROM_ENVIRONMENT, OfAccount
from voxsms.cli._io import Json
from voxsms.cli._mirror import Given, mirror


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
    """Give numbers as a table."""
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


def methods(*, json: Json = False) -> None:
    """Show the methods of the service that voxsms has: the table all of it is made from."""
    if json:
        for row in METHODS.values():
            io.print_json(_described(row))
        return
    table = io.Rows("method", "on the wire", "what it does", "charges", "pages")
    for row in METHODS.values():
        marks = ["yes" if mark else "" for mark in (row.charges, row.paged)]
        table.add(spec.python_name(row.cmd), row.cmd, row.summary, *marks)
    io.out().print(table)


def _described(row: AnyMethod) -> dict[str, object]:
    kind = spec.request_class(row)
    needed = spec.required(kind)
    return {
        "name": spec.python_name(row.cmd),
        "cmd": row.cmd,
        "summary": row.summary,
        "charges": row.charges,
        "paged": row.paged,
        "roles": row.roles,
        "parameters": [
            {"name": name, "required": name in needed, "doc": param.doc}
            for name, param in spec.parameters(kind).items()
        ],
    }


def add_to(app: App) -> None:
    """Add these commands to the program."""
    mirror(app, spec.GET_PHONE_NUMBERS, "numbers", numbers)
    app.command(methods, group=io.WITHOUT_ACCOUNT)
