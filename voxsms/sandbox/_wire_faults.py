"""What each fault does on the wire, by its name in `_faults.py`, and the exchange it is made of."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from email.utils import format_datetime
from types import MappingProxyType

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from voxsms.sandbox._calls import Refusal, Reply
from voxsms.sandbox._clock import SandboxClock
from voxsms.sandbox._faults import InjectedFault
from voxsms.sandbox._server import RawProtocol

_TICK = 0.005
"""Seconds between two looks at a driven clock."""
_LINGER = 1.0
"""Seconds for which the rest of a request is read and thrown away before its connection closes."""


class Exchange:
    """One request and the ways in which it can be answered, decent or not."""

    def __init__(self, clock: SandboxClock, scope: Scope, receive: Receive, send: Send) -> None:
        self._clock = clock
        self._scope = scope
        self._wire: RawProtocol = scope["state"]["wire"]
        self._receive = receive
        self._send = send
        self._end: asyncio.Future[Message] | None = None

    async def answer(self, reply: Reply) -> None:
        """Answer as a decent server does."""
        response = self._response(reply)
        if self._wire.is_last:
            response.headers["connection"] = "close"  # said, so that no client tries it again
        await response(self._scope, self._receive, self._send)

    async def answer_early(self, reply: Reply) -> None:
        """Answer a request that was not read to its end, read on for a while, and close.

        To close on bytes that nobody has read resets the connection: a client that writes all
        before it reads would not see the answer.
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
                while (await self._receive()).get("more_body", False):
                    pass
        await self._send({"type": "http.response.body"})

    def raw(self, reply: Reply) -> bytes:
        """Return the bytes of a decent answer, the last one of its connection."""
        response = self._response(reply)
        headers = b"".join(b"%s: %s\r\n" % header for header in response.raw_headers)
        return b"HTTP/1.1 %d \r\n%sconnection: close\r\n\r\n%s" % (
            response.status_code,
            headers,
            reply.body,
        )

    def _response(self, reply: Reply) -> Response:
        date = format_datetime(self._clock.now(), usegmt=True)
        headers = {"date": date, **reply.headers}
        return Response(reply.body, reply.status, headers, reply.content_type)

    def write(self, data: bytes) -> None:
        """Put bytes on the wire, whatever HTTP says."""
        self._wire.write(data)

    async def close(self) -> None:
        """Close the connection once all is written."""
        self._wire.close()
        await self.is_left()

    async def reset(self) -> None:
        """Cut the connection with a RST."""
        self._wire.reset()
        await self.is_left()

    async def is_left(self, seconds: float | None = None) -> bool:
        """Wait for the end of the connection; False if it did not come within some seconds."""
        if self._end is None:
            # After the whole request the only message is `http.disconnect`. It also comes once an
            # answer is complete, so the task never stays behind.
            self._end = asyncio.ensure_future(self._receive())
        ended, _ = await asyncio.wait([self._end], timeout=seconds)
        return bool(ended)

    async def is_left_by(self, moment: float) -> bool:
        """Wait for the end of the connection; False if the driven clock reached a moment."""
        while self._clock.time() < moment:
            if await self.is_left(_TICK):
                return True
        return False

    def time_in(self, seconds: float) -> float:
        """Return the time of the driven clock some seconds ahead."""
        return self._clock.time() + seconds


Commit = Callable[[], Reply]
"""Carries the call out and returns its reply: from here on a message is delivered."""
Act = Callable[[Exchange, Commit, InjectedFault], Awaitable[None]]

_GARBAGE = b"\x16\x03\x01\x02\x00\xff\xfe no HTTP at all\r\n\r\n"


def _waiting(fault: InjectedFault) -> Mapping[str, str]:
    wait = fault.option("retry_after")
    return {} if wait is None else {"retry-after": str(wait)}


async def _ok(exchange: Exchange, commit: Commit, _: InjectedFault) -> None:
    await exchange.answer(commit())


async def _read_then_close(exchange: Exchange, _: Commit, __: InjectedFault) -> None:
    await exchange.close()


