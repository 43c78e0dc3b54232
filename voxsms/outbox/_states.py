"""The states of an intent, the rule by which they change, and the records of an outbox.

There is no idempotency key, so a send is never begun again automatically: from `sending` an answer
or `unknown` follows, and `unknown` is settled only by the history or a person.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

import attrs

from voxsms.errors import Fault


class State(StrEnum):
    """The state of an intent."""

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
        # An answer that arrives after the claim expired still counts.
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
"""The states that `resend` accepts; `sent` is not among them."""


@attrs.frozen
class Added:
    """What became of the rows that were added."""

    accepted: int
    repeated: int
    """Rows whose key was already there; those intents are unchanged."""
    refused: tuple[tuple[int, Fault], ...]
    """Index in `rows` and fault of each row that cannot be sent; stored as `refused`."""


@attrs.frozen
class Intent:
    """One message to one number, and what became of it."""

    position: int
    """Its index in the outbox; with a single `add`, its index in `rows`."""
    key: str | None
    source: str
    destination: str
    """Digits; for a refused row, the text that was given."""
    state: State
    message_id: int | None
    fragments_count: int | None
    cost: Decimal | None
    """In the account's currency: by its prices, or from the history once that was read."""
    error_code: int | None
    """The service's code, if the service refused it."""
    error: str | None
    """Why it was refused or is in doubt, in words."""
    delivery_status: str | None
    """A `DeliveryStatus`, or one that the service added later; None before `track`."""
    at: datetime | None
    """When it entered this state, aware UTC; None while it waits."""


@attrs.frozen(kw_only=True)
class OutboxSummary:
    """How many intents are in each state, and the fragments and cost of those sent."""

    pending: int = 0
    sending: int = 0
    sent: int = 0
    refused: int = 0
    unknown: int = 0
    ambiguous: int = 0
    presumed_not_sent: int = 0
    fragments: int = 0
    """The fragments of all sent messages."""
    cost: Decimal = Decimal(0)
    """The cost of all sent messages whose price is known."""
    unpriced: int = 0
    """How many sent messages have no known price yet; `track` reads it."""
    stopped: str | None = None
    """Why a run ended with messages left to send; None if it finished."""

    @property
    def total(self) -> int:
        """All intents."""
        return sum(int(getattr(self, state.value)) for state in State)


@attrs.frozen(kw_only=True)
class Reconciled:
    """What the history says about the intents in doubt."""

    sent: int
    """The history has them: they have their ids and costs now."""
    ambiguous: int
    """The history has more or fewer messages than intents, so nobody can tell which were sent; or
    it has one from another time, and this machine's clock and the service's disagree."""
    presumed_not_sent: int
    """The history does not have them after `settle_after`."""
    open: int
    """The history does not have them yet."""
    wait: float
    """Seconds after which the absence of all open intents is proof; 0 if none is open."""


@attrs.frozen(kw_only=True)
class Tracked:
    """The result of reading delivery statuses."""

    changed: int
    """Messages for which the history has a status or a cost."""
    open: int
    """Messages that have no final status yet."""


def write_amount(amount: Decimal) -> str:
    """Return an amount of money as it is stored: exact, without trailing zeros."""
    return format(amount.normalize(), "f")


@attrs.frozen(kw_only=True)
class OutboxProgress(OutboxSummary):
    """The progress of a run."""

    per_second: float = 0.0
    """Intents that got an outcome, a second, since the last report."""
    seconds_left: float | None = None
    """How long the rest takes at that speed; None if the speed is 0."""
