"""What the history says about an outbox: about intents in doubt, and delivery statuses.

The times to search are merged into spans, each of which is read once. A row whose id an intent has
belongs to no other. Intents that are being sent now, or were begun while the history was read, may
have rows, too: then nothing is decided for that number.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar, cast

import attrs
import orjson

from voxsms.api.models import A2PSmsHistory, DeliveryStatus, MessageStatus
from voxsms.api.phone_numbers import digits_or_text
from voxsms.api.statuses import advance, is_final
from voxsms.calls.resolve import (
    EARLY,
    LATE,
    HistoryRow,
    find_margin,
    fits,
    group,
    learn_time,
    pair,
    read_history,
)
from voxsms.calls.session import Session
from voxsms.outbox import _sql as sql
from voxsms.outbox._add import SEND_METHODS
from voxsms.outbox._states import Event, Reconciled, State, Tracked, write_amount
from voxsms.outbox._store import Database, Store
from voxsms.text import segment

T = TypeVar("T")
_GAP: Final = timedelta(minutes=5)
"""Spans of time that are no further apart than this are read as one."""
_PAGE: Final = 1000
_BY_STATUS_ID: Final[Mapping[str, DeliveryStatus]] = {
    MessageStatus.SUCCESS: DeliveryStatus.DELIVERED,
    MessageStatus.ERROR: DeliveryStatus.FAILED,
    MessageStatus.WAITING: DeliveryStatus.DISPATCHED,
}
"""Substitutes for a delivery status, which the history of two-way messages lacks."""


@attrs.frozen
class Doubt:
    """An intent to look for, or one whose row could be mistaken for that of such an intent."""

    position: int
    destination: str
    state: State
    method: str
    source: str
    since: datetime
    until: datetime
    fragments: tuple[int, int] | None
    text: str | None

    @property
    def is_open(self) -> bool:
        """Whether to look for it."""
        return self.state in {State.UNKNOWN, State.AMBIGUOUS}


def has_doubts(database: Database) -> bool:
    """Return whether any intent is in doubt."""
    return bool(database.all(sql.DOUBTS))


def read_doubts(database: Database, service_now: float) -> list[Doubt]:
    """Read the intents in doubt, and those whose rows could be mistaken for theirs."""
    ((now,),) = database.all(sql.READ_NOW)
    offset = service_now - now
    found = database.all(sql.DOUBTS)
    numbers = {row[1] for row in found}
    others = [*database.all(sql.UNDER_WAY), *database.all(sql.SENT_WITHOUT_ID)] if found else []
    bounds: dict[str, tuple[int, int]] = {}
    doubts: list[Doubt] = []
    for row in [*found, *(row for row in others if row[1] in numbers)]:
        position, number, state, method, source, text, claimed, expires, since, until, at = row
        if text not in bounds:
            bounds[text] = segment(text).bounds
        if since is None:
            # The service's time is unknown, or the process died: use the database's clock.
            ended = expires if at is None else min(at, expires)
            since = claimed + offset - EARLY.total_seconds()
            until = ended + offset + LATE.total_seconds()
        begin, end = (datetime.fromtimestamp(each, UTC) for each in (since, until))
        doubts.append(
            Doubt(position, number, State(state), method, source, begin, end, bounds[text], text)
        )
    return doubts


def spans(windows: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Merge windows of time that are near each other."""
    found: list[tuple[datetime, datetime]] = []
    for since, until in sorted(windows):
        if found and since <= found[-1][1] + _GAP:
            found[-1] = found[-1][0], max(found[-1][1], until)
        else:
            found.append((since, until))
    return found


