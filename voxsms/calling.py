"""One call: checked, proved, sent, judged, perhaps sent again, and entered in the books.

Everything a call knows of itself lives in `_Call`; what the calls of a client share in `Caller`.
"""

from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote_plus

import anyio
import attrs

from voxsms._version import __version__
from voxsms.api.codec import (
    Answer,
    Form,
    http_date,
    read_answer,
    read_payload,
    write_request,
)
from voxsms.api.models import A2PSendSmsResult, Output, SendSmsMessageResult
from voxsms.api.registry import Row
from voxsms.api.spec import Method, Target
from voxsms.api.wire import SEPARATOR
from voxsms.auth import Proof, Signer
from voxsms.clock import Clock
from voxsms.download import Destination, destination
from voxsms.errors import (
    ApiError,
    ConnectionFailed,
    Fault,
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    ResponseInvalid,
    TimedOut,
    VoxSmsError,
)
from voxsms.hooks import AttemptEvent, CallEvent, Hooks, logger, tell
from voxsms.retry import Outcome, RetryBudget, decide, outcome_of_error
from voxsms.text.segments import count_fragments
from voxsms.transport.seam import (
    Evidence,
    FaultKind,
    Request,
    Timeouts,
    Transport,
    TransportFault,
    is_file,
)

if TYPE_CHECKING:
    from voxsms.pricing import Budget, Reservation

R = TypeVar("R")
_IN_STEP = 1.5
"""Seconds of difference to the service's clock that its `Date`, in whole seconds, can not show."""


@attrs.frozen
class Options:
    """What a view of a client may set for its calls."""

    timeouts: Timeouts = attrs.field(factory=Timeouts)
    max_attempts: int = 4
    deadline: float = 60.0
    """Seconds for a whole call, with its waits and repetitions."""
    budget: "Budget | None" = None


class Caller:
    """What the calls of one client share: connections, token, clock, hooks, retry budget."""

    def __init__(
        self, signer: Signer, base_url: str, transport: Transport, hooks: Hooks, clock: Clock
    ) -> None:
        self.signer = signer
        self.base_url = base_url
        self.transport = transport
        self.hooks = hooks
        self.clock = clock
        self.headers: Mapping[str, str] = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "*/*",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": f"voxsms/{__version__} {transport.name}",
        }
        self.retries = RetryBudget()
        self.closed = False
        self._offset = 0.0
        self._last_date: str = ""
        self._last_time = 0.0

    def service_time(self) -> float:
        """Seconds since the epoch by the service's clock, as far as its answers have told."""
        return self.clock.time() + self._offset

    def learn_time(self, answer: Answer, took: float) -> None:
        """Compare clocks with the `Date` of an answer that came within `took` seconds."""
        header, now = answer.headers.get("date", ""), self.clock.time()
        if header == self._last_date and abs(now - self._last_time) <= _IN_STEP:
            return  # nothing new, unless the clock of this machine was set meanwhile
        # After a slow answer the next of the same second may know better.
        self._last_date, self._last_time = "" if took > _IN_STEP else header, now
        if (date := http_date(header)) is None:
            return
        # `Date` is cut to whole seconds: half a second is its middle. When it was written is not
        # known either: a slow answer would set the clock back, and hide the newest messages.
        offset = date.timestamp() + 0.5 - (now - took / 2)
        if abs(offset - self._offset) > _IN_STEP + took / 2:
            self._offset = offset

    def call(
        self, row: Method[..., R], request: attrs.AttrsInstance, options: Options
    ) -> Coroutine[Any, Any, R]:
        """Make a call. Raises what `voxsms.errors` says."""
        form = self._checked(row, request)
        if row.sending is None:
            return _Call(self, row, form, options, partial(read_answer, row)).run()
        predicted = count_fragments(form[row.sending.text])
        beside = {"predicted_fragments_count": predicted}
        reading = partial(read_answer, row, beside=beside)
        return _Call(self, row, form, options, reading, predicted=predicted).run()

    def read(
        self,
        row: Row,
        request: attrs.AttrsInstance,
        options: Options,
        reading: Callable[[Answer], R],
    ) -> Coroutine[Any, Any, R]:
        """Make a call whose answer is read in another way than into the row's record."""
        return _Call(self, row, self._checked(row, request), options, reading).run()

    async def download(
        self, row: Row, request: attrs.AttrsInstance, options: Options, to: Target
    ) -> int:
        """Make a call that answers with a file; give its size in bytes."""
        form, file = self._checked(row, request), destination(row.cmd, to)
        if form["output"] == Output.JSON:
            raise InvalidRequest(row.cmd, (Fault("output", "is json; it must be csv or xls"),))

        def size(answer: Answer) -> int:
            if not is_file(answer.status, answer.headers.get("content-type", "")):
                read_payload(row, answer)
                raise ResponseInvalid(row.cmd, "$", "a JSON object where a file was expected")
            return file.written

        try:
            written = await _Call(self, row, form, options, size, file).run()
            await file.finish()
        except BaseException:
            await file.abandon()
            raise
        return written

    def _checked(self, row: Row, request: attrs.AttrsInstance) -> Form:
        if self.closed:
            raise InvalidRequest(row.cmd, (Fault("client", "is closed"),))
        return write_request(row, request)

    async def aclose(self) -> None:
        """Close the connections; calls made after this are refused."""
        self.closed = True
        await self.transport.aclose()


