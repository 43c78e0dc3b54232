"""A loopback HTTP server that answers at once, in a process of its own, pinned to the other core.

It is as small as can be, so that what is measured is the client: a request is whatever ends with
the body its Content-Length names, and the answer is one of a few bodies made beforehand.
"""

import asyncio
import multiprocessing
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from urllib.parse import parse_qs

import orjson

ROWS_A_PAGE = 1000


def _row(number: int) -> dict[str, object]:
    return {
        "message_id": number,
        "source_number": "447443332211",
        "destination_number": f"4474{number % 10**8:08d}",
        "direction": "OUT",
        "fragments": 1 + number % 3,
        "cost": round(0.0355 * (1 + number % 3), 4),
        "status_id": "1",
        "processed_date": f"2026-10-{1 + number % 28:02d} {number % 24:02d}:{number % 60:02d}:00",
        "transaction_id": 10**6 + number,
        "text": "Your reservation has been confirmed" if number % 4 else None,
    }


def page(offset: int, total: int) -> bytes:
    """Give one page of a history of `total` rows."""
    rows = [_row(n) for n in range(offset, min(total, offset + ROWS_A_PAGE))]
    return orjson.dumps({"result": rows, "total_count": total})


def _answer(body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


SENT = _answer(b'{"result": 1, "message_id": 1861, "fragments_count": 1}')


class _Protocol(asyncio.Protocol):
    """Reads a request, writes its answer after `delay` seconds."""

    def __init__(self, rows: int, delay: float) -> None:
        self._rows = rows
        self._delay = delay
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        answer = self._answer(head, rest[:length])
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, answer)
        else:
            self._transport.write(answer)

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if b"History" not in head.split(b"\r\n", 1)[0] and b"History" not in body:
            return SENT
        offset = int(parse_qs(body.decode()).get("offset", ["0"])[0])
        if offset not in _pages:
            _pages[offset] = _answer(page(offset, self._rows))
        return _pages[offset]


_pages: dict[int, bytes] = {}


async def _serve(listener: socket.socket, rows: int, delay: float, ready: Connection) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: _Protocol(rows, delay), sock=listener, backlog=4096
    )
    for offset in range(0, rows, ROWS_A_PAGE):
        _pages[offset] = _answer(page(offset, rows))
    ready.send(None)
    await server.serve_forever()


def _main(listener: socket.socket, rows: int, delay: float, ready: Connection) -> None:
    pin(-1)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(listener, rows, delay, ready))


def pin(core: int) -> None:
    """Stay on one core: 0 for the client, -1 (the last) for the server."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core]})


@contextmanager
def server(rows: int = 0, delay: float = 0.0) -> Iterator[str]:
    """Run the server; give its URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    ready, tell = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_main, args=(listener, rows, delay, tell), daemon=True)
    process.start()
    ready.recv()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.kill()
        process.join()
        listener.close()
