"""httpx under mocks, as a user's own client, and what voxsms believes of either."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import httpx
import httpx2
import pytest
import respx
from doubles import (
    A2P,
    KEY,
    SENT,
    SMS,
    CountingSigner,
    FakeClock,
    always,
    http,
    json_answer,
    loopback,
)

from voxsms import Client, Httpx2Transport, HttpxTransport, Timeouts
from voxsms.errors import (
    ConnectionFailed,
    NotSent,
    OutcomeUnknown,
    ResponseInvalid,
    ServerFault,
    TimedOut,
    VoxSmsError,
)
from voxsms.transport import Evidence, Request
from voxsms.transport._httpx import UserHttpxTransport, Watch, library
from voxsms.transport._pool import READ_REUSE

BASE = "https://svc.test"
SEND = f"{BASE}/platform_api/SendSmsMessage/"
HISTORY = f"{BASE}/platform_api/GetSmsHistory/"


def client_of(transport: Any = None) -> Client:  # noqa: ANN401 - whatever Client takes
    """Give a client in driven time."""
    return Client(KEY, BASE, transport=transport, clock=FakeClock())


@respx.mock
async def test_a_mocked_answer_is_an_answer() -> None:
    """Whoever tests with respx gets what the mock says, over the default transport."""
    route = respx.post(SEND).respond(json=SENT)
    async with client_of() as client:
        assert (await client.send_sms_message(**SMS)).message_id == 1861
    assert route.call_count == 1
    sent = route.calls[0].request
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    assert b"sms_body=See+you" in sent.content


SILENT = [httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadTimeout, httpx.WriteError]


@pytest.mark.parametrize("first_use", [True, False], ids=["first use", "used before"])
@pytest.mark.parametrize("error", SILENT)
@respx.mock
async def test_a_mock_that_reports_nothing_proves_nothing(
    error: type[httpx.TransportError], first_use: bool
) -> None:
    """Not even a mocked `ConnectError`: one request, and the outcome is unknown.

    Also where the very first client of a program is made while the mock is in place.
    """
    if first_use:
        library.cache_clear()
    route = respx.post(SEND).mock(side_effect=error("mocked"))
    async with client_of() as client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.send_sms_message(**SMS)
    assert route.call_count == 1
    assert isinstance(caught.value.__cause__, error)


@respx.mock
async def test_a_mocked_fault_of_a_reading_is_repeated() -> None:
    """What charges nothing recovers under a mock as it does in life."""
    page = {"result": [], "total_count": 0}
    route = respx.post(HISTORY).mock(
        side_effect=[
            httpx.ConnectError("mocked"),
            httpx.Response(502, text="<html>"),
            httpx.Response(200, json={"error": {"code": 340, "msg": "slow down"}}),
            httpx.Response(200, json=page),
        ]
    )
    async with client_of() as client:
        assert (await client.get_sms_history()).total_count == 0
    assert route.call_count == 4


@respx.mock
async def test_after_a_mock_reports_progress_again() -> None:
    """When the mock is gone, the library's word is good again: nobody listens, so not sent."""
    respx.stop()
    async with Client(KEY, "http://127.0.0.1:1", clock=FakeClock()) as client:
        with pytest.raises(NotSent):
            await client.send_sms_message(**SMS)


