"""A loopback HTTP server that answers at once, in a process of its own, pinned to the other core.

It is as small as can be, so that what is measured is the client: a request is whatever ends with
the body its Content-Length names, and the answer is one of a few bodies made beforehand.
"""

import asyncio
import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from functools import partial
from multiprocessing.connection import Connection
from urllib.parse import parse_qs

import orjson

ROWS_A_PAGE = 1000
Answer = Callable[[bytes, bytes], bytes]
"""Gives a whole answer for the head and the body of a request."""


def row(number: int) -> dict[str, object]:
    """Make a row of a history."""
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
    rows = [row(n) for n in range(offset, min(total, offset + ROWS_A_PAGE))]
    return orjson.dumps({"result": rows, "total_count": total})


def http_answer(body: bytes) -> bytes:
    """Write JSON as an HTTP answer, without its first lines."""
    return b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def first_lines() -> bytes:
    """Give what an answer begins with. Without a date an export waits until its range is over."""
    return b"HTTP/1.1 200 OK\r\nDate: %s\r\n" % formatdate(usegmt=True).encode()


SENT = http_answer(b'{"result": 1, "message_id": 1861, "fragments_count": 1}')


class _Protocol(asyncio.Protocol):
    """Reads a request, writes its answer after `delay` seconds."""

    def __init__(self, answer: Answer, delay: float) -> None:
        self._answer = answer
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
        answer = first_lines(), self._answer(head, rest[:length])
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.writelines, answer)
        else:
            self._transport.writelines(answer)


class Pages:
    """Answers made beforehand, by their offset alone."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        offsets = range(0, rows, ROWS_A_PAGE)
        self._pages = {offset: http_answer(page(offset, rows)) for offset in offsets}

    def __call__(self, head: bytes, body: bytes) -> bytes:
        """Give the page that is asked for, or what a send is answered with."""
        if b"History" not in head.split(b"\r\n", 1)[0] and b"History" not in body:
            return SENT
        offset = int(parse_qs(body.decode()).get("offset", ["0"])[0])
        if offset not in self._pages:
            self._pages[offset] = http_answer(page(offset, self._rows))
        return self._pages[offset]


async def _serve(listener: socket.socket, answer: Answer, delay: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: _Protocol(answer, delay), sock=listener, backlog=4096
    )
    await server.serve_forever()


def _main(
    listener: socket.socket, make: Callable[[], Answer], delay: float, ready: Connection
) -> None:
    pin(-1)
    answer = make()
    ready.send(None)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(listener, answer, delay))


def pin(core: int) -> None:
    """Stay on one core: 0 for the client, -1 (the last) for the server."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core]})


@contextmanager
def server(
    rows: int = 0, delay: float = 0.0, make: Callable[[], Answer] | None = None
) -> Iterator[str]:
    """Run the server; give its URL. What `make` gives there answers instead of `Pages`."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    ready, tell = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(
        target=_main, args=(listener, make or partial(Pages, rows), delay, tell), daemon=True
    )
    process.start()
    ready.recv()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.kill()
        process.join()
        listener.close()
