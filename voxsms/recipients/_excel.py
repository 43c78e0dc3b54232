"""The rows of an Excel workbook, by openpyxl (extra `xlsx`), which reads them one by one.

A cell has a value and the format in which Excel shows it; for numbers both count. 447700900123 may
be shown as 4.477E+11 and still have all its digits, but a number in scientific format that ends
with zeros was entered as such a text, without its last digits. A leading zero or country code may
be only in the format: 7700900123 as `00000 000000`, `"+44 "0` or `+44 0`.
"""

import math
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, time
from itertools import islice
from typing import Any, BinaryIO, Final, Protocol

from voxsms.recipients._rows import BadRow, make_error

SIGNATURE: Final = b"PK\x03\x04"
"""A workbook is a zip file."""
OLD_SIGNATURE: Final = b"\xd0\xcf\x11\xe0"
"""Excel 97's files, and workbooks with a password."""
_LITERAL: Final = r'"[^"]*"|\\.|[ ()+-]'
_PLAIN_FORMAT: Final = re.compile(
    rf"(?P<before>(?:[1-9]|{_LITERAL})*)#*(?P<padded>0(?:[0#]|{_LITERAL})*)?"
)
"""Digits padded with zeros, and texts; each `#` after a 0 is a 0, too.

In front of a number, 1 to 9 need no quotes: `+44 0`.
"""
_IS_PREFIX: Final = re.compile(r"[\d+]")
_QUOTED: Final = re.compile(r'"([^"]*)"|\\(.)')
_SCIENTIFIC: Final = re.compile(r"[0#.]*E\+0+")
_MAX_DIGITS: Final = 15
"""The digits that Excel keeps of a number."""


class _Cell(Protocol):
    value: object
    number_format: str


class ExcelRows:
    """The rows of one sheet: the requested one, or the first visible one."""

    header: list[str]
    number_at: int | None = None
    sheet: str
    others: list[str]
    """The names of the other visible sheets."""

    def __init__(self, file: BinaryIO, sheet: str | None = None, skip_rows: int = 0) -> None:
        openpyxl = _import_openpyxl()
        with _told_if_broken():
            self._book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        shown: dict[str, Any] = {
            one.title: one for one in self._book.worksheets if one.sheet_state == "visible"
        }
        wanted = next(iter(shown), "") if sheet is None else sheet
        if wanted not in shown:
            names = ", ".join(shown) or "none"
            raise make_error("sheet", f'there is no sheet "{wanted}"; the sheets are {names}')
        self.sheet = wanted
        self.others = [name for name in shown if name != wanted]
        found = shown[wanted]
        found.reset_dimensions()  # some programs write a wrong size into the file
        self._rows = islice(_number_rows(found.iter_rows()), skip_rows, None)
        self.header = self._read_header()

    def _read_header(self) -> list[str]:
        for _, row in self._rows:
            header = [_write(cell) for cell in row]
            while header and not header[-1].strip():
                header.pop()  # a format may extend beyond the last name
            if header:
                return header
        return []

    def __iter__(self) -> Iterator[tuple[int, list[str]] | BadRow]:
        """Yield the rows: the number of each, and its cells."""
        width = len(self.header)
        for line, row in self._rows:
            cells = [_write(cell) for cell in row[:width]]
            yield line, cells + [""] * (width - len(cells))

    def close(self) -> None:
        """Close the file."""
        self._book.close()


def _import_openpyxl() -> Any:  # noqa: ANN401 - a library without types
    try:
        import openpyxl  # noqa: PLC0415 - few need it
    except ModuleNotFoundError as missing:
        need = "Excel workbooks need openpyxl: pip install 'voxsms[xlsx]'"
        raise ModuleNotFoundError(need, name=missing.name) from None
    return openpyxl


@contextmanager
def _told_if_broken() -> Generator[None]:
    """Report any error of openpyxl as a broken file."""
    try:
        yield
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        problem = f"is not a readable Excel workbook: save it again, or as CSV ({why})"
        raise make_error("source", problem) from error


def _number_rows(rows: Iterable[tuple[_Cell, ...]]) -> Iterator[tuple[int, tuple[_Cell, ...]]]:
    with _told_if_broken():
        yield from enumerate(rows, 1)


def _write(cell: _Cell) -> str:
    """Write a cell as text: a number with all its digits, a date without a time."""
    value = cell.value
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return str(value.date() if value.time() == time() else value)
    if isinstance(value, int | float):
        return _write_number(value, cell.number_format)
    return str(value)


def _write_number(value: float, number_format: str) -> str:
    if math.isfinite(value) and value == int(value) and abs(value) < 10**_MAX_DIGITS:
        digits = str(int(value))
        if plain := _PLAIN_FORMAT.fullmatch(number_format):
            before = _QUOTED.sub(r"\1\2", plain["before"]).rstrip(" (")  # it closes further on
            places = _QUOTED.sub("", plain["padded"] or "")
            digits = digits.zfill(places.count("0") + places.count("#"))
            return before + digits if _IS_PREFIX.search(before) else digits
        if not (_SCIENTIFIC.fullmatch(number_format) and digits.endswith("000")):
            return digits
        mantissa, exponent = f"{value:E}".split("E")  # the text that it was before
        return f"{mantissa.rstrip('0').rstrip('.')}E{exponent}"
    return f"{value:.{_MAX_DIGITS}G}"
