"""One run of an export, from its first request to the file in its place."""

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from anyio import CancelScope, CapacityLimiter, to_thread

from voxsms.client import Client
from voxsms.errors import Incomplete
from voxsms.export.assembly import Repeats, begin
from voxsms.export.checkpoint import PartFile, WorkDirectory
from voxsms.export.columns import Layout
from voxsms.export.encoding import Encoder
from voxsms.export.job import ExportProgress, ExportSummary, Job
from voxsms.export.placing import place
from voxsms.export.plan import SECOND, Window
from voxsms.export.planning import Plan, count_rows, make_plan
from voxsms.export.reading import Reading, read_window
from voxsms.export.repeats import Names, find_repeats
from voxsms.export.source import Source
from voxsms.export.together import together
from voxsms.export.windowfile import pack, unpack
from voxsms.hooks import tell

T = TypeVar("T")
_PAGES_A_WINDOW = 4
"""Pages in flight for each window in flight."""
_THREADS = 2
_ROUNDS = 4
"""How often windows are read again because the history grew where it had been read."""


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
        self._threads = CapacityLimiter(_THREADS)
        self._work = WorkDirectory(job.target.workplace or Path(tempfile.mkdtemp()))
        self._plan: Plan | None = None

    async def run(self) -> ExportSummary:
        """Export. Raises what `voxsms.errors` says, and `OSError` for the disk's own troubles."""
        try:
            await self._blocking(self._work.open)
            plan, resumed = await self._planned()
            missing = [n for n in range(len(plan.windows)) if n not in self._work.parts]
            await self._read(plan, missing)
            rows = await self._assembled(await self._settled(plan))
        finally:
            # What was read stays; what is half-written goes, also when the export was cancelled.
            with CancelScope(shield=True):
                await self._blocking(self._work.close)
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
        return await to_thread.run_sync(work, limiter=self._threads)

    async def _planned(self) -> tuple[Plan, bool]:
        """Go on with the plan of an earlier run, or make one and write it down."""
        identity, work = self._job.identity(self._client), self._work
        if self._job.restart:
            await self._blocking(work.forget)
        self._plan = await self._blocking(partial(work.load, identity))
        if self._plan is not None:
            return self._plan, True
        await self._blocking(work.forget)
        self._plan = await make_plan(self._source)
        await self._blocking(partial(work.save, identity, self._plan))
        return self._plan, False

    async def _read(self, plan: Plan, indexes: Iterable[int]) -> None:
        """Read windows, several at a time, the earliest first."""
        waiting = deque(indexes)

        async def read_some() -> None:
            while waiting:
                await self._read_one(plan, waiting.popleft())

        await together([read_some] * self._job.windows_in_flight)

    async def _read_one(self, plan: Plan, index: int) -> None:
        window = plan.windows[index]
        if plan.fresh and index == len(plan.windows) - 1:
            await self._until_over()
        reading = await read_window(self._source, window)
        await self._blocking(partial(self._keep, index, window, reading))
        self._tell()

    async def _until_over(self) -> None:
        """Wait until the last second of the range is over: what is sent in it belongs to it."""
        answered = self._source.answered_at
        over = (self._began if answered is None else answered) + SECOND.total_seconds()
        left = over - self._source.clock.monotonic()
        if left > 0:
            await self._source.clock.sleep(left)

    def _keep(self, index: int, window: Window, reading: Reading) -> None:
        placed = place(self._format, window, reading)
        content = pack(self._format, placed, by_day=self._job.target.by_day)
        self._work.keep(index, placed, reading.total, content)

    async def _settled(self, plan: Plan) -> Repeats:
        """Count the whole range once more; give the rows that stand in more than one window.

        Rows can have been entered late, where the history had been read: there it is read again.
        """
        problem = ""
        for _ in range(_ROUNDS):
            parts = self._parts()
            rows, counted = sum(part.rows for part in parts), await self._counted(plan)
            suspicious = counted < rows or any(part.strays for part in parts)
            repeats: Repeats = {}
            if suspicious:
                repeats = await self._blocking(partial(_repeats, parts))
            rows -= sum(map(len, repeats.values()))
            if counted <= rows:
                return repeats
            problem = f"the service counts {counted} rows and gave {rows} different ones"
            await self._read(plan, await self._grown(plan))
        raise Incomplete(f"{self._job.query.row.cmd}, the whole range: {problem}")

    async def _counted(self, plan: Plan) -> int:
        # Rows leave a query by status again: there a count says nothing of what was read before.
        return 0 if self._job.query.moves else await count_rows(self._source, plan.spans)

    async def _grown(self, plan: Plan) -> list[int]:
        """Find the windows that do not hold as many rows as when they were read."""
        spans = [(window.asked_from, window.asked_to) for window in plan.windows]
        pages = await together([partial(self._source.count, *span) for span in spans])
        return [n for n, page in enumerate(pages) if page.total != self._work.parts[n].total]

    async def _assembled(self, repeats: Repeats) -> int:
        """Put the windows together and the result into its place; give the number of rows."""
        make = partial(begin, self._format, self._job.target, self._work)
        assembly = await self._blocking(make)
        try:
            for part in self._parts():
                await self._blocking(partial(assembly.add, part, repeats))
            await self._blocking(assembly.finish)
        finally:
            assembly.abandon()
        await self._blocking(self._work.drop_checkpoint)
        return assembly.rows

    def _parts(self) -> list[PartFile]:
        return [part for _, part in sorted(self._work.parts.items())]

    def _tell(self) -> None:
        if self._job.on_progress is None:
            return
        plan, parts = self._plan, list(self._work.parts.values())
        progress = ExportProgress(
            rows=sum(part.rows for part in parts),
            total_rows=plan.rows if plan else 0,
            requests=self._source.requests,
            windows=len(parts),
            total_windows=len(plan.windows) if plan else 0,
            seconds=self._source.clock.monotonic() - self._began,
        )
        tell(self._job.on_progress, progress)


def _repeats(parts: list[PartFile]) -> Repeats:
    """Find the rows that stand in several windows."""

    def read() -> Iterator[Names]:
        for part in parts:
            window = unpack(part.path, part.rows)
            yield Names(part.index, window.names, window.strays)

    return find_repeats(read, sum(part.rows for part in parts))