@pytest.mark.parametrize("package", ["httpx", "httpx2"])
@pytest.mark.parametrize("place", ["transport", "pool", "connection"])
async def test_a_stand_in_put_anywhere_into_the_library_is_noticed(
    package: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A patched transport, pool or connection is a mock, whoever put it there."""
    module: Any = httpx if package == "httpx" else httpx2
    core: Any = library(package)._core
    owner = {
        "transport": module.AsyncHTTPTransport,
        "pool": core.AsyncConnectionPool,
        "connection": core.AsyncHTTPConnection,
    }[place]
    transport = (HttpxTransport if package == "httpx" else Httpx2Transport)()
    assert transport.reports_progress

    async def stand_in(_self: object, _request: object) -> None:
        raise OSError("mocked")

    mock = AsyncMock(side_effect=OSError("mocked"))
    monkeypatch.setattr(owner, "handle_async_request", mock if place == "pool" else stand_in)
    assert not transport.reports_progress
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    async with Client(
        KEY, BASE, transport=transport, clock=FakeClock(), on_attempt=count
    ) as client:
        with pytest.raises(OutcomeUnknown):
            await client.send_sms_message(**SMS)
    assert calls == 1


Handler = Callable[[httpx.Request], httpx.Response]


def fails(error: Exception) -> Handler:
    """Give a handler that raises."""

    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    return handler


@pytest.mark.parametrize("wrapped", [True, False], ids=["client", "transport"])
async def test_a_users_mock_transport_is_taken(wrapped: bool) -> None:
    """`httpx.MockTransport`, alone or in an `httpx.AsyncClient`, answers for the service."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=SENT)

    mock = httpx.MockTransport(handler)
    given = httpx.AsyncClient(transport=mock) if wrapped else mock
    async with client_of(given) as client:
        assert (await client.send_sms_message(**SMS)).message_id == 1861
        assert repr(client) == f"<Client {BASE} over httpx/{httpx.__version__}>"
    assert str(seen[0].url) == SEND
    assert seen[0].headers["user-agent"].startswith("voxsms/")
    if isinstance(given, httpx.AsyncClient):
        assert not given.is_closed  # a user's client is the user's to close
        await given.aclose()


async def test_a_transport_given_alone_is_closed_with_the_client() -> None:
    """The client made around it was made by voxsms."""
    closed: list[bool] = []

    class Own(httpx.MockTransport):
        async def aclose(self) -> None:
            closed.append(True)

    async with client_of(Own(fails(OSError()))):
        pass
    assert closed == [True]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ReadTimeout("late"), TimedOut),
        (httpx.ConnectTimeout("late"), TimedOut),
        (httpx.PoolTimeout("full"), TimedOut),
        (httpx.WriteTimeout("late"), TimedOut),
        (httpx.ReadError("gone"), ConnectionFailed),
        (httpx.ProxyError("no"), ConnectionFailed),
        (httpx.RemoteProtocolError("cut"), ConnectionFailed),
        (httpx.TooManyRedirects("round"), ConnectionFailed),
        (httpx.InvalidURL("odd"), ConnectionFailed),
        (httpx.DecodingError("damaged"), ResponseInvalid),
        (RuntimeError("closed"), ConnectionFailed),
    ],
)
async def test_no_error_of_httpx_comes_out(error: Exception, kind: type[VoxSmsError]) -> None:
    """Each becomes one of ours, with the original as its cause; for a send, in doubt."""
    async with client_of(httpx.MockTransport(fails(error))) as client:
        once = client.with_options(max_attempts=1)
        with pytest.raises(kind) as reading:
            await once.get_account_info()
        with pytest.raises(OutcomeUnknown) as send:
            await once.a2p_send_sms(**A2P)
    assert reading.value.__cause__ is error
    assert error in (send.value.__cause__, getattr(send.value.__cause__, "__cause__", None))


async def test_a_users_client_that_is_closed_gives_no_answer() -> None:
    """The send ends in one of our errors."""
    own = httpx.AsyncClient()
    await own.aclose()
    with pytest.raises(OutcomeUnknown):
        await client_of(own).send_sms_message(**SMS)


async def test_a_users_real_client_that_can_not_connect_proves_not_sent() -> None:
    """It reports `connect_tcp.failed`, which is evidence from anyone."""
    async with httpx.AsyncClient() as own:
        client = Client(KEY, "http://127.0.0.1:1", transport=own, clock=FakeClock())
        with pytest.raises(NotSent):
            await client.send_sms_message(**SMS)


class Failover(httpx.AsyncBaseTransport):
    """A user's own transport with two ways: where nobody listens, and then another."""

    def __init__(self, error: Exception | None) -> None:
        self.first = httpx.AsyncHTTPTransport()
        self.error = error
        self.delivered = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Try the one and then the other, which delivers and breaks or hangs."""
        with suppress(httpx.ConnectError):
            return await self.first.handle_async_request(request)
        self.delivered += 1
        if self.error is not None:
            raise self.error
        await asyncio.sleep(3600)
        raise AssertionError


@pytest.mark.parametrize("error", [httpx.ReadError("broke"), httpx.ReadTimeout("late"), None])
async def test_what_a_second_way_may_have_delivered_is_in_doubt(error: Exception | None) -> None:
    """That the first could not be connected to proves nothing of it, nor at the deadline."""
    own = Failover(error)
    async with Client(
        KEY, "http://127.0.0.1:1", transport=own, clock=FakeClock(), deadline=5 if error else 0.1
    ) as client:
        with pytest.raises(OutcomeUnknown):
            await client.send_sms_message(**SMS)
    assert own.delivered == 1


async def test_a_connection_tried_after_one_that_failed_is_judged_by_itself() -> None:
    """What the library reports of the last one counts."""
    watch = Watch(Evidence(), None)
    await watch("connection.connect_tcp.started", {})
    await watch("connection.connect_tcp.failed", {})
    assert watch.connect_failed
    await watch("connection.connect_tcp.started", {})
    assert not watch.connect_failed


async def test_an_answer_that_is_not_read_to_its_end_is_closed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not by the garbage collector, some time and in whatever task."""
    closed: list[bool] = []

    async def parts(_: httpx.Response) -> AsyncIterator[bytes]:
        try:
            yield b"a piece"
        finally:
            closed.append(True)

    async def full(_: bytes) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(httpx.Response, "aiter_bytes", parts)
    transport = UserHttpxTransport(httpx.AsyncClient(transport=httpx.MockTransport(answer_a_file)))
    request = Request(SEND, {}, b"", charges=False, timeouts=Timeouts(), sink=full)
    with pytest.raises(OSError, match="no space left"):
        await transport.send(request, Evidence())
    assert closed == [True]


