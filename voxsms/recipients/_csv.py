"""The rows of a CSV file of any kind.

Whatever the file is like, no line of it is lost silently: each is a row that is given, a bad
row that is told, or empty. A quote that is not closed makes CSV take the lines after it into one
value; `_find_swallowed` says how that is told from a value that has several lines, which is legal.
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
"""How a spreadsheet is told that a cell is text, as `voxsms export --excel` does."""
_MAX_LINES: Final = 100
"""Lines of one row; no message has that many."""
_MIN_DIGITS: Final = 5  # of a phone number


def is_like_number(cell: str) -> bool:
    """Return whether a cell is meant to be a phone number, also where it is none (4,4744E+11)."""
    return sum(map(str.isdigit, cell)) >= _MIN_DIGITS and sum(map(str.isalpha, cell)) <= 1


class CsvRows:
    """The rows of a CSV file, from its lines with their ends."""

    header: list[str]
    number_at: int | None = None
    delimiter: str
    """What stands between two columns: as asked for, as `sep=` says, or as most rows have it."""

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
        self._before = bool(said) + skipped  # lines before the first one that is CSV
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
        while not any(map(str.strip, header)):  # a line without a name is before the list
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
        """Read on: the line at which a row begins, and its cells."""
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
            elif row:  # an empty line is no row
                yield BadRow(first, f"has {count_columns(len(row))}, and the first line {width}")

    def _refuse_unreadable(self, first: int, error: csv.Error) -> BadRow:
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
            list(csv.reader(self._lines, delimiter=self.delimiter, strict=True))
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
            next(csv.reader([line], delimiter=self.delimiter)),
            line.split(self.delimiter),
        ):
            numbers = cells
            if self.number_at is not None:
                # How many columns follow proves nothing: a stray quote may join or part them.
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
    """Return the cells as a spreadsheet shows them where they are formulas of a text alone."""
    return [found[1] if (found := _FORMULA.fullmatch(cell)) else cell for cell in row]


def _check_delimiter(asked: str) -> str:
    delimiter = _NAMES.get(asked.lower(), asked)
    if len(delimiter) == 1 and delimiter not in '"\r\n':
        return delimiter
    names = ", ".join(name for name in _NAMES if name.isalpha())
    raise make_error(
        "delimiter", f"is {asked!r}; it must be one character that is no quote, or one of: {names}"
    )


def _sniff(lines: list[str]) -> str:
    """Return what stands between the columns: where the most rows are as wide as the first."""
    best, found = (0, 0), _SNIFFED[0]
    for delimiter in _SNIFFED:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:  # told when the row is read
            continue
        if widths and widths[0] > 1 and (widths.count(widths[0]), widths[0]) > best:
            best, found = (widths.count(widths[0]), widths[0]), delimiter
    return found
