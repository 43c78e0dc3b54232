"""What a user can watch: one event for each attempt, one for each call.

Hooks are plain functions, called on the spot, before an error or a cancellation goes on its way.
One that raises is logged and does no harm: a message that was sent must not be lost to a metric.
Nothing here shows a text or a number, but for the data of the `OutcomeUnknown` of a call in doubt.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

import attrs

from voxsms.errors import OutcomeUnknown
from voxsms.retry import Outcome

logger = logging.getLogger("voxsms")
Event = TypeVar("Event")


@attrs.frozen
class AttemptEvent:
    """One attempt of a call."""

    method: str
    """The method's name on the wire."""
    attempt: int
    """1 for the first."""
    outcome: Outcome
    seconds: float
    error: str | None = None
    """The name of the error's class."""
    code: int | None = None
    """The service's error code."""


@attrs.frozen
class CallEvent:
    """One call, with all its attempts."""

    method: str
    attempts: int
    outcome: Outcome
    seconds: float
    error: str | None = None
    code: int | None = None
    cancelled: bool = False
    doubt: OutcomeUnknown | None = None
    """Set if a message may have been sent; of a cancelled call this is the only word."""
    predicted_fragments_count: int | None = None
    """Set for the two sends."""
    fragments_count: int | None = None
    """What the service counted, if it answered; a difference is worth an alarm."""


@attrs.frozen
class Hooks:
    """The functions to call."""

    on_attempt: Callable[[AttemptEvent], object] | None = None
    on_outcome: Callable[[CallEvent], object] | None = None


def tell(hook: Callable[[Event], object] | None, event: Event) -> None:
    """Call a hook, if there is one, and survive it."""
    if hook is None:
        return
    try:
        hook(event)
    except Exception as error:  # noqa: BLE001 - whatever a user's hook raises
        logger.warning("a hook raised %s and was passed over", type(error).__name__)
