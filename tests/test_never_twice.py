"""Never send twice, whatever happens in whatever order: calls, faults, cancellations, clock jumps.

hypothesis drives clients of all three transports against a sandbox, at random, and asks its ledger.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, ClassVar, TypeVar

import anyio
import attrs
from fault_matrix import METHODS, SHOWN, SOURCE, TRANSPORTS, Method
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from voxsms import CallEvent, Client, Timeouts
from voxsms.clock import Clock
from voxsms.errors import (
    ApiError,
    ConnectionFailed,
    NotSent,
    OutcomeUnknown,
    ResponseInvalid,
    TimedOut,
    VoxSmsError,
)
from voxsms.retry import Outcome
from voxsms.sandbox import KINDS, Sandbox, serve

T = TypeVar("T")
QUICK = Timeouts(connect=5, read=0.15, write=5, pool=5)
MOST_IN_FLIGHT = 12
Options = dict[str, object]
FAULTS: list[tuple[str, Options]] = [
    *((kind, Options()) for kind in KINDS if kind not in {"refuse", "slow", "drip", "error"}),
    ("refuse", {"seconds": 0.02}),
    ("slow", {"seconds": 0.01}),
    ("slow", {"seconds": 5}),
    ("drip", {"seconds": 0}),
    ("drip", {"seconds": 0.001}),
    *(("error", Options(code=code)) for code in (1, 100, 162, 314, 416, 455, 456)),
    *(("commit_then_error", Options(code=code)) for code in (4, 5, 14, 484, 515)),
    ("http_429", {"retry_after": 5}),
]


class Jumping(Clock):
    """Real time, moved at will; waits pass at once."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.wall = 0.0

    def time(self) -> float:
        """Give the time, as a machine whose clock is set now and then knows it."""
        return super().time() + self.ahead + self.wall

    def monotonic(self) -> float:
        """Give what has passed."""
        return super().monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.ahead += seconds
        await anyio.lowlevel.checkpoint()


@attrs.define(eq=False)
class Call:
    """A call under way or ended."""

    method: Method
    number: str
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    task: "asyncio.Task[None] | None" = None
    ended: object = None
    """The result or the error; None while it is under way, or if it was cancelled."""
    told: CallEvent | None = None
    """What the hook was told."""

    async def make(self, client: Client) -> None:
        """Make it, in a scope that can be cancelled."""
        with self.scope:
            try:
                self.ended = await self.method.ask(client, self.number)
            except VoxSmsError as error:
                self.ended = error

    def check(self, deliveries: int) -> None:
        """Compare what it ended with, and what the hook was told, with the ledger."""
        assert self.told is not None
        assert self.told.cancelled is (self.ended is None)
        kind = type(self.ended)
        if not self.method.charges:
            assert deliveries == 0
            allowed = (ConnectionFailed, TimedOut, ApiError, ResponseInvalid)
            assert not isinstance(self.ended, VoxSmsError) or isinstance(self.ended, allowed)
        elif self.told.outcome is Outcome.ACCEPTED:
            assert (deliveries, isinstance(self.ended, VoxSmsError)) == (1, False)
        elif self.told.outcome is Outcome.UNKNOWN:
            assert deliveries <= 1
            assert self.told.doubt is not None
            assert self.told.doubt.numbers == (self.number,)
            assert kind in {OutcomeUnknown, type(None)}
        else:
            assert deliveries == 0
            assert self.ended is None or isinstance(self.ended, NotSent | ApiError)


