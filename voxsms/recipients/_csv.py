"""The rows of a CSV file of any kind.

Whatever the file is like, no line is lost silently: each is part of a returned row, of a reported
bad row, or is empty. After an unclosed quote CSV reads the following lines as one value;
`_find_swallowed` explains how to distinguish that from a legal value of several lines.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain, islice
from typing import Final

from voxsms.recipients._rows import BadRow, count_columns, make_error

_NAMES: Final = {"comma": ",", "semicolon": ";", "tab": "\t", r"\t": "\t", "pipe": "|"}
_SNIFFED: Final = ",;\t|"
_SAMPLE: Final = 50  # lines
_SEP: Final = re.compile(r'"?sep=([^\r\n])"?[\r\n]*', re.IGNORECASE)
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_FORMULA: Final = re.compile(r'="([^"]*)"')
"""How a cell is marked as text for a spreadsheet, as `voxsms export --excel` does."""
_MAX_LINES: Final = 100
"""The most lines of one row; no message has that many."""
_MIN_DIGITS: Final = 5  # of a phone number


def is_like_number(cell: str) -> bool:
    """Return whether a cell looks like a phone number, even if it is not one (4,4744E+11)."""
    return sum(map(str.isdigit, cell)) >= _MIN_DIGITS and sum(map(str.isalpha, cell)) <= 1


class CsvRows:
    """The rows of a CSV file, from its lines with their line ends."""

    header: list[str]
    number_at: int | None = None
    delimiter: str
    """What separates the columns: the requested one, that of `sep=`, or that of most rows."""

    def __init__(
        self, lines: Iterable[str], delimiter: str | None = None, skip_rows: int = 0
    ) -> None:
        asked = None if delimiter is None else _check_delimiter(delimiter)
        lines = iter(lines)
        first = next(lines, "").lstrip("\ufeff")
        said = _SEP.fullmatch(first)
        if not said:
            lines = chain([first], lines)
        skipped = sum(1 for _ in islice(lines, skip_rows))
        self._before = bool(said) + skipped  # lines before the first line of CSV
        sample = list(islice(lines, _SAMPLE))
        self.delimiter = asked or (said[1] if said else _sniff(sample))
        self._lines: list[str] = []  # of the row that is being read
        self._rows = csv.reader(self._keep(chain(sample, lines)), delimiter=self.delimiter)
        self.header = self._read_header()

    def _keep(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._lines.append(line)
            yield line

    def _begin_row(self) -> int:
        self._lines.clear()
        return self._before + self._rows.line_num + 1

    def _read_header(self) -> list[str]:
        header: list[str] = []
        while not any(map(str.strip, header)):  # a line without any name is before the list
            first = self._begin_row()
            try:
                header = next(self._rows)
            except StopIteration:
                return []
            except csv.Error as error:
                raise make_error("source", f"line {first}: {error}") from None
            if len(self._lines) > 1 and (bad := self._find_swallowed(first, header)):
                raise make_error("source", f"line {bad.line}: {bad.reason}")
        return header

    def __iter__(self) -> Iterator[tuple[int, list[str]] | BadRow]:
        """Yield the rows: the line at which each begins, and its cells."""
        width, lines = len(self.header), self._lines
        while True:
            first = self._begin_row()
            try:
                row = next(self._rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._refuse_unreadable(first, error)
                continue
            if len(lines) > 1 and (bad := self._find_swallowed(first, row)):
                yield bad
            elif len(row) == width:
                yield first, _read_formulas(row) if '="' in "".join(lines) else row
            elif len(lines) > 1:
                problem = f"makes {count_columns(len(row))} of it, and the first line has {width}"
                yield self._refuse_swallowed(first, first, problem)
            elif row:  # an empty line is not a row
                yield BadRow(first, f"has {count_columns(len(row))}, and the first line {width}")

    def _refuse_unreadable(self, first: int, error: csv.Error) -> BadRow:
        if len(self._lines) == 1:
            return BadRow(first, str(error))
        return self._refuse_swallowed(first, first, f"takes in too much ({error})")

    def _find_swallowed(self, first: int, row: list[str]) -> BadRow | None:
        """Return what is wrong with a row of several lines; None if its values have them.

        It counts as several rows if a quote is not closed at the end of a value, if one of its
        lines alone is a row with a phone number, or if it has more lines than any message. The last
        line may look like a row if a value of several lines is before the number (`Ann",447...`
        after `"Mary`): it counts only if the first line looks like one, too.
        """
        opened, how = len(self._lines) - 1, ""
        try:
            list(csv.reader(self._lines, delimiter=self.delimiter, strict=True))
        except csv.Error as error:
            how = "is never closed" if "end of data" in str(error) else "is not closed there"
        rows = (index for index, line in enumerate(self._lines) if index and self._is_row(line))
        found = next(rows, 0)
        if found and (found < opened or how or self._is_row(self._lines[0])):
            opened, how = found, how or "takes in what looks like rows"
        if not how and len(self._lines) <= _MAX_LINES:
            return None
        # The quote is in the line where the value begins that continues in the line `opened`.
        ends = accumulate((len(_LINE_END.findall(value)) for value in row), initial=0)
        start = max(end for end in ends if end < opened)
        return self._refuse_swallowed(
            first, first + start, how or "takes in more lines than a text"
        )

    def _is_row(self, line: str) -> bool:
        """Return whether a line alone has columns, and a phone number in the right one.

        Also tried with quotes as ordinary characters: the line may have a stray one, too.
        """
        for cells in (
            next(csv.reader([line], delimiter=self.delimiter)),
            line.split(self.delimiter),
        ):
            numbers = cells
            if self.number_at is not None:
                # The number of columns proves nothing: a stray quote may join or split them.
                at, least = self.number_at, min(2, len(self.header))
                numbers = cells[at : at + 1] if len(cells) >= least else []
            if any(map(is_like_number, numbers)):
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


def _read_formulas(row: list[str]) -> list[str]:
    """Return the cells, with formulas that are only a text as a spreadsheet shows them."""
    return [found[1] if (found := _FORMULA.fullmatch(cell)) else cell for cell in row]


def _check_delimiter(asked: str) -> str:
    delimiter = _NAMES.get(asked.lower(), asked)
    if len(delimiter) == 1 and delimiter not in '"\r\n':
        return delimiter
    names = ", ".join(name for name in _NAMES if name.isalpha())
    raise make_error(
        "delimiter", f"is {asked!r}; it must be one character, not a quote, or one of: {names}"
    )


def _sniff(lines: list[str]) -> str:
    """Return the delimiter with which the most rows are as wide as the first."""
    best, found = (0, 0), _SNIFFED[0]
    for delimiter in _SNIFFED:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:  # reported when the row is read
            continue
        if widths and widths[0] > 1 and (widths.count(widths[0]), widths[0]) > best:
            best, found = (widths.count(widths[0]), widths[0]), delimiter
    return found