async def reconcile(store: Store, session: Session, settle_after: timedelta) -> Reconciled:
    """Settle the intents in doubt."""
    # With a wrong clock the search would be at the wrong times, hence the margin.
    margin = await find_margin(session) if await store.read(has_doubts) else timedelta()
    doubts = await store.read(read_doubts, session.service_clock.best())
    counts: Counter[Event] = Counter()
    waits: list[float] = []
    by_sender: dict[tuple[str, str], list[Doubt]] = defaultdict(list)
    for doubt in doubts:
        by_sender[doubt.method, doubt.source].append(doubt)
    for (method, source), messages in by_sender.items():
        rows = await _read_rows(session, method, source, messages, margin)
        later = await store.read(read_doubts, session.service_clock.best())
        begun = _find_begun(messages, later)
        rows = await _drop_known(store, method, rows)
        now = session.service_clock.best()
        told, left = decide([*messages, *begun], rows, now, settle_after, margin)
        for event, happened in told.items():
            counts[event] += await store.write_durably(settle, event, happened)
        waits += left
    return Reconciled(
        sent=counts[Event.FOUND],
        ambiguous=counts[Event.CONFUSED],
        presumed_not_sent=counts[Event.ABSENT],
        open=len(waits),
        wait=max(waits, default=0.0),
    )


async def _read_rows(
    session: Session, method: str, source: str, messages: Sequence[Doubt], margin: timedelta
) -> dict[str, list[HistoryRow]]:
    """Read the rows of the history for these numbers."""
    numbers = {message.destination for message in messages}
    only = next(iter(numbers)) if len(numbers) == 1 else None
    rows: dict[str, list[HistoryRow]] = {number: [] for number in numbers}
    windows = ((message.since - margin, message.until + margin) for message in messages)
    for since, until in spans(windows):
        cmd = SEND_METHODS[method].cmd
        read = await read_history(session, cmd, since, until, source=source, destination=only)
        for row in read:
            number = digits_or_text(row.destination_number)
            if number in rows:
                rows[number].append(row)
    return rows


def _find_begun(messages: Sequence[Doubt], later: Iterable[Doubt]) -> list[Doubt]:
    """Return the intents that were begun while the history was read, and may have a row there."""
    positions = {message.position for message in messages}
    of_these = {(one.method, one.source, one.destination) for one in messages}
    return [
        attrs.evolve(one, state=State.PENDING)
        for one in later
        if one.position not in positions and (one.method, one.source, one.destination) in of_these
    ]


async def _drop_known(
    store: Store, method: str, rows: Mapping[str, list[HistoryRow]]
) -> dict[str, list[HistoryRow]]:
    """Return the rows whose ids no intent has."""
    ids = [row.message_id for found in rows.values() for row in found if row.message_id is not None]
    taken: set[int] = set()
    for page in _pages(ids):
        taken |= await store.read(read_known_ids, method, page)
    return {
        number: [row for row in found if row.message_id not in taken]
        for number, found in rows.items()
    }


Found = list[object]
"""Position, message id, fragments, cost, delivery status and error of an intent."""


def decide(
    messages: Iterable[Doubt],
    rows: Mapping[str, Sequence[HistoryRow]],
    now: float,
    settle_after: timedelta,
    margin: timedelta,
) -> tuple[dict[Event, list[Found]], list[float]]:
    """Decide what became of messages; also return how long to wait for each undecided one.

    A message without a row is absent only if no row fits it at another time within `margin`.
    """
    told: dict[Event, list[Found]] = {Event.FOUND: [], Event.CONFUSED: [], Event.ABSENT: []}
    waits: list[float] = []
    by_number: dict[str, list[Doubt]] = defaultdict(list)
    for message in messages:
        by_number[message.destination].append(message)
    for number, those in by_number.items():
        groups = list(group(those, rows[number]))
        taken = {id(row) for _, found in groups for row in found}
        free = [row for row in rows[number] if id(row) not in taken]
        for together, found in groups:
            wanted = [one for one in together if one.is_open]
            unknown = [one for one in wanted if one.state is State.UNKNOWN]
            settled_at = max(one.until for one in together) - LATE + settle_after
            wait = settled_at.timestamp() - now
            if any(one.state is State.PENDING for one in together):
                # A call is in flight: its row may appear before its answer.
                waits += [max(wait, 0.0)] * len(unknown)
            elif pairs := pair(together, found):
                told[Event.FOUND] += [_found(*each) for each in pairs if each[0].is_open]
            elif wait > 0:
                waits += [wait] * len(unknown)
            elif found:
                why = f"of messages like this one the history has {len(found)}, not {len(together)}"
                told[Event.CONFUSED] += [_not_found(one, why) for one in unknown]
            elif any(fits(one, row, margin) for one in unknown for row in free):
                why = "the history has a similar message, but the clocks disagree on its time"
                told[Event.CONFUSED] += [_not_found(one, why) for one in unknown]
            else:
                why = "the history does not have it"
                told[Event.ABSENT] += [_not_found(one, why) for one in unknown]
    return told, waits


