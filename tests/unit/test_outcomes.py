"""What a caller, the hooks and the log learn of how a call ended, and that none of it leaks."""

import asyncio
import json
import logging
import pickle
from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import pytest
from doubles import (
    A2P,
    A2P_SENT,
    KEY,
    NOW,
    SENT,
    SMS,
    CountingSigner,
    FakeClock,
    Scripted,
    Turn,
    answer,
    refusal,
)

from voxsms import AttemptEvent, Budget, CallEvent, Client
from voxsms.api.codec import Answer
from voxsms.api.fault_codes import Outcome
from voxsms.calls.auth import Proof
from voxsms.calls.hooks import call_hook
from voxsms.errors import (
    ApiError,
    BudgetExceeded,
    ConnectionFailed,
    CredentialsInvalid,
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RequestRefused,
    ResponseInvalid,
    ServerFault,
    TimedOut,
    VoxSmsError,
)
from voxsms.transport import Evidence, FaultKind, Phase, Request, TransportFault

BROKE = TransportFault(FaultKind.CONNECTION, "the server closed the connection")
TOO_LARGE = TransportFault(FaultKind.UNREADABLE, "an answer of more than 32 MiB")
HTML = answer(b"<html>Bad Gateway</html>", 502, {"content-type": "text/html"})
CUT = answer(b'{"result": 1, "messag')
BOTH = answer({"result": 1, "error": {"code": 101, "msg": "?"}})
SECRETS = (KEY.api_key, "447443332211", "447443332212", "See you")


class Watched:
    """A client over a script, and everything its hooks were told, in order."""

    def __init__(
        self,
        *turns: Turn,
        phase: Phase = Phase.READING,
        **options: Any,  # noqa: ANN401 - those of Client
    ) -> None:
        self.events: list[AttemptEvent | CallEvent] = []
        options.setdefault("clock", FakeClock())
        self.transport = Scripted(*turns, phase=phase)
        self.client = Client(
            options.pop("auth", KEY),
            transport=self.transport,
            on_attempt=self.events.append,
            on_outcome=self.events.append,
            **options,
        )

    @property
    def call(self) -> CallEvent:
        """The one event of the call, which comes last."""
        calls = [event for event in self.events if isinstance(event, CallEvent)]
        assert calls == self.events[-1:]
        return calls[0]

    @property
    def attempts(self) -> list[AttemptEvent]:
        """Those of its attempts."""
        return [event for event in self.events if isinstance(event, AttemptEvent)]


def gateway(status: int) -> Answer:
    """Give a gateway's JSON, which has the status for a code; some are codes of the service too."""
    return answer({"error": {"code": status, "msg": "request timeout"}}, status)


IN_DOUBT: list[tuple[Turn, type[VoxSmsError], str, int | None]] = [
    *[(refusal(c), ApiError, f"the answer was {c} ", c) for c in (1, 2, 4, 5, 14, 484, 515)],
    (HTML, ServerFault, "the answer was HTTP_502", 0),
    (refusal(0), ApiError, "the answer was UNLISTED", 0),
    (answer({"error": {"code": 101, "msg": "x"}}, 500), RequestRefused, "the answer was 101", 101),
    (CUT, ResponseInvalid, "the answer could not be read", None),
    (BOTH, ResponseInvalid, "the answer could not be read", None),
    (answer(b""), ResponseInvalid, "the answer could not be read", None),
    (answer({"result": 1}), ResponseInvalid, "the answer could not be read", None),
    (answer(b"moved", 302), ResponseInvalid, "the answer could not be read", None),
    (gateway(408), ApiError, "the answer was HTTP_408", 0),
    (gateway(499), ApiError, "the answer was HTTP_499", 0),
    (gateway(504), ServerFault, "the answer was HTTP_504", 0),
    (TOO_LARGE, ResponseInvalid, "the answer could not be read", None),
]


