"""The rows of a list, whatever kind of file it is."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from voxsms.errors import Fault, InvalidRequest


class Recipient(NamedTuple):
    """A person in the list."""

    line: int
    """The line at which the row begins, from 1; in a workbook, the number of the row."""
    destination: str
    """The phone number as it is sent: digits, with the country code."""
    values: Mapping[str, str]
    """The value of each requested column."""


class BadRow(NamedTuple):
    """A row of the list that is not a recipient."""

    line: int
    """The line that is wrong, from 1."""
    reason: str
    """What is wrong with it, with numbers masked."""
    lines: int = 1
    """How many lines of the file are left out because of it."""


class Rows(Protocol):
    """The rows of a file: first the one with the column names, then the others."""

    header: list[str]
    number_at: int | None
    """Which column has the phone numbers, once that is known."""

    def __iter__(self) -> Iterator[tuple[int, list[str]] | BadRow]:
        """Yield the rows: the line at which each begins, and as many cells as the header has."""
        ...


def make_error(option: str, problem: str) -> InvalidRequest:
    """Return the error of a list that cannot be read; `option` is the parameter to change."""
    return InvalidRequest("recipients", (Fault(option, problem),))


def count_columns(count: int) -> str:
    """Write a number of columns."""
    return "1 column" if count == 1 else f"{count} columns"
