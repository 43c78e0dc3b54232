"""Events that a user can watch: one for each attempt, one for each call.

Hooks are plain functions, called immediately, before an error or a cancellation propagates. One
that raises is logged and does no harm: a message that was sent must not be lost to a metric, nor to
a log whose filter or handler raises. Nothing here shows a text or a number, except the data of the
`OutcomeUnknown` of a call in doubt.

Calls that a budget stopped are reported too, with no attempts. An `InvalidRequest` is not: it is a
bug in the calling program, found before there was a call.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import TypeVar

import attrs

from voxsms.api.fault_codes import Outcome
from voxsms.clock import Clock
from voxsms.errors import ApiError, OutcomeUnknown, VoxSmsError

logger: logging.Logger = logging.getLogger("voxsms")
Event = TypeVar("Event")


@attrs.frozen
class AttemptEvent:
    """One attempt of a call."""

    method: str
    """The method's name on the wire."""
    attempt: int
    """The number of the attempt, from 1."""
    outcome: Outcome
    seconds: float
    error: str | None = None
    """The name of the error's class."""
    code: int | None = None
    """The service's error code."""
    status: int | None = None
    """The HTTP status, if an answer came."""


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
    """Set if a message may have been sent; for a cancelled call the only report of it."""
    predicted_fragments_count: int | None = None
    """Set for the two sends."""
    fragments_count: int | None = None
    """What the service counted, if it answered; a difference is worth an alert."""
    message_ids: tuple[int, ...] = ()
    """For an accepted send, the ids in the answer."""
    predicted_cost: Decimal | None = None
    """For a send, if a budget knows the rate of every number; in the currency of its rates."""


@attrs.frozen
class Hooks:
    """The functions to call."""

    on_attempt: Callable[[AttemptEvent], object] | None = None
    on_outcome: Callable[[CallEvent], object] | None = None


def call_hook(hook: Callable[[Event], object] | None, event: Event) -> None:
    """Call a hook, if there is one, and survive its errors."""
    if hook is None:
        return
    try:
        hook(event)
    except Exception as error:  # noqa: BLE001 - whatever a user's hook raises
        name = type(error).__name__
        write_log(logging.WARNING, "a hook raised %s, which was ignored", name, error=name)


def write_log(level: int, message: str, *values: object, **fields: object) -> None:
    """Write to the log, and survive errors of the user's filters and handlers.

    The fields become attributes of the record, for logs read by programs.
    """
    if logger.isEnabledFor(level):
        with suppress(Exception):  # there is no other log to report it in
            logger.log(level, message, *values, extra=fields)


class CallReport:
    """Reports one call to the log and the hooks."""

    __slots__ = (
        "_began",
        "_clock",
        "_hooks",
        "_in_doubt",
        "_is_unreported",
        "_method",
        "_predicted",
        "attempts",
        "predicted_cost",
        "started",
        "status",
    )

    def __init__(self, method: str, hooks: Hooks, clock: Clock, predicted: int | None) -> None:
        self.attempts: int = 0
        self.started: float = clock.monotonic()
        self._began = self.started
        self._method = method
        self._hooks = hooks
        self._clock = clock
        self._predicted = predicted
        self.predicted_cost: Decimal | None = None
        self._is_unreported = False  # an attempt is under way that no hook knows of
        self._in_doubt = False
        self.status: int | None = None

    def begin_attempt(self) -> None:
        """Count another attempt."""
        self.attempts += 1
        self._began, self._is_unreported = self._clock.monotonic(), True
        self.status = None

    @property
    def seconds(self) -> float:
        """How long the current attempt has taken, or the last one and what followed."""
        return self._clock.monotonic() - self._began

    def end_attempt(self, outcome: Outcome, error: VoxSmsError | None) -> None:
        """Report what became of an attempt."""
        self._is_unreported = False
        self._in_doubt |= outcome is Outcome.UNKNOWN
        hook = self._hooks.on_attempt
        if hook is None:
            return
        name, code = _name_error(error)
        event = AttemptEvent(
            self._method, self.attempts, outcome, self.seconds, name, code, self.status
        )
        call_hook(hook, event)

    def end(
        self,
        outcome: Outcome,
        error: VoxSmsError | None,
        *,
        cancelled: bool = False,
        fragments_count: int | None = None,
        message_ids: tuple[int, ...] = (),
    ) -> None:
        """Report how the call ended."""
        if self._is_unreported:
            self.end_attempt(outcome, error)
        if self._in_doubt and outcome is Outcome.NOT_SENT:
            outcome = Outcome.UNKNOWN  # an earlier attempt may have been processed
        hook = self._hooks.on_outcome
        if hook is None and not logger.isEnabledFor(logging.INFO):
            return
        seconds = self._clock.monotonic() - self.started
        name, code = _name_error(error)
        write_log(
            logging.INFO,
            "%s: %s, %d attempt(s), %.0f ms",
            self._method,
            outcome.value,
            self.attempts,
            seconds * 1000,
            method=self._method,
            attempts=self.attempts,
            outcome=outcome.value,
            seconds=seconds,
            error=name,
            code=code,
            message_ids=list(message_ids),
            fragments_count=fragments_count,
        )
        if hook is None:
            return
        event = CallEvent(
            self._method,
            self.attempts,
            outcome,
            seconds,
            name,
            code,
            cancelled,
            error if isinstance(error, OutcomeUnknown) else None,
            self._predicted,
            fragments_count,
            message_ids,
            self.predicted_cost,
        )
        call_hook(hook, event)


def _name_error(error: VoxSmsError | None) -> tuple[str | None, int | None]:
    """Return an error's class and code, which is all that hooks see of it."""
    cause = error.__cause__ if isinstance(error, OutcomeUnknown) else error
    code = cause.code if isinstance(cause, ApiError) else None
    return (None if error is None else type(error).__name__), code
