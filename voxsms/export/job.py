"""What an export is asked for, and what it tells of itself."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import attrs

from voxsms.client import Client
from voxsms.export.checkpoint import LAYOUT
from voxsms.export.query import Query
from voxsms.export.target import Target


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
    """Whether it went on from where an earlier run was stopped."""


@attrs.frozen
class Job:
    """What was asked for, checked."""

    query: Query
    target: Target
    windows_in_flight: int
    mask: bool
    raw: bool
    restart: bool
    on_progress: Callable[[ExportProgress], object] | None

    def identity(self, client: Client) -> dict[str, str]:
        """Give what a checkpoint must agree with to be gone on from."""
        return {
            **self.query.as_text(),
            "service": client.session.base_url,
            "account": str(client.session.account_id or ""),
            "format": self.target.format,
            "by_day": str(self.target.by_day),
            "mask": str(self.mask),
            "raw": str(self.raw),
            "layout": LAYOUT,
        }
