"""A mailing from a file: every row is estimated, and the bad ones are told and left out."""

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from io import SEEK_END
from pathlib import Path
from typing import Annotated, BinaryIO, Final, cast

import attrs
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from voxsms.cli import show
from voxsms.cli.endings import Failed
from voxsms.cli.recipients import Recipients
from voxsms.cli.texts import opened
from voxsms.errors import Fault, InvalidRequest
from voxsms.pricing import Estimate, RateTable, estimate_many
from voxsms.text import Template

_MOST_NAMED: Final = 20  # bad rows: if the column is wrong, all of a million are bad
_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")  # what `Recipients` makes of such a byte


@attrs.frozen(kw_only=True)
class Mailing:
    """A file with a recipient a row, and how to read it."""

    csv: Annotated[
        Path | None,
        Parameter(
            help="A file with a recipient a row, in UTF-8; `-` is standard input.",
            allow_leading_hyphen=True,
        ),
    ] = None
    number_column: Annotated[str, Parameter(help="The column with the numbers.")] = "phone"
    template: Annotated[
        str | None,
        Parameter(help="The text, with {column} wherever a column of the file is filled in."),
    ] = None
    delimiter: Annotated[str, Parameter(help="What stands between two columns.")] = ","
    strict: Annotated[
        bool, Parameter(negative=(), help="Stop at the first bad row; otherwise it is left out.")
    ] = False


NO_FILE: Final = Mailing()


@attrs.frozen
class BadRow:
    """A row that can not be sent, and why."""

    line: int
    reason: str


class BadRows:
    """Counts the bad rows of a file, and tells the first ones of them."""

    def __init__(self, console: Console, *, strict: bool) -> None:
        self._console = console
        self._strict = strict
        self.count = 0
        self.named: list[BadRow] = []

    def add(self, line: int, reason: str) -> None:
        """Take one more; the only one, if the file has to be right."""
        if self._strict:
            raise Failed(f"line {line}: {reason}")
        self.count += 1
        if self.count <= _MOST_NAMED:
            self.named.append(BadRow(line, reason))
            self._tell(f"line {line}: {reason}")

    def _tell(self, words: str) -> None:
        self._console.print(Text(show.visible(words), show.BAD), soft_wrap=True)

    def end(self) -> None:
        """Say how many there were."""
        if self.count:
            more = self.count - len(self.named)
            others = f" ({more:,} of them not shown)" if more else ""
            self._tell(f"{show.number(self.count, 'row')} left out{others}")


def estimate_file(
    mailing: Mailing, text: str | Template, rates: RateTable
) -> tuple[Estimate, list[BadRow]]:
    """Estimate a text over a file, the same for all or filled in, in constant memory."""
    console = show.err()
    bad_rows = BadRows(console, strict=mailing.strict)
    path = cast("Path", mailing.csv)  # the command has seen to it
    with opened(path) as file, _progress(file, console) as look:
        found = _Pass(file, mailing, text, bad_rows, look).estimate(rates)
    bad_rows.end()
    return attrs.evolve(found, invalid=bad_rows.count), bad_rows.named


class _Pass:
    """One way through a file."""

    def __init__(
        self,
        file: BinaryIO,
        mailing: Mailing,
        text: str | Template,
        bad_rows: BadRows,
        look: Callable[[], object],
    ) -> None:
        self._text = text
        self._fields = () if isinstance(text, str) else tuple(text.fields)
        self._number_column = mailing.number_column
        self._bad_rows = bad_rows
        self._row: list[str] = []
        self._rows = Recipients(
            file,
            (mailing.number_column, *self._fields),
            delimiter=mailing.delimiter,
            on_bad=self._bad,
            on_rows=look,
        )

    def estimate(self, rates: RateTable) -> Estimate:
        if isinstance(self._text, str):
            return estimate_many(self._texts(self._text), rates, on_bad=self._left_out)
        return estimate_many(self._values(), rates, template=self._text, on_bad=self._left_out)

    def _texts(self, text: str) -> Iterator[tuple[str, str]]:
        for row in self._rows:
            self._row = row
            yield text, row[0]

    def _values(self) -> Iterator[tuple[dict[str, str], str]]:
        for row in self._rows:
            self._row = row
            number, *values = row
            yield dict(zip(self._fields, values, strict=True)), number

    def _bad(self, reason: str) -> None:
        self._bad_rows.add(self._rows.line, reason)

    def _left_out(self, _: int, error: InvalidRequest) -> None:
        """Say of a row that can not be sent why not; called while it is the current one."""
        if any(map(_NOT_UTF8.search, self._row)):
            self._bad("is not UTF-8")
            return
        self._bad("; ".join(map(self._reason, error.faults)))

    def _reason(self, fault: Fault) -> str:
        of_number = fault.field.endswith(".destination")
        return f"{self._number_column}: {fault.problem}" if of_number else fault.problem


@contextmanager
def _progress(file: BinaryIO, console: Console) -> Generator[Callable[[], object]]:
    """Show how far a file has been read, if somebody looks; give what moves the bar."""
    if not (console.is_terminal and file.seekable()):
        yield lambda: None
        return
    columns = (TextColumn("reading"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=file.seek(0, SEEK_END))
        file.seek(0)
        yield lambda: progress.update(task, completed=file.tell())
