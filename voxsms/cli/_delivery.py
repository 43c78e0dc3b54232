"""Commands that send an outbox: their options, the bar, and how they end."""

import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Final

import attrs
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from voxsms import recipients
from voxsms.api.phone_numbers import import_phonenumbers
from voxsms.cli import _io as io
from voxsms.cli._errors import SENDS, Exit, Failed, Unsettled, Usage
from voxsms.cli._mirror import reader
from voxsms.client import Client
from voxsms.errors import InvalidRequest, OutboxUnavailable
from voxsms.outbox import Guards, Outbox, OutboxProgress, OutboxSummary, QuietHours
from voxsms.recipients import BadRow
from voxsms.webhooks import MemoryOptOuts, OptOuts, SqliteOptOuts

_SQLITE: Final = b"SQLite format 3\0"
_BAR: Final = 12
"""Columns of the bar: everything else fits beside it in 80."""
_EVERY: Final = 1.0
_EVERY_LINE: Final = 10.0
"""Seconds between two lines where the output is not a terminal."""
_TOLD: Final = ("sent", "refused", "unknown")
_BY_SIGNAL: Final = ("SIGINT", "SIGTERM")


def _quiet_hours(text: str) -> QuietHours:
    try:
        start, end = (time.fromisoformat(each.zfill(5)) for each in text.split("-"))
    except ValueError:
        raise ValueError("is not a span of hours, such as 21:00-08:00") from None
    import_phonenumbers()  # a ValueError names the extra
    return QuietHours(start, end)


@attrs.frozen(kw_only=True)
class Delivery:
    """How an outbox is sent."""

    rate: Annotated[
        float | None,
        Parameter(
            help="Messages a second, for all processes that send this outbox together; it is "
            "remembered, and inf removes it.",
            validator=Number(gt=0),
        ),
    ] = None
    concurrency: Annotated[
        int, Parameter(help="How many calls are under way at a time.", validator=Number(gte=1))
    ] = 8
    quiet_hours: Annotated[
        QuietHours | None,
        Parameter(
            converter=reader(_quiet_hours),
            n_tokens=1,
            accepts_keys=False,
            help="Send nothing in these hours of the recipient's local time, such as 21:00-08:00; "
            "the message goes out after them.",
        ),
    ] = None
    opt_outs: Annotated[
        Path | None,
        Parameter(
            help="People who get no message: a list with a column phone (CSV, .xlsx), or a file "
            "of `voxsms.webhooks.SqliteOptOuts`.",
        ),
    ] = None

    @asynccontextmanager
    async def guards(self) -> AsyncGenerator[Guards]:
        """Open the opt-outs, and yield them with the quiet hours as `Guards`."""
        async with AsyncExitStack() as after:
            opt_outs = self.opt_outs and await _open_opt_outs(self.opt_outs, after)
            yield Guards(quiet_hours=self.quiet_hours, opt_outs=opt_outs or None)


def _spell(option: str, value: str | int) -> str:
    """Say what to change in a list that has no options of its own."""
    return f"{option.replace('_', ' ')} {value}".rstrip()


async def _open_opt_outs(path: Path, after: AsyncExitStack) -> OptOuts:
    with io.open_file(path) as file:
        is_database = file.read(len(_SQLITE)) == _SQLITE
    if is_database:
        if not _has_opt_outs(path):  # opening it would create an empty table
            raise Usage(f"{path}: is a database that SqliteOptOuts did not create")
        in_file = SqliteOptOuts(path)
        after.push_async_callback(in_file.aclose)
        return in_file
    listed = MemoryOptOuts()
    try:
        with recipients.read(path, fields=(), spell_option=_spell) as rows:
            for row in rows:
                if isinstance(row, BadRow):
                    problem = f"line {row.line}: {row.reason}"
                    raise Usage(f"{path}: {problem}. Fix it first: nobody in it may be missed.")
                await listed.add(row.destination)
            for note in rows.notes:
                io.complain(f"warning: {path}: {note}")
    except InvalidRequest as error:
        raise Usage(f"{path}: {error.faults[0].problem}") from None
    return listed


def _has_opt_outs(path: Path) -> bool:
    table = "SELECT 1 FROM sqlite_master WHERE name = 'voxsms_opt_outs'"
    try:
        with closing(sqlite3.connect(path)) as database:
            return bool(database.execute(table).fetchone())
    except sqlite3.Error as error:
        raise Usage(f"{path}: {error}") from None


AS_USUAL: Final = Delivery()
OfDelivery = Annotated[Delivery, Parameter(name="*", group="Sending")]
"""The parameters of a command that sends an outbox."""


