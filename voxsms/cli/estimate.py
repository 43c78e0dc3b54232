"""`estimate`: what a mailing will take and cost, from a line or a file, before it is sent."""

import re
import unicodedata
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from io import SEEK_END
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import attrs
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from voxsms.cli import _io as io
from voxsms.cli._account import FROM_ENVIRONMENT, Account, OfAccount
from voxsms.cli._errors import Failed, Usage
from voxsms.cli._io import NO_TEXT, Json, OfText, open_file
from voxsms.cli._recipients import NOT_UTF8, BadRow, Recipients, decode
from voxsms.cli.prices import METHODS, Way
from voxsms.errors import InvalidRequest
from voxsms.pricing import Estimate, RateTable, Tally, estimate, estimate_many
from voxsms.text import Template

_MAX_SHOWN: Final = 20
"""Lines of one kind that are told: if the column is wrong, all of a million rows are bad."""
_MAX_ROWS: Final = 12
"""Rows of a table; the others matter less, for the first ones are the largest."""
_NO_DIGIT: Final = re.compile(r"\D")
_BRACES: Final = re.compile(r"((\{+)([^{}]*)\}+)")


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
        bool,
        Parameter(
            negative=(),
            help="Stop at the first bad row, and at a {column} that would not be filled in; "
            "otherwise bad rows are left out.",
        ),
    ] = False


_NO_FILE: Final = Mailing()


async def estimate_command(
    words: OfText = NO_TEXT,
    *,
    to: Annotated[
        list[str] | None,
        Parameter(help="The numbers to send to.", consume_multiple=True, negative=()),
    ] = None,
    mailing: Annotated[Mailing, Parameter(name="*")] = _NO_FILE,
    rates: Annotated[
        Path | None, Parameter(help="A file of rates that `voxsms prices --save` wrote.")
    ] = None,
    way: Annotated[
        Way, Parameter(name="--for", help="Without --rates: ask for those of this way to send.")
    ] = "a2p",
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
) -> None:
    """Say what a mailing will take and cost: TEXT --to NUMBER..., or --template TEXT --csv FILE.

    Exit status 1 where no price is known for a message: the total is then a part of the cost.
    """
    if (to is None) == (mailing.csv is None):
        raise Usage("give the recipients: their numbers with --to, or a file of them with --csv")
    if mailing.template is not None and (mailing.csv is None or words.given):
        raise Usage("--template stands for a text, and is filled in from a file: see --csv")
    text: str | Template
    if mailing.template is not None:
        text = Template(mailing.template)
    else:
        text = words.read() if to is None else words.read(before="--to")
    notes = _Notes(strict=mailing.strict)
    table = await _rates(rates, way, account)
    if mailing.csv is not None:
        found = _estimate_file(mailing.csv, mailing, text, table, notes)
    else:
        found = _estimate_numbers(str(text), to or [], table, notes)
    if json:
        facts = attrs.asdict(found, recurse=False)
        bad_rows = [row._asdict() for row in notes.bad_rows]
        io.print_json({**facts, "bad_rows": bad_rows, "repeated": notes.repeated})
    else:
        _print(found)
    if found.unpriced:
        unpriced = io.number(found.unpriced, "message")
        raise Failed(f"no price is known for {unpriced}: the total is a part of the cost")


async def _rates(file: Path | None, way: Way, account: Account) -> RateTable:
    if file is None:
        async with account.client() as client:
            return await client.rates(METHODS[way])
    with open_file(file) as content:
        try:
            return RateTable.from_json(content.read())
        except InvalidRequest as error:
            raise Usage(f"{file}: {'; '.join(map(str, error.faults))}") from None


def _estimate_numbers(text: str, numbers: list[str], rates: RateTable, notes: "_Notes") -> Estimate:
    found = estimate(text, numbers, rates)
    repeats = _Repeats()
    for place, number in enumerate(numbers, 1):
        repeats.add(number, place)
    notes.tell_repeats(repeats, "--to: number {} is the same as number {}")
    return found


