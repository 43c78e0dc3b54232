"""Find out what became of a message in doubt, from the history, the only source for it.

A row matches a message if source, destination and time fit, and fragments and text as far as the
row has them. If several messages and rows cannot be distinguished, their counts decide: with as
many rows as messages, all were sent. A missing row proves something only after the history has had
time to show it; and if this machine and the service disagree on the time, only if no row from
another time fits otherwise.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Protocol, TypeVar, cast

import attrs

from voxsms.api import spec
from voxsms.api.models import A2PSmsHistory, Direction, HistoryPage, SmsHistory
from voxsms.api.phone_numbers import digits_or_text
from voxsms.api.spec import MethodSpec
from voxsms.calls.session import Session
from voxsms.errors import ApiError, Fault, InvalidRequest, OutcomeUnknown, ResponseInvalid

SETTLE_AFTER: Final = timedelta(minutes=15)
"""The time after a doubt from which a message missing in the history counts as not sent."""
EARLY: Final = timedelta(seconds=2)
"""How far before its start the service may date a send: its clock is known to two seconds."""
LATE: Final = timedelta(seconds=60)
"""How long after the client gave up on an answer the service may still process the send."""
_UNSURE: Final = timedelta(days=1)
"""How far off an unproven time may be: by the offset of any time zone, and a little more."""

HistoryRow = SmsHistory | A2PSmsHistory


class Sought(Protocol):
    """A message to look for."""

    @property
    def destination(self) -> str:
        """Its number."""
        ...

    @property
    def since(self) -> datetime:
        """The earliest time it may have been sent."""
        ...

    @property
    def until(self) -> datetime:
        """The latest time it may have been sent."""
        ...

    @property
    def fragments(self) -> tuple[int, int] | None:
        """The fewest and the most that the service may count."""
        ...

    @property
    def text(self) -> str | None:
        """Its text, if known."""
        ...


S = TypeVar("S", bound=Sought)


def fits(sought: Sought, row: HistoryRow, margin: timedelta = timedelta()) -> bool:
    """Return whether a row can be a message; `margin` is how far off its time may be."""
    if digits_or_text(row.destination_number) != sought.destination:
        return False
    at = time_of(row)
    since = sought.since.replace(microsecond=0)  # a row's time is in whole seconds
    if at is not None and not since - margin <= at <= sought.until + margin:
        return False
    if row.text is not None and sought.text is not None:
        return row.text == sought.text
    if sought.fragments is None or row.fragments == 0:  # as for some failed messages
        return True
    return sought.fragments[0] <= row.fragments <= sought.fragments[1]


def time_of(row: HistoryRow) -> datetime | None:
    """Return when the service processed a message."""
    return row.processing_date if isinstance(row, A2PSmsHistory) else row.processed_date


def group(
    sought: Iterable[S], rows: Iterable[HistoryRow]
) -> Iterator[tuple[list[S], list[HistoryRow]]]:
    """Yield groups of messages and rows, connected by which rows fit which messages."""
    left: list[S] = list(sought)
    free: list[HistoryRow] = list(rows)
    while left:
        messages = [left.pop()]
        found: list[HistoryRow] = []
        while True:
            more = [row for row in free if any(fits(one, row) for one in messages)]
            free = [row for row in free if row not in more]
            found += more
            others = [one for one in left if any(fits(one, row) for row in more)]
            left = [one for one in left if one not in others]
            messages += others
            if not others:
                break
        yield messages, found


def pair(messages: Sequence[S], rows: Sequence[HistoryRow]) -> list[tuple[S, HistoryRow]] | None:
    """Pair each message with a row, if there are as many rows and all fit; else return None."""
    if len(messages) != len(rows):
        return None
    first = datetime.min.replace(tzinfo=UTC)
    pairs = list(
        zip(
            sorted(messages, key=lambda one: one.since),
            sorted(rows, key=lambda row: (time_of(row) or first, row.message_id or 0)),
            strict=True,
        )
    )
    return pairs if all(fits(*each) for each in pairs) else None


async def read_history(
    session: Session,
    cmd: str,
    since: datetime,
    until: datetime,
    *,
    source: str | None,
    destination: str | None = None,
) -> list[HistoryRow]:
    """Read the history of one of the two sends within a span of time.

    Raises:
        ResponseInvalid: it returned fewer rows than it counts, so that a missing message would
            prove nothing.
    """
    # A history has whole seconds.
    span: dict[str, Any] = {
        "from_date": since.replace(microsecond=0),
        "to_date": datetime.fromtimestamp(math.ceil(until.timestamp()), UTC),
        "source_number": source,
        "destination_number": destination,
    }
    method: MethodSpec[..., HistoryPage[HistoryRow]]
    request: attrs.AttrsInstance
    if cmd == spec.A2P_SEND_SMS.cmd:
        method = cast("Any", spec.A2P_GET_SMS_HISTORY)
        request = spec.A2PGetSmsHistory(**span)
    else:
        method = cast("Any", spec.GET_SMS_HISTORY)
        request = spec.GetSmsHistory(**span, direction=Direction.OUT)
    # Not with the pager, which takes an empty page for the end whatever the count.
    rows: list[HistoryRow] = []
    while True:
        page = await session.call(method, attrs.evolve(cast("Any", request), offset=len(rows)))
        rows += page.result
        if len(rows) >= page.total_count:
            return list({row.message_id or id(row): row for row in rows}.values())
        if not page.result:
            problem = f"has {len(rows)} rows where it counts {page.total_count}; read it again"
            raise ResponseInvalid(method.cmd, "result", problem)


# --- one doubt ------------------------------------------------------------------------------------


@attrs.frozen
class Resolution:
    """What the history says about a send in doubt."""

    sent: tuple[HistoryRow, ...]
    """The rows of the messages that were sent."""
    not_sent: tuple[str, ...]
    """The numbers to which nothing was sent."""
    ambiguous: tuple[str, ...]
    """The numbers for which several messages in the history could match; or one from another
    time, while this machine's clock and the service's disagree."""
    open: tuple[str, ...]
    """The numbers that the history does not have yet."""
    wait: float
    """Seconds after which to ask again, when their absence proves something; 0 if none are open."""

    @property
    def state(self) -> Literal["sent", "not_sent", "partly", "ambiguous", "open"]:
        """The overall result: `partly` if some were sent and others not."""
        if self.open:
            return "open"
        if self.ambiguous:
            return "ambiguous"
        if self.sent and self.not_sent:
            return "partly"
        return "sent" if self.sent else "not_sent"


@attrs.frozen
class _Message:
    """One message of a send in doubt."""

    destination: str
    since: datetime
    until: datetime
    fragments: tuple[int, int] | None
    text: str | None = None


async def resolve_doubt(
    session: Session, doubt: OutcomeUnknown, settle_after: timedelta
) -> Resolution:
    """Search the history for the messages that a send in doubt may have sent."""
    known = [spec.A2P_SEND_SMS.cmd, spec.SEND_SMS_MESSAGE.cmd]
    if doubt.method not in known:
        problem = f"is one of {doubt.method}; only those of {' and '.join(known)} can be settled"
        raise InvalidRequest("resolve", (Fault("doubt", problem),))
    margin = await find_margin(session)
    since, until = _find_window(session, doubt)
    numbers = doubt.numbers
    rows = await read_history(
        session,
        doubt.method,
        since - margin,
        until + margin,
        source=doubt.source or None,
        destination=numbers[0] if len(numbers) == 1 else None,
    )
    sought = [_Message(number, since, until, doubt.fragments) for number in numbers]
    wait = (until - LATE + settle_after).timestamp() - session.service_clock.best()
    found: dict[str, list[HistoryRow]] = {
        message.destination: [row for row in rows if fits(message, row)] for message in sought
    }
    absent = tuple(number for number in numbers if not found[number])
    like = {
        message.destination for message in sought if any(fits(message, row, margin) for row in rows)
    }
    return Resolution(
        sent=tuple(each[0] for each in found.values() if len(each) == 1),
        not_sent=tuple(number for number in absent if number not in like) if wait <= 0 else (),
        ambiguous=tuple(
            number
            for number, each in found.items()
            if len(each) > 1 or (not each and wait <= 0 and number in like)
        ),
        open=absent if wait > 0 else (),
        wait=max(0.0, wait) if absent else 0.0,
    )


async def learn_time(session: Session) -> None:
    """Ask the service for its time, unless it is known."""
    if session.service_clock.now() is None:
        with suppress(ApiError):  # a key may lack the role, but a refusal has a `Date` too
            await session.call(spec.A2P_GET_SMS_HISTORY, spec.A2PGetSmsHistory(count=1))


async def find_margin(session: Session) -> timedelta:
    """Ask for the service's time, and return how far off it may be."""
    await learn_time(session)
    return timedelta() if session.service_clock.is_proven() else _UNSURE


def _find_window(session: Session, doubt: OutcomeUnknown) -> tuple[datetime, datetime]:
    """Return the span, by the service's clock, in which a send in doubt was made, if it was."""
    if doubt.since is not None:
        return doubt.since - EARLY, doubt.at + LATE
    # The service's time was not known then: this machine's clock may have been, and be, wrong.
    off = timedelta(seconds=session.service_clock.best() - session.clock.time())
    began = doubt.at - timedelta(seconds=session.options.deadline)
    return min(began, began + off) - EARLY, max(doubt.at, doubt.at + off) + LATE
