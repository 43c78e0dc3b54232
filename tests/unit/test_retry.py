"""What became of an attempt, whether another is made, and how little an outage is multiplied."""

import math
from collections.abc import Callable

import anyio
import attrs
import pytest
from doubles import KEY, NOW, FakeClock, answer
from hypothesis import given
from hypothesis import strategies as st

from voxsms.api import spec
from voxsms.api.codec import Answer
from voxsms.api.fault_codes import CODES, Outcome
from voxsms.api.spec import AnyMethod
from voxsms.calls.loop import (
    BASE_DELAY,
    MAX_DELAY,
    MAX_NAMED_DELAY,
    RULES,
    Attempt,
    Finding,
    Raised,
    Repeat,
    RetryBudget,
    delay_after,
    judge,
)
from voxsms.client import Client
from voxsms.errors import (
    ApiError,
    ConnectionFailed,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RequestRefused,
    ResponseInvalid,
    ServerFault,
    TimedOut,
)
from voxsms.transport import Evidence, FaultKind, Phase, Request, TransportFault

SEND, READ = spec.SEND_SMS_MESSAGE, spec.GET_SMS_HISTORY
CHARGING = (spec.SEND_SMS_MESSAGE, spec.A2P_SEND_SMS)
EVERY = (*CHARGING, spec.CONTROL_SMS, READ)
Failure = TransportFault | ApiError | ResponseInvalid

# Transcribed from the contract, section 4, and from the issues: what each code says of a request.
IN_DOUBT = {1, 2, 4, 5, 14, 484, 515}
COME_BACK = {162, 314, 340, 416}
STALE = {455, 456}
EXPECTED = (
    dict.fromkeys(IN_DOUBT, Outcome.UNKNOWN)
    | dict.fromkeys(COME_BACK, Outcome.REFUSED_RETRYABLE)
    | dict.fromkeys(STALE, Outcome.STALE_TOKEN)
)
ALL_CODES = sorted({*CODES, 9999})
by_method = pytest.mark.parametrize("row", EVERY, ids=lambda row: row.cmd)


def error_of(code: int, retry_after: float | None = None) -> ApiError:
    """Return the error that the service's code is read as."""
    kind = CODES[code].error if code in CODES else ApiError
    return kind(code, "NAME", "msg", "Method", retry_after)


def attempt_at(row: AnyMethod, phase: Phase = Phase.READING, status: int = 200) -> Attempt:
    """Return an attempt that came as far as a phase."""
    return Attempt(row, ("447443332212",), Evidence(phase), True, NOW.timestamp(), status)


def unreadable(path: str) -> ResponseInvalid:
    """Return an answer that cannot be read at a path."""
    return ResponseInvalid("M", path, "problem")


@pytest.mark.parametrize("code", ALL_CODES)
def test_every_code_has_the_outcome_that_the_contract_gives_it(code: int) -> None:
    """A code listed as unknown, wait or token is that; each other, unlisted too, is a refusal."""
    outcome = judge(attempt_at(SEND), error_of(code)).outcome
    assert outcome is EXPECTED.get(code, Outcome.REFUSED)


@pytest.mark.parametrize("code", ALL_CODES)
@by_method
def test_every_code_is_repeated_only_where_that_cannot_send_twice(
    code: int, row: AnyMethod
) -> None:
    """What asks to come back is repeated for all, a server fault for what charges nothing."""
    error = error_of(code)
    expected = Repeat.RENEWED if code in STALE else Repeat.NO
    if code in COME_BACK or (isinstance(error, ServerFault) and not row.charges):
        expected = Repeat.YES
    assert judge(attempt_at(row), error).repeat is expected


@pytest.mark.parametrize("code", [0, 340, 101, 456])
@by_method
def test_a_5xx_leaves_a_request_in_doubt_whatever_its_body_says(code: int, row: AnyMethod) -> None:
    """A gateway that answers 5xx is not believed when its body calls it a refusal."""
    verdict = judge(attempt_at(row, status=502), error_of(code))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.repeat is Repeat.NO
    assert isinstance(verdict.error, OutcomeUnknown) == row.charges


