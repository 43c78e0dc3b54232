"""Answers that lie: whatever a server or a gateway says, no send is repeated on the strength of it.

The server here carries out every request that it reads, and then answers as it likes.
"""

import asyncio
import gzip
import select
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from doubles import (
    KEY,
    SENT,
    SMS,
    Act,
    FakeClock,
    Loopback,
    always,
    http,
    json_answer,
    loopback,
    read_request,
)
from loopback_tls import certificates

from voxsms import Client, Httpx2Transport, HttpxTransport, Timeouts
from voxsms.api.models import SendSmsMessageResult
from voxsms.errors import OutcomeUnknown, VoxSmsError
from voxsms.transport import Transport
from voxsms.transport._aiohttp import AiohttpTransport
from voxsms.transport._environment import hide_quotes

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

Carrier = Transport | httpx.AsyncBaseTransport


def users_own(verify: ssl.SSLContext | None) -> Carrier:
    """Give a transport as a user would make it."""
    return httpx.AsyncHTTPTransport(verify=verify or certificates().client)


KINDS: dict[str, Callable[..., Carrier]] = {
    "httpx": HttpxTransport,
    "httpx2": Httpx2Transport,
    "aiohttp": AiohttpTransport,
    "user": users_own,
}
PATIENT = Timeouts(connect=5, read=5, write=5, pool=5)
QUICK = Timeouts(connect=5, read=0.1, write=5, pool=5)
GOOD = json_answer()
BODY = GOOD.partition(b"\r\n\r\n")[2]
LATER = json_answer({"error": {"code": 340, "msg": "Rate limit exceed"}})
Of = Callable[..., Client]


@pytest.fixture(params=KINDS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Of]:
    """Give a function that makes a client over one transport after the other."""
    made: list[Client] = []

    def of(url: str, verify: ssl.SSLContext | None = None) -> Client:
        carrier = KINDS[request.param](verify=verify)
        made.append(Client(KEY, url, transport=carrier, clock=FakeClock(), timeout=PATIENT))
        return made[-1]

    yield of
    for each in made:
        await each.aclose()


async def sent(client: Client) -> SendSmsMessageResult | VoxSmsError:
    """Send a message and give what it ended with."""
    try:
        return await client.send_sms_message(**SMS)
    except VoxSmsError as error:
        return error


def head(status: str, *headers: str) -> bytes:
    """Write the head of an answer."""
    return "\r\n".join([status, *headers, "", ""]).encode()


def chunked(*parts: bytes) -> bytes:
    """Write an answer in chunks, as they are given."""
    return head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + b"".join(parts)


CHUNK = b"%x\r\n%b\r\n" % (len(BODY), BODY)

