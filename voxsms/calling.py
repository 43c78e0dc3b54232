"""One call: checked, proved, sent, judged, perhaps sent again, and entered in the books.

Everything a call knows of itself lives in `_Call`; what the calls of a client share in `Caller`.
"""

import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
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
    read_answer,
    read_payload,
    write_request,
)
from voxsms.api.models import A2PSendSmsResult, Output, SendSmsMessageResult
from voxsms.api.phone_numbers import digits_or_text
from voxsms.api.registry import Row
from voxsms.api.spec import Method, Target
from voxsms.api.wire import SEPARATOR
from voxsms.calls.auth import Proof, Signer
from voxsms.calls.download import TargetFile, open_target
from voxsms.calls.service_clock import ServiceClock
from voxsms.clock import Clock
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
from voxsms.hooks import Hooks, Telling, note
from voxsms.retry import Outcome, RetryBudget, decide, outcome_of_error
from voxsms.text.segments import count_fragments
from voxsms.transport.seam import (
    Evidence,
    FaultKind,
    Phase,
    Request,
    Timeouts,
    Transport,
    TransportFault,
    is_file,
)

if TYPE_CHECKING:
    from voxsms.pricing import Budget, Reservation

R = TypeVar("R")


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
            "Accept-Encoding": "gzip",
            "User-Agent": f"voxsms/{__version__} {transport.name}",
        }
        self.retries = RetryBudget()
        self.closed = False
        self.service_clock = ServiceClock(clock)

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
        form, file = self._checked(row, request), open_target(row.cmd, to)
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
        "_caller",
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
        "_telling",
    )

    def __init__(
        self,
        caller: Caller,
        row: Row,
        form: Form,
        options: Options,
        read: Callable[[Answer], R],
        file: TargetFile | None = None,
        predicted: int | None = None,
    ) -> None:
        self._caller = caller
        self._row = row
        self._form = form
        self._options = options
        self._read = read
        self._file = file
        self._telling = Telling(row.cmd, caller.hooks, caller.clock, predicted)
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
        return budget.reserve(self._form[sending.text], self._numbers, method=self._row.cmd)

    async def _until_decided(self) -> R:
        clock, signer = self._caller.clock, self._caller.signer
        while True:
            proof = await signer.sign(self._caller.service_clock.best())
            if self._caller.closed:  # while this call waited
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
                self._caller.retries.put_back()
                return result
            # From here on nothing is in doubt until the next attempt is.
            self._evidence, self._outcome = Evidence(), Outcome.NOT_SENT
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
        # From here on silence proves something only if the transport is one whose silence does.
        self._evidence.phase = Phase.HANDED_OVER
        try:
            answer = await caller.transport.send(request, self._evidence)
        except TransportFault as fault:
            found = self._unanswered(fault)
            raise found from found.__cause__ or fault.__cause__
        except VoxSmsError as error:  # no transport's to raise: it says nothing of this request
            raise self._interrupted(error) from error
        self._evidence.phase = Phase.READING
        caller.service_clock.learn(answer.headers.get("date", ""), self._telling.seconds)
        try:
            return self._read(answer)
        except (ApiError, ResponseInvalid) as error:
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
        at = datetime.fromtimestamp(self._caller.service_clock.best(), UTC)
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
        if caller.closed:
            return None
        if self._outcome is Outcome.STALE_TOKEN and not self._renewed:
            caller.service_clock.confirm()
            self._renewed = caller.signer.renew(proof) and caller.retries.take()
            return 0.0 if self._renewed else None
        roll = caller.clock.roll()
        made = self._telling.attempts - self._renewed  # that with the stale token does not count
        wait = decide(self._row, self._outcome, error, made, options.max_attempts, roll)
        left = self._telling.started + options.deadline - caller.clock.monotonic()
        if wait is None or wait > left or not caller.retries.take():
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


def _form_body(form: Form) -> bytes:
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
