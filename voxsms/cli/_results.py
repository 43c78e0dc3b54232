"""What became of each row of a list, as a file beside it."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

import attrs

from voxsms.cli import _io as io
from voxsms.cli._mailing import Composer, MessageList
from voxsms.errors import InvalidRequest
from voxsms.outbox import Intent, State
from voxsms.recipients import BadRow, Recipient

_TOLD: Final = ("state", "message_id", "fragments", "cost", "error")
"""The columns that follow those of the list."""
_OF_CALLS: Final = ("A2PSendSms: ", "SendSmsMessage: ")
"""The beginnings of errors that already have the code."""
BAD_ROW, REPEATED = "bad_row", "repeated"
"""The states of rows that are not intents."""


@attrs.define
class Results:
    """What became of a list, counted by the state of its rows."""

    states: Counter[str] = attrs.field(factory=Counter[str])
    refused_by_service: int = 0
    cost: Decimal = Decimal(0)

    def write(self, file: Path, listed: MessageList, intents: Mapping[str, Intent]) -> None:
        """Write the file: the columns of the list and what became of each row.

        It replaces an existing file when it is complete. It is encoded like the list, so that the
        same program can open it.
        """
        with listed.open() as people:
            rows = people.found
            columns = [_free(name, rows.columns) for name in ("line", *_TOLD)]
            encoding = _encoding_like(rows.encoding)
            with io.replaced(file, encoding) as writing:
                writer = csv.writer(writing, delimiter=rows.delimiter or ",")
                writer.writerow([columns[0], *rows.columns, *columns[1:]])
                for row, told in self._tell(listed, rows, intents):
                    cells = rows.cells or [""] * len(rows.columns)
                    writer.writerow([row.line, *cells, *told])

    def _tell(
        self,
        listed: MessageList,
        rows: Iterable[Recipient | BadRow],
        intents: Mapping[str, Intent],
    ) -> Iterator[tuple[Recipient | BadRow, list[object]]]:
        composer = Composer(listed)
        for row in rows:
            told: list[object]
            if isinstance(row, BadRow):
                told = [BAD_ROW, "", "", "", row.reason]
            else:
                try:
                    composed = composer.compose(row)
                except InvalidRequest as error:
                    told = [BAD_ROW, "", "", "", "; ".join(f.problem for f in error.faults)]
                else:
                    told = self._tell_of(intents[composed.key or ""]) if composed else _AGAIN
            self.states[str(told[0])] += 1
            yield row, told

    def _tell_of(self, intent: Intent) -> list[object]:
        error, code = intent.error or "", intent.error_code
        if code is not None:
            self.refused_by_service += 1
            error = error if error.startswith(_OF_CALLS) else f"{code}: {error}"
        if intent.cost is not None:
            self.cost += intent.cost
        cost = "" if intent.cost is None else f"{intent.cost:f}"
        return [intent.state.value, intent.message_id, intent.fragments_count, cost, error]

    def describe(self, currency: str) -> str:
        """Say how many rows are in which state."""
        sent = self.states[State.SENT]
        cost = f" for {io.money(self.cost, currency)}" if sent else ""
        others = (
            f", {io.number(count, 'row')} left out"
            if state == BAD_ROW
            else f", {count:,} {state.replace('_', ' ')}"
            for state, count in sorted(self.states.items())
            if state != State.SENT
        )
        return f"{sent:,} sent{cost}{''.join(others)}"


_AGAIN: Final[list[object]] = [
    REPEATED,
    "",
    "",
    "",
    "is like an earlier row: number and text",
]


def _free(name: str, columns: tuple[str, ...]) -> str:
    """Return the name, or another one if the list has a column of that name."""
    return f"sms_{name}" if name in columns else name


def _encoding_like(encoding: str | None) -> str:
    if encoding is None or encoding == "utf-8":
        return "utf-8-sig"  # Excel reads UTF-8 only with the mark
    return "utf-16" if encoding.startswith(("utf-16", "utf-32")) else encoding
