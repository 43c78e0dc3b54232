"""Reading an outbox: counts by state, the intents, the progress, what the rest costs.

Nothing here writes, and intents are read page by page: an outbox may have a million.
"""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Final, Generic, Self, TypeVar

import attrs

from voxsms.outbox import _sql as sql
from voxsms.outbox._states import Intent, OutboxProgress, OutboxSummary, State
from voxsms.outbox._store import Database, Store
from voxsms.pricing import total

T = TypeVar("T")
_PAGE: Final = 1000
_LATELY: Final = 60
"""Seconds over which the speed of all senders of an outbox is measured."""


def read_summary(database: Database) -> OutboxSummary:
    """Count the intents by state, and total the fragments and cost of those sent."""
    counts: Counter[State] = Counter()
    fragments = unpriced = 0
    costs: list[Decimal] = []
    for name, taken, cost, count in database.all(sql.SUMMARY):
        counts[State(name)] += count
        if name == State.SENT:
            fragments += (taken or 0) * count
            unpriced += count if cost is None else 0
            costs.append(Decimal(cost or 0) * count)
    return OutboxSummary(
        pending=counts[State.PENDING],
        sending=counts[State.SENDING],
        sent=counts[State.SENT],
        refused=counts[State.REFUSED],
        unknown=counts[State.UNKNOWN],
        ambiguous=counts[State.AMBIGUOUS],
        presumed_not_sent=counts[State.PRESUMED_NOT_SENT],
        fragments=fragments,
        cost=total(costs),
        unpriced=unpriced,
    )


def read_progress(database: Database) -> OutboxProgress:
    """Return the summary with the speed of the last minute."""
    summary = read_summary(database)
    ((count, seconds),) = database.all(sql.LATELY, seconds=_LATELY)
    speed = count / max(seconds, 1.0) if count else 0.0
    return OutboxProgress(
        **attrs.asdict(summary),
        per_second=speed,
        seconds_left=(summary.pending + summary.sending) / speed if speed else None,
    )


def _read_intents(database: Database, after: int, state: str) -> list[tuple[int, Intent]]:
    rows = database.all(sql.INTENTS, after=after, state=state, limit=_PAGE)
    return [(row[0], _make_intent(*row)) for row in rows]


def _make_intent(
    position: int,
    key: str | None,
    source: str,
    destination: str,
    stands: str,
    message_id: int | None,
    fragments: int | None,
    cost: str | None,
    code: int | None,
    error: str | None,
    status: str | None,
    at: float | None,
) -> Intent:
    return Intent(
        position=position,
        key=key,
        source=source,
        destination=destination,
        state=State(stands),
        message_id=message_id,
        fragments_count=fragments,
        cost=None if cost is None else Decimal(cost),
        error_code=code,
        error=error,
        delivery_status=status,
        at=None if at is None else datetime.fromtimestamp(at, UTC),
    )


def _read_pending(database: Database, after: int, method: str) -> list[tuple[int, tuple[str, str]]]:
    rows = database.all(sql.PENDING, after=after, method=method, limit=_PAGE)
    return [(position, (text, destination)) for position, text, destination in rows]


def _read_chunks(database: Database, after: int) -> list[tuple[int, int]]:
    found = database.all(sql.PENDING_CHUNKS, after=after, limit=_PAGE)
    return [(chunk, chunk) for (chunk,) in found]


class Pages(Generic[T]):
    """Iterates over rows in order, reading a thousand at a time."""

    def __init__(self, store: Store, read: Callable[[Database, int], list[tuple[int, T]]]) -> None:
        self._store = store
        self._read = read
        self._after = -1
        self._page: list[tuple[int, T]] = []

    def __aiter__(self) -> Self:
        """Iterate over all rows."""
        return self

    async def __anext__(self) -> T:
        """Return the next row; read a page if needed."""
        if not self._page:
            page = await self._store.read(self._read, self._after)
            if not page:
                raise StopAsyncIteration
            self._page = page[::-1]
            self._after = page[-1][0]
        return self._page.pop()[1]


def intents(store: Store, state: str) -> Pages[Intent]:
    """Return all intents, or those in one state."""
    return Pages(store, partial(_read_intents, state=state))


def pending(store: Store, method: str) -> Pages[tuple[str, str]]:
    """Return text and number of all intents of a method that have no outcome yet."""
    return Pages(store, partial(_read_pending, method=method))


def chunks(store: Store) -> Pages[int]:
    """Return the ids of all chunks that are pending."""
    return Pages(store, _read_chunks)
