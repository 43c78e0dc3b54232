"""One run of an export, from its first request to the file in its place."""

import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeVar

import attrs
from anyio import CancelScope, CapacityLimiter, to_thread

from voxsms.calls.hooks import logger
from voxsms.client import Client
from voxsms.errors import Incomplete
from voxsms.export.assembly import Repeats, begin
from voxsms.export.checkpoint import WorkDirectory
from voxsms.export.columns import Layout
from voxsms.export.encoding import Encoder
from voxsms.export.job import ExportSummary, Job
from voxsms.export.packing import pack
from voxsms.export.placing import place
from voxsms.export.plan import SECOND, Window
from voxsms.export.planning import Plan, count_rows, make_plan
from voxsms.export.progress import Progress
from voxsms.export.reading import Reading, read_window
from voxsms.export.repeats import repeats_among
from voxsms.export.source import Source
from voxsms.export.together import together
from voxsms.export.turns import Turns
from voxsms.export.windowlog import Kept

T = TypeVar("T")
_PAGES_A_WINDOW = 4
"""Pages in flight for each window in flight, at the most."""
_PAUSES = 1.0, 2.0, 4.0, 8.0
"""Seconds before windows are read again because the history grew where it had been read."""
_MOST_ROUNDS = 20
"""How often they are, even if it grows all the time."""
_OLD = timedelta(hours=1)
"""Of a plan: from here on its range may end too early for whoever calls again."""


