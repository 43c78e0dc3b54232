"""`history sms` and `history a2p`: the messages of an account, printed as they arrive."""

from collections.abc import AsyncIterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Protocol

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.text import Text

from voxsms.api import spec
from voxsms.api.models import A2PSmsHistory, DeliveryStatus, MessageStatus, SmsHistory
from voxsms.cli import _io as io
from voxsms.cli._account import FROM_ENVIRONMENT, OfAccount
from voxsms.cli._io import Json
from voxsms.cli._mirror import Given, mirror
from voxsms.pricing import Tally

Row = SmsHistory | A2PSmsHistory
Limit = Annotated[
    int | None,
    Parameter(validator=Number(gte=1), help="How many messages to show; all of them by default."),
]


history: App = App(name="history", help="Show the history of messages.")


@history.command(name="sms")
@mirror(spec.GET_SMS_HISTORY)
async def history_sms(
    *,
    limit: Limit = None,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
    **given: Given,
) -> None:
    """Show the history of two-way messages."""
    async with account.client() as client:
        await _show(client.get_sms_history(**_enough(given, limit)), limit, json=json)


@history.command(name="a2p")
@mirror(spec.A2P_GET_SMS_HISTORY)
async def history_a2p(
    *,
    limit: Limit = None,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
    **given: Given,
) -> None:
    """Show the history of A2P messages."""
    async with account.client() as client:
        await _show(client.a2p_get_sms_history(**_enough(given, limit)), limit, json=json)


def _enough(given: dict[str, Any], limit: int | None) -> dict[str, Any]:
    """Limit a page to the rows that are shown."""
    return given if limit is None else {"count": min(limit, spec.MAX_PAGE_ROWS), **given}


class _Printer(Protocol):
    def row(self, row: Row) -> None: ...
    def end(self) -> None: ...


async def _show(rows: AsyncIterable[Row], limit: int | None, *, json: bool) -> None:
    """Print row after row: a history of any size takes no memory."""
    printer: _Printer = _JsonLines() if json else Lines()
    shown = 0
    async for row in rows:
        printer.row(row)
        shown += 1
        if shown == limit:
            break
    printer.end()


class _JsonLines:
    def row(self, row: Row) -> None:
        io.print_json(row)

    def end(self) -> None:
        pass


_WIDTHS: Final = {
    "time (UTC)": 16,
    "message": 7,
    "": 3,
    "from": 12,
    "to": 12,
    "frag.": 5,
    "cost": 7,
    "status": 10,
}
"""Columns, 79 wide together: the widths are fixed, as each row is printed when it arrives."""
_INDENT: Final = 17
"""Where a text or an error begins at a terminal, below its row; elsewhere it ends the line."""
_FIGURES: Final = ("message", "frag.", "cost")
_STYLES: Final[Mapping[str, str]] = {
    DeliveryStatus.DELIVERED: io.GOOD,
    DeliveryStatus.QUEUED: io.FAINT,
    DeliveryStatus.DISPATCHED: io.FAINT,
    MessageStatus.SUCCESS: io.GOOD,
    MessageStatus.WAITING: io.FAINT,
}


class Lines:
    """A table that is printed line by line, and the sum below it."""

    def __init__(self) -> None:
        self._console = io.out()
        self._sum = Tally()

    def row(self, row: Row) -> None:
        """Print one message."""
        if not self._sum.messages:
            self._print({name: name for name in _WIDTHS}, dict.fromkeys(_WIDTHS, io.FAINT))
        status, style = _status(row)
        self._print(
            {
                "time (UTC)": _time(row),
                "message": str(row.message_id or ""),
                "": str(row.direction) if isinstance(row, SmsHistory) else "",
                "from": row.source_number,
                "to": row.destination_number,
                "frag.": str(row.fragments),
                "cost": io.money(row.cost),
                "status": status,
            },
            {"status": style},
            row.error_message or row.text or "",
        )
        self._sum += Tally(1, row.fragments, row.cost)

    def _print(self, cells: Mapping[str, str], styles: Mapping[str, str], words: str = "") -> None:
        line = Text(no_wrap=True)
        for name, width in _WIDTHS.items():
            cell = io.visible(cells[name])
            padded = cell.rjust(width) if name in _FIGURES else cell.ljust(width)
            line.append(padded, styles.get(name, ""))
            line.append(" ")
        said = Text(io.visible(words))
        if not self._console.is_terminal:
            line.append_text(said)
        line.rstrip()
        self._console.print(line, soft_wrap=True)
        if words and self._console.is_terminal:
            for part in said.wrap(self._console, self._console.width - _INDENT):
                self._console.print(Text(" " * _INDENT).append_text(part), soft_wrap=True)

    def end(self) -> None:
        """Print the sum."""
        if not self._sum.messages:
            io.say("no messages")
            return
        cost = f"cost {io.money(self._sum.cost)} in the currency of the account"
        messages = io.number(self._sum.messages, "message")
        io.say((f"{messages}, {io.number(self._sum.fragments, 'fragment')}, {cost}", io.FAINT))


def _time(row: Row) -> str:
    at: datetime | None
    at = row.processed_date if isinstance(row, SmsHistory) else row.processing_date
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _status(row: Row) -> tuple[str, str]:
    """Return the status that says most, and its style."""
    status: str = row.status_id
    if isinstance(row, A2PSmsHistory) and row.delivery_status is not None:
        status = row.delivery_status
    name = status.name if isinstance(status, MessageStatus) else str(status)
    known = isinstance(status, MessageStatus | DeliveryStatus)
    return name.lower(), _STYLES.get(status, io.BAD) if known else ""