@pytest.mark.parametrize(("turn", "cause", "said", "code"), IN_DOUBT)
async def test_an_answer_that_leaves_a_send_in_doubt_is_the_cause_of_the_doubt(
    turn: Turn, cause: type[VoxSmsError], said: str, code: int | None
) -> None:
    """`OutcomeUnknown` after one request; its `__cause__` is what the service answered."""
    watched = Watched(turn)
    with pytest.raises(OutcomeUnknown) as caught:
        await watched.client.send_sms_message(**SMS)
    assert caught.value.sent == "maybe"
    assert isinstance(caught.value.__cause__, cause)
    assert caught.value.__cause__.sent == "maybe"
    assert caught.value.problem.startswith(said)
    assert len(watched.transport.requests) == 1
    assert watched.call.outcome is Outcome.UNKNOWN
    assert watched.call.code == code
    assert watched.call.error == "OutcomeUnknown"
    assert watched.call.doubt is caught.value


@pytest.mark.parametrize(("turn", "cause", "said", "code"), IN_DOUBT)
async def test_the_same_answer_to_a_reading_is_raised_itself(
    turn: Turn, cause: type[VoxSmsError], said: str, code: int | None
) -> None:
    """What charges nothing is never in doubt: the same error, `.sent` is "no"."""
    watched = Watched(turn, max_attempts=1)
    with pytest.raises(cause) as caught:
        await watched.client.get_resource_price()
    assert not isinstance(caught.value, OutcomeUnknown)
    assert caught.value.sent == "no"
    assert watched.call.code == code
    assert said
    assert watched.call.doubt is None


async def test_a_gateways_429_is_waited_for_and_not_taken_for_a_code_of_the_service() -> None:
    """It is not the service's 429, an invalid resource type."""
    watched = Watched(gateway(429), answer())
    assert (await watched.client.send_sms_message(**SMS)).message_id == 1861
    assert [e.outcome for e in watched.attempts] == [Outcome.REFUSED_RETRYABLE, Outcome.ACCEPTED]


async def test_an_answer_that_can_not_be_read_is_not_kept_in_the_error() -> None:
    """It may be large or have secrets in it; the parser's own error would hold all of it."""
    watched = Watched(CUT)
    with pytest.raises(OutcomeUnknown) as caught:
        await watched.client.send_sms_message(**SMS)
    behind = caught.value.__cause__
    assert behind is not None
    assert behind.__cause__ is None
    assert behind.__suppress_context__ or behind.__context__ is None


async def test_a_fault_of_the_network_keeps_the_librarys_error_as_its_cause() -> None:
    """The cause is the library's own error, for whoever must know."""
    fault = TransportFault(FaultKind.CONNECTION, "broke")
    fault.__cause__ = OSError("reset")
    client = Watched(fault, max_attempts=1).client
    with pytest.raises(ConnectionFailed) as of_reading:
        await client.get_account_info()
    with pytest.raises(OutcomeUnknown) as of_send:
        await client.send_sms_message(**SMS)
    assert of_reading.value.__cause__ is of_send.value.__cause__ is fault.__cause__


async def test_a_doubt_says_what_when_how_far_and_whom() -> None:
    """`OutcomeUnknown` has the method, the time, the phase and the numbers, as data."""
    watched = Watched(BROKE, phase=Phase.WAITING)
    with pytest.raises(OutcomeUnknown) as caught:
        await watched.client.a2p_send_sms(
            src_number="ACME", dst_numbers=["+44 7443 332212", "447443332213"], text="See you"
        )
    doubt = caught.value
    assert doubt.method == "A2PSendSms"
    assert doubt.at == NOW
    assert doubt.at.tzinfo is UTC
    assert doubt.phase == "while waiting for the answer"
    assert doubt.numbers == ("447443332212", "447443332213")
    assert str(doubt) == (
        "A2PSendSms: the server closed the connection (while waiting for the answer). The message "
        "to 2 numbers may have been sent and charged: check the history before sending it again."
    )
    assert not any(secret in repr(doubt) for secret in SECRETS)
    again = pickle.loads(pickle.dumps(doubt))  # noqa: S301 - our own
    assert (again.numbers, again.at, again.sent) == (doubt.numbers, doubt.at, "maybe")


