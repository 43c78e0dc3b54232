"""`export sms` and `export a2p`: write a whole history to a file, and show the progress."""

import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import attrs
from cyclopts import App, Parameter
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from voxsms.api import spec
from voxsms.api.spec import AnyMethod
from voxsms.cli import _io as io
from voxsms.cli._account import FROM_ENVIRONMENT, OfAccount
from voxsms.cli._errors import Failed, Usage
from voxsms.cli._io import Json, Nowhere
from voxsms.cli._mirror import Command, Given, mirror, reader

if TYPE_CHECKING:
    from voxsms.export import ExportProgress, ExportSummary

_DAYS: Final = re.compile(r"([0-9]{1,5})d?")


def _days(text: str) -> timedelta:
    found = _DAYS.fullmatch(text)
    if found is None:
        raise ValueError("is not a number of days: write 3d")
    return timedelta(days=int(found[1]))


_FLAG: Final = Parameter(negative=(), show_default=False)
Target = Annotated[
    str,
    Parameter(
        allow_leading_hyphen=True,
        help="A file that ends in .jsonl, .csv, .jsonl.gz, .csv.gz, .parquet or .xlsx; a "
        "directory, with / at its end, for one file a day; or - for standard output.",
    ),
]
Format = Annotated[
    Literal["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet", "xlsx"] | None,
    Parameter(
        help="The format, if no suffix names it; by default Parquet to a directory and JSON Lines "
        "to standard output.",
    ),
]
Update = Annotated[
    bool,
    _FLAG,
    Parameter(
        help="Bring a directory up to date: read its last days again, as statuses change, and the "
        "days since. The files of these days are replaced one by one; the others stay.",
    ),
]
LookBack = Annotated[
    timedelta | None,
    Parameter(
        converter=reader(_days),
        help="With --update: how long before the directory's last day it begins, such as 7d. "
        "[default: 3d]",
    ),
]
Rates = Annotated[
    bool,
    _FLAG,
    Parameter(
        help="Add the country and price group of each destination, from the account's prices.",
    ),
]
Excel = Annotated[
    bool,
    _FLAG,
    Parameter(
        help="Write CSV for Excel, which otherwise shows phone numbers as 4.477E+11 and wrong "
        "letters. Where Excel expects semicolons or decimal commas, write .xlsx instead.",
    ),
]
Windows = Annotated[
    int,
    Parameter(help="How many windows of time are read at once, each with up to four requests."),
]
Mask = Annotated[
    bool,
    _FLAG,
    Parameter(help="Mask numbers (447***212) and texts (***); leave out unknown fields."),
]
Raw = Annotated[
    bool,
    _FLAG,
    Parameter(
        help="Leave every text in CSV as it is. Otherwise a text that a spreadsheet would run as "
        "a formula gets an apostrophe before the formula."
    ),
]
Restart = Annotated[
    bool,
    _FLAG,
    Parameter(help="Start over, and discard what an earlier run read for the same file."),
]
_HELP: Final = """Write the whole history of {} to a file.

The file appears when it is complete, and then replaces an existing one. However the export is
stopped, the same command resumes it: the rows read so far are saved beside the file, in
.NAME.export. A resumed export keeps its range: without --until, that ends when the first run began.
"""
_MESSAGES: Final = {"sms": "two-way messages", "a2p": "A2P messages"}
_PAGES: Final = ("count", "offset")  # an export reads all of them
_BAR: Final = 12
"""Columns of the bar: everything else fits beside it in 80."""


async def _export(
    kind: Literal["sms", "a2p"],
    path: Target,
    *,
    format: Format = None,  # noqa: A002 - the word for it
    update: Update = False,
    look_back: LookBack = None,
    with_rates: Rates = False,
    excel: Excel = False,
    windows_in_flight: Windows = 4,
    mask: Mask = False,
    raw: Raw = False,
    restart: Restart = False,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
    **given: Given,
) -> None:
    """Write a whole history to a file; resume where an earlier run was stopped."""
    try:
        from voxsms.export import export_history  # noqa: PLC0415 - needs an extra of its own
    except ModuleNotFoundError as missing:
        raise Failed(str(missing)) from None
    options: dict[str, Any] = {
        **given,
        "format": format,
        "update": update,
        "look_back": look_back,
        "with_rates": with_rates,
        "excel": excel,
        "windows_in_flight": windows_in_flight,
        "mask": mask,
        "raw": raw,
        "restart": restart,
    }
    if path == "-" and isinstance(sys.stdout, Nowhere):
        raise Usage("path: standard output is closed")
    async with account.client() as client:
        with _progress() as tell:
            summary = await export_history(client, kind, path, on_progress=tell, **options)
    if path != "-":
        _tell(summary, json=json)


def _tell(summary: "ExportSummary", *, json: bool) -> None:
    if json:
        facts = attrs.asdict(summary, recurse=False)
        io.print_json({**facts, "path": str(summary.path)})
        return
    requests = io.number(summary.requests, "request")
    again = ", resumed from an earlier run" if summary.resumed else ""
    until = f"until {summary.to_date:%Y-%m-%d %H:%M:%S} UTC"
    io.say(
        (io.number(summary.rows, "message"), io.GOOD),
        f" in {io.visible(str(summary.path))}",
        (f"  {until}; {requests}, {summary.seconds:.1f} s{again}", io.FAINT),
    )


@contextmanager
def _progress() -> Generator[Callable[["ExportProgress"], None]]:
    """Show rows and requests, rows a second and the time left, at a terminal."""
    console = io.err()
    columns = BarColumn(_BAR), TaskProgressColumn(), TextColumn("{task.fields[figures]}")
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None, figures="")

        def tell(progress: "ExportProgress") -> None:
            bar.update(
                task,
                completed=progress.rows,
                total=progress.total_rows or None,
                figures=_figures(progress),
            )

        yield tell


def _figures(progress: "ExportProgress") -> str:
    """Describe the progress; the speed is that of the rows that this run read."""
    read = progress.rows - progress.rows_before
    rate = read / progress.seconds if progress.seconds else 0.0
    figures = f"{progress.rows:,} rows, {progress.requests:,} requests, {rate:,.0f} rows/s"
    missing = progress.total_rows - progress.rows
    if not rate or missing <= 0:
        return figures
    return f"{figures}, {timedelta(seconds=round(missing / rate))} left"


export: App = App(name="export", help="Write a whole history to a file.")


def _add(kind: Literal["sms", "a2p"], method: AnyMethod) -> None:
    command: Command = partial(_export, kind)
    command.__doc__ = _HELP.format(_MESSAGES[kind])
    export.command(mirror(method, without=_PAGES)(command), name=kind)


_add("sms", spec.GET_SMS_HISTORY)
_add("a2p", spec.A2P_GET_SMS_HISTORY)
