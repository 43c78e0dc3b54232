"""The pool and its limiter: who gets which connection, for how long, what is closed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from doubles import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from voxsms.transport import Evidence, FaultKind, Phase, Request, Timeouts, TransportFault
from voxsms.transport._pool import READ_REUSE, SEND_REUSE, Limiter, Pool


class Connection:
    """Counts its closings; `hang` and `fail` are ways of closing badly."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.closed = 0
        self.hang = False
        self.fail = False

    async def aclose(self) -> None:
        """Close."""
        self.closed += 1
        if self.fail:
            raise OSError("already gone")
        if self.hang:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()


class Probe:
    """Pool over counted connections, in driven time."""

    def __init__(self, most: int = 100) -> None:
        self.clock = FakeClock()
        self.made: list[Connection] = []
        self.pool = Pool(self.connect, most, self.clock)

    def connect(self) -> Connection:
        """Make the next connection."""
        self.made.append(Connection(len(self.made)))
        return self.made[-1]

    @property
    def open(self) -> list[int]:
        """The connections that were not closed."""
        return [c.number for c in self.made if not c.closed]

    async def use(self, *, charges: bool = False) -> int:
        """Make one exchange and say which connection it had."""
        async with self.pool.borrow(request(charges=charges), Evidence()) as connection:
            return connection.number

    @asynccontextmanager
    async def hold(self, count: int) -> AsyncIterator[None]:
        """Have so many connections at once."""
        async with anyio.create_task_group() as group:
            release = anyio.Event()

            async def holder() -> None:
                async with self.pool.borrow(request(), Evidence()):
                    await release.wait()

            for _ in range(count):
                group.start_soon(holder)
                await anyio.wait_all_tasks_blocked()
            yield
            release.set()


def request(*, charges: bool = False, pool: float = 5.0) -> Request:
    """Make a request that asks for a connection."""
    return Request("http://x/", {}, b"", charges=charges, timeouts=Timeouts(pool=pool))


async def test_the_lane_used_last_is_used_next() -> None:
    """No more connections stay in use than are needed at a time."""
    probe = Probe()
    async with probe.hold(3):
        pass
    probe.clock.passed += 0.1
    last = await probe.use()
    assert [await probe.use() for _ in range(5)] == [last] * 5
    assert len(probe.made) == 3


@pytest.mark.parametrize(
    ("charges", "idle", "again"),
    [
        (True, SEND_REUSE, True),
        (True, SEND_REUSE + 0.01, False),
        (False, READ_REUSE, True),
        (False, READ_REUSE + 0.01, False),
    ],
)
async def test_a_send_takes_only_a_connection_used_just_now(
    charges: bool, idle: float, again: bool
) -> None:
    """A server may close an idle connection as a request leaves on it: readings can repeat that."""
    assert SEND_REUSE <= 1 < READ_REUSE
    probe = Probe()
    await probe.use()
    probe.clock.passed += idle
    assert (await probe.use(charges=charges) == 0) == again
    assert probe.open == [0] if again else [1]


@pytest.mark.parametrize(
    ("moved", "again"), [(SEND_REUSE, True), (60.0, False), (-0.1, True), (-60.0, False)]
)
async def test_a_send_takes_no_connection_from_before_the_machine_slept(
    moved: float, again: bool
) -> None:
    """The clock that only goes forward stands still meanwhile; one that was set proves no age."""
    probe = Probe()
    await probe.use()
    probe.clock.now += moved
    assert (await probe.use(charges=True) == 0) == again


async def test_connections_that_are_too_old_for_anyone_are_closed() -> None:
    """What nobody will use again does not stay open."""
    probe = Probe()
    async with probe.hold(3):
        pass
    probe.clock.passed += READ_REUSE + 1
    assert await probe.use() == 3
    assert probe.open == [3]


async def test_a_send_among_old_connections_opens_one_and_closes_one() -> None:
    """There are never more connections than were allowed."""
    probe = Probe(most=3)
    async with probe.hold(3):
        pass
    probe.clock.passed += SEND_REUSE + 1
    assert await probe.use(charges=True) == 3
    assert len(probe.open) == 3


async def test_a_slow_closing_does_not_make_a_send_take_an_old_connection() -> None:
    """Age is looked at when the connection is taken, not before others were closed."""
    probe = Probe()
    async with probe.hold(1):
        async with probe.hold(1):
            pass
        probe.clock.passed += READ_REUSE + 1
    # Now 1 is too old, and 0 is fresh.

    async def slow() -> None:
        probe.clock.passed += SEND_REUSE + 1

    probe.made[1].aclose = slow  # type: ignore[method-assign]  # takes longer than 1 stays fresh
    assert await probe.use(charges=True) == 2


async def test_a_lane_whose_call_failed_is_thrown_away() -> None:
    """Its connection is in no known state."""
    probe = Probe()
    with pytest.raises(ZeroDivisionError):
        async with probe.pool.borrow(request(), Evidence()):
            raise ZeroDivisionError
    assert probe.open == []
    assert await probe.use() == 1


