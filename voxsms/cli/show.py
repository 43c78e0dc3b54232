"""What commands print: tables and words for people, lines of JSON for programs."""

import json
import logging
import sys
from collections.abc import Collection, Generator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, TextIO, cast

import attrs
from cyclopts import Group, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from voxsms.calls.hooks import logger

AT_HOME: Final = Group("Without an account", sort_key=1)
WITH_ACCOUNT: Final = Group("With an account, or a sandbox", sort_key=2)

Json = Annotated[
    bool,
    Parameter(
        negative=(), show_default=False, help="Print JSON, one object a line; money is a string."
    ),
]

_WIDE: Final = 1000
"""Columns of an output that is no terminal: nothing is cut or wrapped there."""

ACCENT: Final = "bold cyan"
GOOD: Final = "green"
BAD: Final = "bold red"
FAINT: Final = "dim"

LINE_END: Final = "\u23ce"
"""How a line end is shown."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the error out: rich would end the program here."""
        raise  # noqa: PLE0704 - called where the error is being dealt with


def _console(file: TextIO) -> Console:
    width = None if file.isatty() else _WIDE
    return _Console(file=file, width=width, highlight=False, markup=False, emoji=False)


def out() -> Console:
    """Give the console of what was asked for."""
    return _console(sys.stdout)


def err() -> Console:
    """Give the console of what is said beside it: progress and errors."""
    return _console(sys.stderr)


def say(*parts: str | tuple[str, str]) -> None:
    """Print a line of plain and styled parts."""
    out().print(Text.assemble(*parts), soft_wrap=True)


def complain(problem: str, hint: str = "") -> None:
    """Print what went wrong, and what to do about it."""
    console = err()
    console.print(Text.assemble(("voxsms: ", BAD), visible(problem)), soft_wrap=True)
    for line in hint.splitlines():
        console.print(Text(visible(line), FAINT), soft_wrap=True)


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        warning, _, hint = record.getMessage().partition("\n")
        complain(f"warning: {warning}", hint)


@contextmanager
def warnings() -> Generator[None]:
    """Print what the library warns of."""
    handler = _Warnings(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def visible(text: str) -> str:
    """Make every character seen, so that a text from outside can not drive the terminal."""
    return text if text.isprintable() else "".join(map(_seen, text))


def _seen(char: str) -> str:
    if char == "\n":
        return LINE_END
    return char if char.isprintable() else f"<U+{ord(char):04X}>"


def rows_of(*columns: str, right: Collection[str] = ()) -> Table:
    """Give an empty table; the columns in `right` are figures."""
    table = Table(box=None, pad_edge=False, header_style=FAINT)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def number(count: int, thing: str) -> str:
    """Write how many there are of a thing."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def money(amount: Decimal, currency: str = "") -> str:
    """Write an amount with every digit it has, and at least the four decimals of a balance."""
    whole, _, decimals = f"{amount:,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(4, '0')} {currency}".rstrip()


def print_json(value: object) -> None:
    """Print one object as a line of JSON, in ASCII: it is whole whatever the encoding of stdout.

    Decimals are strings, so that no reader rounds them; times are ISO 8601.
    """
    print(json.dumps(value, default=_plain))  # noqa: T201 - the output


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    return attrs.asdict(cast("attrs.AttrsInstance", value), recurse=False)
