"""What became of an attempt, and whether to make another: pure.

There is no idempotency key, so a charged call is repeated only when nothing left the machine or the
service itself said that it did not process it. What is in doubt stays in doubt.

Delays are those of the AWS SDKs: exponential with full jitter, and a bucket of tokens a client, so
that an outage is not answered with a multiple of the calls.
"""

from enum import StrEnum

import attrs

from voxsms.api.fault_codes import Effect, look_up
from voxsms.api.spec import AnyMethod
from voxsms.errors import ApiError, RateLimited, ResponseInvalid, ServerFault, VoxSmsError

BASE_DELAY = 0.5
MOST_DELAY = 8.0
_MOST_DOUBLINGS = 10  # a float can not be doubled a thousand times
MOST_NAMED_DELAY = 60.0
"""The longest wait that the service can impose."""


class Outcome(StrEnum):
    """What became of an attempt, by evidence."""

    NOT_SENT = "not sent"
    """No byte of the request was handed to a connection."""
    REFUSED = "refused"
    """The service answered with an error."""
    REFUSED_RETRYABLE = "refused for now"
    """The service says that it did not process the request and that later it may."""
    STALE_TOKEN = "token refused"  # noqa: S105 - no password
    """The service did not process the request because of the token's age."""
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    """Everything else: the request may have been processed."""


_BY_EFFECT = {
    Effect.REFUSED: Outcome.REFUSED,
    Effect.WAIT: Outcome.REFUSED_RETRYABLE,
    Effect.STALE: Outcome.STALE_TOKEN,
    Effect.UNKNOWN: Outcome.UNKNOWN,
}


def outcome_of_error(error: VoxSmsError, status: int) -> Outcome:
    """Judge an answer that was read as an error."""
    if isinstance(error, RateLimited) and error.code == 0:
        return Outcome.REFUSED_RETRYABLE  # HTTP 429
    if not isinstance(error, ApiError) or status >= 500:  # noqa: PLR2004 - HTTP server errors
        return Outcome.UNKNOWN
    return _BY_EFFECT[look_up(error.code).effect]


@attrs.define
class RetryBudget:
    """A bucket of tokens: a retry takes one, a success brings back a part of one."""

    capacity: float = 100.0
    refund: float = 0.1
    tokens: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start full."""
        self.tokens = self.capacity

    def take(self) -> bool:
        """Take a token, if there is one."""
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def put_back(self) -> None:
        """Count a success."""
        self.tokens = min(self.capacity, self.tokens + self.refund)


def decide(
    row: AnyMethod,
    outcome: Outcome,
    error: VoxSmsError,
    attempts: int,
    max_attempts: int,
    roll: float,
) -> float | None:
    """Give the seconds to wait before the next attempt, or None if there is to be none.

    Args:
        row: the method; what charges is never repeated in doubt.
        outcome: what became of the last attempt.
        error: what it brought.
        attempts: how many were made.
        max_attempts: how many may be made.
        roll: a random number from 0 to 1.
    """
    if attempts >= max_attempts or not _may_repeat(row, outcome, error):
        return None
    doubled = BASE_DELAY * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS)
    backoff = roll * min(MOST_DELAY, doubled)
    named = error.retry_after if isinstance(error, ApiError) else None
    return backoff if named is None else min(named, MOST_NAMED_DELAY) + backoff


def _may_repeat(row: AnyMethod, outcome: Outcome, error: VoxSmsError) -> bool:
    if outcome in (Outcome.NOT_SENT, Outcome.REFUSED_RETRYABLE):
        return True
    if row.charges or outcome is not Outcome.UNKNOWN:
        return False
    # To read again is harmless, and helps unless the service itself gave the answer: an error of
    # the request's, or a record that can not be read, will not be another the next time.
    if isinstance(error, ResponseInvalid):
        return error.path == "$"
    return not isinstance(error, ApiError) or isinstance(error, ServerFault)
