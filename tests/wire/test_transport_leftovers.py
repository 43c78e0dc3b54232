"""What came behind an answer is never taken for the next: it would have a message sent twice."""

import asyncio
import select
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, Self

import pytest
from doubles import KEY, SMS, FakeClock, json_answer, loopback
from loopback_tls import certificates

from voxsms import Client, Httpx2Transport, HttpxTransport
from voxsms.errors import OutcomeUnknown
from voxsms.transport import _aiohttp, _httpx
from voxsms.transport._aiohttp import AiohttpTransport

LATER = json_answer({"error": {"code": 340, "msg": "come back later"}})
KINDS: dict[str, Callable[..., Any]] = {
    "httpx": HttpxTransport,
    "httpx2": Httpx2Transport,
    "aiohttp": AiohttpTransport,
}
Of = Callable[..., Client]


@pytest.fixture(params=KINDS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Of]:
    """Give a function that makes a client over one transport after the other."""
    made: list[Client] = []

    def of(url: str, **transport: object) -> Client:
        made.append(
            Client(KEY, url, transport=KINDS[request.param](**transport), clock=FakeClock())
        )
        return made[-1]

    yield of
    for each in made:
        await each.aclose()


class Twice:
    """Says "come back later" twice at once to the first request; then serves."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.served = 0

    async def __call__(self, writer: asyncio.StreamWriter, _: bytes) -> None:
        """Answer one request."""
        self.served += 1
        for piece in self.pieces if self.served == 1 else [json_answer()]:
            writer.write(piece)


@pytest.mark.parametrize("pieces", [[LATER + LATER], [LATER, LATER]], ids=["in one", "in two"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_an_answer_given_twice_has_no_message_sent_twice(
    client: Of, pieces: list[bytes], secure: bool
) -> None:
    """The second "come back later" is not the answer to the second request."""
    async with loopback(Twice(*pieces), certificates().server if secure else None) as server:
        address = f"https://127.0.0.1:{server.port}" if secure else server.url
        of = client(address, verify=certificates().client)
        assert (await of.send_sms_message(**SMS)).message_id == 1861
        assert len(server.requests) == 2
        await of.aclose()


async def test_a_goodbye_behind_an_answer_costs_a_connection_and_no_message(client: Of) -> None:
    """A server that ends TLS after each answer is connected to anew."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(json_answer())
        writer.close()

    async with loopback(act, certificates().server) as server:
        of = client(f"https://127.0.0.1:{server.port}", verify=certificates().client)
        for _ in range(3):
            assert (await of.send_sms_message(**SMS)).message_id == 1861
            await asyncio.sleep(0.005)
        assert len(server.requests) == server.connections == 3
        await of.aclose()


async def test_of_a_library_that_is_not_known_no_connection_is_used_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where voxsms cannot look for leftovers, it takes a fresh connection each time."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(json_answer())

    async with loopback(act) as server, Client(KEY, server.url) as of:
        monkeypatch.setattr(_httpx, "_INNER", ("a_name_of_another_version",))
        await of.send_sms_message(**SMS)
        await of.send_sms_message(**SMS)
        assert server.connections == 2


def test_a_broken_tls_record_is_a_leftover_too() -> None:
    """Whatever TLS cannot make sense of is nothing to send on."""

    def broken(_: int) -> bytes:
        raise ssl.SSLError("bad record")

    stream = SimpleNamespace(get_extra_info=lambda _: SimpleNamespace(read=broken))
    answer = SimpleNamespace(extensions={"network_stream": stream}, http_version="HTTP/1.1")
    assert _httpx._has_records(answer)


@pytest.mark.parametrize(
    ("protocol", "transport"),
    [(None, object()), (object(), None), (SimpleNamespace(should_close=True), object())],
)
def test_a_connection_of_aiohttp_that_is_gone_is_stale(protocol: Any, transport: Any) -> None:  # noqa: ANN401
    """One without a protocol or transport, or one that is to be closed, is not sent on."""
    connection: Any = SimpleNamespace(protocol=protocol, transport=transport)
    assert _aiohttp._is_stale(connection)


class InThread:
    """A server in a thread, which does something behind its first answer when it is told to.

    So it can happen while the client's loop is busy and has not looked at its sockets.
    """

    def __init__(self, behind: Callable[[socket.socket], object]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(5)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.behind = behind
        self.told, self.done = threading.Event(), threading.Event()
        self.connections: list[socket.socket] = []
        self.thread = threading.Thread(target=self.serve)

    def serve(self) -> None:
        """Serve one request on each of two connections."""
        self.answer()
        assert self.told.wait(5)
        self.behind(self.connections[0])
        self.done.set()
        self.answer()

    def answer(self) -> None:
        """Accept, read a request, answer it."""
        connection, _ = self.listener.accept()
        connection.settimeout(5)
        self.connections.append(connection)
        while b"sms_body" not in connection.recv(65_536):
            pass
        connection.sendall(json_answer())

    def __enter__(self) -> Self:
        """Start."""
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Come back when it has ended."""
        self.thread.join()
        for each in (self.listener, *self.connections):
            each.close()


@pytest.mark.parametrize(
    "behind",
    [lambda each: each.sendall(LATER), lambda each: each.shutdown(socket.SHUT_WR)],
    ids=["an answer", "the end"],
)
@pytest.mark.parametrize("with_poll", [True, False])
async def test_what_the_loop_has_not_come_to_is_noticed(
    client: Of,
    behind: Callable[[socket.socket], object],
    with_poll: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waits in the socket as a send takes its connection makes it take another.

    Also where there is no `poll`, as on Windows.
    """
    with InThread(behind) as server:
        of = client(server.url)
        await of.send_sms_message(**SMS)
        server.told.set()
        assert server.done.wait(5)
        if not with_poll:
            monkeypatch.delattr(select, "poll", raising=False)
        assert (await of.send_sms_message(**SMS)).message_id == 1861
        monkeypatch.undo()
        assert len(server.connections) == 2


async def test_half_an_answer_behind_an_answer_is_a_leftover(client: Of) -> None:
    """A few bytes are enough to make the next answer unreadable."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(json_answer() + b"HTTP/1.1 2")

    async with loopback(act) as server:
        of = client(server.url)
        for _ in range(2):
            try:
                assert (await of.send_sms_message(**SMS)).message_id == 1861
            except OutcomeUnknown:
                pytest.fail("the leftover was taken for an answer")
        assert len(server.requests) == 2