REFUSALS = (100, 101, 104, 127, 131, 190, 340, 386, 447, 506, 507, 509, 9999)


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_refusal_says_that_nothing_was_sent(code: int) -> None:
    """Every refusal of a send has `.sent == "no"`."""
    watched = Watched(refusal(code))
    with pytest.raises(ApiError) as caught:
        await watched.client.send_sms_message(**SMS)
    assert caught.value.sent == "no"
    assert caught.value.code == code
    assert watched.call.error == type(caught.value).__name__
    assert (watched.call.code, watched.call.doubt) == (code, None)


async def test_hooks_are_told_of_each_attempt_and_then_of_the_call() -> None:
    """Attempts in order with what became of each and how long it took, then the call."""
    watched = Watched(refusal(340), refusal(456), answer(), auth=CountingSigner())
    await watched.client.send_sms_message(**SMS)
    told = [(e.attempt, e.outcome, e.error, e.code) for e in watched.attempts]
    assert told == [
        (1, Outcome.REFUSED_RETRYABLE, "RateLimited", 340),
        (2, Outcome.STALE_TOKEN, "AuthenticationFailed", 456),
        (3, Outcome.ACCEPTED, None, None),
    ]
    assert watched.call == CallEvent(
        method="SendSmsMessage",
        attempts=3,
        outcome=Outcome.ACCEPTED,
        seconds=0.5,
        predicted_fragments_count=1,
        fragments_count=1,
        message_ids=(1861,),
    )
    assert [e.seconds for e in watched.attempts] == [0.0, 0.0, 0.0]


async def test_an_attempts_seconds_are_its_own() -> None:
    """Waits between attempts are in the call's time, not in an attempt's."""
    watched = Watched(refusal(340), answer())
    clock = watched.client.session.clock
    assert isinstance(clock, FakeClock)

    async def slow(_request: Request, _evidence: Evidence) -> Answer:
        clock.passed += 0.25
        return answer()

    watched.transport.turns[1] = slow
    await watched.client.send_sms_message(**SMS)
    assert [e.seconds for e in watched.attempts] == [0.0, 0.25]
    assert watched.call.seconds == 0.75


async def test_hooks_of_a_reading_are_told_no_fragments() -> None:
    """Only sends have a prediction."""
    watched = Watched(answer({"result": 1}))
    await watched.client.control_sms(phone_number="447443332212", command="enable")
    assert watched.call.predicted_fragments_count is None
    assert watched.call.fragments_count is None


async def test_a_hook_that_raises_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    """A message that was sent is not lost to a metric; the log has the kind of error only."""

    def broken(event: object) -> None:
        raise ZeroDivisionError(f"secret {event}")

    client = Client(KEY, transport=Scripted(answer()), on_attempt=broken, on_outcome=broken)
    assert (await client.send_sms_message(**SMS)).message_id == 1861
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == ["a hook raised ZeroDivisionError, which was ignored"] * 2


