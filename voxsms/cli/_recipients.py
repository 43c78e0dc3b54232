"""A list of recipients in CSV, of any size: its good rows, and what is wrong with the others.

Whatever the file is like, no line of it is lost without a word: each is a row that is given, a bad
row that is told, or empty. A quote that is not closed makes CSV take the lines after it into one
value; `_swallowing` says how that is told from a value that has several lines, which is legal.
"""

import csv
import io
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import BinaryIO, Final, NamedTuple, TextIO

from voxsms.cli._errors import Usage

NOT_UTF8: Final = re.compile("[\udc80-\udcff]")
"""Finds what `decode` makes of a byte that is not UTF-8."""
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_MAX_LINES: Final = 100
"""Lines of one row; no message has that many."""
_MIN_DIGITS: Final = 5  # of a phone number
_REPORT_EVERY: Final = 1000  # rows


def _is_like_number(cell: str) -> bool:
    """Return whether a cell is meant to be a phone number, also where it is none (4,4744E+11)."""
    return sum(map(str.isdigit, cell)) >= _MIN_DIGITS and sum(map(str.isalpha, cell)) <= 1


class BadRow(NamedTuple):
    """Something in the file that is no recipient."""

    line: int
    """The line that is wrong, from 1."""
    reason: str
    lines: int = 1
    """How many lines of the file are left out for it."""


@contextmanager
def decode(file: BinaryIO) -> Generator[TextIO]:
    """Read UTF-8; any other byte becomes a lone surrogate and spoils only its row."""
    text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
    try:
        yield text
    finally:
        text.detach()  # otherwise it closes the file, which may be standard input


class Recipients:
    """The columns that are asked for, of every good row, with the line at which the row begins.

    Args:
        lines: those of a CSV file, with their ends; its first row names the columns.
        columns: which columns to give, in this order; the first one is that of the phone numbers.
        delimiter: what stands between two columns.
        on_bad: called with each row that has not the columns of the first one, or swallows others.
        on_rows: called now and then while rows are read.

    Raises:
        Usage: the first row cannot be read or lacks a column, or `delimiter` is none.
    """

    header: list[str]
    """The names of all columns."""

    def __init__(
        self,
        lines: Iterable[str],
        columns: Sequence[str],
        *,
        delimiter: str,
        on_bad: Callable[[BadRow], object],
        on_rows: Callable[[], object],
    ) -> None:
        self._lines: list[str] = []  # of the row that is being read
        self._delimiter = delimiter
        self._on_bad = on_bad
        self._on_rows = on_rows
        try:
            self._rows = csv.reader(self._keep(lines), delimiter=delimiter)
        except (TypeError, ValueError) as error:
            raise Usage(f"--delimiter: {error}") from None
        self._wanted: list[int] = []
        self.header = self._read_header()
        self._wanted = [self._index(column) for column in columns]

    def _keep(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._lines.append(line)
            yield line

    def _read_header(self) -> list[str]:
        try:
            header = next(self._rows, list[str]())
        except csv.Error as error:
            raise Usage(f"line 1: {error}") from None
        if len(self._lines) > 1 and (bad := self._find_swallowed(1, header)):
            raise Usage(f"line {bad.line}: {bad.reason}")
        return header

    def _index(self, column: str) -> int:
        if self.header.count(column) == 1:
            return self.header.index(column)
        problem = "two columns" if column in self.header else "no column"
        columns = ", ".join(self.header) or "none"
        raise Usage(f'the file has {problem} "{column}"; its first line names {columns}')

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Read on: the line at which a good row begins, and its columns."""
        wanted, width, lines = self._wanted, len(self.header), self._lines
        read = 0
        while True:
            read += 1
            lines.clear()
            first = self._rows.line_num + 1
            try:
                row = next(self._rows)
            except StopIteration:
                return
            except csv.Error as error:
                self._on_bad(self._unreadable(first, error))
                continue
            if len(lines) > 1 and (bad := self._find_swallowed(first, row)):
                self._on_bad(bad)
            elif len(row) == width:
                yield first, [row[index] for index in wanted]
            elif len(lines) > 1:
                problem = f"makes {len(row)} columns of it, and the first line has {width}"
                self._on_bad(self._refuse_swallowed(first, first, problem))
            elif row:  # an empty line is no row
                problem = f"has {len(row)} columns, and the first line {width}"
                self._on_bad(BadRow(first, problem))
            if not read % _REPORT_EVERY:
                self._on_rows()

    def _unreadable(self, first: int, error: csv.Error) -> BadRow:
        if len(self._lines) == 1:
            return BadRow(first, str(error))
        return self._refuse_swallowed(first, first, f"takes in too much ({error})")

    def _find_swallowed(self, first: int, row: list[str]) -> BadRow | None:
        """Return what is wrong with a row of several lines, unless it has a value of several lines.

        It is taken for several rows if a quote is not closed at the end of a value, if a line of it
        by itself is a row with a phone number, or if it has more lines than any message. Its last
        line may well be one, where a value of several lines stands before the number (`Ann",447...`
        after `"Mary`): only if its first line is one too.
        """
        opened, how = len(self._lines) - 1, ""
        try:
            list(csv.reader(self._lines, delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            how = "is never closed" if "end of data" in str(error) else "is not closed there"
        rows = (index for index, line in enumerate(self._lines) if index and self._is_row(line))
        found = next(rows, 0)
        if found and (found < opened or how or self._is_row(self._lines[0])):
            opened, how = found, how or "takes in what looks like rows"
        if not how and len(self._lines) <= _MAX_LINES:
            return None
        # It is in the line in which the value begins that goes on in the line `opened`.
        ends = accumulate((len(_LINE_END.findall(value)) for value in row), initial=0)
        start = max(end for end in ends if end < opened)
        return self._refuse_swallowed(
            first, first + start, how or "takes in more lines than a text"
        )

    def _is_row(self, line: str) -> bool:
        """Return whether a line by itself has columns, and a phone number where it belongs.

        Also if its quotes are read as any other character: it may have a stray one too.
        """
        for cells in (
            next(csv.reader([line], delimiter=self._delimiter)),
            line.split(self._delimiter),
        ):
            numbers = cells
            if self._wanted:
                # How many columns follow proves nothing: a stray quote may join or part them.
                at, least = self._wanted[0], min(2, len(self.header))
                numbers = cells[at : at + 1] if len(cells) >= least else []
            if any(map(_is_like_number, numbers)):
                return True
        return False

    def _refuse_swallowed(self, first: int, opened: int, how: str) -> BadRow:
        last = first + len(self._lines) - 1
        lines = sum(1 for line in self._lines if line.strip())
        return BadRow(
            opened,
            f"a quote opened here {how}: lines {first:,} to {last:,} were read as one row and are "
            "left out",
            lines,
        )
