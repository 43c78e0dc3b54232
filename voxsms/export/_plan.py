"""The plan: windows of time that together cover the whole range, found by asking for counts.

A window is half-open, [start, end), and all times are whole seconds, as on the wire. A request asks
for one more second at both ends: whether the service's bounds are inclusive is not documented
(contract, section 6), and a time that is stored more precisely than shown may fall on either side.
Rows from beyond the ends belong to the neighbouring windows and are left to them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import chain

import attrs

from voxsms.errors import ApiError, ResponseInvalid
from voxsms.export._rows import Page
from voxsms.export._source import SECOND, Source, gather, whole_second

DAY = timedelta(days=1)
FIRST_DAY = datetime(2010, 1, 1, tzinfo=UTC)
"""Before the service existed: the start of a history if the service requires one."""
_MAX_PARTS, _FIRST_PARTS = 128, 16
"""How many parts a window is cut into: as many as needed, or a few that will be cut again."""
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(microsecond=0, tzinfo=UTC) - DAY
_FILL = 0.9
"""How full a window is meant to be: rows are not spread evenly."""
_RANGE_TOO_LONG = 569
_OVERLAP = 2 * SECOND
_DEFAULT_LENGTH = 730 * DAY


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
        """Return it with its last second, as a person would say it."""
        start = "the beginning" if self.start is None else f"{self.start:%Y-%m-%d %H:%M:%S}"
        return f"{start} to {self.last:%Y-%m-%d %H:%M:%S} UTC"


@attrs.frozen
class Plan:
    """What to read."""

    end: datetime
    """The first second after the range."""
    windows: tuple[Window, ...]
    """The whole range, the earliest first; each begins where the previous one ends."""
    spans: tuple[Window, ...]
    """The whole range, cut only where the service does not accept it as one."""
    is_open: bool = False
    """Whether the last second of the range was not over when the plan was begun."""
    first_day: date | None = None
    """For an update: the days before it stay in the directory as they are."""

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return sum(window.rows for window in self.windows)

    @property
    def empty_spans(self) -> frozenset[int]:
        """The indexes of the windows that are also spans and were counted as empty.

        There can be hundreds, from before the history began. Reading one takes one request, so they
        are read when the others are counted again, and not counted themselves.
        """
        if len(self.spans) == 1:
            return frozenset()
        spans = {(span.start, span.end) for span in self.spans}
        return frozenset(
            index
            for index, window in enumerate(self.windows)
            if not window.rows and (window.start, window.end) in spans
        )


def split(window: Window, max_rows: int) -> list[Window]:
    """Cut a window with too many rows into equal spans that may each have few enough."""
    span = window.span
    if span is None or span <= SECOND or window.rows <= max_rows:
        return [window]
    wanted = int(window.rows / (max_rows * _FILL)) + 1
    count = min(wanted if wanted <= _MAX_PARTS else _FIRST_PARTS, span // SECOND)
    return list(pieces(window, -(-span // SECOND // count) * SECOND))


def pieces(window: Window, max_length: timedelta) -> Iterator[Window]:
    """Cut a window that has a start into spans of limited length."""
    start = window.start
    while start is not None and start < window.end:
        end = window.end if window.end - start <= max_length else start + max_length
        yield Window(start, end)
        start = end


def merge(windows: Iterable[Window], max_rows: int, max_length: timedelta | None) -> list[Window]:
    """Join neighbours that together have few enough rows."""
    merged: list[Window] = []
    for window in windows:
        last = merged[-1] if merged else window
        both = Window(last.start, window.end, last.rows + window.rows)
        fits = max_length is None or (both.span is not None and both.span <= max_length)
        if merged and both.rows <= max_rows and fits:
            merged[-1] = both
        else:
            merged.append(window)
    return merged


_DAYS = re.compile(r"(\d{1,4})[ -]*days?\b", re.IGNORECASE)
_FIGURE = re.compile(r"\d{1,4}")


def find_days(msg: str) -> timedelta | None:
    """Return the longest span that code 569 allows, by its text (`... within 30 days`)."""
    found = _DAYS.search(msg)
    figure = found.group(1) if found else (_FIGURE.findall(msg) or ["0"])[-1]
    return int(figure) * DAY or None


async def make_plan(source: Source, start: datetime | None) -> Plan:
    """Count rows until every window has few enough or is a second long.

    The range begins at `start`, or with the history, and ends as the source's query says.
    """
    return await _Planner(source, start).plan()


async def count_rows(source: Source, windows: Sequence[Window]) -> int:
    """Count the rows of windows, whether or not `to_date` is inclusive at the service.

    Each is counted with the second after it, and the rows of that second are subtracted. That
    second is counted first: rows entered in between make the result too large, never too small.
    """
    after = await gather([partial(source.count, each.end, each.end) for each in windows])
    whole = await gather([partial(source.count, each.start, each.end) for each in windows])
    return sum(each.total for each in whole) - sum(each.total for each in after)


class _Planner:
    """Counts windows, and cuts those with too many rows."""

    def __init__(self, source: Source, start: datetime | None) -> None:
        self._source = source
        self._query = source.query
        self._start = start
        self._max_length: timedelta | None = None
        """The longest window that the service accepts with the overlap, if it named a limit."""

    async def plan(self) -> Plan:
        query = self._query
        first = await self._first()
        end, is_open = await self._end(first)
        whole = Window(self._start, end, first.total)
        if whole.start is not None and whole.start >= whole.end:
            return Plan(whole.end, (), ())
        if self._max_length is None:
            windows = await self._with_start(whole, first)
        else:
            windows = await self._count_all(pieces(_with_first_day(whole), self._max_length))
        windows = await self._split(await self._shorten(windows))
        windows = merge(windows, query.max_rows, self._max_length)
        rows = sum(window.rows for window in windows)
        spans = [whole] if self._max_length is None else merge(windows, rows, self._max_length)
        return Plan(whole.end, tuple(windows), tuple(spans), is_open)

    async def _first(self) -> Page:
        """Count everything, which also shows the service's time."""
        query = self._query
        try:
            return await self._source.count(self._start, query.to_date)
        except ApiError as error:
            now = self._source.now() or self._source.guess_now()
            self._shorter(Window(self._start, query.end(now)), error)
            return await self._source.count(now, now)

    async def _end(self, first: Page) -> tuple[datetime, bool]:
        """Return the first second after the range, and whether it is still in the future.

        The service's clock decides. If that is not known, or this machine's clock disagrees, either
        may be wrong: then no row that a count without an end includes may be after the range.
        """
        query, now = self._query, self._source.now(first)
        if now is not None and self._source.is_agreed(now):
            end = query.end(now)
            return end, end > now
        if query.to_date is not None:
            return min(query.to_date, _LATEST) + SECOND, True
        end, step = (now or self._source.guess_now()) + SECOND, SECOND
        end = end if self._start is None else max(end, self._start)
        while end < _LATEST:
            page = await self._source.page(end, None, 0, query.page_rows)
            times = [read_time(time) for time in page.rows.times if time]
            latest = max(times, default=end - SECOND)
            if latest < end:  # its time is not shown
                latest, step = end + min(step, _LATEST - end), 4 * step
            if page.total:
                end = min(latest, _LATEST) + SECOND
            if page.total == len(times):
                break
        return end, True

    def _shorter(self, window: Window, error: ApiError) -> list[Window]:
        """Cut a window that was refused as too long into spans as long as the error allows."""
        days = find_days(error.msg) if error.code == _RANGE_TOO_LONG else None
        cut = [] if days is None else list(pieces(_with_first_day(window), days - _OVERLAP))
        if days is None or len(cut) == 1:
            raise error
        self._max_length = days - _OVERLAP
        return cut

    async def _count(self, window: Window) -> list[Window]:
        try:
            count = await self._source.count(window.start, window.last)
        except ApiError as error:
            return await self._count_all(self._shorter(window, error))
        return [attrs.evolve(window, rows=count.total)]

    async def _count_all(self, windows: Iterable[Window]) -> list[Window]:
        counted = await gather([partial(self._count, window) for window in windows])
        return list(chain.from_iterable(counted))

    async def _shorten(self, windows: list[Window]) -> list[Window]:
        """Cut windows that are longer than the service accepts but were counted nevertheless."""
        limit = self._max_length
        if limit is None:
            return windows
        short: list[Window] = []
        for window in windows:
            is_long = window.span is not None and window.span > limit
            short += await self._count_all(pieces(window, limit)) if is_long else [window]
        return short

    async def _with_start(self, whole: Window, first: Page) -> list[Window]:
        """Find where a history with too many rows for one window begins, leaving no row out.

        Its order is not documented, so the rows at both ends are read. Rows that may be before the
        earlier of them are counted, and stay in their own window.
        """
        if whole.start is not None or whole.rows <= self._query.max_rows:
            return [whole]
        last = await self._source.count(None, self._query.to_date, first.total - 1)
        times = [time for page in (first, last) for time in page.rows.times if time]
        earliest = read_time(min(times)) if times else whole.end - _DEFAULT_LENGTH
        start = min(earliest, whole.last)
        windows: list[Window] = []
        rows, end = whole.rows, whole.end
        while True:
            (head,) = await self._count(Window(None, start))
            windows.insert(0, Window(start, end, max(0, rows - head.rows)))
            if head.rows <= self._query.max_rows or start <= FIRST_DAY:
                # Counted, too: the service may refuse them, although it accepted an open start.
                return [head, *await self._count_all(windows)]
            rows, end = head.rows, start
            start -= min(2 * (whole.end - start), start - FIRST_DAY)

    async def _split(self, windows: list[Window]) -> list[Window]:
        """Cut windows with too many rows and count the parts, until none has too many."""
        while True:
            cut = [split(window, self._query.max_rows) for window in windows]
            if all(len(each) == 1 for each in cut):
                return windows
            pairs = zip(windows, cut, strict=True)
            counted = await gather([partial(self._count_parts, *pair) for pair in pairs])
            windows = list(chain.from_iterable(counted))

    async def _count_parts(self, window: Window, parts: list[Window]) -> list[Window]:
        if len(parts) == 1:
            return parts
        counted = await self._count_all(parts)
        if min(each.rows for each in counted) >= window.rows:
            # It would never end: each part has as many rows as the whole.
            problem = "a count that does not depend on from_date and to_date"
            raise ResponseInvalid(self._query.method.cmd, "total_count", problem)
        return counted


def read_time(text: str) -> datetime:
    """Return the second of a row's time."""
    return whole_second(datetime.fromisoformat(text).replace(tzinfo=UTC))


def _with_first_day(window: Window) -> Window:
    """Return a window with a start, for a service that requires one."""
    if window.start is not None:
        return window
    return attrs.evolve(window, start=min(FIRST_DAY, window.last))
