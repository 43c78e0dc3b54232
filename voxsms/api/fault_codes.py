"""The service's error codes as data: number, name, our error class, and the request's outcome.

Source: shared contract, section 4. Some 460 codes exist; an unlisted one is an `ApiError` with its
number and text, and counts as a refusal.
"""

from enum import StrEnum

import attrs

from voxsms import errors
from voxsms.errors import ApiError, RateLimited


class Outcome(StrEnum):
    """What became of an attempt, as far as is known."""

    NOT_SENT = "not sent"
    """No byte of the request was handed to a connection."""
    REFUSED = "refused"
    """The service did not process the request, and a repetition would not change that."""
    REFUSED_RETRYABLE = "refused for now"
    """The service did not process the request; the same call may succeed later."""
    STALE_TOKEN = "token refused"  # noqa: S105 - no password
    """The service did not process the request because of the token's age."""
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    """Everything else: the request, or an earlier one like it, may have been processed."""


@attrs.frozen
class FaultCode:
    """One row: what the service means by a number."""

    code: int
    name: str
    error: type[ApiError] = errors.RequestRefused
    outcome: Outcome = Outcome.REFUSED


UNLISTED = "UNLISTED"
"""The name of a code that the table does not know."""

_AUTH = errors.AuthenticationFailed
_LATER = Outcome.REFUSED_RETRYABLE
_ROWS = (
    FaultCode(1, "FATAL_ERROR", errors.ServerFault, Outcome.UNKNOWN),
    FaultCode(2, "INTERNAL_ERROR", errors.ServerFault, Outcome.UNKNOWN),
    FaultCode(4, "DB_ERROR", errors.ServerFault, Outcome.UNKNOWN),
    FaultCode(5, "BILLING_ERROR", errors.ServerFault, Outcome.UNKNOWN),
    FaultCode(14, "SMS_GATEWAY_ERROR", errors.ServerFault, Outcome.UNKNOWN),
    FaultCode(100, "AUTHORIZATION_FAILED", _AUTH),
    FaultCode(101, "INVALID_ARGUMENTS"),
    FaultCode(103, "UNKNOWN_COMMAND"),
    FaultCode(104, "FORBIDDEN_COMMAND", errors.PermissionDenied),
    FaultCode(105, "REQUIRED_OUTPUT_FORMAT_TYPE_IS_NOT_SUPPORTED"),
    FaultCode(111, "INVALID_DATE_FORMAT"),
    FaultCode(115, "INVALID_ACCOUNT_ID", _AUTH),
    FaultCode(121, "INVALID_PHONE_NUMBER"),
    FaultCode(123, "INVALID_DATE_RANGE"),
    FaultCode(127, "INSUFFICIENT_MONEY", errors.InsufficientFunds),
    FaultCode(131, "ACCOUNT_ISNT_ACTIVATED", errors.PermissionDenied),
    FaultCode(134, "REQUIRED_IS_EMPTY"),
    FaultCode(162, "TRY_LATER", RateLimited, _LATER),
    FaultCode(190, "INVALID_TO_NUMBER"),
    FaultCode(191, "INVALID_FROM_NUMBER"),
    FaultCode(314, "CONCURRENT_RESOURCE_LIMIT_EXCEEDED", RateLimited, _LATER),
    FaultCode(340, "RATE_LIMIT_EXCEED", RateLimited, _LATER),
    FaultCode(385, "SENDING_SMS_ERROR"),
    FaultCode(386, "SMS_DISABLED_FOR_NUMBER", errors.SmsNotEnabled),
    FaultCode(416, "RETRY_LATER", RateLimited, _LATER),
    FaultCode(422, "INVALID_SOURCE"),
    FaultCode(423, "INVALID_DESTINATION"),
    FaultCode(429, "INVALID_RESOURCE_TYPE"),
    FaultCode(430, "INVALID_PRICE_GROUP_NAME"),
    FaultCode(447, "INVALID_TOKEN_FORMAT", _AUTH),
    FaultCode(454, "INVALID_TOKEN_TTL", _AUTH),
    FaultCode(455, "TOKEN_ISSUED_IN_FUTURE", _AUTH, Outcome.STALE_TOKEN),
    FaultCode(456, "TOKEN_EXPIRED", _AUTH, Outcome.STALE_TOKEN),
    FaultCode(470, "INVALID_SMS_DIRECTION_PARAMETER"),
    FaultCode(484, "HTTP_REQUEST_REJECTED", outcome=Outcome.UNKNOWN),
    FaultCode(485, "REQUIRED_PARAMETER_IS_MISSING"),
    FaultCode(496, "PARAMETER_IS_INVALID"),
    FaultCode(497, "PARAMETER_IS_OUT_OF_RANGE"),
    FaultCode(499, "PARAMETER_IS_TOO_LONG"),
    FaultCode(506, "NO_ROUTE_FOR_DST_NUMBERS"),
    FaultCode(507, "INVALID_SRC_NUMBER"),
    FaultCode(508, "INVALID_TEXT"),
    FaultCode(509, "A2P_SMS_DISABLED", errors.SmsNotEnabled),
    FaultCode(515, "SAME_OPERATION_LIMIT", outcome=Outcome.UNKNOWN),
    FaultCode(528, "NOT_SUPPORT_SMS"),
    FaultCode(569, "DATE_RANGE_LIMIT"),
)

CODES = {row.code: row for row in _ROWS}
"""Every listed code by its number."""


def look_up(code: int) -> FaultCode:
    """Return the row of a code, or one built for a code that is not listed.

    0 stands for an error without a code: it could be any of them.
    """
    outcome = Outcome.REFUSED if code else Outcome.UNKNOWN
    return CODES.get(code) or FaultCode(code, UNLISTED, ApiError, outcome)


def leaves_doubt(code: int) -> bool:
    """Return whether a call or message that failed with this code may have been carried out."""
    return look_up(code).outcome is Outcome.UNKNOWN


def outcome_of(error: ApiError) -> Outcome:
    """Return the outcome of an attempt, by its error answer; HTTP 429 comes without a code."""
    if isinstance(error, RateLimited) and not error.code:
        return Outcome.REFUSED_RETRYABLE
    return look_up(error.code).outcome
