"""One call: how often it is tried, how long it waits, and when it gives up."""

import pickle
from datetime import datetime, timedelta
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

from voxsms import Client, Timeouts
from voxsms.api import spec
from voxsms.api.codec import Answer
from voxsms.calls.auth import Proof
from voxsms.errors import (
    AuthenticationFailed,
    ConnectionFailed,
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

GONE = TransportFault(FaultKind.CONNECTION, "the server closed the connection")
PAGE = {"result": [], "total_count": 0}


def client_of(
    *turns: Turn,
    phase: Phase = Phase.READING,
    **options: Any,  # noqa: ANN401 - those of Client
) -> Client:
    """Give a client over a script, in driven time."""
    options.setdefault("clock", FakeClock())
    options.setdefault("transport", Scripted(*turns, phase=phase))
    return Client(options.pop("auth", KEY), **options)


def transport_of(client: Client) -> Scripted:
    """Give the script again."""
    assert isinstance(client.session.transport, Scripted)
    return client.session.transport


def slept(client: Client) -> list[float]:
    """Give the waits between attempts."""
    clock = client.session.clock
    assert isinstance(clock, FakeClock)
    return clock.slept


async def test_a_call_goes_out_as_a_form_with_the_proof_of_who_sends_it() -> None:
    """The documented address, a form in UTF-8, nothing empty, credentials, who speaks."""
    client = client_of(answer(), base_url="http://127.0.0.1:1/")
    sent = await client.send_sms_message(
        source="+44 7443 332211", destination="447443332212", sms_body="10 € & more = ?"
    )
    assert (sent.message_id, sent.fragments_count, sent.predicted_fragments_count) == (1861, 1, 1)
    request = transport_of(client).requests[0]
    assert request.url == "http://127.0.0.1:1/platform_api/SendSmsMessage/"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["User-Agent"].startswith("voxsms/")
    assert request.charges
    assert transport_of(client).forms == [
        {
            "source": "447443332211",
            "destination": "447443332212",
            "sms_body": "10 € & more = ?",
            "account_id": "1",
            "api_key": "k-of-the-tests",
        }
    ]
    assert b"%E2%82%AC" in request.body


async def test_a_request_shows_nothing_of_what_it_carries() -> None:
    """Neither key, number nor text is in the `repr` of what transports are given."""
    client = client_of(answer())
    await client.send_sms_message(**SMS)
    shown = repr(transport_of(client).requests[0])
    assert not any(secret in shown for secret in (KEY.api_key, *SMS.values()))


@pytest.mark.parametrize("code", [455, 456])
async def test_a_stale_token_is_replaced_once(code: int) -> None:
    """455 and 456 are refusals: the token is minted anew and a send goes out again, at once."""
    auth = CountingSigner()
    client = client_of(refusal(code), answer(), auth=auth, max_attempts=1)
    assert (await client.send_sms_message(**SMS)).message_id == 1861
    tokens = [r.headers["Authorization"] for r in transport_of(client).requests]
    assert tokens == ["Bearer t1", "Bearer t2"]
    assert slept(client) == [0.0]


async def test_a_stale_token_is_not_replaced_twice() -> None:
    """If the new one is refused too, that is what the caller learns, without a third request."""
    auth = CountingSigner()
    client = client_of(refusal(456), auth=auth)
    with pytest.raises(AuthenticationFailed) as caught:
        await client.send_sms_message(**SMS)
    assert caught.value.code == 456
    assert caught.value.sent == "no"
    assert len(transport_of(client).requests) == 2
    assert len(auth.renewed) == 1


async def test_a_key_that_can_not_be_replaced_is_not_tried_again() -> None:
    """An API key has no age: the service's word is raised after one request."""
    client = client_of(refusal(456))
    with pytest.raises(AuthenticationFailed):
        await client.get_account_info()
    assert len(transport_of(client).requests) == 1


async def test_replacing_tokens_takes_from_the_bucket_of_retries_too() -> None:
    """A service that calls every token stale is not met with twice the calls for ever."""
    client = client_of(refusal(456), auth=CountingSigner())
    for _ in range(150):
        with pytest.raises(AuthenticationFailed):
            await client.get_account_info()
    assert len(transport_of(client).requests) == 150 + 100


async def test_the_attempt_with_the_stale_token_does_not_count() -> None:
    """`max_attempts` is what it was after a token was replaced."""
    client = client_of(
        refusal(340), refusal(456), refusal(340), answer(), auth=CountingSigner(), max_attempts=3
    )
    await client.send_sms_message(**SMS)
    assert len(transport_of(client).requests) == 4


async def test_a_code_that_says_come_back_is_waited_for() -> None:
    """162, 314 and 340 say that nothing was processed: sends too are tried again, later."""
    client = client_of(refusal(162), refusal(314), refusal(340), answer())
    assert (await client.send_sms_message(**SMS)).result == 1
    assert slept(client) == [0.5, 1.0, 2.0]


async def test_attempts_end_at_the_most_that_is_allowed() -> None:
    """After `max_attempts` the service's refusal is raised as it came."""
    client = client_of(refusal(340), max_attempts=3)
    with pytest.raises(RateLimited, match="340 RATE_LIMIT_EXCEED"):
        await client.send_sms_message(**SMS)
    assert len(transport_of(client).requests) == 3


LATER = format_datetime(NOW + timedelta(seconds=7), usegmt=True)
SOONER = format_datetime(NOW + timedelta(seconds=2), usegmt=True)


@pytest.mark.parametrize(
    ("refused", "wait"),
    [
        (answer(b"slow down", 429, {"retry-after": "3"}), 3.0),
        (answer(b"slow down", 429, {"retry-after": LATER}), 7.0),
        (answer(b"slow down", 429, {"retry-after": LATER, "date": SOONER}), 5.0),
        (answer(b"slow down", 429, {"retry-after": LATER, "date": "garbage"}), 7.0),
        (answer(b"slow down", 429, {"retry-after": "86400"}), 60.0),
        (answer(b"slow down", 429, {"retry-after": "soon"}), 0.0),
        (refusal(416, "Retry later in 12 seconds"), 12.0),
        (refusal(416, "Retry later"), 0.0),
        (answer(b"<html>", 503, {"retry-after": "2"}), 2.0),
    ],
    ids=[
        "seconds",
        "date",
        "date by its own clock",
        "date by ours",
        "a day",
        "a word",
        "code 416",
        "416 without",
        "503",
    ],
)
async def test_the_wait_that_the_service_names_is_kept(refused: Answer, wait: float) -> None:
    """`Retry-After` in both forms and the seconds in 416's text, at most a minute."""
    client = client_of(refused, answer(PAGE), clock=FakeClock(rolled=0.0), deadline=600)
    await client.get_sms_history()
    assert slept(client) == [wait]


async def test_a_wait_longer_than_what_is_left_is_not_begun() -> None:
    """If the service names more than the deadline leaves, its refusal is raised at once."""
    client = client_of(refusal(416, "in 55 seconds"), deadline=50)
    with pytest.raises(RateLimited) as caught:
        await client.send_sms_message(**SMS)
    assert caught.value.retry_after == 55
    assert slept(client) == []
    assert len(transport_of(client).requests) == 1


async def test_the_deadline_counts_all_attempts_together() -> None:
    """Three waits of 20 s do not fit into 50 s: the third is not begun."""
    client = client_of(refusal(416, "in 20 seconds"), clock=FakeClock(rolled=0.0), deadline=50)
    with pytest.raises(RateLimited):
        await client.get_account_info()
    assert slept(client) == [20.0, 20.0]


async def test_an_empty_bucket_ends_retries() -> None:
    """When a client's retries are used up, an error is raised after its first attempt."""
    client = client_of(answer(b"", 503), max_attempts=1000, deadline=1e9)
    with pytest.raises(ServerFault):
        await client.get_account_info()
    with pytest.raises(ServerFault):
        await client.get_account_info()
    assert len(transport_of(client).requests) == 100 + 1 + 1


async def hangs(_request: Request, _evidence: Evidence) -> Answer:
    """Never answer."""
    await anyio.sleep_forever()
    raise AssertionError


async def test_a_deadline_before_the_first_byte_means_not_sent() -> None:
    """A send that waited for a connection until its deadline can not have been delivered."""
    client = client_of(hangs, phase=Phase.QUEUED, deadline=0.01)
    with pytest.raises(NotSent, match=r"the deadline of 0\.01 s was reached") as caught:
        await client.send_sms_message(**SMS)
    assert caught.value.sent == "no"


@pytest.mark.parametrize("phase", [Phase.SENDING, Phase.WAITING, Phase.READING])
async def test_a_deadline_after_the_first_byte_means_unknown(phase: Phase) -> None:
    """Once bytes may have left, a deadline says nothing of the message."""
    client = client_of(hangs, phase=phase, deadline=0.01)
    with pytest.raises(OutcomeUnknown) as caught:
        await client.send_sms_message(**SMS)
    assert caught.value.phase == phase.words
    assert len(transport_of(client).requests) == 1


async def test_a_deadline_of_a_reading_is_a_timeout() -> None:
    """What charges nothing is `TimedOut`, which Python's `TimeoutError` catches too."""
    client = client_of(hangs, deadline=0.01)
    with pytest.raises(TimeoutError) as caught:
        await client.get_account_info()
    assert isinstance(caught.value, TimedOut)
    assert caught.value.sent == "no"


async def test_a_deadline_while_the_token_is_minted_means_not_sent() -> None:
    """Nothing left the machine while it was still signing."""

    class Slow(CountingSigner):
        async def sign(self, now: float) -> Any:  # noqa: ARG002, ANN401 - never gives one
            await anyio.sleep_forever()

    client = client_of(answer(), auth=Slow(), deadline=0.01)
    with pytest.raises(NotSent):
        await client.send_sms_message(**SMS)
    assert transport_of(client).requests == []


async def test_a_deadline_between_attempts_keeps_what_the_last_one_brought() -> None:
    """A send refused for now and then out of time was not sent; the refusal is its cause."""

    class Sleepy(FakeClock):
        async def sleep(self, seconds: float) -> None:  # noqa: ARG002 - longer than the deadline
            await anyio.sleep_forever()

    client = client_of(refusal(340), clock=Sleepy(rolled=0.0), deadline=0.01)
    with pytest.raises(NotSent) as caught:
        await client.send_sms_message(**SMS)
    assert isinstance(caught.value.__cause__, RateLimited)


async def test_a_send_whose_connection_was_never_made_is_tried_again() -> None:
    """Nothing left the machine: to try again is safe, and what is raised at last says so."""
    refused = TransportFault(FaultKind.CONNECTION, "no connection could be made")
    client = client_of(refused, refused, answer(A2P_SENT), phase=Phase.CONNECTING)
    assert (await client.a2p_send_sms(**A2P)).failed == ()
    client = client_of(refused, phase=Phase.CONNECTING)
    with pytest.raises(NotSent, match="A2PSendSms: no connection could be made"):
        await client.a2p_send_sms(**A2P)
    assert len(transport_of(client).requests) == 4


class Own(Scripted):
    """A user's transport, which delivers and breaks, and tells nothing of its way."""

    async def send(self, request: Request, evidence: Evidence) -> Answer:  # noqa: ARG002 - untouched
        """Deliver and break."""
        self.requests.append(request)
        raise TransportFault(FaultKind.TIMEOUT, "late")


async def test_a_transport_that_tells_nothing_of_its_way_proves_nothing() -> None:
    """One delivery, and a doubt: not four, and then "not sent"."""
    client = client_of(transport=Own(answer(), reports_progress=False))
    with pytest.raises(OutcomeUnknown):
        await client.send_sms_message(**SMS)
    assert len(transport_of(client).requests) == 1


@pytest.mark.parametrize(
    "error",
    [
        RateLimited(340, "RATE_LIMIT_EXCEED", "", "SendSmsMessage"),
        NotSent("SendSmsMessage", "so it says"),
        InvalidRequest("SendSmsMessage", ()),
    ],
)
async def test_an_error_of_voxsms_out_of_a_transport_says_nothing_of_the_message(
    error: VoxSmsError,
) -> None:
    """It is some other call's; what this one came to is judged by its own evidence."""
    client = client_of(refusal(340), error)
    with pytest.raises(OutcomeUnknown, match=f"{type(error).__name__} was raised") as caught:
        await client.send_sms_message(**SMS)
    assert caught.value.__cause__ is error
    assert len(transport_of(client).requests) == 2
    reading = client_of(error, max_attempts=1)
    with pytest.raises(ConnectionFailed):
        await reading.get_account_info()


@pytest.mark.parametrize("reports_progress", [True, False])
async def test_silence_is_evidence_only_of_a_transport_of_voxsms(reports_progress: bool) -> None:
    """A library that said nothing proves something only where voxsms set it up."""
    script = Scripted(GONE, phase=Phase.HANDED_OVER, reports_progress=reports_progress)
    client = client_of(transport=script)
    with pytest.raises(NotSent if reports_progress else OutcomeUnknown) as caught:
        await client.send_sms_message(**SMS)
    assert caught.value.sent == ("no" if reports_progress else "maybe")
    assert len(script.requests) == (4 if reports_progress else 1)


async def test_a_connection_reported_as_failed_is_evidence_from_anyone() -> None:
    """Also of a user's own client: what could not connect did not send."""

    async def refuse(_: Request, evidence: Evidence) -> Answer:
        evidence.phase, evidence.connect_failed = Phase.CONNECTING, True
        raise GONE

    client = client_of(transport=Scripted(refuse, reports_progress=False))
    with pytest.raises(NotSent):
        await client.send_sms_message(**SMS)


@pytest.mark.parametrize("kind", [FaultKind.CONNECTION, FaultKind.TIMEOUT])
async def test_a_reading_recovers_from_faults(kind: FaultKind) -> None:
    """What charges nothing is simply read again."""
    fault = TransportFault(kind, "broke")
    client = client_of(fault, answer(b"{", 200), answer(b"", 502), answer(PAGE))
    assert (await client.get_sms_history()).total_count == 0
    assert len(transport_of(client).requests) == 4


async def test_control_sms_recovers_too() -> None:
    """To enable a number twice is to enable it: repeated like a reading."""
    client = client_of(GONE, answer({"result": 1}), phase=Phase.WAITING)
    assert (await client.control_sms(phone_number="447443332211", command="enable")).result == 1


async def test_a_new_attempt_is_judged_by_its_own_evidence() -> None:
    """That the last attempt reached the service says nothing of the next, which never connected."""

    async def queued(_: Request, evidence: Evidence) -> Answer:
        evidence.phase = Phase.QUEUED
        raise TransportFault(FaultKind.TIMEOUT, "no connection was free")

    client = client_of(refusal(340), queued, max_attempts=2)
    with pytest.raises(NotSent):
        await client.send_sms_message(**SMS)


async def test_a_closed_client_says_so() -> None:
    """Calls after `aclose` are refused before anything is sent, those of a view too."""
    client = client_of(answer())
    async with client:
        view = client.with_options(max_attempts=1)
    for closed in (client, view):
        with pytest.raises(InvalidRequest, match=r"client: is closed.*Nothing was sent"):
            await closed.send_sms_message(**SMS)
    assert transport_of(client).requests == []
    assert transport_of(client).closed == 1


@pytest.mark.parametrize("waits_for", ["backoff", "token"])
async def test_a_call_that_waits_is_not_sent_once_its_client_is_closed(waits_for: str) -> None:
    """When `aclose` has come back, nothing more goes out: `NotSent`, with what came before."""
    woken = anyio.Event()

    class Sleepy(FakeClock):
        async def sleep(self, seconds: float) -> None:  # noqa: ARG002 - until woken
            await woken.wait()

    class Slow(CountingSigner):
        async def sign(self, now: float) -> Proof:
            if waits_for == "token":
                await woken.wait()
            return await super().sign(now)

    client = client_of(refusal(340), answer(), clock=Sleepy(), auth=Slow())
    ended: list[VoxSmsError] = []

    async def send() -> None:
        with pytest.raises(NotSent, match="the client was closed") as caught:
            await client.send_sms_message(**SMS)
        ended.append(caught.value)

    async with anyio.create_task_group() as group:
        group.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        await client.aclose()
        woken.set()
    assert len(transport_of(client).requests) == (1 if waits_for == "backoff" else 0)
    assert isinstance(ended[0].__cause__, RateLimited) == (waits_for == "backoff")


async def test_an_attempt_that_ends_after_the_client_is_closed_is_the_last() -> None:
    """The caller learns what it came to, at once."""

    async def close(_request: Request, _evidence: Evidence) -> Answer:
        await client.aclose()
        return refusal(340)

    client = client_of(close)
    with pytest.raises(RateLimited):
        await client.send_sms_message(**SMS)
    assert slept(client) == []


async def test_the_services_clock_is_learnt_from_its_answers() -> None:
    """Tokens are signed for its time; what can not be read as a date teaches nothing."""
    auth = CountingSigner()
    ahead = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    level = format_datetime(NOW + timedelta(seconds=1), usegmt=True)
    dates = [{"date": ahead}, {"date": "garbage"}, {}, {"date": ahead}, {"date": level}]
    turns = [answer(SENT, headers=headers) for headers in dates]
    client = client_of(*turns, answer(), auth=auth)
    for _ in range(6):
        await client.send_sms_message(**SMS)
    offsets = [signed - NOW.timestamp() for signed in auth.signed]
    assert offsets == [0, 90.5, 90.5, 90.5, 90.5, 1.5]
    assert client.session.service_clock.best() == NOW.timestamp() + 1.5


@pytest.mark.parametrize(("ahead", "took"), [(-1, 0.0), (1, 0.0), (0, 1.0), (0, 20.0), (19, 20.0)])
async def test_a_clock_is_not_set_by_what_a_slow_answer_can_not_tell(
    ahead: int, took: float
) -> None:
    """A second is `Date`'s own coarseness, and it was written at some moment of the exchange."""

    async def slow(_request: Request, _evidence: Evidence) -> Answer:
        date = NOW + timedelta(seconds=ahead)
        clock.passed += took
        return answer(PAGE, headers={"date": format_datetime(date, usegmt=True)})

    clock = FakeClock()
    client = client_of(slow, clock=clock)
    await client.get_sms_history()
    assert client.session.service_clock.best() == NOW.timestamp() + took


async def test_a_slow_answer_does_not_undo_what_a_quick_one_told() -> None:
    """What is known better stays."""

    async def slow(_request: Request, _evidence: Evidence) -> Answer:
        date = {"date": format_datetime(clock_of_service(), usegmt=True)}
        clock.passed += 10
        return answer(PAGE, headers=date)

    def clock_of_service() -> datetime:
        return NOW + timedelta(seconds=5 + clock.passed)

    clock = FakeClock()
    quick = answer(PAGE, headers={"date": format_datetime(clock_of_service(), usegmt=True)})
    client = client_of(quick, slow, clock=clock)
    await client.get_sms_history()
    await client.get_sms_history()
    assert client.session.service_clock.best() - clock.time() == 5.5


async def test_a_clock_that_is_set_is_noticed_in_the_same_second() -> None:
    """The service's `Date` is still the same text, but this machine's time is another."""
    auth = CountingSigner()
    same = {"date": format_datetime(NOW, usegmt=True)}
    client = client_of(answer(SENT, headers=same), auth=auth)
    await client.send_sms_message(**SMS)
    clock = client.session.clock
    assert isinstance(clock, FakeClock)
    clock.now -= 4000
    await client.send_sms_message(**SMS)
    await client.send_sms_message(**SMS)
    assert [signed - NOW.timestamp() for signed in auth.signed] == [0, -4000, 0.5]


async def test_what_a_slow_answer_said_of_the_time_is_said_better_by_the_next() -> None:
    """When a slow answer was written is not known; that of a quick one of the same second is."""
    auth = CountingSigner()
    later = NOW + timedelta(seconds=300)
    date = {"date": format_datetime(later, usegmt=True)}
    clock = FakeClock()

    async def slow(_request: Request, _evidence: Evidence) -> Answer:
        clock.passed += 40
        return answer(SENT, headers=date)

    stale = answer({"error": {"code": 455, "msg": "future"}}, headers=date)
    client = client_of(slow, stale, answer(), auth=auth, clock=clock)
    await client.send_sms_message(**SMS)
    await client.send_sms_message(**SMS)
    assert [signed - later.timestamp() for signed in auth.signed] == [-300, 20.5, 0.5]


async def test_an_error_answer_teaches_the_clock_too() -> None:
    """456 comes from a clock that is off: the new token is for the right time."""
    auth = CountingSigner()
    behind = format_datetime(NOW - timedelta(hours=1), usegmt=True)
    stale = answer({"error": {"code": 455, "msg": "future"}}, headers={"date": behind})
    await client_of(stale, answer(), auth=auth).send_sms_message(**SMS)
    assert auth.signed[1] - auth.signed[0] == -3599.5


async def test_timeouts_reach_the_transport() -> None:
    """The four limits of a call are those that the client, or its view, was given."""
    client = client_of(answer(), timeout=Timeouts(connect=1, read=2, write=3, pool=4))
    await client.send_sms_message(**SMS)
    await client.with_options(timeout=9).send_sms_message(**SMS)
    given = [request.timeouts for request in transport_of(client).requests]
    assert given == [Timeouts(1, 2, 3, 4), Timeouts(9, 9, 9, 9)]


async def test_errors_that_are_the_callers_own_are_raised_themselves() -> None:
    """A refusal is raised with the service's words, its numbers masked, and nothing repeated."""
    client = client_of(refusal(423, "Bad destination 447443332212"))
    with pytest.raises(RequestRefused) as caught:
        await client.send_sms_message(**SMS)
    assert "447***212" in str(caught.value)
    assert "447443332212" not in str(caught.value) + repr(caught.value)
    assert caught.value.msg == "Bad destination 447443332212"
    assert len(transport_of(client).requests) == 1


ECHOES = {
    "Bad destination +44 7443 332212": "Bad destination +447***212",
    "Bad source 44-7443-332.211, (44) 7443332211": "Bad source 447***211, (447***211",
    "Invalid text 'See you'": "Invalid text '***'",
    "No account for key k-of-the-tests": "No account for key ***",
    "Store: true, result 1": "Store: ***, result 1",
    "Come back in 30 seconds": "Come back in 30 seconds",
}


@pytest.mark.parametrize("msg", ECHOES)
async def test_what_the_service_repeats_of_a_request_is_not_shown(msg: str) -> None:
    """Neither number nor text nor key, in whatever form; `.msg` has the service's own words."""
    client = client_of(refusal(508, msg))
    with pytest.raises(RequestRefused) as caught:
        await client.send_sms_message(**SMS, store_body=True)
    assert str(caught.value) == f"SendSmsMessage: 508 INVALID_TEXT: {ECHOES[msg]}"
    assert ECHOES[msg] in repr(caught.value)
    assert caught.value.msg == msg
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert str(again) == str(caught.value)


async def test_no_number_of_many_is_shown() -> None:
    """Each of those of an A2P send, and also where its refusal leaves a doubt."""
    numbers = ["447443332212", "447443332213"]
    client = client_of(refusal(2, "lost +44 7443 332212 and +44 7443 332213"))
    with pytest.raises(OutcomeUnknown) as caught:
        await client.a2p_send_sms(src_number="ACME", dst_numbers=numbers, text="See you")
    assert str(caught.value.__cause__).endswith("lost +447***212 and +447***213")


async def test_a_text_of_blanks_is_the_users_business() -> None:
    """The service takes it, so voxsms does: it goes out as it is."""
    client = client_of(answer())
    await client.send_sms_message(**(SMS | {"sms_body": "   "}))
    assert b"&sms_body=+++&" in transport_of(client).requests[0].body


async def test_an_answer_that_can_not_be_read_names_the_place() -> None:
    """A reading raises `ResponseInvalid` itself, once: a wrong record is wrong again."""
    client = client_of(answer({"result": [{"message_id": 1}], "total_count": 1}))
    with pytest.raises(ResponseInvalid) as caught:
        await client.get_sms_history()
    assert caught.value.path.startswith("result[0]")
    assert caught.value.sent == "no"
    assert len(transport_of(client).requests) == 1


async def test_an_answer_can_be_read_in_another_way() -> None:
    """Which is how the export takes the bytes of a page; all else is as for any call."""
    client = client_of(GONE, answer(PAGE))
    raw = await client.session.read(
        spec.GET_SMS_HISTORY, spec.GetSmsHistory(count=5), lambda a: a.body
    )
    assert raw == answer(PAGE).body
    assert transport_of(client).forms[1]["count"] == "5"
