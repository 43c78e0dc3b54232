"""How a span of time is cut into windows that can each be read for themselves: pure, plain data.

A window is half-open, [start, end), and all times are whole seconds, as they are on the wire. It is
asked for with a second more at both ends: whether the service's bounds are inclusive is not
documented (contract, section 6), and a time stored finer than it is shown may fall on either side.
What comes from beyond the ends is the neighbour's and is left to it.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import attrs

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
MOST_ROWS = 10_000
"""How many rows a window should hold at the most."""
FIRST_DAY = datetime(2010, 1, 1, tzinfo=UTC)
"""Before the service existed: where a history begins whose start may not be left open."""
_MOST_PARTS, _FIRST_PARTS = 128, 16
"""How many parts a window is cut into: as many as it takes, or a few that will be cut again."""
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_FILLED = 0.9
"""How full a window is meant to be: rows are not spread evenly."""


@attrs.frozen
class Window:
    """A half-open span of time, and how many rows it held when the plan was made.

    Plain data: a window can be pickled and read by another process or machine.
    """

    start: datetime | None
    """None: from the beginning of the history."""
    end: datetime
    rows: int = 0

    @property
    def span(self) -> timedelta | None:
        """How long it is; None if its start is open."""
        return None if self.start is None else self.end - self.start

    @property
    def asked_from(self) -> datetime | None:
        """The `from_date` it is read with: a second early."""
        return None if self.start is None else max(self.start, _EARLIEST + SECOND) - SECOND

    @property
    def asked_to(self) -> datetime:
        """The `to_date` it is read with, inclusive: a second late."""
        return self.end

    @property
    def last(self) -> datetime:
        """Its last second."""
        return self.end - SECOND

    def __str__(self) -> str:
        """Say it with its last second, as a person would."""
        start = "the beginning" if self.start is None else f"{self.start:%Y-%m-%d %H:%M:%S}"
        return f"{start} to {self.last:%Y-%m-%d %H:%M:%S} UTC"


def whole_second(time: datetime) -> datetime:
    """Give the second a time is in, which is what the wire shows of it."""
    return time.astimezone(UTC).replace(microsecond=0)


def parts(window: Window, most_rows: int) -> list[Window]:
    """Cut a window that holds too many rows into equal spans that may each hold few enough."""
    span = window.span
    if span is None or span <= SECOND or window.rows <= most_rows:
        return [window]
    wanted = int(window.rows / (most_rows * _FILLED)) + 1
    count = min(wanted if wanted <= _MOST_PARTS else _FIRST_PARTS, span // SECOND)
    return list(pieces(window, -(-span // SECOND // count) * SECOND))


def pieces(window: Window, longest: timedelta) -> Iterator[Window]:
    """Cut a window with a start into spans of at most `longest`."""
    start = window.start
    while start is not None and start < window.end:
        end = window.end if window.end - start <= longest else start + longest
        yield Window(start, end)
        start = end


def merged(windows: Iterable[Window], most_rows: int, longest: timedelta | None) -> list[Window]:
    """Join neighbours that together hold few enough rows; an empty one always finds a neighbour."""
    joined: list[Window] = []
    for window in windows:
        both = _both(joined[-1], window) if joined else window
        if joined and both.rows <= most_rows and _within(both, longest):
            joined[-1] = both
        else:
            joined.append(window)
    return joined


def _both(earlier: Window, later: Window) -> Window:
    return Window(earlier.start, later.end, earlier.rows + later.rows)


def _within(window: Window, longest: timedelta | None) -> bool:
    return longest is None or (window.span is not None and window.span <= longest)


_DAYS = re.compile(r"(\d{1,4})[ -]*days?\b", re.IGNORECASE)
_FIGURE = re.compile(r"\d{1,4}")


def days_named(msg: str) -> timedelta | None:
    """Give the longest span that code 569 allows, by its text (`... within 30 days`)."""
    found = _DAYS.search(msg)
    figure = found.group(1) if found else (_FIGURE.findall(msg) or ["0"])[-1]
    return int(figure) * DAY or None