async def test_a_log_that_raises_does_no_harm() -> None:
    """Nor to a filter of the log, be it of the line of the call or of a hook's trouble."""

    class Broken(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise ZeroDivisionError(record.msg)

    def broken(_: object) -> None:
        raise ZeroDivisionError

    log, bad = logging.getLogger("voxsms"), Broken()
    level = log.level
    log.addFilter(bad)
    log.setLevel(logging.INFO)
    try:
        client = Client(KEY, transport=Scripted(answer()), on_outcome=broken)
        assert (await client.send_sms_message(**SMS)).message_id == 1861
    finally:
        log.removeFilter(bad)
        log.setLevel(level)


def test_no_hook_is_no_trouble() -> None:
    """Nobody has to watch."""
    assert call_hook(None, "event") is None  # type: ignore[func-returns-value]  # that it is nothing


async def test_a_hook_that_raises_does_not_hide_an_error() -> None:
    """The call's own error is what is raised."""

    def broken(_: object) -> None:
        raise ZeroDivisionError

    client = Client(KEY, transport=Scripted(BROKE), on_attempt=broken, on_outcome=broken)
    with pytest.raises(OutcomeUnknown):
        await client.send_sms_message(**SMS)


def hang_at(phase: Phase) -> Callable[[Request, Evidence], Awaitable[Answer]]:
    """Come to a phase and stay there."""

    async def hang(_: Request, evidence: Evidence) -> Answer:
        evidence.phase = phase
        await anyio.sleep_forever()
        raise AssertionError

    return hang


async def cancelled(watched: Watched, *, scope: bool) -> None:
    """Start a send and cancel it, the way of anyio or the way of asyncio."""
    if scope:
        with anyio.CancelScope() as all_of_it:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: watched.client.a2p_send_sms(**A2P))
                await anyio.wait_all_tasks_blocked()
                all_of_it.cancel()
        return
    task = asyncio.ensure_future(watched.client.a2p_send_sms(**A2P))
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("scope", [True, False], ids=["anyio", "asyncio"])
@pytest.mark.parametrize("phase", [Phase.SENDING, Phase.WAITING, Phase.READING])
async def test_a_call_cancelled_after_its_first_byte_is_reported_as_unknown(
    phase: Phase, scope: bool
) -> None:
    """The hooks get the doubt with its numbers, before the cancellation goes on its way."""
    watched = Watched(hang_at(phase))
    await cancelled(watched, scope=scope)
    assert watched.call.cancelled
    assert watched.call.outcome is Outcome.UNKNOWN
    doubt = watched.call.doubt
    assert doubt is not None
    assert doubt.numbers == ("447443332212",)
    assert doubt.problem == "the call was cancelled"
    assert [e.outcome for e in watched.attempts] == [Outcome.UNKNOWN]


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.HANDED_OVER, Phase.CONNECTING])
async def test_a_call_cancelled_before_its_first_byte_was_not_sent(phase: Phase) -> None:
    """The hooks are told so, and of no doubt."""
    watched = Watched(hang_at(phase))
    await cancelled(watched, scope=True)
    assert watched.call.cancelled
    assert watched.call.outcome is Outcome.NOT_SENT
    assert watched.call.doubt is None
    assert [e.error for e in watched.attempts] == ["NotSent"]


class Sleepy(FakeClock):
    """Never wakes."""

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002 - until cancelled
        """Sleep."""
        await anyio.sleep_forever()


async def test_a_call_cancelled_between_attempts_was_not_sent() -> None:
    """What was refused, and then waited, is told once as refused and the call as not sent."""
    watched = Watched(refusal(340), clock=Sleepy())
    await cancelled(watched, scope=True)
    assert [e.outcome for e in watched.attempts] == [Outcome.REFUSED_RETRYABLE]
    assert watched.call.outcome is Outcome.NOT_SENT
    assert watched.call.cancelled


ENABLE: dict[str, Any] = {"phone_number": "447443332211", "command": "enable"}


async def no_connection(_: Request, evidence: Evidence) -> Answer:
    """Find nobody."""
    evidence.phase = Phase.CONNECTING
    raise TransportFault(FaultKind.CONNECTION, "no connection could be made")


@pytest.mark.parametrize(
    ("then", "clock", "deadline"),
    [(no_connection, FakeClock(), 60.0), (answer(), Sleepy(rolled=0.01), 0.05)],
    ids=["no connection", "deadline"],
)
async def test_a_call_that_charges_nothing_is_in_doubt_if_any_attempt_was(
    then: Turn, clock: FakeClock, deadline: float
) -> None:
    """That the last attempt did not come through does not undo an earlier one."""
    watched = Watched(BROKE, then, clock=clock, deadline=deadline, max_attempts=2)
    with pytest.raises((ConnectionFailed, TimedOut)):
        await watched.client.control_sms(**ENABLE)
    assert watched.attempts[0].outcome is Outcome.UNKNOWN
    assert [e.outcome for e in watched.attempts[1:]] in ([], [Outcome.NOT_SENT])
    assert watched.call.outcome is Outcome.UNKNOWN
    assert watched.call.doubt is None


