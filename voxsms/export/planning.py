"""The plan: windows that together cover the whole range, found by asking for counts."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain

import attrs

from voxsms.errors import ApiError, ResponseInvalid
from voxsms.export.columns import Layout
from voxsms.export.plan import (
    DAY,
    FIRST_DAY,
    SECOND,
    Window,
    days_named,
    merged,
    parts,
    pieces,
    whole_second,
)
from voxsms.export.source import Count, Source
from voxsms.export.together import together

_RANGE_TOO_LONG = 569
_OVERLAP = 2 * SECOND
_A_GUESS = 730 * DAY
_MANY = 2


@attrs.frozen
class Plan:
    """What is going to be read."""

    end: datetime
    """The first second after the range."""
    windows: tuple[Window, ...]
    """The whole range, the earliest first, each beginning where the last one ends."""
    spans: tuple[Window, ...]
    """The whole range, cut only where the service does not take it in one."""
    fresh: bool = False
    """Whether the last second of the range was not over when the plan was begun."""

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return sum(window.rows for window in self.windows)

    @property
    def hollow(self) -> frozenset[int]:
        """The places of the windows that are spans of their own and seemed to be empty.

        There can be hundreds, from before there was a history. To read one takes one request, so
        they are read when the others are counted again, and not counted themselves.
        """
        if len(self.spans) < _MANY:
            return frozenset()
        spans = {(span.start, span.end) for span in self.spans}
        return frozenset(
            place
            for place, window in enumerate(self.windows)
            if not window.rows and (window.start, window.end) in spans
        )


async def make_plan(source: Source) -> Plan:
    """Ask for counts until every window holds few enough rows or is a second long."""
    return await _Planner(source).plan()


async def count_rows(source: Source, windows: Sequence[Window]) -> int:
    """Count the rows of windows, whether the service takes `to_date` to be inclusive or not.

    Each is counted with the second after it, and what that holds is taken off again. It is counted
    first: what comes in between makes the result too large, and never too small.
    """
    after = await together([partial(source.count, each.end, each.end) for each in windows])
    whole = await together([partial(source.count, each.start, each.end) for each in windows])
    return sum(each.total for each in whole) - sum(each.total for each in after)


class _Planner:
    """Counts, and cuts what holds too many rows."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._query = source.query
        self._longest: timedelta | None = None
        """The longest window that the service takes with its overlap, if it named a limit."""

    async def plan(self) -> Plan:
        query = self._query
        first = await self._first()
        now = self._source.now(first)
        whole = Window(query.from_date, query.end(now), first.total)
        if whole.start is not None and whole.start >= whole.end:
            return Plan(whole.end, (), ())
        if self._longest is None:
            windows = await self._with_start(whole, first)
        else:
            windows = await self._all_counted(pieces(_started(whole), self._longest))
        windows = await self._shortened(await self._cut(windows))
        windows = merged(windows, query.most_rows, self._longest)
        rows = sum(window.rows for window in windows)
        spans = [whole] if self._longest is None else merged(windows, rows, self._longest)
        return Plan(whole.end, tuple(windows), tuple(spans), fresh=whole.end > now)

    async def _first(self) -> Count:
        """Count everything, which also tells what time it is at the service."""
        query = self._query
        try:
            return await self._source.count(query.from_date, query.to_date)
        except ApiError as error:
            now = self._source.now()
            self._shorter(Window(query.from_date, query.end(now)), error)
            return await self._source.count(now, now)

    def _shorter(self, window: Window, error: ApiError) -> list[Window]:
        """Cut a window that was refused for its length to the days that the refusal names."""
        days = days_named(error.msg) if error.code == _RANGE_TOO_LONG else None
        cut = [] if days is None else list(pieces(_started(window), days - _OVERLAP))
        if days is None or len(cut) == 1:
            raise error
        self._longest = days - _OVERLAP
        return cut

    async def _counted(self, window: Window) -> list[Window]:
        try:
            count = await self._source.count(window.start, window.last)
        except ApiError as error:
            return await self._all_counted(self._shorter(window, error))
        return [attrs.evolve(window, rows=count.total)]

    async def _shortened(self, windows: list[Window]) -> list[Window]:
        """Cut what is longer than the service takes and was not refused when it was counted."""
        longest = self._longest
        if longest is None:
            return windows
        short: list[Window] = []
        for window in windows:
            long = window.span is not None and window.span > longest
            short += await self._all_counted(pieces(window, longest)) if long else [window]
        return short

    async def _all_counted(self, windows: Iterable[Window]) -> list[Window]:
        counted = await together([partial(self._counted, window) for window in windows])
        return list(chain.from_iterable(counted))

    async def _with_start(self, whole: Window, first: Count) -> list[Window]:
        """Find where a history begins that holds too much for one window: none may be left out.

        Its order is not documented, so the rows at both its ends are looked at. What may still lie
        before the earlier of them is counted, and stays a window of its own.
        """
        if whole.start is not None or whole.rows <= self._query.most_rows:
            return [whole]
        last = await self._source.count(None, self._query.to_date, first.total - 1)
        start = min(self._earliest(first, last) or whole.end - _A_GUESS, whole.last)
        windows: list[Window] = []
        rows, end = whole.rows, whole.end
        while True:
            (head,) = await self._counted(Window(None, start))
            windows.insert(0, Window(start, end, max(0, rows - head.rows)))
            if head.rows <= self._query.most_rows or start <= FIRST_DAY:
                # Counted, too: the service may not take them, although it took one without a start.
                return [head, *await self._all_counted(windows)]
            rows, end = head.rows, start
            start = max(FIRST_DAY, start - 2 * (whole.end - start))

    def _earliest(self, *counts: Count) -> datetime | None:
        times = [time for count in counts for time in count.times if time]
        if not times:
            return None
        layout = Layout.of(self._query.row.cmd, self._query.record)
        text = min(layout.tidy(layout.time, time) for time in times)
        return whole_second(datetime.fromisoformat(text).replace(tzinfo=UTC))

    async def _cut(self, windows: list[Window]) -> list[Window]:
        """Cut what holds too many rows, count, and look again."""
        while True:
            cut = [parts(window, self._query.most_rows) for window in windows]
            if all(len(each) == 1 for each in cut):
                return windows
            pairs = zip(windows, cut, strict=True)
            counted = await together([partial(self._parts_counted, *pair) for pair in pairs])
            windows = list(chain.from_iterable(counted))

    async def _parts_counted(self, window: Window, its_parts: list[Window]) -> list[Window]:
        if len(its_parts) == 1:
            return its_parts
        counted = await self._all_counted(its_parts)
        if min(each.rows for each in counted) >= window.rows:
            # It would never end: each part holds as much as the whole.
            problem = "a count that does not depend on from_date and to_date"
            raise ResponseInvalid(self._query.row.cmd, "total_count", problem)
        return counted


def _started(window: Window) -> Window:
    """Give a window a start, where the service does not take one without."""
    if window.start is not None:
        return window
    return attrs.evolve(window, start=min(FIRST_DAY, window.last))