def _estimate_file(
    path: Path, mailing: Mailing, text: str | Template, rates: RateTable, notes: "_Notes"
) -> Estimate:
    """Estimate a text over a file, the same for all or filled in: 16 bytes of memory a row."""
    if isinstance(text, str):
        estimate(text, (), rates)  # what is wrong with it is no fault of a row
    with open_file(path) as file, decode(file) as lines, _progress(file, notes.console) as look:
        found = _Pass(lines, mailing, text, notes, look).estimate(rates)
    return attrs.evolve(found, invalid=notes.bad)


class _Pass:
    """One way through a file."""

    def __init__(
        self,
        lines: Iterable[str],
        mailing: Mailing,
        text: str | Template,
        notes: "_Notes",
        look: Callable[[], object],
    ) -> None:
        self._text = text
        self._fields = () if isinstance(text, str) else text.fields
        self._column = mailing.number_column
        self._notes = notes
        self._line = 0
        self._row: list[str] = []
        self._read = self._no_numbers = 0
        self._rows = Recipients(
            lines,
            (self._column, *self._fields),
            delimiter=mailing.delimiter,
            on_bad=notes.add_bad,
            on_rows=look,
        )

    def estimate(self, rates: RateTable) -> Estimate:
        """Read all of it."""
        _warn_of_braces(self._text, self._rows.header, self._notes)
        repeats = _Repeats()
        if isinstance(self._text, str):
            text = self._text
            pairs = ((text, row[0]) for row in self._good(repeats))
            found = estimate_many(pairs, rates, on_bad=self._leave_out)
        else:
            filled = (
                (dict(zip(self._fields, row[1:], strict=True)), row[0])
                for row in self._good(repeats)
            )
            found = estimate_many(filled, rates, template=self._text, on_bad=self._leave_out)
        if 2 * self._no_numbers > self._read:
            self._notes.tell(
                f'most of the column "{self._column}" is no phone number: a wrong --number-column?'
            )
        self._notes.tell_bad()
        self._notes.tell_repeats(repeats, "line {}: the same number as in line {}")
        return found

    def _good(self, repeats: "_Repeats") -> Iterator[list[str]]:
        """Yield row after row; between two of them it is known whether the first was bad."""
        for line, row in self._rows:
            self._line, self._row = line, row
            self._read += 1
            bad = self._notes.bad
            yield row
            if bad == self._notes.bad:
                repeats.add(row[0], line)

    def _leave_out(self, _: int, error: InvalidRequest) -> None:
        """Say of a row that cannot be sent why not; called while it is the current one."""
        of_number = [fault.field.endswith(".destination") for fault in error.faults]
        self._no_numbers += any(of_number)
        reasons = [
            f"{self._column}: {fault.problem}" if named else fault.problem
            for fault, named in zip(error.faults, of_number, strict=True)
        ]
        reason = "is not UTF-8" if any(map(NOT_UTF8.search, self._row)) else "; ".join(reasons)
        self._notes.add_bad(BadRow(self._line, reason))


def _warn_of_braces(text: str | Template, header: list[str], notes: "_Notes") -> None:
    """Warn of a column that is named in a text and would not be filled in."""
    columns = {column.strip().casefold(): column for column in header}
    written = text if isinstance(text, str) else text.text
    for braces, opening, inside in dict.fromkeys(_BRACES.findall(written)):
        column = columns.get(inside.strip().casefold())
        if column is None:
            continue
        if isinstance(text, str):
            notes.warn(f'{braces} is sent as it is: --template fills in the column "{column}"')
        elif len(opening) % 2 == 0:  # `{{` writes one brace
            fill = f'write {{{column}}} to fill in the column "{column}"'
            notes.warn(f"{braces} is sent as {{{inside}}}: {fill}")


class _Notes:
    """What is said of a list beside the estimate; with `strict` the first of it is an error."""

    def __init__(self, *, strict: bool) -> None:
        self.console = io.err()
        self._strict = strict
        self.bad = 0
        """Rows that are left out."""
        self.bad_rows: list[BadRow] = []
        """The first of them."""
        self.repeated = 0
        """Rows with the number of an earlier one."""

    def tell(self, words: str, style: str = io.BAD) -> None:
        """Print a line, above the bar that shows how far it is."""
        self.console.print(Text(io.visible(words), style), soft_wrap=True)

    def warn(self, words: str) -> None:
        """Say what is rather a mistake."""
        if self._strict:
            raise Failed(words)
        self.tell(f"warning: {words}")

    def add_bad(self, row: BadRow) -> None:
        """Count a bad row, and tell it if it is one of the first."""
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

    def tell_repeats(self, repeats: "_Repeats", words: str) -> None:
        """Say which numbers come again, and that each is counted."""
        self.repeated, first = repeats.find()
        for place, earlier in first:
            self.tell(words.format(place, earlier), "")
        if self.repeated:
            more = self.repeated - len(first)
            others = f" ({more:,} of them not shown)" if more else ""
            repeated = io.number(self.repeated, "repeated number")
            self.tell(f"{repeated}, each counted again{others}", "")


