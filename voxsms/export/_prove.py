"""One window, read until it is known to be complete.

The service has no snapshots and no documented order of rows: between two pages a new row may push
others across the edge of a page, and rows of one second may swap places. Arithmetic proves a window
complete: no message is ever removed from a history, so if as many different rows were found as the
service counted at the same time or later, those are all, however many readings it took.

A query by status loses rows as well as gaining them, and rows without an id may be identical. Then
only the rows of one answer count, or a reading that a second one confirms.

A row belongs to the window whose half-open interval contains its time. A row without a time to the
second, or with a time outside the request, is a stray: it is saved with the window that returned
it, and is once at the end of the result, however many windows returned it.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import Any

import attrs

from voxsms.errors import Incomplete
from voxsms.export._plan import Window
from voxsms.export._rows import NO_ID, TIME_LENGTH, Page, Rows
from voxsms.export._source import SECOND, Source, gather

_MAX_READINGS = 16
_FIRST_PAUSE, _MAX_PAUSE = 0.25, 4.0
_LENGTHS = 8
"""How many page lengths the readings rotate through, so that the edges differ each time."""
_MAX_STEPS = 64
"""Pages of one window that are requested, or queued, at the same time."""


@attrs.frozen
class WindowRows:
    """All rows of a window."""

    rows: Rows
    """Sorted by time, within a second by key."""
    strays: Rows
    """The rows that were returned with it and whose time puts them in no window."""
    total: int
    """How many the service counted, with those of the seconds before and after."""


async def read_window(
    source: Source, window: Window, on_page: Callable[[int], object]
) -> WindowRows:
    """Read a window; call `on_page` with the number of rows of each page.

    Raises `Incomplete` if it cannot be proven complete.
    """
    proof = _Proof(is_volatile=source.query.is_volatile)
    for attempt in range(_MAX_READINGS):
        if attempt:
            await source.clock.sleep(min(_MAX_PAUSE, _FIRST_PAUSE * 2.0 ** (attempt - 1)))
        pages = await _read_pages(source, window, attempt, on_page)
        if (rows := proof.add(pages)) is not None:
            return _place(window, rows, proof.total, all_timed=proof.all_timed)
    raise Incomplete(
        f"{source.query.method.cmd}, {window}: the service counts {proof.total} rows and returned "
        f"{proof.found} different ones in {_MAX_READINGS} readings"
    )


class _Proof:
    """The rows that the readings of a window found so far."""

    def __init__(self, *, is_volatile: bool) -> None:
        self.found = self.total = 0
        self.all_timed = True
        self._is_volatile = is_volatile
        self._before: Counter[int] | None = None
        self._newest: dict[int, tuple[str, Any]] = {}

    def add(self, pages: Sequence[Page]) -> Rows | None:
        """Return the rows if they are now known to be complete."""
        rows = Rows.joined(page.rows for page in pages)
        keys = rows.keys
        distinct = len({*keys})
        has_digests = max(keys, default=0) >= NO_ID
        without_id = [key for key in keys if key >= NO_ID] if has_digests else []
        totals = {page.total for page in pages}
        self.all_timed = self.all_timed and all(page.all_timed for page in pages)
        self.total = max(totals)
        self.found = distinct - len({*without_id}) + len(without_id)
        if totals == {len(rows)} == {self.found} and (
            len(pages) == 1 or self._is_credible(keys, are_different=len(rows) == distinct)
        ):
            return rows
        return None if self._is_volatile or without_id else self._unite(rows)

    def _is_credible(self, keys: Sequence[int], *, are_different: bool) -> bool:
        """Return whether to trust several pages that have as many rows as were counted.

        Yes if all rows are different and none can have left meanwhile. Otherwise one may have been
        returned twice, or replaced by a new one: then a second reading must agree.
        """
        if are_different and not self._is_volatile:
            return True
        before, self._before = self._before, Counter(keys)
        return before == self._before

    def _unite(self, rows: Rows) -> Rows | None:
        """Return the newest version of each row from all readings, if they are complete."""
        self._newest |= zip(rows.keys, zip(rows.times, rows.contents, strict=True), strict=True)
        self.found = len(self._newest)
        if self.found > self.total:  # a row's time has changed, and it has left this window
            self._newest = {}
        if not self._newest or self.found != self.total:
            return None
        times, contents = zip(*self._newest.values(), strict=True)
        return Rows([*times], [*self._newest], [*contents])


def _place(window: Window, rows: Rows, total: int, *, all_timed: bool) -> WindowRows:
    """Sort rows, remove those of the neighbours, separate the strays."""
    after = window.asked_to + SECOND
    asked_start, start, end, asked_end = map(
        _text, (window.asked_from, window.start, window.end, after)
    )
    rows.sort()
    times = rows.times
    if all_timed:
        first, own, over, last = (
            bisect_left(times, time) for time in (asked_start, start, end, asked_end)
        )
        strays = Rows.joined([rows[:first], rows[last:]])
        rows.keep(own, over)
        return WindowRows(rows, strays, total)
    placed: list[int] = []
    astray: list[int] = []
    for index, time in enumerate(times):
        is_whole = len(time) >= TIME_LENGTH
        if is_whole and start <= time < end:
            placed.append(index)
        if not (is_whole and asked_start <= time < asked_end):
            astray.append(index)
    return WindowRows(rows.take(placed), rows.take(astray), total)


def _text(time: datetime | None) -> str:
    return "" if time is None else time.replace(tzinfo=None).isoformat(" ")


async def _read_pages(
    source: Source, window: Window, attempt: int, on_page: Callable[[int], object]
) -> list[Page]:
    """Read pages until they leave no gap, however many rows the service returns at once."""

    async def ask(offset: int, count: int) -> Page:
        page = await source.page(window.asked_from, window.asked_to, offset, count)
        on_page(len(page.rows))
        return page

    full = source.query.page_rows
    length = full - attempt % _LENGTHS * full // (_LENGTHS + 1)
    pages: dict[int, Page] = {}
    gaps = [_Gap(0, max(1, window.rows), is_inner=False)]
    while gaps:
        asked = islice(chain.from_iterable(gap.steps(length) for gap in gaps), _MAX_STEPS)
        got = await gather([partial(ask, *step) for step in asked], source.at_once)
        pages |= {page.offset: page for page in got if page.rows or not page.offset}
        if not any(page.rows for page in got):
            break  # the service counts more rows than it returns
        gaps = list(_find_gaps(pages))
    return list(pages.values())


@attrs.frozen
class _Gap:
    """Offsets that have not been read yet."""

    start: int
    end: int
    is_inner: bool
    """Whether rows after it have been read."""

    def steps(self, length: int) -> Iterator[tuple[int, int]]:
        """Yield offset and count of the pages to request; the last may return more than known."""
        for offset in range(self.start, self.end, length):
            yield offset, min(length, self.end - offset) if self.is_inner else length


def _find_gaps(pages: Mapping[int, Page]) -> Iterator[_Gap]:
    read = 0
    for offset in sorted(pages):
        if read < offset:
            yield _Gap(read, offset, is_inner=True)
        read = max(read, pages[offset].end)
    total = max(page.total for page in pages.values())
    if read < total:
        yield _Gap(read, total, is_inner=False)
