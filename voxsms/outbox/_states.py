"""The states of an intent, the rule by which they change, and the records of an outbox.

There is no idempotency key, so what began is never begun again on its own: what is found `sending`
ends in an answer or in `unknown`, and from there only the history or a person leads on.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

import attrs

from voxsms.errors import Fault


class State(StrEnum):
    """Where an intent stands."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"
    PRESUMED_NOT_SENT = "presumed_not_sent"


class Event(StrEnum):
    """What changes a state."""

    CLAIMED = "claimed, and that is committed before any byte leaves"
    ACCEPTED = "the service accepted it"
    REFUSED = "the service, a guard or a check refused it"
    NOT_SENT = "no byte left, or the service did not process it"
    DOUBTED = "no answer told what became of it"
    EXPIRED = "longer under way than any send can be"
    FOUND = "the history has it"
    CONFUSED = "the history has another number of messages"
    ABSENT = "the history does not have it after `settle_after`"
    CANCELLED = "taken back before it was begun"
    RESENT = "a person asked for it by name"


_DOUBTS = (State.UNKNOWN, State.AMBIGUOUS, State.PRESUMED_NOT_SENT)
TRANSITIONS: Mapping[Event, tuple[tuple[State, ...], State]] = MappingProxyType(
    {
        # event         from what                            to what
        Event.CLAIMED: ((State.PENDING,), State.SENDING),
        # An answer that comes later than a send can take is an answer all the same.
        Event.ACCEPTED: ((State.SENDING, State.UNKNOWN), State.SENT),
        Event.REFUSED: ((State.SENDING, State.UNKNOWN), State.REFUSED),
        Event.NOT_SENT: ((State.SENDING,), State.PENDING),
        Event.DOUBTED: ((State.SENDING,), State.UNKNOWN),
        Event.EXPIRED: ((State.SENDING,), State.UNKNOWN),
        Event.FOUND: ((State.UNKNOWN, State.AMBIGUOUS), State.SENT),
        Event.CONFUSED: ((State.UNKNOWN,), State.AMBIGUOUS),
        Event.ABSENT: ((State.UNKNOWN,), State.PRESUMED_NOT_SENT),
        Event.CANCELLED: ((State.PENDING,), State.REFUSED),
        Event.RESENT: ((State.REFUSED, *_DOUBTS), State.PENDING),
    }
)
"""The rule: from which states an event leads to which; anywhere else it changes nothing."""

RESENDABLE = TRANSITIONS[Event.RESENT][0]
"""What `resend` takes; nothing that was sent is among it."""


@attrs.frozen
class Added:
    """What became of the rows that were added."""

    accepted: int
    repeated: int
    """Rows whose key was there before: each is the intent that it was."""
    refused: tuple[tuple[int, Fault], ...]
    """The position in `rows` of each that cannot be sent, and why; stored as `refused`."""


@attrs.frozen
class Intent:
    """One message to one number, and what became of it."""

    position: int
    """Its place in the outbox; with one `add` the place in `rows`."""
    key: str | None
    source: str
    destination: str
    """Digits; of a row that was refused what was given."""
    state: State
    message_id: int | None
    fragments_count: int | None
    cost: Decimal | None
    """In the currency of the account: by its prices, and once the history was read what it says."""
    error_code: int | None
    """The service's code, where it was the service that refused it."""
    error: str | None
    """Why it was refused or is in doubt, in words."""
    delivery_status: str | None
    """A `DeliveryStatus`, or one that the service added later; None before `track`."""
    at: datetime | None
    """When it came to this state, aware UTC; None while it waits."""


@attrs.frozen(kw_only=True)
class OutboxSummary:
    """How many intents stand where, and what those that were sent took and cost."""

    pending: int = 0
    sending: int = 0
    sent: int = 0
    refused: int = 0
    unknown: int = 0
    ambiguous: int = 0
    presumed_not_sent: int = 0
    fragments: int = 0
    """Of all that were sent."""
    cost: Decimal = Decimal(0)
    """Of all that were sent and whose price is known."""
    unpriced: int = 0
    """How many were sent whose price is not known yet; `track` asks for it."""
    stopped: str | None = None
    """Of a run: why it ended with something left to send; None if it came to the end."""

    @property
    def total(self) -> int:
        """All intents."""
        return sum(int(getattr(self, state.value)) for state in State)


@attrs.frozen(kw_only=True)
class Reconciled:
    """What the history said of the intents in doubt."""

    sent: int
    """The history has them: they have their ids and costs now."""
    ambiguous: int
    """The history has another number of messages than it could be, and nobody can tell which; or it
    has one from another time, and this machine's clock and the service's do not agree."""
    presumed_not_sent: int
    """The history does not have them, after long enough."""
    open: int
    """The history does not have them yet."""
    wait: float
    """Seconds after which the absence of all that is open proves something; 0 if nothing is."""


@attrs.frozen(kw_only=True)
class Tracked:
    """How far the messages have come."""

    changed: int
    """Messages of which the history told a status or a cost."""
    open: int
    """Messages that have no final status yet."""


def write_amount(amount: Decimal) -> str:
    """Return an amount of money as it is stored: exactly, and no longer than it must be."""
    return format(amount.normalize(), "f")


@attrs.frozen(kw_only=True)
class OutboxProgress(OutboxSummary):
    """How a run goes."""

    per_second: float = 0.0
    """Intents that came to an end, since the last time."""
    seconds_left: float | None = None
    """What the rest takes at that speed; None where nothing moves."""
