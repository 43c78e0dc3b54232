"""A client and its event loops: one after the other, after a fork, and how it closes in each."""

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from doubles import (
    KEY,
    SMS,
    FakeClock,
    always,
    json_answer,
    loopback,
    until,
)
from raw_server import RawServer, serving

from voxsms import Client, Httpx2Transport, HttpxTransport, ServiceAccount
from voxsms.errors import NotSent, VoxSmsError
from voxsms.transport import Evidence, Phase, Request, Timeouts, TransportFault, _aiohttp
from voxsms.transport._aiohttp import AiohttpTransport

pytestmark = pytest.mark.slow

Make = Callable[..., Any]
KINDS: dict[str, Make] = {
    "httpx": HttpxTransport,
    "httpx2": Httpx2Transport,
    "aiohttp": AiohttpTransport,
}


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Make:
    """Give one transport after the other."""
    return KINDS[request.param]


async def send(client: Client) -> int | None:
    """Send a message."""
    return (await client.send_sms_message(**SMS)).message_id


def all_closed(server: RawServer) -> bool:
    """Wait for a server in another thread to see its connections end."""
    for _ in range(1000):
        if not server.open:
            return True
        time.sleep(0.002)
    return False


def test_one_client_serves_one_loop_after_the_other(make: Make) -> None:
    """`asyncio.run` for each job: no job's connections are left to the next, nor left open."""
    with serving(RawServer()) as server:
        client = Client(KEY, server.url, transport=make())
        for job in range(1, 4):
            assert asyncio.run(send(client)) == 1861
            assert server.requests == server.connections == job
            assert all_closed(server)


