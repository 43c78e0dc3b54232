"""How far an export has come, told after each page."""

from collections.abc import Callable, Iterable, Sequence

from voxsms.calls.hooks import call_hook
from voxsms.export.job import ExportProgress
from voxsms.export.plan import Window
from voxsms.export.planning import Plan
from voxsms.export.source import Source
from voxsms.export.windowlog import Kept


class Progress:
    """Counts rows as they arrive: a window may take minutes, and a bar is to move all the time."""

    def __init__(
        self, on_progress: Callable[[ExportProgress], object] | None, source: Source
    ) -> None:
        self._on_progress = on_progress
        self._source = source
        self._began = source.clock.monotonic()
        self._windows: Sequence[Window] = ()
        self._total = 0
        self._arrived: dict[int, int] = {}
        """The rows of windows that are being read; those of the seconds around them, too."""
        self._kept: dict[int, int] = {}
        """The rows of windows that were read."""
        self._rows = self._rows_kept = self._before = 0

    def begin(self, plan: Plan, kept: Iterable[Kept]) -> None:
        """Take the plan, and what an earlier run has read of it."""
        self._windows, self._total = plan.windows, plan.rows
        self._kept = {each.index: each.rows for each in kept}
        self._before = self._rows_kept = sum(self._kept.values())

    def arrived(self, window: int, rows: int) -> None:
        """Take note of a page of a window; one that was kept is only read again."""
        if window not in self._kept:
            self._arrived[window] = self._arrived.get(window, 0) + rows
        self.tell()

    def kept(self, window: int, rows: int) -> None:
        """Take note of a window that was read, or read again."""
        self._arrived.pop(window, None)
        self._rows_kept += rows - self._kept.get(window, 0)
        self._kept[window] = rows
        self.tell()

    def tell(self) -> None:
        """Say how far it is. Rows never become fewer, and are no more than counted until kept."""
        if self._on_progress is None:
            return
        # Pages may have come twice, and bring rows of the neighbours.
        arrived = sum(min(rows, self._windows[n].rows) for n, rows in self._arrived.items())
        kept = self._rows_kept
        self._rows = max(self._rows, kept, min(kept + arrived, self._total))
        progress = ExportProgress(
            rows=self._rows,
            total_rows=self._total,
            requests=self._source.requests,
            windows=len(self._kept),
            total_windows=len(self._windows),
            seconds=self._source.clock.monotonic() - self._began,
            rows_before=self._before,
        )
        call_hook(self._on_progress, progress)