async def test_credentials_that_fail_after_a_stale_token_are_not_told_as_stale() -> None:
    """Nothing was sent; that is all there is to tell."""

    class Once(CountingSigner):
        async def sign(self, now: float) -> Proof:
            if self.renewed:
                raise CredentialsInvalid("private_key can not be read")
            return await super().sign(now)

    watched = Watched(refusal(456), auth=Once())
    with pytest.raises(CredentialsInvalid):
        await watched.client.send_sms_message(**SMS)
    assert [e.outcome for e in watched.attempts] == [Outcome.STALE_TOKEN]
    assert watched.call.outcome is Outcome.NOT_SENT


async def test_a_doubt_is_dated_by_the_services_clock() -> None:
    """Its history is searched by that."""
    date = {"date": format_datetime(NOW + timedelta(hours=1), usegmt=True)}
    watched = Watched(answer(headers=date), BROKE)
    await watched.client.send_sms_message(**SMS)
    with pytest.raises(OutcomeUnknown) as caught:
        await watched.client.send_sms_message(**SMS)
    assert caught.value.at == NOW + timedelta(hours=1, seconds=0.5)


@pytest.mark.parametrize(
    ("phase", "kind"), [(Phase.QUEUED, NotSent), (Phase.SENDING, OutcomeUnknown)]
)
async def test_a_send_ends_in_one_of_our_errors_whatever_a_transport_raises(
    phase: Phase, kind: type[VoxSmsError]
) -> None:
    """A defect of a transport says nothing of the message; its evidence does. Never repeated."""
    watched = Watched(ZeroDivisionError(), phase=phase)
    with pytest.raises(kind, match="ZeroDivisionError was raised") as caught:
        await watched.client.send_sms_message(**SMS)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert len(watched.transport.requests) == 1
    assert not watched.call.cancelled
    assert watched.call.error == kind.__name__


async def test_a_defect_under_a_reading_is_raised_as_it_is() -> None:
    """What charges nothing needs no other words: a full disk is an `OSError`."""
    watched = Watched(OSError("no space left"))
    with pytest.raises(OSError, match="no space left"):
        await watched.client.get_account_info()
    assert not watched.call.cancelled


async def test_credentials_that_can_not_be_used_are_reported_too() -> None:
    """No attempt was made, nothing was sent."""

    class Broken(CountingSigner):
        async def sign(self, now: float) -> Any:  # noqa: ARG002, ANN401 - gives none
            raise CredentialsInvalid("private_key can not be read")

    watched = Watched(answer(), auth=Broken())
    with pytest.raises(CredentialsInvalid):
        await watched.client.send_sms_message(**SMS)
    assert watched.attempts == []
    assert (watched.call.attempts, watched.call.error) == (0, "CredentialsInvalid")
    assert watched.call.outcome is Outcome.NOT_SENT


