"""Every error that voxsms raises, and what each says about the message.

    VoxSmsError
    ├── InvalidRequest            an invalid request, found before anything was sent: `.faults`
    │   └── InvalidText           a lone surrogate, a bare ESC
    ├── CredentialsInvalid        credentials that cannot be read or used
    ├── BudgetExceeded            the budget does not allow the send
    ├── PriceUnknown              no rate, or no single rate, for a number
    ├── TemplateError             a template, or the values given for it
    ├── NotSent                   no byte of a charged request left the machine
    ├── OutcomeUnknown            a charged request left, and no answer gave its outcome
    ├── ConnectionFailed          the connection failed, on a call that charges nothing
    ├── TimedOut                  a time limit was reached, on a call that charges nothing
    ├── ResponseInvalid           an answer that cannot be read
    ├── ApiError                  the service answered with an error
    │   ├── AuthenticationFailed      the credentials were not accepted
    │   ├── PermissionDenied          a role is missing, or the account is not active
    │   ├── RateLimited               not processed; try again later
    │   ├── InsufficientFunds         the balance is too low
    │   ├── SmsNotEnabled             SMS or A2P is not enabled for the number
    │   ├── RequestRefused            the request, or a value in it, was refused
    │   └── ServerFault               the service failed
    ├── PartlyFailed              an accepted send in which some numbers were not accepted
    ├── Incomplete                an export that could not be shown to be complete
    ├── CheckpointMismatch        a checkpoint that belongs to another export
    ├── OutboxUnavailable         an outbox that cannot be opened, read or written
    ├── SignatureInvalid          a callback whose signature is wrong
    └── CallbackInvalid           a callback that cannot be read

Every error has `.sent`, which is about the message and not the request: `"no"` (nothing can have
been delivered or charged), `"maybe"`, `"yes"` (only for an accepted send). `str()` and `repr()`
never show a whole phone number or a message text; the attributes hold the full data. All can be
pickled.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Protocol

import attrs

from voxsms.masking import mask_message

Sent = Literal["no", "maybe", "yes"]


class VoxSmsError(Exception):
    """The base class of every error that voxsms raises."""

    sent: Sent = "no"

    def __repr__(self) -> str:
        """Return what `str` returns: `args` may hold whole numbers."""
        return f"<{type(self).__name__}: {self}>"


@attrs.frozen
class Fault:
    """One thing that is wrong with a request: where, and what."""

    field: str
    """The parameter's name as on the wire, with a position where it is a list: `dst_numbers[3]`."""
    problem: str
    """What is wrong and what the limit is; numbers are masked."""

    def __str__(self) -> str:
        """Return `field: problem`."""
        return f"{self.field}: {self.problem}"


class InvalidRequest(VoxSmsError, ValueError):
    """The request is invalid; found before anything left the machine."""

    def __init__(self, subject: str, faults: tuple[Fault, ...]) -> None:
        super().__init__(subject, faults)
        self.subject = subject
        self.faults = faults

    def __str__(self) -> str:
        """Return every fault."""
        found = "; ".join(map(str, self.faults))
        return f"{self.subject}: {found}. Nothing was sent."


class InvalidText(InvalidRequest):
    """A text that no message can carry: a lone surrogate or a bare ESC."""


class CredentialsInvalid(VoxSmsError, ValueError):
    """Credentials that cannot be read or used; names the file or variable, and the field."""


class BudgetExceeded(VoxSmsError):
    """The budget does not allow this send; no byte of it left the machine.

    `cost` is what the send would cost, `left` what the budget still has, `limit` its `max_cost`,
    all in `currency`. They are None if the message takes too many fragments.
    """

    def __init__(
        self,
        problem: str,
        cost: Decimal | None = None,
        left: Decimal | None = None,
        limit: Decimal | None = None,
        currency: str | None = None,
    ) -> None:
        super().__init__(problem, cost, left, limit, currency)
        self.problem = problem
        self.cost = cost
        self.left = left
        self.limit = limit
        self.currency = currency

    def __str__(self) -> str:
        """Return what the send would cost, and how much of the budget is spent."""
        return self.problem


class PriceUnknown(VoxSmsError, LookupError):
    """No rate, or no single rate, is known for a number."""


class TemplateError(VoxSmsError, ValueError):
    """A template that cannot be read, or values that do not fit it."""


class _CallError(VoxSmsError):
    """A call that ended without a usable answer."""

    def __init__(self, method: str, problem: str) -> None:
        super().__init__(method, problem)
        self.method = method
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.method}: {self.problem}"


class NotSent(_CallError):
    """No byte of a charged request left the machine: it is safe to call again."""


class ConnectionFailed(_CallError):
    """The connection failed, on a call that charges nothing."""


class TimedOut(_CallError, TimeoutError):
    """A timeout or the deadline was reached, on a call that charges nothing."""


