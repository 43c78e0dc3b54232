"""Connections that break, hang or are abandoned at every place: what is reported is what happened.

The server carries out every request that it has read whole; what it read is the ledger.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
import attrs
import pytest
from doubles import KEY, SMS, FakeClock, always, json_answer, loopback, until
from loopback_tls import certificates

from voxsms import CallEvent, Client, Httpx2Transport, HttpxTransport, Timeouts
from voxsms.api.fault_codes import Outcome
from voxsms.api.models import SendSmsMessageResult
from voxsms.errors import NotSent, OutcomeUnknown, VoxSmsError
from voxsms.sandbox import Number, Sandbox, serve
from voxsms.transport import Transport
from voxsms.transport._aiohttp import AiohttpTransport

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

Make = Callable[..., Transport]
KINDS: dict[str, Make] = {
    "httpx": HttpxTransport,
    "httpx2": Httpx2Transport,
    "aiohttp": AiohttpTransport,
}
PATIENT = Timeouts(connect=5, read=5, write=5, pool=5)
GOOD = json_answer()
CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Make:
    """Give one transport after the other."""
    return KINDS[request.param]


@attrs.define
class Relay:
    """A proxy that lets so many bytes through, each way, and then cuts the connection."""

    port: int = 0
    up: int = 1_000_000
    """Bytes on their way to the server, a CONNECT included."""
    down: int = 1_000_000
    """Bytes on their way back."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int) -> None:
    """Carry bytes from one side to the other, at most so many, then cut."""
    while most > 0 and (data := await reader.read(most)):
        most -= len(data)
        writer.write(data)
        await writer.drain()
    # What was carried is to arrive before the connection ends.
    writer.close()


@asynccontextmanager
async def relay(to: int) -> AsyncIterator[Relay]:
    """Run a proxy for CONNECT before a server on loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = cut.up, cut.down
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            asked = await reader.readuntil(b"\r\n\r\n") if up > 0 else b""
            up, down = up - len(asked), down - len(CONNECTED)
            if up >= 0 and down >= 0:
                writer.write(CONNECTED)
                there = await asyncio.open_connection("127.0.0.1", to)
                ways = [_pump(reader, there[1], up), _pump(there[0], writer, down)]
                tasks = [asyncio.ensure_future(way) for way in ways]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                there[1].close()
        writer.close()

    cut = Relay()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    cut.port = server.sockets[0].getsockname()[1]
    async with server:
        yield cut


async def sent(client: Client) -> SendSmsMessageResult | VoxSmsError:
    """Send a message and give what it ended with."""
    try:
        return await client.send_sms_message(**SMS)
    except VoxSmsError as error:
        return error


def is_true(ended: object, deliveries: int) -> bool:
    """Whether what a call ended with is what the server did."""
    if isinstance(ended, OutcomeUnknown):
        return deliveries <= 1
    if isinstance(ended, NotSent):
        return deliveries == 0
    return isinstance(ended, SendSmsMessageResult) and deliveries == 1


@pytest.mark.parametrize("way", ["up", "down"])
async def test_a_tunnel_cut_after_any_number_of_bytes(make: Make, way: str) -> None:
    """During CONNECT, TLS, the request or its answer: `NotSent` only if nothing was carried out."""
    found: set[tuple[str, int]] = set()
    async with loopback(always(GOOD), certificates().server) as server, relay(server.port) as cut:
        for most in [*range(0, 2600, 53), 1_000_000]:
            setattr(cut, way, most)
            before = len(server.requests)
            carrier = make(verify=certificates().client, proxy=cut.url)
            url = f"https://127.0.0.1:{server.port}"
            async with Client(
                KEY, url, transport=carrier, clock=FakeClock(), timeout=PATIENT, max_attempts=2
            ) as client:
                ended = await sent(client)
            await until(lambda: server.open == 0)
            deliveries = len(server.requests) - before
            assert is_true(ended, deliveries), (most, ended, deliveries)
            found.add((type(ended).__name__, deliveries))
    lost = ("OutcomeUnknown", 0 if way == "up" else 1)
    assert found == {("NotSent", 0), lost, ("SendSmsMessageResult", 1)}


async def test_a_server_that_nobody_trusts_behind_a_tunnel(make: Make) -> None:
    """Whoever stands at the other end of a tunnel is not told the message."""
    async with loopback(always(GOOD), certificates().server) as server, relay(server.port) as cut:
        async with Client(
            KEY,
            f"https://127.0.0.1:{server.port}",
            transport=make(proxy=cut.url),
            clock=FakeClock(),
            timeout=PATIENT,
        ) as client:
            ended = await sent(client)
        assert type(ended) is NotSent
        assert server.requests == []


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Give one sandbox to all that only need a server which hangs."""
    with serve(numbers=[Number(number=SMS["source"], sms_enabled=True)]) as running:
        yield running


@attrs.frozen
class Place:
    """Where a call hangs, and whether its message can have left by then."""

    words: str
    fault: str = ""
    """Of the sandbox; without one nobody answers at all."""
    queued: bool = False
    tunnel: bool = False
    left: bool = True
    delivered: int = 0


