"""Connections that die of age: a send never leaves on one that the server is just closing."""

import asyncio
from collections.abc import Awaitable, Callable

import attrs
import pytest
from doubles import KEY, SMS, FakeClock
from raw_server import RawServer, serving

from voxsms import AttemptEvent, Client, Httpx2Transport, HttpxTransport
from voxsms.transport import Transport
from voxsms.transport._aiohttp import AiohttpTransport
from voxsms.transport._pool import SEND_REUSE

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

KINDS: dict[str, Callable[[], Transport]] = {
    "httpx": HttpxTransport,
    "httpx2": Httpx2Transport,
    "aiohttp": AiohttpTransport,
}
LIMIT = 1.0
"""Seconds: the shortest that servers are told."""
PAUSES = (LIMIT - 0.08, LIMIT - 0.05, LIMIT - 0.02)
CALLERS = 6
"""Few: what is told by time is told too late by a loop that is kept busy for half a second."""


async def send(client: Client) -> object:
    """Make a call that is not repeated."""
    return await client.send_sms_message(**SMS)


async def read(client: Client) -> object:
    """Make a call that is."""
    return await client.control_sms(phone_number="447443332211", command="enable")


@attrs.define
class Callers:
    """Many callers, each idle between its calls for just about as long as the server lets it."""

    attempts: int = 0
    unlucky: int = 0

    def _told(self, event: AttemptEvent) -> None:
        self.attempts += 1
        self.unlucky += event.error is not None

    async def run(self, kind: str, call: Callable[[Client], Awaitable[object]], url: str) -> None:
        """Make all calls; every one of them must come to a good end."""
        async with Client(KEY, url, transport=KINDS[kind](), on_attempt=self._told) as client:

            async def caller() -> None:
                await call(client)
                for pause in PAUSES:
                    await asyncio.sleep(pause)
                    await call(client)

            await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def test_no_send_leaves_on_a_dying_connection() -> None:
    """Idle as long as the server lets them be, all are answered at once; readings are repeated."""
    sends = {kind: Callers() for kind in KINDS}
    readings = {kind: Callers() for kind in KINDS}
    # 100 ms to the server, so that a request and the end of its connection can meet on the way.
    with serving(RawServer(way=0.1, idle=LIMIT)) as server:
        runs = [callers.run(kind, send, server.url) for kind, callers in sends.items()]
        runs += [callers.run(kind, read, server.url) for kind, callers in readings.items()]
        await asyncio.gather(*runs)
    assert {kind: each.unlucky for kind, each in sends.items()} == dict.fromkeys(KINDS, 0)
    assert {each.attempts for each in sends.values()} == {CALLERS * (1 + len(PAUSES))}
    assert sum(each.unlucky for each in readings.values()) > 0


@pytest.mark.parametrize("kind", [HttpxTransport, Httpx2Transport])
async def test_age_is_told_by_the_clock_that_was_given(kind: Callable[..., Transport]) -> None:
    """By a driven clock too: a connection that was used long ago is not used for a send."""
    clock = FakeClock()
    with serving(RawServer(idle=0.02)) as server:
        async with Client(
            KEY, server.url, transport=kind(clock=clock), clock=clock, max_attempts=1
        ) as client:
            for _ in range(50):
                await send(client)
                clock.passed += SEND_REUSE + 0.001
                await asyncio.sleep(0.02)
        assert (server.requests, server.connections) == (50, 50)
