"""One call, from its form fields to its outcome: the rule, its application, and the loop.

There is no idempotency key, so a charged call is repeated only if nothing left the machine or the
service itself said that it did not process it. A call in doubt stays in doubt.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from urllib.parse import quote_plus

import anyio
import attrs

from voxsms.api.codec import Answer, FormFields, bare_numbers, check_numbers, numbers_in_doubt
from voxsms.api.fault_codes import Outcome, outcome_of
from voxsms.api.models import A2PSendSmsResult, SendSmsMessageResult
from voxsms.api.spec import AnyMethod
from voxsms.api.wire import SEPARATOR
from voxsms.calls.auth import Proof
from voxsms.calls.download import TargetFile
from voxsms.calls.hooks import CallReport, write_log
from voxsms.errors import (
    ApiError,
    BudgetExceeded,
    ConnectionFailed,
    NotSent,
    OutcomeUnknown,
    ResponseInvalid,
    ServerFault,
    TimedOut,
    VoxSmsError,
)
from voxsms.text import count_fragments, segment
from voxsms.transport import Evidence, FaultKind, Phase, Request, TransportFault

if TYPE_CHECKING:
    from voxsms.calls.session import Session
    from voxsms.pricing import Reservation

E = TypeVar("E", bound=BaseException)
R = TypeVar("R")


# The rule.


class Finding(StrEnum):
    """What is known of a failed attempt."""

    NOTHING_LEFT = "no byte of the request left the machine"
    NO_ANSWER = "bytes may have left, and no answer came"
    NOT_THE_SERVICE = "the answer is cut off, not JSON, or not the service's"
    UNFIT = "the answer contradicts itself, or lacks a required part"
    SERVER_FAULT = "HTTP 5xx, or code 1, 2, 4, 5 or 14"
    DOUBTFUL = "code 484 or 515, no code, or any code with HTTP 5xx"
    LATER = "HTTP 429, or code 162, 314, 340 or 416"
    STALE_TOKEN = "code 455 or 456"  # noqa: S105 - no password
    REFUSED = "any other code"


class Raised(StrEnum):
    """What is raised if no further attempt is made."""

    NOT_SENT = "`NotSent`"
    DOUBT = "`OutcomeUnknown`"
    NETWORK = "`ConnectionFailed` or `TimedOut`"
    ANSWER = "the error that the answer is read as"


class Repeat(StrEnum):
    """Whether another attempt may be made."""

    YES = "yes"
    NO = "no"
    RENEWED = "once, with a new token"


@attrs.frozen
class Then:
    """What follows for one kind of call."""

    raises: Raised
    repeats: Repeat


@attrs.frozen
class Rule:
    """What follows from a finding: for a call that charges, and for any other."""

    outcome: Outcome
    send: Then
    other: Then


_NOT_SENT = Then(Raised.NOT_SENT, Repeat.YES)
_DOUBT = Then(Raised.DOUBT, Repeat.NO)
_NETWORK = Then(Raised.NETWORK, Repeat.YES)
_AGAIN = Then(Raised.ANSWER, Repeat.YES)
_RENEWED = Then(Raised.ANSWER, Repeat.RENEWED)
_FINAL = Then(Raised.ANSWER, Repeat.NO)
RULES: Mapping[Finding, Rule] = MappingProxyType(
    {
        Finding.NOTHING_LEFT: Rule(Outcome.NOT_SENT, send=_NOT_SENT, other=_NETWORK),
        Finding.NO_ANSWER: Rule(Outcome.UNKNOWN, send=_DOUBT, other=_NETWORK),
        Finding.NOT_THE_SERVICE: Rule(Outcome.UNKNOWN, send=_DOUBT, other=_AGAIN),
        Finding.UNFIT: Rule(Outcome.UNKNOWN, send=_DOUBT, other=_FINAL),
        Finding.SERVER_FAULT: Rule(Outcome.UNKNOWN, send=_DOUBT, other=_AGAIN),
        Finding.DOUBTFUL: Rule(Outcome.UNKNOWN, send=_DOUBT, other=_FINAL),
        Finding.LATER: Rule(Outcome.REFUSED_RETRYABLE, send=_AGAIN, other=_AGAIN),
        Finding.STALE_TOKEN: Rule(Outcome.STALE_TOKEN, send=_RENEWED, other=_RENEWED),
        Finding.REFUSED: Rule(Outcome.REFUSED, send=_FINAL, other=_FINAL),
    }
)
"""When to repeat a call; one that charges nothing is repeated where that may help."""

_BY_OUTCOME = {
    Outcome.REFUSED: Finding.REFUSED,
    Outcome.REFUSED_RETRYABLE: Finding.LATER,
    Outcome.STALE_TOKEN: Finding.STALE_TOKEN,
    Outcome.UNKNOWN: Finding.DOUBTFUL,
}


# Applying the rule: pure.


@attrs.frozen
class Attempt:
    """What is known of an attempt after it failed."""

    method: AnyMethod
    numbers: tuple[str, ...]
    """The destinations of a send."""
    evidence: Evidence
    reports_progress: bool
    """What `Transport.reports_progress` says."""
    at: float
    """Seconds since the epoch, by the service's clock."""
    status: int = HTTPStatus.OK
    """The HTTP status, if an answer came."""
    source: str = ""
    since: float | None = None
    """When it began, by the service's clock, if known."""
    fragments: tuple[int, int] | None = None
    """The fewest and the most that the service may count."""