@by_method
def test_http_429_is_a_refusal_for_now(row: AnyMethod) -> None:
    """Too many requests, without a code of the service, means: not processed, come back."""
    error = RateLimited(0, "HTTP_429", "too many requests", "M", 3.0)
    verdict = judge(attempt_at(row, status=429), error)
    assert (verdict.outcome, verdict.repeat) == (Outcome.REFUSED_RETRYABLE, Repeat.YES)
    assert verdict.error is error


@pytest.mark.parametrize(
    ("failure", "repeat"),
    [
        (TransportFault(FaultKind.CONNECTION, "broke"), Repeat.YES),
        (TransportFault(FaultKind.TIMEOUT, "late"), Repeat.YES),
        (TransportFault(FaultKind.UNREADABLE, "damaged"), Repeat.YES),
        (unreadable("$"), Repeat.YES),  # cut off, or a gateway's page
        (unreadable("result[3].cost"), Repeat.NO),  # the service's own: it will say so again
        (ServerFault(0, "HTTP_503", "", "M"), Repeat.YES),
        (RequestRefused(484, "HTTP_REQUEST_REJECTED", "", "M"), Repeat.NO),
        (ApiError(0, "UNLISTED", "", "M"), Repeat.NO),
    ],
)
def test_a_reading_in_doubt_is_repeated_where_that_may_help(
    failure: Failure, repeat: Repeat
) -> None:
    """Connection faults, 5xx and cut answers are; what the service said on purpose is not."""
    of_send = judge(attempt_at(SEND), failure)
    assert (of_send.outcome, of_send.repeat) == (Outcome.UNKNOWN, Repeat.NO)
    assert isinstance(of_send.error, OutcomeUnknown)
    assert of_send.error.sent == "maybe"
    of_reading = judge(attempt_at(READ), failure)
    assert (of_reading.outcome, of_reading.repeat) == (Outcome.UNKNOWN, repeat)
    assert not isinstance(of_reading.error, OutcomeUnknown)


@pytest.mark.parametrize("kind", [FaultKind.CONNECTION, FaultKind.TIMEOUT])
@by_method
def test_what_did_not_leave_was_not_sent(row: AnyMethod, kind: FaultKind) -> None:
    """It is repeated for all; a send is told `NotSent`, another call what went wrong."""
    cause = OSError("unreachable")
    fault = TransportFault(kind, "no connection")
    fault.__cause__ = cause
    verdict = judge(attempt_at(row, Phase.CONNECTING), fault)
    assert (verdict.outcome, verdict.repeat) == (Outcome.NOT_SENT, Repeat.YES)
    other = TimedOut if kind is FaultKind.TIMEOUT else ConnectionFailed
    assert type(verdict.error) is (NotSent if row.charges else other)
    assert verdict.error.__cause__ is cause


def test_the_rule_covers_every_finding_and_never_sends_twice() -> None:
    """A send in doubt is never repeated, and only then is it told as a doubt."""
    assert set(RULES) == set(Finding)
    for finding, rule in RULES.items():
        in_doubt = rule.outcome is Outcome.UNKNOWN
        assert (rule.send.raises is Raised.DOUBT) == in_doubt, finding
        assert rule.other.raises is not Raised.DOUBT
        assert not in_doubt or rule.send.repeats is Repeat.NO


def test_delays_grow_and_are_spread() -> None:
    """Full jitter: from nothing to half a second, then twice that, up to eight seconds."""
    error = NotSent("M", "refused")
    delays = [delay_after(n, error, 1.0) for n in range(1, 8)]
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert delay_after(3, error, 0.0) == 0.0
    assert delay_after(1, error_of(340, 3.0), 0.0) == 3.0


failures = st.one_of(
    st.sampled_from(ALL_CODES).map(error_of),
    st.builds(error_of, st.sampled_from(sorted(COME_BACK)), st.floats(0, 1e9) | st.just(math.inf)),
    st.sampled_from([unreadable("$"), unreadable("result")]),
    st.sampled_from(FaultKind).map(lambda kind: TransportFault(kind, "p")),
)


@given(
    st.sampled_from(CHARGING),
    failures,
    st.sampled_from(Phase),
    st.sampled_from([200, 400, 429, 500, 503]),
)
def test_a_charged_call_is_never_repeated_in_doubt(
    row: AnyMethod, failure: Failure, phase: Phase, status: int
) -> None:
    """Whatever an attempt brought: what may be repeated was refused, or never left."""
    verdict = judge(attempt_at(row, phase, status), failure)
    assert (verdict.error.sent == "maybe") == (verdict.outcome is Outcome.UNKNOWN)
    if verdict.repeat is not Repeat.NO:
        assert verdict.error.sent == "no"
        assert isinstance(verdict.error, NotSent) or status < 500


