"""How far a message has come: delivery statuses as a lattice.

`QUEUED` comes before `DISPATCHED`, that before `UNKNOWN`, and that before the final ones:
`DELIVERED`, `FAILED`, `EXPIRED`, `REJECTED` and `ABORTED`. Statuses arrive in any order, from
callbacks and from the history; whatever the order, the result is the same. `UNKNOWN` and a status
that the service adds later override those of a message under way, but no final one; a final status
stays.
"""

from voxsms.api.models import DeliveryStatus

FINAL = frozenset(
    {
        DeliveryStatus.DELIVERED,
        DeliveryStatus.FAILED,
        DeliveryStatus.EXPIRED,
        DeliveryStatus.REJECTED,
        DeliveryStatus.ABORTED,
    }
)
_RANKS = {DeliveryStatus.QUEUED: 1, DeliveryStatus.DISPATCHED: 2} | dict.fromkeys(FINAL, 4)
_NOT_LISTED = 3


def advance(known: DeliveryStatus | str | None, told: DeliveryStatus | str) -> DeliveryStatus | str:
    """Return the status after another one was reported.

    Args:
        known: the status so far, None if there was none.
        told: the status that a callback or the history now reports.
    """
    return told if known is None or _rank(told) > _rank(known) else known


def is_final(status: DeliveryStatus | str | None) -> bool:
    """Return whether no other status can follow."""
    return status in FINAL


def _rank(status: DeliveryStatus | str) -> int:
    return next((rank for each, rank in _RANKS.items() if each == status), _NOT_LISTED)
