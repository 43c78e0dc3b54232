"""The service's time: believed as far as its answers and this machine's clock bear it out."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from doubles import KEY, NOW, SENT, SMS, CountingSigner, FakeClock, Scripted, answer
from hypothesis import given
from hypothesis import strategies as st

from voxsms import Client, OutcomeUnknown
from voxsms.calls.service_clock import ServiceClock
from voxsms.transport import FaultKind, TransportFault


def at(seconds: float, clock: FakeClock | None = None) -> str:
    """Write the time as a `Date` header has it, so many seconds from now."""
    passed = clock.passed if clock else 0
    return format_datetime(NOW + timedelta(seconds=seconds + passed), usegmt=True)


IMPOSSIBLE = [
    "",
    "garbage",
    "Mon, ",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Sun, 22 Nov 2150 12:00:00 GMT",
]


@pytest.mark.parametrize("header", IMPOSSIBLE)
def test_an_impossible_date_teaches_nothing(header: str) -> None:
    """The time is as unknown as before, and the best guess is this machine's."""
    clock = ServiceClock(FakeClock())
    clock.learn(header, 0.1)
    assert clock.now() is None
    assert clock.best() == NOW.timestamp()


@pytest.mark.parametrize("header", [*IMPOSSIBLE, at(-7200), at(7200), at(-86400 * 365)])
def test_one_odd_date_among_others_teaches_nothing(header: str) -> None:
    """Nor does one every now and then."""
    clock = ServiceClock(FakeClock())
    clock.learn(at(90), 0.1)
    for _ in range(3):
        clock.learn(header, 0.1)
        assert clock.now() == clock.best() == pytest.approx(NOW.timestamp() + 90, abs=1)
        clock.learn(at(90), 0.1)


@pytest.mark.parametrize("off", [-86400 * 365 * 5, -7200, 7200, 86400 * 365 * 5])
def test_a_time_far_from_this_machines_is_known_when_it_was_told_twice(off: int) -> None:
    """Before that it is the best guess: a token for this machine's time would be refused."""
    clock = ServiceClock(FakeClock())
    clock.learn(at(off), 0.1)
    assert clock.now() is None
    assert clock.best() == pytest.approx(NOW.timestamp() + off, abs=1)
    clock.learn(at(off), 0.1)
    assert clock.now() == clock.best()


def test_an_odd_first_date_gives_way_to_one_that_this_machine_agrees_with() -> None:
    """Two against one."""
    clock = ServiceClock(FakeClock())
    clock.learn(at(-7200), 0.1)
    clock.learn(at(30), 0.1)
    assert clock.now() == pytest.approx(NOW.timestamp() + 30, abs=1)


def test_of_two_odd_dates_neither_is_known() -> None:
    """The last is the best guess."""
    clock = ServiceClock(FakeClock())
    clock.learn(at(-7200), 0.1)
    clock.learn(at(-20000), 0.1)
    assert clock.now() is None
    assert clock.best() == pytest.approx(NOW.timestamp() - 20000, abs=1)


def test_a_service_whose_clock_was_set_is_believed_the_second_time() -> None:
    """When two answers in a row say so."""
    clock = ServiceClock(FakeClock())
    clock.learn(at(0), 0.1)
    clock.learn(at(-7200), 0.1)
    assert clock.now() == NOW.timestamp()
    clock.learn(at(-7200), 0.1)
    assert clock.now() == pytest.approx(NOW.timestamp() - 7200, abs=1)


def test_an_odd_date_is_believed_at_once_if_a_token_was_refused_by_it() -> None:
    """Refused for its age: the next token has to be of the time that the service goes by."""
    clock = ServiceClock(FakeClock())
    clock.confirm()
    assert clock.now() is None
    clock.learn(at(0), 0.1)
    clock.learn(at(-7200), 0.1)
    clock.confirm()
    assert clock.now() == pytest.approx(NOW.timestamp() - 7200, abs=1)


@pytest.mark.parametrize("by", [-86400, -4000, -10, 10, 4000, 86400])
def test_when_this_machines_clock_was_set_the_time_is_not_known(by: int) -> None:
    """Until the next answer tells it, also in the same second."""
    machine = FakeClock()
    clock = ServiceClock(machine)
    clock.learn(at(0), 0.1)
    machine.now += by
    assert clock.now() is None
    clock.learn(at(0), 0.1)
    clock.learn(at(0), 0.1)
    assert clock.now() == pytest.approx(NOW.timestamp(), abs=1.5)


def test_time_goes_on_while_nothing_is_learned() -> None:
    """By this machine's clock."""
    machine = FakeClock()
    clock = ServiceClock(machine)
    clock.learn(at(90), 0.1)
    machine.passed += 100_000
    assert clock.now() == pytest.approx(NOW.timestamp() + 100_090, abs=1)


@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.sampled_from(IMPOSSIBLE),
                st.datetimes().map(format_datetime),
                st.datetimes(timezones=st.timezones()).map(format_datetime),
                st.text(),
            ),
            st.floats(0, 1000),
            st.floats(-1e11, 1e11),
        )
    )
)
def test_whatever_is_told_the_guess_is_a_time(told: list[tuple[str, float, float]]) -> None:
    """Of which a `datetime` can be made, however this machine's clock is set meanwhile."""
    machine = FakeClock()
    clock = ServiceClock(machine)
    for header, took, by in told:
        machine.now += by
        clock.learn(header, took)
        assert datetime.fromtimestamp(clock.best(), UTC).tzinfo is UTC


@pytest.mark.parametrize("header", IMPOSSIBLE)
async def test_no_date_turns_a_doubt_into_a_defect(header: str) -> None:
    """A doubt stays a doubt with a time, and the next token is for a time that can be."""
    auth = CountingSigner()
    gone = TransportFault(FaultKind.CONNECTION, "gone")
    script = Scripted(answer(SENT, headers={"date": header}), gone)
    client = Client(auth, transport=script, clock=FakeClock())
    await client.send_sms_message(**SMS)
    with pytest.raises(OutcomeUnknown) as caught:
        await client.send_sms_message(**SMS)
    assert caught.value.at == NOW
    assert auth.signed == [NOW.timestamp()] * 2
    assert KEY.api_key not in str(caught.value)


@pytest.mark.parametrize(
    ("told", "is_proven"),
    [([], False), ([0], True), ([1], True), ([3], False), ([0, 45, 0], False), ([7200] * 2, False)],
)
def test_a_time_is_proven_if_the_service_and_this_machine_agreed_all_along(
    told: list[int], *, is_proven: bool
) -> None:
    """Else either may be wrong: two gateways in turn, one of them with a wrong clock."""
    clock = ServiceClock(FakeClock())
    for off in told:
        clock.learn(at(off), 0.1)
    assert clock.is_proven() is is_proven
    if is_proven:
        clock.learn(at(86400), 0.1)  # a single odd one is not believed
        assert clock.is_proven()
        clock.confirm()
        assert not clock.is_proven()