PLACES = (
    Place("waiting for a connection to be free", "commit_then_never", queued=True, left=False),
    Place("waiting for a proxy", tunnel=True, left=False),
    Place("in the TLS handshake", left=False),
    Place("nothing done, no answer", "never"),
    Place("done, no answer", "commit_then_never", delivered=1),
    Place("done, one byte of the answer", "drip:seconds=600", delivered=1),
)
NUMBER = SMS["destination"]


There = Callable[[], Awaitable[object]]
"""Comes back when the call is where it is to hang."""


@attrs.frozen
class ByDeadline:
    """Send, and let the deadline come."""

    seconds: float = 0.2

    async def __call__(self, client: Client, _: There) -> object:
        """Return the error."""
        return await sent(client.with_options(deadline=self.seconds))


async def by_scope(client: Client, there: There) -> None:
    """Send, and cancel it as anyio and trio do: again and again until it gives way."""
    async with anyio.create_task_group() as group:
        group.start_soon(partial(client.send_sms_message, **SMS))
        await there()
        group.cancel_scope.cancel()


async def by_task(client: Client, there: There) -> None:
    """Send, and cancel it as asyncio does; whoever cancels may not be alone."""
    task = asyncio.ensure_future(client.send_sms_message(**SMS))
    await there()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task


End = Callable[[Client, There], Awaitable[object]]


async def _hang(
    place: Place, make: Make, end: End, sandbox: Sandbox
) -> tuple[object, CallEvent, bool]:
    """Let a send hang at a place and end it; afterwards the client must work.

    Returns what came of it, what was told, and whether it came to the place at all.
    """
    told: list[CallEvent] = []
    with socket.create_server(("127.0.0.1", 0)) as mute:  # the kernel accepts, nobody reads
        nobody = f"127.0.0.1:{mute.getsockname()[1]}"
        async with Client(
            sandbox.api_key,
            sandbox.url if place.fault else f"https://{nobody}",
            transport=make(connections=1, proxy=f"http://{nobody}" if place.tunnel else None),
            timeout=PATIENT,
            on_outcome=told.append,
        ) as client:
            met = len(sandbox.faults.happened)
            sandbox.faults.script(place.fault)

            async def there() -> None:
                while place.fault and len(sandbox.faults.happened) == met:  # noqa: ASYNC110 - in another thread
                    await anyio.sleep(0.001)
                await anyio.sleep(0.05)

            async with anyio.create_task_group() as group:
                if place.queued:
                    group.start_soon(client.get_account_info)
                    await there()
                ended = await end(client, there)
                group.cancel_scope.cancel()
            sandbox.faults.clear()
            if place.fault:
                assert (
                    await client.send_sms_message(**SMS | {"destination": "447400000001"})
                ).result
            hung = not place.fault or len(sandbox.faults.happened) > met
    return ended, next(event for event in told if event.method == "SendSmsMessage"), hung


ON_ASYNCIO = [("asyncio", kind, end) for kind in KINDS for end in (ByDeadline(), by_scope, by_task)]
ON_TRIO = [("trio", kind, end) for kind in ("httpx", "httpx2") for end in (ByDeadline(), by_scope)]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.words)
@pytest.mark.parametrize(
    ("backend", "kind", "end"),
    ON_ASYNCIO + ON_TRIO,
    ids=lambda each: "by_deadline" if isinstance(each, ByDeadline) else None,
)
def test_a_send_that_hangs_and_is_ended(
    sandbox: Sandbox, place: Place, backend: str, kind: str, end: End
) -> None:
    """Wherever it is and whoever ends it: told what is known, soon, and the client lives on."""

    async def scenario(end: End) -> tuple[object, CallEvent, bool]:
        with anyio.fail_after(30):
            return await _hang(place, KINDS[kind], end, sandbox)

    before = len(sandbox.ledger.to(NUMBER))
    ended, told, hung = anyio.run(scenario, end, backend=backend)
    if not hung:  # the machine is too busy to send in a fifth of a second
        before = len(sandbox.ledger.to(NUMBER))
        ended, told, _ = anyio.run(scenario, ByDeadline(5), backend=backend)
    assert len(sandbox.ledger.to(NUMBER)) - before == place.delivered
    assert told.outcome is (Outcome.UNKNOWN if place.left else Outcome.NOT_SENT)
    assert told.cancelled is not isinstance(end, ByDeadline)
    assert (told.doubt is not None and told.doubt.numbers == (NUMBER,)) is place.left
    if isinstance(end, ByDeadline):
        assert type(ended) is (OutcomeUnknown if place.left else NotSent)


async def test_a_name_that_can_not_be_resolved(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has no address has not sent anything; each attempt asks again."""
    asked: list[object] = []

    def unknown(*given: object, **_: object) -> object:
        asked.append(given[0])
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with Client(KEY, "http://sms.invalid", transport=make(), clock=FakeClock()) as client:
        ended = await sent(client)
    assert type(ended) is NotSent
    assert len(asked) == 4


async def test_a_name_that_is_looked_for_without_end(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that does not answer is ended by the deadline: nothing was sent."""
    found = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found.wait(5) and [])
    async with Client(KEY, "http://sms.invalid", transport=make(), deadline=0.1) as client:
        ended = await sent(client)
    found.set()
    assert type(ended) is NotSent
