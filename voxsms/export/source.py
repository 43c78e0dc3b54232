"""Where pages come from: the client's calls, as many at a time as is good for both sides.

That is no more than the service puts up with, and no more than it takes to have always one at hand:
answers that lie and wait drive everything else out of the processor's cache.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import attrs
from anyio import CapacityLimiter, WouldBlock

from voxsms.api.codec import Answer, http_date
from voxsms.client import Client
from voxsms.errors import RateLimited
from voxsms.export.encoding import Encoder, Rows, Time
from voxsms.export.plan import whole_second
from voxsms.export.query import Query

T = TypeVar("T")
_REFUSALS = 8
"""How often in a row a page may be refused for now before the export stops."""
_LONGEST_WAIT = 30.0
_EASED_AFTER = 50
"""Pages after which one more may be asked for at a time, where the service had had enough."""
_FEW = 4
"""Pages at a time that keep this side busy where answers come at once."""
_WORTH = 0.0025
"""Seconds that an answer takes, for each one under way, where it is worth having one more. One that
comes sooner has waited for this side and not for the service."""


@attrs.frozen
class Page:
    """One answer's rows."""

    offset: int
    rows: Rows
    total: int
    """How many rows match in all."""

    def __len__(self) -> int:
        """How many rows it has."""
        return len(self.rows)

    @property
    def end(self) -> int:
        """The offset after its last row."""
        return self.offset + len(self)


@attrs.frozen
class Count:
    """How many rows match, and what the one that came along tells."""

    total: int
    times: Sequence[Time]
    date: str
    """When the service gave it, as its header says."""


class Source:
    """Gives the pages of a query."""

    def __init__(
        self,
        client: Client,
        query: Query,
        encoder: Encoder,
        most: int,
        on_count: Callable[[], object],
    ) -> None:
        self.query = query
        self._encoder = encoder
        self.clock = client.session.clock
        self.requests = 0
        self.answered_at: float | None = None
        """When the first answer came, by the monotonic clock."""
        self._client = client
        self._most = self._bearable = most
        self._on_count = on_count
        self._places = CapacityLimiter(min(_FEW, most))
        self._calm = 0

    def now(self, count: Count | None = None) -> datetime:
        """Give the second it is at the service, by a count of its if there is one."""
        if count is not None and (date := http_date(count.date)) is not None:
            return date
        return whole_second(datetime.fromtimestamp(self._client.session.service_clock.best(), UTC))

    async def count(self, start: datetime | None, last: datetime | None, offset: int = 0) -> Count:
        """Ask how many rows a span holds; the one at the offset comes along."""

        def reading(answer: Answer) -> Count:
            return Count(*self._encoder.count(answer), answer.headers.get("date", ""))

        count = await self._read(start, last, offset, 1, reading)
        self._on_count()
        return count

    async def page(
        self, start: datetime | None, last: datetime | None, offset: int, count: int
    ) -> Page:
        """Ask for a page."""

        def reading(answer: Answer) -> Page:
            return Page(offset, *self._encoder.encode(answer))

        return await self._read(start, last, offset, count, reading)

    @property
    def at_once(self) -> int:
        """How many pages are asked for at a time."""
        return int(self._places.total_tokens)

    async def _read(
        self,
        start: datetime | None,
        last: datetime | None,
        offset: int,
        count: int,
        reading: Callable[[Answer], T],
    ) -> T:
        """Ask for rows, later and more slowly if the service says that it is too much."""
        refused = 0
        request = self.query.request(start, last, count, offset)
        while True:
            try:
                return await self._in_a_place(request, reading)
            except RateLimited as error:
                refused += 1
                if refused >= _REFUSALS:
                    raise
                self._slow_down()
                backoff = min(_LONGEST_WAIT, 2.0**refused) * self.clock.roll()
                await self.clock.sleep((error.retry_after or 0.0) + backoff)

    async def _in_a_place(self, request: attrs.AttrsInstance, reading: Callable[[Answer], T]) -> T:
        """Ask as soon as there is a place; if there is one, without yielding first."""
        places, whose = self._places, object()
        try:
            places.acquire_on_behalf_of_nowait(whose)
        except WouldBlock:
            await places.acquire_on_behalf_of(whose)
        try:
            return await self._ask(request, reading)
        finally:
            places.release_on_behalf_of(whose)

    def _slow_down(self) -> None:
        self._calm = 0
        self._bearable = self._places.total_tokens = max(1, self.at_once // 2)

    def _ease(self, took: float) -> None:
        places, self._calm = self._places, self._calm + 1
        if self._bearable < self._most and self._calm % _EASED_AFTER == 0:
            self._bearable += 1
        many = self.at_once
        slow = took >= many * _WORTH
        if many < self._bearable and (slow or many < _FEW):
            places.total_tokens = many + 1
        elif many > _FEW and not slow:
            places.total_tokens = many - 1

    async def _ask(self, request: attrs.AttrsInstance, reading: Callable[[Answer], T]) -> T:
        client, asked = self._client, self.clock.monotonic()
        self.requests += 1
        found = await client.session.read(self.query.row, request, reading)
        answered = self.clock.monotonic()
        if self.answered_at is None:
            self.answered_at = answered
        self._ease(answered - asked)
        return found

    def join(self, pages: Sequence[Rows], chosen: list[int]) -> Rows:
        """Join some rows of several pages, chosen by their positions in all of them."""
        return self._encoder.join(pages, chosen)
