"""What an export reports: its progress after each page, and a summary at the end."""

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
    """The progress of an export."""

    rows: int
    """The rows of the windows read so far, and of the pages of the windows being read."""
    total_rows: int
    """The rows counted when the plan was made; 0 before that."""
    requests: int
    windows: int
    total_windows: int
    seconds: float
    rows_before: int = 0
    """How many of `rows` an earlier run read."""


@attrs.frozen
class ExportSummary:
    """The result of an export."""

    path: Path | None
    """None for a stream."""
    rows: int
    requests: int
    """The requests of this run only."""
    windows: int
    seconds: float
    from_date: datetime | None
    to_date: datetime
    """The last second of the range, frozen when the export began."""
    resumed: bool
    """Whether it resumed an earlier run that was stopped."""


class Progress:
    """Counts rows as they arrive: a window may take minutes, and a bar should keep moving."""

    def __init__(self, on_progress: Callable[[ExportProgress], object] | None) -> None:
        self._on_progress = on_progress
        self._source: Source | None = None
        self._began = 0.0
        self._plan: Plan | None = None
        self._arrived: dict[int, int] = {}
        """The rows of windows that are being read, including those of the seconds around them."""
        self._saved: dict[int, int] = {}
        """The rows of windows that have been read."""
        self._rows = self._rows_saved = self._before = 0

    def start(self, source: Source) -> None:
        """Start to count the requests of a source."""
        self._source = source
        self._began = source.clock.monotonic()

    def begin(self, plan: Plan, saved: Iterable[Saved]) -> None:
        """Set the plan, and the windows that an earlier run read."""
        self._plan = plan
        self._saved = {each.index: each.rows for each in saved}
        self._before = self._rows_saved = sum(self._saved.values())

    def add_page(self, window: int, rows: int) -> None:
        """Count a page of a window, unless that was saved and is only read again."""
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
        """Report the progress. `rows` never decreases, nor exceeds the count until all is saved."""
        if self._on_progress is None or self._source is None:
            return
        windows = () if self._plan is None else self._plan.windows
        total = 0 if self._plan is None else self._plan.rows
        # Pages may have been read twice, and have rows of the neighbours.
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