@attrs.frozen
class Verdict:
    """What became of an attempt, what to raise for it, and whether another may be made."""

    outcome: Outcome
    error: VoxSmsError
    repeat: Repeat


def judge(attempt: Attempt, failure: TransportFault | ApiError | ResponseInvalid) -> Verdict:
    """Judge a failed attempt by the rule; the causes of the failure become those of the error.

    Args:
        attempt: what is known of the attempt.
        failure: why no answer came, or the error that the answer was read as.
    """
    cmd, charges = attempt.method.cmd, attempt.method.charges
    if isinstance(failure, TransportFault) and failure.kind is FaultKind.UNREADABLE:
        unreadable = ResponseInvalid(cmd, "$", failure.problem)
        unreadable.__cause__ = failure.__cause__
        failure = unreadable
    rule = RULES[_find(attempt, failure)]
    then = rule.send if charges else rule.other
    if isinstance(failure, TransportFault):
        error, cause = _error_of_fault(attempt, failure, then.raises), failure.__cause__
    elif then.raises is Raised.DOUBT:
        failure.sent = "maybe"
        error, cause = _doubt(attempt, _words(failure)), failure
    else:
        error, cause = failure, failure.__cause__
    error.__cause__ = cause
    return Verdict(rule.outcome, error, then.repeats)


def _find(attempt: Attempt, failure: TransportFault | ApiError | ResponseInvalid) -> Finding:
    if isinstance(failure, TransportFault):
        proven = attempt.evidence.proves_not_sent(reports_progress=attempt.reports_progress)
        return Finding.NOTHING_LEFT if proven else Finding.NO_ANSWER
    if isinstance(failure, ResponseInvalid):
        return Finding.NOT_THE_SERVICE if failure.path == "$" else Finding.UNFIT
    if isinstance(failure, ServerFault):
        return Finding.SERVER_FAULT
    if attempt.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Finding.DOUBTFUL  # a refusal in a gateway's body is not believed
    return _BY_OUTCOME[outcome_of(failure)]


def _error_of_fault(attempt: Attempt, fault: TransportFault, raised: Raised) -> VoxSmsError:
    cmd, problem = attempt.method.cmd, fault.problem
    if raised is Raised.DOUBT:
        return _doubt(attempt, problem)
    if raised is Raised.NOT_SENT:
        return NotSent(cmd, problem)
    return (TimedOut if fault.kind is FaultKind.TIMEOUT else ConnectionFailed)(cmd, problem)


