"""What an export tells of itself: how far it has come, after each page, and what it did."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import attrs

from voxsms.calls.hooks import call_hook
from voxsms.export._checkpoint import Saved
from voxsms.export._plan import Plan
from voxsms.export._source import Source


@attrs.frozen
class ExportProgress:
    """How far an export has come."""

    rows: int
    """In the windows that are read, and on the pages of those that are being read."""
    total_rows: int
    """As counted when the plan was made; 0 before that."""
    requests: int
    windows: int
    total_windows: int
    seconds: float
    rows_before: int = 0
    """Those of `rows` that an earlier run read."""


@attrs.frozen
class ExportSummary:
    """What an export did."""

    path: Path | None
    """None for a stream."""
    rows: int
    requests: int
    """Of this run alone."""
    windows: int
    seconds: float
    from_date: datetime | None
    to_date: datetime
    """The last second of the range, as it was frozen when the export was begun."""
    resumed: bool
    """Whether it resumed an earlier run that was stopped."""


class Progress:
    """Counts rows as they arrive: a window may take minutes, and a bar should move all the time."""

    def __init__(self, on_progress: Callable[[ExportProgress], object] | None) -> None:
        self._on_progress = on_progress
        self._source: Source | None = None
        self._began = 0.0
        self._plan: Plan | None = None
        self._arrived: dict[int, int] = {}
        """The rows of windows that are being read; those of the seconds around them, too."""
        self._saved: dict[int, int] = {}
        """The rows of windows that were read."""
        self._rows = self._rows_saved = self._before = 0

    def start(self, source: Source) -> None:
        """Begin to count the requests of a source."""
        self._source = source
        self._began = source.clock.monotonic()

    def begin(self, plan: Plan, saved: Iterable[Saved]) -> None:
        """Take the plan, and what an earlier run has read of it."""
        self._plan = plan
        self._saved = {each.index: each.rows for each in saved}
        self._before = self._rows_saved = sum(self._saved.values())

    def add_page(self, window: int, rows: int) -> None:
        """Count a page of a window; one that was saved is only read again."""
        if window not in self._saved:
            self._arrived[window] = self._arrived.get(window, 0) + rows
        self.tell()

    def add_window(self, window: int, rows: int) -> None:
        """Count a window that was read, or read again."""
        self._arrived.pop(window, None)
        self._rows_saved += rows - self._saved.get(window, 0)
        self._saved[window] = rows
        self.tell()

    def tell(self) -> None:
        """Say how far it is. Rows never become fewer, and are no more than counted until saved."""
        if self._on_progress is None or self._source is None:
            return
        windows = () if self._plan is None else self._plan.windows
        total = 0 if self._plan is None else self._plan.rows
        # Pages may have come twice, and bring rows of the neighbours.
        arrived = sum(min(rows, windows[n].rows) for n, rows in self._arrived.items())
        saved = self._rows_saved
        self._rows = max(self._rows, saved, min(saved + arrived, total))
        progress = ExportProgress(
            rows=self._rows,
            total_rows=total,
            requests=self._source.requests,
            windows=len(self._saved),
            total_windows=len(windows),
            seconds=self._source.clock.monotonic() - self._began,
            rows_before=self._before,
        )
        call_hook(self._on_progress, progress)
