"""Connections, each for one call at a time, and the event loops that they belong to.

A pool shared by all calls is expensive in httpx: it looks through all its connections at each
request (a burst of 1,000 calls on 100 connections takes 13 to 19 s), and a call cancelled at the
wrong moment leaves a dead connection in it that is never used or closed. So a call has a connection
to itself, and a connection whose call did not end well is discarded. A limiter in front keeps
requests from queueing inside the library: a call that waits here has not been sent.

Idle connections fail: a server may close one at the moment a request leaves on it. A read can be
repeated; a send cannot. So a send uses only a connection used a moment ago, or a new one.

A client may serve one `asyncio.run` after another, several threads, or the child of a fork. A
connection opened in one event loop cannot be used in another: each loop has its own, closed when
the loop ends, or with the client.
"""

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, Protocol, TypeVar

import anyio
import attrs
from anyio.lowlevel import current_token

from voxsms.clock import Clock, Moment
from voxsms.transport._seam import Evidence, FaultKind, Phase, Request, TransportFault

CONNECTIONS = 50
"""The most connections that a client opens: a burst costs less on few, and with calls that take
0.1 s they still allow 500 a second."""
READ_REUSE = 30.0
"""Seconds that a connection may have been idle for a call that can be repeated."""
SEND_REUSE = 0.5
"""Seconds that a connection may have been idle for a call that cannot.

Servers close an idle connection after whole seconds, at least one: that leaves half a second for
the request to arrive.
"""
CLOSE_LIMIT = 2.0
"""Seconds that closing may take."""


class Closable(Protocol):
    """Anything that holds connections."""

    async def aclose(self) -> None:
        """Close them."""
        ...


C = TypeVar("C", bound=Closable)


class PerLoop(Generic[C]):
    """Holds one object for each event loop, created on first use."""

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._held: dict[object, tuple[C, AsyncGenerator[None]]] = {}
        self._closed = False

    async def here(self) -> C:
        """Return the object of the running loop.

        Raises:
            TransportFault: the transport was closed.
        """
        self.refuse_if_closed()
        loop = _running_loop()
        if loop not in self._held:
            self._drop_closed_loops()
            thing = self._make()
            closer = self._close_with_loop(loop, thing)
            self._held[loop] = thing, closer
            await anext(closer)
        return self._held[loop][0]

    async def _close_with_loop(self, loop: object, thing: C) -> AsyncGenerator[None]:
        """Close an object: a loop that ends first closes the generators started in it."""
        try:
            yield
        finally:
            self._held.pop(loop, None)
            await thing.aclose()

    def _drop_closed_loops(self) -> None:
        """Drop the objects of loops that ended without closing their generators.

        Nothing can be awaited in those loops any more; the garbage collector closes the sockets.
        """
        for loop in [*self._held]:
            if getattr(loop, "is_closed", bool)():
                self._held.pop(loop, None)

    def refuse_if_closed(self) -> None:
        """Raise a `TransportFault` if the transport was closed."""
        if self._closed:
            raise TransportFault(FaultKind.CONNECTION, "the client was closed")

    async def aclose(self) -> None:
        """Close the object of the running loop, and refuse all later use."""
        self._closed = True
        self._drop_closed_loops()
        _, closer = self._held.pop(_running_loop(), (None, None))
        if closer is not None:
            await closer.aclose()


def _running_loop() -> object:
    token: Any = current_token()
    return getattr(token, "native_token", token)  # before anyio 4.11 it was the token itself


class Limiter:
    """Limits how many exchanges run at a time; its semaphore is created on first use, in a loop."""

    def __init__(self, max_exchanges: int) -> None:
        self._max_exchanges = max_exchanges
        self._free: anyio.Semaphore | None = None

    async def acquire(self, limit: float) -> None:
        """Wait until there is room, at most `limit` seconds.

        Raises:
            TransportFault: there was no room in time.
        """
        if self._free is None:
            self._free = anyio.Semaphore(self._max_exchanges, fast_acquire=True)
        try:
            self._free.acquire_nowait()
        except anyio.WouldBlock:
            await self._wait(self._free, limit)

    async def _wait(self, free: "anyio.Semaphore", limit: float) -> None:
        with anyio.move_on_after(limit):
            await free.acquire()
            return
        raise TransportFault(FaultKind.TIMEOUT, f"no connection was free within {limit:g} s")

    def release(self) -> None:
        """Make room for the next exchange."""
        if self._free is not None:
            self._free.release()


@attrs.define
class _Slot(Generic[C]):
    """One connection, or room for one, and when it was last used."""

    connection: C
    last_used: Moment


class Pool(Generic[C]):
    """Lends connections, the most recently used first, so that no more than needed stay open."""

    def __init__(self, connect: Callable[[], C], max_connections: int, clock: Clock) -> None:
        self._of_loop = PerLoop(lambda: _LoopPool(connect, max_connections, clock))

    @asynccontextmanager
    async def borrow(self, request: Request, evidence: Evidence) -> AsyncGenerator[C]:
        """Wait for a connection and hold it for one exchange.

        Raises:
            TransportFault: none was free in time, or none can be opened.
        """
        evidence.wait()
        pool = await self._of_loop.here()
        await pool.limiter.acquire(request.timeouts.pool)
        try:
            slot = await pool.take(SEND_REUSE if request.charges else READ_REUSE)
            try:
                self._of_loop.refuse_if_closed()  # closed while this call waited
                evidence.reach(Phase.HANDED_OVER)
                yield slot.connection
            except BaseException:
                # Whatever happened, even cancellation: the connection's state is unknown.
                await _discard(slot)
                raise
            await pool.give_back(slot)
        finally:
            pool.limiter.release()

    async def aclose(self) -> None:
        """Close every idle connection of this loop; those in use close when their calls end."""
        await self._of_loop.aclose()


class _LoopPool(Generic[C]):
    """The connections of one event loop."""

    def __init__(self, connect: Callable[[], C], max_connections: int, clock: Clock) -> None:
        self.limiter = Limiter(max_connections)
        self._connect = connect
        self._clock = clock
        self._idle: deque[_Slot[C]] = deque()
        self._closed = False

    async def take(self, reuse: float) -> _Slot[C]:
        """Return a connection that was used in the last `reuse` seconds, or a new one."""
        now = Moment.now(self._clock)
        while self._idle and not self._idle[0].last_used.is_within(READ_REUSE, now):
            await _discard(self._idle.popleft())
        now = Moment.now(self._clock)  # closing took time
        if self._idle and self._idle[-1].last_used.is_within(reuse, now):
            return self._idle.pop()
        if self._idle:
            # All are too old for this call: drop one, so that there are never too many.
            await _discard(self._idle.popleft())
        return _Slot(self._connect(), now)

    async def give_back(self, slot: _Slot[C]) -> None:
        """Keep a connection for the next call, unless the pool is closed."""
        if self._closed:
            await _discard(slot)
            return
        slot.last_used = Moment.now(self._clock)
        self._idle.append(slot)

    async def aclose(self) -> None:
        """Close every idle connection."""
        self._closed = True
        while self._idle:
            await _discard(self._idle.pop())


async def _discard(slot: _Slot[C]) -> None:
    # Closing must complete even if the call was cancelled, and must not hang on a peer that does
    # not answer; an error while closing helps nobody.
    with anyio.move_on_after(CLOSE_LIMIT, shield=True), suppress(Exception):
        await slot.connection.aclose()
