"""Cancellations in their thousands: a client still answers, and leaves nothing open behind it.

Nor does anything that is logged or told meanwhile show a key, a text or a number.
"""

import asyncio
import gc
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from canary import Canary, listening, said_of
from doubles import KEY, SMS, until
from loopback_tls import certificates
from raw_server import RawServer, serving

from voxsms import CallEvent, Client, Httpx2Transport, HttpxTransport
from voxsms.api.fault_codes import Outcome
from voxsms.api.models import SendSmsMessageResult
from voxsms.transport import Transport
from voxsms.transport._aiohttp import AiohttpTransport

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

KINDS: dict[str, Callable[..., Transport]] = {
    "httpx": HttpxTransport,
    "httpx2": Httpx2Transport,
    "aiohttp": AiohttpTransport,
}


CANARY = Canary((KEY.api_key, SMS["sms_body"]))


def open_files() -> int:
    """Count what this process has open."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


@pytest.fixture(autouse=True)
def litter() -> Iterator[None]:
    """Keep what is lost: the garbage collector would close it, sooner or later."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def call_and_cancel(client: Client, chance: random.Random, span: float) -> bool:
    """Call at a random moment and cancel it at another; tell whether it was quicker."""
    await asyncio.sleep(chance.random() * span)
    patience = chance.random() ** 2 * 0.2
    if chance.random() < 0.5:
        with anyio.move_on_after(patience):
            await client.send_sms_message(**SMS)
            return True
        return False
    task = asyncio.ensure_future(client.send_sms_message(**SMS))
    await asyncio.sleep(patience)
    for _ in range(chance.choice((1, 1, 3))):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task])
    return not task.cancelled()


async def churn(server: RawServer, transport: Transport, calls: int, span: float) -> None:
    """Start calls and cancel them; then the client must answer a hundred of a hundred."""
    with listening() as log:
        told = await cancelled(server, transport, calls, span)
    assert "voxsms" in log.loggers
    assert CANARY.heard([*log.texts, *map(said_of, told)]) == []


async def cancelled(
    server: RawServer, transport: Transport, calls: int, span: float
) -> list[CallEvent]:
    """Do it, and give what the hook was told."""
    told: list[CallEvent] = []
    chance = random.Random(3)  # noqa: S311 - not for secrets
    files, tasks = open_files(), len(asyncio.all_tasks())
    async with Client(KEY, server.url, transport=transport, on_outcome=told.append) as client:
        ends = [call_and_cancel(client, chance, span) for _ in range(calls)]
        quicker = sum(await asyncio.gather(*ends))
        outcomes = Counter(event.outcome for event in told)
        assert outcomes.total() == calls
        accepted, unknown = outcomes[Outcome.ACCEPTED], outcomes[Outcome.UNKNOWN]
        assert outcomes[Outcome.NOT_SENT] == calls - accepted - unknown
        assert quicker <= accepted <= server.requests <= accepted + unknown
        after = await asyncio.gather(*(client.send_sms_message(**SMS) for _ in range(100)))
        assert [type(each) for each in after] == [SendSmsMessageResult] * 100
    await until(lambda: server.open == 0)
    await until(lambda: (open_files(), len(asyncio.all_tasks())) == (files, tasks))
    return told


@pytest.mark.parametrize("kind", KINDS)
async def test_thousands_of_cancelled_calls(kind: str) -> None:
    """Cancelled at random moments in a second: then 100 of 100 answered, nothing left open.

    Five thousand with the three transports.
    """
    with serving(RawServer(delay=0.01)) as server:
        await churn(server, KINDS[kind](), 1700, span=1.2)


@pytest.mark.parametrize("kind", KINDS)
async def test_calls_cancelled_while_tls_begins(kind: str) -> None:
    """Over TLS, with few connections: those cancelled during the handshake are closed too."""
    with serving(RawServer(delay=0.002, tls=certificates().server)) as server:
        carrier = KINDS[kind](verify=certificates().client, connections=5)
        await churn(server, carrier, 400, span=1.5)
