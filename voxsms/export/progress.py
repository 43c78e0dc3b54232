"""How far an export has come, told after each page."""

from collections.abc import Callable, Collection

from voxsms.export.checkpoint import WorkDirectory
from voxsms.export.job import ExportProgress
from voxsms.export.planning import Plan
from voxsms.export.source import Source
from voxsms.hooks import tell


class Progress:
    """Counts rows as they arrive: a window may take minutes, and a bar is to move all the time."""

    def __init__(
        self,
        on_progress: Callable[[ExportProgress], object] | None,
        source: Source,
        work: WorkDirectory,
    ) -> None:
        self._on_progress = on_progress
        self._source = source
        self._work = work
        self._began = source.clock.monotonic()
        self._plan: Plan | None = None
        self._arrived: dict[int, int] = {}
        """The rows of windows that are being read; those of the seconds around them, too."""
        self._rows = self._before = 0

    def begin(self, plan: Plan) -> None:
        """Take the plan; what has been read of it was read by an earlier run."""
        self._plan = plan
        self._before = sum(part.rows for part in self._work.parts.values())

    def arrived(self, window: int, rows: int) -> None:
        """Take note of a page of a window."""
        self._arrived[window] = self._arrived.get(window, 0) + rows
        self.tell()

    def tell(self) -> None:
        """Say how far it is. Rows never become fewer, and are no more than counted until kept."""
        if self._on_progress is None:
            return
        plan, parts = self._plan, dict(self._work.parts)
        total = plan.rows if plan else 0
        kept = sum(part.rows for part in parts.values())
        arrived = self._being_read(plan, parts.keys()) if plan else 0
        self._rows = max(self._rows, kept, min(kept + arrived, total))
        progress = ExportProgress(
            rows=self._rows,
            total_rows=total,
            requests=self._source.requests,
            windows=len(parts),
            total_windows=len(plan.windows) if plan else 0,
            seconds=self._source.clock.monotonic() - self._began,
            rows_before=self._before,
        )
        tell(self._on_progress, progress)

    def _being_read(self, plan: Plan, kept: Collection[int]) -> int:
        """Count what has arrived of windows that are not kept yet; they may be read twice."""
        rows = self._arrived.items()
        return sum(min(n, plan.windows[place].rows) for place, n in rows if place not in kept)