@given(failures, st.integers(1, 100_000), st.floats(0, 1))
def test_a_wait_is_never_negative_nor_endless(failure: Failure, made: int, roll: float) -> None:
    """A server that names a year, or the ten thousandth attempt, gives no more than 68 s."""
    error = judge(attempt_at(READ), failure).error
    wait = delay_after(made, error, roll)
    assert 0 <= wait <= MAX_NAMED_DELAY + MAX_DELAY
    named = error.retry_after if isinstance(error, ApiError) else None
    assert wait >= min(named or 0, MAX_NAMED_DELAY)
    assert named is not None or wait <= BASE_DELAY * 2 ** min(made - 1, 4)


def test_a_verdict_is_made_of_what_is_given_alone() -> None:
    """The same attempt and failure are judged the same."""
    attempt, error = attempt_at(SEND), error_of(101)
    assert judge(attempt, error) == judge(attrs.evolve(attempt), error)


@given(st.lists(st.booleans(), max_size=300), st.integers(0, 20), st.floats(0, 1))
def test_the_bucket_is_never_overdrawn_nor_overfull(
    takes: list[bool], capacity: int, refund: float
) -> None:
    """However takes and successes mix, tokens stay between 0 and the capacity."""
    bucket = RetryBudget(capacity, refund)
    allowed = 0
    for take in takes:
        if take:
            allowed += bucket.take()
        else:
            bucket.put_back()
        assert 0 <= bucket.tokens <= capacity
    assert allowed <= capacity + refund * takes.count(False)


class Outage:
    """A service behind a gateway that answers 503 until the given moment."""

    name = "outage"
    reports_progress = True

    def __init__(self, over: Callable[[], bool]) -> None:
        self.over = over
        self.requests = 0

    async def send(self, request: Request, evidence: Evidence) -> Answer:  # noqa: ARG002
        """Fail or serve."""
        self.requests += 1
        evidence.phase = Phase.READING
        if self.over():
            return answer({"result": [], "total_count": 0})
        return answer(b"<html>down</html>", 503, {"content-type": "text/html"})

    async def aclose(self) -> None:
        """Have nothing to close."""


class Ticking(FakeClock):
    """Time that an orchestrator lets pass: sleepers wake when their moment has come."""

    def __init__(self) -> None:
        super().__init__()
        self.sleepers: list[tuple[float, anyio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        """Wait for the moment."""
        woken = anyio.Event()
        self.sleepers.append((self.passed + seconds, woken))
        await woken.wait()

    def tick(self, seconds: float) -> None:
        """Let time pass and wake whoever is due."""
        self.passed += seconds
        due = [sleeper for sleeper in self.sleepers if sleeper[0] <= self.passed]
        self.sleepers = [sleeper for sleeper in self.sleepers if sleeper[0] > self.passed]
        for _, woken in due:
            woken.set()


@pytest.mark.unmeasured
@pytest.mark.slow
async def test_an_outage_is_not_multiplied_and_the_first_call_after_it_succeeds() -> None:
    """200 callers, a read a second each, 503 for a minute: at most 1.05 x calls + the bucket."""
    clock = Ticking()
    outage = Outage(lambda: clock.passed >= 60)
    client = Client(KEY, transport=outage, clock=clock)
    calls = failures = 0

    async def caller() -> None:
        nonlocal calls, failures
        while clock.passed < 60:
            calls += 1
            began = clock.passed
            try:
                await client.get_sms_history(count=1)
            except ServerFault:
                failures += 1
            await clock.sleep(max(0.0, 1 - (clock.passed - began)))

    async with anyio.create_task_group() as callers:
        for _ in range(200):
            callers.start_soon(caller)
        while clock.passed < 60:
            await anyio.wait_all_tasks_blocked()
            clock.tick(0.25)
        during = outage.requests
        while clock.sleepers:
            await anyio.wait_all_tasks_blocked()
            clock.tick(0.25)
    assert failures >= 9_000
    assert during <= 1.05 * calls + RetryBudget().capacity
    assert (await client.get_sms_history(count=1)).total_count == 0
