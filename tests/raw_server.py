"""A server in a thread of its own, as quick and as plain as can be, with time limits to set."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLContext

import attrs
from doubles import SENT, json_answer

_ANSWER = json_answer(SENT)


@attrs.define
class RawServer:
    """What it is told, and what it has seen."""

    delay: float = 0.0
    """Seconds from a request to its answer."""
    way: float = 0.0
    """Seconds that bytes take to the server; the way back takes none."""
    idle: float | None = None
    """Seconds after an answer at which a connection is closed."""
    tls: SSLContext | None = None
    port: int = 0
    requests: int = 0
    connections: int = 0
    open: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"


class _Protocol(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: RawServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections += 1
        self._server.open += 1

    def connection_lost(self, _: Exception | None) -> None:
        self._server.open -= 1
        if self._idle is not None:
            self._idle.cancel()

    def data_received(self, data: bytes) -> None:
        self._loop.call_later(self._server.way, self._arrived, data)

    def _arrived(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if found and len(body) >= length:
            self._received = b""
            self._server.requests += 1
            if self._idle is not None:
                self._idle.cancel()
            self._loop.call_later(self._server.delay, self._answer)

    def _answer(self) -> None:
        self._transport.write(_ANSWER)
        if self._server.idle is not None:
            self._idle = self._loop.call_later(self._server.idle, self._transport.close)


async def _serve(server: RawServer, ready: threading.Event, end: asyncio.Event) -> None:
    listener = await asyncio.get_running_loop().create_server(
        lambda: _Protocol(server), "127.0.0.1", 0, backlog=4096, ssl=server.tls
    )
    server.port = listener.sockets[0].getsockname()[1]
    ready.set()
    async with listener:
        await end.wait()


@contextmanager
def serving(server: RawServer) -> Iterator[RawServer]:
    """Run it."""
    ready, end = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(_serve(server, ready, end))

    thread = threading.Thread(target=run, name="raw server")
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
