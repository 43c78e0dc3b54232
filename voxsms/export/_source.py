"""Pages from the client's session, as many at a time as the service allows."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import attrs
from anyio import CapacityLimiter, create_task_group

from voxsms.api.codec import Answer, http_date
from voxsms.calls.session import Session
from voxsms.errors import RateLimited
from voxsms.export._query import Query
from voxsms.export._rows import Page, RowReader

T = TypeVar("T")
SECOND = timedelta(seconds=1)
_MAX_REFUSALS = 8
"""How often in a row a page may be rate-limited before the export stops."""
_MAX_WAIT = 30.0
_CALM = 50
"""Pages after which concurrency grows by one again, after a rate limit lowered it."""
_NEAR = 0.01
"""Seconds within which a service answers that needs only a few requests in flight: more answers
would only push each other out of the processor's cache."""
_FEWER = 4
_MAX_APART = 3.0
"""The most seconds between two clocks that agree."""


async def gather(
    calls: Sequence[Callable[[], Awaitable[T]]], at_once: int | None = None
) -> list[T]:
    """Run calls concurrently, all or `at_once` of them, and return their results in order.

    A user who wrote one `await` gets one error: the first one, not an exception group.
    """
    results: dict[int, T] = {}
    failed: list[Exception] = []
    waiting = iter(enumerate(calls))

    async def work() -> None:
        try:
            for index, call in waiting:
                results[index] = await call()
        except Exception as error:  # noqa: BLE001 - raised below
            failed.append(error)
            group.cancel_scope.cancel()

    async with create_task_group() as group:
        for _ in range(min(at_once or len(calls), len(calls))):
            group.start_soon(work)
    if failed:
        raise failed[0]
    return [results[index] for index in range(len(calls))]


def whole_second(time: datetime) -> datetime:
    """Return the second that contains a time, as on the wire."""
    return time.astimezone(UTC).replace(microsecond=0)


class Source:
    """The pages of a query.

    Args:
        session: the part of a client that a job may use.
        query: what to read.
        reader: reads the answers.
        max_in_flight: how many requests may be in flight.
        on_count: called after each count.
    """

    def __init__(
        self,
        session: Session,
        query: Query,
        reader: RowReader,
        max_in_flight: int,
        on_count: Callable[[], object],
    ) -> None:
        self.query = query
        self.clock = session.clock
        self.requests = 0
        self.answered_at: float | None = None
        """When the first answer arrived, by the monotonic clock."""
        self._session = session
        self._reader = reader
        self._max_in_flight = max_in_flight
        self._in_flight = CapacityLimiter(max_in_flight)
        self._is_near = False
        self._calm = 0
        self._on_count = on_count

    def now(self, page: Page | None = None) -> datetime | None:
        """Return the current second at the service, or None if it is not known.

        The page's own date is exact, if it agrees with the time that the client has learned.
        """
        if (known := self._session.service_clock.now()) is None:
            return None
        date = None if page is None else http_date(page.date)
        if date is not None and abs(date.timestamp() - known) <= _MAX_APART:
            return date
        return whole_second(datetime.fromtimestamp(known, UTC))

    def is_agreed(self, now: datetime) -> bool:
        """Return whether this machine's clock agrees with the service's."""
        return abs(now.timestamp() - self.clock.time()) <= _MAX_APART

    def guess_now(self) -> datetime:
        """Return the current second at the service, guessed from this machine's clock."""
        return whole_second(datetime.fromtimestamp(self._session.service_clock.best(), UTC))

    async def count(self, start: datetime | None, last: datetime | None, offset: int = 0) -> Page:
        """Count the rows of a span; the page has the row at the offset."""
        page = await self.page(start, last, offset, 1)
        self._on_count()
        return page

    async def page(
        self, start: datetime | None, last: datetime | None, offset: int, count: int
    ) -> Page:
        """Request a page; retry later, with fewer at a time, if the service is rate-limiting."""
        request = self.query.request(start, last, count, offset)

        def read(answer: Answer) -> Page:
            return attrs.evolve(self._reader.read(answer), offset=offset)

        refused = 0
        while True:
            try:
                async with self._in_flight:
                    page = await self._ask(request, read)
            except RateLimited as error:
                refused += 1
                if refused >= _MAX_REFUSALS:
                    raise
                self._calm = 0
                self._in_flight.total_tokens = max(1, self.at_once // 2)
                backoff = min(_MAX_WAIT, 2.0**refused) * self.clock.roll()
                await self.clock.sleep((error.retry_after or 0.0) + backoff)
            else:
                return page

    @property
    def at_once(self) -> int:
        """How many pages are requested at a time."""
        return int(self._in_flight.total_tokens)

    async def _ask(self, request: attrs.AttrsInstance, read: Callable[[Answer], Page]) -> Page:
        self.requests += 1
        asked_at = self.clock.monotonic()
        page = await self._session.read(self.query.method, request, read)
        answered_at = self.clock.monotonic()
        if self.answered_at is None:
            self.answered_at = answered_at
        if not self._is_near and answered_at - asked_at < _NEAR:
            self._is_near = True
            self._max_in_flight = max(1, self._max_in_flight // _FEWER)
            self._in_flight.total_tokens = min(self.at_once, self._max_in_flight)
        self._calm += 1
        if self._calm % _CALM == 0 and self.at_once < self._max_in_flight:
            self._in_flight.total_tokens = self.at_once + 1
        return page
