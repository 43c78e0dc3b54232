"""What each fault of `_faults.py` does on the wire, and the exchange that carries it out."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import format_datetime

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from voxsms.sandbox._calls import Refusal, Reply
from voxsms.sandbox._clock import SandboxClock
from voxsms.sandbox._faults import KINDS, InjectedFault
from voxsms.sandbox._server import RawProtocol

_TICK = 0.005
"""Seconds between two checks of a driven clock."""
_LINGER = 1.0
"""Seconds for which the rest of a request is read and discarded before its connection closes."""
_MAX_LINGER_BYTES = 16 * 1024 * 1024


class Exchange:
    """One request and the ways to answer it, valid or not."""

    def __init__(self, clock: SandboxClock, scope: Scope, receive: Receive, send: Send) -> None:
        self.clock = clock
        self._scope = scope
        self._wire: RawProtocol = scope["state"]["wire"]
        self._receive = receive
        self._send = send
        self._end: asyncio.Future[Message] | None = None

    async def answer(self, reply: Reply) -> None:
        """Answer normally."""
        response = self._response(reply)
        if self._wire.is_last:
            response.headers["connection"] = "close"  # so that no client uses it again
        await response(self._scope, self._receive, self._send)

    async def answer_early(self, reply: Reply) -> None:
        """Answer a request that was not read to its end, read on for a while, and close.

        Closing with unread bytes resets the connection: a client that writes everything before it
        reads would not see the answer.
        """
        response = self._response(reply)
        response.headers["connection"] = "close"
        head = {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": response.raw_headers,
        }
        await self._send(head)
        await self._send({"type": "http.response.body", "body": reply.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                left = _MAX_LINGER_BYTES
                while left > 0 and (message := await self._receive()).get("more_body", False):
                    left -= len(message["body"])
        await self._send({"type": "http.response.body"})

    def raw(self, reply: Reply) -> bytes:
        """Return the bytes of a valid answer that is the last of its connection."""
        response = self._response(reply)
        headers = b"".join(b"%s: %s\r\n" % header for header in response.raw_headers)
        return b"HTTP/1.1 %d \r\n%sconnection: close\r\n\r\n%s" % (
            response.status_code,
            headers,
            reply.body,
        )

    def _response(self, reply: Reply) -> Response:
        date = format_datetime(self.clock.now(), usegmt=True)
        headers = {"date": date, **reply.headers}
        return Response(reply.body, reply.status, headers, reply.content_type)

    def write(self, data: bytes) -> None:
        """Put bytes on the wire, valid HTTP or not."""
        self._wire.write(data)

    async def drip(self, reply: Reply, pause: float) -> None:
        """Answer byte by byte with a pause after each, and close."""
        for byte in self.raw(reply):
            self.write(bytes([byte]))
            if await self.is_left(pause):
                return
        await self.close()

    async def close(self) -> None:
        """Close the connection once everything is written."""
        self._wire.close()
        await self.is_left()

    async def reset(self) -> None:
        """Cut the connection with an RST."""
        self._wire.reset()
        await self.is_left()

    async def is_left(self, seconds: float | None = None) -> bool:
        """Wait for the end of the connection; return False if it takes longer than `seconds`."""
        if self._end is None:
            # After the whole request the only message is `http.disconnect`. It is also sent once an
            # answer is complete, so the task always ends.
            self._end = asyncio.ensure_future(self._receive())
        ended, _ = await asyncio.wait([self._end], timeout=seconds)
        return bool(ended)

    async def is_left_by(self, moment: float) -> bool:
        """Wait for the end of the connection; return False if the clock reaches a moment first."""
        while self.clock.time() < moment:
            if await self.is_left(_TICK):
                return True
        return False


_GARBAGE = b"\x16\x03\x01\x02\x00\xff\xfe no HTTP at all\r\n\r\n"


async def carry_out(exchange: Exchange, commit: Callable[[], Reply], fault: InjectedFault) -> None:
    """Carry out a fault of a request; `commit` carries the request out and returns its reply.

    `_server.py` carries out those of the connection.
    """
    due = exchange.clock.time()  # before the commit: once that is seen, a test may move the clock
    reply = commit() if KINDS[fault.kind].commits else Reply(b"")
    match fault.kind:
        case "read_then_close" | "commit_then_close":
            await exchange.close()
        case "read_then_reset" | "commit_then_reset":
            await exchange.reset()
        case "never" | "commit_then_never":
            await exchange.is_left()
        case "slow":
            wait = fault.option("seconds")
            driven = fault.option("driven")
            is_left = exchange.is_left_by(due + wait) if driven else exchange.is_left(wait)
            if not await is_left:
                await exchange.answer(reply)
        case "drip":
            await exchange.drip(reply, fault.option("seconds"))
        case "commit_then_half":
            exchange.write(exchange.raw(reply)[: -(len(reply.body) + 1) // 2])
            await exchange.close()
        case "commit_then_garbage":
            exchange.write(_GARBAGE)
            await exchange.close()
        case _:
            await exchange.answer(_replace(reply, fault))


def _replace(reply: Reply, fault: InjectedFault) -> Reply:
    """Return the answer of a fault, which replaces the reply; for `ok` the reply."""
    match fault.kind:
        case "http_error":
            reply = Reply.page(fault.option("status"), _headers(fault))
        case "http_429":
            reply = Reply.page(429, _headers(fault))
        case "rate_limited":
            reply = Refusal(340, "Rate limit exceed").reply(_headers(fault))
        case "error":
            reply = Refusal(fault.option("code"), fault.option("msg")).reply(_headers(fault))
        case "commit_then_error":
            reply = Refusal(fault.option("code"), fault.option("msg")).reply()
        case "commit_then_answer":
            body = str(fault.option("body")).encode()
            reply = Reply(body, status=fault.option("status"))
        case "commit_then_html":
            reply = Reply.page(502)
        case "commit_then_500":
            reply = Reply(b"Internal Server Error", "text/plain", 500)
        case _:
            pass  # unchanged
    return reply


def _headers(fault: InjectedFault) -> Mapping[str, str]:
    wait = fault.option("retry_after")
    return {} if wait is None else {"retry-after": str(wait)}