def _found(message: Doubt, row: HistoryRow) -> Found:
    return [
        message.position,
        row.message_id,
        row.fragments,
        write_amount(row.cost),
        status_of(row),
        None,
    ]


def _not_found(message: Doubt, why: str) -> Found:
    return [message.position, None, None, None, None, why]


def status_of(row: HistoryRow) -> str | None:
    """Return the delivery status of a message."""
    if isinstance(row, A2PSmsHistory):
        return row.delivery_status
    return _BY_STATUS_ID.get(row.status_id)


def settle(database: Database, event: Event, happened: Sequence[Found]) -> int:
    """Write what was decided; return how many intents changed."""
    if not happened:
        return 0
    rows = orjson.dumps(happened).decode()
    return database.change(sql.resolve_intents(event), rows=rows)


def read_known_ids(database: Database, method: str, ids: Sequence[int]) -> set[int]:
    """Return those of a method's message ids that an intent has."""
    rows = orjson.dumps([[each] for each in ids]).decode()
    return {known for (known,) in database.all(sql.KNOWN_IDS, method=method, rows=rows)}


def _pages(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _PAGE):
        yield items[start : start + _PAGE]


# --- how far messages have come -------------------------------------------------------------------


async def track(store: Store, session: Session) -> Tracked:
    """Read the statuses and costs of sent messages without a final status."""
    if await store.read(read_on_the_way, 0.0):
        await learn_time(session)
    sent = await store.read(read_on_the_way, session.service_clock.best())
    changed = final = 0
    for (method, source), messages in sent.items():
        for since, until in spans(messages.values()):
            cmd = SEND_METHODS[method].cmd
            rows = await read_history(session, cmd, since, until, source=source)
            told = [
                StatusNote(
                    row.message_id, status_of(row), write_amount(row.cost), row.fragments or None
                )
                for row in rows
                if row.message_id in messages
            ]
            for page in _pages(told):
                moved, ended = await store.write(note_statuses, method, page)
                changed, final = changed + moved, final + ended
    count = sum(len(messages) for messages in sent.values())
    return Tracked(changed=changed, open=count - final)


def read_on_the_way(
    database: Database, service_now: float
) -> dict[tuple[str, str], dict[int, tuple[datetime, datetime]]]:
    """Read the messages without a final status or a cost: per sender, ids and times of sending."""
    ((now,),) = database.all(sql.READ_NOW)
    offset = service_now - now
    sent: dict[tuple[str, str], dict[int, tuple[datetime, datetime]]] = defaultdict(dict)
    for message_id, method, source, claimed, at in database.all(sql.ON_THE_WAY):
        begin, end = (datetime.fromtimestamp(each + offset, UTC) for each in (claimed, at))
        # Matched by id, so a wider span does no harm, and a clock may be wrong.
        sent[method, source][message_id] = begin - LATE, end + LATE
    return sent


class StatusNote(NamedTuple):
    """The status of a message as the service reports it."""

    message_id: int | None
    status: str | None
    cost: str | None = None
    fragments: int | None = None


def note_statuses(database: Database, method: str, told: Sequence[StatusNote]) -> tuple[int, int]:
    """Write statuses; return how many messages are known, and how many of them are now final.

    A final status stays, in whatever order statuses arrive (`api/statuses.py`).
    """
    ids = orjson.dumps([[note.message_id] for note in told]).decode()
    known: dict[int | None, str | None]
    known = dict(cast("Any", database.all(sql.STATUSES, method=method, rows=ids)))
    rows = [
        note._replace(status=_advance(known[note.message_id], note.status))
        for note in told
        if note.message_id in known
    ]
    if rows:
        written = orjson.dumps([tuple(row) for row in rows]).decode()
        database.change(sql.NOTE_STATUSES, method=method, rows=written)
    return len(rows), sum(is_final(row.status) for row in rows)


def _advance(known: str | None, told: str | None) -> str | None:
    return known if told is None else advance(known, told)
