"""A pool of exclusive connections: one call, one lane, and nothing else in it.

A pool shared by all calls costs httpx dearly: it looks through all its connections at each request
(a burst of 1,000 calls on 100 connections takes 13 to 19 s), and a call cancelled at the wrong
moment leaves a dead connection in it that no one will ever use or close. So each lane is a pool of
its own with room for one connection, a call has it to itself, and a lane whose call did not end
well is thrown away. A semaphore stands in front, so that nothing ever queues inside the library.

Connections die of age: a server closes an idle one at the same moment as a request leaves on it. A
read can be repeated; a send can not. So a send takes only a lane used a moment ago, or a new one.
"""

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

import anyio
import attrs

from voxsms.clock import Clock
from voxsms.transport.limiter import Limiter
from voxsms.transport.loops import Closable, PerLoop
from voxsms.transport.seam import Evidence, Phase, Request

READ_REUSE = 30.0
"""Seconds a connection may have been idle for a call that can be repeated."""
SEND_REUSE = 0.5
"""Seconds a connection may have been idle for a call that can not.

Servers close an idle connection after whole seconds, and one is the least: that leaves half a
second for the way there.
"""
CLOSE_LIMIT = 2.0
"""Seconds that closing may take."""


C = TypeVar("C", bound=Closable)


@attrs.define
class Lane(Generic[C]):
    """One connection, or room for one, and when it was last used."""

    connection: C
    last_used: "Moment"


@attrs.frozen
class Moment:
    """A point in time by both clocks: one of them stands still while the machine sleeps."""

    monotonic: float
    time: float

    @classmethod
    def now(cls, clock: Clock) -> "Moment":
        """Read the clocks."""
        return cls(clock.monotonic(), clock.time())

    def is_within(self, limit: float, of: "Moment") -> bool:
        """Whether another moment is at most so many seconds off, whichever clock is asked.

        A clock that was set, in whichever direction, proves no age.
        """
        return of.monotonic - self.monotonic <= limit and -limit <= of.time - self.time <= limit


class Lanes(Generic[C]):
    """Hands out lanes: the one used last first, so that no more stay open than are needed.

    Each event loop has its own.
    """

    def __init__(self, connect: Callable[[], C], most: int, clock: Clock) -> None:
        self._of_loop = PerLoop(lambda: _Lanes(connect, most, clock))

    @asynccontextmanager
    async def lane(self, request: Request, evidence: Evidence) -> AsyncGenerator[C]:
        """Wait for a free lane and have it for one exchange. Raises `TransportFault`."""
        evidence.wait()
        lanes = await self._of_loop.here()
        await lanes.limiter.enter(request.timeouts.pool)
        try:
            lane = await lanes.take(SEND_REUSE if request.charges else READ_REUSE)
            try:
                self._of_loop.refuse_if_closed()  # while this call waited
                evidence.reach(Phase.HANDED_OVER)
                yield lane.connection
            except BaseException:
                # Whatever happened, cancellation too: this connection is in no known state.
                await _discard(lane)
                raise
            await lanes.give_back(lane)
        finally:
            lanes.limiter.leave()

    async def aclose(self) -> None:
        """Close every idle connection of this loop; those in use are closed as their calls end."""
        await self._of_loop.aclose()


class _Lanes(Generic[C]):
    """The lanes of one event loop."""

    def __init__(self, connect: Callable[[], C], most: int, clock: Clock) -> None:
        self.limiter = Limiter(most)
        self._connect = connect
        self._clock = clock
        self._idle: deque[Lane[C]] = deque()
        self._closed = False

    async def take(self, reuse: float) -> Lane[C]:
        """Give a lane that was used in the last `reuse` seconds, or a new one."""
        now = Moment.now(self._clock)
        while self._idle and not self._idle[0].last_used.is_within(READ_REUSE, now):
            await _discard(self._idle.popleft())
        now = Moment.now(self._clock)  # to close took its time
        if self._idle and self._idle[-1].last_used.is_within(reuse, now):
            return self._idle.pop()
        if self._idle:
            # All are too old for this call: one goes, so that there are never more than `most`.
            await _discard(self._idle.popleft())
        return Lane(self._connect(), now)

    async def give_back(self, lane: Lane[C]) -> None:
        """Keep a lane for the next, unless there is to be none."""
        if self._closed:
            await _discard(lane)
            return
        lane.last_used = Moment.now(self._clock)
        self._idle.append(lane)

    async def aclose(self) -> None:
        """Close every idle connection."""
        self._closed = True
        while self._idle:
            await _discard(self._idle.pop())


async def _discard(lane: Lane[C]) -> None:
    # Closing must go through although the call was cancelled, and must not hang on a peer that
    # does not answer; what goes wrong while closing helps nobody.
    with anyio.move_on_after(CLOSE_LIMIT, shield=True), suppress(Exception):
        await lane.connection.aclose()
