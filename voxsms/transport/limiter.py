"""The limiter that stands before every transport of ours, so that nothing queues inside a library.

What waits here has not been sent: that is known without asking anyone.
"""

import anyio

from voxsms.transport.seam import FaultKind, TransportFault

CONNECTIONS = 50
"""How many connections a client opens at the most: a burst costs less on few, and a call that takes
0.1 s still leaves 500 a second."""


class Limiter:
    """Lets so many exchanges through at a time; made inside a running event loop, at first use."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free: anyio.Semaphore | None = None

    async def enter(self, limit: float) -> None:
        """Wait for a place, at most `limit` seconds. Raises `TransportFault`."""
        if self._free is None:
            self._free = anyio.Semaphore(self._most, fast_acquire=True)
        try:
            self._free.acquire_nowait()
        except anyio.WouldBlock:
            await self._wait(self._free, limit)

    async def _wait(self, free: "anyio.Semaphore", limit: float) -> None:
        with anyio.move_on_after(limit):
            await free.acquire()
            return
        raise TransportFault(FaultKind.TIMEOUT, f"no connection was free within {limit:g} s")

    def leave(self) -> None:
        """Give the place to the next."""
        if self._free is not None:
            self._free.release()