# Odd, but answers: a success is a success.
ODD = {
    "five times 100 Continue": head("HTTP/1.1 100 Continue") * 5 + GOOD,
    "103 Early Hints": head("HTTP/1.1 103 Early Hints", "Link: </x>") + GOOD,
    "HTTP/1.0 without a length": head("HTTP/1.0 200 OK") + BODY,
    "HTTP/1.1 without a length": head("HTTP/1.1 200 OK", "Connection: close") + BODY,
    "chunks": chunked(CHUNK, b"0\r\n\r\n"),
    "chunks and a trailer": chunked(CHUNK, b"0\r\nDigest: x\r\n\r\n"),
    "another type": http(BODY, "200 OK", "Content-Type: text/html"),
    "status 201": http(BODY, "201 Created"),
}
# No answers, or two at once: nobody can know.
DOUBTFUL = {
    "HTTP/1.0 cut": head("HTTP/1.0 200 OK") + BODY[:-3],
    "HTTP/1.0 refusal cut": head("HTTP/1.0 200 OK") + LATER.partition(b"\r\n\r\n")[2][:-3],
    "no end of chunks": chunked(CHUNK),
    "a chunk cut": chunked(CHUNK[:-9]),
    "a length too long": head("HTTP/1.1 200 OK", f"Content-Length: {len(BODY) + 9}") + BODY,
    "a length too short": head("HTTP/1.1 200 OK", f"Content-Length: {len(BODY) - 9}") + BODY,
    "length nought": head("HTTP/1.1 200 OK", "Content-Length: 0") + BODY,
    "two lengths": head("HTTP/1.1 200 OK", "Content-Length: 3", "Content-Length: 90") + BODY,
    "a length and chunks": head(
        "HTTP/1.1 200 OK", "Content-Length: 9", "Transfer-Encoding: chunked"
    ),
    "a head alone": b"HTTP/1.1 200 OK\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "100 Continue and no more": head("HTTP/1.1 100 Continue"),
    "101 Switching Protocols": head("HTTP/1.1 101 Switching Protocols", "Upgrade: x") + BODY,
    "204 No Content": head("HTTP/1.1 204 No Content"),
    "304 Not Modified": head("HTTP/1.1 304 Not Modified"),
    "a redirect to itself": http(b"", "307 Temporary Redirect", "Location: /"),
    "401": http(b"", "401 Unauthorized", "WWW-Authenticate: Basic"),
    "403": http(b"<html>", "403 Forbidden"),
    "407": http(b"", "407 Proxy Authentication Required", "Proxy-Authenticate: Basic"),
    "408": http(b"<html>", "408 Request Timeout", "Connection: close"),
    "421": http(b"", "421 Misdirected Request"),
    "425": http(b"", "425 Too Early"),
    "429 with a result": http(BODY, "429 Too Many Requests"),
    "429 with a result in UTF-16": http(BODY.decode().encode("utf-16"), "429 Too Many Requests"),
    "429 with code 515 cut": http(b'{"error": {"code": 515', "429 Too Many Requests"),
    "429 packed twice": http(
        gzip.compress(gzip.compress(BODY)), "429 Too Many Requests", "Content-Encoding: gzip"
    ),
    "429 packed as nobody asked": http(
        b"\x0b\x02\x80" + BODY, "429 Too Many Requests", "Content-Encoding: br"
    ),
    "500 with a result": http(BODY, "500 Internal Server Error"),
    "502 with code 340": http(LATER.partition(b"\r\n\r\n")[2], "502 Bad Gateway"),
    "code 340 with a result": json_answer(SENT | {"error": {"code": 340, "msg": "later"}}),
    "code 484": json_answer({"error": {"code": 484, "msg": "automatic resend"}}),
    "errors without a code": json_answer({"errors": [{}]}),
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\x00" * 18,
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 40_000,
    "not gzip": http(BODY, "200 OK", "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_answer_is_an_answer(client: Of, name: str) -> None:
    """What HTTP allows is read: sent once, and reported as sent."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(ODD[name])
        writer.close()

    async with loopback(act) as server:
        ended = await sent(client(server.url))
        assert isinstance(ended, SendSmsMessageResult), ended
        assert len(server.requests) == 1


ENDLESS = (
    "HTTP/1.0 cut", "no end of chunks", "a chunk cut", "a length too long", "a head alone",
    "half a head", "100 Continue and no more", "101 Switching Protocols", "another protocol",
)  # fmt: skip
"""Those after which the client waits for more, if the connection stays."""


@pytest.mark.parametrize(
    ("name", "closes"), [(n, True) for n in DOUBTFUL] + [(n, False) for n in ENDLESS]
)
async def test_a_doubtful_answer_is_a_doubt(client: Of, name: str, closes: bool) -> None:
    """The message was sent: it is neither reported as failed nor sent again."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(DOUBTFUL[name])
        if closes:
            writer.close()

    async with loopback(act) as server:
        of, deadline = client(server.url), 0.5
        ended = await sent(of if closes else of.with_options(timeout=QUICK, deadline=deadline))
        while not server.requests:  # a busy machine: it was not even sent
            deadline *= 4
            ended = await sent(of.with_options(timeout=QUICK, deadline=deadline))
        assert isinstance(ended, OutcomeUnknown), ended
        assert ended.sent == "maybe"
        assert len(server.requests) == 1


@asynccontextmanager
async def serving(
    act: Act, tls: bool
) -> AsyncIterator[tuple[Loopback, str, ssl.SSLContext | None]]:
    """Serve, with TLS or without; give the server, its URL and who trusts it."""
    if not tls:
        async with loopback(act) as server:
            yield server, server.url, None
        return
    async with loopback(act, certificates().server) as server:
        yield server, server.url.replace("http:", "https:"), certificates().client


async def together(writer: asyncio.StreamWriter, *answers: bytes) -> None:
    """Write answers in one piece."""
    writer.write(b"".join(answers))


async def apart(writer: asyncio.StreamWriter, *answers: bytes) -> None:
    """Write answers one after the other; under TLS each is a record."""
    for each in answers:
        writer.write(each)


async def later(writer: asyncio.StreamWriter, *answers: bytes) -> None:
    """Write answers with a pause, in which the first is read."""
    for each in answers:
        writer.write(each)
        await writer.drain()
        await asyncio.sleep(0.02)


Write = Callable[..., Awaitable[None]]
AFTER = {
    "come back later": LATER,
    "another success": json_answer(SENT | {"message_id": 666}),
    "a gateway's timeout": http(b"<html>", "408 Request Timeout", "Connection: close"),
    "100 Continue": head("HTTP/1.1 100 Continue"),
}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("write", [together, apart, later])
@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("reading", [False, True], ids=["send", "reading"])
async def test_what_comes_behind_an_answer_is_not_the_answer_to_the_next_request(
    client: Of, after: str, write: Write, tls: bool, reading: bool
) -> None:
    """A second answer to one request is nobody's: the next send is sent once, and has its own."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        number = len(server.requests)
        one = json_answer(SENT | {"message_id": number})
        await write(writer, *([one, AFTER[after]] if number == 1 else [one]))

    async with serving(act, tls) as (server, url, trust):
        of = client(url, trust)
        if reading:
            await of.control_sms(phone_number="447443332211", command="enable")
        else:
            await of.send_sms_message(**SMS)
        if write is later:
            await asyncio.sleep(0.04)
        second = await sent(of)
        assert isinstance(second, SendSmsMessageResult), second
        assert second.message_id == len(server.requests) == 2


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_what_was_left_of_an_answer_is_not_the_answer_to_the_next_request(
    client: Of, tls: bool
) -> None:
    """A length that counts characters, not bytes, leaves one call in doubt and no other."""
    text = '{"result": 1, "message_id": 1, "fragments_count": 1, "note": "ü"}'
    short = head("HTTP/1.1 200 OK", f"Content-Length: {len(text)}") + text.encode()

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(short if len(server.requests) == 1 else GOOD)

    async with serving(act, tls) as (server, url, trust):
        of = client(url, trust)
        assert isinstance(await sent(of), OutcomeUnknown)
        assert isinstance(await sent(of), SendSmsMessageResult)
        assert len(server.requests) == 2


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_a_connection_that_answered_well_is_used_again(client: Of, tls: bool) -> None:
    """To be careful does not mean to connect anew for each send."""
    async with serving(always(GOOD), tls) as (server, url, trust):
        of = client(url, trust)
        for _ in range(5):
            assert isinstance(await sent(of), SendSmsMessageResult)
        assert (len(server.requests), server.connections) == (5, 1)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_a_connection_that_ends_after_a_good_answer_harms_no_send(
    client: Of, tls: bool
) -> None:
    """The server closes without a word of it: the next send goes out on a new connection."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(GOOD)
        writer.close()

    async with serving(act, tls) as (server, url, trust):
        of = client(url, trust)
        for _ in range(3):
            assert isinstance(await sent(of), SendSmsMessageResult)
            await asyncio.sleep(0.02)
        assert (len(server.requests), server.connections) == (3, 3)


async def test_it_is_the_same_where_there_is_no_poll(
    client: Of, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where the system is asked about sockets in another way."""
    monkeypatch.delattr(select, "poll")
    async with loopback(always(GOOD)) as server:
        of = client(server.url)
        for _ in range(3):
            assert isinstance(await sent(of), SendSmsMessageResult)
        assert (len(server.requests), server.connections) == (3, 1)


async def test_an_answer_to_half_a_request_is_believed_as_a_refusal_only(client: Of) -> None:
    """A gateway that has seen enough says 429 and hangs up: tried again, and sent once."""
    seen = 0
    carried_out = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen, carried_out
        seen += 1
        if seen == 1:
            await reader.readuntil(b"\r\n")
            writer.write(http(b"slow down", "429 Too Many Requests", "Connection: close"))
        else:
            await read_request(reader)
            carried_out += 1
            writer.write(GOOD)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        ended = await sent(client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    # With a reset the 429 can be lost on the way: then nobody knows, and nobody tries again.
    assert isinstance(ended, SendSmsMessageResult if carried_out else OutcomeUnknown)
    assert carried_out == seen - 1


@pytest.mark.parametrize("of_which", ["HTTP/1.1", "HTTP/2"])
async def test_a_connection_that_can_not_be_looked_into_is_not_used_again(of_which: str) -> None:
    """A user's transport may be made of parts unknown; HTTP/2 numbers its answers."""
    closed = 0

    class Stream:
        async def aclose(self) -> None:
            nonlocal closed
            closed += 1

    def answer(_: httpx.Request) -> httpx.Response:
        extensions = {"network_stream": Stream(), "http_version": of_which.encode()}
        return httpx.Response(200, content=BODY, extensions=extensions)

    async with Client(KEY, transport=httpx.MockTransport(answer)) as of:
        assert isinstance(await sent(of), SendSmsMessageResult)
    assert closed == (of_which == "HTTP/1.1")


SONG = b"Kanarienvogel 447443332212"
BROKEN = {
    "no status": SONG + b"\r\n\r\n",
    "no header": head("HTTP/1.1 200 OK")[:-2] + SONG + b"\r\n\r\n",
    "no chunk": chunked(SONG + b"\r\n"),
    "no length": head("HTTP/1.1 200 OK", f"Content-Length: {SONG.decode()}"),
    "no gzip": http(SONG, "200 OK", "Content-Encoding: gzip"),
    "no JSON": http(SONG, "200 OK"),
    "no record": json_answer({"result": SONG.decode(), "message_id": SONG.decode()}),
    "no error": json_answer({"error": {"code": SONG.decode(), "msg": SONG.decode()[-12:]}}),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_an_error_quotes_nothing_of_an_answer(client: Of, name: str) -> None:
    """An answer whose rows fell out of their frame is in no traceback, with all causes."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(BROKEN[name])
        writer.close()

    async with loopback(act) as server:
        of = client(server.url)
        with pytest.raises(VoxSmsError) as send:
            await of.send_sms_message(**SMS)
        with pytest.raises(VoxSmsError) as reading:
            await of.get_sms_history()
    for error in (send.value, reading.value):
        shown = "".join(traceback.format_exception(error)) + repr(error)
        assert "Kanarienvogel" not in shown
        assert "447443332212" not in shown


def test_quotes_are_taken_out_of_every_error_of_a_chain() -> None:
    """Causes and contexts, in whatever circle they stand; what is no quote stays."""
    first, second, third = ValueError("a bytearray(b'x')", 5), OSError(2, "b'x"), KeyError("a b")
    first.__cause__, second.__context__, third.__context__ = second, third, first
    hide_quotes(first)
    assert (first.args, second.args, third.args) == (("a ...", 5), (2, "..."), ("a b",))
