"""Commands that take a list of people: its options, how it is opened, and messages about it."""

import re
import warnings
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from io import SEEK_END
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import attrs
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from voxsms import recipients
from voxsms.cli import _io as io
from voxsms.cli._account import Numbers, spell_option
from voxsms.cli._errors import Failed, Usage
from voxsms.cli._io import Words
from voxsms.cli._shortening import Shortening
from voxsms.errors import InvalidRequest
from voxsms.recipients import BadRow, Recipient, Recipients
from voxsms.text import Message, Template

_MAX_SHOWN: Final = 20
"""Lines of one kind that are printed: if the column is wrong, all of a million rows are bad."""
_REPORT_EVERY: Final = 1000  # rows
_BRACES: Final = re.compile(r"((\{+)([^{}]*)\}+)")


@attrs.frozen(kw_only=True)
class Mailing:
    """A file with a recipient a row, and how to read it."""

    csv: Annotated[
        Path | None,
        Parameter(
            help="A file with a recipient a row: CSV, or an Excel workbook (.xlsx); `-` is "
            "standard input.",
            allow_leading_hyphen=True,
        ),
    ] = None
    number_column: Annotated[
        str | None, Parameter(help="The column with the numbers, if it is not called phone.")
    ] = None
    template: Annotated[
        str | None,
        Parameter(help="The text, with {column} where the value of a column is filled in."),
    ] = None
    delimiter: Annotated[
        str | None,
        Parameter(
            help="What separates the columns, if it is not detected: a character, or tab, comma, "
            "semicolon, pipe."
        ),
    ] = None
    encoding: Annotated[
        str | None,
        Parameter(help="The file's encoding, if not UTF-8 or UTF-16: cp1251, cp1252."),
    ] = None
    sheet: Annotated[
        str | None, Parameter(help="The sheet of a workbook, if it is not the first one.")
    ] = None
    skip_rows: Annotated[
        int,
        Parameter(
            validator=Number(gte=0),
            help="How many rows there are above the column names, such as a title.",
        ),
    ] = 0
    strict: Annotated[
        bool,
        Parameter(
            negative=(),
            help="Stop at the first bad row, and at a {column} that would not be filled in; "
            "otherwise bad rows are left out.",
        ),
    ] = False


NO_FILE: Final = Mailing()


def find_text(
    words: Words, mailing: Mailing, shortening: Shortening, *, as_it_is: str
) -> Message | Template:
    """Return what to send: a text, or a template that is filled in from a list.

    `as_it_is` says what happens to a {placeholder} if there is no list.
    """
    if mailing.template is not None:
        if mailing.csv is None or words.given:
            raise Usage("--template replaces the text, and is filled in from a file: see --csv")
        return Template(mailing.template)
    text = shortening.apply(words.read(before="" if mailing.csv else "--to"))
    shortening.tell_if_unchanged(text)
    if mailing.csv is None:  # with a list, `open_list` warns: it knows the columns
        io.warn_of_placeholders(text.text, as_it_is)
    return text


class People:
    """The good rows of a list, one after the other; `notes` reports the others."""

    line = 0
    """The line of the current row."""
    _is_counted = True

    def __init__(self, found: Recipients, notes: "Notes", look: Callable[[], object]) -> None:
        self.found, self._notes, self._look = found, notes, look

    def __iter__(self) -> Iterator[Recipient]:
        """Yield the good rows; the caller may leave one out before it asks for the next."""
        notes, repeats, told = self._notes, Repeats(), len(self.found.notes)
        empty: dict[str, list[int]] = {}  # column: how many cells are empty, and the first line
        for read, row in enumerate(self.found):
            if isinstance(row, BadRow):
                notes.add_bad(row)
            else:
                self.line, self._is_counted = row.line, True
                for column, cell in row.values.items():
                    if not cell or cell.isspace():
                        empty.setdefault(column, [0, row.line])[0] += 1
                yield row
                if self._is_counted:
                    repeats.add(row.destination, row.line)
            if not read % _REPORT_EVERY:
                self._look()
        for note in self.found.notes[told:]:
            notes.warn_of_list(note)
        for column, (rows, first) in empty.items():
            where = f"in {io.number(rows, 'row')}, such as line {first}"
            notes.warn_of_list(f"{{{column}}} is filled in with nothing {where}")
        notes.tell_bad()
        notes.tell_repeats(repeats, "line {}: the same number as in line {}")

    def pass_over(self) -> None:
        """Do not count the current row as a repetition."""
        self._is_counted = False

    def leave_out(self, _: int, error: InvalidRequest) -> None:
        """Leave the current row out, and say why it cannot be sent."""
        self.pass_over()
        reason = "; ".join(fault.problem for fault in error.faults)
        self._notes.add_bad(BadRow(self.line, reason))


@contextmanager
def open_list(
    path: Path,
    mailing: Mailing,
    numbers: Numbers,
    text: str | Template,
    notes: "Notes",
    copy: BinaryIO | None = None,
) -> Generator[People]:
    """Open a list of people, for a text that goes to all or is filled in for each.

    A `copy` of the file is read in its place.
    """
    warnings.filterwarnings("ignore", module="openpyxl")  # about what it skips: charts, rules
    options = {
        **attrs.asdict(mailing, filter=attrs.filters.exclude("csv", "template", "strict")),
        **numbers.options,
    }
    fields = () if isinstance(text, str) else text.fields
    with (
        nullcontext(copy) if copy else io.open_file(path) as file,
        _told_of(path),
        _progress(file, notes.console) as look,
        recipients.read(file, fields=fields, spell_option=spell_option, **options) as found,
    ):
        for note in found.notes:
            notes.tell(f"{io.name_file(path)}: {note}", "")
        _warn_of_braces(text, found.columns, notes)
        yield People(found, notes, look)


