"""A workbook for people who use a spreadsheet, by XlsxWriter (extra `xlsx`).

Phone numbers and ids are texts, or a spreadsheet would show them as 4,477E+11 and keep only 15
digits. Times are dates, in UTC as the column name says, because a spreadsheet's times have no zone;
amounts are numbers, which can be summed. A text is written as a text, whatever it begins with:
nothing in the file is a formula.

Saved rows are lines of JSON. XlsxWriter writes a sheet row by row, with temporary files beside the
export; nothing is kept in memory.
"""

import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from voxsms.errors import Fault, InvalidRequest, ResponseInvalid
from voxsms.export import _files as files
from voxsms.export._rows import DATE_LENGTH, Column, Kind, amount_text
from voxsms.export._table import Table
from voxsms.export.formats._format import Format, Sink

MAX_SHEET_ROWS = 1_048_575
"""The rows of a sheet besides the header."""
_IDS = ("message_id", "transaction_id")
_WIDTHS = {"text": 60, "error_message": 24}
_WIDTH = 18
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a spreadsheet's times have no zone
_FIRST_TIME = "1900-03-01"
"""Earlier times have no number that all spreadsheets read in the same way."""
_DAY_SECONDS = 86_400
_MADE = datetime(2000, 1, 1, tzinfo=UTC)
"""The creation time in the file, fixed so that the same rows produce the same bytes."""


class Xlsx(Format):
    """Writes rows as a sheet. Raises `ModuleNotFoundError` if XlsxWriter is not installed.

    Args:
        table: the columns.
        temporary: a directory that XlsxWriter may use for its own files, which also contain texts.
    """

    header = None
    max_rows = MAX_SHEET_ROWS

    def __init__(self, table: Table, temporary: Path) -> None:
        self._workbook: Any = import_module("xlsxwriter").Workbook
        self._table = table
        self._temporary = temporary

    def encode(self, portions: Iterable[Sequence[Any]], /) -> bytes:
        """Return each row's cells on a line."""
        return b"".join(map(self._lines, portions))

    def _lines(self, contents: Sequence[Any]) -> bytes:
        cells = [self._cells(c, self._table.take(c, contents)) for c in self._table.columns]
        return b"\n".join([*map(orjson.dumps, zip(*cells, strict=True)), b""])

    def _cells(self, column: Column, values: list[Any]) -> list[Any]:
        """Return values for JSON: a text becomes a text in the sheet, a number a number."""
        if column.kind is Kind.MONEY:
            amounts = [None if text is None else float(text) for text in map(amount_text, values)]
            if math.inf in amounts or -math.inf in amounts:
                problem = "an amount beyond any double"
                raise ResponseInvalid(self._table.layout.cmd, f"result[].{column.name}", problem)
            return amounts
        if column.name in _IDS:
            return [None if value is None else str(value) for value in values]
        if column.kind is Kind.CHOICE:
            return [column.known.get(value, value) for value in values]
        return values

    def write(self, file: BinaryIO, parts: Iterable[bytes], _: int, /) -> None:
        """Write a workbook with one sheet."""
        sink = Sink(file)
        files.make_directory(self._temporary)
        options = {"constant_memory": True, "tmpdir": str(self._temporary)}
        workbook = self._workbook(sink, options)
        workbook.set_properties({"created": _MADE})
        with ExitStack() as steps:
            steps.callback(files.remove_tree, self._temporary)
            steps.callback(sink.cut)
            steps.callback(_close, workbook)
            try:
                self._fill(workbook, chain.from_iterable(map(bytes.splitlines, parts)))
            except BaseException:
                sink.cut()  # the only way to make XlsxWriter close its files
                raise

    def _fill(self, workbook: Any, lines: Iterable[bytes]) -> None:  # noqa: ANN401 - it has no types
        sheet = workbook.add_worksheet("history")
        bold = workbook.add_format({"bold": True})
        time, date = (
            workbook.add_format({"num_format": form})
            for form in ("yyyy-mm-dd hh:mm:ss", "yyyy-mm-dd")
        )
        sheet.freeze_panes(1, 0)
        sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})  # on purpose
        times = [column.kind is Kind.TIME for column in self._table.columns]
        for place, name in enumerate(self._table.names):
            sheet.set_column(place, place, _WIDTHS.get(name, _WIDTH))
            sheet.write_string(0, place, f"{name} (UTC)" if times[place] else name, bold)
        for number, line in enumerate(lines, 1):
            if number > self.max_rows:
                raise too_long(number)
            for place, cell in enumerate(orjson.loads(line)):
                if cell is None:
                    continue
                if times[place] and cell >= _FIRST_TIME:
                    form = date if len(cell) == DATE_LENGTH else time
                    sheet.write_number(number, place, _serial(cell), form)
                elif type(cell) is not str:
                    sheet.write_number(number, place, cell)
                elif sheet.write_string(number, place, cell):
                    name = self._table.columns[place].name
                    problem = "a text that is too long for a spreadsheet cell"
                    raise ResponseInvalid(self._table.layout.cmd, f"result[].{name}", problem)


def too_long(rows: int) -> InvalidRequest:
    """Return the error for more rows than a sheet holds."""
    problem = (
        f"a sheet of a spreadsheet holds {MAX_SHEET_ROWS:,} messages, and there are {rows:,} or "
        "more: export a shorter range, a directory with a file for each day, or to .csv or .parquet"
    )
    return InvalidRequest("export_history", (Fault("path", problem),))


def _close(workbook: Any) -> None:  # noqa: ANN401 - it has no types
    try:
        workbook.close()
    except import_module("xlsxwriter.exceptions").FileCreateError as error:
        raise error.args[0] from None  # the original OSError


def _serial(text: str) -> float:
    """Return a time as a spreadsheet's number: days."""
    return (datetime.fromisoformat(text) - _EPOCH).total_seconds() / _DAY_SECONDS
