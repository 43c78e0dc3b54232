"""One call: proved, sent, judged, perhaps sent again, and entered in the books.

Everything a call knows of itself lives in `Call`; what the calls of a client share in `Session`.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import quote_plus

import anyio
import attrs

from voxsms.api.codec import Answer, FormFields
from voxsms.api.fault_codes import Outcome, look_up
from voxsms.api.models import A2PSendSmsResult, SendSmsMessageResult
from voxsms.api.phone_numbers import digits_or_text
from voxsms.api.spec import AnyMethod
from voxsms.api.wire import SEPARATOR
from voxsms.calls.auth import Proof
from voxsms.calls.download import TargetFile
from voxsms.calls.hooks import Telling, note
from voxsms.errors import (
    ApiError,
    ConnectionFailed,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    ResponseInvalid,
    ServerFault,
    TimedOut,
    VoxSmsError,
)
from voxsms.transport.seam import Evidence, FaultKind, Phase, Request, TransportFault

if TYPE_CHECKING:
    from voxsms.calls.session import Session
    from voxsms.pricing import Reservation

E = TypeVar("E", bound=BaseException)
R = TypeVar("R")

BASE_DELAY = 0.5
MAX_DELAY = 8.0
_MAX_DOUBLINGS = 10  # a float cannot be doubled a thousand times
MAX_NAMED_DELAY = 60.0
"""The longest wait that the service can impose."""


def outcome_of_error(error: VoxSmsError, status: int) -> Outcome:
    """Judge an answer that was read as an error."""
    if isinstance(error, RateLimited) and error.code == 0:
        return Outcome.REFUSED_RETRYABLE  # HTTP 429
    if not isinstance(error, ApiError) or status >= 500:  # noqa: PLR2004 - HTTP server errors
        return Outcome.UNKNOWN
    return look_up(error.code).outcome


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
    doubled = BASE_DELAY * 2.0 ** min(attempts - 1, _MAX_DOUBLINGS)
    backoff = roll * min(MAX_DELAY, doubled)
    named = error.retry_after if isinstance(error, ApiError) else None
    return backoff if named is None else min(named, MAX_NAMED_DELAY) + backoff


def _may_repeat(row: AnyMethod, outcome: Outcome, error: VoxSmsError) -> bool:
    if outcome in (Outcome.NOT_SENT, Outcome.REFUSED_RETRYABLE):
        return True
    if row.charges or outcome is not Outcome.UNKNOWN:
        return False
    # To read again is harmless, and helps unless the service itself gave the answer: an error of
    # the request's, or a record that cannot be read, will not be another the next time.
    if isinstance(error, ResponseInvalid):
        return error.path == "$"
    return not isinstance(error, ApiError) or isinstance(error, ServerFault)


class Call(Generic[R]):
    """A call under way."""

    __slots__ = (
        "_evidence",
        "_file",
        "_form",
        "_last",
        "_numbers",
        "_options",
        "_outcome",
        "_read",
        "_renewed",
        "_row",
        "_session",
        "_telling",
    )

    def __init__(
        self,
        session: "Session",
        row: AnyMethod,
        form: FormFields,
        read: Callable[[Answer], R],
        file: TargetFile | None = None,
        predicted: int | None = None,
    ) -> None:
        self._session = session
        self._row = row
        self._form = form
        self._options = session.options
        self._read = read
        self._file = file
        self._telling = Telling(row.cmd, session.hooks, session.clock, predicted)
        self._renewed = False
        self._evidence = Evidence()
        self._outcome = Outcome.NOT_SENT
        self._last: VoxSmsError | None = None
        self._numbers = tuple(form[row.sending.to].split(SEPARATOR)) if row.sending else ()

    async def run(self) -> R:
        """Make the attempts within the deadline, and keep the books whatever happens."""
        reservation = None
        try:
            reservation = self._reserve()
            result = await self._within_deadline()
        except BaseException as error:
            # Cancelled, or worse: the books and the hooks learn what is known, then it goes on.
            known = error if isinstance(error, VoxSmsError) else self._interrupted(error)
            if reservation and known.sent == "no":
                reservation.release()
            cancelled = not isinstance(error, Exception)
            self._telling.end(self._outcome, known, cancelled=cancelled)
            if self._row.charges and known is not error and not cancelled:
                raise known from error  # a send ends in our words, whatever a transport raises
            raise
        return self._accepted(result, reservation)

    async def _within_deadline(self) -> R:
        with anyio.move_on_after(self._options.deadline):
            return await self._until_decided()
        limit = f"the deadline of {self._options.deadline:g} s was reached"
        raise self._unanswered(TransportFault(FaultKind.TIMEOUT, limit)) from self._last

    def _reserve(self) -> "Reservation | None":
        budget, sending = self._options.budget, self._row.sending
        if budget is None or sending is None:
            return None
        try:
            return budget.reserve(self._form[sending.text], self._numbers, method=self._row.cmd)
        except VoxSmsError as error:
            raise without_frames(error) from error.__cause__

    async def _until_decided(self) -> R:
        clock, signer = self._session.clock, self._session.signer
        while True:
            proof = await signer.sign(self._session.service_clock.best())
            if self._session.is_closed:  # while this call waited
                closed = TransportFault(FaultKind.CONNECTION, "the client was closed")
                raise self._unanswered(closed) from self._last
            self._telling.begin_attempt()
            try:
                result = await self._attempt(proof)
            except VoxSmsError as error:
                self._telling.end_attempt(self._outcome, error)
                wait = await self._wait_after(error, proof)
                if wait is None:
                    raise
                self._last = error
            else:
                self._outcome = Outcome.ACCEPTED
                self._telling.end_attempt(self._outcome, None)
                self._session.retries.put_back()
                return result
            # From here on nothing is in doubt until the next attempt is.
            self._evidence, self._outcome = Evidence(), Outcome.NOT_SENT
            await clock.sleep(wait)

    async def _attempt(self, proof: Proof) -> R:
        session, row = self._session, self._row
        request = Request(
            f"{session.base_url}/platform_api/{row.cmd}/",
            {**session.headers, **proof.headers},
            _form_body({**self._form, **proof.fields}),
            charges=row.charges,
            timeouts=self._options.timeouts,
            sink=self._file.write if self._file else None,
        )
        # From here on silence proves something only if the transport is one whose silence does.
        self._evidence.phase = Phase.HANDED_OVER
        try:
            answer = await session.transport.send(request, self._evidence)
        except TransportFault as fault:
            found = self._unanswered(fault)
            raise found from found.__cause__ or fault.__cause__
        except VoxSmsError as error:  # no transport's to raise: it says nothing of this request
            raise self._interrupted(error) from error
        self._evidence.phase = Phase.READING
        session.service_clock.learn(answer.headers.get("date", ""), self._telling.seconds)
        try:
            return self._read(answer)
        except (ApiError, ResponseInvalid) as error:
            without_frames(error)
            if isinstance(error, ApiError):
                error.hide([*self._form.values(), *self._numbers, *proof.fields.values()])
            found = self._judged(error, answer.status)
            raise found from found.__cause__

    def _unanswered(self, fault: TransportFault) -> VoxSmsError:
        """Judge an attempt that brought no answer, by the evidence."""
        cmd, problem = self._row.cmd, fault.problem
        if fault.kind is FaultKind.UNREADABLE:
            unreadable = ResponseInvalid(cmd, "$", problem)
            unreadable.__cause__ = fault.__cause__
            return self._judged(unreadable, HTTPStatus.OK)
        silence_counts = self._session.transport.silence_counts
        not_sent = self._evidence.proves_not_sent(silence_counts=silence_counts)
        self._outcome = Outcome.NOT_SENT if not_sent else Outcome.UNKNOWN
        if self._row.charges:
            return NotSent(cmd, problem) if not_sent else self._doubt(problem)
        return (TimedOut if fault.kind is FaultKind.TIMEOUT else ConnectionFailed)(cmd, problem)

    def _judged(self, error: VoxSmsError, status: int) -> VoxSmsError:
        """Judge an answer read as an error; one that leaves a send in doubt becomes its cause."""
        self._outcome = outcome_of_error(error, status)
        if self._outcome is not Outcome.UNKNOWN or not self._row.charges:
            return error
        error.sent = "maybe"
        code = f"{error.code} " if isinstance(error, ApiError) and error.code else ""
        said = f"was {code}{error.name}" if isinstance(error, ApiError) else "could not be read"
        doubt = self._doubt(f"the answer {said}")
        doubt.__cause__ = error
        return doubt

    def _doubt(self, problem: str) -> OutcomeUnknown:
        at = datetime.fromtimestamp(self._session.service_clock.best(), UTC)
        phase = self._evidence.phase.words
        return OutcomeUnknown(self._row.cmd, problem, at, phase, self._numbers)

    def _interrupted(self, by: BaseException) -> VoxSmsError:
        """Say of a call that was cancelled, or broken off by a defect, what became of it."""
        why = (
            f"{type(by).__name__} came up"
            if isinstance(by, Exception)
            else "the call was cancelled"
        )
        return self._unanswered(TransportFault(FaultKind.CONNECTION, why))

    async def _wait_after(self, error: VoxSmsError, proof: Proof) -> float | None:
        """Give the seconds until the next attempt, or None if there is to be none."""
        session, options = self._session, self._options
        if session.is_closed:
            return None
        if self._outcome is Outcome.STALE_TOKEN and not self._renewed:
            session.service_clock.confirm()
            self._renewed = session.signer.renew(proof) and session.retries.take()
            return 0.0 if self._renewed else None
        roll = session.clock.roll()
        made = self._telling.attempts - self._renewed  # that with the stale token does not count
        wait = decide(self._row, self._outcome, error, made, options.max_attempts, roll)
        left = self._telling.started + options.deadline - session.clock.monotonic()
        if wait is None or wait > left or not session.retries.take():
            return None
        if self._file is not None and not await self._file.restart():
            return None
        return wait

    def _accepted(self, result: R, reservation: "Reservation | None") -> R:
        """Enter an accepted call in the books, and tell what was predicted beside what came."""
        if not isinstance(result, SendSmsMessageResult | A2PSendSmsResult):
            self._telling.end(self._outcome, None)
            return result
        if isinstance(result, A2PSendSmsResult):
            self._account_for(result, reservation)
        if result.fragments_count != result.predicted_fragments_count:
            note(
                logging.WARNING,
                "%s: the service counted %d fragments where %d were predicted",
                self._row.cmd,
                result.fragments_count,
                result.predicted_fragments_count,
            )
        self._telling.end(self._outcome, None, fragments_count=result.fragments_count)
        return result

    def _account_for(self, result: A2PSendSmsResult, reservation: "Reservation | None") -> None:
        """Give back what refused numbers would have cost, and only that.

        A number of which the answer says nothing may have been charged.
        """
        accepted = _bare(message.destination_number for message in result.result)
        refused = _bare(number.destination_number for number in result.failed) - accepted
        if reservation is not None and refused:
            reservation.settle(number for number in self._numbers if number not in refused)
        missing = len({*self._numbers} - accepted - refused)
        if missing:
            note(
                logging.WARNING,
                "%s: the answer says nothing of %d of %d numbers",
                self._row.cmd,
                missing,
                len(self._numbers),
            )


def without_frames(error: E) -> E:
    """Drop the frames of an error and its causes, whose variables hold what was sent or came."""
    each: BaseException | None = error
    while each is not None:
        each.__traceback__, each = None, each.__cause__
    return error


def _form_body(form: FormFields) -> bytes:
    """Write fields as `application/x-www-form-urlencoded`; their names are plain ASCII words."""
    # Most values are digits or words: to see that they need no quoting is ten times cheaper.
    fields = [
        f"{name}={value if value.isascii() and value.isalnum() else quote_plus(value)}"
        for name, value in form.items()
    ]
    return "&".join(fields).encode()


def _bare(numbers: Iterable[str]) -> set[str]:
    """Give numbers as they are sent, however the service writes them."""
    return {digits_or_text(number) for number in numbers}