class NeverTwice(RuleBasedStateMachine):
    """The promise, and everything that could break it."""

    sandbox: ClassVar[Sandbox]
    steps: ClassVar[int] = 0
    numbers: ClassVar[Iterator[str]]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Jumping()
        self.calls: list[Call] = []
        self.clients: dict[str, Client] = {}
        self.run(self._open())

    async def _open(self) -> None:
        for kind, transport in TRANSPORTS.items():
            self.clients[kind] = Client(
                self.sandbox.auth,
                self.sandbox.url,
                transport=transport(),
                clock=self.clock,
                on_outcome=self._tell,
            )

    def _tell(self, event: CallEvent) -> None:
        task = asyncio.current_task()
        (call,) = (each for each in self.calls if each.task is task)
        assert call.told is None
        call.told = event

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the loop run until something is done; all that is under way goes on meanwhile."""
        type(self).steps += 1
        return self.runner.run(work)

    @property
    def under_way(self) -> list[Call]:
        """The calls that have not ended."""
        return [call for call in self.calls if call.task and not call.task.done()]

    async def _start(
        self, kind: str, method: Method, deadline: float, timeouts: Timeouts = QUICK
    ) -> Call:
        call = Call(method, next(self.numbers))
        self.calls.append(call)
        client = self.clients[kind].with_options(deadline=deadline, timeout=timeouts)
        call.task = asyncio.get_running_loop().create_task(call.make(client))
        await asyncio.sleep(0)
        return call

    @rule(
        kind=st.sampled_from(sorted(TRANSPORTS)),
        method=st.sampled_from(SHOWN + METHODS[:2] * 2),
        deadline=st.sampled_from([30, 30, 30, 0.02, 0.001]),
    )
    def call(self, kind: str, method: Method, deadline: float) -> None:
        """Begin a call; if too many are under way, wait for them first."""
        if len(self.under_way) >= MOST_IN_FLIGHT:
            self.settle()
        self.run(self._start(kind, method, deadline))

    @rule(
        fault=st.sampled_from(FAULTS),
        times=st.sampled_from([1, 1, 1, 2, 5]),
        method=st.sampled_from([None, None, *(method.cmd for method in SHOWN)]),
    )
    def fault(self, fault: tuple[str, Options], times: int, method: str | None) -> None:
        """Put a fault in the way of the requests to come."""
        kind, options = fault
        only = None if KINDS[kind].connecting else method
        self.sandbox.faults.add(kind, times=times, method=only, **options)
        self.run(asyncio.sleep(0))

    @rule()
    def mend(self) -> None:
        """Take all faults away."""
        self.sandbox.faults.clear()
        self.run(asyncio.sleep(0))

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.003, 0.01, 0.03]))
    def wait(self, seconds: float) -> None:
        """Let everything go on for a moment."""
        self.run(asyncio.sleep(seconds))

    @rule(back=st.integers(0, MOST_IN_FLIGHT), native=st.booleans(), twice=st.booleans())
    def cancel(self, back: int, native: bool, twice: bool) -> None:
        """Cancel one of the last calls, the way of asyncio or the way of anyio."""
        calls = self.calls[-1 - back : len(self.calls) - back]

        async def cancel() -> None:
            for call in calls * (1 + twice):
                if not native:
                    call.scope.cancel()
                elif call.task is not None:
                    call.task.cancel()
                await asyncio.sleep(0)

        self.run(cancel())

    @rule(seconds=st.sampled_from([0.3, 0.6, 3, 40, 800]))
    def age(self, seconds: float) -> None:
        """Let time pass at once: connections and tokens grow old."""
        self.clock.ahead += seconds
        self.sandbox.clock.advance(seconds)
        self.run(asyncio.sleep(0))

    @rule(seconds=st.sampled_from([-4000, -700, -3, 3, 700, 4000]))
    def set_own_clock(self, seconds: float) -> None:
        """Set the clock of the client's machine, which may have been wrong, or is now."""
        self.clock.wall += seconds
        self.run(asyncio.sleep(0))

    @rule(seconds=st.sampled_from([-4000, -3, 3, 4000]))
    def set_services_clock(self, seconds: float) -> None:
        """Set the clock of the service."""
        self.sandbox.clock.advance(seconds)
        self.run(asyncio.sleep(0))

    @rule()
    def settle(self) -> None:
        """Wait for all calls: each is to have ended in the truth."""
        tasks = [call.task for call in self.under_way if call.task]
        self.run(self._done(tasks))
        for call in self.calls:
            call.check(len(self.sandbox.ledger.to(call.number)))

    async def _done(self, tasks: list["asyncio.Task[None]"]) -> None:
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=10)
            assert not late

    @rule(kind=st.sampled_from(sorted(TRANSPORTS)), method=st.sampled_from(SHOWN))
    def works(self, kind: str, method: Method) -> None:
        """After whatever happened, once nothing is in its way a call comes to a good end."""
        self.settle()
        self.mend()
        call = self.run(self._start(kind, method, 30, Timeouts()))
        self.settle()
        assert not isinstance(call.ended, VoxSmsError), call.ended

    def teardown(self) -> None:
        """Look at every call once more, when nothing is under way any longer."""
        try:
            self.settle()
            self.mend()
            for client in self.clients.values():
                self.run(client.aclose())
            self.run(asyncio.sleep(0.005))
            self.settle()
        finally:
            self.runner.close()


def test_no_order_of_events_breaks_the_promise() -> None:
    """At least 2,000 steps at random: at most one delivery a call, and the truth told of each."""
    with serve(numbers=[SOURCE, "14155550100"], balance=10**6) as sandbox:
        NeverTwice.sandbox = sandbox
        NeverTwice.steps = 0
        NeverTwice.numbers = (f"4474{number:08d}" for number in range(1, 10**6))
        run_state_machine_as_test(
            NeverTwice,
            settings=settings(
                max_examples=25,
                stateful_step_count=100,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        assert NeverTwice.steps >= 2000
        assert sandbox.ledger.count > 50  # enough of them were sends that came through
