"""What each transport makes of what a server really does, over sockets on loopback."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest
from doubles import (
    A2P,
    A2P_SENT,
    KEY,
    SENT,
    SMS,
    Act,
    CountingSigner,
    FakeClock,
    always,
    http,
    json_answer,
    loopback,
    until,
)
from loopback_tls import certificates

from voxsms import AttemptEvent, Client, Httpx2Transport, HttpxTransport, Timeouts
from voxsms.api.fault_codes import Outcome
from voxsms.errors import (
    ConnectionFailed,
    NotSent,
    OutcomeUnknown,
    ResponseInvalid,
    TimedOut,
    VoxSmsError,
)
from voxsms.transport import MAX_BYTES, Phase
from voxsms.transport._aiohttp import AiohttpTransport

Carrier = HttpxTransport | AiohttpTransport
Make = Callable[..., Carrier]
KINDS: dict[str, Make] = {
    "httpx": HttpxTransport,
    "httpx2": Httpx2Transport,
    "aiohttp": AiohttpTransport,
}


@pytest.fixture(params=KINDS, autouse=True)
def make(request: pytest.FixtureRequest) -> Make:
    """Give one transport after the other."""
    return KINDS[request.param]


@pytest.fixture
async def client(make: Make) -> AsyncIterator[Callable[..., Client]]:
    """Give a function that makes a client for a server; it is closed at the end."""
    made: list[Client] = []

    def of(url: str, **transport: object) -> Client:
        quick = Timeouts(connect=2, read=2, write=2, pool=2)
        made.append(Client(KEY, url, transport=make(**transport), clock=FakeClock(), timeout=quick))
        return made[-1]

    yield of
    for each in made:
        await each.aclose()


Of = Callable[..., Client]
NOBODY = "http://127.0.0.1:1"
"""Nobody listens there."""


async def test_calls_go_through(client: Of) -> None:
    """Both sends and a reading, one after the other on one connection."""
    page = json_answer({"result": [], "total_count": 0})

    async def act(writer: asyncio.StreamWriter, request: bytes) -> None:
        replies = {b"A2PS": json_answer(A2P_SENT), b"Send": json_answer(), b"GetS": page}
        writer.write(replies[request.partition(b"/platform_api/")[2][:4]])

    async with loopback(act) as server:
        of = client(server.url)
        assert (await of.send_sms_message(**SMS)).message_id == 1861
        assert (await of.a2p_send_sms(**A2P)).result[0].message_id == 1
        assert (await of.get_sms_history()).total_count == 0
        head = server.requests[0].lower()
    assert head.startswith(b"post /platform_api/sendsmsmessage/ http/1.1\r\n")
    assert b"content-type: application/x-www-form-urlencoded\r\n" in head
    assert b"\r\ncookie:" not in head


async def answer_nothing(writer: asyncio.StreamWriter, _: bytes) -> None:
    """Read the request, close."""
    writer.close()


async def reset(writer: asyncio.StreamWriter, _: bytes) -> None:
    """Read the request, reset."""
    writer.transport.abort()


async def silent(_writer: asyncio.StreamWriter, _request: bytes) -> None:
    """Read the request, never answer."""
    await asyncio.sleep(3600)


def then_close(payload: bytes) -> Act:
    """Write something, then close."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(payload)
        await writer.drain()
        writer.close()

    return act


FAULTS: list[tuple[str, Act, type[VoxSmsError]]] = [
    ("closed", answer_nothing, ConnectionFailed),
    ("reset", reset, ConnectionFailed),
    ("silent", silent, TimedOut),
    ("half a body", then_close(json_answer()[:-5]), ConnectionFailed),
    ("half a head", then_close(b"HTTP/1.1 200 O"), ConnectionFailed),
    ("no HTTP", then_close(b"\x00\x01SSH-2.0\r\n\r\n"), ConnectionFailed),
    ("damaged gzip", always(http(b"nonsense", "200 OK", "Content-Encoding: gzip")), VoxSmsError),
    ("bad chunks", then_close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
     ConnectionFailed),
]  # fmt: skip