@contextmanager
def _told_of(path: Path) -> Generator[None]:
    """Name the option or file that is wrong if a list cannot be read."""
    try:
        yield
    except InvalidRequest as error:
        if error.subject != "recipients":
            raise
        (fault,) = error.faults
        of_option = fault.field in {"region", "delimiter", "encoding"}
        subject = f"--{fault.field}" if of_option else io.name_file(path)
        raise Usage(f"{subject}: {fault.problem}") from None


def _warn_of_braces(text: str | Template, header: Iterable[str], notes: "Notes") -> None:
    """Warn of braces in a text that look like a column and would not be filled in."""
    columns = {column.strip().casefold(): column for column in header}
    written = text if isinstance(text, str) else text.text
    for braces, opening, inside in dict.fromkeys(_BRACES.findall(written)):
        column = columns.get(inside.strip().casefold())
        if column is None:
            if isinstance(text, str) and io.PLACEHOLDER.fullmatch(braces):
                notes.warn_of_list(f"{braces} is sent as it is: there is no such column")
        elif isinstance(text, str):
            notes.warn(f'{braces} is sent as it is: --template fills in the column "{column}"')
        elif len(opening) % 2 == 0:  # `{{` writes one brace
            fill = f'write {{{column}}} to fill in the column "{column}"'
            notes.warn(f"{braces} is sent as {{{inside}}}: {fill}")


class Notes:
    """Messages about a list beside the estimate; with `strict` the first one is an error."""

    def __init__(self, *, strict: bool) -> None:
        self.console = io.err()
        self._strict = strict
        self.bad = 0
        """Rows that are left out."""
        self.bad_rows: list[BadRow] = []
        """The first of them."""
        self.repeated = 0
        """Rows with the number of an earlier one."""
        self.warnings: list[str] = []
        """What is probably a mistake."""

    def tell(self, words: str, style: str = io.BAD) -> None:
        """Print a line, above the progress bar."""
        self.console.print(Text(io.visible(words), style), soft_wrap=True)

    def warn(self, words: str) -> None:
        """Report a probable mistake in how the command was called."""
        if self._strict:
            raise Failed(words)
        self.warn_of_list(words)

    def warn_of_list(self, words: str) -> None:
        """Report a probable mistake in a list."""
        self.warnings.append(words)
        self.tell(f"warning: {words}")

    def add_bad(self, row: BadRow) -> None:
        """Count a bad row, and print it if it is one of the first."""
        words = f"line {row.line}: {row.reason}"
        if self._strict:
            raise Failed(words)
        self.bad += row.lines
        if len(self.bad_rows) < _MAX_SHOWN:
            self.bad_rows.append(row)
            self.tell(words)

    def tell_bad(self) -> None:
        """Say how many rows were left out."""
        if self.bad:
            more = self.bad - sum(row.lines for row in self.bad_rows)
            others = f" ({more:,} of them not shown)" if more else ""
            self.tell(f"{io.number(self.bad, 'row')} left out{others}")

    def explain_no_row(self) -> str:
        """Say why no row of a list is left."""
        if not self.bad_rows:
            return "there is none below the column names"
        first = self.bad_rows[0]
        return f"all were left out, such as line {first.line}: {first.reason}"

    def tell_repeats(self, repeats: "Repeats", words: str) -> None:
        """Say which numbers are repeated, and that each is counted."""
        self.repeated, first = repeats.find()
        for place, earlier in first:
            self.tell(words.format(place, earlier), "")
        if self.repeated:
            more = self.repeated - len(first)
            others = f" ({more:,} of them not shown)" if more else ""
            repeated = io.number(self.repeated, "repeated number")
            self.tell(f"{repeated}, each counted again{others}", "")


class Repeats:
    """Finds repeated numbers: 16 bytes of memory a number, searched part by part."""

    def __init__(self) -> None:
        self._parts = [array("Q") for _ in range(256)]

    def add(self, number: str, place: int) -> None:
        """Remember a phone number, given as digits, and where it was."""
        digits = int(number)
        self._parts[digits % 256].extend((digits, place))

    def find(self) -> tuple[int, list[tuple[int, int]]]:
        """Return how many are repeated, and for the first of them where, and where first seen."""
        count, shown = 0, list[tuple[int, int]]()
        for part in self._parts:
            first_at: dict[int, int] = {}
            again = [
                (place, first)
                for digits, place in zip(part[::2], part[1::2], strict=True)
                if (first := first_at.setdefault(digits, place)) != place
            ]
            count += len(again)
            shown = sorted([*shown, *again])[:_MAX_SHOWN]
        return count, shown


@contextmanager
def _progress(file: BinaryIO, console: Console) -> Generator[Callable[[], object]]:
    """Show how far a file has been read, at a terminal; yield a function that moves the bar."""
    if not (console.is_terminal and file.seekable()):
        yield lambda: None
        return
    columns = (TextColumn("reading"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=file.seek(0, SEEK_END))
        file.seek(0)
        yield lambda: progress.update(task, completed=file.tell())
