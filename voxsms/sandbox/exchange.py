"""One request and the ways in which it can be answered, decent or not."""

import asyncio
from email.utils import format_datetime

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from voxsms.sandbox.calls import Call, Reply
from voxsms.sandbox.clock import Clock
from voxsms.sandbox.methods import Service
from voxsms.sandbox.protocol import Wire

_TICK = 0.005
"""Seconds between two looks at a driven clock."""


class Exchange:
    """What the faults are made of."""

    def __init__(
        self,
        call: Call,
        service: Service,
        clock: Clock,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._call = call
        self._service = service
        self._clock = clock
        self._scope = scope
        self._wire: Wire = scope["state"]["wire"]
        self._receive = receive
        self._send = send
        self._end: asyncio.Future[Message] | None = None

    def commit(self) -> Reply:
        """Carry the call out; from here on a message is delivered."""
        return self._service.answer(self._call)

    async def answer(self, reply: Reply) -> None:
        """Answer as a decent server does."""
        response = self._response(reply)
        if self._wire.is_last:
            response.headers["connection"] = "close"  # said, so that no client tries it again
        await response(self._scope, self._receive, self._send)

    def raw(self, reply: Reply) -> bytes:
        """Give the bytes of a decent answer, the last one of its connection."""
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

    def in_driven(self, seconds: float) -> float:
        """Give the moment of the driven clock that lies some seconds ahead."""
        return self._clock.time() + seconds