class _Call(Generic[R]):
    """A call under way."""

    __slots__ = (
        "_attempts",
        "_began",
        "_caller",
        "_evidence",
        "_file",
        "_form",
        "_last",
        "_numbers",
        "_options",
        "_outcome",
        "_predicted",
        "_read",
        "_renewed",
        "_row",
        "_started",
        "_untold",
    )

    def __init__(
        self,
        caller: Caller,
        row: Row,
        form: Form,
        options: Options,
        read: Callable[[Answer], R],
        file: Destination | None = None,
        predicted: int | None = None,
    ) -> None:
        self._caller = caller
        self._row = row
        self._form = form
        self._options = options
        self._read = read
        self._file = file
        self._started = self._began = caller.clock.monotonic()
        self._attempts = 0
        self._renewed = False
        self._evidence = Evidence()
        self._outcome = Outcome.NOT_SENT
        self._untold = False  # an attempt is under way of which no hook knows
        self._last: VoxSmsError | None = None
        self._predicted = predicted
        self._numbers = tuple(form[row.sending.to].split(SEPARATOR)) if row.sending else ()

    async def run(self) -> R:
        """Make the attempts within the deadline, and keep the books whatever happens."""
        reservation = self._reserve()
        try:
            result = await self._within_deadline()
        except BaseException as error:
            # Cancelled, or worse: the books and the hooks learn what is known, then it goes on.
            known = error if isinstance(error, VoxSmsError) else self._interrupted(error)
            if reservation and known.sent == "no":
                reservation.release()
            self._report(known, cancelled=not isinstance(error, Exception))
            if self._row.charges and known is not error and isinstance(error, Exception):
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
        return budget.reserve(self._form[sending.text], self._numbers, method=self._row.cmd)

    async def _until_decided(self) -> R:
        clock, signer = self._caller.clock, self._caller.signer
        while True:
            proof = await signer.sign(self._caller.service_time())
            self._attempts += 1
            self._began, self._untold = clock.monotonic(), True
            try:
                result = await self._attempt(proof)
            except VoxSmsError as error:
                self._tell_attempt(error)
                wait = await self._wait_after(error, proof)
                if wait is None:
                    raise
                self._last = error
            else:
                self._outcome = Outcome.ACCEPTED
                self._tell_attempt(None)
                self._caller.retries.put_back()
                return result
            # From here on nothing is in doubt until the next attempt is.
            self._evidence = Evidence()
            await clock.sleep(wait)

    async def _attempt(self, proof: Proof) -> R:
        caller, row = self._caller, self._row
        request = Request(
            f"{caller.base_url}/platform_api/{row.cmd}/",
            {**caller.headers, **proof.headers},
            _form_body({**self._form, **proof.fields}),
            charges=row.charges,
            timeouts=self._options.timeouts,
            sink=self._file.write if self._file else None,
        )
        try:
            answer = await caller.transport.send(request, self._evidence)
        except TransportFault as fault:
            found = self._unanswered(fault)
            raise found from found.__cause__ or fault.__cause__
        caller.learn_time(answer, caller.clock.monotonic() - self._began)
        try:
            return self._read(answer)
        except (ApiError, ResponseInvalid) as error:
            found = self._judged(error, answer.status)
            raise found from found.__cause__

    def _unanswered(self, fault: TransportFault) -> VoxSmsError:
        """Judge an attempt that brought no answer, by the evidence."""
        cmd, problem = self._row.cmd, fault.problem
        if fault.kind is FaultKind.UNREADABLE:
            unreadable = ResponseInvalid(cmd, "$", problem)
            unreadable.__cause__ = fault.__cause__
            return self._judged(unreadable, HTTPStatus.OK)
        silence_counts = self._caller.transport.silence_counts
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
        at = datetime.fromtimestamp(self._caller.clock.time(), UTC)
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
        caller, options = self._caller, self._options
        if self._outcome is Outcome.STALE_TOKEN and not self._renewed:
            self._renewed = True
            caller.signer.renew(proof)
            return 0.0
        roll = caller.clock.roll()
        made = self._attempts - self._renewed  # the one with the stale token does not count
        wait = decide(self._row, self._outcome, error, made, options.max_attempts, roll)
        left = self._started + options.deadline - caller.clock.monotonic()
        if wait is None or wait > left or not caller.retries.take():
            return None
        if self._file is not None and not await self._file.restart():
            return None
        return wait

    def _accepted(self, result: R, reservation: "Reservation | None") -> R:
        """Enter an accepted call in the books, and tell what was predicted beside what came."""
        if not isinstance(result, SendSmsMessageResult | A2PSendSmsResult):
            self._report(None)
            return result
        if reservation is not None:
            reservation.settle(_taken(result, self._numbers))
        if result.fragments_count != result.predicted_fragments_count:
            logger.warning(
                "%s: the service counted %d fragments where %d were predicted",
                self._row.cmd,
                result.fragments_count,
                result.predicted_fragments_count,
            )
        self._report(None, fragments_count=result.fragments_count)
        return result

    def _tell_attempt(self, error: VoxSmsError | None) -> None:
        self._untold = False
        hook = self._caller.hooks.on_attempt
        if hook is None:
            return
        seconds = self._caller.clock.monotonic() - self._began
        name, code = _named(error)
        tell(hook, AttemptEvent(self._row.cmd, self._attempts, self._outcome, seconds, name, code))

    def _report(
        self,
        error: VoxSmsError | None,
        *,
        cancelled: bool = False,
        fragments_count: int | None = None,
    ) -> None:
        """Tell the log and the hooks how the call ended."""
        if self._untold:
            self._tell_attempt(error)
        seconds = self._caller.clock.monotonic() - self._started
        logger.info(
            "%s: %s, %d attempt(s), %.0f ms",
            self._row.cmd,
            self._outcome.value,
            self._attempts,
            seconds * 1000,
        )
        hook = self._caller.hooks.on_outcome
        if hook is None:
            return
        name, code = _named(error)
        event = CallEvent(
            self._row.cmd,
            self._attempts,
            self._outcome,
            seconds,
            name,
            code,
            cancelled,
            error if isinstance(error, OutcomeUnknown) else None,
            self._predicted,
            fragments_count,
        )
        tell(hook, event)


def _form_body(form: Form) -> bytes:
    """Write fields as `application/x-www-form-urlencoded`; their names are plain ASCII words."""
    # Most values are digits or words: to see that they need no quoting is ten times cheaper.
    fields = [
        f"{name}={value if value.isascii() and value.isalnum() else quote_plus(value)}"
        for name, value in form.items()
    ]
    return "&".join(fields).encode()


def _named(error: VoxSmsError | None) -> tuple[str | None, int | None]:
    """Give an error's class and code, which is all that hooks see of it."""
    cause = error.__cause__ if isinstance(error, OutcomeUnknown) else error
    code = cause.code if isinstance(cause, ApiError) else None
    return (None if error is None else type(error).__name__), code


def _taken(
    result: SendSmsMessageResult | A2PSendSmsResult, numbers: tuple[str, ...]
) -> tuple[str, ...]:
    """Give the numbers that a send was accepted for."""
    if isinstance(result, SendSmsMessageResult):
        return numbers
    return tuple(message.destination_number for message in result.result)