def _doubt(attempt: Attempt, problem: str) -> OutcomeUnknown:
    at = datetime.fromtimestamp(attempt.at, UTC)
    phase = attempt.evidence.phase.words
    since = None if attempt.since is None else datetime.fromtimestamp(attempt.since, UTC)
    cmd, numbers, source = attempt.method.cmd, attempt.numbers, attempt.source
    return OutcomeUnknown(cmd, problem, at, phase, numbers, source, since, attempt.fragments)


def _words(failure: ApiError | ResponseInvalid) -> str:
    if isinstance(failure, ResponseInvalid):
        return f"the answer could not be read at {failure.path}: {failure.problem}"
    return f"the answer was {failure.code or ''} {failure.name}".replace("  ", " ")


# How long to wait before another attempt: exponential with full jitter, as in the AWS SDKs.

BASE_DELAY = 0.5
MAX_DELAY = 8.0
MAX_NAMED_DELAY = 60.0
"""The longest wait that the service can impose."""
_MAX_DOUBLINGS = 10  # a float cannot be doubled a thousand times


def delay_after(attempts: int, error: VoxSmsError, roll: float) -> float:
    """Return the seconds to wait after a number of attempts.

    Args:
        attempts: how many were made.
        error: the error of the last one; in it the service may name a wait.
        roll: a random number from 0 to 1.
    """
    doubled = BASE_DELAY * 2.0 ** min(attempts - 1, _MAX_DOUBLINGS)
    backoff = roll * min(MAX_DELAY, doubled)
    named = error.retry_after if isinstance(error, ApiError) else None
    return backoff if named is None else min(named, MAX_NAMED_DELAY) + backoff