@pytest.mark.parametrize("native", [True, False], ids=["asyncio", "anyio"])
async def test_a_lane_whose_call_was_cancelled_is_thrown_away(native: bool) -> None:
    """Also then the connection is closed and the place is free for the next."""
    probe = Probe(most=1)

    async def call() -> None:
        async with probe.pool.borrow(request(), Evidence()):
            await anyio.sleep_forever()

    if native:
        task = asyncio.ensure_future(call())
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        with anyio.move_on_after(0.01):
            await call()
    assert probe.open == []
    assert await probe.use() == 1


async def test_a_closing_that_fails_or_hangs_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that does not answer a goodbye is left alone after a while."""
    monkeypatch.setattr("voxsms.transport._pool.CLOSE_LIMIT", 0.01)
    probe = Probe()
    async with probe.hold(2):
        probe.made[0].fail = probe.made[1].hang = True
    await probe.pool.aclose()
    assert probe.open == []


async def test_closing_closes_idle_lanes_now_and_those_in_use_later() -> None:
    """`aclose` cuts no call off, and leaves nothing open."""
    probe = Probe()
    async with probe.hold(3):
        async with probe.hold(2):
            pass
        assert len(probe.open) == 5
        await probe.pool.aclose()
        assert len(probe.open) == 3
    assert probe.open == []


async def test_a_wait_is_no_way_back() -> None:
    """A transport with two ways that has sent on one and waits for the other has sent."""
    probe = Probe(most=1)
    for reached, said in ((Phase.HANDED_OVER, Phase.QUEUED), (Phase.SENDING, Phase.SENDING)):
        evidence = Evidence(reached)
        async with probe.hold(1):
            with pytest.raises(TransportFault):
                async with probe.pool.borrow(request(pool=0.01), evidence):
                    raise AssertionError
        assert evidence.phase is said
    async with probe.pool.borrow(request(), evidence):
        assert evidence.phase is Phase.SENDING


async def test_evidence_moves_only_when_the_lane_is_given() -> None:
    """What waits for a connection has not been handed to anyone."""
    probe = Probe(most=1)
    evidence = Evidence()
    async with probe.hold(1):
        with pytest.raises(TransportFault) as caught:
            async with probe.pool.borrow(request(pool=0.01), evidence):
                raise AssertionError
        assert caught.value.kind is FaultKind.TIMEOUT
        assert caught.value.problem == "no connection was free within 0.01 s"
        assert evidence.phase is Phase.QUEUED
    given = Evidence()
    async with probe.pool.borrow(request(), given):
        assert given.phase is Phase.HANDED_OVER


steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0, 40)),
        st.tuples(st.just("hold"), st.integers(1, 6)),
        st.tuples(st.just("send"), st.booleans()),
        st.tuples(st.just("fail"), st.booleans()),
    ),
    max_size=12,
)


@given(steps, st.integers(1, 4))
def test_there_are_never_more_connections_than_allowed(
    moves: list[tuple[str, float]], most: int
) -> None:
    """However calls, failures and idle times mix, and no call is left waiting."""

    async def drive() -> None:
        probe = Probe(most)
        for move, value in moves:
            if move == "wait":
                probe.clock.passed += value
            elif move == "hold":
                async with probe.hold(int(value)):
                    assert len(probe.open) <= most
            elif move == "send":
                await probe.use(charges=bool(value))
            else:
                with pytest.raises(ZeroDivisionError):
                    async with probe.pool.borrow(request(charges=bool(value)), Evidence()):
                        raise ZeroDivisionError
            assert len(probe.open) <= most
        await probe.pool.aclose()
        assert probe.open == []

    anyio.run(drive)


async def test_the_limiter_lets_the_first_in_first() -> None:
    """Nobody who waits is overtaken for ever."""
    limiter = Limiter(1)
    order: list[int] = []
    await limiter.acquire(1)

    async def waits(number: int) -> None:
        await limiter.acquire(5)
        order.append(number)
        limiter.release()

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(waits, number)
            await anyio.wait_all_tasks_blocked()
        limiter.release()
    assert order == [0, 1, 2, 3, 4]


async def test_places_survive_cancellations_of_those_who_wait() -> None:
    """A place given to a call in the moment of its cancellation is not lost."""
    limiter = Limiter(2)
    await limiter.acquire(1)
    await limiter.acquire(1)
    tasks = [asyncio.ensure_future(limiter.acquire(5)) for _ in range(20)]
    await anyio.wait_all_tasks_blocked()
    limiter.release()
    limiter.release()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await limiter.acquire(1)
    await limiter.acquire(1)
    with pytest.raises(TransportFault):
        await limiter.acquire(0.001)


async def test_a_limiter_that_was_never_entered_can_be_left() -> None:
    """It does not exist before its first use, in whatever loop that is."""
    Limiter(1).release()