class _Repeats:
    """Finds numbers that come more than once: 16 bytes a number, looked through part by part."""

    def __init__(self) -> None:
        self._parts = [array("Q") for _ in range(256)]

    def add(self, number: str, place: int) -> None:
        """Remember a phone number, as it was written, and where it was."""
        digits = int(_NO_DIGIT.sub("", number))
        self._parts[digits % 256].extend((digits, place))

    def find(self) -> tuple[int, list[tuple[int, int]]]:
        """Return how many come again, and of the first of them where, and where they were first."""
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
    """Show how far a file has been read, if somebody looks; give what moves the bar."""
    if not (console.is_terminal and file.seekable()):
        yield lambda: None
        return
    columns = (TextColumn("reading"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=file.seek(0, SEEK_END))
        file.seek(0)
        yield lambda: progress.update(task, completed=file.tell())


def _print(found: Estimate) -> None:
    """Print what a mailing takes and costs, by group and by fragments, and what stands out."""
    messages = io.number(found.messages, "message")
    fragments = io.number(found.fragments, "fragment")
    at_least = "at least " if found.unpriced else ""
    io.say(
        (f"{at_least}{io.money(found.cost, found.currency)}", io.ACCENT),
        f" for {messages} of {fragments} together",
    )
    if found.unsure:
        least, most = (io.money(cost) for cost in (found.least_cost, found.most_cost))
        unsure = io.number(found.unsure, "message")
        io.say(
            f"{at_least}between {least} and {most}: the service may cut {unsure} in more than one "
            "way"
        )
    _print_unpriced(found)
    unit = found.currency
    _print_tallies("price group", found.by_group.items(), unit)
    by_fragments = ((str(n), tally) for n, tally in found.by_fragments.items())
    _print_tallies("fragments of a message", by_fragments, unit)
    by_character = (
        (f"{char}  {unicodedata.name(char, f'U+{ord(char):04X}')}", tally)
        for char, tally in found.pushed_by_character.items()
    )
    _print_tallies("made longer by a character", by_character, unit, further=True)
    _print_tallies("made longer by a field", found.pushed_by_field.items(), unit, further=True)


def _print_unpriced(found: Estimate) -> None:
    if not found.unpriced:
        return
    prefixes = found.unpriced_prefixes.items()
    named = ", ".join(f"{prefix}... ({n:,})" for prefix, n in islice(prefixes, _MAX_ROWS))
    more = ", ..." if len(prefixes) > _MAX_ROWS else ""
    unpriced = io.number(found.unpriced, "message")
    io.say((f"no price is known for {unpriced}", io.BAD), f", to {named}{more}")
    if found.short_codes:
        codes = io.number(found.short_codes, "message")
        io.say(f"{codes} of these to short codes (12345), which are no phone numbers")


def _print_tallies(
    title: str, tallies: Iterable[tuple[str, Tally]], currency: str, *, further: bool = False
) -> None:
    """Print a table; one of what is further lists what there would not be otherwise."""
    rows = list(tallies)
    if not rows:
        return
    fragments = "further fragments" if further else "all fragments"
    figures = ("messages", fragments, f"{'for ' if further else 'cost in '}{currency}")
    table = io.Rows(title, *figures, right=figures)
    for name, tally in rows[:_MAX_ROWS]:
        table.add(name, f"{tally.messages:,}", f"{tally.fragments:,}", io.money(tally.cost))
    io.say()
    io.out().print(table)
    if len(rows) > _MAX_ROWS:
        io.say(f"and {len(rows) - _MAX_ROWS:,} more")
