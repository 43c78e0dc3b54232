"""Which of the rows that were read for a window are its own, and their order.

A row belongs to the window whose half-open interval holds its time. A row without a time to the
second (none, or a date alone) can not be placed so, nor can one whose time is not within what was
asked for: such a stray stays with the window whose answer it came in, and if several have it, all
but one leave it out in the end (`repeats.py`).
"""

from collections.abc import Sequence
from datetime import datetime

import attrs

from voxsms.export.encoding import Rows, Time, joined
from voxsms.export.parts import Format
from voxsms.export.plan import SECOND, Window
from voxsms.export.reading import Reading

_DATE_ALONE = len("yyyy-MM-dd")


@attrs.frozen
class Slice:
    """Some of the rows of a page that follow each other."""

    rows: Rows
    start: int
    end: int

    def __len__(self) -> int:
        """How many there are."""
        return self.end - self.start

    @property
    def whole(self) -> bool:
        """Whether they are all rows of the page."""
        return len(self) == len(self.rows)

    @property
    def crc32(self) -> int | None:
        """The checksum of their cells, if it is known."""
        return self.rows.crc32 if self.whole else None

    @property
    def span(self) -> tuple[int, int]:
        """The least and the greatest name."""
        if self.rows.span is not None and self.whole:
            return self.rows.span
        names = self.rows.names[self.start : self.end]
        return min(names), max(names)


@attrs.frozen
class Placed:
    """The rows of a window: by time, those of one second by id."""

    slices: Sequence[Slice]
    strays: frozenset[int] = frozenset()
    """The places of the strays among them."""

    def __len__(self) -> int:
        """How many there are."""
        return sum(map(len, self.slices))

    @property
    def span(self) -> tuple[int, int]:
        """The least and the greatest name."""
        spans = [each.span for each in self.slices]
        if not spans:
            return 0, 0
        return min(least for least, _ in spans), max(greatest for _, greatest in spans)


def place(format_: Format, window: Window, reading: Reading) -> Placed:
    """Sort the rows of a reading, leave out those of the neighbours, find the strays."""
    bounds, pages = _Bounds.of(window), _in_order(reading)
    if pages is None or not bounds.hold_all(pages):
        return _place_each(format_, bounds, reading)
    slices = [Slice(rows, *map(rows.first_at, (bounds.start, bounds.end))) for rows in pages]
    return Placed([each for each in slices if each.start < each.end])


def _in_order(reading: Reading) -> list[Rows] | None:
    """Sort pages, if that is enough to sort their rows."""
    pages = [page.rows for page in reading.pages if len(page)]
    keys = [rows.keys for rows in pages]
    if None in keys:
        return None
    pages.sort(key=lambda rows: rows.keys or ())
    ends = [key for rows in pages for key in rows.keys or ()]
    return pages if sorted(ends) == ends else None


def _place_each(format_: Format, bounds: "_Bounds", reading: Reading) -> Placed:
    """Place row by row, and mix those of all pages."""
    pages = [page.rows for page in reading.pages]
    times = (time for rows in pages for time in rows.list_times())
    own = [n for n, time in enumerate(times) if bounds.own(time) or not bounds.hold(time)]
    if not own:
        return Placed([])
    rows = joined(format_, pages, own)
    strays = frozenset(n for n, time in enumerate(rows.list_times()) if not bounds.hold(time))
    return Placed([Slice(rows, 0, len(rows))], strays)


@attrs.frozen
class _Bounds:
    """The bounds of a window as text, as the times of rows are."""

    asked_start: str
    start: str
    end: str
    asked_end: str

    @classmethod
    def of(cls, window: Window) -> "_Bounds":
        after = window.asked_to + SECOND
        return cls(*map(_text, (window.asked_from, window.start, window.end, after)))

    def own(self, time: Time) -> bool:
        """Tell if a time is in the window."""
        return self.hold(time) and self.start <= (time or "") < self.end

    def hold(self, time: Time) -> bool:
        """Tell if a time is known to the second and within what was asked for."""
        known = time is not None and len(time) > _DATE_ALONE
        return known and self.asked_start <= (time or "") < self.asked_end

    def hold_all(self, pages: Sequence[Rows]) -> bool:
        """Tell the same of all the times of pages."""
        return all(self.hold(time) for rows in pages for time in rows.ends or ())


def _text(time: datetime | None) -> str:
    return "" if time is None else time.replace(tzinfo=None).isoformat(" ")