def answer_a_file(_: httpx.Request) -> httpx.Response:
    """Give a file."""
    return httpx.Response(200, headers={"content-type": "text/csv"})


def test_where_httpx2_is_missing_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the first thing a user reads."""
    monkeypatch.setitem(sys.modules, "httpx2", None)
    library.cache_clear()
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'voxsms\[httpx2\]'"):
        Httpx2Transport()
    library.cache_clear()


async def test_a_users_client_does_not_follow_redirects_for_us() -> None:
    """Whatever it does elsewhere: a send is never carried on."""
    moved = http(b"", "307 Temporary Redirect", "Location: /elsewhere")
    async with loopback(always(moved)) as server, httpx.AsyncClient(follow_redirects=True) as own:
        with pytest.raises(OutcomeUnknown):
            await Client(KEY, server.url, transport=own).send_sms_message(**SMS)
        assert len(server.requests) == 1


async def test_a_users_client_does_not_prove_who_sends() -> None:
    """Its own `auth` is for other services: ours is in the request, and some kinds send twice."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(401, headers={"www-authenticate": 'Digest realm="x", nonce="y"'})

    for auth in (httpx.BasicAuth("me", "pw"), httpx.DigestAuth("me", "pw")):
        seen.clear()
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler), auth=auth) as own:
            client = Client(CountingSigner(), BASE, transport=own)
            with pytest.raises(OutcomeUnknown):
                await client.send_sms_message(**SMS)
        assert [request.headers["authorization"] for request in seen] == ["Bearer t1"]


async def test_a_users_client_gets_its_connections_back() -> None:
    """Answers are read or closed whatever happens, so that a pool of one never runs dry."""
    turns = [json_answer(), http(b"<html>", "502 Bad Gateway"), json_answer()]

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(turns.pop(0))

    limits = httpx.Limits(max_connections=1)
    async with loopback(act) as server, httpx.AsyncClient(limits=limits, timeout=1) as own:
        client = Client(KEY, server.url, transport=own)
        await client.send_sms_message(**SMS)
        with pytest.raises(OutcomeUnknown) as caught:
            await client.send_sms_message(**SMS)
        assert isinstance(caught.value.__cause__, ServerFault)
        await client.send_sms_message(**SMS)


async def test_a_sends_cancelled_in_a_users_client_are_in_doubt() -> None:
    """Its answer is closed although the call was cancelled."""

    async def half(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(json_answer()[:-3])
        await writer.drain()
        await asyncio.sleep(3600)

    async with loopback(half) as server, httpx.AsyncClient() as own:
        client = Client(KEY, server.url, transport=own)
        for deadline in (0.1, 5):  # the second where the machine is too busy for the first
            with pytest.raises(OutcomeUnknown, match="deadline") as caught:
                await client.with_options(deadline=deadline).send_sms_message(**SMS)
            if caught.value.phase == "while reading the answer":
                break
        assert caught.value.phase == "while reading the answer"


@pytest.mark.parametrize(
    ("make", "core"), [(HttpxTransport, "httpcore"), (Httpx2Transport, "httpcore2")]
)
async def test_a_reading_takes_a_connection_that_was_idle_for_a_while(
    make: type[HttpxTransport], core: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks every twenty seconds does not pay for a connection each time."""
    assert READ_REUSE > 20
    page = json_answer({"result": [], "total_count": 0})
    async with (
        loopback(always(page)) as server,
        Client(KEY, server.url, transport=make(clock=FakeClock())) as client,
    ):
        await client.get_sms_history()
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + 20)
        monkeypatch.setattr(f"{core}._async.http11.time", later)
        await client.get_sms_history()
        assert server.connections == 1


async def test_the_calls_of_one_client_share_one_set_of_connections() -> None:
    """Views too: `with_options` opens nothing of its own."""
    async with loopback(always(json_answer())) as server, Client(KEY, server.url) as client:
        await client.send_sms_message(**SMS)
        await client.with_options(deadline=5).send_sms_message(**SMS)
        assert server.connections == 1
