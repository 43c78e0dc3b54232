"""The raw layer under ASGI: what a well-behaved application can not do to a connection."""

import logging
import socket
import struct
from typing import Any, Protocol, cast

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from voxsms.sandbox.script import FaultScript

_LINGER_0 = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 seconds: closing sends a RST and drops what was not sent."""


class Wire(Protocol):
    """A connection as the application sees it, under `scope["state"]["wire"]`."""

    @property
    def is_last(self) -> bool:
        """Whether this connection is to be closed after the answer."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def close(self) -> None:
        """Close in good order."""
        ...

    def reset(self) -> None:
        """Close with a RST."""
        ...


class RawProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with a hand on the transport."""

    faults: FaultScript

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self.app_state = {**self.app_state, "wire": self}
        self.logger = logging.getLogger("voxsms")
        self.access_log = False

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - the base class differs from asyncio's
        """Take a connection, or close it if that is the fault whose turn it is."""
        super().connection_made(transport)
        fault = self.faults.connecting()
        if fault is not None and self.faults.take_connecting(fault):
            self.close()

    def close_if_idle(self) -> None:
        """Close unless a request is being answered."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete:
            self.close()

    @property
    def is_last(self) -> bool:
        """Whether the next request must open a connection, to meet its fault there."""
        return self.faults.connecting() is not None

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def close(self) -> None:
        """Close in good order."""
        self.transport.close()

    def reset(self) -> None:
        """Close with a RST."""
        sock = cast("socket.socket", self.transport.get_extra_info("socket"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self.transport.abort()


def protocol(script: FaultScript) -> type[RawProtocol]:
    """Give the protocol class of one sandbox: uvicorn makes its instances."""

    class SandboxProtocol(RawProtocol):
        faults = script

    return SandboxProtocol