class OutcomeUnknown(_CallError):
    """A charged request left, and no answer gave its outcome: it may have been delivered.

    Do not call again until the history shows that the message is not there. `__cause__` is what
    went wrong. `numbers` are the destinations in doubt, `at` is when the doubt arose (aware UTC),
    `phase` how far the request had come. `client.resolve(error)` settles it, using `source`,
    `since` (when the send began, by the service's clock; None if its time was not known) and
    `fragments` (the fewest and the most that the service may count).
    """

    sent: Sent = "maybe"

    def __init__(
        self,
        method: str,
        problem: str,
        at: datetime,
        phase: str,
        numbers: tuple[str, ...],
        source: str = "",
        since: datetime | None = None,
        fragments: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(method, problem)
        self.args: tuple[Any, ...] = (method, problem, at, phase, numbers, source, since, fragments)
        self.at = at
        self.phase = phase
        self.numbers = numbers
        self.source = source
        self.since = since
        self.fragments = fragments

    def __str__(self) -> str:
        """Return what is in doubt, without the numbers."""
        count = f"{len(self.numbers)} number{'' if len(self.numbers) == 1 else 's'}"
        return (
            f"{self.method}: {self.problem} ({self.phase}). The message to {count} may have been "
            "sent and charged: check the history before sending it again."
        )


class ResponseInvalid(VoxSmsError):
    """An answer that cannot be read; `path` says where (`result[3].cost`)."""

    def __init__(self, method: str, path: str, problem: str) -> None:
        super().__init__(method, path, problem)
        self.method = method
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        """Return the path in the answer and what is wrong there."""
        return f"{self.method}: the answer cannot be read at {self.path}: {self.problem}"


class ApiError(VoxSmsError):
    """The service answered with an error.

    `code` is the service's number, or 0 where only an HTTP status came (`name` is then `HTTP_502`).
    `msg` is the service's text unchanged; `str()` shows at most its first 1,000 characters, and
    masks the numbers in it and whatever it repeats from the request. `retry_after` is how many
    seconds the service asked to wait, if it did.
    """

    def __init__(
        self, code: int, name: str, msg: str, method: str, retry_after: float | None = None
    ) -> None:
        super().__init__(code, name, msg, method, retry_after)
        self.code = code
        self.name = name
        self.msg = msg
        self.method = method
        self.retry_after = retry_after
        self._shown = mask_message(msg)

    def hide(self, values: Iterable[str]) -> None:
        """Make `str()` mask these values of the request if the service repeats them."""
        self._shown = mask_message(self.msg, values)

    def __str__(self) -> str:
        """Return method, code, name and the start of the service's text with its numbers masked."""
        number = f"{self.code} " if self.code else ""
        return f"{self.method}: {number}{self.name}: {self._shown}"


class AuthenticationFailed(ApiError):
    """The credentials were not accepted (code 100 is also seen where a role is missing)."""


class PermissionDenied(ApiError):
    """The credentials are good, but a role is missing or the account is not active."""


class RateLimited(ApiError):
    """The service did not process the call and asks to try again later."""


class InsufficientFunds(ApiError):
    """The balance is too low."""


class SmsNotEnabled(ApiError):
    """SMS is not enabled for the number: call `control_sms(command="enable")` first."""


class RequestRefused(ApiError):
    """The service refused the request or a value in it."""


class ServerFault(ApiError):
    """The service, or a gateway in front of it, failed."""


class Refusal(Protocol):
    """What an accepted send says about a number that was not accepted: a `FailedSms`."""

    @property
    def destination_number(self) -> str:
        """The number."""
        ...

    @property
    def error_code(self) -> int:
        """The service's code."""
        ...

    @property
    def error_description(self) -> str:
        """The service's reason."""
        ...


class PartialResult(Protocol):
    """A send in which some numbers may not have been accepted: an `A2PSendSmsResult`."""

    @property
    def result(self) -> Sequence[object]:
        """What was accepted."""
        ...

    @property
    def failed(self) -> Sequence[Refusal]:
        """What was not accepted."""
        ...


class PartlyFailed(VoxSmsError):
    """An accepted send in which some numbers were not accepted; `.result` says which and why.

    `.sent` is `"no"` if no number was accepted.
    """

    sent: Sent = "yes"

    def __init__(self, result: PartialResult) -> None:
        super().__init__(result)
        self.result = result
        if not result.result:
            self.sent = "no"

    def __str__(self) -> str:
        """Return how many were not accepted, by code, without numbers."""
        codes = [refusal.error_code for refusal in self.result.failed]
        by_code = ", ".join(f"{codes.count(code)} with code {code}" for code in sorted(set(codes)))
        total = len(codes) + len(self.result.result)
        return f"{len(codes)} of {total} numbers were not accepted: {by_code}"


class Incomplete(VoxSmsError):
    """An export that could not be shown to be complete; names the window of time."""


class CheckpointMismatch(VoxSmsError):
    """A checkpoint that belongs to another export; nothing was overwritten."""


class OutboxUnavailable(VoxSmsError):
    """An outbox that cannot be opened, read or written; says why.

    What it holds is not lost: a message that was under way is `sending` there, and becomes
    `unknown`. Nothing is sent that is not on record.
    """


class SignatureInvalid(VoxSmsError):
    """A callback whose signature is missing or wrong."""


class CallbackInvalid(VoxSmsError, ValueError):
    """A callback that cannot be read."""
