"""What became of an attempt, whether another is made, and how little an outage is multiplied."""

import math
from collections.abc import Callable

import anyio
import pytest
from doubles import KEY, FakeClock, answer
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
    RetryBudget,
    decide,
    outcome_of_error,
)
from voxsms.client import Client
from voxsms.errors import (
    ApiError,
    ConnectionFailed,
    NotSent,
    RateLimited,
    RequestRefused,
    ResponseInvalid,
    ServerFault,
    TimedOut,
    VoxSmsError,
)
from voxsms.transport.seam import Evidence, Phase, Request

SEND, READ = spec.SEND_SMS_MESSAGE, spec.GET_SMS_HISTORY
CHARGING = (spec.SEND_SMS_MESSAGE, spec.A2P_SEND_SMS)

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


def error_of(code: int, retry_after: float | None = None) -> ApiError:
    """Give the error that the service's code is read as."""
    kind = CODES[code].error if code in CODES else ApiError
    return kind(code, "NAME", "msg", "Method", retry_after)


@pytest.mark.parametrize("code", ALL_CODES)
def test_every_code_has_the_outcome_that_the_contract_gives_it(code: int) -> None:
    """A code listed as unknown, wait or token is that; each other, unlisted too, is a refusal."""
    assert outcome_of_error(error_of(code), 200) is EXPECTED.get(code, Outcome.REFUSED)


@pytest.mark.parametrize("code", ALL_CODES)
@pytest.mark.parametrize("row", [*CHARGING, spec.CONTROL_SMS, READ], ids=lambda row: row.cmd)
def test_every_code_is_repeated_only_where_that_can_not_send_twice(
    code: int, row: AnyMethod
) -> None:
    """What asks to come back is repeated for all, a server fault for what charges nothing."""
    error = error_of(code)
    outcome = outcome_of_error(error, 200)
    repeated = decide(row, outcome, error, 1, 4, 1.0) is not None
    server_fault = isinstance(error, ServerFault)
    assert repeated == (code in COME_BACK or (server_fault and not row.charges))


@pytest.mark.parametrize("code", [0, 340, 101, 456])
def test_a_5xx_leaves_a_request_in_doubt_whatever_its_body_says(code: int) -> None:
    """A gateway that answers 5xx is not believed when its body calls it a refusal."""
    assert outcome_of_error(error_of(code), 502) is Outcome.UNKNOWN


def test_http_429_is_a_refusal_for_now() -> None:
    """Too many requests, without a code of the service, means: not processed, come back."""
    error = RateLimited(0, "HTTP_429", "too many requests", "M", 3.0)
    assert outcome_of_error(error, 429) is Outcome.REFUSED_RETRYABLE
    assert decide(SEND, Outcome.REFUSED_RETRYABLE, error, 1, 2, 0.0) == 3.0


def test_an_error_without_a_code_says_nothing_of_the_request() -> None:
    """An error object whose code can not be read could be any of them."""
    assert outcome_of_error(ApiError(0, "UNLISTED", "?", "M"), 200) is Outcome.UNKNOWN
    assert outcome_of_error(ResponseInvalid("M", "$", "no JSON"), 200) is Outcome.UNKNOWN


def unreadable(path: str) -> ResponseInvalid:
    """Give an answer that can not be read at a place."""
    return ResponseInvalid("M", path, "problem")


@pytest.mark.parametrize(
    ("error", "repeated"),
    [
        (ConnectionFailed("M", "broke"), True),
        (TimedOut("M", "late"), True),
        (unreadable("$"), True),  # cut off, or a gateway's page
        (unreadable("result[3].cost"), False),  # the service's own: it will say so again
        (ServerFault(0, "HTTP_503", "", "M"), True),
        (RequestRefused(484, "HTTP_REQUEST_REJECTED", "", "M"), False),
        (ApiError(0, "UNLISTED", "", "M"), False),
    ],
)
def test_a_reading_in_doubt_is_repeated_where_that_may_help(
    error: VoxSmsError, repeated: bool
) -> None:
    """Connection faults, 5xx and cut answers are; what the service said on purpose is not."""
    assert (decide(READ, Outcome.UNKNOWN, error, 1, 4, 1.0) is not None) == repeated
    assert decide(SEND, Outcome.UNKNOWN, error, 1, 4, 1.0) is None


def test_delays_grow_and_are_spread() -> None:
    """Full jitter: from nothing to half a second, then twice that, up to eight seconds."""
    error = NotSent("M", "refused")
    delays = [decide(SEND, Outcome.NOT_SENT, error, n, 99, 1.0) for n in range(1, 8)]
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert decide(SEND, Outcome.NOT_SENT, error, 3, 99, 0.0) == 0.0
    assert decide(SEND, Outcome.NOT_SENT, error, 4, 4, 0.0) is None


errors = st.one_of(
    st.sampled_from(ALL_CODES).map(error_of),
    st.builds(error_of, st.sampled_from(sorted(COME_BACK)), st.floats(0, 1e9) | st.just(math.inf)),
    st.sampled_from(
        [NotSent("M", "p"), ConnectionFailed("M", "p"), unreadable("$"), unreadable("result")]
    ),
)


@given(
    st.sampled_from(CHARGING),
    st.sampled_from([Outcome.UNKNOWN, Outcome.REFUSED, Outcome.ACCEPTED, Outcome.STALE_TOKEN]),
    errors,
    st.integers(1, 10),
    st.integers(1, 20),
    st.floats(0, 1),
)
def test_a_charged_call_is_never_repeated_in_doubt(
    row: AnyMethod, outcome: Outcome, error: VoxSmsError, made: int, most: int, roll: float
) -> None:
    """No error, however it looks, makes a send be repeated unless nothing can have been sent."""
    assert decide(row, outcome, error, made, most, roll) is None


@given(
    st.sampled_from([*CHARGING, READ, spec.CONTROL_SMS]),
    st.sampled_from(list(Outcome)),
    errors,
    st.integers(1, 100_000),
    st.integers(1, 100_000),
    st.floats(0, 1),
)
def test_a_wait_is_never_negative_nor_endless(
    row: AnyMethod, outcome: Outcome, error: VoxSmsError, made: int, most: int, roll: float
) -> None:
    """A server that names a year, or the ten thousandth attempt, gives no more than 68 s."""
    wait = decide(row, outcome, error, made, most, roll)
    if made >= most:
        assert wait is None
    if wait is not None:
        assert 0 <= wait <= MAX_NAMED_DELAY + MAX_DELAY
        named = error.retry_after if isinstance(error, ApiError) else None
        assert wait >= min(named or 0, MAX_NAMED_DELAY)
        assert named is not None or wait <= BASE_DELAY * 2 ** min(made - 1, 4)


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
    silence_counts = True

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