async def test_the_log_has_one_line_a_call_and_nothing_of_its_content(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Method, outcome, attempts and time at INFO; not a key, number or text at any level."""
    caplog.set_level(logging.DEBUG)
    watched = Watched(refusal(340, "for 447443332212"), answer())
    await watched.client.send_sms_message(**SMS)
    doubtful = Watched(BROKE)
    with pytest.raises(OutcomeUnknown):
        await doubtful.client.a2p_send_sms(**A2P)
    lines = [(r.name, r.levelname, r.getMessage()) for r in caplog.records if r.name == "voxsms"]
    assert lines == [
        ("voxsms", "INFO", "SendSmsMessage: accepted, 2 attempt(s), 500 ms"),
        ("voxsms", "INFO", "A2PSendSms: unknown, 1 attempt(s), 0 ms"),
    ]
    shown = caplog.text + repr(watched.events) + repr(doubtful.events) + repr(watched.client)
    assert not any(secret in shown for secret in SECRETS)


async def test_an_operator_searched_a_json_log(caplog: pytest.LogCaptureFixture) -> None:
    """The fields of a `CallEvent` stand on the record, as JSON has them, with no number or text."""
    caplog.set_level(logging.INFO)
    standard = {*vars(logging.makeLogRecord({})), "message"}
    watched = Watched(refusal(340, "for 447443332212"), answer())
    await watched.client.send_sms_message(**SMS)
    doubtful = Watched(BROKE)
    with pytest.raises(OutcomeUnknown):
        await doubtful.client.a2p_send_sms(**A2P)
    sent, doubt = (
        {name: value for name, value in vars(record).items() if name not in standard}
        for record in caplog.records
        if record.name == "voxsms"
    )
    assert json.loads(json.dumps(sent)) == {
        "method": "SendSmsMessage",
        "attempts": 2,
        "outcome": "accepted",
        "seconds": 0.5,
        "error": None,
        "code": None,
        "message_ids": [1861],
        "fragments_count": 1,
    }
    assert (doubt["outcome"], doubt["error"]) == ("unknown", "OutcomeUnknown")
    shown = json.dumps([sent, doubt])
    assert not any(secret in shown for secret in SECRETS)


async def test_a_send_that_a_budget_stopped_is_told_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A line and an event with no attempts; a request that can not be right is no call."""
    caplog.set_level(logging.INFO)
    watched = Watched(answer(), budget=Budget(max_fragments=1))
    with pytest.raises(BudgetExceeded):
        await watched.client.send_sms_message(**(SMS | {"sms_body": "x" * 161}))
    assert watched.attempts == []
    assert (watched.call.attempts, watched.call.outcome) == (0, Outcome.NOT_SENT)
    assert watched.call.error == "BudgetExceeded"
    lines = [r.getMessage() for r in caplog.records if r.name == "voxsms"]
    assert lines == ["SendSmsMessage: not sent, 0 attempt(s), 0 ms"]
    with pytest.raises(InvalidRequest):
        await watched.client.send_sms_message(**(SMS | {"sms_body": ""}))
    assert len(watched.events) == 1


async def test_fragments_counted_otherwise_are_logged_once_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The service's count and voxsms's prediction are both in the result, the log and the hook."""
    watched = Watched(answer(SENT | {"fragments_count": 3}))
    sent = await watched.client.send_sms_message(**SMS)
    assert (sent.fragments_count, sent.predicted_fragments_count) == (3, 1)
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == ["SendSmsMessage: the service counted 3 fragments where 1 were predicted"]
    assert watched.call.fragments_count == 3
    assert watched.call.predicted_fragments_count == 1


async def test_a_partial_success_is_a_value() -> None:
    """Refused numbers stand in the result; nothing is raised unless it is asked for."""
    failed = [{"destination_number": "44123456789", "error_description": "no", "error_code": 506}]
    watched = Watched(answer(A2P_SENT | {"failed": failed}))
    numbers = [*A2P["dst_numbers"], "44123456789"]
    result = await watched.client.a2p_send_sms(**(A2P | {"dst_numbers": numbers}))
    assert result.failed[0].error_code == 506
    assert watched.call.outcome is Outcome.ACCEPTED
    assert watched.call.error is None


async def test_not_sent_and_rate_limited_can_be_told_apart() -> None:
    """Both say "no"; one is about the way there, the other is the service's answer."""
    fault = TransportFault(FaultKind.CONNECTION, "no connection could be made")
    watched = Watched(fault, phase=Phase.CONNECTING, max_attempts=1)
    with pytest.raises(NotSent) as first:
        await watched.client.send_sms_message(**SMS)
    with pytest.raises(RateLimited) as second:
        await Watched(refusal(340), max_attempts=1).client.send_sms_message(**SMS)
    assert first.value.sent == second.value.sent == "no"
    assert watched.call.error == "NotSent"


async def test_a_log_needs_no_hook(caplog: pytest.LogCaptureFixture) -> None:
    """Who hooks nothing up reads how a call ended all the same."""
    caplog.set_level(logging.INFO)
    await Client(KEY, transport=Scripted(answer())).send_sms_message(**SMS)
    assert "SendSmsMessage: accepted, 1 attempt(s)" in caplog.text
