"""`export sms` and `export a2p`: a whole history into a file, with its progress."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import App, Parameter
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from voxsms.api import spec
from voxsms.cli import show
from voxsms.cli.account import FROM_ENVIRONMENT, OfAccount
from voxsms.cli.endings import Failed
from voxsms.cli.mirror import Command, Given, mirror
from voxsms.cli.show import Json

if TYPE_CHECKING:
    from voxsms.export import ExportProgress, ExportSummary

Target = Annotated[
    str,
    Parameter(
        allow_leading_hyphen=True,
        help="Where to: a path ending in .jsonl, .csv or .parquet; with / at its end a directory "
        "with a file for each day; - for standard output. --format where no suffix says it.",
    ),
]
Format = Annotated[
    Literal["jsonl", "csv", "parquet"] | None, Parameter(help="What to write, for - and days.")
]
Windows = Annotated[int, Parameter(help="How many windows of time are read at once.")]
Mask = Annotated[bool, Parameter(negative=(), help="Hide numbers and texts.")]
Raw = Annotated[
    bool, Parameter(negative=(), help="Leave texts in CSV that a spreadsheet runs as formulas.")
]
Restart = Annotated[
    bool, Parameter(negative=(), help="Begin anew, whatever an earlier run has left.")
]
_SHORT: Final = {
    "from_date": "--from",
    "to_date": "--to",
    "delivery_status": "--status",
    "destination_number": "--number",
}
_PAGES: Final = ("count", "offset")  # an export reads all of them


async def export(
    kind: Literal["sms", "a2p"],
    path: Target,
    *,
    format: Format = None,  # noqa: A002 - the word for it
    windows_in_flight: Windows = 4,
    mask: Mask = False,
    raw: Raw = False,
    restart: Restart = False,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
    **given: Given,
) -> None:
    """Write a whole history to a file; go on where an earlier run was stopped."""
    try:
        from voxsms.export import export_history  # noqa: PLC0415 - needs an extra of its own
    except ModuleNotFoundError:
        raise Failed("the export needs msgspec: pip install 'voxsms[export]'") from None
    options: dict[str, Any] = {
        **given,
        "format": format,
        "windows_in_flight": windows_in_flight,
        "mask": mask,
        "raw": raw,
        "restart": restart,
    }
    async with account.client() as client:
        with _progress() as tell:
            summary = await export_history(client, kind, path, on_progress=tell, **options)
    if path != "-":
        _tell(summary, json=json)


def _tell(summary: "ExportSummary", *, json: bool) -> None:
    if json:
        path = None if summary.path is None else str(summary.path)
        show.print_json({"path": path, "rows": summary.rows, "requests": summary.requests})
        return
    requests = show.number(summary.requests, "request")
    again = ", going on from an earlier run" if summary.resumed else ""
    show.say(
        (show.number(summary.rows, "message"), show.GOOD),
        f" in {show.visible(str(summary.path))}",
        (f"  {requests}, {summary.seconds:.1f} s{again}", show.FAINT),
    )


@contextmanager
def _progress() -> Generator[Callable[["ExportProgress"], None]]:
    """Show rows and requests, rows a second and the time left, where somebody looks."""
    columns = (
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    console = show.err()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None, figures="")

        def tell(progress: "ExportProgress") -> None:
            rate = progress.rows / progress.seconds if progress.seconds else 0.0
            figures = f"{progress.rows:,} rows, {progress.requests:,} requests, {rate:,.0f} rows/s"
            bar.update(
                task,
                completed=progress.rows,
                total=progress.total_rows or None,
                figures=figures,
            )

        yield tell


def _of(kind: Literal["sms", "a2p"]) -> Command:
    """Give the command for one of the two histories."""
    command = partial(export, kind)
    command.__doc__ = export.__doc__
    return command


def add_to(app: App) -> None:
    """Add these commands to the program."""
    commands = App(name="export", help="Write a whole history to a file.", group=show.WITH_ACCOUNT)
    mirror(commands, spec.GET_SMS_HISTORY, "sms", _of("sms"), _SHORT, _PAGES)
    mirror(commands, spec.A2P_GET_SMS_HISTORY, "a2p", _of("a2p"), _SHORT, _PAGES)
    app.command(commands)
