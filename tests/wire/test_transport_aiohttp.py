"""aiohttp as the carrier: what an unreported failure proves, and what becomes of its errors."""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import trio
from doubles import KEY, SMS, FakeClock, always, json_answer, loopback
from yarl import URL

from voxsms import Client, Timeouts
from voxsms.errors import ConnectionFailed, NotSent, OutcomeUnknown, TimedOut, VoxSmsError
from voxsms.transport import _aiohttp
from voxsms.transport._aiohttp import AiohttpTransport
from voxsms.transport._pool import SEND_REUSE

NOBODY = "http://127.0.0.1:1"


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    """Give a transport that is closed at the end."""
    made = AiohttpTransport()
    yield made
    await made.aclose()


def stand_in(
    monkeypatch: pytest.MonkeyPatch, error: Exception, place: str = "_request"
) -> list[str]:
    """Put a mock in the place of aiohttp, as aioresponses does; give what it was asked."""
    asked: list[str] = []

    async def request(_session: aiohttp.ClientSession, *where: str, **_: object) -> None:
        asked.append(" ".join(where))
        raise error

    monkeypatch.setattr(aiohttp.ClientSession, place, request)
    return asked


@pytest.mark.parametrize("place", ["_request", "post"])
@pytest.mark.parametrize("used_before", [True, False])
async def test_a_mock_that_reports_nothing_proves_nothing(
    used_before: bool, place: str, transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the same program made real calls before: one request, outcome unknown."""
    client = Client(KEY, NOBODY, transport=transport, clock=FakeClock(), max_attempts=2)
    if used_before:
        with pytest.raises(NotSent):
            await client.send_sms_message(**SMS)
    asked = stand_in(monkeypatch, aiohttp.ServerDisconnectedError(), place)
    with pytest.raises(OutcomeUnknown):
        await client.send_sms_message(**SMS)
    assert len(asked) == 1


CONNECTING: Any = SimpleNamespace(ssl=True, host="x", port=1)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (aiohttp.ConnectionTimeoutError(), TimedOut),
        (aiohttp.SocketTimeoutError(), TimedOut),
        (TimeoutError(), TimedOut),
        (aiohttp.ServerDisconnectedError(), ConnectionFailed),
        (aiohttp.ClientPayloadError(), ConnectionFailed),
        (aiohttp.ClientConnectorError(CONNECTING, OSError("no")), ConnectionFailed),
        (aiohttp.InvalidURL(URL("x:")), ConnectionFailed),
        (aiohttp.ClientOSError(104, "reset"), ConnectionFailed),
        (ssl.SSLError("odd"), ConnectionFailed),
        (RuntimeError("Session is closed"), ConnectionFailed),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_no_error_of_aiohttp_comes_out(
    error: Exception,
    kind: type[VoxSmsError],
    transport: AiohttpTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each becomes one of ours, with the original as its cause."""
    stand_in(monkeypatch, error)
    client = Client(KEY, NOBODY, transport=transport, clock=FakeClock(), max_attempts=1)
    with pytest.raises(kind) as caught:
        await client.get_account_info()
    assert caught.value.__cause__ is error


async def test_a_client_over_it_says_so(transport: AiohttpTransport) -> None:
    """The library and its version, also to the service."""
    async with loopback(always(json_answer())) as server:
        client = Client(KEY, server.url, transport=transport)
        await client.send_sms_message(**SMS)
        assert repr(client) == f"<Client {server.url} over aiohttp/{aiohttp.__version__}>"
        assert f"aiohttp/{aiohttp.__version__}".encode() in server.requests[0]


async def test_a_send_takes_no_connection_that_was_idle_for_long(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sends and readings keep their connections apart, and sends theirs for a second."""
    page = json_answer({"result": [], "total_count": 0})

    async def act(writer: asyncio.StreamWriter, request: bytes) -> None:
        writer.write(page if b"History" in request else json_answer())

    async with loopback(act) as server:
        client = Client(KEY, server.url, transport=transport)
        for _ in range(2):
            await client.send_sms_message(**SMS)
            await client.get_sms_history()
        assert server.connections == 2
        loop = asyncio.get_running_loop()
        later = loop.time() + 20
        monkeypatch.setattr("aiohttp.connector.monotonic", lambda: later)
        await client.get_sms_history()
        assert server.connections == 2
        await client.send_sms_message(**SMS)
        assert server.connections == 3


async def test_a_send_takes_no_connection_from_before_the_machine_slept() -> None:
    """Then aiohttp's own clock has hardly moved, and the server has long closed."""
    clock = FakeClock()
    transport = AiohttpTransport(clock=clock)
    async with (
        loopback(always(json_answer())) as server,
        Client(KEY, server.url, transport=transport) as client,
    ):
        for slept in (0.0, SEND_REUSE, 60.0, 0.0, -60.0):
            clock.now += slept
            await client.send_sms_message(**SMS)
        assert server.connections == 3


async def test_a_proxy_that_says_nothing_is_waited_for_as_long_as_for_a_connection() -> None:
    """Not until the deadline of the whole call."""

    async def silent(_writer: asyncio.StreamWriter, _request: bytes) -> None:
        await asyncio.sleep(3600)

    async with (
        loopback(silent) as proxy,
        Client(
            KEY,
            "https://svc.test",
            transport=AiohttpTransport(proxy=proxy.url),
            timeout=Timeouts(connect=0.05),
            max_attempts=1,
        ) as client,
    ):
        with pytest.raises(NotSent, match="no connection was made in time"):
            await client.send_sms_message(**SMS)


def test_where_aiohttp_is_missing_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the first thing a user reads."""
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, _aiohttp.__name__)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'voxsms\[aiohttp\]'"):
        import_module(_aiohttp.__name__)


@pytest.mark.slow
def test_under_trio_it_says_that_it_needs_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    """A send ends in one of our errors, not in a riddle; nothing was sent. As a first call too."""
    monkeypatch.setattr(_aiohttp._Connector, "asked", False)

    async def main() -> None:
        client = Client(KEY, NOBODY, transport=AiohttpTransport())
        with pytest.raises(NotSent) as caught:
            await client.send_sms_message(**SMS)
        assert "event loop" in str(caught.value.__cause__)

    trio.run(main)
