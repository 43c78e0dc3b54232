"""One run of an export, from its first request to the finished file."""

import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import TypeVar

import anyio
import attrs
from anyio import CancelScope, CapacityLimiter, Semaphore, to_thread

from voxsms.calls.hooks import logger
from voxsms.calls.session import Session
from voxsms.errors import Incomplete
from voxsms.export._checkpoint import (
    LAYOUT,
    RESULT,
    ROWS,
    TEMPORARY,
    Checkpoint,
    EncodedWindow,
    SavedSection,
)
from voxsms.export._days import Days, name_part
from voxsms.export._plan import Plan, count_rows, make_plan
from voxsms.export._progress import ExportProgress, ExportSummary, Progress
from voxsms.export._prove import WindowRows, read_window
from voxsms.export._query import Query
from voxsms.export._repeats import Repeats, find_repeats
from voxsms.export._rows import Layout, RowReader
from voxsms.export._source import SECOND, Source, gather
from voxsms.export._table import Table
from voxsms.export._target import Target
from voxsms.export.formats import make_format
from voxsms.export.formats._xlsx import too_long

T = TypeVar("T")
_PAGES_A_WINDOW = 4
"""The most requests in flight for each window in flight."""
_PAUSES = 1.0, 2.0, 4.0, 8.0
"""Seconds before windows are read again because the history grew where it had been read."""
_MAX_ROUNDS = 20
"""How often they are read again, even if the history keeps growing."""
_RANGE = ("from_date", "to_date")
_OLD = timedelta(hours=1)
"""The age of a plan from which its range may end too early for a caller who resumes it."""


@attrs.frozen
class Job:
    """The checked arguments of an export."""

    query: Query
    target: Target
    windows_in_flight: int
    mask: bool
    raw: bool
    excel: bool
    with_rates: bool
    look_back: timedelta | None
    """For an update: how long before the directory's last day it begins."""
    restart: bool
    on_progress: Callable[[ExportProgress], object] | None

    def describe(self, session: Session) -> dict[str, str]:
        """Return what identifies the rows of this export, and how they are written."""
        return {
            **self.query.as_text(),
            "account": str(session.account_id or ""),
            "format": self.target.format,
            "mask": str(self.mask),
            "raw": str(self.raw),
            "excel": str(self.excel),
            "with_rates": str(self.with_rates),
        }

    def identity(self, session: Session) -> dict[str, str]:
        """Return what a checkpoint must agree with to be resumed."""
        return {
            **self.describe(session),
            "service": session.base_url,
            "by_day": str(self.target.by_day),
            "update": str(self.look_back),
            "layout": LAYOUT,
        }