async def _read_then_reset(exchange: Exchange, _: Commit, __: InjectedFault) -> None:
    await exchange.reset()


async def _never(exchange: Exchange, _: Commit, __: InjectedFault) -> None:
    await exchange.is_left()


async def _http_error(exchange: Exchange, _: Commit, fault: InjectedFault) -> None:
    await exchange.answer(Reply.page(fault.option("status"), _waiting(fault)))


async def _http_429(exchange: Exchange, _: Commit, fault: InjectedFault) -> None:
    await exchange.answer(Reply.page(429, _waiting(fault)))


async def _rate_limited(exchange: Exchange, _: Commit, fault: InjectedFault) -> None:
    refusal = Refusal(340, "Rate limit exceed")
    await exchange.answer(refusal.reply(_waiting(fault)))


async def _error(exchange: Exchange, _: Commit, fault: InjectedFault) -> None:
    refusal = Refusal(fault.option("code"), fault.option("msg"))
    await exchange.answer(refusal.reply(_waiting(fault)))


async def _slow(exchange: Exchange, commit: Commit, fault: InjectedFault) -> None:
    seconds = fault.option("seconds")
    due = exchange.time_in(seconds)
    reply = commit()
    waiting = exchange.is_left_by(due) if fault.option("driven") else exchange.is_left(seconds)
    if not await waiting:
        await exchange.answer(reply)


async def _drip(exchange: Exchange, commit: Commit, fault: InjectedFault) -> None:
    for byte in exchange.raw(commit()):
        exchange.write(bytes([byte]))
        if await exchange.is_left(fault.option("seconds")):
            return
    await exchange.close()


async def _commit_then_close(exchange: Exchange, commit: Commit, _: InjectedFault) -> None:
    commit()
    await exchange.close()


async def _commit_then_reset(exchange: Exchange, commit: Commit, _: InjectedFault) -> None:
    commit()
    await exchange.reset()


async def _commit_then_half(exchange: Exchange, commit: Commit, _: InjectedFault) -> None:
    reply = commit()
    exchange.write(exchange.raw(reply)[: -(len(reply.body) + 1) // 2])
    await exchange.close()


async def _commit_then_garbage(exchange: Exchange, commit: Commit, _: InjectedFault) -> None:
    commit()
    exchange.write(_GARBAGE)
    await exchange.close()


async def _commit_then_html(exchange: Exchange, commit: Commit, _: InjectedFault) -> None:
    commit()
    await exchange.answer(Reply.page(502))


async def _commit_then_500(exchange: Exchange, commit: Commit, _: InjectedFault) -> None:
    commit()
    await exchange.answer(Reply(b"Internal Server Error", "text/plain", 500))


async def _commit_then_error(exchange: Exchange, commit: Commit, fault: InjectedFault) -> None:
    commit()
    await exchange.answer(Refusal(fault.option("code"), fault.option("msg")).reply())


async def _commit_then_answer(exchange: Exchange, commit: Commit, fault: InjectedFault) -> None:
    commit()
    body = str(fault.option("body")).encode()
    await exchange.answer(Reply(body, "application/json", fault.option("status")))


async def _commit_then_never(exchange: Exchange, commit: Commit, _: InjectedFault) -> None:
    commit()
    await exchange.is_left()


ACTS: Mapping[str, Act] = MappingProxyType(
    {
        "ok": _ok,
        "read_then_close": _read_then_close,
        "read_then_reset": _read_then_reset,
        "never": _never,
        "http_error": _http_error,
        "http_429": _http_429,
        "rate_limited": _rate_limited,
        "error": _error,
        "slow": _slow,
        "drip": _drip,
        "commit_then_close": _commit_then_close,
        "commit_then_reset": _commit_then_reset,
        "commit_then_half": _commit_then_half,
        "commit_then_garbage": _commit_then_garbage,
        "commit_then_html": _commit_then_html,
        "commit_then_500": _commit_then_500,
        "commit_then_error": _commit_then_error,
        "commit_then_answer": _commit_then_answer,
        "commit_then_never": _commit_then_never,
    }
)
"""Every fault of a request; those of the connection are done by `_server.py`."""