def open_outbox(where: str, *, must_exist: bool = True) -> Outbox:
    """Return an outbox for `async with`; the file of one must exist already."""
    outbox = Outbox.open(where)  # refuses a `where` that is not a path and may hold a password
    if must_exist and "://" not in where and not Path(where).exists():
        raise Usage(f"{where}: there is no such outbox")
    return outbox


async def deliver(
    outbox: Outbox,
    client: Client,
    delivery: Delivery,
    guards: Guards,
    *,
    currency: str = "",
    forever: bool = False,
) -> OutboxSummary:
    """Send what is pending, and show the progress."""
    before = await outbox.summary()
    with _progress(before, currency) as (every, tell):
        run = outbox.run(
            client,
            concurrency=delivery.concurrency,
            rate=delivery.rate,
            guards=guards,
            forever=forever,
            every=every,
            on_progress=tell,
        )
        SENDS.get().status = Exit.UNKNOWN  # until it has ended
        try:
            summary = await run
        except OutboxUnavailable as error:
            unsettled = Unsettled(str(error))
            unsettled.add_note("What was under way is in doubt: the same command settles it.")
            raise unsettled from error
    note_doubts(summary)
    return summary


def find_doubts(summary: OutboxSummary) -> Unsettled | None:
    """Return the error for messages in doubt, if there are any."""
    doubts = summary.unknown + summary.ambiguous
    if not doubts:
        return None
    return Unsettled(f"{io.number(doubts, 'message')} may or may not have been sent")


def note_doubts(summary: OutboxSummary) -> Unsettled | None:
    """Find messages in doubt; with any, the command ends with status 3 whatever happens next."""
    doubts = find_doubts(summary)
    SENDS.get().status = Exit.UNKNOWN if doubts else None
    return doubts


@contextmanager
def _progress(
    before: OutboxSummary, currency: str
) -> Generator[tuple[float, Callable[[OutboxProgress], None]]]:
    """Show a bar at a terminal, and lines elsewhere."""
    console = io.err()

    def count(progress: OutboxProgress) -> tuple[int, int]:
        done = _ended(progress) - _ended(before)
        return done, done + progress.pending + progress.sending  # others may add more

    if not console.is_terminal:
        said = ""

        def tell(progress: OutboxProgress) -> None:
            nonlocal said
            done, total = count(progress)
            line = f"{done:,} of {total:,}: {_figures(before, progress, currency)}"
            if total and line != said:
                console.print(line, soft_wrap=True)
            said = line

        yield _EVERY_LINE, tell
        return
    columns = (
        BarColumn(_BAR),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, figures="")

        def move(progress: OutboxProgress) -> None:
            done, total = count(progress)
            figures = _figures(before, progress, currency)
            bar.update(task, completed=done, total=total, figures=figures)

        yield _EVERY, move


def _ended(summary: OutboxSummary) -> int:
    return summary.total - summary.pending - summary.sending


def _figures(before: OutboxSummary, now: OutboxProgress, currency: str) -> str:
    more = ((name, getattr(now, name) - getattr(before, name)) for name in _TOLD)
    figures = [f"{count:,} {name}" for name, count in more if count or name == "sent"]
    figures.append(io.visible(io.money(now.cost - before.cost, currency)))
    if now.per_second:
        figures.append(f"{now.per_second:,.0f}/s")
    if now.seconds_left:
        figures.append(f"{timedelta(seconds=round(now.seconds_left))} left")
    return ", ".join(figures)


def find_ending(summary: OutboxSummary, *, settle: str, how: str) -> BaseException | None:
    """Return the error that a send ended with, if any, and note how to settle doubts or go on.

    `Unsettled`: the outcome of some messages is not known. `KeyboardInterrupt`: a signal stopped
    it, and the calls in flight have ended. `Failed`: some messages are left to send.
    """
    left, doubts = summary.pending + summary.sending, find_doubts(summary)
    notes = [f"{io.number(left, 'message')} left to send. {how}"] if left else []
    error: BaseException
    if doubts:
        error = doubts
        notes.append(settle)
        if summary.stopped:
            notes.append(f"Stopped: {summary.stopped}")
    elif summary.stopped in _BY_SIGNAL:
        error = KeyboardInterrupt()
    elif left:
        error = Failed(f"stopped: {summary.stopped or 'others are sending the rest'}")
    else:
        return None
    for note in notes:
        error.add_note(note)
    return error


@contextmanager
def concluding(ending: BaseException | None) -> Generator[None]:
    """End a command with the outcome of its send, even if that cannot be printed.

    Raises:
        BaseException: `ending`.
    """
    SENDS.get().conclude(ending)
    yield
    if ending is not None:
        raise ending
