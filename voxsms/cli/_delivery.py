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
"""Seconds between two lines, where nobody looks."""
_TOLD: Final = ("sent", "refused", "unknown")
_BY_SIGNAL: Final = ("SIGINT", "SIGTERM")


def _quiet_hours(text: str) -> QuietHours:
    try:
        start, end = (time.fromisoformat(each.zfill(5)) for each in text.split("-"))
    except ValueError:
        raise ValueError("is no span of hours, such as 21:00-08:00") from None
    import_phonenumbers()  # a ValueError names the extra
    return QuietHours(start, end)


@attrs.frozen(kw_only=True)
class Delivery:
    """How an outbox is sent."""

    rate: Annotated[
        float | None,
        Parameter(
            help="Messages a second, of all who send this outbox; it is remembered, and inf takes "
            "it off.",
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
            help="Disturb nobody in these hours, by the time where the recipient lives, such as "
            "21:00-08:00; who is left out gets the message after them.",
        ),
    ] = None
    opt_outs: Annotated[
        Path | None,
        Parameter(
            help="Who gets no message: a list with a column phone (CSV, .xlsx), or a file of "
            "`voxsms.webhooks.SqliteOptOuts`.",
        ),
    ] = None

    @asynccontextmanager
    async def guards(self) -> AsyncGenerator[Guards]:
        """Return what keeps messages from people."""
        async with AsyncExitStack() as after:
            opt_outs = self.opt_outs and await _open_opt_outs(self.opt_outs, after)
            yield Guards(quiet_hours=self.quiet_hours, opt_outs=opt_outs or None)


def _spell(option: str, value: str | int) -> str:
    """Say what to change in a list for which there are no options."""
    return f"{option.replace('_', ' ')} {value}".rstrip()


async def _open_opt_outs(path: Path, after: AsyncExitStack) -> OptOuts:
    with io.open_file(path) as file:
        is_database = file.read(len(_SQLITE)) == _SQLITE
    if is_database:
        if not _has_opt_outs(path):  # they would be made, of nobody
            raise Usage(f"{path}: is a database that SqliteOptOuts has not made")
        in_file = SqliteOptOuts(path)
        after.push_async_callback(in_file.aclose)
        return in_file
    listed = MemoryOptOuts()
    try:
        with recipients.read(path, fields=(), spell_option=_spell) as rows:
            for row in rows:
                if isinstance(row, BadRow):
                    problem = f"line {row.line}: {row.reason}"
                    raise Usage(f"{path}: {problem}. Nobody in it may be missed: mend it first.")
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
    """Return an outbox that is opened by `async with`; one in a file has to be there already."""
    outbox = Outbox.open(where)  # which refuses what is no path, and may hold a password
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
    """Send what is pending, and show how it goes."""
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
    """Return what says that messages are in doubt, if any are."""
    doubts = summary.unknown + summary.ambiguous
    if not doubts:
        return None
    return Unsettled(f"{io.number(doubts, 'message')} may or may not have been sent")


def note_doubts(summary: OutboxSummary) -> Unsettled | None:
    """Find doubts; with any the command ends in doubt, whatever comes up until it is told."""
    doubts = find_doubts(summary)
    SENDS.get().status = Exit.UNKNOWN if doubts else None
    return doubts


@contextmanager
def _progress(
    before: OutboxSummary, currency: str
) -> Generator[tuple[float, Callable[[OutboxProgress], None]]]:
    """Show a bar where somebody looks, and lines elsewhere."""
    console = io.err()

    def count(progress: OutboxProgress) -> tuple[int, int]:
        done = _ended(progress) - _ended(before)
        return done, done + progress.pending + progress.sending  # others may add some

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
    """Return how what was sent has ended, if not well; with how to settle doubts, and to go on.

    `Unsettled`: what became of some messages is not known. `KeyboardInterrupt`: it was stopped by a
    signal; what was under way has ended. `Failed`: something is left to send.
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
        error = Failed(f"stopped: {summary.stopped or 'others are at it'}")
    else:
        return None
    for note in notes:
        error.add_note(note)
    return error


@contextmanager
def concluding(ending: BaseException | None) -> Generator[None]:
    """End a command as what it sent has ended, also where that cannot be printed.

    Raises:
        BaseException: `ending`.
    """
    SENDS.get().conclude(ending)
    yield
    if ending is not None:
        raise ending