class Export:
    """One run of an export."""

    def __init__(self, client: Client, job: Job) -> None:
        self._client = client
        self._job = job
        layout = Layout.of(job.query.row.cmd, job.query.record)
        self._format = job.target.writes(layout, mask=job.mask, raw=job.raw)
        encoder = Encoder(job.query, layout, self._format)
        most = job.windows_in_flight * _PAGES_A_WINDOW
        self._source = Source(client, job.query, encoder, most, self._tell)
        self._began = self._source.clock.monotonic()
        self._threads = CapacityLimiter(1)
        self._at_work = Lock()
        workplace = job.target.workplace or Path(tempfile.mkdtemp(prefix="voxsms-export-"))
        joined = job.target.workplace is not None and self._format.joined and not job.target.by_day
        self._work = WorkDirectory(workplace, self._format if joined else None)
        self._progress = Progress(job.on_progress, self._source)

    async def run(self) -> ExportSummary:
        """Export. Raises what `voxsms.errors` says, and `OSError` for the disk's own troubles."""
        try:
            return await self._run()
        except BaseException as error:
            if self._work.can_go_on:
                kept = f"What was read is kept in {self._work.path}"
                error.add_note(f"{kept}: run the same command again.")
            raise
        finally:
            # What was read stays; what is half-written goes, also when the export was cancelled.
            with CancelScope(shield=True):
                await self._blocking(self._work.close)

    async def _run(self) -> ExportSummary:
        await self._blocking(self._work.open)
        plan, resumed = await self._planned()
        rows = self._job.target.rows_in_place if resumed else None
        if rows is None:
            await self._read_all(plan)
            rows = await self._assembled(await self._settled(plan))
        await self._blocking(self._work.drop_checkpoint)
        return ExportSummary(
            path=self._job.target.path,
            rows=rows,
            requests=self._source.requests,
            windows=len(plan.windows),
            seconds=self._source.clock.monotonic() - self._began,
            from_date=self._job.query.from_date,
            to_date=plan.end - SECOND,
            resumed=resumed,
        )

    async def _blocking(self, work: Callable[[], T]) -> T:
        """Do what may block in a thread, one thing at a time.

        A task that is cancelled does not wait for its thread. Whoever closes must.
        """

        def alone() -> T:
            with self._at_work:
                return work()

        return await to_thread.run_sync(alone, limiter=self._threads)

    async def _planned(self) -> tuple[Plan, bool]:
        """Go on with the plan of an earlier run, or make one and write it down."""
        identity, work = self._job.identity(self._client), self._work
        if self._job.restart:
            await self._blocking(work.forget)
        plan = await self._blocking(partial(work.load, identity))
        resumed = plan is not None
        if plan is not None:
            plan = self._looked_at(plan)
        else:
            await self._blocking(work.forget)
            plan = await make_plan(self._source)
            if self._job.target.workplace is not None:  # nothing can go on with a stream
                await self._blocking(partial(work.save, identity, plan))
        self._progress.begin(plan, work.kept.values())
        return plan, resumed

    def _looked_at(self, plan: Plan) -> Plan:
        """See how old a plan is. Nobody may take a stopped run's range for one up to now."""
        if self._source.now() - plan.end < _OLD:
            return plan
        if self._job.query.to_date is None:
            logger.warning(
                "the export goes on from an earlier run: its range ends at %s UTC; "
                "restart=True (--restart) begins anew, with what came later",
                f"{plan.end - SECOND:%Y-%m-%d %H:%M:%S}",
            )
        return attrs.evolve(plan, fresh=False)

    async def _read_all(self, plan: Plan) -> None:
        """Read the windows that no run has read; the hollow ones last, and in every run."""
        missing = {*range(len(plan.windows))} - self._work.kept.keys() - plan.hollow
        await self._read(plan, sorted(missing))
        await self._read(plan, sorted(plan.hollow))

    async def _read(self, plan: Plan, indexes: Iterable[int]) -> None:
        """Read windows, several at a time, the earliest first, and keep them in their order."""
        waiting = deque(indexes)
        turns = Turns(waiting, self._job.windows_in_flight)

        async def read_some() -> None:
            while waiting:
                index = waiting.popleft()
                await turns.take(index, await self._read_one(plan, index))

        await together([read_some] * self._job.windows_in_flight)

    async def _read_one(self, plan: Plan, index: int) -> Callable[[], Awaitable[None]]:
        """Read a window; give what keeps it."""
        window = plan.windows[index]
        if plan.fresh and index == len(plan.windows) - 1:
            await self._until_over()
        arrived = partial(self._progress.arrived, index)
        reading = await read_window(self._source, window, arrived)

        async def keep() -> None:
            await self._blocking(partial(self._keep, index, window, reading))
            self._progress.kept(index, self._work.kept[index].rows)

        return keep

    async def _until_over(self) -> None:
        """Wait until the last second of the range is over: what is sent in it belongs to it."""
        answered = self._source.answered_at
        over = (self._began if answered is None else answered) + SECOND.total_seconds()
        left = over - self._source.clock.monotonic()
        if left > 0:
            await self._source.clock.sleep(left)

    def _keep(self, index: int, window: Window, reading: Reading) -> None:
        placed = place(self._format, window, reading)
        packed = pack(self._format, placed, by_day=self._job.target.by_day)
        self._work.keep(index, reading.total, packed)

    async def _settled(self, plan: Plan) -> Repeats:
        """Count the whole range once more; give the rows that stand in more than one window.

        Rows can have been entered late, or been given another time, where the history had been
        read: there it is read again, after a while, as long as that brings something; and in the
        end everywhere, for counts do not tell of rows that moved by a second between two windows.
        """
        calm, before, problem = 0, None, ""
        for _ in range(_MOST_ROUNDS):
            counted = await self._counted(plan)
            kept = self._kept_in_order()
            repeats = await self._blocking(partial(repeats_among, kept))
            rows = sum(each.rows for each in kept) - sum(map(len, repeats.values()))
            if counted <= rows:
                return repeats
            problem = f"the service counts {counted} rows and gave {rows} different ones"
            problem += _likely_reason(kept, repeats)
            found = counted, rows, repeats
            calm, before = (calm + 1 if found == before else 0), found
            if calm == len(_PAUSES):
                break
            await self._source.clock.sleep(_PAUSES[calm])
            last = calm == len(_PAUSES) - 1
            changed = range(len(plan.windows)) if last else await self._changed(plan, repeats)
            await self._read(plan, changed)
        raise Incomplete(f"{self._job.query.row.cmd}, the whole range: {problem}")

    async def _counted(self, plan: Plan) -> int:
        # Rows leave a query by status again: there a count says nothing of what was read before.
        if self._job.query.moves:
            return 0
        hollow = [plan.windows[place] for place in plan.hollow]
        known = {(window.start, window.end) for window in hollow}
        spans = [span for span in plan.spans if (span.start, span.end) not in known]
        read = sum(self._work.kept[place].rows for place in plan.hollow)
        return read + await count_rows(self._source, spans)

    async def _changed(self, plan: Plan, repeats: Repeats) -> list[int]:
        """Find the windows that may not hold what they held when they were read.

        One that lost a row to another and gained one counts as many as before.
        """
        spans = [(window.asked_from, window.asked_to) for window in plan.windows]
        counts = await together([partial(self._source.count, *span) for span in spans])
        kept = self._work.kept
        return [n for n, each in enumerate(counts) if each.total != kept[n].total or n in repeats]

    async def _assembled(self, repeats: Repeats) -> int:
        """Put the windows together and the result into its place; give the number of rows."""
        make = partial(begin, self._format, self._job.target, self._work, repeats)
        assembly = await self._blocking(make)
        try:
            for kept in self._kept_in_order():
                await self._blocking(partial(assembly.add, kept, repeats))
            await self._blocking(assembly.finish)
        finally:
            assembly.abandon()
        return assembly.rows

    def _kept_in_order(self) -> list[Kept]:
        return [kept for _, kept in sorted(self._work.kept.items())]

    def _tell(self) -> None:
        self._progress.tell()


def _likely_reason(kept: Iterable[Kept], repeats: Repeats) -> str:
    """Say why rows were left out that may be needed."""
    if not any(each.strays for each in kept if each.index in repeats):
        return ""
    return (
        ". Rows without a time came with several windows, and those that are alike were taken for "
        "one: if they have no id either, that is the likely reason"
    )
