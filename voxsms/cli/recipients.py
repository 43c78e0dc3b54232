"""A list of recipients in CSV, of any size: row after row, the bad ones told and passed over."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final

from voxsms.cli.endings import Usage

_LOOKS: Final = 1000  # rows between two looks at how far it has come


class Recipients:
    """The columns that are asked for, of every good row.

    Args:
        file: a CSV file in UTF-8, open for reading bytes; its first row names the columns. A byte
            that is not UTF-8 becomes a lone surrogate, so that it spoils only its own row.
        columns: which columns to give, in this order.
        delimiter: what stands between two columns.
        on_bad: told what is wrong with a row that has not the columns of the first.
        on_rows: called now and then while rows are read.
    """

    def __init__(
        self,
        file: BinaryIO,
        columns: Sequence[str],
        *,
        delimiter: str,
        on_bad: Callable[[str], object],
        on_rows: Callable[[], object],
    ) -> None:
        text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
        try:
            self._rows = csv.reader(text, delimiter=delimiter)
        except (TypeError, ValueError) as error:
            raise Usage(f"--delimiter: {error}") from None
        self._on_bad = on_bad
        self._on_rows = on_rows
        self.line = 1
        """Where in the file the row begins that was given last."""
        self._header: list[str] = next(self._rows, list[str]())
        self._wanted = [self._position(column) for column in columns]

    def _position(self, column: str) -> int:
        if self._header.count(column) == 1:
            return self._header.index(column)
        problem = "two columns" if column in self._header else "no column"
        columns = ", ".join(self._header) or "none"
        raise Usage(f'the file has {problem} "{column}"; its first line names {columns}')

    def __iter__(self) -> Iterator[list[str]]:
        """Give the columns of every good row."""
        wanted, width = self._wanted, len(self._header)
        for row in self._read():
            if len(row) == width:
                yield [row[position] for position in wanted]
            elif row:  # an empty line is no row
                self._on_bad(f"has {len(row)} columns, and the first line {width}")

    def _read(self) -> Iterator[list[str]]:
        read = 0
        while True:
            self.line = self._rows.line_num + 1
            try:
                row = next(self._rows)
            except StopIteration:
                return
            except csv.Error as error:
                self._on_bad(str(error))
                continue
            read += 1
            if not read % _LOOKS:
                self._on_rows()
            yield row