@pytest.fixture(scope="module")
def account() -> ServiceAccount:
    """Give a service account."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return ServiceAccount(1, "key-1", pem.decode())


def test_one_client_serves_several_threads_at_once(make: Make, account: ServiceAccount) -> None:
    """Each with its own loop, as Celery's threads do; also when a token is due."""
    clock = FakeClock()
    started = threading.Barrier(4)
    served: list[int | None] = []

    def job() -> None:
        for hour in range(3):
            clock.passed = hour * 3600  # the token of the hour before is due
            started.wait(10)
            served.append(asyncio.run(send(client)))

    with serving(RawServer()) as server:
        client = Client(account, server.url, transport=make(), deadline=20, clock=clock)
        threads = [threading.Thread(target=job) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert served == [1861] * 12
        assert server.requests == 12
        assert all_closed(server)


def test_the_loops_may_be_of_two_kinds() -> None:
    """First asyncio, then trio."""
    with serving(RawServer()) as server:
        client = Client(KEY, server.url)
        assert asyncio.run(send(client)) == 1861
        assert trio.run(send, client) == 1861
        assert asyncio.run(send(client)) == 1861
        assert all_closed(server)


FORKS = """
import asyncio, os, sys, voxsms
from voxsms.transport._aiohttp import AiohttpTransport
kinds = [voxsms.HttpxTransport, voxsms.Httpx2Transport, AiohttpTransport]
make = {kind.__name__: kind for kind in kinds}[sys.argv[1]]
client = voxsms.Client(voxsms.ApiKey(1, "k"), sys.argv[2], transport=make())
def send():
    call = lambda: client.send_sms_message(source="44123456", destination="44123457", sms_body="x")
    async def main(): return (await call()).message_id
    return asyncio.run(main())
assert send() == 1861
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
    assert send() == 1861
else:
    os._exit(send() != 1861)
"""


FORKS_WHILE_MINTING = """
import asyncio, os, sys, threading, jwt, voxsms
account = voxsms.ServiceAccount(1, "key-1", sys.stdin.read())
client = voxsms.Client(account, sys.argv[1])
def send():
    call = lambda: client.send_sms_message(source="44123456", destination="44123457", sms_body="x")
    async def main(): return (await call()).message_id
    return asyncio.run(main())
minting, forked, sign = threading.Event(), threading.Event(), jwt.encode
def held(*args, **named):
    minting.set()
    assert forked.wait(30)
    return sign(*args, **named)
jwt.encode = held
sent = []
thread = threading.Thread(target=lambda: sent.append(send()))
thread.start()
assert minting.wait(30)
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
    forked.set()
    thread.join()
    assert sent == [1861]
else:
    jwt.encode = sign
    os._exit(send() != 1861)
"""


@pytest.mark.unmeasured
def test_the_child_of_a_fork_waits_for_no_thread_of_its_parent(account: ServiceAccount) -> None:
    """One of them may be signing the token at that moment: both processes send."""
    with serving(RawServer()) as server:
        subprocess.run(  # noqa: S603 - this very program
            [sys.executable, "-c", FORKS_WHILE_MINTING, server.url],
            input=account.private_key,
            text=True,
            check=True,
            timeout=60,
        )
        assert server.requests == 2


@pytest.mark.unmeasured
def test_the_child_of_a_fork_has_its_own_connections(make: Make) -> None:
    """A worker that was forked after the client was used sends, and so does its parent."""
    with serving(RawServer()) as server:
        subprocess.run(  # noqa: S603 - this Python, our code
            [sys.executable, "-c", FORKS, make.__name__, server.url], check=True
        )
        assert server.requests == 3


async def test_closing_twice_at_once_is_closing(make: Make) -> None:
    """Also before the first call, and again after that."""
    async with loopback(always(json_answer())) as server:
        client = Client(KEY, server.url, transport=make())
        await send(client)
        await asyncio.gather(client.aclose(), client.aclose())
        await client.aclose()
        await until(lambda: not server.open)
        await Client(KEY, server.url, transport=make()).aclose()


async def used(client: Client) -> None:
    """Have a connection for sends and one for readings."""
    await send(client)
    await client.control_sms(phone_number="447443332211", command="enable")


@pytest.mark.parametrize("native", [True, False], ids=["asyncio", "anyio"])
async def test_a_client_is_closed_although_its_program_is_cancelled(
    make: Make, native: bool
) -> None:
    """However often: what it had is closed, and the cancellation goes on its way."""
    async with loopback(always(json_answer())) as server:

        async def program() -> None:
            async with Client(KEY, server.url, transport=make()) as client:
                await used(client)
                ready.set()
                await anyio.sleep_forever()

        ready = anyio.Event()
        if native:
            task = asyncio.ensure_future(program())
            await ready.wait()
            for _ in range(4):
                task.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([task])
            assert task.cancelled()
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(program)
                await ready.wait()
                group.cancel_scope.cancel()
        await until(lambda: not server.open)


async def test_a_closing_that_hangs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that does not answer a goodbye holds nobody up."""
    monkeypatch.setattr(_aiohttp, "CLOSE_LIMIT", 0.01)
    close = aiohttp.ClientSession.close

    async def hang(session: aiohttp.ClientSession) -> None:
        await close(session)
        await anyio.sleep_forever()

    async with loopback(always(json_answer())) as server:
        client = Client(KEY, server.url, transport=AiohttpTransport())
        await send(client)
        monkeypatch.setattr(aiohttp.ClientSession, "close", hang)
        await client.aclose()


def request(url: str) -> Request:
    """Make a request for a transport."""
    return Request(f"{url}/", {}, b"", charges=True, timeouts=Timeouts())


async def test_a_transport_that_is_closed_sends_nothing(make: Make) -> None:
    """Nothing is opened that nobody would close."""
    async with loopback(always(json_answer())) as server:
        transport = make()
        await transport.aclose()
        evidence = Evidence(Phase.HANDED_OVER)
        with pytest.raises(TransportFault, match="the client was closed"):
            await transport.send(request(server.url), evidence)
        assert evidence.phase is Phase.QUEUED
        assert server.connections == 0


async def test_a_send_that_waits_for_a_connection_is_not_sent_once_the_client_is_closed(
    make: Make,
) -> None:
    """When `aclose` has come back, nothing more goes out: `NotSent`."""
    answered = asyncio.Event()

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        await answered.wait()
        writer.write(json_answer({"result": 1}))

    async with loopback(act) as server:
        client = Client(KEY, server.url, transport=make(connections=1), max_attempts=1)
        control = client.control_sms(phone_number="447443332211", command="enable")
        reading = asyncio.ensure_future(control)
        await until(lambda: len(server.requests) == 1)
        waiting = asyncio.ensure_future(send(client))
        await anyio.wait_all_tasks_blocked()
        await client.aclose()
        answered.set()
        ended = await asyncio.gather(reading, waiting, return_exceptions=True)
        assert isinstance(ended[1], NotSent)
        assert ended[1].problem == "the client was closed"
        assert len(server.requests) == 1
        assert not isinstance(ended[0], BaseException) or isinstance(ended[0], VoxSmsError)
        await until(lambda: not server.open)


async def test_a_client_that_nobody_closed_is_closed_with_its_loop(make: Make) -> None:
    """A script that forgets to leaves no socket behind; another loop's are not touched."""
    with serving(RawServer()) as server:
        client = Client(KEY, server.url, transport=make())
        await asyncio.to_thread(asyncio.run, send(client))
        await send(client)
        assert server.connections == 2
        await until(lambda: server.open == 1)
        await client.aclose()
        await until(lambda: server.open == 0)


def descriptors() -> int:
    """Count what this process has open."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_loops_that_were_closed_without_a_word_leave_nothing_open(make: Make) -> None:
    """`run_until_complete` and `close`, as older programs do, without ending the generators."""
    # What asyncio warns of is the program's own doing: it closed a loop that had connections.
    with serving(RawServer()) as server:
        client = Client(KEY, server.url, transport=make())
        counts: list[int] = []
        for _ in range(5):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(send(client)) == 1861
            loop.close()
            del loop
            gc.collect()
            counts.append(descriptors())
        assert max(counts) <= min(counts) + 2
        asyncio.run(client.aclose())
        gc.collect()
        assert all_closed(server)