@attrs.define
class RetryBudget:
    """A client's tokens for retries, so that it does not multiply its calls during an outage.

    A retry takes a token, a success returns a fraction of one.
    """

    capacity: float = 100.0
    refund: float = 0.1
    tokens: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start full."""
        self.tokens = self.capacity

    def take(self) -> bool:
        """Take a token; return whether one was left."""
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def put_back(self) -> None:
        """Count a success."""
        self.tokens = min(self.capacity, self.tokens + self.refund)


# The loop.


class Call(Generic[R]):
    """A call under way.

    Args:
        session: the state that the calls of a client share.
        method: the method to call.
        form: the fields of the request.
        read: reads an answer, or raises `ApiError` or `ResponseInvalid`.
        file: receives the answer's body if it is a file.
    """

    __slots__ = (
        "_evidence",
        "_file",
        "_form",
        "_last",
        "_method",
        "_numbers",
        "_outcome",
        "_predicted",
        "_read",
        "_renewed",
        "_report",
        "_session",
    )

    def __init__(
        self,
        session: "Session",
        method: AnyMethod,
        form: FormFields,
        read: Callable[[Answer], R],
        file: TargetFile | None = None,
    ) -> None:
        sending = method.sending
        self._session = session
        self._method = method
        self._form = form
        self._read = read
        self._file = file
        self._numbers = tuple(form[sending.to].split(SEPARATOR)) if sending else ()
        self._predicted = count_fragments(form[sending.text]) if sending else None
        self._report = CallReport(method.cmd, session.hooks, session.clock, self._predicted)
        self._renewed = False
        self._evidence = self._begin()
        self._outcome = Outcome.NOT_SENT
        self._last: VoxSmsError | None = None

    async def run(self) -> R:
        """Make the attempts within the deadline, and settle the reservation whatever happens."""
        reservation = None
        try:
            reservation = self._reserve()
            result = await self._within_deadline()
        except BaseException as error:
            # Cancelled, or worse: first update the reservation and call the hooks.
            known = error if isinstance(error, VoxSmsError) else self._judge_interruption(error)
            if reservation and known.sent == "no":
                reservation.release()
            cancelled = not isinstance(error, Exception)
            self._report.end(self._outcome, known, cancelled=cancelled)
            if self._method.charges and known is not error and not cancelled:
                raise known from error  # a send that fails raises a voxsms error, whatever happened
            raise
        self._settle(result, reservation)
        return result

    async def _within_deadline(self) -> R:
        deadline = self._session.options.deadline
        with anyio.move_on_after(deadline):
            return await self._until_decided()
        late = f"the deadline of {deadline:g} s was reached"
        raise self._judge(TransportFault(FaultKind.TIMEOUT, late)).error from self._last

    async def _until_decided(self) -> R:
        session = self._session
        while True:
            proof = await session.signer.sign(session.service_clock.best())
            if session.is_closed:  # while this call waited
                closed = TransportFault(FaultKind.CONNECTION, "the client was closed")
                raise self._judge(closed).error from self._last
            self._report.begin_attempt()
            found = await self._attempt(proof)
            if not isinstance(found, Verdict):
                self._outcome = Outcome.ACCEPTED
                self._report.end_attempt(self._outcome, None)
                session.retries.put_back()
                return found
            self._report.end_attempt(found.outcome, found.error)
            wait = await self._wait_after(found, proof)
            if wait is None:
                raise found.error
            # From here on nothing is in doubt until the next attempt.
            self._last, self._evidence = found.error, self._begin()
            self._outcome = Outcome.NOT_SENT
            await session.clock.sleep(wait)

    def _begin(self) -> Evidence:
        return Evidence(may_begin=self._session.options.may_begin)

    async def _attempt(self, proof: Proof) -> R | Verdict:
        session, method = self._session, self._method
        request = Request(
            f"{session.base_url}/platform_api/{method.cmd}/",
            {**session.headers, **proof.headers},
            _form_body({**self._form, **proof.fields}),
            charges=method.charges,
            timeouts=session.options.timeouts,
            sink=self._file.write if self._file else None,
        )
        try:
            self._evidence.refuse_if_late()
            # From here on a missing report proves nothing, unless the transport reports progress.
            self._evidence.phase = Phase.HANDED_OVER
            answer = await session.transport.send(request, self._evidence)
        except TransportFault as fault:
            return self._judge(fault)
        except VoxSmsError as error:  # not for a transport to raise: it proves nothing here
            raise self._judge_interruption(error) from error
        self._evidence.phase = Phase.READING
        self._report.status = answer.status
        session.service_clock.learn(answer.headers.get("date", ""), self._report.seconds)
        try:
            return self._with_prediction(self._read(answer))
        except (ApiError, ResponseInvalid) as error:
            without_frames(error)
            if isinstance(error, ApiError):
                error.hide([*self._form.values(), *self._numbers, *proof.fields.values()])
            return self._judge(error, answer.status)

    def _with_prediction(self, result: R) -> R:
        """Check the result of a send, and fill in the predicted count beside the counted one."""
        made: SendSmsMessageResult | A2PSendSmsResult
        predicted = self._predicted or 0
        if isinstance(result, A2PSendSmsResult):
            check_numbers(self._method, result, self._numbers)
            counts = result.result, result.fragments_count, result.failed
            made = A2PSendSmsResult(*counts, predicted)
        elif isinstance(result, SendSmsMessageResult):
            counted = result.result, result.fragments_count, result.message_id
            made = SendSmsMessageResult(*counted, predicted)
        else:
            return result
        return cast("R", made)

    async def _wait_after(self, verdict: Verdict, proof: Proof) -> float | None:
        """Return the seconds until the next attempt, or None if there must be none."""
        session, options = self._session, self._session.options
        if session.is_closed or verdict.repeat is Repeat.NO:
            return None
        if verdict.repeat is Repeat.RENEWED:
            session.service_clock.confirm()
            can_renew = not self._renewed and session.signer.renew(proof)
            self._renewed = can_renew and session.retries.take()
            return 0.0 if self._renewed else None
        made = self._report.attempts - self._renewed  # the one with the stale token does not count
        wait = delay_after(made, verdict.error, session.clock.roll())
        left = self._report.started + options.deadline - session.clock.monotonic()
        if made >= options.max_attempts or wait > left or not session.retries.take():
            return None
        if self._file is not None and not await self._file.restart():
            return None
        return wait

    def _judge(
        self, failure: TransportFault | ApiError | ResponseInvalid, status: int = HTTPStatus.OK
    ) -> Verdict:
        session, sending = self._session, self._method.sending
        now = session.service_clock.now()
        attempt = Attempt(
            self._method,
            self._numbers,
            self._evidence,
            session.transport.reports_progress,
            session.service_clock.best(),
            status,
            self._form[sending.sender] if sending else "",
            None if now is None else now - self._report.seconds,
            segment(self._form[sending.text]).bounds if sending else None,
        )
        verdict = judge(attempt, failure)
        self._outcome = verdict.outcome
        return verdict

    def _judge_interruption(self, by: BaseException) -> VoxSmsError:
        """Return the error of a call that was cancelled, or stopped by a bug."""
        why = (
            f"{type(by).__name__} was raised"
            if isinstance(by, Exception)
            else "the call was cancelled"
        )
        return self._judge(TransportFault(FaultKind.CONNECTION, why)).error

    def _reserve(self) -> "Reservation | None":
        budget, sending = self._session.options.budget, self._method.sending
        if budget is None or sending is None:
            return None
        try:
            reservation = budget.reserve(
                self._form[sending.text],
                self._numbers,
                method=self._method.cmd,
                fragments=self._predicted,
            )
        except VoxSmsError as error:
            if isinstance(error, BudgetExceeded):
                self._report.predicted_cost = error.cost
            raise without_frames(error) from error.__cause__
        self._report.predicted_cost = reservation.cost
        return reservation

    def _settle(self, result: R, reservation: "Reservation | None") -> None:
        """Settle the reservation of an accepted call, and report differing counts."""
        if not isinstance(result, SendSmsMessageResult | A2PSendSmsResult):
            self._report.end(self._outcome, None)
            return
        cmd, counted = self._method.cmd, result.fragments_count
        ids: tuple[int, ...]
        if isinstance(result, A2PSendSmsResult):
            ids = tuple(message.message_id for message in result.result)
            doubts = numbers_in_doubt(result, self._numbers)
            refused = bare_numbers(result.failed).difference(doubts)
            if reservation is not None and refused:
                # A number in doubt may have been charged.
                reservation.settle(number for number in self._numbers if number not in refused)
            if doubts:
                counts = len(doubts), len(self._numbers)
                text = "%s: the answer does not say what became of %d of %d numbers"
                write_log(logging.WARNING, text, cmd, *counts, method=cmd)
        else:
            ids = () if result.message_id is None else (result.message_id,)
        if counted != self._predicted:
            text = "%s: the service counted %d fragments where %d were predicted"
            write_log(
                logging.WARNING,
                text,
                cmd,
                counted,
                self._predicted,
                method=cmd,
                fragments_count=counted,
                predicted_fragments_count=self._predicted,
            )
        self._report.end(self._outcome, None, fragments_count=counted, message_ids=ids)


def without_frames(error: E) -> E:
    """Drop the frames of an error and its causes, whose variables hold requests and answers."""
    each: BaseException | None = error
    while each is not None:
        each.__traceback__, each = None, each.__cause__
    return error


def _form_body(form: FormFields) -> bytes:
    """Write fields as `application/x-www-form-urlencoded`; their names are plain ASCII words."""
    # Most values are digits or words: checking that they need no quoting is ten times cheaper.
    fields = [
        f"{name}={value if value.isascii() and value.isalnum() else quote_plus(value)}"
        for name, value in form.items()
    ]
    return "&".join(fields).encode()
