"""One window, read until it is known to be whole.

The service has no snapshots and no documented order of rows: between two pages a row may come in
and push others over the edge of a page, and rows of one second may change places. What proves a
window whole is arithmetic: no message is ever taken out of a history, so as many different rows as
the service counted at the same time or later are all of them, in however many goes they were found.

A query by status loses rows as well as gaining them, and rows without an id may be alike. There
only what stands in one answer counts, or a reading that a second one agrees with.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice, pairwise

import attrs

from voxsms.api.spec import MAX_ROWS
from voxsms.errors import Incomplete
from voxsms.export.encoding import Rows
from voxsms.export.plan import Window
from voxsms.export.source import Page, Source
from voxsms.export.together import a_few_at_a_time

_READINGS = 16
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 4.0
_LENGTHS = 8
"""How many lengths of pages the readings go through, so that the edges lie elsewhere each time."""
_AT_ONCE = 64
"""Pages of one window that are asked for, or wait to be, at the same time."""


@attrs.frozen
class Reading:
    """The rows of a window, with those of the seconds before and after it."""

    pages: Sequence[Page]
    total: int
    """How many the service counted."""


async def read_window(source: Source, window: Window, arrived: Callable[[int], object]) -> Reading:
    """Read a window and tell of each page how many rows came.

    Raises `Incomplete` if it can not be shown to be whole.
    """
    findings = _Findings(source)
    for attempt in range(_READINGS):
        if attempt:
            await source.clock.sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempt - 1)))
        pages = await _pages(source, window, attempt, arrived)
        if (reading := findings.whole(pages)) is not None:
            return reading
    raise Incomplete(
        f"{source.query.row.cmd}, {window}: the service counts {findings.total} rows and gave "
        f"{findings.found} different ones in {_READINGS} readings"
    )


class _Findings:
    """What the readings of a window have brought so far."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._moves = source.query.moves
        self._before: Counter[int] | None = None
        self._newest: list[Rows] = []
        self.found = self.total = 0

    def whole(self, pages: list[Page]) -> Reading | None:
        """Give the rows if they are now known to be all."""
        rows, nameless = sum(map(len, pages)), _nameless(pages)
        different = _different(pages)
        self.found = different - len({*nameless}) + len(nameless)
        self.total = max(page.total for page in pages)
        as_counted = {page.total for page in pages} == {rows} == {self.found}
        if as_counted and (len(pages) == 1 or self._believable(pages, unlike=rows == different)):
            return Reading(pages, self.total)
        return None if self._moves or nameless else self._united(pages)

    def _believable(self, pages: list[Page], *, unlike: bool) -> bool:
        """Tell if several pages can be believed that have as many rows as were counted.

        They can if all rows are different and none can have left meanwhile. Otherwise one may have
        come twice instead of another, or left as another came in: then a second reading must agree.
        """
        if unlike and not self._moves:
            return True
        before, self._before = self._before, Counter(_names(pages))
        return before == self._before

    def _united(self, pages: list[Page]) -> Reading | None:
        """Take the newest of each row from all the readings; no more of them is kept."""
        rows = [*self._newest, *(page.rows for page in pages)]
        names = chain.from_iterable(each.names for each in rows)
        newest = {name: position for position, name in enumerate(names)}
        self.found = len(newest)
        # More than there are: one was given another time and is not of this window any more.
        few = 0 < self.found <= self.total
        self._newest = [self._source.join(rows, list(newest.values()))] if few else []
        if not few or self.found < self.total:
            return None
        return Reading([Page(0, each, self.total) for each in self._newest], self.total)


def _names(pages: list[Page]) -> Iterator[int]:
    return chain.from_iterable(page.rows.names for page in pages)


def _nameless(pages: list[Page]) -> list[int]:
    """Give the names of the rows that have no id, as often as they come."""
    without_id = frozenset[int]().union(*(page.rows.nameless for page in pages))
    return [name for name in _names(pages) if name in without_id] if without_id else []


def _different(pages: list[Page]) -> int:
    """Count different names; where ids ascend with time, nearly without looking at them."""
    spans = sorted(page.rows.span or (0, 0) for page in pages if len(page))
    apart = (0, 0) not in spans and all(a[1] < b[0] for a, b in pairwise(spans))
    return sum(map(len, pages)) if apart else len({*_names(pages)})


async def _pages(
    source: Source, window: Window, attempt: int, arrived: Callable[[int], object]
) -> list[Page]:
    """Read pages until they leave no gap, however many rows the service gives at once."""

    async def ask(offset: int, count: int) -> Page:
        page = await source.page(window.asked_from, window.asked_to, offset, count)
        arrived(len(page))
        return page

    length = MAX_ROWS - attempt % _LENGTHS * MAX_ROWS // (_LENGTHS + 1)
    pages: dict[int, Page] = {}
    gaps = [_Gap(0, max(1, window.rows), inner=False)]
    while gaps:
        asked = islice(chain.from_iterable(gap.steps(length) for gap in gaps), _AT_ONCE)
        got = await a_few_at_a_time(source.at_once, [partial(ask, *step) for step in asked])
        pages |= {page.offset: page for page in got if len(page) or not page.offset}
        if not any(map(len, got)):
            break  # the service counts more rows than it gives
        gaps = list(_gaps(pages))
    return list(pages.values())


@attrs.frozen
class _Gap:
    """Offsets of which nothing was read yet."""

    start: int
    end: int
    inner: bool
    """Whether rows after it have been read."""

    def steps(self, length: int) -> Iterator[tuple[int, int]]:
        """Give offset and count of the pages to ask for; the last may bring more than is known."""
        for offset in range(self.start, self.end, length):
            yield offset, min(length, self.end - offset) if self.inner else length


def _gaps(pages: Mapping[int, Page]) -> Iterator[_Gap]:
    read = 0
    for offset in sorted(pages):
        if read < offset:
            yield _Gap(read, offset, inner=True)
        read = max(read, pages[offset].end)
    total = max(page.total for page in pages.values())
    if read < total:
        yield _Gap(read, total, inner=False)