class Export:
    """One run of an export."""

    def __init__(self, session: Session, job: Job) -> None:
        self._session = session
        self._job = job
        self._identity = job.identity(session)
        layout = Layout.of(job.query.method.cmd, job.query.record)
        self._table = Table(layout, mask=job.mask, with_rates=job.with_rates)
        workplace = job.target.workplace or Path(tempfile.mkdtemp(prefix="voxsms-export-"))
        self._format = make_format(
            job.target.format, self._table, workplace / TEMPORARY, raw=job.raw, excel=job.excel
        )
        reader = RowReader(job.query.method, layout, as_json=self._format.as_json)
        self._progress = Progress(job.on_progress)
        max_in_flight = job.windows_in_flight * _PAGES_A_WINDOW
        self._source = Source(session, job.query, reader, max_in_flight, self._progress.tell)
        self._progress.start(self._source)
        self._began = self._source.clock.monotonic()
        self._threads = CapacityLimiter(1)
        self._at_work = Lock()
        self._is_stopped = Event()
        is_file = job.target.path is not None and not job.target.by_day
        self._work = Checkpoint(workplace, self._format, is_file=is_file)
        self._days: Days | None = None
        if job.target.path is not None and job.target.by_day:
            told = job.describe(session) | {"columns": ",".join(self._table.names)}
            kept = {name: text for name, text in told.items() if name not in _RANGE}
            self._days = Days(job.target.path, name_part(kept, job.target.format))

    async def run(self) -> ExportSummary:
        """Export. Raises the errors of `voxsms.errors`, and `OSError` if the disk fails."""
        try:
            return await self._run()
        except BaseException as error:
            if self._work.can_resume and self._job.target.path is not None:
                kept = f"The rows read so far are saved in {self._work.path}"
                error.add_note(f"{kept}: run the same command again.")
            raise
        finally:
            # Saved rows stay and half-written files are removed, even if the export was cancelled.
            self._is_stopped.set()
            with CancelScope(shield=True):
                await self._block(self._close)

    def _close(self) -> None:
        if self._job.target.path is None:  # nothing can resume a stream
            self._work.forget()
        self._work.close()

    async def _run(self) -> ExportSummary:
        await self._block(self._work.open)
        plan, is_resumed = await self._find_plan()
        if self._work.ready is None:
            if not self._format.as_json or self._job.with_rates:
                await self._table.ask(self._session)
            await self._read_all(plan)
            await self._block(partial(self._assemble, plan, await self._prove_range(plan)))
        rows = await self._block(partial(self._put_in_place, plan))
        return ExportSummary(
            path=self._job.target.path,
            rows=rows,
            requests=self._source.requests,
            windows=len(plan.windows),
            seconds=self._source.clock.monotonic() - self._began,
            from_date=_start(plan.first_day) or self._job.query.from_date,
            to_date=plan.end - SECOND,
            resumed=is_resumed,
        )

    async def _block(self, work: Callable[[], T]) -> T:
        """Run blocking work in a thread, one piece at a time.

        A cancelled task does not wait for its thread; only closing, at the end, does.
        """

        def work_alone() -> T:
            with self._at_work:
                return work()

        run = to_thread.run_sync
        return await run(work_alone, limiter=self._threads, abandon_on_cancel=True)

    async def _find_plan(self) -> tuple[Plan, bool]:
        """Resume the plan of an earlier run, or make and save a new one."""
        plan = await self._block(self._load)
        is_resumed = plan is not None
        if plan is not None:
            plan = self._check_age(plan)
        else:
            first_day = await self._block(self._find_first_day)
            plan = await make_plan(self._source, _start(first_day) or self._job.query.from_date)
            plan = attrs.evolve(plan, first_day=first_day)
            if self._days is None and plan.rows > self._format.max_rows:
                raise too_long(plan.rows)
            await self._block(partial(self._work.begin, self._identity, plan))
        self._progress.begin(plan, self._work.saved.values())
        return plan, is_resumed

    def _load(self) -> Plan | None:
        work, days = self._work, self._days
        plan = None if self._job.restart else work.load(self._identity)
        if plan is None:
            if days is not None:
                days.clear(work.path)
            work.forget()
        elif work.ready is not None:
            result = work.path / work.ready["name"]
            if not result.exists() and not self._job.target.is_in_place(result):
                work.note_gone()
        if days is not None and self._job.look_back is not None:
            days.check_update(is_begun=plan is not None and plan.first_day is not None)
        return plan

    def _find_first_day(self) -> date | None:
        """Return the first day of an update; None if everything has to be read."""
        look_back, from_date = self._job.look_back, self._job.query.from_date
        if self._days is None or look_back is None:
            return None
        first = self._days.find_first(look_back)
        return first if first is None or from_date is None else max(first, from_date.date())

    def _check_age(self, plan: Plan) -> Plan:
        """Warn if a plan is old: the caller may expect its range to reach up to now."""
        now = self._source.now() or self._source.guess_now()
        if now - plan.end < _OLD:
            return plan
        if self._job.query.to_date is None:
            logger.warning(
                "the export resumes an earlier run: its range ends at %s UTC; "
                "restart=True (--restart) starts over and includes later messages",
                f"{plan.end - SECOND:%Y-%m-%d %H:%M:%S}",
            )
        return attrs.evolve(plan, is_open=False)

    async def _read_all(self, plan: Plan) -> None:
        """Read the windows that no run has read; the empty spans last, in every run."""
        missing = {*range(len(plan.windows))} - self._work.saved.keys() - plan.empty_spans
        await self._read(plan, sorted(missing))
        await self._read(plan, sorted(plan.empty_spans))

    async def _read(self, plan: Plan, indexes: Sequence[int]) -> None:
        """Read windows, several at a time, the earliest first, and save them in order.

        So the file is written once, and need not be sorted at the end.
        """
        waiting = iter(indexes)
        read = {index: anyio.Event() for index in indexes}
        found: dict[int, WindowRows] = {}
        # One more than are read: the one that is being saved. A semaphore serves in order, so the
        # earliest unsaved window always has room.
        room = Semaphore(self._job.windows_in_flight + 1)

        async def read_some() -> None:
            for index in waiting:
                await room.acquire()
                found[index] = await self._read_one(plan, index)
                read[index].set()

        async def save_all() -> None:
            for index in indexes:
                await read[index].wait()
                await self._save(index, found.pop(index))
                room.release()

        await gather([save_all, *[read_some] * self._job.windows_in_flight])

    async def _read_one(self, plan: Plan, index: int) -> WindowRows:
        if plan.is_open and index == len(plan.windows) - 1:
            await self._wait_for_the_last_second()
        on_page = partial(self._progress.add_page, index)
        return await read_window(self._source, plan.windows[index], on_page)

    async def _save(self, index: int, found: WindowRows) -> None:
        def save() -> int:
            window = EncodedWindow.of(self._format, index, found, by_day=self._job.target.by_day)
            self._work.save(window)
            return len(window.keys)

        self._progress.add_window(index, await self._block(save))

    async def _wait_for_the_last_second(self) -> None:
        """Wait until the last second of the range is over: its messages belong to the range."""
        answered = self._source.answered_at
        over = (self._began if answered is None else answered) + SECOND.total_seconds()
        left = over - self._source.clock.monotonic()
        if left > 0:
            await self._source.clock.sleep(left)

    async def _prove_range(self, plan: Plan) -> Repeats:
        """Count the whole range once more; return the strays that several windows returned.

        Rows may have been entered late, or their time changed, where the history had been read:
        those windows are read again, after a pause, as long as that finds something; and finally
        all windows, as counts do not show rows that moved by a second between two windows.
        """
        calm, before, problem = 0, None, ""
        for _ in range(_MAX_ROUNDS):
            counted = await self._count(plan)
            repeats = await self._block(self._find_repeats)
            rows = sum(each.rows for each in self._work.saved.values()) - repeats.extra
            if counted <= rows and not repeats.shared:
                return repeats
            problem = self._problem(counted, rows, repeats)
            found = counted, rows, repeats
            calm, before = (calm + 1 if found == before else 0), found
            if calm == len(_PAUSES):
                break
            await self._source.clock.sleep(_PAUSES[calm])
            is_last = calm == len(_PAUSES) - 1
            everything = range(len(plan.windows))
            await self._read(plan, everything if is_last else await self._changed(plan, repeats))
        raise Incomplete(f"{self._job.query.method.cmd}, the whole range: {problem}")

    def _find_repeats(self) -> Repeats:
        return find_repeats(self._work.saved.values(), self._work.keys)

    def _problem(self, counted: int, rows: int, repeats: Repeats) -> str:
        if counted <= rows:
            return "the service repeatedly returned the same row in two windows"
        problem = f"the service counts {counted} rows and returned {rows} different ones"
        if not repeats.dropped:
            return problem
        return (
            f"{problem}. Rows without a time were returned with several windows, and identical "
            "ones were taken for one: if they have no id either, that is the likely reason"
        )

    async def _count(self, plan: Plan) -> int:
        # Rows leave a query by status again, so a count says nothing about what was read before.
        if self._job.query.is_volatile:
            return 0
        empty = [plan.windows[index] for index in plan.empty_spans]
        known = {(window.start, window.end) for window in empty}
        spans = [span for span in plan.spans if (span.start, span.end) not in known]
        read = sum(self._work.saved[index].rows for index in plan.empty_spans)
        return read + await count_rows(self._source, spans)

    async def _changed(self, plan: Plan, repeats: Repeats) -> list[int]:
        """Find the windows whose rows may have changed since they were read.

        A window that lost a row to another and gained one has the same count as before.
        """
        spans = [(window.asked_from, window.asked_to) for window in plan.windows]
        counts = await gather([partial(self._source.count, *span) for span in spans])
        saved, doubtful = self._work.saved, repeats.shared | repeats.dropped.keys()
        return [n for n, each in enumerate(counts) if each.total != saved[n].total or n in doubtful]

    def _assemble(self, plan: Plan, repeats: Repeats) -> None:
        """Build the result from the saved windows, or write it to the stream."""
        work, target, days = self._work, self._job.target, self._days
        if work.is_result:
            work.finish_rows()
            work.note_ready(ROWS, sum(each.rows for each in work.saved.values()) - repeats.extra)
            return
        sections = sorted(
            work.sections(repeats.dropped), key=lambda each: (each.day, each.is_stray)
        )
        result = work.path / RESULT
        write = target.write if days is None else days.write
        if days is not None and plan.first_day is not None:
            span = plan.first_day, (plan.end - SECOND).date()
            write = partial(days.write_update, span=span)
        work.note_ready(RESULT, write(self._format, sections, self._read_section, result))

    def _read_section(self, section: SavedSection) -> bytes:
        if self._is_stopped.is_set():
            raise InterruptedError("the export was stopped")
        return self._work.read(section)

    def _put_in_place(self, plan: Plan) -> int:
        """Move the result to its name, and remove everything else; return its number of rows."""
        work, days = self._work, self._days
        ready = work.ready or {}
        result = work.path / ready["name"]
        if days is None:
            self._job.target.replace(result)
        elif plan.first_day is None:
            days.replace(result)
            days.clear(work.path)
        else:
            days.update(result)
        work.finish()
        return int(ready["rows"])


def _start(first_day: date | None) -> datetime | None:
    return None if first_day is None else datetime.combine(first_day, time(), UTC)
