"""What voxsms adds to a request, in calls of Python functions: a figure that no noise moves."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from types import FrameType

import pytest
from calls import Call, Open, pairs
from raw_server import RawServer, serving

REQUESTS = 20
"""Of which the cheapest counts: an answer that comes in two parts costs more."""
ADDED = {"httpx": 50, "httpx2": 130, "aiohttp": 150}
"""At most; found were 28, 107 and 132 on Python 3.11, a few less on newer ones.

httpx's own client costs as much as all that voxsms does; httpx2's, and aiohttp, do less themselves.
"""


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    """Give a server in a thread of its own: only the client's thread is counted."""
    with serving(RawServer()) as server:
        yield server


class Counter:
    """Counts the functions of Python, coroutines that go on among them, that this thread calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _: FrameType, event: str, __: object) -> None:
        """Take one event."""
        self.calls += event == "call"

    async def during(self, call: Call) -> int:
        """Count during a call, and those that make the loop go round meanwhile."""
        self.calls, before = 0, sys.getprofile()
        sys.setprofile(self)
        try:
            await call()
        finally:
            sys.setprofile(before)
        return self.calls


async def count(open_: Open) -> int:
    """Count for a request on a connection that is there."""
    counter = Counter()
    async with AsyncExitStack() as stack:
        call = await open_(stack)
        await call()
        return min([await counter.during(call) for _ in range(REQUESTS)])


@pytest.mark.parametrize("library", ADDED)
def test_voxsms_adds_little_to_its_library(server: RawServer, library: str) -> None:
    """A call costs hardly more than the same request made with the library itself."""
    (pair,) = [pair for pair in pairs(server.url) if pair.library == library]
    raw, voxsms = asyncio.run(count(pair.raw)), asyncio.run(count(pair.voxsms))
    assert raw > 100  # it was counted
    assert voxsms - raw <= ADDED[library]


def test_aiohttp_takes_a_third_of_httpx(server: RawServer) -> None:
    """Who needs many times the throughput has it from the transport, voxsms included."""
    by_library = {pair.library: pair for pair in pairs(server.url)}
    quick = asyncio.run(count(by_library["aiohttp"].voxsms))
    assert quick * 3 <= asyncio.run(count(by_library["httpx"].raw))
