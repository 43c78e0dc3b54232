"""The pager: awaiting it returns one page, iterating over it yields every row.

The service has only `offset` and `count`, nothing more stable: rows that arrive while a history is
read may push others from one page to the next. So the end of the span is frozen after the first
page, and a row already seen is not yielded again, as far as the last 10,000 ids show. Only the
export proves that a history is complete.

The end is frozen by the service's time, never by this machine's, whose clock may be slow: that
would hide the newest rows, and a person who looks for a message in doubt would send it twice. If
the service's time is not known, or leaves out rows that were counted without an end, no end is set.

The iterators are plain objects: after leaving a loop nothing is left running or open.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast

import attrs

from voxsms.api.models import HistoryPage
from voxsms.api.spec import MethodSpec

Row = TypeVar("Row")
Fetch = Callable[[Any], Awaitable[HistoryPage[Row]]]
REMEMBERED_IDS = 10_000
_MARGIN = timedelta(seconds=2)
"""Added to the service's time, which is known this exactly: a message sent in this very second
belongs to the history."""


class Pager(Generic[Row]):
    """The answer to a paged call: `await` it for one page, `async for` over it for all rows.

    While iterating, `count` is the page size and `offset` the row to start at.
    """

    def __init__(
        self,
        method: MethodSpec[..., HistoryPage[Row]],
        request: attrs.AttrsInstance,
        fetch: Fetch[Row],
        service_time: Callable[[], float | None],
    ) -> None:
        self._method = method
        self._request = _read_out(request)
        self._fetch = fetch
        self._service_time = service_time

    def __await__(self) -> Generator[Any, None, HistoryPage[Row]]:
        """Fetch one page."""
        return self._fetch(self._request).__await__()

    def __aiter__(self) -> AsyncIterator[Row]:
        """Return an iterator over the rows, which fetches one page after another."""
        return _Rows(self.pages(), self._method.row_key)

    if not TYPE_CHECKING:  # a type checker refuses `for` by itself

        def __iter__(self) -> NoReturn:
            """Explain how to read rows: Python's own error does not mention `async for`."""
            raise TypeError(
                "rows come over the network: use `async for row in ...`, or `await` it for one page"
            )

    def pages(self) -> AsyncIterator[HistoryPage[Row]]:
        """Return an iterator over the pages, until one is empty or the end is reached."""
        return _Pages(self._method, self._request, self._fetch, self._service_time)


def _read_out(request: attrs.AttrsInstance) -> attrs.AttrsInstance:
    """Exhaust the iterators among a request's values: every page needs the values."""
    values = {field.name: getattr(request, field.name) for field in attrs.fields(type(request))}
    read = {
        name: tuple(cast("Iterator[object]", value))
        for name, value in values.items()
        if isinstance(value, Iterator)
    }
    return attrs.evolve(cast("Any", request), **read) if read else request


class _Pages(Generic[Row]):
    """The pages of a query whose end does not move."""

    def __init__(
        self,
        method: MethodSpec[..., HistoryPage[Row]],
        request: Any,  # noqa: ANN401 - one of the table's request classes
        fetch: Fetch[Row],
        service_time: Callable[[], float | None],
    ) -> None:
        self._request = request
        self._fetch = fetch
        self._service_time = service_time
        self._start, self._end = method.span or ("", "")
        self._may_freeze = bool(self._end) and getattr(request, self._end) is None
        self._counted_without_end = 0
        self._ended = False

    def __aiter__(self) -> "_Pages[Row]":
        return self

    async def __anext__(self) -> HistoryPage[Row]:
        if self._ended:
            raise StopAsyncIteration
        page = await self._fetch(self._request)
        if page.total_count < self._counted_without_end:
            # The end leaves out rows that were counted without it: continue without an end.
            del page  # error trackers record the variables of frames
            self._set_end(None, counted=0)
            page = await self._fetch(self._request)
        offset = (self._request.offset or 0) + len(page.result)
        self._request = attrs.evolve(self._request, offset=offset)
        self._ended = not page.result or offset >= page.total_count
        if not page.result:
            raise StopAsyncIteration
        if self._may_freeze and (now := self._service_time()) is not None:
            self._may_freeze = False
            end = datetime.fromtimestamp(int(now), UTC) + _MARGIN
            start: datetime | None = getattr(self._request, self._start)
            self._set_end(max(end, start or end), counted=page.total_count)
        return page

    def _set_end(self, end: datetime | None, *, counted: int) -> None:
        self._request = attrs.evolve(self._request, **{self._end: end})
        self._counted_without_end = counted


class _Rows(Generic[Row]):
    """The rows of the pages, each once."""

    def __init__(self, pages: AsyncIterator[HistoryPage[Row]], row_id: str) -> None:
        self._pages = pages
        self._id: Callable[[Row], object] = attrgetter(row_id)
        self._rows: Generator[Row, None, None] | Any = iter(())
        self._seen: set[object] = set()
        self._by_page: deque[set[object]] = deque()

    def __aiter__(self) -> "_Rows[Row]":
        return self

    async def __anext__(self) -> Row:
        for row in self._rows:
            return row
        while True:
            # Raises StopAsyncIteration after the last page.
            self._rows = iter(self._new(await anext(self._pages)))
            for row in self._rows:
                return row

    def _new(self, page: HistoryPage[Row]) -> tuple[Row, ...]:
        """Return the rows of a page that were not returned before, and all rows without an id."""
        rows = page.result
        found: set[object] = {*map(self._id, rows)}
        if len(found) != len(rows) or None in found or not found.isdisjoint(self._seen):
            rows = tuple(self._first_times(rows))
            found = found - {None} - self._seen
        self._remember(found)
        return rows

    def _first_times(self, rows: tuple[Row, ...]) -> Generator[Row, None, None]:
        given: set[object] = set()
        for row in rows:
            row_id = self._id(row)
            if row_id is not None and (row_id in self._seen or row_id in given):
                continue
            given.add(row_id)
            yield row

    def _remember(self, found: set[object]) -> None:
        if not found:
            return
        self._seen |= found
        self._by_page.append(found)
        while len(self._seen) - len(self._by_page[0]) >= REMEMBERED_IDS:
            self._seen -= self._by_page.popleft()