@pytest.mark.parametrize(("act", "kind"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
async def test_a_fault_after_the_request_left_is_unknown_for_a_send_and_repeated_for_a_reading(
    client: Of, act: Act, kind: type[VoxSmsError]
) -> None:
    """One request of a send, never two; a reading tries on and names the trouble as its own."""
    async with loopback(act) as server:
        of = client(server.url).with_options(
            timeout=Timeouts(connect=2, read=0.05, write=2, pool=2), max_attempts=2
        )
        with pytest.raises(OutcomeUnknown) as doubt:
            await of.send_sms_message(**SMS)
        assert len(server.requests) == 1
        with pytest.raises(kind) as trouble:
            await of.get_account_info()
        assert len(server.requests) == 3
    assert doubt.value.numbers == ("447443332212",)
    assert doubt.value.phase in {phase.words for phase in Phase if phase >= Phase.SENDING}
    assert not isinstance(trouble.value, OutcomeUnknown)
    assert trouble.value.__cause__ is not None


def chain(error: BaseException | None) -> list[BaseException]:
    """Give an error and all that stands behind it."""
    return [] if error is None else [error, *chain(error.__cause__ or error.__context__)]


@pytest.mark.parametrize("act", [f[1] for f in FAULTS], ids=[f[0] for f in FAULTS])
async def test_no_error_shows_a_token_a_number_or_a_text(make: Make, act: Act) -> None:
    """Not the library's errors behind ours either, printed in whichever way."""
    limits = Timeouts(read=0.05)
    async with (
        loopback(act) as server,
        Client(CountingSigner(), server.url, transport=make(), timeout=limits) as of,
    ):
        with pytest.raises(OutcomeUnknown) as caught:
            await of.send_sms_message(**SMS)
    for error in chain(caught.value):
        shown = f"{error} {error!r} {error.args!r}" if error is not caught.value else f"{error!r}"
        assert not any(secret in shown for secret in ("Bearer", "447443332212", "See"))


@pytest.mark.parametrize(
    ("act", "outcome"), [(answer_nothing, Outcome.UNKNOWN), (None, Outcome.NOT_SENT)]
)
async def test_hooks_are_told_the_truth_of_a_reading_too(
    make: Make, act: Act | None, outcome: Outcome
) -> None:
    """What a server read and did not answer may have been processed; what found none was not."""
    told: list[AttemptEvent] = []
    async with loopback(act or silent) as server:
        url = server.url if act else NOBODY
        async with Client(
            KEY, url, transport=make(), clock=FakeClock(), max_attempts=1, on_attempt=told.append
        ) as of:
            with pytest.raises(ConnectionFailed):
                await of.get_account_info()
    assert [event.outcome for event in told] == [outcome]


async def test_no_server_means_not_sent(client: Of) -> None:
    """Nobody listens: tried again as often as allowed, and then `NotSent`."""
    of = client(NOBODY)
    with pytest.raises(NotSent, match="no connection could be made") as caught:
        await of.send_sms_message(**SMS)
    assert caught.value.__cause__ is not None
    clock = of.session.clock
    assert isinstance(clock, FakeClock)
    assert len(clock.slept) == 3


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_redirects_are_not_followed(client: Of, status: str) -> None:
    """A send is not carried elsewhere, nor are credentials; what was answered is the cause."""
    async with loopback(silent) as elsewhere:
        moved = http(b"", status, f"Location: {elsewhere.url}/platform_api/SendSmsMessage/")
        async with loopback(always(moved)) as server:
            with pytest.raises(OutcomeUnknown) as caught:
                await client(server.url).send_sms_message(**SMS)
            assert len(server.requests) == 1
        assert elsewhere.connections == 0
    assert isinstance(caught.value.__cause__, ResponseInvalid)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_compressed_answers_are_read(client: Of, coding: str) -> None:
    """What the request said it takes is taken."""
    plain = json_answer(SENT).partition(b"\r\n\r\n")[2]
    packed = gzip.compress(plain) if coding == "gzip" else zlib.compress(plain)
    reply = http(packed, "200 OK", "Content-Type: application/json", f"Content-Encoding: {coding}")
    async with loopback(always(reply)) as server:
        assert (await client(server.url).send_sms_message(**SMS)).message_id == 1861
        assert b"accept-encoding: gzip\r\n" in server.requests[0].lower()


async def test_an_endless_answer_is_given_up(client: Of) -> None:
    """Of 200 MB of garbage no more is read than the largest answer takes."""
    written = 0

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        nonlocal written
        size = 200 * 2**20
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        megabyte = bytes(2**20)
        while written < size:
            writer.write(megabyte)
            await writer.drain()
            written += len(megabyte)

    async with loopback(act) as server:
        with pytest.raises(OutcomeUnknown, match="could not be read") as caught:
            await client(server.url).send_sms_message(**SMS)
        assert isinstance(caught.value.__cause__, ResponseInvalid)
        assert "an answer of more than 32 MiB" in str(caught.value.__cause__)
    assert written < 2 * MAX_BYTES


@pytest.mark.slow
async def test_an_answer_that_unpacks_without_end_is_given_up(client: Of) -> None:
    """200 MB of zeros are 200 kB on the wire."""
    bomb = gzip.compress(bytes(200 * 2**20), 1)
    reply = http(bomb, "200 OK", "Content-Encoding: gzip", "Content-Type: application/json")
    async with loopback(always(reply)) as server:
        of = client(server.url).with_options(max_attempts=1)
        with pytest.raises(ResponseInvalid, match="more than 32 MiB"):
            await of.get_account_info()


async def test_an_answer_that_was_compressed_repeatedly_is_not_unpacked(client: Of) -> None:
    """Of two layers a kilobyte is half a gigabyte at one stroke; nobody asked for that."""
    packed = gzip.compress(gzip.compress(json_answer().partition(b"\r\n\r\n")[2]))
    reply = http(packed, "200 OK", "Content-Encoding: gzip, gzip", "Content-Type: application/json")
    async with loopback(always(reply)) as server:
        of = client(server.url).with_options(max_attempts=1)
        with pytest.raises(OutcomeUnknown):
            await of.send_sms_message(**SMS)
        with pytest.raises(ResponseInvalid, match="compressed repeatedly"):
            await of.get_account_info()


async def test_no_more_sockets_than_were_allowed(client: Of) -> None:
    """Forty calls at once over three connections: all answered, never a fourth connection."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        await asyncio.sleep(0.001)
        writer.write(json_answer())

    async with loopback(act) as server:
        of = client(server.url, connections=3)
        sent = await asyncio.gather(*(of.send_sms_message(**SMS) for _ in range(40)))
        assert len(sent) == 40
        assert server.most_open == 3


async def test_a_wait_for_a_connection_that_is_too_long_means_not_sent(client: Of) -> None:
    """What never left voxsms's own queue cannot have been delivered."""
    async with loopback(silent) as server:
        of = client(server.url, connections=1).with_options(
            timeout=Timeouts(pool=0.01), max_attempts=1
        )
        first = asyncio.ensure_future(of.send_sms_message(**SMS))
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(NotSent, match=r"no connection was free within 0\.01 s"):
            await of.send_sms_message(**SMS)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_a_connection_closed_while_idle_is_not_sent_on(client: Of) -> None:
    """A server that closes after each answer costs a new connection, and no message."""
    async with loopback(then_close(json_answer())) as server:
        of = client(server.url)
        for _ in range(5):
            await of.send_sms_message(**SMS)
            await asyncio.sleep(0.005)  # the end of the connection has to arrive
        assert len(server.requests) == 5


async def test_closing_leaves_nothing_open(client: Of) -> None:
    """After `aclose` the server sees every connection end."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        await asyncio.sleep(0.005)
        writer.write(json_answer())

    async with loopback(act) as server:
        of = client(server.url)
        await asyncio.gather(*(of.send_sms_message(**SMS) for _ in range(5)))
        assert server.open == 5
        await of.aclose()
        await until(lambda: server.open == 0)


def sockets() -> int:
    """Count this process's sockets."""
    entries = Path("/proc/self/fd").iterdir()
    return sum("socket:" in str(e.readlink()) for e in entries if e.is_symlink())


@pytest.mark.unmeasured
@pytest.mark.parametrize("native", [True, False], ids=["asyncio", "anyio"])
async def test_a_client_whose_calls_were_cancelled_still_answers(client: Of, native: bool) -> None:
    """Hundreds cancelled at all moments; then every call is answered and no socket is left."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        await asyncio.sleep(0.002)
        writer.write(json_answer())

    async with loopback(act) as server:
        of = client(server.url, connections=5)
        before, tasks = sockets(), len(asyncio.all_tasks())

        async def send() -> None:
            await of.send_sms_message(**SMS)

        for turn in range(12):
            if native:
                calls = [asyncio.ensure_future(send()) for _ in range(25)]
                for _ in range(turn * 3):
                    await asyncio.sleep(0)
                for call in calls:
                    call.cancel()
                await asyncio.gather(*calls, return_exceptions=True)
            else:
                with anyio.move_on_after(turn * 0.0005):
                    async with anyio.create_task_group() as group:
                        for _ in range(25):
                            group.start_soon(send)
        answered = await asyncio.gather(*(of.send_sms_message(**SMS) for _ in range(20)))
        assert len(answered) == 20
        await of.aclose()
        await until(lambda: not server.open and sockets() <= before)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_a_certificate_that_nobody_trusts_is_refused(client: Of) -> None:
    """Neither credentials nor a text go to a server that cannot prove who it is: `NotSent`."""
    async with loopback(always(json_answer()), certificates().server) as server:
        of = client(f"https://127.0.0.1:{server.port}").with_options(max_attempts=1)
        with pytest.raises(NotSent) as caught:
            await of.send_sms_message(**SMS)
        assert "certificate" in str(caught.value.__cause__).lower()
        with pytest.raises(ConnectionFailed):
            await of.get_account_info()
        assert server.requests == []


async def test_a_certificate_that_the_user_trusts_is_taken(client: Of) -> None:
    """`verify=` takes an `ssl.SSLContext` of one's own."""
    async with loopback(always(json_answer()), certificates().server) as server:
        of = client(f"https://127.0.0.1:{server.port}", verify=certificates().client)
        for _ in range(3):
            assert (await of.send_sms_message(**SMS)).message_id == 1861
        assert server.connections == 1  # a handshake is dear: what is in order is used again
        await of.aclose()
